//! How a command reaches the LAN: through the agent, or by a node of its own. To the command both are
//! the same.

use std::net::IpAddr;

use super::client::{Client, ClientError};
use super::objects::Clocks;
use crate::net::Clock;
use crate::node::{Node, Notices, Stats, Stopped};
use crate::proto::{Outgoing, PeerInfo};
use crate::values::{ChannelName, NodeId};
use crate::wire::Profile;

/// Why something could not be done; the messages say what to do about it.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum DoorError {
    /// The command's own node has stopped.
    #[error(transparent)]
    Stopped(#[from] Stopped),
    /// The agent has, or it refused.
    #[error(transparent)]
    Agent(#[from] ClientError),
}

/// A way to the LAN.
#[derive(Debug)]
pub(crate) enum Door {
    /// A node of the command's own.
    Own(Node),
    /// The agent.
    Agent(Client),
}

impl Door {
    pub(crate) fn id(&self) -> NodeId {
        match self {
            Self::Own(node) => node.id(),
            Self::Agent(client) => client.id(),
        }
    }

    /// The agent's nick, where it is not the command that has one.
    pub(crate) fn agents_nick(&self) -> Option<&str> {
        match self {
            Self::Own(_) => None,
            Self::Agent(client) => Some(&client.about().nick),
        }
    }

    pub(crate) fn links(&self) -> Result<Vec<(String, IpAddr)>, DoorError> {
        match self {
            Self::Own(node) => Ok(node.links()?),
            Self::Agent(client) => Ok(client.links()),
        }
    }

    /// Why nothing is heard any more, once that is so: an agent that still answers has not ended.
    pub(crate) fn why_silent(&self) -> String {
        match self {
            Self::Own(_) => Stopped.to_string(),
            Self::Agent(client) if client.settle().is_ok() => {
                "the agent has cut this command off, since nothing was read for 10 s".to_owned()
            }
            Self::Agent(_) => "the agent has ended".to_owned(),
        }
    }

    /// What the command's own node has counted.
    pub(crate) fn stats(&self) -> Option<Stats> {
        match self {
            Self::Own(node) => node.stats().ok(),
            Self::Agent(_) => None,
        }
    }

    /// What happens from now on; for a node of one's own in all of its channels.
    pub(crate) fn subscribe(&self) -> Result<Notices, DoorError> {
        match self {
            Self::Own(node) => Ok(node.subscribe()?),
            Self::Agent(client) => Ok(client.subscribe(&[], false, 0)?),
        }
    }

    pub(crate) fn join(&self, channel: &ChannelName) -> Result<(), DoorError> {
        match self {
            Self::Own(node) => Ok(node.join(channel)?),
            Self::Agent(client) => Ok(client.membership("join", channel)?),
        }
    }

    pub(crate) fn leave(&self, channel: &ChannelName) -> Result<(), DoorError> {
        match self {
            Self::Own(node) => Ok(node.leave(channel)?),
            Self::Agent(client) => Ok(client.membership("leave", channel)?),
        }
    }

    pub(crate) fn say(&self, channel: &ChannelName, what: Outgoing) -> Result<(), DoorError> {
        match self {
            Self::Own(node) => Ok(node.say(channel, what)?),
            Self::Agent(client) => Ok(client.say(channel, what, false)?),
        }
    }

    pub(crate) fn cast(&self, channel: &ChannelName, what: Outgoing) -> Result<(), DoorError> {
        match self {
            Self::Own(node) => Ok(node.cast(channel, what)?),
            Self::Agent(client) => Ok(client.say(channel, what, true)?),
        }
    }

    pub(crate) fn tell(&self, to: NodeId, what: Outgoing) -> Result<u64, DoorError> {
        match self {
            Self::Own(node) => Ok(node.tell(to, what)?),
            Self::Agent(client) => Ok(client.tell(to, what)?),
        }
    }

    /// Answers others' questions from now on; they come as notices.
    pub(crate) fn answering(&self) -> Result<Notices, DoorError> {
        match self {
            Self::Own(node) => {
                let notices = node.subscribe()?;
                node.set_answering(true)?;
                Ok(notices)
            }
            Self::Agent(client) => Ok(client.answering()?),
        }
    }

    /// Answers a question; without `what`, gives no answer, or no more.
    pub(crate) fn reply(
        &self,
        question: u64,
        what: Option<Outgoing>,
        exit: Option<i32>,
        last: bool,
    ) -> Result<(), DoorError> {
        match (self, what) {
            (Self::Own(node), Some(what)) => Ok(node.answer(question, what, exit, last)?),
            (Self::Own(node), None) => Ok(node.pass(question)?),
            (Self::Agent(client), what) => Ok(client.reply(question, what, exit, last)?),
        }
    }

    pub(crate) fn set_profile(&self, profile: Profile) -> Result<(), DoorError> {
        match self {
            Self::Own(node) => Ok(node.set_profile(profile)?),
            Self::Agent(client) => Ok(client.set_profile(&profile)?),
        }
    }

    pub(crate) fn peers(&self) -> Result<Vec<PeerInfo>, DoorError> {
        match self {
            Self::Own(node) => Ok(node.peers()?),
            Self::Agent(client) => Ok(client.peers()?),
        }
    }

    pub(crate) fn clocks(&self) -> Clocks {
        match self {
            Self::Own(node) => Clocks::new(node.now(), Clock::wall()),
            Self::Agent(client) => client.clocks(),
        }
    }

    /// Waits until everything that was said is on its way, as far as the agent is concerned. Returns
    /// how many peers are here.
    pub(crate) fn settle(&self) -> Result<usize, DoorError> {
        match self {
            Self::Own(node) => Ok(node.peers()?.len()),
            Self::Agent(client) => Ok(client.settle()?),
        }
    }

    /// Lets a node of the command's own say goodbye; the agent stays.
    pub(crate) fn stop(self) {
        match self {
            Self::Own(node) => node.stop(),
            // If it is gone there is nothing to give back.
            Self::Agent(client) => drop(client.restore()),
        }
    }
}
