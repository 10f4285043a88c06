//! From the backend's inbox to the instance's, through the faults.

use std::collections::VecDeque;

use tokio::time::{Instant, sleep_until};

use super::Faults;
use crate::{Arrival, Arrivals, Inbox, Received};

/// How many arrivals are held back at most; the rest waits in the inner inbox, which is bounded in bytes.
const HELD_MAX: usize = 65_536;

pub(super) async fn pump(faults: Faults, mut arrivals: Arrivals, outer: Inbox) {
    let mut held: VecDeque<(Instant, Held)> = VecDeque::new();
    let mut open = true;
    while open || !held.is_empty() {
        let due = held.front().map(|(due, _)| *due);
        tokio::select! {
            biased;
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some((_, one)) = held.pop_front() {
                    hand_on(&faults, &outer, one);
                }
            }
            received = arrivals.recv(), if open && held.len() < HELD_MAX => match received {
                None => open = false,
                Some(_) if faults.deaf() => {}
                Some(received) => {
                    let one = whole(received, &mut arrivals);
                    let delay = faults.arrival_delay();
                    let arrives = Instant::now() + delay;
                    match held.back() {
                        None if delay.is_zero() => hand_on(&faults, &outer, one),
                        last => {
                            let due = last.map_or(arrives, |(last, _)| arrives.max(*last));
                            held.push_back((due, one));
                        }
                    }
                }
            },
        }
    }
    outer.close();
}

/// What is held back and handed on as one.
enum Held {
    /// One arrival, or all of a transaction.
    Arrivals(Vec<Arrival>),
    ContinuityLost,
}

/// With what arrived, the rest of its transaction: that is there, as the backend handed all of it in at once. If it is not,
/// continuity was lost in between.
fn whole(received: Received, arrivals: &mut Arrivals) -> Held {
    let Received::Arrival(first) = received else { return Held::ContinuityLost };
    let rest = first.group.map_or(0, |group| group.of - group.index - 1);
    let mut parts = vec![first];
    for _ in 0..rest {
        let Some(Received::Arrival(part)) = arrivals.try_recv() else { return Held::ContinuityLost };
        parts.push(part);
    }
    Held::Arrivals(parts)
}

fn hand_on(faults: &Faults, outer: &Inbox, one: Held) {
    match one {
        _ if faults.deaf() => {}
        Held::ContinuityLost => outer.lose_continuity(),
        Held::Arrivals(parts) => match parts[0].group {
            Some(group) => outer.push_group(group.id, parts),
            None => parts.into_iter().for_each(|arrival| outer.push(arrival)),
        },
    }
}
