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
    /// Groups are joined and spoken to there. Without, it is a way to single addresses only.
    pub multicast: bool,
    /// The system says that it can't multicast, or that it leads to a single host: who is beyond it is
    /// found by address.
    pub tunnel: bool,
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
        let (v4, v6) = (self.addr.is_some(), self.six.is_some());
        Attachment { link: self.id, v4, v6, multicast: self.multicast }
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
            if let Some(interface) = all.iter_mut().find(|i| i.link == link) {
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
/// only when there is nothing else, so that the nodes of one host hear each other. Beside these,
/// every interface that leads out of this host and does not multicast, for single addresses.
/// Otherwise what is wanted, by name or address, in that order, each once, and nothing else; to
/// multicast there is tried, whatever the system says.
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
        let of =
            |kind: Kind| all.iter().filter(move |i| i.up && kind(i)).filter_map(|i| link(i, None));
        let mut links: Vec<Link> = of(kind).collect();
        if !links.is_empty() {
            links.extend(of(is_unicast_path));
            return Ok(links);
        }
    }
    Err(LinkError::NoneUsable { there: describe(all) })
}

/// Whether an interface leads out of this host, and not to all at once.
fn is_unicast_path(interface: &Interface) -> bool {
    !interface.multicast && !interface.loopback && !leads_inside(&interface.name)
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
    let link = link(interface, addr);
    // Who asks for it knows better: Linux multicasts where it says that it does not, if it is told to.
    let link = link.map(|link| Link { multicast: true, ..link });
    link.ok_or_else(|| LinkError::NoAddress { name: interface.name.clone() })
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
    // The loopback carries IPv4 to everybody on this host, and groups of IPv6 only where a route says so.
    let usable = if interface.loopback { &[][..] } else { &interface.six[..] };
    let wanted_six = usable.iter().find(|(a, _)| wanted == Some(IpAddr::V6(*a)));
    let six = wanted_six
        .or_else(|| usable.iter().find(|(a, _)| a.is_unicast_link_local()))
        .or_else(|| usable.first());
    let (six, six_prefix) = six.map_or((None, 128), |(addr, prefix)| (Some(*addr), *prefix));
    let (name, wireless) = (interface.name.clone(), interface.wireless);
    let multicast = interface.multicast || interface.loopback;
    let tunnel = !multicast || interface.point_to_point && !interface.loopback;
    let id = interface.link;
    let link = Link { id, name, addr, prefix, six, six_prefix, wireless, multicast, tunnel };
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
pub(super) mod tests;
