//! Text that came from somebody else.
//!
//! [`PeerText`] has no `Display`: the only way to print it is [`PeerText::escaped`], so that
//! control sequences, text of reversed direction and invisible characters cannot reach a terminal
//! or a log by oversight.

use std::fmt;

/// Text from a stranger, kept exactly as it came.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerText(Box<str>);

/// A text with every character that could mislead a terminal or a reader written as an escape. What
/// only joins two characters or picks their form is left out where it has something to join, as in
/// emoji and in several scripts: the text is readable without.
#[derive(Clone, Copy, Debug)]
pub struct Escaped<'a>(&'a str);

impl PeerText {
    /// Takes any text.
    pub fn new(text: impl Into<Box<str>>) -> Self {
        Self(text.into())
    }

    /// The text as it came, for programs; never for a terminal.
    pub fn raw(&self) -> &str {
        &self.0
    }

    /// The text for people: safe to print on a terminal or into a log, always one line.
    pub fn escaped(&self) -> Escaped<'_> {
        Escaped(&self.0)
    }
}

impl From<&str> for PeerText {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl<'a> Escaped<'a> {
    /// Escapes text that is not known to be safe, such as an argument quoted in an error.
    pub fn of(text: &'a str) -> Self {
        Self(text)
    }
}

impl fmt::Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (mut clean, mut joinable) = (0, false);
        for (at, c) in self.0.char_indices() {
            if !is_misleading(c) {
                joinable = !c.is_ascii();
                continue;
            }
            f.write_str(&self.0[clean..at])?;
            clean = at + c.len_utf8();
            if !(joinable && is_joiner(c)) {
                write!(f, "{}", c.escape_default())?;
                joinable = false;
            }
        }
        f.write_str(&self.0[clean..])
    }
}

/// Zero-width joiner and non-joiner, and the two variation selectors for text and emoji.
fn is_joiner(c: char) -> bool {
    matches!(c, '\u{200c}' | '\u{200d}' | '\u{fe0e}' | '\u{fe0f}')
}

/// Whether a character controls, reorders or hides what stands around it: control characters, and
/// all that Unicode calls a line or paragraph separator, a format character (Cf) or default
/// ignorable (`DerivedCoreProperties.txt` of Unicode 17), and the interlinear and private-use
/// characters, and those that are none, whose effect nobody can foresee.
pub fn is_misleading(c: char) -> bool {
    if c.is_ascii() {
        return c.is_ascii_control();
    }
    if u32::from(c) & 0xfffe == 0xfffe {
        return true; // noncharacters
    }
    matches!(u32::from(c),
        0x80..=0x9f                                             // C1: 0x9b alone begins a sequence
        | 0xad | 0x34f | 0x61c | 0x115f | 0x1160 | 0x17b4 | 0x17b5
        | 0x600..=0x605 | 0x6dd | 0x70f | 0x890 | 0x891 | 0x8e2 // Arabic and Syriac format signs
        | 0x180b..=0x180f
        | 0x200b..=0x200f | 0x2028..=0x202e | 0x2060..=0x206f   // zero width, bidirectional
        | 0x2800 | 0x3164 | 0xffa0                              // blanks that look like nothing
        | 0x16fe4 | 0xfdd0..=0xfdef
        | 0xfe00..=0xfe0f | 0xfeff | 0xfff0..=0xfffb
        | 0x110bd | 0x110cd | 0x13430..=0x1343f | 0x1bca0..=0x1bca3 | 0x1d173..=0x1d17a
        | 0xe000..=0xf8ff | 0xe0000..=0xe0fff | 0xf0000..=0x10_ffff)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn escaped(text: &str) -> String {
        PeerText::from(text).escaped().to_string()
    }

    #[test]
    fn ordinary_text_of_any_script_passes_unchanged() {
        for text in ["hi", "Grüße, мир, 世界, שלום, مرحبا", "👋🏽 a\u{301}", ""]
        {
            assert_eq!(escaped(text), text);
        }
    }

    #[test]
    fn what_joins_emoji_and_letters_is_left_out() {
        for (text, shown) in [
            ("I \u{2764}\u{fe0f} it", "I \u{2764} it"),
            ("\u{1f469}\u{200d}\u{1f4bb}", "\u{1f469}\u{1f4bb}"),
            ("\u{1f3f3}\u{fe0f}\u{200d}\u{1f308}", "\u{1f3f3}\u{1f308}"),
            ("\u{646}\u{200c}\u{62e}", "\u{646}\u{62e}"),
        ] {
            assert_eq!(escaped(text), shown);
        }
    }

    #[test]
    fn nothing_that_steers_a_terminal_or_hides_passes() {
        for (text, safe) in [
            ("\x1b[2J", "\\u{1b}[2J"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("a\r\nb\tc\0\x7f", "a\\r\\nb\\tc\\u{0}\\u{7f}"),
            ("\u{202e}exe.txt\u{2066}", "\\u{202e}exe.txt\\u{2066}"),
            ("ad\u{200b}min\u{feff}\u{200d}\u{fe0f}", "ad\\u{200b}min\\u{feff}\\u{200d}\\u{fe0f}"),
            ("\u{e0041}\u{2028}", "\\u{e0041}\\u{2028}"),
            ("\u{fffe}\u{1ffff}\u{fdd0}", "\\u{fffe}\\u{1ffff}\\u{fdd0}"),
            // Where there is nothing to join.
            ("a\u{200d}b \u{fe0f}", "a\\u{200d}b \\u{fe0f}"),
        ] {
            assert_eq!(escaped(text), safe);
        }
    }
}
