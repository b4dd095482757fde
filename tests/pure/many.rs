//! Stories of ten thousand. Three hosts are whole; they have heard the announcements of the others,
//! who never answer: so what joining costs is seen, and what it takes from the others is nothing.

use std::net::SocketAddrV4;
use std::sync::Arc;

use cooee::sim::{Kind, NodeIndex, Spec};
use cooee::values::ChannelName;
use cooee::wire::{Hearing, Identity, Presence, PresenceKind, Profile, Sender, Summary, Suspect};

use crate::stories::{Story, secs};

const MANY: u32 = 10_000;

fn identity(n: u32) -> Identity {
    let mut secret = [7; 32];
    secret[..4].copy_from_slice(&n.to_le_bytes());
    Identity::from_secret(secret)
}

fn sender(n: u32) -> Sender {
    Sender { id: identity(n).id(), epoch: 1_795_305_600_000 }
}

/// Where one of the many is.
fn address(n: u32) -> SocketAddrV4 {
    let [_, _, high, low] = (n / 250 * 256 + n % 250 + 1).to_be_bytes();
    SocketAddrV4::new([10, 77, 100 + high, low].into(), 26_000)
}

fn announcement(n: u32) -> Vec<u8> {
    let (identity, from) = (identity(n), sender(n));
    let nick = format!("host-{n}").as_str().into();
    let presence = Presence {
        profile: Arc::new(Profile { nick, ..Profile::default() }),
        channels: Arc::new(vec![ChannelName::lobby()]),
        channels_of: 1,
        ..presence(from, 1)
    };
    presence.encode(&identity, 1_200, 0).0
}

/// An announcement that says as little as possible.
pub(crate) fn presence(from: Sender, n: u64) -> Presence {
    Presence {
        kind: PresenceKind::Here,
        from,
        n,
        profile: Arc::new(Profile::default()),
        partial: false,
        channels: Arc::new(Vec::new()),
        channels_at: 0,
        channels_of: 0,
        logs: Vec::new(),
        visitor: false,
        summary: Summary::default(),
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

/// Three hosts that know each other and many more; the last of them has missed one of so many.
fn crowd(missed_of: u32) -> Story {
    let mut story = Story::of(3);
    for n in 0..MANY {
        let source = address(n);
        let bytes: Arc<[u8]> = announcement(n).into();
        let hear = if n % missed_of == 0 { 2 } else { 3 };
        let tellers: Vec<NodeIndex> = story.nodes[..hear].to_vec();
        for teller in tellers {
            story.world.inject(teller, source, Hearing::Multicast, Arc::clone(&bytes));
        }
    }
    story
}

#[test]
fn joining_ten_thousand_takes_less_than_two_thousand_datagrams_hardly_any_of_them_to_all() {
    let mut story = crowd(1_000);
    let host = story.host();
    let seeds = story.hosts[..3].iter().map(|&host| story.world.seed_address(host)).collect();
    let before = story.world.tally;
    let newcomer = story.start(host, Spec { seeds, ..Spec::default() });
    let all = MANY as usize + 3;
    let took = story.world.run_until(secs(2), |world| {
        world.engine(newcomer).is_some_and(|engine| engine.peer_count() == all)
    });
    assert!(took.is_some(), "it knows {} of {all}", story.known(newcomer));
    // It looks once more at what it was told.
    story.world.run_for(secs(10));
    let cost = story.world.tally - before;
    let (to_all, to_one) = cost.totals();
    assert!(to_all.datagrams < 20, "{to_all:?}");
    // Those who announced themselves and are not there do not answer when they are watched.
    let watching = [Kind::Probe, Kind::Alive].map(|kind| cost.unicast(kind).datagrams);
    let to_join = to_one.datagrams - watching.iter().sum::<u64>();
    assert!(to_join < 2_000, "{to_one:?} {:?}", cost.unicast(Kind::Roster));
    // Who was only told of is marked so, and was not asked; but for the next on the ring, which is watched.
    let engine = story.world.engine(newcomer).unwrap();
    assert_eq!(engine.peers().filter(|peer| peer.verified).count(), 3);
    assert!(cost.unicast(Kind::Hello).datagrams < 150, "{:?}", cost.unicast(Kind::Hello));
    // Who had missed some hears of it with the next announcements, which are rare.
    story.world.run_for(secs(250));
    // (Of those who only ever announced themselves, and answer nothing, a few are dead by then.)
    let known = story.nodes[..3].iter().map(|&teller| story.known(teller));
    let known: Vec<usize> = known.collect();
    assert!(known.iter().all(|&count| count == known[0] && count + 9 > all), "{known:?}");
    story.end();
}

#[test]
fn who_joins_a_large_group_takes_whoever_was_heard_as_long_ago_as_is_usual_there() {
    let mut story = crowd(1_000);
    // Longer than one who knows nobody would wait to hear somebody again.
    story.world.run_for(secs(60));
    let host = story.host();
    let seeds = story.hosts[..2].iter().map(|&host| story.world.seed_address(host)).collect();
    let before = story.world.tally;
    let newcomer = story.start(host, Spec { seeds, ..Spec::default() });
    story.world.run_for(secs(2));
    // (A few of those who only ever announced themselves are found dead.)
    let known = story.known(story.nodes[0]);
    assert!(known > 9_900 && story.known(newcomer).abs_diff(known) < 9, "{known}");
    let pages = (story.world.tally - before).unicast(Kind::Roster).datagrams;
    assert!(pages < 1_900, "each is told once, and no more than that: {pages} pages");
    story.end();
}

/// There is one in nearly each of the 256 parts of all ids, with the thirty-nine others in it.
#[test]
fn who_has_missed_five_hundred_in_all_places_is_told_of_hardly_more() {
    let mut story = crowd(20);
    let [teller, _, misses] = story.nodes[..3] else { panic!("three hosts") };
    let before = story.world.tally;
    assert!(story.known(misses) + 400 < story.known(teller));
    let took = story.world.run_until(secs(260), |world| {
        let known = |node| world.engine(node).map_or(0, cooee::proto::Engine::peer_count);
        // (Of those who only ever announced themselves a few are found dead.)
        known(misses) + 9 > known(teller)
    });
    assert!(took.is_some(), "it knows {}", story.known(misses));
    let cost = story.world.tally - before;
    let [pages, questions] = [Kind::Roster, Kind::Ask].map(|kind| cost.unicast(kind).datagrams);
    assert!(pages < 200 && questions < 60, "{pages} pages, {questions} questions");
    story.end();
}

/// It would be listed as one that is there until everybody should have heard it again: for eleven minutes.
#[test]
fn who_hears_that_one_is_dead_whom_it_never_knew_does_not_take_it_up_from_others() {
    let mut story = crowd(1_000);
    let [teller, _, misses] = story.nodes[..3] else { panic!("three hosts") };
    // One of the ten that it misses, and who watches that one: the next before it on the ring.
    let gone = sender(0);
    let watcher = (1..MANY).filter(|n| n % 1_000 != 0 && sender(*n).id < gone.id);
    let watcher = watcher.max_by_key(|n| sender(*n).id).unwrap();
    let suspect = Suspect { from: sender(watcher), n: 2, of: gone };
    let word: Arc<[u8]> = suspect.encode(&identity(watcher)).into();
    story.world.inject(misses, address(watcher), Hearing::Multicast, word);
    let others = story.world.run_until(secs(260), |world| {
        (1..10).all(|n| {
            world.knows(misses, sender(n * 1_000).id) || !world.knows(teller, sender(n * 1_000).id)
        })
    });
    assert!(others.is_some());
    assert!(story.world.knows(teller, gone.id) && !story.world.knows(misses, gone.id));
    story.end();
}
