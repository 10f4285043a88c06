//! Names of keys and channels.
//!
//! Everything is under one prefix, in which the version of the schema stands. What belongs to one name is in one shard,
//! which is a slot of Redis Cluster; the kind is one letter at a fixed place and the name comes last, byte for byte, so
//! that no name can forge a key.

use mesh_backend::{Key, Kind};
use mesh_proto::Incarnation;

/// The version of what is stored. Another one is another world: it stands in the prefix, so versions never meet.
pub(crate) const SCHEMA: u32 = 1;

/// How many shards a Redis Cluster is divided into. Enough for 16 masters to have equal parts, few enough for a list to
/// ask all of them at once.
pub(crate) const CLUSTER_SHARDS: u16 = 64;

/// A slot's worth of data. Scripts touch one shard each.
pub(crate) type Shard = u16;

/// Where leases are.
pub(crate) const FIRST: Shard = 0;

/// Makes names.
#[derive(Clone, Debug)]
pub(crate) struct Keys {
    /// `mesh:1:`, and the namespace if there is one.
    prefix: String,
    shards: u16,
}

impl Keys {
    pub(crate) fn new(namespace: Option<&str>, shards: u16) -> Self {
        let namespace = namespace.map_or(String::new(), |namespace| format!("{namespace}:"));
        Self { prefix: format!("mesh:{SCHEMA}:{namespace}"), shards }
    }

    /// What every key and channel begins with.
    pub(crate) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// What the schema key says.
    pub(crate) fn schema(&self) -> String {
        format!("schema {SCHEMA}, {} shards", self.shards)
    }

    pub(crate) fn shards(&self) -> std::ops::Range<Shard> {
        0..self.shards
    }

    /// By the name alone: a room, its metadata and its presence are together. Of a name with something in braces, by the
    /// first of that alone, so that an application can have its names together; the shard stands in front of the name, so
    /// no name chooses one.
    pub(crate) fn shard(&self, key: &Key) -> Shard {
        let hash = tag(&key.name).bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        // FNV leaves its upper bits nearly alone on short names; one more turn spreads them.
        let hash = (hash ^ (hash >> 33)).wrapping_mul(0xff51_afd7_ed55_8ccd);
        ((hash >> 33) % u64::from(self.shards)) as Shard
    }

    /// A key that each shard has one of.
    pub(crate) fn of_shard(&self, shard: Shard, what: &str) -> String {
        format!("{}{{{shard}}}:{what}", self.prefix)
    }

    /// Who is alive.
    pub(crate) fn alive(&self, shard: Shard) -> String {
        self.of_shard(shard, "alive")
    }

    /// Where a link listens to itself.
    pub(crate) fn probe(&self, shard: Shard, me: Incarnation) -> String {
        self.of_shard(shard, &format!("probe:{me}"))
    }

    /// The index of cells, or of rosters, of a kind.
    pub(crate) fn index(&self, shard: Shard, what: &str, kind: Kind) -> String {
        self.of_shard(shard, &format!("{what}:{}", letter(kind)))
    }

    /// Epoch, newest offset and value of a log or cell.
    pub(crate) fn hash(&self, key: &Key) -> String {
        self.of_key('h', key)
    }

    /// The entries of a log.
    pub(crate) fn stream(&self, key: &Key) -> String {
        self.of_key('l', key)
    }

    /// The seats of a roster.
    pub(crate) fn seats(&self, key: &Key) -> String {
        self.of_key('m', key)
    }

    /// The order of a roster.
    pub(crate) fn order(&self, key: &Key) -> String {
        self.of_key('o', key)
    }

    /// How many publications of each incarnation a topic had.
    pub(crate) fn counts(&self, key: &Key) -> String {
        self.of_key('n', key)
    }

    /// The channel of a topic of the same shard as that of another, of which all but what every channel of a shard begins
    /// with is known.
    pub(crate) fn channel_beside(channel: &str, own: &Key, tail: &str) -> String {
        let beginning = channel.strip_suffix(&channel_tail(own)).unwrap_or(channel);
        format!("{beginning}{tail}")
    }

    /// The channel of a topic.
    pub(crate) fn channel(&self, key: &Key) -> String {
        match key.kind {
            Kind::Bridge => key.name.to_string(),
            _ => self.of_key('t', key),
        }
    }

    fn of_key(&self, what: char, key: &Key) -> String {
        let (shard, kind) = (self.shard(key), letter(key.kind));
        format!("{}{{{shard}}}:{what}{kind}:{}", self.prefix, key.name)
    }
}

/// Whether a name is one that others may publish on: not Mesh's, whatever its version and namespace, nor Redis' own.
pub(crate) fn is_foreign(channel: &str) -> bool {
    !channel.starts_with("mesh:") && !channel.starts_with("__")
}

/// What the channel of a topic has behind what every channel of its shard begins with.
pub(crate) fn channel_tail(key: &Key) -> String {
    format!("t{}:{}", letter(key.kind), key.name)
}

/// What is between the first brace that opens and the next that closes, if anything is; else all of it. As Redis does.
fn tag(name: &str) -> &str {
    let inner = name.split_once('{').and_then(|(_, rest)| rest.split_once('}')).map(|(inner, _)| inner);
    inner.filter(|inner| !inner.is_empty()).unwrap_or(name)
}

/// The letter of a kind, never used for another.
pub(crate) fn letter(kind: Kind) -> char {
    match kind {
        Kind::Everybody => 'E',
        Kind::Instance => 'I',
        Kind::Connections => 'C',
        Kind::Room => 'R',
        Kind::RoomMetadata => 'M',
        Kind::Channel => 'H',
        Kind::Record => 'D',
        Kind::Presence => 'P',
        Kind::Bridge => 'B',
        // A kind that came later than this crate: better to fail when it is first used than to mix it up.
        other => unreachable!("{other:?} has no letter"),
    }
}

/// The kind of a letter.
pub(crate) fn kind(letter: &str) -> Option<Kind> {
    Some(match letter {
        "E" => Kind::Everybody,
        "I" => Kind::Instance,
        "C" => Kind::Connections,
        "R" => Kind::Room,
        "M" => Kind::RoomMetadata,
        "H" => Kind::Channel,
        "D" => Kind::Record,
        "P" => Kind::Presence,
        "B" => Kind::Bridge,
        _ => return None,
    })
}

/// The two ends of a range of names that begin with `prefix` and come after `after`, as ZRANGEBYLEX takes them. No name
/// holds the byte 255, as it is in no UTF-8.
pub(crate) fn range(prefix: &str, after: Option<&str>) -> (Vec<u8>, Vec<u8>) {
    let from = match after {
        Some(after) if after >= prefix => format!("({after}"),
        _ => format!("[{prefix}"),
    };
    let to = [b"(", prefix.as_bytes(), &[0xff]].concat();
    (from.into_bytes(), to)
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 8] = [
        Kind::Everybody,
        Kind::Instance,
        Kind::Connections,
        Kind::Room,
        Kind::RoomMetadata,
        Kind::Channel,
        Kind::Record,
        Kind::Presence,
    ];

    #[test]
    fn a_letter_leads_back_to_its_kind() {
        for of in KINDS {
            assert_eq!(kind(&letter(of).to_string()), Some(of));
        }
        assert_eq!(kind(""), None);
        assert_eq!(kind("RR"), None);
    }

    #[test]
    fn no_name_reaches_another_shard_or_kind() {
        let keys = Keys::new(Some("app"), CLUSTER_SHARDS);
        for name in ["{1}", "}", "a:lH:b", "alive", "\0", "\r\n"] {
            for of in KINDS {
                let key = Key::new(of, name);
                let start = format!("mesh:1:app:{{{}}}:t{}:", keys.shard(&key), letter(of));
                assert_eq!(keys.channel(&key), format!("{start}{name}"));
            }
        }
    }

    #[test]
    fn a_bridge_has_the_channel_of_its_name_and_leads_to_nothing_of_ours() {
        let keys = Keys::new(None, 1);
        assert_eq!(keys.channel(&Key::new(Kind::Bridge, "news")), "news");
        for of in KINDS {
            assert!(!is_foreign(&keys.channel(&Key::new(of, "news"))));
        }
        assert!(
            !is_foreign("__keyspace@0__:news") && !is_foreign("__sentinel__:hello") && is_foreign("a:mesh:")
        );
    }

    #[test]
    fn what_belongs_to_one_name_is_in_one_shard() {
        let keys = Keys::new(None, CLUSTER_SHARDS);
        let mut used = std::collections::BTreeSet::new();
        for number in 0..1000 {
            let shards = KINDS.map(|of| keys.shard(&Key::new(of, number.to_string())));
            assert!(shards.iter().all(|shard| *shard == shards[0]));
            used.insert(shards[0]);
        }
        assert_eq!(used.len(), usize::from(CLUSTER_SHARDS), "every shard is used");
    }

    #[test]
    fn names_with_the_same_tag_are_in_one_shard() {
        let keys = Keys::new(None, CLUSTER_SHARDS);
        let shard = |name: &str| keys.shard(&Key::new(Kind::Record, name));
        for name in ["{order 7}:items", "total of {order 7}", "{order 7}{x}", "{order 7}", "}{order 7}}"] {
            assert_eq!(shard(name), shard("order 7"), "{name}");
        }
        for name in ["{}order 7", "{order 7", "order 7}", "{", "}{", ""] {
            assert_eq!(tag(name), name);
        }
    }

    #[test]
    fn a_channel_is_found_beside_another() {
        let keys = Keys::new(Some("app"), CLUSTER_SHARDS);
        let (one, other) = (Key::new(Kind::Record, "{a}:tD:{a}"), Key::new(Kind::Room, "{a}"));
        let found = Keys::channel_beside(&keys.channel(&one), &one, &channel_tail(&other));
        assert_eq!(found, keys.channel(&other));
    }

    #[test]
    fn a_range_begins_behind_what_was_seen() {
        assert_eq!(range("a", None), (b"[a".to_vec(), b"(a\xff".to_vec()));
        assert_eq!(range("a", Some("a")), (b"(a".to_vec(), b"(a\xff".to_vec()));
        assert_eq!(range("p", Some("a")), (b"[p".to_vec(), b"(p\xff".to_vec()));
    }
}
