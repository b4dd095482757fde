//! Stories of coming and going.

use cooee::proto::{Command, Event};
use cooee::sim::{Faults, Kind, Spec};
use cooee::values::PeerText;
use cooee::wire::Profile;

use crate::stories::{Story, ms, secs};

#[test]
fn who_says_goodbye_has_left_at_once_for_everyone() {
    let mut story = Story::of(10);
    let gone = story.nodes[0];
    story.world.stop(gone);
    story.world.run_for(ms(5));
    for node in story.live() {
        assert_eq!(story.count(node, |event| matches!(event, Event::Left(_))), 1);
        assert_eq!(story.known(node), 8);
    }
    story.world.run_for(secs(60));
    assert!(story.all_know_all(), "a ghost has come back");
    story.end();
}

/// Of 50 who go and 50 who stay, where a fifth is lost, a hundred would miss both copies of a goodbye.
#[test]
fn whose_goodbye_is_lost_to_somebody_has_left_for_that_one_too_before_long() {
    let mut late = 0;
    for seed in 1..=3 {
        let mut story = Story::quietly(100, seed);
        story.world.lan(story.lan).faults = Faults::losing(0.2);
        for n in 0..50 {
            story.world.stop(story.nodes[n]);
        }
        story.world.run_for(secs(2));
        late += story.live().iter().map(|&node| story.known(node) - 49).sum::<usize>();
    }
    assert!(late <= 20, "{late} of 300");
}

#[test]
fn who_is_mute_and_leaves_at_once_has_left_for_everyone() {
    let mut story = Story::of(3);
    let host = story.host();
    story.world.host(host).mute = true;
    let seeds = vec![story.world.seed_address(story.hosts[0])];
    let node = story.start(host, Spec { seeds, ..Spec::default() });
    story.world.run_for(ms(500));
    assert!(story.all_know_all());
    story.world.stop(node);
    story.world.run_for(ms(100));
    for &other in &story.nodes[..3] {
        assert_eq!(story.count(other, |event| matches!(event, Event::Left(_))), 1);
    }
    story.end();
}

#[test]
fn who_crashes_is_dead_within_ten_seconds_for_everyone() {
    for seed in 1..=10 {
        let mut story = Story::with(10, Faults::default(), seed);
        let gone = story.nodes[0];
        story.world.crash(gone);
        story.world.run_for(secs(10));
        for node in story.live() {
            assert_eq!(story.count(node, |event| matches!(event, Event::Dead(_))), 1, "{seed}");
        }
        story.world.run_for(secs(60));
        assert!(story.all_know_all(), "a ghost has come back");
        story.end();
    }
}

#[test]
fn an_interface_that_flaps_is_announced_a_few_times_and_all_is_well_afterwards() {
    let mut story = Story::of(4);
    let node = story.nodes[3];
    let own = |story: &Story| {
        let tally = story.world.tally;
        tally.multicast(Kind::Hello).datagrams + tally.multicast(Kind::Here).datagrams
    };
    let before = own(&story);
    story.world.run_for(secs(10));
    let quiet = own(&story) - before;
    let before = own(&story);
    for _ in 0..20 {
        for cut in [true, false] {
            story.world.cut(story.hosts[3], cut);
            story.world.tell_links(node);
            story.world.run_for(ms(250));
        }
    }
    let flapping = own(&story) - before;
    assert!(flapping <= quiet + 10, "{flapping} announcements and questions instead of {quiet}");
    story.world.run_for(secs(2));
    story.everyone_hears_everyone("at last");
    story.end();
}

#[test]
fn a_cable_out_for_two_seconds_is_no_death_nor_where_they_are_few_for_three() {
    for (hosts, out, seed) in (1..=20).map(|n| if n % 2 == 0 { (10, 2, n) } else { (7, 3, n) }) {
        let mut story = Story::with(hosts, Faults::default(), seed);
        let host = story.hosts[3];
        story.world.cut(host, true);
        story.world.run_for(secs(out));
        story.world.cut(host, false);
        story.world.run_for(secs(20));
        for node in story.live() {
            let gone = |event: &Event| matches!(event, Event::Dead(_) | Event::Left(_));
            assert_eq!(story.count(node, gone), 0, "seed {seed}");
        }
        story.everyone_hears_everyone("again");
        story.end();
    }
}

#[test]
fn nobody_dies_of_a_fifth_of_all_datagrams_lost() {
    let mut story = Story::with(12, Faults::losing(0.2), 3);
    story.world.run_for(secs(240));
    assert!(story.all_know_all());
    for node in story.live() {
        assert_eq!(story.count(node, |event| matches!(event, Event::Dead(_))), 0);
    }
    story.end();
}

#[test]
fn a_node_that_starts_again_is_the_same_peer() {
    let mut story = Story::of(5);
    let again = story.nodes[0];
    story.world.crash(again);
    story.world.run_for(ms(300));
    story.world.start(again);
    story.world.run_for(secs(1));
    assert!(story.all_know_all());
    for node in story.live() {
        assert_eq!(
            story.peer(node, again).map(|peer| peer.epoch),
            if node == again { None } else { story.world.epoch(again) }
        );
        let gone = |event: &Event| matches!(event, Event::Dead(_) | Event::Left(_));
        assert_eq!(story.count(node, gone), 0);
    }
    story.everyone_hears_everyone("it is me again");
    story.end();
}

#[test]
fn an_identity_used_twice_is_noticed_by_both_and_makes_no_ghost() {
    let mut story = Story::of(3);
    let key = Some([7; 32]);
    let (a, b) = (story.host(), story.host());
    let a = story.world.start_with(a, Spec { key, ..Spec::default() });
    story.world.run_for(secs(2));
    let b = story.world.start_with(b, Spec { key, ..Spec::default() });
    story.world.checker.clones = true;
    story.world.run_for(secs(10));
    for clone in [a, b] {
        assert!(story.count(clone, |event| matches!(event, Event::Cloned { .. })) >= 1);
        assert_eq!(story.known(clone), 3);
    }
    assert_eq!(story.known(story.nodes[0]), 3);
    story.end();
}

#[test]
fn an_identity_used_by_a_command_elsewhere_is_noticed_by_both() {
    let mut story = Story::of(2);
    let key = Some([7; 32]);
    let (a, b) = (story.host(), story.host());
    let stays = story.world.start_with(a, Spec { key, ..Spec::default() });
    story.world.run_for(secs(2));
    let passes = story.world.start_with(b, Spec { key, visitor: true, ..Spec::default() });
    story.world.checker.clones = true;
    story.world.run_for(secs(1));
    for clone in [stays, passes] {
        assert_eq!(story.count(clone, |event| matches!(event, Event::Cloned { .. })), 1);
    }
    assert_eq!(story.known(story.nodes[0]), 2);
    story.end();
}

#[test]
fn a_new_nick_a_word_of_absence_and_channels_are_seen_by_others() {
    let mut story = Story::of(3);
    let (node, other) = (story.nodes[0], story.nodes[1]);
    let away = Some(PeerText::new("lunch"));
    let profile = Profile { nick: PeerText::new("ada"), away, ..Profile::default() };
    story.world.command(node, Command::Profile(profile.into()));
    let ops: cooee::values::ChannelName = "ops".parse().unwrap();
    story.world.command(node, Command::Join(ops.clone()));
    story.world.run_for(ms(500));
    let peer = story.peer(other, node).unwrap();
    assert_eq!(peer.profile.nick.raw(), "ada");
    assert_eq!(peer.profile.away.as_ref().map(PeerText::raw), Some("lunch"));
    assert!(peer.channels.contains(&ops));
    assert_eq!(story.count(other, |event| matches!(event, Event::Renamed { .. })), 1);
    assert_eq!(story.count(other, |event| matches!(event, Event::Status(_))), 1);
    story.world.command(node, Command::Leave(ops.clone()));
    story.world.run_for(ms(500));
    assert!(!story.peer(other, node).unwrap().channels.contains(&ops));
    story.end();
}

#[test]
fn two_halves_of_a_lan_grow_together_again() {
    let mut story = Story::of(10);
    for i in 0..5 {
        let host = story.hosts[i];
        story.world.host(host).side = 1;
    }
    story.world.run_for(secs(30));
    assert!(story.live().iter().all(|&node| story.known(node) == 4));
    for i in 0..5 {
        let host = story.hosts[i];
        story.world.host(host).side = 0;
    }
    let whole = |story: &Story| story.all_know_all();
    for _ in 0..50 {
        story.world.run_for(ms(100));
    }
    assert!(whole(&story));
    story.everyone_hears_everyone("together");
    story.end();
}
