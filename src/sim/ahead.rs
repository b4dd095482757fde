//! The part of a world's work that several threads can do: to let engines take what is due to them.
//!
//! No datagram takes less than the latency of a LAN from one host to another, so nothing that happens
//! within so short a time can be the cause of anything else in it, but on the same host (this is the
//! lookahead of Chandy and Misra's conservative simulations). So what is due within it is given to the
//! engines beforehand, to each its own in its order, and what they do about it is noted. Then the
//! world goes on one step after the other, as it always does, and takes what was noted instead of
//! asking the engine: that is where datagrams get their fates, so that the same seed makes the same
//! world do the same things, whatever the number of threads.
//!
//! ```text
//!             ├────── latency ───────┤
//!   queue     d₁→a   d₂→b  d₃→a  w→b       what is due: datagrams, and who wants to be woken
//!   thread 1  a: d₁ ───────▶ d₃            what a does about each is noted
//!   thread 2         b: d₂ ───────▶ w      and what b does
//!   world     a: d₁, b: d₂, a: d₃, b: w    carries it out
//! ```

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use super::carry::LOOP;
use super::host::{Node, NodeIndex, Run};
use super::near;
use super::queue::{Due, Entry};
use super::world::World;
use crate::proto::{Input, Output};
use crate::values::Instant;

/// What an engine did about one input.
#[derive(Debug)]
pub(super) struct Done {
    at: Instant,
    pub(super) outputs: Vec<Output>,
    /// When it wants to be woken.
    pub(super) wake: Instant,
    /// How many peers it knew then.
    pub(super) peers: usize,
}

/// Fewer inputs than that are not worth a thread.
const WORTH: usize = if cfg!(test) { 2 } else { 512 };

impl Run {
    /// What the engine does about the input of this time, if it has not done so ahead of it.
    pub(super) fn react(&mut self, at: Instant, input: Input<'_>) -> Done {
        let done = self.ahead.pop_front();
        debug_assert!(done.as_ref().is_none_or(|done| done.at == at), "not what was foreseen");
        done.unwrap_or_else(|| self.ask(at, input))
    }

    fn ask(&mut self, at: Instant, input: Input<'_>) -> Done {
        self.engine.handle(at, input);
        let mut outputs = Vec::new();
        let wake = loop {
            match self.engine.poll() {
                Output::Wake(at) => break at,
                output => outputs.push(output),
            }
        };
        Done { at, outputs, wake, peers: self.engine.peer_count() }
    }

    /// Takes what is due to the engine, and what it wants of itself up to `until`.
    fn run_ahead<'a>(&mut self, due: impl Iterator<Item = &'a Entry>, mut until: Instant) {
        let mut due = due.peekable();
        let mut alarm = Alarm { wake: self.wake, queued: self.queued, rings: Vec::new() };
        loop {
            let ring = alarm.rings.iter().copied().min().filter(|ring| *ring <= until);
            // What was planned first happens first.
            let entry =
                due.next_if(|entry| entry.at <= until && ring.is_none_or(|ring| entry.at <= ring));
            let (at, input) = match (entry, ring) {
                (Some(entry), _) => match &entry.due {
                    Due::Delivery(delivery) => (entry.at, Some(delivery.input())),
                    _ => (entry.at, alarm.ring(entry.at).then_some(Input::Tick)),
                },
                (None, Some(ring)) => {
                    alarm.rings.retain(|other| *other != ring);
                    (ring, alarm.ring(ring).then_some(Input::Tick))
                }
                (None, None) => return,
            };
            if let Some(input) = input {
                let done = self.ask(at, input);
                alarm.wake = done.wake;
                if done.outputs.iter().any(|output| matches!(output, Output::Send { .. })) {
                    // What is sent to a group comes back.
                    until = until.min(at + LOOP - Duration::from_micros(1));
                }
                self.ahead.push_back(done);
            }
            alarm.set();
        }
    }
}

/// When an engine will be woken: what [`World`] does about it, foreseen.
struct Alarm {
    wake: Instant,
    queued: Instant,
    /// What will be put into the queue meanwhile.
    rings: Vec<Instant>,
}

impl Alarm {
    /// It is the time of an entry of the queue; whether the engine wants to be woken.
    fn ring(&mut self, at: Instant) -> bool {
        if self.queued == at {
            self.queued = Instant::NEVER;
        }
        self.wake <= at
    }

    fn set(&mut self) {
        if self.wake < self.queued {
            self.queued = self.wake;
            self.rings.push(self.wake);
        }
    }
}

impl World {
    /// Lets the engines take what is due to them in the next moment, if that is much and there are
    /// threads for it.
    pub(super) fn look_ahead(&mut self, end: Instant) {
        let quickest = self.lans.iter().map(|lan| lan.faults.latency).min();
        let span = if self.neighbours { quickest.min(Some(LOOP)) } else { quickest };
        let pays = self.threads > 1 || self.is_large();
        let Some(span) = span.filter(|span| pays && !span.is_zero()) else { return };
        let Some(until) = self.queue.foresee(span, end) else { return };
        if self.threads == 1 {
            return;
        }
        let entries = self.queue.foreseen();
        let mut places: Vec<(NodeIndex, usize)> = Vec::with_capacity(entries.len());
        places.extend(entries.iter().enumerate().filter_map(|(i, entry)| {
            let (node, life) = entry.due.to()?;
            let state = &self.nodes[node.0];
            let runs = state.life == life && state.frozen <= self.now;
            runs.then_some((node, i))
        }));
        if places.len() < WORTH {
            return;
        }
        places.sort_unstable();
        let (mut nodes, mut first, mut places) = (&mut self.nodes[..], 0, &places[..]);
        thread::scope(|scope| {
            for left in (2..=self.threads).rev() {
                // To each as many of the inputs, and whole nodes.
                let Some(&(node, _)) = places.get(places.len() / left) else { break };
                let share = places.partition_point(|(other, _)| *other < node);
                let (these, rest) = nodes.split_at_mut(node.0 - first);
                let (own, others) = places.split_at(share);
                scope.spawn(move || run_ahead(these, first, own, entries, until));
                (nodes, first, places) = (rest, node.0, others);
            }
            run_ahead(nodes, first, places, entries, until);
        });
    }
}

/// Lets nodes, the first of which has this number, take those of the entries that are theirs.
fn run_ahead(
    nodes: &mut [Node],
    first: usize,
    places: &[(NodeIndex, usize)],
    entries: &VecDeque<Entry>,
    until: Instant,
) {
    let mut each = places.chunk_by(|(a, _), (b, _)| a == b);
    loop {
        let next: Vec<_> = each.by_ref().take(near::AT_ONCE).collect();
        if next.is_empty() {
            return;
        }
        near::glance(next.iter().filter_map(|of_one| {
            let (node, i) = of_one[0];
            near::engine(&nodes[node.0 - first], &entries[i])
        }));
        for of_one in next {
            if let Some(run) = &mut nodes[of_one[0].0.0 - first].run {
                run.run_ahead(of_one.iter().map(|(_, i)| &entries[*i]), until);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::outcome::Table;
    use super::*;

    #[test]
    fn any_number_of_threads_comes_to_the_same() {
        let table = Table { steady: Duration::from_secs(5), seed: 3, threads: 1 };
        let alone = table.scenario(40, 0.05).run().to_string();
        for threads in [2, 3] {
            assert_eq!(Table { threads, ..table }.scenario(40, 0.05).run().to_string(), alone);
        }
    }
}
