//! From a frame to a handler and back. A handler that panics, hangs or is refused harms only its own call.

use std::borrow::Cow;
use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mesh_proto::limits::NAME_BYTES_MAX;
use mesh_proto::{Code, Form, error_parts, json_string, reply_parts, scan};
use serde::Deserialize;
use tokio::time::Instant;

use super::Serving;
use super::calls::{Admission, Call};
use crate::command::{Command, Reply, Then};
use crate::error::MeshError;
use crate::fault::Fault;
use crate::instance::Counters;
use crate::mesh::Route;

impl Serving {
    pub(super) fn on_command(
        self: &Arc<Self>,
        id: &str,
        command: Option<&str>,
        payload: &str,
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) {
        let (instance, form) = (&self.mesh.0.instance, self.conn.0.form);
        Counters::add(&instance.counters.commands);
        let name = command.unwrap_or_default();
        let Some(route) = self.mesh.0.commands.get(name) else {
            let error = MeshError::not_found(format!("Command \"{name}\" not found"));
            return append_reply(out, form, id, &json_string(name), &Err(error));
        };
        let limits = &instance.limits;
        // The bounds are those of a frame, which has one bracket and three members around its payload.
        let (depth_max, members_max) =
            (limits.depth_max.saturating_sub(1), limits.members_max.saturating_sub(3));
        if let Err(excess) = scan(payload, depth_max, members_max) {
            let error = MeshError::bad_payload(excess.to_string());
            return append_reply(out, form, id, &route.name_json, &Err(error));
        }
        let lane = if route.in_order { lane(payload) } else { None };
        let payload = Bytes::copy_from_slice(payload.as_bytes());
        let bytes = payload.len();
        let mut payload = Some(payload);
        let waits = || Call {
            id: id.into(),
            route: route.clone(),
            payload: payload.take().unwrap_or_default(),
            lane: lane.clone(),
        };
        match self.calls.with(|calls| calls.admit(lane.as_ref(), bytes, limits, waits)) {
            Admission::Wait => {}
            Admission::Start => self.start(id, route, payload.unwrap_or_default(), lane, out, cx),
            Admission::TooMany => {
                let error =
                    MeshError::new(Code::TooManyInFlight, "too many commands wait on this connection");
                append_reply(out, form, id, &route.name_json, &Err(error));
            }
        }
    }

    /// Most handlers are ready at once: poll them here, and give only the others a task.
    fn start(
        self: &Arc<Self>,
        id: &str,
        route: &Arc<Route>,
        payload: Bytes,
        lane: Option<Arc<str>>,
        out: &mut Vec<u8>,
        cx: &mut Context<'_>,
    ) {
        let then = route.in_order.then(Then::default);
        let begun = self.handle(route, payload, then.clone());
        let begun = begun.map(|handling| AssertUnwindSafe(handling).catch_unwind());
        let reply = match begun {
            Err(error) => Err(error),
            Ok(mut handling) => match handling.poll_unpin(cx) {
                Poll::Ready(done) => done.unwrap_or_else(|_| Err(self.panicked(route))),
                Poll::Pending => return self.go_on(id.into(), route.clone(), lane, then, handling),
            },
        };
        match then.filter(Then::is_set) {
            // What it does follows the answer, which therefore does not wait for the others of this read.
            then @ Some(_) => self.answer_and(id, &route.name_json, &reply, then),
            None => append_reply(out, self.conn.0.form, id, &route.name_json, &reply),
        }
        self.over(lane.as_ref());
    }

    /// Begin the handler; a panic before its first await is one of the handler's too.
    fn handle(
        &self,
        route: &Route,
        payload: Bytes,
        then: Option<Then>,
    ) -> Result<BoxFuture<'static, Reply>, MeshError> {
        let cmd = Command::new(self.mesh.clone(), self.conn.clone(), route.name.clone(), payload);
        let cmd = cmd.with_then(then);
        catch_unwind(AssertUnwindSafe(|| (route.run)(cmd))).map_err(|_| self.panicked(route))
    }

    fn panicked(&self, route: &Route) -> MeshError {
        Counters::add(&self.mesh.0.instance.counters.panics);
        let what = format!("the handler of {:?}", route.name);
        self.mesh.0.reports.fault(&Fault::Panicked(what.into()));
        MeshError::new(Code::Internal, "internal error")
    }

    /// In a task of its own, which runs on to its deadline even when the connection is closed.
    fn go_on<F, E>(
        self: &Arc<Self>,
        id: Box<str>,
        route: Arc<Route>,
        lane: Option<Arc<str>>,
        then: Option<Then>,
        handling: F,
    ) where
        F: Future<Output = Result<Reply, E>> + Send + 'static,
        E: Send + 'static,
    {
        let serving = self.clone();
        let instance = &self.mesh.0.instance;
        let deadline = instance.limits.command_timeout;
        instance.tasks.spawn(async move {
            let mut handling = pin!(handling);
            let watched = poll_fn(|cx| {
                let begun = Instant::now();
                let polled = handling.as_mut().poll(cx);
                serving.mesh.0.reports.watch(begun, || format!("the handler of {:?}", route.name));
                polled
            });
            let reply = match tokio::time::timeout(deadline, watched).await {
                Ok(Ok(reply)) => reply,
                Ok(Err(_)) => Err(serving.panicked(&route)),
                Err(_) => {
                    let what = format!("the handler of {:?}", route.name);
                    serving.mesh.0.reports.fault(&Fault::TimedOut(what.into(), deadline));
                    let message =
                        format!("Command \"{}\" took longer than {} s", route.name, deadline.as_secs());
                    Err(MeshError::new(Code::Timeout, message))
                }
            };
            serving.answer_and(&id, &route.name_json, &reply, then);
            serving.over(lane.as_ref());
        });
    }

    /// An answer outside of a read.
    pub(super) fn answer(&self, id: &str, name_json: &str, reply: &Reply) {
        let mut frame = Vec::new();
        append_reply(&mut frame, self.conn.0.form, id, name_json, reply);
        self.conn.0.outbox.push(&frame.into());
    }

    /// An answer, and what its handler does after it, unless it failed.
    fn answer_and(&self, id: &str, name_json: &str, reply: &Reply, then: Option<Then>) {
        self.answer(id, name_json, reply);
        if let Some(then) = then.and_then(|then| then.take())
            && reply.is_ok()
        {
            then();
        }
    }

    fn over(self: &Arc<Self>, lane: Option<&Arc<str>>) {
        if self.calls.with(|calls| calls.finish(lane)) {
            self.start_waiting();
        }
    }

    /// Start what waited and may start now.
    pub(super) fn start_waiting(self: &Arc<Self>) {
        let limits = &self.mesh.0.instance.limits;
        while let Some(Call { id, route, payload, lane }) = self.calls.with(|calls| calls.next(limits)) {
            let then = route.in_order.then(Then::default);
            match self.handle(&route, payload, then.clone()) {
                Ok(handling) => self.go_on(id, route, lane, then, AssertUnwindSafe(handling).catch_unwind()),
                Err(error) => {
                    self.answer(&id, &route.name_json, &Err(error));
                    self.calls.with(|calls| calls.finish(lane.as_ref()));
                }
            }
        }
    }
}

/// What a built-in is about: its kind and its name. A payload that names nothing fails in the handler.
fn lane(payload: &str) -> Option<Arc<str>> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct About<'a> {
        #[serde(borrow)]
        room_name: Option<Cow<'a, str>>,
        #[serde(borrow)]
        channel: Option<Cow<'a, str>>,
        #[serde(borrow)]
        record_id: Option<Cow<'a, str>>,
    }
    let about: About<'_> = serde_json::from_str(payload).ok()?;
    let (kind, name) = match (about.room_name, about.channel, about.record_id) {
        (Some(room), ..) => ('r', room),
        (_, Some(channel), _) => ('c', channel),
        (.., Some(record)) => ('v', record),
        _ => return None,
    };
    (name.len() <= NAME_BYTES_MAX).then(|| format!("{kind}{name}").into())
}

fn append_reply(out: &mut Vec<u8>, form: Form, id: &str, name_json: &str, reply: &Reply) {
    match reply {
        Ok(payload) => mesh_ws::append_text(out, &reply_parts(id, name_json, payload)),
        Err(error) => {
            let failure = form.failure(&error.code, &error.message, error.details.as_deref());
            mesh_ws::append_text(out, &error_parts(form, id, name_json, &failure));
        }
    }
}
