//! The agent's control socket under load and under attack: whoever misbehaves is refused or cut off,
//! and the others are served.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::process::Stdio;

use rustix::process::{Resource, getrlimit, setrlimit};
use serde_json::{Value, json};

use crate::host::Host;
use crate::lab::lab_or_skip;
use crate::lines::{Lines, PATIENCE, eventually};
use crate::running::Running;

/// A connection to the agent of `host`, as a script would make it.
pub(crate) struct Script(BufReader<UnixStream>);

impl Script {
    #[track_caller]
    pub(crate) fn connect(host: &Host) -> Self {
        let stream = UnixStream::connect(host.socket()).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        Self(BufReader::new(stream))
    }

    #[track_caller]
    pub(crate) fn send(&mut self, line: &str) {
        writeln!(self.0.get_mut(), "{line}").unwrap();
    }

    /// The next line; `None` at the end.
    #[track_caller]
    pub(crate) fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        match self.0.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap()),
            // Who is cut off while it still writes may hear so.
            Err(e) if e.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(e) => panic!("{e}"),
        }
    }

    #[track_caller]
    pub(crate) fn ask(&mut self, line: &str) -> Value {
        self.send(line);
        self.next().unwrap()
    }
}

/// The agent answers everybody else still.
#[track_caller]
fn it_serves(host: &Host) {
    let reply = Script::connect(host).ask(r#"{"n":1,"do":"hello"}"#);
    assert_eq!((&reply["n"], &reply["ok"]), (&json!(1), &json!(true)), "{reply}");
}

/// As many open files as a test of many connections needs, or as the system allows.
fn open_files(wanted: u64) -> usize {
    let mut limit = getrlimit(Resource::Nofile);
    let most = limit.maximum.unwrap_or(u64::MAX).min(wanted + 200);
    limit.current = limit.current.map(|now| now.max(most));
    let _ = setrlimit(Resource::Nofile, limit);
    usize::try_from(most - 200).unwrap()
}

#[test]
fn ten_thousand_lines_arrive_in_order() {
    const LINES: usize = 10_000;
    let lab = lab_or_skip!(2);
    let [speaker, host] = [1, 2].map(|i| lab.host(i));
    let _agents = [speaker.agent(&[]), host.agent(&[])];
    let count = LINES.to_string();
    let listener = host.client(&["listen", "--json", "--count", &count]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    wait_for_company(&speaker);
    // All of them together are less than may wait for one client, so that on a slow machine as
    // well the listener counts as one that keeps up.
    let line = |i: usize| format!("line {i}");
    let mut saying = speaker.client(&["say", "-"]);
    saying.type_all((0..LINES).map(line));
    let heard = listener.finish().exits(0).json();
    let texts: Vec<_> = heard.iter().map(|message| message["text"].clone()).collect();
    assert_eq!(texts, (0..LINES).map(line).collect::<Vec<_>>());
    saying.finish().exits(0);
}

#[test]
fn who_stops_reading_holds_nobody_up_and_is_told_what_it_missed() {
    const LINES: usize = 10_000;
    let lab = lab_or_skip!(2);
    let [speaker, host] = [1, 2].map(|i| lab.host(i));
    let _agents = [speaker.agent(&[]), host.agent(&[])];
    let mut stopped = Script::connect(&host);
    assert_eq!(stopped.ask(r#"{"n":1,"do":"listen"}"#)["ok"], true);
    wait_for_company(&speaker);
    // More than can wait for one client.
    let mut saying = speaker.client(&["say", "-"]);
    saying.type_all((0..LINES).map(|i| format!("{i} {}", "x".repeat(600))));
    saying.finish().exits(0);
    let reads = host.client(&["listen", "--json"]);
    reads.wait_for_complaint("that it listens", |line| line.contains("listening"));
    speaker.ask_agent(&["say", "after all that"]).exits(0);
    reads.wait_message("after all that");

    // Once it reads again it is told what it missed, if it was not cut off before.
    let (mut got, mut missed) = (0, 0);
    loop {
        match stopped.next() {
            Some(line) if line["event"] == "message" => got += 1,
            Some(line) => {
                assert_eq!(line["event"], "missed");
                missed = line["count"].as_u64().unwrap();
                break;
            }
            None => break,
        }
    }
    assert!(got < LINES, "{got} messages waited for one who did not read");
    // Nothing of it was lost on the way: the speaker was slowed down instead.
    assert!(missed == 0 || got as u64 + missed >= LINES as u64, "{got} and {missed}");
}

#[test]
fn a_reader_without_an_agent_that_stops_and_goes_on_is_told_what_it_missed() {
    const SPEAKERS: usize = 3;
    const LINES: usize = 180;
    // Together more than may wait for one listener, whatever waits in pipes besides.
    const LONG: usize = 40_000;
    const { assert!(SPEAKERS * LINES * LONG > (16 << 20) + 70 * LONG) };
    let lab = lab_or_skip!(SPEAKERS + 1);
    let host = lab.host(SPEAKERS + 1);
    let mut command = host.command_line(&["listen", "--json", "--events"]);
    let mut listener = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let complaints = Lines::of(listener.stderr.take().unwrap());
    let listens = |line: &str| line.contains("listening").then_some(());
    complaints.find(0, PATIENCE, listens).unwrap();
    let speak = |number: usize| {
        let args = ["say", "--confirm", "--need", "1", "--wait", "30s", "-"];
        let mut saying = lab.host(number).cooee(&args);
        saying.type_all((0..LINES).map(|i| format!("{i} {}", "x".repeat(LONG))));
        saying
    };
    // They end when the listener's node has it all: a receipt does not wait for who reads.
    let speakers: Vec<_> = (1..=SPEAKERS).map(speak).collect();
    for saying in speakers {
        saying.finish().exits(0);
    }

    let heard = Lines::of(listener.stdout.take().unwrap());
    let event = |line: &str| serde_json::from_str::<Value>(line).unwrap();
    let is_missed = |line: &str| Some(event(line)).filter(|event| event["event"] == "missed");
    let missed = heard.find(0, PATIENCE, is_missed).expect("it is told, though nothing more comes");
    let missed = usize::try_from(missed["count"].as_u64().unwrap()).unwrap();
    let mut next: BTreeMap<String, usize> = BTreeMap::new();
    for event in heard.so_far().iter().map(|line| event(line)) {
        if event["event"] == "message" {
            let next = next.entry(event["from"]["id"].to_string()).or_default();
            let number = event["text"].as_str().unwrap().split(' ').next().unwrap();
            assert_eq!(number, next.to_string(), "in order, and nothing left out before that");
            *next += 1;
        }
    }
    let got: usize = next.values().sum();
    assert!(missed > 0 && got < SPEAKERS * LINES, "{got} and {missed}");
    assert!(got + missed >= SPEAKERS * LINES, "{got} and {missed}");

    lab.host(1).say("after all that");
    let after = |line: &str| (event(line)["text"] == "after all that").then_some(());
    heard.find(0, PATIENCE, after).unwrap();
    listener.kill().unwrap();
    listener.wait().unwrap();
}

/// Waits until the agent of `host` knows somebody.
#[track_caller]
fn wait_for_company(host: &Host) {
    eventually("the agents know each other", || {
        let listed = host.ask_agent(&["peers", "--json"]);
        (listed.code == Some(0)).then_some(())
    });
}

#[test]
fn a_thousand_listeners_hear_each_message() {
    let lab = lab_or_skip!(2);
    let [speaker, host] = [1, 2].map(|i| lab.host(i));
    let _agent = host.agent(&[]);
    let mut listeners: Vec<_> = (0..open_files(1_000)).map(|_| Script::connect(&host)).collect();
    for listener in &mut listeners {
        listener.send(r#"{"n":1,"do":"listen"}"#);
    }
    for listener in &mut listeners {
        assert_eq!(listener.next().unwrap()["ok"], true);
    }
    let texts: Vec<_> = (0..20).map(|i| format!("message {i}")).collect();
    let mut saying = speaker.cooee(&["say", "-"]);
    saying.type_all(texts.clone().into_iter());
    saying.finish().exits(0);
    for listener in &mut listeners {
        for text in &texts {
            assert_eq!(&listener.next().unwrap()["text"], text);
        }
    }
}

#[test]
fn wrong_requests_are_refused_one_by_one() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let _agent = host.agent(&[]);
    let mut script = Script::connect(&host);
    for wrong in [
        "{}",
        "[]",
        "null",
        "\u{0}",
        "say hello",
        r#"{"do":"fly"}"#,
        r#"{"do":7}"#,
        r#"{"do":"say","text":{}}"#,
        r#"{"do":"say","channel":"no such name"}"#,
        r#"{"do":"join","channel":""}"#,
        r#"{"do":"tag","set":{"a":1}}"#,
        r#"{"do":"service","offer":{"http":70000}}"#,
        r#"{"do":"listen","channels":["a b"]}"#,
        r#"{"n":-1,"do":"hello"}"#,
        r#"{"n":1,"n":2,"do":"hello"}"#,
        &"[".repeat(100_000),
        &format!(r#"{{"do":"{}"}}"#, "x".repeat(100_000)),
    ] {
        script.send(""); // an empty line is nothing
        let reply = script.ask(wrong);
        assert_eq!(reply["ok"], false, "{wrong:.60}: {reply}");
        assert!(!reply["error"].as_str().unwrap().is_empty());
    }
    // Bytes that are no text.
    script.0.get_mut().write_all(b"\xff\xfe{\"do\":\"hello\"}\n").unwrap();
    assert_eq!(script.next().unwrap()["ok"], false);
    // The connection is still good for what is right.
    assert_eq!(script.ask(r#"{"n":5,"do":"hello"}"#)["n"], 5);
    it_serves(&host);
}

#[test]
fn half_lines_and_endless_lines_cost_nobody_else_anything() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let agent = host.agent(&[]);
    let mut halves: Vec<_> = (0..100).map(|_| Script::connect(&host)).collect();
    for half in &mut halves {
        half.0.get_mut().write_all(br#"{"n":1,"do":"hel"#).unwrap();
    }
    it_serves(&host);
    // 100 MB without an end of line, of which the agent takes the first one.
    let mut endless = Script::connect(&host);
    let chunk = vec![b'x'; 1 << 20];
    let mut writer = endless.0.get_ref().try_clone().unwrap();
    let thread = std::thread::spawn(move || {
        (0..100).take_while(|_| writer.write_all(&chunk).is_ok()).count()
    });
    assert!(thread.join().unwrap() < 100, "the agent has read all of it");
    let mut rest = Vec::new();
    let _ = endless.0.read_to_end(&mut rest);
    it_serves(&host);
    assert!(memory(agent.pid()) < 64 << 20, "{} bytes of memory", memory(agent.pid()));
    // Half a line becomes a whole one.
    for half in &mut halves {
        half.send(r#"lo"}"#);
        assert_eq!(half.next().unwrap()["ok"], true);
    }
    // Half a line before the end is no request.
    let mut last = Script::connect(&host);
    last.0.get_mut().write_all(br#"{"do":"stop"}"#).unwrap();
    last.0.get_ref().shutdown(Shutdown::Write).unwrap();
    assert_eq!(last.next(), None);
    it_serves(&host);
}

/// Bytes of a process's memory that are in use.
fn memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() << 10
}

#[test]
fn of_ten_thousand_connections_those_over_the_limit_are_told_so() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let _agent = host.agent(&[]);
    let wanted = open_files(10_000);
    let mut connections: Vec<_> = (0..wanted).map(|_| Script::connect(&host)).collect();
    let mut served = 0;
    for connection in &mut connections {
        // Who is refused may be told, and cut off, before it has asked.
        let _ = writeln!(connection.0.get_mut(), r#"{{"n":1,"do":"hello"}}"#);
        let reply = connection.next().unwrap();
        if reply["ok"] == true {
            served += 1;
        } else {
            assert!(reply["error"].as_str().unwrap().contains("too many clients"), "{reply}");
        }
    }
    assert!(served >= wanted.min(1_000), "{served} of {wanted} were served");
    drop(connections);
    eventually("there is room again", || {
        let reply = Script::connect(&host).ask(r#"{"n":1,"do":"hello"}"#);
        (reply["ok"] == true).then_some(())
    });
}

#[test]
fn with_few_open_files_those_who_have_one_are_served() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let mut command = host.program("sh");
    let program = env!("CARGO_BIN_EXE_cooee");
    command.args(["-c", "ulimit -n 100 && exec \"$0\" --nick few agent", program]);
    let agent = Running::start("[host1] agent with few files".to_owned(), &mut command);
    agent.wait_for_complaint("where it listens", |line| line.contains("cooee.sock"));
    let mut first = Script::connect(&host);
    assert_eq!(first.ask(r#"{"n":1,"do":"hello"}"#)["ok"], true);
    let many: Vec<_> = (0..300).map(|_| UnixStream::connect(host.socket())).collect();
    agent.wait_for_complaint("that there are too many", |line| line.contains("open files"));
    assert_eq!(first.ask(r#"{"n":2,"do":"hello"}"#)["ok"], true);
    drop(many);
    eventually("there is room again", || {
        let reply = Script::connect(&host).ask(r#"{"n":1,"do":"hello"}"#);
        (reply["ok"] == true).then_some(())
    });
}
