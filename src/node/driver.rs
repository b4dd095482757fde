//! The node's one thread: engine, sockets and timers joined by one poll.
//!
//! It drains what is ready within bounds, hands it to the engine, carries out what the engine
//! wants, and sleeps until the next event or deadline. It decides nothing about the protocol.

use std::collections::{BTreeSet, VecDeque};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, TryRecvError};
use std::time::Duration;

use mio::{Events, Poll, Token};

use super::notices::{Listener, Notice};
use crate::net::{self, Clock, Drained, Link, LinkFailure, Sockets, Transmit};
use crate::proto::{Command, Counters, Destination, Engine, Event, Input, Output, PeerInfo};
use crate::values::{Instant, LinkId};
use crate::wire::{Hearing, Packet};

/// The waker's token; the sockets have those behind it.
pub(super) const WAKER: Token = Token(0);

/// Tokens of the sockets: the unicast socket and as many group sockets as 128 channels on 64 links
/// need at 20 memberships each.
pub(super) const SOCKETS: std::ops::Range<usize> = 1..512;

/// Requests of the handle that are carried out in one turn.
const REQUESTS: usize = 1_024;

/// Datagrams that wait to be sent; while there are more, no requests are taken.
const SEND_QUEUE: usize = 4_096;

/// How often the interfaces are looked at.
const LOOK_AT_LINKS: Duration = Duration::from_secs(2);

/// How long the last datagrams may take to leave when the node stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// What the handle asks of the thread.
pub(super) enum Request {
    Command(Command),
    Subscribe(Listener),
    Peers(Sender<Vec<PeerInfo>>),
    Links(Sender<Vec<(String, Ipv4Addr)>>),
    Stats(Sender<Stats>),
}

/// What a node has counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stats {
    /// By the protocol.
    pub protocol: Counters,
    /// Datagrams that the kernel dropped because the node could not keep up.
    pub kernel_drops: u64,
    /// Bytes of the smallest receive buffer.
    pub receive_buffer: usize,
    /// Open sockets.
    pub sockets: usize,
    /// Memberships, of groups on links.
    pub memberships: usize,
}

/// The thread's state.
pub(super) struct Driver {
    pub(super) engine: Engine,
    pub(super) sockets: Sockets,
    pub(super) poll: Poll,
    pub(super) clock: Clock,
    pub(super) requests: Receiver<Request>,
    /// Set by the handle when it has sent a request, cleared here before they are read.
    pub(super) knocked: Arc<AtomicBool>,
    pub(super) listeners: Vec<Listener>,
    /// `--iface`, as given.
    pub(super) wanted: Vec<String>,
    pub(super) state: State,
}

/// What changes from turn to turn.
#[derive(Default)]
pub(super) struct State {
    queue: VecDeque<Transmit>,
    notices: Vec<Notice>,
    failing: BTreeSet<LinkId>,
    reported_drops: u64,
    next_look: Instant,
    stopping: Option<Instant>,
}

impl Driver {
    /// Runs until the engine has stopped, or the handle is gone.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(64);
        let mut busy: BTreeSet<Token> = BTreeSet::new();
        self.state.next_look = self.clock.now() + LOOK_AT_LINKS;
        let ids: Vec<LinkId> = self.sockets.links().iter().map(|link| link.id).collect();
        self.engine.handle(self.clock.now(), Input::Links(&ids));
        loop {
            // Requests first, so that what was asked for before the thread ran is not delayed.
            let more = self.take_requests();
            let wake = self.carry_out();
            if self.is_over() {
                return Ok(());
            }
            let deadline = wake.min(self.state.next_look);
            let wait = if more || !busy.is_empty() {
                Some(Duration::ZERO)
            } else if deadline == Instant::NEVER {
                None
            } else {
                Some(deadline.since(self.clock.now()))
            };
            match self.poll.poll(&mut events, wait) {
                Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
                _ => {}
            }
            busy.extend(events.iter().map(|event| event.token()).filter(|&t| t != WAKER));
            for token in std::mem::take(&mut busy) {
                if self.receive(token)? == Drained::More {
                    busy.insert(token);
                }
            }
            let now = self.clock.now();
            if now >= self.state.next_look {
                self.state.next_look = now + LOOK_AT_LINKS;
                self.look_at_links();
            }
            self.engine.handle(now, Input::Tick);
        }
    }

    fn is_over(&self) -> bool {
        let Some(since) = self.state.stopping else { return false };
        self.state.queue.is_empty() || self.clock.now().since(since) > LAST_WORDS
    }

    fn receive(&mut self, token: Token) -> io::Result<Drained> {
        let (engine, now) = (&mut self.engine, self.clock.now());
        self.sockets.receive(token, &mut |arrival| {
            let via = if arrival.to.is_multicast() { Hearing::Multicast } else { Hearing::Unicast };
            let packet = Packet::new(arrival.bytes);
            let (source, link) = (arrival.source, arrival.link);
            engine.handle(now, Input::Datagram { packet: &packet, source, link, via });
        })
    }

    /// Carries out what the handle asks for; `true` if there is more than one turn's worth.
    fn take_requests(&mut self) -> bool {
        if self.state.queue.len() > SEND_QUEUE || self.state.stopping.is_some() {
            return false; // the handle waits until the queue is shorter
        }
        self.knocked.store(false, Ordering::SeqCst);
        let now = self.clock.now();
        for _ in 0..REQUESTS {
            match self.requests.try_recv() {
                Ok(Request::Command(command)) => self.engine.handle(now, Input::Command(command)),
                Ok(Request::Subscribe(listener)) => self.listeners.push(listener),
                // Who asks and does not wait for the answer does not get it.
                Ok(Request::Peers(reply)) => drop(reply.send(self.engine.peers().collect())),
                Ok(Request::Links(reply)) => drop(reply.send(self.links())),
                Ok(Request::Stats(reply)) => drop(reply.send(self.stats())),
                Err(TryRecvError::Empty) => return false,
                Err(TryRecvError::Disconnected) => {
                    self.engine.handle(now, Input::Command(Command::Stop));
                    return false;
                }
            }
        }
        true
    }

    fn links(&self) -> Vec<(String, Ipv4Addr)> {
        self.sockets.links().iter().map(|link| (link.name.clone(), link.addr)).collect()
    }

    fn stats(&self) -> Stats {
        Stats {
            protocol: self.engine.counters(),
            kernel_drops: self.sockets.kernel_drops(),
            receive_buffer: self.sockets.receive_buffer(),
            sockets: self.sockets.sockets(),
            memberships: self.sockets.memberships(),
        }
    }

    /// Does what the engine wants, sends, and tells the listeners. Returns when the engine wants
    /// to be called again.
    fn carry_out(&mut self) -> Instant {
        let wake = loop {
            match self.engine.poll() {
                Output::Wake(at) => break at,
                Output::Send { bytes, to } => self.enqueue(bytes, to),
                Output::Join(group) => {
                    let failures = self.sockets.join(group);
                    self.report(failures);
                }
                Output::Leave(group) => self.sockets.leave(group),
                Output::Event(event) => {
                    if event == Event::Stopped {
                        self.state.stopping = Some(self.clock.now());
                    }
                    self.state.notices.push(Notice::Event(event));
                }
            }
        };
        self.send();
        self.tell();
        wake
    }

    fn enqueue(&mut self, bytes: Arc<[u8]>, to: Destination) {
        let queue = &mut self.state.queue;
        match to {
            Destination::Group(group) => {
                let to = SocketAddr::V4(group);
                queue.extend(self.sockets.links().iter().map(|link| Transmit {
                    bytes: Arc::clone(&bytes),
                    to,
                    link: Some(link.id),
                }));
            }
            Destination::Address(to, link) => queue.push_back(Transmit {
                bytes,
                to,
                // A datagram may have come by an interface that is not a link of ours, such as
                // the loopback; the way back is the routing table's business then.
                link: link.filter(|&id| self.sockets.links().iter().any(|link| link.id == id)),
            }),
        }
    }

    fn send(&mut self) {
        if self.state.queue.is_empty() {
            return;
        }
        let tried: BTreeSet<LinkId> = if self.state.failing.is_empty() {
            BTreeSet::new()
        } else {
            self.state.queue.iter().filter_map(|transmit| transmit.link).collect()
        };
        let sent = self.sockets.send(&mut self.state.queue);
        let failed: BTreeSet<LinkId> = sent.failures.iter().filter_map(|f| f.link).collect();
        for &link in tried.difference(&failed) {
            if self.state.failing.remove(&link)
                && let Some(name) = self.name(link)
            {
                self.state.notices.push(Notice::LinkUp { name });
            }
        }
        self.report(sent.failures);
    }

    fn name(&self, link: LinkId) -> Option<String> {
        self.sockets.links().iter().find(|l| l.id == link).map(|l| l.name.clone())
    }

    /// Tells of links that fail, of each once until it works again.
    fn report(&mut self, failures: Vec<LinkFailure>) {
        for failure in failures {
            let Some(link) = failure.link else { continue };
            if self.state.failing.insert(link) {
                let name = self.name(link).unwrap_or_else(|| link.to_string());
                let why = failure.to_string();
                self.state.notices.push(Notice::LinkDown { name, why });
            }
        }
    }

    fn tell(&mut self) {
        let drops = self.sockets.kernel_drops();
        if drops > self.state.reported_drops {
            let count = drops - self.state.reported_drops;
            self.state.reported_drops = drops;
            let buffer = self.sockets.receive_buffer();
            self.state.notices.push(Notice::Dropped { count, buffer });
        }
        if self.state.notices.is_empty() {
            return;
        }
        let notices = std::mem::take(&mut self.state.notices);
        self.listeners.retain_mut(|listener| listener.tell(&notices));
    }

    /// Looks whether interfaces have come, gone or changed.
    fn look_at_links(&mut self) {
        let Ok(all) = net::interfaces() else { return }; // the next look may succeed
        let links: Vec<Link> = if self.wanted.is_empty() {
            net::choose(&all, &[]).unwrap_or_default()
        } else {
            // Of those asked for, the ones that are fit right now.
            let each = self.wanted.iter();
            each.filter_map(|name| net::choose(&all, std::slice::from_ref(name)).ok())
                .flatten()
                .collect()
        };
        if links == self.sockets.links() {
            return;
        }
        let before: Vec<Link> = self.sockets.links().to_vec();
        for gone in before.iter().filter(|old| !links.iter().any(|new| new.id == old.id)) {
            self.state.failing.remove(&gone.id);
            let why = "the interface is gone, down or without address".to_owned();
            self.state.notices.push(Notice::LinkDown { name: gone.name.clone(), why });
        }
        let failures = self.sockets.set_links(&links);
        for new in links.iter().filter(|new| !before.iter().any(|old| old.id == new.id)) {
            self.state.notices.push(Notice::LinkUp { name: new.name.clone() });
        }
        self.report(failures);
        let ids: Vec<LinkId> = links.iter().map(|link| link.id).collect();
        self.engine.handle(self.clock.now(), Input::Links(&ids));
    }
}
