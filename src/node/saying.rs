//! What a program says, put together in a line: the time is now, and nothing else has to be filled in.

use crate::net::Clock;
use crate::proto::Outgoing;
use crate::values::{Json, Level};

impl Outgoing {
    /// This text, said now.
    pub fn new(text: impl Into<String>) -> Self {
        Self { at: Clock::wall(), text: text.into(), data: None, level: Level::default() }
    }

    /// The same, with something for programs.
    #[must_use]
    pub fn with_data(self, data: Json) -> Self {
        Self { data: Some(data), ..self }
    }

    /// The same, more or less urgent.
    #[must_use]
    pub fn with_level(self, level: Level) -> Self {
        Self { level, ..self }
    }
}

impl From<&str> for Outgoing {
    fn from(text: &str) -> Self {
        Self::new(text)
    }
}

impl From<String> for Outgoing {
    fn from(text: String) -> Self {
        Self::new(text)
    }
}

impl From<&String> for Outgoing {
    fn from(text: &String) -> Self {
        Self::new(text)
    }
}
