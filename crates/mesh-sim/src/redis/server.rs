//! The server behind all connections: takes a request, answers it.

use bytes::Bytes;

use super::commands::Failure;
use super::pubsub;
use super::resp::Reply;
use super::resp::request::{BadRequest, Request};
use super::rules::Moment;
use super::script::{self, Scripts};
use super::session;
use super::world::{Caller, World};

/// What a command of a session gives back.
#[derive(Debug)]
pub(crate) enum Told {
    Reply(Reply),
    /// What there was to say was pushed.
    Already,
}

type Run = fn(&mut Server, u64, &[Bytes]) -> Result<Told, Failure>;

/// A command that knows who sends it.
struct SessionCommand {
    name: &'static str,
    /// How many arguments there are at least, with the name.
    args_min: usize,
    args_max: usize,
    /// It sets up a connection, so it works where the server refuses all else.
    is_setup: bool,
    run: Run,
}

const fn session(
    name: &'static str,
    args_min: usize,
    args_max: usize,
    is_setup: bool,
    run: Run,
) -> SessionCommand {
    SessionCommand { name, args_min, args_max, is_setup, run }
}

const MANY: usize = usize::MAX;

const SESSION_COMMANDS: &[SessionCommand] = &[
    session("ping", 1, 2, false, session::ping),
    session("echo", 2, 2, false, session::echo),
    session("hello", 1, MANY, true, session::hello),
    session("auth", 2, MANY, true, session::auth),
    session("quit", 1, MANY, true, session::quit),
    session("reset", 1, 1, true, session::reset),
    session("select", 2, 2, true, session::select),
    session("client", 2, MANY, true, session::client),
    session("command", 1, MANY, true, session::command),
    session("cluster", 2, MANY, true, session::cluster),
    session("info", 1, MANY, true, session::info),
    session("subscribe", 2, MANY, true, pubsub::subscribe),
    session("unsubscribe", 1, MANY, true, pubsub::unsubscribe),
    session("ssubscribe", 2, MANY, true, pubsub::ssubscribe),
    session("sunsubscribe", 1, MANY, true, pubsub::sunsubscribe),
    session("pubsub", 2, MANY, true, pubsub::pubsub),
    session("eval", 3, MANY, false, script::eval),
    session("evalsha", 3, MANY, false, script::evalsha),
    session("script", 2, MANY, false, script::script),
];

/// Whether a script may not call it.
pub(crate) fn is_of_session(name: &[u8]) -> bool {
    find(name).is_some()
}

fn find(name: &[u8]) -> Option<&'static SessionCommand> {
    SESSION_COMMANDS.iter().find(|command| command.name.as_bytes().eq_ignore_ascii_case(name))
}

/// The world and the scripts that work on it.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) world: World,
    pub(crate) scripts: Scripts,
}

impl Server {
    /// Carries out one request of a client, and puts what there is to say on its way.
    pub(crate) fn execute(&mut self, id: u64, request: &Request) {
        let cut = self.world.rules.trapped(request);
        if cut == Some(Moment::BeforeRequest) {
            self.world.kill(id);
            return;
        }
        self.world.begin();
        self.world.trail.request(self.world.clock(), id, request);
        let told = self.run(id, request);
        self.world.commit();
        if cut.is_some() {
            self.world.kill(id);
            return;
        }
        match told {
            Ok(Told::Reply(reply)) => self.world.send(id, &reply),
            Ok(Told::Already) => {}
            Err(Failure(text)) => self.world.send(id, &Reply::Error(text)),
        }
    }

    /// Says what was wrong with the bytes of a client, and ends with that.
    pub(crate) fn protocol_error(&mut self, id: u64, BadRequest(why): &BadRequest) {
        self.world.send(id, &Reply::error(format!("ERR Protocol error: {why}")));
        self.close(id);
    }

    /// Ends a connection once all is written.
    pub(crate) fn close(&mut self, id: u64) {
        if let Some(client) = self.world.clients.find(id) {
            client.is_closing = true;
            client.signals.writer.notify_one();
        }
    }

    fn run(&mut self, id: u64, request: &Request) -> Result<Told, Failure> {
        let command = find(&request[0]);
        if let Some(command) = command {
            let name = command.name;
            if request.len() < command.args_min || request.len() > command.args_max {
                return Err(Failure::arity(name));
            }
            if self.world.settings.forbids(name.as_bytes()) {
                let text = format!("NOPERM this user has no permissions to run the '{name}' command");
                return Err(Failure::from(text));
            }
        }
        let is_setup = command.is_some_and(|command| command.is_setup);
        session::admit(self, id, &request[0])?;
        if let Some(refusal) = self.world.rules.refusal.as_ref().filter(|_| !is_setup) {
            return Err(Failure(refusal.clone()));
        }
        match command {
            Some(command) => (command.run)(self, id, request),
            None => {
                let database = self.database(id);
                self.world.call(database, request, Caller::Client).map(Told::Reply)
            }
        }
    }

    pub(crate) fn database(&mut self, id: u64) -> usize {
        self.world.clients.find(id).map_or(0, |client| client.database)
    }
}
