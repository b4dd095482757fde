//! What happened, line by line, for whoever has to find out why.

use std::fmt::Write;
use std::net::SocketAddr;

use super::host::NodeIndex;
use super::tally::Kind;
use crate::proto::{Destination, Event, PeerInfo};
use crate::values::Instant;
use crate::wire::{Datagram, Hearing, Packet};

/// A readable record of a world.
#[derive(Clone, Debug, Default)]
pub struct Trace {
    text: String,
}

impl Trace {
    /// What has been recorded.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// A remark of the scenario's.
    pub fn note(&mut self, now: Instant, what: &str) {
        self.line(now, &format!("---- {what}"));
    }

    pub(super) fn sent(&mut self, now: Instant, node: NodeIndex, packet: &Packet, to: Destination) {
        let to = match to {
            Destination::Group(group, _) => format!("{group} (all)"),
            Destination::Address(addr, link) => {
                format!("{addr}{}", link.map(|link| format!(" over {link}")).unwrap_or_default())
            }
        };
        self.line(now, &format!("n{} -> {to}: {}", node.0, describe(packet)));
    }

    pub(super) fn received(
        &mut self,
        now: Instant,
        node: NodeIndex,
        packet: &Packet,
        source: SocketAddr,
        via: Hearing,
    ) {
        let via = via.as_str();
        self.line(now, &format!("n{} <- {source} by {via}: {}", node.0, describe(packet)));
    }

    pub(super) fn event(&mut self, now: Instant, node: NodeIndex, event: &Event) {
        let peer = |word: &str, peer: &PeerInfo| {
            format!("{word} {} ({:?}, {:?})", peer.profile.nick.escaped(), peer.id, peer.path)
        };
        let what = match event {
            Event::Joined(info) => peer("joined", info),
            Event::Left(info) => peer("left", info),
            Event::Suspect(info) => peer("suspect", info),
            Event::Alive(info) => peer("alive", info),
            Event::Dead(info) => peer("dead", info),
            Event::Path(info) => peer(info.path.as_str(), info),
            Event::Status(info) => peer("status", info),
            Event::Message(message) => {
                let nick = message.nick.escaped();
                let text = message.text.escaped().to_string();
                let text: String = text.chars().take(40).collect();
                format!("message #{} from {nick}: {text}", message.seq)
            }
            other => format!("{other:?}"),
        };
        self.line(now, &format!("n{}  * {what}", node.0));
    }

    fn line(&mut self, now: Instant, what: &str) {
        let micros = now.as_micros();
        let (s, us) = (micros / 1_000_000, micros % 1_000_000);
        // Writing to a string can't fail.
        let _ = writeln!(self.text, "{s:4}.{us:06} {what}");
    }
}

/// A datagram in a few words.
fn describe(packet: &Packet) -> String {
    let mut text = format!("{} {}B", Kind::of(packet), packet.bytes().len());
    match packet.datagram() {
        Ok(Datagram::Presence(presence)) => {
            let _ = write!(
                text,
                " {:?} n={} knows {}/{:04x}",
                presence.from.id,
                presence.n,
                presence.summary.count,
                presence.summary.digest >> 48
            );
            for (word, number) in
                [("nonce", presence.nonce), ("re", presence.re), ("token", presence.token)]
            {
                if let Some(number) = number {
                    let _ = write!(text, " {word}={:04x}", number >> 48);
                }
            }
            if let Some(to) = presence.to {
                let _ = write!(text, " to={to:?}");
            }
            if let Some(hears) = presence.hears {
                let _ = write!(text, " hears={}", hears.as_str());
            }
            for logs in &presence.logs {
                let _ = write!(text, " {}:{}/{:04x}", logs.channel, logs.head, logs.digest >> 48);
            }
        }
        Ok(Datagram::Roster(page)) => {
            let _ = write!(text, " {} told, more={}", page.peers.len(), page.more);
        }
        Ok(Datagram::Entry(entry)) => {
            let id = entry.from.map(|from| from.id);
            let _ = write!(text, " {} of {id:?} seq={:?}", entry.channel, entry.seq);
        }
        Ok(Datagram::Head(head)) => {
            let _ = write!(text, " {} of {:?} seq={}", head.channel, head.from.id, head.seq);
        }
        Ok(Datagram::Want(want)) => {
            let (id, author, gaps) = (want.from.id, want.author, &want.gaps);
            let _ = write!(text, " {id:?} of {:?} try={}", author.id, want.attempt);
            for gap in gaps {
                let _ = write!(text, " {gap}");
            }
        }
        Ok(Datagram::Got(got)) => {
            let _ = write!(text, " {:?} of {:?} up to {}", got.from.id, got.author.id, got.seq);
        }
        Ok(Datagram::Recall(recall)) => {
            let _ = write!(text, " {:?} last {}", recall.from.id, recall.last);
        }
        Ok(Datagram::Logs(page)) => {
            let _ = write!(text, " of {:?}", page.from.id);
            for row in &page.logs {
                let _ = write!(text, " {:?}:{}..{}", row.author.id, row.from, row.to);
            }
        }
        Ok(Datagram::Probe(probe)) => {
            let _ = write!(text, " {:?} to={:?}", probe.from.id, probe.to);
            for (word, id) in [("via", probe.via), ("for", probe.on_behalf)] {
                if let Some(id) = id {
                    let _ = write!(text, " {word}={id:?}");
                }
            }
        }
        Ok(Datagram::Alive(alive)) => {
            let _ = write!(text, " {:?} through={:?}", alive.from.id, alive.through);
        }
        Ok(Datagram::Suspect(suspect)) => {
            let _ = write!(text, " {:?} of {:?}", suspect.from.id, suspect.of.id);
        }
        Ok(_) => {}
        Err(error) => {
            let _ = write!(text, " {error}");
        }
    }
    text
}
