//! Where one peer can be reached.
//!
//! A peer never tells its own address: a path is the link and the source address of something it
//! signed. A path is proven once the peer has sent back a number that was sent there; what is not
//! proven is used for nothing but short answers.

use std::net::{SocketAddr, SocketAddrV4};
use std::time::Duration;

use super::timing;
use crate::values::{Attachment, Instant, LinkId, limits};

/// A link and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// `None` where only others have told of the address.
    pub(crate) link: Option<LinkId>,
    pub(crate) addr: SocketAddr,
    pub(crate) proven: bool,
    /// When the peer was last heard there, in so far as it matters: to tell paths apart.
    pub(crate) heard: Instant,
    /// What the peer has given to the address at which it hears us over this path.
    pub(crate) token: Option<u64>,
}

impl Path {
    /// What the better one of two paths has more of: proven before unproven, then heard later, where
    /// IPv4 is ahead. So a peer that has both is shown and reached by IPv4 for as long as that works.
    pub(crate) fn rank(&self) -> (bool, Instant) {
        let lead = if self.addr.is_ipv4() { timing::IPV4_LEAD } else { Duration::ZERO };
        (self.proven, self.heard + lead)
    }
}

/// The paths to one peer; at most [`limits::PATHS`].
///
/// Most of ten thousand peers have a single address, at which they were heard or told to be: it is
/// kept in a third of the room that a list of whole paths takes.
#[derive(Clone, Debug, Default)]
pub(crate) enum Paths {
    #[default]
    None,
    /// An only path, over which no token has come.
    One {
        link: Option<LinkId>,
        addr: SocketAddrV4,
        proven: bool,
    },
    Some(Box<List>),
}

/// Paths, with everything about them.
#[derive(Clone, Debug)]
pub(crate) struct List(Vec<Path>);

impl Paths {
    /// A peer was heard, or is told to be, at an address.
    pub(crate) fn heard(&mut self, link: Option<LinkId>, addr: SocketAddr, now: Instant) {
        match self {
            Self::None => {
                *self = match addr {
                    SocketAddr::V4(addr) => Self::One { link, addr, proven: false },
                    SocketAddr::V6(_) => {
                        let path = Path { link, addr, proven: false, heard: now, token: None };
                        Self::Some(Box::new(List(vec![path])))
                    }
                };
            }
            Self::One { link: known, addr: only, .. }
                if SocketAddr::V4(*only) == addr && (*known == link || known.is_none()) =>
            {
                *known = link;
            }
            Self::One { .. } | Self::Some(_) => {
                list_heard(self.list(now), link, addr, now);
            }
        }
    }

    /// All paths as a list to be changed. An only one has been heard until now.
    fn list(&mut self, now: Instant) -> &mut Vec<Path> {
        if !matches!(self, Self::Some(_)) {
            let paths = self.iter().map(|path| Path { heard: now, ..path }).collect();
            *self = Self::Some(Box::new(List(paths)));
        }
        match self {
            Self::Some(list) => &mut list.0,
            _ => unreachable!("it was made a list above"),
        }
    }

    /// The peer has shown that what is sent to `addr` reaches it. If that is news, and where it was reached until now is
    /// an address of the same kind on that link, it has moved: forgets and returns the address it had.
    pub(crate) fn prove(
        &mut self,
        link: LinkId,
        addr: SocketAddr,
        now: Instant,
    ) -> Option<SocketAddr> {
        let was = self.best().filter(|best| {
            let likewise = best.link == Some(link) && kind(best.addr) == kind(addr);
            best.proven && likewise && best.addr.ip() != addr.ip()
        });
        let was = was.filter(|_| !self.is_proven(addr));
        self.heard(Some(link), addr, now);
        match self {
            Self::None => {}
            Self::One { link: over, addr: at, proven } => {
                *proven |= SocketAddr::V4(*at) == addr && *over == Some(link);
            }
            Self::Some(list) => {
                let paths = list.0.iter_mut();
                for path in paths.filter(|p| p.addr == addr && p.link == Some(link)) {
                    path.proven = true;
                }
            }
        }
        let was = was?.addr;
        if let Self::Some(list) = self {
            list.0.retain(|path| path.link != Some(link) || path.addr != was);
        }
        Some(was)
    }

    /// The peer is heard at a proven address. If it was reached on another link, by an address of the same kind, and has not
    /// been heard there since `before`, it has moved from there: forgets and returns that address.
    pub(crate) fn leave_behind(
        &mut self,
        link: LinkId,
        addr: SocketAddr,
        before: Instant,
    ) -> Option<SocketAddr> {
        let Self::Some(list) = self else { return None };
        let is_here = |p: &&Path| p.addr == addr && p.link == Some(link) && p.proven;
        list.0.iter().find(is_here)?;
        let is_left = |p: &&Path| {
            let elsewhere = p.link.is_some_and(|other| other != link);
            elsewhere && p.proven && kind(p.addr) == kind(addr) && p.heard < before
        };
        let left = list.0.iter().filter(is_left).max_by_key(|p| p.heard).copied()?;
        list.0.retain(|p| p.addr != left.addr || p.link != left.link);
        Some(left.addr)
    }

    /// The peer has given a token over this path.
    pub(crate) fn note_token(&mut self, link: LinkId, addr: SocketAddr, token: u64, now: Instant) {
        if self.has(link, addr) {
            let paths = self.list(now).iter_mut();
            for path in paths.filter(|p| p.addr == addr && p.link == Some(link)) {
                path.token = Some(token);
            }
        }
    }

    /// Whether the peer has shown that what is sent to `addr` reaches it.
    pub(crate) fn is_proven(&self, addr: SocketAddr) -> bool {
        self.iter().any(|p| p.addr == addr && p.proven)
    }

    /// Whether the path is known, proven or not.
    pub(crate) fn has(&self, link: LinkId, addr: SocketAddr) -> bool {
        self.iter().any(|p| p.addr == addr && p.link == Some(link))
    }

    /// Whether this is the only path, by IPv4, and no token has come over it.
    pub(crate) fn is_only(&self, over: LinkId, source: SocketAddr) -> bool {
        match self {
            Self::One { link, addr, .. } => *link == Some(over) && SocketAddr::V4(*addr) == source,
            Self::None | Self::Some(_) => false,
        }
    }

    /// Whether the peer was ever heard at this IP address.
    pub(crate) fn has_ip(&self, addr: SocketAddr) -> bool {
        self.iter().any(|p| p.addr.ip() == addr.ip())
    }

    /// Where to send to, see [`Path::rank`].
    pub(crate) fn best(&self) -> Option<Path> {
        match self {
            Self::None => None,
            &Self::One { link, addr, proven } => Some(only(link, addr, proven)),
            Self::Some(list) => list.0.iter().copied().max_by_key(Path::rank),
        }
    }

    /// Whether what comes from `source` by multicast shows that what is said by multicast arrives. By
    /// IPv6 a peer that has IPv4 announces itself, and says nothing.
    pub(crate) fn tells_of_groups(&self, source: SocketAddr) -> bool {
        source.is_ipv4() || self.best().is_none_or(|path| path.addr.is_ipv6())
    }

    /// The best path over which the peer has given a token, and the token.
    pub(crate) fn best_with_token(&self) -> Option<(Path, u64)> {
        let with = self.iter().filter_map(|path| Some((path, path.token?)));
        with.max_by_key(|(path, _)| path.rank())
    }

    /// All paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = Path> {
        let (one, more) = match self {
            Self::None => (None, &[][..]),
            &Self::One { link, addr, proven } => (Some(only(link, addr, proven)), &[][..]),
            Self::Some(list) => (None, list.0.as_slice()),
        };
        one.into_iter().chain(more.iter().copied())
    }

    /// Forgets paths over links that are not there any more, or have that version of IP no more.
    pub(crate) fn retain_links(&mut self, links: &[Attachment]) {
        let is_there = |p: &Path| {
            let on = |link| links.iter().any(|at| at.link == link && at.carries(p.addr.ip()));
            p.link.is_none_or(on)
        };
        if let Self::Some(list) = self
            && list.0.iter().any(is_there)
        {
            list.0.retain(is_there);
        }
        // A peer that is left with no path keeps its last ones: the link may come back.
    }
}

/// Addresses of which a host usually has one on each link.
fn kind(addr: SocketAddr) -> (bool, bool) {
    let is_local = matches!(addr, SocketAddr::V6(addr) if addr.ip().is_unicast_link_local());
    (addr.is_ipv4(), is_local)
}

/// An only path. When another one is heard, it is heard later than this one.
fn only(link: Option<LinkId>, addr: SocketAddrV4, proven: bool) -> Path {
    Path { link, addr: addr.into(), proven, heard: Instant::ZERO, token: None }
}

fn list_heard(paths: &mut Vec<Path>, link: Option<LinkId>, addr: SocketAddr, now: Instant) {
    if let Some(path) = paths.iter_mut().find(|p| p.addr == addr && p.link == link) {
        path.heard = now;
        return;
    }
    if let Some(told) = paths.iter_mut().find(|p| p.addr == addr && p.link.is_none()) {
        (told.link, told.heard) = (link, now);
        return;
    }
    if paths.len() >= limits::PATHS {
        // What is proven goes last, so that nobody can push it out with addresses of his own.
        let oldest = (0..paths.len()).min_by_key(|&i| (paths[i].proven, paths[i].heard));
        match oldest {
            Some(i) if !paths[i].proven => paths.swap_remove(i),
            _ => return,
        };
    }
    paths.reserve_exact(1); // most have two, one of each version of IP
    paths.push(Path { link, addr, proven: false, heard: now, token: None });
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use super::*;

    fn addr(n: u16) -> SocketAddr {
        SocketAddr::from(([10, 0, 0, 1], n))
    }

    #[test]
    fn a_proven_path_is_preferred_and_can_not_be_pushed_out() {
        let mut paths = Paths::default();
        let now = Instant::ZERO;
        paths.prove(LinkId(2), addr(1), now);
        for n in 2..100 {
            let later = now + Duration::from_secs(n.into());
            paths.heard(Some(LinkId(2)), addr(n), later);
        }
        assert_eq!(paths.best().unwrap().addr, addr(1));
        assert_eq!(paths.iter().count(), limits::PATHS);
        assert!(paths.has(LinkId(2), addr(99)) && !paths.has(LinkId(2), addr(50)));
    }

    #[test]
    fn a_peer_has_moved_when_it_is_at_another_address_of_the_same_kind_on_the_same_link() {
        let host = |n: u8| SocketAddr::from(([10, 0, 0, n], 7));
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 7));
        let now = Instant::from_micros(100_000_000);
        let mut paths = Paths::default();
        let mut prove =
            |link, addr, after| paths.prove(LinkId(link), addr, now + Duration::from_secs(after));
        assert_eq!(prove(3, host(1), 0), None, "it is new");
        assert_eq!(prove(3, six, 1), None, "the other version of IP");
        assert_eq!(prove(4, host(2), 2), None, "another link");
        assert_eq!(prove(4, host(3), 3), Some(host(2)));
        assert_eq!(prove(4, host(3), 4), None, "it is there already");
        assert_eq!(prove(4, host(2), 5), Some(host(3)), "and back again");
        assert!(paths.has(LinkId(3), host(1)) && !paths.has(LinkId(4), host(3)));
    }

    #[test]
    fn a_peer_that_is_heard_on_another_link_only_has_moved_there_after_a_while() {
        let host = |n: u8| SocketAddr::from(([10, 0, 0, n], 7));
        let at = |seconds: u64| Instant::ZERO + Duration::from_secs(seconds);
        let mut paths = Paths::default();
        paths.prove(LinkId(3), host(1), at(1));
        assert_eq!(paths.leave_behind(LinkId(3), host(1), at(100)), None, "it is there");
        paths.heard(Some(LinkId(4)), host(2), at(10));
        assert_eq!(paths.leave_behind(LinkId(4), host(2), at(100)), None, "that is not proven");
        paths.prove(LinkId(4), host(2), at(11));
        assert_eq!(paths.leave_behind(LinkId(4), host(2), at(10)), None, "it was heard just now");
        assert_eq!(paths.leave_behind(LinkId(4), host(2), at(11)), Some(host(1)));
        assert_eq!(paths.leave_behind(LinkId(4), host(2), at(100)), None, "once");
        assert_eq!(paths.iter().count(), 1);
    }

    #[test]
    fn hearsay_becomes_a_path_when_the_peer_is_heard_there() {
        let mut paths = Paths::default();
        paths.heard(None, addr(1), Instant::ZERO);
        paths.prove(LinkId(3), addr(1), Instant::ZERO);
        assert_eq!(paths.iter().count(), 1);
        assert_eq!(paths.best().unwrap().link, Some(LinkId(3)));
    }

    #[test]
    fn an_only_address_keeps_what_is_known_of_it_when_another_one_is_heard() {
        let mut paths = Paths::default();
        paths.prove(LinkId(3), addr(1), Instant::ZERO);
        assert!(matches!(paths, Paths::One { .. }));
        let later = Instant::from_micros(1);
        paths.heard(Some(LinkId(3)), addr(2), later);
        assert!(paths.is_proven(addr(1)) && !paths.is_proven(addr(2)));
        assert_eq!(paths.best().unwrap().addr, addr(1));
        paths.prove(LinkId(3), addr(2), later);
        assert_eq!(paths.best().unwrap().addr, addr(2), "it was heard later");
        paths.note_token(LinkId(3), addr(1), 7, later);
        assert_eq!(paths.best_with_token().unwrap().1, 7);
    }

    #[test]
    fn an_address_of_the_other_family_is_a_path_like_any_other() {
        let six = SocketAddr::from(([0xfe80, 0, 0, 0, 0, 0, 0, 1], 1));
        let mut paths = Paths::default();
        paths.heard(Some(LinkId(3)), six, Instant::ZERO);
        paths.prove(LinkId(3), addr(1), Instant::ZERO);
        assert!(paths.has(LinkId(3), six) && !paths.is_proven(six) && paths.is_proven(addr(1)));
    }

    #[test]
    fn ipv4_is_preferred_until_only_ipv6_is_heard_for_a_while() {
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        let mut paths = Paths::default();
        let (link, start) = (LinkId(3), Instant::ZERO + Duration::from_secs(100));
        for addr in [six, addr(1)] {
            paths.prove(link, addr, start);
        }
        let best_after = |paths: &mut Paths, after: Duration, heard: SocketAddr| {
            paths.heard(Some(link), heard, start + after);
            paths.best().unwrap().addr
        };
        assert_eq!(best_after(&mut paths, timing::IPV4_LEAD / 2, six), addr(1));
        assert_eq!(best_after(&mut paths, timing::IPV4_LEAD * 2, six), six);
        assert_eq!(best_after(&mut paths, timing::IPV4_LEAD * 3, addr(1)), addr(1));
    }

    #[test]
    fn the_paths_of_a_version_of_ip_that_a_link_has_no_more_are_forgotten() {
        let six = SocketAddr::from((Ipv6Addr::LOCALHOST, 1));
        let (mut paths, link) = (Paths::default(), LinkId(3));
        for addr in [six, addr(1)] {
            paths.prove(link, addr, Instant::ZERO);
        }
        paths.retain_links(&[Attachment { v4: false, v6: true, ..Attachment::v4(link) }]);
        assert_eq!(paths.iter().map(|path| path.addr).collect::<Vec<_>>(), [six]);
    }
}
