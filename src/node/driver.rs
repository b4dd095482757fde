//! Engine, sockets and timers joined by one poll, turn by turn.
//!
//! A turn carries out what the engine wants, sleeps until the next event or deadline, drains what
//! is ready within bounds and hands it to the engine. It decides nothing about the protocol, and
//! belongs to one thread: the node's own, or the program's.

mod links;

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, SocketAddr};
#[cfg(unix)]
use std::os::fd::{AsRawFd, RawFd};
use std::sync::Arc;
use std::time::Duration;

use mio::event::Event;
use mio::{Events, Poll, Token};

use super::memory::Memory;
use super::notices::Notice;
use crate::net::{self, Changes, Clock, Drained, Interface, Sleep, Sockets, Transmit, Usage};
use crate::proto::{self, Command, Counters, Destination, Engine, Input, Output, Versions};
use crate::values::{Instant, LinkId, SmallMap, SmallSet};
use crate::wire::{Hearing, Packet};

/// The tokens of the waker, of the system's word of changes, and of a host that wakes up; the sockets have
/// those behind them.
pub(super) const WAKER: Token = Token(0);
const CHANGES: Token = Token(1);
const SLEEP: Token = Token(2);

/// Tokens of the sockets: the unicast socket and as many group sockets as 128 channels on 64 links
/// need at 20 memberships each.
pub(super) const SOCKETS: std::ops::Range<usize> = 3..512;

/// Datagrams that wait to be sent; while there are more, nothing more is said.
const SEND_QUEUE: usize = 4_096;

/// Events that one poll brings at most.
const EVENTS: usize = 64;

/// How often the interfaces are looked at where the system does not tell of changes.
const LOOK_AT_LINKS: Duration = Duration::from_secs(2);

/// The same where it does: in case that it once does not.
const LOOK_ANYWAY: Duration = Duration::from_secs(30);

/// After a change the interfaces are looked at this much later: one that comes up gets its flags,
/// carrier and addresses one after the other.
const CHANGES_SETTLE: Duration = Duration::from_millis(100);

/// A link that failed works again when nothing has failed there for so long, though nothing has changed: where only
/// multicast is refused, every other datagram goes out.
const LINK_WORKS: Duration = Duration::from_secs(10);

/// Dropped datagrams are reported this often.
const REPORT_DROPS: Duration = Duration::from_secs(60);

/// How long the last datagrams may take to leave when the node stops.
const LAST_WORDS: Duration = Duration::from_millis(500);

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

/// Engine, sockets and timers, and what has to be remembered between two turns.
#[derive(Debug)]
pub(super) struct Driver {
    pub(super) engine: Engine,
    sockets: Sockets,
    poll: Poll,
    events: Events,
    /// The system's word of changes, where it gives it.
    changes: Option<Changes>,
    /// The host's sleep, where it can be told.
    sleep: Option<Sleep>,
    pub(super) clock: Clock,
    /// `--iface`, as given.
    wanted: Vec<String>,
    memory: Memory,
    /// What is to be sent by IPv4, and by IPv6: a full send buffer of the one holds up nothing of the
    /// other, and what goes by one can leave in few system calls.
    queues: [VecDeque<Transmit>; 2],
    /// What there is to tell since the last turn.
    pub(super) notices: VecDeque<Notice>,
    /// What happened at sources that are not the node's own, since the last turn.
    pub(super) foreign: Vec<Event>,
    /// Sockets that had more than one turn's worth.
    busy: SmallSet<Token>,
    /// Links that failed, and when they did so last; `None` if something has changed there since.
    failing: SmallMap<LinkId, Option<Instant>>,
    /// Links without a carrier at the last look: the cable is out.
    idle: SmallSet<LinkId>,
    /// Interfaces of which it was told that they do not work, whatever the reason is by now.
    down: SmallSet<LinkId>,
    reported_drops: u64,
    seen_drops: u64,
    next_report: Instant,
    next_look: Instant,
    /// When the engine wants to be called again, as far as is known.
    wake: Instant,
    /// The last poll brought as many events as it can: there may be more.
    flooded: bool,
    stopped: Option<Instant>,
}

impl Driver {
    /// A driver whose first turn starts the engine.
    pub(super) fn new(
        engine: Engine,
        sockets: Sockets,
        poll: Poll,
        clock: Clock,
        wanted: Vec<String>,
        memory: Memory,
    ) -> Self {
        let changes = Changes::watch(poll.registry(), CHANGES).ok();
        let sleep = Sleep::watch(poll.registry(), SLEEP).ok();
        let mut driver = Self {
            engine,
            sockets,
            poll,
            events: Events::with_capacity(EVENTS),
            changes,
            sleep,
            clock,
            wanted,
            memory,
            queues: [VecDeque::new(), VecDeque::new()],
            notices: VecDeque::new(),
            foreign: Vec::new(),
            busy: SmallSet::new(),
            failing: SmallMap::new(),
            idle: SmallSet::new(),
            down: SmallSet::new(),
            reported_drops: 0,
            seen_drops: 0,
            next_report: clock.now(),
            next_look: clock.now() + LOOK_AT_LINKS,
            wake: Instant::ZERO,
            flooded: false,
            stopped: None,
        };
        driver.tell_links();
        driver
    }

    fn look_around(&mut self) {
        if let Some(hints) = self.memory.look_around(&self.engine, self.sockets.links()) {
            self.engine.handle(self.clock.now(), Input::Command(Command::Hints(hints)));
        }
    }

    /// Hands a command to the engine. It is carried out, together with all others since the last
    /// turn, by [`Driver::carry_out`].
    pub(super) fn command(&mut self, command: Command) {
        self.wake = Instant::ZERO;
        self.engine.handle(self.clock.now(), Input::Command(command));
    }

    /// Waits until something happens, but not longer than `limit` or until `wake`, and takes it
    /// in.
    pub(super) fn take_in(&mut self, wake: Instant, limit: Option<Duration>) -> io::Result<()> {
        let deadline = wake.min(self.next_look);
        let wait = if self.busy.is_empty() {
            let wait = deadline.since(self.clock.now());
            Some(limit.map_or(wait, |limit| limit.min(wait)))
        } else {
            Some(Duration::ZERO)
        };
        match self.poll.poll(&mut self.events, wait) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        let mut changed = false;
        self.flooded = self.events.iter().count() >= EVENTS;
        for event in &self.events {
            match event.token() {
                WAKER => {}
                CHANGES => changed = true,
                SLEEP => self.next_look = self.clock.now(),
                token if SOCKETS.contains(&token.0) => drop(self.busy.insert(token)),
                _ => self.foreign.push(event.clone()),
            }
        }
        for token in std::mem::take(&mut self.busy) {
            if self.receive(token)? == Drained::More {
                self.busy.insert(token);
            }
        }
        if !self.busy.is_empty() {
            self.engine.handle(self.clock.now(), Input::Command(Command::Behind));
        }
        let drops = self.sockets.kernel_drops();
        if drops > self.seen_drops {
            self.seen_drops = drops;
            self.engine.handle(self.clock.now(), Input::Command(Command::Strained));
        }
        if changed {
            self.expect_changes();
        }
        if self.clock.now() >= self.next_look {
            let told = self.changes.is_some();
            let pause = if told { LOOK_ANYWAY } else { LOOK_AT_LINKS };
            self.next_look = self.clock.now() + pause;
            self.look_at_links();
            self.look_around();
            self.memory.keep_spoken(&self.engine, true);
        }
        self.engine.handle(self.clock.now(), Input::Tick);
        Ok(())
    }

    /// When the next turn is due even if nothing arrives before; at once where something waits.
    pub(super) fn deadline(&self) -> Instant {
        let waits = self.flooded || !self.busy.is_empty() || !self.notices.is_empty();
        if waits { Instant::ZERO } else { self.wake.min(self.next_look) }
    }

    /// The descriptor of the poll, readable when there is something to take in.
    #[cfg(unix)]
    pub(super) fn poll_fd(&self) -> RawFd {
        self.poll.as_raw_fd()
    }

    /// For watching further sources in the same poll, with tokens from the end of [`SOCKETS`] on.
    pub(super) fn registry(&self) -> io::Result<mio::Registry> {
        self.poll.registry().try_clone()
    }

    /// Whether so much waits to be sent, or was said just now, that nothing more should be said for
    /// now.
    pub(super) fn is_congested(&self) -> bool {
        self.queues.iter().any(|queue| queue.len() > SEND_QUEUE) || self.engine.is_congested()
    }

    /// Whether the engine has stopped and its last words have left, or can't.
    pub(super) fn is_over(&self) -> bool {
        let Some(since) = self.stopped else { return false };
        self.queues.iter().all(VecDeque::is_empty) || self.clock.now().since(since) > LAST_WORDS
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

    /// The interfaces of this host, and what this node makes of each.
    pub(super) fn interfaces(&self) -> io::Result<Vec<(Interface, Usage)>> {
        let all = net::interfaces()?;
        let usage = net::usage(&all, &self.wanted);
        Ok(all.into_iter().zip(usage).collect())
    }

    pub(super) fn links(&self) -> Vec<(String, IpAddr)> {
        self.sockets.links().iter().map(|link| (link.name.clone(), link.shown())).collect()
    }

    pub(super) fn stats(&self) -> Stats {
        Stats {
            protocol: self.engine.counters(),
            kernel_drops: self.sockets.kernel_drops(),
            receive_buffer: self.sockets.receive_buffer(),
            sockets: self.sockets.sockets(),
            memberships: self.sockets.memberships(),
        }
    }

    /// Does what the engine wants, and sends. Returns when the engine wants to be called again.
    pub(super) fn carry_out(&mut self) -> Instant {
        let wake = loop {
            match self.engine.poll() {
                Output::Wake(at) => break at,
                Output::Send { bytes, to } => self.enqueue(&bytes, to),
                Output::Join(group) => {
                    let failures = self.sockets.join(group);
                    self.report(failures);
                }
                Output::Leave(group) => self.sockets.leave(group),
                Output::Rejoin => {
                    let links: Vec<LinkId> = self.sockets.links().iter().map(|l| l.id).collect();
                    for link in links {
                        let failures = self.sockets.rejoin(link);
                        self.report(failures);
                    }
                }
                Output::Event(event) => {
                    if event == proto::Event::Stopped {
                        self.stopped = Some(self.clock.now());
                        self.memory.stop(&self.engine, self.sockets.links());
                    }
                    self.notices.push_back(Notice::Event(event));
                }
            }
        };
        self.send();
        self.memory.keep_spoken(&self.engine, false);
        self.count_drops();
        self.wake = wake;
        wake
    }

    fn enqueue(&mut self, bytes: &Arc<[u8]>, to: Destination) {
        let [four, six] = &mut self.queues;
        let mut send = |to: SocketAddr, link| {
            let queue = if to.is_ipv4() { &mut *four } else { &mut *six };
            queue.push_back(Transmit { bytes: Arc::clone(bytes), to, link });
        };
        match to {
            Destination::Group(group, versions) => {
                for (to, link) in self.sockets.ways(group, versions == Versions::All) {
                    send(to, Some(link));
                }
            }
            // A datagram may have come by an interface that is not a link of ours, such as the
            // loopback; the way back is the routing table's business then.
            Destination::Address(to, link) => {
                send(to, link.filter(|&id| self.sockets.links().iter().any(|link| link.id == id)));
            }
        }
    }

    fn send(&mut self) {
        for version in 0..self.queues.len() {
            if !self.queues[version].is_empty() {
                self.send_from(version);
            }
        }
    }

    fn send_from(&mut self, version: usize) {
        let queue = &mut self.queues[version];
        let tried: SmallSet<LinkId> = if self.failing.is_empty() {
            SmallSet::new()
        } else {
            queue.iter().filter_map(|transmit| transmit.link).collect()
        };
        let sent = self.sockets.send(queue);
        let failed: SmallSet<LinkId> = sent.failures.iter().filter_map(|f| f.link).collect();
        for link in tried.into_iter().filter(|link| !failed.contains(link)) {
            let works = |last: Option<Instant>| {
                last.is_none_or(|last| self.clock.now().since(last) >= LINK_WORKS)
            };
            if self.failing.get(&link).copied().is_some_and(works)
                && let Some(name) = self.name(link)
            {
                self.failing.remove(&link);
                self.tell_up(link, name);
            }
        }
        self.report(sent.failures);
    }

    fn count_drops(&mut self) {
        let drops = self.sockets.kernel_drops();
        if drops > self.reported_drops && self.clock.now() >= self.next_report {
            self.next_report = self.clock.now() + REPORT_DROPS;
            let count = drops - self.reported_drops;
            self.reported_drops = drops;
            let buffer = self.sockets.receive_buffer();
            self.notices.push_back(Notice::Dropped { count, buffer });
        }
    }
}
