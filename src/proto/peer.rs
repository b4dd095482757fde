//! What is known of one peer. It is heard, asked and told of here; whether it is gone, others decide.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use super::channel_list::ChannelList;
use super::event::{Contact, PeerInfo, PeerState};
use super::paths::Paths;
use super::reach::Reach;
use super::timing;
use super::window::Lately;
use crate::values::{ChannelName, Epoch, Instant, NodeId};
use crate::wire::{ChannelLogs, Profile};

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
    static UNKNOWN: OnceLock<Arc<Profile>> = OnceLock::new();
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

#[cfg(test)]
mod tests {
    use super::*;

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
