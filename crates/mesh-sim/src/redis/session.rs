//! Commands about the connection itself.

use bytes::Bytes;

use super::clients::Connected;
use super::commands::Failure;
use super::keyspace::DATABASES;
use super::number;
use super::resp::{Proto, Reply};
use super::server::{Server, Told};

type Outcome = Result<Told, Failure>;

const NO_CLIENT: Failure = Failure::told("ERR the connection is gone");

fn find(server: &mut Server, id: u64) -> Result<&mut Connected, Failure> {
    server.world.clients.find(id).ok_or(NO_CLIENT)
}

fn ok() -> Outcome {
    Ok(Told::Reply(Reply::OK))
}

/// Whether a client may send this now: with the right password, and not while a RESP2 connection listens.
pub(super) fn admit(server: &mut Server, id: u64, name: &[u8]) -> Result<(), Failure> {
    let name = name.escape_ascii().to_string().to_ascii_lowercase();
    let client = find(server, id)?;
    if !client.is_authenticated && !matches!(name.as_str(), "auth" | "hello" | "quit" | "reset") {
        return Err(Failure::told("NOAUTH Authentication required."));
    }
    let may_while_listening = matches!(
        name.as_str(),
        "subscribe" | "unsubscribe" | "ssubscribe" | "sunsubscribe" | "ping" | "quit" | "reset"
    );
    if client.proto == Proto::Resp2 && client.is_pubsub() && !may_while_listening {
        return Err(Failure::from(format!(
            "ERR Can't execute '{name}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are allowed in this context"
        )));
    }
    Ok(())
}

pub(super) fn ping(server: &mut Server, id: u64, args: &[Bytes]) -> Outcome {
    let client = find(server, id)?;
    Ok(Told::Reply(if client.proto == Proto::Resp2 && client.is_pubsub() {
        let text = args.get(1).cloned().unwrap_or_default();
        Reply::Array(vec![Reply::bulk("pong"), Reply::Bulk(text)])
    } else {
        args.get(1).map_or(Reply::Status("PONG".into()), |text| Reply::Bulk(text.clone()))
    }))
}

pub(super) fn echo(_: &mut Server, _: u64, args: &[Bytes]) -> Outcome {
    Ok(Told::Reply(Reply::Bulk(args[1].clone())))
}

pub(super) fn hello(server: &mut Server, id: u64, args: &[Bytes]) -> Outcome {
    let mut proto = find(server, id)?.proto;
    let mut name = None;
    if let Some(version) = args.get(1) {
        let not_a_number = Failure::told("ERR Protocol version is not an integer or out of range");
        proto = match number::integer(version).ok_or(not_a_number)? {
            2 => Proto::Resp2,
            3 => Proto::Resp3,
            _ => return Err(Failure::told("NOPROTO unsupported protocol version")),
        };
        let mut options = args[2..].iter();
        while let Some(option) = options.next() {
            if option.eq_ignore_ascii_case(b"auth") {
                let (Some(user), Some(password)) = (options.next(), options.next()) else {
                    return Err(bad_option(option));
                };
                authenticate(server, id, user, password)?;
            } else if option.eq_ignore_ascii_case(b"setname") {
                name = Some(options.next().ok_or_else(|| bad_option(option))?.clone());
            } else {
                return Err(bad_option(option));
            }
        }
    }
    let (run_version, client) = (server.world.settings.version.clone(), find(server, id)?);
    if !client.is_authenticated {
        return Err(Failure::told(
            "NOAUTH HELLO must be called with the client already authenticated, otherwise the HELLO <proto> AUTH <user> <pass> option can be used to authenticate the client and select the RESP protocol version at the same time",
        ));
    }
    client.proto = proto;
    if let Some(name) = name {
        client.name = name;
    }
    let text = |name: &'static str, value: &str| (Reply::bulk(name), Reply::bulk(value.to_owned()));
    Ok(Told::Reply(Reply::Map(vec![
        text("server", "redis"),
        text("version", &run_version),
        (Reply::bulk("proto"), Reply::Integer(if proto == Proto::Resp3 { 3 } else { 2 })),
        (Reply::bulk("id"), Reply::Integer(i64::try_from(id).unwrap_or(i64::MAX))),
        text("mode", "standalone"),
        text("role", "master"),
        (Reply::bulk("modules"), Reply::Array(vec![])),
    ])))
}

fn bad_option(option: &Bytes) -> Failure {
    Failure::from(format!("ERR Syntax error in HELLO option '{}'", option.escape_ascii()))
}

pub(super) fn auth(server: &mut Server, id: u64, args: &[Bytes]) -> Outcome {
    match &args[1..] {
        [_] if server.world.settings.password.is_none() => Err(Failure::told(
            "ERR AUTH <password> called without any password configured for the default user. Are you sure your configuration is correct?",
        )),
        [password] => authenticate(server, id, b"default", password).and_then(|()| ok()),
        [user, password] => authenticate(server, id, user, password).and_then(|()| ok()),
        _ => Err(Failure::SYNTAX),
    }
}

fn authenticate(server: &mut Server, id: u64, user: &[u8], password: &[u8]) -> Result<(), Failure> {
    let is_right = server.world.settings.password.as_ref().is_none_or(|right| right == password);
    if user != b"default" || !is_right {
        return Err(Failure::told("WRONGPASS invalid username-password pair or user is disabled."));
    }
    find(server, id)?.is_authenticated = true;
    Ok(())
}

pub(super) fn quit(server: &mut Server, id: u64, _: &[Bytes]) -> Outcome {
    server.close(id);
    ok()
}

pub(super) fn reset(server: &mut Server, id: u64, _: &[Bytes]) -> Outcome {
    let needs_password = server.world.settings.password.is_some();
    let client = find(server, id)?;
    client.proto = Proto::Resp2;
    client.database = 0;
    client.name = Bytes::new();
    client.is_authenticated = !needs_password;
    for channel in std::mem::take(&mut client.channels) {
        server.world.pubsub.remove(&channel, id);
    }
    Ok(Told::Reply(Reply::Status("RESET".into())))
}

pub(super) fn select(server: &mut Server, id: u64, args: &[Bytes]) -> Outcome {
    let index = number::integer(&args[1]).ok_or(Failure::NOT_INTEGER)?;
    let index = usize::try_from(index).ok().filter(|index| *index < DATABASES);
    find(server, id)?.database = index.ok_or(Failure::told("ERR DB index is out of range"))?;
    ok()
}

/// Says yes to what a library tells of itself, whether or not this version of Redis knows it.
pub(super) fn client(server: &mut Server, id: u64, args: &[Bytes]) -> Outcome {
    let word = args[1].to_ascii_lowercase();
    match (word.as_slice(), &args[2..]) {
        (b"id", []) => return Ok(Told::Reply(Reply::Integer(i64::try_from(id).unwrap_or(i64::MAX)))),
        (b"getname", []) => {
            let name = find(server, id)?.name.clone();
            return Ok(Told::Reply(if name.is_empty() { Reply::Nil } else { Reply::Bulk(name) }));
        }
        (b"setname", [name]) => {
            if name.iter().any(|byte| !(b'!'..=b'~').contains(byte)) {
                return Err(Failure::told(
                    "ERR Client names cannot contain spaces, newlines or special characters.",
                ));
            }
            find(server, id)?.name = name.clone();
        }
        (b"setinfo", [_, _]) | (b"no-evict" | b"no-touch", [_]) => {}
        _ => {
            let word = args[1].escape_ascii();
            let text =
                format!("ERR unknown subcommand or wrong number of arguments for '{word}'. Try CLIENT HELP.");
            return Err(Failure::from(text));
        }
    }
    ok()
}

/// Knows of no command, which is what a client asks that completes what people type.
pub(super) fn command(_: &mut Server, _: u64, _: &[Bytes]) -> Outcome {
    Ok(Told::Reply(Reply::Array(vec![])))
}

pub(super) fn cluster(_: &mut Server, _: u64, _: &[Bytes]) -> Outcome {
    Err(Failure::told("ERR This instance has cluster support disabled"))
}

pub(super) fn info(server: &mut Server, _: u64, args: &[Bytes]) -> Outcome {
    let world = &server.world;
    let sections = [
        (
            "Server",
            format!(
                "redis_version:{}\r\nredis_mode:standalone\r\nos:simulated\r\nrun_id:{}\r\n",
                world.settings.version, world.run_id
            ),
        ),
        ("Clients", format!("connected_clients:{}\r\n", world.clients.iter().count())),
        ("Memory", format!("maxmemory:0\r\nmaxmemory_policy:{}\r\n", world.settings.maxmemory_policy)),
        ("Replication", format!("role:master\r\nconnected_slaves:1\r\nmaster_replid:{}\r\n", world.run_id)),
        ("Cluster", "cluster_enabled:0\r\n".to_owned()),
    ];
    let is_asked = |name: &str| {
        let is = |word: &Bytes, other: &str| word.eq_ignore_ascii_case(other.as_bytes());
        args.len() == 1
            || args[1..].iter().any(|word| {
                is(word, name) || is(word, "default") || is(word, "all") || is(word, "everything")
            })
    };
    let asked = sections.iter().filter(|(name, _)| is_asked(name));
    let text: Vec<String> = asked.map(|(name, lines)| format!("# {name}\r\n{lines}")).collect();
    Ok(Told::Reply(Reply::Verbatim(text.join("\r\n").into())))
}
