//! Two nodes' sockets on the loopback, both ways of receiving and sending.

use std::collections::VecDeque;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6};
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use mio::{Events, Poll, Token};

use super::batch::Io;
use super::plain::Plain;
use super::*;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 255, 26, 33);
const OTHER: Ipv4Addr = Ipv4Addr::new(239, 255, 26, 34);
/// A link that is not there.
const NOWHERE: LinkId = LinkId(4_000_000);

/// What came in, to keep.
#[derive(Debug, PartialEq, Eq)]
struct Heard {
    bytes: Vec<u8>,
    source: SocketAddr,
    link: LinkId,
    to: IpAddr,
    truncated: bool,
}

struct Node {
    poll: Poll,
    sockets: Sockets,
    port: u16,
    heard: Vec<Heard>,
}

const TOKENS: std::ops::Range<usize> = 10..80;

impl Node {
    /// A node whose only link is the loopback.
    #[track_caller]
    fn on_loopback(io: Io, port: u16) -> Self {
        let mut node = Self::open(io, &options(port), TOKENS);
        assert!(node.sockets.set_links(&[loopback()]).is_empty());
        node
    }

    #[track_caller]
    fn open(io: Io, options: &OpenOptions, tokens: std::ops::Range<usize>) -> Self {
        let mut sockets = Sockets::open_with(options, io).unwrap();
        let poll = Poll::new().unwrap();
        sockets.register(poll.registry(), tokens).unwrap();
        Self { poll, sockets, port: options.port, heard: Vec::new() }
    }

    #[track_caller]
    fn joins(&mut self, group: Ipv4Addr) {
        let failures = self.sockets.join(group);
        assert!(failures.is_empty(), "{failures:?}");
    }

    /// Waits until `count` datagrams came in all, and returns them.
    #[track_caller]
    fn hears(&mut self, count: usize) -> Vec<Heard> {
        let deadline = Instant::now() + Duration::from_secs(10);
        let mut events = Events::with_capacity(64);
        while self.heard.len() < count {
            let left = deadline.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "{} of {count} datagrams came", self.heard.len());
            self.poll.poll(&mut events, Some(left)).unwrap();
            for event in &events {
                self.drain(event.token());
            }
        }
        std::mem::take(&mut self.heard)
    }

    #[track_caller]
    fn drain(&mut self, token: Token) {
        let heard = &mut self.heard;
        let mut keep = |arrival: Arrival<'_>| {
            heard.push(Heard {
                bytes: arrival.bytes.to_vec(),
                source: arrival.source,
                link: arrival.link,
                to: arrival.to,
                truncated: arrival.truncated,
            });
        };
        while self.sockets.receive(token, &mut keep).unwrap() == Drained::More {}
    }

    /// Sends one datagram to a group, by the loopback.
    #[track_caller]
    fn says(&mut self, group: Ipv4Addr, text: &str) {
        let to = SocketAddr::from((group, self.port));
        self.sends([transmit(to, Some(loopback().id), text.as_bytes())]);
    }

    #[track_caller]
    fn sends<const N: usize>(&mut self, datagrams: [Transmit; N]) {
        let sent = self.sockets.send(&mut VecDeque::from(datagrams));
        assert_eq!((sent.sent, sent.blocked), (N, false), "{sent:?}");
    }

    /// Where the node's datagrams on the loopback come from.
    fn source(&self) -> SocketAddr {
        SocketAddr::from((Ipv4Addr::LOCALHOST, self.sockets.unicast_addr().port()))
    }
}

fn transmit(to: SocketAddr, link: Option<LinkId>, bytes: &[u8]) -> Transmit {
    Transmit { bytes: Arc::from(bytes), to, link }
}

fn loopback() -> Link {
    let all = interfaces().unwrap();
    let name = &all.iter().find(|i| i.loopback).unwrap().name;
    choose(&all, std::slice::from_ref(name)).unwrap().remove(0)
}

fn options(port: u16) -> OpenOptions {
    OpenOptions {
        port,
        reachable: true,
        ttl: 1,
        multicast: true,
        receive_buffer: OpenOptions::RECEIVE_BUFFER,
    }
}

/// A port that no other test uses, below those that the system picks from.
fn port() -> u16 {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let start = (std::process::id() % 150) as u16 * 64;
    20_000 + start + NEXT.fetch_add(1, Ordering::Relaxed) % 64
}

/// Runs a test the way of this system and the plain way.
fn both_ways(test: impl Fn(fn() -> Io)) {
    test(Io::new);
    test(|| Io::Plain(Plain::new()));
}

fn texts(heard: &[Heard]) -> Vec<&str> {
    heard.iter().map(|h| std::str::from_utf8(&h.bytes).unwrap()).collect()
}

#[test]
fn nodes_of_a_host_hear_the_group_and_themselves_with_source_link_and_destination() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        ada.joins(GROUP);
        bo.joins(GROUP);
        ada.says(GROUP, "cooee");
        let expected = Heard {
            bytes: b"cooee".into(),
            source: ada.source(),
            link: loopback().id,
            to: GROUP.into(),
            truncated: false,
        };
        assert_eq!(bo.hears(1), [expected]);
        assert_eq!(texts(&ada.hears(1)), ["cooee"]);
    });
}

#[test]
fn what_was_heard_can_be_answered_by_unicast_on_the_same_link() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        bo.joins(GROUP);
        ada.says(GROUP, "who?");
        let question = bo.hears(1).remove(0);
        bo.sends([transmit(question.source, Some(question.link), b"bo")]);
        let answer = ada.hears(1).remove(0);
        assert_eq!((answer.source, answer.link), (bo.source(), loopback().id));
        assert_eq!(answer.to, IpAddr::V4(Ipv4Addr::LOCALHOST));
    });
}

#[test]
fn only_what_a_node_joined_itself_arrives() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        ada.joins(OTHER);
        bo.joins(GROUP);
        ada.says(OTHER, "not for bo");
        ada.says(GROUP, "for bo");
        assert_eq!(texts(&bo.hears(1)), ["for bo"]);
        assert_eq!(texts(&ada.hears(1)), ["not for bo"]);
    });
}

#[test]
fn leaving_stops_arrivals_and_joining_twice_brings_nothing_twice() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        for group in [GROUP, OTHER, OTHER] {
            bo.joins(group);
        }
        assert_eq!(bo.sockets.memberships(), 2);
        ada.says(OTHER, "once");
        assert_eq!(texts(&bo.hears(1)), ["once"]);
        bo.sockets.leave(OTHER);
        bo.sockets.leave(OTHER);
        assert_eq!(bo.sockets.memberships(), 1);
        ada.says(OTHER, "too late");
        ada.says(GROUP, "end");
        assert_eq!(texts(&bo.hears(1)), ["end"]);
        bo.joins(OTHER);
        ada.says(OTHER, "again");
        assert_eq!(texts(&bo.hears(1)), ["again"]);
    });
}

#[test]
fn more_groups_than_a_socket_may_join_open_more_sockets_and_leaving_closes_them() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        let groups: Vec<Ipv4Addr> = (1..=45).map(|i| Ipv4Addr::new(239, 255, 77, i)).collect();
        for &group in &groups {
            bo.joins(group);
        }
        assert_eq!(bo.sockets.memberships(), 45);
        for &group in &groups {
            ada.says(group, &group.to_string());
        }
        let mut heard = bo.hears(45);
        heard.sort_by_key(|h| h.to);
        for (heard, group) in heard.iter().zip(&groups) {
            assert_eq!(
                (heard.to, texts(std::slice::from_ref(heard))[0]),
                ((*group).into(), &*group.to_string())
            );
        }
        for &group in &groups[..44] {
            bo.sockets.leave(group);
        }
        assert!(bo.sockets.sockets() <= 3, "{}", bo.sockets.sockets());
        ada.says(groups[44], "still here");
        assert_eq!(texts(&bo.hears(1)), ["still here"]);
        bo.sockets.leave(groups[44]);
        assert_eq!((bo.sockets.sockets(), bo.sockets.memberships()), (2, 0));
    });
}

#[test]
fn running_out_of_tokens_fails_the_join_and_nothing_else() {
    let mut node = Node::open(Io::Plain(Plain::new()), &options(port()), 0..3);
    assert!(node.sockets.set_links(&[loopback()]).is_empty());
    node.joins(GROUP);
    let failures = node.sockets.join(OTHER);
    assert_eq!((failures.len(), failures[0].during), (1, During::Join));
    assert_eq!(failures[0].to.unwrap().ip(), IpAddr::V4(OTHER));
    assert_eq!((node.sockets.memberships(), node.sockets.sockets()), (1, 3));
}

#[test]
fn five_hundred_datagrams_arrive_whole_and_in_order() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        bo.joins(GROUP);
        let (lo, to) = (loopback().id, SocketAddr::from((GROUP, port)));
        let mut heard = Vec::new();
        // A hundred at once, which a receive buffer of the usual size can hold.
        for round in 0..5_u32 {
            let one = |i: u32| transmit(to, Some(lo), &(round * 100 + i).to_be_bytes().repeat(100));
            let mut out: VecDeque<Transmit> = (0..100).map(one).collect();
            let sent = ada.sockets.send(&mut out);
            assert_eq!((sent.sent, sent.failures.len(), out.len()), (100, 0, 0));
            heard.extend(bo.hears(100));
        }
        for (i, heard) in (0_u32..).zip(&heard) {
            assert_eq!(heard.bytes, i.to_be_bytes().repeat(100));
            assert_eq!((heard.source, heard.link), (ada.source(), lo));
            assert_eq!((heard.to, heard.truncated), (IpAddr::V4(GROUP), false));
        }
        assert_eq!((heard.len(), bo.sockets.kernel_drops()), (500, 0));
    });
}

#[test]
fn what_is_too_long_is_cut_and_flagged() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        bo.joins(GROUP);
        for length in [0, 1, 1_200, DATAGRAM_MAX, DATAGRAM_MAX + 1, 60_000] {
            let to = SocketAddr::from((GROUP, port));
            ada.sends([transmit(to, Some(loopback().id), &vec![b'x'; length])]);
            let heard = bo.hears(1).remove(0);
            assert_eq!(heard.bytes.len(), length.min(DATAGRAM_MAX));
            assert_eq!(heard.truncated, length > DATAGRAM_MAX, "{length}");
        }
    });
}

#[test]
fn what_cannot_be_sent_is_reported_against_its_link_and_the_rest_goes_out() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        bo.joins(GROUP);
        let (lo, to) = (Some(loopback().id), SocketAddr::from((GROUP, port)));
        let ipv6 = SocketAddr::V6(SocketAddrV6::new(std::net::Ipv6Addr::LOCALHOST, port, 0, 0));
        let mut out = VecDeque::from([
            transmit(to, Some(NOWHERE), b"lost"),
            transmit(to, lo, b"one"),
            transmit(ipv6, lo, b"lost"),
            transmit(to, lo, &vec![0; 70_000]),
            transmit(to, lo, b"two"),
            transmit(to, Some(NOWHERE), b"lost"),
        ]);
        let sent = ada.sockets.send(&mut out);
        assert_eq!((sent.sent, sent.blocked, out.len()), (2, false, 0));
        let failed: Vec<_> = sent.failures.iter().map(|f| (f.link, f.to)).collect();
        let nowhere = (Some(NOWHERE), Some(to));
        assert_eq!(failed, [nowhere, (lo, Some(ipv6)), (lo, Some(to)), nowhere]);
        assert!(sent.failures.iter().all(|f| f.during == During::Send));
        assert_eq!(texts(&bo.hears(2)), ["one", "two"]);
    });
}

#[test]
fn a_link_that_is_not_there_fails_to_join_and_the_others_work() {
    both_ways(|io| {
        let port = port();
        let mut node = Node::on_loopback(io(), port);
        node.joins(GROUP);
        let ghost = Link { id: NOWHERE, name: "eth9".into(), ..loopback() };
        let failures = node.sockets.set_links(&[loopback(), ghost]);
        assert_eq!(failures.len(), 1);
        assert_eq!((failures[0].link, failures[0].during), (Some(NOWHERE), During::Join));
        assert_eq!(node.sockets.memberships(), 1);
        assert_eq!(node.sockets.join(OTHER).len(), 1);
        node.says(OTHER, "works");
        assert_eq!(texts(&node.hears(1)), ["works"]);
        assert!(node.sockets.set_links(&[loopback()]).is_empty());
    });
}

#[test]
fn links_that_go_take_their_memberships_and_links_that_come_get_them() {
    both_ways(|io| {
        let mut node = Node::on_loopback(io(), port());
        node.joins(GROUP);
        node.joins(OTHER);
        assert!(node.sockets.set_links(&[]).is_empty());
        assert_eq!(node.sockets.memberships(), 0);
        assert!(node.sockets.set_links(&[loopback()]).is_empty());
        assert_eq!(node.sockets.memberships(), 2);
        // A second address of the loopback: the same link with a new address.
        let moved = Link { addr: Some(Ipv4Addr::new(127, 0, 0, 9)), ..loopback() };
        assert!(node.sockets.set_links(&[moved]).is_empty());
        assert!(node.sockets.rejoin(loopback().id).is_empty());
        assert_eq!(node.sockets.memberships(), 2);
        node.says(GROUP, "here");
        let heard = node.hears(1).remove(0);
        assert_eq!((heard.to, &*heard.bytes), (IpAddr::V4(GROUP), &b"here"[..]));
    });
}

#[test]
fn unicast_to_the_group_port_arrives_without_multicast_and_without_a_link() {
    both_ways(|io| {
        let port = port();
        let quiet = OpenOptions { multicast: false, ..options(port) };
        let mut node = Node::open(io(), &quiet, TOKENS);
        assert!(node.sockets.set_links(&[loopback()]).is_empty());
        node.joins(GROUP);
        assert_eq!((node.sockets.memberships(), node.sockets.sockets()), (0, 2));
        node.says(GROUP, "heard by nobody");
        let seed = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        node.sends([transmit(seed, None, b"by the routing table")]);
        let heard = node.hears(1);
        assert_eq!(texts(&heard), ["by the routing table"]);
        assert_eq!(heard[0].to, IpAddr::V4(Ipv4Addr::LOCALHOST));
    });
}

#[test]
fn a_port_that_a_program_keeps_for_itself_is_refused_with_the_remedy() {
    let port = port();
    let _keeper = std::net::UdpSocket::bind((Ipv4Addr::UNSPECIFIED, port)).unwrap();
    let Err(error) = Sockets::open(&options(port)) else { panic!("the port was shared") };
    assert!(matches!(error, OpenError::PortTaken { port: p } if p == port));
    let text = error.to_string();
    assert!(text.contains(&format!("`ss -ulpn 'sport = :{port}'`")), "{text}");
}

#[test]
fn who_passes_through_takes_no_unicast_from_who_stays_and_hears_its_groups() {
    both_ways(|io| {
        let port = port();
        let mut stays = Node::on_loopback(io(), port);
        let passing = OpenOptions { reachable: false, ..options(port) };
        let mut passes = Node::open(io(), &passing, TOKENS);
        assert!(passes.sockets.set_links(&[loopback()]).is_empty());
        passes.joins(GROUP);
        let seed = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        passes.sends([transmit(seed, None, b"who is here?")]);
        assert_eq!(texts(&stays.hears(1)), ["who is here?"]);
        stays.says(GROUP, "everybody");
        assert_eq!(texts(&passes.hears(1)), ["everybody"]);
        passes.sockets.leave(GROUP);
        assert_eq!(passes.sockets.sockets(), 1);
    });
}

#[test]
fn a_turn_is_bounded_and_says_that_more_is_waiting() {
    both_ways(|io| {
        let port = port();
        let (mut ada, mut bo) = (Node::on_loopback(io(), port), Node::on_loopback(io(), port));
        bo.joins(GROUP);
        let one = transmit(SocketAddr::from((GROUP, port)), Some(loopback().id), b"x");
        ada.sockets.send(&mut std::iter::repeat_n(one, 300).collect());
        let (mut first, mut second) = (0, 0);
        // The group's socket is the first of the group sockets, or the second in the plain way.
        for token in [TOKENS.start + 1, TOKENS.start + 2] {
            let drained = bo.sockets.receive(Token(token), &mut |_| first += 1).unwrap();
            if drained == Drained::More {
                assert_eq!(first, 256);
                let drained = bo.sockets.receive(Token(token), &mut |_| second += 1).unwrap();
                assert_eq!(drained, Drained::Empty);
            }
        }
        assert_eq!(first + second, 300);
        assert_ne!(second, 0);
        // Tokens of others, and of sockets that are not there.
        for token in [0, TOKENS.start + 30, usize::MAX] {
            let drained = bo.sockets.receive(Token(token), &mut |_| panic!("a ghost")).unwrap();
            assert_eq!(drained, Drained::Empty);
        }
    });
}

#[cfg(target_os = "linux")]
#[test]
fn what_the_kernel_dropped_is_counted() {
    let port = port();
    let mut ada = Node::on_loopback(Io::new(), port);
    let small = OpenOptions { receive_buffer: 0, ..options(port) };
    let mut bo = Node::open(Io::new(), &small, TOKENS);
    assert!(bo.sockets.receive_buffer() < ada.sockets.receive_buffer());
    assert!(bo.sockets.set_links(&[loopback()]).is_empty());
    bo.joins(GROUP);
    let one = transmit(SocketAddr::from((GROUP, port)), Some(loopback().id), &[0; 1_000]);
    ada.sockets.send(&mut std::iter::repeat_n(one, 100).collect());
    let mut heard = bo.hears(1).len();
    assert!(heard < 100);
    // The drops are told with the next datagram that finds room.
    ada.says(GROUP, "next");
    heard += bo.hears(1).len();
    assert_eq!(bo.sockets.kernel_drops(), 101 - heard as u64);
}
