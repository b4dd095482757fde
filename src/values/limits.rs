//! Every limit of the protocol and of a node, with its unit, in one place.
//!
//! Nothing a stranger sends makes anything grow past the numbers here. What happens at each limit
//! is written beside it; where something is refused or forgotten it is counted
//! (`proto::Counters`).

use std::time::Duration;

/// Bytes of the largest datagram sent or accepted. Below every common MTU (1,500 less headers and
/// tunnels), so that no datagram is ever fragmented: losing one frame never costs more than one
/// datagram. Longer ones are dropped and counted.
pub const DATAGRAM: usize = 1_200;

/// Bytes of the longest text that can be said, over all its parts. Longer ones are refused.
pub const TEXT: usize = 64 * 1024;

/// Bytes of the longest `data` that can go with a text, as JSON. Longer ones are refused.
pub const DATA: usize = 64 * 1024;

/// Levels to which arrays and objects may be nested in `data`.
pub const DATA_DEPTH: usize = 64;

/// Parts into which one message is cut at most: text and data, every byte of them escaped.
pub const PARTS: usize = 2_048;

/// Bytes of the longest nick. Longer ones are refused here, and make a datagram malformed.
pub const NICK: usize = 64;

/// Bytes of the longest host name, version, or "away" text.
pub const SHORT_TEXT: usize = 128;

/// Bytes of the longest channel name.
pub const CHANNEL_NAME: usize = 48;

/// Tags, and services, of one node.
pub const TAGS: usize = 16;

/// Bytes of all tags and services of one node, as JSON, so that they fit an announcement.
pub const TAG_BYTES: usize = 256;

/// Channels in which one node takes part. More are refused.
pub const CHANNELS: usize = 128;

/// Peers a node knows at most. Further ones are not taken up until others have gone. Each takes 152
/// bytes of a table that has little room to spare (1.6 MB for 10,000), and what it says of itself, which
/// is estimated at some 250 more.
pub const PEERS: usize = 16_384;

/// Peers a node remembers after they left or died, so that old announcements of theirs are
/// recognised. The oldest are forgotten first. Two hash maps of 2,048 places, seven eighths full, hold them.
pub const TOMBSTONES: usize = 3_584;

/// Addresses kept for one peer. The one heard least recently makes room.
pub const PATHS: usize = 8;

/// Gaps that one `want` names. The rest is asked for with the next.
pub const WANTED_SPANS: usize = 32;

/// Logs of authors who are gone that the members of a channel compare with each other: the latest.
pub const ORPHANS: usize = 64;

/// Requests for the past that are looked up at a time in what this node's user has kept.
pub const FETCHES: usize = 64;

/// Messages of the past that one node asks another for.
pub const RECALL: u32 = 1_000;

/// Numbers of the logs in which these are, at most: a long message takes one for each of its parts.
pub const RECALLED: u64 = 4_096;

/// Authors in channels whose sequence numbers are followed. Those heard least recently are
/// forgotten first.
pub const AUTHORS: usize = 8_192;

/// Intervals of missing numbers in one author's log. What would make one more is not taken, and
/// asked for when its turn comes.
pub const GAPS: usize = 512;

/// Bytes of one author's entries that wait for those before them. What has no room is asked for when
/// its turn comes.
pub const EARLY_OF_ONE: usize = 2 * 1024 * 1024;

/// The same of all authors.
pub const EARLY_BYTES: usize = 16 * 1024 * 1024;

/// Bytes of others' entries that are kept to be sent again. The oldest go first.
pub const STORE_BYTES: usize = 8 * 1024 * 1024;

/// Bytes of this node's own entries that are kept to be sent again. The oldest go first.
pub const OWN_STORE_BYTES: usize = 4 * 1024 * 1024;

/// Numbers of a log that are asked for at a time: what is sent again fits into the receive buffer
/// that a stock system grants.
pub const ASKED_AT_ONCE: u64 = 128;

/// How far back a log is followed that was known before; what is missing further back is reported as
/// a gap, in numbers.
pub const BACKLOG: u64 = 16_384;

/// How far back a log is followed that is met for the first time, by a node that has been in the
/// channel for a while, in numbers; unless it is known to be younger than that.
pub const CATCH_UP: u64 = 1_024;

/// Logs of which their authors are asked how far they went when this node came. Others are followed as if
/// nobody could be asked.
pub const UNTOLD: usize = 64;

/// Channels in which one node says something in one run. In more it is refused.
pub const OWN_LOGS: usize = 1_024;

/// Channels whose slowest listener is waited for.
pub const WINDOWS: usize = 256;

/// Listeners of one channel that are waited for.
pub const BEHIND: usize = 256;

/// Bytes that a listener may be behind before the author waits for it.
pub const WINDOW: u64 = 256 << 10;

/// Messages of which this node waits for receipts. For more none are asked.
pub const CONFIRMS: usize = 256;

/// Receipts that this node owes. Further ones are not sent; their authors ask again.
pub const RECEIPTS: usize = 1_024;

/// How long receipts are asked for at most.
pub const CONFIRM_TIME: Duration = Duration::from_secs(60);

/// Bytes that wait to be said before nothing more is taken from whoever speaks.
pub const OUTBOX: usize = 64 << 10;

/// Bytes of what has happened that wait for one who listens to a node (`node::Notices`). What has no
/// room is missed by that one, which is told how much.
pub const NOTICE_BYTES: usize = 16 * 1024 * 1024;

/// Entries of which it is remembered that they were sent again.
pub const REPAIRED: usize = 8_192;

/// Entries that wait to be sent once more, unasked. What has no room is sent once.
pub const REPEATS: usize = 1_024;

/// Entries of which it is watched whether they are asked for. Others are not counted.
pub const WATCHED: usize = 64;

/// Requests for repair that one node sends in a second for one log; [`ASK_BURST`] at once. What has no
/// room goes with the next.
pub const ASK_RATE: u32 = 100;

/// See [`ASK_RATE`].
pub const ASK_BURST: u32 = 20;

/// The same for all logs together of which nothing comes; [`IDLE_ASK_BURST`] at once.
pub const IDLE_ASK_RATE: u32 = 100;

/// See [`IDLE_ASK_RATE`].
pub const IDLE_ASK_BURST: u32 = 50;

/// Requests for repair that are read of one address in a second; [`WANT_BURST`] at once. Further
/// ones are dropped.
pub const WANT_RATE: u32 = 400;

/// See [`WANT_RATE`].
pub const WANT_BURST: u32 = 400;

/// Entries a second that one node sends again; [`REPAIR_BURST`] at once. Further ones have to be
/// asked for again.
pub const REPAIR_RATE: u32 = 2_000;

/// See [`REPAIR_RATE`].
pub const REPAIR_BURST: u32 = 1_000;

/// The same for one that asks.
pub const REPAIR_RATE_OF_ONE: u32 = 1_000;

/// See [`REPAIR_RATE_OF_ONE`].
pub const REPAIR_BURST_OF_ONE: u32 = 500;

/// Long messages to this node alone that are being put together at one time, and long messages of
/// `cast`. Of the author who has most, that makes room which has not grown for the longest time.
pub const ASSEMBLIES: usize = 256;

/// Bytes of all those messages. Of the author who has most, the same makes room.
pub const ASSEMBLY_BYTES: usize = 16 * 1024 * 1024;

/// How long the next part of a long message is waited for.
pub const ASSEMBLY_TIME: Duration = Duration::from_secs(10);

/// Unicast seeds (`--peer`).
pub const SEEDS: usize = 64;

/// Addresses that are tried because somebody may be there; and hosts that are remembered for it.
pub const HINTS: usize = 64;

/// Links that a node uses.
pub const LINKS: usize = 64;

/// Direct messages, in datagrams, that wait for their acknowledgement. More are refused.
pub const UNACKED: usize = 4_096;

/// Datagrams of one direct message that are on their way at a time; the others follow as these are
/// acknowledged, so that a long one does not push what others send out of the receiver's buffer.
pub const IN_FLIGHT: usize = 16;

/// Questions of this node's that wait for answers. More are refused.
pub const ASKED: usize = 64;

/// Others' questions that wait for this node's answer, and how many of one address. More are not
/// acknowledged: they are put again.
pub const QUESTIONS: usize = 1_024;

/// See [`QUESTIONS`].
pub const QUESTIONS_PER_HOST: usize = 64;

/// How long a question waits for an answer at most; then it is forgotten at both ends.
pub const QUESTION_TIME: Duration = Duration::from_secs(600);

/// Answers of one peer to one question. Further ones are neither sent nor taken.
pub const ANSWERS: u32 = 64;

/// Sources (addresses with ports) whose behaviour is remembered. Those heard least recently are
/// forgotten first.
pub const SOURCES: usize = 4_096;

/// Datagrams a second that cost work and are worth nothing (broken signatures, broken JSON) taken
/// from one source before its datagrams are dropped unread; [`BAD_BURST`] at once.
pub const BAD_RATE: u32 = 100;

/// See [`BAD_RATE`].
pub const BAD_BURST: u32 = 400;

/// Unsigned messages a second shown from one address, whatever its ports; [`UNSIGNED_BURST`] at
/// once. A node's `cast`
/// is not counted here.
pub const UNSIGNED_RATE: u32 = 20;

/// See [`UNSIGNED_RATE`].
pub const UNSIGNED_BURST: u32 = 100;

/// Peers a second that are taken up from one address, whatever their ports; [`NEWCOMER_BURST`] at
/// once. Further ones are not, until they announce themselves again.
pub const NEWCOMER_RATE: u32 = 4;

/// See [`NEWCOMER_RATE`].
pub const NEWCOMER_BURST: u32 = 64;

/// Addresses of which that is remembered. Half of them are surely remembered; who has that many fills
/// the table of [`PEERS`] at once.
pub const NEWCOMER_SOURCES: usize = 2 * PEERS / NEWCOMER_BURST as usize;

/// Bytes a second that one node says in channels, beyond [`SAY_BURST`]: some 16 Mbit/s of a LAN, and
/// a third of what a slow host can check and keep. `cast` is not held to it.
pub const SAY_RATE: u64 = 2_000_000;

/// The same where one of its links is a radio: multicast goes out there at one of the lowest rates
/// (IEEE 802.11: a basic rate, often 1 to 6 Mbit/s), and nobody else can send meanwhile.
pub const SAY_RATE_WIRELESS: u64 = 100_000;

/// Bytes that it says at once: they fit into the receive buffer that a stock system grants.
pub const SAY_BURST: u64 = 128 << 10;

/// Answers a second that one node gives to all who ask; [`ANSWER_BURST`] at once. Further
/// questions are not answered; they are asked again.
pub const ANSWER_RATE: u32 = 2_000;

/// See [`ANSWER_RATE`].
pub const ANSWER_BURST: u32 = 2_000;

/// Answers that wait for their moment. Further questions are not answered; they are asked again.
pub const ANSWERS_WAITING: usize = 1_024;

/// Announcements a second that all nodes of a LAN together make when nothing happens.
pub const ANNOUNCEMENTS: u32 = 50;

/// Bytes to which a question by multicast is padded, so that the answer to an address that has
/// not proven itself need not be longer than the question (RFC 9000 §8 does the same).
pub const QUESTION: usize = 640;

/// Bytes to which a datagram that asks for receipts is padded, so that a receipt is not longer.
pub const CONFIRM: usize = 400;

/// Bytes to which a probe that passes through another is padded, so that the answers to it, one of them
/// signed, are not longer.
pub const PROBE_FOR_ANOTHER: usize = 330;

/// Peers that are suspect, or asked whether they are there, at a time. Further ones are found out by
/// their silence.
pub const CHECKS: usize = 4_096;

/// Goodbyes of others that may have to be repeated, for half a second.
pub const FAREWELLS: usize = 1_024;

/// Accusations of one accuser that count at a time. Who watches three accuses few.
pub const ACCUSED_BY_ONE: usize = 8;

/// How far an accuser may be from the accused on the ring (`proto::ring`): it watches the next few, and
/// no two nodes know quite the same ring.
pub const ACCUSERS_REACH: usize = 16;

/// Probes a second that one node answers to addresses at which it knows nobody, and as many for all that
/// it passes on for others; [`PROBE_BURST`] at once.
pub const PROBE_RATE: u32 = 50;

/// See [`PROBE_RATE`].
pub const PROBE_BURST: u32 = 200;

/// Peers that are remembered for having been said to be dead though they were never heard. The least recent makes
/// room: it may be told of once more, as one that is there.
pub const DEAD_UNHEARD: usize = 1_024;

/// Probes that it has passed on and to which the answer is awaited. The oldest makes room.
pub const PASSED_ON: usize = 256;

const _: () = assert!(QUESTION <= DATAGRAM);
const _: () = assert!(TEXT + DATA < NOTICE_BYTES);
const _: () = assert!(2 * WINDOW <= OWN_STORE_BYTES as u64);
const _: () = assert!(NICK + 2 * SHORT_TEXT + TAG_BYTES < QUESTION);
const _: () = assert!(TOMBSTONES <= PEERS);
