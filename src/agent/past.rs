//! The agent's part in what others are told of the past: its history holds the authors' own datagrams,
//! and says where an earlier run of it had got to.

use std::time::Duration;

use super::server::Server;
use crate::net::Clock;
use crate::proto::{KeptLog, Past};
use crate::values::{ChannelName, Epoch, NodeId, WallTime, limits};
use crate::wire::{Datagram, Earlier, Packet, Payload};

/// Logs of a channel that a new run takes up where the last one had got to: those in which
/// something was said last.
const RESUMED: usize = 256;

/// Entries of the past that are looked at to find out what came since an asker was there.
const LOOKED_AT: usize = 10_000;

impl Server {
    /// Tells the node how far an earlier run of it had got in a channel that it was in.
    pub(super) fn resume(&mut self, channel: &ChannelName) {
        let logs = self.history.resumes(channel, RESUMED);
        let logs: Vec<(NodeId, Epoch, u64)> = logs
            .into_iter()
            .map(|(author, epoch, last)| {
                (author, epoch, self.finished(channel, author, epoch, last))
            })
            .collect();
        if let Some(last) = self.history.arrived_last(channel) {
            let away = Clock::wall().0.saturating_sub(last.0);
            let said = self.said_last(channel, &logs);
            self.node.resume(channel, logs, Duration::from_millis(away), said);
        }
    }

    /// The last that an earlier run of this agent said in a channel, of those logs. Of a long message the
    /// last part does not tell when it was said.
    fn said_last(&self, channel: &ChannelName, logs: &[(NodeId, Epoch, u64)]) -> Option<Earlier> {
        let own = logs.iter().filter(|(author, ..)| *author == self.node.id());
        let &(author, run, seq) = own.max_by_key(|(_, epoch, _)| *epoch)?;
        let kept = self.history.entries(channel, author, run, seq, seq, 1).pop()?;
        let packet = Packet::new(kept.bytes);
        let Ok(Datagram::Entry(entry)) = packet.datagram() else { return None };
        let Payload::Whole(contents) = &entry.payload else { return None };
        let ago = Clock::wall().0.checked_sub(contents.last()?.at.0)?;
        Some(Earlier { run, seq, ago: Duration::from_millis(ago) })
    }

    /// Up to where a log has been shown as well: of a long message that is not whole, nothing was.
    fn finished(&self, channel: &ChannelName, author: NodeId, epoch: Epoch, last: u64) -> u64 {
        let entry = self.history.entries(channel, author, epoch, last, last, 1).pop();
        let Some(entry) = entry else { return last };
        match Packet::new(entry.bytes).datagram() {
            Ok(Datagram::Entry(entry)) => match entry.payload {
                Payload::Part { part, parts, .. } if part + 1 < parts => {
                    last.saturating_sub(u64::from(part) + 1)
                }
                _ => last,
            },
            _ => last,
        }
    }

    /// Looks up what a peer wants of the past.
    pub(super) fn fetch(&mut self, ticket: u64, channel: &ChannelName, past: Past) {
        match past {
            Past::Entries { author, epoch, from, to } => {
                let most = limits::ASKED_AT_ONCE as usize;
                let entries = self.history.entries(channel, author, epoch, from, to, most);
                self.node.found(ticket, entries);
            }
            Past::Logs { last, since } => {
                let logs = match last {
                    0 => self.history.logs(channel, limits::ORPHANS),
                    last => self.history.latest(channel, last as usize),
                };
                let ago = u64::try_from(since.as_millis()).unwrap_or(u64::MAX);
                let since = WallTime(Clock::wall().0.saturating_sub(ago));
                let came = self.history.since(channel, since, LOOKED_AT);
                let logs = logs.into_iter().map(|(author, epoch, from, to)| {
                    let new = came.iter().find(|(id, run, _)| (*id, *run) == (author, epoch));
                    let before = new.map_or(to, |(_, _, first)| first.saturating_sub(1));
                    KeptLog { author, epoch, from, to, before }
                });
                self.node.recalled(ticket, logs.collect());
            }
        }
    }
}
