//! The hosts next to this one that the system has had to do with lately.

use std::net::Ipv4Addr;

/// Neighbours whose hardware address the system knows, on these interfaces, as Linux'
/// `/proc/net/arp` lists them. None where there is no such list.
pub fn neighbours(interfaces: &[&str]) -> Vec<Ipv4Addr> {
    let list = std::fs::read_to_string("/proc/net/arp").unwrap_or_default();
    listed(&list, interfaces)
}

/// `ATF_COM` of `if_arp.h`: the entry is complete.
const COMPLETE: u32 = 2;

fn listed(list: &str, interfaces: &[&str]) -> Vec<Ipv4Addr> {
    let of = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [addr, _type, flags, _hardware, _mask, interface] = words[..] else { return None };
        let flags = u32::from_str_radix(flags.strip_prefix("0x")?, 16).ok()?;
        let is_known = flags & COMPLETE != 0 && interfaces.contains(&interface);
        addr.parse().ok().filter(|_| is_known)
    };
    list.lines().skip(1).filter_map(of).collect()
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
        let expected: [Ipv4Addr; 2] = [[10, 77, 0, 2].into(), [10, 77, 0, 4].into()];
        assert_eq!(listed(list, &["eth0"]), expected);
        assert!(listed("", &["eth0"]).is_empty());
    }
}
