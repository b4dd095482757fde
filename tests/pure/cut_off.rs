//! Stories of a host whose cable was out while much was said.

use cooee::sim::{Faults, NodeIndex, Spec};
use cooee::values::limits;

use crate::delivery::{all_have, numbered};
use crate::stories::{Story, ms, secs};

/// Says all of this while the last host is cut off, and lets it be back for so long.
fn missed_by_the_last(story: &mut Story, author: NodeIndex, texts: &[String], back: u64) {
    let (host, node) = (*story.hosts.last().unwrap(), *story.nodes.last().unwrap());
    story.world.cut(host, true);
    for text in texts {
        story.world.say(author, text);
        story.world.run_for(ms(2));
    }
    story.world.run_for(secs(5));
    story.world.cut(host, false);
    story.world.tell_links(node);
    story.world.run_for(secs(back));
}

#[test]
fn what_its_author_has_no_longer_comes_from_others_who_have_it() {
    let mut story = Story::of(4);
    let author = story.nodes[0];
    let long = "x".repeat(5_000);
    let texts: Vec<String> = (1..=900).map(|n| format!("{n} {long}")).collect();
    assert!(texts.iter().map(String::len).sum::<usize>() > limits::OWN_STORE_BYTES);
    missed_by_the_last(&mut story, author, &texts, 30);
    all_have(&story, &story.nodes, author, &texts);
    assert_eq!(story.world.checker.gaps, 0);
    story.end();
}

#[test]
fn all_of_a_log_comes_that_began_while_one_was_away_and_its_author_was_known() {
    for seed in 1..=3 {
        let mut story = Story::with(3, Faults::default(), seed);
        let (author, texts) = (story.nodes[0], numbered("line", 3_000));
        assert!(texts.len() as u64 > 2 * limits::CATCH_UP);
        missed_by_the_last(&mut story, author, &texts, 5);
        all_have(&story, &story.nodes, author, &texts);
        story.end();
    }
}

/// A command has a run of its own, and is nobody's peer.
#[test]
fn all_that_a_command_has_said_comes_to_who_was_away() {
    let mut story = Story::of(3);
    let spec = Spec { visitor: true, ..Spec::default() };
    let command = story.world.add_node(story.hosts[0], spec);
    story.world.start(command);
    story.world.run_for(ms(100));
    let texts = numbered("line", 3_000);
    missed_by_the_last(&mut story, command, &texts, 5);
    all_have(&story, &story.nodes, command, &texts);
    story.end();
}
