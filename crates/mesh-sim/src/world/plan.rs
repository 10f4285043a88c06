//! What happens in a world, and when: drawn from a seed, or what was left of it by shrinking.

use std::fmt;
use std::time::Duration;

use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use rand::{Rng, SeedableRng};

use super::stage::Kind;
use super::streams::{
    ACCOUNT, ACCOUNTS, CHANNELS, COUNT, Change, Flavour, LIVE, OF_RECORDS, RECORDS, SECRET, Topic, is_narrow,
};
use super::transfers::Transfer;

/// One world.
#[derive(Clone, Debug)]
pub struct Plan {
    /// What all chance of the run comes from: delays, ids, losses.
    pub seed: u64,
    /// What instances share.
    pub kind: Kind,
    /// How large it is.
    pub scale: Scale,
    /// In order of time.
    pub steps: Vec<Step>,
}

/// How large a world is.
#[derive(Clone, Copy, Debug)]
pub struct Scale {
    /// Server instances.
    pub instances: usize,
    /// Clients, each of which may be connected or not.
    pub clients: usize,
    /// Rooms.
    pub rooms: usize,
    /// How long things happen, before the world is left in peace and judged.
    pub time: Duration,
}

/// Something that happens.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// Since the beginning.
    pub at: Duration,
    /// What.
    pub act: Act,
}

/// What can happen. Faults say how long they last, so that a plan stays one when steps are left out.
#[derive(Clone, Copy, Debug)]
pub enum Act {
    /// A client connects to an instance, if that runs and the client is not connected.
    Dial(usize, usize),
    /// It goes without a word.
    HangUp(usize),
    /// It joins a room.
    Join(usize, usize),
    /// It leaves one.
    Leave(usize, usize),
    /// An instance puts a client into a room, wherever it is.
    Add(usize, usize, usize),
    /// An instance takes it out.
    Remove(usize, usize, usize),
    /// An instance clears a room.
    Clear(usize, usize),
    /// An instance sets a client's metadata to a number.
    Describe(usize, usize, u32),
    /// An instance tells a room something.
    Tell(usize, usize),
    /// An instance tells everybody something.
    TellAll(usize),
    /// A client follows a channel or a record, or follows it in another way.
    Follow(usize, Topic, Flavour),
    /// It does no more.
    Unfollow(usize, Topic),
    /// It reads on in a channel without being told to.
    Read(usize, usize),
    /// It publishes on a channel.
    Publish(usize, usize),
    /// It writes a record.
    Write(usize, usize, Change),
    /// An instance publishes on a channel.
    PublishFrom(usize, usize),
    /// An instance writes a record.
    WriteFrom(usize, usize, Change),
    /// An instance moves something between accounts.
    Transfer(usize, Transfer),
    /// A client whose socket holds little reads nothing for a while.
    Stall(usize, Duration),
    /// An instance publishes or writes so often, 20 ms apart, with so many bytes each.
    Flood(usize, Topic, u64, usize),
    /// An instance ends with everything on it.
    Kill(usize),
    /// Another starts in its place.
    Start(usize),
    /// An instance is cut off from what is shared: its calls fail at once.
    CutOff(usize, Duration),
    /// The same, but its calls hang for 2 s: as when it was paused, or packets vanish.
    BlackHole(usize, Duration),
    /// Its calls and arrivals take up to 300 ms, each its own time; three of a hundred calls, and three of a hundred answers, are lost.
    Flaky(usize, Duration),
    /// Something happens to the store. Nothing in memory.
    Store(StoreFault, Duration),
}

/// What can happen to the store.
#[derive(Clone, Copy, Debug)]
pub enum StoreFault {
    /// Every listening connection is cut.
    CutListeners,
    /// Every connection is cut.
    CutAll,
    /// Listeners hear nothing, and their connections stay.
    Deaf,
    /// One message of three does not reach a listener, who is not told.
    LoseMessages,
    /// It is down, and has everything when it comes back.
    DownWithData,
    /// It is down, and comes back empty.
    DownEmpty,
    /// It is emptied while it runs.
    Emptied,
    /// Its replica takes over, without the last writes.
    FailOver(usize),
    /// It evicts a key.
    Evict,
    /// It does nothing for a while.
    Pause,
    /// It forgets scripts.
    ForgetScripts,
    /// It takes no writes: out of memory.
    OutOfMemory,
    /// It takes no writes: it was demoted.
    ReadOnly,
}

/// Which faults a world has.
#[derive(Clone, Copy, Debug)]
enum Weather {
    Kills,
    Links,
    Store,
    All,
}

impl Plan {
    /// Draw a world.
    pub fn from_seed(seed: u64, kind: Kind, scale: Scale) -> Self {
        let mut rng = StdRng::seed_from_u64(seed);
        let mut steps = Vec::new();
        // Everybody connects at first.
        steps.extend((0..scale.clients).map(|client| {
            let at = Duration::from_millis(rng.random_range(0..500));
            Step { at, act: Act::Dial(client, client % scale.instances) }
        }));
        // Eviction by itself is mended; with other faults it may take what leads to the entries of the dead, so it is warned of
        // at the start and no more is promised.
        let evicts = rng.random_bool(0.3);
        // Busy worlds and quiet ones, calm ones and stormy ones.
        let pace = *[50, 200, 1000].choose(&mut rng).unwrap_or(&200);
        let faults = *[0.0, 0.02, 0.1, 0.3].choose(&mut rng).unwrap_or(&0.1);
        let weather = *[Weather::Kills, Weather::Links, Weather::Store, Weather::All, Weather::All]
            .choose(&mut rng)
            .unwrap_or(&Weather::All);
        let mut at = Duration::from_millis(500);
        while at < scale.time {
            at += Duration::from_millis(rng.random_range(1..=2 * pace));
            let act = if rng.random_bool(faults) {
                fault(&mut rng, kind, scale, weather)
            } else if rng.random_bool(0.6) {
                streams(&mut rng, scale)
            } else {
                life(&mut rng, scale)
            };
            steps.push(Step { at, act });
        }
        // Little that is large, or much that is small: what faults hold back comes at once, and is not to be too much for
        // those who do read.
        let much = if evicts || faults == 0.0 { (38, 1000) } else { (200, 100) };
        for _ in 0..*[0, 0, 1, 2, 3].choose(&mut rng).unwrap_or(&0) {
            steps.extend(lag(&mut rng, scale, much));
        }
        steps.retain(|step| match step.act {
            Act::Store(StoreFault::Evict, _) => evicts,
            Act::Kill(_) | Act::CutOff(..) | Act::BlackHole(..) | Act::Flaky(..) | Act::Store(..) => !evicts,
            _ => true,
        });
        steps.sort_by_key(|step| step.at);
        Self { seed, kind, scale, steps }
    }
}

/// A client falls behind: it connects, follows something, stops reading, and much is said.
fn lag(rng: &mut StdRng, scale: Scale, (count, bytes): (u64, usize)) -> Vec<Step> {
    let narrow: Vec<_> = (0..scale.clients).filter(|client| is_narrow(*client)).collect();
    let Some(&client) = narrow.choose(rng) else { return Vec::new() };
    let record = Topic::Record(rng.random_range(COUNT + 1..ACCOUNT));
    let topic = match rng.random_range(0..10) {
        _ if client == OF_RECORDS => record,
        0..6 => Topic::Channel(0),
        6 => Topic::Channel(1),
        7 => Topic::Channel(LIVE),
        _ => record,
    };
    let flavour = *[Flavour::Whole, Flavour::Patch].choose(rng).unwrap_or(&Flavour::Whole);
    let seconds = Duration::from_secs;
    let at = Duration::from_millis(rng.random_range(4000..scale.time.as_millis() as u64));
    let (near, far) = (rng.random_range(0..scale.instances), rng.random_range(0..scale.instances));
    let time = Duration::from_millis(rng.random_range(5000..15_000));
    [
        (at - seconds(2), Act::Dial(client, near)),
        (at - seconds(1), Act::Follow(client, topic, flavour)),
        (at, Act::Stall(client, time)),
        (at + Duration::from_millis(100), Act::Flood(far, topic, count, bytes)),
    ]
    .map(|(at, act)| Step { at, act })
    .into()
}

fn life(rng: &mut StdRng, scale: Scale) -> Act {
    let (instance, client, room) = (
        rng.random_range(0..scale.instances),
        rng.random_range(0..scale.clients),
        rng.random_range(0..scale.rooms),
    );
    match rng.random_range(0..100) {
        0..10 => Act::Dial(client, instance),
        10..15 => Act::HangUp(client),
        15..45 => Act::Join(client, room),
        45..60 => Act::Leave(client, room),
        60..65 => Act::Add(instance, client, room),
        65..70 => Act::Remove(instance, client, room),
        70..71 => Act::Clear(instance, room),
        71..76 => Act::Describe(instance, client, rng.random_range(0..1000)),
        76..96 => Act::Tell(instance, room),
        96..98 => Act::TellAll(instance),
        _ => Act::Start(instance),
    }
}

fn streams(rng: &mut StdRng, scale: Scale) -> Act {
    let (instance, client) = (rng.random_range(0..scale.instances), rng.random_range(0..scale.clients));
    let (channel, record) = (rng.random_range(0..SECRET), rng.random_range(0..ACCOUNT));
    let flavours = [Flavour::Whole, Flavour::Patch, Flavour::Patch, Flavour::Latest, Flavour::Rate];
    let flavour = *flavours.choose(rng).unwrap_or(&Flavour::Whole);
    let topic = match rng.random_range(0..20) {
        0 => Topic::Channel(SECRET),
        1..6 => Topic::Record(record),
        6..12 => Topic::Record(rng.random_range(ACCOUNT..RECORDS.len())),
        _ => Topic::Channel(channel),
    };
    let change = match rng.random_range(0..20) {
        0..8 => Change::Increment,
        8..10 => Change::Set,
        10..14 => Change::Merge,
        14..16 => Change::Patch,
        16..17 => Change::Delete,
        _ => Change::Compare,
    };
    let topic = match topic {
        Topic::Channel(_) if client == OF_RECORDS => Topic::Record(record),
        topic => topic,
    };
    match rng.random_range(0..100) {
        0..20 => Act::Follow(client, topic, flavour),
        20..23 => Act::Unfollow(client, topic),
        23..26 => Act::Read(client, rng.random_range(0..2)),
        26..46 => Act::Publish(client, channel),
        46..60 => Act::PublishFrom(instance, rng.random_range(0..CHANNELS.len())),
        60..84 => Act::Write(client, record, change.of(record)),
        84..95 => Act::WriteFrom(instance, record, change.of(record)),
        _ => Act::Transfer(instance, transfer(rng)),
    }
}

fn transfer(rng: &mut StdRng) -> Transfer {
    let from = rng.random_range(0..ACCOUNTS);
    let to = (from + rng.random_range(1..ACCOUNTS)) % ACCOUNTS;
    let amount = rng.random_range(1..40);
    match rng.random_range(0..4) {
        0 => Transfer::Deposit { to, amount },
        1 => Transfer::Spread { from, amount: amount / 2 },
        _ => Transfer::Between { from, to, amount },
    }
}

fn fault(rng: &mut StdRng, kind: Kind, scale: Scale, weather: Weather) -> Act {
    let instance = rng.random_range(0..scale.instances);
    let time = Duration::from_millis(*[100, 1000, 5000, 9000, 20_000].choose(rng).unwrap_or(&1000));
    let of_store = match weather {
        Weather::Kills | Weather::Links => false,
        Weather::Store => true,
        Weather::All => rng.random_bool(0.6),
    };
    if of_store && kind == Kind::Redis {
        let fault = match rng.random_range(0..13) {
            0 => StoreFault::CutListeners,
            1 => StoreFault::CutAll,
            2 => StoreFault::Deaf,
            3 => StoreFault::LoseMessages,
            4 => StoreFault::DownWithData,
            5 => StoreFault::DownEmpty,
            6 => StoreFault::Emptied,
            7 => StoreFault::FailOver(rng.random_range(0..50)),
            8 => StoreFault::Evict,
            9 => StoreFault::Pause,
            10 => StoreFault::ForgetScripts,
            11 => StoreFault::OutOfMemory,
            _ => StoreFault::ReadOnly,
        };
        return Act::Store(fault, time);
    }
    let which = match weather {
        Weather::Kills => 0,
        Weather::Links => rng.random_range(1..6),
        Weather::Store | Weather::All => rng.random_range(0..6),
    };
    match which {
        0 => Act::Kill(instance),
        1 | 2 => Act::CutOff(instance, time),
        3 => Act::BlackHole(instance, time),
        _ => Act::Flaky(instance, time),
    }
}

impl Act {
    /// How long it goes on.
    pub fn time(&self) -> Duration {
        match self {
            Self::CutOff(_, time)
            | Self::BlackHole(_, time)
            | Self::Flaky(_, time)
            | Self::Stall(_, time)
            | Self::Store(_, time) => *time,
            _ => Duration::ZERO,
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} {:?} {:?}", self.seed, self.kind, self.scale)?;
        for Step { at, act } in &self.steps {
            writeln!(f, "{:>9.3} s  {act:?}", at.as_secs_f64())?;
        }
        Ok(())
    }
}
