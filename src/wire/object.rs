//! Writing one JSON object, member by member, into a string.
//!
//! By hand and not from a serialised struct: the order of members is part of the protocol (the
//! version first, the signature last), and the length is needed while writing.

use std::fmt::{Display, Write};

use super::sign::{Identity, TAIL};

/// A datagram being written. It is missing only its closing brace.
pub(crate) struct Object(String);

impl Object {
    /// `{"cooee":1,"type":KIND`
    pub(crate) fn datagram(kind: &str) -> Self {
        let mut text = String::with_capacity(512);
        text.push_str("{\"cooee\":1,\"type\":\"");
        text.push_str(kind);
        text.push('"');
        Self(text)
    }

    /// An object inside a datagram.
    pub(crate) fn inner() -> Self {
        Self("{".to_owned())
    }

    fn name(&mut self, name: &str) {
        if self.0.len() > 1 {
            self.0.push(',');
        }
        push_string(&mut self.0, name);
        self.0.push(':');
    }

    pub(crate) fn text(&mut self, name: &str, value: &str) -> &mut Self {
        self.name(name);
        push_string(&mut self.0, value);
        self
    }

    /// A value whose `Display` needs no escaping, as a string.
    pub(crate) fn shown(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        let _ = write!(self.0, "\"{value}\""); // writing to a String can't fail
        self
    }

    /// A value whose `Display` is JSON.
    pub(crate) fn json(&mut self, name: &str, value: impl Display) -> &mut Self {
        self.name(name);
        let _ = write!(self.0, "{value}");
        self
    }

    /// 64 bits as 16 hexadecimal digits: not every JSON reader keeps integers of 64 bits.
    pub(crate) fn hex(&mut self, name: &str, value: u64) -> &mut Self {
        self.shown(name, format_args!("{value:016x}"))
    }

    /// An array of what `items` yields, as JSON.
    pub(crate) fn array<T: Display>(
        &mut self,
        name: &str,
        items: impl IntoIterator<Item = T>,
    ) -> &mut Self {
        self.name(name);
        self.0.push('[');
        for (i, item) in items.into_iter().enumerate() {
            let _ = write!(self.0, "{}{item}", if i == 0 { "" } else { "," });
        }
        self.0.push(']');
        self
    }

    /// Makes the datagram at least so many bytes long, signed.
    pub(crate) fn pad(&mut self, least: usize) -> &mut Self {
        self.pad_unsigned(least.saturating_sub(TAIL))
    }

    /// The same of a datagram that is not signed.
    pub(crate) fn pad_unsigned(&mut self, least: usize) -> &mut Self {
        let missing = least.saturating_sub(self.0.len() + 1 + ",\"pad\":\"\"".len());
        if missing > 0 {
            self.shown("pad", format_args!("{:.<missing$}", ""));
        }
        self
    }

    /// Bytes when closed and signed.
    pub(crate) fn signed_len(&self) -> usize {
        self.0.len() + 1 + TAIL
    }

    pub(crate) fn close(mut self) -> String {
        self.0.push('}');
        self.0
    }

    pub(crate) fn sign(self, identity: &Identity) -> Vec<u8> {
        identity.sign(self.0)
    }
}

/// Appends a JSON string.
pub(crate) fn push_string(text: &mut String, value: &str) {
    text.push('"');
    let mut clean = 0;
    for (at, byte) in value.bytes().enumerate() {
        let short = match byte {
            b'"' => "\\\"",
            b'\\' => "\\\\",
            b'\n' => "\\n",
            b'\r' => "\\r",
            b'\t' => "\\t",
            0..0x20 => "",
            _ => continue,
        };
        text.push_str(&value[clean..at]);
        clean = at + 1;
        if short.is_empty() {
            let _ = write!(text, "\\u{byte:04x}");
        } else {
            text.push_str(short);
        }
    }
    text.push_str(&value[clean..]);
    text.push('"');
}

/// Bytes of `value` as a JSON string, quotes included.
pub(crate) fn string_len(value: &str) -> usize {
    2 + value
        .bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum::<usize>()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn any_text_is_written_as_a_json_string_of_the_foretold_length(text in any::<String>()) {
            let mut json = String::new();
            push_string(&mut json, &text);
            prop_assert_eq!(json.len(), string_len(&text));
            prop_assert_eq!(serde_json::from_str::<String>(&json).unwrap(), text);
        }
    }
}
