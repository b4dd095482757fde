//! What a node makes of each interface, and why: [`choose`], told to people.

use super::links::{Interface, choose, leads_inside};
use crate::values::LinkId;

/// Whether a node uses an interface, and why or why not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Usage {
    /// It leads to a LAN.
    Lan,
    /// It was asked for.
    Named,
    /// There is nothing better.
    Alone,
    /// It does not multicast, as most tunnels: it is used for single addresses.
    Unicast,
    /// It is used, and the cable is out, or the radio not associated.
    NoCarrier,
    /// Others were asked for.
    NotNamed,
    /// It is switched off.
    Down,
    /// It has no address.
    NoAddress,
    /// It leads only to this host, and others lead further.
    Loopback,
    /// It leads to containers or virtual machines on this host, and others lead further.
    Inner,
}

impl Usage {
    /// Whether the interface is used.
    pub fn is_used(self) -> bool {
        matches!(self, Self::Lan | Self::Named | Self::Alone | Self::Unicast | Self::NoCarrier)
    }

    /// How peers are reached there, if it is used: by multicast, or by unicast only.
    pub fn path(self) -> Option<&'static str> {
        let path = if self == Self::Unicast { "unicast" } else { "multicast" };
        self.is_used().then_some(path)
    }

    /// Why, in words, and what could be done about it.
    pub fn why(self, name: &str) -> String {
        match self {
            Self::Lan => "it can multicast and leads out of this host".into(),
            Self::Named => "it was asked for".into(),
            Self::Alone => "there is nothing better that can multicast".into(),
            Self::Unicast => {
                "it does not multicast: who is beyond it is reached by unicast, as far as it was \
                              a peer before, is a neighbour, or is named with `--peer HOST`"
                    .into()
            }
            Self::NoCarrier => "it has no carrier: no cable, or no radio network".into(),
            Self::NotNamed => format!("others were asked for; `--iface {name}` adds it"),
            Self::Down => format!("it is down; `ip link set {name} up` switches it on"),
            Self::NoAddress => "it has no IP address".into(),
            Self::Loopback => "it leads only to this host".into(),
            Self::Inner => format!(
                "it leads to containers or virtual machines on this host; `--iface {name}` uses it"
            ),
        }
    }
}

/// What a node with these wishes makes of each interface, in their order.
pub fn usage(all: &[Interface], wanted: &[String]) -> Vec<Usage> {
    let used: Vec<LinkId> = if wanted.is_empty() {
        choose(all, &[]).unwrap_or_default().into_iter().map(|link| link.id).collect()
    } else {
        let each = wanted.iter().filter_map(|name| choose(all, std::slice::from_ref(name)).ok());
        each.flatten().map(|link| link.id).collect()
    };
    let of = |interface: &Interface| {
        let is_used = used.contains(&interface.link);
        let is_inner = leads_inside(&interface.name);
        match interface {
            i if is_used && !i.running && !i.loopback => Usage::NoCarrier,
            _ if is_used && !wanted.is_empty() => Usage::Named,
            i if is_used && (i.loopback || is_inner) => Usage::Alone,
            i if is_used && !i.multicast => Usage::Unicast,
            _ if is_used => Usage::Lan,
            i if !i.up => Usage::Down,
            i if i.addrs.is_empty() && i.six.is_empty() => Usage::NoAddress,
            _ if !wanted.is_empty() => Usage::NotNamed,
            i if i.loopback => Usage::Loopback,
            _ => Usage::Inner,
        }
    };
    all.iter().map(of).collect()
}

#[cfg(test)]
mod tests {
    use super::super::links::tests::interface;
    use super::*;

    /// `NAME: why`, with `+` before what is used.
    fn told(table: &[&str], wanted: &[&str]) -> Vec<String> {
        let all: Vec<Interface> = table.iter().map(|line| interface(line)).collect();
        let wanted: Vec<String> = wanted.iter().map(|&text| text.to_owned()).collect();
        let told = all.iter().zip(usage(&all, &wanted)).map(|(interface, usage)| {
            let used = if usage.is_used() { "+" } else { "-" };
            format!("{used} {}: {}", interface.name, usage.why(&interface.name))
        });
        told.collect()
    }

    #[test]
    fn each_interface_is_told_with_what_is_made_of_it_and_why() {
        let table = [
            "1 lo url 127.0.0.1/8",
            "2 eth0 urm 10.77.0.1/24",
            "3 eth1 um 10.78.0.1/24",
            "4 wlan0 m 192.168.1.4/24",
            "5 wlan1 urm",
            "6 docker0 urm 172.17.0.1/16",
            "9 wg0 urp 10.9.0.1/32",
        ];
        insta::assert_snapshot!(told(&table, &[]).join("\n"), @"
        - lo: it leads only to this host
        + eth0: it can multicast and leads out of this host
        + eth1: it has no carrier: no cable, or no radio network
        - wlan0: it is down; `ip link set wlan0 up` switches it on
        - wlan1: it has no IP address
        - docker0: it leads to containers or virtual machines on this host; `--iface docker0` uses it
        + wg0: it does not multicast: who is beyond it is reached by unicast, as far as it was a peer before, is a neighbour, or is named with `--peer HOST`
        ");
        insta::assert_snapshot!(told(&table[..2], &["lo"]).join("\n"), @"
        + lo: it was asked for
        - eth0: others were asked for; `--iface eth0` adds it
        ");
        insta::assert_snapshot!(told(&[table[0], table[5]], &[]).join("\n"), @"
        - lo: it leads only to this host
        + docker0: there is nothing better that can multicast
        ");
    }

    #[test]
    fn one_that_was_asked_for_and_is_not_there_takes_nothing_from_the_others() {
        let table = ["2 eth0 urm 10.77.0.1/24"];
        assert_eq!(told(&table, &["eth0", "eth7"]), ["+ eth0: it was asked for"]);
    }
}
