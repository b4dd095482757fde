//! The gateway's loop: callers are let in, given their turns, and sent away, in one poll.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::os::fd::AsRawFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use mio::net::{TcpListener, TcpStream};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Registry, Token};

use super::callers::Caller;
use super::listener::{is_private, watch_over};
use super::talker::{Company, Talker};
use super::{
    CALLERS, CALLERS_OF_ONE, Counts, GatewayOptions, LAST_WORDS, LINGERING, NEWCOMER_BURST,
    NEWCOMER_RATE, PARTING, Shared, count,
};
use crate::agent::log::Log;
use crate::net::Clock;
use crate::node::Options;
use crate::proto::Bucket;
use crate::talk::text::Style;
use crate::values::{ChannelName, Escaped, Instant, Nick, NodeId, SmallMap, SmallSet, filled};

/// Tokens: these, then two for each slot, of its connection and of its node.
pub(super) const WAKER: Token = Token(0);
const LISTENER: Token = Token(1);
const FIRST: usize = 2;

/// Slots: one for each caller, and one for each whose last words are still to leave.
const SLOTS: usize = CALLERS + LINGERING;

/// Connections that are let in before the callers have their turn.
const ACCEPTS: usize = 64;

/// The longest that the gateway sleeps.
const TURN: Duration = Duration::from_secs(1);

/// Nodes of callers that have gone, so that the news of it is told as what it is.
const GONE: usize = 4 * CALLERS;

/// What a node carries so that others know that it is no program's own.
const VIA: (&str, &str) = ("via", "gateway");

/// The gateway.
#[derive(Debug)]
pub(super) struct Desk {
    poll: Poll,
    listener: TcpListener,
    /// When to look who waits to be let in, if anybody may.
    knocks: Option<Instant>,
    callers: SmallMap<usize, Caller>,
    /// Callers to whom something has happened.
    due: SmallSet<usize>,
    house: House,
    shared: Arc<Shared>,
}

/// What all callers have in common.
#[derive(Debug)]
pub(super) struct House {
    clock: Clock,
    /// One moment for all that is done in a turn.
    now: Instant,
    registry: Registry,
    options: GatewayOptions,
    node: Options,
    style: Style,
    log: Log,
    shared: Arc<Shared>,
    /// The nicks of the callers, by slot.
    nicks: SmallMap<usize, String>,
    nodes: SmallSet<NodeId>,
    gone: VecDeque<NodeId>,
    newcomers: Bucket,
    /// When something was last noted that anybody can cause.
    noted: Option<Instant>,
}

impl Desk {
    pub(super) fn open(
        poll: Poll,
        mut listener: TcpListener,
        options: GatewayOptions,
        mut node: Options,
        log: Log,
        shared: Arc<Shared>,
    ) -> io::Result<Self> {
        poll.registry().register(&mut listener, LISTENER, Interest::READABLE)?;
        node.channels = vec![ChannelName::lobby()];
        node.state_dir = None;
        node.echo = false;
        // What this host offers, the agent tells.
        node.profile.services.clear();
        node.profile.tags = filled([(VIA.0.into(), VIA.1.into())]);
        let clock = Clock::new();
        let house = House {
            clock,
            now: clock.now(),
            registry: poll.registry().try_clone()?,
            options,
            node,
            style: Style::new(false),
            log,
            shared: Arc::clone(&shared),
            nicks: SmallMap::new(),
            nodes: SmallSet::new(),
            gone: VecDeque::new(),
            newcomers: Bucket::full(clock.now(), NEWCOMER_BURST),
            noted: None,
        };
        let (callers, due) = (SmallMap::new(), SmallSet::new());
        Ok(Self { poll, listener, knocks: Some(Instant::ZERO), callers, due, house, shared })
    }

    /// Serves until the agent ends.
    pub(super) fn serve(&mut self) -> io::Result<()> {
        let mut events = Events::with_capacity(2 * SLOTS + FIRST);
        while !self.shared.stopping.load(Ordering::Acquire) {
            self.wait(&mut events)?;
            if self.knocks.is_some_and(|at| self.house.now >= at) {
                self.accept();
            }
            self.turn();
        }
        self.close(&mut events)
    }

    fn wait(&mut self, events: &mut Events) -> io::Result<()> {
        let house = &self.house;
        let knocks = self.knocks.map_or(TURN, |at| at.since(house.now));
        let first =
            self.callers.values().map(|caller| caller.wait(house)).fold(knocks, Duration::min);
        match self.poll.poll(events, Some(first.min(TURN))) {
            Err(e) if e.kind() != io::ErrorKind::Interrupted => return Err(e),
            _ => {}
        }
        self.house.now = self.house.clock.now();
        for event in &*events {
            match event.token() {
                WAKER => {}
                LISTENER => self.knocks = Some(self.house.now),
                Token(number) => {
                    let (slot, of_node) = ((number - FIRST) / 2, (number - FIRST) % 2 == 1);
                    self.due.insert(slot);
                    if let Some(caller) = self.callers.get_mut(&slot).filter(|_| !of_node) {
                        caller.is_readable();
                    }
                }
            }
        }
        Ok(())
    }

    /// Gives a turn to every caller to whom something has happened, or whose time has come.
    fn turn(&mut self) {
        let (house, due) = (&mut self.house, std::mem::take(&mut self.due));
        let mut over = Vec::new();
        for (&slot, caller) in &mut self.callers {
            let waits = !due.contains(&slot) && !caller.wait(house).is_zero();
            if !waits && caller.turn(house) {
                over.push(slot);
            }
        }
        for slot in over {
            self.callers.remove(&slot);
        }
    }

    /// Lets in who waits, a bounded number of them.
    fn accept(&mut self) {
        for _ in 0..ACCEPTS {
            match self.listener.accept() {
                Ok((stream, addr)) => self.let_in(stream, addr),
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.knocks = None;
                    return;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                // Of the connection, which is gone already.
                Err(e) if e.kind() == io::ErrorKind::ConnectionAborted => {}
                // Too many open files, mostly: who waits is let in when somebody has gone.
                Err(e) => {
                    self.house.note_now_and_then(&format!("nobody can be let in: {e}"));
                    self.knocks = Some(self.house.now + TURN);
                    return;
                }
            }
        }
    }

    fn let_in(&mut self, mut stream: TcpStream, addr: SocketAddr) {
        let slot = (0..SLOTS).find(|slot| !self.callers.contains_key(slot));
        let registry = self.poll.registry();
        let slot = slot.filter(|slot| {
            let (token, both) = (Token(FIRST + 2 * slot), Interest::READABLE | Interest::WRITABLE);
            watch_over(&stream).and_then(|()| registry.register(&mut stream, token, both)).is_ok()
        });
        let Some(slot) = slot else {
            count(&self.shared.counts.refused);
            return;
        };
        let refused = self.refuses(addr);
        let mut caller = Caller::new(slot, stream, addr, self.house.now);
        match refused {
            None => caller.greet(&self.house),
            Some(why) => {
                count(&self.shared.counts.refused);
                self.house.note_now_and_then(&format!("{addr} was not let in: {why}"));
                caller.turn_away(&self.house, &format!("! {why}; try again later"));
            }
        }
        self.callers.insert(slot, caller);
        self.due.insert(slot);
    }

    /// Why one more from there is not let in.
    fn refuses(&self, addr: SocketAddr) -> Option<String> {
        let here = || self.callers.values().filter(|caller| !caller.is_over());
        if here().count() >= CALLERS {
            return Some(format!("{CALLERS} clients are connected, and no more are let in"));
        }
        let same = here().filter(|caller| caller.addr().ip() == addr.ip()).count();
        if same >= CALLERS_OF_ONE && !is_private(addr.ip()) {
            return Some(format!("{CALLERS_OF_ONE} clients of your host are connected already"));
        }
        None
    }

    /// Says goodbye to all.
    fn close(&mut self, events: &mut Events) -> io::Result<()> {
        let house = &mut self.house;
        house.now = house.clock.now();
        for (_, caller) in self.callers.iter_mut().filter(|(_, caller)| !caller.is_over()) {
            caller.leave(house, "! the agent ends; goodbye", "the agent ends");
        }
        self.due.extend(self.callers.keys().copied());
        let until = house.now + LAST_WORDS + PARTING;
        self.turn();
        while !self.callers.is_empty() && self.house.now < until {
            self.wait(events)?;
            self.turn();
        }
        self.callers.clear();
        Ok(())
    }
}

impl House {
    pub(super) fn now(&self) -> Instant {
        self.now
    }

    /// This host's name, safe to show.
    pub(super) fn host(&self) -> Escaped<'_> {
        self.node.profile.host.escaped()
    }

    pub(super) fn style(&self) -> &Style {
        &self.style
    }

    pub(super) fn idle(&self) -> Option<Duration> {
        self.options.idle
    }

    pub(super) fn counts(&self) -> &Counts {
        &self.shared.counts
    }

    /// Callers with a nick.
    pub(super) fn connected(&self) -> usize {
        self.nodes.iter().len()
    }

    /// Tells whoever looks after the agent.
    pub(super) fn note(&self, what: &str) {
        self.log.info(&format!("gateway: {what}"));
    }

    /// The same, of what anybody can cause as often as he likes: once in a while.
    pub(super) fn note_now_and_then(&mut self, what: &str) {
        if self.noted.is_none_or(|last| self.now.since(last) >= TURN) {
            self.noted = Some(self.now);
            self.note(what);
        }
    }

    /// Gives the nick to the caller in that slot, unless another has it.
    pub(super) fn claim(&mut self, slot: usize, nick: &Nick) -> bool {
        let same = |other: &String| other.to_lowercase() == nick.as_str().to_lowercase();
        if self.nicks.iter().any(|(other, nick)| *other != slot && same(nick)) {
            return false;
        }
        self.nicks.insert(slot, nick.as_str().to_owned());
        true
    }

    /// Takes the nick back.
    pub(super) fn release(&mut self, slot: usize) -> Option<String> {
        self.nicks.remove(&slot)
    }

    /// A node for a newcomer, or what to tell him.
    pub(super) fn welcome(&mut self, slot: usize, nick: &Nick) -> Result<Talker, String> {
        if !self.newcomers.take(self.now, NEWCOMER_RATE, NEWCOMER_BURST) {
            count(&self.shared.counts.refused);
            return Err("many come at once; type your nick again in a second".to_owned());
        }
        let failed = |error: &dyn std::fmt::Display| format!("you can't be let in: {error}");
        let talker = Talker::start(&self.node, nick, self.now).map_err(|e| failed(&e))?;
        // The kernel forgets it when the node goes, with its descriptor.
        let fd = talker.node().as_raw_fd();
        let token = Token(FIRST + 2 * slot + 1);
        let watched = self.registry.register(&mut SourceFd(&fd), token, Interest::READABLE);
        watched.map_err(|e| failed(&e))?;
        self.nodes.insert(talker.node().id());
        self.shared.connected.store(self.nodes.iter().len(), Ordering::Relaxed);
        Ok(talker)
    }

    /// A caller's node has gone, or is about to.
    pub(super) fn farewell(&mut self, node: NodeId) {
        self.nodes.remove(&node);
        self.shared.connected.store(self.nodes.iter().len(), Ordering::Relaxed);
        self.gone.truncate(GONE - 1);
        self.gone.push_front(node);
    }
}

impl Company for House {
    fn connected(&self, peer: NodeId) -> Option<usize> {
        let ours = self.nodes.contains(&peer) || self.gone.contains(&peer);
        ours.then_some(self.nodes.iter().len())
    }
}
