//! Ten agents watch each other: a pulled cable, a link that carries one way only, a process that stands still.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::lab::{Lab, lab_or_skip};
use crate::lines::eventually;
use crate::running::Running;

/// Ten who know each other.
#[track_caller]
fn ten(lab: &Lab) -> Vec<Running> {
    let hosts = lab.hosts();
    let all: Vec<Running> = hosts.iter().map(|host| host.start_listening(&[])).collect();
    for (listener, own) in all.iter().zip(&hosts) {
        for host in hosts.iter().filter(|host| host.nick() != own.nick()) {
            listener.wait_event("joined", host.nick());
        }
    }
    all
}

fn about(listener: &Running, event: &str, nick: &str) -> usize {
    listener.json_so_far(|v| v["event"] == event && v["peer"]["nick"] == nick).len()
}

#[test]
fn a_pulled_cable_is_a_death_that_all_the_others_tell_of_once() {
    let lab = lab_or_skip!(10);
    let all = ten(&lab);
    lab.lan(&["link", "4", "unplug"]);
    let others = || all.iter().enumerate().filter(|(i, _)| *i != 3).map(|(_, listener)| listener);
    for listener in others() {
        listener.wait_event("dead", "host4");
    }
    for listener in others() {
        assert_eq!(listener.json_so_far(|v| v["event"] == "dead").len(), 1);
    }
    lab.lan(&["link", "4", "up"]);
    for listener in others() {
        eventually("host4 joins again", || (about(listener, "joined", "host4") == 2).then_some(()));
    }
}

#[test]
fn a_link_that_carries_one_way_only_is_shown_at_both_ends_and_is_nobodys_death() {
    let lab = lab_or_skip!(4);
    let agents: Vec<Running> = lab.hosts().iter().map(|host| host.agent(&[])).collect();
    let contact = |number: usize, nick: &str| {
        let output = lab.host(number).ask_agent(&["peers", "--json"]).exits(0);
        let peers: BTreeMap<String, Value> = output
            .json()
            .into_iter()
            .map(|peer| (peer["nick"].as_str().unwrap().to_owned(), peer))
            .collect();
        let peer = peers.get(nick)?;
        Some(peer["contact"].as_str().unwrap().to_owned())
    };
    let shown = |number: usize, nick: &str, what: &str| {
        eventually(&format!("{nick} is {what} for host{number}"), || {
            (contact(number, nick).as_deref() == Some(what)).then_some(())
        });
    };
    for number in 1..=4 {
        for nick in (1..=4).filter(|&n| n != number).map(|n| format!("host{n}")) {
            shown(number, &nick, "both");
        }
    }
    // The second does not hear the first.
    lab.lan(&["deafen", "2", "1"]);
    shown(1, "host2", "inbound");
    shown(2, "host1", "outbound");
    let table = lab.host(2).ask_agent(&["peers"]).exits(0).stdout;
    assert!(table.contains("(outbound)"), "{table}");
    assert_eq!(contact(3, "host2").as_deref(), Some("both"));
    lab.lan(&["deafen", "2"]);
    shown(1, "host2", "both");
    shown(2, "host1", "both");
    drop(agents);
}

#[test]
fn a_process_that_stood_still_is_alive_again_and_has_declared_nobody_dead() {
    let lab = lab_or_skip!(10);
    let all = ten(&lab);
    let frozen = &all[6];
    frozen.freeze();
    all[0].wait_event("dead", "host7");
    all[0].no_event_for(Duration::from_secs(3), "joined", "host7");
    frozen.thaw();
    for (i, listener) in all.iter().enumerate().filter(|(i, _)| *i != 6) {
        eventually(&format!("host7 is back for host{}", i + 1), || {
            (about(listener, "joined", "host7") == 2).then_some(())
        });
    }
    let wrong = frozen.json_so_far(|v| v["event"] == "dead" || v["event"] == "suspect");
    assert!(wrong.is_empty(), "{wrong:#?}");
    for listener in &all {
        let dead = listener.json_so_far(|v| v["event"] == "dead");
        assert!(dead.iter().all(|v| v["peer"]["nick"] == "host7"), "{dead:#?}");
    }
}
