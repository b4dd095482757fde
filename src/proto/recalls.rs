//! What late-comers are told of the past.

use std::collections::BTreeMap;

use super::timing;
use crate::values::{ChannelName, Instant};

/// The channels that this node takes part in, and since when.
#[derive(Debug, Default)]
pub(crate) struct Recalls(BTreeMap<ChannelName, Instant>);

impl Recalls {
    pub(crate) fn join(&mut self, channel: &ChannelName, now: Instant) {
        self.0.insert(channel.clone(), now);
    }

    pub(crate) fn leave(&mut self, channel: &ChannelName) {
        self.0.remove(channel);
    }

    /// When the channel was joined.
    pub(crate) fn joined(&self, channel: &ChannelName) -> Instant {
        self.0.get(channel).copied().unwrap_or(Instant::ZERO)
    }

    /// Whether it was joined just now.
    pub(crate) fn is_new(&self, channel: &ChannelName, now: Instant) -> bool {
        now.since(self.joined(channel)) < timing::SETTLE
    }
}
