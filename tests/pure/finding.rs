//! Stories of finding each other.

use std::net::SocketAddr;
use std::time::Duration;

use cooee::proto::{Command, Event, Hint, PeerState};
use cooee::sim::{Faults, Kind, Spec};
use cooee::values::LinkId;
use cooee::wire::Hearing;

use crate::stories::{Story, ms, secs, settled, visitor};

#[test]
fn two_hosts_find_each_other_within_a_millisecond() {
    let mut story = Story::of(1);
    let late = story.join();
    let took = story.world.run_until(ms(10), |world| {
        world.engine(late).is_some_and(|engine| engine.peers().any(|peer| peer.verified))
    });
    assert!(took.is_some_and(|took| took <= ms(1)), "{took:?}");
    story.world.run_for(ms(17)); // until the switch has learnt of the newcomer
    story.everyone_hears_everyone("hi");
    story.end();
}

#[test]
fn a_visitor_hears_of_all_thirty_hosts_within_ten_milliseconds() {
    for seed in 1..=10 {
        let mut story = Story::with(30, Faults::default(), seed);
        let host = story.host();
        let begun = story.world.now();
        let asker = story.start(host, visitor());
        story.world.run_for(ms(100));
        let (complete, at) = settled(&story, asker).expect("an end");
        let took = at.saturating_sub(Duration::from_micros(begun.as_micros()));
        assert!(complete && took <= ms(10), "seed {seed}: complete: {complete}, {took:?}");
        assert_eq!(story.known(asker), 30);
        story.end();
    }
}

#[test]
fn an_asker_that_loses_a_fifth_hears_of_all_thirty_all_the_same() {
    for seed in 1..=20 {
        let mut story = Story::with(30, Faults::default(), seed);
        let host = story.host();
        story.world.host(host).input_loss = 0.2;
        let asker = story.start(host, visitor());
        story.world.run_for(secs(2));
        let (complete, _) = settled(&story, asker).expect("an end");
        assert!(complete, "seed {seed}");
        assert_eq!(story.known(asker), 30, "seed {seed}");
        story.end();
    }
}

#[test]
fn a_visitor_alone_is_told_so_after_a_second() {
    let mut story = Story::of(0);
    let host = story.host();
    let begun = story.world.now();
    let asker = story.start(host, visitor());
    story.world.run_for(secs(2));
    let (complete, at) = settled(&story, asker).expect("an end");
    let took = at.saturating_sub(Duration::from_micros(begun.as_micros()));
    assert!(!complete && took <= ms(1_001), "{took:?}");
    story.end();
}

#[test]
fn a_late_joiner_among_a_hundred_costs_some_pages_and_not_a_storm() {
    let mut story = Story::of(100);
    let before = story.world.tally;
    let late = story.join();
    let took = story.world.run_until(ms(200), |world| {
        world.engine(late).is_some_and(|engine| engine.peer_count() == 100)
    });
    assert!(took.is_some_and(|took| took <= ms(20)), "{took:?}");
    let cost = story.world.tally - before;
    assert!(cost.multicast(Kind::Hello).datagrams <= 2);
    let (multicast, unicast) = cost.totals();
    assert!(multicast.datagrams <= 5 && unicast.datagrams <= 60, "{multicast:?}, {unicast:?}");
    story.world.run_for(ms(50));
    assert!(story.all_know_all());
    story.end();
}

#[test]
fn a_visitor_is_told_all_channels_however_many_there_are() {
    for loss in [0.0, 0.2] {
        let mut story = Story::of(3);
        let busy = story.nodes[1];
        for i in 0..100 {
            let name = format!("a-channel-with-a-rather-long-name-number-{i}");
            story.world.command(busy, Command::Join(name.parse().unwrap()));
        }
        story.world.run_for(secs(2));
        let host = story.host();
        story.world.host(host).input_loss = loss;
        let begun = story.world.now();
        let asker = story.start(host, visitor());
        story.world.run_for(secs(1));
        let (complete, at) = settled(&story, asker).expect("an end");
        let took = at.saturating_sub(Duration::from_micros(begun.as_micros()));
        assert!(complete && (loss > 0.0 || took < ms(20)), "{took:?}");
        assert_eq!(story.peer(asker, busy).unwrap().channels.len(), 101, "loss {loss}");
        story.end();
    }
}

/// Two that start at the same time meet by a question to one of them alone, and send each other copies at first:
/// those come sooner than what goes to the group, which is heard all the same.
#[test]
fn where_multicast_works_nobody_is_told_that_it_does_not() {
    for seed in 1..=30 {
        let story = Story::with(10, Faults::default(), seed);
        let path = |event: &Event| matches!(event, Event::Path(_));
        let told: usize = story.nodes.iter().map(|&node| story.count(node, path)).sum();
        assert_eq!(told, 0, "seed {seed}");
    }
}

#[test]
fn a_quiet_lan_stays_below_fifty_announcements_a_second_and_a_few_probes_a_host() {
    for (hosts, most, probes) in [(7, 4.0, 2.0), (10, 6.0, 1.1), (30, 18.0, 1.1), (150, 52.0, 4.0)]
    {
        let mut story = Story::of(hosts);
        story.world.run_for(secs(10));
        let before = story.world.tally;
        story.world.run_for(secs(20));
        let (multicast, unicast) = (story.world.tally - before).totals();
        let rate = multicast.datagrams as f64 / 20.0;
        assert!(rate <= most, "{hosts} hosts: {rate} a second");
        let each = unicast.datagrams as f64 / 20.0 / hosts as f64;
        assert!(each <= probes, "{hosts} hosts: {each} probes and answers a second and host");
        story.end();
    }
}

#[test]
fn a_node_without_multicast_takes_part_in_everything() {
    let mut story = Story::of(5);
    let host = story.host();
    let seeds = vec![story.world.seed_address(story.hosts[0])];
    let node = story.start(host, Spec { multicast: false, seeds, ..Spec::default() });
    story.world.run_for(secs(3));
    assert!(story.all_know_all());
    for &other in &story.nodes[..5] {
        assert_eq!(story.peer(other, node).map(|peer| peer.path), Some(Hearing::Unicast));
        assert_eq!(story.peer(node, other).map(|peer| peer.path), Some(Hearing::Unicast));
    }
    story.everyone_hears_everyone("hi");
    story.world.run_for(secs(30));
    story.everyone_hears_everyone("still");
    story.end();
}

#[test]
fn a_host_deaf_and_mute_takes_part_by_copies_and_goes_back_to_multicast() {
    let mut story = Story::of(5);
    let host = story.host();
    (story.world.host(host).deaf, story.world.host(host).mute) = (true, true);
    let seeds = vec![story.world.seed_address(story.hosts[0])];
    let node = story.start(host, Spec { seeds, ..Spec::default() });
    story.world.run_for(secs(2));
    assert!(story.all_know_all());
    story.everyone_hears_everyone("at once");
    story.world.run_for(secs(20));
    story.everyone_hears_everyone("by copies");
    assert_eq!(story.peer(story.nodes[1], node).unwrap().path, Hearing::Unicast);
    (story.world.host(host).deaf, story.world.host(host).mute) = (false, false);
    for round in 0..50 {
        story.world.run_for(ms(300));
        story.everyone_hears_everyone(&format!("while it changes {round}"));
    }
    for &other in &story.nodes[..5] {
        assert_eq!(story.peer(other, node).unwrap().path, Hearing::Multicast);
        assert_eq!(story.peer(node, other).unwrap().path, Hearing::Multicast);
        assert_eq!(story.peer(node, other).unwrap().state, PeerState::Alive);
    }
    story.end();
}

#[test]
fn that_multicast_died_quietly_is_said_once_and_so_is_that_it_is_back() {
    let mut story = Story::of(4);
    let (host, node) = (story.hosts[3], story.nodes[3]);
    let said = |story: &Story, node| -> Vec<Hearing> {
        let events = story.world.events(node).iter();
        let path = |(_, event): &(_, Event)| match event {
            Event::Path(peer) => Some(peer.path),
            _ => None,
        };
        events.filter_map(path).collect()
    };
    story.world.run_for(secs(30));
    assert!(story.nodes.iter().all(|&node| said(&story, node).is_empty()), "all is well");
    for round in 1..=2 {
        for (blocked, path) in [(true, Hearing::Unicast), (false, Hearing::Multicast)] {
            (story.world.host(host).deaf, story.world.host(host).mute) = (blocked, blocked);
            story.world.run_for(secs(60));
            for &other in &story.nodes[..3] {
                let said = said(&story, other);
                assert_eq!(said.last(), Some(&path), "{said:?}");
                assert_eq!(said.len(), 2 * round - usize::from(blocked), "{said:?}");
            }
            assert_eq!(said(&story, node).len(), 3 * (2 * round - usize::from(blocked)));
        }
    }
    story.end();
}

#[test]
fn a_switch_that_forgets_a_host_is_reminded() {
    let mut story = Story::of(5);
    let node = story.nodes[4];
    story.world.forget_memberships(story.hosts[4]);
    story.world.run_for(secs(60));
    for &other in &story.nodes[..4] {
        assert_eq!(story.peer(node, other).unwrap().path, Hearing::Multicast);
        assert_eq!(story.peer(other, node).unwrap().path, Hearing::Multicast);
    }
    story.everyone_hears_everyone("hi");
    story.end();
}

/// Nobody is there whose silence could tell either of them.
#[test]
fn hosts_that_the_switch_forgot_while_they_were_alone_find_each_other() {
    let mut story = Story::with(2, Faults::default(), 3);
    for cut in [true, false] {
        for &host in &story.hosts {
            story.world.cut(host, cut);
            story.world.forget_memberships(host);
        }
        story.world.run_for(if cut { secs(20) } else { secs(1) });
        assert!(!story.all_know_all(), "nothing is left that either hears");
    }
    story.world.run_for(secs(125));
    assert!(story.all_know_all());
    story.everyone_hears_everyone("hi");
    story.end();
}

/// Its first questions found nobody, and what the other says to all does not reach it.
#[test]
fn who_was_started_again_while_the_other_stood_still_is_told_of_it() {
    let mut story = Story::of(2);
    let (node, other) = (story.nodes[0], story.nodes[1]);
    story.world.freeze(other, secs(20));
    story.world.run_for(secs(5));
    story.world.crash(node);
    story.world.start(node);
    story.world.host(story.hosts[0]).deaf = true;
    story.world.run_for(secs(30));
    assert!(story.all_know_all());
    story.everyone_hears_everyone("hi");
    story.end();
}

#[test]
fn a_host_that_is_only_deaf_or_only_mute_is_found_without_any_seed() {
    for mute in [false, true] {
        let mut story = Story::of(5);
        let host = story.host();
        (story.world.host(host).deaf, story.world.host(host).mute) = (!mute, mute);
        story.start(host, Spec::default());
        story.world.run_for(secs(12));
        assert!(story.all_know_all(), "mute: {mute}");
        story.everyone_hears_everyone("hi");
        story.world.run_for(secs(30));
        story.everyone_hears_everyone("still");
        story.end();
    }
}

#[test]
fn a_host_with_two_links_to_one_lan_is_one_peer_and_hears_everything_once() {
    let mut story = Story::of(3);
    let host = story.world.add_host(&[story.lan, story.lan]);
    let node = story.start(host, Spec::default());
    story.world.run_for(secs(5));
    assert!(story.all_know_all());
    story.everyone_hears_everyone("hi");
    story.world.host(host).interfaces[0].up = false;
    story.world.run_for(secs(12));
    story.everyone_hears_everyone("over the other link");
    assert_eq!(story.peer(story.nodes[0], node).unwrap().state, PeerState::Alive);
    story.end();
}

#[test]
fn a_host_between_two_lans_is_known_on_both_and_tells_neither_of_the_other() {
    let mut story = Story::of(3);
    let other_lan = story.world.add_lan(Faults::default());
    let far: Vec<_> = (0..3)
        .map(|_| {
            let host = story.world.add_host(&[other_lan]);
            story.world.start_on(host)
        })
        .collect();
    let between = story.world.add_host(&[story.lan, other_lan]);
    let node = story.world.start_on(between);
    story.world.run_for(secs(10));
    let before = story.world.tally;
    story.world.run_for(secs(60));
    let asked = (story.world.tally - before).unicast(Kind::Ask).datagrams;
    assert!(asked <= 30, "{asked} questions about peers out of reach");
    assert_eq!(story.known(node), 6);
    for &resident in story.nodes.iter().chain(&far) {
        assert_eq!(story.known(resident), 3);
    }
    story.world.say(node, "to both");
    story.world.run_for(ms(100));
    for &resident in story.nodes.iter().chain(&far) {
        assert_eq!(story.world.heard(resident, "to both"), 1);
    }
    story.end();
}

#[test]
fn two_nodes_of_one_host_are_two_peers() {
    let mut story = Story::of(2);
    let host = story.hosts[0];
    story.start(host, Spec::default());
    story.world.run_for(secs(3));
    assert!(story.all_know_all());
    story.everyone_hears_everyone("hi");
    story.end();
}

#[test]
fn a_sealed_group_is_a_group_of_its_own() {
    let mut story = Story::of(2);
    story.world.seal("the secret of the test");
    let sealed = || Spec { sealed: true, ..Spec::default() };
    let (a, b) = (story.host(), story.host());
    let (a, b) = (story.world.start_with(a, sealed()), story.world.start_with(b, sealed()));
    story.world.run_for(secs(3));
    assert_eq!((story.known(a), story.known(b)), (1, 1));
    assert!(story.all_know_all());
    story.world.say(a, "psst");
    story.world.run_for(ms(100));
    assert_eq!((story.world.heard(b, "psst"), story.world.heard(story.nodes[0], "psst")), (1, 0));
    story.end();
}

/// Neither multicast works nor has anybody named a seed.
#[test]
fn where_multicast_does_not_work_hints_find_somebody_and_it_tells_of_the_others() {
    let mut story = Story::with(0, Faults::default(), 4);
    let deaf = |story: &mut Story| {
        let host = story.host();
        (story.world.host(host).deaf, story.world.host(host).mute) = (true, true);
        host
    };
    let (one, other) = (deaf(&mut story), deaf(&mut story));
    let first = story.start(one, Spec::default());
    let second = story.start(other, Spec::default());
    story.world.run_for(secs(5));
    assert_eq!((story.known(first), story.known(second)), (0, 0));
    // One address at which nobody is, and one at which somebody is.
    let nobody: SocketAddr = "10.77.99.9:26633".parse().unwrap();
    let hints: Vec<Hint> = [nobody, story.world.seed_address(one)].map(Hint::from).into();
    story.world.command(second, Command::Hints(hints.clone()));
    story.world.run_for(secs(1));
    assert!(story.all_know_all());
    // A third one finds the second through the first.
    let last = deaf(&mut story);
    let third = story.start(last, Spec::default());
    story.world.command(third, Command::Hints(hints));
    story.world.run_for(secs(2));
    assert!(story.all_know_all());
    story.world.run_for(secs(30));
    story.everyone_hears_everyone("hi");
    story.end();
}

#[test]
fn where_the_group_answers_no_hint_is_tried() {
    let mut story = Story::of(3);
    let visitor = story.host();
    let node = story.start(visitor, Spec::default());
    let nobody: SocketAddr = "10.77.99.9:26633".parse().unwrap();
    story.world.command(node, Command::Hints(vec![nobody.into()]));
    let before = story.world.tally;
    story.world.run_for(secs(3));
    let spent = story.world.tally - before;
    assert!(story.all_know_all());
    // Those who were there ask the newcomer, and it them; nobody asks 10.77.99.9.
    assert!(spent.unicast(Kind::Hello).datagrams <= 3, "{:?}", spent.unicast(Kind::Hello));
    story.end();
}

/// Multicast does not reach it, nor others from it, and of what goes to one alone a part is lost.
#[test]
fn who_is_found_by_its_seed_only_is_found_again_soon_after_its_cable_was_out() {
    for seed in 1..=40 {
        let mut story = Story::with(2, Faults::losing(0.15), seed);
        let (host, seeds) = (story.host(), vec![story.world.seed_address(story.hosts[0])]);
        (story.world.host(host).deaf, story.world.host(host).mute) = (true, true);
        story.start(host, Spec { seeds, ..Spec::default() });
        story.world.run_for(secs(8));
        let (nodes, count) = (story.nodes.clone(), story.nodes.len() - 1);
        let all = |world: &cooee::sim::World| {
            nodes.iter().all(|&node| world.engine(node).is_some_and(|e| e.peer_count() == count))
        };
        story.world.cut(host, true);
        story.world.run_for(secs(6));
        // Where so much is lost, one in a hundred mistrusts itself and takes longer to give somebody up.
        let lost = story.world.run_until(secs(2), |world| !all(world));
        assert!(lost.is_some(), "seed {seed}: nobody is given up");
        story.world.cut(host, false);
        story.world.run_until(secs(8), all).unwrap_or_else(|| panic!("seed {seed}: too late"));
        story.end();
    }
}

#[test]
fn who_announces_itself_from_another_address_is_to_be_reached_there_and_no_more_where_it_was() {
    let mut story = Story::of(12);
    story.world.run_for(secs(10));
    let moved = story.nodes[1];
    let id = story.world.id(moved);
    let was = story.world.address(moved);
    story.world.readdress(story.hosts[1]);
    story.world.run_for(secs(10));
    let own = story.world.address(moved);
    for (ticket, node) in story.live().into_iter().filter(|&node| node != moved).enumerate() {
        let mut peers = story.world.engine(node).unwrap().peers();
        assert_eq!(peers.find(|peer| peer.id == id).map(|peer| peer.addr), Some(own));
        drop(peers);
        let from_there = |from| was == Some(from);
        let is_move = |event: &Event| match event {
            Event::Moved { peer, was } => peer.id == id && from_there(*was),
            _ => false,
        };
        assert_eq!(story.count(node, is_move), 1, "its user is told once");
        story.world.tell(node, id, "where you are now", ticket as u64);
    }
    story.world.run_for(secs(1));
    assert_eq!(story.world.heard(moved, "where you are now"), 11);
    story.end();
}

/// A host knows somebody on its LAN; a hint leads to another LAN, or through a tunnel.
#[test]
fn who_is_known_on_a_lan_does_not_keep_a_tunnel_from_being_tried() {
    for (tunnel, is_tried) in [(None, false), (Some(LinkId(99)), true)] {
        let mut story = Story::of(2);
        let far = story.host();
        (story.world.host(far).deaf, story.world.host(far).mute) = (true, true);
        let _silent = story.start(far, Spec::default());
        let addr = story.world.seed_address(far);
        story.world.run_for(ms(100));
        let asker = story.nodes[0];
        story.world.command(asker, Command::Hints(vec![Hint { addr, tunnel }]));
        let before = story.known(asker);
        story.world.run_for(ms(500));
        assert_eq!(story.known(asker) - before, usize::from(is_tried), "{tunnel:?}");
        if is_tried {
            story.world.run_for(secs(5));
            assert!(story.all_know_all(), "and it tells of the others");
        }
        story.end();
    }
}

#[test]
fn beyond_a_tunnel_nobody_else_is_tried_once_somebody_is_known_there() {
    let mut story = Story::of(2);
    let node = story.nodes[0];
    let addr: SocketAddr = "10.77.99.9:26633".parse().unwrap();
    let tunnel = story.world.host(story.hosts[0]).interfaces[0].link;
    story.world.run_for(secs(1));
    let before = story.world.tally;
    story.world.command(node, Command::Hints(vec![Hint { addr, tunnel: Some(tunnel) }]));
    story.world.run_for(secs(1));
    assert_eq!((story.world.tally - before).unicast(Kind::Hello).datagrams, 0);
    story.end();
}

#[test]
fn who_is_heard_on_another_lan_only_has_moved_there_and_that_is_told_once() {
    let mut story = Story::of(1);
    let other = story.world.add_lan(Faults::losing(0.2));
    let lans = [story.lan, other];
    let hosts = [story.world.add_host(&lans), story.world.add_host(&lans)];
    let [seer, mover] = hosts.map(|host| story.start(host, Spec::default()));
    story.world.run_for(secs(60));
    let is_move = |event: &Event| matches!(event, Event::Moved { .. });
    assert_eq!(story.count(seer, is_move), 0, "it is on both");
    let was = story.world.host(hosts[1]).interfaces.iter().map(|at| at.ip).collect::<Vec<_>>();
    story.world.host(hosts[1]).interfaces[0].up = false;
    story.world.run_for(secs(60));
    assert_eq!(story.count(seer, is_move), 1);
    let id = story.world.id(mover);
    let events = story.world.events(seer).iter();
    let from = events.filter_map(|(_, event)| match event {
        Event::Moved { peer, was } if peer.id == id => Some((was.ip(), peer.addr?.ip())),
        _ => None,
    });
    assert_eq!(from.collect::<Vec<_>>(), [(was[0].into(), was[1].into())]);
}
