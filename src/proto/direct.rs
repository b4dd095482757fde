//! Messages to one peer on their way: repeated until acknowledged or given up.
//!
//! Of a message in many datagrams only some are on their way at a time: few at first, one more with
//! each acknowledgement (at most [`limits::IN_FLIGHT`]), half as many when one is lost, as in RFC
//! 5681; without that, thirty hosts with much to say to one would bury it under repetitions.
//!
//! ```text
//!            turn                   acknowledged
//!   queued ───────▶ on its way ───────────────────▶ gone
//!     ▲              │   ▲  │ three sent later were acknowledged, or its timeout has passed
//!     └──────────────┘   └──┘
//!      the window is full   sent again
//! ```
//!
//! A message is given up when [`timing::TELL_TRIES`] timeouts of a datagram have passed and nothing
//! of the message was acknowledged meanwhile: as long as a peer acknowledges, it is there.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use super::event::{Destination, TellError};
use super::rto::Rto;
use super::timing;
use crate::values::{Epoch, Instant, NodeId, limits, order};
use crate::wire::Sender;

/// What a message is, to whoever wants to know what becomes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Parcel {
    /// Something told, with the user's ticket.
    Told(u64),
    /// A question, by its number, to this peer.
    Question(u64, NodeId),
    /// An answer; the number of its first datagram.
    Answer(u64),
}

/// A datagram to be sent, for the first time or again.
#[derive(Clone, Debug)]
pub(crate) struct Going {
    pub(crate) to: NodeId,
    /// Where to, if not wherever the peer is by now.
    pub(crate) at: Option<Destination>,
    pub(crate) bytes: Arc<[u8]>,
    pub(crate) parcel: Parcel,
    /// How often it was sent, this time included.
    pub(crate) tries: u32,
}

/// A datagram that waits for its acknowledgement, or for its turn.
#[derive(Clone, Debug)]
struct Waiting {
    going: Going,
    /// When it was sent first, and last.
    first: Instant,
    last: Instant,
    /// Which of all that were sent of the message it was, then.
    first_order: u64,
    last_order: u64,
    /// How many that were sent later were acknowledged.
    overtaken: u8,
    /// Timeouts that have passed since anything of the message was acknowledged.
    timeouts: u8,
    /// When the next one has; never while it waits for its turn.
    next: Instant,
}

/// A message, in one datagram or several.
#[derive(Clone, Debug)]
struct Message {
    begun: Instant,
    unacked: usize,
    /// How many may be on their way.
    window: usize,
    /// A loss of what was sent before is no news: the window was halved since.
    halved: u64,
    rto: Rto,
    /// How many were sent, repetitions counted.
    sent: u64,
    /// The run of the peer that has acknowledged something of it.
    run: Option<Epoch>,
    /// The datagrams that are on their way.
    flying: Vec<u64>,
    /// The datagrams that wait for their turn.
    queue: VecDeque<u64>,
}

/// Datagrams of a message that are sent at once, and always may be on their way: where datagrams
/// are lost by chance, and not for want of room, fewer would help nobody.
const LEAST_WINDOW: usize = 4;

/// What was overtaken by so many is lost (RFC 5681 §3.2, RFC 9002 §6.1.1).
const OVERTAKEN: u8 = 3;

/// What has become of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// All of it has arrived, after this time.
    Arrived(Parcel, Duration),
    /// Given up.
    Failed(Parcel, TellError),
}

impl Message {
    fn new(rtt: Option<Duration>, now: Instant) -> Self {
        Self {
            begun: now,
            unacked: 0,
            window: LEAST_WINDOW,
            halved: 0,
            rto: Rto::new(rtt),
            sent: 0,
            run: None,
            flying: Vec::new(),
            queue: VecDeque::new(),
        }
    }

    /// Sends a datagram, for the first time or again.
    fn send(&mut self, waiting: &mut Waiting, now: Instant) -> Going {
        self.sent += 1;
        if waiting.going.tries == 0 {
            (waiting.first, waiting.first_order) = (now, self.sent);
        }
        (waiting.last, waiting.last_order) = (now, self.sent);
        waiting.overtaken = 0;
        waiting.next = now + self.rto.after(waiting.timeouts);
        waiting.going.tries = waiting.going.tries.saturating_add(1);
        waiting.going.clone()
    }

    /// A datagram was acknowledged that was sent so often.
    fn acked(&mut self, tries: u32, after: Duration) {
        if tries == 1 {
            self.rto.measure(after);
            self.window = (self.window + 1).min(limits::IN_FLIGHT);
        } else {
            self.rto.pass();
        }
    }

    /// A datagram was lost. Of many that were on their way together the first counts.
    fn lost(&mut self, waiting: &Waiting) {
        if waiting.last_order > self.halved {
            self.halved = self.sent;
            self.window = (self.window / 2).max(LEAST_WINDOW);
        }
    }
}

/// The messages on their way.
#[derive(Debug, Default)]
pub(crate) struct Direct {
    /// By the datagram's number.
    waiting: BTreeMap<u64, Waiting>,
    messages: BTreeMap<Parcel, Message>,
    last: u64,
}

impl Direct {
    /// The number of the next datagram.
    pub(crate) fn number(&mut self) -> u64 {
        self.last += 1;
        self.last
    }

    /// Whether `count` more datagrams may wait.
    pub(crate) fn has_room(&self, count: usize) -> bool {
        self.waiting.len() + count <= limits::UNACKED
    }

    /// Whether nothing is on its way.
    #[cfg(test)]
    fn is_empty(&self) -> bool {
        self.waiting.is_empty()
    }

    /// Takes up datagram `n` of a message; returns it if it is to be sent at once. `rtt` to the
    /// peer, if known.
    pub(crate) fn add(
        &mut self,
        n: u64,
        going: Going,
        rtt: Option<Duration>,
        now: Instant,
    ) -> Option<Going> {
        let parcel = going.parcel;
        let message = self.messages.entry(parcel).or_insert_with(|| Message::new(rtt, now));
        message.unacked += 1;
        message.queue.push_back(n);
        let waiting = Waiting {
            going,
            first: now,
            last: now,
            first_order: 0,
            last_order: 0,
            overtaken: 0,
            timeouts: 0,
            next: Instant::NEVER,
        };
        self.waiting.insert(n, waiting);
        self.next_of(parcel, now)
    }

    /// The next datagram of a message, if its turn has come.
    fn next_of(&mut self, parcel: Parcel, now: Instant) -> Option<Going> {
        let message = self.messages.get_mut(&parcel)?;
        while message.flying.len() < message.window {
            let n = message.queue.pop_front()?;
            // What is acknowledged meanwhile waits no more.
            if let Some(waiting) = self.waiting.get_mut(&n) {
                message.flying.push(n);
                return Some(message.send(waiting, now));
            }
        }
        None
    }

    /// A peer has acknowledged a datagram: what has become of the message, and what is to be sent
    /// next of it.
    pub(crate) fn acked(
        &mut self,
        n: u64,
        from: Sender,
        now: Instant,
    ) -> (Option<Outcome>, Vec<Going>) {
        let none = (None, Vec::new());
        let of_peer = self.waiting.get(&n).filter(|waiting| waiting.going.to == from.id);
        let Some(parcel) = of_peer.map(|waiting| waiting.going.parcel) else { return none };
        let Some(message) = self.messages.get_mut(&parcel) else { return none };
        match *message.run.get_or_insert(from.epoch) {
            run if run > from.epoch => return none,
            // What the peer had of it before it started again is gone.
            run if run < from.epoch => {
                self.forget(parcel);
                return (Some(Outcome::Failed(parcel, TellError::Unanswered)), Vec::new());
            }
            _ => {}
        }
        let Some(acked) = self.waiting.remove(&n) else { return none };
        message.unacked -= 1;
        if message.unacked == 0 {
            let took = now.since(message.begun);
            self.messages.remove(&parcel);
            return (Some(Outcome::Arrived(parcel, took)), Vec::new());
        }
        message.flying.retain(|&flying| flying != n);
        let mut going = Vec::new();
        // A peer may acknowledge what was never sent; that says nothing of the others.
        if acked.going.tries > 0 {
            message.acked(acked.going.tries, now.since(acked.first));
            going = self.look_after(parcel, acked.first_order, now);
        }
        going.extend(std::iter::from_fn(|| self.next_of(parcel, now)));
        (None, going)
    }

    /// Something of a message was acknowledged that was sent then, or later: which others are lost.
    fn look_after(&mut self, parcel: Parcel, order: u64, now: Instant) -> Vec<Going> {
        let mut again = Vec::new();
        let Some(message) = self.messages.get_mut(&parcel) else { return again };
        for n in message.flying.clone() {
            let Some(waiting) = self.waiting.get_mut(&n) else { continue };
            // The peer is there, so the wait need not grow (RFC 9002 §6.2.1).
            waiting.timeouts = 0;
            waiting.next = waiting.next.min(now.max(waiting.last + message.rto.after(0)));
            waiting.overtaken += u8::from(waiting.last_order < order);
            if waiting.overtaken >= OVERTAKEN {
                message.lost(waiting);
                again.push(message.send(waiting, now));
            }
        }
        again
    }

    /// The datagrams to be sent again now, and the messages given up.
    pub(crate) fn due(&mut self, now: Instant) -> (Vec<Going>, Vec<Outcome>) {
        let (mut again, mut failed) = (Vec::new(), Vec::new());
        // The last first: they are put off where the window has become too small for all.
        for (&n, waiting) in self.waiting.iter_mut().rev().filter(|(_, w)| w.next <= now) {
            let parcel = waiting.going.parcel;
            let Some(message) = self.messages.get_mut(&parcel) else { continue };
            waiting.timeouts += 1;
            if waiting.timeouts >= timing::TELL_TRIES {
                failed.push(parcel);
                continue;
            }
            message.lost(waiting);
            if message.flying.len() > message.window {
                message.flying.retain(|&flying| flying != n);
                message.queue.push_front(n);
                waiting.next = Instant::NEVER;
            } else {
                again.push(message.send(waiting, now));
            }
        }
        again.reverse();
        order::sort_by_key(&mut failed, |parcel| *parcel);
        failed.dedup();
        for &parcel in &failed {
            self.forget(parcel);
        }
        again.retain(|going| self.messages.contains_key(&going.parcel));
        let outcome = |parcel| Outcome::Failed(parcel, TellError::Unanswered);
        (again, failed.into_iter().map(outcome).collect())
    }

    /// Gives a message up, if it is still on its way.
    pub(crate) fn forget(&mut self, parcel: Parcel) {
        if self.messages.remove(&parcel).is_some() {
            self.waiting.retain(|_, waiting| waiting.going.parcel != parcel);
        }
    }

    pub(crate) fn next(&self) -> Instant {
        self.waiting.values().map(|waiting| waiting.next).min().unwrap_or(Instant::NEVER)
    }
}

#[cfg(test)]
mod tests;
