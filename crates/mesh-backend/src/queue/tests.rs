use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use mesh_proto::{Entropy, Incarnation, Tag};
use tokio::task::JoinSet;
use tokio::time::timeout;

use super::*;
use crate::{
    Announce, Backend, Fault, Faults, Faulty, Kind, LogRead, Memory, Op, Partition, Received, Variants, Wire,
    inbox,
};

const KEEP: Keep = Keep { count_max: 10_000, bytes_max: usize::MAX, age_max: Duration::from_secs(3600) };

struct Cell {
    key: Key,
    link: Arc<dyn Link>,
    queue: CellQueue,
    faults: Faults,
}

async fn attach(faulty: &Faulty, name: u64) -> Cell {
    let me = Incarnation::random(&Entropy::from_seed(name));
    let link = faulty.attach(me, Duration::from_secs(60), inbox(1 << 20).0).await.unwrap();
    let queue = CellQueue::new(link.clone());
    Cell { key: Key::new(Kind::Record, "cell"), link, queue, faults: faulty.faults(me) }
}

async fn cell() -> Cell {
    attach(&Faulty::new(Arc::new(Memory::from_seed(1)), 1), 1).await
}

fn entry(kept: &'static str) -> Entry {
    Entry { tag: Tag(7), kept: Bytes::from_static(kept.as_bytes()), announce: None }
}

fn number(seen: &Seen) -> u64 {
    seen.value.as_ref().map_or(0, |value| std::str::from_utf8(value).unwrap().parse().unwrap())
}

/// Add one; the caller learns what was there.
fn increment(seen: &Seen) -> (Decision, u64) {
    let before = number(seen);
    (Decision::Store((before + 1).to_string().into(), entry("+1")), before)
}

fn look(seen: &Seen) -> (Decision, u64) {
    (Decision::Keep, number(seen))
}

impl Cell {
    async fn edit(&self, edit: fn(&Seen) -> (Decision, u64)) -> Result<(Outcome, u64)> {
        self.queue.edit(self.key.clone(), KEEP, edit).await
    }

    /// Many at once, in order of being called.
    async fn increment_all(&self, count: usize) -> Vec<Result<(Outcome, u64)>> {
        let mut tasks = Vec::new();
        for _ in 0..count {
            let (queue, key) = (self.queue.clone(), self.key.clone());
            tasks.push(tokio::spawn(async move { queue.edit(key, KEEP, increment).await }));
        }
        let mut all = Vec::new();
        for task in tasks {
            all.push(task.await.unwrap());
        }
        all
    }
}

fn version(outcome: &Outcome) -> u64 {
    match outcome {
        Outcome::Kept(there) => there.as_ref().map_or(0, |there| there.position.offset),
        Outcome::Written(there) => there.position.offset,
    }
}

#[tokio::test(start_paused = true)]
async fn writers_of_one_cell_share_round_trips_and_keep_their_own_versions() {
    let cell = cell().await;
    cell.faults.delay(Duration::from_millis(1)..Duration::from_millis(2));
    for (i, settled) in cell.increment_all(300).await.into_iter().enumerate() {
        let (outcome, before) = settled.unwrap();
        assert_eq!((version(&outcome), before), (i as u64 + 1, i as u64));
    }
    // One load and three batches of at most 128.
    assert_eq!((cell.faults.calls(Op::Load), cell.faults.calls(Op::Write)), (1, 3));
    let page = cell.link.read(&cell.key, LogRead::Newest { limit: 1000 }).await.unwrap();
    assert_eq!(page.entries.len(), 300, "each has an entry of its own");
}

#[tokio::test(start_paused = true)]
async fn nothing_stays_of_a_line_that_is_empty() {
    let cell = cell().await;
    cell.increment_all(3).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    assert_eq!(cell.queue.lines(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_keeps_costs_one_load_and_no_step() {
    let cell = cell().await;
    assert_eq!(cell.edit(look).await, Ok((Outcome::Kept(None), 0)));
    cell.edit(increment).await.unwrap();
    tokio::time::sleep(Duration::from_millis(1)).await;
    cell.faults.reset_calls();
    let (outcome, seen) = cell.edit(look).await.unwrap();
    assert_eq!((version(&outcome), seen), (1, 1));
    assert_eq!((cell.faults.calls(Op::Load), cell.faults.calls(Op::Write)), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn an_edit_that_keeps_sees_what_another_instance_wrote_meanwhile() {
    let faulty = Faulty::new(Arc::new(Memory::from_seed(1)), 1);
    let (a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    // The answer to a's write takes long; b writes before it is there, and then somebody looks at a.
    a.faults.delay(Duration::from_secs(2)..Duration::from_secs(2));
    let writes = tokio::spawn({
        let (queue, key) = (a.queue.clone(), a.key.clone());
        async move { queue.edit(key, KEEP, increment).await }
    });
    tokio::time::sleep(Duration::from_millis(3500)).await;
    b.edit(increment).await.unwrap();
    assert_eq!(a.edit(look).await.unwrap().1, 2);
    writes.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_kept_edit_between_two_steps_sees_the_first() {
    let cell = cell().await;
    let (a, b, c) = tokio::join!(cell.edit(increment), cell.edit(look), cell.edit(increment));
    let (a, b, c) = (a.unwrap(), b.unwrap(), c.unwrap());
    assert_eq!((version(&a.0), version(&b.0), version(&c.0)), (1, 1, 2));
    assert_eq!((b.1, c.1), (1, 1));
    assert!(matches!(&b.0, Outcome::Kept(Some(there)) if there.position.tag == Tag(7)));
    assert_eq!(cell.faults.calls(Op::Write), 1);
}

#[tokio::test(start_paused = true)]
async fn a_removal_is_a_step_and_creating_anew_goes_on_counting() {
    let cell = cell().await;
    cell.edit(increment).await.unwrap();
    let removed = cell.edit(|seen| (Decision::Remove(entry("-")), number(seen))).await.unwrap();
    assert!(
        matches!(&removed.0, Outcome::Written(there) if there.value.is_none() && there.position.offset == 2)
    );
    let again = cell.edit(increment).await.unwrap();
    assert_eq!((version(&again.0), again.1), (3, 0));
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_an_edit_fails_that_edit_only() {
    let cell = cell().await;
    let (a, b, c) = tokio::join!(cell.edit(increment), cell.edit(|_| panic!("no")), cell.edit(increment));
    assert_eq!(version(&a.unwrap().0), 1);
    assert_eq!(b, Err(BackendError::EditPanicked("no".into())));
    assert_eq!(version(&c.unwrap().0), 2);
}

#[tokio::test(start_paused = true)]
async fn a_caller_that_stops_waiting_stops_nobody() {
    let cell = cell().await;
    cell.faults.delay(Duration::from_secs(1)..Duration::from_secs(1));
    assert!(timeout(Duration::from_millis(10), cell.edit(increment)).await.is_err());
    let (outcome, before) = cell.edit(increment).await.unwrap();
    assert_eq!((version(&outcome), before), (2, 1), "the first one's took place");
}

#[tokio::test(start_paused = true)]
async fn a_failed_write_fails_its_batch_and_the_next_one_loads_anew() {
    let cell = cell().await;
    cell.increment_all(2).await;
    cell.faults.fail_next(Op::Write, Fault::After);
    for failed in cell.increment_all(2).await {
        assert!(matches!(failed, Err(BackendError::Unavailable(_))));
    }
    // It took place all the same.
    assert_eq!(cell.edit(increment).await.unwrap().1, 4);
}

#[tokio::test(start_paused = true)]
async fn a_link_that_never_answers_makes_the_line_stand_up_to_its_bound() {
    let cell = cell().await;
    cell.faults.partition(Partition::Hang(Duration::from_secs(3600)));
    let mut waiting = JoinSet::new();
    for _ in 0..WAITING_MAX + BATCH_MAX {
        let (queue, key) = (cell.queue.clone(), cell.key.clone());
        waiting.spawn(async move { queue.edit(key, KEEP, increment).await });
        // The worker takes its first batch, then stands.
        tokio::task::yield_now().await;
    }
    let mut refused = 0;
    for _ in 0..BATCH_MAX {
        let late = timeout(Duration::from_millis(1), cell.edit(increment)).await;
        refused += usize::from(matches!(late, Ok(Err(BackendError::Unavailable(_)))));
    }
    assert!(refused > 0);
    waiting.abort_all();
}

#[tokio::test(start_paused = true)]
async fn a_batch_that_weighs_too_much_is_split_and_order_stays() {
    let cell = cell().await;
    cell.edit(look).await.unwrap();
    let mut edits = Vec::new();
    for i in 0..5_u64 {
        let (queue, key) = (cell.queue.clone(), cell.key.clone());
        edits.push(tokio::spawn(async move {
            let kept = Bytes::from(vec![b'x'; BATCH_BYTES_MAX / 2]);
            let edit = move |seen: &Seen| {
                let entry = Entry { tag: Tag(0), kept: kept.clone(), announce: None };
                (Decision::Store(i.to_string().into(), entry), seen.version)
            };
            queue.edit(key, KEEP, edit).await
        }));
    }
    for (i, edit) in edits.into_iter().enumerate() {
        assert_eq!(edit.await.unwrap().unwrap().1, i as u64);
    }
    assert_eq!(cell.faults.calls(Op::Write), 3);
}

#[tokio::test(start_paused = true)]
async fn a_burst_of_large_values_announces_every_patch_and_the_last_value_alone() {
    let memory = Memory::from_seed(1);
    let me = Incarnation::random(&Entropy::from_seed(1));
    let (inbox, mut arrivals) = inbox(1 << 24);
    let link = memory.attach(me, Duration::from_secs(60), inbox).await.unwrap();
    let key = Key::new(Kind::Record, "cell");
    link.subscribe(&key).await.unwrap();
    let queue = CellQueue::new(link);
    let mut edits = Vec::new();
    for i in 0..5_u8 {
        let (queue, key) = (queue.clone(), key.clone());
        let full = Bytes::from(vec![i; FULLS_BYTES_MAX / 2]);
        let variants = Variants {
            full: Some(Wire::Final(full.clone())),
            patch: Some(Wire::Final(i.to_string().into())),
        };
        let announce = Announce::text(key.clone(), Bytes::new());
        let announce = Announce { variants: Some(variants), ..announce };
        edits.push(tokio::spawn(async move {
            let edit = move |_: &Seen| {
                let entry = Entry { announce: Some(announce.clone()), ..entry("x") };
                (Decision::Store(full.clone(), entry), ())
            };
            queue.edit(key, KEEP, edit).await
        }));
    }
    for edit in edits {
        edit.await.unwrap().unwrap();
    }
    let mut arrived = Vec::new();
    while let Some(Received::Arrival(arrival)) = arrivals.try_recv() {
        arrived.push((arrival.full.map(|full| full[0]), arrival.patch.unwrap()));
    }
    let patches = (0..5_u8).map(|i| (None, Bytes::from(i.to_string())));
    let mut expected: Vec<_> = patches.collect();
    expected[4].0 = Some(4);
    assert_eq!(arrived, expected);
}

#[tokio::test(start_paused = true)]
async fn on_conflict_the_batch_is_decided_again_on_what_is_there() {
    let faulty = Faulty::new(Arc::new(Memory::from_seed(1)), 1);
    let (a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    a.faults.delay(Duration::from_secs(2)..Duration::from_secs(2));
    let runs = Arc::new(AtomicUsize::new(0));
    let slow = tokio::spawn({
        let (queue, key, runs) = (a.queue.clone(), a.key.clone(), runs.clone());
        async move {
            queue
                .edit(key, KEEP, move |seen: &Seen| (increment(seen).0, runs.fetch_add(1, Ordering::Relaxed)))
                .await
        }
    });
    // Between a's load and a's write.
    tokio::time::sleep(Duration::from_millis(2500)).await;
    b.edit(increment).await.unwrap();
    let (outcome, run) = slow.await.unwrap().unwrap();
    assert_eq!((version(&outcome), run), (2, 1), "what the caller gets is of the run that counts");
    assert_eq!(runs.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn a_cell_that_others_always_write_first_is_given_up_after_a_bounded_number_of_attempts() {
    let faulty = Faulty::new(Arc::new(Memory::from_seed(1)), 1);
    let (a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    a.faults.delay(Duration::from_secs(2)..Duration::from_secs(2));
    let busy = tokio::spawn(async move {
        loop {
            b.edit(increment).await.unwrap();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    });
    assert!(matches!(a.edit(increment).await, Err(BackendError::Unavailable(_))));
    assert_eq!(a.faults.calls(Op::Write), ATTEMPTS_MAX as u64);
    busy.abort();
}

#[tokio::test(start_paused = true)]
async fn a_fenced_link_fails_everybody_in_line() {
    let faulty = Faulty::new(Arc::new(Memory::from_seed(1)), 1);
    let (a, b) = (attach(&faulty, 1).await, attach(&faulty, 2).await);
    tokio::time::sleep(Duration::from_secs(61)).await;
    b.link.orphans(1).await.unwrap();
    for failed in a.increment_all(3).await {
        assert_eq!(failed, Err(BackendError::Fenced));
    }
}

#[tokio::test(start_paused = true)]
async fn a_worker_that_dies_takes_its_line_along_and_the_next_edit_begins_a_new_one() {
    let cell = cell().await;
    cell.faults.delay(Duration::from_secs(1)..Duration::from_secs(1));
    // The runtime that the worker lives in ends while somebody outside waits.
    let (queue, key) = (cell.queue.clone(), cell.key.clone());
    let waiting = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let mut waiting = Box::pin(queue.edit(key, KEEP, increment));
        runtime.block_on(async {
            assert!(timeout(Duration::from_millis(10), &mut waiting).await.is_err());
        });
        drop(runtime);
        futures_util::FutureExt::now_or_never(waiting)
    });
    let settled = waiting.join().unwrap();
    assert!(matches!(settled, Some(Err(BackendError::Unavailable(_)))));
    assert_eq!(cell.queue.lines(), 0);
    cell.edit(increment).await.unwrap();
}
