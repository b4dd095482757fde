//! `ask` and `roster`: peers told by peers.

use std::fmt::Write;
use std::net::SocketAddr;
use std::sync::Arc;

use super::Sender;
use super::object::{Object, push_string};
use super::presence::{Profile, Summary};
use super::sign::Identity;
use crate::values::{Epoch, NodeId};

/// `ask`: tell me whom you know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ask {
    /// The asker.
    pub from: Sender,
    /// Whether the asker is passing through.
    pub visitor: bool,
    /// To be sent back with each page.
    pub nonce: u64,
    /// What the one who is asked gave as proof of the asker's address.
    pub token: u64,
    /// Only peers whose ids are above this one.
    pub after: Option<NodeId>,
    /// The ids that are asked about.
    pub slice: Slice,
    /// What the asker knows of them already: for each of the [`Slice::PARTS`] parts of the slice, one
    /// byte that is equal if both know the same peers there. Only parts that differ are told.
    pub have: Option<Vec<u8>>,
}

/// One of several slices of all ids, as large as the others; itself cut into parts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Slice {
    index: u16,
    of: u16,
}

impl Slice {
    /// All ids.
    pub const WHOLE: Self = Self { index: 0, of: 1 };

    /// Parts of a slice.
    pub const PARTS: usize = 256;

    /// The most slices: then each is of those ids that have their first byte in common.
    pub const MOST: u16 = 256;

    /// The slice with this number, from 0 on, of so many; `None` unless these are a power of two, at
    /// most [`Slice::MOST`], and it is one of them.
    pub fn new(index: u16, of: u16) -> Option<Self> {
        let is_one = of.is_power_of_two() && of <= Self::MOST && index < of;
        is_one.then_some(Self { index, of })
    }

    /// The one of so many slices in which the ids right behind `after` are.
    ///
    /// # Panics
    /// If `of` is not a power of two, or is more than [`Slice::MOST`].
    pub fn behind(after: Option<NodeId>, of: u16) -> Self {
        assert!(of.is_power_of_two() && of <= Self::MOST, "{of} slices");
        let first = after.map_or(0, |id| u32::from(leading(id)));
        Self { index: ((first * u32::from(of)) >> 16) as u16, of }
    }

    /// The slice behind this one, unless it is the last.
    pub fn next(self) -> Option<Self> {
        Self::new(self.index + 1, self.of)
    }

    /// In which part of the slice an id is; `None` if it is in another slice.
    pub fn part(self, id: NodeId) -> Option<usize> {
        let part = (u32::from(leading(id)) * u32::from(self.of)) >> 8;
        (part >> 8 == u32::from(self.index)).then_some((part & 0xff) as usize)
    }

    /// Whether an id that begins with this byte may be in the slice.
    pub fn holds(self, first_byte: usize) -> bool {
        (first_byte * usize::from(self.of)) >> 8 == usize::from(self.index)
    }
}

/// The first two bytes of an id: as far as any cut goes.
fn leading(id: NodeId) -> u16 {
    u16::from_be_bytes([id.0[0], id.0[1]])
}

impl Ask {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("ask");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        if self.visitor {
            object.json("visitor", true);
        }
        object.hex("nonce", self.nonce).hex("token", self.token);
        if let Some(after) = self.after {
            object.shown("after", after);
        }
        if self.slice != Slice::WHOLE {
            let Slice { index, of } = self.slice;
            object.json("slice", format_args!("[{index},{of}]"));
        }
        if let Some(have) = &self.have {
            object.shown("have", data_encoding::BASE64URL_NOPAD.encode_display(have));
        }
        object.sign(identity)
    }
}

/// A peer as another one tells of it: hearsay, until it is heard from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Told {
    /// The peer.
    pub id: NodeId,
    /// Where the teller hears it.
    pub addr: SocketAddr,
    /// Its run.
    pub epoch: Epoch,
    /// What it says of itself, of which its nick alone is told. Shared, as in a `Presence`.
    pub profile: Arc<Profile>,
    /// Seconds since somebody heard it last, rounded up: so that what is told on and on grows old
    /// all the same.
    pub age: u32,
    /// Whether the teller reaches it by unicast only: others should expect no more.
    pub unicast: bool,
}

impl Told {
    /// `["id","addr",epoch,"nick",age]`, with a `1` behind it where only unicast reaches the peer.
    fn write(&self, text: &mut String) {
        // Writing to a String can't fail.
        let _ = write!(text, "[\"{}\",\"{}\",{},", self.id, self.addr, self.epoch);
        push_string(text, self.profile.nick.raw());
        let _ = write!(text, ",{}{}", self.age, if self.unicast { ",1]" } else { "]" });
    }
}

/// `roster`: some of the peers that the sender knows, in the order of their ids.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RosterPage {
    /// Who tells.
    pub from: Sender,
    /// The nonce of the question.
    pub re: u64,
    /// Whom the sender knows in all.
    pub summary: Summary,
    /// The page begins behind this id.
    pub after: Option<NodeId>,
    /// Whether there are peers behind the last one on this page.
    pub more: bool,
    /// The peers.
    pub peers: Vec<Told>,
}

impl RosterPage {
    /// Writes and signs the page with as many of its peers as fit into `limit` bytes, and returns
    /// how many did.
    pub fn encode(&self, identity: &Identity, limit: usize) -> (Vec<u8>, usize) {
        let mut object = Object::datagram("roster");
        object.shown("id", self.from.id).json("epoch", self.from.epoch).hex("re", self.re);
        object.json("count", self.summary.count).hex("digest", self.summary.digest);
        if let Some(after) = self.after {
            object.shown("after", after);
        }
        let room = limit.saturating_sub(object.signed_len() + ",\"more\":true,\"peers\":[]".len());
        let (mut peers, mut fitted) = (String::with_capacity(limit), 0);
        for told in &self.peers {
            let end = peers.len();
            if fitted > 0 {
                peers.push(',');
            }
            told.write(&mut peers);
            if peers.len() >= room {
                peers.truncate(end);
                break;
            }
            fitted += 1;
        }
        if self.more || fitted < self.peers.len() {
            object.json("more", true);
        }
        object.json("peers", format_args!("[{peers}]"));
        (object.sign(identity), fitted)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn id(first: u8, second: u8) -> NodeId {
        let mut id = [7; 32];
        [id[0], id[1]] = [first, second];
        NodeId(id)
    }

    #[test]
    fn the_parts_of_all_ids_are_those_with_the_same_first_byte() {
        assert_eq!(Slice::WHOLE.part(id(0x4b, 0x99)), Some(0x4b));
        assert!(Slice::WHOLE.holds(0) && Slice::WHOLE.holds(255));
        assert_eq!(Slice::WHOLE.next(), None);
    }

    #[test]
    fn there_are_as_many_slices_as_a_power_of_two_and_no_more_than_first_bytes() {
        assert!(Slice::new(0, 1).is_some() && Slice::new(255, 256).is_some());
        for (index, of) in [(0, 0), (1, 1), (0, 3), (4, 4), (0, 512), (u16::MAX, 256)] {
            assert_eq!(Slice::new(index, of), None, "{index} of {of}");
        }
    }

    proptest! {
        #[test]
        fn each_id_is_in_one_slice_and_the_parts_are_in_the_order_of_ids(
            power in 0..=8_u32, a in any::<[u8; 2]>(), b in any::<[u8; 2]>(),
        ) {
            let of = 1 << power;
            let ids = [a.min(b), a.max(b)].map(|[first, second]| id(first, second));
            let slices: Vec<Slice> = (0..of).filter_map(|index| Slice::new(index, of)).collect();
            let place = |id: NodeId| {
                let mut holding = slices.iter().enumerate().filter_map(|(at, s)| Some((at, s.part(id)?)));
                let place = holding.next();
                assert!(holding.next().is_none() && place.is_some_and(|(_, part)| part < Slice::PARTS));
                place
            };
            prop_assert!(place(ids[0]) <= place(ids[1]));
            let first = Slice::behind(Some(ids[0]), of);
            prop_assert!(first.part(ids[0]).is_some() && first.holds(ids[0].0[0].into()));
            let mut all = std::iter::successors(Some(Slice::behind(None, of)), |slice| slice.next());
            prop_assert!(all.by_ref().eq(slices.iter().copied()));
        }
    }
}
