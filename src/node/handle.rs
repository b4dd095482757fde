//! A node with a thread of its own, and the handle by which any thread uses it.

use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, Sender, SyncSender, TryRecvError};
use std::thread::JoinHandle;

use mio::Waker;

use super::driver::Driver;
use super::notices::{self, Listener};
use super::{Notice, Notices, Options, StartError, Stats, Stopped, start};
use crate::net::Clock;
use crate::proto::{Command, Event, Outgoing, PeerInfo};
use crate::values::{ChannelName, Epoch, Instant, NodeId, WallTime};
use crate::wire::Profile;

/// Requests that wait for the thread at most; then the caller waits. Of the longest messages, these are
/// 16 MiB.
const REQUESTS: usize = 256;

/// Requests that are carried out in one turn.
const TURN: usize = 1_024;

/// What the handle asks of the thread.
enum Request {
    Command(Command),
    Subscribe(Listener),
    Peers(Sender<Vec<PeerInfo>>),
    Settled(Sender<bool>),
    Links(Sender<Vec<(String, IpAddr)>>),
    Stats(Sender<Stats>),
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    id: NodeId,
    epoch: Epoch,
    warnings: Vec<String>,
    clock: Clock,
    /// `None` once it is being stopped.
    requests: Option<SyncSender<Request>>,
    knocked: Arc<AtomicBool>,
    waker: Waker,
    tickets: AtomicU64,
    thread: Option<JoinHandle<io::Result<()>>>,
}

impl Node {
    /// Opens the sockets, starts the thread, announces the node. What `options.channels` names is
    /// joined before anything else happens, and the returned notices miss nothing.
    ///
    /// # Errors
    /// See [`StartError`]; nothing has been sent then.
    pub fn start(options: Options) -> Result<(Self, Notices), StartError> {
        let settled = options.blind;
        let ready = start::prepare(options)?;
        let (sender, requests) = mpsc::sync_channel(REQUESTS);
        let (listener, notices) = notices::subscription();
        let knocked = Arc::new(AtomicBool::new(false));
        let thread = Thread {
            driver: ready.driver,
            requests,
            knocked: Arc::clone(&knocked),
            listeners: vec![listener],
            settled,
        };
        let thread = std::thread::Builder::new()
            .name("cooee-node".to_owned())
            .spawn(move || thread.run())
            .map_err(start::system("a thread"))?;
        let node = Self {
            id: ready.id,
            epoch: ready.epoch,
            warnings: ready.warnings,
            clock: ready.clock,
            requests: Some(sender),
            knocked,
            waker: ready.waker,
            tickets: AtomicU64::new(0),
            thread: Some(thread),
        };
        Ok((node, notices))
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

    /// The names and addresses of the links in use.
    pub fn links(&self) -> Result<Vec<(String, IpAddr)>, Stopped> {
        self.fetch(Request::Links)
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Result<Stats, Stopped> {
        self.fetch(Request::Stats)
    }

    /// One more subscriber.
    pub fn subscribe(&self) -> Result<Notices, Stopped> {
        let (listener, notices) = notices::subscription();
        self.request(Request::Subscribe(listener))?;
        Ok(notices)
    }

    /// Takes part in a channel.
    pub fn join(&self, channel: &ChannelName) -> Result<(), Stopped> {
        self.command(Command::Join(channel.clone()))
    }

    /// Leaves a channel.
    pub fn leave(&self, channel: &ChannelName) -> Result<(), Stopped> {
        self.command(Command::Leave(channel.clone()))
    }

    /// Says something in a channel, joined or not. Waits while the node has too much to send.
    pub fn say(&self, channel: &ChannelName, what: impl Into<Outgoing>) -> Result<(), Stopped> {
        self.command(Command::Say(channel.clone(), what.into()))
    }

    /// As [`Node::say`], best effort and unsigned.
    pub fn cast(&self, channel: &ChannelName, what: impl Into<Outgoing>) -> Result<(), Stopped> {
        self.command(Command::Cast(channel.clone(), what.into()))
    }

    /// Tells one peer; returns the ticket of the [`crate::proto::Event::Told`] or
    /// [`crate::proto::Event::NotTold`] to come.
    pub fn tell(&self, to: NodeId, what: impl Into<Outgoing>) -> Result<u64, Stopped> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        self.command(Command::Tell { to, what: what.into(), ticket })?;
        Ok(ticket)
    }

    /// Puts a question to these peers; returns the ticket of the [`crate::proto::Event::Answer`]s
    /// to come, and of one [`crate::proto::Event::AnswerEnd`] for each of them.
    pub fn ask(&self, to: Vec<NodeId>, what: impl Into<Outgoing>) -> Result<u64, Stopped> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        self.command(Command::Ask { to, what: what.into(), ticket })?;
        Ok(ticket)
    }

    /// Asks everyone present in a channel to confirm what this node has said there so far; returns
    /// the ticket of the [`crate::proto::Event::Expecting`] to come, which names them, and of the
    /// [`crate::proto::Event::Receipt`] of each who has it all, until [`Node::forget`].
    pub fn confirm(&self, channel: &ChannelName) -> Result<u64, Stopped> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        self.command(Command::Confirm { channel: channel.clone(), ticket })?;
        Ok(ticket)
    }

    /// Waits no longer for answers to the question with this ticket, or for receipts.
    pub fn forget(&self, ticket: u64) -> Result<(), Stopped> {
        self.command(Command::Forget { ticket })
    }

    /// Whether this node's user answers questions: then each comes as a
    /// [`crate::proto::Event::Question`]. Until it does, those who ask are told that nobody does.
    pub fn set_answering(&self, answering: bool) -> Result<(), Stopped> {
        self.command(Command::Answering(answering))
    }

    /// Answers a question with this and nothing more, as most programs do.
    pub fn reply(&self, question: u64, what: impl Into<Outgoing>) -> Result<(), Stopped> {
        self.answer(question, what, None, true)
    }

    /// Answers a question; `last`: and gives no further answer to it. `exit` is the exit code of
    /// the command that gave the answer, if one did.
    pub fn answer(
        &self,
        question: u64,
        what: impl Into<Outgoing>,
        exit: Option<i32>,
        last: bool,
    ) -> Result<(), Stopped> {
        self.command(Command::Answer { question, what: Some(what.into()), exit, last })
    }

    /// Gives no answer to a question, or no further one.
    pub fn pass(&self, question: u64) -> Result<(), Stopped> {
        self.command(Command::Answer { question, what: None, exit: None, last: true })
    }

    /// Replaces what the node says of itself.
    pub fn set_profile(&self, profile: Profile) -> Result<(), Stopped> {
        self.command(Command::Profile(Arc::new(profile)))
    }

    /// Everyone known: those who are there, and those who are suspect.
    pub fn peers(&self) -> Result<Vec<PeerInfo>, Stopped> {
        self.fetch(Request::Peers)
    }

    /// Whether an [`Event::Settled`] has come, or none will, since the node looks for nobody.
    pub(super) fn has_settled(&self) -> Result<bool, Stopped> {
        self.fetch(Request::Settled)
    }

    /// Now, as [`PeerInfo::since`] counts it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// This host's clock.
    pub fn wall(&self) -> WallTime {
        Clock::wall()
    }

    /// Waits until everything that was said has left, says goodbye and ends the thread. What is lost
    /// on its way is not sent again then; [`Node::confirm`] tells when all have it.
    pub fn stop(self) {
        drop(self);
    }

    fn command(&self, command: Command) -> Result<(), Stopped> {
        self.request(Request::Command(command))
    }

    fn fetch<T>(&self, request: impl FnOnce(mpsc::Sender<T>) -> Request) -> Result<T, Stopped> {
        let (reply, answer) = mpsc::channel();
        self.request(request(reply))?;
        answer.recv().map_err(|_| Stopped)
    }

    fn request(&self, request: Request) -> Result<(), Stopped> {
        let requests = self.requests.as_ref().ok_or(Stopped)?;
        requests.send(request).map_err(|_| Stopped)?;
        self.knock();
        Ok(())
    }

    /// Wakes the thread, once for all requests that it has not read yet.
    fn knock(&self) {
        if !self.knocked.swap(true, Ordering::SeqCst) {
            // A thread that can't be woken still comes by at its next deadline.
            let _ = self.waker.wake();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // The end of requests is the request to stop, after all that were made before.
        self.requests = None;
        let _ = self.waker.wake();
        if let Some(thread) = self.thread.take() {
            // How it ended is of no use to anyone any more.
            let _ = thread.join();
        }
    }
}

/// The thread's side.
struct Thread {
    driver: Driver,
    requests: Receiver<Request>,
    /// Set by the handle when it has sent a request, cleared here before they are read.
    knocked: Arc<AtomicBool>,
    listeners: Vec<Listener>,
    /// What is known of the LAN has been as complete as it will be.
    settled: bool,
}

impl Thread {
    /// Runs until the handle is gone and the engine has stopped.
    fn run(mut self) -> io::Result<()> {
        loop {
            // Requests first, so that what was asked for before the thread ran is not delayed.
            let more = self.take_requests();
            let wake = self.driver.carry_out();
            let hurry = self.tell() || more;
            if self.driver.is_over() {
                return Ok(());
            }
            self.driver.take_in(wake, hurry.then_some(std::time::Duration::ZERO))?;
        }
    }

    /// Carries out what the handle asks for, until too much was said: then the handle waits. `true`
    /// if there is more than one turn's worth.
    fn take_requests(&mut self) -> bool {
        if self.driver.is_congested() {
            return false;
        }
        self.knocked.store(false, Ordering::SeqCst);
        for _ in 0..TURN {
            if self.driver.is_congested() {
                return false;
            }
            match self.requests.try_recv() {
                Ok(Request::Command(command)) => self.driver.command(command),
                Ok(Request::Subscribe(listener)) => self.listeners.push(listener),
                // Who asks and does not wait for the answer does not get it.
                Ok(Request::Peers(reply)) => drop(reply.send(self.driver.engine.peers().collect())),
                Ok(Request::Settled(reply)) => drop(reply.send(self.settled)),
                Ok(Request::Links(reply)) => drop(reply.send(self.driver.links())),
                Ok(Request::Stats(reply)) => drop(reply.send(self.driver.stats())),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {
                    self.driver.command(Command::Stop);
                    return false;
                }
            }
        }
        true
    }

    /// Tells the listeners what has happened. `true` if that left something to be carried out.
    fn tell(&mut self) -> bool {
        if self.driver.notices.is_empty() {
            return false;
        }
        let notices: Vec<Notice> = self.driver.notices.drain(..).collect();
        self.settled |= notices.iter().any(Notice::is_settled);
        let mut heard = 0;
        self.listeners.retain_mut(|listener| {
            let taken = listener.tell(&notices);
            heard = heard.max(taken.unwrap_or(0));
            taken.is_some()
        });
        // Nobody will answer what nobody hears of.
        let mut passed = false;
        for notice in &notices[heard..] {
            if let Notice::Event(Event::Question(question)) = notice {
                let (question, what, exit, last) = (question.number, None, None, true);
                self.driver.command(Command::Answer { question, what, exit, last });
                passed = true;
            }
        }
        passed
    }
}
