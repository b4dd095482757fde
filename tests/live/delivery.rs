//! What was said arrives: in order, once, at everyone who was there, whatever is lost on the way and
//! whoever has died meanwhile; and those who come late are told.

use std::collections::BTreeMap;

use serde_json::Value;

use crate::host::Host;
use crate::lab::lab_or_skip;
use crate::lines::eventually;
use crate::running::Running;

/// Waits until each of these has met all the others.
#[track_caller]
fn all_meet(listeners: &[Running], hosts: &[Host]) {
    for (listener, own) in listeners.iter().zip(hosts) {
        for other in hosts.iter().filter(|other| other.nick() != own.nick()) {
            listener.wait_event("joined", other.nick());
        }
    }
}

/// The texts that a listener has shown of each author, history apart, in their order.
fn heard(listener: &Running) -> BTreeMap<String, Vec<String>> {
    let mut heard: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for message in listener.json_so_far(|object| object["event"] == "message") {
        if message["history"] != true {
            let author = message["from"]["nick"].as_str().unwrap().to_owned();
            heard.entry(author).or_default().push(message["text"].as_str().unwrap().to_owned());
        }
    }
    heard
}

/// `count` messages of an author, some of them long.
fn messages(author: &str, count: usize) -> Vec<String> {
    let length = |n: usize| if n % 10 == 9 { 20_000 } else { 20 + n % 400 };
    (0..count).map(|n| format!("{author} {n} {}", "x".repeat(length(n)))).collect()
}

#[test]
fn everything_arrives_in_order_and_once_where_every_host_loses_a_fifth() {
    let lab = lab_or_skip!(4);
    let hosts = lab.hosts();
    let mut listeners: Vec<Running> =
        hosts.iter().map(|host| host.cooee(&["chat", "--json"])).collect();
    all_meet(&listeners, &hosts);
    for number in 1..=hosts.len() {
        lab.lan(&["loss", &number.to_string(), "20"]);
    }
    let count = 60;
    for (listener, host) in listeners.iter_mut().zip(&hosts) {
        for message in messages(host.nick(), count) {
            listener.type_line(&message);
        }
    }
    for (listener, own) in listeners.iter().zip(&hosts) {
        for author in hosts.iter().filter(|author| author.nick() != own.nick()) {
            let all = messages(author.nick(), count);
            listener.wait_message(all.last().unwrap());
            assert_eq!(heard(listener)[author.nick()], all);
        }
    }
}

#[test]
fn a_host_whose_cable_was_out_has_everything_soon_after() {
    let lab = lab_or_skip!(3);
    let hosts = lab.hosts();
    let listeners: Vec<Running> = hosts.iter().map(|host| host.listen(&["--events"])).collect();
    all_meet(&listeners, &hosts);
    let mut speaker = hosts[0].user("speaker").cooee(&["chat", "--json"]);
    listeners[2].wait_event("joined", "speaker");
    speaker.wait_event("joined", "host3");
    speaker.type_line("before");
    listeners[2].wait_message("before");
    lab.lan(&["link", "3", "unplug"]);
    listeners[1].wait_event("dead", "host3");
    let texts: Vec<String> = (0..100).map(|n| format!("meanwhile {n}")).collect();
    speaker.type_all(texts.clone().into_iter());
    listeners[1].wait_message("meanwhile 99");
    lab.lan(&["link", "3", "up"]);
    listeners[2].wait_message("meanwhile 99");
    let mut all = vec!["before".to_owned()];
    all.extend(texts);
    assert_eq!(heard(&listeners[2])["speaker"], all);
}

/// Each command is a run of its own.
#[test]
fn what_one_host_says_by_several_commands_comes_in_order_to_who_was_cut_off() {
    let lab = lab_or_skip!(3);
    let hosts = lab.hosts();
    let listeners: Vec<Running> =
        hosts[1..].iter().map(|host| host.listen(&["--events"])).collect();
    all_meet(&listeners, &hosts[1..]);
    lab.lan(&["link", "3", "unplug"]);
    listeners[0].wait_event("dead", "host3");
    let texts: Vec<String> = (0..10).map(|n| format!("meanwhile {n}")).collect();
    for text in &texts {
        assert_eq!(hosts[0].run(&["say", text]).code, Some(0));
    }
    lab.lan(&["link", "3", "up"]);
    assert_eq!(hosts[0].run(&["say", "afterwards"]).code, Some(0));
    listeners[1].wait_message("afterwards");
    let all = [&texts[..], &["afterwards".to_owned()]].concat();
    for listener in &listeners {
        assert_eq!(heard(listener)["host1"], all);
    }
}

#[test]
fn what_anybody_has_of_an_author_that_was_killed_all_get() {
    let lab = lab_or_skip!(4);
    let hosts = lab.hosts();
    let listeners: Vec<Running> =
        hosts[..3].iter().map(|host| host.listen(&["--events"])).collect();
    let mut author = hosts[3].cooee(&["chat", "--json"]);
    for listener in &listeners {
        listener.wait_event("joined", "host4");
    }
    for host in &hosts[..3] {
        author.wait_event("joined", host.nick());
    }
    for number in 1..=3 {
        lab.lan(&["loss", &number.to_string(), "30"]);
    }
    for n in 0..100 {
        author.type_line(&format!("last words {n}"));
    }
    // As soon as the first of it is anywhere.
    listeners[0].wait_message("last words 0");
    author.kill();
    for listener in &listeners {
        listener.wait_event("dead", "host4");
    }
    // By then nobody hears it any more; who has most of it tells the others.
    let said = |listener: &Running| heard(listener).remove("host4").unwrap();
    let most = listeners.iter().map(said).max_by_key(Vec::len).unwrap();
    for listener in &listeners {
        listener.wait_message(most.last().unwrap());
        assert_eq!(said(listener), most);
    }
}

fn history(host: &Host) -> Vec<Value> {
    host.ask_agent(&["history", "--json", "--limit", "10000"]).json()
}

#[test]
fn an_agent_that_comes_late_gets_the_last_messages_though_their_author_is_gone() {
    let lab = lab_or_skip!(3);
    let [author, keeper, late] = [1, 2, 3].map(|number| lab.host(number));
    let first = keeper.agent(&[]);
    let mut chat = author.cooee(&["chat", "--json"]);
    chat.wait_event("joined", "host2");
    chat.type_all((0..500).map(|n| format!("long ago {n}")));
    eventually("the keeper has it all", || (history(&keeper).len() == 500).then_some(()));
    drop(chat);
    // It has them from its history only: it has started again.
    keeper.ask_agent(&["stop"]).exits(0);
    first.wait_for_end();
    let _keeper = keeper.agent(&[]);
    let _late = late.agent(&[]);
    eventually("the late one has the last fifty", || (history(&late).len() >= 50).then_some(()));
    let texts: Vec<String> =
        history(&late).iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect();
    let last: Vec<String> = (450..500).map(|n| format!("long ago {n}")).collect();
    assert_eq!(texts, last);
    assert!(history(&late).iter().all(|message| message["verified"] == true));
    // What is said from now on is no history, and comes behind it.
    let listener = late.client(&["listen", "--json", "--history", "2"]);
    listener.wait_message("long ago 499");
    author.say("and now");
    listener.wait_message("and now");
    let texts = listener.texts();
    assert_eq!(texts, ["long ago 498", "long ago 499", "and now"]);
}

#[test]
fn an_agent_that_was_away_gets_what_it_missed() {
    let lab = lab_or_skip!(3);
    let [author, keeper, away] = [1, 2, 3].map(|number| lab.host(number));
    let _keeper = keeper.agent(&[]);
    let agent = away.agent(&[]);
    let mut chat = author.cooee(&["chat", "--json"]);
    for nick in ["host2", "host3"] {
        chat.wait_event("joined", nick);
    }
    chat.type_line("before");
    eventually("it is heard", || (history(&away).len() == 1).then_some(()));
    agent.kill();
    chat.type_all((0..200).map(|n| format!("missed {n}")));
    eventually("the keeper has it all", || (history(&keeper).len() == 201).then_some(()));
    drop(chat);
    let _agent = away.agent(&[]);
    eventually("what was missed is there", || (history(&away).len() == 201).then_some(()));
    let texts: Vec<String> =
        history(&away).iter().map(|m| m["text"].as_str().unwrap().to_owned()).collect();
    assert_eq!(texts[0], "before");
    assert_eq!(texts[1..], (0..200).map(|n| format!("missed {n}")).collect::<Vec<_>>());
}

#[test]
fn a_newcomer_is_shown_the_last_messages_in_the_chat_and_not_by_listen() {
    let lab = lab_or_skip!(3);
    let [author, chatter, listener] = [1, 2, 3].map(|number| lab.host(number));
    let mut first = author.cooee(&["chat", "--json"]);
    let other = author.user("other").listen(&[]);
    first.wait_event("joined", "other");
    for n in 0..3 {
        first.type_line(&format!("old {n}"));
    }
    other.wait_message("old 2");
    let chat = chatter.cooee(&["chat", "--json"]);
    let old = chat.wait_message("old 2");
    assert_eq!((&old["history"], &old["verified"]), (&true.into(), &true.into()));
    assert_eq!(chat.texts(), ["old 0", "old 1", "old 2"]);
    // Both go on for longer than it takes to fetch what there is.
    let listening = listener.listen(&["--events", "--for", "4s"]);
    let curious = listener.user("curious").listen(&["--events", "--for", "4s", "--history", "2"]);
    curious.wait_message("old 2");
    for one in [&listening, &curious] {
        one.wait_event("joined", "host1");
    }
    for nick in ["host3", "curious"] {
        first.wait_event("joined", nick);
    }
    first.type_line("new");
    for (one, texts) in [(listening, &["new"][..]), (curious, &["old 1", "old 2", "new"])] {
        one.wait_for_end();
        assert_eq!(one.texts(), texts);
    }
}

#[test]
fn through_an_agent_the_past_of_a_channel_is_shown_as_without_one() {
    let lab = lab_or_skip!(3);
    let [author, keeper, late] = [1, 2, 3].map(|number| lab.host(number));
    let mut chat = author.cooee(&["chat", "--json", "--channel", "late"]);
    let other = keeper.listen(&["--channel", "late"]);
    chat.wait_event("joined", "host2");
    for n in 0..120 {
        chat.type_line(&format!("old {n}"));
    }
    other.wait_message("old 119");
    let old = |last: usize| (120 - last..120).map(|n| format!("old {n}")).collect::<Vec<_>>();
    let _agent = late.agent(&[]);
    let listen = |last: &str, more: &[&str]| {
        let args = ["listen", "--json", "--channel", "late", "--history", last];
        late.client(&[&args, more].concat())
    };
    // The agent comes to the channel with the command, and goes with it.
    for _ in 0..2 {
        let first = listen("5", &["--for", "3s"]).finish().exits(0).json();
        assert!(first.iter().all(|message| message["history"] == true), "{first:?}");
        let texts: Vec<_> = first.iter().map(|message| message["text"].clone()).collect();
        assert_eq!(texts, old(5));
    }
    let more = listen("100", &[]);
    more.wait_message("old 119");
    assert_eq!(
        more.texts(),
        old(100),
        "also of what it has not fetched before, and more than usual"
    );
    drop(more);
    let mut talking = late.client(&["chat", "--json", "--channel", "late"]);
    talking.wait_message("old 119");
    assert_eq!(talking.texts(), old(50));
    talking.type_line("/join lobby");

    // Now it is there for a while; what is said then is no history to whom it told it.
    chat.type_line("live 0");
    talking.wait_message("live 0");
    let long = listen("3", &[]);
    long.wait_message("live 0");
    chat.type_line("live 1");
    for one in [&long, &talking] {
        one.wait_message("live 1");
    }
    assert_eq!(long.texts(), ["old 118", "old 119", "live 0", "live 1"]);
    let is_past = |text: &str| long.wait_message(text)["history"] == true;
    assert_eq!(["old 118", "live 0", "live 1"].map(is_past), [true, true, false]);
    assert_eq!(talking.texts(), [old(50), vec!["live 0".to_owned(), "live 1".to_owned()]].concat());
}

#[test]
fn what_is_said_while_an_agent_fetches_the_past_comes_behind_it_and_once() {
    let lab = lab_or_skip!(3);
    let [author, keeper, late] = [1, 2, 3].map(|number| lab.host(number));
    let mut chat = author.cooee(&["chat", "--json", "--channel", "late"]);
    let other = keeper.listen(&["--channel", "late"]);
    chat.wait_event("joined", "host2");
    let _agent = late.agent(&[]);
    let mut said = 0;
    for _ in 0..5 {
        let args = ["listen", "--json", "--channel", "late", "--history", "1000"];
        let listener = late.client(&args);
        let until = said + 200;
        while said < until {
            chat.type_line(&format!("{said}"));
            other.wait_message(&said.to_string());
            said += 1;
        }
        listener.wait_message(&(said - 1).to_string());
        let texts = listener.texts();
        assert_eq!(texts, (0..said).map(|n| n.to_string()).collect::<Vec<_>>());
        let news = |line: &&Value| line["history"] != true;
        let lines = listener.json_so_far(|line| line["event"] == "message");
        assert!(lines.iter().skip_while(|line| !news(line)).all(|line| news(&line)));
    }
}
