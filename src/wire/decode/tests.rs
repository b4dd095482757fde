//! What is parsed can be emitted again; what is broken is refused with its reason.

use proptest::prelude::*;

use super::super::roster::Told;
use super::*;
use crate::wire::{Alive, Identity, LogsPage, Packet, Probe, Stretch, Suspect, Verifier, split};

fn identity() -> Identity {
    Identity::from_secret([5; 32])
}

fn sender() -> Sender {
    Sender { id: identity().id(), epoch: 1_795_383_240_123 }
}

fn presence() -> Presence {
    Presence {
        kind: PresenceKind::Here,
        from: sender(),
        n: 3,
        profile: Arc::new(Profile {
            nick: "ada \"x\"".into(),
            host: "web1".into(),
            version: "0.1.0".into(),
            away: Some("lunch".into()),
            tags: [("role".into(), "db".into())].into(),
            services: [("we\"b".into(), 8080)].into(),
        }),
        partial: false,
        channels: Arc::new(vec![ChannelName::lobby(), "ops".parse().unwrap()]),
        channels_at: 0,
        channels_of: 2,
        logs: vec![crate::wire::ChannelLogs { channel: ChannelName::lobby(), head: 7, digest: 9 }],
        visitor: true,
        summary: Summary { count: 30, digest: 0xfedc_ba98_7654_3210 },
        attempt: 1,
        nonce: Some(1),
        re: Some(u64::MAX),
        held: 17,
        token: Some(9),
        to: Some(sender().id),
        hears: Some(Hearing::Unicast),
        has_ipv4: true,
    }
}

#[track_caller]
fn decodes_to(bytes: Vec<u8>, expected: &Datagram) {
    let packet = Packet::new(bytes);
    assert_eq!(packet.datagram(), Ok(expected), "{}", String::from_utf8_lossy(packet.bytes()));
    assert!(packet.bytes().starts_with(b"{\"cooee\":1,\"type\":\""));
    assert!(packet.bytes().len() <= limits::DATAGRAM);
    if packet.is_signed() {
        assert!(packet.is_authentic(&mut Verifier::default()));
    }
}

#[test]
fn every_type_reads_back_as_it_was_written() {
    let me = identity();
    let presence = presence();
    let (bytes, rest) = presence.encode(&me, limits::DATAGRAM, 900);
    assert_eq!((bytes.len(), rest), (900, None));
    decodes_to(bytes, &Datagram::Presence(presence));

    let bye = Datagram::Bye { from: sender(), n: 4, visitor: false };
    decodes_to(crate::wire::encode_bye(&me, sender(), 4, false), &bye);

    let ask = Ask {
        from: sender(),
        visitor: false,
        nonce: 1,
        token: 2,
        after: Some(me.id()),
        slice: Slice::WHOLE,
        have: Some((0..=255).collect()),
    };
    decodes_to(ask.encode(&me), &Datagram::Ask(ask.clone()));
    let ask = Ask { slice: Slice::behind(ask.after, 32), ..ask };
    decodes_to(ask.encode(&me), &Datagram::Ask(ask));

    let told = |n: u8| Told {
        id: Identity::from_secret([n; 32]).id(),
        addr: if n == 1 { "10.77.0.1:4".parse().unwrap() } else { "[fe80::1]:5".parse().unwrap() },
        epoch: n.into(),
        profile: Arc::new(Profile { nick: "n\"".into(), ..Profile::default() }),
        age: 3,
        unicast: n == 2,
    };
    let summary = Summary { count: 2, digest: 7 };
    let peers = vec![told(1), told(2)];
    let page = RosterPage { from: sender(), re: 8, summary, after: None, more: true, peers };
    decodes_to(page.encode(&me, limits::DATAGRAM).0, &Datagram::Roster(page));

    let tell = Tell { from: sender(), n: 1, to: me.id(), sealed: vec![1, 2, 3] };
    decodes_to(tell.encode(&me), &Datagram::Tell(tell));
    let ack = Ack { from: sender(), to: sender(), n: 1 };
    decodes_to(ack.encode(&me), &Datagram::Ack(ack));

    let (from, to) = (sender(), told(1).id);
    let probe = Probe { from, to, nonce: 5, via: None, on_behalf: None };
    let (via, on_behalf) = (Some(told(2).id), Some(told(2).id));
    for probe in [probe, Probe { via, ..probe }, Probe { on_behalf, ..probe }] {
        decodes_to(probe.encode(), &Datagram::Probe(probe));
    }
    let (ms, alive) =
        (Duration::from_millis, Alive { from, re: 5, stranger: false, ago: None, through: None });
    for alive in [
        alive,
        Alive { stranger: true, ..alive },
        Alive { ago: Some(ms(900)), ..alive },
        Alive { through: Some((to, true)), ..alive },
        Alive { through: Some((to, false)), ..alive },
    ] {
        decodes_to(alive.encode(&me), &Datagram::Alive(alive));
    }
    let suspect = Suspect { from, n: 5, of: Sender { id: to, epoch: 7 } };
    decodes_to(suspect.encode(&me), &Datagram::Suspect(suspect));
}

#[test]
fn logs_are_cut_into_pages_that_are_full_and_not_too_long() {
    let row = |n: u64| Stretch {
        author: Sender { id: identity().id(), epoch: u64::MAX >> (n % 60) },
        from: n,
        to: n << 20,
        before: 0,
    };
    let rows: Vec<Stretch> = (0..100).map(row).collect();
    let cut = LogsPage::cut(&rows, limits::DATAGRAM);
    assert_eq!(cut.concat(), rows);
    let channel: ChannelName = "c".repeat(limits::CHANNEL_NAME).parse().unwrap();
    for (n, logs) in cut.iter().enumerate() {
        let (page, logs) = ((n as u32, u32::MAX), logs.to_vec());
        let page = LogsPage { from: sender(), re: 8, channel: channel.clone(), page, logs };
        let length = page.encode(&identity()).len();
        let is_full = length > limits::DATAGRAM * 3 / 4 || n + 1 == cut.len();
        assert!(length <= limits::DATAGRAM && is_full, "page {n}: {length} bytes");
    }
    assert_eq!(LogsPage::cut(&[], limits::DATAGRAM), [&[] as &[Stretch]]);
    assert_eq!(LogsPage::cut(&rows, 0).len(), 100, "each alone, if nothing fits");
}

#[test]
fn an_announcement_that_does_not_fit_is_cut_where_it_hurts_least() {
    let mut presence = presence();
    let all: Vec<ChannelName> =
        (0..100).map(|i| format!("channel-number-{i:03}").parse().unwrap()).collect();
    presence.channels = Arc::new(all.clone());
    presence.channels_of = 100;
    let mut heard = Vec::new();
    loop {
        let (bytes, rest) = presence.encode(&identity(), limits::QUESTION, 0);
        assert!(bytes.len() <= limits::QUESTION);
        let packet = Packet::new(bytes);
        let Ok(Datagram::Presence(read)) = packet.datagram() else { panic!("{packet:?}") };
        assert_eq!((read.channels_at, read.channels_of), (heard.len(), 100));
        heard.extend_from_slice(&read.channels);
        let Some(at) = rest else { break };
        presence.channels = Arc::new(all[at..].to_vec());
        presence.channels_at = at;
    }
    assert_eq!(heard, all);
}

#[test]
fn a_page_of_the_roster_holds_as_many_peers_as_fit() {
    let told = |n: u32| Told {
        id: NodeId(std::array::from_fn(|i| (n >> (i % 4 * 8)) as u8)),
        addr: "192.168.100.100:50000".parse().unwrap(),
        epoch: 1_795_383_240_123,
        profile: Arc::new(Profile { nick: "some-host-name".into(), ..Profile::default() }),
        age: 10,
        unicast: false,
    };
    let peers: Vec<Told> = (0..100).map(told).collect();
    let page = RosterPage {
        from: sender(),
        re: 8,
        summary: Summary::default(),
        after: None,
        more: false,
        peers,
    };
    let (bytes, fitted) = page.encode(&identity(), limits::DATAGRAM);
    assert!(bytes.len() <= limits::DATAGRAM && fitted >= 7, "{fitted}");
    let Ok(Datagram::Roster(read)) = decode(&bytes) else { panic!() };
    assert!(read.more && read.peers == page.peers[..fitted]);
}

#[test]
fn what_a_person_writes_by_hand_is_a_message() {
    let by_hand = br#"{"cooee": 1, "type": "say", "text": "hi", "extra": {"a": [1]}}"#;
    let Ok(Datagram::Entry(entry)) = decode(by_hand) else { panic!() };
    assert_eq!((entry.from, entry.channel.as_str(), entry.seq), (None, "lobby", None));
    assert!(matches!(&entry.payload, Payload::Whole(c) if c[0].text.raw() == "hi"));
    assert!(!Packet::new(&by_hand[..]).is_authentic(&mut Verifier::default()));
}

#[test]
fn what_is_broken_is_refused_with_its_reason() {
    let malformed = |bytes: &[u8]| matches!(decode(bytes), Err(DecodeError::Malformed(_)));
    assert!(malformed(b"") && malformed(b"\xff\xfe") && malformed(b"[]") && malformed(b"{}x"));
    assert!(malformed("[".repeat(1_000).as_bytes()));
    assert!(malformed(br#"{"cooee":1,"type":"say","text":"a","text":"b"}"#));
    let (slice, after, have) = (Slice::behind(None, 4), None, None);
    let ask = Ask { from: sender(), visitor: false, nonce: 1, token: 2, after, slice, have };
    let ask = String::from_utf8(ask.encode(&identity())).unwrap();
    let ask = |slice: &str| ask.replace("[0,4]", slice);
    assert!(decode(ask("[3,4]").as_bytes()).is_ok());
    for (bytes, error) in [
        (r#"{"type":"say","text":"x"}"#, DecodeError::Member("cooee")),
        (r#"{"cooee":1}"#, DecodeError::Member("type")),
        (r#"{"cooee":2,"type":7}"#, DecodeError::Version(2)),
        (r#"{"cooee":1,"type":"sing"}"#, DecodeError::UnknownType),
        (r#"{"cooee":1,"type":"say"}"#, DecodeError::Member("text")),
        (r#"{"cooee":1,"type":"say","text":"x","seq":0}"#, DecodeError::Member("seq")),
        (
            r#"{"cooee":1,"type":"say","text":"x","follows":[1,2,3]}"#,
            DecodeError::Member("follows"),
        ),
        (r#"{"cooee":1,"type":"say","text":"x","channel":"a b"}"#, DecodeError::Member("channel")),
        (r#"{"cooee":1,"type":"say","text":"x","level":"loud"}"#, DecodeError::Member("level")),
        (r#"{"cooee":1,"type":"say","msgs":[]}"#, DecodeError::Member("msgs")),
        (
            r#"{"cooee":1,"type":"say","piece":"x","part":3,"parts":3}"#,
            DecodeError::Member("parts"),
        ),
        (r#"{"cooee":1,"type":"say","text":"x","id":"short"}"#, DecodeError::Member("id")),
        (r#"{"cooee":1,"type":"hello"}"#, DecodeError::Member("id")),
        (&ask("[0,3]"), DecodeError::Member("slice")),
        (&ask("[4,4]"), DecodeError::Member("slice")),
        (&ask("[0,512]"), DecodeError::Member("slice")),
        (r#"{"cooee":1,"type":"say","text":"x","sig":"AAAA"}"#, DecodeError::Member("sig")),
        (r#"{"cooee":1,"type":"say","sig":1,"text":"x"}"#, DecodeError::Member("sig")),
    ] {
        assert_eq!(decode(bytes.as_bytes()), Err(error), "{bytes}");
    }
    let deep = format!(r#"{{"cooee":1,"type":"say","text":"x","data":{}1}}"#, "[".repeat(900));
    assert!(malformed(deep.as_bytes()));
    let deep = format!(
        r#"{{"cooee":1,"type":"say","text":"x","data":{}{}}}"#,
        "[".repeat(400),
        "]".repeat(400)
    );
    assert!(decode(deep.as_bytes()).is_err());
    assert_eq!(decode(&[b' '; limits::DATAGRAM + 1]), Err(DecodeError::TooLong));
}

#[test]
fn a_member_of_the_wrong_type_is_refused_whichever_it_is() {
    let (whole, _) = presence().encode(&identity(), limits::DATAGRAM, 0);
    let whole: serde_json::Map<String, serde_json::Value> = serde_json::from_slice(&whole).unwrap();
    for name in whole.keys().filter(|name| *name != "sig" && *name != "pad") {
        let mut broken = whole.clone();
        broken.insert(name.clone(), serde_json::json!([{}]));
        let bytes = serde_json::to_vec(&broken).unwrap();
        assert!(decode(&bytes).is_err(), "{name}");
    }
}

proptest! {
    #[test]
    fn no_bytes_do_any_harm(bytes in prop::collection::vec(any::<u8>(), 0..1_300)) {
        let packet = Packet::new(bytes);
        let _ = packet.datagram();
        prop_assert!(!packet.is_authentic(&mut Verifier::default()));
    }

    #[test]
    fn a_changed_datagram_does_no_harm_and_is_not_authentic(at in 0_usize..500, to in any::<u8>()) {
        let (mut bytes, _) = presence().encode(&identity(), limits::DATAGRAM, 0);
        let at = at % bytes.len();
        prop_assume!(bytes[at] != to);
        bytes[at] = to;
        let packet = Packet::new(bytes);
        let _ = packet.datagram();
        prop_assert!(!packet.is_authentic(&mut Verifier::default()));
    }

    #[test]
    fn what_was_said_comes_out_as_it_went_in(texts in prop::collection::vec(any::<String>(), 1..20)) {
        let contents: Vec<Content> = texts
            .iter()
            .map(|text| Content {
                at: WallTime(5),
                text: text.as_str().into(),
                data: Some(Json::parse("[1]").unwrap()),
                level: crate::values::Level::Warn,
            })
            .collect();
        let mut entry = Entry {
            body: Body::Cast,
            from: Some(sender()),
            nick: "ada".into(),
            channel: ChannelName::lobby(),
            seq: Some(1),
            confirm: false,
            again: None,
            follows: None,
            payload: Payload::Whole(vec![]),
        };
        let (mut read, mut pieces) = (Vec::new(), String::new());
        for payload in split(contents.clone(), entry.room(limits::DATAGRAM)) {
            entry.payload = payload;
            match decode(&entry.encode(&identity())) {
                Ok(Datagram::Entry(Entry { payload: Payload::Whole(contents), .. })) => {
                    read.extend(contents);
                }
                Ok(Datagram::Entry(Entry { payload: Payload::Part { part, parts, piece }, .. })) => {
                    pieces.push_str(&piece);
                    if part + 1 == parts {
                        read.push(decode_content(&std::mem::take(&mut pieces)).unwrap());
                    }
                }
                other => panic!("{other:?}"),
            }
        }
        prop_assert_eq!(read, contents);
    }
}
