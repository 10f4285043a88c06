use bytes::Bytes;
use mesh_proto::{ConnId, Entropy, Tag};
use tokio::time::Instant;

use super::*;
use crate::{Announce, Arrivals, BackendError, Entry, Keep, Key, Kind, LogRead, Memory, Received};

const LEASE: Duration = Duration::from_secs(6);
const MS: Duration = Duration::from_millis(1);
const KEEP: Keep = Keep { count_max: 1000, bytes_max: 1 << 20, age_max: Duration::from_secs(3600) };

struct Peer {
    me: Incarnation,
    link: Arc<dyn Link>,
    arrivals: Arrivals,
    faults: Faults,
}

async fn attach(faulty: &Faulty, number: u64) -> Peer {
    let (inbox, arrivals) = inbox(1 << 20);
    let me = Incarnation::random(&Entropy::from_seed(number));
    let link = faulty.attach(me, LEASE, inbox).await.unwrap();
    Peer { me, link, arrivals, faults: faulty.faults(me) }
}

fn faulty(seed: u64) -> Faulty {
    Faulty::new(Arc::new(Memory::from_seed(1)), seed)
}

fn room() -> Key {
    Key::new(Kind::Room, "r")
}

fn hello(text: &str) -> Announce {
    Announce::text(room(), Bytes::copy_from_slice(text.as_bytes()))
}

impl Peer {
    async fn append(&self) -> crate::Result<u64> {
        let entry = Entry { tag: Tag(1), kept: Bytes::new(), announce: None };
        Ok(self.link.append(&room(), entry, KEEP).await?.offset)
    }

    async fn appended(&self) -> u64 {
        self.link.read(&room(), LogRead::Newest { limit: 0 }).await.unwrap().newest
    }

    async fn beats(&self) -> bool {
        match self.link.beat().await {
            Ok(_) => true,
            Err(BackendError::Unavailable(_)) => false,
            Err(error) => panic!("{error}"),
        }
    }

    async fn next(&mut self) -> String {
        match self.arrivals.recv().await {
            Some(Received::Arrival(arrival)) => String::from_utf8(arrival.full.unwrap().into()).unwrap(),
            other => format!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn calls_are_counted_by_operation_failed_ones_too() {
    let peer = attach(&faulty(1), 1).await;
    peer.link.subscribe(&room()).await.unwrap();
    peer.faults.fail_next(Op::Beat, Fault::Before);
    assert!(!peer.beats().await && peer.beats().await);
    assert_eq!([Op::Attach, Op::Subscribe, Op::Beat, Op::Load].map(|op| peer.faults.calls(op)), [1, 1, 2, 0]);
    assert_eq!(peer.faults.calls_total(), 4);
    peer.faults.reset_calls();
    assert_eq!(peer.faults.calls_total(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_call_takes_the_time_that_was_drawn() {
    let peer = attach(&faulty(1), 1).await;
    peer.faults.delay(10 * MS..20 * MS);
    let mut taken = Vec::new();
    for _ in 0..20 {
        let from = Instant::now();
        peer.link.beat().await.unwrap();
        taken.push(from.elapsed());
    }
    assert!(taken.iter().all(|taken| (10 * MS..=21 * MS).contains(taken)), "{taken:?}");
    taken.dedup();
    assert!(taken.len() > 1);
    peer.faults.calm();
    let from = Instant::now();
    peer.link.beat().await.unwrap();
    assert!(from.elapsed().is_zero());
}

#[tokio::test(start_paused = true)]
async fn a_failure_before_changes_nothing_and_one_after_leaves_a_step() {
    let peer = attach(&faulty(1), 1).await;
    peer.faults.fail_next(Op::Append, Fault::Before);
    peer.faults.fail_next(Op::Append, Fault::After);
    peer.append().await.unwrap_err();
    assert_eq!(peer.appended().await, 0);
    peer.append().await.unwrap_err();
    assert_eq!(peer.appended().await, 1);
    assert_eq!(peer.append().await, Ok(2));
}

#[tokio::test(start_paused = true)]
async fn a_run_is_a_function_of_its_seed() {
    let mut runs = Vec::new();
    for seed in [1, 1, 2] {
        let peer = attach(&faulty(seed), 1).await;
        peer.faults.delay(Duration::ZERO..100 * MS);
        peer.faults.fail_before(0.2);
        peer.faults.fail_after(0.2);
        let from = Instant::now();
        let mut run = Vec::new();
        for _ in 0..50 {
            run.push((peer.append().await.is_ok(), from.elapsed()));
        }
        peer.faults.calm();
        let failed = run.iter().filter(|(ok, _)| !ok).count() as u64;
        assert!(
            (1..40).contains(&failed) && peer.appended().await > 50 - failed,
            "some failed after, some before"
        );
        runs.push(run);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[1], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn links_of_one_backend_fail_apart() {
    let faulty = faulty(1);
    let (a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    a.faults.partition(Partition::Refuse);
    assert!(!a.beats().await && b.beats().await);
}

#[tokio::test(start_paused = true)]
async fn faults_can_be_set_before_the_link_is_there() {
    let faulty = Faulty::each(Arc::new(Memory::default()), 1, |faults| faults.delay(5 * MS..6 * MS));
    let me = Incarnation::random(&Entropy::from_seed(1));
    faulty.faults(me).partition(Partition::Refuse);
    let refused = faulty.attach(me, LEASE, inbox(1).0).await;
    assert!(matches!(refused, Err(BackendError::Unavailable(_))));
    faulty.faults(me).heal();
    let from = Instant::now();
    let peer = attach(&faulty, 1).await;
    assert!(from.elapsed() >= 4 * MS);
    assert!(peer.beats().await);
}

#[tokio::test(start_paused = true)]
async fn a_partition_refuses_at_once_or_hangs_until_a_deadline() {
    let peer = attach(&faulty(1), 1).await;
    let from = Instant::now();
    peer.faults.partition(Partition::Refuse);
    assert!(!peer.beats().await && from.elapsed().is_zero());
    peer.faults.partition(Partition::Hang(500 * MS));
    assert!(!peer.beats().await && from.elapsed() >= 500 * MS);
    peer.faults.heal();
    assert!(peer.beats().await);
}

#[tokio::test(start_paused = true)]
async fn a_partition_that_begins_under_a_call_loses_its_answer() {
    let peer = Arc::new(attach(&faulty(1), 1).await);
    peer.faults.delay(100 * MS..100 * MS);
    for (cut_at, appended) in [(20 * MS, 0), (70 * MS, 1)] {
        let call = tokio::spawn({
            let peer = peer.clone();
            async move { peer.append().await }
        });
        tokio::time::sleep(cut_at).await;
        peer.faults.partition(Partition::Refuse);
        assert!(matches!(call.await.unwrap(), Err(BackendError::Unavailable(_))));
        peer.faults.heal();
        assert_eq!(peer.appended().await, appended);
    }
}

#[tokio::test(start_paused = true)]
async fn what_arrives_during_a_partition_is_lost_and_healing_says_so() {
    let faulty = faulty(1);
    let (mut a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    a.link.subscribe(&room()).await.unwrap();
    a.faults.partition(Partition::Refuse);
    b.link.publish(hello("lost")).await.unwrap();
    tokio::time::sleep(MS).await;
    assert_eq!(a.arrivals.try_recv(), None);
    a.faults.heal();
    b.link.publish(hello("found")).await.unwrap();
    assert_eq!(a.next().await, "Some(ContinuityLost)");
    assert_eq!(a.next().await, "found");
    a.faults.heal();
    assert_eq!(a.arrivals.try_recv(), None, "healing what is whole says nothing");
}

#[tokio::test(start_paused = true)]
async fn what_was_on_its_way_when_a_partition_began_is_lost_too() {
    let faulty = faulty(1);
    let (mut a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    a.link.subscribe(&room()).await.unwrap();
    a.faults.delay_arrivals(10 * MS..20 * MS);
    b.link.publish(hello("on its way")).await.unwrap();
    tokio::time::sleep(5 * MS).await;
    a.faults.partition(Partition::Refuse);
    tokio::time::sleep(50 * MS).await;
    a.faults.heal();
    assert_eq!(a.next().await, "Some(ContinuityLost)");
    assert_eq!(a.arrivals.try_recv(), None);
}

#[tokio::test(start_paused = true)]
async fn late_arrivals_never_overtake_one_another() {
    let faulty = faulty(1);
    let (mut a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    a.link.subscribe(&room()).await.unwrap();
    a.faults.delay_arrivals(10 * MS..100 * MS);
    let from = Instant::now();
    for number in 0..50 {
        b.link.publish(hello(&number.to_string())).await.unwrap();
    }
    for number in 0..50 {
        assert_eq!(a.next().await, number.to_string());
        assert!(from.elapsed() >= 10 * MS);
    }
    assert!(from.elapsed() <= 101 * MS, "they wait at the same time, not one after the other");
}

#[tokio::test(start_paused = true)]
async fn a_crash_closes_the_inbox_fails_every_call_and_lets_the_lease_run_out() {
    let faulty = faulty(1);
    let (mut a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    let who = ConnId::random(&Entropy::from_seed(9));
    a.link.subscribe(&room()).await.unwrap();
    a.link.enter(&room(), who, None, None).await.unwrap();
    a.faults.crash();
    b.link.publish(hello("unheard")).await.unwrap();
    assert_eq!(a.arrivals.recv().await, None);
    assert!(!a.beats().await);
    a.faults.heal();
    assert!(!a.beats().await, "a crash is for good");
    tokio::time::sleep(LEASE + MS).await;
    assert_eq!(b.link.orphans(10).await.unwrap()[0].owner, a.me);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_link_lets_go_of_the_one_within() {
    let faulty = faulty(1);
    let Peer { link, mut arrivals, .. } = attach(&faulty, 1).await;
    drop(link);
    assert_eq!(arrivals.recv().await, None);
}
