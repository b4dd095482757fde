//! Who is here: `peers` and the events of those who come.

use std::collections::BTreeSet;

use crate::host::{Host, ready};
use crate::lab::{Lab, lab_or_skip};
use crate::running::Running;

#[test]
fn peers_lists_the_others_with_id_nick_address_and_path() {
    let lab = lab_or_skip!(3);
    let _second = lab.host(2).listen(&[]);
    let third = lab.host(3).listen(&[]);
    let second_seen_by_third = third.wait_event("joined", "host2")["peer"].clone();

    let peers = lab.host(1).peers(&[]);
    assert_eq!(peers.keys().collect::<Vec<_>>(), ["host2", "host3"]);
    for (nick, address) in [("host2", "10.77.0.2:"), ("host3", "10.77.0.3:")] {
        let peer = &peers[nick];
        assert!(peer["addr"].as_str().unwrap().starts_with(address), "{peer}");
        assert_eq!(peer["path"], "multicast", "{peer}");
        assert_eq!(peer["state"], "alive", "{peer}");
        assert_eq!(peer["verified"], true, "{peer}");
        assert_eq!(peer["channels"][0], "lobby", "{peer}");
    }
    assert_eq!(peers["host2"]["id"], second_seen_by_third["id"]);
    assert_eq!(peers["host2"]["id"].as_str().unwrap().len(), 52);
}

#[test]
fn peers_as_text_has_a_line_for_each() {
    let lab = lab_or_skip!(3);
    let _listeners = [lab.host(2).listen(&[]), lab.host(3).listen(&[])];
    let output = lab.host(1).run(&["peers"]).exits(0);
    for nick in ["host2", "host3"] {
        assert_eq!(output.stdout.lines().filter(|l| l.contains(nick)).count(), 1, "{output:#?}");
    }
}

#[test]
fn alone_the_answer_is_no_with_a_hint_of_what_to_try() {
    let lab = lab_or_skip!(1);
    let output = lab.host(1).run(&["peers", "--json"]).exits(1);
    assert_eq!(output.stdout, "");
    assert!(output.stderr.contains("cooee"), "names a command to try next: {output:#?}");
}

#[test]
fn one_identity_is_the_same_from_run_to_run() {
    let lab = lab_or_skip!(2);
    let witness = lab.host(1).listen(&[]);
    for text in ["first run", "second run"] {
        lab.host(2).say(text);
    }
    let ids = ["first run", "second run"].map(|t| witness.wait_message(t)["from"]["id"].clone());
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn thirty_hosts_are_all_listed_ten_times_out_of_ten() {
    let lab = lab_or_skip!(31);
    let _listeners = thirty(&lab);
    lists_thirty_ten_times(&lab.host(31));
}

#[test]
fn thirty_hosts_are_all_listed_though_the_asker_loses_a_fifth() {
    let lab = lab_or_skip!(31);
    let _listeners = thirty(&lab);
    lab.lan(&["loss", "31", "20"]);
    lists_thirty_ten_times(&lab.host(31));
}

#[track_caller]
fn thirty(lab: &Lab) -> Vec<Running> {
    let all: Vec<_> = (1..=30).map(|i| lab.host(i).start_listening(&[])).collect();
    for listener in &all {
        ready(listener);
    }
    all
}

#[track_caller]
fn lists_thirty_ten_times(asker: &Host) {
    let everyone: BTreeSet<_> = (1..=30).map(|i| format!("host{i}")).collect();
    for time in 1..=10 {
        let listed: BTreeSet<_> = asker.peers(&[]).into_keys().collect();
        let missing: Vec<_> = everyone.difference(&listed).collect();
        assert!(missing.is_empty(), "time {time}: missing {missing:?}");
        assert_eq!(listed, everyone, "time {time}");
    }
}
