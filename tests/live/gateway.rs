//! The agent's line gateway, used with `nc` as a person would, and as nobody should.

use serde_json::Value;

use crate::host::Host;
use crate::lab::lab_or_skip;
use crate::lines::eventually;
use crate::running::Running;

/// Where the gateways of the tests listen; each host of each lab has a loopback of its own.
const HERE: [&str; 2] = ["127.0.0.1", "3000"];

/// An agent with a gateway for its own host.
#[track_caller]
fn agent(host: &Host, more: &[&str]) -> Running {
    agent_at(host, "127.0.0.1:3000", more)
}

#[track_caller]
fn agent_at(host: &Host, addr: &str, more: &[&str]) -> Running {
    let agent = host.cooee(&[&["agent", "--tcp", addr], more].concat());
    agent.wait_for_complaint("the gateway listens", |line| line.contains("the gateway listens"));
    agent
}

/// Somebody with `nc` who was asked for a nick.
#[track_caller]
fn stranger(host: &Host, [addr, port]: [&str; 2]) -> Running {
    let nc = host.start_program(&["nc", addr, port]);
    nc.wait_for_line("the question for a nick", |line| line.contains("which nick?"));
    nc
}

/// The same, who has given one.
#[track_caller]
fn guest(host: &Host, nick: &str) -> Running {
    guest_from(host, HERE, nick)
}

#[track_caller]
fn guest_from(host: &Host, at: [&str; 2], nick: &str) -> Running {
    let mut nc = stranger(host, at);
    nc.type_line(nick);
    sees(&nc, &format!("you are {nick} in #lobby"));
    nc
}

/// Waits for a line with this in it.
#[track_caller]
fn sees(nc: &Running, text: &str) -> String {
    nc.wait_for_line(text, |line| line.contains(text))
}

/// Waits until the agent of host 1 tells the LAN that so many are connected.
#[track_caller]
fn told_of(listener: &Running, count: &str) -> Value {
    listener.wait_json(&format!("gateway={count}"), |v| {
        v["peer"]["nick"] == "host1" && v["peer"]["tags"]["gateway"] == count
    })
}

#[test]
fn who_has_nothing_but_nc_takes_part_as_a_peer_like_any_other() {
    let lab = lab_or_skip!(2);
    let _agent = agent(&lab.host(1), &[]);
    let listener = lab.host(2).listen(&[]);
    let mut ada = guest(&lab.host(1), "ada");
    sees(&ada, "* here: ");
    let joined = listener.wait_event("joined", "ada");
    assert_eq!(joined["peer"]["tags"]["via"], "gateway");

    ada.type_line("hello");
    let hello = listener.wait_message("hello");
    assert_eq!((&hello["from"]["nick"], &hello["verified"]), (&"ada".into(), &true.into()));
    lab.host(2).say("hello back");
    sees(&ada, "#lobby host2: hello back");

    ada.type_line("\\who");
    let row = sees(&ada, "10.77.0.2");
    assert!(row.starts_with("host2 "), "{row}");
    ada.type_line("\\rename ada lovelace");
    listener.wait_event("renamed", "ada lovelace");
    ada.type_line("/close");
    listener.wait_event("left", "ada lovelace");
    assert_eq!(ada.wait_for_end().last().unwrap(), "* goodbye");
    let peers = lab.host(2).peers(&[]);
    assert!(!peers.contains_key("ada lovelace"), "{peers:#?}");
}

#[test]
fn how_many_are_connected_is_seen_by_all_and_who_vanishes_frees_everything() {
    let lab = lab_or_skip!(2);
    let host = lab.host(1);
    let agent = agent(&host, &[]);
    let listener = lab.host(2).listen(&[]);
    told_of(&listener, "0");
    let open = || std::fs::read_dir(format!("/proc/{}/fd", agent.pid())).unwrap().count();
    let before = open();
    let ada = guest(&host, "ada");
    sees(&ada, "* here: ");
    let ben = guest(&host, "ben");
    sees(&ada, "* ben joined (2 connected)");
    told_of(&listener, "2");
    let status = host.run(&["status", "--json"]).exits(0).json();
    let gateway = &status[0]["status"]["gateway"];
    assert_eq!((&gateway["clients"], &gateway["addr"]), (&2.into(), &"127.0.0.1:3000".into()));

    ben.kill();
    sees(&ada, "* ben left (1 connected)");
    listener.wait_event("left", "ben");
    told_of(&listener, "1");
    let mut second = stranger(&host, HERE);
    second.type_line("Ada");
    sees(&second, "! somebody here is called Ada already");
    second.type_line("\\rename ben");
    sees(&second, "you are ben in #lobby; 2 connected here");
    assert!(open() > before + 2);
    drop((ada, second));
    eventually("nothing of them is left", || {
        host.run(&["status"]).exits(0);
        (open() == before).then_some(())
    });
}

#[test]
fn things_are_told_to_one_alone_and_said_in_channels() {
    let lab = lab_or_skip!(2);
    let _agent = agent(&lab.host(1), &[]);
    let lobby = lab.host(2).listen(&[]);
    let ops = lab.host(2).user("ops").listen(&["--channel", "ops"]);
    let mut ada = guest(&lab.host(1), "ada");
    lobby.wait_event("joined", "ada");
    lab.host(2).run(&["say", "--to", "ada", "psst"]).exits(0);
    sees(&ada, "host2 → you: psst");

    ada.type_line("\\msg host2 what?");
    assert_eq!(lobby.wait_message("what?")["direct"], true);
    ada.type_line("\\msg eve hi");
    sees(&ada, "! nobody here is called 'eve'");
    ada.type_line("\\join #ops");
    sees(&ada, "you speak in #ops now");
    ada.type_line("to ops");
    assert_eq!(ops.wait_message("to ops")["channel"], "ops");
    ada.type_line("\\leave");
    sees(&ada, "you have left #ops and speak in #lobby");
    ada.type_line("to the lobby");
    lobby.wait_message("to the lobby");
    assert_eq!(lobby.texts(), ["what?", "to the lobby"]);
    assert_eq!(ops.texts(), ["to ops"]);
}

#[test]
fn what_a_script_sends_at_once_is_said_before_it_goes() {
    let lab = lab_or_skip!(2);
    let _agent = agent(&lab.host(1), &[]);
    let listener = lab.host(2).listen(&[]);
    // Who has just started is not known to everyone yet, so nobody could tell it anything.
    listener.wait_event("joined", "host1");
    listener.wait_json("that it has settled", |v| v["event"] == "settled");
    let mut script = lab.host(1).start_program(&["nc", "-N", HERE[0], HERE[1]]);
    script.type_bytes(b"backup\none\n\\msg host2 two\nthree");
    let output = script.finish().exits(0);
    assert!(output.stdout.ends_with("* goodbye"), "{output:#?}");
    for text in ["one", "two", "three"] {
        listener.wait_message(text);
    }
    listener.wait_event("left", "backup");
}

#[test]
fn nothing_that_steers_a_terminal_and_nothing_of_telnet_gets_through() {
    let lab = lab_or_skip!(2);
    let _agent = agent(&lab.host(1), &[]);
    let listener = lab.host(2).listen(&[]);
    let mut ada = stranger(&lab.host(1), HERE);
    // As telnet begins: WILL SUPPRESS-GO-AHEAD, a window's size with a line's end in it, CR LF.
    ada.type_bytes(b"\xff\xfb\x03ad\xff\xfa\x1f\x00P\x00\n\xff\xf0a\r\n");
    sees(&ada, "you are ada in #lobby");
    sees(&ada, "* here: ");
    lab.host(2).say("\x1b[2J\u{202e}a\u{200b}\u{9b}b");
    let line = sees(&ada, "host2: ");
    assert!(line.contains("\\u{1b}[2J\\u{202e}a\\u{200b}\\u{9b}b"), "{line}");
    assert!(line.ends_with('\r'), "telnet's lines end with CR LF: {line}");

    ada.type_bytes(b"\x80\xfe\r\n");
    sees(&ada, "! the line is not UTF-8 text");
    let long = "x".repeat(5_000);
    ada.type_line(&long);
    sees(&ada, "! a line has at most 4096 bytes");
    ada.type_bytes("gr\u{fc}\u{df}e\0!\x08.\n".as_bytes());
    listener.wait_message("grüße.");
    assert_eq!(listener.texts().len(), 2, "{:?}", listener.texts());
    // Ctrl-C in telnet.
    ada.type_bytes(b"\xff\xf4\xff\xfd\x06");
    listener.wait_event("left", "ada");
    ada.wait_for_end();
}

#[test]
fn one_too_many_is_told_so_until_others_have_gone() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    let _agent = agent(&host, &[]);
    let crowd =
        "for i in {1..64}; do exec {fd}<>/dev/tcp/127.0.0.1/3000; done; echo open; exec cat";
    let crowd = host.start_program(&["bash", "-c", crowd]);
    crowd.wait_for_line("open", |line| line == "open");
    let late = host.start_program(&["nc", HERE[0], HERE[1]]);
    let said = late.wait_for_end().concat();
    assert!(said.contains("! 64 clients are connected, and no more are let in"), "{said}");
    crowd.kill();
    eventually("there is room again", || {
        let late = host.start_program(&["nc", "-N", HERE[0], HERE[1]]).finish();
        late.stdout.contains("which nick?").then_some(())
    });
    let status = host.run(&["status", "--json"]).exits(0).json();
    assert!(status[0]["status"]["counters"]["gateway_refused"].as_u64() >= Some(1), "{status:#?}");
}

#[test]
fn who_types_nothing_is_let_go_and_what_is_no_chat_is_shown_the_door() {
    let lab = lab_or_skip!(2);
    let _agent = agent(&lab.host(1), &["--tcp-idle", "1s"]);
    let listener = lab.host(2).listen(&[]);
    let ada = guest(&lab.host(1), "ada");
    assert_eq!(ada.wait_for_end().last().unwrap(), "! nothing was typed for 1s; goodbye");
    listener.wait_event("left", "ada");
    let mut page = stranger(&lab.host(1), HERE);
    page.type_bytes(b"POST / HTTP/1.1\r\nHost: localhost:3000\r\n\r\nevil\nspam\n");
    let said = page.wait_for_end().concat();
    assert!(said.contains("! this is no web server"), "{said}");
    assert!(listener.texts().is_empty());
}

#[test]
fn a_client_behind_a_cable_that_is_out_is_given_up() {
    let lab = lab_or_skip!(3);
    let _agent = agent_at(&lab.host(1), "10.77.0.1:3000", &["--tcp-public"]);
    let listener = lab.host(3).listen(&[]);
    let there = ["10.77.0.1", "3000"];
    let ada = guest_from(&lab.host(2), there, "ada");
    listener.wait_event("joined", "ada");
    let crowd =
        "for i in {1..15}; do exec {fd}<>/dev/tcp/10.77.0.1/3000; done; echo open; exec cat";
    let crowd = lab.host(2).start_program(&["bash", "-c", crowd]);
    crowd.wait_for_line("open", |line| line == "open");
    let late = lab.host(2).start_program(&["nc", there[0], there[1]]);
    let said = late.wait_for_end().concat();
    assert!(said.contains("! 16 clients of your host are connected already"), "{said}");

    lab.lan(&["link", "2", "unplug"]);
    listener.wait_event("left", "ada");
    drop(ada);
}

#[test]
fn who_does_not_read_is_cut_off_and_holds_up_nobody() {
    let lab = lab_or_skip!(2);
    let host = lab.host(1);
    let _agent = agent(&host, &[]);
    let listener = lab.host(2).listen(&[]);
    let [slow, fast] = ["slow", "fast"].map(|nick| guest(&host, nick));
    listener.wait_event("joined", "slow");
    slow.freeze();
    let text = "x".repeat(60_000);
    for _ in 0..20 {
        lab.host(2).say(&text);
    }
    lab.host(2).say("the last");
    sees(&fast, "host2: the last");
    sees(&fast, "* slow left (1 connected)");
    listener.wait_event("left", "slow");
    let status = host.run(&["status", "--json"]).exits(0).json();
    let counters = &status[0]["status"]["counters"];
    assert_eq!(counters["gateway_cut_off"], 1);
    assert!(counters["gateway_missed"].as_u64() >= Some(1), "{counters}");
}

#[test]
fn when_the_agent_ends_the_clients_are_told_and_their_nodes_say_goodbye() {
    let lab = lab_or_skip!(2);
    let agent = agent(&lab.host(1), &[]);
    let listener = lab.host(2).listen(&[]);
    let ada = guest(&lab.host(1), "ada");
    let nobody = stranger(&lab.host(1), HERE);
    listener.wait_event("joined", "ada");
    agent.interrupt();
    for client in [&ada, &nobody] {
        let said = client.wait_for_end().concat();
        assert!(said.contains("! the agent ends; goodbye"), "{said}");
    }
    for nick in ["ada", "host1"] {
        listener.wait_event("left", nick);
    }
    let output = agent.finish().exits(0);
    let came = output.stderr.lines().find(|line| line.contains("ada came from 127.0.0.1:"));
    assert!(came.is_some(), "{output:#?}");
}

#[test]
fn a_gateway_for_others_and_a_port_in_use_are_refused_with_the_remedy() {
    let lab = lab_or_skip!(1);
    let host = lab.host(1);
    for addr in ["10.77.0.1:3000", "0.0.0.0:3000"] {
        let output = host.run(&["agent", "--tcp", addr]).exits(2);
        assert!(output.stderr.contains("--tcp-public"), "{output:#?}");
    }
    let _agent = agent(&host, &[]);
    let other = host.user("other");
    let output = other.run(&["agent", "--tcp", "127.0.0.1:3000"]).exits(3);
    let says = ["127.0.0.1:3000", "in use", "--tcp"];
    assert!(says.iter().all(|says| output.stderr.contains(says)), "{output:#?}");
    // Nothing was left behind.
    let output = other.run(&["status"]).exits(3);
    assert!(output.stderr.contains("No such file"), "{output:#?}");
}
