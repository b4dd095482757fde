//! The scripts in `scripts/examples`, run as written: `cooee` is on the path, and that is all.

use serde_json::{Value, json};

use crate::host::Host;
use crate::lab::lab_or_skip;
use crate::lines::eventually;
use crate::running::{Output, Running};

/// Starts a script on the host.
#[track_caller]
fn start(host: &Host, script: &str, args: &[&str]) -> Running {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/scripts/examples/");
    let mut command = host.program(&format!("{folder}{script}"));
    let cooee = std::path::Path::new(env!("CARGO_BIN_EXE_cooee")).parent().unwrap();
    let path = std::env::var("PATH").unwrap();
    command.env("PATH", format!("{}:{path}", cooee.display())).args(args);
    Running::start(format!("[{}] {script}", host.nick()), &mut command)
}

#[track_caller]
fn run(host: &Host, script: &str, args: &[&str]) -> Output {
    start(host, script, args).finish()
}

#[test]
fn a_deploy_is_announced_and_each_host_has_to_confirm_it() {
    let lab = lab_or_skip!(3);
    let _agents = [1, 2].map(|i| lab.host(i).agent(&[]));
    let third = lab.host(3).agent(&[]);
    for i in [1, 2, 3] {
        lab.host(i).ask_agent(&["join", "deploys"]).exits(0);
    }
    eventually("the agent knows who takes part", || {
        let peers = lab.host(1).ask_agent(&["peers", "--json"]).json();
        let takes_part = |peer: &&Value| {
            peer["channels"].as_array().unwrap().iter().any(|name| name == "deploys")
        };
        (peers.iter().filter(takes_part).count() == 2).then_some(())
    });
    let listener = lab.host(2).client(&["listen", "--json", "--events", "--channel", "deploys"]);
    listener.wait_event("joined", "host3");

    let text = "web \"1.2\" $(date)";
    let output = run(&lab.host(1), "deploy-announce", &["web", "\"1.2\"", "$(date)"]).exits(0);
    let said = output.json();
    let receipts: Vec<_> = said.iter().filter(|v| v["event"] == "receipt").collect();
    assert_eq!(receipts.len(), 2, "{output:#?}");
    let all = json!({ "event": "confirmed", "received": 2, "expected": 2, "missing": [] });
    assert_eq!(said.last(), Some(&all));
    listener.wait_message(&format!("deploy: {text}"));

    // It is still held for alive, and confirms nothing.
    third.kill();
    let output = run(&lab.host(1), "deploy-announce", &["web", "1.3"]).exits(1);
    let last: Value = output.json().pop().unwrap();
    assert_eq!((&last["received"], &last["expected"]), (&json!(1), &json!(2)), "{output:#?}");
    assert_eq!(last["missing"][0]["nick"], "host3", "{output:#?}");
    assert!(output.stderr.contains("missing: host3"), "{output:#?}");
}

#[test]
fn a_deploy_that_nobody_hears_fails() {
    let lab = lab_or_skip!(1);
    let output = run(&lab.host(1), "deploy-announce", &["web"]).exits(1);
    assert!(output.stderr.contains("nobody is here to confirm it"), "{output:#?}");
    run(&lab.host(1), "deploy-announce", &[]).exits(2);
}

#[test]
fn three_hosts_that_offer_a_service_are_waited_for() {
    let lab = lab_or_skip!(4);
    let _agents = [2, 3, 4].map(|i| lab.host(i).agent(&[]));
    let service = ["service", "http=8080"];
    for i in [2, 3] {
        lab.host(i).ask_agent(&service).exits(0);
    }
    let output = run(&lab.host(1), "wait-for-service", &["http", "3", "300ms"]).exits(1);
    assert_eq!(output.stdout.lines().count(), 2, "those that are there: {output:#?}");

    let waiting = start(&lab.host(1), "wait-for-service", &["http"]);
    lab.host(4).ask_agent(&service).exits(0);
    let output = waiting.finish().exits(0);
    let mut addresses: Vec<_> = output.stdout.lines().collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["10.77.0.2:8080", "10.77.0.3:8080", "10.77.0.4:8080"]);
}

#[test]
fn the_uptime_of_all_is_one_document() {
    let lab = lab_or_skip!(4);
    let answers: [&[&str]; 2] = [&["echo", "  10:02 up 3 days "], &["sh", "-c", "exit 3"]];
    let _answering = [2, 3].map(|i| {
        let words = [&["answer", "--match", "uptime"], answers[i - 2]].concat();
        let answering = lab.host(i).cooee(&words);
        answering.wait_for_complaint("answering", |line| line.contains("answering on"));
        answering
    });
    let _silent = lab.host(4).agent(&[]);

    let output = run(&lab.host(1), "uptime-of-all", &[]).exits(0);
    let document: Value = serde_json::from_str(&output.stdout).unwrap();
    let nicks = |key: &str| {
        let hosts = document[key].as_array().unwrap().iter();
        hosts.map(|host| host["nick"].as_str().unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(nicks("hosts"), ["host2"], "{document:#}");
    assert_eq!(document["hosts"][0]["uptime"], "10:02 up 3 days");
    assert_eq!((nicks("failed"), &document["failed"][0]["exit"]), (vec!["host3"], &json!(3)));
    assert_eq!((nicks("missing"), nicks("without")), (vec![], vec!["host4"]));
}

#[test]
fn a_command_runs_on_each_host_that_was_told_to_when_a_deploy_is_announced() {
    let lab = lab_or_skip!(3);
    let hosts = [2, 3].map(|i| lab.host(i));
    let agents = [2, 3].map(|i| lab.host(i).client(&["agent"]));
    for (host, agent) in hosts.iter().zip(&agents) {
        let here = host.socket().display().to_string();
        agent.wait_for_complaint("where it listens", |line| line.contains(&here));
        let proof = host.state("proof").display().to_string();
        let script = r#"printf '%s|%s' "$COOEE_TEXT" "$2" >"$1.new" && mv "$1.new" "$1""#;
        let command = ["sh", "-c", script, "hook", &proof, "{text} {{from}} \"as is\""];
        for said in ["the hook is in", "already"] {
            let output = run(host, "run-on-deploy", &command).exits(0);
            assert!(output.stdout.contains(said), "{output:#?}");
            assert!(output.stdout.contains("the agent reads it now"), "{output:#?}");
        }
        agent.wait_for_complaint("the hook", |line| line.contains("changed: "));
    }
    let text = "web $(1.2)";
    for host in &hosts {
        // What is said before the switch knows that a host has joined the channel is lost.
        let proof = eventually("the command has run", || {
            run(&lab.host(1), "deploy-announce", &[text]).exits(0);
            std::fs::read_to_string(host.state("proof")).ok()
        });
        assert_eq!(proof, format!("deploy: {text}|{{text}} {{{{from}}}} \"as is\""));
    }
}
