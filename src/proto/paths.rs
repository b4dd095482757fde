//! Where one peer can be reached.
//!
//! A peer never tells its own address: a path is the link and the source address of something it
//! signed. A path is proven once the peer has sent back a number that was sent there; what is not
//! proven is used for nothing but short answers.

use std::net::SocketAddr;

use crate::values::{Instant, LinkId, limits};

/// A link and an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Path {
    /// `None` where only others have told of the address.
    pub(crate) link: Option<LinkId>,
    pub(crate) addr: SocketAddr,
    pub(crate) proven: bool,
    /// When the peer was last heard there; for hearsay, when it was told.
    pub(crate) heard: Instant,
    /// What the peer has given to the address at which it hears us over this path.
    pub(crate) token: Option<u64>,
}

/// The paths to one peer; at most [`limits::PATHS`].
#[derive(Clone, Debug, Default)]
pub(crate) struct Paths(Vec<Path>);

impl Paths {
    /// A peer was heard, or is told to be, at an address.
    pub(crate) fn heard(&mut self, link: Option<LinkId>, addr: SocketAddr, now: Instant) {
        if let Some(path) = self.0.iter_mut().find(|p| p.addr == addr && p.link == link) {
            path.heard = now;
            return;
        }
        if let Some(told) = self.0.iter_mut().find(|p| p.addr == addr && p.link.is_none()) {
            (told.link, told.heard) = (link, now);
            return;
        }
        if self.0.len() >= limits::PATHS {
            // What is proven goes last, so that nobody can push it out with addresses of his own.
            let oldest = (0..self.0.len()).min_by_key(|&i| (self.0[i].proven, self.0[i].heard));
            match oldest {
                Some(i) if !self.0[i].proven => self.0.swap_remove(i),
                _ => return,
            };
        }
        self.0.push(Path { link, addr, proven: false, heard: now, token: None });
    }

    /// The peer has shown that what is sent to `addr` reaches it.
    pub(crate) fn prove(&mut self, link: LinkId, addr: SocketAddr, now: Instant) {
        self.heard(Some(link), addr, now);
        for path in self.0.iter_mut().filter(|p| p.addr == addr && p.link == Some(link)) {
            path.proven = true;
        }
    }

    /// The peer has given a token over this path.
    pub(crate) fn note_token(&mut self, link: LinkId, addr: SocketAddr, token: u64) {
        for path in self.0.iter_mut().filter(|p| p.addr == addr && p.link == Some(link)) {
            path.token = Some(token);
        }
    }

    /// Whether the peer has shown that what is sent to `addr` reaches it.
    pub(crate) fn is_proven(&self, addr: SocketAddr) -> bool {
        self.0.iter().any(|p| p.addr == addr && p.proven)
    }

    /// Whether the path is known, proven or not.
    pub(crate) fn has(&self, link: LinkId, addr: SocketAddr) -> bool {
        self.0.iter().any(|p| p.addr == addr && p.link == Some(link))
    }

    /// Whether the peer was ever heard at this IP address.
    pub(crate) fn has_ip(&self, addr: SocketAddr) -> bool {
        self.0.iter().any(|p| p.addr.ip() == addr.ip())
    }

    /// Where to send to: proven before unproven, then the one heard last.
    pub(crate) fn best(&self) -> Option<&Path> {
        self.0.iter().max_by_key(|p| (p.proven, p.heard))
    }

    /// The best path over which the peer has given a token, and the token.
    pub(crate) fn best_with_token(&self) -> Option<(&Path, u64)> {
        let with = self.0.iter().filter_map(|path| Some((path, path.token?)));
        with.max_by_key(|(path, _)| (path.proven, path.heard))
    }

    /// All paths.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Path> {
        self.0.iter()
    }

    /// Forgets paths over links that are not there any more.
    pub(crate) fn retain_links(&mut self, links: &[LinkId]) {
        if self.0.iter().any(|p| p.link.is_none_or(|link| links.contains(&link))) {
            self.0.retain(|p| p.link.is_none_or(|link| links.contains(&link)));
        }
        // A peer that is left with no path keeps its last ones: the link may come back.
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

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
    fn hearsay_becomes_a_path_when_the_peer_is_heard_there() {
        let mut paths = Paths::default();
        paths.heard(None, addr(1), Instant::ZERO);
        paths.prove(LinkId(3), addr(1), Instant::ZERO);
        assert_eq!(paths.iter().count(), 1);
        assert_eq!(paths.best().unwrap().link, Some(LinkId(3)));
    }
}
