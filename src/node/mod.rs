//! A node as a program sees it: start it, say things, hear things, ask who is there.
//!
//! A [`Node`] is a handle. The work is done by one thread, in which the engine, the sockets and
//! the timers meet in one poll; the handle sends it commands and reads from it what happened.
//! Dropping the handle says goodbye and ends the thread.

mod driver;
mod identity;
mod notices;
mod options;

use std::io;
use std::net::Ipv4Addr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, SyncSender};
use std::thread::JoinHandle;

use mio::{Poll, Waker};

pub use driver::Stats;
pub use notices::{Notice, Notices};
pub use options::Options;

use crate::net::{self, Clock, LinkError, OpenError, OpenOptions, Sockets, entropy};
use crate::proto::{Command, Config, Engine, Input, Outgoing, PeerInfo};
use crate::values::{ChannelName, Epoch, Instant, NodeId, WallTime};
use crate::wire::{Profile, Secret};
use driver::{Driver, Request, State};

/// Requests that wait for the thread at most; then the caller waits.
const REQUESTS: usize = 4_096;

/// Why a node can't start. Nothing is left open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No link can be used. The user's to mend.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The sockets can't be opened. The user's to mend.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The system refused something else.
    #[error("the system refused {what}: {error}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// The node's thread has ended, so nothing can be asked of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;

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
    waker: Arc<Waker>,
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
        let system = |what| move |error| StartError::System { what, error };
        let all = net::interfaces().map_err(system("the list of interfaces"))?;
        let links = net::choose(&all, &options.interfaces)?;
        let mut sockets = Sockets::open(&OpenOptions {
            port: options.group.port(),
            ttl: options.ttl.max(1),
            multicast: !options.no_multicast,
            receive_buffer: OpenOptions::RECEIVE_BUFFER,
        })?;
        let poll = Poll::new().map_err(system("a poll"))?;
        let waker = Waker::new(poll.registry(), driver::WAKER).map_err(system("a waker"))?;
        sockets
            .register(poll.registry(), driver::SOCKETS)
            .map_err(system("to watch the sockets"))?;
        sockets.set_links(&links); // no group is joined yet, so nothing can fail
        let kept = identity::load(options.state_dir.as_deref()).map_err(system("randomness"))?;
        let secret = match &options.secret {
            None => None,
            Some(shared) => {
                let too_long = || io::Error::other("the group's secret is too long");
                let secret = Secret::derive(shared, options.group).ok_or_else(too_long);
                Some(secret.map_err(system("a key"))?)
            }
        };
        let (id, epoch) = (kept.identity.id(), kept.epoch);
        let clock = Clock::new();
        let config = Config {
            identity: kept.identity,
            epoch,
            group: options.group,
            profile: Arc::new(options.profile),
            visitor: options.visitor,
            discover: !options.blind,
            multicast: !options.no_multicast,
            seeds: options.seeds,
            secret,
            randomness: entropy().map_err(system("randomness"))?,
        };
        let mut engine = Engine::new(config, clock.now());
        for channel in options.channels {
            engine.handle(clock.now(), Input::Command(Command::Join(channel)));
        }
        let (sender, requests) = mpsc::sync_channel(REQUESTS);
        let (listener, notices) = notices::subscription();
        let knocked = Arc::new(AtomicBool::new(false));
        let driver = Driver {
            engine,
            sockets,
            poll,
            clock,
            requests,
            knocked: Arc::clone(&knocked),
            listeners: vec![listener],
            wanted: options.interfaces,
            state: State::default(),
        };
        let lock = kept.lock;
        let thread = std::thread::Builder::new()
            .name("cooee-node".to_owned())
            .spawn(move || {
                let result = driver.run();
                drop(lock); // only now may another node take the identity
                result
            })
            .map_err(system("a thread"))?;
        let node = Self {
            id,
            epoch,
            warnings: kept.warnings,
            clock,
            requests: Some(sender),
            knocked,
            waker: Arc::new(waker),
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
    pub fn links(&self) -> Result<Vec<(String, Ipv4Addr)>, Stopped> {
        self.ask(Request::Links)
    }

    /// What has been counted so far.
    pub fn stats(&self) -> Result<Stats, Stopped> {
        self.ask(Request::Stats)
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
    pub fn say(&self, channel: &ChannelName, what: Outgoing) -> Result<(), Stopped> {
        self.command(Command::Say(channel.clone(), what))
    }

    /// As [`Node::say`], best effort and unsigned.
    pub fn cast(&self, channel: &ChannelName, what: Outgoing) -> Result<(), Stopped> {
        self.command(Command::Cast(channel.clone(), what))
    }

    /// Tells one peer; returns the ticket of the [`crate::proto::Event::Told`] or
    /// [`crate::proto::Event::NotTold`] to come.
    pub fn tell(&self, to: NodeId, what: Outgoing) -> Result<u64, Stopped> {
        let ticket = self.tickets.fetch_add(1, Ordering::Relaxed) + 1;
        self.command(Command::Tell { to, what, ticket })?;
        Ok(ticket)
    }

    /// Replaces what the node says of itself.
    pub fn set_profile(&self, profile: Profile) -> Result<(), Stopped> {
        self.command(Command::Profile(Arc::new(profile)))
    }

    /// Everyone known: those who are there, and those who are suspect.
    pub fn peers(&self) -> Result<Vec<PeerInfo>, Stopped> {
        self.ask(Request::Peers)
    }

    /// Now, as [`PeerInfo::since`] counts it.
    pub fn now(&self) -> Instant {
        self.clock.now()
    }

    /// This host's clock.
    pub fn wall(&self) -> WallTime {
        Clock::wall()
    }

    /// Waits until everything that was said has left, says goodbye and ends the thread.
    pub fn stop(self) {
        drop(self);
    }

    fn command(&self, command: Command) -> Result<(), Stopped> {
        self.request(Request::Command(command))
    }

    fn ask<T>(&self, request: impl FnOnce(mpsc::Sender<T>) -> Request) -> Result<T, Stopped> {
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
