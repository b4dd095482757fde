//! Stories of messages that get lost, and arrive all the same: each once, in order.

use cooee::proto::{Command, Event, Message};
use cooee::sim::{Faults, Kind, NodeIndex, Spec, Tally};
use cooee::values::{ChannelName, Instant, limits};

use crate::stories::{Story, ms, secs};

/// What a node was shown of an author's, in order, but for the past.
pub(crate) fn shown(story: &Story, node: NodeIndex, author: NodeIndex) -> Vec<&str> {
    let id = Some(story.world.id(author));
    let news = messages(story, node).filter(|message| message.from == id && !message.history);
    news.map(|message| message.text.raw()).collect()
}

pub(crate) fn messages(story: &Story, node: NodeIndex) -> impl Iterator<Item = &Message> {
    story.world.events(node).iter().filter_map(|(_, event)| match event {
        Event::Message(message) => Some(message),
        _ => None,
    })
}

/// Checks that each node has been shown exactly these of an author's, in order.
#[track_caller]
pub(crate) fn all_have(story: &Story, nodes: &[NodeIndex], author: NodeIndex, texts: &[String]) {
    for &node in nodes.iter().filter(|&&node| node != author) {
        let shown = shown(story, node, author);
        let wrong = shown.iter().zip(texts).position(|(a, b)| a != b);
        let (has, of) = (shown.len(), texts.len());
        assert!(wrong.is_none() && has == of, "{node:?} has {has} of {of}, wrong from {wrong:?}");
    }
}

pub(crate) fn numbered(word: &str, count: usize) -> Vec<String> {
    (1..=count).map(|n| format!("{word} {n}")).collect()
}

/// When a node was shown a text.
fn heard_at(story: &Story, node: NodeIndex, text: &str) -> Option<Instant> {
    let of = |event: &Event| matches!(event, Event::Message(m) if m.text.raw() == text);
    story.world.events(node).iter().find(|(_, event)| of(event)).map(|(at, _)| *at)
}

/// The numbers that were reported as lost.
fn gaps(story: &Story, node: NodeIndex) -> Vec<u64> {
    let events = story.world.events(node).iter();
    events
        .filter_map(|(_, event)| match event {
            Event::Gap { count, .. } => Some(*count),
            _ => None,
        })
        .collect()
}

#[test]
fn what_was_lost_is_there_a_few_round_trips_after_the_next_message() {
    let mut story = Story::of(2);
    let (author, listener) = (story.nodes[0], story.nodes[1]);
    story.world.host(story.hosts[1]).lose_in = 1;
    story.world.say(author, "one");
    story.world.run_for(ms(5));
    let begun = story.world.now();
    story.world.say(author, "two");
    story.world.run_for(ms(20));
    let took = heard_at(&story, listener, "one").unwrap().since(begun);
    assert!(took < ms(3), "{took:?}");
    all_have(&story, &[listener], author, &["one".into(), "two".into()]);
    story.end();
}

#[test]
fn the_last_message_of_a_burst_is_as_safe_as_the_first() {
    for lost in 1..=10 {
        // The first reminder may be lost as well.
        for too in 0..=1 {
            let mut story = Story::with(3, Faults::default(), lost as u64);
            let author = story.nodes[0];
            let texts = numbered("burst", 10);
            for (n, text) in texts.iter().enumerate() {
                if n + 1 == lost {
                    story.world.host(story.hosts[1]).lose_in = 1 + too;
                }
                story.world.say(author, text);
                story.world.run_for(ms(1));
            }
            story.world.run_for(if too == 0 { ms(30) } else { ms(130) });
            all_have(&story, &story.nodes, author, &texts);
            story.end();
        }
    }
}

/// Where 30 hosts lose a tenth each, nineteen of twenty entries are lost by somebody.
#[test]
fn where_nearly_every_entry_is_asked_for_each_comes_twice_and_few_ask() {
    let mut story = Story::quietly(30, 5);
    let (author, lan) = (story.nodes[0], story.lan);
    let spend = |story: &mut Story, loss: f64, word: &str| {
        story.world.lan(lan).faults = Faults::losing(loss);
        let (before, texts) = (story.world.tally, numbered(word, 200));
        for text in &texts {
            story.world.say(author, text);
            story.world.run_for(ms(5));
        }
        story.world.lan(lan).faults = Faults::default();
        story.world.run_for(secs(2));
        let spent = story.world.tally - before;
        (texts, sent(&spent, Kind::Say), sent(&spent, Kind::Want))
    };
    let (mut all, ..) = spend(&mut story, 0.1, "at first");
    let (texts, says, wants) = spend(&mut story, 0.1, "then");
    all.extend(texts);
    assert!(wants < 160 && says < 500, "{wants} requests, {says} entries");
    // Nothing is lost any more: it ends.
    let (texts, ..) = spend(&mut story, 0.0, "at last");
    all.extend(texts);
    let (texts, says, wants) = spend(&mut story, 0.0, "after that");
    all.extend(texts);
    assert_eq!((says, wants), (200, 0));
    all_have(&story, &story.nodes, author, &all);
    story.end();
}

/// Datagrams of a kind, to all and to one.
pub(crate) fn sent(tally: &Tally, kind: Kind) -> u64 {
    tally.multicast(kind).datagrams + tally.unicast(kind).datagrams
}

#[test]
fn a_message_lost_to_a_thousand_hosts_is_asked_for_by_few_and_sent_again_once() {
    const LOSSES: u64 = 20;
    let mut story = Story::quietly(1_000, 3);
    let author = story.nodes[0];
    let (mut wants, mut repairs) = (0, 0);
    for n in 0..LOSSES {
        let before = story.world.tally;
        story.world.host(story.hosts[0]).lose_out = 1;
        story.world.say(author, &format!("lost {n}"));
        if n % 2 == 0 {
            story.world.run_for(ms(5));
            story.world.say(author, &format!("next {n}"));
        }
        story.world.run_for(ms(150));
        let spent = story.world.tally - before;
        wants += sent(&spent, Kind::Want);
        repairs += sent(&spent, Kind::Say) - 1 - u64::from(n % 2 == 0);
        for &node in &story.nodes[1..] {
            assert_eq!(story.world.heard(node, &format!("lost {n}")), 1, "{node:?}");
        }
    }
    let (wants, repairs) = (wants as f64 / LOSSES as f64, repairs as f64 / LOSSES as f64);
    println!("1,000 hosts, one loss: {wants} requests, {repairs} repairs");
    assert!(wants <= 3.0 && repairs <= 2.0, "{wants} requests, {repairs} repairs");
    story.end();
}

/// Announcements, which tell of it as well, come every six seconds there.
#[test]
fn the_last_message_is_had_soon_in_a_large_group_though_the_first_reminders_are_lost_too() {
    let mut story = Story::quietly(300, 4);
    let (author, unlucky) = (story.nodes[0], story.nodes[7]);
    story.world.cut(story.hosts[7], true);
    story.world.say(author, "the last");
    story.world.run_for(ms(600));
    story.world.cut(story.hosts[7], false);
    story.world.run_for(ms(500));
    assert_eq!(story.world.heard(unlucky, "the last"), 1);
    story.end();
}

#[test]
fn whose_cable_was_out_for_half_a_minute_has_everything_soon_after() {
    let mut story = Story::of(5);
    let away = story.nodes[4];
    let mut said: Vec<Vec<String>> = vec![Vec::new(); 4];
    let mut talk = |story: &mut Story, rounds: u32| {
        for _ in 0..rounds {
            for (n, texts) in said.iter_mut().enumerate() {
                let text = format!("{n} says {}", texts.len());
                story.world.say(story.nodes[n], &text);
                texts.push(text);
                story.world.run_for(ms(25));
            }
        }
        said.clone()
    };
    talk(&mut story, 10);
    story.world.cut(story.hosts[4], true);
    talk(&mut story, 300);
    story.world.cut(story.hosts[4], false);
    let said = talk(&mut story, 20);
    for (n, texts) in said.iter().enumerate() {
        let late = shown(&story, away, story.nodes[n]).len();
        assert!(late + 1 >= texts.len(), "{late} of {} after two seconds", texts.len());
    }
    story.world.run_for(ms(100));
    for (n, texts) in said.iter().enumerate() {
        all_have(&story, &story.nodes, story.nodes[n], texts);
    }
    assert_eq!(gaps(&story, away), [0; 0]);
    story.end();
}

#[test]
fn who_comes_back_to_silence_learns_what_was_said_from_the_announcements() {
    let mut story = Story::of(3);
    let author = story.nodes[0];
    story.world.cut(story.hosts[2], true);
    let texts = numbered("unheard", 50);
    for text in &texts {
        story.world.say(author, text);
        story.world.run_for(ms(600));
    }
    story.world.cut(story.hosts[2], false);
    story.world.run_for(ms(2_500));
    all_have(&story, &story.nodes, author, &texts);
    story.end();
}

#[test]
fn what_anybody_has_of_an_author_who_crashed_all_get() {
    for seed in 1..=5 {
        let mut story = Story::with(6, Faults::losing(0.2), seed);
        let author = story.nodes[0];
        let texts = numbered("last words", 100);
        for text in &texts {
            story.world.say(author, text);
        }
        story.world.crash(author);
        story.world.run_for(secs(60));
        let live = story.live();
        let heard = live.iter().map(|&node| shown(&story, node, author).len()).max().unwrap();
        assert!(heard >= 90, "{heard}");
        // What nobody got is the same for all, too.
        let first = shown(&story, live[0], author);
        assert!(first.len() >= 99, "{}", first.len());
        for &node in &live[1..] {
            assert_eq!(shown(&story, node, author), first, "seed {seed}, {node:?}");
        }
        story.end();
    }
}

#[test]
fn what_nobody_has_is_a_gap_and_the_rest_goes_on() {
    let mut story = Story::of(4);
    let (author, holder) = (story.nodes[0], story.nodes[1]);
    let rest = [story.nodes[2], story.nodes[3]];
    story.everyone_hears_everyone("before");
    for &host in &story.hosts[2..].to_vec() {
        story.world.cut(host, true);
    }
    for text in numbered("held", 5) {
        story.world.say(author, &text);
    }
    story.world.run_for(ms(5));
    assert_eq!(shown(&story, holder, author).len(), 6);
    for &host in &story.hosts[2..].to_vec() {
        story.world.cut(host, false);
    }
    story.world.say(author, "the last");
    story.world.crash(author);
    story.world.crash(holder);
    story.world.run_for(secs(5));
    assert_eq!(story.world.heard(rest[0], "the last"), 0, "somebody may have it yet");
    story.world.run_for(secs(20));
    for node in rest {
        assert_eq!(gaps(&story, node), [5]);
        assert_eq!(shown(&story, node, author), ["before 0", "the last"]);
    }
    story.everyone_hears_everyone("after");
    story.end();
}

#[test]
fn a_long_message_arrives_whole_though_a_fifth_is_lost() {
    for seed in 1..=3 {
        let mut story = Story::with(4, Faults::default(), seed);
        story.world.lan(story.lan).faults = Faults::losing(0.2);
        let author = story.nodes[0];
        let texts: Vec<String> = ('a'..='d').map(|c| c.to_string().repeat(limits::TEXT)).collect();
        for text in &texts {
            story.world.say(author, text);
        }
        story.world.run_for(secs(3));
        all_have(&story, &story.nodes, author, &texts);
        // At best each of the 264 or so is sent 1.63 times.
        let (sent, most) = (sent(&story.world.tally, Kind::Say), 600);
        assert!(sent < most, "{sent} pieces: they are not repaired one by one");
        story.end();
    }
}

#[test]
fn through_unicast_all_of_it_arrives_too() {
    let mut story = Story::with(2, Faults::losing(0.05), 7);
    let seeds = vec![story.world.seed_address(story.hosts[0])];
    for (deaf, mute, multicast) in
        [(true, false, true), (false, true, true), (true, true, true), (false, false, false)]
    {
        let at = story.host();
        let host = story.world.host(at);
        (host.deaf, host.mute) = (deaf, mute);
        story.start(at, Spec { seeds: seeds.clone(), multicast, ..Spec::default() });
    }
    story.world.run_for(secs(10));
    assert!(story.all_know_all());
    let texts: Vec<Vec<String>> =
        story.nodes.iter().map(|node| numbered(&node.0.to_string(), 50)).collect();
    for round in 0..50 {
        for (&node, texts) in story.nodes.iter().zip(&texts) {
            story.world.say(node, &texts[round]);
        }
        story.world.run_for(ms(10));
    }
    story.world.run_for(secs(5));
    for (&author, texts) in story.nodes.iter().zip(&texts) {
        all_have(&story, &story.nodes, author, texts);
    }
    story.end();
}

#[test]
fn whose_multicast_comes_and_goes_misses_nothing() {
    let mut story = Story::of(4);
    let mut texts: Vec<Vec<String>> = vec![Vec::new(); 4];
    for round in 0..600_usize {
        if round % 100 == 50 {
            let host = story.world.host(story.hosts[3]);
            host.deaf = !host.deaf;
        }
        if round % 150 == 149 {
            let host = story.world.host(story.hosts[2]);
            host.mute = !host.mute;
        }
        for (n, texts) in texts.iter_mut().enumerate() {
            let text = format!("{n} says {round}");
            story.world.say(story.nodes[n], &text);
            texts.push(text);
        }
        story.world.run_for(ms(100));
    }
    story.world.run_for(secs(15));
    for (&author, texts) in story.nodes.iter().zip(&texts) {
        all_have(&story, &story.nodes, author, texts);
    }
    story.end();
}

/// It asks the others in the channel, which do not hear it; that they do not shows only later.
#[test]
fn what_was_lost_while_multicast_was_blocked_in_mid_conversation_is_asked_for_alone() {
    for seed in 1..=10 {
        let mut story = Story::with(4, Faults::default(), seed);
        let (author, host) = (story.nodes[0], story.hosts[3]);
        story.world.run_for(secs(25));
        let texts = numbered("word", 15);
        story.world.say(author, "before");
        story.world.run_for(secs(1));
        (story.world.host(host).deaf, story.world.host(host).mute) = (true, true);
        for text in &texts {
            story.world.say(author, text);
            // So it hears at once, alone, how far the log goes.
            let channel = ChannelName::lobby();
            story.world.command(author, Command::Confirm { channel, ticket: 1 });
            story.world.run_for(secs(1));
        }
        story.world.run_for(secs(5));
        let all: Vec<String> = std::iter::once("before".to_owned()).chain(texts).collect();
        all_have(&story, &story.nodes, author, &all);
        assert!(gaps(&story, story.nodes[3]).is_empty());
        story.end();
    }
}
