//! What a node tells those who listen: each listener with a queue that is bounded in bytes.
//!
//! A listener that does not keep up loses notices, never holds the node up, and is told how many
//! it lost, and where.

use std::collections::VecDeque;
use std::mem::size_of;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::Stopped;
use crate::proto::{Event, PeerInfo};
use crate::values::{ChannelName, Json, NodeId, PeerText, limits};

/// Bytes of notices from another process that wait; then that process waits, or what it writes to.
#[cfg(feature = "cli")]
const FED: usize = 1 << 20;

/// Notices for which an empty queue keeps room.
const ROOM: usize = 1_024;

/// What a subscriber hears.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Notice {
    /// From the protocol.
    Event(Event),
    /// A link came into use, or works again.
    LinkUp {
        /// The interface's name.
        name: String,
    },
    /// A link can't be used any more, or something could not be sent or joined on it; said once
    /// until it works again.
    LinkDown {
        /// The interface's name.
        name: String,
        /// Why.
        why: String,
    },
    /// The kernel has thrown datagrams away because this host could not keep up.
    Dropped {
        /// How many since the last such notice.
        count: u64,
        /// Bytes of the receive buffer, which could be larger.
        buffer: usize,
    },
    /// The subscriber was too slow, and this many notices were thrown away here, see [`Notices`].
    Missed(u64),
}

impl Notice {
    /// Whether it says that the node knows all who are here.
    pub(super) fn is_settled(&self) -> bool {
        matches!(self, Self::Event(Event::Settled { .. }))
    }
}

/// What happens at a node, from the moment of subscribing on.
///
/// At most [`limits::NOTICE_BYTES`] wait for a subscriber that does not read. What happens beyond
/// that is missed by it, whatever it is: once it has read what waited, it reads a
/// [`Notice::Missed`] with the number, and then what happens from then on. So each subscriber that is
/// no longer read should be dropped. Others are not concerned.
///
/// A message that was missed is confirmed to its author all the same: a receipt says that the node
/// has handed it up. A question that every subscriber has missed is passed.
#[derive(Debug)]
pub struct Notices(Arc<Queue>);

/// The node's end of one subscription.
#[derive(Debug)]
pub(crate) struct Listener(Arc<Queue>);

/// The end of a subscription at which somebody can wait who is not the node.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub(crate) struct Feeder(Arc<Queue>);

/// A new subscription.
pub(crate) fn subscription() -> (Listener, Notices) {
    let queue = Arc::new(Queue::new(limits::NOTICE_BYTES));
    (Listener(Arc::clone(&queue)), Notices(queue))
}

/// A subscription to what another process tells.
#[cfg(feature = "cli")]
pub(crate) fn feed() -> (Feeder, Notices) {
    let queue = Arc::new(Queue::new(FED));
    (Feeder(Arc::clone(&queue)), Notices(queue))
}

/// What both ends of a subscription share.
#[derive(Debug)]
struct Queue {
    /// Bytes that wait in it at most.
    limit: usize,
    state: Mutex<State>,
    /// For the reader: there is something to read, or will never be again.
    come: Condvar,
    /// For who feeds it: there is room, or the reader has gone.
    read: Condvar,
}

#[derive(Debug, Default)]
struct State {
    waiting: VecDeque<Notice>,
    bytes: usize,
    /// Thrown away behind what waits.
    missed: u64,
    /// The reader waits for something to come.
    reader_waits: bool,
    reader_gone: bool,
    writer_gone: bool,
}

impl Queue {
    fn new(limit: usize) -> Self {
        let (state, come, read) = (Mutex::default(), Condvar::new(), Condvar::new());
        Self { limit, state, come, read }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // Each change of the state is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Wakes the reader, if it waits.
    fn wake(&self, state: &State) {
        if state.reader_waits {
            self.come.notify_one();
        }
    }
}

impl State {
    fn push(&mut self, notice: Notice, weight: usize) {
        self.bytes += weight;
        self.waiting.push_back(notice);
    }

    /// The next notice: what waited first, then how much was missed behind it.
    fn pop(&mut self) -> Option<Notice> {
        let Some(notice) = self.waiting.pop_front() else {
            let missed = std::mem::take(&mut self.missed);
            return (missed > 0).then_some(Notice::Missed(missed));
        };
        self.bytes -= weight(&notice);
        if self.waiting.is_empty() && self.waiting.capacity() > ROOM {
            self.waiting = VecDeque::new();
        }
        Some(notice)
    }
}

#[cfg(feature = "cli")]
impl Feeder {
    /// Hands a notice over, once there is room for it. `false` when the listener has gone.
    pub(crate) fn tell(&self, notice: Notice) -> bool {
        let weight = weight(&notice);
        let mut state = self.0.lock();
        while !state.reader_gone && state.bytes > 0 && state.bytes + weight > self.0.limit {
            state = self.0.read.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
        state.push(notice, weight);
        self.0.wake(&state);
        !state.reader_gone
    }
}

impl Listener {
    /// Hands over as many of a batch as there is room for, from the first on, and returns how many;
    /// of the others it is noted how many they were. `None` when the listener has gone.
    pub(crate) fn tell(&mut self, batch: &[Notice]) -> Option<usize> {
        let mut state = self.0.lock();
        if state.reader_gone {
            return None;
        }
        let mut taken = 0;
        // What comes after something that was missed comes after the reader was told so.
        while state.missed == 0 && taken < batch.len() {
            let weight = weight(&batch[taken]);
            if state.bytes + weight > self.0.limit {
                break;
            }
            state.push(batch[taken].clone(), weight);
            taken += 1;
        }
        state.missed += (batch.len() - taken) as u64;
        self.0.wake(&state);
        Some(taken)
    }
}

impl Notices {
    /// The next notice; `None` when `timeout` has passed without one. (`Duration::MAX` waits for
    /// ever.)
    ///
    /// # Errors
    /// The node has stopped, and everything it had to say has been read.
    pub fn next(&self, timeout: Duration) -> Result<Option<Notice>, Stopped> {
        let queue = &*self.0;
        let mut state = queue.lock();
        let mut until = None;
        loop {
            if let Some(notice) = state.pop() {
                queue.read.notify_one();
                return Ok(Some(notice));
            }
            if state.writer_gone {
                return Err(Stopped);
            }
            // The clock is read only by who has to wait; a time beyond all clocks is for ever.
            let until = *until.get_or_insert_with(|| Instant::now().checked_add(timeout));
            state.reader_waits = true;
            state = match until {
                None => queue.come.wait(state).unwrap_or_else(PoisonError::into_inner),
                Some(until) => {
                    let left = until.saturating_duration_since(Instant::now());
                    if left.is_zero() {
                        state.reader_waits = false;
                        return Ok(None);
                    }
                    let waited = queue.come.wait_timeout(state, left);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
            };
            state.reader_waits = false;
        }
    }
}

impl Drop for Notices {
    fn drop(&mut self) {
        let mut state = self.0.lock();
        let waiting = std::mem::take(&mut state.waiting);
        (state.bytes, state.reader_gone) = (0, true);
        self.0.read.notify_one();
        drop(state);
        drop(waiting);
    }
}

impl Drop for Listener {
    fn drop(&mut self) {
        self.0.end();
    }
}

#[cfg(feature = "cli")]
impl Drop for Feeder {
    fn drop(&mut self) {
        self.0.end();
    }
}

impl Queue {
    /// Nothing more will come.
    fn end(&self) {
        let mut state = self.lock();
        state.writer_gone = true;
        self.wake(&state);
    }
}

/// Bytes that a notice takes.
fn weight(notice: &Notice) -> usize {
    let more = match notice {
        Notice::Event(event) => of_event(event),
        Notice::LinkUp { name } => name.len(),
        Notice::LinkDown { name, why } => name.len() + why.len(),
        Notice::Dropped { .. } | Notice::Missed(_) => 0,
    };
    size_of::<Notice>() + more
}

/// Bytes to which an event refers. A peer's profile is shared with all who know the peer.
fn of_event(event: &Event) -> usize {
    let said = |text: &PeerText, data: Option<&Json>| {
        text.raw().len() + data.map_or(0, |data| data.as_str().len())
    };
    let peer = |peer: &PeerInfo| peer.channels.len() * size_of::<ChannelName>();
    match event {
        Event::Message(message) | Event::Said(message) => {
            said(&message.text, message.data.as_ref()) + message.nick.raw().len()
        }
        Event::Question(question) => {
            said(&question.text, question.data.as_ref()) + question.nick.raw().len()
        }
        Event::Answer(answer) => said(&answer.text, answer.data.as_ref()) + answer.nick.raw().len(),
        Event::Entry(kept) => kept.bytes.len(),
        Event::Expecting { from, .. } => from.len() * size_of::<NodeId>(),
        Event::Joined(one)
        | Event::Left(one)
        | Event::Suspect(one)
        | Event::Alive(one)
        | Event::Dead(one)
        | Event::Path(one)
        | Event::Restarted(one)
        | Event::Status(one)
        | Event::Moved { peer: one, .. } => peer(one),
        Event::Renamed { peer: one, was } => peer(one) + was.raw().len(),
        Event::Gap { nick, .. } | Event::Cloned { nick, .. } => nick.raw().len(),
        Event::Fetch { .. }
        | Event::Receipt { .. }
        | Event::Settled { .. }
        | Event::Told { .. }
        | Event::NotTold { .. }
        | Event::QuestionOver { .. }
        | Event::AnswerEnd { .. }
        | Event::Refused(_)
        | Event::Bereft
        | Event::Stopped => 0,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str) -> Notice {
        Notice::LinkUp { name: name.to_owned() }
    }

    /// A notice of a megabyte, and how many of its like may wait.
    fn heavy() -> (Notice, usize) {
        let heavy = link(&"x".repeat(1 << 20));
        let fit = limits::NOTICE_BYTES / weight(&heavy);
        (heavy, fit)
    }

    #[test]
    fn notices_come_in_order_and_end_when_the_node_has_stopped() {
        let (mut listener, notices) = subscription();
        assert_eq!(listener.tell(&[link("a"), link("b")]), Some(2));
        assert_eq!(listener.tell(&[link("c")]), Some(1));
        drop(listener);
        for name in ["a", "b", "c"] {
            assert_eq!(notices.next(Duration::MAX), Ok(Some(link(name))));
        }
        assert_eq!(notices.next(Duration::MAX), Err(Stopped));
    }

    #[test]
    fn who_waits_is_woken_by_what_comes_and_by_the_end() {
        let (mut listener, notices) = subscription();
        let reader = std::thread::spawn(move || {
            let first = notices.next(Duration::MAX);
            (first, notices.next(Duration::from_secs(3_600)))
        });
        assert_eq!(listener.tell(&[link("a")]), Some(1));
        drop(listener);
        assert_eq!(reader.join().unwrap(), (Ok(Some(link("a"))), Err(Stopped)));
    }

    #[cfg(feature = "cli")]
    #[test]
    fn who_feeds_a_slow_listener_waits_and_nothing_is_missed() {
        let (feeder, notices) = feed();
        let count = 10 * FED / weight(&link("x"));
        let thread = std::thread::spawn(move || (0..count).all(|_| feeder.tell(link("x"))));
        for _ in 0..count {
            assert_eq!(notices.next(Duration::MAX), Ok(Some(link("x"))));
            assert!(notices.0.lock().bytes <= FED);
        }
        assert_eq!(notices.next(Duration::MAX), Err(Stopped));
        assert!(thread.join().unwrap());
    }

    #[cfg(feature = "cli")]
    #[test]
    fn who_feeds_a_listener_that_has_gone_is_told_so_and_waits_no_longer() {
        let (feeder, notices) = feed();
        let (heavy, _) = heavy();
        assert!(feeder.tell(heavy.clone()), "one alone goes in, whatever its size");
        let thread = std::thread::spawn(move || feeder.tell(heavy));
        drop(notices);
        assert!(!thread.join().unwrap());
    }

    #[test]
    fn a_slow_listener_is_told_how_much_it_missed_and_goes_on_behind_it() {
        let (mut listener, notices) = subscription();
        let (heavy, fit) = heavy();
        let mut taken = 0;
        for _ in 0..fit {
            taken += listener.tell(&[heavy.clone(), link("y"), heavy.clone()]).unwrap();
        }
        let missed = (3 * fit - taken) as u64;
        assert!(missed > 0 && notices.0.lock().bytes <= limits::NOTICE_BYTES);
        // There was room for a small one, but not behind one that was missed.
        assert_eq!(listener.tell(&[link("z")]), Some(0));
        for at in 0..taken {
            let expected = if at % 3 == 1 { link("y") } else { heavy.clone() };
            assert_eq!(notices.next(Duration::ZERO), Ok(Some(expected)));
        }
        // It is told so though nothing more has happened.
        assert_eq!(notices.next(Duration::ZERO), Ok(Some(Notice::Missed(missed + 1))));
        assert_eq!(notices.next(Duration::ZERO), Ok(None));
        assert_eq!(notices.0.lock().bytes, 0);
        assert_eq!(listener.tell(&[link("a")]), Some(1));
        assert_eq!(notices.next(Duration::ZERO), Ok(Some(link("a"))));
        drop(notices);
        assert_eq!(listener.tell(&[link("b")]), None);
    }

    #[test]
    fn many_small_notices_are_held_to_the_same_bytes() {
        let (mut listener, notices) = subscription();
        let batch = vec![link("x"); 1_000];
        let told = 2 * limits::NOTICE_BYTES / weight(&batch[0]) / batch.len();
        let taken: usize = (0..told).map(|_| listener.tell(&batch).unwrap()).sum();
        assert_eq!(taken, limits::NOTICE_BYTES / weight(&batch[0]));
        drop(listener);
        let mut read = 0;
        while let Ok(Some(Notice::LinkUp { .. })) = notices.next(Duration::ZERO) {
            read += 1;
        }
        assert_eq!(read, taken, "then what was missed is told, before the end");
        assert_eq!(notices.next(Duration::ZERO), Err(Stopped));
        assert!(notices.0.lock().waiting.capacity() <= ROOM);
    }
}
