//! Channels and records that a connection is subscribed to.

use std::time::Duration;

use mesh_backend::Key;
use mesh_proto::{Code, Form, Position};

use crate::command::Command;
use crate::conn::Conn;
use crate::error::{MeshError, Result};
use crate::hub::{Opening, Wants};

/// Updates a second that may be asked for.
const RATE: std::ops::RangeInclusive<f64> = 0.01..=1000.0;
/// How long what comes after an answer is kept from an origin client: its library begins to listen a moment after it has
/// read the answer, and loses what arrives in one read with it (50 of 50, measured).
const ORIGIN_HOLD: Duration = Duration::from_millis(20);

/// A subscription of a connection on its way. Dropped before it is live, it is taken back.
#[must_use]
pub(crate) struct Subscribing {
    conn: Conn,
    key: Key,
    number: u32,
    opening: Option<Opening>,
}

impl Drop for Subscribing {
    fn drop(&mut self) {
        if self.opening.take().is_some() {
            self.conn.0.subscriptions.with(|subscriptions| subscriptions.forget(&self.key, self.number));
        }
    }
}

/// The time between two updates at a rate.
pub(crate) fn every(max_rate: Option<f64>) -> Result<Option<Duration>> {
    match max_rate {
        Some(rate) if RATE.contains(&rate) => Ok(Some(Duration::from_secs_f64(1.0 / rate))),
        Some(_) => Err(MeshError::bad_payload("maxRate is from 0.01 to 1000 a second")),
        None => Ok(None),
    }
}

/// Subscribe a command's connection, if it is `allowed`. What it had of the same name is replaced.
pub(crate) async fn open<F: Future<Output = Result<()>>>(
    cmd: &Command,
    key: Key,
    wants: Wants,
    allowed: impl Fn() -> F,
) -> Result<Subscribing> {
    let (instance, conn) = (&cmd.mesh.0.instance, &cmd.conn);
    let max = instance.limits.subscriptions_max;
    let number = loop {
        let rechecks = conn.0.subscriptions.with(|subscriptions| subscriptions.rechecks);
        allowed().await?;
        let entered = conn.0.subscriptions.with(|subscriptions| {
            if subscriptions.closed {
                return Err(MeshError::gone());
            }
            if subscriptions.rechecks != rechecks {
                return Ok(None);
            }
            if subscriptions.numbers.len() >= max && !subscriptions.numbers.contains_key(&key) {
                let message = format!("a connection has at most {max} subscriptions");
                return Err(MeshError::new(Code::TooLarge, message));
            }
            subscriptions.number = subscriptions.number.wrapping_add(1);
            subscriptions.numbers.insert(key.clone(), subscriptions.number);
            Ok(Some(subscriptions.number))
        });
        if let Some(number) = entered? {
            break number;
        }
    };
    let opening = instance.hub.open(&key, &conn.0.outbox, wants).await;
    // It may have been closed meanwhile, or ended, when there was nothing to take away yet.
    let (is_wanted, closed) = conn.0.subscriptions.with(|subscriptions| {
        if opening.is_err() {
            subscriptions.forget(&key, number);
        }
        (subscriptions.numbers.get(&key) == Some(&number), subscriptions.closed)
    });
    let opening = opening?;
    if !is_wanted {
        return Err(if closed { MeshError::gone() } else { MeshError::forbidden("refused by a guard") });
    }
    Ok(Subscribing { conn: conn.clone(), key, number, opening: Some(opening) })
}

/// Once the answer to the command is on its way, what comes follows it.
pub(crate) fn go_live(cmd: &mut Command, mut subscribing: Subscribing, snapshot: Option<Position>) {
    let (form, tasks) = (cmd.conn.0.form, cmd.mesh.0.instance.tasks.clone());
    let mut live = move || {
        if let Some(opening) = subscribing.opening.take() {
            opening.go_live(snapshot);
        }
    };
    cmd.then(move || match form {
        Form::Hello => live(),
        Form::Origin => {
            tasks.spawn(async move {
                tokio::time::sleep(ORIGIN_HOLD).await;
                live();
            });
        }
    });
}

/// End a subscription. Whether there was one.
pub(crate) fn close(cmd: &Command, key: &Key) -> bool {
    cmd.conn.0.subscriptions.with(|subscriptions| subscriptions.numbers.remove(key));
    cmd.mesh.0.instance.hub.unlisten(key, cmd.conn.id())
}

/// End all of a connection that is closed.
pub(crate) fn close_all(conn: &Conn) {
    let keys = conn.0.subscriptions.with(|subscriptions| {
        subscriptions.closed = true;
        std::mem::take(&mut subscriptions.numbers)
    });
    for key in keys.into_keys() {
        conn.0.instance.hub.unlisten(&key, conn.id());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rate_is_a_time_between_two() {
        assert_eq!(every(Some(10.0)).expect("a rate"), Some(Duration::from_millis(100)));
        assert_eq!(every(None).expect("no rate"), None);
        for bad in [0.0, -1.0, f64::NAN, f64::INFINITY, 1000.1] {
            assert!(every(Some(bad)).is_err(), "{bad}");
        }
    }
}
