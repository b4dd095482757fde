//! How soon it is found out who is gone.

use std::time::Duration;

use super::{ANNOUNCE, announce};

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

/// Who asked this node through others was heard if its own probe came within this time.
pub(crate) const PROBED_LATELY: Duration = Duration::from_secs(4);

/// A node of a large group that has heard nobody for this time announces itself as often as in a small
/// one: it may be deaf, and then nothing else shows that it is there.
pub(crate) const DEAF_TO_ALL: Duration = Duration::from_millis(1_500);

/// A silence after which a peer is asked: three announcements in a row are missing, the last of
/// which may be a tenth late. If it does not answer at once, it is suspect.
pub(crate) fn suspect(size: usize) -> Duration {
    announce(size) * 33 / 10
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
