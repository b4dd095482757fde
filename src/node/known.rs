//! Where peers were heard in earlier runs: a file in the state folder, for a LAN on which multicast
//! does not work any more when the next run starts.

use std::collections::BTreeSet;
use std::fs;
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use super::identity::{create_private, replace};
use crate::net::{self, Link};
use crate::proto::{Hint, PeerInfo};
use crate::values::{Group, LinkId, limits};

/// Where somebody may be, though nobody has said so.
#[derive(Debug)]
pub(super) struct Whereabouts {
    /// None where nothing is kept.
    known: Option<Known>,
    /// A node that only passes through hears of some, and would forget the others.
    keeps: bool,
    /// The group's, where a node can be reached on each of its hosts.
    port: u16,
}

impl Whereabouts {
    /// `folder`: the state folder. `keeps`: whether the node is to keep there what it learns.
    pub(super) fn new(folder: Option<&Path>, group: Group, keeps: bool) -> Self {
        let known = folder.map(|folder| Known::load(folder, group));
        Self { known, keeps, port: group.port() }
    }

    /// Where peers were heard in earlier runs, and this host's neighbours on these links.
    pub(super) fn hints(&self, links: &[Link]) -> Vec<Hint> {
        let mut hints: Vec<Hint> = Vec::new();
        let mut hint = |link: LinkId, host: IpAddr| {
            let addr = link.scoped(SocketAddr::new(host, self.port));
            let tunnel = links.iter().any(|l| l.id == link && l.tunnel).then_some(link);
            if !hints.iter().any(|hint| hint.addr == addr) {
                hints.push(Hint { addr, tunnel });
            }
        };
        for host in self.known.iter().flat_map(Known::hosts) {
            let mut is_near = false;
            for link in links.iter().filter(|link| link.is_neighbour(host)) {
                hint(link.id, host);
                is_near = true;
            }
            // The subnet of a tunnel often holds nothing but this host; its routes tell who is beyond.
            if let Some(link) = (!is_near).then(|| net::tunnel_to(links, host)).flatten() {
                hint(link, host);
            }
        }
        for (link, host) in net::neighbours(links) {
            hint(link, host);
        }
        hints
    }

    /// Keeps where these peers are heard.
    pub(super) fn note(&mut self, peers: impl Iterator<Item = PeerInfo>, links: &[Link]) {
        let Some(known) = self.known.as_mut().filter(|_| self.keeps) else { return };
        let host = |peer: PeerInfo| Some(peer.addr?.ip());
        let heard: BTreeSet<IpAddr> =
            peers.filter_map(host).filter(|host| !host.is_loopback()).collect();
        let lans: Vec<&Link> = links.iter().filter(|link| !link.tunnel).collect();
        known.note(&heard, |one, other| {
            lans.iter().any(|lan| lan.is_neighbour(one) && lan.is_neighbour(other))
        });
    }
}

/// The hosts at which peers of a group were heard, in this run or in those before.
#[derive(Debug)]
struct Known {
    path: PathBuf,
    /// Those of this run first.
    hosts: Vec<IpAddr>,
}

impl Known {
    /// What earlier runs in this group have left in the state folder.
    fn load(folder: &Path, group: Group) -> Self {
        let (addr, port) = (group.addr().ip().to_string(), group.port());
        let path = folder.join(format!("peers-{addr}-{port}"));
        let text = fs::read_to_string(&path).unwrap_or_default();
        let hosts = text.lines().filter_map(|line| line.parse().ok());
        Self { hosts: hosts.take(limits::HINTS).collect(), path }
    }

    /// The hosts.
    fn hosts(&self) -> impl Iterator<Item = IpAddr> {
        self.hosts.iter().copied()
    }

    /// Peers are heard at these hosts now. Where any is, those of earlier runs on the same LAN are of no
    /// interest any more; those on others, and beyond tunnels, stay as long as there is room for them.
    fn note(&mut self, heard: &BTreeSet<IpAddr>, on_one_lan: impl Fn(IpAddr, IpAddr) -> bool) {
        if heard.is_empty() {
            return;
        }
        let stays = |old: &&IpAddr| {
            !heard.contains(*old) && !heard.iter().any(|new| on_one_lan(*new, **old))
        };
        let old = self.hosts.iter().filter(stays);
        let hosts: Vec<IpAddr> = heard.iter().chain(old).copied().take(limits::HINTS).collect();
        if hosts == self.hosts {
            return;
        }
        self.hosts = hosts;
        // Only a help: where it can't be written, the next run does without.
        let _ = self.write();
    }

    fn write(&self) -> std::io::Result<()> {
        create_private(self.path.parent().unwrap_or(Path::new(".")))?;
        replace(&self.path, |file| self.hosts.iter().try_for_each(|host| writeln!(file, "{host}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(numbers: impl IntoIterator<Item = u8>) -> BTreeSet<IpAddr> {
        numbers.into_iter().map(|n| IpAddr::from([10, 77, 0, n])).collect()
    }

    #[test]
    fn the_next_run_knows_where_peers_were_heard_last() {
        let folder = std::env::temp_dir().join(format!("cooee-known-{}", std::process::id()));
        let load = || Known::load(&folder, Group::DEFAULT);
        assert_eq!(load().hosts().count(), 0);
        let note = |heard| load().note(&heard, |one, other| one.is_ipv4() && other.is_ipv4());
        note(hosts([1, 2]));
        assert_eq!(load().hosts().collect::<BTreeSet<_>>(), hosts([1, 2]));
        note(hosts([]));
        assert_eq!(load().hosts().count(), 2, "nobody is there: that is no news");
        note(hosts([3]));
        assert_eq!(load().hosts().collect::<BTreeSet<_>>(), hosts([3]));
        let elsewhere: IpAddr = "fd77::9".parse().unwrap();
        note([elsewhere].into());
        assert_eq!(load().hosts().collect::<Vec<_>>(), [elsewhere, [10, 77, 0, 3].into()]);
        note(hosts([4]));
        assert_eq!(load().hosts().collect::<Vec<_>>(), [[10, 77, 0, 4].into(), elsewhere]);
        note(hosts(0..=255));
        assert_eq!(load().hosts().count(), limits::HINTS);
        let other: Group = "239.1.1.1:7".parse().unwrap();
        assert_eq!(Known::load(&folder, other).hosts().count(), 0);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_is_no_address_is_passed_over() {
        let folder = std::env::temp_dir().join(format!("cooee-odd-{}", std::process::id()));
        create_private(&folder).unwrap();
        let known = Known::load(&folder, Group::DEFAULT);
        fs::write(&known.path, b"10.77.0.1\nrubbish\n\xff\n").unwrap();
        assert_eq!(Known::load(&folder, Group::DEFAULT).hosts().count(), 0, "it is not text");
        fs::write(&known.path, "10.77.0.1\nrubbish\n999.0.0.1\nfe80::1\n").unwrap();
        assert_eq!(Known::load(&folder, Group::DEFAULT).hosts().count(), 2);
        fs::remove_dir_all(&folder).unwrap();
    }
}
