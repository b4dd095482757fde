//! What must never happen, watched from outside the nodes in every scenario.
//!
//! The checker believes no engine: it keeps its own account of who was started, what was said and
//! what every node has told its user. What it finds is kept, so that a scenario goes on and shows
//! all of it; [`Checker::verdict`] is asked at the end.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::net::SocketAddr;

use super::answers::Answers;
use super::host::NodeIndex;
use crate::proto::{Destination, Engine, Event, Message, Outgoing};
use crate::values::{ChannelName, Epoch, Instant, NodeId, SmallMap, SmallSet, filled, limits};
use crate::wire::Packet;

/// What one node has told its user in its present run.
#[derive(Debug, Default)]
struct Account {
    id: Option<NodeId>,
    /// Peers that have joined and not gone; whether they are suspect.
    present: SmallMap<NodeId, bool>,
    /// How often each message was delivered.
    delivered: HashMap<u64, u32>,
    /// The number of the last message of each log that was shown.
    shown: SmallMap<(NodeId, Epoch, ChannelName), u64>,
    /// Of whose log something was reported as lost.
    gaps: BTreeSet<NodeId>,
    /// Peers that have come to their end with a question, by its ticket.
    ended: SmallSet<(u64, NodeId)>,
    received: u64,
    received_bytes: u64,
    ticks: (u64, u32),
}

/// Outputs that one input may cause. A roster of 10,000 peers may be greeted at once.
const OUTPUTS: usize = 40_000;

/// Times that an engine may want to be woken within one millisecond.
const TICKS: u32 = 200;

/// Findings that are kept.
const FINDINGS: usize = 20;

/// The watcher of a world.
#[derive(Debug, Default)]
pub struct Checker {
    accounts: Vec<Account>,
    visitors: BTreeSet<NodeId>,
    /// What was really said, and how often.
    said: HashMap<u64, u32>,
    answers: Answers,
    findings: Vec<String>,
    /// Gaps that were reported.
    pub gaps: u64,
    /// Set where a scenario forges what a node would not say: unsigned messages are then believed
    /// to come from anyone, and signed ones from keys that no node has.
    pub forgeries: bool,
    /// Set where an identity is used twice, so that what belongs to whom can't be told.
    pub clones: bool,
    /// See [`super::World::quick`].
    pub(super) quick: bool,
}

impl Checker {
    /// What was found.
    pub fn verdict(&self) -> Result<(), String> {
        match self.findings.first() {
            None => Ok(()),
            Some(first) if self.findings.len() == 1 => Err(first.clone()),
            Some(first) => Err(format!("{first} (and {} more)", self.findings.len() - 1)),
        }
    }

    pub(super) fn find(&mut self, now: Instant, node: NodeIndex, what: &str) {
        if self.findings.len() < FINDINGS {
            let at = now.as_micros() as f64 / 1e6;
            self.findings.push(format!("at {at:.6} s, node {}: {what}", node.0));
        }
    }

    fn account(&mut self, node: NodeIndex) -> &mut Account {
        if self.accounts.len() <= node.0 {
            self.accounts.resize_with(node.0 + 1, Account::default);
        }
        &mut self.accounts[node.0]
    }

    pub(super) fn started(&mut self, node: NodeIndex, id: NodeId, visitor: bool) {
        if visitor {
            self.visitors.insert(id);
        }
        *self.account(node) = Account { id: Some(id), ..Account::default() };
    }

    pub(super) fn ended(&mut self, node: NodeIndex) {
        *self.account(node) = Account::default();
    }

    /// Whether a node has reported that something of an author's is lost to it.
    pub fn misses(&self, node: NodeIndex, author: NodeId) -> bool {
        self.accounts.get(node.0).is_some_and(|account| account.gaps.contains(&author))
    }

    pub(super) fn said(
        &mut self,
        from: NodeId,
        epoch: Epoch,
        channel: Option<&ChannelName>,
        what: &Outgoing,
    ) {
        let data = what.data.as_ref().map(crate::values::Json::as_str);
        let said = (from, epoch, channel, what.at.0, what.text.as_str(), data, what.level);
        *self.said.entry(hash(&said)).or_default() += 1;
    }

    pub(super) fn sent(
        &mut self,
        node: NodeIndex,
        now: Instant,
        packet: &Packet,
        opened: &Packet,
        to: Destination,
    ) {
        let length = packet.bytes().len();
        if length > limits::DATAGRAM {
            self.find(now, node, &format!("sends {length} bytes"));
        }
        match to {
            Destination::Group(..) => self.answers.note_question(Some(node), length, opened),
            Destination::Address(to, _) => {
                if let Err(what) = self.answers.sent(node, packet, opened, to) {
                    self.find(now, node, &what);
                }
            }
        }
    }

    pub(super) fn injected(&mut self, packet: &Packet) {
        self.answers.note_question(None, packet.bytes().len(), packet);
    }

    pub(super) fn received(
        &mut self,
        node: NodeIndex,
        packet: &Packet,
        opened: &Packet,
        source: SocketAddr,
    ) {
        self.prove(node, opened, source);
        self.count(node, 1, packet.bytes().len() as u64);
    }

    /// So many datagrams, of so many bytes, have reached a node.
    pub(super) fn count(&mut self, node: NodeIndex, datagrams: u64, bytes: u64) {
        let account = self.account(node);
        account.received += datagrams;
        account.received_bytes += bytes;
    }

    /// What has reached a node may prove where it came from.
    pub(super) fn prove(&mut self, node: NodeIndex, opened: &Packet, source: SocketAddr) {
        self.answers.received(node, opened, source);
    }

    /// An engine is woken because it wanted to be.
    pub(super) fn ticked(&mut self, node: NodeIndex, now: Instant) {
        let millisecond = now.as_micros() / 1_000;
        let (last, count) = &mut self.account(node).ticks;
        if *last != millisecond {
            (*last, *count) = (millisecond, 0);
        }
        *count += 1;
        if *count == TICKS {
            self.find(now, node, "wants to be woken again and again");
        }
    }

    /// An engine has been drained.
    pub(super) fn drained(&mut self, node: NodeIndex, now: Instant, wake: Instant, outputs: usize) {
        if let Some(what) = finds_in_drain(now, wake, outputs) {
            self.find(now, node, &what);
        }
    }

    pub(super) fn event(&mut self, node: NodeIndex, now: Instant, event: &Event) {
        let finding = match event {
            Event::Message(message) => self.message(node, message),
            Event::Joined(peer) => self.joined(node, peer.id),
            Event::Left(peer) | Event::Dead(peer) => {
                let was = self.account(node).present.remove(&peer.id);
                (was.is_none() && !self.quick)
                    .then(|| format!("{:?} has gone and was not there", peer.id))
            }
            Event::Gap { author, .. } => {
                self.account(node).gaps.insert(*author);
                self.gaps += 1;
                None
            }
            Event::Suspect(peer) => self.suspect(node, peer.id, true),
            Event::Alive(peer) => self.suspect(node, peer.id, false),
            Event::Answer(answer) => {
                let over = self.account(node).ended.contains(&(answer.ticket, answer.from));
                over.then(|| format!("an answer of {:?} after its last", answer.from))
            }
            Event::AnswerEnd { ticket, from, .. } => {
                let new = self.account(node).ended.insert((*ticket, *from));
                (!new).then(|| format!("{from:?} has answered for the last time twice"))
            }
            Event::Renamed { peer, .. }
            | Event::Moved { peer, .. }
            | Event::Status(peer)
            | Event::Path(peer) => {
                let present = self.account(node).present.contains_key(&peer.id);
                (!present && !self.quick)
                    .then(|| format!("news of {:?}, who is not there", peer.id))
            }
            _ => None,
        };
        if let Some(finding) = finding {
            self.find(now, node, &finding);
        }
    }

    fn joined(&mut self, node: NodeIndex, id: NodeId) -> Option<String> {
        if !self.clones && self.visitors.contains(&id) {
            return Some(format!("lists the visitor {id:?}"));
        }
        let quick = self.quick;
        let account = self.account(node);
        if account.id == Some(id) {
            return Some("lists itself".to_owned());
        }
        if quick {
            return None;
        }
        let was = account.present.insert(id, false);
        was.is_some().then(|| format!("{id:?} has joined twice"))
    }

    fn suspect(&mut self, node: NodeIndex, id: NodeId, now_suspect: bool) -> Option<String> {
        if self.quick {
            return None;
        }
        match self.account(node).present.get_mut(&id) {
            Some(suspect) if *suspect != now_suspect => {
                *suspect = now_suspect;
                None
            }
            Some(_) => Some(format!("{id:?} is suspect, or is not, twice")),
            None => Some(format!("{id:?} is suspect, or is not, and was never there")),
        }
    }

    fn message(&mut self, node: NodeIndex, message: &Message) -> Option<String> {
        let Some(from) = message.from else {
            return message.verified.then(|| "a verified message of nobody's".to_owned());
        };
        let is_node = |id| self.accounts.iter().any(|account| account.id == Some(id));
        if self.forgeries && !(message.verified && is_node(from)) {
            return None;
        }
        let channel = message.channel.as_ref();
        let at = message.at.map_or(0, |at| at.0);
        let data = message.data.as_ref().map(crate::values::Json::as_str);
        let (text, level) = (message.text.raw(), message.level);
        let key = hash(&(from, message.epoch, channel, at, text, data, level));
        let said = self.said.get(&key).copied().unwrap_or_default();
        let account = self.account(node);
        let mut disorder = None;
        if let (Some(channel), true, false) = (channel, message.verified, message.history) {
            let log = (from, message.epoch, channel.clone());
            let last = account.shown.insert(log, message.seq).unwrap_or(0);
            disorder = (message.seq <= last)
                .then(|| format!("{from:?}'s message {} was shown after {last}", message.seq));
        }
        if disorder.is_some() {
            return disorder;
        }
        let delivered = account.delivered.entry(key).or_default();
        *delivered += 1;
        let text: String = text.chars().take(30).collect();
        if said == 0 {
            return Some(format!("“{text}” was never said"));
        }
        (*delivered > said).then(|| format!("“{text}” was delivered {delivered} times"))
    }

    /// Looks at a node as a whole.
    pub(super) fn look(&mut self, node: NodeIndex, now: Instant, engine: &Engine) {
        let counters = engine.counters();
        let clones = self.clones;
        let visitors = std::mem::take(&mut self.visitors);
        let mut findings = Vec::new();
        let known: BTreeSet<NodeId> =
            if self.quick { BTreeSet::new() } else { filled(engine.peer_ids()) };
        let account = self.account(node);
        for &id in &known {
            if Some(id) == account.id {
                findings.push("lists itself".to_owned());
            }
            if !clones && visitors.contains(&id) {
                findings.push(format!("lists the visitor {id:?}"));
            }
        }
        if !clones && account.present.keys().any(|id| !known.contains(id)) {
            findings.push("has lost a peer without a word".to_owned());
        }
        if engine.peer_count() > limits::PEERS {
            findings.push(format!("knows {} peers", engine.peer_count()));
        }
        let (counted, bytes) = (counters.datagrams_in, counters.bytes_in);
        if (counted, bytes) != (account.received, account.received_bytes) {
            findings.push(format!("counts {counted} datagrams, {} arrived", account.received));
        }
        let classified: u64 = counters
            .rows()
            .iter()
            .filter(|(name, _)| !NOT_OF_ONE_DATAGRAM.contains(name))
            .map(|(_, count)| count)
            .sum();
        if classified > counters.datagrams_in * 2 {
            findings.push(format!("has counted {classified} things in {counted} datagrams"));
        }
        self.visitors = visitors;
        for finding in findings {
            self.find(now, node, &finding);
        }
    }
}

/// Counters that a single datagram can raise by more than one, or none raises.
const NOT_OF_ONE_DATAGRAM: [&str; 7] =
    ["datagrams_in", "datagrams_out", "bytes_in", "bytes_out", "repairs", "repeats", "given_up"];

/// What is wrong with an engine that has been drained, if anything is.
pub(super) fn finds_in_drain(now: Instant, wake: Instant, outputs: usize) -> Option<String> {
    if wake <= now {
        return Some(format!("wants to be woken at {wake:?}"));
    }
    (outputs > OUTPUTS).then(|| format!("{outputs} outputs for one input"))
}

fn hash(value: &impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
