//! What a caller types: lines out of a stream of bytes, as `nc` and `telnet` send them.
//!
//! ```text
//!   LF, CR LF, CR NUL, CR     the end of a line (RFC 854: telnet sends the second, or the third)
//!   IAC command               skipped, but for those that a person means: interrupt, erase
//!   IAC DO|WILL option        refused: IAC WONT|DONT option
//!   IAC SB … IAC SE           skipped
//!   BS, DEL                   take a character back
//!   NUL                       nothing
//! ```
//!
//! Whatever comes, no more than [`LINE`] bytes are kept, and no answer is longer than what it
//! answers, but for "are you there".

use super::LINE;

/// Something that was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Typed {
    /// A line, without its end.
    Line(String),
    /// A line of more than [`LINE`] bytes.
    TooLong,
    /// A line that is not UTF-8.
    NotText,
    /// Ctrl-C or Ctrl-D, as telnet sends them.
    Leave,
}

/// Where in the stream the reader is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Text,
    /// A line has ended with CR, to which LF or NUL may belong.
    Return,
    Command,
    /// DO, DONT, WILL or WONT; the option follows.
    Option(u8),
    /// Between SB and SE.
    Negotiation,
    NegotiationCommand,
}

/// Takes lines out of a stream.
#[derive(Debug)]
pub(super) struct Reader {
    state: State,
    line: Vec<u8>,
    too_long: bool,
    answers: Vec<u8>,
    /// Whether this caller's lines end with CR LF, and so should those that it is sent. Assumed until
    /// the first line: it harms nobody.
    pub(super) returns: bool,
}

mod telnet {
    //! RFC 854; end of file and abort from RFC 1184.
    pub(super) const EOF: u8 = 236;
    pub(super) const ABORT: u8 = 238;
    pub(super) const SE: u8 = 240;
    pub(super) const INTERRUPT: u8 = 244;
    pub(super) const ARE_YOU_THERE: u8 = 246;
    pub(super) const ERASE_CHARACTER: u8 = 247;
    pub(super) const ERASE_LINE: u8 = 248;
    pub(super) const SB: u8 = 250;
    pub(super) const WILL: u8 = 251;
    pub(super) const WONT: u8 = 252;
    pub(super) const DO: u8 = 253;
    pub(super) const DONT: u8 = 254;
    pub(super) const IAC: u8 = 255;
}

impl Reader {
    pub(super) fn new() -> Self {
        Self {
            state: State::Text,
            line: Vec::new(),
            too_long: false,
            answers: Vec::new(),
            returns: true,
        }
    }

    /// Reads on in `bytes`, and removes from them what was read. `None` when all was.
    pub(super) fn next(&mut self, bytes: &mut &[u8]) -> Option<Typed> {
        while let Some((&byte, rest)) = bytes.split_first() {
            *bytes = rest;
            let typed = self.take(byte);
            if typed.is_some() {
                return typed;
            }
        }
        None
    }

    /// What was typed since the end of the last line: the stream is over.
    pub(super) fn end(&mut self) -> Option<Typed> {
        (self.too_long || !self.line.is_empty()).then(|| self.line_ends())
    }

    /// What telnet is to be answered.
    pub(super) fn answers(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.answers)
    }

    fn take(&mut self, byte: u8) -> Option<Typed> {
        match self.state {
            State::Text => return self.text(byte),
            State::Return => {
                self.state = State::Text;
                if byte != b'\n' && byte != 0 {
                    return self.text(byte);
                }
            }
            State::Command => return self.command(byte),
            State::Option(verb) => {
                self.state = State::Text;
                let answer = match verb {
                    telnet::DO => telnet::WONT,
                    telnet::WILL => telnet::DONT,
                    // What is not there can't be switched off.
                    _ => return None,
                };
                self.answers.extend([telnet::IAC, answer, byte]);
            }
            State::Negotiation if byte == telnet::IAC => self.state = State::NegotiationCommand,
            State::Negotiation => {}
            State::NegotiationCommand if byte == telnet::SE => self.state = State::Text,
            State::NegotiationCommand => self.state = State::Negotiation,
        }
        None
    }

    fn text(&mut self, byte: u8) -> Option<Typed> {
        match byte {
            b'\n' => {
                self.returns = false;
                return Some(self.line_ends());
            }
            b'\r' => {
                self.returns = true;
                self.state = State::Return;
                return Some(self.line_ends());
            }
            telnet::IAC => self.state = State::Command,
            0 => {}
            // Backspace, and the key that sends DEL for it.
            8 | 0x7f => self.erase(),
            _ => self.keep(byte),
        }
        None
    }

    fn command(&mut self, byte: u8) -> Option<Typed> {
        self.returns = true;
        self.state = State::Text;
        match byte {
            telnet::SB => self.state = State::Negotiation,
            telnet::WILL..=telnet::DONT => self.state = State::Option(byte),
            telnet::IAC => self.keep(byte),
            telnet::ERASE_CHARACTER => self.erase(),
            telnet::ERASE_LINE => {
                self.line.clear();
                self.too_long = false;
            }
            telnet::ARE_YOU_THERE => self.answers.extend(b"* yes\r\n"),
            telnet::INTERRUPT | telnet::ABORT | telnet::EOF => return Some(Typed::Leave),
            _ => {}
        }
        None
    }

    fn keep(&mut self, byte: u8) {
        if self.line.len() < LINE {
            self.line.push(byte);
        } else {
            self.too_long = true;
        }
    }

    /// Takes a character back, with all of its bytes.
    fn erase(&mut self) {
        while self.line.pop().is_some_and(|byte| byte & 0xc0 == 0x80) {}
    }

    fn line_ends(&mut self) -> Typed {
        let line = std::mem::take(&mut self.line);
        if std::mem::take(&mut self.too_long) {
            return Typed::TooLong;
        }
        String::from_utf8(line).map_or(Typed::NotText, Typed::Line)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::telnet::*;
    use super::*;

    fn read(bytes: &[u8]) -> (Vec<Typed>, Reader) {
        let mut reader = Reader::new();
        let mut rest = bytes;
        let mut all = Vec::new();
        while let Some(typed) = reader.next(&mut rest) {
            all.push(typed);
        }
        (all, reader)
    }

    #[track_caller]
    fn lines(bytes: &[u8], expected: &[&str]) {
        let expected: Vec<Typed> =
            expected.iter().map(|line| Typed::Line((*line).to_owned())).collect();
        assert_eq!(read(bytes).0, expected, "{}", bytes.escape_ascii());
    }

    #[test]
    fn a_line_ends_as_nc_and_telnet_end_it() {
        lines(b"a\nb\n\nc", &["a", "b", ""]);
        lines(b"a\r\nb\r\0c\rd\r\n\r\n", &["a", "b", "c", "d", ""]);
        lines("grüße\r\n".as_bytes(), &["grüße"]);
    }

    #[test]
    fn lines_to_a_caller_end_as_its_own_do() {
        for (bytes, returns) in [
            (&b"a\n"[..], false),
            (b"a\r\n", true),
            (b"a\r\0", true),
            (b"", true),
            (b"a\r\nb\n", false),
        ] {
            assert_eq!(read(bytes).1.returns, returns, "{}", bytes.escape_ascii());
        }
    }

    #[test]
    fn telnets_own_bytes_are_no_text_and_its_wishes_are_refused() {
        let stream = [&b"h"[..], &[IAC, DO, 1], b"e", &[IAC, WILL, 31], b"y", &[IAC, WONT, 3]];
        let more = [&[IAC, SB, 31, b'x', IAC, IAC, b'\n', IAC, SE][..], &[IAC, 241], b"\r\n"];
        let bytes = [stream.concat(), more.concat()].concat();
        let (typed, mut reader) = read(&bytes);
        assert_eq!(typed, [Typed::Line("hey".to_owned())]);
        assert_eq!(reader.answers(), [IAC, WONT, 1, IAC, DONT, 31]);
        assert!(reader.answers().is_empty());
    }

    #[test]
    fn keys_that_telnet_turns_into_commands_mean_what_they_say() {
        lines(&[b'a', b'b', IAC, ERASE_CHARACTER, b'\n'], &["a"]);
        lines(&[b'a', b'b', IAC, ERASE_LINE, b'c', b'\n'], &["c"]);
        lines("aü\x7f\x08\x08b\n".as_bytes(), &["b"]);
        for key in [INTERRUPT, EOF, ABORT] {
            assert_eq!(read(&[b'a', IAC, key]).0, [Typed::Leave]);
        }
        assert_eq!(read(&[IAC, ARE_YOU_THERE]).1.answers(), b"* yes\r\n");
    }

    #[test]
    fn what_can_not_be_said_does_not_spoil_the_next_line() {
        let long = vec![b'x'; LINE + 1];
        let bytes = [&long[..LINE], b"\n", &long, b"\n\x80\n", &[IAC, IAC], b"\nhi\n"].concat();
        let typed = read(&bytes).0;
        // Not compared as a whole: nobody wants to see it.
        assert!(typed[0] == Typed::Line("x".repeat(LINE)));
        let hi = Typed::Line("hi".to_owned());
        assert_eq!(typed[1..], [Typed::TooLong, Typed::NotText, Typed::NotText, hi]);
    }

    #[test]
    fn the_last_line_needs_no_end() {
        let (typed, mut reader) = read(b"a\nb");
        assert_eq!(typed.len(), 1);
        assert_eq!(reader.end(), Some(Typed::Line("b".to_owned())));
        assert_eq!(reader.end(), None);
    }

    /// Bytes of which telnet's are frequent.
    fn stream() -> impl Strategy<Value = Vec<u8>> {
        let byte = prop_oneof![any::<u8>(), 236_u8..=255, Just(IAC), Just(b'\r'), Just(b'\n')];
        prop::collection::vec(byte, 0..3 * LINE)
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_stream_in_any_pieces_makes_the_same_lines_within_bounds(
            bytes in stream(), size in 1_usize..64,
        ) {
            let (whole, mut first) = read(&bytes);
            let mut second = Reader::new();
            let mut pieces = Vec::new();
            for mut piece in bytes.chunks(size) {
                while let Some(typed) = second.next(&mut piece) {
                    pieces.push(typed);
                }
                prop_assert!(second.line.len() <= LINE);
            }
            prop_assert_eq!(&whole, &pieces);
            let answers = first.answers();
            prop_assert!(answers.len() <= 4 * bytes.len());
            prop_assert_eq!(answers, second.answers());
            for typed in whole {
                if let Typed::Line(line) = typed {
                    prop_assert!(line.len() <= LINE && !line.contains(['\r', '\n', '\0']));
                }
            }
        }
    }
}
