//! JSON that a message carries for programs, kept as text.
//!
//! The text is always valid, compact (one line) and of bounded depth. It is not taken apart into
//! numbers and maps, so whatever its author wrote comes out with the same digits and order.

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::value::RawValue;

use super::limits;

/// A compact JSON value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Json(Box<str>);

/// Why a text is not taken as JSON.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum JsonError {
    /// Not JSON at all.
    #[error("not valid JSON: {0}")]
    Syntax(String),
    /// JSON, but of something else than what was to be read.
    #[error("not the JSON that was expected: {0}")]
    Other(String),
    /// Arrays and objects inside each other beyond [`limits::DATA_DEPTH`].
    #[error("nested deeper than {} levels", limits::DATA_DEPTH)]
    TooDeep,
    /// Longer than [`limits::DATA`].
    #[error("longer than {} bytes", limits::DATA)]
    TooLong,
}

impl Json {
    /// Checks and compacts a JSON text.
    pub fn parse(text: &str) -> Result<Self, JsonError> {
        let raw: &RawValue = serde_json::from_slice(text.as_bytes())
            .map_err(|e| JsonError::Syntax(e.to_string()))?;
        Self::from_raw(raw)
    }

    /// A value of the program's own as JSON.
    ///
    /// # Errors
    /// It can't be written as JSON, or is too long or too deep.
    pub fn of(value: &impl Serialize) -> Result<Self, JsonError> {
        let raw = serde_json::value::to_raw_value(value);
        Self::from_raw(&raw.map_err(|e| JsonError::Syntax(e.to_string()))?)
    }

    /// The JSON as a value of the program's own.
    ///
    /// # Errors
    /// It is the JSON of something else.
    pub fn read<T: DeserializeOwned>(&self) -> Result<T, JsonError> {
        serde_json::from_slice(self.0.as_bytes()).map_err(|e| JsonError::Other(e.to_string()))
    }

    pub(crate) fn from_raw(raw: &RawValue) -> Result<Self, JsonError> {
        if raw.get().len() > limits::DATA {
            return Err(JsonError::TooLong);
        }
        let (mut depth, mut in_string, mut escaped) = (0_usize, false, false);
        let mut compact = String::with_capacity(raw.get().len());
        for c in raw.get().chars() {
            if in_string {
                in_string = escaped || c != '"';
                escaped = !escaped && c == '\\';
            } else {
                match c {
                    '"' => in_string = true,
                    '[' | '{' => depth += 1,
                    ']' | '}' => depth = depth.saturating_sub(1),
                    ' ' | '\t' | '\n' | '\r' => continue,
                    _ => {}
                }
                if depth > limits::DATA_DEPTH {
                    return Err(JsonError::TooDeep);
                }
            }
            compact.push(c);
        }
        Ok(Self(compact.into()))
    }

    /// The JSON text: one line without blanks outside strings.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blanks_go_and_everything_else_stays() {
        let json =
            Json::parse(" { \"b\" : [ 1e400, \"a \\\" b\\\\\" ] ,\n\t\"a\": null } ").unwrap();
        assert_eq!(json.as_str(), r#"{"b":[1e400,"a \" b\\"],"a":null}"#);
    }

    #[test]
    fn a_programs_own_values_go_in_and_come_out_again() {
        let json = Json::of(&(1, "a\"b", [true])).unwrap();
        assert_eq!(json.as_str(), r#"[1,"a\"b",[true]]"#);
        assert_eq!(json.read(), Ok((1, "a\"b".to_owned(), vec![true])));
        assert!(matches!(json.read::<u8>(), Err(JsonError::Other(_))));
        assert_eq!(Json::of(&"1".repeat(limits::DATA)), Err(JsonError::TooLong));
    }

    #[test]
    fn what_is_not_json_or_too_deep_is_refused() {
        assert!(matches!(Json::parse("{"), Err(JsonError::Syntax(_))));
        assert!(matches!(Json::parse(""), Err(JsonError::Syntax(_))));
        let deep = |n| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert!(Json::parse(&deep(limits::DATA_DEPTH)).is_ok());
        assert_eq!(Json::parse(&deep(limits::DATA_DEPTH + 1)), Err(JsonError::TooDeep));
        assert_eq!(Json::parse(&"1".repeat(limits::DATA + 1)), Err(JsonError::TooLong));
    }
}
