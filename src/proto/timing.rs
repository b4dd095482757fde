//! Every time span of the protocol, and the few formulas for them: here those of announcing oneself, finding others and
//! hearing them; in `watching` those of finding out who is gone, in `arriving` those of what is said.

mod arriving;
mod watching;

use std::time::Duration;

pub(crate) use arriving::*;
pub(crate) use watching::*;

use crate::values::limits;

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

/// A goodbye is repeated by others after this time, and up to so much later.
pub(crate) const FAREWELL: Duration = Duration::from_millis(50);
pub(crate) const FAREWELL_SPREAD: Duration = Duration::from_millis(450);

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

/// A node that has heard nobody for this time is alone, and gives no gap up.
pub(crate) const ISOLATED: Duration = Duration::from_secs(3);

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

/// One of whom others only tell is not told on when nobody has heard it for so long.
pub(crate) fn told_patience(size: usize) -> Duration {
    TOLD_FORGET.max(suspect(size))
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
