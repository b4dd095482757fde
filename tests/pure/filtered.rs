//! Stories of multicast that is filtered in the middle of a conversation, and of LANs where it only
//! seems to be.

use std::time::Duration;

use cooee::proto::Event;
use cooee::sim::{Faults, NodeIndex, World};

use crate::stories::{Story, ms, secs};

/// How many words about paths a node's user was given.
fn paths(world: &World, node: NodeIndex) -> usize {
    let events = world.events(node).iter();
    events.filter(|(_, event)| matches!(event, Event::Path(_))).count()
}

#[test]
fn where_a_fifth_is_lost_and_nothing_filtered_nobody_is_told_of_a_filter() {
    for (hosts, seeds) in [(2, 1..=3), (3, 1..=3), (10, 1..=10)] {
        for seed in seeds {
            let mut story = Story::with(hosts, Faults::losing(0.2), seed);
            story.world.run_for(secs(180));
            let told: usize = story.nodes.iter().map(|&node| paths(&story.world, node)).sum();
            assert_eq!(told, 0, "{hosts} hosts, seed {seed}");
            story.end();
        }
    }
}

/// Filters the last host's multicast: what it sends, and what it is sent as well unless `one_way`.
/// The time until everybody's user knows, and the longest that a line took until then.
fn filter(hosts: usize, seed: u64, one_way: bool) -> (Duration, Duration) {
    let mut story = Story::with(hosts, Faults::default(), seed);
    let pause = story.world.rng().up_to(secs(2));
    story.world.run_for(pause);
    let last = story.hosts[hosts - 1];
    (story.world.host(last).mute, story.world.host(last).deaf) = (true, !one_way);
    let (begun, nodes) = (story.world.now(), story.nodes.clone());
    let mut longest = Duration::ZERO;
    for round in 0.. {
        let speaker = nodes[if round % 2 == 0 { hosts - 1 } else { round % (hosts - 1) }];
        let (text, said) = (format!("line {round}"), story.world.now());
        story.world.say(speaker, &text);
        let is_heard =
            |world: &World| nodes.iter().all(|&n| n == speaker || world.heard(n, &text) == 1);
        story.world.run_until(secs(20), is_heard).expect("everybody to hear it");
        longest = longest.max(story.world.now().since(said));
        if nodes.iter().all(|&node| paths(&story.world, node) > 0) {
            break;
        }
        assert!(story.world.now().since(begun) < secs(60), "nobody notices");
        story.world.run_for(ms(250));
    }
    let took = story.world.now().since(begun);
    story.end();
    (took, longest)
}

#[test]
fn a_host_that_is_filtered_both_ways_is_noticed_and_nothing_said_meanwhile_is_late_for_it() {
    for (hosts, most) in [(2, 9_300), (3, 9_300), (4, 9_300), (10, 8_000), (30, 8_000)] {
        for seed in 1..=5 {
            let (took, longest) = filter(hosts, seed, false);
            assert!(took < ms(most), "{hosts} hosts, seed {seed}: noticed after {took:?}");
            assert!(longest < ms(2_700), "{hosts} hosts, seed {seed}: {longest:?}");
        }
    }
}

#[test]
fn a_host_whose_multicast_reaches_nobody_is_noticed_though_it_hears_all() {
    for hosts in [2, 3, 4, 10, 30] {
        for seed in 1..=5 {
            let (took, longest) = filter(hosts, seed, true);
            assert!(took < secs(12), "{hosts} hosts, seed {seed}: noticed after {took:?}");
            assert!(longest < ms(6_500), "{hosts} hosts, seed {seed}: {longest:?}");
        }
    }
}
