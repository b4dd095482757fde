//! What a node reads that serves those who come later: nothing, where the history does not work.
//! What waits to be written is not among it yet.

use super::super::entries::Stretch;
use super::super::{History, HistoryError};
use super::Keeper;
use crate::proto::{Kept, Message};
use crate::values::{ChannelName, Epoch, NodeId, WallTime};

impl Keeper {
    /// See [`History::entries`].
    pub(crate) fn entries(
        &self,
        channel: &ChannelName,
        author: NodeId,
        epoch: Epoch,
        from: u64,
        to: u64,
        most: usize,
    ) -> Vec<Kept> {
        self.read(|history| history.entries(channel, author, epoch, from, to, most))
    }

    /// See [`History::logs`].
    pub(crate) fn logs(&self, channel: &ChannelName, most: usize) -> Vec<Stretch> {
        self.read(|history| history.logs(channel, most))
    }

    /// See [`History::latest`].
    pub(crate) fn latest(&self, channel: &ChannelName, messages: usize) -> Vec<Stretch> {
        self.read(|history| history.latest(channel, messages))
    }

    /// See [`History::resumes`].
    pub(crate) fn resumes(&self, channel: &ChannelName, most: usize) -> Vec<(NodeId, Epoch, u64)> {
        self.read(|history| history.resumes(channel, most))
    }

    /// See [`History::arrived_last`].
    pub(crate) fn arrived_last(&self, channel: &ChannelName) -> Option<WallTime> {
        self.read(|history| history.arrived_last(channel)).pop()
    }

    /// See [`History::since`].
    pub(crate) fn since(
        &self,
        channel: &ChannelName,
        since: WallTime,
        most: usize,
    ) -> Vec<(NodeId, Epoch, u64)> {
        self.read(|history| history.since(channel, since, most))
    }

    /// See [`History::said`].
    pub(crate) fn said(&self, channel: &ChannelName, last: usize, each: impl FnMut(Message)) {
        if let Some(history) = &self.open {
            // What can't be read is not there.
            let _ = history.said(channel, last, each);
        }
    }

    fn read<T>(&self, read: impl FnOnce(&History) -> Result<Vec<T>, HistoryError>) -> Vec<T> {
        self.open.as_ref().and_then(|history| read(history).ok()).unwrap_or_default()
    }
}
