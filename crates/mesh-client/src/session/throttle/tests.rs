use std::collections::BTreeMap;

use mesh_proto::Entropy;
use tokio::time::advance;

use super::*;
use crate::session::write::Content;

const SUBJECTS: u64 = 4;
const BYTES_MAX: usize = 400;
const MESSAGE_BYTES_MAX: usize = 200;

/// What is known of one subject.
#[derive(Default)]
struct Known {
    /// The newest that was taken, if it has neither left nor was given up.
    newest: Option<String>,
    /// When the next may leave.
    free_at: Option<Instant>,
}

struct World {
    throttle: Throttle,
    entropy: Entropy,
    known: BTreeMap<Subject, Known>,
    is_open: bool,
    offers: u64,
    left: u64,
    gave_way: u64,
}

impl World {
    fn new(seed: u64) -> Self {
        Self {
            throttle: Throttle::new(BYTES_MAX),
            entropy: Entropy::from_seed(seed),
            known: BTreeMap::new(),
            is_open: true,
            offers: 0,
            left: 0,
            gave_way: 0,
        }
    }

    fn below(&self, n: u64) -> u64 {
        self.entropy.u64() % n
    }

    fn offer(&mut self, now: Instant) {
        self.offers += 1;
        let body = format!("\"{}{}\"", self.offers, "x".repeat(self.below(220) as usize));
        let write = Write::command(&format!("c{}", self.below(SUBJECTS)), Some(body.clone()));
        let subject = write.subject.clone();
        let offer = Offer {
            write,
            is_volatile: self.below(4) == 0,
            interval: Duration::from_millis([0, 1, 50, 1000][self.below(4) as usize]),
            timeout: (self.below(2) == 0).then(|| Duration::from_millis(self.below(2000))),
            mark: String::new(),
        };
        let Ok((_, older)) = self.throttle.offer(offer, MESSAGE_BYTES_MAX, now) else { return };
        assert!(older.is_none(), "a command says all that an older one said");
        let known = self.known.entry(subject).or_default();
        self.gave_way += u64::from(known.newest.replace(body).is_some());
    }

    fn leave(&mut self, now: Instant) {
        while let Some(waiting) = self.throttle.next(now, |_| self.is_open) {
            let known = self.known.get_mut(&waiting.write.subject).expect("it was offered");
            assert!(known.free_at.is_none_or(|free_at| free_at <= now), "too early");
            assert_eq!(known.newest.take(), waiting.body, "the newest");
            known.free_at = Some(now + waiting.interval);
            self.left += 1;
        }
    }

    fn is_given_up(&mut self, all: Vec<Waiting>) {
        for waiting in all {
            let known = self.known.get_mut(&waiting.write.subject).expect("it was offered");
            assert_eq!(known.newest.take(), waiting.body);
        }
    }

    fn check(&self, now: Instant) {
        let throttle = &self.throttle;
        let mut bytes = 0;
        for (subject, slot) in &throttle.slots {
            bytes += slot.waiting.as_ref().map_or(0, |waiting| waiting.bytes);
            assert_eq!(
                throttle.ready.iter().filter(|ready| *ready == subject).count(),
                usize::from(slot.is_ready)
            );
            assert_eq!(
                slot.due_at.is_some_and(|at| throttle.dues.contains(&(at, subject.clone()))),
                slot.due_at.is_some()
            );
            assert!(slot.is_ready || slot.due_at.is_some(), "it is never forgotten");
            assert!(slot.due_at.is_none_or(|at| at > now), "it was looked after");
            assert!(!slot.is_ready || slot.waiting.is_some());
        }
        assert_eq!(throttle.bytes, bytes);
        assert!(bytes <= BYTES_MAX);
        assert_eq!(throttle.dues.len(), throttle.slots.values().filter(|slot| slot.due_at.is_some()).count());
        let waiting = throttle.slots.values().filter(|slot| slot.waiting.is_some()).count();
        assert_eq!(waiting, self.known.values().filter(|known| known.newest.is_some()).count());
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_the_newest_leaves_in_its_time_and_nothing_stays_behind() {
    let (mut left, mut gave_way) = (0, 0);
    for seed in 0..300 {
        let mut world = World::new(seed);
        for _ in 0..200 {
            match world.below(10) {
                0 => world.is_open ^= true,
                1 => {
                    let dropped = world.throttle.take_volatile();
                    assert!(dropped.iter().all(|waiting| waiting.is_volatile));
                    world.is_given_up(dropped);
                }
                2..5 => advance(Duration::from_millis(world.below(300))).await,
                _ => world.offer(Instant::now()),
            }
            let now = Instant::now();
            let late = world.throttle.time(now);
            world.is_given_up(late);
            world.leave(now);
            world.check(now);
        }
        world.is_open = true;
        for _ in 0..2 {
            let now = Instant::now();
            let late = world.throttle.time(now);
            world.is_given_up(late);
            world.leave(now);
            advance(Duration::from_secs(10)).await;
        }
        let late = world.throttle.time(Instant::now());
        assert!(late.is_empty());
        let throttle = &world.throttle;
        assert!(throttle.slots.is_empty() && throttle.ready.is_empty() && throttle.dues.is_empty());
        assert_eq!((throttle.bytes, throttle.due_at()), (0, None));
        (left, gave_way) = (left + world.left, gave_way + world.gave_way);
    }
    assert!(left > 5000 && gave_way > 1000, "{left} left, {gave_way} gave way");
}

#[tokio::test(start_paused = true)]
async fn a_write_that_stands_for_one_that_is_kept_is_kept() {
    let now = Instant::now();
    let mut throttle = Throttle::new(BYTES_MAX);
    let offer = |is_volatile| Offer {
        write: Write { content: Content::Payload(None), ..Write::command("c", None) },
        is_volatile,
        interval: Duration::from_secs(1),
        timeout: None,
        mark: String::new(),
    };
    for is_volatile in [true, false, true] {
        throttle.offer(offer(is_volatile), MESSAGE_BYTES_MAX, now).expect("room");
    }
    assert!(throttle.take_volatile().is_empty());
    assert!(throttle.next(now, |_| true).is_some());
}
