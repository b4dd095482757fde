//! The agent between those who ask, those who answer, and the LAN.
//!
//! ```text
//!   client: ask ──▶ node ──▶ peers          peers ──question──▶ node ──▶ each client that answers
//!   client ◀── answers, summary             peers ◀──answers─── node ◀── reply
//! ```
//!
//! A question goes to every client that answers; the last of them to reply, to pass or to vanish
//! closes it. The agent's own clients are asked as well: they are as good as any peer.

use std::sync::Arc;

use super::objects::asking as objects;
use super::protocol::{self, Reply, What};
use super::requests::{addressee, outgoing};
use super::server::Server;
use super::survey::{Survey, Who};
use crate::proto::{Answer, AnswerEnd, Event, Question};
use crate::values::{Instant, NodeId, SmallMap, SmallSet, limits};

/// A client's question under way.
#[derive(Debug)]
struct Inquiry {
    client: usize,
    /// The client's number for its request.
    n: Option<u64>,
    survey: Survey,
    until: Instant,
}

/// What the agent remembers of questions.
#[derive(Debug, Default)]
pub(super) struct Asking {
    /// The clients that answer.
    answerers: SmallSet<usize>,
    /// Others' questions, each with the clients that have not done with it.
    open: SmallMap<u64, SmallSet<usize>>,
    /// The clients' questions, by ticket.
    asked: SmallMap<u64, Inquiry>,
}

impl Asking {
    /// When a client has waited long enough.
    pub(super) fn next(&self) -> Instant {
        self.asked.values().map(|inquiry| inquiry.until).min().unwrap_or(Instant::NEVER)
    }
}

impl Server {
    /// Puts a client's question.
    pub(super) fn ask(
        &mut self,
        client: usize,
        n: Option<u64>,
        inquiry: protocol::Inquiry,
    ) -> Result<Reply, String> {
        if self.asking.asked.len() >= limits::ASKED {
            return Err(format!("{} questions wait for answers already", limits::ASKED));
        }
        let peers = self.node.peers();
        let protocol::Inquiry { to, filter, what, need, wait } = inquiry;
        let asked: Vec<Who> = if let Some(to) = to {
            let peer = addressee(&peers, &to)?;
            vec![(peer.id, peer.profile.nick.clone())]
        } else {
            let fitting = peers.iter().filter(|peer| filter.fits(&peer.profile));
            let ours = !self.asking.answerers.is_empty() && filter.fits(&self.profile);
            let ours = ours.then(|| (self.node.id(), self.profile.nick.clone()));
            fitting.map(|peer| (peer.id, peer.profile.nick.clone())).chain(ours).collect()
        };
        let survey = Survey::new(need, asked);
        let to = survey.ids();
        let count = Some(to.len());
        let until = self.node.now() + wait;
        let ticket = self.node.ask(to, outgoing(what));
        self.asking.asked.insert(ticket, Inquiry { client, n, survey, until });
        Ok(Reply { count, ..Reply::done(n) })
    }

    /// A client answers questions from now on.
    pub(super) fn add_answerer(&mut self, client: usize) {
        self.asking.answerers.insert(client);
        self.node.set_answering(true);
    }

    /// A client answers a question, or passes.
    pub(super) fn take_reply(
        &mut self,
        client: usize,
        question: u64,
        (what, exit): (Option<What>, Option<i32>),
        last: bool,
    ) -> Result<Reply, String> {
        let waiting = self.asking.open.get_mut(&question);
        let Some(waiting) = waiting.filter(|waiting| waiting.contains(&client)) else {
            return Err(format!("question {question} does not wait for this client's answer"));
        };
        if last {
            waiting.remove(&client);
        }
        let closes = waiting.is_empty();
        if closes {
            self.asking.open.remove(&question);
        }
        match what {
            Some(what) => self.node.answer(question, outgoing(what), exit, closes),
            None if closes => self.node.pass(question),
            None => {}
        }
        Ok(Reply::done(None))
    }

    /// What questions and answers have to do with an event of the node's.
    pub(super) fn note_asking(&mut self, event: &Event) {
        match event {
            Event::Question(question) => self.hand_out(question),
            Event::QuestionOver { number } => drop(self.asking.open.remove(number)),
            Event::Answer(answer) => self.pass_on(answer),
            Event::AnswerEnd { ticket, from, end } => self.end(*ticket, *from, *end),
            _ => {}
        }
    }

    fn hand_out(&mut self, question: &Question) {
        let (now, clocks) = (self.node.now(), self.clocks());
        let line: Arc<[u8]> = (objects::question(question, clocks) + "\n").into_bytes().into();
        let mut waiting = self.asking.answerers.clone();
        // Who reads too slowly misses it, which is as good as passing.
        waiting.retain(|&client| self.session(client).is_some_and(|s| s.tell(&line, now)));
        if waiting.is_empty() {
            self.node.pass(question.number);
        } else {
            self.asking.open.insert(question.number, waiting);
        }
    }

    fn pass_on(&mut self, answer: &Answer) {
        let (now, clocks) = (self.node.now(), self.clocks());
        let Some(inquiry) = self.asking.asked.get_mut(&answer.ticket) else { return };
        inquiry.survey.answer(answer.from);
        let (client, n) = (inquiry.client, inquiry.n);
        let line = objects::answer(answer, n, clocks) + "\n";
        if let Some(session) = self.session(client) {
            session.tell(&line.into_bytes().into(), now);
        }
        self.conclude(answer.ticket);
    }

    fn end(&mut self, ticket: u64, from: NodeId, end: AnswerEnd) {
        if let Some(inquiry) = self.asking.asked.get_mut(&ticket) {
            inquiry.survey.end(from, end);
            self.conclude(ticket);
        }
    }

    /// Tells a client what has come of its question, if there is nothing to wait for any more.
    fn conclude(&mut self, ticket: u64) {
        let now = self.node.now();
        let over = |inquiry: &Inquiry| inquiry.survey.is_over() || inquiry.until <= now;
        if !self.asking.asked.get(&ticket).is_some_and(over) {
            return;
        }
        let Some(Inquiry { client, n, survey, .. }) = self.asking.asked.remove(&ticket) else {
            return;
        };
        self.node.forget(ticket);
        let line = objects::answered(&survey.summary(), n) + "\n";
        if let Some(session) = self.session(client) {
            session.send(line);
        }
    }

    /// Concludes what there is to conclude.
    pub(super) fn conclude_due(&mut self) {
        let tickets: Vec<u64> = self.asking.asked.keys().copied().collect();
        for ticket in tickets {
            self.conclude(ticket);
        }
    }

    /// A client is gone: it passes, and nobody waits for what it has asked.
    pub(super) fn forget_asking(&mut self, client: usize) {
        if self.asking.answerers.remove(&client) && self.asking.answerers.is_empty() {
            self.node.set_answering(false);
        }
        let waiting: Vec<u64> = self.asking.open.keys().copied().collect();
        for question in waiting {
            // An error says that it does not wait for this client.
            let _ = self.take_reply(client, question, (None, None), true);
        }
        let node = &mut self.node;
        self.asking.asked.retain(|&ticket, inquiry| {
            if inquiry.client == client {
                node.forget(ticket);
            }
            inquiry.client != client
        });
    }
}
