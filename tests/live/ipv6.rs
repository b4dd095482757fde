//! IPv6: on a LAN that has nothing else everything works that works by IPv4, and where both are
//! spoken a peer is one peer, shown by IPv4, whoever has which.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::host::Host;
use crate::lab::{Lab, lab_or_skip};
use crate::lines::eventually;
use crate::running::Running;

/// The lobby of the default group.
const LOBBY: &str = "ff02::efff:4b5d";

/// A LAN of hosts that have no IPv4.
#[track_caller]
fn without_ipv4(lab: &Lab) -> Vec<Host> {
    let hosts = lab.hosts();
    for number in 1..=hosts.len() {
        lab.lan(&["only6", &number.to_string()]);
    }
    hosts
}

/// Waits until each of these listeners has met all other hosts.
#[track_caller]
fn all_meet(listeners: &[Running], hosts: &[Host]) {
    for (listener, own) in listeners.iter().zip(hosts) {
        for other in hosts.iter().filter(|other| other.nick() != own.nick()) {
            listener.wait_event("joined", other.nick());
        }
    }
}

/// Every host says something, twice; each listener hears each once.
#[track_caller]
fn all_hear_each_once(listeners: &[Running], hosts: &[Host], more: &[&str]) {
    let mut all = BTreeSet::new();
    for round in ["first", "second"] {
        for host in hosts {
            let text = format!("{round} from {}", host.nick());
            host.run(&[&["say", &text][..], more].concat()).exits(0);
            for listener in listeners {
                listener.wait_message(&text);
            }
            all.insert(text);
        }
    }
    for listener in listeners {
        let heard = listener.texts();
        assert_eq!(heard.len(), all.len(), "{heard:?}");
        assert_eq!(heard.into_iter().collect::<BTreeSet<_>>(), all);
    }
}

fn address(peer: &Value) -> &str {
    peer["addr"].as_str().unwrap()
}

#[test]
fn hosts_without_ipv4_find_each_other_and_talk() {
    let lab = lab_or_skip!(3);
    let hosts = without_ipv4(&lab);
    let listeners: Vec<Running> = hosts[1..].iter().map(|host| host.listen(&[])).collect();
    all_meet(&listeners, &hosts[1..]);

    let peers = hosts[0].peers(&[]);
    assert_eq!(peers.keys().collect::<Vec<_>>(), ["host2", "host3"]);
    for (nick, number) in [("host2", 2), ("host3", 3)] {
        assert!(address(&peers[nick]).starts_with(&format!("[fe80::{number}%")), "{peers:?}");
        assert_eq!(peers[nick]["path"], "multicast", "{peers:?}");
    }
    all_hear_each_once(&listeners, &hosts, &[]);
    let [to, psst] = ["host3", "psst"];
    hosts[0].run(&["say", "--to", to, psst]).exits(0);
    assert_eq!(listeners[1].wait_message(psst)["direct"], true);
    assert!(lab.switch_passes(LOBBY, 2), "the switch snoops: {}", lab.lan(&["mdb"]));
    hosts[0].run(&["say", "--confirm", "who has it?"]).exits(0);
}

#[test]
fn what_agents_without_ipv4_say_and_ask_reaches_all_and_who_comes_late_catches_up() {
    let lab = lab_or_skip!(3);
    let hosts = without_ipv4(&lab);
    let knows = |host: &Host, count: usize| {
        eventually("the agent knows the others", || {
            let peers = host.ask_agent(&["peers", "--json"]).json();
            (peers.len() == count).then_some(())
        });
    };
    let _first = [hosts[0].agent(&[]), hosts[1].agent(&[])];
    knows(&hosts[0], 1);
    knows(&hosts[1], 1);
    hosts[0].ask_agent(&["say", "before the third came"]).exits(0);
    let _third = hosts[2].agent(&[]);
    for host in &hosts {
        knows(host, 2);
    }
    eventually("the past has come", || {
        let past = hosts[2].ask_agent(&["history", "--json"]).json();
        past.iter().any(|message| message["text"] == "before the third came").then_some(())
    });

    let echo = hosts[1].client(&["answer", "echo", "here"]);
    echo.wait_for_complaint("answering on", |line| line.contains("answering on"));
    let told = hosts[2].ask_agent(&["ask", "--json", "who?"]).exits(0);
    let answered = told.json().into_iter().any(|v| v["event"] == "answer" && v["text"] == "here");
    assert!(answered, "{told:#?}");
    let told = hosts[0].run(&["say", "--confirm", "--need", "all", "from a command"]).exits(0);
    assert!(!told.stderr.contains("missing"), "{told:#?}");
}

#[test]
fn without_ipv4_a_seed_is_enough_where_multicast_is_blocked() {
    let lab = lab_or_skip!(3);
    let hosts = without_ipv4(&lab);
    lab.lan(&["block-multicast", "3"]);
    let seeds = ["fd77::1", "[fd77::1]:26633", "fe80::1%eth0"];
    for seed in seeds {
        let mut listeners: Vec<Running> = hosts[..2].iter().map(|host| host.listen(&[])).collect();
        listeners.push(hosts[2].listen(&["--peer", seed]));
        all_meet(&listeners, &hosts);
        for more in [&["--peer", seed][..], &["--no-multicast", "--peer", seed]] {
            assert_eq!(hosts[2].peers(more)["host1"]["path"], "unicast");
        }
        all_hear_each_once(&listeners, &hosts, &["--peer", "fd77::1"]);
    }
}

/// Nobody is named, but the hosts have had to do with each other.
#[test]
fn without_ipv4_neighbours_are_found_where_multicast_is_blocked() {
    let lab = lab_or_skip!(2);
    let hosts = without_ipv4(&lab);
    for host in ["1", "2"] {
        lab.lan(&["block-multicast", host]);
    }
    // A datagram to a port at which nobody listens leaves an entry in both neighbour tables.
    hosts[0].throw("fe80::2%eth0:9", &[b"anything".to_vec()]);
    let [a, b] = [&hosts[0], &hosts[1]].map(|host| host.listen(&[]));
    a.wait_event("joined", "host2");
    b.wait_event("joined", "host1");
}

#[test]
fn without_ipv4_a_host_with_two_interfaces_reaches_both_lans() {
    let lab = lab_or_skip!(3);
    for host in ["1", "2"] {
        lab.lan(&["second-nic", host]);
    }
    let hosts = without_ipv4(&lab);
    lab.lan(&["link", "2", "unplug"]);
    // Host 2 is on the second LAN only, host 3 on the first.
    let listeners: Vec<Running> = hosts.iter().map(|host| host.listen(&[])).collect();
    for nick in ["host2", "host3"] {
        listeners[0].wait_event("joined", nick);
    }
    hosts[0].say("on both");
    listeners[1].wait_message("on both");
    listeners[2].wait_message("on both");
    let peers = hosts[0].peers(&["--iface", "fd78::1"]);
    assert_eq!(peers.keys().collect::<Vec<_>>(), ["host1", "host2"]);
}

/// With `--ttl` above 1 everything goes to the groups that routers pass on as well.
#[test]
fn what_comes_by_the_groups_of_the_link_and_of_the_site_is_shown_once() {
    let lab = lab_or_skip!(2);
    let hosts = without_ipv4(&lab);
    let listeners: Vec<Running> = hosts.iter().map(|host| host.listen(&["--ttl", "2"])).collect();
    all_meet(&listeners, &hosts);
    all_hear_each_once(&listeners, &hosts, &["--ttl", "2"]);
    let passed = lab.lan(&["mdb"]);
    for group in [LOBBY, "ff05::efff:4b5d"] {
        assert!(passed.lines().any(|line| line == format!("p1 {group}")), "{passed}");
    }
}

/// As after a link has come up: the kernel asks the LAN whether anybody else has the address.
#[test]
fn an_address_that_is_still_tried_is_used_as_soon_as_it_is_fit() {
    let lab = lab_or_skip!(2);
    let hosts = lab.hosts();
    lab.lan(&["only4", "1"]);
    lab.lan(&["only6", "2"]);
    let listeners: Vec<Running> = hosts.iter().map(|host| host.listen(&[])).collect();
    let add = ["-6", "addr", "add", "fe80::1/64", "dev", "eth0"];
    assert!(hosts[0].program("ip").args(add).status().unwrap().success());
    all_meet(&listeners, &hosts);
    let peers = hosts[0].user("asker").peers(&[]);
    assert!(address(&peers["host2"]).starts_with("[fe80::2%"), "{peers:?}");
    let down = |v: &Value| v["event"] == "link" && v["state"] == "down";
    assert!(listeners[0].json_so_far(down).is_empty(), "{:?}", listeners[0].lines_so_far());
}

#[test]
fn a_peer_is_one_and_shown_by_ipv4_where_both_are_spoken() {
    let lab = lab_or_skip!(4);
    lab.lan(&["only4", "2"]);
    lab.lan(&["only6", "3"]);
    let hosts = lab.hosts();
    // 1 and 4 have both.
    let listeners: Vec<Running> = hosts.iter().map(|host| host.listen(&[])).collect();
    for at in [0, 3] {
        for other in hosts.iter().filter(|other| other.nick() != hosts[at].nick()) {
            listeners[at].wait_event("joined", other.nick());
        }
    }
    for time in 1..=5 {
        let peers = hosts[0].user("asker").peers(&[]);
        let addresses: Vec<String> = peers
            .values()
            .map(|peer| address(peer).rsplit_once(':').unwrap().0.replace(['[', ']'], ""))
            .map(|addr| addr.split('%').next().unwrap().to_owned())
            .collect();
        let expected = ["10.77.0.1", "10.77.0.2", "fe80::3", "10.77.0.4"];
        assert_eq!(addresses, expected, "time {time}: {peers:#?}");
    }
    // Who shares a version hears each other.
    for (speaker, hearers) in [(0, vec![1, 2, 3]), (1, vec![0, 3]), (2, vec![0, 3])] {
        let text = format!("from {}", hosts[speaker].nick());
        hosts[speaker].user("speaker").say(&text);
        for hearer in hearers {
            listeners[hearer].wait_message(&text);
        }
    }
    let heard = listeners[0].texts();
    assert_eq!(heard.len(), 3, "nothing comes twice: {heard:?}");
    let alone = hosts[1].peers(&[]);
    assert_eq!(alone.keys().collect::<Vec<_>>(), ["host1", "host2", "host4"]);
}

#[test]
fn a_host_that_loses_its_ipv4_address_goes_on_by_ipv6_and_comes_back() {
    let lab = lab_or_skip!(2);
    let hosts = lab.hosts();
    let listeners: Vec<Running> = hosts.iter().map(|host| host.listen(&[])).collect();
    all_meet(&listeners, &hosts);
    lab.lan(&["only6", "2"]);
    let listed = |version: &str| {
        eventually(version, || {
            let peers = hosts[0].user("asker").peers(&[]);
            address(peers.get("host2")?).starts_with(version).then_some(())
        });
    };
    listed("[fe80::2%");
    hosts[1].user("speaker").say("by IPv6");
    listeners[0].wait_message("by IPv6");
    hosts[0].user("speaker2").say("to IPv6");
    listeners[1].wait_message("to IPv6");
    lab.lan(&["link", "2", "up"]);
    listed("10.77.0.2:");
    let left = |v: &Value| v["event"] == "left" || v["event"] == "dead";
    assert!(listeners[0].json_so_far(|v| left(v) && v["peer"]["nick"] == "host2").is_empty());
}
