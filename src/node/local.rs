//! A node without a thread of its own.

use std::net::IpAddr;
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use super::driver::{self, Driver};
use super::{Notice, Options, StartError, Stats, Stopped, start};
use crate::net::{Interface, Usage};
use crate::proto::{Command, Kept, KeptLog, Outgoing, PeerInfo};
use crate::values::{ChannelName, Epoch, Instant, NodeId};
use crate::wire::{Earlier, Profile};

/// A node that lives in the thread that uses it.
///
/// It gets on with its work only within [`LocalNode::next`], which has to be called again and
/// again: a node that is not driven answers nobody, and is held for dead after some seconds. What
/// is said between two calls goes out together.
#[derive(Debug)]
pub struct LocalNode {
    driver: Driver,
    id: NodeId,
    epoch: Epoch,
    warnings: Vec<String>,
    tickets: u64,
}

/// What one turn brought.
#[derive(Debug)]
pub struct Turn {
    /// What has happened at the node.
    pub notices: Vec<Notice>,
    /// Which of the program's own sources are ready.
    pub ready: Vec<Guest>,
}

/// A source of the program's own that is ready.
#[derive(Clone, Copy, Debug)]
pub struct Guest {
    /// The number that it was given.
    pub number: usize,
    /// There is something to read, or its end.
    pub readable: bool,
    /// There is room to write, or nobody reads.
    pub writable: bool,
}

impl LocalNode {
    /// Opens the sockets. The node announces itself with the first call of [`LocalNode::next`].
    ///
    /// # Errors
    /// See [`StartError`]; nothing has been sent then.
    pub fn start(options: Options) -> Result<Self, StartError> {
        let ready = start::prepare(options)?;
        let (id, epoch, warnings) = (ready.id, ready.epoch, ready.warnings);
        Ok(Self { driver: ready.driver, id, epoch, warnings, tickets: 0 })
    }

    /// This node's id.
    pub fn id(&self) -> NodeId {
        self.id
    }

    /// This run.
    pub fn epoch(&self) -> Epoch {
        self.epoch
    }

    /// What its user should know of how it started, each a sentence.
    pub fn warnings(&self) -> &[String] {
        &self.warnings
    }

    /// Does what there is to do, and returns the next notice; `None` when `timeout` has passed
    /// without one.
    ///
    /// # Errors
    /// The system's poll or a socket does not work any more.
    pub fn next(&mut self, timeout: Duration) -> Result<Option<Notice>, Stopped> {
        let mut left = timeout;
        loop {
            // First out, then in: what was said since the last call must not wait.
            let wake = self.driver.carry_out();
            if let Some(notice) = self.driver.notices.pop_front() {
                return Ok(Some(notice));
            }
            let before = self.driver.clock.now();
            self.driver.take_in(wake, Some(left)).map_err(|_| Stopped)?;
            if left.is_zero() {
                self.driver.carry_out();
                return Ok(self.driver.notices.pop_front());
            }
            left = left.saturating_sub(self.driver.clock.now().since(before));
        }
    }

    /// One turn: what was asked for goes out, and what comes in until `timeout`, or until anything
    /// at all has happened, is handed over. For those who watch sources of their own in the node's
    /// poll, see [`LocalNode::watch`].
    ///
    /// # Errors
    /// The system's poll or a socket does not work any more.
    pub fn turn(&mut self, timeout: Duration) -> Result<Turn, Stopped> {
        let wake = self.driver.carry_out();
        let idle = self.driver.notices.is_empty();
        let timeout = if idle { timeout } else { Duration::ZERO };
        self.driver.take_in(wake, Some(timeout)).map_err(|_| Stopped)?;
        self.driver.carry_out();
        let notices = self.driver.notices.drain(..).collect();
        let ready = self.driver.foreign.drain(..).map(|event| Guest {
            number: event.token().0 - driver::SOCKETS.end,
            readable: event.is_readable() || event.is_read_closed() || event.is_error(),
            writable: event.is_writable() || event.is_write_closed() || event.is_error(),
        });
        Ok(Turn { notices, ready: ready.collect() })
    }

    /// Does what was asked of the node, as the next [`LocalNode::turn`] would at first; returns what it
    /// tells of that.
    pub fn carry_out(&mut self) -> Vec<Notice> {
        self.driver.carry_out();
        self.driver.notices.drain(..).collect()
    }

    /// Watches a source of the program's own in the node's poll; [`LocalNode::turn`] tells by its
    /// `number` when it is ready. As with any edge-triggered source, it has to be drained then.
    ///
    /// # Errors
    /// The system does not watch it.
    pub fn watch(
        &self,
        source: &mut impl mio::event::Source,
        number: usize,
        interest: mio::Interest,
    ) -> std::io::Result<()> {
        self.driver.registry()?.register(source, mio::Token(driver::SOCKETS.end + number), interest)
    }

    /// When the next turn is due even if nothing arrives before, as [`LocalNode::now`] counts it;
    /// in the past after anything was asked of the node, or where something waits to be taken in.
    ///
    /// For those who wait for several nodes at once: they sleep until the earliest of these times,
    /// or until a node's descriptor ([`AsRawFd`]) is readable, and then give that node a turn of no
    /// time. Watched edge-triggered, as mio does, a node has to be given turns until this time lies
    /// ahead: that is what drains it.
    pub fn deadline(&self) -> Instant {
        self.driver.deadline()
    }

    /// Whether so much waits to be sent that nothing more should be said for now.
    pub fn is_congested(&self) -> bool {
        self.driver.is_congested()
    }

    /// Replaces what the node says of itself.
    pub fn set_profile(&mut self, profile: Profile) {
        self.driver.command(Command::Profile(Arc::new(profile)));
    }

    /// Takes part in a channel.
    pub fn join(&mut self, channel: &ChannelName) {
        self.driver.command(Command::Join(channel.clone()));
    }

    /// Leaves a channel.
    pub fn leave(&mut self, channel: &ChannelName) {
        self.driver.command(Command::Leave(channel.clone()));
    }

    /// Tells, right after a channel was joined, how far an earlier run of this node got in whose
    /// logs there: see [`Command::Resume`].
    pub fn resume(
        &mut self,
        channel: &ChannelName,
        logs: Vec<(NodeId, Epoch, u64)>,
        away: Duration,
        said: Option<Earlier>,
    ) {
        self.driver.command(Command::Resume { channel: channel.clone(), logs, away, said });
    }

    /// Has so many of a channel's last messages fetched from others, though it was joined before;
    /// they come as messages with `history`.
    pub fn recall(&mut self, channel: &ChannelName, last: u32) {
        self.driver.command(Command::Recall { channel: channel.clone(), last });
    }

    /// Whether others are still being asked for a channel's last messages, and anybody might tell.
    pub fn is_recalling(&self, channel: &ChannelName) -> bool {
        self.driver.engine.is_recalling(channel)
    }

    /// Answers an [`crate::proto::Event::Fetch`] for entries.
    pub fn found(&mut self, ticket: u64, entries: Vec<Kept>) {
        self.driver.command(Command::Found { ticket, entries });
    }

    /// Answers an [`crate::proto::Event::Fetch`] for logs.
    pub fn recalled(&mut self, ticket: u64, logs: Vec<KeptLog>) {
        self.driver.command(Command::Recalled { ticket, logs });
    }

    /// Says something in a channel, joined or not.
    pub fn say(&mut self, channel: &ChannelName, what: impl Into<Outgoing>) {
        self.driver.command(Command::Say(channel.clone(), what.into()));
    }

    /// As [`LocalNode::say`], best effort and unsigned.
    pub fn cast(&mut self, channel: &ChannelName, what: impl Into<Outgoing>) {
        self.driver.command(Command::Cast(channel.clone(), what.into()));
    }

    /// Tells one peer; returns the ticket of the [`crate::proto::Event::Told`] or
    /// [`crate::proto::Event::NotTold`] to come.
    pub fn tell(&mut self, to: NodeId, what: impl Into<Outgoing>) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        self.driver.command(Command::Tell { to, what: what.into(), ticket });
        ticket
    }

    /// Puts a question to these peers; returns the ticket of the [`crate::proto::Event::Answer`]s
    /// to come, and of one [`crate::proto::Event::AnswerEnd`] for each of them.
    pub fn ask(&mut self, to: Vec<NodeId>, what: impl Into<Outgoing>) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        self.driver.command(Command::Ask { to, what: what.into(), ticket });
        ticket
    }

    /// Asks everyone present in a channel to confirm what this node has said there so far; returns
    /// the ticket of the [`crate::proto::Event::Expecting`] to come, which names them, and of the
    /// [`crate::proto::Event::Receipt`] of each who has it all, until [`LocalNode::forget`].
    pub fn confirm(&mut self, channel: &ChannelName) -> u64 {
        self.tickets += 1;
        let ticket = self.tickets;
        self.driver.command(Command::Confirm { channel: channel.clone(), ticket });
        ticket
    }

    /// Waits no longer for answers to the question with this ticket, or for receipts.
    pub fn forget(&mut self, ticket: u64) {
        self.driver.command(Command::Forget { ticket });
    }

    /// Whether this node's user answers questions: then each comes as a
    /// [`crate::proto::Event::Question`]. Until it does, those who ask are told that nobody does.
    pub fn set_answering(&mut self, answering: bool) {
        self.driver.command(Command::Answering(answering));
    }

    /// Answers a question with this and nothing more, as most programs do.
    pub fn reply(&mut self, question: u64, what: impl Into<Outgoing>) {
        self.answer(question, what, None, true);
    }

    /// Answers a question; `last`: and gives no further answer to it. `exit` is the exit code of
    /// the command that gave the answer, if one did.
    pub fn answer(
        &mut self,
        question: u64,
        what: impl Into<Outgoing>,
        exit: Option<i32>,
        last: bool,
    ) {
        self.driver.command(Command::Answer { question, what: Some(what.into()), exit, last });
    }

    /// Gives no answer to a question, or no further one.
    pub fn pass(&mut self, question: u64) {
        self.driver.command(Command::Answer { question, what: None, exit: None, last: true });
    }

    /// Everyone known: those who are there, and those who are suspect.
    pub fn peers(&self) -> Vec<PeerInfo> {
        self.driver.engine.peers().collect()
    }

    /// How many they are.
    pub fn peer_count(&self) -> usize {
        self.driver.engine.peer_count()
    }

    /// The names and addresses of the links in use.
    pub fn links(&self) -> Vec<(String, IpAddr)> {
        self.driver.links()
    }

    /// The interfaces of this host, and what this node makes of each.
    ///
    /// # Errors
    /// The system does not tell.
    pub fn interfaces(&self) -> std::io::Result<Vec<(Interface, Usage)>> {
        self.driver.interfaces()
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Stats {
        self.driver.stats()
    }

    /// Now, as [`PeerInfo::since`] counts it.
    pub fn now(&self) -> Instant {
        self.driver.clock.now()
    }
}

/// The descriptor of the node's poll, readable when there is something to take in; to be watched, not
/// to be read. See [`LocalNode::deadline`].
#[cfg(unix)]
impl AsRawFd for LocalNode {
    fn as_raw_fd(&self) -> RawFd {
        self.driver.poll_fd()
    }
}

impl Drop for LocalNode {
    fn drop(&mut self) {
        self.driver.command(Command::Stop);
        loop {
            let wake = self.driver.carry_out();
            if self.driver.is_over() || self.driver.take_in(wake, Some(TURN)).is_err() {
                return;
            }
        }
    }
}

/// How long to wait for a full send buffer before looking at the time again.
const TURN: Duration = Duration::from_millis(50);
