//! Stories of those who come late, and are told what was said.

use std::time::Duration;

use cooee::proto::{Command, Event, Message};
use cooee::sim::{Faults, NodeIndex, Spec, World};
use cooee::values::ChannelName;

use crate::delivery::{messages, numbered, shown};
use crate::stories::{Story, ms, secs, visitor};

fn curious() -> Spec {
    Spec { recall: 50, ..Spec::default() }
}

/// What a node was shown of the past.
fn past(story: &Story, node: NodeIndex) -> Vec<&str> {
    let past: Vec<&Message> = messages(story, node).filter(|message| message.history).collect();
    assert!(past.iter().all(|message| message.verified));
    past.iter().map(|message| message.text.raw()).collect()
}

/// Five hosts, one of which has said 500 messages.
fn told(faults: Faults, seed: u64) -> (Story, Vec<String>) {
    let mut story = Story::with(5, faults, seed);
    let texts = numbered("old", 500);
    let author = story.nodes[0];
    for text in &texts {
        story.world.say(author, text);
        story.world.run_for(ms(2));
    }
    story.world.run_for(secs(2));
    (story, texts)
}

#[test]
fn a_late_comer_gets_the_last_of_what_was_said_as_history_in_order() {
    for loss in [0.0, 0.2] {
        let (mut story, texts) = told(Faults::losing(loss), 1);
        let host = story.host();
        let late = story.start(host, curious());
        story.world.run_for(if loss > 0.0 { secs(4) } else { ms(500) });
        assert_eq!(past(&story, late), texts[450..]);
        assert_eq!(messages(&story, late).count(), 50, "and nothing else");
        story.world.lan(story.lan).faults = Faults::default();
        story.everyone_hears_everyone("now");
        story.end();
    }
}

#[test]
fn what_was_said_before_one_came_is_not_taken_for_news_where_much_is_lost() {
    for seed in 1..=40 {
        let mut story = Story::with(3, Faults::losing(0.2), seed);
        let speaker =
            story.world.add_node(story.hosts[0], Spec { visitor: true, ..Spec::default() });
        story.world.start(speaker);
        story.world.run_for(ms(100));
        let texts = numbered("old", 300);
        for text in &texts {
            story.world.say(speaker, text);
        }
        story.world.run_for(secs(2));
        story.world.stop(speaker);
        story.world.run_for(secs(6));
        let host = story.host();
        let late = story.start(host, curious());
        story.world.run_for(secs(6));
        assert_eq!(past(&story, late), texts[250..], "seed {seed}");
        assert_eq!(messages(&story, late).count(), 50, "seed {seed}: and nothing else");
        story.end();
    }
}

#[test]
fn the_past_is_told_though_its_author_is_gone_and_an_hour_later_as_well() {
    for crashes in [false, true] {
        let (mut story, texts) = told(Faults::default(), 2);
        let author = story.nodes[0];
        if crashes {
            story.world.crash(author);
        } else {
            story.world.stop(author);
        }
        for wait in [secs(1), secs(20), secs(3_600)] {
            story.world.run_for(wait);
            let host = story.host();
            let late = story.start(host, curious());
            story.world.run_for(secs(1));
            assert_eq!(past(&story, late), texts[450..], "{wait:?} after, crash: {crashes}");
            assert_eq!(messages(&story, late).count(), 50);
        }
        story.world.run_for(secs(5));
        story.everyone_hears_everyone("now");
        story.end();
    }
}

#[test]
fn a_long_message_counts_as_one_and_comes_whole() {
    let mut story = Story::of(3);
    let speaker = story.nodes[0];
    let mut texts = numbered("short", 100);
    texts.push("long ".repeat(10_000));
    texts.extend(numbered("last", 3));
    for text in &texts {
        story.world.say(speaker, text);
        story.world.run_for(ms(20));
    }
    story.world.crash(speaker);
    story.world.run_for(secs(20));
    for last in [2, 4, 10, 50] {
        let host = story.host();
        let late = story.start(host, Spec { recall: last, ..Spec::default() });
        story.world.run_for(secs(3));
        assert_eq!(past(&story, late), texts[texts.len() - last as usize..], "the last {last}");
        // Who comes next is to ask somebody who has it all.
        story.world.stop(late);
    }
    story.end();
}

/// An agent may start before its network does.
#[test]
fn who_was_alone_when_it_came_is_told_of_the_past_by_the_first_that_it_meets() {
    let (mut story, texts) = told(Faults::default(), 5);
    story.world.stop(story.nodes[0]);
    let host = story.host();
    story.world.cut(host, true);
    let late = story.start(host, curious());
    story.world.run_for(secs(60));
    assert_eq!(past(&story, late).len(), 0);
    let (witness, news) = (story.nodes[1], numbered("meanwhile", 5));
    for text in &news {
        story.world.say(witness, text);
    }
    story.world.run_for(secs(1));
    story.world.cut(host, false);
    story.world.tell_links(late);
    story.world.run_for(secs(3));
    assert_eq!(past(&story, late), texts[450..]);
    assert_eq!(shown(&story, late, witness), news, "said while it was there: no past");
    story.everyone_hears_everyone("now");
    story.end();
}

/// Three hosts; one of them is away, as an agent that is stopped and started again, while others
/// speak of whom it has never heard, and leave.
#[test]
fn who_was_away_gets_what_strangers_have_said_meanwhile_as_news() {
    for loss in [0.0, 0.2] {
        let mut story = Story::with(3, Faults::losing(loss), 4);
        let (away, lobby) = (story.nodes[2], ChannelName::lobby());
        let known = story.world.id(story.nodes[0]);
        let epoch = story.world.epoch(story.nodes[0]).unwrap();
        let old = story.world.add_node(story.hosts[0], Spec { visitor: true, ..Spec::default() });
        story.world.start(old);
        story.world.run_for(ms(100));
        story.world.say(old, "before it was there");
        story.world.say(story.nodes[0], "known");
        story.world.run_for(secs(1));
        story.world.stop(old);
        story.world.stop(away);
        story.world.run_for(secs(10));
        let gone = story.world.now();
        let texts = numbered("missed", 40);
        for chunk in texts.chunks(10) {
            let spec = Spec { visitor: true, ..Spec::default() };
            let speaker = story.world.add_node(story.hosts[1], spec);
            story.world.start(speaker);
            story.world.run_for(ms(100));
            for text in chunk {
                story.world.say(speaker, text);
            }
            story.world.run_for(secs(2));
            story.world.stop(speaker);
        }
        story.world.run_for(secs(30));
        story.world.start(away);
        let logs = vec![(known, epoch, 1)];
        let away_for = story.world.now().since(gone) + secs(9);
        let resume = Command::Resume { channel: lobby.clone(), logs, away: away_for, said: None };
        story.world.command(away, resume);
        let back = story.world.now();
        story.world.run_for(secs(6));
        let heard = story.world.events(away).iter().filter(|(at, _)| *at >= back);
        let mut heard: Vec<&str> = heard
            .filter_map(|(_, event)| match event {
                Event::Message(message) if !message.history => Some(message.text.raw()),
                _ => None,
            })
            .collect();
        heard.sort_unstable();
        let mut texts = texts;
        texts.sort_unstable();
        assert_eq!(heard, texts, "loss {loss}");
        story.end();
    }
}

/// The newcomer has only what was said in its time, and tells of no more.
#[test]
fn who_was_away_learns_from_others_what_a_newcomer_has_not() {
    for lost_token in [false, true] {
        let mut story = Story::of(3);
        let [author, witness, away] = [0, 1, 2].map(|n| story.nodes[n]);
        let host = story.hosts[2];
        story.world.host(host).side = 1;
        story.world.run_for(secs(15));
        story.world.say(author, "early");
        story.world.run_for(secs(5));
        let newcomer = story.join();
        story.world.run_for(secs(5));
        story.world.say(author, "late");
        story.world.run_for(secs(1));
        story.world.crash(author);
        story.world.run_for(secs(15));
        // The newcomer is all that there is when the one that was away comes back.
        story.world.freeze(witness, secs(6));
        if lost_token {
            story.world.host(host).lose_in = 1;
        }
        story.world.host(host).side = 0;
        story.world.run_for(secs(40));
        assert_eq!(shown(&story, away, author), ["early", "late"], "{lost_token}");
        assert_eq!(shown(&story, newcomer, author), ["late"]);
        story.end();
    }
}

/// Those who tell of it have given the first up, and don't know when that was said; else it would be
/// taken for something from before the asker's time.
#[test]
fn what_the_teller_has_given_up_is_still_asked_of_others() {
    let mut story = Story::of(4);
    let [author, witness] = [0, 1].map(|n| story.nodes[n]);
    let tellers = [story.nodes[2], story.nodes[3]];
    // It came after them, so that what they lack from before their time is not meant.
    let away = story.join();
    story.world.run_for(secs(5));
    story.world.cut(story.hosts[4], true);
    story.world.run_for(secs(15));
    for n in [2, 3] {
        story.world.host(story.hosts[n]).lose_in = 1;
    }
    story.world.say(author, "one");
    story.world.run_for(ms(1));
    story.world.cut(story.hosts[1], true);
    story.world.say(author, "two");
    story.world.run_for(Duration::from_micros(300));
    story.world.crash(author);
    story.world.run_for(secs(25));
    for teller in tellers {
        assert_eq!(shown(&story, teller, author), ["two"]);
    }
    assert_eq!(shown(&story, witness, author), ["one"]);
    story.world.cut(story.hosts[4], false);
    story.world.run_for(secs(5));
    story.world.cut(story.hosts[1], false);
    story.world.run_for(secs(10));
    assert_eq!(shown(&story, witness, author), ["one", "two"]);
    assert_eq!(shown(&story, away, author), ["one", "two"]);
    story.end();
}

/// Eleven commands without an agent on one host, each a run of its own; another host is cut off
/// while ten of them are there, and comes back just before the last.
#[test]
fn what_one_has_said_in_many_runs_comes_in_order_to_who_was_away() {
    for seed in 1..=20 {
        let mut story = Story::with(4, Faults::losing(0.2), seed);
        let (away, host) = (story.nodes[3], story.hosts[0]);
        story.world.cut(story.hosts[3], true);
        let texts = numbered("run", 11);
        let speaker = story.world.add_node(host, Spec { visitor: true, ..Spec::default() });
        for text in &texts[..10] {
            story.world.start(speaker);
            story.world.run_for(ms(100));
            story.world.say(speaker, text);
            story.world.run_for(secs(1));
            story.world.stop(speaker);
        }
        story.world.cut(story.hosts[3], false);
        story.world.start(speaker);
        let pause = ms(20 * seed);
        story.world.run_for(pause);
        story.world.say(speaker, &texts[10]);
        story.world.run_for(secs(4));
        assert_eq!(shown(&story, away, speaker), texts, "seed {seed}");
        story.end();
    }
}

/// Nobody has what one said before those came who are there. Its next run tells them how long ago that
/// was: too long for them to wait for it, and for one that hears of it later as well.
#[test]
fn what_was_said_before_anybody_came_does_not_hold_up_what_was_said_since_and_changes_no_order() {
    let mut late = 0;
    for seed in 1..=20 {
        let mut story = Story::with(1, Faults::default(), seed);
        let speaker = story.world.add_node(story.hosts[0], visitor());
        let mut say = |story: &mut Story, text: &str, to: &[NodeIndex]| {
            story.world.start(speaker);
            story.world.run_for(ms(50));
            story.world.say(speaker, text);
            let heard = |world: &World| to.iter().all(|&node| world.heard(node, text) == 1);
            let took =
                story.world.run_until(secs(10), heard).expect("those who are there to hear it");
            late += u32::from(took > secs(3));
            story.world.stop(speaker);
        };
        let first = story.nodes[0];
        say(&mut story, "before", &[first]);
        story.world.stop(first);
        let [one, other, away] = [(); 3].map(|()| story.join());
        story.world.run_for(secs(3));
        story.world.lan(story.lan).faults = Faults::losing(0.2);
        story.world.cut(story.hosts[3], true);
        let texts = numbered("run", 20);
        for text in &texts {
            say(&mut story, text, &[one, other]);
            story.world.run_for(ms(200));
        }
        story.world.cut(story.hosts[3], false);
        let all = |world: &World| texts.iter().all(|text| world.heard(away, text) == 1);
        story.world.run_until(secs(4), all).expect("all of it to come");
        assert_eq!(shown(&story, away, speaker), texts, "seed {seed}");
        story.end();
    }
    // Of 420, where the message and whatever tells of it are lost five times in a row.
    assert!(late <= 1, "{late} times");
}

/// Too short for anybody to be missed: only the author itself can tell that it has said more.
#[test]
fn what_one_has_said_in_many_runs_comes_in_order_to_who_was_cut_off_for_a_moment() {
    for seed in 1..=20 {
        let mut story = Story::with(4, Faults::losing(0.2), seed);
        let (away, host) = (story.nodes[3], story.hosts[0]);
        let speaker = story.world.add_node(host, Spec { visitor: true, ..Spec::default() });
        let texts = numbered("run", 5);
        for (n, text) in texts.iter().enumerate() {
            story.world.cut(story.hosts[3], (1..4).contains(&n));
            story.world.start(speaker);
            story.world.run_for(ms(50));
            story.world.say(speaker, text);
            story.world.run_for(ms(150));
            story.world.stop(speaker);
        }
        story.world.run_for(secs(4));
        assert_eq!(shown(&story, away, speaker), texts, "seed {seed}");
        story.end();
    }
}

#[test]
fn what_somebody_said_in_a_run_before_one_came_is_not_taken_for_news() {
    for wait in [secs(1), secs(30)] {
        let mut story = Story::of(3);
        let speaker =
            story.world.add_node(story.hosts[0], Spec { visitor: true, ..Spec::default() });
        let say = |story: &mut Story, text| {
            story.world.start(speaker);
            story.world.run_for(ms(50));
            story.world.say(speaker, text);
            story.world.run_for(ms(500));
            story.world.stop(speaker);
        };
        say(&mut story, "before");
        story.world.run_for(wait);
        let late = story.join();
        story.world.run_for(secs(5));
        say(&mut story, "after");
        story.world.run_for(secs(4));
        assert_eq!(shown(&story, late, speaker), ["after"]);
        story.end();
    }
}

#[test]
fn who_does_not_want_the_past_is_not_told_of_it() {
    let (mut story, _) = told(Faults::default(), 3);
    let here = story.join();
    story.world.stop(story.nodes[0]);
    let gone = story.join();
    story.world.run_for(secs(20));
    for late in [here, gone] {
        assert_eq!(messages(&story, late).count(), 0);
    }
    story.everyone_hears_everyone("now");
    story.end();
}

#[test]
fn what_is_said_while_somebody_comes_is_either_past_or_present_and_nothing_is_missing() {
    for seed in 1..=5 {
        let mut story = Story::with(4, Faults::losing(0.05), seed);
        let author = story.nodes[0];
        let texts = numbered("on and on", 300);
        let mut late = None;
        for (n, text) in texts.iter().enumerate() {
            story.world.say(author, text);
            story.world.run_for(ms(5));
            if n == 150 {
                let host = story.host();
                late = Some(story.start(host, curious()));
            }
        }
        story.world.run_for(secs(5));
        let late = late.unwrap();
        let mut heard: Vec<&str> =
            messages(&story, late).map(|message| message.text.raw()).collect();
        assert!(heard.len() >= 180 && heard.len() < 230, "{}", heard.len());
        heard.sort_by_key(|text| texts.iter().position(|t| t == text));
        assert_eq!(heard, texts[texts.len() - heard.len()..], "seed {seed}");
        story.end();
    }
}

/// Its announcements have told how far its log goes: not at all.
#[test]
fn what_a_known_peer_says_right_after_one_has_joined_is_not_taken_for_the_past() {
    let mut story = Story::of(3);
    let (author, listener) = (story.nodes[0], story.nodes[1]);
    let ops: ChannelName = "ops".parse().unwrap();
    for &node in &story.nodes {
        story.world.command(node, Command::Join(ops.clone()));
    }
    story.world.run_for(ms(20));
    story.world.host(story.hosts[1]).lose_in = 1;
    for text in ["one", "two"] {
        story.world.say_in(author, &ops, text);
        story.world.run_for(ms(5));
    }
    story.world.run_for(secs(1));
    assert_eq!(shown(&story, listener, author), ["one", "two"]);
    story.end();
}

#[test]
fn who_comes_back_is_told_what_it_has_said_itself_before() {
    let mut story = Story::with(2, Faults::default(), 6);
    let host = story.host();
    let node = story.start(host, curious());
    story.world.run_for(secs(8));
    for n in 1..=30 {
        story.world.say(node, &format!("mine {n}"));
        story.world.say(story.nodes[0], &format!("other {n}"));
        story.world.run_for(ms(5));
    }
    story.world.run_for(secs(1));
    story.world.crash(node);
    story.world.run_for(secs(2));
    story.world.start(node);
    story.world.run_for(secs(3));
    let texts = past(&story, node);
    let count = |word: &str| texts.iter().filter(|text| text.starts_with(word)).count();
    assert_eq!((count("mine"), count("other")), (25, 25), "{texts:?}");
    story.end();
}
