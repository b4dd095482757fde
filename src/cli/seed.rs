//! `--peer`: a host to ask, as it was written, and its addresses.
//!
//! ```text
//! web1   web1:9   192.168.1.7   192.168.1.7:9   fd77::2   [fd77::2]:9   fe80::2%eth0   [fe80::2%eth0]:9
//! ```

use std::fmt;
use std::net::{IpAddr, Ipv6Addr, SocketAddr, ToSocketAddrs};

use super::exit::Failure;
use super::options::wrong;
use crate::net;
use crate::values::{Escaped, Group, LinkId, order};

/// A host to ask, as it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Seed {
    origin: String,
    host: Host,
    pub(super) port: u16,
}

/// A host by its name, or its address.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Host {
    Name(String),
    Addr(IpAddr),
    /// An address that each link has its own of, and the interface that is meant.
    OnLink(Ipv6Addr, String),
}

impl Seed {
    /// Reads it; `origin` is where it was written.
    pub(super) fn parse(text: &str, origin: &str, group: Group) -> Result<Self, Failure> {
        let shown = Escaped::of(text);
        let syntax = || {
            let example = "for example web1, web1:9, fd77::2 or [fd77::2]:9";
            wrong(origin, format_args!("'{shown}' is not HOST[:PORT]; {example}"))
        };
        let (host, port) = if let Some(rest) = text.strip_prefix('[') {
            let (host, port) = rest.split_once(']').ok_or_else(syntax)?;
            let port = match port {
                "" => None,
                _ => Some(port.strip_prefix(':').ok_or_else(syntax)?),
            };
            (host, port)
        } else if text.matches(':').count() > 1 {
            (text, None)
        } else {
            text.split_once(':').map_or((text, None), |(host, port)| (host, Some(port)))
        };
        let port = match port.map(str::parse) {
            None => group.port(),
            Some(Ok(port)) if port > 0 => port,
            Some(_) => return Err(syntax()),
        };
        let host = Host::read(host).map_err(|why| wrong(origin, why))?;
        Ok(Self { origin: origin.to_owned(), host, port })
    }

    /// Its addresses, as the system's resolver knows them, or why there are none.
    pub(super) fn look_up(&self) -> Result<Vec<SocketAddr>, String> {
        let refused = |host: &dyn fmt::Display, cause: &dyn fmt::Display| {
            format!("{}: {host}: {cause}; give the host's IP address", self.origin)
        };
        match &self.host {
            Host::Addr(addr) => Ok(vec![SocketAddr::new(*addr, self.port)]),
            Host::OnLink(addr, name) => {
                let shown = Escaped::of(name);
                let link = index(name)
                    .ok_or_else(|| format!("{}: no interface '{shown}' here", self.origin))?;
                Ok(vec![link.scoped(SocketAddr::new((*addr).into(), self.port))])
            }
            Host::Name(name) => {
                let shown = Escaped::of(name);
                let found = (name.as_str(), self.port)
                    .to_socket_addrs()
                    .map_err(|error| refused(&shown, &error))?;
                let is_fit = |addr: &SocketAddr| addr.is_ipv4() || !addr.ip().is_loopback();
                let mut found: Vec<SocketAddr> = found.filter(is_fit).collect();
                order::sort_by_key(&mut found, |addr| *addr);
                found.dedup();
                if found.is_empty() {
                    return Err(refused(&shown, &"no address"));
                }
                Ok(found)
            }
        }
    }
}

impl Host {
    fn read(text: &str) -> Result<Self, String> {
        let shown = Escaped::of(text);
        let (bare, on) = text.split_once('%').map_or((text, None), |(addr, on)| (addr, Some(on)));
        if let Ok(addr) = bare.parse::<Ipv6Addr>() {
            return match (addr.to_canonical(), on) {
                (IpAddr::V6(addr), Some(on)) if addr.is_unicast_link_local() && !on.is_empty() => {
                    Ok(Self::OnLink(addr, on.to_owned()))
                }
                (IpAddr::V6(addr), _) if addr.is_unicast_link_local() => Err(format!(
                    "{addr} may be on any link; say on which: {addr}%eth0, if it is eth0"
                )),
                (IpAddr::V6(Ipv6Addr::LOCALHOST), _) => {
                    Err("::1 is not used; this host itself is 127.0.0.1".to_owned())
                }
                (addr, _) => Self::of_one(addr),
            };
        }
        if let Ok(addr) = text.parse::<IpAddr>() {
            return Self::of_one(addr);
        }
        if text.is_empty() || text.contains([':', '[', ']', '%', ' ']) {
            return Err(format!("'{shown}' is not a host's name or IP address"));
        }
        Ok(Self::Name(text.to_owned()))
    }

    fn of_one(addr: IpAddr) -> Result<Self, String> {
        let broadcast = matches!(addr, IpAddr::V4(addr) if addr.is_broadcast());
        if addr.is_multicast() || addr.is_unspecified() || broadcast {
            let cause = "is not the address of one host; give a host that runs cooee";
            return Err(format!("{addr} {cause}"));
        }
        Ok(Self::Addr(addr))
    }
}

/// The index of the interface that is called so, or has that number.
fn index(name: &str) -> Option<LinkId> {
    let all = net::interfaces().unwrap_or_default();
    let named = all.iter().find(|interface| interface.name == name);
    named.map(|interface| interface.link).or_else(|| name.parse().ok().map(LinkId))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn read(text: &str) -> String {
        let seed = Seed::parse(text, "--peer", Group::DEFAULT);
        match seed.map(|seed| seed.look_up()) {
            Ok(Ok(addrs)) => addrs[0].to_string(),
            Ok(Err(why)) => why,
            Err(why) => why.to_string(),
        }
    }

    #[test]
    fn an_address_of_either_version_is_read_with_and_without_a_port() {
        for (text, meant) in [
            ("10.9.8.7", "10.9.8.7:26633"),
            ("10.9.8.7:4", "10.9.8.7:4"),
            ("[10.9.8.7]:4", "10.9.8.7:4"),
            ("fd77::2", "[fd77::2]:26633"),
            ("[fd77::2]", "[fd77::2]:26633"),
            ("[fd77::2]:4", "[fd77::2]:4"),
            ("::ffff:10.9.8.7", "10.9.8.7:26633"),
            ("fe80::2%1", "[fe80::2%1]:26633"),
            ("[fe80::2%lo]:4", "[fe80::2%1]:4"),
        ] {
            assert_eq!(read(text), meant, "{text}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused_with_the_reason() {
        for (text, says) in [
            ("[fd77::2", "is not HOST[:PORT]; for example web1, web1:9, fd77::2 or [fd77::2]:9"),
            ("[fd77::2]4", "is not HOST[:PORT]"),
            ("[fd77::2]:0", "is not HOST[:PORT]"),
            ("fd77::2::", "'fd77::2::' is not a host's name or IP address"),
            ("fe80::2", "fe80::2 may be on any link; say on which: fe80::2%eth0"),
            ("ff02::1", "ff02::1 is not the address of one host"),
            ("::", ":: is not the address of one host"),
            ("::1", "this host itself is 127.0.0.1"),
            ("web1%eth0", "'web1%eth0' is not a host's name or IP address"),
            ("fe80::2%nowhere", "--peer: no interface 'nowhere' here"),
        ] {
            let told = read(text);
            assert!(told.contains(says), "{text}: {told}");
        }
    }
}
