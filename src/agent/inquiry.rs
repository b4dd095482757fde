//! A question that a command asks, through the agent or by a node of its own: answers as they come,
//! and what came of it in the end.

use std::time::Instant;

use super::client::{Client, ClientError, Lines};
use super::door::{Door, DoorError};
use super::filter::Filter;
use super::objects::asking::{self, Read};
use super::objects::{Clocks, read};
use super::protocol::{Line, Reply};
use super::survey::{Need, Summary, Survey};
use crate::net::Clock;
use crate::node::{Node, Notice, Notices};
use crate::proto::{Answer, Event, Outgoing};
use crate::values::NodeId;

/// What is asked, and whose answers are wanted.
#[derive(Debug)]
pub(crate) struct Wanted {
    /// One peer.
    pub(crate) to: Option<NodeId>,
    /// All that fit.
    pub(crate) filter: Filter,
    pub(crate) what: Outgoing,
    pub(crate) need: Need,
    /// Until when answers are waited for.
    pub(crate) until: Instant,
}

/// What is heard of it.
#[derive(Debug)]
pub(crate) enum Heard {
    Answer(Answer),
    /// The command reads too slowly: so many notices were thrown away, answers among them perhaps.
    Missed(u64),
    /// That was all.
    Over(Summary),
}

/// A question under way.
#[derive(Debug)]
pub(crate) enum Inquiry<'a> {
    /// The command's own node has put it.
    Own { node: &'a Node, notices: Notices, ticket: u64, survey: Survey, until: Instant },
    /// The agent has.
    Agent(Lines),
}

impl<'a> Inquiry<'a> {
    /// Puts the question to those who are known.
    pub(crate) fn put(door: &'a Door, wanted: Wanted) -> Result<Self, DoorError> {
        match door {
            Door::Own(node) => {
                let peers = node.peers()?.into_iter();
                let asked = peers.filter(|peer| match wanted.to {
                    Some(to) => peer.id == to,
                    None => wanted.filter.fits(&peer.profile),
                });
                let asked = asked.map(|peer| (peer.id, peer.profile.nick.clone()));
                let survey = Survey::new(wanted.need, asked);
                let notices = node.subscribe()?;
                let ticket = node.ask(survey.ids(), wanted.what)?;
                Ok(Self::Own { node, notices, ticket, survey, until: wanted.until })
            }
            Door::Agent(client) => Ok(Self::Agent(through(client, wanted)?)),
        }
    }

    /// What is heard next. After [`Heard::Over`] there is nothing more.
    pub(crate) fn next(&mut self) -> Result<Heard, DoorError> {
        match self {
            Self::Own { node, notices, ticket, survey, until } => loop {
                let left = until.saturating_duration_since(Instant::now());
                if survey.is_over() || left.is_zero() {
                    node.forget(*ticket)?;
                    return Ok(Heard::Over(survey.summary()));
                }
                match notices.next(left)? {
                    Some(Notice::Event(Event::Answer(answer))) if answer.ticket == *ticket => {
                        survey.answer(answer.from);
                        return Ok(Heard::Answer(answer));
                    }
                    Some(Notice::Event(Event::AnswerEnd { ticket: of, from, end }))
                        if of == *ticket =>
                    {
                        survey.end(from, end);
                    }
                    Some(Notice::Missed(count)) => return Ok(Heard::Missed(count)),
                    _ => {}
                }
            },
            Self::Agent(lines) => loop {
                let line = lines.next()?;
                match asking::read(&line) {
                    Some(Read::Answer(answer)) => return Ok(Heard::Answer(answer)),
                    Some(Read::Answered(summary)) => return Ok(Heard::Over(summary)),
                    Some(Read::Question(_)) | None => {
                        let clocks = Clocks::new(crate::values::Instant::ZERO, Clock::wall());
                        if let Some(Notice::Missed(count)) = read::notice(&line, clocks) {
                            return Ok(Heard::Missed(count));
                        }
                        refused(&line)?;
                    }
                }
            },
        }
    }
}

fn through(client: &Client, wanted: Wanted) -> Result<Lines, ClientError> {
    let wait = wanted.until.saturating_duration_since(Instant::now());
    let need = wanted.need.to_string();
    let tags = wanted.filter.tags();
    let line = Line {
        to: wanted.to.map(|id| id.to_string()),
        tags: Some(tags).filter(|tags| !tags.is_empty()),
        need: Some(need).filter(|need| !need.is_empty()),
        wait_ms: Some(u64::try_from(wait.as_millis()).unwrap_or(u64::MAX)),
        ..Line::saying("ask", wanted.what)
    };
    client.stream(&line, wait)
}

/// The agent says no in a reply.
pub(super) fn refused(line: &str) -> Result<(), ClientError> {
    match serde_json::from_slice::<Reply>(line.as_bytes()) {
        Ok(Reply { ok: false, error, .. }) => {
            Err(ClientError::Refused(error.unwrap_or_else(|| "it gives no reason".to_owned())))
        }
        _ => Ok(()),
    }
}
