//! What waits to be read by a caller: at most [`WAITING`] bytes. One that reads too slowly misses
//! lines and is told how many; one that reads nothing at all for [`STALLED`] is to be cut off.

use std::collections::VecDeque;
use std::io::{self, Write};

use super::{STALLED, WAITING};
use crate::values::Instant;

/// Lines that wait.
#[derive(Debug, Default)]
pub(super) struct Output {
    bytes: VecDeque<u8>,
    missed: u64,
    /// Those of which the gateway has not been told yet.
    uncounted: u64,
    /// Since when nothing has left, though much waits.
    stalled: Option<Instant>,
    /// Lines end with CR LF.
    pub(super) returns: bool,
}

impl Output {
    pub(super) fn new() -> Self {
        Self { returns: true, ..Self::default() }
    }

    /// Has a line wait, or several, or be missed.
    pub(super) fn line(&mut self, text: &str, now: Instant) {
        let end: &[u8] = if self.returns { b"\r\n" } else { b"\n" };
        let text = text.strip_suffix('\n').unwrap_or(text);
        let bytes: usize = text.split('\n').map(|line| line.len() + end.len()).sum();
        if self.missed > 0 || self.bytes.len() + bytes > WAITING {
            self.missed += 1;
            self.uncounted += 1;
            self.stalled.get_or_insert(now);
            return;
        }
        for line in text.split('\n') {
            self.bytes.extend(line.as_bytes());
            self.bytes.extend(end);
        }
    }

    /// How many were missed since this was asked last.
    pub(super) fn count_missed(&mut self) -> u64 {
        std::mem::take(&mut self.uncounted)
    }

    /// Has bytes wait that are no line.
    pub(super) fn raw(&mut self, bytes: &[u8]) {
        if self.bytes.len() + bytes.len() <= WAITING {
            self.bytes.extend(bytes);
        }
    }

    /// Whether the caller has to read before more is read from it.
    pub(super) fn is_full(&self) -> bool {
        self.missed > 0 || self.bytes.len() > WAITING / 2
    }

    pub(super) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    /// Writes what the caller takes. An error means that it is gone, or that it has read nothing for
    /// too long ([`io::ErrorKind::TimedOut`]).
    pub(super) fn flush(&mut self, stream: &mut impl Write, now: Instant) -> io::Result<()> {
        loop {
            while !self.bytes.is_empty() {
                match stream.write(self.bytes.as_slices().0) {
                    Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                    Ok(count) => {
                        self.bytes.drain(..count);
                        if self.stalled.is_some() {
                            self.stalled = Some(now);
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
            if self.missed == 0 {
                return Ok(());
            }
            let missed = std::mem::take(&mut self.missed);
            self.line(&format!("! you read too slowly: {missed} lines were missed"), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    /// Takes so many bytes, then no more for now.
    struct Narrow {
        room: usize,
        taken: Vec<u8>,
    }

    impl Write for Narrow {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            if self.room == 0 {
                return Err(io::ErrorKind::WouldBlock.into());
            }
            let count = bytes.len().min(self.room);
            self.room -= count;
            self.taken.extend(&bytes[..count]);
            Ok(count)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    const START: Instant = Instant::from_micros(1);

    #[test]
    fn every_line_of_a_text_ends_as_the_caller_ends_its_own() {
        for (returns, expected) in [(false, "a\nb\nc\n"), (true, "a\r\nb\r\nc\r\n")] {
            let mut output = Output { returns, ..Output::default() };
            output.line("a\nb", START);
            output.line("c\n", START);
            let mut stream = Narrow { room: 100, taken: Vec::new() };
            output.flush(&mut stream, START).unwrap();
            assert_eq!(stream.taken, expected.as_bytes());
            assert!(output.is_empty());
        }
    }

    #[test]
    fn who_does_not_read_misses_lines_is_told_how_many_and_is_cut_off() {
        let mut output = Output::default();
        let line = "x".repeat(WAITING / 8);
        (0..20).for_each(|_| output.line(&line, START));
        assert_eq!((output.count_missed(), output.count_missed()), (13, 0));
        assert!(output.is_full() && output.bytes.len() <= WAITING);
        let mut shut = Narrow { room: 0, taken: Vec::new() };
        output.flush(&mut shut, START + STALLED).unwrap();
        let late = START + STALLED + Duration::from_secs(1);
        let error = output.flush(&mut shut, late).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);

        let mut open = Narrow { room: 2 * WAITING, taken: Vec::new() };
        output.flush(&mut open, late).unwrap();
        let told = String::from_utf8(open.taken).unwrap();
        assert!(told.ends_with("x\n! you read too slowly: 13 lines were missed\n"));
        assert!(output.is_empty() && !output.is_full());
    }
}
