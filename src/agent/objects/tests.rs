use std::sync::Arc;
use std::time::Duration;

use super::*;
use crate::proto::{Contact, PeerState};
use crate::values::{Json, Level, NodeId};
use crate::wire::{Hearing, Profile};

impl Clocks {
    /// Two clocks that have just started.
    pub(crate) fn zero() -> Self {
        Self { now: Instant::ZERO, wall: WallTime(0) }
    }
}

/// A peer as others' tests need one.
pub(crate) fn a_peer() -> PeerInfo {
    PeerInfo {
        id: NodeId([7; 32]),
        epoch: 3,
        profile: Arc::new(Profile {
            nick: "ada".into(),
            host: "web1\u{202e}".into(),
            version: "0.1.0".into(),
            away: None,
            tags: [("role".into(), "web".into())].into(),
            services: [("http".into(), 80)].into(),
        }),
        channels: Arc::new(vec!["lobby".parse().unwrap(), "ops".parse().unwrap()]),
        addr: Some("10.0.0.2:40000".parse().unwrap()),
        state: PeerState::Alive,
        path: Hearing::Multicast,
        contact: Contact::Both,
        rtt: Some(Duration::from_micros(312)),
        since: Instant::from_micros(5_000_000),
        verified: true,
    }
}

/// A message as others' tests need one.
pub(crate) fn a_message() -> Message {
    Message {
        source: None,
        channel: Some("ops".parse().unwrap()),
        from: Some(NodeId([7; 32])),
        nick: "ada".into(),
        epoch: 3,
        seq: 9,
        at: Some(WallTime(1_795_383_240_123)),
        text: "hi\nthere".into(),
        data: Some(Json::parse("{\"n\":1}").unwrap()),
        level: Level::Warn,
        verified: true,
        history: false,
    }
}

pub(crate) fn clocks() -> Clocks {
    Clocks { now: Instant::from_micros(7_000_000), wall: WallTime(1_795_383_242_000) }
}

#[test]
fn a_peer_has_the_documented_members_in_their_order() {
    insta::assert_snapshot!(peer(&a_peer(), clocks()), @r#"{"id":"a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq","nick":"ada","host":"web1\u202e","addr":"10.0.0.2:40000","state":"alive","path":"multicast","rtt_ms":0.312,"channels":["lobby","ops"],"tags":{"role":"web"},"services":{"http":80},"since":"2026-11-22T21:34:00.000Z","version":"0.1.0","verified":true,"away":null,"contact":"both"}"#);
    let mut unknown = a_peer();
    unknown.addr = None;
    unknown.rtt = None;
    let text = peer(&unknown, clocks());
    assert!(text.contains(r#""addr":null"#) && text.contains(r#""rtt_ms":null"#), "{text}");
}

#[test]
fn a_message_has_the_documented_members_in_their_order() {
    insta::assert_snapshot!(message(&a_message(), clocks()), @r#"{"event":"message","channel":"ops","from":{"id":"a4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dqobyha4dq","nick":"ada"},"epoch":3,"seq":9,"at":"2026-11-22T21:34:00.123Z","text":"hi\nthere","data":{"n":1},"level":"warn","direct":false,"verified":true}"#);
    let mut by_hand = a_message();
    (by_hand.from, by_hand.at, by_hand.data, by_hand.channel) = (None, None, None, None);
    insta::assert_snapshot!(message(&by_hand, clocks()), @r#"{"event":"message","channel":null,"from":{"id":null,"nick":"ada"},"epoch":3,"seq":9,"at":"2026-11-22T21:34:02.000Z","text":"hi\nthere","data":null,"level":"warn","direct":true,"verified":true}"#);
}

#[test]
fn events_are_objects_with_the_peer_in_them() {
    let text = |event| notice(&Notice::Event(event), clocks());
    for (event, says) in [
        (Event::Joined(a_peer()), r#"{"event":"joined","peer":{"id":"#),
        (Event::Left(a_peer()), r#"{"event":"left","peer":{"#),
        (Event::Suspect(a_peer()), r#"{"event":"suspect","#),
        (Event::Dead(a_peer()), r#"{"event":"dead","#),
        (Event::Alive(a_peer()), r#"{"event":"alive","#),
        (Event::Path(a_peer()), r#"{"event":"path","#),
        (Event::Status(a_peer()), r#"{"event":"status","#),
        (Event::Settled { complete: true }, r#"{"event":"settled","complete":true}"#),
    ] {
        assert!(text(event).unwrap().starts_with(says), "{says}");
    }
    let renamed = text(Event::Renamed { peer: a_peer(), was: "bob".into() }).unwrap();
    assert!(renamed.starts_with(r#"{"event":"renamed","#) && renamed.ends_with(r#","was":"bob"}"#));
    let moved = text(Event::Moved { peer: a_peer(), was: ([10, 0, 0, 9], 7).into() }).unwrap();
    assert!(
        moved.starts_with(r#"{"event":"moved","#) && moved.ends_with(r#","was":"10.0.0.9:7"}"#)
    );
    let down = Notice::LinkDown { name: "eth0".into(), why: "gone".into() };
    let down = notice(&down, clocks()).unwrap();
    assert_eq!(down, r#"{"event":"link","name":"eth0","state":"down","why":"gone"}"#);
    assert_eq!(text(Event::Stopped), None);
}

#[test]
fn nothing_that_steers_a_terminal_is_in_a_line_and_every_reader_gets_it_back() {
    let nasty = "\x1b[2J\x7f\u{9b}\u{202e}\u{200b}\u{e0041}\u{feff} 会議 \u{1f44b} \"\\";
    let mut said = a_message();
    said.text = nasty.into();
    said.nick = nasty.into();
    said.data = Some(Json::parse("[\"\u{202e}\u{7f}\",1e400]").unwrap());
    let text = message(&said, clocks());
    assert!(!text.chars().any(is_misleading), "{text}");
    assert!(text.contains("会議 \u{1f44b}"), "{text}");
    let back: serde_json::Value =
        serde_json::from_str(&text.replace("1e400", "1")).expect("still JSON");
    assert_eq!(back["text"], nasty);
    assert_eq!(back["from"]["nick"], nasty);
    assert_eq!(back["data"][0], "\u{202e}\u{7f}");
    // Numbers keep their digits.
    assert!(text.contains("1e400"));
}

#[test]
fn a_time_that_nobody_told_is_that_of_the_arrival() {
    let mut said = a_message();
    said.at = None;
    assert!(message(&said, clocks()).contains(r#""at":"2026-11-22T21:34:02.000Z""#));
    assert_eq!(clocks().wall_at(Instant::from_micros(5_000_000)).0, 1_795_383_240_000);
}
