//! Stories of those who are gone, and of those who only seem to be.

use std::collections::BTreeSet;
use std::net::SocketAddrV4;

use cooee::proto::{Contact, Event, PeerState};
use cooee::sim::{Faults, Kind, NodeIndex, World};
use cooee::values::NodeId;
use cooee::wire::{Datagram, Hearing, Identity, Packet, Sender, Suspect};

use crate::stories::{Story, ms, secs, visitor};

/// How many of the live nodes have told their users of this about somebody, from `since` on.
fn told(story: &Story, what: impl Fn(&Event) -> Option<NodeId>) -> Vec<(NodeIndex, NodeId)> {
    let of = |node: NodeIndex| {
        let events = story.world.events(node).iter();
        events.filter_map(|(_, event)| Some((node, what(event)?))).collect::<Vec<_>>()
    };
    story.live().into_iter().flat_map(of).collect()
}

fn dead(event: &Event) -> Option<NodeId> {
    match event {
        Event::Dead(peer) => Some(peer.id),
        _ => None,
    }
}

fn suspect(event: &Event) -> Option<NodeId> {
    match event {
        Event::Suspect(peer) => Some(peer.id),
        _ => None,
    }
}

fn path(event: &Event) -> Option<NodeId> {
    match event {
        Event::Path(peer) => Some(peer.id),
        _ => None,
    }
}

/// The time until none of the others knows a node.
fn until_forgotten(story: &mut Story, gone: usize) -> std::time::Duration {
    let gone = story.nodes[gone];
    let id = story.world.id(gone);
    let others: Vec<NodeIndex> = story.live().into_iter().filter(|&node| node != gone).collect();
    let none = |world: &World| others.iter().all(|&node| !world.knows(node, id));
    story.world.run_until(secs(20), none).expect("them to notice")
}

#[test]
fn a_host_whose_cable_is_pulled_is_dead_for_ten_within_four_seconds() {
    for seed in 1..=20 {
        let mut story = Story::with(10, Faults::default(), seed);
        let pause = story.world.rng().up_to(secs(2));
        story.world.run_for(pause);
        story.world.cut(story.hosts[3], true);
        let took = until_forgotten(&mut story, 3);
        assert!(took >= secs(2) && took < ms(3_900), "seed {seed}: {took:?}");
        let others = |(node, _): &(NodeIndex, NodeId)| *node != story.nodes[3];
        let dead: Vec<_> = told(&story, dead).into_iter().filter(others).collect();
        assert_eq!(dead.len(), 9, "seed {seed}: each says it once");
        story.end();
    }
}

/// Nobody had answered it while its cable was out, so that it mistrusted itself: for a reason that is gone.
#[test]
fn who_was_cut_off_finds_out_as_soon_as_others_who_is_cut_off_next() {
    for seed in 1..=10 {
        let mut story = Story::with(10, Faults::default(), seed);
        story.world.cut(story.hosts[2], true);
        story.world.run_for(secs(7));
        story.world.cut(story.hosts[2], false);
        story.world.run_for(secs(4));
        story.world.cut(story.hosts[3], true);
        let took = until_forgotten(&mut story, 3);
        assert!(took < secs(4), "seed {seed}: {took:?}");
        story.end();
    }
}

#[test]
fn a_crash_is_known_to_all_within_five_seconds_however_many_they_are() {
    for (count, loss) in [(2, 0.0), (3, 0.0), (40, 0.0), (41, 0.2), (120, 0.0), (120, 0.1)] {
        let mut story = Story::quietly(count, 5);
        story.world.lan(story.lan).faults = Faults::losing(loss);
        story.world.run_for(secs(5));
        story.world.crash(story.nodes[1]);
        let took = until_forgotten(&mut story, 1);
        assert!(took < secs(5), "{count} hosts at {loss}: {took:?}");
        story.end();
    }
}

/// Of most of them it has only been told.
#[test]
fn a_crash_is_known_as_soon_to_who_has_only_just_come_to_a_large_group() {
    for (count, seed) in [(60, 1), (200, 2), (400, 3)] {
        let mut story = Story::quietly(count, seed);
        let late = story.join();
        story.world.run_for(ms(500));
        story.world.crash(story.nodes[1]);
        let id = story.world.id(story.nodes[1]);
        let took = story.world.run_until(secs(60), |world| !world.knows(late, id));
        assert!(took.is_some_and(|took| took < secs(5)), "{count} hosts: {took:?}");
        story.end();
    }
}

/// The next of the ring, which watches it, has crashed as well.
#[test]
fn a_crash_of_many_at_once_is_known_as_soon() {
    let mut story = Story::quietly(60, 6);
    for n in (0..60).step_by(3) {
        story.world.crash(story.nodes[n]);
    }
    let live = story.live().len();
    let took = story.world.run_until(secs(20), |world| {
        let knows = |node| world.engine(node).map_or(0, cooee::proto::Engine::peer_count);
        world.running().all(|node| knows(node) == live - 1)
    });
    assert!(took.is_some_and(|took| took < ms(5_500)), "{took:?}");
    story.end();
}

/// What three watchers say once each would be missed by three of these.
#[test]
fn a_crash_of_many_at_once_is_known_as_soon_to_all_though_a_fifth_is_lost() {
    let mut story = Story::quietly(400, 7);
    story.world.lan(story.lan).faults = Faults::losing(0.2);
    for n in (0..400).step_by(8) {
        story.world.crash(story.nodes[n]);
    }
    let took = story.world.run_until(secs(20), |world| {
        let knows = |node| world.engine(node).map_or(0, cooee::proto::Engine::peer_count);
        world.running().all(|node| knows(node) == 349)
    });
    assert!(took.is_some_and(|took| took < secs(6)), "{took:?}");
    story.end();
}

/// Else the others don't know that it has answered the one who accused it, and would all ask it; and believe two.
#[test]
fn who_is_accused_and_has_missed_it_is_told_so_by_the_accuser_alone() {
    let mut told_alone = 0;
    for seed in 1..=10 {
        let mut story = Story::quietly(100, seed);
        let accused = story.nodes[1];
        story.world.host(story.hosts[1]).deaf = true;
        story.world.cut(story.hosts[1], true);
        let others: Vec<NodeIndex> =
            story.live().into_iter().filter(|&node| node != accused).collect();
        let is_suspect = |world: &World| {
            let mut events = others.iter().flat_map(|&node| world.events(node));
            events.any(|(_, event)| suspect(event).is_some())
        };
        story.world.run_until(secs(5), is_suspect).expect("somebody to accuse it");
        story.world.cut(story.hosts[1], false);
        let before = story.world.tally;
        story.world.run_for(ms(1_500));
        let sent = story.world.tally - before;
        // Beside the copy of each that goes to all.
        told_alone +=
            sent.unicast(Kind::Suspect).datagrams - sent.multicast(Kind::Suspect).datagrams;
        assert_eq!(told(&story, dead), [], "seed {seed}");
        let is_alive = |&node: &NodeIndex| {
            story.peer(node, accused).is_some_and(|peer| peer.state == PeerState::Alive)
        };
        assert!(others.iter().all(is_alive), "seed {seed}");
        story.end();
    }
    // In some it announces itself before it is asked again.
    assert!((4..=20).contains(&told_alone), "{told_alone} times");
}

#[test]
fn nobody_dies_in_ten_minutes_though_a_fifth_is_lost() {
    for (count, minutes) in [(3, 10), (10, 10), (50, 2)] {
        let mut story = Story::with(count, Faults::losing(0.2), 7);
        story.world.run_for(secs(60 * minutes));
        assert_eq!(told(&story, dead), [], "{count} hosts");
        let suspected = told(&story, suspect).len();
        assert!(suspected <= 2 * count, "{count} hosts: {suspected} times suspect");
        story.end();
    }
}

#[test]
fn a_host_that_loses_half_of_what_comes_accuses_nobody_and_is_not_given_up() {
    for seed in 1..=5 {
        let mut story = Story::with(10, Faults::default(), seed);
        story.world.host(story.hosts[2]).input_loss = 0.5;
        story.world.run_for(secs(120));
        assert_eq!(told(&story, dead), [], "seed {seed}");
        story.end();
    }
}

/// What it is asked is lost in its full receive buffer.
#[test]
fn a_host_that_is_too_busy_to_answer_is_not_suspect_as_long_as_it_speaks() {
    let mut story = Story::of(60);
    let busy = story.nodes[1];
    story.world.host(story.hosts[1]).input_loss = 0.97;
    for n in 0..300 {
        story.world.say(busy, &format!("busy {n}"));
        story.world.run_for(ms(100));
    }
    let of_others = |(node, _): &(NodeIndex, NodeId)| *node != busy;
    let dead: Vec<_> = told(&story, dead).into_iter().filter(of_others).collect();
    assert_eq!(dead, []);
    story.end();
}

#[test]
fn a_host_that_hears_nothing_is_not_dead_as_long_as_it_is_heard() {
    // Where announcements are rare, it announces itself more often.
    for count in [5, 150] {
        let mut story = Story::quietly(count, 8);
        let hears_nothing = story.nodes[2];
        story.world.host(story.hosts[2]).input_loss = 1.0;
        story.world.run_for(secs(30));
        let of_others = |(node, _): &(NodeIndex, NodeId)| *node != hears_nothing;
        let dead: Vec<_> = told(&story, dead).into_iter().filter(of_others).collect();
        assert_eq!(dead, [], "{count} hosts");
        let live = story.live();
        let views = live.iter().filter_map(|&node| story.peer(node, hears_nothing));
        let one_way = views.filter(|peer| peer.contact == Contact::Inbound).count();
        assert!(one_way >= 1, "{count} hosts: nobody sees that it is deaf");
        story.end();
    }
}

/// The one that was given up hears the other all the time, and its own multicast reaches nobody.
#[test]
fn who_asks_one_that_has_given_it_up_is_known_again() {
    let mut story = Story::of(2);
    let (other, lost) = (story.nodes[0], story.nodes[1]);
    let id = story.world.id(lost);
    story.world.host(story.hosts[0]).unheard = vec![story.hosts[1]];
    story.world.host(story.hosts[1]).mute = true;
    story.world.run_until(secs(20), |world| !world.knows(other, id)).expect("it to be given up");
    assert_eq!(story.known(lost), 1, "it hears the other");
    story.world.host(story.hosts[0]).unheard.clear();
    story.world.run_until(secs(5), |world| world.knows(other, id)).expect("it to be known again");
    story.end();
}

#[test]
fn a_one_way_link_is_shown_at_both_ends_and_ends_with_its_cause() {
    for seed in 1..=10 {
        let mut story = Story::with(6, Faults::default(), seed);
        // The second does not hear the first.
        let (heard, deaf) = (story.nodes[0], story.nodes[1]);
        story.world.host(story.hosts[1]).unheard = vec![story.hosts[0]];
        story.world.run_for(secs(15));
        let contact = |story: &Story, node, of| story.peer(node, of).map(|peer| peer.contact);
        assert_eq!(contact(&story, heard, deaf), Some(Contact::Inbound), "seed {seed}");
        assert_eq!(contact(&story, deaf, heard), Some(Contact::Outbound), "seed {seed}");
        assert_eq!(contact(&story, story.nodes[2], deaf), Some(Contact::Both));
        story.world.run_for(secs(60));
        assert_eq!(contact(&story, deaf, heard), Some(Contact::Outbound), "seed {seed}");
        assert_eq!(told(&story, dead), [], "seed {seed}");
        story.world.host(story.hosts[1]).unheard.clear();
        story.world.run_for(secs(10));
        for (node, of) in [(heard, deaf), (deaf, heard)] {
            assert_eq!(contact(&story, node, of), Some(Contact::Both), "seed {seed}");
        }
        // And if it crashes, the one that had not heard it knows it as well.
        story.world.host(story.hosts[1]).unheard = vec![story.hosts[0]];
        story.world.run_for(secs(15));
        story.world.crash(heard);
        let took = until_forgotten(&mut story, 0);
        assert!(took < secs(5), "seed {seed}: {took:?}");
        story.end();
    }
}

#[test]
fn two_that_do_not_hear_each_other_at_all_know_of_each_other_by_the_rest() {
    let mut story = Story::of(5);
    let (one, other) = (story.nodes[0], story.nodes[1]);
    story.world.host(story.hosts[0]).unheard = vec![story.hosts[1]];
    story.world.host(story.hosts[1]).unheard = vec![story.hosts[0]];
    story.world.run_for(secs(30));
    for (node, of) in [(one, other), (other, one)] {
        let peer = story.peer(node, of).expect("it to be known");
        assert_eq!((peer.contact, peer.state), (Contact::Neither, PeerState::Alive));
    }
    assert_eq!(told(&story, dead), []);
    story.end();
}

#[test]
fn a_process_that_stood_still_accuses_nobody_and_is_alive_again() {
    for seed in 1..=10 {
        let mut story = Story::with(10, Faults::default(), seed);
        let frozen = story.nodes[4];
        let time = if seed % 2 == 0 { secs(8) } else { secs(30) };
        story.world.freeze(frozen, time);
        story.world.run_for(time + ms(2_500));
        let of_it = |(node, _): &(NodeIndex, NodeId)| *node == frozen;
        assert!(!told(&story, suspect).iter().any(of_it), "seed {seed}");
        assert!(!told(&story, dead).iter().any(of_it), "seed {seed}");
        assert!(story.all_know_all(), "seed {seed}");
        assert_eq!(told(&story, path), [], "seed {seed}: what it missed is no fault of multicast");
        story.everyone_hears_everyone("again");
        story.end();
    }
}

#[test]
fn a_cable_that_was_out_is_no_fault_of_multicast() {
    for (seed, out) in (1..=10).zip([2, 4, 6, 8, 10, 12, 15, 20, 30, 60]) {
        let mut story = Story::with(4, Faults::default(), seed);
        let (host, node) = (story.hosts[1], story.nodes[1]);
        story.world.cut(host, true);
        story.world.run_for(secs(out));
        story.world.cut(host, false);
        story.world.tell_links(node);
        story.world.run_for(secs(15));
        assert_eq!(told(&story, path), [], "out for {out} s");
        story.end();
    }
}

/// A key that nobody runs, known to all as somebody who announces itself.
struct Liar {
    identity: Identity,
    source: SocketAddrV4,
    n: u64,
}

impl Liar {
    fn among(story: &mut Story, key: u8, host: u8) -> Self {
        let identity = Identity::from_secret([key; 32]);
        let source = SocketAddrV4::new([10, 77, 9, host].into(), 26_000);
        let mut liar = Self { identity, source, n: 0 };
        liar.announce(story);
        liar
    }

    fn sender(&self) -> Sender {
        Sender { id: self.identity.id(), epoch: 5 }
    }

    fn announce(&mut self, story: &mut Story) {
        self.n += 1;
        let presence = crate::many::presence(self.sender(), self.n);
        let (bytes, _) = presence.encode(&self.identity, 1_200, 0);
        for node in story.live() {
            story.world.inject(node, self.source, Hearing::Multicast, bytes.clone());
        }
    }

    fn accuse(&mut self, story: &mut Story, to: &[NodeIndex], whom: NodeIndex, via: Hearing) {
        self.n += 1;
        let of = Sender { id: story.world.id(whom), epoch: story.world.epoch(whom).unwrap() };
        let suspect = Suspect { from: self.sender(), n: self.n, of };
        let bytes = suspect.encode(&self.identity);
        for &node in to {
            story.world.inject(node, self.source, via, bytes.clone());
        }
    }
}

#[test]
fn one_hostile_host_has_nobody_declared_dead_whomever_it_tells_what_with_however_many_keys() {
    for count in [6, 60] {
        let mut story = Story::quietly(count, 9);
        story.world.checker.forgeries = true;
        let victim = story.nodes[0];
        // Of many keys it has those that may accuse the victim.
        let mut liars: Vec<Liar> = (1..=20).map(|key| Liar::among(&mut story, key, 1)).collect();
        for round in 0..40 {
            let others: Vec<NodeIndex> = story.live().into_iter().skip(1).collect();
            for liar in &mut liars {
                // To all, the accused too; to all but the accused; to one alone.
                match round % 3 {
                    0 => {
                        let all = story.live();
                        liar.accuse(&mut story, &all, victim, Hearing::Multicast);
                    }
                    1 => liar.accuse(&mut story, &others, victim, Hearing::Multicast),
                    _ => liar.accuse(&mut story, &others[..1], victim, Hearing::Unicast),
                }
                if round % 5 == 0 {
                    liar.announce(&mut story);
                }
            }
            story.world.run_for(ms(500));
        }
        let id = story.world.id(victim);
        let victims =
            |all: Vec<(NodeIndex, NodeId)>| all.iter().filter(|(_, of)| *of == id).count();
        assert_eq!(victims(told(&story, dead)), 0, "{count} hosts");
        assert_eq!(victims(told(&story, suspect)), 0, "{count} hosts");
        story.end();
    }
}

#[test]
fn a_stranger_accuses_nobody_and_an_accusation_that_is_played_again_is_old_news() {
    let mut story = Story::of(4);
    story.world.checker.forgeries = true;
    let before = story.world.tally;
    let mut stranger = Liar {
        identity: Identity::from_secret([77; 32]),
        source: SocketAddrV4::new([10, 77, 9, 9].into(), 26_000),
        n: 0,
    };
    let all = story.live();
    for _ in 0..20 {
        stranger.accuse(&mut story, &all, all[1], Hearing::Multicast);
    }
    let mut liar = Liar::among(&mut story, 78, 3);
    for _ in 0..20 {
        liar.n = 1; // the number of its announcement
        liar.accuse(&mut story, &all, all[1], Hearing::Multicast);
        liar.n = 1;
        liar.accuse(&mut story, &all, all[2], Hearing::Multicast);
        story.world.run_for(ms(20));
    }
    let spent = story.world.tally - before;
    // The first word of the liar's alone was news, and was refuted.
    assert!(spent.multicast(Kind::Here).datagrams <= 8, "{:?}", spent.multicast(Kind::Here));
    story.end();
}

#[test]
fn who_passes_through_asks_nobody_and_is_asked_by_nobody() {
    let mut story = Story::of(5);
    let host = story.host();
    let passing = story.start(host, visitor());
    story.world.record = Some(Vec::new());
    story.world.run_for(secs(30));
    let id = story.world.id(passing);
    let packets = story.world.record.take().unwrap().into_iter().map(Packet::new);
    let mut asked = BTreeSet::new();
    for packet in packets {
        if let Ok(Datagram::Probe(probe)) = packet.datagram() {
            assert!(probe.from.id != id && probe.to != id);
            asked.insert(probe.to);
        }
    }
    assert_eq!(asked.len(), 5, "each of the others is asked");
    story.end();
}

#[test]
fn a_sealed_group_is_watched_as_any_other() {
    let mut story = Story::of(0);
    story.world.seal("secret");
    for _ in 0..5 {
        let host = story.host();
        story.start(host, cooee::sim::Spec { sealed: true, ..cooee::sim::Spec::default() });
    }
    story.world.run_for(secs(8));
    story.world.host(story.hosts[1]).unheard = vec![story.hosts[0]];
    story.world.run_for(secs(20));
    let contact = |node, of| story.peer(node, of).map(|peer| peer.contact);
    assert_eq!(contact(story.nodes[1], story.nodes[0]), Some(Contact::Outbound));
    assert_eq!(told(&story, dead), []);
    story.world.crash(story.nodes[4]);
    assert!(until_forgotten(&mut story, 4) < secs(5));
    story.end();
}
