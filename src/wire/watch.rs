//! `probe`, `alive` and `suspect`: whether a peer is still there, and the word that it may not be.
//!
//! *(After Das, Gupta and Motivala, "SWIM: Scalable Weakly-consistent Infection-style Process Group
//! Membership Protocol", 2002: probes, and probes through others.)*
//!
//! ```text
//! watcher  {"type":"probe",…,"to":A,"nonce":N}              are you there?
//! A        {"type":"alive",…,"re":N}                        yes
//! watcher  {"type":"probe",…,"to":A,"nonce":N,"via":R}      R, ask A for me
//! R        {"type":"alive",…,"re":N}                        I will
//! R        {"type":"probe",…,"to":A,"nonce":N,"for":W}      A, W wants to know whether you are there
//! A        {"type":"alive",…,"re":N,"to":W,…,"sig":…}       yes; R passes it on as it is
//! watcher  {"type":"suspect",…,"peer":A,"run":E,"sig":…}    A does not answer, to all
//! ```
//!
//! What goes between two nodes alone is not signed: who sends back a number that was drawn by chance is
//! where that went. What passes through others is.

use std::time::Duration;

use super::Sender;
use super::object::Object;
use super::sign::Identity;
use crate::values::{NodeId, limits};

/// `probe`: whether somebody is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Probe {
    /// Who sends it, by its own word.
    pub from: Sender,
    /// Who is to answer.
    pub to: NodeId,
    /// To be sent back.
    pub nonce: u64,
    /// Who is to pass it on to [`Probe::to`], if it is not sent there itself.
    pub via: Option<NodeId>,
    /// On whose behalf the sender asks, if not its own.
    pub on_behalf: Option<NodeId>,
}

impl Probe {
    /// Writes it. It is not shorter than any answer to it.
    pub fn encode(&self) -> Vec<u8> {
        let mut object = Object::datagram("probe");
        object.shown("id", self.from.id).json("epoch", self.from.epoch);
        object.shown("to", self.to).hex("nonce", self.nonce);
        if let Some(via) = self.via {
            object.shown("via", via);
        }
        if let Some(on_behalf) = self.on_behalf {
            object.shown("for", on_behalf);
        }
        if self.via.is_some() || self.on_behalf.is_some() {
            object.pad_unsigned(limits::PROBE_FOR_ANOTHER);
        }
        object.close().into_bytes()
    }
}

/// `alive`: the answer to a [`Probe`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Alive {
    /// Who answers.
    pub from: Sender,
    /// The nonce of the probe.
    pub re: u64,
    /// Whether the one who asks is unknown here, or not at this address: it has to introduce itself by a `hello`.
    pub stranger: bool,
    /// How long ago another node's probe came, to the millisecond; where those who watch it ask in turn.
    pub ago: Option<Duration>,
    /// Set in an answer to one who asks through another: who that is, and whether its own probes have
    /// come here. Such an answer is signed.
    pub through: Option<(NodeId, bool)>,
}

impl Alive {
    /// Writes it, and signs it if it is to pass through another.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("alive");
        object.shown("id", self.from.id).json("epoch", self.from.epoch).hex("re", self.re);
        match self.through {
            None => {
                if self.stranger {
                    object.json("stranger", true);
                }
                if let Some(ago) = self.ago {
                    object.json("ago", ago.as_millis());
                }
                object.close().into_bytes()
            }
            Some((to, heard)) => {
                object.shown("to", to).json("heard", heard);
                object.sign(identity)
            }
        }
    }
}

/// `suspect`: a peer does not answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Suspect {
    /// Who says so.
    pub from: Sender,
    /// The number of this word among the sender's announcements.
    pub n: u64,
    /// Who does not answer, in which run.
    pub of: Sender,
}

impl Suspect {
    /// Writes and signs it.
    pub fn encode(&self, identity: &Identity) -> Vec<u8> {
        let mut object = Object::datagram("suspect");
        object.shown("id", self.from.id).json("epoch", self.from.epoch).json("n", self.n);
        object.shown("peer", self.of.id).json("run", self.of.epoch);
        object.sign(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_answer_is_longer_than_its_question() {
        let identity = Identity::from_secret([3; 32]);
        let from = Sender { id: identity.id(), epoch: u64::MAX };
        let to = Some(from.id);
        let own = Probe { from, to: from.id, nonce: 1, via: None, on_behalf: None };
        let short = Sender { epoch: 0, ..from };
        let ago = Some(Duration::from_secs(86_400));
        let plain = Alive { from, re: 1, stranger: true, ago, through: None }.encode(&identity);
        let passed = Alive { from, re: 1, stranger: false, ago, through: Some((from.id, false)) }
            .encode(&identity);
        assert!(plain.len() <= Probe { from: short, ..own }.encode().len());
        for probe in [Probe { via: to, ..own }, Probe { on_behalf: to, ..own }] {
            let length = Probe { from: short, ..probe }.encode().len();
            // Who passes it on has to answer for itself, too.
            assert!(plain.len().max(passed.len()) <= length, "{length}");
        }
    }
}
