//! What a node tells those who listen: in batches, each listener with a bounded queue.
//!
//! A listener that does not keep up loses notices, never holds the node up, and is told how many
//! it lost.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::time::Duration;

use super::Stopped;
use crate::proto::Event;

/// Notices that wait for one listener at most. Further ones are thrown away, counted and reported
/// as [`Notice::Missed`].
pub(super) const WAITING: usize = 65_536;

/// Notices from another process that wait; then that process waits, or what it writes to.
#[cfg(feature = "cli")]
const FED: usize = 1_024;

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
    /// The subscriber was too slow, and this many notices were thrown away.
    Missed(u64),
}

/// What happens at a node, from the moment of subscribing on.
#[derive(Debug)]
pub struct Notices {
    receiver: Receiver<Vec<Notice>>,
    waiting: Arc<AtomicUsize>,
    batch: RefCell<VecDeque<Notice>>,
}

/// The node's end of one subscription.
#[derive(Debug)]
pub(crate) struct Listener {
    sender: Sender<Vec<Notice>>,
    waiting: Arc<AtomicUsize>,
    missed: u64,
}

/// A new subscription.
pub(crate) fn subscription() -> (Listener, Notices) {
    let (sender, receiver) = mpsc::channel();
    let waiting = Arc::new(AtomicUsize::new(0));
    let listener = Listener { sender, waiting: Arc::clone(&waiting), missed: 0 };
    (listener, Notices { receiver, waiting, batch: RefCell::default() })
}

/// The end of a subscription at which somebody can wait who is not the node.
#[cfg(feature = "cli")]
#[derive(Debug)]
pub(crate) struct Feeder {
    sender: mpsc::SyncSender<Vec<Notice>>,
    waiting: Arc<AtomicUsize>,
}

/// A subscription to what another process tells.
#[cfg(feature = "cli")]
pub(crate) fn feed() -> (Feeder, Notices) {
    let (sender, receiver) = mpsc::sync_channel(FED);
    let waiting = Arc::new(AtomicUsize::new(0));
    let feeder = Feeder { sender, waiting: Arc::clone(&waiting) };
    (feeder, Notices { receiver, waiting, batch: RefCell::default() })
}

#[cfg(feature = "cli")]
impl Feeder {
    /// Hands a notice over, once there is room for it. `false` when the listener has gone.
    pub(crate) fn tell(&self, notice: Notice) -> bool {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        self.sender.send(vec![notice]).is_ok()
    }
}

impl Listener {
    /// Hands a batch over, or throws it away if too much waits already. `false` when the listener
    /// has gone.
    pub(crate) fn tell(&mut self, batch: &[Notice]) -> bool {
        // The channel itself is unbounded; this count is its bound.
        if self.waiting.load(Ordering::Relaxed) + batch.len() > WAITING {
            self.missed += batch.len() as u64;
            return true;
        }
        let mut notices = Vec::with_capacity(batch.len() + 1);
        if self.missed > 0 {
            notices.push(Notice::Missed(std::mem::take(&mut self.missed)));
        }
        notices.extend_from_slice(batch);
        self.waiting.fetch_add(notices.len(), Ordering::Relaxed);
        self.sender.send(notices).is_ok()
    }
}

impl Notices {
    /// The next notice; `None` when `timeout` has passed without one. (`Duration::MAX` waits for
    /// ever.)
    ///
    /// # Errors
    /// The node has stopped, and everything it had to say has been read.
    pub fn next(&self, timeout: Duration) -> Result<Option<Notice>, Stopped> {
        if let Some(notice) = self.batch.borrow_mut().pop_front() {
            return Ok(Some(notice));
        }
        let batch = if timeout == Duration::MAX {
            self.receiver.recv().map_err(|_| Stopped)?
        } else {
            match self.receiver.recv_timeout(timeout) {
                Ok(batch) => batch,
                Err(RecvTimeoutError::Timeout) => return Ok(None),
                Err(RecvTimeoutError::Disconnected) => return Err(Stopped),
            }
        };
        self.waiting.fetch_sub(batch.len(), Ordering::Relaxed);
        let mut waiting = self.batch.borrow_mut();
        *waiting = batch.into();
        Ok(waiting.pop_front())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn link(name: &str) -> Notice {
        Notice::LinkUp { name: name.to_owned() }
    }

    #[test]
    fn notices_come_in_order_and_end_when_the_node_has_stopped() {
        let (mut listener, notices) = subscription();
        assert!(listener.tell(&[link("a"), link("b")]) && listener.tell(&[link("c")]));
        drop(listener);
        for name in ["a", "b", "c"] {
            assert_eq!(notices.next(Duration::MAX), Ok(Some(link(name))));
        }
        assert_eq!(notices.next(Duration::MAX), Err(Stopped));
    }

    #[cfg(feature = "cli")]
    #[test]
    fn who_feeds_a_slow_listener_waits_and_nothing_is_missed() {
        let (feeder, notices) = feed();
        let count = 10 * FED;
        let thread = std::thread::spawn(move || (0..count).all(|_| feeder.tell(link("x"))));
        for _ in 0..count {
            assert_eq!(notices.next(Duration::MAX), Ok(Some(link("x"))));
        }
        assert_eq!(notices.next(Duration::MAX), Err(Stopped));
        assert!(thread.join().unwrap());
    }

    #[test]
    fn a_slow_listener_is_told_how_much_it_missed() {
        let (mut listener, notices) = subscription();
        let batch = vec![link("x"); WAITING / 2];
        for _ in 0..5 {
            assert!(listener.tell(&batch));
        }
        for _ in 0..WAITING {
            assert_eq!(notices.next(Duration::ZERO), Ok(Some(link("x"))));
        }
        assert_eq!(notices.next(Duration::ZERO), Ok(None));
        assert!(listener.tell(&[link("y")]));
        let missed = (WAITING / 2 * 3) as u64;
        assert_eq!(notices.next(Duration::ZERO), Ok(Some(Notice::Missed(missed))));
        assert_eq!(notices.next(Duration::ZERO), Ok(Some(link("y"))));
        drop(notices);
        assert!(!listener.tell(&[link("z")]));
    }
}
