//! What a command has said is to be confirmed, through the agent or by a node of its own: receipts
//! as they come, and what came of it in the end.

use std::time::{Duration, Instant};

use super::client::Lines;
use super::door::{Door, DoorError};
use super::inquiry::refused;
use super::objects::confirming::{self, Read};
use super::roll_call::{Confirmed, Receipt, RollCall};
use super::survey::Need;
use crate::node::{Node, Notice, Notices, Stopped};
use crate::values::ChannelName;

/// What is heard of it.
#[derive(Debug)]
pub(crate) enum Word {
    Receipt(Receipt),
    /// That was all.
    Over(Confirmed),
}

/// A confirmation under way.
#[derive(Debug)]
pub(crate) enum Confirmation<'a> {
    /// Of what the command's own node has said.
    Own(OwnConfirmation<'a>),
    /// Of what the agent has.
    Agent(Lines),
}

impl<'a> Confirmation<'a> {
    /// Has everyone in the channel confirm what was said there through this door. Receipts are waited
    /// for from the moment at which all of it has gone out.
    pub(crate) fn of(
        door: &'a Door,
        channel: &ChannelName,
        need: Need,
        wait: Duration,
    ) -> Result<Self, DoorError> {
        match door {
            Door::Own(node) => {
                let (notices, peers) = (node.subscribe()?, node.peers()?);
                let roll = RollCall::new(node.confirm(channel)?, need, &peers);
                let rolls = vec![roll.and_hearsay(&peers)];
                Ok(Self::Own(OwnConfirmation { node, notices, rolls, wait, until: None }))
            }
            Door::Agent(client) => Ok(Self::Agent(client.confirm(channel, need, wait)?)),
        }
    }

    /// What is heard next. After [`Word::Over`] there is nothing more.
    pub(crate) fn next(&mut self) -> Result<Word, DoorError> {
        match self {
            Self::Own(own) => Ok(own.next()?),
            Self::Agent(lines) => loop {
                let line = lines.next()?;
                match confirming::read(&line) {
                    Some(Read::Receipt(receipt)) => return Ok(Word::Receipt(receipt)),
                    Some(Read::Confirmed(confirmed)) => return Ok(Word::Over(confirmed)),
                    None => refused(&line)?,
                }
            },
        }
    }
}

/// A confirmation of what a node of the command's own has said, in one channel or in several.
#[derive(Debug)]
pub(crate) struct OwnConfirmation<'a> {
    node: &'a Node,
    notices: Notices,
    rolls: Vec<RollCall>,
    wait: Duration,
    /// Known once everything has gone out.
    until: Option<Instant>,
}

impl<'a> OwnConfirmation<'a> {
    /// Has everyone in these channels confirm what the node has said there, as far as they were heard
    /// themselves.
    pub(crate) fn of(
        node: &'a Node,
        channels: &[ChannelName],
        wait: Duration,
    ) -> Result<Self, Stopped> {
        let (notices, peers) = (node.subscribe()?, node.peers()?);
        let roll = |channel| Ok(RollCall::new(node.confirm(channel)?, Need::All, &peers));
        let rolls = channels.iter().map(roll).collect::<Result<_, _>>()?;
        Ok(Self { node, notices, rolls, wait, until: None })
    }

    /// See [`Confirmation::next`]; the end is that of all channels together.
    pub(crate) fn next(&mut self) -> Result<Word, Stopped> {
        loop {
            if self.rolls.iter().all(RollCall::has_begun) {
                self.until.get_or_insert_with(|| Instant::now() + self.wait);
            }
            let left = self.until.map(|until| until.saturating_duration_since(Instant::now()));
            if self.rolls.iter().all(RollCall::is_over) || left == Some(Duration::ZERO) {
                return self.end().map(Word::Over);
            }
            if let Some(Notice::Event(event)) = self.notices.next(left.unwrap_or(Duration::MAX))? {
                let receipt = self.rolls.iter_mut().find_map(|roll| roll.note(&event));
                if let Some(receipt) = receipt {
                    return Ok(Word::Receipt(receipt));
                }
            }
        }
    }

    fn end(&mut self) -> Result<Confirmed, Stopped> {
        let mut all = Confirmed::default();
        for roll in &self.rolls {
            self.node.forget(roll.ticket())?;
            let Confirmed { received, expected, missing } = roll.summary();
            all.received += received;
            all.expected += expected;
            let more = missing.into_iter().filter(|who| !all.missing.contains(who));
            let more: Vec<_> = more.collect();
            all.missing.extend(more);
        }
        Ok(all)
    }
}
