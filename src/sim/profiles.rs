//! What peers say of themselves, kept once: ten thousand hosts that are told of each other would
//! otherwise each keep ten thousand copies of the same.

use std::collections::HashMap;
use std::sync::Arc;

use crate::values::PeerText;
use crate::wire::{Datagram, Packet, Profile};

/// What is told of peers, by their nicks, which are all that is told.
///
/// A hash map, because nothing here depends on its order.
#[derive(Debug, Default)]
pub(super) struct Profiles(HashMap<PeerText, Arc<Profile>>);

impl Profiles {
    /// Lets a packet say what it says with the profiles that others have already.
    pub(super) fn share(&mut self, packet: &mut Packet) {
        let Some(Datagram::Roster(page)) = packet.datagram_mut() else { return };
        for told in &mut page.peers {
            match self.0.get(&told.profile.nick) {
                Some(known) => told.profile = Arc::clone(known),
                None => {
                    self.0.insert(told.profile.nick.clone(), Arc::clone(&told.profile));
                }
            }
        }
    }
}
