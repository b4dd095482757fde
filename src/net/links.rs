//! Which interfaces there are, and which of them a node uses.
//!
//! Reading them touches the system, choosing among them does not: [`choose`] is a function of the
//! table it gets. A link is known by its interface index, so two interfaces with one address, or
//! one with two, are no special case.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::values::{Attachment, LinkId, order};

/// A network interface of this host.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the system's own")]
pub struct Interface {
    /// Its index.
    pub link: LinkId,
    /// Its name, such as `eth0`.
    pub name: String,
    /// Its IPv4 addresses, the system's first choice first; may be empty.
    pub addrs: Vec<Ipv4Addr>,
    /// The length in bits of the network part of each address, in the same order.
    pub prefixes: Vec<u8>,
    /// Its IPv6 addresses that are fit for use, with the length of their network parts.
    pub six: Vec<(Ipv6Addr, u8)>,
    /// It is switched on. Whether a cable is in does not count: one may be put in later.
    pub up: bool,
    /// It has a carrier: a cable is in, or the radio is associated. What is sent without one is
    /// lost and no error tells; when one comes back, [`super::Sockets::rejoin`] is due.
    pub running: bool,
    /// It leads only to this host.
    pub loopback: bool,
    /// It says that it can multicast. (Linux' loopback says no, and can.)
    pub multicast: bool,
    /// It leads to one other host, as most tunnels do.
    pub point_to_point: bool,
    /// It is a radio, on which multicast is slow and takes everybody's time.
    pub wireless: bool,
}

/// An interface that a node uses, with the addresses that it sends from there: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Link {
    /// The interface's index.
    pub id: LinkId,
    /// The interface's name.
    pub name: String,
    /// The source address of what leaves by this link in IPv4.
    pub addr: Option<Ipv4Addr>,
    /// The length in bits of the network part of `addr`.
    pub prefix: u8,
    /// In IPv6: the address of the link's own, which every interface has and which stays when others
    /// come and go; or the one that was asked for, which everything is sent from then.
    pub six: Option<Ipv6Addr>,
    /// The length in bits of the network part of `six`.
    pub six_prefix: u8,
    /// It is a radio.
    pub wireless: bool,
}

impl Link {
    /// Whether `addr` is in this link's subnet.
    pub fn is_neighbour(&self, addr: IpAddr) -> bool {
        match (addr, self.addr, self.six) {
            (IpAddr::V4(addr), Some(own), _) => {
                let mask = u32::MAX.checked_shl(32 - u32::from(self.prefix.min(32))).unwrap_or(0);
                (own.to_bits() ^ addr.to_bits()) & mask == 0
            }
            (IpAddr::V6(addr), _, Some(own)) => {
                let bits = 128 - u32::from(self.six_prefix.min(128));
                let mask = u128::MAX.checked_shl(bits).unwrap_or(0);
                (own.to_bits() ^ addr.to_bits()) & mask == 0
            }
            _ => false,
        }
    }

    /// By which versions of IP it can be used.
    pub fn attachment(&self) -> Attachment {
        Attachment { link: self.id, v4: self.addr.is_some(), v6: self.six.is_some() }
    }

    /// The address by which people know it.
    pub fn shown(&self) -> IpAddr {
        let six = self.six.unwrap_or(Ipv6Addr::UNSPECIFIED);
        self.addr.map_or(six.into(), IpAddr::V4)
    }
}

/// Why no links could be chosen. Nothing was changed; the messages name the remedy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum LinkError {
    /// No interface has that name or address.
    #[error("no interface '{wanted}' here; there are: {there}")]
    Unknown {
        /// The name or address as it was given.
        wanted: String,
        /// The interfaces there are, with their addresses.
        there: String,
    },
    /// The interface is switched off.
    #[error("interface '{name}' is down; `ip link set {name} up` switches it on")]
    Down {
        /// The interface's name.
        name: String,
    },
    /// The interface has no address.
    #[error(
        "interface '{name}' has no IP address; `ip addr add 192.168.7.1/24 dev {name}` gives it \
         one (choose a network that is free), or ask the DHCP client why it got none"
    )]
    NoAddress {
        /// The interface's name.
        name: String,
    },
    /// No interface is up and has an address, not even the loopback.
    #[error(
        "no network interface is up and has an IP address (there are: {there}); \
         `ip link set NAME up` and `ip addr add ADDR/24 dev NAME` make one usable"
    )]
    NoneUsable {
        /// The interfaces there are, with their addresses.
        there: String,
    },
}

/// The names, or their beginnings, of interfaces that lead to containers and virtual machines on
/// this host.
const INNER: [&str; 12] = [
    "docker", "br-", "veth", "virbr", "cni", "vmnet", "vboxnet", "lxcbr", "lxdbr", "incusbr",
    "podman", "flannel",
];

/// Every interface of this host, in the order of their indexes.
///
/// # Errors
/// The system does not tell.
pub fn interfaces() -> io::Result<Vec<Interface>> {
    let mut all = listed()?;
    // Where there is no such list, there is no IPv6, or none that this program can use.
    if let Ok(list) = std::fs::read_to_string("/proc/net/if_inet6") {
        for (link, addr) in fit(&list) {
            if let Some(interface) = all.iter_mut().find(|i| i.link == link && !i.loopback) {
                interface.six.push(addr);
            }
        }
    }
    order::sort_by_key(&mut all, |interface| interface.link);
    // One file lists those of this network namespace; where it is not there, none is known to be.
    if let Ok(list) = std::fs::read_to_string("/proc/net/wireless") {
        for interface in &mut all {
            interface.wireless = radios(&list).any(|name| name == interface.name);
        }
    }
    Ok(all)
}

/// The IPv6 addresses in a list as Linux' `/proc/net/if_inet6` has it: address, index, length of the
/// network part, scope, flags (all hexadecimal), name. One that may be somebody else's is not fit
/// for use, or not yet: while it is tried (RFC 4862 §5.4) nothing can be sent from it.
fn fit(list: &str) -> impl Iterator<Item = (LinkId, (Ipv6Addr, u8))> {
    const TENTATIVE_OR_DUPLICATE: u32 = 0x40 | 0x08;
    list.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let addr = u128::from_str_radix(words.next()?, 16).ok()?;
        let mut number = || u32::from_str_radix(words.next()?, 16).ok();
        let (index, prefix, _scope, flags) = (number()?, number()?, number()?, number()?);
        let addr = (Ipv6Addr::from_bits(addr), u8::try_from(prefix).ok()?);
        (flags & TENTATIVE_OR_DUPLICATE == 0).then_some((LinkId(index), addr))
    })
}

/// The names in a list as Linux' `/proc/net/wireless` has it.
fn radios(list: &str) -> impl Iterator<Item = &str> {
    list.lines().skip(2).filter_map(|line| Some(line.split_once(':')?.0.trim()))
}

#[cfg(unix)]
use super::sys::interfaces as listed;

/// Without the flags: a join shows whether an interface can multicast.
#[cfg(not(unix))]
fn listed() -> io::Result<Vec<Interface>> {
    let mut all: Vec<Interface> = Vec::new();
    for found in if_addrs::get_if_addrs()? {
        let (Some(index), if_addrs::IfAddr::V4(addr)) = (found.index, &found.addr) else {
            continue;
        };
        let link = LinkId(index);
        let at = all.iter().position(|known| known.link == link).unwrap_or_else(|| {
            all.push(Interface {
                link,
                name: found.name.clone(),
                addrs: Vec::new(),
                prefixes: Vec::new(),
                six: Vec::new(),
                up: found.is_oper_up(),
                running: found.is_oper_up(),
                loopback: found.is_loopback(),
                multicast: true,
                point_to_point: found.is_p2p(),
                wireless: false,
            });
            all.len() - 1
        });
        all[at].addrs.push(addr.ip);
        all[at].prefixes.push(addr.prefixlen);
    }
    Ok(all)
}

/// The links that a node uses.
///
/// With nothing wanted: every interface that is up, can multicast and leads out of this host;
/// bridges to containers and virtual machines only when there is no such interface; the loopback
/// only when there is nothing else. Otherwise what is wanted, by name or address, in that
/// order, each once, and nothing else.
///
/// # Errors
/// See [`LinkError`].
pub fn choose(all: &[Interface], wanted: &[String]) -> Result<Vec<Link>, LinkError> {
    if wanted.is_empty() {
        return choose_freely(all);
    }
    let mut links: Vec<Link> = Vec::new();
    for text in wanted {
        let link = find(all, text)?;
        if !links.iter().any(|chosen| chosen.id == link.id) {
            links.push(link);
        }
    }
    Ok(links)
}

fn choose_freely(all: &[Interface]) -> Result<Vec<Link>, LinkError> {
    type Kind = fn(&Interface) -> bool;
    let preference: [Kind; 3] = [
        |i| i.multicast && !i.loopback && !leads_inside(&i.name),
        |i| i.multicast && !i.loopback,
        |i| i.loopback,
    ];
    for kind in preference {
        let links: Vec<Link> =
            all.iter().filter(|i| i.up && kind(i)).filter_map(|i| link(i, None)).collect();
        if !links.is_empty() {
            return Ok(links);
        }
    }
    Err(LinkError::NoneUsable { there: describe(all) })
}

/// The interface that is called `text`, or has that address.
fn find(all: &[Interface], text: &str) -> Result<Link, LinkError> {
    // `fe80::1%eth0`: an address of the link's own is told with the link that it is of.
    let (bare, on) = text.split_once('%').unwrap_or((text, ""));
    let addr = bare.parse::<IpAddr>().ok();
    let found = all.iter().filter(|i| match addr {
        Some(IpAddr::V4(addr)) => i.addrs.contains(&addr),
        Some(IpAddr::V6(addr)) => {
            i.six.iter().any(|(six, _)| *six == addr) && (on.is_empty() || i.name == on)
        }
        None => i.name == text,
    });
    // An address can be on two interfaces: the one that is up is meant.
    let Some(interface) = found.max_by_key(|i| i.up) else {
        return Err(LinkError::Unknown { wanted: text.into(), there: describe(all) });
    };
    if !interface.up {
        return Err(LinkError::Down { name: interface.name.clone() });
    }
    link(interface, addr).ok_or_else(|| LinkError::NoAddress { name: interface.name.clone() })
}

/// The link of an interface, with the wanted address, or its first one that is not just
/// self-assigned; none if it has no address.
fn link(interface: &Interface, wanted: Option<IpAddr>) -> Option<Link> {
    let wanted_four = interface.addrs.iter().find(|a| wanted == Some(IpAddr::V4(**a)));
    let addr = wanted_four
        .or_else(|| interface.addrs.iter().find(|a| !a.is_link_local()))
        .or_else(|| interface.addrs.first())
        .copied();
    let at = interface.addrs.iter().position(|a| Some(*a) == addr);
    let prefix = at.and_then(|at| interface.prefixes.get(at)).copied().unwrap_or(32);
    let wanted_six = interface.six.iter().find(|(a, _)| wanted == Some(IpAddr::V6(*a)));
    let six = wanted_six
        .or_else(|| interface.six.iter().find(|(a, _)| a.is_unicast_link_local()))
        .or_else(|| interface.six.first());
    let (six, six_prefix) = six.map_or((None, 128), |(addr, prefix)| (Some(*addr), *prefix));
    let (name, wireless) = (interface.name.clone(), interface.wireless);
    let link = Link { id: interface.link, name, addr, prefix, six, six_prefix, wireless };
    (addr.is_some() || six.is_some()).then_some(link)
}

pub(super) fn leads_inside(name: &str) -> bool {
    INNER.iter().any(|beginning| name.starts_with(beginning))
}

/// `eth0 (10.77.0.1), lo (127.0.0.1)`; names and addresses are the system's own.
fn describe(all: &[Interface]) -> String {
    if all.is_empty() {
        return "none".into();
    }
    let one = |i: &Interface| {
        let six = i.six.iter().map(|(addr, _)| IpAddr::V6(*addr));
        let addrs = i.addrs.iter().copied().map(IpAddr::V4).chain(six);
        let mut notes: Vec<String> = addrs.map(|addr| addr.to_string()).collect();
        if notes.is_empty() {
            notes.push("no IP address".into());
        }
        if !i.up {
            notes.push("down".into());
        }
        format!("{} ({})", i.name, notes.join(", "))
    };
    all.iter().map(one).collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// An interface as a line: `INDEX NAME FLAGS ADDR/PREFIX…`; flags: u(p) r(unning) m(ulticast)
    /// l(oopback) p(oint to point), or `-`.
    #[track_caller]
    pub(in super::super) fn interface(line: &str) -> Interface {
        let mut words = line.split_whitespace();
        let mut word = || words.next().unwrap();
        let (index, name, flags) = (word().parse().unwrap(), word().to_owned(), word());
        let mut interface = Interface {
            link: LinkId(index),
            name,
            addrs: vec![],
            prefixes: vec![],
            six: vec![],
            up: flags.contains('u'),
            running: flags.contains('r'),
            loopback: flags.contains('l'),
            multicast: flags.contains('m'),
            point_to_point: flags.contains('p'),
            wireless: false,
        };
        for (addr, prefix) in words.filter_map(|word| word.split_once('/')) {
            let prefix = prefix.parse().unwrap();
            match addr.parse().unwrap() {
                IpAddr::V4(addr) => {
                    interface.addrs.push(addr);
                    interface.prefixes.push(prefix);
                }
                IpAddr::V6(addr) => interface.six.push((addr, prefix)),
            }
        }
        interface
    }

    /// The chosen links as `NAME=ADDR/PREFIX+SIX/PREFIX …`, or the error's text.
    #[track_caller]
    fn chosen(table: &[&str], wanted: &[&str]) -> String {
        let all: Vec<Interface> = table.iter().map(|line| interface(line)).collect();
        let wanted: Vec<String> = wanted.iter().map(|&text| text.to_owned()).collect();
        match choose(&all, &wanted) {
            Ok(links) => links
                .iter()
                .map(|l| {
                    let four = l.addr.map(|addr| format!("{addr}/{}", l.prefix));
                    let six = l.six.map(|addr| format!("{addr}/{}", l.six_prefix));
                    let addrs: Vec<String> = [four, six].into_iter().flatten().collect();
                    format!("{}={}", l.name, addrs.join("+"))
                })
                .collect::<Vec<_>>()
                .join(" "),
            Err(e) => e.to_string(),
        }
    }

    const LO: &str = "1 lo ul 127.0.0.1/8";
    const ETH0: &str = "2 eth0 um 10.77.0.1/24";
    const ETH1: &str = "3 eth1 um 10.78.0.1/24";
    const WLAN_DOWN: &str = "4 wlan0 m 192.168.1.4/24";
    const WLAN_BARE: &str = "5 wlan1 um";
    const DOCKER: &str = "6 docker0 um 172.17.0.1/16";
    const BRIDGE: &str = "7 br-3f2a um 172.18.0.1/16";
    const LAN_BRIDGE: &str = "8 br0 um 10.79.0.1/24";
    const WIREGUARD: &str = "9 wg0 up 10.9.0.1/32";
    const TUN: &str = "10 tun0 ump 10.8.0.1/32";

    #[test]
    fn every_interface_that_can_multicast_is_used_when_none_is_named() {
        assert_eq!(chosen(&[LO, ETH0, ETH1], &[]), "eth0=10.77.0.1/24 eth1=10.78.0.1/24");
        assert_eq!(chosen(&[LO, ETH0, WLAN_DOWN, WLAN_BARE, WIREGUARD], &[]), "eth0=10.77.0.1/24");
        assert_eq!(chosen(&[LO, TUN], &[]), "tun0=10.8.0.1/32");
        assert_eq!(chosen(&[LO, DOCKER, LAN_BRIDGE], &[]), "br0=10.79.0.1/24");
    }

    #[test]
    fn bridges_to_containers_come_last_and_loopback_after_them() {
        assert_eq!(chosen(&[LO, ETH0, DOCKER, BRIDGE], &[]), "eth0=10.77.0.1/24");
        assert_eq!(
            chosen(&[LO, WLAN_DOWN, DOCKER, BRIDGE], &[]),
            "docker0=172.17.0.1/16 br-3f2a=172.18.0.1/16"
        );
        assert_eq!(chosen(&[LO, WLAN_DOWN, WLAN_BARE], &[]), "lo=127.0.0.1/8");
    }

    #[test]
    fn named_interfaces_are_used_in_that_order_each_once_and_nothing_else() {
        let table = [LO, ETH0, ETH1, DOCKER, WIREGUARD];
        assert_eq!(
            chosen(&table, &["eth1", "10.77.0.1", "eth0", "eth1"]),
            "eth1=10.78.0.1/24 eth0=10.77.0.1/24"
        );
        assert_eq!(chosen(&table, &["docker0"]), "docker0=172.17.0.1/16");
        assert_eq!(chosen(&table, &["lo", "wg0"]), "lo=127.0.0.1/8 wg0=10.9.0.1/32");
    }

    #[test]
    fn an_address_names_the_interface_and_is_the_one_to_send_from() {
        let two = "2 eth0 um 10.77.0.1/24 10.99.0.1/16";
        assert_eq!(chosen(&[two], &["10.99.0.1"]), "eth0=10.99.0.1/16");
        assert_eq!(chosen(&[two], &["eth0"]), "eth0=10.77.0.1/24");
        let twice = ["2 eth0 m 10.77.0.1/24", "3 eth1 um 10.77.0.1/24"];
        assert_eq!(chosen(&twice, &["10.77.0.1"]), "eth1=10.77.0.1/24");
    }

    #[test]
    fn an_interface_with_ipv6_is_used_by_it_too_and_with_nothing_else_by_it_alone() {
        let both = "2 eth0 um 10.77.0.1/24 fd77::1/64 fe80::1/64";
        let six = "3 eth1 um fd78::1/64 fe80::1/64";
        assert_eq!(
            chosen(&[LO, both, six], &[]),
            "eth0=10.77.0.1/24+fe80::1/64 eth1=fe80::1/64"
        );
        assert_eq!(chosen(&[LO, both, six], &["fd77::1"]), "eth0=10.77.0.1/24+fd77::1/64");
        assert_eq!(chosen(&[LO, both, six], &["10.77.0.1"]), "eth0=10.77.0.1/24+fe80::1/64");
        assert_eq!(chosen(&[LO, both, six], &["fe80::1%eth1"]), "eth1=fe80::1/64");
        insta::assert_snapshot!(chosen(&[LO, both, six], &["fd79::1"]),
            @"no interface 'fd79::1' here; there are: lo (127.0.0.1), eth0 (10.77.0.1, fd77::1, fe80::1), eth1 (fd78::1, fe80::1)");
    }

    #[test]
    fn an_address_of_ipv6_that_may_be_somebody_elses_is_not_fit_for_use() {
        let list = "\
fe800000000000000000000000000001 02 40 20 80     eth0
fd770000000000000000000000000001 02 40 00 c0     eth0
fd770000000000000000000000000002 02 40 00 88     eth0
00000000000000000000000000000001 01 80 10 80       lo
rubbish
";
        let fit: Vec<_> = fit(list).map(|(link, addr)| (link.0, addr.0.to_string(), addr.1)).collect();
        assert_eq!(fit, [(2, "fe80::1".to_owned(), 64), (1, "::1".to_owned(), 128)]);
    }

    #[test]
    fn a_self_assigned_address_is_used_only_when_there_is_no_other() {
        assert_eq!(chosen(&["2 eth0 um 169.254.3.4/16 10.77.0.1/24"], &[]), "eth0=10.77.0.1/24");
        assert_eq!(chosen(&["2 eth0 um 169.254.3.4/16"], &[]), "eth0=169.254.3.4/16");
    }

    #[test]
    fn what_cannot_be_used_is_refused_with_what_to_do() {
        insta::assert_snapshot!(chosen(&[LO, ETH0], &["eth0", "eth9"]),
            @"no interface 'eth9' here; there are: lo (127.0.0.1), eth0 (10.77.0.1)");
        insta::assert_snapshot!(chosen(&[ETH0, WLAN_DOWN, WLAN_BARE], &["10.0.0.9"]),
            @"no interface '10.0.0.9' here; there are: eth0 (10.77.0.1), wlan0 (192.168.1.4, down), wlan1 (no IP address)");
        insta::assert_snapshot!(chosen(&[ETH0, WLAN_DOWN], &["wlan0"]),
            @"interface 'wlan0' is down; `ip link set wlan0 up` switches it on");
        insta::assert_snapshot!(chosen(&[ETH0, WLAN_BARE], &["wlan1"]),
            @"interface 'wlan1' has no IP address; `ip addr add 192.168.7.1/24 dev wlan1` gives it one (choose a network that is free), or ask the DHCP client why it got none");
        insta::assert_snapshot!(chosen(&[WLAN_DOWN], &[]),
            @"no network interface is up and has an IP address (there are: wlan0 (192.168.1.4, down)); `ip link set NAME up` and `ip addr add ADDR/24 dev NAME` make one usable");
        insta::assert_snapshot!(chosen(&[], &["eth0"]), @"no interface 'eth0' here; there are: none");
    }

    #[test]
    fn a_link_knows_its_neighbours() {
        let link = |addr: [u8; 4], prefix| Link {
            id: LinkId(2),
            name: "eth0".into(),
            addr: Some(addr.into()),
            prefix,
            six: Some("fd77::1".parse().unwrap()),
            six_prefix: 64,
            wireless: false,
        };
        let lan = link([10, 77, 0, 1], 24);
        let is_neighbour = |link: Link, addr: &str| link.is_neighbour(addr.parse().unwrap());
        assert!(is_neighbour(lan.clone(), "10.77.0.200"));
        assert!(!is_neighbour(lan.clone(), "10.77.1.200"));
        assert!(is_neighbour(link([10, 77, 0, 1], 0), "1.1.1.1"));
        assert!(!is_neighbour(link([10, 77, 0, 1], 32), "10.77.0.2"));
        assert!(is_neighbour(lan.clone(), "fd77::9") && !is_neighbour(lan, "fd78::9"));
    }

    #[test]
    fn radios_are_told_by_the_systems_list() {
        let list = "Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE\n \
                    face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22\n\
                    wlp3s0: 0000   70.  -40.  -256        0      0      0      0      5        0\n  \
                    wlan1: 0000   20.  -80.  -256        0      0      0      0      5        0\n";
        assert_eq!(radios(list).collect::<Vec<_>>(), ["wlp3s0", "wlan1"]);
        assert_eq!(radios("").count(), 0);
    }

    #[test]
    fn the_loopback_of_this_host_is_listed_once_with_its_address() {
        let all = interfaces().unwrap();
        let loops: Vec<_> = all.iter().filter(|i| i.loopback).collect();
        assert_eq!(loops.len(), 1, "{all:?}");
        assert!(loops[0].up && loops[0].addrs.contains(&Ipv4Addr::LOCALHOST));
        assert!(all.is_sorted_by(|a, b| a.link < b.link), "{all:?}");
    }
}
