//! Stories of questions and answers.

use std::net::SocketAddr;

use cooee::proto::{AnswerEnd, Command, Event, Outgoing, TellError};
use cooee::sim::{Faults, NodeIndex, Spec};
use cooee::values::{Level, NodeId, WallTime, limits};
use cooee::wire::{Datagram, Hearing, Packet};

use crate::stories::{Story, ms, secs, settled, visitor};

fn what(text: &str) -> Outgoing {
    Outgoing { at: WallTime(7), text: text.to_owned(), data: None, level: Level::default() }
}

/// Lets `asker` put a question to everyone it knows.
fn ask(story: &mut Story, asker: NodeIndex, text: &str, ticket: u64) -> usize {
    let to: Vec<NodeId> = story.world.engine(asker).expect("it runs").peer_ids().collect();
    let count = to.len();
    story.world.command(asker, Command::Ask { to, what: what(text), ticket });
    count
}

/// Lets all of these answer questions, those that they are asked while `time` passes.
fn answer_for(story: &mut Story, nodes: &[NodeIndex], time: std::time::Duration, answer: &str) {
    let end = story.world.now() + time;
    let mut read: Vec<usize> = nodes.iter().map(|&node| story.world.events(node).len()).collect();
    while story.world.now() < end {
        story.world.run_for(ms(1));
        for (&node, read) in nodes.iter().zip(&mut read) {
            let questions: Vec<u64> = story.world.events(node)[*read..]
                .iter()
                .filter_map(|(_, event)| match event {
                    Event::Question(question) => Some(question.number),
                    _ => None,
                })
                .collect();
            *read = story.world.events(node).len();
            for question in questions {
                let what = Some(what(answer));
                story
                    .world
                    .command(node, Command::Answer { question, what, exit: Some(0), last: true });
            }
        }
    }
}

fn all_answer(story: &mut Story) -> Vec<NodeIndex> {
    let nodes = story.live();
    for &node in &nodes {
        story.world.command(node, Command::Answering(true));
    }
    nodes
}

fn answers(story: &Story, asker: NodeIndex, text: &str) -> usize {
    story.count(asker, |event| matches!(event, Event::Answer(a) if a.text.raw() == text))
}

fn ends(story: &Story, asker: NodeIndex, wanted: AnswerEnd) -> usize {
    story.count(asker, |event| matches!(event, Event::AnswerEnd { end, .. } if *end == wanted))
}

#[test]
fn thirty_hosts_answer_each_once_and_soon() {
    let mut story = Story::of(31);
    let nodes = all_answer(&mut story);
    assert_eq!(ask(&mut story, nodes[0], "uptime", 1), 30);
    answer_for(&mut story, &nodes[1..], ms(50), "up 3 days");
    assert_eq!(answers(&story, nodes[0], "up 3 days"), 30);
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Given), 30);
    let took = story.world.events(nodes[0]).iter().filter_map(|(_, event)| match event {
        Event::Answer(answer) => Some(answer.took),
        _ => None,
    });
    assert!(took.max().unwrap() < ms(10));
    story.end();
}

#[test]
fn everyone_answers_once_though_a_fifth_is_lost() {
    let mut story = Story::with(12, Faults::losing(0.2), 3);
    let nodes = all_answer(&mut story);
    let asked = ask(&mut story, nodes[0], "uptime", 1);
    answer_for(&mut story, &nodes[1..], secs(15), "up");
    assert_eq!(asked, 11);
    assert_eq!(answers(&story, nodes[0], "up"), 11);
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Given), 11);
    let questions = |event: &Event| matches!(event, Event::Question(_));
    for &node in &nodes[1..] {
        assert_eq!(story.count(node, questions), 1, "{node:?}");
    }
    story.end();
}

#[test]
fn a_visitor_asks_and_is_answered_though_nobody_lists_it() {
    let mut story = Story::of(5);
    let nodes = all_answer(&mut story);
    let host = story.host();
    let asker = story.start(host, visitor());
    story.world.run_until(secs(2), |_| false);
    assert!(settled(&story, asker).is_some());
    assert_eq!(ask(&mut story, asker, "uptime", 1), 5);
    answer_for(&mut story, &nodes, ms(100), "up");
    assert_eq!(answers(&story, asker, "up"), 5);
    assert_eq!(ends(&story, asker, AnswerEnd::Given), 5);
    assert!(nodes.iter().all(|&node| story.known(node) == 4));
    story.end();
}

#[test]
fn where_nobody_answers_that_is_known_at_once() {
    let mut story = Story::of(6);
    let nodes = story.live();
    story.world.command(nodes[1], Command::Answering(true));
    ask(&mut story, nodes[0], "uptime", 1);
    answer_for(&mut story, &nodes[1..2], ms(20), "up");
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Nobody), 4);
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Given), 1);
    assert_eq!(story.count(nodes[2], |event| matches!(event, Event::Question(_))), 0);
    story.end();
}

#[test]
fn who_is_dead_and_who_dies_before_answering_is_lost_and_who_was_never_there_unknown() {
    let mut story = Story::of(4);
    let nodes = all_answer(&mut story);
    story.world.crash(nodes[1]);
    let mut to: Vec<NodeId> = nodes[1..].iter().map(|&node| story.world.id(node)).collect();
    to.push(NodeId([9; 32]));
    story.world.command(nodes[0], Command::Ask { to, what: what("uptime"), ticket: 1 });
    story.world.run_for(ms(5));
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Lost(TellError::Unknown)), 1);
    story.world.crash(nodes[2]); // it has the question
    answer_for(&mut story, &nodes[3..], secs(1), "up");
    story.world.run_for(secs(15));
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Lost(TellError::Unanswered)), 2);
    assert_eq!(story.count(nodes[3], |event| matches!(event, Event::Question(_))), 1);
    story.end();
}

#[test]
fn a_question_and_an_answer_of_64_kib_arrive_whole_also_where_some_is_lost() {
    for (loss, time) in [(0.0, secs(1)), (0.05, secs(20))] {
        let mut story = Story::with(4, Faults::losing(loss), 7);
        let nodes = all_answer(&mut story);
        let text: String = ('a'..='z').cycle().take(limits::TEXT).collect();
        ask(&mut story, nodes[0], &text, 1);
        answer_for(&mut story, &nodes[1..], time, &text);
        let whole = |event: &Event| matches!(event, Event::Question(q) if q.text.raw() == text);
        assert!(nodes[1..].iter().all(|&node| story.count(node, whole) == 1));
        assert_eq!(answers(&story, nodes[0], &text), 3, "at a loss of {loss}");
        story.end();
    }
}

#[test]
fn a_question_takes_several_answers_and_the_last_word_may_come_first() {
    let mut story = Story::with(2, Faults { reordering: 0.5, ..Faults::default() }, 4);
    let nodes = all_answer(&mut story);
    for ticket in 1..=20 {
        ask(&mut story, nodes[0], "who?", ticket);
        story.world.run_for(ms(50));
        let question = ticket; // they are counted alike
        for text in ["ada", "bob"] {
            let what = Some(what(text));
            let answer = Command::Answer { question, what, exit: None, last: false };
            story.world.command(nodes[1], answer);
        }
        let end = Command::Answer { question, what: None, exit: None, last: true };
        story.world.command(nodes[1], end.clone());
        story.world.command(nodes[1], end);
        story.world.run_for(ms(500));
    }
    assert_eq!((answers(&story, nodes[0], "ada"), answers(&story, nodes[0], "bob")), (20, 20));
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Given), 20);
    story.end();
}

#[test]
fn a_node_may_ask_itself() {
    let mut story = Story::of(1);
    let nodes = all_answer(&mut story);
    let to = vec![story.world.id(nodes[0])];
    story.world.command(nodes[0], Command::Ask { to, what: what("uptime"), ticket: 1 });
    answer_for(&mut story, &nodes, ms(5), "x"); // what was asked before is not looked at
    let question = 1;
    let last = Command::Answer { question, what: Some(what("up")), exit: Some(3), last: true };
    story.world.command(nodes[0], last);
    assert_eq!(answers(&story, nodes[0], "up"), 1);
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Given), 1);
    story.end();
}

#[test]
fn in_a_large_group_those_who_gave_no_token_are_greeted_first() {
    let mut story = Story::of(120);
    let nodes = all_answer(&mut story);
    let host = story.host();
    let asker = story.start(host, visitor());
    story.world.run_for(secs(2));
    assert_eq!(ask(&mut story, asker, "uptime", 1), 120);
    answer_for(&mut story, &nodes, secs(1), "up");
    assert_eq!(answers(&story, asker, "up"), 120);
    assert_eq!(ends(&story, asker, AnswerEnd::Given), 120);
    story.end();
}

#[test]
fn a_host_between_two_lans_is_answered_on_the_one_that_leads_there() {
    let mut story = Story::of(1);
    let (left, right) = (story.lan, story.world.add_lan(Faults::default()));
    let both = story.world.add_host(&[left, right]);
    let asker = story.start(both, Spec::default());
    story.world.run_for(secs(8));
    let nodes = all_answer(&mut story);
    ask(&mut story, asker, "uptime", 1);
    answer_for(&mut story, &nodes[..1], secs(1), "up");
    assert_eq!(answers(&story, asker, "up"), 1);
    story.end();
}

#[test]
fn who_loses_a_link_puts_its_question_again_over_the_other() {
    let mut story = Story::of(4);
    let twice = story.world.add_host(&[story.lan, story.lan]);
    let asker = story.start(twice, Spec::default());
    story.world.run_for(secs(8));
    let nodes = all_answer(&mut story);
    for (cut, ticket) in [(0, 1), (1, 2)] {
        for (i, interface) in story.world.host(twice).interfaces.iter_mut().enumerate() {
            interface.up = i != cut;
        }
        let others: Vec<NodeId> = nodes[..4].iter().map(|&node| story.world.id(node)).collect();
        let ask = Command::Ask { to: others, what: what("uptime"), ticket };
        story.world.command(asker, ask);
        answer_for(&mut story, &nodes[..4], ms(300), "up");
        let came = |event: &Event| matches!(event, Event::Answer(a) if a.ticket == ticket);
        assert_eq!(story.count(asker, came), 4, "without link {cut}");
        story.world.run_for(secs(10));
    }
    let questions = |event: &Event| matches!(event, Event::Question(_));
    assert!(nodes[..4].iter().all(|&node| story.count(node, questions) == 2));
    story.end();
}

/// What a question from `asker` to `answerer` looks like on the wire.
fn recorded_question(story: &mut Story, asker: NodeIndex, answerer: NodeIndex) -> Vec<u8> {
    story.world.record = Some(Vec::new());
    let to = vec![story.world.id(answerer)];
    story.world.command(asker, Command::Ask { to, what: what("everything?"), ticket: 1 });
    let recorded = story.world.record.take().unwrap();
    let is_tell = |bytes: &[u8]| matches!(Packet::new(bytes).datagram(), Ok(Datagram::Tell(_)));
    recorded.iter().find(|bytes| is_tell(bytes)).expect("a question").to_vec()
}

#[test]
fn nobody_is_answered_at_an_address_that_is_not_the_askers() {
    let mut story = Story::of(3);
    let nodes = all_answer(&mut story);
    // It does not arrive; what follows sends it from elsewhere.
    story.world.cut(story.hosts[0], true);
    let question = recorded_question(&mut story, nodes[0], nodes[1]);
    let victim: SocketAddr = story.world.address(nodes[2]).unwrap();
    let SocketAddr::V4(victim) = victim else { unreachable!("IPv4 only") };
    let before = story.world.engine(nodes[1]).unwrap().counters();
    for _ in 0..10 {
        story.world.inject(nodes[1], victim, Hearing::Unicast, question.clone());
    }
    let counters = story.world.engine(nodes[1]).unwrap().counters();
    assert_eq!(counters.questions_unproven - before.questions_unproven, 10);
    assert_eq!(counters.datagrams_out, before.datagrams_out, "not even acknowledged");
    assert_eq!(story.count(nodes[1], |event| matches!(event, Event::Question(_))), 0);
    story.world.cut(story.hosts[0], false);
    answer_for(&mut story, &nodes[1..], secs(5), "up");
    assert_eq!(answers(&story, nodes[0], "up"), 1);
    story.end();
}

#[test]
fn a_recorded_question_is_not_put_again_not_even_to_the_next_run() {
    let mut story = Story::of(2);
    let nodes = all_answer(&mut story);
    let question = recorded_question(&mut story, nodes[0], nodes[1]);
    answer_for(&mut story, &nodes[1..], ms(100), "up");
    let asked = |event: &Event| matches!(event, Event::Question(_));
    assert_eq!(story.count(nodes[1], asked), 1);
    let SocketAddr::V4(from) = story.world.address(nodes[0]).unwrap() else { unreachable!() };
    story.world.inject(nodes[1], from, Hearing::Unicast, question.clone());
    story.world.start(nodes[1]);
    story.world.command(nodes[1], Command::Answering(true));
    story.world.run_for(secs(3));
    story.world.inject(nodes[1], from, Hearing::Unicast, question);
    story.world.run_for(secs(1));
    assert_eq!(story.count(nodes[1], asked), 1);
    story.end();
}

#[test]
fn who_asks_too_much_is_put_off_and_others_are_not() {
    let mut story = Story::of(3);
    let nodes = all_answer(&mut story);
    let to = vec![story.world.id(nodes[2])];
    for ticket in 0..limits::ASKED as u64 + 10 {
        let ask = Command::Ask { to: to.clone(), what: what("?"), ticket };
        story.world.command(nodes[0], ask);
    }
    story.world.run_for(ms(20));
    assert_eq!(ends(&story, nodes[0], AnswerEnd::Lost(TellError::Busy)), 10);
    let asked = |event: &Event| matches!(event, Event::Question(_));
    assert_eq!(story.count(nodes[2], asked), limits::QUESTIONS_PER_HOST);
    for ticket in 0..limits::ASKED as u64 {
        story.world.command(nodes[0], Command::Forget { ticket });
    }
    let ask = Command::Ask { to: to.clone(), what: what("?"), ticket: 1_000 };
    story.world.command(nodes[0], ask);
    let ask = Command::Ask { to, what: what("?"), ticket: 1 };
    story.world.command(nodes[1], ask);
    story.world.run_for(secs(1));
    assert_eq!(story.count(nodes[2], asked), limits::QUESTIONS_PER_HOST + 1);
    assert!(story.world.engine(nodes[2]).unwrap().counters().questions_over_limit > 0);
    story.end();
}
