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
    assert_eq!(chosen(&[LO, ETH0, WLAN_DOWN, WLAN_BARE], &[]), "eth0=10.77.0.1/24");
    assert_eq!(chosen(&[LO, TUN], &[]), "tun0=10.8.0.1/32");
    assert_eq!(chosen(&[LO, DOCKER, LAN_BRIDGE], &[]), "br0=10.79.0.1/24");
}

#[test]
fn what_does_not_multicast_is_used_for_single_addresses_beside_what_does() {
    let with = |table: &[&str], wanted: &[&str]| {
        let all: Vec<Interface> = table.iter().map(|line| interface(line)).collect();
        let wanted: Vec<String> = wanted.iter().map(|&text| text.to_owned()).collect();
        let told = choose(&all, &wanted).unwrap().into_iter().map(|link| {
            let (to_all, tunnel) = (link.multicast, link.tunnel);
            (link.name, to_all, tunnel)
        });
        told.collect::<Vec<_>>()
    };
    let link = |name: &str, multicast, tunnel| (name.to_owned(), multicast, tunnel);
    let wg0 = link("wg0", false, true);
    let eth0 = link("eth0", true, false);
    assert_eq!(with(&[LO, WIREGUARD, ETH0], &[]), [eth0.clone(), wg0.clone()]);
    assert_eq!(with(&[LO, WIREGUARD], &[]), [link("lo", true, false), wg0]);
    assert_eq!(with(&[LO, TUN], &[]), [link("tun0", true, true)], "it says that it can multicast");
    assert_eq!(
        with(&[LO, ETH0, WIREGUARD], &["wg0"]),
        [link("wg0", true, true)],
        "then it is tried"
    );
    let inner = "9 veth3 u 172.17.0.9/16";
    assert_eq!(with(&[LO, ETH0, inner], &[]), [eth0], "it leads to a container");
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
    assert_eq!(chosen(&[LO, both, six], &[]), "eth0=10.77.0.1/24+fe80::1/64 eth1=fe80::1/64");
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
        multicast: true,
        tunnel: false,
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
