//! What peers say of themselves, kept once: ten thousand hosts that are told of each other would
//! otherwise each keep ten thousand copies of the same.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};

use crate::values::{ChannelName, NodeId, PeerText};
use crate::wire::{Datagram, Packet, Profile};

/// Hash maps, because nothing here depends on their order.
#[derive(Debug, Default)]
pub(super) struct Profiles {
    /// What others tell of peers, by their nicks, which are all that is told.
    told: RwLock<HashMap<PeerText, Arc<Profile>>>,
    /// What peers announced last.
    announced: RwLock<HashMap<NodeId, Announced>>,
}

#[derive(Debug)]
struct Announced {
    profile: Arc<Profile>,
    channels: Arc<Vec<ChannelName>>,
}

impl Profiles {
    /// The packet that a node has written just now. It says what it says with what others keep already.
    pub(super) fn vouch(&self, bytes: Arc<[u8]>) -> Arc<Packet> {
        let mut packet = Packet::vouched(bytes);
        match packet.datagram_mut() {
            Some(Datagram::Roster(page)) => {
                for told in &mut page.peers {
                    self.share_told(&mut told.profile);
                }
            }
            Some(Datagram::Presence(presence)) => {
                let from = presence.from.id;
                self.share_announced(from, &mut presence.profile, &mut presence.channels);
            }
            _ => {}
        }
        Arc::new(packet)
    }

    fn share_told(&self, profile: &mut Arc<Profile>) {
        // Whoever has panicked meanwhile has left a map that is whole.
        let told = self.told.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = told.get(&profile.nick) {
            *profile = Arc::clone(known);
            return;
        }
        drop(told);
        let mut told = self.told.write().unwrap_or_else(PoisonError::into_inner);
        let first = told.entry(profile.nick.clone()).or_insert_with(|| Arc::clone(profile));
        *profile = Arc::clone(first);
    }

    fn share_announced(
        &self,
        from: NodeId,
        profile: &mut Arc<Profile>,
        channels: &mut Arc<Vec<ChannelName>>,
    ) {
        let announced = self.announced.read().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = announced.get(&from)
            && (&known.profile, &known.channels) == (&*profile, &*channels)
        {
            (*profile, *channels) = (Arc::clone(&known.profile), Arc::clone(&known.channels));
            return;
        }
        drop(announced);
        let new = Announced { profile: Arc::clone(profile), channels: Arc::clone(channels) };
        let mut announced = self.announced.write().unwrap_or_else(PoisonError::into_inner);
        announced.insert(from, new);
    }
}
