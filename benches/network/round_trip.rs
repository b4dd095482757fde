//! The round trip of a cast that is answered by a cast, beside a bare UDP echo.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, UdpSocket};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use cooee::node::{LocalNode, Notice};
use cooee::proto::{Event, Outgoing};
use cooee::values::{ChannelName, Group, Level, WallTime};

use crate::{ROUNDS, TEXT, median, node, options};

/// A way of answering, and the times of its round trips in microseconds.
type Contestant = (&'static str, fn(Group) -> Vec<f64>);

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

pub(crate) fn round_trip(group: Group) {
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
