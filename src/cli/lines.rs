//! What can be said: words of the command line, and lines of standard input, each of bounded
//! length. A stream without line ends takes no more memory than the longest message.

use std::io::{self, BufRead, ErrorKind};

use super::args;
use super::exit::Failure;
use crate::values::limits;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// What can be said.
    Text(String),
    /// It has more bytes than can be said.
    TooLong(usize),
    /// It is not UTF-8.
    NotText,
}

impl Line {
    /// The text, or why there is none.
    pub(super) fn text(self) -> Result<String, String> {
        match self {
            Self::Text(text) => Ok(text),
            Self::TooLong(bytes) => Err(too_long(bytes)),
            Self::NotText => Err("is not UTF-8 text".to_owned()),
        }
    }

    /// The text to be said of the line with that number, if it is not empty.
    pub(super) fn said(self, number: u64) -> Result<Option<String>, String> {
        match self.text() {
            Ok(text) if text.is_empty() => Ok(None),
            Ok(text) => Ok(Some(text)),
            Err(cause) => Err(format!("line {number} {cause}; it was not said")),
        }
    }
}

impl args::Words {
    /// The words as one text, refused if it can't be said.
    pub(super) fn joined(&self) -> Result<String, Failure> {
        let text = self.text.join(" ");
        if text.len() > limits::TEXT {
            let cause = too_long(text.len());
            return Err(Failure::Usage(format!("the text {cause}; pipe its lines to `say -`")));
        }
        if text.trim().is_empty() && self.data.is_none() {
            return Err(Failure::Usage("the text is empty; there is nothing to say".to_owned()));
        }
        Ok(text)
    }
}

/// What is said of a text over the limit.
pub(super) fn too_long(bytes: usize) -> String {
    format!("has {bytes} bytes; at most {} KiB can be said at once", limits::TEXT / 1_024)
}

/// Reads the next line, without its end; `None` at the end of the input.
pub(super) fn read(input: &mut impl BufRead) -> io::Result<Option<Line>> {
    let (mut bytes, mut length, mut any) = (Vec::new(), 0, false);
    loop {
        let chunk = match input.fill_buf() {
            Ok(chunk) => chunk,
            Err(e) if e.kind() == ErrorKind::Interrupted => continue,
            Err(e) => return Err(e),
        };
        let end = chunk.iter().position(|byte| *byte == b'\n');
        let part = &chunk[..end.unwrap_or(chunk.len())];
        any |= !chunk.is_empty();
        length += part.len();
        let room = (limits::TEXT + 2).saturating_sub(bytes.len()).min(part.len());
        bytes.extend_from_slice(&part[..room]);
        let (used, done) =
            (part.len() + usize::from(end.is_some()), end.is_some() || part.is_empty());
        input.consume(used);
        if done {
            break;
        }
    }
    if !any {
        return Ok(None);
    }
    if length <= limits::TEXT + 1 && bytes.ends_with(b"\r") {
        bytes.pop();
        length -= 1;
    }
    Ok(Some(match String::from_utf8(bytes) {
        _ if length > limits::TEXT => Line::TooLong(length),
        Ok(text) => Line::Text(text),
        Err(_) => Line::NotText,
    }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::exit::Exit;
    use crate::values::{ChannelName, Json, Level};

    fn words(text: &[&str], data: Option<&str>) -> args::Words {
        args::Words {
            channel: ChannelName::lobby(),
            level: Level::Info,
            data: data.map(|data| Json::parse(data).unwrap()),
            text: text.iter().map(|word| (*word).to_owned()).collect(),
        }
    }

    #[test]
    fn words_are_joined_by_blanks_and_bounded() {
        assert_eq!(words(&["two", "words"], None).joined(), Ok("two words".to_owned()));
        assert!(words(&[&"x".repeat(limits::TEXT)], None).joined().is_ok());
        let error = words(&[&"x".repeat(limits::TEXT), "y"], None).joined().unwrap_err();
        assert_eq!(error.exit(), Exit::Usage);
        assert!(error.to_string().contains("65538 bytes; at most 64 KiB"), "{error}");
    }

    #[test]
    fn nothing_is_not_said_but_data_alone_is() {
        assert!(words(&[""], None).joined().is_err());
        assert_eq!(words(&[], Some("{}")).joined(), Ok(String::new()));
    }

    #[test]
    fn lines_that_cannot_be_said_are_named_by_their_number() {
        assert_eq!(Line::Text("hi".to_owned()).said(1), Ok(Some("hi".to_owned())));
        assert_eq!(Line::Text(String::new()).said(1), Ok(None));
        let error = Line::TooLong(70_000).said(7).unwrap_err();
        assert!(error.starts_with("line 7 has 70000"), "{error}");
        assert!(Line::NotText.said(8).unwrap_err().starts_with("line 8 is not UTF-8"));
    }

    fn all(mut input: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        while let Some(line) = read(&mut input).unwrap() {
            lines.push(line);
        }
        lines
    }

    fn text(text: &str) -> Line {
        Line::Text(text.to_owned())
    }

    #[test]
    fn lines_come_without_their_ends_and_the_last_needs_none() {
        assert_eq!(all(b""), []);
        assert_eq!(all(b"\n"), [text("")]);
        assert_eq!(all(b"a\r\n\nb"), [text("a"), text(""), text("b")]);
    }

    #[test]
    fn a_line_that_is_too_long_or_no_text_does_not_stop_the_next() {
        let mut input = vec![b'x'; limits::TEXT];
        input.push(b'\n');
        input.extend(vec![b'x'; 10 * limits::TEXT]);
        input.extend(b"\n\xff\nhi");
        let lines = all(&input);
        assert_eq!(lines[0], text(&"x".repeat(limits::TEXT)));
        assert_eq!(lines[1..], [Line::TooLong(10 * limits::TEXT), Line::NotText, text("hi")]);
        // Pieces of any size make the same lines.
        let mut pieces = io::BufReader::with_capacity(7, input.as_slice());
        assert_eq!(read(&mut pieces).unwrap().as_ref(), Some(&lines[0]));
        assert_eq!(read(&mut pieces).unwrap(), Some(Line::TooLong(10 * limits::TEXT)));
    }
}
