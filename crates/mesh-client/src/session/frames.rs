//! What comes in, and what goes out.

use std::time::Duration;

use mesh_proto::{Class, command};
use serde_json::value::RawValue;
use tokio::time::Instant;

use super::calls::{Call, Calls, Kind, ServerLimits};
use super::wants::Want;
use super::{Action, Phase, Session};
use crate::error::{ClientError, Result};
use crate::wire::{self, Frame, Welcome};

/// How long joining again, and subscribing, may take.
const OWN_TIMEOUT: Duration = Duration::from_secs(10);

impl Session {
    /// A frame came.
    pub(crate) fn frame(&mut self, generation: u64, text: &str, now: Instant) {
        if generation != self.generation || !self.is_open() {
            return;
        }
        self.liveness.heard(now);
        let Some(frame) = wire::parse(text) else { return };
        match frame.id {
            None => self.push(&frame),
            Some(id) => {
                let call = id.get().parse().ok().and_then(|id| self.calls.answered(id));
                if let Some(call) = call {
                    let answer = match frame.error {
                        Some(error) => Err(ClientError::from_wire(error)),
                        None => Ok(frame.payload()),
                    };
                    self.answer(call, answer, now);
                }
            }
        }
        self.pump(now);
    }

    fn answer(&mut self, call: Call, answer: Result<&RawValue>, now: Instant) {
        match call.kind {
            Kind::Hello => self.welcomed(answer, now),
            Kind::Rejoin(name) => self.rejoined(&name, answer.map(drop), now),
            Kind::Want(want) => self.want_answered(&want, answer, now),
            Kind::Ended => {}
            Kind::Write(tell) => _ = tell.send_replace(Some(answer.map(ToOwned::to_owned))),
            Kind::User { reply, join, .. } => {
                if let Some(join) = join {
                    self.rooms.joined(&join, answer.is_ok());
                }
                let _ = reply.send(answer.map(ToOwned::to_owned));
            }
        }
    }

    fn welcomed(&mut self, answer: Result<&RawValue>, now: Instant) {
        let payload = match answer {
            Ok(payload) => payload,
            Err(error) => {
                self.hangup(1000, false);
                return self.lost(error.class(), error, now);
            }
        };
        let welcome: Welcome = serde_json::from_str(payload.get()).unwrap_or_default();
        let usual = ServerLimits::default();
        self.connection_id = welcome.connection_id.and_then(|id| id.parse().ok());
        self.server = ServerLimits {
            message_bytes: welcome.limits.message_bytes.unwrap_or(usual.message_bytes).max(1),
            in_flight: welcome.limits.in_flight.unwrap_or(usual.in_flight).max(1),
            waiting: welcome.limits.waiting.unwrap_or(usual.waiting),
        };
        if let Some(interval) = welcome.ping_interval {
            self.liveness.pinged_every(Duration::from_millis(interval));
        }
        self.enter(Phase::Restore, None);
        self.rooms.restore();
        self.channels.topics.connected();
        self.records.topics.connected();
        self.restore(now);
    }

    /// Join the rooms again, a few at a time, and be online after the last answer.
    fn restore(&mut self, now: Instant) {
        while let Some(name) = self.rooms.next() {
            self.rejoin(name, now);
        }
        if self.phase == Phase::Restore && self.rooms.is_restored() {
            self.online(now);
        }
    }

    pub(super) fn rejoin(&mut self, name: String, now: Instant) {
        let body = wire::json(&serde_json::json!({ "roomName": name }));
        let call = Call::own(Kind::Rejoin(name), command::JOIN_ROOM, Some(body));
        self.send(call.until(now, OWN_TIMEOUT));
    }

    fn rejoined(&mut self, name: &str, answer: Result<()>, now: Instant) {
        match answer {
            Ok(()) => {}
            Err(error) if error.retryable() => self.rooms.retry(name, self.attempts.again(now)),
            Err(_) => self.rooms.leave(name),
        }
        if self.phase == Phase::Restore {
            self.rooms.restored();
            self.restore(now);
        }
    }

    fn want_answered(&mut self, want: &Want, answer: Result<&RawValue>, now: Instant) {
        self.wants.done();
        let again = self.attempts.again(now);
        match want {
            Want::Channel(name, number) => self.channels.answered(name, *number, answer, again),
            Want::Record(name, number) => self.records.answered(name, *number, answer, again),
            Want::LeaveChannel(_) | Want::LeaveRecord(_) => {}
        }
    }

    /// The time of a call is up.
    pub(super) fn expired(&mut self, call: Call, was_sent: bool, now: Instant) {
        let error = ClientError::timeout(was_sent);
        match call.kind {
            Kind::User { .. } => self.fail(call, error),
            _ => self.answer(call, Err(error), now),
        }
    }

    /// A call of the application ends without an answer. Those of the session end with the connection.
    pub(super) fn fail(&mut self, call: Call, error: ClientError) {
        match call.kind {
            Kind::User { reply, join, .. } => {
                if let Some(join) = join {
                    self.rooms.joined(&join, false);
                }
                let _ = reply.send(Err(error));
            }
            Kind::Write(tell) => _ = tell.send_replace(Some(Err(error))),
            _ => {}
        }
    }

    fn push(&mut self, frame: &Frame<'_>) {
        let payload = frame.payload().get();
        match &*frame.command {
            command::PING => self.say(wire::PONG),
            command::LATENCY_REQUEST => self.say(wire::LATENCY),
            // The first one says 0, before anything was measured.
            command::LATENCY => {
                let ms = payload.parse().ok().filter(|ms| *ms > 0.0 || self.latency.is_some());
                self.latency =
                    ms.and_then(|ms: f64| Duration::try_from_secs_f64(ms / 1000.0).ok()).or(self.latency);
            }
            command::SUBSCRIPTION_MESSAGE => self.channels.message(payload),
            command::CHANNEL_GAP => self.channels.gap(payload),
            command::RECORD_UPDATE => self.records.update(payload),
            command::RECORD_UPDATES => self.records.updates(payload),
            command::SUBSCRIPTION_ENDED => self.subscription_ended(frame.payload()),
            command if mesh_proto::CommandName::new(command).is_ok() => self.pushes.push(command, payload),
            _ => {}
        }
    }

    /// `mesh/subscription-ended`: a refusal that comes later.
    fn subscription_ended(&mut self, payload: &RawValue) {
        let Ok(ended) = serde_json::from_str::<wire::Ended<'_>>(payload.get()) else { return };
        let error = ClientError::from_wire(payload);
        if let Some(name) = ended.channel {
            self.channels.topics.ended(&name, &error);
        }
        if let Some(name) = ended.record_id {
            self.records.topics.ended(&name, &error);
        }
    }

    fn say(&mut self, text: &str) {
        self.put(text.to_owned());
    }

    pub(super) fn send(&mut self, call: Call) {
        let text = self.calls.send(call);
        self.put(text);
    }

    fn put(&mut self, text: String) {
        self.unsent += text.len();
        self.actions.push_back(Action::Send(self.generation, text));
    }

    /// Send what waits, as far as the server takes it.
    pub(crate) fn pump(&mut self, now: Instant) {
        self.wants.extend(self.channels.topics.take_wants());
        self.wants.extend(self.records.topics.take_wants());
        if !matches!(self.phase, Phase::Restore | Phase::Online) {
            return;
        }
        while let Some(want) = self.wants.next() {
            match self.ask(&want) {
                Some((command, body)) => {
                    let call = Call::own(Kind::Want(want), command, Some(body));
                    self.send(call.until(now, OWN_TIMEOUT));
                }
                None => self.wants.done(),
            }
        }
        if self.phase == Phase::Online {
            while let Some(call) = self.calls.next(&self.server) {
                if Calls::is_too_large(&call, &self.server) {
                    self.fail(call, ClientError::too_large(self.server.message_bytes));
                } else {
                    self.send(call);
                }
            }
            self.leave_all(now);
        }
    }

    /// What to say for that want; `None` if it is no longer wanted.
    fn ask(&mut self, want: &Want) -> Option<(&'static str, String)> {
        let leave = |member: &str, id: &str| wire::json(&serde_json::json!({ member: id }));
        match want {
            Want::Channel(id, number) => Some((command::SUBSCRIBE_CHANNEL, self.channels.ask(id, *number)?)),
            Want::Record(id, number) => Some((command::SUBSCRIBE_RECORD, self.records.ask(id, *number)?)),
            Want::LeaveChannel(id) => Some((command::UNSUBSCRIBE_CHANNEL, leave("channel", id))),
            Want::LeaveRecord(id) => Some((command::UNSUBSCRIBE_RECORD, leave("recordId", id))),
        }
    }
}

/// Whether trying again later may help a subscription.
pub(super) fn is_passing(error: &ClientError) -> bool {
    error.class() == Class::Retry
}
