//! The sockets of one node: one that everything is sent from, and those that hear the groups; and
//! the same once more for IPv6, as soon as a link has it.
//!
//! What is joined is kept as wanted (groups × links) beside what the kernel granted, and only the
//! difference is ever changed: so a link that failed is tried again with the next change, a group
//! is joined once on each link whatever is called how often, and no datagram comes in twice.

use std::collections::VecDeque;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4};
use std::ops::Range;

use mio::{Interest, Registry, Token};

use super::batch::Io;
use super::endpoint::{Endpoint, OpenError, OpenOptions, is_full, only};
use super::{Arrival, Drained, During, Link, LinkFailure, Sent, Transmit};
use crate::values::{Group, LinkId, SmallMap, SmallSet};

/// The most datagrams that one call of [`Sockets::receive`] hands up, so that no socket keeps the
/// others from their turn.
const TURN: usize = 256;

/// The sockets of one node.
///
/// Open, [`register`](Self::register), [`set_links`](Self::set_links), [`join`](Self::join); then,
/// for each event of one of the tokens, [`receive`](Self::receive) until it says
/// [`Drained::Empty`]. The first token is the unicast socket's; a writable event of it says that
/// [`send`](Self::send) can go on after it was blocked.
pub struct Sockets {
    options: OpenOptions,
    io: Io,
    unicast: Endpoint,
    unicast_addr: SocketAddrV4,
    /// All others, by slot; a closed one's slot is used again.
    groups: Vec<Option<Endpoint>>,
    /// The slot of the socket that IPv6 is sent from, once there is one.
    six: Option<usize>,
    registered: Option<(Registry, Range<usize>)>,
    /// Whether writable events are asked for of the socket that IPv4 is sent from, and of that for
    /// IPv6.
    awaits_writable: [bool; 2],
    links: Vec<Link>,
    wanted: SmallSet<Ipv4Addr>,
    /// What the kernel granted, and in which slot.
    members: SmallMap<(IpAddr, LinkId), usize>,
    drops: u64,
}

impl Sockets {
    /// Opens the unicast socket and, for a reachable node, the first group socket; nothing is joined
    /// yet.
    ///
    /// # Errors
    /// See [`OpenError`]; nothing is left open.
    pub fn open(options: &OpenOptions) -> Result<Self, OpenError> {
        Self::open_with(options, Io::new())
    }

    pub(super) fn open_with(options: &OpenOptions, io: Io) -> Result<Self, OpenError> {
        // The group port first: it may lie where the system picks the unicast port from.
        let groups = reachable(&io, false, options)?.into_iter().map(Some).collect();
        let unicast = Endpoint::unicast(&io, false, options)?;
        let unicast_addr = match unicast.socket.local_addr().map_err(OpenError::System)? {
            SocketAddr::V4(addr) => addr,
            SocketAddr::V6(addr) => SocketAddrV4::new(Ipv4Addr::UNSPECIFIED, addr.port()),
        };
        Ok(Self {
            options: options.clone(),
            io,
            unicast,
            unicast_addr,
            groups,
            six: None,
            registered: None,
            awaits_writable: [false; 2],
            links: Vec::new(),
            wanted: SmallSet::new(),
            members: SmallMap::new(),
            drops: 0,
        })
    }

    /// Registers the sockets under `tokens`: the unicast socket gets the first, the group sockets
    /// the others, also those that are opened later. The range limits how many there can be.
    ///
    /// # Errors
    /// The system refused, or the range has fewer numbers than there are sockets. The sockets are
    /// of no use then.
    pub fn register(&mut self, registry: &Registry, tokens: Range<usize>) -> io::Result<()> {
        if tokens.len() < self.groups.len() + 1 {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "too few tokens"));
        }
        let registry = registry.try_clone()?;
        registry.register(&mut self.unicast.socket, Token(tokens.start), Interest::READABLE)?;
        for (slot, endpoint) in self.groups.iter_mut().enumerate() {
            if let Some(endpoint) = endpoint {
                let token = Token(tokens.start + 1 + slot);
                registry.register(&mut endpoint.socket, token, Interest::READABLE)?;
            }
        }
        self.registered = Some((registry, tokens));
        Ok(())
    }

    /// The port that everything is sent from; the address is unspecified.
    pub fn unicast_addr(&self) -> SocketAddrV4 {
        self.unicast_addr
    }

    /// The links in use.
    pub fn links(&self) -> &[Link] {
        &self.links
    }

    /// Uses just these links from now on: groups are left on those that are gone and joined on
    /// new ones, on one with a new address (a new address may mean another switch), and where
    /// joining failed before.
    ///
    /// Returns what could not be joined. The link stays in use: it may still send.
    pub fn set_links(&mut self, links: &[Link]) -> Vec<LinkFailure> {
        let before = std::mem::replace(&mut self.links, links.to_vec());
        let kept: SmallSet<(LinkId, bool)> = links
            .iter()
            .flat_map(|new| {
                let old = before.iter().find(|old| old.id == new.id);
                let v4 = old.is_some_and(|old| old.addr == new.addr);
                let v6 = old.is_some_and(|old| old.six == new.six);
                [v4.then_some((new.id, false)), v6.then_some((new.id, true))]
            })
            .flatten()
            .collect();
        self.leave_where(|group, link| !kept.contains(&(link, group.is_ipv6())));
        let no_six = self.open_six();
        let mut failures = self.join_where(|_, _| true);
        failures.extend(no_six);
        self.close_empty();
        failures
    }

    /// Leaves all groups on that link and joins them again, which tells its switch anew who wants
    /// what: for a cable that was put back, or a host that woke up.
    ///
    /// Returns what could not be joined.
    pub fn rejoin(&mut self, link: LinkId) -> Vec<LinkFailure> {
        self.leave_where(|_, member| member == link);
        let failures = self.join_where(|_, member| member == link);
        self.close_empty();
        failures
    }

    /// Joins `group` on every link, where it is not joined yet.
    ///
    /// Returns the links on which that failed; the next [`set_links`](Self::set_links) tries
    /// again.
    pub fn join(&mut self, group: Ipv4Addr) -> Vec<LinkFailure> {
        self.wanted.insert(group);
        self.join_where(|member, _| member == group)
    }

    /// Leaves `group` on every link.
    pub fn leave(&mut self, group: Ipv4Addr) {
        self.wanted.remove(&group);
        self.leave_where(|member, _| match member {
            IpAddr::V4(addr) => addr == group,
            IpAddr::V6(addr) => [false, true].iter().any(|&site| addr == Group::ipv6(group, site)),
        });
        self.close_empty();
    }

    /// Where a datagram to a group goes: on each link by IPv4 where the link has it, and by IPv6 where
    /// it has nothing else, or `all` are wanted.
    pub fn ways(&self, group: SocketAddrV4, all: bool) -> Vec<(SocketAddr, LinkId)> {
        let addrs = addresses(*group.ip(), self.options.ttl);
        let mut ways = Vec::new();
        // Version by version: what goes by one can leave in one system call.
        for addr in addrs {
            let goes = |link: &&Link| {
                let at = link.attachment();
                at.multicast && at.carries(addr) && (all || addr.is_ipv4() || !at.v4)
            };
            let links = self.links.iter().filter(goes);
            ways.extend(links.map(|link| (SocketAddr::new(addr, group.port()), link.id)));
        }
        if self.six.is_none() {
            ways.retain(|(to, _)| to.is_ipv4());
        }
        ways
    }

    /// Receives what is there for `token` and hands each datagram to `sink`, within a bound.
    ///
    /// What a socket has to tell of datagrams sent earlier (an ICMP error) is skipped: who does
    /// not answer is noticed anyway.
    ///
    /// # Errors
    /// The socket does not work any more.
    pub fn receive(
        &mut self,
        token: Token,
        sink: &mut dyn FnMut(Arrival<'_>),
    ) -> io::Result<Drained> {
        let Some((_, tokens)) = &self.registered else { return Ok(Drained::Empty) };
        let endpoint = match token.0.checked_sub(tokens.start) {
            Some(0) => Some(&mut self.unicast),
            Some(number) => self.groups.get_mut(number - 1).and_then(Option::as_mut),
            None => None,
        };
        // An event of a socket that was closed meanwhile.
        let Some(endpoint) = endpoint else { return Ok(Drained::Empty) };
        let mut count = 0;
        while count < TURN {
            match self.io.receive(endpoint, &self.links, sink) {
                Ok(batch) => {
                    count += batch.count;
                    self.drops += u64::from(endpoint.count_drops(batch.drops));
                    if batch.empty {
                        return Ok(Drained::Empty);
                    }
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(Drained::Empty),
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if is_passing(&e) => count += 1,
                Err(e) => return Err(e),
            }
        }
        Ok(Drained::More)
    }

    /// Sends the queue, best one of a single version of IP, from its front until it is empty or the
    /// system takes no more. A datagram that can't be sent is dropped and reported, and the rest goes
    /// on.
    pub fn send(&mut self, out: &mut VecDeque<Transmit>) -> Sent {
        let mut result = Sent::default();
        let mut v6 = false;
        while !out.is_empty() {
            v6 = out.front().is_some_and(|transmit| transmit.to.is_ipv6());
            let sender = if v6 {
                let endpoint = self.six.and_then(|slot| self.groups.get(slot)?.as_ref());
                endpoint.map(|endpoint| &endpoint.socket)
            } else {
                Some(&self.unicast.socket)
            };
            let sent = match sender {
                Some(socket) => self.io.send(socket, out, &self.links),
                None => Err(io::Error::new(io::ErrorKind::Unsupported, "no link has IPv6")),
            };
            match sent {
                Ok(count) => {
                    result.sent += count;
                    out.drain(..count.min(out.len()));
                }
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    result.blocked = true;
                    break;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    if let Some(Transmit { to, link, .. }) = out.pop_front() {
                        let during = During::Send;
                        result.failures.push(LinkFailure { link, to: Some(to), during, error });
                    }
                }
            }
        }
        if let Err(error) = self.await_writable(v6, result.blocked) {
            result.failures.push(LinkFailure { link: None, to: None, during: During::Send, error });
        }
        result
    }

    /// Datagrams that the kernel dropped because the sockets were not emptied in time, as far as
    /// it told: a socket tells of its drops with the next datagram that it receives.
    pub fn kernel_drops(&self) -> u64 {
        self.drops
    }

    /// The smaller of the receive buffers that the system granted, in bytes as it counts them
    /// (Linux counts its own overhead and reports twice what was asked for).
    pub fn receive_buffer(&self) -> usize {
        let groups = self.groups.iter().flatten().map(Endpoint::receive_buffer);
        groups.fold(self.unicast.receive_buffer(), usize::min)
    }

    /// Memberships that the kernel granted: pairs of group and link.
    pub fn memberships(&self) -> usize {
        self.members.len()
    }

    /// Open sockets, the unicast socket included.
    pub fn sockets(&self) -> usize {
        1 + self.groups.iter().flatten().count()
    }

    /// Asks for writable events while sending is blocked, and only then: each datagram that left
    /// would be an event otherwise.
    fn await_writable(&mut self, v6: bool, blocked: bool) -> io::Result<()> {
        let Some((registry, tokens)) = &self.registered else { return Ok(()) };
        let awaits = &mut self.awaits_writable[usize::from(v6)];
        if blocked == *awaits {
            return Ok(());
        }
        let interest =
            if blocked { Interest::READABLE | Interest::WRITABLE } else { Interest::READABLE };
        if !v6 {
            registry.reregister(&mut self.unicast.socket, Token(tokens.start), interest)?;
        } else if let Some(slot) = self.six
            && let Some(endpoint) = self.groups.get_mut(slot).and_then(Option::as_mut)
        {
            let token = Token(tokens.start + 1 + slot);
            registry.reregister(&mut endpoint.socket, token, interest)?;
        }
        *awaits = blocked;
        Ok(())
    }

    /// Opens what IPv6 needs, once a link has it. What the system refuses is tried again with the
    /// next change; IPv4 works on.
    fn open_six(&mut self) -> Option<LinkFailure> {
        let link = self.links.iter().find(|link| link.six.is_some())?.id;
        if self.six.is_some() || !self.io.tells_destination() {
            return None;
        }
        let mut open = || -> io::Result<()> {
            // The group port first: it may lie where the system picks the unicast port from.
            let group = reachable(&self.io, true, &self.options).map_err(OpenError::into_io)?;
            let unicast =
                Endpoint::unicast(&self.io, true, &self.options).map_err(OpenError::into_io)?;
            if let Some(group) = group {
                self.put(group)?;
            }
            self.six = Some(self.put(unicast.keep())?);
            Ok(())
        };
        let error = open().err()?;
        let to = Some(SocketAddr::from((Ipv6Addr::UNSPECIFIED, 0)));
        Some(LinkFailure { link: Some(link), to, during: During::Join, error })
    }

    /// Joins what is wanted, picked and not joined yet.
    fn join_where(&mut self, pick: impl Fn(Ipv4Addr, LinkId) -> bool) -> Vec<LinkFailure> {
        if !self.options.multicast {
            return Vec::new();
        }
        let mut missing = Vec::new();
        for link in self.links.iter().filter(|link| link.multicast) {
            for &group in self.wanted.iter().filter(|group| pick(**group, link.id)) {
                let addrs = addresses(group, self.options.ttl).into_iter();
                missing.extend(
                    addrs
                        .filter(|addr| link.attachment().carries(*addr))
                        .map(|addr| (addr, link.id)),
                );
            }
        }
        if self.six.is_none() {
            missing.retain(|(group, _)| group.is_ipv4());
        }
        let mut failures = Vec::new();
        for (group, link) in missing {
            if self.members.contains_key(&(group, link)) {
                continue;
            }
            match self.add(group, link) {
                Ok(slot) => {
                    self.members.insert((group, link), slot);
                }
                Err(error) => failures.push(LinkFailure {
                    link: Some(link),
                    to: Some(SocketAddr::new(group, 0)),
                    during: During::Join,
                    error,
                }),
            }
        }
        failures
    }

    /// Joins on the first socket that takes it, or a new one, and returns its slot.
    fn add(&mut self, group: IpAddr, link: LinkId) -> io::Result<usize> {
        let alone = !self.io.tells_destination() || !self.options.reachable;
        let only = alone.then(|| only(group, link));
        for (slot, endpoint) in self.groups.iter_mut().enumerate() {
            let Some(endpoint) = endpoint else { continue };
            if endpoint.only != only || endpoint.v6 != group.is_ipv6() || self.six == Some(slot) {
                continue;
            }
            match endpoint.join(group, link) {
                Err(e) if is_full(&e) => {}
                result => return result.map(|()| slot),
            }
        }
        let mut endpoint = Endpoint::group(&self.io, group.is_ipv6(), only, &self.options)
            .map_err(OpenError::into_io)?;
        endpoint.join(group, link)?;
        self.put(endpoint)
    }

    /// Registers a further socket, and returns its slot.
    fn put(&mut self, mut endpoint: Endpoint) -> io::Result<usize> {
        let slot = self.groups.iter().position(Option::is_none).unwrap_or(self.groups.len());
        if let Some((registry, tokens)) = &self.registered {
            let token = tokens.start + 1 + slot;
            if !tokens.contains(&token) {
                return Err(io::Error::other("no more sockets: too many groups are joined"));
            }
            registry.register(&mut endpoint.socket, Token(token), Interest::READABLE)?;
        }
        match self.groups.get_mut(slot) {
            Some(free) => *free = Some(endpoint),
            None => self.groups.push(Some(endpoint)),
        }
        Ok(slot)
    }

    /// Leaves what is picked.
    fn leave_where(&mut self, pick: impl Fn(IpAddr, LinkId) -> bool) {
        let groups = &mut self.groups;
        self.members.retain(|&(group, link), slot| {
            let leaves = pick(group, link);
            if leaves && let Some(endpoint) = groups.get_mut(*slot).and_then(Option::as_mut) {
                endpoint.leave(group, link);
            }
            !leaves
        });
    }

    /// Closes the extra sockets on which nothing is joined any more.
    fn close_empty(&mut self) {
        for place in &mut self.groups {
            let over = place.take_if(|endpoint| endpoint.members == 0 && !endpoint.kept);
            let Some(endpoint) = over else { continue };
            if let Some((registry, _)) = &self.registered {
                // Closing it ends its events as well.
                let mut endpoint = endpoint;
                let _closed = registry.deregister(&mut endpoint.socket);
            }
        }
        while self.groups.last().is_some_and(Option::is_none) {
            self.groups.pop();
        }
    }
}

/// The socket at which a node is reached by unicast, if it is: it stays open without a membership.
fn reachable(io: &Io, v6: bool, options: &OpenOptions) -> Result<Option<Endpoint>, OpenError> {
    let open = || Endpoint::group(io, v6, None, options);
    let endpoint = options.reachable.then(open).transpose()?;
    Ok(endpoint.map(Endpoint::keep))
}

/// The addresses of a group: in IPv4, in IPv6 on the link, and beyond it where routers are to pass it
/// on.
fn addresses(group: Ipv4Addr, ttl: u8) -> Vec<IpAddr> {
    let mut addrs = vec![group.into(), Group::ipv6(group, false).into()];
    if ttl > 1 {
        addrs.push(Group::ipv6(group, true).into());
    }
    addrs
}

impl std::fmt::Debug for Sockets {
    /// Shows what is open and joined, not the buffers.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sockets")
            .field("unicast", &self.unicast_addr)
            .field("links", &self.links)
            .field("members", &self.members)
            .finish_non_exhaustive()
    }
}

/// Whether an error of receiving tells of a datagram sent earlier, or of a link, and not of the
/// socket.
fn is_passing(error: &io::Error) -> bool {
    use io::ErrorKind::{
        ConnectionRefused, ConnectionReset, HostUnreachable, NetworkDown, NetworkUnreachable,
        PermissionDenied,
    };
    matches!(
        error.kind(),
        ConnectionRefused
            | ConnectionReset
            | HostUnreachable
            | NetworkDown
            | NetworkUnreachable
            | PermissionDenied
    )
}
