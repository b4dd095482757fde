//! What a node costs beside the bare system calls, measured in one run on this machine's loopback:
//! messages received a second, round trips, and the time of one command from start to exit.
//!
//! The machine's speed drifts, so only the ratios within one run mean anything. Each row is the
//! median of several rounds in which the contestants take turns.

#![expect(clippy::expect_used, reason = "a benchmark that can't be set up has nothing to say")]

use std::collections::VecDeque;
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use cooee::net::{Drained, OpenOptions, Sockets, Transmit, choose, interfaces};
use cooee::node::{LocalNode, Node, Notice, Notices, Options};
use cooee::proto::{Event, Outgoing};
use cooee::values::{ChannelName, Group, Level, PeerText, WallTime};
use cooee::wire::{Body, Content, Entry, Identity, Payload, Profile, Sender, split};

const ROUNDS: usize = 5;
const TEXT: usize = 200;

/// A part of the benchmark, by its name on the command line.
type Part = (&'static str, fn(Group));

/// A way of answering, and the times of its round trips in microseconds.
type Contestant = (&'static str, fn(Group) -> Vec<f64>);

fn main() {
    let group: Group = "239.255.99.99:26999".parse().expect("a group");
    let wanted: Vec<String> = std::env::args().skip(1).filter(|a| !a.starts_with('-')).collect();
    println!("median of {ROUNDS} rounds, {TEXT}-byte messages, on the loopback\n");
    let parts: [Part; 3] =
        [("throughput", throughput), ("round-trip", round_trip), ("commands", commands)];
    for (name, part) in parts {
        if wanted.is_empty() || wanted.iter().any(|w| w == name) {
            part(group);
        }
    }
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

fn options(group: Group, channels: Vec<ChannelName>) -> Options {
    Options {
        group,
        interfaces: vec!["lo".to_owned()],
        profile: Profile { nick: "bench".into(), ..Profile::default() },
        channels,
        ..Options::default()
    }
}

fn node(group: Group, channels: Vec<ChannelName>) -> (Node, Notices) {
    Node::start(options(group, channels)).expect("a node on the loopback")
}

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

fn throughput(group: Group) {
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

/// One that sends back whatever it receives, with bare system calls.
fn bare_echo(group: SocketAddrV4) -> Vec<f64> {
    let open = |port| {
        let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::DGRAM, None)?;
        socket.set_reuse_address(true)?;
        socket.bind(&SocketAddr::from((Ipv4Addr::UNSPECIFIED, port)).into())?;
        socket.set_multicast_all_v4(false)?;
        socket.set_multicast_if_v4(&Ipv4Addr::LOCALHOST)?;
        let socket: UdpSocket = socket.into();
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        std::io::Result::Ok(socket)
    };
    let there = SocketAddrV4::new(Ipv4Addr::new(239, 255, 99, 1), group.port());
    let back = SocketAddrV4::new(Ipv4Addr::new(239, 255, 99, 2), group.port());
    let (asker, answerer) = (open(group.port()).expect("bind"), open(group.port()).expect("bind"));
    answerer.join_multicast_v4(there.ip(), &Ipv4Addr::LOCALHOST).expect("join");
    asker.join_multicast_v4(back.ip(), &Ipv4Addr::LOCALHOST).expect("join");
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut buffer = [0; 2_048];
            while !stop.load(Ordering::Relaxed) {
                if let Ok(n) = answerer.recv(&mut buffer) {
                    answerer.send_to(&buffer[..n], back).expect("send");
                }
            }
        });
        let mut buffer = [b'x'; 2_048];
        let times = (0..TRIPS)
            .map(|_| {
                let begun = Instant::now();
                asker.send_to(&buffer[..400], there).expect("send");
                asker.recv(&mut buffer).expect("an echo");
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        times
    })
}

const TRIPS: usize = 2_000;

/// The same by two nodes that have a thread each, used from two others.
fn cast_answered_by_cast(group: Group) -> Vec<f64> {
    let [there, back] = ["there", "back"].map(|name| name.parse::<ChannelName>().expect("a name"));
    let (answerer, questions) = node(group, vec![there.clone()]);
    let (asker, answers) = node(group, vec![back.clone()]);
    while answerer.stats().expect("stats").memberships < 2 {}
    while asker.stats().expect("stats").memberships < 2 {}
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let (stop, back) = (&stop, &back);
        scope.spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                if is_message(questions.next(Duration::from_millis(200)).expect("running").as_ref())
                {
                    answerer.cast(back, message()).expect("running");
                }
            }
            answerer.stop();
        });
        let times = (0..TRIPS)
            .map(|_| {
                let begun = Instant::now();
                asker.cast(&there, message()).expect("running");
                while !is_message(answers.next(Duration::from_secs(5)).expect("running").as_ref()) {
                }
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        times
    })
}

/// The same by two nodes that live in the threads that use them.
fn local_cast_answered_by_cast(group: Group) -> Vec<f64> {
    let [there, back] = ["there", "back"].map(|name| name.parse::<ChannelName>().expect("a name"));
    let local = |channel: &ChannelName| {
        LocalNode::start(options(group, vec![channel.clone()])).expect("a node")
    };
    let (stop, mut asker) = (AtomicBool::new(false), local(&back));
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut answerer = local(&there);
            while !stop.load(Ordering::Relaxed) {
                if is_message(answerer.next(Duration::from_millis(200)).expect("running").as_ref())
                {
                    answerer.cast(&back, message());
                }
            }
        });
        while asker.peers().is_empty() {
            asker.next(Duration::from_millis(10)).expect("running");
        }
        let times = (0..TRIPS)
            .map(|_| {
                let begun = Instant::now();
                asker.cast(&there, message());
                while !is_message(asker.next(Duration::from_secs(5)).expect("running").as_ref()) {}
                begun.elapsed().as_secs_f64() * 1e6
            })
            .collect();
        stop.store(true, Ordering::Relaxed);
        times
    })
}

fn message() -> Outgoing {
    Outgoing { at: WallTime(1), text: "x".repeat(TEXT), data: None, level: Level::Info }
}

fn is_message(notice: Option<&Notice>) -> bool {
    matches!(notice, Some(Notice::Event(Event::Message(_))))
}

fn percentile(values: &mut [f64], p: usize) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() - 1) * p / 100]
}

fn round_trip(group: Group) {
    println!("round trip by multicast, µs        p50      p99   ratio");
    let contestants: [Contestant; 3] = [
        ("bare UDP echo", |group| bare_echo(group.addr())),
        ("cast by cast, own threads", cast_answered_by_cast),
        ("cast by cast, local nodes", local_cast_answered_by_cast),
    ];
    let mut rows = [const { Vec::new() }; 3];
    for _ in 0..ROUNDS {
        for (row, (_, run)) in rows.iter_mut().zip(contestants) {
            let mut times = run(group);
            row.push((percentile(&mut times, 50), percentile(&mut times, 99)));
        }
    }
    let bare = rows[0].clone();
    for ((name, _), row) in contestants.iter().zip(rows) {
        let ratios = row.iter().zip(&bare).map(|(ours, bare)| ours.0 / bare.0).collect();
        let (p50, p99) = row.into_iter().unzip();
        let (p50, p99, ratio) = (median(p50), median(p99), median(ratios));
        println!("  {name:<28} {p50:>7.0} {p99:>8.0}   {ratio:>5.2}");
    }
    println!();
}

fn time(command: &mut Command) -> f64 {
    let command = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let times = (0..20).map(|_| {
        let begun = Instant::now();
        let status = command.status().expect("it runs");
        assert!(status.success(), "{command:?}: {status}");
        begun.elapsed().as_secs_f64() * 1e3
    });
    median(times.collect())
}

fn commands(group: Group) {
    println!("one command, start to exit, ms");
    let state = std::env::temp_dir().join(format!("cooee-bench-{}", std::process::id()));
    let cooee = option_env!("CARGO_BIN_EXE_cooee").unwrap_or("cooee");
    let text = "x".repeat(TEXT);
    let (mut nothing, mut bare, mut ours) = (vec![], vec![], vec![]);
    for _ in 0..ROUNDS {
        nothing.push(time(&mut Command::new("true")));
        let target = format!("UDP4-DATAGRAM:{},ip-multicast-if=127.0.0.1", group.addr());
        bare.push(time(Command::new("socat").args(["-u", "OPEN:/dev/null", &target])));
        ours.push(time(
            Command::new(cooee)
                .args(["--iface", "lo", "--group", &group.to_string(), "cast", &text])
                .env("COOEE_STATE_DIR", &state)
                .env("XDG_CONFIG_HOME", &state),
        ));
    }
    for (name, times) in [("true", nothing), ("socat", bare), ("cooee cast", ours)] {
        println!("  {name:<28} {:>7.2}", median(times));
    }
    let _ = std::fs::remove_dir_all(state);
}
