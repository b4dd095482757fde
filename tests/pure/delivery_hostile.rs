//! Stories of those who abuse what is there to repair losses.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use cooee::sim::{Faults, NodeIndex, Spec};
use cooee::values::{ChannelName, Level, WallTime, limits};
use cooee::wire::{
    Body, Content, Datagram, Entry, Head, Hearing, Identity, LogsPage, Packet, Payload, Sender,
    Span, Stretch, Want,
};

use crate::delivery::{all_have, messages, numbered};
use crate::stories::{Story, ms, secs};

const KEY: [u8; 32] = [66; 32];

/// Three honest hosts, and a fourth whose key is known: what is signed with it is injected.
struct Harassed {
    story: Story,
    honest: Vec<NodeIndex>,
    evil: Identity,
    from: Sender,
    address: SocketAddrV4,
}

fn harassed(seed: u64) -> Harassed {
    let mut story = Story::with(3, Faults::losing(0.05), seed);
    let honest = story.nodes.clone();
    let host = story.host();
    let node = story.start(host, Spec { key: Some(KEY), ..Spec::default() });
    story.world.run_for(secs(5));
    assert!(story.all_know_all());
    let evil = Identity::from_secret(KEY);
    let from = Sender { id: evil.id(), epoch: story.world.epoch(node).unwrap() };
    let Some(SocketAddr::V4(address)) = story.world.address(node) else { panic!("no address") };
    Harassed { story, honest, evil, from, address }
}

impl Harassed {
    fn inject(&mut self, via: Hearing, bytes: Vec<u8>) {
        let bytes: Arc<[u8]> = bytes.into();
        for &victim in &self.honest {
            self.story.world.inject(victim, self.address, via, Arc::clone(&bytes));
        }
    }

    /// Lets everyone honest talk for two seconds while something is done every millisecond; checks
    /// that all of it arrives. Returns the datagrams that each of them sent meanwhile.
    fn talk_while(&mut self, mut act: impl FnMut(&mut Self, u64)) -> Vec<u64> {
        let honest = self.honest.clone();
        let out = |h: &Self, node: NodeIndex| {
            h.story.world.engine(node).unwrap().counters().datagrams_out
        };
        let before: Vec<u64> = honest.iter().map(|&node| out(self, node)).collect();
        let texts: Vec<Vec<String>> =
            honest.iter().map(|node| numbered(&format!("{} says", node.0), 200)).collect();
        for n in 0..2_000 {
            if n % 10 == 0 {
                for (&node, texts) in honest.iter().zip(&texts) {
                    self.story.world.say(node, &texts[n as usize / 10]);
                }
            }
            act(self, n);
            self.story.world.run_for(ms(1));
        }
        let after: Vec<u64> = honest.iter().map(|&node| out(self, node)).collect();
        self.story.world.run_for(secs(2));
        for (&author, texts) in honest.iter().zip(&texts) {
            all_have(&self.story, &honest, author, texts);
        }
        after.iter().zip(before).map(|(after, before)| after - before).collect()
    }

    fn counted(&self, what: &str) -> u64 {
        let count = |node: &NodeIndex| {
            let rows = self.story.world.engine(*node).unwrap().counters().rows();
            rows.iter().find(|(name, _)| *name == what).expect("a counter").1
        };
        self.honest.iter().map(count).sum()
    }

    fn entry(&self, seq: u64, texts: &[&str]) -> Entry {
        let contents = texts.iter().map(|text| Content {
            at: WallTime(1),
            text: (*text).into(),
            data: None,
            level: Level::Info,
        });
        Entry {
            body: Body::Say,
            from: Some(self.from),
            nick: "evil".into(),
            channel: ChannelName::lobby(),
            seq: Some(seq),
            confirm: false,
            again: None,
            follows: None,
            payload: Payload::Whole(contents.collect()),
        }
    }
}

/// What two seconds of honest talk cost without anybody's harm.
fn usual() -> u64 {
    let mut h = harassed(1);
    let sent = h.talk_while(|_, _| ());
    *sent.iter().max().unwrap()
}

#[test]
fn who_asks_for_everything_all_the_time_gets_a_measure_and_harms_nobody() {
    for via in [Hearing::Multicast, Hearing::Unicast] {
        let mut h = harassed(1);
        let usual = usual();
        let sent = h.talk_while(|h, n| {
            for (i, node) in h.honest.clone().into_iter().enumerate() {
                let world = &h.story.world;
                let author = Sender { id: world.id(node), epoch: world.epoch(node).unwrap() };
                let gaps = vec![Span { from: 1, to: 1_000_000 }];
                let attempt = ((n + i as u64) % 9) as u8;
                let want =
                    Want { from: h.from, channel: ChannelName::lobby(), author, attempt, gaps };
                let bytes = want.encode(&h.evil, limits::DATAGRAM);
                h.inject(via, bytes);
            }
        });
        let measure = limits::REPAIR_BURST_OF_ONE + 2 * limits::REPAIR_RATE_OF_ONE;
        println!("{via:?}: {sent:?}, usually {usual}");
        for sent in sent {
            assert!(sent < 2 * usual + u64::from(measure), "{sent}, usually {usual}");
        }
        assert!(h.counted("wants_over_rate") > 1_000);
        h.story.end();
    }
}

/// Everyone hears it ask, and so might leave it at that; the author reads only so much of what it asks.
#[test]
fn who_asks_for_everything_all_the_time_keeps_nobody_else_from_asking() {
    let mut h = harassed(2);
    h.story.world.lan(h.story.lan).faults.loss = 0.1;
    let author = h.honest[0];
    let texts = numbered("seldom", 40);
    let whose =
        Sender { id: h.story.world.id(author), epoch: h.story.world.epoch(author).unwrap() };
    for n in 0..16_000 {
        if n % 250 == 0 && n < 10_000 {
            h.story.world.say(author, &texts[n / 250]);
        }
        for _ in 0..4 {
            let gaps = vec![Span { from: 1, to: 1_000_000 }];
            let channel = ChannelName::lobby();
            let want = Want { from: h.from, channel, author: whose, attempt: 0, gaps };
            let bytes = want.encode(&h.evil, limits::DATAGRAM);
            h.inject(Hearing::Multicast, bytes);
        }
        h.story.world.run_for(ms(1));
    }
    all_have(&h.story, &h.honest, author, &texts);
    h.story.end();
}

#[test]
fn requests_of_nobody_known_bring_nothing() {
    let mut h = harassed(1);
    let usual = usual();
    let stranger = Identity::from_secret([67; 32]);
    let from = Sender { id: stranger.id(), epoch: 1 };
    let sent = h.talk_while(|h, _| {
        let node = h.honest[0];
        let author =
            Sender { id: h.story.world.id(node), epoch: h.story.world.epoch(node).unwrap() };
        let gaps = vec![Span { from: 1, to: 1_000 }];
        let want = Want { from, channel: ChannelName::lobby(), author, attempt: 9, gaps };
        let bytes = want.encode(&stranger, limits::DATAGRAM);
        h.inject(Hearing::Multicast, bytes.clone());
        h.inject(Hearing::Unicast, bytes);
    });
    for sent in sent {
        assert!(sent < usual * 3 / 2, "{sent}, usually {usual}");
    }
    h.story.end();
}

#[test]
fn messages_that_do_not_exist_are_asked_for_within_measure() {
    let heads: [fn(u64) -> u64; 4] =
        [|n| n + 1, |n| (n + 1) * 100_000, |n| u64::MAX - 5_000 + n, |n| (n + 1) * 130];
    for (i, head) in heads.into_iter().enumerate() {
        let mut h = harassed(1);
        let usual = usual();
        let sent = h.talk_while(|h, n| {
            let seq = head(n);
            let head =
                Head { from: h.from, channel: ChannelName::lobby(), seq, confirm: n % 2 == 0 };
            let bytes = head.encode(&h.evil);
            h.inject(Hearing::Multicast, bytes);
        });
        println!("heads {i}: {sent:?}, usually {usual}");
        for sent in sent {
            assert!(sent < usual + 2 * 400, "{i}: {sent}, usually {usual}");
        }
        h.story.end();
    }
}

#[test]
fn repairs_that_are_forged_or_contradict_the_log_change_nothing_for_the_others() {
    let mut h = harassed(1);
    h.story.world.checker.forgeries = true;
    // Nobody has seen this author's key as a node's.
    let liar = Identity::from_secret([68; 32]);
    h.from = Sender { id: liar.id(), epoch: 1 };
    h.story.world.record = Some(Vec::new());
    h.talk_while(|h, n| {
        // Its own log, cut anew again and again, out of order.
        let seq = 1 + (n * 7) % 50;
        let texts = ["a", "b", "c", "d"];
        let mut entry = h.entry(seq, &texts[..=(n % 4) as usize]);
        h.inject(Hearing::Multicast, entry.encode(&liar));
        entry.payload = Payload::Part {
            part: (n % 5) as u32,
            parts: 5,
            piece: format!("{{\"text\":\"{n}").into(),
        };
        h.inject(Hearing::Multicast, entry.encode(&liar));
        // What others said just now, spoilt.
        let recorded = h.story.world.record.as_mut().unwrap();
        let last =
            recorded.drain(..).filter(|bytes| bytes.starts_with(b"{\"cooee\":1,\"type\":\"say\""));
        let spoilt: Vec<Vec<u8>> = last
            .take(2)
            .map(|bytes| {
                let text = String::from_utf8_lossy(&bytes).replace("says", "lies");
                text.into_bytes()
            })
            .collect();
        for bytes in spoilt {
            h.inject(Hearing::Multicast, bytes.clone());
            h.inject(Hearing::Unicast, bytes);
        }
        // In somebody's name, with the wrong key.
        let node = h.honest[(n % 3) as usize];
        let mut entry = h.entry(1 + n / 10, &["forged"]);
        let epoch = h.story.world.epoch(node).unwrap();
        entry.from = Some(Sender { id: h.story.world.id(node), epoch });
        h.inject(Hearing::Unicast, entry.encode(&liar));
    });
    for &node in &h.honest {
        let lies = messages(&h.story, node)
            .filter(|m| m.text.raw().contains("lies") || m.text.raw().contains("forged"));
        assert_eq!(lies.count(), 0);
        // Each number of the liar's log was shown once at most, in order.
        let liar = Some(liar.id());
        let numbers: Vec<u64> =
            messages(&h.story, node).filter(|m| m.from == liar).map(|m| m.seq).collect();
        assert!(numbers.len() <= 60 && numbers.is_sorted_by(|a, b| a < b), "{numbers:?}");
    }
    assert!(h.counted("bad_signature") > 100);
    h.story.end();
}

/// The same, but the fourth host was there first, and is asked by whoever wants to know the past.
fn harassed_from_the_start(seed: u64) -> Harassed {
    let mut story = Story::with(0, Faults::default(), seed);
    let host = story.host();
    let node = story.start(host, Spec { key: Some(KEY), ..Spec::default() });
    story.world.run_for(secs(1));
    let honest = vec![story.join(), story.join()];
    story.world.run_for(secs(5));
    let evil = Identity::from_secret(KEY);
    let from = Sender { id: evil.id(), epoch: story.world.epoch(node).unwrap() };
    let Some(SocketAddr::V4(address)) = story.world.address(node) else { panic!("no address") };
    Harassed { story, honest, evil, from, address }
}

impl Harassed {
    /// For so long, answers whatever `node` asks of the past: each of these has said very much.
    /// Returns how often.
    fn lie(&mut self, node: NodeIndex, authors: &[Sender], time: Duration) -> u32 {
        let (asker, end) = (self.story.world.id(node), self.story.world.now() + time);
        let mut lies = 0;
        self.story.world.record = Some(Vec::new());
        while self.story.world.now() < end {
            self.story.world.run_for(Duration::from_micros(50));
            let sent: Vec<Arc<[u8]>> =
                self.story.world.record.as_mut().unwrap().drain(..).collect();
            for packet in sent.into_iter().map(Packet::new) {
                let Ok(Datagram::Recall(recall)) = packet.datagram() else { continue };
                if recall.from.id != asker {
                    continue;
                }
                let row = |&author| Stretch { author, from: 1, to: 1 << 60, before: 1 << 60 };
                let (channel, logs) = (recall.channel.clone(), authors.iter().map(row).collect());
                let page =
                    LogsPage { from: self.from, re: recall.nonce, channel, page: (0, 1), logs };
                let bytes = page.encode(&self.evil);
                self.story.world.inject(node, self.address, Hearing::Unicast, bytes);
                lies += 1;
            }
        }
        self.story.world.record = None;
        lies
    }
}

#[test]
fn nobody_is_passed_over_because_somebody_tells_of_messages_that_do_not_exist() {
    for spoken in [false, true] {
        let mut h = harassed_from_the_start(3);
        let sender = |h: &Harassed, node| {
            let world = &h.story.world;
            Sender { id: world.id(node), epoch: world.epoch(node).unwrap() }
        };
        let authors: Vec<Sender> = h.honest.iter().map(|&node| sender(&h, node)).collect();
        if spoken {
            for node in h.honest.clone() {
                h.story.world.say(node, &format!("{} was here", node.0));
            }
            h.story.world.run_for(secs(3));
        }
        let host = h.story.host();
        let late = h.story.start(host, Spec { recall: 50, ..Spec::default() });
        assert!(h.lie(late, &authors, ms(200)) > 0);
        h.honest.push(late);
        let texts = numbered("after that", 20);
        for text in &texts {
            for node in h.honest.clone() {
                h.story.world.say(node, &format!("{}: {text}", node.0));
            }
            h.story.world.run_for(ms(100));
        }
        h.story.world.run_for(secs(70));
        for (&author, &node) in h.honest.iter().flat_map(|a| h.honest.iter().map(move |n| (a, n))) {
            for text in texts.iter().filter(|_| author != node) {
                let text = format!("{}: {text}", author.0);
                assert_eq!(h.story.world.heard(node, &text), 1, "{text} at {node:?}");
            }
        }
        assert_eq!(h.story.world.checker.gaps, 0, "nothing was lost");
        h.story.end();
    }
}

#[test]
fn a_log_full_of_holes_takes_bounded_room() {
    let mut h = harassed(2);
    h.story.world.checker.forgeries = true;
    let liar = Identity::from_secret([69; 32]);
    h.from = Sender { id: liar.id(), epoch: 1 };
    let big = "x".repeat(900);
    let usual = usual();
    let sent = h.talk_while(|h, n| {
        for i in 0..5 {
            let bytes = h.entry(2 * (5 * n + i) + 2, &[&big]).encode(&liar);
            h.inject(Hearing::Multicast, bytes);
        }
    });
    println!("holes: {sent:?}, usually {usual}");
    for sent in sent {
        assert!(sent < usual + 2 * 400, "{sent}, usually {usual}");
    }
    assert!(h.counted("early_refused") > 1_000);
    h.story.world.run_for(secs(70));
    h.story.everyone_hears_everyone("after all");
    h.story.end();
}
