//! Who has what was said: receipts that are printed, an exit code that can be trusted, and commands
//! that do not go before what they have said has arrived.

use serde_json::{Value, json};

use crate::control::Script;
use crate::host::Host;
use crate::lab::{Lab, lab_or_skip};
use crate::lines::eventually;
use crate::running::{Output, Running};

/// What `say --confirm --json` printed: the nicks of those whose receipts came, sorted, and the last
/// object.
#[track_caller]
fn receipts(output: &Output) -> (Vec<String>, Value) {
    let mut objects = output.json();
    let last = objects.pop().unwrap();
    assert_eq!(last["event"], "confirmed", "{output:#?}");
    let mut nicks = Vec::new();
    for receipt in objects {
        assert_eq!(receipt["event"], "receipt", "{output:#?}");
        let members: Vec<&String> = receipt.as_object().unwrap().keys().collect();
        assert_eq!(members, ["event", "id", "nick", "rtt_ms"]);
        assert!(receipt["rtt_ms"].is_number() && receipt["id"].as_str().unwrap().len() == 52);
        nicks.push(receipt["nick"].as_str().unwrap().to_owned());
    }
    nicks.sort();
    (nicks, last)
}

/// Demands that just these have confirmed, of so many, and that just one has not.
#[track_caller]
fn is_missing(output: &Output, nick: &str, received: usize, expected: usize) {
    let (nicks, last) = receipts(output);
    assert_eq!(nicks.len(), received, "{output:#?}");
    let numbers = (&last["received"], &last["expected"]);
    assert_eq!(numbers, (&json!(received), &json!(expected)), "{output:#?}");
    let missing = last["missing"].as_array().unwrap();
    assert!(missing.len() == 1 && missing[0]["nick"] == nick, "{output:#?}");
    assert_eq!(missing[0]["id"].as_str().unwrap().len(), 52, "{output:#?}");
}

fn all(count: usize) -> Value {
    json!({ "event": "confirmed", "received": count, "expected": count, "missing": [] })
}

/// Listeners on all hosts but the first, who know each other: so whoever comes learns of all of them.
#[track_caller]
fn listeners(lab: &Lab) -> Vec<Running> {
    let hosts = &lab.hosts()[1..];
    let listeners: Vec<Running> = hosts.iter().map(|host| host.listen(&[])).collect();
    for (at, listener) in listeners.iter().enumerate() {
        for host in hosts[..at].iter().chain(&hosts[at + 1..]) {
            listener.wait_event("joined", host.nick());
        }
    }
    listeners
}

/// Waits until the agent of `host` knows that so many take part in a channel.
#[track_caller]
fn wait_for_members(host: &Host, channel: &str, count: usize) {
    eventually("the agent knows everyone", || {
        let peers = host.ask_agent(&["peers", "--json"]).json();
        let takes_part =
            |peer: &&Value| peer["channels"].as_array().unwrap().iter().any(|name| name == channel);
        (peers.iter().filter(takes_part).count() == count).then_some(())
    });
}

/// A `say -` without an agent that knows who is here: all of them have heard it say `first`.
#[track_caller]
fn speaker(host: &Host, first: &str, more: &[&str], listeners: &[Running]) -> Running {
    let mut speaker = host.cooee(&[&["say", "--no-agent"], more, &["-"]].concat());
    speaker.type_line(first);
    for listener in listeners {
        listener.wait_message(first);
    }
    speaker
}

#[test]
fn all_who_are_there_confirm() {
    let lab = lab_or_skip!(4);
    let listeners = listeners(&lab);
    let _elsewhere = lab.host(2).user("elsewhere").listen(&["--channel", "ops"]);
    let speaker = lab.host(1);
    let output = speaker.run(&["say", "--confirm", "--json", "one"]).exits(0);
    assert_eq!(output.stderr, "");
    assert_eq!(receipts(&output), (["host2", "host3", "host4"].map(str::to_owned).into(), all(3)));
    for listener in &listeners {
        listener.wait_message("one");
    }
    // For people.
    let output = speaker.run(&["say", "--confirm", "two"]).exits(0);
    let mut lines: Vec<&str> = output.stdout.lines().collect();
    lines.sort_unstable();
    assert!(lines.len() == 3 && output.stderr.is_empty(), "{output:#?}");
    assert!(lines[0].starts_with("host2 has it (") && lines[0].ends_with(" ms)"), "{output:#?}");
    // Only as many as are needed are waited for; more than there are don't come.
    for (need, code) in [("2", 0), ("100%", 0), ("4", 1)] {
        let output = speaker.run(&["say", "--confirm", "--need", need, "--json", "x"]).exits(code);
        assert_eq!(receipts(&output).1["expected"], 3, "{output:#?}");
        assert_eq!(output.stderr.contains("confirmed by 3 of 3, 4 needed"), code == 1);
    }
    // All that comes from a pipe is confirmed together, at the end.
    let mut pipe = speaker.cooee(&["say", "--confirm", "--json", "-"]);
    pipe.type_all((0..2_000).map(|i| format!("line {i}")));
    let lines = pipe.wait_for_end();
    assert_eq!(lines.len(), 4, "{lines:?}");
    assert_eq!(receipts(&pipe.finish().exits(0)).1, all(3));
    for listener in &listeners {
        listener.wait_message("line 1999");
        assert_eq!(listener.texts().iter().filter(|text| text.starts_with("line ")).count(), 2_000);
    }
}

#[test]
fn through_the_agent_the_same_is_printed_as_without() {
    let lab = lab_or_skip!(4);
    let _agents = [1, 2, 3].map(|i| lab.host(i).agent(&[]));
    let _listener = lab.host(4).listen(&[]);
    let one = lab.host(1);
    wait_for_members(&one, "lobby", 3);
    let with = one.ask_agent(&["say", "--confirm", "--json", "with"]).exits(0);
    let without = one.user("visitor").run(&["say", "--confirm", "--json", "without"]).exits(0);
    assert_eq!(receipts(&with), (["host2", "host3", "host4"].map(str::to_owned).into(), all(3)));
    assert_eq!(receipts(&without).0, ["host1", "host2", "host3", "host4"]);
    let mut pipe = one.client(&["say", "--confirm", "--json", "-"]);
    pipe.type_all((0..2_000).map(|i| format!("line {i}")));
    pipe.wait_for_end();
    assert_eq!(receipts(&pipe.finish().exits(0)).1, all(3));
    let output = one.ask_agent(&["say", "--confirm", "--channel", "ops", "x"]).exits(1);
    assert!(output.stderr.contains("nobody is here to confirm it"), "{output:#?}");
}

#[test]
fn who_is_cut_off_is_missing_by_name() {
    let lab = lab_or_skip!(4);
    let listeners = listeners(&lab);
    let mut one = speaker(&lab.host(1), "here I am", &["--confirm", "--json"], &listeners);
    lab.lan(&["link", "4", "unplug"]);
    one.type_line("who hears this?");
    let output = one.finish().exits(1);
    is_missing(&output, "host4", 2, 3);
    assert!(output.stderr.contains("confirmed by 2 of 3; missing: host4"), "{output:#?}");
    lab.lan(&["link", "4", "up"]);

    let _agent = lab.host(1).agent(&[]);
    wait_for_members(&lab.host(1), "lobby", 3);
    lab.lan(&["loss", "4", "100"]);
    let output = lab.host(1).ask_agent(&["say", "--confirm", "--json", "and this?"]).exits(1);
    is_missing(&output, "host4", 2, 3);
    let output = lab.host(1).ask_agent(&["say", "--confirm", "--wait", "2s", "-q", "x"]).exits(1);
    assert_eq!((output.stdout.lines().count(), output.stderr.as_str()), (2, ""));
    lab.lan(&["loss", "4", "0"]);
    let output = lab.host(1).ask_agent(&["say", "--confirm", "--json", "now?"]).exits(0);
    assert_eq!(receipts(&output).1, all(3));
    for listener in &listeners {
        listener.wait_message("now?");
    }
}

#[test]
fn four_of_five_are_eighty_percent() {
    let lab = lab_or_skip!(6);
    let listeners = listeners(&lab);
    let need = |need| ["--confirm", "--json", "--need", need];
    let speakers = [("80%", 0), ("81%", 1)]
        .map(|(share, code)| (speaker(&lab.host(1), share, &need(share), &listeners), code));
    lab.lan(&["link", "6", "unplug"]);
    for (mut speaker, code) in speakers {
        speaker.type_line("who hears this?");
        is_missing(&speaker.finish().exits(code), "host6", 4, 5);
    }
    lab.lan(&["link", "6", "up"]);
    let _agent = lab.host(1).agent(&[]);
    wait_for_members(&lab.host(1), "lobby", 5);
    lab.lan(&["link", "6", "unplug"]);
    for (share, code) in [("80%", 0), ("4", 0), ("5", 1)] {
        let args = [&["say"], &need(share)[..], &["again"]].concat();
        is_missing(&lab.host(1).ask_agent(&args).exits(code), "host6", 4, 5);
    }
}

#[test]
fn who_leaves_before_it_confirms_is_missing_and_not_waited_for() {
    let lab = lab_or_skip!(3);
    let listeners = listeners(&lab);
    // A minute is longer than any test waits.
    let wait = ["--confirm", "--json", "--wait", "1m"];
    let mut one = speaker(&lab.host(1), "here I am", &wait, &listeners);
    lab.lan(&["loss", "3", "100"]);
    one.type_line("who hears this?");
    one.type_all(std::iter::empty());
    one.wait_json("that host2 has it", |v| v["event"] == "receipt" && v["nick"] == "host2");
    listeners[1].interrupt();
    one.wait_for_end();
    is_missing(&one.finish().exits(1), "host3", 1, 2);
}

#[test]
fn who_interrupts_it_is_not_told_that_all_is_well() {
    let lab = lab_or_skip!(3);
    let listeners = listeners(&lab);
    let wait = ["--confirm", "--json", "--wait", "1m"];
    let mut one = speaker(&lab.host(1), "one", &wait, &listeners);
    lab.lan(&["link", "3", "unplug"]);
    one.type_all(["who hears this?".to_owned()].into_iter());
    one.wait_json("that host2 has it", |v| v["event"] == "receipt" && v["nick"] == "host2");
    one.interrupt();
    one.wait_for_end();
    one.finish().exits(1);
    // Before it has asked anybody.
    let early = speaker(&lab.host(1), "two", &wait, &listeners[..1]);
    early.interrupt();
    early.wait_for_end();
    let output = early.finish().exits(1);
    assert!(output.stderr.contains("interrupted"), "{output:#?}");
}

#[test]
fn an_acknowledgement_of_what_one_is_told_is_its_receipt() {
    let lab = lab_or_skip!(3);
    let listeners = listeners(&lab);
    let _agent = lab.host(1).agent(&[]);
    wait_for_members(&lab.host(1), "lobby", 2);
    let told = ["say", "--confirm", "--json", "--to", "host3"];
    for alone in [&[][..], &["--no-agent"]] {
        let output = lab.host(1).ask_agent(&[&told[..], alone, &["psst"]].concat()).exits(0);
        assert_eq!(receipts(&output), (vec!["host3".to_owned()], all(1)));
    }
    listeners[1].freeze();
    let output = lab.host(1).ask_agent(&[&told[..], &["--wait", "1s", "psst"]].concat()).exits(1);
    is_missing(&output, "host3", 0, 1);
    assert!(output.stderr.contains("host3 was not told"), "{output:#?}");
    lab.host(1).ask_agent(&["say", "--confirm", "--to", "nobody", "x"]).exits(1);
}

#[test]
fn where_nobody_is_there_the_answer_is_no() {
    let lab = lab_or_skip!(1);
    let output = lab.host(1).run(&["say", "--confirm", "--json", "anybody?"]).exits(1);
    assert_eq!(receipts(&output), (vec![], all(0)));
    assert!(output.stderr.contains("nobody is here to confirm it"), "{output:#?}");
    let output = lab.host(1).run(&["say", "--confirm", "-q", "anybody?"]).exits(1);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    let output = lab.host(1).run(&["say", "--confirm", "-"]).exits(1);
    assert!(output.stderr.contains("nothing was said"), "{output:#?}");
    for (args, says) in [
        (&["say", "--need", "2", "x"][..], "--confirm"),
        (&["say", "--confirm", "--need", "0", "x"], "write a number"),
        (&["say", "--confirm", "--wait", "2m", "x"], "at most 1m"),
    ] {
        let output = lab.host(1).run(args).exits(2);
        assert!(output.stderr.contains(says), "{output:#?}");
    }
}

#[test]
fn only_the_client_that_asked_is_told_who_has_it() {
    let lab = lab_or_skip!(3);
    let [one, _two, three] = [1, 2, 3].map(|i| lab.host(i));
    let _agent = one.agent(&[]);
    let (_listener, frozen) = (lab.host(2).listen(&[]), three.listen(&[]));
    wait_for_members(&one, "lobby", 2);
    let [mut other, mut first, mut second] = [0; 3].map(|_| Script::connect(&one));
    assert_eq!(other.ask(r#"{"n":1,"do":"listen","channels":["lobby"]}"#)["ok"], true);
    let confirm = r#"{"n":7,"do":"confirm","need":"all","wait_ms":60000}"#;

    // Nothing was said yet, so nobody has to have it.
    assert_eq!(first.ask(confirm), json!({ "n": 7, "ok": true }));
    let none = json!({ "event": "confirmed", "n": 7, "received": 0, "expected": 0, "missing": [] });
    assert_eq!(first.next().unwrap(), none);

    frozen.freeze();
    first.send(r#"{"do":"say","text":"one"}"#);
    assert_eq!(first.ask(confirm)["ok"], true);
    let receipt = first.next().unwrap();
    assert_eq!((&receipt["event"], &receipt["n"]), (&"receipt".into(), &7.into()));
    assert_eq!((&receipt["nick"], receipt["rtt_ms"].is_number()), (&"host2".into(), true));
    // It goes, and is forgotten; another one is served.
    drop(first);
    second.send(r#"{"do":"say","text":"two"}"#);
    let some = r#"{"n":8,"do":"confirm","need":"50%"}"#;
    assert_eq!(second.ask(some)["ok"], true);
    assert_eq!(second.next().unwrap()["event"], "receipt");
    let end = second.next().unwrap();
    assert_eq!((&end["event"], &end["n"]), (&"confirmed".into(), &8.into()));
    assert_eq!((&end["received"], &end["missing"][0]["nick"]), (&1.into(), &"host3".into()));
    let refused = second.ask(r#"{"n":9,"do":"confirm","need":"most"}"#);
    assert_eq!((&refused["n"], &refused["ok"]), (&9.into(), &false.into()));
    for text in ["one", "two"] {
        assert_eq!(other.next().unwrap()["text"], text);
    }
    assert_eq!(other.ask(r#"{"n":2,"do":"hello"}"#)["n"], 2, "no receipt came between");
}

#[test]
fn what_a_command_says_arrives_though_it_goes_at_once_and_a_fifth_is_lost() {
    let lab = lab_or_skip!(4);
    let listeners = listeners(&lab);
    for host in ["2", "3", "4"] {
        lab.lan(&["loss", host, "20"]);
    }
    for round in 0..20 {
        lab.host(1).say(&format!("round {round}"));
    }
    lab.host(1).run(&["say", "--channel", "lobby", "--json", "the last"]).exits(0);
    for listener in &listeners {
        for round in 0..20 {
            listener.wait_message(&format!("round {round}"));
        }
        listener.wait_message("the last");
        assert_eq!(listener.texts().len(), 21, "each once");
    }
}

#[test]
fn what_a_chat_or_a_caller_says_last_arrives_as_well() {
    let lab = lab_or_skip!(3);
    let listener = lab.host(3).listen(&[]);
    let agent = lab.host(2).cooee(&["agent", "--tcp", "127.0.0.1:3000"]);
    agent.wait_for_complaint("the gateway", |line| line.contains("the gateway listens"));
    lab.lan(&["loss", "3", "20"]);
    for round in 0..10 {
        let mut chat = lab.host(1).cooee(&["chat"]);
        let (said, by_call) = (format!("chat {round}"), format!("call {round}"));
        chat.type_line(&said);
        chat.finish().exits(0);
        let mut caller = lab.host(2).start_program(&["nc", "-N", "127.0.0.1", "3000"]);
        caller.type_line(&format!("nick{round}"));
        caller.type_line(&by_call);
        caller.finish().exits(0);
        listener.wait_message(&said);
        listener.wait_message(&by_call);
    }
}

#[test]
fn who_may_not_have_it_is_named_when_the_command_goes() {
    let lab = lab_or_skip!(3);
    let listeners = listeners(&lab);
    let output = lab.host(1).run(&["say", "all here"]).exits(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("", ""));
    let speakers = [("loud", &[][..], true), ("quiet", &["-q"], false)]
        .map(|(first, quiet, named)| (speaker(&lab.host(1), first, quiet, &listeners), named));
    lab.lan(&["link", "3", "unplug"]);
    for (mut speaker, named) in speakers {
        speaker.type_line("who hears this?");
        let output = speaker.finish().exits(0);
        let says = "said, but host3 may not have it: no confirmation within 1s";
        assert_eq!(output.stderr.contains(says), named, "{output:#?}");
    }
}

#[test]
fn who_was_cut_off_just_before_the_command_came_is_missing_though_it_never_heard_it() {
    let lab = lab_or_skip!(4);
    let _listeners = listeners(&lab);
    lab.lan(&["link", "4", "unplug"]);
    // The others tell of it until they miss it themselves, some nine seconds later.
    let confirm = ["say", "--no-agent", "--confirm", "--wait", "2s"];
    let [objects, text, enough, plain] = std::thread::scope(|all| {
        [
            [&confirm[..], &["--json", "one"]].concat(),
            [&confirm[..], &["two"]].concat(),
            [&confirm[..], &["--need", "2", "--json", "three"]].concat(),
            vec!["say", "--no-agent", "--json", "four"],
        ]
        .map(|args| {
            let host = lab.host(1);
            all.spawn(move || host.run(&args))
        })
        .map(|running| running.join().unwrap())
    });
    is_missing(&objects.exits(1), "host4", 2, 3);
    let text = text.exits(1);
    assert!(text.stderr.contains("confirmed by 2 of 3; missing: host4"), "{text:#?}");
    is_missing(&enough.exits(0), "host4", 2, 3);
    let plain = plain.exits(0);
    let [said, unconfirmed] = &plain.json()[..] else { panic!("{plain:#?}") };
    assert_eq!(said["event"], "said", "{plain:#?}");
    assert_eq!(unconfirmed["event"], "unconfirmed", "{plain:#?}");
    let missing = unconfirmed["missing"].as_array().unwrap();
    assert!(missing.len() == 1 && missing[0]["nick"] == "host4", "{plain:#?}");
    let says = "said, but host4 may not have it: no confirmation";
    assert!(plain.stderr.contains(says), "{plain:#?}");
}
