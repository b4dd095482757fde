//! Waiting for what a program often waits for: all who are here, a peer that fits, the answers to a
//! question.
//!
//! Each has a subscription of its own for as long as it takes, so nothing of it is missing from the
//! program's own [`super::Notices`], and several threads can wait at the same time.

use std::time::{Duration, Instant};

use super::{Node, Notice, Notices, Stopped};
use crate::proto::{Answer, AnswerEnd, Event, Outgoing, PeerInfo, Refusal, TellError};
use crate::values::NodeId;

/// Why there is no answer to a question. Whether the peer has taken it in is not known, but where it
/// is [`NoAnswer::Nobody`].
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoAnswer {
    /// The peer is there, and its program does not answer questions, or not this one.
    #[error("nobody answers this question there; the program there has to call set_answering")]
    Nobody,
    /// The question did not reach the peer, or the peer has gone since.
    #[error("{0}; look for it again: it may come back")]
    Lost(TellError),
    /// The time is over. The peer may be busy, or have gone without a word a moment ago.
    #[error("no answer came within {} ms; ask again", .0.as_millis())]
    Late(Duration),
    /// The question was not put.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// The node does not run any more.
    #[error(transparent)]
    Stopped(#[from] Stopped),
}

impl Node {
    /// Waits until the node has looked around: until [`Node::peers`] lists all who are here, as far as
    /// that can be known. `false` when `wait` has passed before; what it knows by then is listed.
    ///
    /// Among others that takes some milliseconds, since they say how many there are; alone a little more
    /// than a second, since somebody might still answer. Once it is so it stays so, and later calls
    /// return at once: who comes afterwards is an [`Event::Joined`].
    ///
    /// It is for programs that must know who is *not* there: the only one of its kind, a list of all, a
    /// choice among several. Who needs just one peer has it sooner by [`Node::wait_for_peer`].
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use cooee::{Node, Options};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let here = |nick| -> Result<Options, Box<dyn std::error::Error>> {
    /// #     Ok(Options { group: "239.255.77.3:26703".parse()?, ..Options::named(nick).on_loopback() })
    /// # };
    /// # let (ben, _) = Node::start(here("ben")?)?;
    /// # let (cleo, _) = Node::start(here("cleo")?)?;
    /// # // Whoever is asked knows all by then; else one that is only starting is nobody's peer yet.
    /// # for node in [&ben, &cleo] {
    /// #     node.wait_for_peer(Duration::from_secs(30), |_| true)?.ok_or("nobody came")?;
    /// # }
    /// let (ada, _) = Node::start(here("ada")?)?; // Options::named("ada") on a real LAN
    /// ada.wait_until_settled(Duration::from_secs(10))?;
    /// for peer in ada.peers()? {
    ///     println!("{} is here", peer.profile.nick.escaped());
    /// }
    /// # assert_eq!(ada.peers()?.len(), 2);
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_until_settled(&self, wait: Duration) -> Result<bool, Stopped> {
        let until = until(wait);
        // Subscribed before asking, so that it does not happen between the two.
        let notices = self.subscribe()?;
        if self.has_settled()? {
            return Ok(true);
        }
        while let Some(notice) = notices.next(left(until))? {
            let missed = matches!(notice, Notice::Missed(_));
            if notice.is_settled() || missed && self.has_settled()? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Waits for a peer of whom `is` holds, and returns it as soon as there is one; `None` when `wait`
    /// has passed without one.
    ///
    /// Who crashed a moment ago is still listed: an answer to a question is the proof that somebody is there.
    pub fn wait_for_peer(
        &self,
        wait: Duration,
        is: impl Fn(&PeerInfo) -> bool,
    ) -> Result<Option<PeerInfo>, Stopped> {
        let until = until(wait);
        // Subscribed before looking, so that who comes meanwhile is not overlooked.
        let notices = self.subscribe()?;
        if let Some(peer) = self.peers()?.into_iter().find(&is) {
            return Ok(Some(peer));
        }
        while let Some(notice) = notices.next(left(until))? {
            match notice {
                Notice::Event(Event::Joined(peer) | Event::Alive(peer) | Event::Status(peer))
                    if is(&peer) =>
                {
                    return Ok(Some(peer));
                }
                Notice::Missed(_) => {
                    if let Some(peer) = self.peers()?.into_iter().find(&is) {
                        return Ok(Some(peer));
                    }
                }
                _ => {}
            }
        }
        Ok(None)
    }

    /// Puts a question to one peer and waits for its answer, the first if it gives several.
    ///
    /// # Errors
    /// See [`NoAnswer`]. An answer that comes later is dropped.
    pub fn ask_one(
        &self,
        to: NodeId,
        what: impl Into<Outgoing>,
        wait: Duration,
    ) -> Result<Answer, NoAnswer> {
        let asking = Asking::put(self, vec![to], what.into())?;
        match asking.next(until(wait))? {
            Some(Heard::Answer(answer)) => Ok(answer),
            Some(Heard::End(_, AnswerEnd::Lost(why))) => Err(NoAnswer::Lost(why)),
            Some(Heard::End(..)) => Err(NoAnswer::Nobody),
            None => Err(NoAnswer::Late(wait)),
        }
    }

    /// Puts a question to many and collects their answers, until all have given theirs or `wait` has
    /// passed. Who is missing among them has not answered.
    ///
    /// # Errors
    /// The question is too long, or the node has stopped.
    pub fn ask_many(
        &self,
        to: Vec<NodeId>,
        what: impl Into<Outgoing>,
        wait: Duration,
    ) -> Result<Vec<Answer>, NoAnswer> {
        let mut open: Vec<NodeId> = to.clone();
        let asking = Asking::put(self, to, what.into())?;
        let until = until(wait);
        let mut answers = Vec::new();
        while !open.is_empty() {
            match asking.next(until)? {
                Some(Heard::Answer(answer)) => answers.push(answer),
                Some(Heard::End(from, _)) => open.retain(|id| *id != from),
                None => break,
            }
        }
        Ok(answers)
    }
}

/// An open question; forgotten with this.
struct Asking<'a> {
    node: &'a Node,
    notices: Notices,
    ticket: u64,
}

/// What has come of it.
enum Heard {
    Answer(Answer),
    End(NodeId, AnswerEnd),
}

impl<'a> Asking<'a> {
    fn put(node: &'a Node, to: Vec<NodeId>, what: Outgoing) -> Result<Self, NoAnswer> {
        // A refusal would not say which question it is about.
        what.check()?;
        let notices = node.subscribe()?;
        let ticket = node.ask(to, what)?;
        Ok(Self { node, notices, ticket })
    }

    /// What comes next; `None` when the time is over.
    fn next(&self, until: Option<Instant>) -> Result<Option<Heard>, Stopped> {
        while let Some(notice) = self.notices.next(left(until))? {
            match notice {
                Notice::Event(Event::Answer(answer)) if answer.ticket == self.ticket => {
                    return Ok(Some(Heard::Answer(answer)));
                }
                Notice::Event(Event::AnswerEnd { ticket, from, end }) if ticket == self.ticket => {
                    return Ok(Some(Heard::End(from, end)));
                }
                _ => {}
            }
        }
        Ok(None)
    }
}

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        // Of a node that has stopped there is nothing to be forgotten.
        let _ = self.node.forget(self.ticket);
    }
}

/// When a time to wait is over; `None`: never.
fn until(wait: Duration) -> Option<Instant> {
    Instant::now().checked_add(wait)
}

fn left(until: Option<Instant>) -> Duration {
    until.map_or(Duration::MAX, |until| until.saturating_duration_since(Instant::now()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Options;

    fn start(nick: &str, group: &str, blind: bool) -> Node {
        let group = group.parse().unwrap();
        let (node, _) =
            Node::start(Options { group, blind, ..Options::named(nick).on_loopback() }).unwrap();
        node
    }

    #[test]
    fn who_has_settled_lists_all_and_stays_so() {
        let group = "239.255.77.4:26704";
        let others = ["ben", "cleo"].map(|nick| start(nick, group, false));
        // Whoever may be asked knows all by then.
        for other in &others {
            other.wait_for_peer(Duration::from_secs(30), |_| true).unwrap().unwrap();
        }
        let ada = start("ada", group, false);
        assert_eq!(ada.wait_until_settled(Duration::from_secs(30)), Ok(true));
        assert_eq!(ada.peers().unwrap().len(), 2);
        assert_eq!(ada.wait_until_settled(Duration::ZERO), Ok(true), "asked again, it is still so");
    }

    #[test]
    fn nobody_waits_for_longer_than_told_nor_for_a_node_that_does_not_look() {
        let group = "239.255.77.5:26705";
        let begun = Instant::now();
        let ada = start("ada", group, false);
        let settled = ada.wait_until_settled(Duration::ZERO).unwrap();
        // Nobody is alone before a second has passed, however slow this host is.
        assert!(!settled || begun.elapsed() >= Duration::from_secs(1));
        let blind = start("ben", group, true);
        assert_eq!(blind.wait_until_settled(Duration::MAX), Ok(true));
    }
}
