//! How time passes in a world of thousands: in windows, in each of which every engine has its turn once.
//!
//! No datagram takes less than the latency of the LAN, so nothing that happens within so short a time can
//! be the cause of anything else in it, but on the same host (this is the lookahead of Chandy and Misra's
//! conservative simulations). So each engine takes all that reaches it within one such window, one thing
//! after the other, before the next engine does: what it keeps has to be brought near the processor
//! once a window and not once a datagram, and several threads can share the engines among
//! them. Then what all have sent is put on its way, in the order of time: there
//! it gets its fate, so that the same seed makes the same world do the same things, whatever the number of
//! threads.
//!
//! ```text
//!            ├────── window ──────┤├──── next …
//!   thread 1  a: ◆  ◆─┐  ◆    b: ◆ │              ◆ a letter, or a time that it has planned
//!   thread 2  c: ◆    │       d: ◆─┼─┐
//!   world             └─▶ b, d     └─┴─▶ a, c …   what was sent arrives in a later window
//! ```
//!
//! Each host has one node here, which is a member of all groups that it sends to; and nobody stands still or
//! keeps a secret.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::panic::resume_unwind;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::answers::Answers;
use super::carry::LOOP;
use super::checker;
use super::host::{Host, Node, NodeIndex};
use super::post::{Inbox, Letter, Post};
use super::profiles::Profiles;
use super::queue::Due;
use super::world::World;
use crate::proto::{Destination, Event, Input, Output};
use crate::values::{Instant, LinkId};
use crate::wire::{Hearing, Packet};

/// Fewer engines than that are not worth a thread.
const WORTH: usize = if cfg!(test) { 2 } else { 128 };

/// What an engine wants the world to do.
#[derive(Debug)]
enum Deed {
    Send {
        packet: Arc<Packet>,
        to: Destination,
        /// Whether it has heard itself already.
        heard: bool,
    },
    Other(Output),
}

/// A datagram that may prove where its sender is.
struct Proof {
    node: NodeIndex,
    packet: Arc<Packet>,
    source: SocketAddr,
}

/// What one thread's engines have done in a window.
#[derive(Default)]
struct Work {
    deeds: Vec<(Instant, NodeIndex, Deed)>,
    proofs: Vec<Proof>,
    /// Datagrams and bytes that reached each node.
    received: Vec<(NodeIndex, u64, u64)>,
    ticks: Vec<(Instant, NodeIndex)>,
    findings: Vec<(Instant, NodeIndex, String)>,
    letters: Vec<Letter>,
    echoes: VecDeque<(Instant, Arc<Packet>)>,
}

/// What all threads look at.
#[derive(Clone, Copy)]
struct View<'a> {
    until: Instant,
    post: &'a Post,
    hosts: &'a [Host],
    profiles: &'a Profiles,
    census: Option<usize>,
}

impl World {
    /// Lets time pass up to `end`.
    pub(super) fn run_windows(&mut self, end: Instant) {
        let latency = self.lans.iter().map(|lan| lan.faults.latency).min().unwrap_or_default();
        let span = latency.saturating_sub(Duration::from_micros(1));
        loop {
            let first = self.post.next().min(self.queue.next()).max(self.now);
            if first > end {
                return;
            }
            let until = end.min(first + span);
            while let Some((at, due)) = self.queue.pop(until) {
                self.now = self.now.max(at);
                if let Due::Start(node) = due {
                    self.start(node);
                }
            }
            self.window(until);
            self.now = until;
            self.post.forget(until);
        }
    }

    fn window(&mut self, until: Instant) {
        let due = self.post.due.iter().enumerate().filter(|(_, due)| **due <= until);
        let active: Vec<NodeIndex> = due.map(|(node, _)| NodeIndex(node)).collect();
        let threads = if active.len() < WORTH { 1 } else { self.threads };
        let mut inboxes = std::mem::take(&mut self.post.inboxes);
        let mut dues = std::mem::take(&mut self.post.due);
        let census = self.census;
        let view =
            View { until, post: &self.post, hosts: &self.hosts, profiles: &self.profiles, census };
        let mut all = Vec::new();
        thread::scope(|scope| {
            let (mut nodes, mut inboxes) = (&mut self.nodes[..], &mut inboxes[..]);
            let (mut dues, mut active, mut first) = (&mut dues[..], &active[..], 0);
            let mut others = Vec::new();
            for left in (2..=threads).rev() {
                let (own, rest) = active.split_at(active.len() / left);
                let Some(next) = rest.first() else { break };
                let (these, later) = nodes.split_at_mut(next.0 - first);
                let (mail, later_mail) = inboxes.split_at_mut(next.0 - first);
                let (when, later_when) = dues.split_at_mut(next.0 - first);
                let turns = Turns { first, nodes: these, inboxes: mail, dues: when };
                others.push(scope.spawn(move || turns.take(own, view)));
                (nodes, inboxes, dues) = (later, later_mail, later_when);
                (active, first) = (rest, next.0);
            }
            let last = Turns { first, nodes, inboxes, dues }.take(active, view);
            for other in others {
                // What panics here would have panicked in a single thread.
                all.push(other.join().unwrap_or_else(|panic| resume_unwind(panic)));
            }
            all.push(last);
        });
        (self.post.inboxes, self.post.due) = (inboxes, dues);
        self.carry_out_all(all);
    }

    /// Does what all engines want done, in the order of time.
    fn carry_out_all(&mut self, all: Vec<Work>) {
        let mut deeds = Vec::new();
        for work in all {
            deeds.extend(work.deeds);
            for (node, datagrams, bytes) in work.received {
                self.tally.received += datagrams;
                self.checker.count(node, datagrams, bytes);
            }
            for Proof { node, packet, source } in work.proofs {
                self.checker.prove(node, &packet, source);
            }
            for (at, node) in work.ticks {
                self.checker.ticked(node, at);
            }
            for (at, node, what) in work.findings {
                self.checker.find(at, node, &what);
            }
        }
        // Of one node they are in order already.
        deeds.sort_by_key(|(at, node, _)| (*at, *node));
        for (at, node, deed) in deeds {
            self.now = at;
            match deed {
                Deed::Send { packet, to, heard } => self.send(node, &packet, to, heard),
                Deed::Other(output) => self.carry_out(node, output),
            }
        }
    }
}

/// The nodes of one thread, the first of which has this number.
struct Turns<'a> {
    first: usize,
    nodes: &'a mut [Node],
    inboxes: &'a mut [Inbox],
    dues: &'a mut [Instant],
}

impl Turns<'_> {
    fn take(self, active: &[NodeIndex], view: View<'_>) -> Work {
        let mut work = Work::default();
        for &node in active {
            let i = node.0 - self.first;
            let next = self.inboxes[i].take(view.until, &mut work.letters);
            work.turn(node, &mut self.nodes[i], view);
            let wake = self.nodes[i].run.as_ref().map_or(Instant::NEVER, |run| run.wake);
            self.dues[i] = next.min(wake);
        }
        work
    }
}

impl Work {
    /// Gives an engine what is due to it, in order.
    fn turn(&mut self, node: NodeIndex, state: &mut Node, view: View<'_>) {
        let letters = std::mem::take(&mut self.letters);
        let mut next = letters.iter().copied().peekable();
        let (mut datagrams, mut bytes) = (0, 0);
        while let Some(wake) = state.run.as_ref().map(|run| run.wake) {
            let letter = next.peek().map_or(Instant::NEVER, |letter| letter.at);
            let echo = self.echoes.front().map_or(Instant::NEVER, |(at, _)| *at);
            let at = letter.min(echo).min(wake);
            if at > view.until {
                break;
            }
            if at == letter
                && let Some(letter) = next.next()
            {
                let parcel = view.post.parcel(letter);
                let source = SocketAddr::V4(parcel.source);
                let packet = &parcel.packet;
                if Answers::may_prove(packet) {
                    self.proofs.push(Proof { node, packet: Arc::clone(packet), source });
                }
                (datagrams, bytes) = (datagrams + 1, bytes + packet.bytes().len() as u64);
                let (link, via) = (letter.link, parcel.via);
                self.give(node, state, at, Input::Datagram { packet, source, link, via }, view);
            } else if at == echo
                && let Some((_, packet)) = self.echoes.pop_front()
                && let Some((source, link)) = origin(state, view)
            {
                (datagrams, bytes) = (datagrams + 1, bytes + packet.bytes().len() as u64);
                let (packet, via) = (&*packet, Hearing::Multicast);
                self.give(node, state, at, Input::Datagram { packet, source, link, via }, view);
            } else {
                self.ticks.push((at, node));
                self.give(node, state, at, Input::Tick, view);
            }
        }
        if datagrams > 0 {
            self.received.push((node, datagrams, bytes));
        }
        self.letters = letters;
    }

    fn give(
        &mut self,
        node: NodeIndex,
        state: &mut Node,
        at: Instant,
        input: Input<'_>,
        view: View<'_>,
    ) {
        let Some(run) = &mut state.run else { return };
        run.engine.handle(at, input);
        let mut outputs = 0;
        loop {
            let deed = match run.engine.poll() {
                Output::Wake(wake) => {
                    run.wake = wake;
                    break;
                }
                Output::Send { bytes, to } => {
                    let packet = view.profiles.vouch(bytes);
                    let heard = matches!(to, Destination::Group(..)) && at + LOOP <= view.until;
                    if heard {
                        self.echoes.push_back((at + LOOP, Arc::clone(&packet)));
                    }
                    Deed::Send { packet, to, heard }
                }
                // Nobody asks who has come or left.
                Output::Event(Event::Joined(peer)) if peer.id != state.id => continue,
                Output::Event(Event::Left(_)) => continue,
                other => Deed::Other(other),
            };
            outputs += 1;
            self.deeds.push((at, node, deed));
        }
        if let Some(what) = checker::finds_in_drain(at, run.wake, outputs) {
            self.findings.push((at, node, what));
        }
        if state.complete.is_none() && view.census == Some(run.engine.peer_count()) {
            state.complete = Some(at);
        }
    }
}

/// Where what a node sends comes from, and over which link it comes back.
fn origin(state: &Node, view: View<'_>) -> Option<(SocketAddr, LinkId)> {
    let (interface, run) = (view.hosts[state.host.0].interfaces.first()?, state.run.as_ref()?);
    Some((SocketAddr::from((interface.ip, run.port)), interface.link))
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Table;
    use super::*;

    #[test]
    fn any_number_of_threads_comes_to_the_same() {
        let table = Table { steady: Duration::from_secs(5), seed: 3, threads: 1 };
        let alone = table.scenario(101, 0.05).run().to_string();
        assert!(!alone.contains("never"), "{alone}");
        for threads in [2, 3] {
            assert_eq!(Table { threads, ..table }.scenario(101, 0.05).run().to_string(), alone);
        }
    }
}
