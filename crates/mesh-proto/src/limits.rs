//! Every bound there is, in one place: its name says the unit, its value is the default.

use std::time::Duration;

/// Bytes of a room's, channel's, record's or command's name.
pub const NAME_BYTES_MAX: usize = 255;
/// Bytes of a request's `id`, as written.
pub const REQUEST_ID_BYTES_MAX: usize = 64;

/// Bytes of a writer's own mark of one write.
pub const TXN_BYTES_MAX: usize = 64;

/// The bounds of a server. `Limits::default()` is what a server runs with unless it is told otherwise.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Limits {
    /// Bytes of one message from a client (256 KiB). Over it: close 1009, before the bytes are kept.
    pub message_bytes_max: usize,
    /// WebSocket fragments of one message (1,024). Over it: close 1009.
    pub fragments_max: usize,
    /// Brackets around the innermost value of a message (64). Over it: `bad_payload`.
    pub depth_max: usize,
    /// Members of all objects of a message together (10,000). Over it: `bad_payload`.
    pub members_max: usize,
    /// Bytes of the first frame of a hello client (4 KiB). Over it: close `hello_expected`.
    pub hello_bytes_max: usize,
    /// Bad frames within [`bad_frames_window`](Self::bad_frames_window) (100). Over it: close `bad_frames`.
    pub bad_frames_max: u32,
    /// The window of [`bad_frames_max`](Self::bad_frames_max) (10 s).
    pub bad_frames_window: Duration,

    /// Bytes that wait to be read by one client (1 MiB). Over it: close `slow_reader`. An empty outbox takes any one frame.
    pub outbox_bytes_max: usize,
    /// Commands of one connection that run at once (32). More of them wait.
    pub in_flight_max: usize,
    /// Commands of one connection that wait (1,024). Over it: `too_many_in_flight`.
    pub waiting_max: usize,
    /// Bytes of payloads of the commands that wait (256 KiB). Over it: `too_many_in_flight`.
    pub waiting_bytes_max: usize,
    /// Rooms that one connection is in (50). Over it: `too_large`.
    pub rooms_max: usize,
    /// Bytes of a connection's or a room's metadata as JSON (64 KiB). Over it: `too_large`.
    pub metadata_bytes_max: usize,
    /// Members named in the answer to a join (1,000); `count` tells how many there are.
    pub present_max: usize,
    /// Items of one page of a list (1,000).
    pub page_max: usize,

    /// Channels and records that one connection is subscribed to (1,000). Over it: `too_large`.
    pub subscriptions_max: usize,
    /// Bytes of a message that the server publishes on a channel, as JSON (256 KiB). Over it: `too_large`.
    pub publish_bytes_max: usize,
    /// Bytes of a record that a client writes, as JSON (256 KiB). Over it: `too_large`.
    pub client_record_bytes_max: usize,
    /// Bytes of a record that the server writes, as JSON (1 MiB). Over it: `too_large`.
    pub record_bytes_max: usize,
    /// Messages of a channel that one answer holds (1,000).
    pub history_page_max: usize,
    /// Bytes of messages of a channel that one answer holds (256 KiB), but for a single one that has more.
    pub history_bytes_max: usize,
    /// Messages that a subscriber that was away is given in all (10,000). Over it: a gap, `limit`.
    pub recover_max: u64,

    /// How long a handler may take (30 s). Over it: `timeout`, and the handler is dropped.
    pub command_timeout: Duration,
    /// How long a guard or the authenticator may take (5 s). Over it: refused.
    pub guard_timeout: Duration,
    /// How long `on_connect` may take before the connection's first command runs (5 s).
    pub on_connect_timeout: Duration,
    /// How long any one call to the backend may take (5 s). Over it: `unavailable`.
    pub backend_timeout: Duration,
    /// How long a client may take from its first byte to the end of its HTTP request (5 s), under `mesh.listen`.
    pub handshake_timeout: Duration,
    /// How long a hello client may take to say `mesh/hello` after the 101 (5 s).
    pub hello_timeout: Duration,
    /// How long a closed connection may take to read what it was still owed (5 s). Over it: reset.
    pub linger: Duration,

    /// Time between two pings (10 s).
    pub ping_interval: Duration,
    /// Pings in a row that may stay unanswered (1): with 1, a silent peer is closed on the third interval.
    pub max_missed_pongs: u32,
    /// Time between two measurements of latency (5 s).
    pub latency_interval: Duration,

    /// Bytes of publications that wait to be handed out on this instance (64 MiB). Over it: continuity is lost, and
    /// topics resynchronise.
    pub inbox_bytes_max: usize,
    /// How long an instance stays subscribed to a topic after its last local listener left (1 s), so that churn costs
    /// nothing.
    pub unsubscribe_linger: Duration,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            message_bytes_max: 256 * 1024,
            fragments_max: 1024,
            depth_max: 64,
            members_max: 10_000,
            hello_bytes_max: 4 * 1024,
            bad_frames_max: 100,
            bad_frames_window: Duration::from_secs(10),
            outbox_bytes_max: 1024 * 1024,
            in_flight_max: 32,
            waiting_max: 1024,
            waiting_bytes_max: 256 * 1024,
            rooms_max: 50,
            metadata_bytes_max: 64 * 1024,
            present_max: 1000,
            page_max: 1000,
            subscriptions_max: 1000,
            publish_bytes_max: 256 * 1024,
            client_record_bytes_max: 256 * 1024,
            record_bytes_max: 1024 * 1024,
            history_page_max: 1000,
            history_bytes_max: 256 * 1024,
            recover_max: 10_000,
            command_timeout: Duration::from_secs(30),
            guard_timeout: Duration::from_secs(5),
            on_connect_timeout: Duration::from_secs(5),
            backend_timeout: Duration::from_secs(5),
            handshake_timeout: Duration::from_secs(5),
            hello_timeout: Duration::from_secs(5),
            linger: Duration::from_secs(5),
            ping_interval: Duration::from_secs(10),
            max_missed_pongs: 1,
            latency_interval: Duration::from_secs(5),
            inbox_bytes_max: 64 * 1024 * 1024,
            unsubscribe_linger: Duration::from_secs(1),
        }
    }
}

/// The bounds of JSON patches. What [`diff`](crate::patch::diff) makes, [`apply`](crate::patch::apply) takes under the
/// same bounds.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct PatchLimits {
    /// Operations of one patch (1,000). Over it: an application's is refused, and ours says a larger part at once.
    pub ops_max: usize,
    /// Bytes of one path as written (4 KiB). Over it: as with [`ops_max`](Self::ops_max).
    pub path_bytes_max: usize,
    /// Names in one path, and brackets around the innermost value that an operation puts in place (64), so that what a
    /// patch makes can be read again. Over it: an application's is refused, and instead of ours the value is sent in full.
    pub depth_max: usize,
    /// JSON bytes that the `copy` operations of one patch add (256 KiB): each can double a document. Over it: refused.
    pub copy_bytes_max: usize,
    /// Cells of the search for what lists have in common (2,097,152), of 4 bytes each while it runs. One pair of lists
    /// takes at most half of what is left. Over it: their items are compared in order.
    pub cells_max: usize,
    /// Values looked at, and 16 bytes of text, or 4 items moved within a list, count as one (4,194,304). Over it: as with
    /// [`depth_max`](Self::depth_max).
    pub steps_max: usize,
}

impl Default for PatchLimits {
    fn default() -> Self {
        Self {
            ops_max: 1000,
            path_bytes_max: 4 * 1024,
            depth_max: 64,
            copy_bytes_max: 256 * 1024,
            cells_max: 2 * 1024 * 1024,
            steps_max: 4 * 1024 * 1024,
        }
    }
}
