//! Which topics are wished for, which are open, and through which connection.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use mesh_backend::{Arrival, Inbox, Key, Kind, Result};
use mesh_proto::Incarnation;
use redis::aio::MultiplexedConnection;
use tokio::time::Instant;

use crate::error::unavailable;
use crate::key::{Keys, Shard};
use crate::message;

/// What was published by a link must come back to it within this time, else it says that it is in trouble.
const HEARD_WITHIN: Duration = Duration::from_secs(3);

/// Channels to be given up at once. What is beyond comes again.
const STRAYS_MAX: usize = 500;

/// Announcements of one transaction that are waited for: more than one has that fits into memory. Against whoever makes up
/// messages.
const GATHERED_MAX: usize = 4096;

/// Everything about topics that changes.
#[derive(Default)]
pub(super) struct State {
    /// By channel.
    topics: BTreeMap<String, Topic>,
    /// By the name of the node.
    feeds: BTreeMap<String, Feed>,
    sessions: u64,
    /// How many messages were not ours.
    malformed: u64,
    closed: bool,
}

struct Topic {
    key: Key,
    shard: Shard,
    wished: bool,
    /// Whether what arrives is handed on.
    open: bool,
    /// Since which session Redis has it, 0 if it has not.
    session: u64,
}

/// One node's connection for subscriptions.
struct Feed {
    shards: Vec<Shard>,
    session: u64,
    /// There once everything is subscribed to on it.
    connection: Option<MultiplexedConnection>,
    /// Why there is none.
    why: String,
    /// When a publication of our own came back the last time.
    heard: Instant,
    /// When anything came the last time: on a link that is slow a publication of our own waits behind those of others.
    spoke: Instant,
    /// The highest number among them.
    echo: u64,
    /// Channels that something arrived on and that nobody wishes for, at most [`STRAYS_MAX`].
    strays: BTreeSet<String>,
    /// The transaction that is arriving.
    gathered: Option<Gathered>,
}

/// What arrived of a transaction of which more is to come.
struct Gathered {
    id: u64,
    arrivals: Vec<Arrival>,
}

/// What a push means for the connection it came on.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// Nothing.
    Fine,
    /// It lost a subscription that is wished for.
    Doubtful,
}

impl State {
    pub(super) fn closed() -> Self {
        Self { closed: true, ..Self::default() }
    }

    /// Whether every node is listened to.
    pub(super) fn is_whole(&self) -> bool {
        !self.feeds.is_empty() && self.feeds.values().all(|feed| feed.connection.is_some())
    }

    pub(super) fn trouble(&self) -> Option<String> {
        let trouble = |(name, feed): (&String, &Feed)| match feed.connection {
            None => Some(format!("not subscribed at {name}: {}", feed.why)),
            Some(_) if feed.heard.elapsed() > HEARD_WITHIN => {
                Some(format!("nothing published at {name} came back for {:?}", feed.heard.elapsed()))
            }
            Some(_) => None,
        };
        self.feeds.iter().find_map(trouble)
    }

    /// Wish for a topic. Gives the connection to ask on, if it has to be asked for, and whether nobody wished before.
    pub(super) fn wish(
        &mut self,
        channel: &str,
        key: &Key,
        shard: Shard,
        owner: Option<&str>,
    ) -> Result<Option<(MultiplexedConnection, bool)>> {
        if self.closed {
            return Err(unavailable("the link is closed"));
        }
        let owner = owner.ok_or_else(|| unavailable(format!("no Redis serves shard {shard} now")))?;
        let feed =
            self.feeds.get(owner).ok_or_else(|| unavailable(format!("not subscribed at {owner} yet")))?;
        let Some(connection) = &feed.connection else {
            return Err(unavailable(format!("not subscribed at {owner}: {}", feed.why)));
        };
        let new = || Topic { key: key.clone(), shard, wished: false, open: false, session: 0 };
        let topic = self.topics.entry(channel.to_owned()).or_insert_with(new);
        let is_new = !std::mem::replace(&mut topic.wished, true);
        // One that is being given up is asked for again behind that.
        Ok((is_new || !topic.open).then(|| (connection.clone(), is_new)))
    }

    /// It could not be subscribed to, or be given up. If Redis has it nevertheless, what arrives is a stray.
    pub(super) fn forget(&mut self, channel: &str) {
        self.topics.remove(channel);
    }

    /// The same, unless it is wished for.
    pub(super) fn forget_unwished(&mut self, channel: &str) {
        if self.topics.get(channel).is_some_and(|topic| !topic.wished) {
            self.topics.remove(channel);
        }
    }

    /// Channels that something arrived on and that nobody wishes for.
    pub(super) fn take_strays(&mut self, name: &str) -> Vec<String> {
        let strays =
            self.feeds.get_mut(name).map(|feed| std::mem::take(&mut feed.strays)).unwrap_or_default();
        strays.into_iter().filter(|channel| !self.topics.contains_key(channel)).collect()
    }

    /// Wish for a topic no more. What was published before still arrives: it shuts when Redis confirms. Gives the
    /// connection to say so on, if there is somebody to tell.
    pub(super) fn leave(&mut self, channel: &str) -> Option<MultiplexedConnection> {
        let topic = self.topics.get_mut(channel).filter(|topic| topic.wished)?;
        topic.wished = false;
        let feed = self.feeds.values().find(|feed| feed.shards.contains(&topic.shard));
        let connection = feed.and_then(|feed| feed.connection.clone());
        if connection.is_none() {
            self.topics.remove(channel);
        }
        connection
    }

    /// A node to listen to.
    pub(super) fn add_feed(&mut self, name: &str, shards: Vec<Shard>) {
        let why = "not connected yet".to_owned();
        let feed = Feed {
            shards,
            session: 0,
            connection: None,
            why,
            heard: Instant::now(),
            spoke: Instant::now(),
            echo: 0,
            strays: BTreeSet::new(),
            gathered: None,
        };
        self.feeds.insert(name.to_owned(), feed);
    }

    /// A node that serves nothing any more, or other shards than it did.
    pub(super) fn remove_feed(&mut self, name: &str) {
        self.lose(name, String::new());
        self.feeds.remove(name);
    }

    /// The number of a new connection.
    pub(super) fn begin(&mut self, name: &str) -> Option<u64> {
        self.sessions += 1;
        let feed = self.feeds.get_mut(name)?;
        feed.session = self.sessions;
        Some(self.sessions)
    }

    /// The connection is gone: everything on it is shut.
    pub(super) fn lose(&mut self, name: &str, why: String) {
        let Some(feed) = self.feeds.get_mut(name) else { return };
        feed.connection = None;
        feed.why = why;
        feed.session = 0;
        feed.gathered = None;
        self.topics.retain(|_, topic| topic.wished || !feed.shards.contains(&topic.shard));
        for topic in self.topics.values_mut().filter(|topic| feed.shards.contains(&topic.shard)) {
            topic.open = false;
            topic.session = 0;
        }
    }

    /// Channels that are wished for and that this session does not have yet; with none left, the connection is the one
    /// to use, and the word is that continuity was lost.
    pub(super) fn resume(
        &mut self,
        name: &str,
        connection: &MultiplexedConnection,
        inbox: &Inbox,
        most: usize,
    ) -> Vec<String> {
        let Some(feed) = self.feeds.get_mut(name) else { return Vec::new() };
        let session = feed.session;
        let of_feed = |topic: &Topic| topic.wished && feed.shards.contains(&topic.shard);
        let wanting = self.topics.iter().filter(|(_, topic)| of_feed(topic) && topic.session != session);
        let wanting: Vec<_> = wanting.take(most).map(|(channel, _)| channel.clone()).collect();
        if wanting.is_empty() {
            let mut any = false;
            for topic in self.topics.values_mut().filter(|topic| of_feed(topic)) {
                topic.open = true;
                any = true;
            }
            feed.connection = Some(connection.clone());
            feed.heard = Instant::now();
            feed.spoke = feed.heard;
            // Nothing can be missing where nothing was wished for.
            if any {
                inbox.lose_continuity();
            }
        }
        wanting
    }

    /// Redis confirmed a subscription.
    pub(super) fn confirm(&mut self, name: &str, session: u64, channel: &str) {
        let Some(feed) = self.feeds.get(name).filter(|feed| feed.session == session) else { return };
        let Some(topic) = self.topics.get_mut(channel) else { return };
        topic.session = session;
        topic.open = topic.wished && feed.connection.is_some();
    }

    /// Redis ended a subscription. One that is wished for was lost, or wished for and given up in an order that nobody
    /// knows: only another connection is sure.
    pub(super) fn ended(&mut self, session: u64, channel: &str) -> Verdict {
        match self.topics.get(channel).filter(|topic| topic.session == session) {
            Some(topic) if topic.wished => Verdict::Doubtful,
            Some(_) => {
                self.topics.remove(channel);
                Verdict::Fine
            }
            None => Verdict::Fine,
        }
    }

    /// A publication of our own came back.
    pub(super) fn heard(&mut self, name: &str, session: u64, number: &[u8], inbox: &Inbox) {
        if let Some(feed) = self.feeds.get_mut(name).filter(|feed| feed.session == session) {
            feed.hand_in(inbox);
            feed.heard = Instant::now();
            feed.spoke = feed.heard;
            let number = std::str::from_utf8(number).ok().and_then(|number| number.parse().ok());
            feed.echo = feed.echo.max(number.unwrap_or_default());
        }
    }

    /// Whether our own publication of this number came back from every node.
    #[cfg(feature = "testing")]
    pub(super) fn has_echo(&self, number: u64) -> bool {
        self.feeds.values().all(|feed| feed.echo >= number)
    }

    /// How long ago anything came.
    pub(super) fn silence(&self, name: &str) -> Duration {
        self.feeds.get(name).map_or(Duration::ZERO, |feed| feed.spoke.elapsed())
    }

    /// Something arrived on a channel.
    pub(super) fn arrive(
        &mut self,
        name: &str,
        session: u64,
        me: Incarnation,
        channel: &str,
        payload: Bytes,
        inbox: &Inbox,
    ) {
        let mut feed = self.feeds.get_mut(name).filter(|feed| feed.session == session);
        if let Some(feed) = &mut feed {
            feed.spoke = Instant::now();
        }
        let topic = match self.topics.get(channel) {
            Some(topic) if topic.open && topic.session == session => topic,
            Some(_) => return,
            None => {
                if let Some(feed) = feed.filter(|feed| feed.strays.len() < STRAYS_MAX) {
                    feed.strays.insert(channel.to_owned());
                }
                return;
            }
        };
        let decoded = match topic.key.kind {
            Kind::Bridge => Ok((Arrival::plain(topic.key.clone(), me, payload), None)),
            _ => message::decode(topic.key.clone(), payload),
        };
        match decoded {
            Ok((arrival, None)) => {
                if let Some(feed) = feed {
                    feed.hand_in(inbox);
                }
                inbox.push(arrival);
            }
            Ok((arrival, Some(part))) => {
                let Some(feed) = feed else { return };
                let comes = |tail: &Arc<str>| {
                    let channel = Keys::channel_beside(channel, &topic.key, tail);
                    let topic = self.topics.get(&channel);
                    topic.is_some_and(|topic| topic.open && topic.session == session)
                };
                let is_last = !part.more && !part.later.iter().any(comes);
                feed.gather(part.id, arrival, is_last, inbox);
            }
            Err(message::Malformed) => {
                self.malformed += 1;
                // The first one, and then ever rarer.
                if self.malformed.is_power_of_two() {
                    tracing::warn!(
                        "{} messages on Mesh's channels were not Mesh's and were dropped, the last one on {channel:?}; \
                         does another application publish there?",
                        self.malformed
                    );
                }
            }
        }
    }
}

/// A script's publications arrive one behind the other, and a subscription that Redis has not confirmed as ended still
/// hears them all; so what is gathered is soon whole. Where it is not, because somebody else made it up or because a topic
/// was given up in that moment, it is handed in with whatever comes next: within a second that is our own probe.
impl Feed {
    /// A part of a transaction arrived.
    fn gather(&mut self, id: u64, arrival: Arrival, is_last: bool, inbox: &Inbox) {
        if self.gathered.as_ref().is_some_and(|gathered| gathered.id != id) {
            self.hand_in(inbox);
        }
        let gathered = self.gathered.get_or_insert_with(|| Gathered { id, arrivals: Vec::new() });
        gathered.arrivals.push(arrival);
        if is_last || gathered.arrivals.len() == GATHERED_MAX {
            self.hand_in(inbox);
        }
    }

    /// Nothing more comes of the transaction that was arriving, if one was.
    fn hand_in(&mut self, inbox: &Inbox) {
        if let Some(Gathered { id, arrivals }) = self.gathered.take() {
            inbox.push_group(id, arrivals);
        }
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sizes = (self.topics.len(), self.feeds.len());
        f.debug_struct("State").field("topics_feeds", &sizes).finish_non_exhaustive()
    }
}
