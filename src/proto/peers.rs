//! Who is known: one entry per peer, whatever its addresses and however often it restarts.
//!
//! The table keeps its own digest, so that two nodes can compare what they know without listing
//! it. A peer that has gone leaves a tombstone, by which its old announcements are recognised; no
//! tombstone is ever told to others.

use std::sync::Arc;
use std::time::Duration;

use super::channel_list::ChannelList;
use super::event::{Contact, PeerInfo, PeerState};
use super::paths::Paths;
use super::peer_table::PeerTable;
use super::reach::Reach;
use super::recent::Recent;
use super::timing;
use super::window::Lately;
use crate::values::{ChannelName, Epoch, Instant, NodeId, PeerText, limits, order};
use crate::wire::{ChannelLogs, Profile, Sender, Slice, Summary};

/// Parts into which ids are divided by their first byte, for comparing two rosters.
pub(crate) const BUCKETS: usize = Slice::PARTS;

/// How far a peer is trusted to be there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Standing {
    /// Only others speak of it. It is asked itself, where the group is small.
    Told {
        /// Questions it has not answered.
        asked: u8,
    },
    /// It was heard from.
    Alive,
    /// It does not answer, or others say so and it has not answered this node either.
    Suspect,
}

/// One peer. Ten thousand of them are kept, so what few have is kept elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    pub(crate) epoch: Epoch,
    /// The announcements heard in this epoch.
    pub(crate) seen: Lately,
    /// What the highest announcement says, if any has come.
    pub(crate) profile: Arc<Profile>,
    pub(crate) channels: ChannelList,
    /// Whether `profile` had room for its tags and services in any announcement.
    pub(crate) profile_complete: bool,
    pub(crate) standing: Standing,
    pub(crate) since: Instant,
    /// Its own last word; while it is only told of, when it was told of first.
    pub(crate) heard: Instant,
    pub(crate) reach: Reach,
    pub(crate) paths: Paths,
    /// The round trip in microseconds; [`u32::MAX`] while it is not known.
    rtt: u32,
    /// Whether it has announced how far its own logs go.
    announced: bool,
    dealings: Option<Box<Dealings>>,
}

/// What is known of a peer that this node has had to do with alone, or that has said something.
#[derive(Clone, Debug, Default)]
struct Dealings {
    /// The numbers last sent to it alone, and when.
    nonces: [Option<(u64, Instant)>; 2],
    /// How far its own logs went at its last announcement, by channel.
    heads: Box<[(ChannelName, u64)]>,
    /// What to show it when asking for its roster.
    token: Option<u64>,
    /// Set where datagrams do not get through both ways.
    one_way: Option<OneWay>,
}

/// What is known of a peer that does not answer this node itself, and does answer others.
#[derive(Clone, Copy, Debug)]
struct OneWay {
    /// When it was heard last itself.
    direct: Instant,
    /// Whether it hears this node.
    hears: bool,
    /// When that was found out last.
    found: Instant,
}

/// What is known of a peer of which nothing is known.
fn unknown_profile() -> Arc<Profile> {
    static UNKNOWN: std::sync::OnceLock<Arc<Profile>> = std::sync::OnceLock::new();
    Arc::clone(UNKNOWN.get_or_init(Arc::default))
}

/// An announcement has room for so many logs, however long the names are: if it tells of fewer, it
/// tells of all.
const SURELY_ALL: usize = 8;

impl Peer {
    /// It is asked with this number. The one before stays good: two who ask each other at the same
    /// time ask again with the answers, and neither would know the answer to its first.
    pub(crate) fn ask(&mut self, nonce: u64, now: Instant) {
        let dealings = self.dealings.get_or_insert_default();
        dealings.nonces = [Some((nonce, now)), dealings.nonces[0]];
    }

    /// When it was asked with this number, if it was of late.
    pub(crate) fn asked(&self, nonce: u64) -> Option<Instant> {
        let mut asked = self.dealings.as_ref()?.nonces.iter().flatten();
        asked.find(|(asked, _)| *asked == nonce).map(|(_, at)| *at)
    }

    /// Whether it was asked since this time, with whatever number.
    pub(crate) fn was_asked_since(&self, since: Instant) -> bool {
        let last = self.dealings.as_ref().and_then(|dealings| dealings.nonces[0]);
        last.is_some_and(|(_, at)| at > since)
    }

    pub(crate) fn new(epoch: Epoch, standing: Standing, now: Instant) -> Self {
        Self {
            epoch,
            seen: Lately::default(),
            profile: unknown_profile(),
            channels: ChannelList::default(),
            profile_complete: false,
            standing,
            since: now,
            heard: now,
            reach: Reach::default(),
            paths: Paths::default(),
            rtt: u32::MAX,
            announced: false,
            dealings: None,
        }
    }

    /// It has answered this node itself: datagrams get through both ways.
    pub(crate) fn hear_answer(&mut self, now: Instant) {
        self.heard = now;
        self.set_one_way(None);
    }

    /// It was heard, though not in answer to anything.
    pub(crate) fn hear(&mut self, now: Instant) {
        self.heard = now;
        if let Some(one_way) = self.dealings.as_mut().and_then(|d| d.one_way.as_mut()) {
            one_way.direct = now;
        }
    }

    /// It was heard, and has not answered what it was asked.
    pub(crate) fn hear_only(&mut self, now: Instant) {
        self.set_one_way(Some(OneWay { direct: now, hears: false, found: now }));
    }

    /// It has answered others who asked on this node's behalf; and does or does not hear this node.
    pub(crate) fn hear_through_another(&mut self, hears: bool, now: Instant) {
        let one_way = self.dealings.as_ref().and_then(|dealings| dealings.one_way);
        let direct = one_way.map_or(self.heard, |one_way| one_way.direct);
        self.set_one_way(Some(OneWay { direct, hears, found: now }));
        self.heard = now;
    }

    /// It was asked again, and has not answered.
    pub(crate) fn asked_in_vain(&mut self, now: Instant) {
        if let Some(one_way) = self.dealings.as_mut().and_then(|d| d.one_way.as_mut()) {
            one_way.found = now;
        }
    }

    /// Whether it was found so long ago that datagrams do not get through both ways that this may be over.
    pub(crate) fn is_to_be_asked_again(&self, now: Instant) -> bool {
        let one_way = self.dealings.as_ref().and_then(|dealings| dealings.one_way);
        one_way.is_some_and(|one_way| now.since(one_way.found) >= timing::ONE_WAY_AGAIN)
    }

    fn set_one_way(&mut self, one_way: Option<OneWay>) {
        if one_way.is_some() || self.dealings.is_some() {
            self.dealings.get_or_insert_default().one_way = one_way;
        }
    }

    /// Which ways datagrams get through; `patience`: who was not heard for so long is not heard.
    pub(crate) fn contact(&self, patience: Duration, now: Instant) -> Contact {
        let Some(one_way) = self.dealings.as_ref().and_then(|dealings| dealings.one_way) else {
            return Contact::Both;
        };
        match (now.since(one_way.direct) <= patience, one_way.hears) {
            (true, true) => Contact::Both,
            (true, false) => Contact::Inbound,
            (false, true) => Contact::Outbound,
            (false, false) => Contact::Neither,
        }
    }

    /// The round trip to it, if it was measured.
    pub(crate) fn rtt(&self) -> Option<Duration> {
        (self.rtt != u32::MAX).then(|| Duration::from_micros(self.rtt.into()))
    }

    /// A round trip took so long. What is kept is near the least of the last ones: an answer may be late for
    /// reasons of the answerer's.
    pub(crate) fn note_rtt(&mut self, rtt: Duration) {
        self.set_rtt(self.rtt().map_or(rtt, |old| rtt.min(old * 5 / 4)));
    }

    fn set_rtt(&mut self, rtt: Duration) {
        self.rtt = u32::try_from(rtt.as_micros()).unwrap_or(u32::MAX - 1).min(u32::MAX - 1);
    }

    /// What to show it when asking for its roster.
    pub(crate) fn token(&self) -> Option<u64> {
        self.dealings.as_ref()?.token
    }

    pub(crate) fn set_token(&mut self, token: u64) {
        self.dealings.get_or_insert_default().token = Some(token);
    }

    /// How far its log in a channel went when it announced itself last; `None` if that is not known.
    pub(crate) fn announced(&self, channel: &ChannelName) -> Option<u64> {
        if !self.announced {
            return None;
        }
        let heads = self.dealings.as_ref().map_or(&[][..], |dealings| &dealings.heads);
        let head = heads.iter().find(|(name, _)| name == channel).map(|(_, head)| *head);
        head.or((heads.len() < SURELY_ALL).then_some(0))
    }

    /// It has announced itself, and how far its logs go.
    pub(crate) fn note_announced(&mut self, logs: &[ChannelLogs]) {
        let heads = || logs.iter().map(|logs| (&logs.channel, logs.head));
        self.announced = true;
        let old = self.dealings.as_ref().map_or(&[][..], |dealings| &dealings.heads);
        if !old.iter().map(|(channel, head)| (channel, *head)).eq(heads()) {
            let heads = heads().map(|(channel, head)| (channel.clone(), head)).collect();
            self.dealings.get_or_insert_default().heads = heads;
        }
    }

    /// It has started again: the same peer, with nothing left of its last run but its name.
    pub(crate) fn restart(&mut self, epoch: Epoch) {
        self.epoch = epoch;
        self.seen = Lately::default();
        self.announced = false;
        if let Some(dealings) = &mut self.dealings {
            (dealings.heads, dealings.token, dealings.one_way) = (Box::default(), None, None);
        }
        // It has another port now; eight that were proven would leave no room for it.
        self.paths = Paths::default();
        self.reach.restart();
        self.channels.restart();
    }

    /// Whether everything that it says of itself has come.
    pub(crate) fn is_complete(&self) -> bool {
        self.channels.is_whole() && self.profile_complete
    }

    pub(crate) fn info(&self, id: NodeId, state: PeerState, size: usize, now: Instant) -> PeerInfo {
        PeerInfo {
            id,
            epoch: self.epoch,
            profile: Arc::clone(&self.profile),
            channels: self.channels.shared(),
            addr: self.paths.best().map(|path| path.addr),
            state,
            path: self.reach.path(now),
            contact: self.contact(timing::suspect(size), now),
            rtt: self.rtt(),
            since: self.since,
            verified: !matches!(self.standing, Standing::Told { .. }),
        }
    }

    pub(crate) fn state(&self) -> PeerState {
        match self.standing {
            Standing::Suspect => PeerState::Suspect,
            Standing::Told { .. } | Standing::Alive => PeerState::Alive,
        }
    }
}

/// What is remembered of a peer that has gone.
#[derive(Clone, Debug)]
pub(crate) struct Gone {
    pub(crate) epoch: Epoch,
    /// Its last announcement.
    pub(crate) n: u64,
    pub(crate) at: Instant,
    /// What others call it, if it was never more than hearsay.
    pub(crate) hearsay: Option<PeerText>,
}

/// All peers.
#[derive(Debug)]
pub(crate) struct Peers {
    map: PeerTable,
    gone: Recent<NodeId, Gone>,
    /// The exclusive or of the marks, for each part of the ids and for all.
    buckets: Box<[u64; BUCKETS]>,
    digest: u64,
}

/// What an id adds to a digest.
pub(crate) fn mark(id: NodeId) -> u64 {
    let (mark, _) = id.0.as_chunks::<8>();
    u64::from_be_bytes(mark[0])
}

/// In which part of the ids an id is.
pub(crate) fn bucket(id: NodeId) -> usize {
    usize::from(id.0[0])
}

impl Peers {
    pub(crate) fn new() -> Self {
        let buckets = Box::new([0; BUCKETS]);
        Self { map: PeerTable::new(), gone: Recent::new(limits::TOMBSTONES), buckets, digest: 0 }
    }

    pub(crate) fn len(&self) -> usize {
        self.map.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.map.len() >= limits::PEERS
    }

    pub(crate) fn get(&self, id: NodeId) -> Option<&Peer> {
        self.map.get(id)
    }

    pub(crate) fn get_mut(&mut self, id: NodeId) -> Option<&mut Peer> {
        self.map.get_mut(id)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.map.iter()
    }

    /// All of them in no order to be relied on, which is quicker.
    pub(crate) fn each(&self) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.map.each()
    }

    /// See [`Peers::each`].
    pub(crate) fn each_mut(&mut self) -> impl Iterator<Item = (NodeId, &mut Peer)> {
        self.map.each_mut()
    }

    /// The peers behind an id, in the order of their ids.
    pub(crate) fn after(&self, id: Option<NodeId>) -> impl Iterator<Item = (NodeId, &Peer)> {
        self.map.after(id)
    }

    /// The same of one slice of the ids, and of that only the parts that are wanted.
    pub(crate) fn after_in(
        &self,
        id: Option<NodeId>,
        slice: Slice,
        wanted: impl Fn(usize) -> bool,
    ) -> impl Iterator<Item = (NodeId, &Peer)> {
        let is_wanted = move |id| slice.part(id).is_some_and(&wanted);
        self.map.after_in(id, move |first| slice.holds(first)).filter(move |(id, _)| is_wanted(*id))
    }

    /// Takes up a peer that is not known; the caller has asked [`Peers::is_full`].
    pub(crate) fn insert(&mut self, id: NodeId, peer: Peer) {
        debug_assert!(self.map.get(id).is_none() && !self.is_full());
        self.buckets[bucket(id)] ^= mark(id);
        self.digest ^= mark(id);
        self.gone.remove(&id);
        self.map.insert(id, peer);
    }

    /// Forgets a peer but for its tombstone.
    pub(crate) fn remove(&mut self, id: NodeId, now: Instant) -> Option<Peer> {
        let peer = self.map.remove(id)?;
        self.buckets[bucket(id)] ^= mark(id);
        self.digest ^= mark(id);
        let told = matches!(peer.standing, Standing::Told { .. });
        let hearsay = told.then(|| peer.profile.nick.clone());
        let gone = Gone { epoch: peer.epoch, n: peer.seen.top(), at: now, hearsay };
        self.gone.insert(&id, gone);
        Some(peer)
    }

    /// The tombstone of a peer.
    pub(crate) fn gone(&self, id: NodeId) -> Option<&Gone> {
        self.gone.peek(&id)
    }

    /// Everyone of whom others tell and who answers nothing, in the order of their ids: who has been
    /// asked in vain, and who was given up for it since this time.
    pub(crate) fn unheard(&self, since: Instant) -> Vec<(NodeId, PeerText)> {
        let asked = self.each().filter_map(|(id, peer)| match peer.standing {
            Standing::Told { asked: 2.. } => Some((id, peer.profile.nick.clone())),
            _ => None,
        });
        let lately = self.gone.iter().filter(|(_, gone)| gone.at >= since);
        let given_up = lately.filter_map(|(id, gone)| Some((*id, gone.hearsay.clone()?)));
        let mut unheard: Vec<(NodeId, PeerText)> = asked.chain(given_up).collect();
        order::sort_by(&mut unheard, |(a, _), (b, _)| a.cmp(b));
        unheard
    }

    /// Whether announcement `n` of a sender is old news, by what is known of its number alone.
    pub(crate) fn is_stale(&self, from: Sender, n: u64) -> bool {
        match (self.map.get(from.id), self.gone.peek(&from.id)) {
            (Some(peer), _) => {
                from.epoch < peer.epoch || from.epoch == peer.epoch && peer.seen.has(n)
            }
            (None, Some(gone)) => {
                from.epoch < gone.epoch || from.epoch == gone.epoch && n <= gone.n
            }
            (None, None) => false,
        }
    }

    /// Whom this node knows, itself included unless it is a visitor.
    pub(crate) fn summary(&self, own: Option<NodeId>) -> Summary {
        let digest = self.digest ^ own.map_or(0, mark);
        Summary { count: (self.map.len() + usize::from(own.is_some())) as u32, digest }
    }

    /// The exclusive or of the marks of each part of a slice.
    fn marks(&self, slice: Slice) -> [u64; Slice::PARTS] {
        let mut marks = [0; Slice::PARTS];
        for (id, _) in self.map.after_in(None, |first| slice.holds(first)) {
            if let Some(part) = slice.part(id) {
                marks[part] ^= mark(id);
            }
        }
        marks
    }

    /// The same of each part of a slice, one byte each. Which one depends on the number in the question, so
    /// that what looks alike by chance does so only once; 0 says that nobody is known there, so that
    /// who knows nobody is told everything.
    pub(crate) fn parts(&self, slice: Slice, own: Option<NodeId>, nonce: u64) -> Vec<u8> {
        let mut parts = if slice == Slice::WHOLE { *self.buckets } else { self.marks(slice) };
        if let Some((part, id)) = own.and_then(|id| Some((slice.part(id)?, id))) {
            parts[part] ^= mark(id);
        }
        // The first two bytes say no more than in which part an id is.
        let byte = 2 + (nonce % 6) as usize;
        let one = |&bits: &u64| if bits == 0 { 0 } else { bits.to_be_bytes()[byte].max(1) };
        parts.iter().map(one).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn id(n: u8) -> NodeId {
        NodeId(std::array::from_fn(|i| n.wrapping_mul(31).wrapping_add(i as u8)))
    }

    #[test]
    fn two_nodes_with_the_same_peers_have_the_same_summary_whoever_they_are() {
        let now = Instant::ZERO;
        let peer = || Peer::new(1, Standing::Alive, now);
        let (mut a, mut b) = (Peers::new(), Peers::new());
        a.insert(id(2), peer());
        a.insert(id(3), peer());
        b.insert(id(3), peer());
        b.insert(id(1), peer());
        assert_eq!(a.summary(Some(id(1))), b.summary(Some(id(2))));
        for slice in [Slice::WHOLE, Slice::behind(Some(id(3)), 4)] {
            assert_eq!(a.parts(slice, Some(id(1)), 5), b.parts(slice, Some(id(2)), 5));
        }
        assert_ne!(a.summary(None), b.summary(None));
        a.remove(id(3), now);
        assert_eq!(a.summary(None).digest, mark(id(2)));
        assert_eq!(a.summary(None).count, 1);
    }

    #[test]
    fn who_is_told_of_and_does_not_answer_is_unheard_for_a_while_or_until_it_is_heard() {
        let mut peers = Peers::new();
        let at = |millis: u64| Instant::from_micros(millis * 1_000);
        let told = |asked| Peer::new(1, Standing::Told { asked }, at(0));
        let called = |n: u8| (id(n), PeerText::from(format!("n{n}").as_str()));
        for (n, standing) in [(1, told(1)), (2, told(2)), (3, told(6))] {
            let mut peer = standing;
            Arc::make_mut(&mut peer.profile).nick = called(n).1;
            peers.insert(id(n), peer);
        }
        peers.insert(id(4), Peer::new(1, Standing::Alive, at(0)));
        assert_eq!(peers.unheard(at(0)), [called(2), called(3)], "one may still answer");
        peers.remove(id(3), at(900));
        peers.remove(id(4), at(900));
        assert_eq!(peers.unheard(at(900)), [called(2), called(3)], "one has said goodbye itself");
        assert_eq!(peers.unheard(at(901)), [called(2)]);
        peers.insert(id(3), Peer::new(1, Standing::Alive, at(950)));
        assert_eq!(peers.unheard(at(0)), [called(2)]);
    }

    #[test]
    fn a_peer_that_has_gone_is_known_by_its_old_announcements() {
        let mut peers = Peers::new();
        let mut peer = Peer::new(5, Standing::Alive, Instant::ZERO);
        peer.seen.mark(7);
        peers.insert(id(1), peer);
        let from = |epoch| Sender { id: id(1), epoch };
        assert!(peers.is_stale(from(5), 7) && peers.is_stale(from(4), 9));
        assert!(!peers.is_stale(from(5), 6) && !peers.is_stale(from(5), 8));
        peers.remove(id(1), Instant::ZERO);
        assert!(peers.is_stale(from(5), 6) && peers.is_stale(from(5), 7));
        assert!(!peers.is_stale(from(5), 8) && !peers.is_stale(from(6), 1));
    }

    #[test]
    fn it_is_known_whether_a_peer_was_asked_of_late() {
        let at = |millis: u64| Instant::from_micros(millis * 1_000);
        let mut peer = Peer::new(1, Standing::Alive, at(0));
        assert!(!peer.was_asked_since(at(0)));
        peer.ask(7, at(10));
        peer.ask(8, at(20));
        assert!(peer.was_asked_since(at(15)) && !peer.was_asked_since(at(20)));
    }
}
