//! The agent's clients: who is let in, whose requests are carried out when, who is let go.
//!
//! Each client has a bounded turn of its own, and none is waited for.

use std::io;

use mio::Interest;

use super::entrance::{AgentError, is_ours};
use super::protocol::{self, Reply};
use super::server::{FIRST_CLIENT, Server};
use super::session::{Input, Session};

/// Clients at a time; further ones are told so and let go.
pub(super) const CLIENTS: usize = 4_096;

/// Requests of one client in one turn.
const REQUESTS: usize = 64;

impl Server {
    pub(super) fn accept(&mut self) -> Result<(), AgentError> {
        loop {
            let mut stream = match self.listener.accept() {
                Ok((stream, _)) => stream,
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                    self.crowded = false;
                    return Ok(());
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => continue,
                // Too many open files, mostly: who waits is let in when somebody has gone.
                Err(e) => {
                    self.crowd(&e);
                    return Ok(());
                }
            };
            let refused = if !is_ours(&stream) {
                Some("this agent serves another user; start one of your own")
            } else if self.sessions.len() >= CLIENTS {
                Some("too many clients; try again later")
            } else {
                None
            };
            if let Some(why) = refused {
                let reply = Reply::refused(None, why).line();
                let _ = io::Write::write_all(&mut stream, reply.as_bytes());
                continue;
            }
            let client = self.free.pop().unwrap_or(self.sessions.len());
            let interest = Interest::READABLE | Interest::WRITABLE;
            if let Err(e) = self.node.watch(&mut stream, FIRST_CLIENT + client, interest) {
                // The last open file went for the connection itself; the next ones wait.
                self.free.push(client);
                let reply = Reply::refused(None, "too many open files; try again later").line();
                let _ = io::Write::write_all(&mut stream, reply.as_bytes());
                self.crowd(&e);
                return Ok(());
            }
            self.sessions.insert(client, Session::new(stream));
            self.busy.insert(client);
        }
    }

    /// Nobody can be let in just now; said once until all who wait are in.
    fn crowd(&mut self, why: &io::Error) {
        if !std::mem::replace(&mut self.crowded, true) {
            self.log.warn(&format!("clients have to wait to be let in: {why}"));
        }
    }

    /// Carries out what clients ask for, a bounded part of it.
    pub(super) fn serve(&mut self) {
        // Beginning with another one each time, so that who speaks much leaves the others their turn.
        let busy = std::mem::take(&mut self.busy).into_iter();
        let (first, others): (Vec<_>, Vec<_>) = busy.partition(|client| *client >= self.next);
        for client in first.into_iter().chain(others) {
            for turn in 0.. {
                // Who says more than leaves, or reads less than it asks for, has to wait.
                let waits = self.node.is_congested()
                    || self.sessions.get(&client).is_some_and(Session::is_full);
                if waits || turn == REQUESTS {
                    self.busy.insert(client);
                    break;
                }
                self.next = client + 1;
                let Some(session) = self.sessions.get_mut(&client) else { break };
                match session.read() {
                    Input::Line(line) if line.iter().all(u8::is_ascii_whitespace) => {}
                    Input::Line(line) => match protocol::read(&line) {
                        Ok((n, request)) => self.carry_out(client, n, request),
                        Err((n, why)) => session.reply(&Reply::refused(n, why)),
                    },
                    Input::Nothing => break,
                    Input::End => {
                        let now = self.node.now();
                        let _ = session.flush(now);
                        self.close(client);
                        break;
                    }
                }
            }
        }
    }

    pub(super) fn flush(&mut self) {
        let now = self.node.now();
        let gone: Vec<usize> = self
            .sessions
            .iter_mut()
            .filter_map(|(&client, session)| session.flush(now).is_err().then_some(client))
            .collect();
        for client in gone {
            self.close(client);
        }
    }

    /// Forgets a client, and gives up what only it wanted.
    pub(super) fn close(&mut self, client: usize) {
        let Some(session) = self.sessions.remove(&client) else { return };
        for channel in session.channels {
            self.part(&channel);
        }
        self.busy.remove(&client);
        self.telling.retain(|_, (who, _)| *who != client);
        self.looking_back.forget(client);
        self.forget_asking(client);
        self.forget_confirming(client);
        for (_, waiting) in &mut self.saying {
            waiting.iter_mut().filter(|who| **who == client).for_each(|who| *who = usize::MAX);
        }
        self.free.push(client);
        if self.sessions.is_empty() {
            self.free.clear();
        }
    }
}
