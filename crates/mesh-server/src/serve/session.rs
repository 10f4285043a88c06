//! One connection's protocol, with no IO and no clock of its own: frames and instants in, steps out.

use std::borrow::Cow;
use std::time::Duration;

use mesh_proto::{CloseCode, Limits, Request, command, parse};
use tokio::time::Instant;

#[derive(Debug)]
pub(crate) struct Session {
    /// A hello client that has not said hello yet, and until when it may.
    hello_due: Option<Instant>,
    /// Anything came since the last ping.
    heard: bool,
    missed_pongs: u32,
    next_ping: Instant,
    next_latency: Instant,
    latency_asked: Option<Instant>,
    latency_ms: u32,
    bad_frames: u32,
    bad_frames_since: Instant,
}

/// What a frame asks for.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Step<'a> {
    /// Run this command. `None` is a command that cannot be named.
    Run {
        id: &'a str,
        command: Option<Cow<'a, str>>,
        payload: &'a str,
    },
    /// The first frame of a hello client.
    Hello {
        id: &'a str,
        payload: &'a str,
    },
    /// A round trip took so long.
    Latency(u32),
    /// Nothing to do.
    Nothing,
    /// Ignored, and counted.
    Bad,
    Close(CloseCode),
}

/// What is due.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Due {
    pub(crate) ping: bool,
    /// Tell the last round trip, and measure another.
    pub(crate) latency: Option<u32>,
    pub(crate) close: Option<CloseCode>,
}

/// The command, if a frame of a greeted client is one and nothing that its session needs to know of: most are.
pub(crate) fn plain_command(text: &str) -> Option<(&str, Option<Cow<'_, str>>, &str)> {
    let Request { id, command, payload } = parse(text).ok()?;
    let answers = matches!(command.as_deref(), Some(command::PONG | command::LATENCY_RESPONSE));
    id.filter(|_| !answers).map(|id| (id, command, payload))
}

impl Session {
    pub(crate) fn new(now: Instant, hello: bool, limits: &Limits) -> Self {
        Self {
            hello_due: hello.then(|| now + limits.hello_timeout),
            heard: false,
            missed_pongs: 0,
            next_ping: now + limits.ping_interval,
            next_latency: now + limits.latency_interval,
            latency_asked: None,
            latency_ms: 0,
            bad_frames: 0,
            bad_frames_since: now,
        }
    }

    pub(crate) fn awaits_hello(&self) -> bool {
        self.hello_due.is_some()
    }

    /// Bytes came: the peer lives.
    pub(crate) fn on_bytes(&mut self) {
        self.heard = true;
    }

    pub(crate) fn on_text<'a>(
        &mut self,
        text: &'a str,
        now: impl Fn() -> Instant,
        limits: &Limits,
    ) -> Step<'a> {
        let Ok(Request { id, command, payload }) = parse(text) else { return self.bad(now(), limits) };
        if self.hello_due.is_some() {
            return match (id, command.as_deref()) {
                (Some(id), Some(command::HELLO)) => {
                    self.hello_due = None;
                    Step::Hello { id, payload }
                }
                _ => Step::Close(CloseCode::HelloExpected),
            };
        }
        match command.as_deref() {
            Some(command::PONG) => return Step::Nothing,
            Some(command::LATENCY_RESPONSE) => {
                let Some(asked) = self.latency_asked.take() else { return Step::Nothing };
                self.latency_ms = u32::try_from((now() - asked).as_millis()).unwrap_or(u32::MAX);
                return Step::Latency(self.latency_ms);
            }
            _ => {}
        }
        match id {
            Some(id) => Step::Run { id, command, payload },
            None => self.bad(now(), limits),
        }
    }

    fn bad(&mut self, now: Instant, limits: &Limits) -> Step<'static> {
        if now - self.bad_frames_since > limits.bad_frames_window {
            (self.bad_frames, self.bad_frames_since) = (0, now);
        }
        self.bad_frames += 1;
        if self.bad_frames > limits.bad_frames_max { Step::Close(CloseCode::BadFrames) } else { Step::Bad }
    }

    pub(crate) fn on_time(&mut self, now: Instant, limits: &Limits) -> Due {
        let mut due = Due::default();
        if self.hello_due.is_some_and(|until| now >= until) {
            due.close = Some(CloseCode::HelloExpected);
            return due;
        }
        // Nobody is pinged before hello, but the rhythm goes on: it is what the next look is planned by.
        let greeted = self.hello_due.is_none();
        if now >= self.next_ping && !greeted {
            self.next_ping = later(self.next_ping, limits.ping_interval, now);
        }
        if now >= self.next_latency && !greeted {
            self.next_latency = later(self.next_latency, limits.latency_interval, now);
        }
        let owes_pong = self.missed_pongs > 0 && !self.heard;
        if now >= self.next_ping {
            self.next_ping = later(self.next_ping, limits.ping_interval, now);
            if std::mem::take(&mut self.heard) {
                self.missed_pongs = 0;
            }
            if self.missed_pongs > limits.max_missed_pongs {
                due.close = Some(CloseCode::Silent);
                return due;
            }
            self.missed_pongs += 1;
            due.ping = true;
        }
        if now >= self.next_latency {
            self.next_latency = later(self.next_latency, limits.latency_interval, now);
            // A peer that owes a pong is not asked for more.
            if !owes_pong {
                due.latency = Some(self.latency_ms);
                self.latency_asked = Some(now);
            }
        }
        due
    }

    /// When [`on_time`](Self::on_time) has something to say next.
    pub(crate) fn next(&self) -> Instant {
        let beat = self.next_ping.min(self.next_latency);
        self.hello_due.map_or(beat, |until| until.min(beat))
    }
}

/// The next beat of a rhythm; beats that were slept through are left out.
fn later(last: Instant, interval: Duration, now: Instant) -> Instant {
    let next = last + interval;
    if next > now { next } else { now + interval }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session() -> (Session, Instant, Limits) {
        let (now, limits) = (Instant::now(), Limits::default());
        (Session::new(now, false, &limits), now, limits)
    }

    fn pings(session: &mut Session, at: Instant, limits: &Limits) -> Due {
        Due { latency: None, ..session.on_time(at, limits) }
    }

    #[test]
    fn a_silent_peer_is_pinged_twice_and_closed_on_the_third_interval() {
        let (mut session, start, limits) = session();
        let every = limits.ping_interval;
        assert!(pings(&mut session, start + every, &limits).ping);
        assert!(pings(&mut session, start + every * 2, &limits).ping);
        assert_eq!(pings(&mut session, start + every * 3, &limits).close, Some(CloseCode::Silent));
    }

    #[test]
    fn any_bytes_are_a_sign_of_life() {
        let (mut session, start, limits) = session();
        for n in 1..20 {
            assert_eq!(pings(&mut session, start + limits.ping_interval * n, &limits).close, None);
            session.on_bytes();
        }
    }

    #[test]
    fn a_hundred_bad_frames_are_forgiven_and_forgotten() {
        let (mut session, start, limits) = session();
        for _ in 0..100 {
            assert_eq!(session.on_text("null", || start, &limits), Step::Bad);
        }
        let later = start + limits.bad_frames_window + Duration::from_millis(1);
        assert_eq!(session.on_text("null", || later, &limits), Step::Bad);
        for _ in 0..99 {
            session.on_text("{}", || later, &limits);
        }
        assert_eq!(session.on_text("[]", || later, &limits), Step::Close(CloseCode::BadFrames));
    }

    #[test]
    fn latency_is_told_at_the_next_measurement_and_first_as_0() {
        let (mut session, start, limits) = session();
        let every = limits.latency_interval;
        assert_eq!(session.on_time(start + every, &limits).latency, Some(0));
        let answered = start + every + Duration::from_millis(12);
        let answer = session.on_text(r#"{"command":"latency:response"}"#, || answered, &limits);
        assert_eq!(answer, Step::Latency(12));
        session.on_bytes();
        assert_eq!(session.on_time(start + every * 2, &limits).latency, Some(12));
    }
}
