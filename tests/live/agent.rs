//! One agent for a host: commands print through it what they print without it, it remembers, and
//! nothing that happens to it or at its socket costs what it has shown.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;

use serde_json::Value;

use crate::host::{Host, ready};
use crate::lab::lab_or_skip;
use crate::lines::eventually;
use crate::running::Running;

/// The names of an object's members, in their order.
fn members(object: &Value) -> Vec<String> {
    object.as_object().unwrap().keys().cloned().collect()
}

/// Waits until the agent of `host` knows the peer called `nick`.
#[track_caller]
fn wait_for_peer(host: &Host, nick: &str) {
    eventually(&format!("the agent knows {nick}"), || {
        let listed = host.ask_agent(&["peers", "--json"]).json();
        listed.iter().any(|peer| peer["nick"] == nick).then_some(())
    });
}

/// What `cooee history --json` prints with these options.
#[track_caller]
fn history(host: &Host, more: &[&str]) -> Vec<Value> {
    host.ask_agent(&[&["history", "--json", "--limit", "1000000"], more].concat()).exits(0).json()
}

fn texts(messages: &[Value]) -> Vec<&str> {
    messages.iter().map(|message| message["text"].as_str().unwrap()).collect()
}

/// A cloned disk, in little.
#[test]
fn of_two_agents_with_one_identity_the_first_takes_a_new_one_if_it_may() {
    for may in [true, false] {
        let lab = lab_or_skip!(3);
        let hosts = lab.hosts();
        let _watcher = hosts[2].listen(&[]);
        for host in &hosts[..2] {
            host.configure(&format!("nick = \"{}\"\nrenew-identity = {may}\n", host.nick()));
        }
        let first = hosts[0].configured_agent();
        let id =
            |host: &Host| host.ask_agent(&["status", "--json"]).json()[0]["about"]["id"].clone();
        let before = id(&hosts[0]);
        fs::create_dir_all(hosts[1].state("")).unwrap();
        for file in ["key.agent", "epoch.agent"] {
            fs::copy(hosts[0].state(file), hosts[1].state(file)).unwrap();
        }
        let second = hosts[1].configured_agent();
        assert_eq!(id(&hosts[1]), before);
        let told = |line: &str| line.contains("another node uses this node's identity");
        first.wait_for_complaint("that there is a clone", told);
        second.wait_for_complaint("that there is a clone", told);
        if may {
            first.wait_for_complaint("a new identity", |line| line.contains("starts again"));
            eventually("the first host as another node", || {
                let peers = hosts[2].peers(&[]);
                let both = peers.get("host1").zip(peers.get("host2"));
                both.filter(|(one, two)| two["id"] == before && one["id"] != before).map(|_| ())
            });
            assert_ne!(id(&hosts[0]), before);
        } else {
            assert_eq!(id(&hosts[0]), before);
            // Until the other one has gone, whom all take for its next run, it is heard by nobody.
            second.kill();
            first.wait_for_complaint("a new run", |line| line.contains("to be heard"));
            eventually("the first host again", || {
                let peers = hosts[2].peers(&[]);
                peers.get("host1").filter(|one| one["id"] == before).map(|_| ())
            });
        }
    }
}

#[test]
fn commands_print_through_it_what_they_print_without_it() {
    let lab = lab_or_skip!(3);
    let [own, with, without] = [1, 2, 3].map(|i| lab.host(i));
    let speaker = own.listen(&[]);
    let _agent = with.agent(&[]);
    let through = with.client(&["listen", "--json", "--events"]);
    let alone = without.listen(&[]);
    for listener in [&through, &alone] {
        listener.wait_event("joined", "host1");
    }
    wait_for_peer(&with, "host3");
    let listed = with.ask_agent(&["peers", "--json"]).exits(0).json();
    let asked = with.user("asker").peers(&[]);
    let nicks = |peers: &[Value]| {
        let mut nicks: Vec<_> = peers.iter().map(|peer| peer["nick"].clone()).collect();
        nicks.sort_by_key(ToString::to_string);
        nicks
    };
    assert_eq!(nicks(&listed), ["host1", "host3"], "not itself, not the commands that use it");
    for peer in &listed {
        assert_eq!(members(peer), members(&asked[peer["nick"].as_str().unwrap()]));
    }
    own.say("to both");
    let [a, b] = [&through, &alone].map(|listener| listener.wait_message("to both"));
    assert_eq!(a, b);
    with.ask_agent(&["say", "from the agent"]).exits(0);
    let [a, b] = [&speaker, &alone].map(|listener| listener.wait_message("from the agent"));
    assert_eq!(a, b);
    assert_eq!((&a["from"]["nick"], &a["verified"]), (&"host2".into(), &true.into()));
    // Another client of the same agent hears it too, as another node of the host would.
    let c = through.wait_message("from the agent");
    assert_eq!((members(&c), &c["seq"]), (members(&a), &a["seq"]));
}

#[test]
fn who_told_one_peer_hears_whether_it_has_arrived() {
    let lab = lab_or_skip!(2);
    let listener = lab.host(1).listen(&[]);
    let host = lab.host(2);
    let _agent = host.agent(&[]);
    wait_for_peer(&host, "host1");
    host.ask_agent(&["say", "--to", "host1", "for you alone"]).exits(0);
    assert_eq!(listener.wait_message("for you alone")["direct"], true);
    host.ask_agent(&["say", "--to", "nobody", "hello?"]).exits(1);
    assert_eq!(texts(&history(&host, &[])), ["for you alone"]);
}

#[test]
fn two_users_on_one_host_have_an_agent_each() {
    let lab = lab_or_skip!(2);
    let [ada, ben] = ["ada", "ben"].map(|nick| lab.host(1).user(nick));
    let _agents = [ada.agent(&[]), ben.agent(&[])];
    wait_for_peer(&ada, "ben");
    wait_for_peer(&ben, "ada");
    let listener = ben.client(&["listen", "--json", "--events"]);
    listener.wait_event("joined", "ada");
    ada.ask_agent(&["say", "hello, ben"]).exits(0);
    assert_eq!(listener.wait_message("hello, ben")["from"]["nick"], "ada");
}

/// Its history has what nobody else was there to hear.
#[test]
fn what_an_agent_said_while_its_cable_was_out_is_heard_though_it_has_started_again_since() {
    let lab = lab_or_skip!(2);
    let [ada, ben] = [1, 2].map(|i| lab.host(i));
    let (_there, away) = (ada.agent(&[]), ben.agent(&[]));
    wait_for_peer(&ada, "host2");
    wait_for_peer(&ben, "host1");
    let listener = ada.client(&["listen", "--json", "--events"]);
    ready(&listener);
    ben.ask_agent(&["say", "before"]).exits(0);
    listener.wait_message("before");
    let witness = ben.client(&["listen", "--json", "--events"]);
    ready(&witness);
    lab.lan(&["link", "2", "unplug"]);
    witness.wait_event("dead", "host1");
    let said = ben.ask_agent(&["say", "alone"]).exits(0);
    assert!(said.stderr.contains("nobody is here to hear it"), "{}", said.stderr);
    away.terminate();
    assert_eq!(away.finish().code, Some(0));
    let _again = ben.agent(&[]);
    ben.ask_agent(&["say", "alone still"]).exits(0);
    lab.lan(&["link", "2", "up"]);
    listener.wait_message("alone still");
    assert_eq!(listener.texts(), ["before", "alone", "alone still"]);
}

#[test]
fn what_an_agent_says_that_it_said_it_has_kept_though_it_is_killed_at_once() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    for n in 0..10 {
        let agent = host.agent(&[]);
        host.ask_agent(&["say", &format!("said {n}")]).exits(0);
        agent.kill();
        agent.finish();
    }
    let _agent = host.agent(&[]);
    let all: Vec<String> = (0..10).map(|n| format!("said {n}")).collect();
    assert_eq!(texts(&history(&host, &[])), all);
}

/// It had no time to note how far it had got, but its history has it.
#[test]
fn who_was_away_hears_in_order_what_an_agent_said_before_it_was_killed_and_since() {
    let lab = lab_or_skip!(3);
    let [ada, ben, carol] = [1, 2, 3].map(|i| lab.host(i));
    let (killed, _others) = (ada.agent(&[]), [ben.agent(&[]), carol.agent(&[])]);
    for host in [&ben, &carol] {
        wait_for_peer(host, "host1");
        wait_for_peer(&ada, host.nick());
    }
    let listener = carol.client(&["listen", "--json", "--events"]);
    ready(&listener);
    ada.ask_agent(&["say", "said 0"]).exits(0);
    listener.wait_message("said 0");
    lab.lan(&["link", "3", "unplug"]);
    for n in 1..4 {
        ada.ask_agent(&["say", &format!("said {n}")]).exits(0);
    }
    for host in [&ada, &ben] {
        eventually("what was said to be kept", || (history(host, &[]).len() == 4).then_some(()));
    }
    killed.kill();
    let _again = ada.agent(&[]);
    wait_for_peer(&ada, "host2");
    for n in 4..7 {
        ada.ask_agent(&["say", &format!("said {n}")]).exits(0);
    }
    lab.lan(&["link", "3", "up"]);
    for n in 1..7 {
        listener.wait_message(&format!("said {n}"));
    }
    let all: Vec<String> = (0..7).map(|n| format!("said {n}")).collect();
    assert_eq!(listener.texts(), all);
}

#[test]
fn memberships_nick_tags_and_services_survive_a_restart() {
    let lab = lab_or_skip!(2);
    let [host, other] = [1, 2].map(|i| lab.host(i));
    let watcher = other.listen(&["--channel", "ops", "--channel", "lobby"]);
    // Without `--nick`, which would be the configured one.
    let start = || {
        let agent = host.client(&["agent"]);
        agent.wait_for_complaint("where it listens", |line| line.contains("cooee.sock"));
        agent
    };
    let agent = start();
    host.ask_agent(&["join", "ops"]).exits(0);
    host.ask_agent(&["leave", "lobby"]).exits(0);
    host.ask_agent(&["nick", "web one"]).exits(0);
    host.ask_agent(&["tag", "role=web", "rack=7"]).exits(0);
    host.ask_agent(&["tag", "--remove", "rack"]).exits(0);
    host.ask_agent(&["service", "http=8080"]).exits(0);
    agent.terminate();
    watcher.wait_event("left", "web one");
    assert_eq!(agent.finish().code, Some(0));

    let mark = watcher.mark();
    let _agent = start();
    let come = watcher.wait_json_since(mark, "the agent is back", |v| v["event"] == "joined");
    let peer = &come["peer"];
    assert_eq!(peer["nick"], "web one");
    assert_eq!(peer["channels"], serde_json::json!(["ops"]));
    assert_eq!(peer["tags"], serde_json::json!({"role": "web"}));
    assert_eq!(peer["services"], serde_json::json!({"http": 8080}));
    let found = other.ask_agent(&["peers", "--json", "--service", "http"]).exits(0).json();
    assert_eq!(found[0]["nick"], "web one");
    let channels = host.ask_agent(&["channels", "--json"]).exits(0).json();
    let ops = serde_json::json!({"channel": "ops", "kept": true, "hook": false});
    assert_eq!(channels, [ops]);
}

#[test]
fn a_stale_socket_is_replaced_and_a_live_one_respected() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let agent = host.agent(&[]);
    let mode = fs::metadata(host.socket()).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    let second = host.run(&["agent"]).exits(3);
    assert!(second.stderr.contains("an agent is running already"), "{}", second.stderr);
    assert!(second.stderr.contains("cooee stop"), "{}", second.stderr);
    host.ask_agent(&["status"]).exits(0);
    agent.kill();
    assert_eq!(agent.finish().code, None);
    assert!(host.socket().exists(), "who is killed leaves it behind");
    let agent = host.agent(&[]);
    host.ask_agent(&["stop"]).exits(0);
    assert_eq!(agent.finish().code, Some(0));
    assert!(!host.socket().exists());
    let status = host.ask_agent(&["status"]).exits(3);
    assert!(status.stderr.contains("`cooee agent` starts one"), "{}", status.stderr);
}

#[test]
fn the_history_is_searched_by_channel_words_and_number() {
    let lab = lab_or_skip!(2);
    let host = lab.host(1);
    let _agent = host.agent(&[]);
    host.ask_agent(&["join", "ops"]).exits(0);
    let listener = host.client(&["listen", "--json", "--channel", "ops", "--channel", "lobby"]);
    let speaker = lab.host(2);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    speaker.run(&["say", "--channel", "ops", "disk is full on web1"]).exits(0);
    speaker.run(&["say", "disk? which disk"]).exits(0);
    speaker.run(&["say", "--channel", "elsewhere", "nobody here listens"]).exits(0);
    speaker.run(&["say", "last"]).exits(0);
    listener.wait_message("last");
    assert_eq!(texts(&history(&host, &[])), ["disk is full on web1", "disk? which disk", "last"]);
    assert_eq!(texts(&history(&host, &["--channel", "ops"])), ["disk is full on web1"]);
    assert_eq!(texts(&history(&host, &["--search", "disk full"])), ["disk is full on web1"]);
    // What is searched for is words, never operators of the database.
    host.ask_agent(&["history", "--search", "disk OR last \" * -"]).exits(1);
    assert_eq!(texts(&history(&host, &["--since", "1h"])).len(), 3);
    let last = host.ask_agent(&["history", "--json", "--limit", "1"]).exits(0).json();
    assert_eq!(texts(&last), ["last"]);
    // Members and order are those of what `listen` shows.
    assert_eq!(last[0], listener.wait_message("last"));
}

#[test]
fn what_was_shown_before_a_kill_is_in_the_history_once() {
    const ROUNDS: usize = 20;
    let lab = lab_or_skip!(2);
    let [speaker, host] = [1, 2].map(|i| lab.host(i));
    let mut saying = speaker.cooee(&["say", "-"]);
    let mut said = 0;
    let mut speak = |count: usize| {
        for _ in 0..count {
            said += 1;
            saying.type_line(&format!("number {said}"));
        }
    };
    let mut shown = Vec::new();
    for round in 0..ROUNDS {
        let agent = host.agent(&[]);
        let listener = host.client(&["listen", "--json"]);
        let wanted = 50 + 37 * round;
        eventually("messages flow", || {
            speak(10);
            host.ask_agent(&["status"]).exits(0); // which takes its time
            (listener.mark() >= wanted).then_some(())
        });
        speak(wanted);
        agent.kill();
        drop(agent);
        let ended = listener.finish();
        assert_eq!(ended.code, Some(3), "{}", ended.stderr);
        // The last line may have been cut by the end of the connection, never by the agent.
        shown.extend(ended.json());
    }
    let mut kept: BTreeMap<(String, u64), usize> = BTreeMap::new();
    let number = |v: &Value| (v["epoch"].to_string(), v["seq"].as_u64().unwrap());
    let agent = host.agent(&[]);
    for message in history(&host, &[]) {
        *kept.entry(number(&message)).or_default() += 1;
    }
    drop(agent);
    assert!(shown.len() >= 50 * ROUNDS);
    for message in &shown {
        assert_eq!(kept.get(&number(message)), Some(&1), "{message}");
    }
    assert!(kept.values().all(|count| *count == 1));
}

#[test]
fn a_damaged_history_is_put_aside_and_a_full_disk_costs_only_the_history() {
    let lab = lab_or_skip!(2);
    let [speaker, host] = [1, 2].map(|i| lab.host(i));
    fs::create_dir_all(host.state("")).unwrap();
    fs::write(host.state("history.db"), "this is no database ".repeat(1_000)).unwrap();
    let agent = host.agent(&[]);
    agent.wait_for_complaint("that the history is damaged", |line| line.contains("damaged"));
    let listener = host.client(&["listen", "--json"]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    speaker.say("after the damage");
    listener.wait_message("after the damage");
    assert_eq!(texts(&history(&host, &[])), ["after the damage"]);
    assert!(host.state("history.damaged").exists());
    agent.terminate();
    assert_eq!(agent.finish().code, Some(0));

    // A file system of one page more than the history has now.
    let agent = full_disk(&host);
    let listener = host.client(&["listen", "--json"]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    for number in 0..20 {
        speaker.say(&format!("{number} {}", "much ".repeat(2_000)));
    }
    agent.wait_for_complaint("that nothing is kept", |line| line.contains("NOT kept"));
    speaker.say("still heard");
    listener.wait_message("still heard");
    let status = host.ask_agent(&["status", "--json"]).exits(0).json();
    assert!(!status[0]["status"]["trouble"].is_null(), "{status:?}");
}

#[test]
fn a_history_that_is_removed_under_the_agent_is_begun_anew() {
    let lab = lab_or_skip!(2);
    let [speaker, host] = [1, 2].map(|i| lab.host(i));
    let agent = host.agent(&[]);
    let listener = host.client(&["listen", "--json"]);
    listener.wait_for_complaint("that it listens", |line| line.contains("listening"));
    speaker.say("before");
    listener.wait_message("before");
    fs::remove_file(host.state("history.db")).unwrap();
    // It looks every few seconds, when there is something to be kept.
    eventually("the agent finds that its history is gone", || {
        speaker.say("after");
        host.state("history.db").exists().then_some(())
    });
    agent.wait_for_complaint("that it was removed", |line| line.contains("removed"));
    assert_eq!(texts(&history(&host, &["--limit", "1"])), ["after"]);
}

/// An agent whose state is on a file system that is nearly full.
#[track_caller]
fn full_disk(host: &Host) -> Running {
    let state = host.state("");
    let script = r#"mount -t tmpfs -o size=160k,mode=700 full "$1" && exec "$2" --nick "$3" agent"#;
    let mut command = host.program("unshare");
    command.args(["--mount", "sh", "-c", script, "sh"]);
    command.arg(&state).arg(env!("CARGO_BIN_EXE_cooee")).arg(host.nick());
    let agent = Running::start(format!("[{}] agent on a full disk", host.nick()), &mut command);
    agent.wait_for_complaint("where it listens", |line| line.contains("cooee.sock"));
    agent
}

#[test]
fn the_agent_is_the_same_node_whatever_else_its_user_runs() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let id = |host: &Host| {
        let status = host.ask_agent(&["status", "--json"]).exits(0).json();
        status[0]["about"]["id"].clone()
    };
    let agent = host.agent(&[]);
    let before = id(&host);
    agent.terminate();
    agent.finish().exits(0);
    // A command that took the place of the agent's would have its key now.
    let _listener = host.listen(&["--no-agent"]);
    let _agent = host.agent(&[]);
    assert_eq!(id(&host), before);
}

#[test]
fn a_nick_and_an_absence_of_the_chats_end_with_the_chat() {
    let lab = lab_or_skip!(2);
    let [host, other] = [1, 2].map(|i| lab.host(i));
    let watcher = other.listen(&[]);
    let _agent = host.agent(&[]);
    watcher.wait_event("joined", "host1");
    let mut chat = host.client(&["chat"]);
    chat.type_line("/nick zed");
    watcher.wait_event("renamed", "zed");
    chat.type_line("/away tea");
    watcher.wait_json("that zed is away", |v| v["peer"]["away"] == "tea");
    let mark = watcher.mark();
    chat.type_line("/quit");
    chat.finish().exits(0);
    watcher.wait_json_since(mark, "that host1 is back", |v| {
        v["peer"]["nick"] == "host1" && v["peer"]["away"].is_null()
    });
}

#[test]
fn who_asks_for_the_agents_nick_uses_the_agent() {
    let lab = lab_or_skip!(2);
    let [host, other] = [1, 2].map(|i| lab.host(i));
    let watcher = other.listen(&[]);
    let _agent = host.agent(&[]);
    let peer = watcher.wait_event("joined", "host1");
    host.run(&["say", "by the agent"]).exits(0);
    assert_eq!(watcher.wait_message("by the agent")["from"]["id"], peer["peer"]["id"]);
    let other_nick = host.run(&["--nick", "zed", "say", "by another"]).exits(0);
    assert_ne!(
        watcher.wait_message("by another")["from"]["id"],
        peer["peer"]["id"],
        "{other_nick:?}"
    );
}
