//! What a node keeps for its next run: its identity, where its peers are, and what it has said.

use std::fs::File;

use super::known::Whereabouts;
use super::spoken::Spoken;
use crate::net::Link;
use crate::proto::{Engine, Hint};

/// Each is none where the node has no state folder, or does not need it.
#[derive(Debug)]
pub(super) struct Memory {
    /// Where somebody may be, if the node looks for anybody.
    pub(super) whereabouts: Option<Whereabouts>,
    /// What it has said.
    pub(super) spoken: Option<Spoken>,
    /// The lock on its identity, for as long as it runs.
    pub(super) _lock: Option<File>,
}

impl Memory {
    /// Where a node that knows nobody, or nobody beyond a tunnel, may try; one that knows somebody
    /// keeps where they are.
    pub(super) fn look_around(&mut self, engine: &Engine, links: &[Link]) -> Option<Vec<Hint>> {
        let whereabouts = self.whereabouts.as_mut()?;
        if engine.peer_count() > 0 {
            whereabouts.note(engine.peers(), links);
            if !links.iter().any(|link| link.tunnel) {
                return None;
            }
        }
        Some(whereabouts.hints(links))
    }

    /// Keeps what the node has said: at once where it begins to speak, and otherwise when it is time to.
    pub(super) fn keep_spoken(&mut self, engine: &Engine, is_time: bool) {
        let Some(spoken) = &mut self.spoken else { return };
        if is_time || engine.spoken_in() > spoken.kept() {
            spoken.note(engine.spoken());
        }
    }

    /// The node stops.
    pub(super) fn stop(&mut self, engine: &Engine, links: &[Link]) {
        if let Some(whereabouts) = &mut self.whereabouts {
            whereabouts.note(engine.peers(), links);
        }
        self.keep_spoken(engine, true);
    }
}
