//! Stories of authors who are told what has arrived, and who wait for those who listen.

use std::collections::BTreeSet;
use std::time::Duration;

use cooee::proto::{Command, Event};
use cooee::sim::{Faults, NodeIndex, Spec};
use cooee::values::{ChannelName, NodeId, limits};

use crate::delivery::{all_have, shown};
use crate::stories::{Story, ms, secs, visitor};

fn confirm(story: &mut Story, author: NodeIndex, ticket: u64) {
    let channel = ChannelName::lobby();
    story.world.command(author, Command::Confirm { channel, ticket });
}

/// Who was expected to confirm, and who has.
fn receipts(story: &Story, author: NodeIndex, of: u64) -> (BTreeSet<NodeId>, BTreeSet<NodeId>) {
    let (mut expected, mut came) = (BTreeSet::new(), BTreeSet::new());
    for (_, event) in story.world.events(author) {
        match event {
            Event::Expecting { ticket, from, .. } if *ticket == of => expected.extend(from),
            Event::Receipt { ticket, from, .. } if *ticket == of => {
                assert!(came.insert(*from), "{from:?} has confirmed twice");
            }
            _ => {}
        }
    }
    (expected, came)
}

#[test]
fn everyone_present_confirms_what_was_said() {
    for (loss, within) in [(0.0, ms(20)), (0.2, secs(3)), (0.4, secs(15))] {
        let mut story = Story::with(10, Faults::default(), 2);
        story.world.lan(story.lan).faults = Faults::losing(loss);
        let author = story.nodes[0];
        for ticket in 1..=10 {
            story.world.say(author, &format!("confirm {ticket}"));
            confirm(&mut story, author, ticket);
            let all = |story: &Story| {
                let (expected, came) = receipts(story, author, ticket);
                expected.len() == 9 && expected == came
            };
            let begun = story.world.now();
            while !all(&story) {
                let waited = story.world.now().since(begun);
                assert!(
                    waited < within,
                    "{ticket} at {loss}: {:?}",
                    receipts(&story, author, ticket)
                );
                story.world.run_for(ms(1));
            }
        }
        story.end();
    }
}

#[test]
fn who_is_cut_off_stays_missing_and_confirms_when_it_is_back() {
    let mut story = Story::of(5);
    let (author, away) = (story.nodes[0], story.nodes[4]);
    story.world.cut(story.hosts[4], true);
    story.world.say(author, "all there?");
    confirm(&mut story, author, 7);
    story.world.run_for(secs(5));
    let (expected, came) = receipts(&story, author, 7);
    let missing: Vec<NodeId> = expected.difference(&came).copied().collect();
    assert_eq!((expected.len(), missing), (4, vec![story.world.id(away)]));
    story.world.cut(story.hosts[4], false);
    story.world.run_for(secs(2));
    assert_eq!(receipts(&story, author, 7).1.len(), 4);
    story.end();
}

#[test]
fn to_whom_a_message_is_lost_confirms_nothing() {
    let mut story = Story::of(3);
    let author = story.nodes[0];
    story.everyone_hears_everyone("before");
    story.world.cut(story.hosts[2], true);
    story.world.say(author, "lost to one");
    confirm(&mut story, author, 1);
    story.world.run_for(secs(1));
    // What the author says next does not bring back what its store has lost: it starts again.
    story.world.crash(story.nodes[1]);
    story.world.crash(author);
    story.world.cut(story.hosts[2], false);
    story.world.start(author);
    story.world.run_for(secs(2));
    story.world.say(author, "after");
    confirm(&mut story, author, 2);
    story.world.run_for(secs(2));
    let away = story.world.id(story.nodes[2]);
    assert!(!receipts(&story, author, 1).1.contains(&away));
    assert!(receipts(&story, author, 2).1.contains(&away));
    story.end();
}

#[test]
fn a_command_that_speaks_and_goes_is_told_who_has_it() {
    let mut story = Story::with(5, Faults::losing(0.1), 3);
    let host = story.host();
    let command = story.start(host, visitor());
    story.world.run_for(secs(2));
    story.world.say(command, "deployed");
    confirm(&mut story, command, 1);
    story.world.run_for(secs(2));
    let (expected, came) = receipts(&story, command, 1);
    assert_eq!((expected.len(), came.len()), (5, 5));
    story.end();
}

#[test]
fn a_command_is_told_who_was_cut_off_just_before_it_came() {
    let mut story = Story::of(5);
    let (host, away) = (story.host(), story.world.id(story.nodes[4]));
    story.world.cut(story.hosts[4], true);
    let command = story.start(host, visitor());
    story.world.run_for(ms(1_200));
    story.world.say(command, "all there?");
    confirm(&mut story, command, 1);
    story.world.run_for(secs(1));
    let (expected, came) = receipts(&story, command, 1);
    assert_eq!((expected.len(), came.len()), (4, 4));
    let unheard = story.world.events(command).iter().find_map(|(_, event)| match event {
        Event::Expecting { unheard, .. } => Some(unheard.iter().map(|(id, _)| *id).collect()),
        _ => None,
    });
    assert_eq!(unheard, Some(vec![away]));
    story.end();
}

/// Lets a node say so many messages of a kilobyte, as fast as it takes them, and looks every
/// millisecond; returns the texts and how long it took until it had taken them all.
fn talk(
    story: &mut Story,
    author: NodeIndex,
    count: usize,
    mut look: impl FnMut(&Story, usize),
) -> (Vec<String>, Duration) {
    let begun = story.world.now();
    let mut texts: Vec<String> = Vec::new();
    while texts.len() < count {
        while texts.len() < count && !story.world.engine(author).unwrap().is_congested() {
            let text = format!("{} {}", texts.len(), "x".repeat(800));
            story.world.say(author, &text);
            texts.push(text);
        }
        story.world.run_for(ms(1));
        look(story, texts.len());
        assert!(story.world.now().since(begun) < secs(60), "{} are said", texts.len());
    }
    (texts, story.world.now().since(begun))
}

#[test]
fn a_slow_listener_holds_the_author_up_and_misses_nothing() {
    let most = (limits::WINDOW as usize + limits::OUTBOX + (128 << 10)) / 800;
    let mut held = 0;
    for seed in 1..=10 {
        let mut story = Story::with(3, Faults::default(), seed);
        let (author, slow) = (story.nodes[0], story.nodes[2]);
        story.world.host(story.hosts[2]).input_loss = 0.3;
        let mut behind = 0;
        let (texts, _) = talk(&mut story, author, 2_000, |story, said| {
            if said % 10 == 0 {
                behind = behind.max(said - shown(story, slow, author).len());
            }
        });
        // Until its requests come, the author may say more: some of them are lost.
        assert!(behind < 2 * most, "seed {seed}: {behind} behind, {most} fit");
        held += usize::from(behind < most);
        story.world.run_for(secs(3));
        all_have(&story, &story.nodes, author, &texts);
        assert_eq!(story.world.checker.gaps, 0, "seed {seed}");
        story.end();
    }
    assert!(held >= 6, "{held} of 10");
}

#[test]
fn who_never_gets_on_is_waited_for_once_and_not_for_long() {
    let time = |stuck: bool| {
        let mut story = Story::of(3);
        let author = story.nodes[0];
        story.world.host(story.hosts[2]).input_loss = f64::from(u8::from(stuck));
        story.world.say(author, "is lost");
        story.world.host(story.hosts[2]).input_loss = 0.0;
        story.world.say(author, "is seen");
        story.world.run_for(Duration::from_micros(400));
        story.world.host(story.hosts[2]).input_loss = f64::from(u8::from(stuck));
        let (texts, took) = talk(&mut story, author, 2_000, |_, _| ());
        story.world.run_for(secs(1));
        let all = ["is lost", "is seen"].map(str::to_owned).into_iter().chain(texts);
        all_have(&story, &story.nodes[..2], author, &all.collect::<Vec<_>>());
        story.end();
        took
    };
    let (free, stuck) = (time(false), time(true));
    println!("{free:?} with all, {stuck:?} with one that hears nothing");
    // As long as the protocol is patient: three seconds.
    assert!(stuck > free && stuck < free + ms(3_300), "{free:?}, {stuck:?}");
}

#[test]
fn who_has_just_come_does_not_hold_the_author_up() {
    let mut story = Story::of(2);
    let author = story.nodes[0];
    let spec = Spec::default();
    let late = story.host();
    story.start(late, spec);
    story.world.run_for(secs(3));
    let (texts, took) = talk(&mut story, author, 500, |_, _| ());
    assert!(took < ms(400), "{took:?}");
    story.world.run_for(secs(1));
    all_have(&story, &story.nodes, author, &texts);
    story.end();
}
