//! One client of the agent: its connection, what has come from it and what waits for it.
//!
//! What waits is bounded by [`WAITING`]. A client that reads too slowly loses events, never
//! replies; it is told how many it lost once it has read what waited, and is cut off if it reads
//! nothing at all for [`STALLED`].

use std::collections::VecDeque;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::time::Duration;

use mio::net::UnixStream;

use super::protocol::{LINE, Reply};
use crate::values::{ChannelName, Instant, SmallSet};

/// Bytes that wait for one client at most.
const WAITING: usize = 4 << 20;

/// Bytes of replies that wait for one client at most: one that asks and does not read is not
/// listened to meanwhile.
const REPLIES: usize = 1 << 20;

/// How long a client with a full queue may read nothing.
const STALLED: Duration = Duration::from_secs(10);

/// Bytes read from one client before the others have their turn.
const READ: usize = 16 << 10;

/// A client.
#[derive(Debug)]
pub(crate) struct Session {
    stream: UnixStream,
    input: Vec<u8>,
    /// Up to where `input` is known to hold no end of a line.
    searched: usize,
    output: VecDeque<Arc<[u8]>>,
    /// Bytes of the first of them that have left.
    sent: usize,
    /// Bytes that wait in all.
    waiting: usize,
    missed: u64,
    /// What was said since the client waits for what was said before, and comes behind that.
    held: Option<VecDeque<Arc<[u8]>>>,
    /// Since when nothing has left, though much waits.
    stalled: Option<Instant>,
    /// There is no more to read.
    ended: bool,
    /// It wants to hear what is said in its channels.
    pub(crate) listens: bool,
    /// It wants to hear who comes and goes as well.
    pub(crate) events: bool,
    /// The channels it takes part in.
    pub(crate) channels: SmallSet<ChannelName>,
}

/// What there is to read.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Input {
    /// A line, without its end.
    Line(Vec<u8>),
    /// Nothing for now.
    Nothing,
    /// The client is gone, or has to go.
    End,
}

impl Session {
    pub(crate) fn new(stream: UnixStream) -> Self {
        Self {
            stream,
            input: Vec::new(),
            searched: 0,
            output: VecDeque::new(),
            sent: 0,
            waiting: 0,
            missed: 0,
            held: None,
            stalled: None,
            ended: false,
            listens: false,
            events: false,
            channels: SmallSet::new(),
        }
    }

    /// Whether the client has to read before more is read from it.
    pub(crate) fn is_full(&self) -> bool {
        self.waiting > REPLIES
    }

    /// The next line.
    pub(crate) fn read(&mut self) -> Input {
        loop {
            let end = self.input[self.searched..].iter().position(|&byte| byte == b'\n');
            if let Some(end) = end {
                let rest = self.input.split_off(self.searched + end + 1);
                let mut line = std::mem::replace(&mut self.input, rest);
                self.searched = 0;
                line.pop();
                return Input::Line(line);
            }
            self.searched = self.input.len();
            if self.input.len() > LINE {
                let why = format!("a line of more than {LINE} bytes; nobody reads on");
                self.reply(&Reply::refused(None, why));
                self.ended = true;
            }
            if self.ended {
                return Input::End;
            }
            match self.fill() {
                Ok(true) => {}
                Ok(false) => return Input::Nothing,
                Err(_) => self.ended = true,
            }
        }
    }

    /// Reads some more; `false` if there is nothing just now.
    fn fill(&mut self) -> io::Result<bool> {
        let mut chunk = [0; READ];
        loop {
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
                Ok(bytes) => {
                    self.input.extend_from_slice(&chunk[..bytes]);
                    return Ok(true);
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) if e.kind() == io::ErrorKind::WouldBlock => return Ok(false),
                Err(e) => return Err(e),
            }
        }
    }

    /// Has a reply wait for the client.
    pub(crate) fn reply(&mut self, reply: &Reply) {
        self.push(reply.line().into_bytes().into());
    }

    /// Has an event wait for the client, or be missed: then `false`.
    pub(crate) fn tell(&mut self, line: &Arc<[u8]>, now: Instant) -> bool {
        if self.missed > 0 || self.waiting + line.len() > WAITING {
            self.missed += 1;
            self.stalled.get_or_insert(now);
            return false;
        }
        self.push(Arc::clone(line));
        true
    }

    /// The same, for what was said in a channel.
    pub(crate) fn tell_said(&mut self, line: &Arc<[u8]>, now: Instant) {
        let Some(held) = self.held.as_mut() else {
            self.tell(line, now);
            return;
        };
        if self.missed > 0 || self.waiting + line.len() > WAITING {
            self.missed += 1;
            return;
        }
        self.waiting += line.len();
        held.push_back(Arc::clone(line));
    }

    /// Keeps what is said in channels back from now on.
    pub(crate) fn hold(&mut self) {
        self.held.get_or_insert_default();
    }

    /// Has what was kept back wait for the client.
    pub(crate) fn release(&mut self) {
        self.output.extend(self.held.take().into_iter().flatten());
    }

    /// Has a line wait for the client that it must not miss: the last of what it has asked for, or
    /// what is bounded otherwise.
    pub(crate) fn send(&mut self, line: String) {
        self.push(line.into_bytes().into());
    }

    fn push(&mut self, line: Arc<[u8]>) {
        self.waiting += line.len();
        self.output.push_back(line);
    }

    /// Sends what waits, as much as the client takes. An error means that it is gone, or that it
    /// has read nothing for too long.
    pub(crate) fn flush(&mut self, now: Instant) -> io::Result<()> {
        loop {
            while let Some(line) = self.output.front() {
                match self.stream.write(&line[self.sent..]) {
                    Ok(bytes) => {
                        self.sent += bytes;
                        self.waiting -= bytes;
                        if self.stalled.is_some() {
                            self.stalled = Some(now);
                        }
                        if self.sent == line.len() {
                            self.output.pop_front();
                            self.sent = 0;
                        }
                    }
                    Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                    Err(e) if e.kind() == io::ErrorKind::WouldBlock => {
                        let stalled = self.stalled.is_some_and(|since| now.since(since) > STALLED);
                        return if stalled { Err(io::ErrorKind::TimedOut.into()) } else { Ok(()) };
                    }
                    Err(e) => return Err(e),
                }
            }
            self.stalled = None;
            // What is kept back comes before what was missed.
            if self.missed == 0 || self.held.is_some() {
                return Ok(());
            }
            let missed = std::mem::take(&mut self.missed);
            let line = format!("{{\"event\":\"missed\",\"count\":{missed}}}\n");
            self.push(line.into_bytes().into());
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};

    use super::*;

    fn pair() -> (Session, std::os::unix::net::UnixStream) {
        let (ours, theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        ours.set_nonblocking(true).unwrap();
        (Session::new(UnixStream::from_std(ours)), theirs)
    }

    #[test]
    fn lines_come_whole_however_they_arrive() {
        let (mut session, mut client) = pair();
        client.write_all(b"one\ntw").unwrap();
        assert_eq!(session.read(), Input::Line(b"one".to_vec()));
        assert_eq!(session.read(), Input::Nothing);
        client.write_all(b"o\n\nthree").unwrap();
        assert_eq!(session.read(), Input::Line(b"two".to_vec()));
        assert_eq!(session.read(), Input::Line(Vec::new()));
        drop(client);
        assert_eq!(session.read(), Input::End, "half a line is no line");
    }

    #[test]
    fn a_line_without_end_is_refused() {
        let (mut session, client) = pair();
        let writer = std::thread::spawn(move || {
            let mut client = client;
            let _ = client.write_all(&vec![b'x'; 4 * LINE]);
            let mut reply = String::new();
            let _ = BufReader::new(client).read_line(&mut reply);
            reply
        });
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while session.read() != Input::End {
            assert!(std::time::Instant::now() < deadline);
        }
        assert!(session.input.len() <= LINE + READ);
        session.flush(Instant::ZERO).unwrap();
        drop(session);
        let _ = writer.join().unwrap();
    }

    #[test]
    fn who_does_not_read_loses_events_is_told_how_many_and_is_cut_off() {
        let (mut session, client) = pair();
        let line: Arc<[u8]> = vec![b'x'; 1 << 16].into();
        let start = Instant::from_micros(1);
        for _ in 0..100 {
            session.tell(&line, start);
        }
        assert!(session.waiting <= WAITING);
        let missed = session.missed;
        assert!(missed > 0);
        session.flush(start).unwrap();
        session.flush(start + STALLED).unwrap();
        let late = start + STALLED + Duration::from_secs(1);
        assert!(session.flush(late).is_err(), "nothing was read for too long");
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            let mut client = client;
            let _ = client.read_to_end(&mut all);
            String::from_utf8(all).unwrap()
        });
        session.stalled = None;
        let deadline = std::time::Instant::now() + Duration::from_secs(30);
        while session.waiting > 0 || session.missed > 0 {
            session.flush(start).unwrap();
            assert!(std::time::Instant::now() < deadline);
        }
        drop(session);
        let all = reader.join().unwrap();
        assert!(all.ends_with(&format!("{{\"event\":\"missed\",\"count\":{missed}}}\n")));
    }
}
