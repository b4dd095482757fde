//! Questions and answers: between commands, between agents, and from one to the other; what is
//! printed, how it ends, and what happens when one of the two is slow, dies or prints too much.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::process::{Command, Stdio};

use serde_json::Value;

use crate::host::Host;
use crate::lab::{Scratch, lab_or_skip, skipped};
use crate::lines::{PATIENCE, eventually};
use crate::running::{Output, Running};

/// Starts a node that answers, and waits until it does.
#[track_caller]
fn answering(host: &Host, words: &[&str]) -> Running {
    ready(host.cooee(&[&["answer"], words].concat()))
}

/// The same, through the host's agent.
#[track_caller]
fn agent_answering(host: &Host, words: &[&str]) -> Running {
    ready(host.client(&[&["answer"], words].concat()))
}

#[track_caller]
fn ready(answerer: Running) -> Running {
    answerer.wait_for_complaint("answering on", |line| line.contains("answering on"));
    answerer
}

/// The answers among what `ask --json` printed: text and exit code by nick.
#[track_caller]
fn answers(output: &Output) -> BTreeMap<String, (String, Option<i64>)> {
    let of = |v: &Value| {
        let text = v["text"].as_str().unwrap().to_owned();
        (v["from"]["nick"].as_str().unwrap().to_owned(), (text, v["exit"].as_i64()))
    };
    output.json().iter().filter(|v| v["event"] == "answer").map(of).collect()
}

/// The last object: answers, expected, and the nicks of who is missing and where nobody answers.
#[track_caller]
fn summary(output: &Output) -> (u64, u64, Vec<String>, Vec<String>) {
    let objects = output.json();
    let last = objects.last().unwrap();
    assert_eq!(last["event"], "answered", "{output:#?}");
    let nicks = |name: &str| {
        let peers = last[name].as_array().unwrap().iter();
        peers.map(|peer| peer["nick"].as_str().unwrap().to_owned()).collect()
    };
    let number = |name: &str| last[name].as_u64().unwrap();
    (number("answers"), number("expected"), nicks("missing"), nicks("without"))
}

fn said(text: &str, exit: i64) -> (String, Option<i64>) {
    (text.to_owned(), Some(exit))
}

#[track_caller]
fn wait_for_peers(host: &Host, count: usize) {
    eventually("the agent knows everyone", || {
        let listed = host.ask_agent(&["peers", "--json"]).json();
        (listed.len() == count).then_some(())
    });
}

#[test]
fn everyone_is_asked_and_each_answer_comes_with_its_exit_code() {
    let lab = lab_or_skip!(4);
    let script = r#"read -r json; printf '%s|%s|%s\n\n' "$COOEE_TEXT" "$COOEE_FROM_NICK" "$json""#;
    let _two = answering(&lab.host(2), &["sh", "-c", script]);
    let _three = answering(&lab.host(3), &["sh", "-c", "echo no; echo such >&2; exit 3"]);
    let _four = lab.host(4).listen(&[]);
    let question = "what's $(up) \"there\"?";
    let output = lab.host(1).run(&["ask", "--json", "--data", "[1]", question]).exits(0);
    let answers = answers(&output);
    assert_eq!(answers.len(), 2, "{output:#?}");
    assert_eq!(answers["host3"], said("no", 3));
    let (text, exit) = &answers["host2"];
    let [asked, nick, json] = text.splitn(3, '|').collect::<Vec<_>>()[..] else { panic!("{text}") };
    assert_eq!((asked, nick, *exit), (question, "host1", Some(0)));
    let json: Value = serde_json::from_str(json).unwrap();
    assert_eq!((&json["event"], &json["text"]), (&"question".into(), &question.into()));
    assert_eq!(json["data"].to_string(), "[1]");
    assert_eq!(summary(&output), (2, 2, vec![], vec!["host4".into()]));
    for member in ["at", "rtt_ms", "data"] {
        assert!(output.json()[0].get(member).is_some(), "{member}: {output:#?}");
    }
    // For people: one line, or a block.
    let output = lab.host(1).run(&["ask", "--to", "host3", "x"]).exits(0);
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("host3 (exit code 3): no", ""));
}

#[test]
fn through_agents_the_same_is_printed_as_without() {
    let lab = lab_or_skip!(4);
    let _agents = [1, 2, 3].map(|i| lab.host(i).agent(&[]));
    let _four = answering(&lab.host(4), &["echo", "four"]);
    let [_one, two] = [1, 2].map(|i| agent_answering(&lab.host(i), &["echo", &i.to_string()]));
    wait_for_peers(&lab.host(1), 3);
    let with = lab.host(1).ask_agent(&["ask", "--json", "x"]).exits(0);
    let without = lab.host(1).user("visitor").run(&["ask", "--json", "x"]).exits(0);
    assert_eq!(answers(&with), answers(&without));
    let all = [("host1", said("1", 0)), ("host2", said("2", 0)), ("host4", said("four", 0))];
    assert_eq!(answers(&with), all.map(|(nick, answer)| (nick.to_owned(), answer)).into());
    let expected = (3, 3, vec![], vec!["host3".to_owned()]);
    assert_eq!((summary(&with), summary(&without)), (expected.clone(), expected));
    let members = |output: &Output| -> Vec<Vec<String>> {
        let of = |v: &Value| v.as_object().unwrap().keys().cloned().collect();
        output.json().iter().map(of).collect()
    };
    assert_eq!(members(&with), members(&without));
    // Nobody answers any more where the client that did has gone.
    drop(two);
    eventually("the agent knows that its client is gone", || {
        let output = lab.host(1).ask_agent(&["ask", "--json", "x"]);
        (summary(&output).3 == ["host2", "host3"]).then_some(())
    });
}

#[test]
fn the_exit_code_says_whether_as_many_answered_as_were_needed() {
    let lab = lab_or_skip!(4);
    let asker = lab.host(1);
    let nobody = asker.run(&["ask", "x"]).exits(1);
    assert!(nobody.stderr.contains("nobody is here to be asked"), "{nobody:#?}");
    let _listener = lab.host(2).listen(&[]);
    let none = asker.run(&["ask", "x"]).exits(1);
    assert!(none.stderr.contains("nobody answers at host2"), "{none:#?}");
    let _three = answering(&lab.host(3), &["echo", "3"]);
    let _four = answering(&lab.host(4), &["echo", "4"]);
    for (need, code) in
        [("1", 0), ("2", 0), ("3", 1), ("66%", 0), ("67%", 1), ("1%", 0), ("all", 1)]
    {
        let output = asker.run(&["ask", "--json", "--need", need, "x"]).exits(code);
        let (answers, ..) = summary(&output);
        assert!((1..=2).contains(&answers), "--need {need}: {output:#?}");
    }
    asker.run(&["ask", "--to", "host3", "--need", "all", "x"]).exits(0);
    asker.run(&["ask", "--to", "nobody", "x"]).exits(1);
    asker.run(&["ask", "--need", "none", "x"]).exits(2);
    asker.run(&["ask", ""]).exits(2);
    asker.run(&["answer", "--timeout", "11m", "true"]).exits(2);
}

#[test]
fn only_those_with_the_tag_are_asked_and_only_what_matches_is_answered() {
    let lab = lab_or_skip!(3);
    let hosts = [1, 2, 3].map(|i| lab.host(i));
    let _agents = hosts.each_ref().map(|host| host.agent(&[]));
    hosts[1].ask_agent(&["tag", "role=web", "rack=7"]).exits(0);
    let _two = agent_answering(&hosts[1], &["--match", "disk", "echo", "full"]);
    let _more = agent_answering(&hosts[1], &["--match", "load", "echo", "high"]);
    let _three = agent_answering(&hosts[2], &["echo", "anything"]);
    wait_for_peers(&hosts[0], 2);
    eventually("the tags are known", || {
        let listed = hosts[0].ask_agent(&["peers", "--tag", "rack", "--json"]).json();
        (listed.len() == 1).then_some(())
    });
    let visitor = lab.host(1).user("visitor");
    for text in ["disk", "disk of web1"] {
        let output = hosts[0].ask_agent(&["ask", "--tag", "role=web", "--json", text]).exits(0);
        assert_eq!(answers(&output), BTreeMap::from([("host2".into(), said("full", 0))]));
        let output = visitor.run(&["ask", "--tag", "role=web", "--json", text]).exits(0);
        assert_eq!(answers(&output), BTreeMap::from([("host2".into(), said("full", 0))]));
    }
    let output = hosts[0].ask_agent(&["ask", "--tag", "role", "--json", "diskless"]).exits(1);
    assert_eq!(summary(&output), (0, 0, vec![], vec!["host2".into()]));
    let output = visitor.run(&["ask", "--json", "load"]).exits(0);
    assert_eq!(summary(&output), (2, 2, vec![], vec!["host1".into()]));
}

#[test]
fn who_is_slow_prints_too_much_or_cannot_be_run_says_so() {
    let lab = lab_or_skip!(4);
    let much = "yes | head -c 10000000";
    let _two =
        answering(&lab.host(2), &["--timeout", "300ms", "sh", "-c", "echo so far; sleep 60"]);
    let _three = answering(&lab.host(3), &["sh", "-c", much]);
    let absent = lab.host(4).run(&["answer", "/nonexistent/command"]).exits(3);
    assert!(absent.stderr.contains("there is no such program"), "{absent:#?}");
    // One that is there at first.
    let folder = Scratch::new();
    let command = folder.path().join("command");
    std::fs::write(&command, "").unwrap();
    let _four = answering(&lab.host(4), &[command.to_str().unwrap()]);
    std::fs::remove_file(&command).unwrap();
    let output = lab.host(1).run(&["ask", "--json", "x"]).exits(0);
    let answers = answers(&output);
    assert_eq!(answers["host2"].1, Some(124));
    assert!(answers["host2"].0.starts_with("so far\n[sh was killed: it ran for more than 300ms"));
    assert_eq!((answers["host3"].0.len(), answers["host3"].1), (64 * 1024, Some(0)));
    assert!(answers["host3"].0.ends_with("[cut: sh printed more than 64 KiB]"));
    assert_eq!(answers["host4"].1, Some(127));
    assert!(answers["host4"].0.contains("/command can't be started"), "{answers:?}");
}

#[test]
fn an_answer_of_64_kib_arrives_whole_though_a_tenth_is_lost() {
    let lab = lab_or_skip!(2);
    let script = "yes 0123456 | head -c 65536";
    let _answerer = answering(&lab.host(2), &["sh", "-c", script]);
    for host in ["1", "2"] {
        lab.lan(&["loss", host, "10"]);
    }
    let output = lab.host(1).run(&["ask", "--json", "--wait", "30s", "x"]).exits(0);
    assert_eq!(answers(&output)["host2"].0, "0123456\n".repeat(8_192).trim_end());
}

#[test]
fn a_killed_answerer_is_missed_and_the_others_are_heard() {
    let lab = lab_or_skip!(3);
    let slow = answering(&lab.host(2), &["sh", "-c", "sleep 60"]);
    let _three = answering(&lab.host(3), &["echo", "here"]);
    let asker = lab.host(1).cooee(&["ask", "--wait", "2s", "x"]);
    asker.wait_for_line("the answer", |line| line == "host3: here");
    slow.wait_for_line("the question", |line| line.ends_with("host1 asks: x"));
    slow.kill();
    let output = asker.finish().exits(1);
    assert!(
        output.stderr.contains("1 of 2 answered within 2s; no answer from host2"),
        "{output:#?}"
    );
    // One that is only stopped has its command killed, and passes.
    let slow = answering(&lab.host(2), &["sh", "-c", "sleep 60"]);
    let asker = lab.host(1).cooee(&["ask", "--json", "--wait", "30s", "x"]);
    slow.wait_for_line("the question", |line| line.ends_with("host1 asks: x"));
    slow.interrupt();
    slow.finish().exits(0);
    let output = asker.finish().exits(0);
    assert_eq!(answers(&output).len(), 1, "{output:#?}");
}

#[test]
fn a_client_that_vanishes_from_its_agent_is_as_one_that_passes() {
    let lab = lab_or_skip!(2);
    let [one, two] = [1, 2].map(|i| lab.host(i));
    let _agents = [one.agent(&[]), two.agent(&[])];
    let slow = agent_answering(&two, &["sh", "-c", "sleep 60"]);
    let _fast = agent_answering(&two, &["echo", "fast"]);
    wait_for_peers(&one, 1);
    let asker = one.client(&["ask", "--wait", "30s", "--json", "x"]);
    asker.wait_json("the answer", |v| v["text"] == "fast");
    slow.wait_for_line("the question", |line| line.ends_with("asks: x"));
    slow.kill();
    assert_eq!(summary(&asker.finish().exits(0)), (1, 1, vec![], vec![]));
}

#[test]
fn a_script_answers_line_by_line() {
    let lab = lab_or_skip!(2);
    let mut answerer = answering(&lab.host(2), &["--pipe", "--timeout", "2s"]);
    let ask = |text: &str| lab.host(1).cooee(&["ask", "--json", "--wait", "20s", text]);
    let asker = ask("one");
    let question = answerer.wait_json("a question", |v| v["text"] == "one");
    assert_eq!(
        (&question["event"], &question["from"]["nick"]),
        (&"question".into(), &"host1".into())
    );
    answerer.type_line("the first");
    let output = asker.finish().exits(0);
    assert_eq!(answers(&output)["host2"], ("the first".to_owned(), None));
    // In several lines, in another order.
    let [two, three] = ["two", "three"].map(|text| {
        let asker = ask(text);
        let number = answerer.wait_json("a question", |v| v["text"] == text)["question"].clone();
        (asker, number)
    });
    answerer.type_line(&format!(r#"{{"question":{},"text":"a\nb","exit":7}}"#, three.1));
    assert_eq!(answers(&three.0.finish().exits(0))["host2"], said("a\nb", 7));
    // An empty line leaves it to others.
    answerer.type_line("");
    let output = two.0.finish().exits(1);
    assert_eq!(summary(&output), (0, 0, vec![], vec!["host2".into()]));
    // Too late.
    let output = ask("four").finish().exits(0);
    assert_eq!(answers(&output)["host2"], said("[no answer within 2s]", 124));
    answerer.type_line("late");
    let asker = ask("five");
    answerer.wait_json("a question", |v| v["text"] == "five");
    answerer.type_line("5");
    assert_eq!(answers(&asker.finish().exits(0))["host2"].0, "5");
    answerer.finish().exits(0);
}

#[test]
fn scripts_ask_and_answer_at_the_agents_socket() {
    let lab = lab_or_skip!(2);
    let [one, two] = [1, 2].map(|i| lab.host(i));
    let _agents = [one.agent(&[]), two.agent(&[])];
    wait_for_peers(&one, 1);
    let open = |host: &Host| {
        let stream = UnixStream::connect(host.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        (stream.try_clone().unwrap(), BufReader::new(stream))
    };
    let next = |reader: &mut BufReader<UnixStream>| -> Value {
        let mut line = String::new();
        reader.read_line(&mut line).unwrap();
        serde_json::from_str(&line).unwrap()
    };
    let (mut answerer, mut questions) = open(&two);
    writeln!(answerer, r#"{{"n":1,"do":"answer"}}"#).unwrap();
    assert_eq!(next(&mut questions)["ok"], true);
    let (mut asker, mut replies) = open(&one);
    writeln!(asker, r#"{{"n":7,"do":"ask","to":"host2","text":"how?","data":{{"a":1}}}}"#).unwrap();
    assert_eq!((&next(&mut replies)["count"], 7), (&1.into(), 7));
    let question = next(&mut questions);
    assert_eq!((&question["event"], &question["text"]), (&"question".into(), &"how?".into()));
    assert_eq!(question["data"]["a"], 1);
    let number = &question["question"];
    for (text, last) in [("so", false), ("so so", true)] {
        writeln!(
            answerer,
            r#"{{"do":"reply","question":{number},"text":"{text}","exit":0,"last":{last}}}"#
        )
        .unwrap();
        let answer = next(&mut replies);
        assert_eq!((&answer["event"], &answer["n"]), (&"answer".into(), &7.into()));
        assert_eq!(answer["text"], text);
    }
    let over = next(&mut replies);
    assert_eq!((&over["event"], &over["n"]), (&"answered".into(), &7.into()));
    assert_eq!((&over["answers"], &over["expected"]), (&1.into(), &1.into()));
    // What makes no sense is refused, and nobody is the worse for it.
    for line in [
        format!(r#"{{"n":2,"do":"reply","question":{number},"text":"again"}}"#),
        r#"{"n":2,"do":"reply","question":99,"text":"x"}"#.to_owned(),
        r#"{"n":2,"do":"reply","text":"x"}"#.to_owned(),
        r#"{"n":2,"do":"ask","to":"nobody","text":"x"}"#.to_owned(),
        r#"{"n":2,"do":"ask","need":"some","text":"x"}"#.to_owned(),
    ] {
        writeln!(answerer, "{line}").unwrap();
        let reply = next(&mut questions);
        assert_eq!((&reply["ok"], &reply["n"]), (&false.into(), &2.into()), "{line}: {reply}");
    }
    // At the end of the time that the script gives it.
    writeln!(asker, r#"{{"do":"ask","text":"still?","wait_ms":200}}"#).unwrap();
    let over = next(&mut replies);
    assert_eq!(
        (&over["event"], &over["missing"][0]["nick"]),
        (&"answered".into(), &"host2".into())
    );
}

#[test]
fn where_multicast_is_blocked_answers_come_all_the_same() {
    let lab = lab_or_skip!(3);
    let seed = ["--peer", "10.77.0.2"];
    let _two = answering(&lab.host(2), &["echo", "two"]);
    lab.lan(&["block-multicast", "3"]);
    let _three = ready(lab.host(3).cooee(&[&["answer"], &seed[..], &["echo", "three"]].concat()));
    eventually("host 3 is known", || {
        let output = lab.host(1).run(&["ask", "--json", "x"]);
        (answers(&output).len() == 2).then_some(())
    });
    lab.lan(&["block-multicast", "1"]);
    let output = lab.host(1).run(&[&["ask", "--json"], &seed[..], &["x"]].concat()).exits(0);
    assert_eq!(answers(&output).len(), 2, "{output:#?}");
}

#[test]
fn what_scripts_make_of_it_is_one_document() {
    let lab = lab_or_skip!(4);
    let _answerers =
        [2, 3, 4].map(|i| answering(&lab.host(i), &["--match", "uptime", "echo", "up 3 days"]));
    let mut ask = lab.host(1).command_line(&["ask", "--json", "uptime"]);
    let mut asked = ask.stdout(Stdio::piped()).spawn().unwrap();
    let filter = r#"map(select(.event=="answer"))|map({(.from.nick):.text})|add"#;
    let jq =
        Command::new("jq").args(["-cS", "-s", filter]).stdin(asked.stdout.take().unwrap()).output();
    assert!(asked.wait().unwrap().success());
    let Ok(jq) = jq else { return skipped("jq is not installed") };
    let document = String::from_utf8(jq.stdout).unwrap();
    let all = r#"{"host2":"up 3 days","host3":"up 3 days","host4":"up 3 days"}"#;
    assert_eq!(document.trim(), all);
}

#[test]
fn a_sealed_groups_questions_stay_in_it() {
    let lab = lab_or_skip!(3);
    let folder = Scratch::new();
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "correct horse").unwrap();
    let sealed = ["--secret-file", secret.to_str().unwrap()];
    let _two = ready(lab.host(2).cooee(&[&["answer"], &sealed[..], &["echo", "sealed"]].concat()));
    let _three = answering(&lab.host(3), &["echo", "open"]);
    let output = lab.host(1).run(&[&["ask", "--json"], &sealed[..], &["x"]].concat()).exits(0);
    assert_eq!(answers(&output), BTreeMap::from([("host2".into(), said("sealed", 0))]));
}
