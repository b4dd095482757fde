//! What strangers send does nothing, and what they write never reaches a terminal raw.

use crate::host::{GROUP, Host};
use crate::lab::lab_or_skip;
use crate::running::Running;

/// Where the node called `nick` answers, as `asker` sees it.
#[track_caller]
fn unicast_address(asker: &Host, nick: &str) -> String {
    asker.peers(&[])[nick]["addr"].as_str().unwrap().to_owned()
}

fn random_bytes(count: usize) -> Vec<u8> {
    let mut x = 0x2545_f491_4f6c_dd1d_u64;
    let mut next = || {
        x ^= x << 13;
        x ^= x >> 7;
        x ^= x << 17;
        x as u8
    };
    (0..count).map(|_| next()).collect()
}

/// Datagrams that are nothing, or nearly something.
fn rubbish() -> Vec<Vec<u8>> {
    let noise = random_bytes(64 * 1024);
    let mut all: Vec<_> = (0..60).map(|i| noise[i * 7..i * 7 + i * 20].to_vec()).collect();
    all.push(noise[..65_507].to_vec()); // the most that UDP carries
    all.push(vec![b' '; 65_507]);
    let deep = 30_000;
    all.push(format!(r#"{{"cooee":1,"type":{}"#, "[".repeat(deep)).into_bytes());
    all.push([r#"{"a":"#.repeat(deep / 5), "}".repeat(deep / 5)].concat().into_bytes());
    for text in [
        "",
        "{",
        "{}",
        "[]",
        "null",
        "\"cooee\"",
        r#"{"cooee":2,"type":"say","channel":"lobby","text":"version"}"#,
        r#"{"cooee":"1","type":"say","channel":"lobby","text":"version"}"#,
        r#"{"cooee":-1,"type":"say","channel":"lobby","text":"version"}"#,
        r#"{"cooee":1e999,"type":"say","channel":"lobby","text":"version"}"#,
        r#"{"type":"say","channel":"lobby","text":"no version"}"#,
        r#"{"cooee":1}"#,
        r#"{"cooee":1,"type":"unheard of"}"#,
        r#"{"cooee":1,"type":"say"}"#,
        r#"{"cooee":1,"type":"say","channel":"lobby","text":"cut off"#,
        r#"{"cooee":1,"type":"say","channel":"lobby","text":"with more"} {}"#,
        r#"{"cooee":1,"type":"say","channel":"lobby","text":"half a pair \ud800"}"#,
        r#"{"cooee":1,"type":"say","channel":"lobby","text":"badly signed","sig":"AAAA"}"#,
        r#"{"cooee":1,"key":"AAAA","seal":"AAAA"}"#,
    ] {
        all.push(text.as_bytes().to_vec());
    }
    all.push(
        b"{\"cooee\":1,\"type\":\"say\",\"channel\":\"lobby\",\"text\":\"\xff\xfe\"}".to_vec(),
    );
    all.extend(wrong_types());
    all
}

/// Every member of every type with every kind of value that it does not take.
fn wrong_types() -> impl Iterator<Item = Vec<u8>> {
    let values = ["null", "true", "-7", "1e308", "[[]]", r#"{"x":[]}"#];
    let members = ["channel", "text", "from", "nick", "epoch", "seq", "at", "id", "peers", "tags"];
    ["say", "cast", "hello", "here", "bye", "roster"].into_iter().flat_map(move |kind| {
        members.into_iter().enumerate().map(move |(i, member)| {
            let value = values[i % values.len()];
            format!(r#"{{"cooee":1,"type":"{kind}","{member}":{value}}}"#).into_bytes()
        })
    })
}

#[test]
fn rubbish_to_the_group_and_to_the_node_changes_nothing() {
    let lab = lab_or_skip!(3);
    let [a, b] = [1, 2].map(|i| lab.host(i).listen(&[]));
    let stranger = lab.host(3);
    let node = unicast_address(&stranger, "host1");
    for target in [GROUP, &node] {
        stranger.throw(target, &rubbish());
    }
    lab.host(2).user("ann").say("still here?");
    for listener in [&a, &b] {
        listener.wait_message("still here?");
        assert_eq!(listener.texts(), ["still here?"]);
        // Only those who asked or spoke, and are done.
        let gone = listener.json_so_far(|v| v["event"] == "left" || v["event"] == "dead");
        let done = |nick| nick == "host3" || nick == "ann";
        assert!(gone.iter().all(|v| done(v["peer"]["nick"].as_str().unwrap())), "{gone:#?}");
    }
    assert_eq!(unicast_address(&stranger, "host1"), node, "the node never stopped");
}

#[test]
fn a_datagram_written_by_hand_is_heard_and_marked() {
    let lab = lab_or_skip!(2);
    let objects = lab.host(1).listen(&[]);
    let lines = listening(&lab.host(1).user("reader"));
    let by_hand = r#"{"cooee":1,"type":"say","channel":"lobby","text":"hi"}"#;
    lab.host(2).throw(GROUP, &[by_hand.into()]);
    let message = objects.wait_message("hi");
    assert_eq!(message["verified"], false);
    assert_eq!(message["channel"], "lobby");
    let line = lines.wait_for_line("hi", |line| line.ends_with("hi"));
    assert!(line.contains("unverified"), "{line}");
}

#[test]
fn escapes_and_invisible_characters_never_come_out_raw() {
    const NASTY: &str =
        "\u{1b}[2J\u{7}\u{9b}31m\r\u{8}\u{202e}evil\u{2066}\u{200b}\u{200d}\u{feff}\u{2028}";
    let lab = lab_or_skip!(2);
    let reader = lab.host(1).user("reader");
    let listeners = [lab.host(1).listen(&[]), listening(&reader), reader.cooee(&["chat"])];
    listeners[0].wait_event("joined", "reader");

    let by_hand = serde_json::json!({
        "cooee": 1, "type": "say", "channel": "lobby", "nick": NASTY, "from": {"nick": NASTY},
        "text": format!("by hand {NASTY}"),
    });
    // As serde_json escapes it, and with the characters themselves where JSON allows that.
    let said = by_hand.to_string();
    lab.host(2).throw(GROUP, &[said.into()]);
    let said = lab.host(2).run(&["say", &format!("by cooee {NASTY}")]);
    assert!(said.code == Some(0) || said.code == Some(2), "{said:#?}");
    lab.host(2).say("the end");

    for listener in &listeners {
        listener.wait_for_line("the end", |line| line.contains("the end"));
        for line in listener.lines_so_far() {
            let raw: Vec<_> = line.chars().filter(|c| must_be_escaped(*c)).collect();
            assert!(raw.is_empty(), "raw {raw:?} in {line:?}");
        }
    }
    assert!(listeners[1].lines_so_far().iter().any(|line| line.contains("by hand")));
}

/// A listener that prints text, ready.
#[track_caller]
fn listening(host: &Host) -> Running {
    let listener = host.cooee(&["listen"]);
    listener.wait_for_complaint("listening on", |line| line.contains("listening on"));
    listener
}

/// What acts on a terminal, or hides or turns what stands around it.
fn must_be_escaped(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{61c}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}')
        || matches!(c, '\u{2060}'..='\u{206f}' | '\u{feff}')
}
