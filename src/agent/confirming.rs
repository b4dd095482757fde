//! The agent between those who want to know what has arrived, and the LAN.
//!
//! What is confirmed is everything that the agent has said in a channel, for whomever: that is the
//! order in which its peers get it. Only who asked is told.

use std::time::Duration;

use super::objects::confirming as objects;
use super::protocol::Reply;
use super::roll_call::RollCall;
use super::server::Server;
use super::survey::Need;
use crate::proto::Event;
use crate::values::{ChannelName, Instant, SmallMap, limits};

/// A client that waits for receipts.
#[derive(Debug)]
struct Waiting {
    client: usize,
    /// The client's number for its request.
    n: Option<u64>,
    roll: RollCall,
    wait: Duration,
    /// Known once everything has gone out.
    until: Instant,
}

/// Those who wait, by ticket.
#[derive(Debug, Default)]
pub(super) struct Confirming(SmallMap<u64, Waiting>);

impl Confirming {
    /// When a client has waited long enough.
    pub(super) fn next(&self) -> Instant {
        self.0.values().map(|waiting| waiting.until).min().unwrap_or(Instant::NEVER)
    }
}

impl Server {
    /// Has everyone in a channel confirm what was said there.
    pub(super) fn confirm(
        &mut self,
        client: usize,
        n: Option<u64>,
        channel: &ChannelName,
        (need, wait): (Need, Duration),
    ) -> Result<Reply, String> {
        if self.confirming.0.len() >= limits::CONFIRMS {
            return Err(format!("{} confirmations are waited for already", limits::CONFIRMS));
        }
        let peers = self.node.peers();
        let ticket = self.node.confirm(channel);
        let roll = RollCall::new(ticket, need, &peers).and_hearsay(&peers);
        let waiting = Waiting { client, n, roll, wait, until: Instant::NEVER };
        self.confirming.0.insert(ticket, waiting);
        Ok(Reply::done(n))
    }

    /// What receipts have to do with an event of the node's.
    pub(super) fn note_confirming(&mut self, event: &Event) {
        let now = self.node.now();
        let mut receipts = Vec::new();
        for (_, waiting) in &mut self.confirming.0 {
            if let Some(receipt) = waiting.roll.note(event) {
                receipts.push((waiting.client, objects::receipt(&receipt, waiting.n) + "\n"));
            }
            if waiting.roll.has_begun() && waiting.until == Instant::NEVER {
                waiting.until = now + waiting.wait;
            }
        }
        for (client, line) in receipts {
            if let Some(session) = self.session(client) {
                session.tell(&line.into_bytes().into(), now);
            }
        }
    }

    /// Tells those what has come of it who have nothing to wait for any more.
    pub(super) fn confirm_due(&mut self) {
        let now = self.node.now();
        let over = |waiting: &Waiting| waiting.roll.is_over() || waiting.until <= now;
        let over = self.confirming.0.iter().filter(|(_, waiting)| over(waiting));
        let over: Vec<u64> = over.map(|(&ticket, _)| ticket).collect();
        for ticket in over {
            let Some(waiting) = self.confirming.0.remove(&ticket) else { continue };
            self.node.forget(ticket);
            let line = objects::confirmed(&waiting.roll.summary(), waiting.n) + "\n";
            if let Some(session) = self.session(waiting.client) {
                session.send(line);
            }
        }
    }

    /// A client is gone: nobody waits for its receipts.
    pub(super) fn forget_confirming(&mut self, client: usize) {
        let node = &mut self.node;
        self.confirming.0.retain(|&ticket, waiting| {
            if waiting.client == client {
                node.forget(ticket);
            }
            waiting.client != client
        });
    }
}
