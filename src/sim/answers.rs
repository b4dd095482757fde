//! Watches that nobody can be made to flood a third party: what goes to an address that has not
//! proven itself, as an answer, is never larger than the question.

use std::collections::{HashMap, HashSet};
use std::net::SocketAddr;

use super::host::NodeIndex;
use crate::values::{ChannelName, SmallMap};
use crate::wire::{Datagram, Packet, PresenceKind, Sender};

/// What is known of questions, and of addresses that have shown that they hear what is sent there.
///
/// Hash maps, because nothing here depends on their order.
#[derive(Debug, Default)]
pub(super) struct Answers {
    /// By the number in a question: who asked, and how many bytes long it was.
    questions: HashMap<u64, (Option<NodeIndex>, usize)>,
    /// By author and channel: bytes of the shortest datagram that asked for receipts.
    confirms: SmallMap<(Sender, ChannelName), usize>,
    /// By token: who gave it.
    tokens: HashMap<u64, NodeIndex>,
    /// The pairs of a node and an address that has proven itself to it.
    proven: HashSet<(NodeIndex, SocketAddr)>,
}

impl Answers {
    /// A node sends a datagram to one address.
    pub(super) fn sent(
        &mut self,
        node: NodeIndex,
        packet: &Packet,
        opened: &Packet,
        to: SocketAddr,
    ) -> Result<(), String> {
        let length = packet.bytes().len();
        self.note_question(Some(node), length, opened);
        if let Ok(Datagram::Presence(presence)) = opened.datagram()
            && let Some(token) = presence.token
            && presence.kind == PresenceKind::Here
        {
            self.tokens.insert(token, node);
        }
        if self.proven.contains(&(node, to)) {
            return Ok(());
        }
        match self.question(opened) {
            Some(question) if length > question => {
                Err(format!("{length} bytes to {to}, unproven, answer {question} bytes"))
            }
            _ => Ok(()),
        }
    }

    /// If a packet answers something, or may do so: bytes of what it answers, 0 if that is unknown.
    fn question(&self, opened: &Packet) -> Option<usize> {
        let asked = |re| self.questions.get(&re).map(|&(_, length)| length);
        let length = match opened.datagram() {
            Ok(Datagram::Presence(presence)) => asked(presence.re?),
            Ok(Datagram::Roster(page)) => asked(page.re),
            Ok(Datagram::Logs(page)) => asked(page.re),
            Ok(Datagram::Alive(alive)) => asked(alive.re),
            Ok(Datagram::Got(got)) => {
                self.confirms.get(&(got.author, got.channel.clone())).copied()
            }
            // A copy or a repair.
            Ok(Datagram::Entry(_)) => None,
            _ => return None,
        };
        Some(length.unwrap_or(0))
    }

    /// A datagram was sent to a group, or injected by the scenario.
    pub(super) fn note_question(
        &mut self,
        node: Option<NodeIndex>,
        length: usize,
        opened: &Packet,
    ) {
        let confirm = match opened.datagram() {
            Ok(Datagram::Entry(entry)) if entry.confirm => entry.from.zip(Some(&entry.channel)),
            Ok(Datagram::Head(head)) if head.confirm => Some((head.from, &head.channel)),
            _ => None,
        };
        if let Some((author, channel)) = confirm {
            let shortest = self.confirms.entry((author, channel.clone())).or_insert(length);
            *shortest = length.min(*shortest);
        }
        let nonce = match opened.datagram() {
            Ok(Datagram::Presence(presence)) => presence.nonce,
            Ok(Datagram::Ask(ask)) => Some(ask.nonce),
            Ok(Datagram::Recall(recall)) => Some(recall.nonce),
            Ok(Datagram::Probe(probe)) => Some(probe.nonce),
            _ => None,
        };
        if let Some(nonce) = nonce {
            let question = self.questions.entry(nonce).or_insert((node, length));
            // The same question may go out in several lengths; the shortest is what counts.
            question.1 = question.1.min(length);
        }
    }

    /// A datagram reached a node: it may prove where it came from.
    pub(super) fn received(&mut self, node: NodeIndex, opened: &Packet, source: SocketAddr) {
        let proof = match opened.datagram() {
            Ok(Datagram::Presence(presence)) if presence.kind == PresenceKind::Hello => {
                presence.token.is_some_and(|token| self.tokens.get(&token) == Some(&node))
            }
            Ok(Datagram::Presence(presence)) => presence.re.is_some_and(|re| self.asked(re, node)),
            Ok(Datagram::Roster(page)) => self.asked(page.re, node),
            Ok(Datagram::Ask(ask)) => self.tokens.get(&ask.token) == Some(&node),
            Ok(Datagram::Recall(recall)) => self.tokens.get(&recall.token) == Some(&node),
            _ => false,
        };
        if proof {
            self.proven.insert((node, source));
        }
    }

    /// Whether a packet may prove where it came from, as far as it can be seen without knowing more.
    pub(super) fn may_prove(opened: &Packet) -> bool {
        match opened.datagram() {
            Ok(Datagram::Presence(presence)) => match presence.kind {
                PresenceKind::Hello => presence.token.is_some(),
                PresenceKind::Here => presence.re.is_some(),
            },
            Ok(Datagram::Roster(_) | Datagram::Ask(_) | Datagram::Recall(_)) => true,
            _ => false,
        }
    }

    fn asked(&self, nonce: u64, node: NodeIndex) -> bool {
        self.questions.get(&nonce).is_some_and(|&(asker, _)| asker == Some(node))
    }
}
