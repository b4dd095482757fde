//! Messages received a second, beside a loop that only receives the same datagrams.

use std::collections::VecDeque;
use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cooee::net::{Drained, OpenOptions, Sockets, Transmit, choose, interfaces};
use cooee::node::Notice;
use cooee::proto::Event;
use cooee::values::{ChannelName, Group, Level, PeerText, WallTime};
use cooee::wire::{Body, Content, Entry, Identity, Payload, Sender, split};

use crate::{ROUNDS, TEXT, median, node};

/// Datagrams as an author writes them, numbered on from `first`: `packed` messages to each, or as
/// many as fit.
fn datagrams(body: Body, count: usize, packed: bool, identity: &Identity) -> (Vec<Arc<[u8]>>, u64) {
    let content = Content {
        at: WallTime(1),
        text: PeerText::new("x".repeat(TEXT)),
        data: None,
        level: Level::Info,
    };
    let mut entry = Entry {
        body,
        from: Some(Sender { id: identity.id(), epoch: 1 }),
        nick: "bench".into(),
        channel: ChannelName::lobby(),
        seq: Some(1),
        confirm: false,
        again: None,
        follows: None,
        payload: Payload::Whole(Vec::new()),
    };
    let room = entry.room(1_200);
    let each = if packed { 16 } else { 1 };
    let Payload::Whole(fitting) = split(vec![content; each], room).remove(0) else {
        unreachable!("a short message is not cut")
    };
    let per_datagram = fitting.len() as u64;
    let mut seq = 1;
    let datagrams = (0..count)
        .map(|_| {
            entry.seq = Some(seq);
            seq += per_datagram;
            entry.payload = Payload::Whole(fitting.clone());
            Arc::from(entry.encode(identity))
        })
        .collect();
    (datagrams, per_datagram)
}

/// Sends the datagrams over and over until told to stop.
fn blast(group: SocketAddrV4, datagrams: &[Arc<[u8]>], stop: &AtomicBool) {
    let links = choose(&interfaces().expect("interfaces"), &["lo".to_owned()]).expect("lo");
    let mut sockets = Sockets::open(&OpenOptions {
        port: group.port(),
        reachable: true,
        ttl: 1,
        multicast: true,
        receive_buffer: 1 << 16,
    })
    .expect("sockets");
    sockets.set_links(&links);
    let mut queue = VecDeque::new();
    let mut next = datagrams.iter();
    while !stop.load(Ordering::Relaxed) {
        let batch: Vec<_> = next.by_ref().take(64).collect();
        if batch.is_empty() {
            return; // every number was used once; more would be duplicates
        }
        queue.extend(batch.into_iter().map(|bytes| Transmit {
            bytes: Arc::clone(bytes),
            to: SocketAddr::V4(group),
            link: Some(links[0].id),
        }));
        while !queue.is_empty() {
            sockets.send(&mut queue);
        }
    }
}

/// Datagrams a second that a loop of nothing but system calls takes in.
fn raw(group: SocketAddrV4, datagrams: &[Arc<[u8]>]) -> f64 {
    let links = choose(&interfaces().expect("interfaces"), &["lo".to_owned()]).expect("lo");
    let mut poll = mio::Poll::new().expect("poll");
    let mut sockets = Sockets::open(&OpenOptions {
        port: group.port(),
        reachable: true,
        ttl: 1,
        multicast: true,
        receive_buffer: OpenOptions::RECEIVE_BUFFER,
    })
    .expect("sockets");
    sockets.register(poll.registry(), 0..8).expect("register");
    sockets.set_links(&links);
    assert!(sockets.join(*group.ip()).is_empty());
    let mut events = mio::Events::with_capacity(8);
    let mut received = 0_u64;
    let (stop, mut first, mut last) = (AtomicBool::new(false), None, Instant::now());
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| blast(group, datagrams, &stop));
        loop {
            poll.poll(&mut events, Some(Duration::from_millis(100))).expect("poll");
            if events.is_empty() && sender.is_finished() {
                break;
            }
            while sockets.receive(mio::Token(1), &mut |_| received += 1).expect("receive")
                == Drained::More
            {}
            first.get_or_insert_with(Instant::now);
            last = Instant::now();
        }
    });
    received as f64 / last.duration_since(first.unwrap_or(last)).as_secs_f64()
}

/// Messages a second that a node takes in and hands to a subscriber, and the share that it lost.
fn through_node(group: Group, datagrams: &[Arc<[u8]>], per_datagram: u64) -> (f64, f64) {
    let lobby = ChannelName::lobby();
    let (node, notices) = node(group, vec![lobby.clone()]);
    while node.stats().expect("stats").memberships < 2 {}
    let count = AtomicU64::new(0);
    let (stop, mut first, mut last) = (AtomicBool::new(false), None, Instant::now());
    std::thread::scope(|scope| {
        let sender = scope.spawn(|| blast(group.channel(&lobby), datagrams, &stop));
        loop {
            match notices.next(Duration::from_millis(100)).expect("running") {
                Some(Notice::Event(Event::Message(_))) => {
                    // Looking at the clock for each would cost more than some of what is measured.
                    let nth = count.fetch_add(1, Ordering::Relaxed);
                    if nth.is_multiple_of(1_024) {
                        first.get_or_insert_with(Instant::now);
                        last = Instant::now();
                    }
                }
                Some(Notice::Missed(n)) => {
                    count.fetch_add(n, Ordering::Relaxed);
                }
                None if sender.is_finished() => break,
                _ => {}
            }
        }
    });
    node.stop();
    let (count, sent) = (count.into_inner() as f64, (datagrams.len() as u64 * per_datagram) as f64);
    (count / last.duration_since(first.unwrap_or(last)).as_secs_f64(), 1.0 - count / sent)
}

pub(crate) fn throughput(group: Group) {
    println!("messages received a second       raw loop     cooee   ratio   lost by cooee");
    let identity = Identity::from_secret([1; 32]);
    for (name, body, packed, count) in [
        ("cast, packed", Body::Cast, true, 100_000),
        ("cast, one to a datagram", Body::Cast, false, 200_000),
        ("say, signed and packed", Body::Say, true, 40_000),
        ("say, one to a datagram", Body::Say, false, 40_000),
    ] {
        let (mut theirs, mut ours, mut lost) = (Vec::new(), Vec::new(), Vec::new());
        let (datagrams, per_datagram) = datagrams(body, count, packed, &identity);
        for _ in 0..ROUNDS {
            let channel = group.channel(&ChannelName::lobby());
            theirs.push(raw(channel, &datagrams) * per_datagram as f64);
            let (rate, share) = through_node(group, &datagrams, per_datagram);
            ours.push(rate);
            lost.push(share);
        }
        let ratios = theirs.iter().zip(&ours).map(|(raw, node)| node / raw).collect();
        println!(
            "  {name:<28} {:>10.0} {:>10.0}   {:>5.2} {:>10.0} %",
            median(theirs),
            median(ours),
            median(ratios),
            100.0 * median(lost)
        );
    }
    println!();
}
