//! What is sealed in a `tell`: something told, a question, or an answer to one.
//!
//! ```text
//! told       {"nick":…,                                "at":…,"text":…}
//! question   {"nick":…,"ask":"…","token":"…",          "at":…,"text":…}
//! answer     {"nick":…,"answer":"…","count":1,"exit":0,"at":…,"text":…}
//! no answer  {"nick":…,"answer":"…","count":0}
//! ```
//!
//! A long one is cut as in [`super::entry`]; every part says what it is a part of, so that none is
//! kept, or acknowledged, that would not be taken as a whole.

use serde::Deserialize;

use super::decode::{DecodeError, decode_payload, hex, need};
use super::entry::{Payload, Tell};
use super::object::Object;
use crate::values::PeerText;

/// What a direct message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Matter {
    /// Something told.
    Told,
    /// A question.
    Question {
        /// The asker's number for it, drawn by chance: an answer that was recorded fits no other
        /// question, not even one of the asker's next run.
        number: u64,
        /// What the recipient gave to the address that the question comes from.
        token: u64,
    },
    /// An answer; without a payload, only the word that there will be no more.
    Answer {
        /// The number of the question.
        number: u64,
        /// How many answers its sender gives to the question in all, once it knows.
        count: Option<u32>,
        /// The exit code of the command that gave the answer.
        exit: Option<i32>,
    },
}

/// What is sealed for one peer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Inside {
    /// The author's nick.
    pub nick: PeerText,
    /// What it is.
    pub matter: Matter,
    /// What it says; only an answer may say nothing.
    pub payload: Option<Payload>,
}

impl Matter {
    /// Bytes that it takes at most.
    const LEN: usize = ",\"answer\":\"\",\"count\":,\"exit\":".len() + 16 + 10 + 11;

    fn write(self, object: &mut Object) {
        match self {
            Self::Told => {}
            Self::Question { number, token } => {
                object.hex("ask", number).hex("token", token);
            }
            Self::Answer { number, count, exit } => {
                object.hex("answer", number);
                if let Some(count) = count {
                    object.json("count", count);
                }
                if let Some(exit) = exit {
                    object.json("exit", exit);
                }
            }
        }
    }

    /// Bytes of a payload that fit beside it, under the longest nick.
    pub fn payload_room(self, limit: usize) -> usize {
        let room = Tell::payload_room(limit);
        if self == Self::Told { room } else { room.saturating_sub(Self::LEN) }
    }
}

impl Inside {
    /// As JSON.
    pub fn to_json(&self) -> String {
        let mut object = Object::inner();
        object.text("nick", self.nick.raw());
        self.matter.write(&mut object);
        if let Some(payload) = &self.payload {
            payload.write(&mut object);
        }
        object.close()
    }

    /// Reads what was sealed.
    pub fn read(json: &str) -> Result<Self, DecodeError> {
        let members: Members = serde_json::from_slice(json.as_bytes())
            .map_err(|e| DecodeError::Malformed(e.to_string()))?;
        let matter = members.matter()?;
        let may_be_empty = matches!(matter, Matter::Answer { count: Some(_), .. });
        let (nick, payload) = decode_payload(json, may_be_empty)?;
        Ok(Self { nick, matter, payload })
    }
}

/// The members that tell the matters apart.
#[derive(Deserialize)]
struct Members {
    ask: Option<String>,
    token: Option<String>,
    answer: Option<String>,
    count: Option<u32>,
    exit: Option<i32>,
}

impl Members {
    fn matter(&self) -> Result<Matter, DecodeError> {
        let [ask, answer, token] =
            [(&self.ask, "ask"), (&self.answer, "answer"), (&self.token, "token")]
                .map(|(value, name)| hex(value.as_deref(), name));
        match (ask?, answer?) {
            (None, None) => Ok(Matter::Told),
            (Some(number), None) => Ok(Matter::Question { number, token: need(token?, "token")? }),
            (None, Some(number)) => {
                Ok(Matter::Answer { number, count: self.count, exit: self.exit })
            }
            (Some(_), Some(_)) => Err(DecodeError::Member("answer")),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::entry::{Content, split};
    use super::*;
    use crate::values::{Level, WallTime, limits};

    fn content(text: &str) -> Content {
        Content { at: WallTime(1), text: text.into(), data: None, level: Level::Info }
    }

    fn inside(matter: Matter, payload: Option<Payload>) -> Inside {
        Inside { nick: "ada".into(), matter, payload }
    }

    const LONGEST: Matter =
        Matter::Answer { number: u64::MAX, count: Some(u32::MAX), exit: Some(i32::MIN) };

    #[test]
    fn what_is_written_is_read_again() {
        let whole = Some(Payload::Whole(vec![content("hi")]));
        for matter in [
            Matter::Told,
            Matter::Question { number: 7, token: 9 },
            Matter::Answer { number: 7, count: None, exit: None },
            LONGEST,
        ] {
            let inside = inside(matter, whole.clone());
            assert_eq!(Inside::read(&inside.to_json()), Ok(inside));
        }
        let nothing = inside(Matter::Answer { number: 7, count: Some(0), exit: None }, None);
        assert_eq!(nothing.to_json(), r#"{"nick":"ada","answer":"0000000000000007","count":0}"#);
        assert_eq!(Inside::read(&nothing.to_json()), Ok(nothing));
    }

    #[test]
    fn what_is_not_whole_is_refused() {
        for json in [
            "",
            "[]",
            r#"{"nick":"ada"}"#,
            r#"{"ask":"0000000000000007","text":"no token"}"#,
            r#"{"ask":"0000000000000007","token":"7","text":"a short token"}"#,
            r#"{"ask":"0000000000000007","token":"0000000000000007"}"#,
            r#"{"ask":7,"token":"0000000000000007","text":"x"}"#,
            r#"{"answer":"0000000000000007"}"#,
            r#"{"answer":"0000000000000007","exit":0}"#,
            r#"{"answer":"0000000000000007","count":1,"data":{}}"#,
            r#"{"answer":"0000000000000007","exit":99999999999,"text":"x"}"#,
            r#"{"answer":"0000000000000007","ask":"0000000000000007","token":"0000000000000007"}"#,
            r#"{"answer":"0000000000000007","answer":"0000000000000008","text":"x"}"#,
        ] {
            assert!(Inside::read(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn whatever_a_peer_has_sealed_is_read_as_it_would_be_written_or_refused(
            members in prop::collection::vec(
                prop::sample::select(vec![
                    r#""nick":"x""#, r#""ask":"00000000000000ff""#, r#""ask":"x""#,
                    r#""token":"0000000000000007""#, r#""answer":"00000000000000ff""#,
                    r#""count":3"#, r#""count":-1"#, r#""exit":-7"#, r#""exit":1e9"#, r#""at":5"#,
                    r#""text":"t""#, r#""text":7"#, r#""data":{"a":[1]}"#, r#""msgs":[{"text":"a"}]"#,
                    r#""msgs":[]"#, r#""part":0,"parts":2,"piece":"{""#, r#""part":9,"parts":2,"piece":"""#,
                    r#""level":"warn""#, r#""new":null"#,
                ]),
                0..7,
            ),
        ) {
            let json = format!("{{{}}}", members.join(","));
            if let Ok(inside) = Inside::read(&json) {
                prop_assert_eq!(Inside::read(&inside.to_json()), Ok(inside));
            }
        }
    }

    #[test]
    fn every_part_of_the_longest_answer_fits_under_the_longest_nick() {
        let nick = PeerText::new("\"".repeat(limits::NICK));
        let long = content(&"\u{1}".repeat(limits::TEXT));
        let payloads = split([long], LONGEST.payload_room(limits::DATAGRAM));
        assert!(payloads.len() <= limits::PARTS);
        for payload in payloads {
            let inside = Inside { nick: nick.clone(), matter: LONGEST, payload: Some(payload) };
            assert!(inside.to_json().len() <= Tell::room(limits::DATAGRAM));
        }
    }
}
