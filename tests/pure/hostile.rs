//! Stories of those who mean harm, or are broken.

use std::net::SocketAddrV4;
use std::sync::Arc;

use cooee::proto::Event;
use cooee::sim::{NodeIndex, Spec};
use cooee::values::{ChannelName, Level, Rng, WallTime, limits};
use cooee::wire::{Body, Content, Entry, Hearing, Identity, Payload, Sender};

use crate::stories::{Story, ms, secs};

fn stranger(n: u16) -> SocketAddrV4 {
    SocketAddrV4::new([10, 77, 9, 9].into(), 1_000 + n)
}

/// What a node has been told of others so far, and how many events it has shown.
fn state(story: &Story, node: NodeIndex) -> (usize, usize) {
    (story.known(node), story.world.events(node).len())
}

#[test]
fn rubbish_raises_counters_and_does_nothing_else() {
    let mut story = Story::of(3);
    let victim = story.nodes[0];
    let before = state(&story, victim);
    let mut rng = Rng::from_number(9);
    for n in 0..5_000_u16 {
        let length = rng.below(1_400) as usize;
        let mut bytes: Vec<u8> = (0..length).map(|_| rng.bytes::<1>()[0]).collect();
        if rng.chance(0.5) {
            bytes.splice(..0, *b"{\"cooee\":1,\"type\":");
        }
        story.world.inject(victim, stranger(n % 7), Hearing::Multicast, bytes);
    }
    story.world.inject(victim, stranger(8), Hearing::Unicast, vec![b'['; 64 * 1024]);
    story.world.inject(victim, stranger(8), Hearing::Unicast, vec![b'['; 1_200]);
    assert_eq!(state(&story, victim), before);
    let counters = story.world.engine(victim).unwrap().counters();
    assert!(counters.malformed > 1_000 && counters.too_long > 0 && counters.rude_source > 0);
    story.everyone_hears_everyone("unimpressed");
    story.end();
}

#[test]
fn what_was_recorded_and_is_replayed_changes_nothing() {
    let mut story = Story::of(4);
    story.world.record = Some(Vec::new());
    story.everyone_hears_everyone("on the record");
    let (teller, to) = (story.nodes[0], story.world.id(story.nodes[1]));
    story.world.tell(teller, to, "between us", 1);
    let goes = story.nodes[3];
    story.world.run_for(secs(3));
    story.world.stop(goes);
    story.world.run_for(secs(1));
    let recorded: Vec<Arc<[u8]>> = story.world.record.take().unwrap();
    assert!(recorded.len() > 10);
    let victims: Vec<NodeIndex> = story.live();
    let before: Vec<_> = victims.iter().map(|&node| state(&story, node)).collect();
    for bytes in recorded {
        for &victim in &victims {
            for via in [Hearing::Multicast, Hearing::Unicast] {
                story.world.inject(victim, stranger(1), via, Arc::clone(&bytes));
            }
        }
    }
    story.world.run_for(secs(1));
    let after: Vec<_> = victims.iter().map(|&node| state(&story, node)).collect();
    assert_eq!(before, after);
    story.everyone_hears_everyone("later");
    story.end();
}

/// Its numbers begin anew in each run.
#[test]
fn an_acknowledgement_of_what_was_told_in_an_earlier_run_is_no_receipt() {
    let mut story = Story::of(2);
    let to = story.world.id(story.nodes[1]);
    let told = |event: &Event| matches!(event, Event::Told { .. });
    story.world.record = Some(Vec::new());
    story.world.tell(story.nodes[0], to, "received", 1);
    story.world.run_for(secs(1));
    let recorded: Vec<Arc<[u8]>> = story.world.record.take().unwrap();
    assert_eq!(story.count(story.nodes[0], told), 1);
    story.world.crash(story.nodes[0]);
    story.world.start(story.nodes[0]);
    let again = story.nodes[0];
    story.world.run_for(secs(2));
    story.world.host(story.hosts[1]).input_loss = 1.0;
    story.world.tell(again, to, "not received", 1);
    for bytes in recorded {
        story.world.inject(again, stranger(1), Hearing::Unicast, bytes);
    }
    story.world.run_for(ms(100));
    assert_eq!(story.count(again, told), 1, "of the first run alone");
}

#[test]
fn one_flipped_bit_makes_a_datagram_worthless() {
    let mut story = Story::of(2);
    story.world.record = Some(Vec::new());
    story.everyone_hears_everyone("true");
    let late = story.join();
    story.world.run_for(secs(1));
    let recorded: Vec<Arc<[u8]>> = story.world.record.take().unwrap();
    let mut rng = Rng::from_number(4);
    // Somebody who has heard nothing yet of any of them.
    let fresh = story.join();
    story.world.host(story.hosts[3]).side = 1;
    story.world.checker.forgeries = true;
    let before = story.known(fresh);
    for bytes in recorded {
        let mut bytes = bytes.to_vec();
        let at = rng.below(bytes.len() as u64) as usize;
        bytes[at] ^= 1 << rng.below(7);
        story.world.inject(fresh, stranger(3), Hearing::Multicast, bytes);
    }
    assert_eq!(story.known(fresh), before);
    let verified = |event: &Event| matches!(event, Event::Message(message) if message.verified);
    assert_eq!(story.count(fresh, verified), 0);
    assert!(story.world.engine(late).is_some());
    story.end();
}

#[test]
fn our_own_words_from_another_address_are_not_a_peer() {
    let mut story = Story::of(2);
    let victim = story.nodes[0];
    story.world.record = Some(Vec::new());
    story.world.run_for(secs(5));
    let recorded: Vec<Arc<[u8]>> = story.world.record.take().unwrap();
    for bytes in recorded {
        story.world.inject(victim, stranger(1), Hearing::Multicast, bytes);
    }
    story.world.run_for(secs(1));
    assert_eq!(story.known(victim), 1);
    assert_eq!(story.count(victim, |event| matches!(event, Event::Cloned { .. })), 0);
    story.end();
}

#[test]
fn what_an_earlier_run_of_ours_said_is_no_clone() {
    let mut story = Story::of(2);
    let victim = story.nodes[0];
    story.world.record = Some(Vec::new());
    story.everyone_hears_everyone("long ago");
    story.world.run_for(secs(5));
    let recorded: Vec<Arc<[u8]>> = story.world.record.take().unwrap();
    story.world.start(victim);
    story.world.run_for(secs(3));
    for bytes in recorded {
        for via in [Hearing::Multicast, Hearing::Unicast] {
            story.world.inject(victim, stranger(1), via, Arc::clone(&bytes));
        }
        story.world.run_for(ms(100));
    }
    assert_eq!(story.count(victim, |event| matches!(event, Event::Cloned { .. })), 0);
    assert_eq!(story.known(victim), 1);
    story.end();
}

/// A copied disk: all others take the later run for the earlier one's next.
#[test]
fn who_is_heard_no_more_for_a_clone_is_told_when_that_has_gone_and_not_before() {
    let mut story = Story::of(3);
    let [first, second] = [(); 2].map(|()| {
        let (host, key) = (story.host(), Some([9; 32]));
        let node = story.world.start_with(host, Spec { key, ..Spec::default() });
        story.world.run_for(secs(3));
        node
    });
    let count = |story: &Story, node| story.count(node, |event| matches!(event, Event::Bereft));
    story.world.run_for(secs(60));
    assert_eq!((count(&story, first), count(&story, second)), (0, 0), "both are there");
    let is_later = |event: &Event| matches!(event, Event::Cloned { superseded: true, .. });
    assert!(story.count(first, is_later) > 0 && story.count(second, is_later) == 0);
    story.world.crash(second);
    story.world.run_for(secs(40));
    assert_eq!(count(&story, first), 1);
}

#[test]
fn a_message_written_by_hand_is_shown_as_unverified_and_not_without_end() {
    let mut story = Story::of(1);
    let victim = story.nodes[0];
    let shown = |story: &Story| {
        story.count(victim, |event| {
            matches!(event, Event::Message(message)
                if !message.verified && message.from.is_none())
        })
    };
    let by_hand = |n: u32| {
        format!(r#"{{"cooee":1,"type":"say","channel":"lobby","text":"hi {n}"}}"#).into_bytes()
    };
    story.world.inject(victim, stranger(1), Hearing::Multicast, by_hand(0));
    assert_eq!(shown(&story), 1);
    for n in 1..10_000 {
        story.world.inject(victim, stranger(1), Hearing::Multicast, by_hand(n));
    }
    assert_eq!(shown(&story), limits::UNSIGNED_BURST as usize);
    story.world.run_for(secs(1));
    for n in 0..1_000 {
        story.world.inject(victim, stranger(1), Hearing::Multicast, by_hand(n));
    }
    let most = (limits::UNSIGNED_BURST + limits::UNSIGNED_RATE) as usize;
    assert_eq!(shown(&story), most);
    story.world.inject(victim, stranger(2), Hearing::Multicast, by_hand(0));
    assert_eq!(shown(&story), most, "another port of the same host is no other source");
    let other = SocketAddrV4::new([10, 77, 9, 10].into(), 1_001);
    story.world.inject(victim, other, Hearing::Multicast, by_hand(0));
    assert_eq!(shown(&story), most + 1, "another host has its own measure");
    story.end();
}

#[test]
fn a_flood_of_questions_is_answered_within_measure() {
    let mut story = Story::of(1);
    let victim = story.nodes[0];
    story.world.record = Some(Vec::new());
    let late = story.join();
    story.world.run_for(ms(100));
    let recorded: Vec<Arc<[u8]>> = story.world.record.take().unwrap();
    let before = story.world.engine(victim).unwrap().counters().datagrams_out;
    for n in 0..20_000_u16 {
        let bytes = &recorded[usize::from(n) % recorded.len()];
        story.world.inject(victim, stranger(n % 100), Hearing::Unicast, Arc::clone(bytes));
    }
    let out = story.world.engine(victim).unwrap().counters().datagrams_out - before;
    assert!(out <= u64::from(limits::ANSWER_BURST), "{out}");
    assert!(story.world.engine(late).is_some());
    story.end();
}

#[test]
fn a_forged_cast_silences_nobody_whoever_the_author_is() {
    let mut story = Story::of(1);
    let victim = story.nodes[0];
    story.world.checker.forgeries = true;
    // A command that casts is known to nobody.
    let id = Identity::from_secret([9; 32]).id();
    let cast = |seq: u32, text: &str| {
        format!(
            r#"{{"cooee":1,"type":"cast","id":"{id}","epoch":5,"channel":"lobby","seq":{seq},"nick":"ada","at":1,"text":"{text}"}}"#
        )
        .into_bytes()
    };
    let author = SocketAddrV4::new([10, 77, 9, 1].into(), 4_000);
    let hears = |story: &Story, text: &str| {
        story.count(
            victim,
            |event| matches!(event, Event::Message(message) if message.text.raw() == text),
        )
    };
    story.world.inject(victim, author, Hearing::Multicast, cast(1, "one"));
    for seq in [2, 3, 1_000_001] {
        story.world.inject(victim, stranger(1), Hearing::Multicast, cast(seq, "forged"));
    }
    for (seq, text) in [(2, "two"), (3, "three"), (4, "four")] {
        story.world.inject(victim, author, Hearing::Multicast, cast(seq, text));
        // The copy that the author's other link sends.
        let other_link = SocketAddrV4::new([10, 77, 9, 2].into(), 4_000);
        story.world.inject(victim, other_link, Hearing::Multicast, cast(seq, text));
    }
    for text in ["one", "two", "three", "four"] {
        assert_eq!(hears(&story, text), 1, "{text}");
    }
    story.end();
}

#[test]
fn one_host_with_many_keys_and_names_is_a_few_new_authors_only() {
    let mut story = Story::of(2);
    let victim = story.nodes[0];
    let shown = |story: &Story| story.count(victim, |event| matches!(event, Event::Message(_)));
    story.world.checker.forgeries = true;
    for n in 0..1_000_u16 {
        let mut secret = [1; 32];
        secret[..2].copy_from_slice(&n.to_be_bytes());
        let identity = Identity::from_secret(secret);
        let mut entry = Entry {
            body: if n % 2 == 0 { Body::Say } else { Body::Cast },
            from: Some(Sender { id: identity.id(), epoch: 1 }),
            nick: "many".into(),
            channel: ChannelName::lobby(),
            seq: Some(1),
            confirm: false,
            again: None,
            follows: None,
            payload: Payload::Whole(Vec::new()),
        };
        let content =
            Content { at: WallTime(1), text: "spam".into(), data: None, level: Level::Info };
        entry.payload = Payload::Whole(vec![content]);
        let bytes = entry.encode(&identity);
        story.world.inject(victim, stranger(n % 50), Hearing::Multicast, bytes);
    }
    assert_eq!(shown(&story), limits::NEWCOMER_BURST as usize);
    story.everyone_hears_everyone("unimpressed");
    story.end();
}
