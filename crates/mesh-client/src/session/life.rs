//! Beginning, losing and ending a connection.

use mesh_proto::{Class, CloseCode, Code};
use serde_json::json;
use tokio::time::Instant;

use super::attempts::Next;
use super::{Action, CREDENTIAL_TIMEOUT, Phase, Session};
use crate::Reason;
use crate::error::ClientError;

impl Session {
    pub(super) fn attempt(&mut self, reason: Reason, now: Instant) {
        self.generation += 1;
        self.enter(Phase::Credential, Some(now + CREDENTIAL_TIMEOUT));
        self.actions.push_back(Action::Credential(self.generation, reason));
    }

    pub(super) fn online(&mut self, now: Instant) {
        self.was_online = true;
        self.online_at = now;
        self.reason = None;
        self.enter(Phase::Online, None);
        for waiter in self.connecting.drain(..) {
            let _ = waiter.send(Ok(()));
        }
        self.pump(now);
    }

    /// We give the connection up.
    pub(super) fn drop_socket(&mut self, why: &str, is_dead: bool, now: Instant) {
        let (code, _) = CloseCode::Silent.on_the_wire();
        self.hangup(code, is_dead);
        self.lost(Class::Retry, ClientError::unreachable(why), now);
    }

    pub(super) fn lost(&mut self, class: Class, error: ClientError, now: Instant) {
        let online = (self.phase == Phase::Online).then(|| now - self.online_at);
        self.disconnected();
        match self.attempts.lost(class, online, now) {
            Next::Stop => self.stop(error),
            Next::At(at, Reason::Expired) if at == now => self.attempt(Reason::Expired, now),
            Next::At(at, reason) => {
                self.reason = Some(error.clone());
                self.next_reason = reason;
                self.enter(Phase::Wait, Some(at));
                for waiter in self.connecting.drain(..) {
                    let _ = waiter.send(Err(error.clone()));
                }
            }
        }
    }

    /// What depended on the connection has ended.
    pub(super) fn disconnected(&mut self) {
        self.connection_id = None;
        self.latency = None;
        self.credential = None;
        self.unsent = 0;
        self.liveness.reset();
        self.wants.reset();
        self.channels.topics.disconnected();
        self.records.topics.disconnected();
        for call in self.calls.reset() {
            self.fail(call, ClientError::broken());
        }
        for waiting in self.throttle.take_volatile() {
            waiting.fail(ClientError::dropped());
        }
    }

    /// No more attempts.
    pub(super) fn stop(&mut self, error: ClientError) {
        self.disconnected();
        self.reason = Some(error.clone());
        self.enter(Phase::Stopped, None);
        for call in self.calls.drain() {
            self.fail(call, error.clone());
        }
        for waiting in self.throttle.drain() {
            waiting.fail(error.clone());
        }
        self.channels.topics.stop(&error);
        self.records.topics.stop(&error);
        self.pushes.stop(&error);
        for waiter in self.connecting.drain(..) {
            let _ = waiter.send(Err(error.clone()));
        }
    }

    pub(super) fn hangup(&mut self, code: u16, is_dead: bool) {
        if self.phase == Phase::Dial || self.is_open() {
            self.actions.push_back(Action::Hangup { generation: self.generation, code, is_dead });
        }
    }
}

/// The error by which an application learns of a close.
pub(super) fn close_error(code: u16, reason: &str) -> ClientError {
    let details = json!({ "code": code, "reason": reason });
    if CloseCode::class_of(code) == Class::Retry {
        let why = if reason.is_empty() { "the connection broke" } else { reason };
        return ClientError::unreachable(why).with_details(details);
    }
    let name = match code {
        1000 => "closed_by_server".to_owned(),
        1002 => "protocol_violation".to_owned(),
        1007 => "not_utf8".to_owned(),
        1009 => Code::TooLarge.as_str().to_owned(),
        _ => {
            let known =
                CloseCode::ALL.into_iter().map(CloseCode::on_the_wire).find(|(known, _)| *known == code);
            match known {
                Some((_, name)) => name.to_owned(),
                None if reason.is_empty() => format!("close_{code}"),
                None => reason.to_owned(),
            }
        }
    };
    let message = format!("the server closed the connection: {name}");
    ClientError::give_up(Code::from_wire(name), message).with_details(details)
}
