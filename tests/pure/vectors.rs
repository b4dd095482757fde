//! The test vectors of the protocol: the code writes them, reads them, and the page that describes
//! the protocol shows them, byte for byte.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use cooee::values::{ChannelName, Group, Json, Level, NodeId, Rng, WallTime};
use cooee::wire::{
    Ack, Alive, Ask, Body, ChannelLogs, Content, Datagram, Earlier, Entry, Got, Head, Hearing,
    Identity, Inside, LogsPage, Matter, Packet, Payload, Presence, PresenceKind, Probe, Profile,
    Recall, RosterPage, Secret, Sender, Slice, Span, Stretch, Summary, Suspect, Tell, Told,
    Verifier, Want, encode_bye, open_direct, seal_direct, split,
};

const PAGE: &str = include_str!("../../docs/protocol.md");

/// `NAME DATAGRAM` a line.
const VECTORS: &str = include_str!("vectors.txt");

fn ada() -> Identity {
    Identity::from_secret(std::array::from_fn(|i| i as u8))
}

fn bob() -> Identity {
    Identity::from_secret([1; 32])
}

fn sender(identity: &Identity) -> Sender {
    Sender { id: identity.id(), epoch: 1_795_383_240_123 }
}

fn presence(kind: PresenceKind) -> Presence {
    Presence {
        kind,
        from: sender(&ada()),
        n: 1,
        profile: Arc::new(Profile {
            nick: "ada".into(),
            host: "laptop".into(),
            version: "0.1.0".into(),
            ..Profile::default()
        }),
        partial: false,
        channels: Arc::new(vec![ChannelName::lobby()]),
        channels_at: 0,
        channels_of: 1,
        logs: Vec::new(),
        visitor: false,
        summary: Summary { count: 1, digest: summary_of(&[ada().id()]) },
        attempt: 0,
        nonce: None,
        re: None,
        held: 0,
        token: None,
        to: None,
        hears: None,
        has_ipv4: false,
    }
}

fn summary_of(ids: &[NodeId]) -> u64 {
    let first = |id: &NodeId| id.0[..8].iter().fold(0, |bits, &byte| bits << 8 | u64::from(byte));
    ids.iter().map(first).fold(0, |all, bits| all ^ bits)
}

fn content(text: &str) -> Content {
    Content { at: WallTime(1_795_383_241_000), text: text.into(), data: None, level: Level::Info }
}

fn entry(body: Body, payload: Payload) -> Entry {
    Entry {
        body,
        from: Some(sender(&ada())),
        nick: "ada".into(),
        channel: ChannelName::lobby(),
        seq: Some(1),
        confirm: false,
        again: None,
        follows: None,
        payload,
    }
}

fn inside(nick: &str, matter: Matter, payload: Option<Payload>) -> String {
    Inside { nick: nick.into(), matter, payload }.to_json()
}

/// A question of ada's, bob's answer to it, and bob's word that there is none.
fn asking() -> [(&'static str, Vec<u8>); 3] {
    let (ada, bob) = (ada(), bob());
    let number = 0x0123_4567_89ab_cdef;
    let whole = |text| Some(Payload::Whole(vec![content(text)]));
    let question = inside("ada", Matter::Question { number, token: 7 }, whole("uptime"));
    let answer = Matter::Answer { number, count: Some(1), exit: Some(0) };
    let answer = inside("bob", answer, whole("up 3 days"));
    let nothing = inside("bob", Matter::Answer { number, count: Some(0), exit: None }, None);
    let mut rng = Rng::from_number(2);
    let mut tell = |from: &Identity, to: &Identity, n, inside: String| {
        let sealed = seal_direct(inside.as_bytes(), from.id(), to.id(), &mut rng).unwrap();
        Tell { from: sender(from), n, to: to.id(), sealed }.encode(from)
    };
    [
        ("tell-question", tell(&ada, &bob, 2, question)),
        ("tell-answer", tell(&bob, &ada, 1, answer)),
        ("tell-no-answer", tell(&bob, &ada, 2, nothing)),
    ]
}

/// What holds a log together: ada's lobby, as ada and bob speak of it.
fn logs() -> [(&'static str, Vec<u8>); 10] {
    let (ada, bob) = (ada(), bob());
    let (author, channel) = (sender(&ada), ChannelName::lobby());
    let confirm =
        Entry { confirm: true, ..entry(Body::Say, Payload::Whole(vec![content("deployed")])) };
    let again =
        Entry { again: Some(10), ..entry(Body::Say, Payload::Whole(vec![content("21.5 °C")])) };
    let earlier = Earlier { run: 1_795_383_240_000, seq: 3, ago: Duration::from_millis(1_002) };
    let follows = Entry {
        follows: Some(earlier),
        ..entry(Body::Say, Payload::Whole(vec![content("and again")]))
    };
    let spoken = ChannelLogs { channel: channel.clone(), head: 17, digest: 0x0102_0304_0506_0708 };
    let here = Presence { logs: vec![spoken], ..presence(PresenceKind::Here) };
    let head = Head { from: author, channel: channel.clone(), seq: 17, confirm: false };
    let want = Want {
        from: sender(&bob),
        channel: channel.clone(),
        author,
        attempt: 1,
        gaps: vec![Span { from: 5, to: 7 }, Span { from: 12, to: 12 }],
    };
    let got = Got { from: sender(&bob), author, channel: channel.clone(), after: 4, seq: 17 };
    let recall = Recall {
        from: sender(&bob),
        channel: channel.clone(),
        nonce: 9,
        token: 7,
        since: 40,
        last: 50,
        own: false,
    };
    let own = Recall { last: 0, own: true, ..recall.clone() };
    let row = Stretch { author, from: 3, to: 17, before: 17 };
    let page = LogsPage { from: author, re: 9, channel, page: (0, 1), logs: vec![row] };
    [
        ("here-heads", here.encode(&ada, 1_200, 0).0),
        ("say-confirm", confirm.encode(&ada)),
        ("say-again", again.encode(&ada)),
        ("say-follows", follows.encode(&ada)),
        ("head", head.encode(&ada)),
        ("want", want.encode(&bob, 1_200)),
        ("got", got.encode(&bob)),
        ("recall", recall.encode(&bob)),
        ("recall-own", own.encode(&bob)),
        ("logs", page.encode(&ada)),
    ]
}

/// Whether ada is there: bob, who watches her, asks her, and then by carol.
fn watch() -> [(&'static str, Vec<u8>); 8] {
    let (ada, bob, carol) = (ada(), bob(), Identity::from_secret([2; 32]));
    let probe = Probe { from: sender(&bob), to: ada.id(), nonce: 9, via: None, on_behalf: None };
    let (via, on_behalf) = (Some(carol.id()), Some(bob.id()));
    let alive = Alive { from: sender(&ada), re: 9, stranger: false, ago: None, through: None };
    let through = Some((bob.id(), true));
    let suspect = Suspect { from: sender(&bob), n: 4, of: sender(&ada) };
    [
        ("probe", probe.encode()),
        ("alive", alive.encode(&ada)),
        ("alive-stranger", Alive { stranger: true, ..alive }.encode(&ada)),
        ("alive-in-turn", Alive { ago: Some(Duration::from_millis(813)), ..alive }.encode(&ada)),
        ("probe-via", Probe { via, ..probe }.encode()),
        ("probe-for", Probe { from: sender(&carol), on_behalf, ..probe }.encode()),
        ("alive-through", Alive { through, ..alive }.encode(&ada)),
        ("suspect", suspect.encode(&bob)),
    ]
}

/// Every vector as the code writes it.
fn written() -> BTreeMap<&'static str, String> {
    let (ada, bob) = (ada(), bob());
    let whole = |text| Payload::Whole(vec![content(text)]);
    let hello = Presence { nonce: Some(0x0123_4567_89ab_cdef), ..presence(PresenceKind::Hello) };
    let here = Presence {
        n: 2,
        profile: Arc::new(Profile {
            away: Some("lunch".into()),
            tags: [("role".into(), "db".into())].into(),
            services: [("web".into(), 8080)].into(),
            ..(*presence(PresenceKind::Here).profile).clone()
        }),
        re: Some(0xfedc_ba98_7654_3210),
        held: 1_250,
        token: Some(7),
        to: Some(bob.id()),
        hears: Some(Hearing::Unicast),
        ..presence(PresenceKind::Here)
    };
    let told = Told {
        id: bob.id(),
        addr: "192.168.1.7:40123".parse().unwrap(),
        epoch: 1_795_383_240_000,
        profile: Arc::new(Profile { nick: "bob".into(), ..Profile::default() }),
        age: 2,
        unicast: true,
    };
    let have = (0..256).map(|i| if i == 0x8a { 0xdd } else { 0 }).collect();
    let roster = RosterPage {
        from: sender(&ada),
        re: 9,
        summary: Summary { count: 2, digest: summary_of(&[ada.id(), bob.id()]) },
        after: None,
        more: false,
        peers: vec![told],
    };
    let warn = Content {
        data: Some(Json::parse(r#"{"disk":97.5}"#).unwrap()),
        level: Level::Warn,
        ..content("disk is filling")
    };
    let two = Payload::Whole(vec![content("one"), content("two \"quoted\"\n")]);
    let long = split([content(&"long ".repeat(400))], 700).remove(1);
    let mut rng = Rng::from_number(1);
    let psst = inside("ada", Matter::Told, Some(whole("psst")));
    let sealed = seal_direct(psst.as_bytes(), ada.id(), bob.id(), &mut rng).unwrap();
    let secret = Secret::derive(b"correct horse battery staple", Group::DEFAULT).unwrap();
    let say = entry(Body::Say, whole("hi")).encode(&ada);
    let ask = Ask {
        from: sender(&ada),
        visitor: true,
        nonce: 9,
        token: 7,
        after: Some(bob.id()),
        slice: Slice::behind(Some(bob.id()), 32),
        have: Some(have),
    };
    [
        ("hello", hello.encode(&ada, 1_200, 640).0),
        ("here", here.encode(&ada, 1_200, 0).0),
        ("bye", encode_bye(&ada, sender(&ada), 3, false)),
        ("ask", ask.encode(&ada)),
        ("roster", roster.encode(&ada, 1_200).0),
        ("say", say.clone()),
        ("say-data", entry(Body::Say, Payload::Whole(vec![warn])).encode(&ada)),
        ("say-several", entry(Body::Say, two).encode(&ada)),
        ("say-part", Entry { seq: Some(2), ..entry(Body::Say, long) }.encode(&ada)),
        ("cast", entry(Body::Cast, whole("21.5 °C")).encode(&ada)),
        ("tell", Tell { from: sender(&ada), n: 1, to: bob.id(), sealed }.encode(&ada)),
        ("ack", Ack { from: sender(&bob), to: sender(&ada), n: 1 }.encode(&bob)),
        ("sealed-say", secret.seal(&say, &mut rng)),
    ]
    .into_iter()
    .chain(asking())
    .chain(logs())
    .chain(watch())
    .map(|(name, bytes)| (name, String::from_utf8(bytes).unwrap()))
    .collect()
}

fn vectors() -> BTreeMap<&'static str, String> {
    VECTORS
        .lines()
        .map(|line| line.split_once(' ').unwrap())
        .map(|(name, datagram)| (name, datagram.to_owned()))
        .collect()
}

#[test]
fn the_code_writes_the_vectors() {
    let written = written();
    let lines: Vec<String> = written.iter().map(|(name, text)| format!("{name} {text}")).collect();
    let lines = lines.join("\n");
    assert_eq!(written, vectors(), "the code writes:\n{lines}\n");
}

#[test]
fn the_page_shows_the_vectors() {
    for (name, datagram) in vectors() {
        assert!(PAGE.contains(&format!("\n{datagram}\n")), "docs/protocol.md lacks {name}");
    }
    assert!(PAGE.contains(&ada().id().to_string()) && PAGE.contains(&bob().id().to_string()));
}

#[test]
fn the_vectors_are_read_and_their_signatures_hold() {
    let secret = Secret::derive(b"correct horse battery staple", Group::DEFAULT).unwrap();
    for (name, datagram) in vectors() {
        let packet = Packet::new(datagram.as_bytes());
        if name == "sealed-say" {
            let inner = packet.open(&secret).expect("it opens");
            assert_eq!(**inner.bytes(), *vectors()["say"].as_bytes());
            continue;
        }
        let read = packet.datagram();
        assert!(read.is_ok(), "{name}: {read:?}");
        let unsigned =
            ["cast", "probe", "alive", "alive-stranger", "alive-in-turn", "probe-via", "probe-for"];
        let unsigned = unsigned.contains(&name);
        assert_eq!(packet.is_authentic(&mut Verifier::default()), !unsigned, "{name}");
        if let Ok(Datagram::Tell(tell)) = read {
            let to = if tell.to == bob().id() { bob() } else { ada() };
            let plain = open_direct(&tell.sealed, tell.from.id, &to).unwrap();
            let plain = String::from_utf8(plain).unwrap();
            assert_eq!(Inside::read(&plain).unwrap().to_json(), plain);
            assert!(PAGE.contains(&format!("`{plain}`")), "docs/protocol.md lacks {plain}");
        }
    }
}

#[test]
fn the_page_names_the_addresses_of_channels() {
    for name in ["lobby", "ops"] {
        let address = Group::DEFAULT.channel(&name.parse().unwrap());
        assert!(PAGE.contains(&format!("| `{name}` | {} |", address.ip())), "{name}: {address}");
    }
}
