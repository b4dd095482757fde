//! One LAN: who is attached, who is a member of what, and what becomes of a datagram on its way.

use std::net::Ipv4Addr;
use std::time::Duration;

use super::host::NodeIndex;
use crate::values::{Instant, Rng, SmallMap};

/// The number of a LAN in its world.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LanId(pub usize);

/// What a LAN does to datagrams, for each receiver anew.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Faults {
    /// How likely a datagram does not arrive.
    pub loss: f64,
    /// How likely it arrives twice.
    pub duplicates: f64,
    /// How likely it is held up by up to [`Faults::hold_up`], and so overtaken.
    pub reordering: f64,
    /// See [`Faults::reordering`].
    pub hold_up: Duration,
    /// The least time a datagram takes.
    pub latency: Duration,
    /// How much longer it may take.
    pub jitter: Duration,
}

impl Default for Faults {
    /// A quiet switched LAN.
    fn default() -> Self {
        Self {
            loss: 0.0,
            duplicates: 0.0,
            reordering: 0.0,
            hold_up: Duration::from_millis(20),
            latency: Duration::from_micros(100),
            jitter: Duration::from_micros(200),
        }
    }
}

impl Faults {
    /// A quiet LAN that loses datagrams.
    pub fn losing(loss: f64) -> Self {
        Self { loss, ..Self::default() }
    }

    /// When a datagram sent just now arrives at one receiver: never, once or twice. `extra` is the
    /// receiver's own loss.
    pub(super) fn fate(&self, extra: f64, draw: &mut Draw<'_>) -> [Option<Duration>; 2] {
        if draw.chance(self.loss) || extra > 0.0 && draw.chance(extra) {
            return [None; 2];
        }
        let first = Some(self.delay(draw));
        let again = self.duplicates > 0.0 && draw.chance(self.duplicates);
        [first, again.then(|| self.delay(draw))]
    }

    fn delay(&self, draw: &mut Draw<'_>) -> Duration {
        let held_up = if self.reordering > 0.0 && draw.chance(self.reordering) {
            draw.up_to(self.hold_up)
        } else {
            Duration::ZERO
        };
        self.latency + draw.up_to(self.jitter) + held_up
    }
}

/// What the fates of one datagram are drawn from.
#[derive(Debug)]
pub(super) enum Draw<'a> {
    /// The world's own generator.
    Each(&'a mut Rng),
    /// A number from it, and what follows from that: where one datagram has thousands of fates, which is
    /// quicker.
    Follow(u64),
}

impl<'a> Draw<'a> {
    pub(super) fn of(rng: &'a mut Rng, quick: bool) -> Self {
        if quick { Self::Follow(rng.u64()) } else { Self::Each(rng) }
    }

    fn chance(&mut self, probability: f64) -> bool {
        match self {
            Self::Each(rng) => rng.chance(probability),
            Self::Follow(state) => {
                probability > 0.0
                    && ((split_mix(state) >> 11) as f64) < probability * (1_u64 << 53) as f64
            }
        }
    }

    fn up_to(&mut self, end: Duration) -> Duration {
        match self {
            Self::Each(rng) => rng.up_to(end),
            Self::Follow(state) => {
                let micros = u128::from(split_mix(state)) * (end.as_micros() + 1);
                Duration::from_micros((micros >> 64) as u64)
            }
        }
    }
}

/// Steele, Lea, Flood, "Fast Splittable Pseudorandom Number Generators" (2014).
fn split_mix(state: &mut u64) -> u64 {
    *state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let mixed = (*state ^ (*state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    mixed ^ (mixed >> 31)
}

/// A node's membership of a group on one of its host's interfaces.
#[derive(Clone, Copy, Debug)]
pub(super) struct Member {
    pub(super) node: NodeIndex,
    pub(super) interface: usize,
    /// When the switch has learnt of it. Nodes of the sender's own host need no switch.
    pub(super) from: Instant,
}

/// One LAN.
#[derive(Debug)]
pub struct Segment {
    /// What it does to datagrams.
    pub faults: Faults,
    number: usize,
    attached: usize,
    members: SmallMap<Ipv4Addr, Vec<Member>>,
}

/// How long a snooping switch takes to learn of a membership (measured: 9 to 17 ms).
const SNOOPING: (Duration, Duration) = (Duration::from_millis(9), Duration::from_millis(8));

impl Segment {
    pub(super) fn new(number: usize, faults: Faults) -> Self {
        Self { faults, number, attached: 0, members: SmallMap::new() }
    }

    /// The next free address of the LAN, 10.77.0.1 being the first of the first.
    pub(super) fn attach(&mut self) -> Ipv4Addr {
        let n = self.attached;
        self.attached += 1;
        let [lan, high, low] = [77 + self.number, n / 250, n % 250 + 1].map(|part| part as u8);
        Ipv4Addr::new(10, lan, high, low)
    }

    /// Whether an address is one of this LAN.
    pub(super) fn has(&self, ip: Ipv4Addr) -> bool {
        let [ten, lan, ..] = ip.octets();
        ten == 10 && usize::from(lan) == 77 + self.number
    }

    pub(super) fn join(
        &mut self,
        group: Ipv4Addr,
        node: NodeIndex,
        interface: usize,
        now: Instant,
        rng: &mut Rng,
    ) {
        let from = now + SNOOPING.0 + rng.up_to(SNOOPING.1);
        let members = self.members.entry(group).or_default();
        if !members.iter().any(|m| m.node == node && m.interface == interface) {
            members.push(Member { node, interface, from });
        }
    }

    pub(super) fn leave(&mut self, group: Ipv4Addr, node: NodeIndex) {
        if let Some(members) = self.members.get_mut(&group) {
            members.retain(|m| m.node != node);
        }
    }

    fn members_of(&mut self, node: NodeIndex) -> impl Iterator<Item = &mut Member> {
        let all = self.members.iter_mut().flat_map(|(_, members)| members);
        all.filter(move |member| member.node == node)
    }

    /// A node joins anew what it has joined: its switch learns of it, if it had forgotten.
    pub(super) fn rejoin(&mut self, node: NodeIndex, now: Instant, rng: &mut Rng) {
        for member in self.members_of(node) {
            member.from = member.from.min(now + SNOOPING.0 + rng.up_to(SNOOPING.1));
        }
    }

    /// The switch forgets that a node wants what it has joined.
    pub(super) fn forget(&mut self, node: NodeIndex) {
        for member in self.members_of(node) {
            member.from = Instant::NEVER;
        }
    }

    /// A node has stopped: the kernel drops its memberships.
    pub(super) fn leave_all(&mut self, node: NodeIndex) {
        for (_, members) in &mut self.members {
            members.retain(|m| m.node != node);
        }
    }

    pub(super) fn members(&self, group: Ipv4Addr) -> &[Member] {
        self.members.get(&group).map_or(&[], Vec::as_slice)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_receiver_has_a_fate_of_its_own() {
        let faults = Faults { duplicates: 0.1, ..Faults::losing(0.2) };
        let mut rng = Rng::from_number(1);
        for quick in [false, true] {
            let mut draw = Draw::of(&mut rng, quick);
            let fates: Vec<_> = (0..10_000).map(|_| faults.fate(0.0, &mut draw)).collect();
            let lost = fates.iter().filter(|fate| fate[0].is_none()).count();
            let twice = fates.iter().filter(|fate| fate[1].is_some()).count();
            let late = fates.iter().flatten().flatten();
            let late = late.filter(|after| **after > faults.latency + faults.jitter / 2).count();
            assert!((1_800..2_200).contains(&lost), "{lost}");
            assert!((700..900).contains(&twice), "{twice}");
            assert!((4_100..4_700).contains(&late), "{late}");
        }
    }

    #[test]
    fn addresses_are_handed_out_in_order() {
        let mut lan = Segment::new(1, Faults::default());
        let ips: Vec<Ipv4Addr> = (0..251).map(|_| lan.attach()).collect();
        assert_eq!(ips[0].to_string(), "10.78.0.1");
        assert_eq!(ips[250].to_string(), "10.78.1.1");
        assert!(ips.iter().all(|&ip| lan.has(ip)));
    }
}
