//! What one says, everyone hears, once.

use crate::host::Host;
use crate::lab::lab_or_skip;
use crate::lines::eventually;
use crate::running::Running;

/// Where the lobby of the default group is.
const LOBBY: &str = "239.255.75.93";

/// Each of `speakers` says something; each of `listeners` must hear it exactly once.
///
/// That nothing comes twice shows when all has come: every speaker speaks twice, and a copy of the
/// first text that is still under way when the second has come would be late by a whole process.
#[track_caller]
fn all_hear_each_once(speakers: &[&Host], listeners: &[&Running]) {
    let said = |round| speakers.iter().map(move |s| format!("{round} from {}", s.nick()));
    for round in ["first", "second"] {
        for (speaker, text) in speakers.iter().zip(said(round)) {
            speaker.say(&text);
            for listener in listeners {
                listener.wait_message(&text);
            }
        }
    }
    for listener in listeners {
        let mut heard = listener.texts();
        heard.sort();
        let mut all: Vec<_> = said("first").chain(said("second")).collect();
        all.sort();
        assert_eq!(heard, all);
    }
}

#[test]
fn who_interrupts_a_pipe_into_it_is_told_how_far_it_got() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).listen(&[]);
    let mut speaker = lab.host(1).cooee(&["say", "--no-agent", "-"]);
    speaker.type_line("one");
    speaker.type_line("two");
    listener.wait_message("two");
    speaker.interrupt();
    speaker.wait_for_end();
    let output = speaker.finish().exits(1);
    assert!(output.stderr.contains("interrupted after 2 lines"), "{output:#?}");
}

#[test]
fn every_listener_hears_it_once() {
    let lab = lab_or_skip!(4);
    let [a, b, c] = [2, 3, 4].map(|i| lab.host(i).listen(&[]));
    all_hear_each_once(&[&lab.host(1), &lab.host(2)], &[&a, &b, &c]);

    let message = a.wait_message("first from host1");
    assert_eq!(message["channel"], "lobby");
    assert_eq!(message["from"]["nick"], "host1");
    assert_eq!(message["verified"], true);
    assert_eq!(message["direct"], false);
}

#[test]
fn cast_arrives_too() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).listen(&[]);
    // Best effort waits for nobody: what is cast before the switch knows the listener is lost.
    eventually("the switch passes the lobby to host2", || {
        lab.switch_passes(LOBBY, 2).then_some(())
    });
    lab.host(1).run(&["cast", "quick"]).exits(0);
    listener.wait_message("quick");
}

#[test]
fn two_nodes_of_one_user_on_one_host_hear_each_once() {
    let lab = lab_or_skip!(2);
    let host = lab.host(1);
    let [a, b] = [host.listen(&[]), host.listen(&[])];
    all_hear_each_once(&[&lab.host(2), &host], &[&a, &b]);
}

#[test]
fn two_users_on_one_host_hear_each_once() {
    let lab = lab_or_skip!(2);
    let [ann, ben] = ["ann", "ben"].map(|nick| lab.host(1).user(nick));
    let [a, b] = [ann.listen(&[]), ben.listen(&[])];
    a.wait_event("joined", "ben");
    b.wait_event("joined", "ann");
    all_hear_each_once(&[&lab.host(2), &ann, &ben], &[&a, &b]);
}

#[test]
fn a_host_with_two_links_to_the_same_lan_hears_and_is_heard_once() {
    let lab = lab_or_skip!(3);
    lab.lan(&["second-nic", "2", "same"]);
    let [a, b, c] = [1, 2, 3].map(|i| lab.host(i).listen(&[]));
    all_hear_each_once(&[&lab.host(1), &lab.host(2), &lab.host(3)], &[&a, &b, &c]);
    assert_eq!(lab.host(1).peers(&[]).len(), 3, "two links don't make two peers");
}

#[test]
fn a_host_between_two_lans_is_heard_on_both() {
    let lab = lab_or_skip!(4);
    for host in ["2", "3", "4"] {
        lab.lan(&["second-nic", host]);
    }
    // Hosts 3 and 4 are on the second LAN only, host 1 on the first, host 2 on both.
    lab.lan(&["link", "3", "down"]);
    lab.lan(&["link", "4", "down"]);
    let [a, b, c, d] = [1, 2, 3, 4].map(|i| lab.host(i).listen(&[]));
    all_hear_each_once(&[&lab.host(2)], &[&a, &b, &c, &d]);

    lab.host(3).say("from the second LAN");
    for listener in [&b, &c, &d] {
        listener.wait_message("from the second LAN");
    }
    let peers = lab.host(4).peers(&[]);
    assert!(peers["host2"]["addr"].as_str().unwrap().starts_with("10.78.0.2:"), "{peers:#?}");
}

#[test]
fn each_line_of_standard_input_is_a_message_in_order() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).listen(&[]);
    let mut speaker = lab.host(1).cooee(&["say", "-"]);
    let lines: Vec<_> = (1..=50).map(|i| format!("line {i}")).collect();
    for line in &lines {
        speaker.type_line(line);
    }
    speaker.finish().exits(0);
    listener.wait_message("line 50");
    assert_eq!(listener.texts(), lines);
}

#[test]
fn a_text_of_64_kib_arrives_whole() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).listen(&[]);
    let text = "äb".repeat(64 * 1024 / 3);
    lab.host(1).say(&text);
    listener.wait_message(&text);
}

#[test]
fn listen_prints_a_line_a_message_and_ends_after_the_count() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).cooee(&["listen", "--count", "2"]);
    listener.wait_for_complaint("listening on", |line| line.contains("listening on"));
    lab.host(1).say("one\ntwo");
    lab.host(1).say("three");
    let output = listener.finish().exits(0);
    let lines: Vec<_> = output.stdout.lines().collect();
    assert_eq!(lines.len(), 2, "{output:#?}");
    assert!(lines[0].contains("host1") && lines[1].contains("three"), "{output:#?}");
}

#[test]
fn a_listener_says_what_did_not_arrive_unless_it_is_to_be_quiet() {
    let lab = lab_or_skip!(2);
    let [one, two] = [1, 2].map(|i| lab.host(i));
    let (events, plain) = (two.listen(&[]), two.cooee(&["listen"]));
    let [objects, quiet] =
        [&["--json"][..], &["-q"]].map(|more| two.cooee(&[&["listen"], more].concat()));
    eventually("all listen", || {
        (events.json_so_far(|v| v["event"] == "joined").len() == 3).then_some(())
    });
    one.say("hello");
    for listener in [&plain, &objects, &quiet] {
        listener.wait_for_line("hello", |line| line.contains("hello"));
    }
    lab.lan(&["loss", "2", "60"]);
    // One that is killed may have had nothing under way that anybody knows of; not all of them.
    let mut speakers = [0; 6].map(|_| one.cooee(&["say", "--no-agent", "-"]));
    for speaker in &mut speakers {
        speaker.type_all((0..20_000).map(|n| format!("word {n}")));
    }
    events.wait_json("some of it", |v| v["text"] == "word 200");
    speakers.iter().for_each(Running::kill);
    let gap = events.wait_json("a gap", |v| v["event"] == "gap");
    assert_eq!(gap["channel"], "lobby");
    let nick = gap["peer"]["nick"].as_str().unwrap();
    assert!(!nick.is_empty() && gap["peer"]["id"].as_str().unwrap().starts_with(nick), "{gap}");
    for listener in [&plain, &objects] {
        let says = |line: &str| line.ends_with("'s in #lobby did not arrive");
        listener.wait_for_complaint("what did not arrive", says);
    }
    assert!(events.complaints().iter().all(|line| !line.contains("did not arrive")));
    quiet.interrupt();
    assert_eq!(quiet.finish().exits(0).stderr, "");
}

#[test]
fn chat_on_pipes_speaks_and_hears() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(2).listen(&[]);
    let mut chat = lab.host(1).cooee(&["chat"]);
    listener.wait_event("joined", "host1");
    chat.type_line("hello from chat");
    listener.wait_message("hello from chat");
    lab.host(2).say("hello back");
    chat.wait_for_line("hello back", |l| l.contains("host2") && l.contains("hello back"));

    chat.type_line("\\rename postbote");
    listener.wait_event("renamed", "postbote");
    chat.type_line("\\close");
    listener.wait_event("left", "postbote");
    chat.finish().exits(0);
}
