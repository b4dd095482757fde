//! What a node costs beside the bare system calls, measured in one run on this machine's loopback:
//! messages received a second, round trips, and the time of one command from start to exit.
//!
//! The machine's speed drifts, so only the ratios within one run mean anything. Each row is the
//! median of several rounds in which the contestants take turns.

#![expect(clippy::expect_used, reason = "a benchmark that can't be set up has nothing to say")]

mod commands;
mod round_trip;
mod throughput;

use cooee::node::{Node, Notices, Options};
use cooee::values::{ChannelName, Group};
use cooee::wire::Profile;

use commands::commands;
use round_trip::round_trip;
use throughput::throughput;

const ROUNDS: usize = 5;
const TEXT: usize = 200;

/// A part of the benchmark, by its name on the command line.
type Part = (&'static str, fn(Group));

fn main() {
    let group: Group = "239.255.99.99:26999".parse().expect("a group");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    println!("median of {ROUNDS} rounds, {TEXT}-byte messages, on the loopback\n");
    let parts: [Part; 3] =
        [("throughput", throughput), ("round-trip", round_trip), ("commands", commands)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            part(group);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn options(group: Group, channels: Vec<ChannelName>) -> Options {
    Options {
        group,
        interfaces: vec!["lo".to_owned()],
        profile: Profile { nick: "bench".into(), ..Profile::default() },
        channels,
        ..Options::default()
    }
}

fn node(group: Group, channels: Vec<ChannelName>) -> (Node, Notices) {
    Node::start(options(group, channels)).expect("a node on the loopback")
}
