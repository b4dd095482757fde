//! Stories of talking.

use std::time::Duration;

use cooee::proto::{Command, Event, TellError};
use cooee::sim::Faults;
use cooee::values::{ChannelName, limits};

use crate::stories::{Story, ms, secs};

#[test]
fn what_is_said_arrives_once_at_each_though_datagrams_come_twice_and_out_of_order() {
    let faults = Faults { duplicates: 0.3, reordering: 0.5, ..Faults::default() };
    let mut story = Story::with(10, faults, 5);
    for round in 0..10 {
        story.everyone_hears_everyone(&format!("round {round}"));
    }
    story.end();
}

#[test]
fn a_message_of_64_kib_arrives_whole() {
    let mut story = Story::of(3);
    let text: String = ('a'..='z').cycle().take(limits::TEXT).collect();
    let author = story.nodes[0];
    story.world.say(author, &text);
    story.world.run_for(ms(200));
    for &node in &story.nodes[1..] {
        assert_eq!(story.world.heard(node, &text), 1);
    }
    story.end();
}

#[test]
fn only_those_in_a_channel_hear_it() {
    let mut story = Story::of(3);
    let ops: ChannelName = "ops".parse().unwrap();
    for &node in &story.nodes[..2] {
        story.world.command(node, cooee::proto::Command::Join(ops.clone()));
    }
    story.world.run_for(ms(50));
    let author = story.nodes[0];
    story.world.say_in(author, &ops, "to ops");
    story.world.run_for(ms(50));
    assert_eq!(story.world.heard(story.nodes[1], "to ops"), 1);
    assert_eq!(story.world.heard(story.nodes[2], "to ops"), 0);
    story.end();
}

fn told(event: &Event) -> bool {
    matches!(event, Event::Told { .. })
}

fn not_told(event: &Event) -> bool {
    matches!(event, Event::NotTold { .. })
}

#[test]
fn what_is_told_arrives_once_though_two_fifths_are_lost() {
    for (loss, seed) in [(0.2, 2), (0.4, 3)] {
        let mut story = Story::with(3, Faults::losing(loss), seed);
        let (from, to) = (story.nodes[0], story.nodes[1]);
        let id = story.world.id(to);
        for ticket in 0..100 {
            story.world.tell(from, id, &format!("told {ticket}"), ticket);
            story.world.run_for(ms(100));
        }
        story.world.run_for(secs(10));
        for ticket in 0..100 {
            assert_eq!(story.world.heard(to, &format!("told {ticket}")), 1, "seed {seed}");
        }
        assert_eq!((story.count(from, told), story.count(from, not_told)), (100, 0), "seed {seed}");
        story.end();
    }
}

/// Tells `text` and waits for the outcome; how long it took, if it was acknowledged. What is
/// acknowledged has been shown.
#[track_caller]
fn tell(story: &mut Story, text: &str, ticket: u64) -> Option<Duration> {
    let (from, to) = (story.nodes[0], story.nodes[1]);
    let id = story.world.id(to);
    let (begun, before) = (story.world.now(), story.world.heard(to, text));
    let outcomes = |story: &Story| {
        let of = |event: &Event| match event {
            Event::Told { ticket: t, .. } if *t == ticket => Some(true),
            Event::NotTold { ticket: t, .. } if *t == ticket => Some(false),
            _ => None,
        };
        story.world.events(from).iter().filter_map(|(_, event)| of(event)).collect::<Vec<bool>>()
    };
    story.world.tell(from, id, text, ticket);
    while outcomes(story).is_empty() && story.world.now().since(begun) < secs(60) {
        story.world.run_for(ms(10));
    }
    let shown = story.world.heard(to, text) - before;
    let took = story.world.now().since(begun);
    match outcomes(story)[..] {
        [true] => {
            assert_eq!(shown, 1, "it was acknowledged after {took:?}");
            Some(took)
        }
        [false] => None,
        ref outcomes => panic!("{} outcomes after {took:?}", outcomes.len()),
    }
}

#[test]
fn what_is_told_of_64_kib_arrives_soon_though_much_is_lost() {
    let text: String = ('a'..='z').cycle().take(limits::TEXT).collect();
    for (loss, most) in [(0.0, ms(100)), (0.2, secs(3)), (0.3, secs(5))] {
        let mut times = Vec::new();
        for seed in 0..10 {
            let mut story = Story::with(2, Faults::losing(loss), seed);
            let took = tell(&mut story, &text, 1);
            times.push(took.unwrap_or_else(|| panic!("seed {seed}, loss {loss}: not told")));
            story.end();
        }
        assert!(times.iter().all(|&took| took < most), "loss {loss}: {times:?}");
    }
}

#[test]
fn what_the_recipient_has_given_up_is_not_acknowledged() {
    let mut story = Story::of(2);
    let text: String = ('a'..='z').cycle().take(limits::TEXT).collect();
    let (from, to) = (story.nodes[0], story.nodes[1]);
    let id = story.world.id(to);
    story.world.tell(from, id, &text, 1);
    story.world.run_for(ms(1));
    assert_eq!(story.world.heard(to, &text), 0, "only some of it has arrived yet");
    // The rest comes when it is waited for no more.
    story.world.freeze(from, limits::ASSEMBLY_TIME + secs(3));
    story.world.run_for(limits::ASSEMBLY_TIME + secs(20));
    assert_eq!((story.count(from, told), story.count(from, not_told)), (0, 1));
    assert_eq!(story.world.heard(to, &text), 0);
    story.end();
}

#[test]
fn what_was_told_to_a_peer_that_started_again_meanwhile_was_not_told() {
    let mut story = Story::of(2);
    let text: String = ('a'..='z').cycle().take(limits::TEXT).collect();
    let (from, to) = (story.nodes[0], story.nodes[1]);
    let id = story.world.id(to);
    story.world.tell(from, id, &text, 1);
    story.world.run_for(ms(2));
    story.world.crash(to);
    story.world.start(to);
    story.world.run_for(secs(15));
    assert_eq!(story.world.heard(to, &text), 0);
    assert_eq!((story.count(from, told), story.count(from, not_told)), (0, 1));
    story.end();
}

#[test]
fn what_is_told_to_a_dead_peer_is_given_up() {
    let mut story = Story::of(2);
    let (from, to) = (story.nodes[0], story.nodes[1]);
    let id = story.world.id(to);
    story.world.crash(to);
    story.world.tell(from, id, "hello?", 7);
    story.world.run_for(secs(10));
    let given_up =
        |event: &Event| matches!(event, Event::NotTold { ticket: 7, why: TellError::Unanswered });
    assert_eq!(story.count(from, given_up), 1);
    story.world.tell(from, id, "hello?", 8);
    story.world.run_for(ms(1));
    let unknown =
        |event: &Event| matches!(event, Event::NotTold { ticket: 8, why: TellError::Unknown });
    assert_eq!(story.count(from, unknown), 1);
    story.end();
}

#[test]
fn who_has_started_again_and_again_is_told_all_the_same() {
    let mut story = Story::of(2);
    let (teller, restarts) = (story.nodes[0], story.nodes[1]);
    for round in 0..12 {
        story.world.crash(restarts);
        story.world.start(restarts);
        story.world.run_for(secs(2));
        let to = story.world.id(restarts);
        story.world.tell(teller, to, "still there?", round);
        story.world.run_for(secs(2));
        let told = |event: &Event| matches!(event, Event::Told { ticket, .. } if *ticket == round);
        assert_eq!(story.count(teller, told), 1, "round {round}");
    }
    story.end();
}

#[test]
fn who_has_come_just_now_gets_what_it_is_to_confirm_though_much_is_lost() {
    for seed in 0..40 {
        let mut story = Story::with(3, Faults::default(), seed);
        let newcomer = story.join();
        story.world.run_for(ms(seed * 40));
        let host = story.host();
        let visitor = story.start(host, crate::stories::visitor());
        story.world.run_for(ms(200));
        let from = *story.hosts.get(3).expect("the newcomer's host");
        story.world.host(from).input_loss = 0.5;
        let lobby = ChannelName::lobby();
        story.world.say(visitor, "last words");
        story.world.command(visitor, Command::Confirm { channel: lobby, ticket: 1 });
        story.world.run_for(secs(2));
        let id = story.world.id(newcomer);
        let receipt =
            |event: &Event| matches!(event, Event::Receipt { ticket: 1, from, .. } if *from == id);
        let (heard, receipts) =
            (story.world.heard(newcomer, "last words"), story.count(visitor, receipt));
        assert_eq!((heard, receipts), (1, 1), "seed {seed}");
        story.end();
    }
}

#[test]
fn everyone_in_the_channel_confirms_once_and_nobody_confirms_nothing() {
    let mut story = Story::with(12, Faults::losing(0.2), 7);
    let author = story.nodes[0];
    let (lobby, ops): (ChannelName, ChannelName) =
        (ChannelName::lobby(), "ops".parse().expect("a channel"));
    let confirm =
        |channel: &ChannelName, ticket| Command::Confirm { channel: channel.clone(), ticket };
    story.world.command(author, confirm(&lobby, 1));
    for n in 0..100 {
        story.world.say(author, &format!("line {n}"));
    }
    story.world.command(author, confirm(&lobby, 2));
    story.world.command(author, confirm(&ops, 3));
    story.world.run_for(secs(5));
    let expected = |ticket| {
        let of = |event: &Event| match event {
            Event::Expecting { ticket: t, from, .. } if *t == ticket => Some(from.len()),
            _ => None,
        };
        story.world.events(author).iter().find_map(|(_, event)| of(event))
    };
    assert_eq!([1, 2, 3].map(expected), [Some(0), Some(11), Some(0)]);
    let receipts = |ticket| {
        story.count(author, |e| matches!(e, Event::Receipt { ticket: t, .. } if *t == ticket))
    };
    assert_eq!([1, 2, 3].map(receipts), [0, 11, 0]);
    for &node in &story.nodes[1..] {
        assert_eq!(story.world.heard(node, "line 99"), 1);
    }
    story.end();
}
