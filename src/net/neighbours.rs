//! The hosts next to this one that the system has had to do with lately.

use std::net::{IpAddr, Ipv4Addr};

use super::Link;
use crate::values::LinkId;

/// Neighbours whose hardware address the system knows, on these links, as Linux' `/proc/net/arp`
/// lists them. None where there is no such list.
pub fn neighbours(links: &[Link]) -> Vec<(LinkId, IpAddr)> {
    let list = std::fs::read_to_string("/proc/net/arp").unwrap_or_default();
    let index = |name: &str| links.iter().find(|link| link.name == name).map(|link| link.id);
    listed(&list, index).collect()
}

/// `ATF_COM` of `if_arp.h`: the entry is complete.
const COMPLETE: u32 = 2;

fn listed(
    list: &str,
    link: impl Fn(&str) -> Option<LinkId>,
) -> impl Iterator<Item = (LinkId, IpAddr)> {
    list.lines().skip(1).filter_map(move |line| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [addr, _type, flags, _hardware, _mask, interface] = words[..] else { return None };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let addr: Ipv4Addr = addr.parse().ok()?;
        let link = link(interface)?;
        (flags & COMPLETE != 0).then_some((link, addr.into()))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn those_on_the_links_in_use_whose_hardware_address_is_known_are_listed() {
        let list = "\
IP address       HW type     Flags       HW address            Mask     Device
10.77.0.2        0x1         0x2         02:00:00:00:00:02     *        eth0
10.77.0.3        0x1         0x0         00:00:00:00:00:00     *        eth0
10.77.0.4        0x1         0x6         02:00:00:00:00:04     *        eth0
172.17.0.2       0x1         0x2         02:42:ac:11:00:02     *        docker0
nonsense
";
        let eth0 = |name: &str| (name == "eth0").then_some(LinkId(2));
        let expected = [[10, 77, 0, 2], [10, 77, 0, 4]].map(|addr| (LinkId(2), IpAddr::from(addr)));
        assert_eq!(listed(list, eth0).collect::<Vec<_>>(), expected);
        assert_eq!(listed("", eth0).count(), 0);
    }
}
