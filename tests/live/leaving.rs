//! Who goes is missed: with a goodbye, without one, and not when only a cable was out.

use std::time::Duration;

use crate::lab::{Lab, lab_or_skip};
use crate::running::Running;

#[track_caller]
fn two_who_know_each_other(lab: &Lab) -> [Running; 2] {
    let [a, b] = [1, 2].map(|i| lab.host(i).listen(&[]));
    a.wait_event("joined", "host2");
    b.wait_event("joined", "host1");
    [a, b]
}

#[test]
fn ctrl_c_is_a_goodbye() {
    let lab = lab_or_skip!(2);
    let [a, b] = two_who_know_each_other(&lab);
    b.interrupt();
    b.finish();
    a.wait_event("left", "host2");
    assert!(a.json_so_far(|v| v["event"] == "dead").is_empty());
    let seen = lab.host(1).user("asker").peers(&[]);
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["host1"]);
}

#[test]
fn quit_in_chat_is_a_goodbye() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(1).listen(&[]);
    let mut chat = lab.host(2).cooee(&["chat"]);
    listener.wait_event("joined", "host2");
    chat.type_line("/quit");
    chat.finish().exits(0);
    listener.wait_event("left", "host2");
}

#[test]
fn what_changed_just_before_quitting_is_seen() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(1).listen(&[]);
    let mut chat = lab.host(2).cooee(&["chat"]);
    listener.wait_event("joined", "host2");
    chat.type_line("/nick ada\n/quit");
    chat.finish().exits(0);
    listener.wait_event("renamed", "ada");
    listener.wait_event("left", "ada");
}

#[test]
fn the_end_of_chats_input_is_a_goodbye() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(1).listen(&[]);
    let mut chat = lab.host(2).cooee(&["chat"]);
    listener.wait_event("joined", "host2");
    chat.type_line("last words");
    chat.finish().exits(0);
    listener.wait_message("last words");
    listener.wait_event("left", "host2");
}

#[test]
fn who_is_killed_is_found_dead() {
    let lab = lab_or_skip!(3);
    let [a, b] = two_who_know_each_other(&lab);
    let c = lab.host(3).listen(&[]);
    c.wait_event("joined", "host2");
    b.kill();
    for witness in [&a, &c] {
        witness.wait_event("dead", "host2");
        assert!(witness.json_so_far(|v| v["event"] == "left").is_empty());
    }
}

#[test]
fn a_cable_out_for_three_seconds_is_no_death() {
    let lab = lab_or_skip!(3);
    let [a, b] = two_who_know_each_other(&lab);
    let c = lab.host(3).listen(&[]);
    c.wait_event("joined", "host2");

    lab.lan(&["link", "2", "unplug"]);
    a.no_event_for(Duration::from_secs(3), "dead", "host2");
    b.wait_json("link down", |v| v["event"] == "link" && v["state"] == "down");
    lab.lan(&["link", "2", "up"]);
    b.wait_json("link up", |v| v["event"] == "link" && v["state"] == "up");

    lab.host(1).user("ann").say("are you there?");
    b.wait_message("are you there?");
    lab.host(2).user("ben").say("I am");
    for witness in [&a, &c] {
        witness.wait_message("I am");
    }
    for witness in [&a, &b, &c] {
        let dead = witness.json_so_far(|v| v["event"] == "dead");
        assert!(dead.is_empty(), "{dead:#?}");
    }
}
