//! What a caller types, at the rate at which it is taken: from its connection, by way of one chunk
//! and the [`Reader`], to one line at a time. What is not taken waits in the kernel, and in the end
//! at the sender.

use std::io::{self, Read};
use std::time::Duration;

use super::output::Output;
use super::reader::{Reader, Typed};
use super::{LINE_BURST, LINE_RATE};
use crate::proto::Bucket;
use crate::values::Instant;

/// Bytes that are read at a time.
pub(super) const CHUNK: usize = 4_096;

/// What a caller types.
#[derive(Debug)]
pub(super) struct Typing {
    reader: Reader,
    /// What was read and is not taken apart yet, and from where on.
    chunk: Vec<u8>,
    taken: usize,
    /// A line that waits for its turn.
    held: Option<Typed>,
    /// There may be more to read.
    readable: bool,
    /// There is no more to read.
    ended: bool,
    lines: Bucket,
}

/// What there is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// A line, or its like.
    Typed(Typed),
    /// A line that has to wait.
    Slowed,
    /// Nothing for now.
    Nothing,
}

impl Typing {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            reader: Reader::new(),
            chunk: Vec::new(),
            taken: 0,
            held: None,
            readable: true,
            ended: false,
            lines: Bucket::full(now, LINE_BURST),
        }
    }

    /// The connection has something to read, or has ended.
    pub(super) fn is_readable(&mut self) {
        self.readable = true;
    }

    /// When to look again, as long as lines are wanted.
    pub(super) fn wait(&self) -> Duration {
        if self.held.is_some() {
            return Duration::from_secs(1) / LINE_RATE; // the next token
        }
        let more = self.readable || self.ended || self.taken < self.chunk.len();
        if more { Duration::ZERO } else { Duration::MAX }
    }

    /// The next line, if it has arrived and its time has come; after the end of the stream
    /// [`Typed::Leave`]. What telnet is to be answered goes to `output`. An error means that the
    /// connection is broken.
    pub(super) fn next(
        &mut self,
        stream: &mut impl Read,
        output: &mut Output,
        now: Instant,
    ) -> io::Result<Next> {
        if self.held.is_none() {
            self.held = self.read(stream, output)?;
        }
        if self.held.is_some() && !self.lines.take(now, LINE_RATE, LINE_BURST) {
            return Ok(Next::Slowed);
        }
        let Some(typed) = self.held.take() else { return Ok(Next::Nothing) };
        output.returns = self.reader.returns;
        Ok(Next::Typed(typed))
    }

    /// Answers what telnet has asked behind a wish to leave: it shows nothing more until then.
    pub(super) fn answer_the_rest(&mut self, output: &mut Output) {
        let mut rest = &self.chunk[self.taken..];
        while self.reader.next(&mut rest).is_some() {}
        self.taken = self.chunk.len();
        output.raw(&self.reader.answers());
    }

    fn read(&mut self, stream: &mut impl Read, output: &mut Output) -> io::Result<Option<Typed>> {
        loop {
            let mut rest = &self.chunk[self.taken..];
            let typed = self.reader.next(&mut rest);
            self.taken = self.chunk.len() - rest.len();
            output.raw(&self.reader.answers());
            if typed.is_some() {
                return Ok(typed);
            }
            if self.ended {
                return Ok(Some(self.reader.end().unwrap_or(Typed::Leave)));
            }
            // Who asks telnet's questions and reads no answers is not heard on.
            if !self.readable || output.is_full() {
                return Ok(None);
            }
            self.fill(stream)?;
        }
    }

    fn fill(&mut self, stream: &mut impl Read) -> io::Result<()> {
        self.taken = 0;
        self.chunk.resize(CHUNK, 0);
        let read = stream.read(&mut self.chunk);
        self.chunk.truncate(*read.as_ref().unwrap_or(&0));
        match read {
            Ok(0) => self.ended = true,
            Ok(_) => {}
            Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
            Err(e) if e.kind() == io::ErrorKind::WouldBlock => self.readable = false,
            Err(e) => return Err(e),
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const START: Instant = Instant::from_micros(1);

    /// All that is taken at one moment, and whether more waits for its turn.
    fn all(typing: &mut Typing, mut stream: &[u8], now: Instant) -> (usize, bool) {
        let mut output = Output::new();
        let mut count = 0;
        loop {
            match typing.next(&mut stream, &mut output, now).unwrap() {
                Next::Typed(Typed::Leave) | Next::Nothing => return (count, false),
                Next::Typed(_) => count += 1,
                Next::Slowed => return (count, true),
            }
        }
    }

    #[test]
    fn lines_over_the_rate_wait_and_none_is_lost() {
        let lines = "hi\n".repeat(LINE_BURST as usize + 15);
        let mut typing = Typing::new(START);
        assert_eq!(all(&mut typing, lines.as_bytes(), START), (LINE_BURST as usize, true));
        assert!(typing.wait() > Duration::ZERO);
        let later = START + Duration::from_secs(1);
        assert_eq!(all(&mut typing, b"", later), (LINE_RATE as usize, true));
        assert_eq!(all(&mut typing, b"", later + Duration::from_secs(1)), (5, false));
    }

    #[test]
    fn the_end_of_the_stream_is_a_wish_to_leave() {
        let mut typing = Typing::new(START);
        let mut output = Output::new();
        let mut stream = &b"hi"[..];
        let mut next = || typing.next(&mut stream, &mut output, START).unwrap();
        assert_eq!(next(), Next::Typed(Typed::Line("hi".to_owned())));
        assert_eq!(next(), Next::Typed(Typed::Leave));
    }
}
