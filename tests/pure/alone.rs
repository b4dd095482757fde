//! Stories of those who were there before their network, or alone on it, and then meet others: what was
//! said before they came is past, and what was said since is not.

use cooee::proto::{Command, Event, Message};
use cooee::sim::{Faults, NodeIndex, Spec};
use cooee::values::ChannelName;

use crate::delivery::{messages, numbered, shown};
use crate::stories::{Story, ms, secs};

fn curious() -> Spec {
    Spec { recall: 50, ..Spec::default() }
}

/// What a node was shown of an author's past.
fn past(story: &Story, node: NodeIndex, author: NodeIndex) -> Vec<&str> {
    let id = Some(story.world.id(author));
    let past = messages(story, node).filter(|message| message.history && message.from == id);
    past.map(|message| message.text.raw()).collect()
}

fn all_say(story: &mut Story, authors: &[NodeIndex], texts: &[String]) {
    for text in texts {
        for &author in authors {
            story.world.say(author, text);
        }
        story.world.run_for(ms(2));
    }
}

/// Three hosts, the first of which has said 500 messages; and one that comes afterwards, and is cut off.
struct Meeting {
    story: Story,
    author: NodeIndex,
    old: Vec<String>,
    late: NodeIndex,
}

impl Meeting {
    fn new(seed: u64, spec: Spec) -> Self {
        let mut story = Story::with(3, Faults::default(), seed);
        let (author, old) = (story.nodes[0], numbered("old", 500));
        all_say(&mut story, &[author], &old);
        story.world.run_for(secs(2));
        let host = story.host();
        story.world.cut(host, true);
        let late = story.start(host, spec);
        Self { story, author, old, late }
    }

    fn cable(&mut self, out: bool) {
        let host = self.story.hosts[3];
        self.story.world.cut(host, out);
        self.story.world.tell_links(self.late);
    }

    /// Checks that it has been shown this, and nothing else.
    #[track_caller]
    fn has(&self, past_from: usize, news: &[String], what: &str) {
        let (story, late, author) = (&self.story, self.late, self.author);
        assert_eq!(past(story, late, author), self.old[past_from..], "{what}");
        assert_eq!(shown(story, late, author), news, "{what}");
    }
}

#[test]
fn who_was_alone_is_told_of_the_last_that_a_present_author_has_said_before_and_of_all_since() {
    for wait in [2, 4, 60] {
        let mut it = Meeting::new(5, curious());
        it.story.world.run_for(secs(wait));
        let news = numbered("meanwhile", 5);
        all_say(&mut it.story, &[it.author], &news);
        it.story.world.run_for(secs(1));
        it.cable(false);
        it.story.world.run_for(secs(3));
        it.has(450, &news, &format!("alone for {wait} s"));
        it.story.everyone_hears_everyone("now");
        it.story.end();
    }
}

#[test]
fn who_was_alone_is_told_the_same_where_much_is_lost() {
    for seed in 1..=20 {
        let mut it = Meeting::new(seed, curious());
        it.story.world.run_for(secs(20));
        let news = numbered("meanwhile", 40);
        all_say(&mut it.story, &[it.author], &news);
        let lan = it.story.lan;
        it.story.world.lan(lan).faults = Faults::losing(0.2);
        it.cable(false);
        it.story.world.run_for(secs(8));
        it.has(450, &news, &format!("seed {seed}"));
        it.story.end();
    }
}

#[test]
fn who_was_alone_and_does_not_want_the_past_is_told_of_what_was_said_since() {
    let mut it = Meeting::new(7, Spec::default());
    it.story.world.run_for(secs(20));
    let news = numbered("meanwhile", 5);
    all_say(&mut it.story, &[it.author], &news);
    it.cable(false);
    it.story.world.run_for(secs(3));
    it.has(500, &news, "nothing of the past is wanted");
    it.story.end();
}

/// Nothing is known of the author yet when the first of what it says now arrives.
#[test]
fn who_was_alone_and_first_hears_somebody_talking_takes_it_up_where_it_was_when_it_came() {
    for seed in 1..=10 {
        let mut it = Meeting::new(seed, curious());
        it.story.world.run_for(secs(10));
        let news = numbered("on and on", 400);
        for (n, text) in news.iter().enumerate() {
            if n == 200 {
                it.cable(false);
            }
            it.story.world.say(it.author, text);
            it.story.world.run_for(ms(5));
        }
        it.story.world.run_for(secs(3));
        it.has(450, &news, &format!("seed {seed}"));
        it.story.end();
    }
}

#[test]
fn long_messages_of_before_and_since_come_whole_to_who_was_alone() {
    let mut it = Meeting::new(9, curious());
    let long = |word: &str| format!("{word} {}", "long ".repeat(10_000));
    let mut news: Vec<String> = ["first", "second"].map(long).into();
    news.extend(numbered("short", 3));
    it.story.world.run_for(secs(10));
    all_say(&mut it.story, &[it.author], &news);
    it.story.world.run_for(secs(1));
    it.cable(false);
    it.story.world.run_for(secs(3));
    it.has(450, &news, "long ones");
    it.story.end();
}

/// Its switch passes on no multicast, so it asks a seed.
#[test]
fn who_was_alone_and_is_reached_by_unicast_only_is_told_the_same() {
    let alike = Story::of(1);
    let address = alike.world.seed_address(alike.hosts[0]);
    let mut it = Meeting::new(3, Spec { seeds: vec![address], ..curious() });
    let host = it.story.hosts[3];
    let host = it.story.world.host(host);
    (host.deaf, host.mute) = (true, true);
    it.story.world.run_for(secs(20));
    let news = numbered("meanwhile", 5);
    all_say(&mut it.story, &[it.author], &news);
    it.cable(false);
    it.story.world.run_for(secs(10));
    it.has(450, &news, "by unicast");
    it.story.end();
}

/// In a large group it takes a while until all are met, and the answer to who asks for the past does not
/// tell of all of their logs.
#[test]
fn who_comes_to_many_is_not_told_of_what_they_have_said_before_as_of_news() {
    let mut story = Story::quietly(200, 4);
    let authors = story.nodes.clone();
    for texts in numbered("old", 3).chunks(1) {
        all_say(&mut story, &authors, texts);
        story.world.run_for(secs(2));
    }
    let lan = story.lan;
    story.world.lan(lan).faults = Faults::losing(0.1);
    let host = story.host();
    let late = story.start(host, curious());
    story.world.run_for(secs(15));
    let news = messages(&story, late).filter(|message| !message.history).count();
    assert_eq!(news, 0);
    story.end();
}

/// Nobody but the author itself can tell anybody how far its log went at any time.
#[test]
fn three_that_were_alone_and_meet_at_once_are_told_of_all_that_each_has_said_since_they_came() {
    for seed in 1..=10 {
        let mut story = Story::with(0, Faults::losing(0.05), seed);
        // What each has said, and how much of it before each of them came.
        let mut said = vec![Vec::new(); 3];
        let mut before = [[0; 3]; 3];
        for (newest, before) in before.iter_mut().enumerate() {
            *before = [0, 1, 2].map(|author| said[author].len());
            let host = story.host();
            story.world.cut(host, true);
            story.start(host, curious());
            story.world.run_for(secs(6));
            for (author, said) in said.iter_mut().enumerate().take(newest + 1) {
                let texts = numbered(&format!("{author} says, {newest} being there:"), 100);
                let speaker = story.nodes[author];
                all_say(&mut story, &[speaker], &texts);
                said.extend(texts);
            }
            story.world.run_for(secs(1));
        }
        for host in story.hosts.clone() {
            story.world.cut(host, false);
        }
        story.world.run_for(secs(6));
        for (node, before) in before.iter().enumerate() {
            for author in (0..3).filter(|author| *author != node) {
                let heard = shown(&story, story.nodes[node], story.nodes[author]);
                assert_eq!(
                    heard,
                    said[author][before[author]..],
                    "{node} of {author}, seed {seed}"
                );
            }
        }
        story.everyone_hears_everyone("now");
        story.end();
    }
}

#[test]
fn who_was_alone_confirms_what_is_said_when_it_has_just_been_met() {
    for seed in 1..=10 {
        let mut it = Meeting::new(seed, curious());
        it.story.world.run_for(secs(10));
        it.cable(false);
        while it.story.known(it.author) < 3 {
            it.story.world.run_for(ms(1));
        }
        let (author, late) = (it.author, it.story.world.id(it.late));
        it.story.world.say(author, "all there?");
        let confirm = Command::Confirm { channel: ChannelName::lobby(), ticket: 7 };
        it.story.world.command(author, confirm);
        it.story.world.run_for(ms(500));
        let confirmed =
            |event: &Event| matches!(event, Event::Receipt { from, .. } if *from == late);
        assert_eq!(it.story.count(author, confirmed), 1, "seed {seed}");
        it.has(450, &["all there?".into()], &format!("seed {seed}"));
        it.story.end();
    }
}

/// Old messages had better come as news than new ones not at all.
#[test]
fn who_was_alone_gets_all_that_was_said_since_though_the_author_does_not_answer() {
    for seed in 1..=5 {
        let mut it = Meeting::new(seed, curious());
        it.story.world.run_for(secs(10));
        let news = numbered("meanwhile", 5);
        all_say(&mut it.story, &[it.author], &news);
        it.story.world.run_for(secs(1));
        it.cable(false);
        while it.story.peer(it.late, it.author).is_none() {
            it.story.world.run_for(ms(1));
        }
        it.story.world.freeze(it.author, secs(3));
        it.story.world.run_for(secs(8));
        let heard = shown(&it.story, it.late, it.author);
        assert_eq!(heard, [&it.old[..], &news].concat(), "seed {seed}");
        it.story.end();
    }
}

/// A command without an agent is no peer, and nobody could tell how far its log went.
#[test]
fn who_is_alone_hears_at_once_what_a_command_says() {
    let mut story = Story::of(1);
    story.world.run_for(secs(20));
    let host = story.host();
    for n in 1..=3 {
        let command = story.start(host, Spec { visitor: true, ..Spec::default() });
        story.world.run_for(ms(100));
        let text = format!("command {n}");
        story.world.say(command, &text);
        story.world.run_for(ms(20));
        let heard = |message: &&Message| message.text.raw() == text && !message.history;
        assert_eq!(messages(&story, story.nodes[0]).filter(heard).count(), 1, "{n}");
        story.world.stop(command);
    }
    story.end();
}
