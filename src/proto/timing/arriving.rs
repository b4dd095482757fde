//! How soon what was said arrives: repairs, receipts, direct messages, and what was said before.

use std::time::Duration;

use super::announce;
use crate::values::{Rng, limits};

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

/// Who has asked for nothing for this time misses nothing: longer than between two requests.
pub(crate) const BEHIND: Duration = Duration::from_millis(750);
const _: () = assert!(BEHIND.as_millis() > ASK_AGAIN_MOST.as_millis());

/// A listener that does not get on is waited for so long.
pub(crate) const PATIENCE: Duration = Duration::from_secs(3);

/// For so long it is remembered who asked for repairs last.
pub(crate) const ALONE_FOR: Duration = Duration::from_secs(2);

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
