//! What a world has cost: datagrams and bytes, by what they were for.

use std::fmt;

use crate::wire::{Datagram, Packet, PresenceKind};

/// What a datagram is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[expect(missing_docs, reason = "named as the types on the wire, which `wire` describes")]
pub enum Kind {
    Hello,
    Here,
    Bye,
    Ask,
    Roster,
    Say,
    Head,
    Want,
    Got,
    Recall,
    Logs,
    Tell,
    Ack,
    Probe,
    Alive,
    Suspect,
    Other,
}

impl Kind {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 17] = [
        Self::Hello,
        Self::Here,
        Self::Bye,
        Self::Ask,
        Self::Roster,
        Self::Say,
        Self::Head,
        Self::Want,
        Self::Got,
        Self::Recall,
        Self::Logs,
        Self::Tell,
        Self::Ack,
        Self::Probe,
        Self::Alive,
        Self::Suspect,
        Self::Other,
    ];

    /// What a packet is for.
    pub fn of(packet: &Packet) -> Self {
        match packet.datagram() {
            Ok(Datagram::Presence(presence)) => match presence.kind {
                PresenceKind::Hello => Self::Hello,
                PresenceKind::Here => Self::Here,
            },
            Ok(Datagram::Bye { .. }) => Self::Bye,
            Ok(Datagram::Ask(_)) => Self::Ask,
            Ok(Datagram::Roster(_)) => Self::Roster,
            Ok(Datagram::Entry(_)) => Self::Say,
            Ok(Datagram::Head(_)) => Self::Head,
            Ok(Datagram::Want(_)) => Self::Want,
            Ok(Datagram::Got(_)) => Self::Got,
            Ok(Datagram::Recall(_)) => Self::Recall,
            Ok(Datagram::Logs(_)) => Self::Logs,
            Ok(Datagram::Tell(_)) => Self::Tell,
            Ok(Datagram::Ack(_)) => Self::Ack,
            Ok(Datagram::Probe(_)) => Self::Probe,
            Ok(Datagram::Alive(_)) => Self::Alive,
            Ok(Datagram::Suspect(_)) => Self::Suspect,
            _ => Self::Other,
        }
    }

    /// The word in a report.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hello => "hello",
            Self::Here => "here",
            Self::Bye => "bye",
            Self::Ask => "ask",
            Self::Roster => "roster",
            Self::Say => "say",
            Self::Head => "head",
            Self::Want => "want",
            Self::Got => "got",
            Self::Recall => "recall",
            Self::Logs => "logs",
            Self::Tell => "tell",
            Self::Ack => "ack",
            Self::Probe => "probe",
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Other => "other",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Datagrams and bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sum {
    /// Datagrams.
    pub datagrams: u64,
    /// Bytes of UDP payload.
    pub bytes: u64,
}

/// What was sent and received so far. A multicast datagram counts once when it is sent.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    multicast: [Sum; Kind::ALL.len()],
    unicast: [Sum; Kind::ALL.len()],
    /// Datagrams that arrived, a node's own included.
    pub received: u64,
}

impl Tally {
    pub(super) fn sent(&mut self, kind: Kind, bytes: usize, multicast: bool) {
        let sums = if multicast { &mut self.multicast } else { &mut self.unicast };
        let sum = &mut sums[kind as usize];
        sum.datagrams += 1;
        sum.bytes += bytes as u64;
    }

    /// What was sent to groups.
    pub fn multicast(&self, kind: Kind) -> Sum {
        self.multicast[kind as usize]
    }

    /// What was sent to single addresses.
    pub fn unicast(&self, kind: Kind) -> Sum {
        self.unicast[kind as usize]
    }

    /// Everything that was sent, to groups and to single addresses.
    pub fn totals(&self) -> (Sum, Sum) {
        let total = |sums: &[Sum]| Sum {
            datagrams: sums.iter().map(|sum| sum.datagrams).sum(),
            bytes: sums.iter().map(|sum| sum.bytes).sum(),
        };
        (total(&self.multicast), total(&self.unicast))
    }
}

impl std::ops::Sub for Tally {
    type Output = Self;

    /// What happened since `earlier`.
    fn sub(self, earlier: Self) -> Self {
        let less = |a: [Sum; Kind::ALL.len()], b: [Sum; Kind::ALL.len()]| {
            std::array::from_fn(|i| Sum {
                datagrams: a[i].datagrams.saturating_sub(b[i].datagrams),
                bytes: a[i].bytes.saturating_sub(b[i].bytes),
            })
        };
        Self {
            multicast: less(self.multicast, earlier.multicast),
            unicast: less(self.unicast, earlier.unicast),
            received: self.received.saturating_sub(earlier.received),
        }
    }
}
