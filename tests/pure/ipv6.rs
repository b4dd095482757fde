//! Stories of hosts that have IPv4, IPv6 or both on one LAN: whole engines, and a wire that carries a
//! datagram to whoever has its version of IP, at once and without loss.

use std::collections::VecDeque;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use cooee::proto::{
    Command, Config, Destination, Engine, Event, Input, Outgoing, Output, Versions,
};
use cooee::values::{Attachment, ChannelName, Group, Instant, Level, LinkId, WallTime};
use cooee::wire::{Hearing, Identity, Packet, Profile};

/// The link as each host numbers it: an address with somebody else's number means nothing.
const LINK: u32 = 20;

/// What a host has.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Has {
    Four,
    Six,
    Both,
}

struct Host {
    engine: Engine,
    at: Attachment,
    /// Datagrams to the group by IPv6 from here.
    by_six: usize,
    /// Datagrams from here to one address of each version.
    to_one: [usize; 2],
    events: Vec<Event>,
    wake: Instant,
}

struct Lan {
    now: Instant,
    hosts: Vec<Host>,
    /// Copies by IPv6 overtake those by IPv4.
    six_first: bool,
    /// The switch has forgotten who listens, but knows nothing of IPv6 and lets it through.
    without_igmp: bool,
}

impl Lan {
    fn of(hosts: &[Has]) -> Self {
        let now = Instant::ZERO + Duration::from_secs(1);
        let mut lan = Self { now, hosts: Vec::new(), six_first: false, without_igmp: false };
        for &has in hosts {
            lan.join(has, false);
            lan.run(Duration::from_millis(100));
        }
        lan
    }

    /// A host comes; returns its number.
    fn join(&mut self, has: Has, visitor: bool) -> usize {
        let number = self.hosts.len();
        let mut key = [1; 32];
        key[0] = number as u8;
        let nick = format!("n{number}");
        let config = Config {
            identity: Identity::from_secret(key),
            epoch: 1_000 + number as u64,
            group: Group::DEFAULT,
            profile: Arc::new(Profile { nick: nick.as_str().into(), ..Profile::default() }),
            visitor,
            discover: true,
            multicast: true,
            echo: false,
            keep: false,
            recall: 0,
            seeds: Vec::new(),
            secret: None,
            earlier: Vec::new(),
            randomness: key,
        };
        let link = LinkId(LINK + number as u32);
        let at = Attachment { v4: has != Has::Six, v6: has != Has::Four, ..Attachment::v4(link) };
        let mut engine = Engine::new(config, self.now);
        if !visitor {
            engine.handle(self.now, Input::Command(Command::Join(ChannelName::lobby())));
        }
        engine.handle(self.now, Input::Links(&[at]));
        let (by_six, to_one, events) = (0, [0; 2], Vec::new());
        self.hosts.push(Host { engine, at, by_six, to_one, events, wake: self.now });
        number
    }

    /// The host's address, as `reader` knows it.
    fn addr(number: usize, v6: bool, reader: LinkId) -> SocketAddr {
        let ip: IpAddr = if v6 {
            format!("fe80::{number}").parse().unwrap()
        } else {
            format!("10.77.0.{number}").parse().unwrap()
        };
        reader.scoped(SocketAddr::new(ip, 40_000 + number as u16))
    }

    fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.settle();
            let next = self.hosts.iter().map(|host| host.wake).min().unwrap();
            if next > end {
                self.now = end;
                return;
            }
            self.now = next;
            for host in self.hosts.iter_mut().filter(|host| host.wake <= next) {
                host.engine.handle(next, Input::Tick);
            }
        }
    }

    /// Carries what there is until there is nothing more.
    fn settle(&mut self) {
        let mut wire = VecDeque::new();
        loop {
            for from in 0..self.hosts.len() {
                self.drain(from, &mut wire);
            }
            let Some((from, to, v6, via, bytes)) = wire.pop_front() else { return };
            let host: &mut Host = &mut self.hosts[to];
            let (packet, link) = (Packet::new(Arc::<[u8]>::clone(&bytes)), host.at.link);
            let source = Self::addr(from, v6, link);
            host.engine.handle(self.now, Input::Datagram { packet: &packet, source, link, via });
        }
    }

    #[expect(clippy::type_complexity, reason = "a wire's content")]
    fn drain(
        &mut self,
        from: usize,
        wire: &mut VecDeque<(usize, usize, bool, Hearing, Arc<[u8]>)>,
    ) {
        let attachments: Vec<Attachment> = self.hosts.iter().map(|host| host.at).collect();
        let (six_first, host) = (self.six_first, &mut self.hosts[from]);
        let passes = |v6: bool| v6 || !self.without_igmp;
        let has = |at: &Attachment, v6: bool| if v6 { at.v6 } else { at.v4 };
        loop {
            match host.engine.poll() {
                Output::Wake(at) => return host.wake = at,
                Output::Event(event) => host.events.push(event),
                Output::Send { bytes, to: Destination::Group(_, versions) } => {
                    for v6 in [six_first, !six_first] {
                        let goes =
                            has(&host.at, v6) && (versions == Versions::All || !v6 || !host.at.v4);
                        host.by_six += usize::from(goes && v6);
                        let hearers = attachments.iter().enumerate();
                        let hearers = hearers
                            .filter(|(to, at)| goes && passes(v6) && *to != from && has(at, v6));
                        wire.extend(
                            hearers.map(|(to, _)| {
                                (from, to, v6, Hearing::Multicast, Arc::clone(&bytes))
                            }),
                        );
                    }
                }
                Output::Send { bytes, to: Destination::Address(addr, _) } => {
                    let v6 = addr.is_ipv6();
                    host.to_one[usize::from(v6)] += 1;
                    let scope = if v6 { host.at.link } else { LinkId(0) };
                    let to = (0..attachments.len()).find(|&to| Self::addr(to, v6, scope) == addr);
                    let to = to.unwrap_or_else(|| panic!("n{from} sends to {addr}"));
                    assert!(has(&host.at, v6), "n{from} sends to {addr}");
                    if has(&attachments[to], v6) {
                        wire.push_back((from, to, v6, Hearing::Unicast, bytes));
                    }
                }
                Output::Join(_) | Output::Leave(_) | Output::Rejoin => {}
            }
        }
    }

    /// Whom a host knows, as `n1 by IPv4, n2 by IPv6`.
    fn known(&self, host: usize) -> String {
        let mut known: Vec<String> = self.hosts[host]
            .engine
            .peers()
            .map(|peer| {
                let version = if peer.addr.unwrap().is_ipv4() { "IPv4" } else { "IPv6" };
                format!("{} by {version}", peer.profile.nick.raw())
            })
            .collect();
        known.sort();
        known.join(", ")
    }

    fn say(&mut self, host: usize, text: &str) {
        let (at, text, level) = (WallTime(7), text.to_owned(), Level::default());
        let what = Outgoing { at, text, data: None, level };
        let say = Command::Say(ChannelName::lobby(), what);
        self.hosts[host].engine.handle(self.now, Input::Command(say));
        self.run(Duration::from_millis(50));
    }

    /// The hosts that have heard it, each as often as it has.
    fn heard(&self, text: &str) -> Vec<usize> {
        let of = |host: &Host| {
            let is_it = |e: &&Event| matches!(e, Event::Message(m) if m.text.raw() == text);
            host.events.iter().filter(is_it).count()
        };
        let hosts = self.hosts.iter().enumerate();
        hosts.flat_map(|(number, host)| std::iter::repeat_n(number, of(host))).collect()
    }

    /// When a visitor's search ended, and whether it found all.
    fn search(&mut self, has: Has) -> (usize, bool, Duration) {
        let begun = self.now;
        let visitor = self.join(has, true);
        loop {
            self.run(Duration::from_millis(1));
            let end = self.hosts[visitor].events.iter().find_map(|event| match event {
                Event::Settled { complete } => Some(*complete),
                _ => None,
            });
            if let Some(complete) = end {
                return (visitor, complete, self.now.since(begun));
            }
        }
    }
}

#[test]
fn where_all_have_both_nothing_is_said_twice_and_one_announcement_in_eight_is_made_twice() {
    let mut lan = Lan::of(&[Has::Both; 3]);
    assert_eq!(lan.known(0), "n1 by IPv4, n2 by IPv4");
    lan.run(Duration::from_secs(10));
    lan.hosts.iter_mut().for_each(|host| host.by_six = 0);
    for n in 0..10 {
        lan.say(0, &format!("{n}"));
        assert_eq!(lan.heard(&format!("{n}")), [1, 2]);
    }
    lan.run(Duration::from_secs(60));
    for host in &lan.hosts {
        assert!((3..=5).contains(&host.by_six), "{} of some 30", host.by_six);
        assert_eq!(host.to_one[1], 0, "nobody is spoken to by IPv6");
    }
}

#[test]
fn a_host_without_ipv4_hears_and_is_heard_by_all_that_have_both() {
    let mut lan = Lan::of(&[Has::Both, Has::Six, Has::Both, Has::Four]);
    lan.run(Duration::from_secs(3));
    assert_eq!(lan.known(0), "n1 by IPv6, n2 by IPv4, n3 by IPv4");
    assert_eq!(lan.known(1), "n0 by IPv6, n2 by IPv6");
    assert_eq!(lan.known(2), "n0 by IPv4, n1 by IPv6, n3 by IPv4");
    assert_eq!(lan.known(3), "n0 by IPv4, n2 by IPv4");
    for (speaker, hearers) in [(0, vec![1, 2, 3]), (1, vec![0, 2]), (3, vec![0, 2])] {
        let text = format!("from {speaker}");
        lan.say(speaker, &text);
        assert_eq!(lan.heard(&text), hearers);
    }
    lan.run(Duration::from_secs(60));
    let lost = |e: &&Event| matches!(e, Event::Suspect(_) | Event::Dead(_) | Event::Left(_));
    assert!(lan.hosts.iter().all(|host| host.events.iter().find(lost).is_none()));
}

#[test]
fn who_asks_by_both_is_answered_once_and_by_ipv4_though_ipv6_was_faster() {
    let mut lan = Lan::of(&[Has::Both; 4]);
    lan.six_first = true;
    lan.hosts.iter_mut().for_each(|host| host.to_one = [0; 2]);
    let (visitor, complete, took) = lan.search(Has::Both);
    assert!(complete && took <= Duration::from_millis(10), "{took:?}");
    assert_eq!(lan.known(visitor), "n0 by IPv4, n1 by IPv4, n2 by IPv4, n3 by IPv4");
    assert!(lan.hosts[..4].iter().all(|host| host.to_one == [1, 0]));
    let newcomer = lan.join(Has::Both, false);
    lan.run(Duration::from_millis(100));
    assert_eq!(lan.known(newcomer), "n0 by IPv4, n1 by IPv4, n2 by IPv4, n3 by IPv4");
    assert_eq!(lan.hosts[newcomer].to_one[1], 0);
}

#[test]
fn where_the_switch_stops_multicast_of_ipv4_alone_all_hear_each_other_all_the_same() {
    let mut lan = Lan::of(&[Has::Both; 3]);
    lan.run(Duration::from_secs(20));
    lan.without_igmp = true;
    lan.run(Duration::from_secs(12));
    for n in 0..40 {
        lan.say(0, &format!("{n}"));
        assert_eq!(lan.heard(&format!("{n}")), [1, 2], "{n}");
        lan.run(Duration::from_secs(3));
    }
    // Who comes now hears and is heard as well.
    let newcomer = lan.join(Has::Both, false);
    lan.run(Duration::from_millis(500));
    for (speaker, hearers) in [(0, vec![1, 2, newcomer]), (newcomer, vec![0, 1, 2])] {
        let text = format!("from {speaker}");
        lan.say(speaker, &text);
        assert_eq!(lan.heard(&text), hearers);
    }
}

#[test]
fn a_switch_that_learns_of_ipv4_later_than_of_ipv6_hides_no_address_of_ipv4() {
    let mut lan = Lan::of(&[Has::Both; 3]);
    for visitor in [true, false] {
        lan.without_igmp = true;
        let newcomer = lan.join(Has::Both, visitor);
        lan.run(Duration::from_millis(8));
        lan.without_igmp = false;
        lan.run(Duration::from_millis(50));
        assert_eq!(lan.known(newcomer), "n0 by IPv4, n1 by IPv4, n2 by IPv4");
    }
    lan.without_igmp = true;
    let (visitor, complete, took) = lan.search(Has::Both);
    assert_eq!(lan.hosts[visitor].engine.peer_count(), 4);
    assert!(complete && took <= Duration::from_millis(40), "{took:?}");
}

#[test]
fn a_search_is_complete_and_as_fast_where_some_are_out_of_reach() {
    let mut lan = Lan::of(&[Has::Both, Has::Six, Has::Four]);
    for (has, known) in [
        (Has::Both, "n0 by IPv4, n1 by IPv6, n2 by IPv4"),
        (Has::Six, "n0 by IPv6, n1 by IPv6"),
        (Has::Four, "n0 by IPv4, n2 by IPv4"),
    ] {
        let (visitor, complete, took) = lan.search(has);
        assert_eq!(lan.known(visitor), known);
        assert!(complete && took <= Duration::from_millis(60), "{known}: {complete}, {took:?}");
    }
}

#[test]
fn a_host_that_loses_its_ipv4_is_heard_on_and_shown_by_ipv4_again_when_it_is_back() {
    let mut lan = Lan::of(&[Has::Both; 3]);
    lan.run(Duration::from_secs(20));
    for (v4, known) in [(false, "n1 by IPv4, n2 by IPv6"), (true, "n1 by IPv4, n2 by IPv4")] {
        lan.hosts[2].at.v4 = v4;
        let at = lan.hosts[2].at;
        lan.hosts[2].engine.handle(lan.now, Input::Links(&[at]));
        lan.run(Duration::from_secs(10));
        assert_eq!(lan.known(0), known);
        let text = format!("with IPv4: {v4}");
        lan.say(0, &text);
        assert_eq!(lan.heard(&text), [1, 2]);
    }
    let lost = |e: &&Event| matches!(e, Event::Dead(_) | Event::Left(_));
    assert!(lan.hosts[0].events.iter().find(lost).is_none());
}
