//! Which interfaces a host has, which of them are used, and why: told by the agent, and without one.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

use crate::host::Host;
use crate::lab::lab_or_skip;
use crate::lines::eventually;
use crate::running::{Output, Running};

/// The interfaces by name.
fn by_name(output: &Output) -> BTreeMap<String, Value> {
    let rows = output.json();
    rows.into_iter().map(|row| (row["name"].as_str().unwrap().to_owned(), row)).collect()
}

/// Runs `ip` on a host.
#[track_caller]
fn ip(host: &Host, words: &str) {
    let status = host.program("ip").args(words.split(' ')).status().unwrap();
    assert!(status.success(), "ip {words}");
}

#[test]
fn each_interface_is_told_with_the_reason_why_it_is_used_or_not() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    lab.lan(&["second-nic", "1"]);
    ip(&host, "link add docker0 type bridge");
    ip(&host, "addr add 172.17.0.1/16 dev docker0");
    ip(&host, "link set docker0 up");
    let agent = host.agent(&[]);
    for told in [host.ask_agent(&["links", "--json"]), host.run(&["links", "--json"])] {
        let links = by_name(&told.exits(0));
        assert_eq!(links.keys().collect::<Vec<_>>(), ["docker0", "eth0", "eth1", "lo"]);
        let used: Vec<_> = links.iter().filter(|(_, l)| l["used"] == true).collect();
        assert_eq!(used.iter().map(|(name, _)| *name).collect::<Vec<_>>(), ["eth0", "eth1"]);
        assert_eq!(links["eth0"]["addrs"], serde_json::json!(["10.77.0.1/16"]));
        assert!(links["docker0"]["why"].as_str().unwrap().contains("--iface docker0"));
    }
    let told = host.run(&["links"]).exits(0);
    let rows: Vec<Vec<&str>> =
        told.stdout.lines().map(|row| row.split_whitespace().take(3).collect()).collect();
    assert!(rows.contains(&vec!["+", "eth0", "10.77.0.1/16"]), "{}", told.stdout);
    assert!(rows.contains(&vec!["-", "docker0", "172.17.0.1/16"]), "{}", told.stdout);
    // What was asked for on the command line is what the answer is about.
    let links = by_name(&host.run(&["links", "--json", "--iface", "docker0"]).exits(0));
    assert_eq!((&links["docker0"]["used"], &links["eth0"]["used"]), (&true.into(), &false.into()));
    drop(agent);
}

#[test]
fn what_happens_to_a_link_is_seen_at_once() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let _agent = host.agent(&[]);
    let eth0 = || by_name(&host.ask_agent(&["links", "--json"])).remove("eth0").unwrap();
    lab.lan(&["link", "1", "unplug"]);
    eventually("the cable is out", || (eth0()["carrier"] == false).then_some(()));
    let told = host.ask_agent(&["links"]).exits(1);
    assert!(told.stdout.contains("no carrier"), "{}", told.stdout);
    lab.lan(&["link", "1", "up"]);
    eventually("it is back", || (eth0()["carrier"] == true).then_some(()));
    host.ask_agent(&["links"]).exits(0);
    lab.lan(&["link", "1", "down"]);
    let down = eth0();
    assert!(down["used"] == false && down["why"].as_str().unwrap().contains("ip link set eth0 up"));
}

#[test]
fn a_link_that_loses_its_address_is_told_to_be_down_once_and_to_be_up_when_it_has_one() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let _agent = host.agent(&[]);
    let listener = host.client(&["listen", "--json", "--events"]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    let links = || {
        let is_link = |line: &Value| line["event"] == "link";
        let states = listener.json_so_far(is_link).into_iter();
        states.map(|line| line["state"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    ip(&host, "addr flush dev eth0");
    // Whoever speaks now can't send it.
    host.ask_agent(&["say", "into the void"]);
    let used = || by_name(&host.ask_agent(&["links", "--json"]))["eth0"]["used"] == true;
    eventually("it is not used", || (!used()).then_some(()));
    eventually("it is told", || (!links().is_empty()).then_some(()));
    ip(&host, "addr add 10.77.0.9/16 dev eth0");
    eventually("it is used", || used().then_some(()));
    eventually("it is told", || (links().last().unwrap() == "up").then_some(()));
    assert_eq!(links(), ["down", "up"]);
}

/// The events about links that a listener has printed.
fn told(listener: &Running) -> Vec<String> {
    let lines = listener.json_so_far(|line| line["event"] == "link").into_iter();
    let told = lines.map(|line| {
        let word = |member: &str| line[member].as_str().unwrap().to_owned();
        format!("{} {}", word("name"), word("state"))
    });
    told.collect()
}

/// A cable that is out, an interface that is switched off as well, that is switched on without a cable, and
/// at last has one: for the user it is down once, and up once.
#[test]
fn a_link_that_fails_in_several_ways_is_told_to_be_down_once() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let _agent = host.agent(&[]);
    let listener = host.client(&["listen", "--json", "--events"]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    let row = || by_name(&host.ask_agent(&["links", "--json"])).remove("eth0").unwrap();
    lab.lan(&["link", "1", "unplug"]);
    eventually("it is told", || (told(&listener) == ["eth0 down"]).then_some(()));
    ip(&host, "link set eth0 down");
    eventually("it is off", || (row()["used"] == false).then_some(()));
    ip(&host, "link set eth0 up");
    // It has its address still, and no carrier.
    eventually("it is on", || (row()["used"] == true).then_some(()));
    let quiet = Duration::from_millis(500); // longer than changes take to settle
    listener.no_event_for(quiet, "link", "");
    assert_eq!(told(&listener), ["eth0 down"]);
    lab.lan(&["link", "1", "up"]);
    eventually("it is up", || (told(&listener).len() > 1).then_some(()));
    listener.no_event_for(quiet, "link", "");
    assert_eq!(told(&listener), ["eth0 down", "eth0 up"]);
}

#[test]
fn the_addresses_of_a_link_of_ipv6_are_told_with_what_they_mean() {
    let lab = lab_or_skip!(2);
    for number in ["1", "2"] {
        lab.lan(&["only6", number]);
    }
    let host = lab.host(1);
    let lo = by_name(&host.run(&["links", "--json"])).remove("lo").unwrap();
    assert_eq!(lo["ipv6"], serde_json::json!(["::1/128"]));
    let _other = lab.host(2).listen(&[]);
    let index = by_name(&host.run(&["links", "--json"]))["eth0"]["index"].clone();
    let told = host.run(&["peers"]).exits(0).stdout;
    assert!(told.contains(&format!("fe80::2%{index} ")), "{told}");
}

#[test]
fn a_listener_whose_agent_ends_says_so() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let agent = host.agent(&[]);
    let listener = host.client(&["listen", "--json"]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    host.ask_agent(&["stop"]).exits(0);
    agent.wait_for_end();
    let ended = listener.finish().exits(3);
    assert!(ended.stderr.ends_with("cooee: the agent has ended"), "{}", ended.stderr);
}
