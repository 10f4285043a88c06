//! What a server is made of, said once, before it runs.

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use mesh_backend::{Backend, Memory};
use mesh_proto::{CommandName, Entropy, Limits, command, json_string};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::ask::Asked;
use crate::command::{Check, Command, Guard, Handler, Hook, Middleware, Next, Reply, Run, Told};
use crate::error::{MeshError, Result};
use crate::fault::{ClientFault, Fault, Reports};
use crate::hub::{Flushers, Hub};
use crate::instance::{Counters, Instance, instance_topic};
use crate::life::Lives;
use crate::login::{Login, Origins};
use crate::mesh::{Authenticate, Commands, Inner, Mesh, Route};
use crate::pattern::{Pattern, Policies};
use crate::policy::{Channel, ChannelPolicy, Record, RecordPolicy, Room, RoomPolicy};
use crate::schedule::Schedule;
use crate::{channel, lease, metadata, record, resync, room, serve};

/// Built-ins that name something, and must not overtake one another about it.
const IN_ORDER: [&str; 14] = [
    command::JOIN_ROOM,
    command::LEAVE_ROOM,
    command::GET_ROOM_METADATA,
    command::SUBSCRIBE_CHANNEL,
    command::UNSUBSCRIBE_CHANNEL,
    command::PUBLISH_CHANNEL,
    command::GET_CHANNEL_HISTORY,
    command::SUBSCRIBE_RECORD,
    command::UNSUBSCRIBE_RECORD,
    command::GET_RECORD,
    command::PUBLISH_RECORD_UPDATE,
    command::PATCH_RECORD,
    command::INCREMENT_RECORD,
    command::DELETE_RECORD,
];

type Layer = Arc<dyn Fn(Command, Next) -> BoxFuture<'static, Reply> + Send + Sync>;

/// Says what a server does, then [builds](Self::build) it. `S` is the type of the application's state.
#[must_use]
pub struct Builder<S> {
    state: S,
    backend: Arc<dyn Backend>,
    limits: Limits,
    entropy: Arc<Entropy>,
    commands: BTreeMap<Arc<str>, Run>,
    layers: Vec<Layer>,
    command_layers: Vec<(Arc<str>, Layer)>,
    rooms: Policies<RoomPolicy>,
    channels: Policies<ChannelPolicy>,
    records: Policies<RecordPolicy>,
    metadata: Option<Check>,
    authenticate: Option<Authenticate>,
    origins: Origins,
    connected: Vec<Told>,
    disconnected: Vec<Told>,
    reports: Reports,
}

impl Mesh {
    /// Begin.
    pub fn builder() -> Builder<()> {
        Builder::with_state(())
    }
}

impl<S: Clone + Send + Sync + 'static> Builder<S> {
    fn with_state(state: S) -> Self {
        Self {
            state,
            backend: Arc::new(Memory::default()),
            limits: Limits::default(),
            entropy: Arc::new(Entropy::from_os()),
            commands: BTreeMap::new(),
            layers: Vec::new(),
            command_layers: Vec::new(),
            rooms: Policies::default(),
            channels: Policies::default(),
            records: Policies::default(),
            metadata: None,
            authenticate: None,
            origins: Origins::default(),
            connected: Vec::new(),
            disconnected: Vec::new(),
            reports: Reports::default(),
        }
    }

    /// What handlers share. First, because it fixes the type that [`State<T>`](crate::State) takes parts of.
    ///
    /// # Panics
    /// If anything was said before it.
    pub fn state<T: Clone + Send + Sync + 'static>(self, state: T) -> Builder<T> {
        let fresh = self.commands.is_empty() && self.layers.is_empty() && self.connected.is_empty();
        assert!(fresh, "`.state(..)` comes first: what was said before it would be lost");
        Builder::with_state(state)
    }

    /// Share with other instances through this. Left out: embedded memory, one instance.
    pub fn backend(mut self, backend: impl Backend) -> Self {
        self.backend = Arc::new(backend);
        self
    }

    /// Change bounds: `.limits(|limits| limits.in_flight_max = 8)`.
    pub fn limits(mut self, change: impl FnOnce(&mut Limits)) -> Self {
        change(&mut self.limits);
        self
    }

    /// Draw randomness from here. For simulations; ids become predictable with a seed.
    pub fn entropy(mut self, entropy: Entropy) -> Self {
        self.entropy = Arc::new(entropy);
        self
    }

    /// Answer a command.
    ///
    /// # Panics
    /// If the name is taken, no name, or belongs to the protocol.
    pub fn command<M, H: Handler<M, S>>(mut self, name: &str, handler: H) -> Self {
        if let Err(error) = CommandName::new(name) {
            panic!("command {name:?}: {error}");
        }
        self.insert(name, handler, "is registered twice");
        self
    }

    fn insert<M, H: Handler<M, S>>(&mut self, name: &str, handler: H, taken: &str) {
        let state = self.state.clone();
        let run: Run = Arc::new(move |cmd| handler.clone().call(cmd, state.clone()));
        assert!(self.commands.insert(name.into(), run).is_none(), "command {name:?} {taken}");
    }

    /// Middleware around every command, built-in ones too. What is said first is outermost.
    pub fn layer<M, W: Middleware<M, S>>(mut self, middleware: W) -> Self {
        let layer = self.erase(middleware);
        self.layers.push(layer);
        self
    }

    /// Middleware around one command, inside of the global ones. For built-in commands; your own handlers have
    /// [`layer`](Handler::layer).
    pub fn command_layer<M, W: Middleware<M, S>>(mut self, name: &str, middleware: W) -> Self {
        let layer = self.erase(middleware);
        self.command_layers.push((name.into(), layer));
        self
    }

    fn erase<M, W: Middleware<M, S>>(&self, middleware: W) -> Layer {
        let state = self.state.clone();
        Arc::new(move |cmd, next| middleware.clone().around(cmd, state.clone(), next))
    }

    /// Open rooms. Of several patterns that cover a name the first one said decides.
    pub fn room(mut self, pattern: impl Into<Pattern>, policy: Room<S>) -> Self {
        self.rooms.push(pattern.into(), policy.bind(&self.state));
        self
    }

    /// Open channels. Of several patterns that cover a name the first one said decides.
    pub fn channel(mut self, pattern: impl Into<Pattern>, policy: Channel<S>) -> Self {
        self.channels.push(pattern.into(), policy.bind(&self.state));
        self
    }

    /// Open records. Of several patterns that cover a name the first one said decides.
    pub fn record(mut self, pattern: impl Into<Pattern>, policy: Record<S>) -> Self {
        self.records.push(pattern.into(), policy.bind(&self.state));
        self
    }

    /// Let clients read other connections' metadata where the guard says yes; [`Name`](crate::Name) is the id asked for.
    pub fn connection_metadata<M, G: Guard<M, S>>(mut self, guard: G) -> Self {
        let state = self.state.clone();
        self.metadata = Some(Arc::new(move |cmd| guard.clone().check(cmd, state.clone())));
        self
    }

    /// Say who a client is, or refuse it. What it returns is what [`Claims<T>`](crate::Claims) gives.
    pub fn authenticate<F, Fut, C>(mut self, authenticate: F) -> Self
    where
        F: Fn(Login, S) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<C>> + Send + 'static,
        C: Any + Serialize + DeserializeOwned + Clone + Send + Sync,
    {
        let state = self.state.clone();
        self.authenticate = Some(Arc::new(move |login| {
            let judging = authenticate(login, state.clone());
            async move { Ok(Arc::new(judging.await?) as Arc<dyn Any + Send + Sync>) }.boxed()
        }));
        self
    }

    /// Which web pages may connect. Left out: those of the same host.
    pub fn origins(mut self, origins: Origins) -> Self {
        self.origins = origins;
        self
    }

    /// Told when a connection is there, before its first command runs (5 s at most).
    pub fn on_connect<M, H: Hook<M, S>>(mut self, hook: H) -> Self {
        let state = self.state.clone();
        self.connected.push(Arc::new(move |cmd| hook.clone().run(cmd, state.clone())));
        self
    }

    /// Told when a connection is gone and out of everything. Of one whose instance died another instance is told: its
    /// [`Conn`](crate::Conn) is closed and has its metadata as last known, and no claims.
    pub fn on_disconnect<M, H: Hook<M, S>>(mut self, hook: H) -> Self {
        let state = self.state.clone();
        self.disconnected.push(Arc::new(move |cmd| hook.clone().run(cmd, state.clone())));
        self
    }

    /// Told of everything that goes wrong on this side: panics and time-outs of handlers, guards and hooks, the backend,
    /// missed publications. Called where it happened, so it must not block; a panic in it is caught.
    pub fn on_error(mut self, told: impl Fn(&Fault) + Send + Sync + 'static) -> Self {
        self.reports.faults.push(Box::new(told));
        self
    }

    /// Told of clients that do what they must not: frames that are no commands, connections closed for too much data, no
    /// sign of life or broken frames. The same rules.
    pub fn on_client_error(mut self, told: impl Fn(&ClientFault) + Send + Sync + 'static) -> Self {
        self.reports.client_faults.push(Box::new(told));
        self
    }

    /// Start. Needs a tokio runtime.
    ///
    /// # Errors
    /// `unavailable` when the backend is; `bad_payload` for a `command_layer` of a command that is not there.
    pub async fn build(mut self) -> Result<Mesh> {
        self.insert(command::HELLO, serve::hello_again, "");
        self.insert(command::NOOP, metadata::noop, "");
        self.insert(command::JOIN_ROOM, room::join, "");
        self.insert(command::LEAVE_ROOM, room::leave, "");
        self.insert(command::GET_ROOM_METADATA, room::get_metadata, "");
        self.insert(command::GET_CONNECTION_METADATA, metadata::get, "");
        self.insert(command::GET_MY_CONNECTION_METADATA, metadata::get_mine, "");
        self.insert(command::SUBSCRIBE_PRESENCE, metadata::no_presence, "");
        self.insert(command::SUBSCRIBE_CHANNEL, channel::subscribe, "");
        self.insert(command::UNSUBSCRIBE_CHANNEL, channel::unsubscribe, "");
        self.insert(command::PUBLISH_CHANNEL, channel::publish, "");
        self.insert(command::GET_CHANNEL_HISTORY, channel::get_history, "");
        self.insert(command::SUBSCRIBE_RECORD, record::subscribe, "");
        self.insert(command::UNSUBSCRIBE_RECORD, record::unsubscribe, "");
        self.insert(command::GET_RECORD, record::get, "");
        self.insert(command::PUBLISH_RECORD_UPDATE, record::publish, "");
        self.insert(command::PATCH_RECORD, record::patch, "");
        self.insert(command::INCREMENT_RECORD, record::increment, "");
        self.insert(command::DELETE_RECORD, record::delete, "");
        let commands = self.routes()?;

        let (limits, tasks, stop) = (self.limits, TaskTracker::new(), CancellationToken::new());
        let beginning = Lives::begin(self.backend, self.entropy.clone(), limits.inbox_bytes_max, &stop);
        let (lives, arrivals) = beginning.await?;
        let life = lives.now();
        life.link.subscribe(&instance_topic(life.me)).await?;
        let flushers = Flushers::start(&stop);
        let channels = Arc::new(self.channels);
        let policies = channels.clone();
        let bridged = move |name: &str| policies.find(name).is_some_and(|policy| policy.bridge);
        let (call_timeout, linger) = (limits.backend_timeout, limits.unsubscribe_linger);
        let instance = Arc::new(Instance {
            hub: Hub::new(lives.clone(), tasks.clone(), call_timeout, linger, Box::new(bridged)),
            lives,
            asked: Asked::default(),
            flushers,
            schedule: Schedule::new(),
            limits,
            entropy: self.entropy,
            tasks,
            stop: stop.clone(),
            draining: AtomicBool::new(false),
            conns: Default::default(),
            passing: Default::default(),
            counters: Counters::default(),
            resyncing: Semaphore::new(resync::AT_ONCE),
            telling: Arc::new(Semaphore::new(record::hook::AT_ONCE)),
        });
        let schedule = instance.schedule.clone();
        let stopped = stop.clone();
        tokio::spawn(async move { stopped.run_until_cancelled(schedule.run()).await });
        let mesh = Mesh(Arc::new(Inner {
            instance,
            commands,
            rooms: self.rooms,
            channels,
            records: self.records,
            metadata: self.metadata,
            authenticate: self.authenticate,
            origins: self.origins,
            connected: self.connected,
            disconnected: self.disconnected,
            reports: self.reports,
        }));
        lease::hand_out_arrivals(&mesh, &life, arrivals);
        let weak = Arc::downgrade(&mesh.0);
        let (stopped, looks_after) = (stop.clone(), weak.clone());
        tokio::spawn(async move { stop.run_until_cancelled(lease::keep(weak)).await });
        tokio::spawn(async move { stopped.run_until_cancelled(lease::look_after(looks_after)).await });
        Ok(mesh)
    }

    /// Fold the middleware around each handler, once.
    fn routes(&mut self) -> Result<Commands> {
        let mut commands = std::mem::take(&mut self.commands);
        for (name, layer) in self.command_layers.iter().rev() {
            let missing =
                || MeshError::bad_payload(format!("a layer is put around {name:?}, which is no command"));
            let run = commands.get_mut(name).ok_or_else(missing)?;
            *run = wrap(run.clone(), layer);
        }
        let route = |(name, mut run): (Arc<str>, Run)| {
            for layer in self.layers.iter().rev() {
                run = wrap(run, layer);
            }
            let in_order = IN_ORDER.contains(&&*name);
            (name.clone(), Arc::new(Route { name_json: json_string(&name), name, run, in_order }))
        };
        Ok(commands.into_iter().map(route).collect())
    }
}

fn wrap(inner: Run, layer: &Layer) -> Run {
    let layer = layer.clone();
    Arc::new(move |cmd| layer(cmd, Next(inner.clone())))
}

impl<S> fmt::Debug for Builder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Builder").field("commands", &self.commands.keys()).finish_non_exhaustive()
    }
}
