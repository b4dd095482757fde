//! The golden table of delivery: how soon everyone has what was said and what it costs, by the
//! number of hosts and by what is lost. `COOEE_BLESS=1 cargo test --test pure delivery_table` writes
//! it anew.

use std::time::Duration;

use cooee::proto::Event;
use cooee::sim::{Faults, Kind, NodeIndex};
use cooee::values::Instant;

use crate::delivery::sent;
use crate::stories::{Story, ms};

const GOLDEN: &str = include_str!("delivery.txt");

const HEAD: &str = "\
One of so many hosts says messages, one every 5 ms, each a datagram of its own: 100 of them, or 20
where there are 1,000 hosts. From the last one until a host has them all, in order; and how many
datagrams are sent for it, to all and to one (messages, repairs, asked for or not, requests, and three
reminders; what is said of presence is not counted). At the beginning of a row nothing is known of
the losses.

Overhead is what was sent over what had to be sent if nobody had to ask: each message to all, again
just as long as anybody lacks it, to n listeners who lose a share p each: on average 1 + r times,
r = Σ (1 - (1 - p^k)^n) over k from 1. \"If asked\" is the same with one request for each repair:
1 + 2 r.

hosts  loss   median ms     99 % ms     last ms  requests  repairs   sent  overhead  if asked
";

/// How often a message is sent again at best.
fn repairs_at_best(loss: f64, listeners: usize) -> f64 {
    (1..200).map(|k| 1.0 - (1.0 - loss.powi(k)).powf(listeners as f64)).sum()
}

fn last_shown(story: &Story, node: NodeIndex, text: &str) -> Option<Instant> {
    let is_last = |event: &Event| matches!(event, Event::Message(m) if m.text.raw() == text);
    let mut events = story.world.events(node).iter().rev();
    events.find(|(_, event)| is_last(event)).map(|(at, _)| *at)
}

fn row(story: &mut Story, loss: u32, messages: u64) -> String {
    let (author, lan) = (story.nodes[0], story.lan);
    let share = f64::from(loss) / 100.0;
    story.world.lan(lan).faults = Faults::losing(share);
    let before = story.world.tally;
    let (mut said, mut last) = (story.world.now(), String::new());
    for n in 1..=messages {
        said = story.world.now();
        last = format!("message {n} at {loss} %");
        story.world.say(author, &last);
        story.world.run_for(ms(5));
    }
    // The last of the reminders.
    story.world.run_for(ms(500));
    let others = story.nodes[1..].to_vec();
    let mut shown: Vec<Option<Instant>> = Vec::new();
    for _ in 0..600 {
        shown = others.iter().map(|&node| last_shown(story, node, &last)).collect();
        if shown.iter().all(Option::is_some) {
            break;
        }
        story.world.run_for(ms(100));
    }
    let mut waits: Vec<Duration> =
        shown.into_iter().map(|at| at.expect("it to arrive").since(said)).collect();
    waits.sort_unstable();
    let spent = story.world.tally - before;
    story.world.lan(lan).faults = Faults::default();
    // Until the author has forgotten what it has learnt of the losses.
    story.world.run_for(ms(10_500));
    let within = |share: f64| {
        let at = (waits.len() as f64 * share).ceil() as usize;
        waits[at.max(1) - 1].as_secs_f64() * 1e3
    };
    let hosts = story.nodes.len();
    let [says, asked, heads] = [Kind::Say, Kind::Want, Kind::Head].map(|kind| sent(&spent, kind));
    let all = says + asked + heads;
    let again = repairs_at_best(share, others.len());
    let over = |least: f64| all as f64 / (messages as f64 * least);
    format!(
        "{hosts:>5}  {loss:>3}%  {:>10.1}  {:>10.1}  {:>10.1}  {asked:>8}  {:>7}  {all:>5}  {:>8.2}  \
         {:>8.2}\n",
        within(0.5),
        within(0.99),
        within(1.0),
        says - messages,
        over(1.0 + again),
        over(1.0 + 2.0 * again)
    )
}

fn table() -> String {
    let mut table = String::from(HEAD);
    for (hosts, messages, losses) in [
        (2, 100, &[0, 1, 5, 20, 40][..]),
        (10, 100, &[0, 1, 5, 20, 40]),
        (100, 100, &[0, 1, 5, 20, 40]),
        (1_000, 20, &[0, 1, 5, 20, 40]),
    ] {
        let mut story = Story::quietly(hosts, 1);
        for &loss in losses {
            table += &row(&mut story, loss, messages);
        }
        story.end();
    }
    table
}

#[test]
fn the_table_of_delivery_is_as_it_was_reviewed() {
    let table = table();
    if std::env::var_os("COOEE_BLESS").is_some() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/pure/delivery.txt");
        std::fs::write(path, &table).expect("the table to be written");
        return;
    }
    assert_eq!(table, GOLDEN, "see the head of this file");
}
