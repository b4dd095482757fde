//! Every time span of the protocol, and the few formulas for them.

use std::time::Duration;

use crate::values::{Rng, limits};

/// Up to this many nodes all answer a question to all, and all ask a peer that they are told of.
pub(crate) const FEW: usize = 40;

/// In larger groups, how many answer on average when first asked.
pub(crate) const ANSWERERS: u64 = 6;

/// Each answerer adds this much to the time over which answers are spread. Checking and signing
/// takes a slow host some 200 µs, so the asker keeps up.
pub(crate) const ANSWER_SPACING: Duration = Duration::from_micros(100);

/// Nodes of a small group announce themselves this often.
const ANNOUNCE: Duration = Duration::from_secs(2);

/// A node announces itself again within this time when somebody new has come, so that the
/// newcomer soon knows how it hears whom. Also the least time between two announcements, but for
/// changes of one's own.
const ANNOUNCE_SOON: Duration = Duration::from_secs(1);

/// Changes of one's own are announced at most this often.
pub(crate) const CHANGE_SPACING: Duration = Duration::from_millis(200);

/// Looks at every peer's silence this often while one of them is suspect. Otherwise it waits until
/// one may be, but not longer than [`review_quiet`]: a host with a battery is not woken for nothing.
pub(crate) const REVIEW: Duration = Duration::from_millis(250);
pub(crate) const REVIEW_QUIET: Duration = Duration::from_secs(2);

/// When a node that starts asks the group, counted from its start. The first question may be lost,
/// and its link may not carry anything yet.
pub(crate) const HELLOS: [Duration; 6] = [
    Duration::ZERO,
    Duration::from_millis(20),
    Duration::from_millis(60),
    Duration::from_millis(140),
    Duration::from_millis(300),
    Duration::from_millis(620),
];

/// When nobody has answered by then, addresses are tried at which somebody may be: so many at once,
/// and as many after each pause.
pub(crate) const HINTS_AFTER: Duration = Duration::from_millis(250);
pub(crate) const HINTS_AT_ONCE: usize = 8;
pub(crate) const HINTS_PAUSE: Duration = Duration::from_millis(25);
const HINTS_TIME: u128 = HINTS_PAUSE.as_millis() * (limits::HINTS / HINTS_AT_ONCE) as u128;
const _: () = assert!(HINTS_AFTER.as_millis() + HINTS_TIME < ALONE.as_millis());

/// A node that nobody has answered by then is alone.
pub(crate) const ALONE: Duration = Duration::from_secs(1);

/// What a node knows by then is all that it will know at first.
pub(crate) const SETTLE: Duration = Duration::from_millis(1_500);

/// Beyond the spread of the answers, the time that the slowest of them may take.
pub(crate) const ANSWER_GRACE: Duration = Duration::from_millis(5);

/// A question to all that came by IPv6 is answered so much later: from an asker that has both versions
/// of IP, the copy by IPv4 comes meanwhile, and is the one that is answered.
pub(crate) const OTHER_COPY: Duration = Duration::from_millis(2);
const _: () = assert!(OTHER_COPY.as_micros() * 2 < ANSWER_GRACE.as_micros());

/// An address of IPv4 is preferred to one of IPv6 until the peer has been heard by the other one only
/// for this long: two announcements of a small group may be lost.
pub(crate) const IPV4_LEAD: Duration = Duration::from_secs(5);

/// A node that has not settled yet answers so much later: it should know by then.
pub(crate) const UNDECIDED: Duration = Duration::from_millis(12);

/// A visitor waits this long for what had no room in the first answers.
pub(crate) const REST: Duration = Duration::from_millis(600);

/// It asks for that again after this time, until all has come: where a fifth of all datagrams is
/// lost, some parts of a long list are lost several times.
pub(crate) const REST_RETRY: Duration = Duration::from_millis(60);

/// Between one question for the roster and the next, doubling up to the most.
pub(crate) const PULL_RETRY: Duration = Duration::from_millis(15);
const PULL_RETRY_MOST: Duration = Duration::from_millis(240);

/// Between one question to a peer that was told of and the next, doubling up to the most; and how many. In a large
/// group only those are asked who are watched, nobody waits for it, and each has three: where a fifth of all datagrams
/// is lost, six in a row fail once in 460 times, nine once in 10,000.
const TOLD_RETRY: Duration = Duration::from_millis(15);
const TOLD_RETRY_MOST: Duration = Duration::from_millis(480);
pub(crate) const TOLD_TRIES: u8 = 6;
const TOLD_TRIES_OF_MANY: u8 = 9;

/// A peer that was told of and has answered none of the questions is not taken up again by hearsay
/// for this long. Its own word brings it back at any time.
pub(crate) const TOLD_AGAIN: Duration = Duration::from_secs(10);

/// A peer that was told of, was not asked and is heard by nobody is forgotten after this time, or later
/// where everybody announces itself seldom ([`told_patience`]).
const TOLD_FORGET: Duration = Duration::from_secs(30);

/// So many others watch each node.
pub(crate) const WATCHERS: usize = 3;

/// Up to this many nodes each is asked twice between two announcements, and all of it is less than 20
/// datagrams a second. Where they are more, it is asked once.
const VERY_FEW: usize = 7;

/// A peer that was silent for so long is asked by the first of its watchers.
pub(crate) const WATCH: Duration = Duration::from_millis(1_200);
const WATCH_VERY_FEW: Duration = Duration::from_millis(750);

/// The same for the other watchers, in case that the first has crashed as well: where announcements come
/// often, only when one is missing.
const WATCH_AFTER_ANOTHER: Duration = Duration::from_millis(1_800);
const WATCH_AFTER_MISSING: Duration = Duration::from_millis(2_400);

/// Where announcements are rare, each watcher asks so often: together they ask about once a second.
const TURN: Duration = Duration::from_millis(2_400);

/// So long after another watcher a peer is asked at least, and at most.
const TURN_APART: Duration = Duration::from_millis(600);
const TURN_ALONE: Duration = Duration::from_millis(1_200);
const _: () = assert!(TURN_APART.as_millis() * WATCHERS as u128 <= TURN.as_millis());
const _: () = assert!(TURN_ALONE.as_millis() * 2 >= TURN.as_millis());

/// A peer that is heard and does not hear this node is asked only after this silence.
pub(crate) const WATCH_ONE_WAY: Duration = Duration::from_secs(3);

/// A peer that does not answer itself, and of whom others tell by its own signature that it is there, is asked
/// again so long after that was found.
pub(crate) const ONE_WAY_AGAIN: Duration = Duration::from_secs(5);

/// A watcher asks so much later at most, with whatever wakes it before.
pub(crate) const WATCH_SLACK: Duration = Duration::from_millis(200);

/// Between one question to a peer that does not answer and the next; longer where the round trip is.
const PROBE_AGAIN: Duration = Duration::from_millis(160);
const PROBE_AGAIN_MOST: Duration = Duration::from_secs(1);

/// After so many questions without an answer it is suspect; three of them are put by others as well. Where a
/// fifth of all datagrams is lost, one in 20,000 that are asked is taken for suspect wrongly.
pub(crate) const PROBES: u8 = 5;

/// So many others are asked at a time to ask it.
pub(crate) const RELAYS: usize = 3;

/// How long a peer may refute that it is dead, if [`WATCHERS`] say so, and how much longer if only one does.
/// Who is asked more often has as much more time: a cable may be out for three seconds there.
const SUSPECT: Duration = Duration::from_millis(1_400);
const SUSPECT_VERY_FEW: Duration = Duration::from_millis(2_200);
const SUSPECT_BY_ONE: Duration = Duration::from_millis(400);

/// An accusation is repeated after this time, so with each further question, as long as no more than so many are being
/// asked. Where a fifth is lost and two watchers say it seven times, one of 80,000 misses all, and ten thousand hosts of
/// which a hundred crash are a million pairs; with 13 times it is one of a thousand million. When a LAN falls apart,
/// once has to do.
pub(crate) const ACCUSE_AGAIN: Duration = Duration::from_millis(140);
const _: () = assert!(ACCUSE_AGAIN.as_millis() < PROBE_AGAIN.as_millis());
pub(crate) const ACCUSED_AT_ONCE: usize = 256;

/// Who is accused announces itself so often more: where a fifth is lost, hardly anybody misses all of it.
pub(crate) const REFUTE_AGAIN: u8 = 2;

/// Who hears an accusation asks the accused itself after this time, and up to that much later: most are
/// refuted before. In a large group it waits whether others accuse it, too.
pub(crate) const CHECK_AFTER: Duration = Duration::from_millis(100);
pub(crate) const CHECK_AFTER_OTHERS: Duration = Duration::from_millis(900);

/// Nobody is given up before so many questions of this node's own went unanswered; more where only one host
/// says so in a large group, and none where several do.
pub(crate) const CHECKS: u8 = 3;
pub(crate) const CHECKS_ALONE: u8 = 8;

/// A node that is woken so much later than it wanted to be is busy; or it stood still.
pub(crate) const LATE: Duration = Duration::from_millis(250);
pub(crate) const STOOD_STILL: Duration = Duration::from_secs(1);

/// A goodbye is repeated by others after this time, and up to so much later.
pub(crate) const FAREWELL: Duration = Duration::from_millis(50);
pub(crate) const FAREWELL_SPREAD: Duration = Duration::from_millis(450);

/// Who asked this node through others was heard if its own probe came within this time.
pub(crate) const PROBED_LATELY: Duration = Duration::from_secs(4);

/// A node of a large group that has heard nobody for this time announces itself as often as in a small
/// one: it may be deaf, and then nothing else shows that it is there.
pub(crate) const DEAF_TO_ALL: Duration = Duration::from_millis(1_500);

/// Between one new beginning after a change of links and the next, doubling up to [`FLAP_MOST`] while
/// they change again within [`FLAP_QUIET`].
pub(crate) const FLAP_LEAST: Duration = Duration::from_millis(500);
pub(crate) const FLAP_MOST: Duration = Duration::from_secs(8);
pub(crate) const FLAP_QUIET: Duration = Duration::from_secs(10);

/// It also waits until they have not changed for this time, but not longer than [`FLAP_MOST`]: what is
/// asked while a cable is out is asked in vain.
pub(crate) const FLAP_SETTLE: Duration = Duration::from_millis(300);

/// A seed at which nobody is heard is asked this often; and this often if nobody is known at all.
pub(crate) const SEED_RETRY: Duration = Duration::from_secs(5);
pub(crate) const SEED_RETRY_ALONE: Duration = Duration::from_secs(1);

/// Two rosters whose difference could not be resolved are not compared again for this long.
pub(crate) const COMPARE_AGAIN: Duration = Duration::from_secs(60);

/// Rosters that differ for this long are compared, and so is what is known of logs.
pub(crate) const COMPARE: Duration = Duration::from_secs(1);

/// Who has been [`ISOLATED`] compares logs within this time of hearing somebody again: it is the one
/// that has missed something, and need not see whether the difference lasts.
pub(crate) const COMPARE_SOON: Duration = Duration::from_millis(50);

/// A list of logs that does not come is asked for again after this time, doubling, so often in all.
const COMPARE_RETRY: Duration = Duration::from_millis(100);
pub(crate) const COMPARE_TRIES: u8 = 4;

/// The timeouts of a datagram of a direct message, doubling from the least to the most, and how many
/// pass before the message is given up: where two fifths of all datagrams are lost, a round trip
/// fails 16 times in a row once in 1,200 times. A peer that is gone is given up after 6.75 to 8 s.
pub(crate) const TELL_RETRY: Duration = Duration::from_millis(50);
pub(crate) const TELL_RETRY_MOST: Duration = Duration::from_millis(500);
pub(crate) const TELL_TRIES: u8 = 16;
const _: () = {
    let longest = TELL_RETRY_MOST.as_millis() * TELL_TRIES as u128;
    assert!(longest < limits::ASSEMBLY_TIME.as_millis());
};

/// A question goes to so many peers at once, to as many others after this pause, and so on: the
/// answers of many come spread as the questions were, and the asker keeps up with them.
pub(crate) const ASK_AT_ONCE: usize = 16;
pub(crate) const ASK_PAUSE: Duration = Duration::from_millis(8);

/// A peer that is heard by multicast again is asked for copies for this long. A switch that
/// forgot who listens learns it group by group, over the time that members have to answer its
/// query (RFC 3376 §8.3: 10 s), so hearing the announcements does not mean hearing the channels.
pub(crate) const MULTICAST_BACK: Duration = Duration::from_secs(10);

/// A node that hardly hears anybody by multicast joins its groups anew this long after the last
/// time, then after twice as long, and so on up to [`REJOIN_MOST`]: its switch may have forgotten
/// it, and would ask only after minutes (RFC 3376 §8.2: 125 s), or never where nobody queries.
pub(crate) const REJOIN: Duration = Duration::from_secs(15);
pub(crate) const REJOIN_MOST: Duration = Duration::from_secs(120);

/// The same when something has changed. Within [`MULTICAST_BACK`], so that a group that is still
/// missing when the first one comes back is joined anew while copies still come.
pub(crate) const REJOIN_SOON: Duration = Duration::from_secs(5);
const _: () = assert!(REJOIN_SOON.as_secs() < MULTICAST_BACK.as_secs());

/// The number of an author's last message is said again so long after it was said, and then after
/// twice as long, and so on ([`remind`]).
const HEADS: [Duration; 3] =
    [Duration::from_millis(20), Duration::from_millis(100), Duration::from_millis(500)];

/// A gap is not asked for before this time: what seems to be missing may have been overtaken.
const OVERTAKEN: Duration = Duration::from_micros(500);

/// Over this time, for each doubling of the number of listeners, the first requests are spread: some
/// three times what a datagram takes to all of them, so that most hear the first one in time.
const REQUEST_SPREAD: Duration = Duration::from_micros(1_200);

/// A request that brought nothing is repeated after this time, or longer where answers take longer;
/// after half as much more with each, up to [`ASK_AGAIN_MOST`].
pub(crate) const ASK_AGAIN: Duration = Duration::from_millis(12);
const ASK_AGAIN_MOST: Duration = Duration::from_millis(500);

/// A log is idle when nothing that was missing of it has come for this time.
pub(crate) const IDLE: Duration = Duration::from_secs(1);

/// The longest wait before the first repetition.
pub(crate) const PATIENCE_MOST: Duration = Duration::from_millis(250);

/// How long a node asks for nothing after it has noticed that there is more to be read.
pub(crate) const UNREAD: Duration = Duration::from_millis(5);

/// How long a node that can't keep up asks for less, after it was told so last.
pub(crate) const STRAIN: Duration = Duration::from_secs(1);

/// How much longer it waits before it asks again: what it asked for waits to be read.
pub(crate) const STRAINED: u32 = 8;

/// What has no room among the numbers that are asked for waits so long.
pub(crate) const ASK_LATER: Duration = Duration::from_millis(5);

/// Where nearly all entries are asked for, each is sent once more after this time. Longer than most
/// bursts of losses on a LAN, and less than [`ASK_AGAIN`], so that waiting for it costs no more than
/// a lost request.
pub(crate) const AGAIN: Duration = Duration::from_millis(10);
const _: () = assert!(AGAIN.as_micros() < ASK_AGAIN.as_micros());

/// The longest time for which an author is believed that an entry will come once more.
pub(crate) const AGAIN_MOST: Duration = Duration::from_millis(100);

/// What is asked for at all is asked for within this time.
pub(crate) const AGAIN_LEARN: Duration = Duration::from_millis(50);

/// What was asked for says nothing after so long a silence.
pub(crate) const AGAIN_FORGET: Duration = Duration::from_secs(10);

/// An entry that was sent again is not sent again for this time. Less than [`ASK_AGAIN`], so that
/// nobody asks in vain.
pub(crate) const REPAIR_HOLD: Duration = Duration::from_millis(8);
const _: () = assert!(REPAIR_HOLD.as_micros() < ASK_AGAIN.as_micros() * 3 / 4);

/// Who has asked the channel so often in vain asks somebody alone as well: multicast may not get
/// through to it any more, which shows only after [`deaf`].
pub(crate) const ALONE_AFTER: u8 = 3;

/// While the author is there, others send its entries only when they are asked for so often; or,
/// while it says more and more, so that it is only slow, so often.
pub(crate) const OTHERS_AFTER: u8 = 4;
pub(crate) const OTHERS_AT_LAST: u8 = 8;

/// An author that has said nothing new for this time may be dead.
pub(crate) const SILENT: Duration = Duration::from_millis(500);

/// An author who only passes through is taken for present so long after it was heard.
pub(crate) const PASSING: Duration = Duration::from_secs(2);

/// Each listener adds this much to the time over which receipts are spread.
const RECEIPT_SPACING: Duration = Duration::from_micros(100);

/// Who has sent no receipt is asked for it after this time, doubling.
pub(crate) const CONFIRM_AGAIN: Duration = Duration::from_millis(20);
pub(crate) const CONFIRM_AGAIN_MOST: Duration = Duration::from_secs(1);

/// Who has joined a channel asks after this time what was said before, then again after twice as
/// long, and so on; and how often.
pub(crate) const RECALL: Duration = Duration::from_millis(40);
pub(crate) const RECALL_TRIES: u8 = 6;
/// So many are asked at most whose answers bring nothing.
pub(crate) const TELLERS: usize = 3;

/// Who has been alone in a channel meets those who are there within this time, or most of them.
pub(crate) const MEETING: Duration = Duration::from_secs(5);

/// For so long at most it is found out where to begin with a log that is met so.
pub(crate) const UNTOLD: Duration = Duration::from_millis(2_500);

/// Its author is asked again after twice [`RECALL`], doubling up to this. Where an answer is late by more, it
/// would tell of what was said in the meantime as if it had been said before.
const UNTOLD_AGAIN_MOST: Duration = Duration::from_millis(640);

/// Pages that an answer to that has at most.
pub(crate) const PAGES: u32 = 32;

/// What is fetched of the past is asked for again after this time; it is shown when all has come, or
/// after [`FETCH`], or, while some of it comes, [`FETCH_MORE`] after the last.
pub(crate) const FETCH_AGAIN: Duration = Duration::from_millis(40);
pub(crate) const FETCH: Duration = Duration::from_secs(2);
pub(crate) const FETCH_MORE: Duration = Duration::from_millis(500);

/// A gap is given up when nothing of what is missing has come for this time, and at last after
/// [`GIVE_UP_AT_LAST`]. Longer than it takes to find out that its author is dead and to ask the
/// others.
pub(crate) const GIVE_UP: Duration = Duration::from_secs(8);
pub(crate) const GIVE_UP_AT_LAST: Duration = Duration::from_secs(60);

/// What an author says in a new run waits so long, at most, for what is missing of its earlier ones.
/// Longer than it takes to fetch that where it can be had; a stranger who tells of runs that never
/// were delays the first word of a run by no more.
pub(crate) const EARLIER: Duration = Duration::from_secs(2);

/// A node that has heard nobody for this time is alone, and gives no gap up.
pub(crate) const ISOLATED: Duration = Duration::from_secs(3);

/// Who has asked for nothing for this time misses nothing: longer than between two requests.
pub(crate) const BEHIND: Duration = Duration::from_millis(750);
const _: () = assert!(BEHIND.as_millis() > ASK_AGAIN_MOST.as_millis());

/// A listener that does not get on is waited for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// For so long it is remembered who asked for repairs last.
pub(crate) const ALONE_FOR: Duration = Duration::from_secs(2);

/// How often each node of a group of `size` announces itself: so that all of them together stay
/// below [`limits::ANNOUNCEMENTS`] (RFC 3550 §6.2 scales its reports the same way).
pub(crate) fn announce(size: usize) -> Duration {
    ANNOUNCE.max(Duration::from_secs(size as u64) / limits::ANNOUNCEMENTS)
}

/// How long it may take until every peer's silence is looked at again: of many, who are heard so seldom
/// that nothing is late for it, it is a long list.
pub(crate) fn review_quiet(size: usize) -> Duration {
    REVIEW_QUIET.max(announce(size) / 10)
}

/// When a node announces itself after somebody new has come.
pub(crate) fn announce_soon(size: usize) -> Duration {
    ANNOUNCE_SOON.max(Duration::from_secs(size as u64) / limits::ANNOUNCEMENTS)
}

/// So long after an author's last message its number is said again that was said again so many times.
/// In a large group announcements tell it so rarely that the last of a burst would not be as safe as the
/// first: of a thousand hosts that lose a fifth, one or two miss it and the first three reminders.
pub(crate) fn remind(reminded: usize, size: usize) -> Option<Duration> {
    if let Some(&at) = HEADS.get(reminded) {
        return Some(at);
    }
    let doubled = u32::try_from(reminded - (HEADS.len() - 1)).ok()?;
    let at = HEADS[HEADS.len() - 1].checked_mul(1_u32.checked_shl(doubled)?)?;
    (at < announce(size) / 2).then_some(at)
}

/// A silence after which a peer is asked: three announcements in a row are missing, the last of
/// which may be a tenth late. If it does not answer at once, it is suspect.
pub(crate) fn suspect(size: usize) -> Duration {
    announce(size) * 33 / 10
}

/// One of whom others only tell is not told on when nobody has heard it for so long.
pub(crate) fn told_patience(size: usize) -> Duration {
    TOLD_FORGET.max(suspect(size))
}

/// A silence after which the watcher of this rank asks a peer.
pub(crate) fn watch(rank: usize, size: usize) -> Duration {
    match rank {
        0 if size <= VERY_FEW => WATCH_VERY_FEW,
        0 => WATCH,
        _ if take_turns(size) => WATCH_AFTER_ANOTHER,
        _ => WATCH_AFTER_MISSING,
    }
}

/// Whether those who watch a peer ask it in turn.
pub(crate) fn take_turns(size: usize) -> bool {
    announce(size) > ANNOUNCE
}

/// So long after it asked a peer its turn comes again for a node, if another had asked the peer so long `ago`. Half of
/// what is too short or too long is made good, by an eighth of a turn at most: who shifts all at once chases others.
pub(crate) fn turn(ago: Option<Duration>) -> Duration {
    let ago = ago.unwrap_or(TURN);
    let later = TURN_APART.saturating_sub(ago) / 2;
    let sooner = ago.saturating_sub(TURN_ALONE) / 2;
    (TURN + later.min(TURN / 8)).saturating_sub(sooner.min(TURN / 8))
}

/// How often a peer that was told of is asked in a group of `size`.
pub(crate) fn told_tries(size: usize) -> u8 {
    if size > FEW { TOLD_TRIES_OF_MANY } else { TOLD_TRIES }
}

/// When a peer that was told of is asked again that was asked so many times before this one.
pub(crate) fn told_again(asked: u8) -> Duration {
    (TOLD_RETRY * (1 << asked.min(8))).min(TOLD_RETRY_MOST)
}

/// When a roster is asked for again that was asked for again so many times already, this one included.
pub(crate) fn pull_again(tries: u8) -> Duration {
    (PULL_RETRY * (1 << tries.min(8))).min(PULL_RETRY_MOST)
}

/// When a peer that has not answered is asked again.
pub(crate) fn probe_again(rtt: Option<Duration>) -> Duration {
    (rtt.unwrap_or_default() * 3).clamp(PROBE_AGAIN, PROBE_AGAIN_MOST)
}

/// How long a peer may refute that it is dead, when so many hosts say so: the more, the shorter, and the
/// first that confirm it count most (Lifeguard §3.2).
pub(crate) fn suspicion(accusers: usize, size: usize) -> Duration {
    let confirmed = accusers.clamp(1, WATCHERS) as f64;
    let share = confirmed.ln() / (WATCHERS as f64).ln();
    let least = if size <= VERY_FEW { SUSPECT_VERY_FEW } else { SUSPECT };
    least + SUSPECT_BY_ONE.mul_f64(1.0 - share)
}

/// How often a node announces itself that hears nobody.
pub(crate) const ANNOUNCE_DEAF: Duration = ANNOUNCE_SOON;

/// A peer from which no multicast was heard for so long, though it is there, is not heard by
/// multicast.
///
/// Four announcements in a row are missing: with fewer, a lossy LAN is full of mistakes, each of
/// which costs some datagrams. Where a fifth is lost, that befalls one announcement in 780 of each
/// peer (0.8 · 0.2⁴): ten hosts make such a mistake every 17 s, and it ends with the next announcement
/// that comes. So the user is not told of it before it is sure, see [`MISSED_COPIES`] and
/// [`deaf_surely`].
pub(crate) fn deaf(size: usize) -> Duration {
    announce(size) * 9 / 2
}

/// After so long a silence it is sure even if nothing else speaks for it: seven announcements in a row
/// are missing. Where a fifth is lost, that befalls one in 98,000 of each peer (0.8 · 0.2⁷), among ten hosts once in
/// 36 minutes; in groups up to [`FEW`] not even that, since the peer has announced itself more often by then.
pub(crate) fn deaf_surely(size: usize) -> Duration {
    announce(size) * 77 / 10
}

/// The same is sure at once when so many copies have come of further announcements that did not come by
/// multicast. The peer announces itself so often more, [`CHANGE_SPACING`] apart, when it is told that it is
/// not heard: that makes eight that are missing (one in 490,000: 0.8 · 0.2⁸), and takes a second instead of
/// six. In the simulator ten hosts that lose a fifth said nothing wrong in three hours, and without this 36
/// times in three minutes.
pub(crate) const MISSED_COPIES: u8 = 4;

/// Who says again after this time that it does not hear a node has missed those as well.
pub(crate) const INSIST: Duration = Duration::from_millis(900);
const _: () = assert!(INSIST.as_millis() > CHANGE_SPACING.as_millis() * MISSED_COPIES as u128);

/// If so many announcements of all peers together are missing, at least two of each, and nothing else came by multicast,
/// though the peers are there, none of them is heard so. Where a fifth is lost, that is not even once in 390,000
/// announcements (0.2⁸); among five hosts and more it is seen after half the time that one peer alone takes.
const DEAF_TO_GROUPS: usize = 8;

/// After so long a silence of `peers` who were all heard by multicast it is not them.
pub(crate) fn deaf_to_groups(peers: usize, size: usize) -> Duration {
    latest(size) * DEAF_TO_GROUPS.div_ceil(peers.max(1)).max(2) as u32
}

/// The longest time between two announcements.
pub(crate) fn latest(size: usize) -> Duration {
    announce(size) * 11 / 10
}

/// The same for a peer that has never been heard by multicast.
pub(crate) fn deaf_at_first(size: usize) -> Duration {
    announce_soon(size) * 3
}

/// A wish for copies holds for this long, unless it is renewed with the next announcement.
pub(crate) fn copies(size: usize) -> Duration {
    announce(size) * 5
}

/// How long an author that was asked `tries` times where its log was is left alone.
pub(crate) fn untold_again(tries: u8) -> Duration {
    (RECALL * (2 << tries.min(6))).min(UNTOLD_AGAIN_MOST)
}

/// When a list of logs is asked for again that was asked for `tries` times.
pub(crate) fn compare_again(tries: u8) -> Option<Duration> {
    (tries < COMPARE_TRIES).then(|| COMPARE_RETRY * (1 << (tries - 1)))
}

/// A random delay up to `most`, of which late moments are likelier than early ones, so that among
/// `listeners` few come first (RFC 5401 §5.1: truncated exponential distribution, with its
/// λ = ln(listeners) + 1).
pub(crate) fn backoff(most: Duration, listeners: usize, rng: &mut Rng) -> Duration {
    let lambda = (listeners.max(1) as f64).ln() + 1.0;
    let uniform = rng.below(1 << 32) as f64 / (1_u64 << 32) as f64;
    let x = (uniform * (lambda.exp() - 1.0) + 1.0).ln() / lambda;
    Duration::from_micros((most.as_micros() as f64 * x) as u64)
}

/// Over which time `listeners` spread what all of them might want to send.
pub(crate) fn request_spread(listeners: usize) -> Duration {
    REQUEST_SPREAD * listeners.max(1).ilog2()
}

/// Over which time receipts are spread in a channel of so many listeners.
pub(crate) fn receipt_spread(listeners: usize) -> Duration {
    RECEIPT_SPACING * listeners.saturating_sub(1).min(100_000) as u32
}

/// When a gap that became known just now is asked for, in a channel of so many listeners.
pub(crate) fn first_request(listeners: usize, rng: &mut Rng) -> Duration {
    OVERTAKEN + backoff(request_spread(listeners), listeners, rng)
}

/// How many requests of others for the same are as good as a node's own, in a channel of so many
/// listeners: no more than may honestly be sent before a repair comes, whoever sends them.
pub(crate) fn heard_asking(listeners: usize) -> u8 {
    (3 + listeners / 16).min(64) as u8
}

/// When a gap is asked for again that was asked for `tries` times.
pub(crate) fn ask_again(
    tries: u8,
    rtt: Option<Duration>,
    listeners: usize,
    (patience, strained): (Duration, bool),
    rng: &mut Rng,
) -> Duration {
    let least = (patience + rtt.unwrap_or_default() * 4) * if strained { STRAINED } else { 1 };
    let factor = 1.5_f64.powi(i32::from(tries.clamp(1, 12)) - 1);
    let wait = least.mul_f64(factor).min(ASK_AGAIN_MOST);
    // The random part keeps those apart who heard the same request.
    wait * 3 / 4 + rng.up_to(wait / 4) + backoff(request_spread(listeners), listeners, rng)
}
