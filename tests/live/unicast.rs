//! A host for which multicast does not work takes part by unicast, and nobody has to know.

use std::time::Duration;

use crate::host::Host;
use crate::lab::{Lab, lab_or_skip};
use crate::lines::eventually;
use crate::running::Running;

/// The last host's multicast is blocked both ways; it knows the address of host 1.
const SEED: [&str; 2] = ["--peer", "10.77.0.1"];

#[track_caller]
fn with_the_last_one_blocked(lab: &Lab) -> Vec<Running> {
    let mut hosts = lab.hosts();
    let deaf = hosts.pop().unwrap();
    let deaf_number = (hosts.len() + 1).to_string();
    lab.lan(&["block-multicast", &deaf_number]);
    let mut listeners: Vec<_> = hosts.iter().map(|h| h.listen(&[])).collect();
    listeners.push(deaf.listen(&SEED));
    for listener in &listeners[..hosts.len()] {
        listener.wait_event("joined", deaf.nick());
    }
    for host in &hosts {
        listeners[hosts.len()].wait_event("joined", host.nick());
    }
    listeners
}

/// Every host says something once; everyone must hear each once.
#[track_caller]
fn everyone_hears_everyone(lab: &Lab, listeners: &[Running], word: &str) {
    for host in lab.hosts() {
        let text = format!("{word} from {}", host.nick());
        host.run(&[&["say", &text][..], &SEED].concat()).exits(0);
    }
    for listener in listeners {
        for host in lab.hosts() {
            listener.wait_message(&format!("{word} from {}", host.nick()));
        }
    }
}

#[track_caller]
fn nothing_came_twice(listeners: &[Running]) {
    for listener in listeners {
        let mut texts = listener.texts();
        let all = texts.len();
        texts.sort();
        texts.dedup();
        assert_eq!(texts.len(), all, "{:#?}", listener.texts());
    }
}

/// The path to `nick` in what `asker` lists.
fn path(asker: &Host, nick: &str) -> Option<String> {
    let peers = asker.peers(&SEED);
    Some(peers.get(nick)?["path"].as_str()?.to_owned())
}

#[test]
fn a_blocked_host_is_listed_lists_all_and_talks_both_ways() {
    let lab = lab_or_skip!(4);
    let listeners = with_the_last_one_blocked(&lab);

    let asker = lab.host(2).user("asker");
    let seen = asker.peers(&[]);
    assert_eq!(seen.keys().collect::<Vec<_>>(), ["host1", "host2", "host3", "host4"]);
    assert_eq!(seen["host4"]["path"], "unicast");
    assert_eq!(seen["host3"]["path"], "multicast");

    let blocked = lab.host(4).user("blocked asker");
    let from_blocked = blocked.peers(&SEED);
    assert_eq!(from_blocked.keys().collect::<Vec<_>>(), ["host1", "host2", "host3", "host4"]);
    assert_eq!(from_blocked["host1"]["path"], "unicast");

    everyone_hears_everyone(&lab, &listeners, "first");
    everyone_hears_everyone(&lab, &listeners, "second");
    nothing_came_twice(&listeners);
}

#[test]
fn when_the_block_goes_paths_go_back_to_multicast_and_nothing_comes_twice() {
    let lab = lab_or_skip!(3);
    let listeners = with_the_last_one_blocked(&lab);
    everyone_hears_everyone(&lab, &listeners, "blocked");

    lab.lan(&["unblock", "3"]);
    // The kernel repeats its reports for some seconds, each group for itself, so the block may go
    // between those for the group and those for the lobby.
    lab.lan(&["forget", "3", "239.255.75.93"]);
    everyone_hears_everyone(&lab, &listeners, "unblocked");
    let asker = lab.host(2).user("asker");
    eventually("the path to host3 is multicast again", || {
        path(&asker, "host3").filter(|path| path == "multicast")
    });
    everyone_hears_everyone(&lab, &listeners, "later");
    nothing_came_twice(&listeners);
}

#[test]
fn a_block_that_comes_while_running_stops_nobody() {
    let lab = lab_or_skip!(3);
    let [a, b, c] = [1, 2, 3].map(|i| lab.host(i).listen(&[]));
    for nick in ["host1", "host2"] {
        c.wait_event("joined", nick);
    }
    lab.lan(&["block-multicast", "3"]);
    let listeners = [a, b, c];
    everyone_hears_everyone(&lab, &listeners, "blocked");
    nothing_came_twice(&listeners);
    for (listener, nick) in listeners.iter().zip(["host3", "host3", "host1"]) {
        let event = listener.wait_event("path", nick);
        assert_eq!(event["peer"]["path"], "unicast");
    }
}

#[test]
fn a_switch_that_has_forgotten_a_host_is_reminded() {
    let lab = lab_or_skip!(3);
    lab.snooping();
    let listeners = [1, 2, 3].map(|i| lab.host(i).listen(&[]));
    for nick in ["host1", "host2"] {
        listeners[2].wait_event("joined", nick);
    }
    let known = || ["239.255.26.33", "239.255.75.93"].map(|group| lab.switch_passes(group, 3));
    eventually("the switch knows host 3", || (known() == [true, true]).then_some(()));
    // The kernel repeats its report of each group once within 10 s of its own accord (RFC 2236
    // §8.10), which could bring back one of the two alone.
    listeners[2].no_event_for(Duration::from_secs(11), "dead", "host1");
    eventually("the switch forgets host 3", || {
        lab.lan(&["forget", "3"]);
        (known() == [false, false]).then_some(())
    });
    eventually("the switch knows host 3 again", || (known() == [true, true]).then_some(()));
    everyone_hears_everyone(&lab, &listeners, "again");
    nothing_came_twice(&listeners);
}

#[test]
fn without_multicast_everything_goes_by_unicast() {
    let lab = lab_or_skip!(3);
    let first = lab.host(1).listen(&["--no-multicast"]);
    let others = [2, 3].map(|i| lab.host(i).listen(&["--no-multicast", "--peer", "10.77.0.1"]));
    others[0].wait_event("joined", "host3");
    others[1].wait_event("joined", "host2");
    let words = ["say", "by hand", "--no-multicast", "--peer", "10.77.0.1"];
    lab.host(2).user("speaker").run(&words).exits(0);
    for listener in others.iter().chain([&first]) {
        assert_eq!(listener.wait_message("by hand")["from"]["nick"], "speaker");
    }
    // Nothing but the kernel's own memberships.
    let joined = lab.memberships(1);
    assert!(joined.iter().all(|line| line.contains("224.0.0.")), "{joined:?}");
}

#[test]
fn a_command_on_the_seed_does_not_hide_who_stays_there() {
    let lab = lab_or_skip!(2);
    let _stays = lab.host(1).listen(&[]);
    let seed = lab.host(1).user("passing");
    let mut saying = seed.cooee(&["say", "-"]);
    let watching = seed.cooee(&["peers", "--watch", "--json"]);
    watching.wait_for_line("who stays", |line| line.contains("host1"));
    saying.type_line("I am here, too");
    let peers = lab.host(2).peers(&["--no-multicast", "--peer", "10.77.0.1"]);
    assert_eq!(peers.keys().collect::<Vec<_>>(), ["host1"]);
}

/// Multicast is filtered everywhere, and nobody is named; but the hosts have had to do with each
/// other.
#[test]
fn where_multicast_is_filtered_neighbours_are_found() {
    let lab = lab_or_skip!(2);
    let hosts = [1, 2].map(|i| lab.host(i));
    for host in ["1", "2"] {
        lab.lan(&["block-multicast", host]);
    }
    // A datagram to a port at which nobody listens leaves an entry in both neighbour tables.
    hosts[0].throw("10.77.0.2:9", &[b"anything".to_vec()]);
    let [a, b] = [&hosts[0], &hosts[1]].map(|host| host.listen(&[]));
    a.wait_event("joined", "host2");
    b.wait_event("joined", "host1");
    assert_eq!(hosts[0].peers(&[])["host2"]["path"], "unicast");
    hosts[1].say("by unicast");
    a.wait_message("by unicast");
}

#[test]
fn who_was_a_peer_once_is_found_again_where_multicast_works_no_more() {
    let lab = lab_or_skip!(2);
    let hosts = [1, 2].map(|i| lab.host(i));
    let listener = hosts[1].listen(&[]);
    let agent = hosts[0].agent(&[]);
    listener.wait_event("joined", "host1");
    eventually("the agent knows host2", || {
        (hosts[0].ask_agent(&["peers"]).code == Some(0)).then_some(())
    });
    hosts[0].ask_agent(&["stop"]).exits(0);
    agent.wait_for_end();
    for host in ["1", "2"] {
        lab.lan(&["block-multicast", host]);
    }
    let flushed = hosts[0].program("ip").args(["neigh", "flush", "all"]).status().unwrap();
    assert!(flushed.success());
    let _again = hosts[0].agent(&[]);
    // Who asks so soon waits until the agent has looked around.
    hosts[0].ask_agent(&["peers"]).exits(0);
}

/// Makes an interface of a host what most tunnels are: it does not multicast, has an address of its own
/// and no subnet, and a route leads to the other end.
#[track_caller]
fn make_tunnel(lab: &Lab, number: usize, iface: &str) {
    let host = lab.host(number);
    lab.lan(&["only4", &number.to_string()]);
    for words in [
        format!("link set {iface} multicast off"),
        format!("addr flush dev {iface}"),
        format!("addr add 10.9.0.{number}/32 dev {iface}"),
        format!("route add 10.9.0.{}/32 dev {iface}", 3 - number),
    ] {
        assert!(host.program("ip").args(words.split(' ')).status().unwrap().success(), "{words}");
    }
}

/// Two hosts that have met by `--peer` once, through a tunnel, start again without.
#[track_caller]
fn find_each_other_again_through_a_tunnel(lab: &Lab) -> [Running; 2] {
    let hosts = [1, 2].map(|i| lab.host(i));
    let far = ["10.9.0.2", "10.9.0.1"];
    let agents = [0, 1].map(|i| hosts[i].agent(&["--peer", far[i]]));
    for (host, other) in [(&hosts[0], "host2"), (&hosts[1], "host1")] {
        let knows = || host.ask_agent(&["peers"]).stdout.contains(other).then_some(());
        eventually("they know each other", knows);
    }
    for (host, agent) in hosts.iter().zip(agents) {
        host.ask_agent(&["stop"]).exits(0);
        agent.wait_for_end();
    }
    let second = hosts[1].agent(&[]);
    let first = hosts[0].agent(&[]);
    let listener = hosts[0].client(&["listen", "--json", "--events"]);
    let knows = || hosts[0].ask_agent(&["peers", "--json"]).json().into_iter();
    let found = eventually("host2 is found again", || knows().find(|p| p["nick"] == "host2"));
    assert_eq!(found["path"], "unicast");
    hosts[1].ask_agent(&["say", "through the tunnel"]).exits(0);
    listener.wait_message("through the tunnel");
    // It was never otherwise, so that is no news.
    let news = listener.json_so_far(|line| line["event"] == "path");
    assert!(news.is_empty(), "{news:?}");
    [first, second]
}

#[test]
fn beyond_a_tunnel_without_multicast_peers_of_earlier_runs_are_found_again() {
    let lab = lab_or_skip!(2);
    for number in [1, 2] {
        make_tunnel(&lab, number, "eth0");
    }
    let _agents = find_each_other_again_through_a_tunnel(&lab);
    let links = lab.host(1).run(&["links", "--json"]).exits(0).json();
    let eth0 = links.iter().find(|row| row["name"] == "eth0").unwrap();
    assert_eq!((&eth0["used"], &eth0["path"]), (&true.into(), &"unicast".into()));
    assert!(eth0["why"].as_str().unwrap().contains("does not multicast"), "{eth0}");
}

#[test]
fn a_tunnel_is_used_beside_a_lan_on_which_others_are_known() {
    let lab = lab_or_skip!(3);
    for number in [1, 2] {
        lab.lan(&["second-nic", &number.to_string()]);
        make_tunnel(&lab, number, "eth1");
    }
    lab.lan(&["link", "2", "down"]);
    let _on_the_lan = lab.host(3).listen(&[]);
    let _agents = find_each_other_again_through_a_tunnel(&lab);
    let lines = lab.host(1).ask_agent(&["peers", "--json"]).json();
    let path = |nick: &str| lines.iter().find(|p| p["nick"] == nick).map(|p| p["path"].clone());
    assert_eq!(path("host3"), Some("multicast".into()));
    assert_eq!(path("host2"), Some("unicast".into()));
}

/// A switch that snoops relies on a router that asks who listens. Where there is none it forgets
/// everybody, and what goes to the group reaches nobody.
#[test]
fn where_the_switch_asks_nobody_any_more_everything_goes_on_by_unicast_until_it_does() {
    let lab = lab_or_skip!(3);
    let listeners = [1, 2, 3].map(|i| lab.host(i).listen(&[]));
    for nick in ["host2", "host3"] {
        listeners[0].wait_event("joined", nick);
    }
    lab.lan(&["querier", "off", "1"]);
    everyone_hears_everyone(&lab, &listeners, "right after");
    let quiet = listeners[0].wait_event("path", "host2");
    assert_eq!(quiet["peer"]["path"], "unicast");
    everyone_hears_everyone(&lab, &listeners, "by unicast");
    lab.lan(&["querier", "on"]);
    listeners[0].wait_json("host2 is heard by multicast again", |line| {
        line["event"] == "path"
            && line["peer"]["nick"] == "host2"
            && line["peer"]["path"] == "multicast"
    });
    everyone_hears_everyone(&lab, &listeners, "again");
    nothing_came_twice(&listeners);
}
