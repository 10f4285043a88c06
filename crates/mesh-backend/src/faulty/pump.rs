//! From the backend's inbox to the instance's, through the faults.

use std::collections::VecDeque;

use tokio::time::{Instant, sleep_until};

use super::Faults;
use crate::{Arrivals, Inbox, Received};

/// How many arrivals are held back at most; the rest waits in the inner inbox, which is bounded in bytes.
const HELD_MAX: usize = 65_536;

pub(super) async fn pump(faults: Faults, mut arrivals: Arrivals, outer: Inbox) {
    let mut held: VecDeque<(Instant, Received)> = VecDeque::new();
    let mut open = true;
    while open || !held.is_empty() {
        let due = held.front().map(|(due, _)| *due);
        tokio::select! {
            biased;
            () = sleep_until(due.unwrap_or_else(Instant::now)), if due.is_some() => {
                if let Some((_, received)) = held.pop_front() {
                    hand_on(&faults, &outer, received);
                }
            }
            received = arrivals.recv(), if open && held.len() < HELD_MAX => match received {
                None => open = false,
                Some(_) if faults.deaf() => {}
                Some(received) => {
                    let delay = faults.arrival_delay();
                    let arrives = Instant::now() + delay;
                    match held.back() {
                        None if delay.is_zero() => hand_on(&faults, &outer, received),
                        last => {
                            let due = last.map_or(arrives, |(last, _)| arrives.max(*last));
                            held.push_back((due, received));
                        }
                    }
                }
            },
        }
    }
    outer.close();
}

fn hand_on(faults: &Faults, outer: &Inbox, received: Received) {
    match received {
        _ if faults.deaf() => {}
        Received::Arrival(arrival) => outer.push(arrival),
        Received::ContinuityLost => outer.lose_continuity(),
    }
}
