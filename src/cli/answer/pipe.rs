//! Answers from a pipe: which line is the answer to which question.
//!
//! Lines answer in the order in which the questions were printed. A question whose time is up keeps
//! its place until its line comes, so that a slow answer is never taken for one to another question.
//! Who answers in another order, or in several lines, writes `{"question":N,"text":…}`.

use std::collections::VecDeque;
use std::time::Instant;

use serde::Deserialize;
use serde_json::value::RawValue;

use crate::values::{Json, limits};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub(super) text: String,
    pub(super) data: Option<Json>,
    pub(super) exit: Option<i32>,
    /// There is no further one to the question.
    pub(super) last: bool,
}

impl Given {
    /// Why there is no answer.
    pub(super) fn failed(exit: i32, why: &str) -> Self {
        Self { text: format!("[{why}]"), data: None, exit: Some(exit), last: true }
    }
}

#[derive(Debug)]
struct Turn {
    number: u64,
    until: Instant,
    /// Its time is up: the line that comes for it is dropped.
    over: bool,
}

/// The questions that wait for a line, the oldest first.
#[derive(Debug)]
pub(super) struct Turns {
    turns: VecDeque<Turn>,
    most: usize,
}

/// An answer that says which question it is for.
#[derive(Deserialize)]
struct Numbered {
    question: u64,
    #[serde(default)]
    text: String,
    data: Option<Box<RawValue>>,
    exit: Option<i32>,
    #[serde(default)]
    pass: bool,
    last: Option<bool>,
}

impl Turns {
    /// At most `most` questions wait.
    pub(super) fn new(most: usize) -> Self {
        Self { turns: VecDeque::new(), most }
    }

    /// A question waits from now on; `false` if too many do.
    pub(super) fn ask(&mut self, number: u64, until: Instant) -> bool {
        if self.turns.len() >= self.most {
            return false;
        }
        self.turns.push_back(Turn { number, until, over: false });
        true
    }

    /// A line has come, or what is wrong with it: for which question, and the answer if it is one.
    /// `None` if no question waits for it.
    pub(super) fn answer(&mut self, line: Result<String, String>) -> Option<(u64, Option<Given>)> {
        let text = match line {
            Ok(text) => text,
            Err(why) => {
                let turn = self.turns.pop_front().filter(|turn| !turn.over)?;
                return Some((turn.number, Some(Given::failed(1, &format!("the answer {why}")))));
            }
        };
        if text.starts_with('{')
            && let Ok(numbered) = serde_json::from_slice::<Numbered>(text.as_bytes())
        {
            return self.numbered(numbered);
        }
        let turn = self.turns.pop_front().filter(|turn| !turn.over)?;
        let given = Given { text, data: None, exit: None, last: true };
        Some((turn.number, Some(given).filter(|given| !given.text.is_empty())))
    }

    fn numbered(&mut self, numbered: Numbered) -> Option<(u64, Option<Given>)> {
        // Who says which question is meant owes no line to those whose time was up.
        self.turns.retain(|turn| !turn.over);
        let at = self.turns.iter().position(|turn| turn.number == numbered.question)?;
        let last = numbered.pass || numbered.last.unwrap_or(true);
        if last {
            self.turns.remove(at);
        }
        if numbered.pass {
            return Some((numbered.question, None));
        }
        let data = numbered.data.map(|raw| Json::parse(raw.get()));
        let given = match data.transpose() {
            _ if numbered.text.len() > limits::TEXT => Given::failed(1, "the answer is too long"),
            Ok(data) => Given { text: numbered.text, data, exit: numbered.exit, last },
            Err(why) => Given::failed(1, &format!("the answer's data is {why}")),
        };
        Some((numbered.question, Some(given)))
    }

    /// When the next question's time is up.
    pub(super) fn next(&self) -> Option<Instant> {
        self.turns.iter().filter(|turn| !turn.over).map(|turn| turn.until).min()
    }

    /// The questions whose time is up now.
    pub(super) fn overdue(&mut self, now: Instant) -> Vec<u64> {
        let late = self.turns.iter_mut().filter(|turn| !turn.over && turn.until <= now);
        late.map(|turn| {
            turn.over = true;
            turn.number
        })
        .collect()
    }

    /// The questions to which no line comes any more.
    pub(super) fn rest(&self) -> impl Iterator<Item = u64> {
        self.turns.iter().filter(|turn| !turn.over).map(|turn| turn.number)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn turns(numbers: std::ops::Range<u64>, now: Instant) -> Turns {
        let mut turns = Turns::new(3);
        for number in numbers {
            assert!(turns.ask(number, now + Duration::from_secs(number)));
        }
        turns
    }

    fn line(turns: &mut Turns, line: &str) -> Option<(u64, Option<String>)> {
        let (number, given) = turns.answer(Ok(line.to_owned()))?;
        Some((number, given.map(|given| given.text)))
    }

    #[test]
    fn lines_answer_in_order_and_an_empty_one_passes() {
        let mut turns = turns(1..4, Instant::now());
        assert!(!turns.ask(4, Instant::now()), "only so many wait");
        assert_eq!(line(&mut turns, "one"), Some((1, Some("one".into()))));
        assert_eq!(line(&mut turns, ""), Some((2, None)));
        assert_eq!(line(&mut turns, "{\"load\":1}"), Some((3, Some("{\"load\":1}".into()))));
        assert_eq!(line(&mut turns, "nobody asked"), None);
    }

    #[test]
    fn a_late_line_is_no_answer_to_the_next_question() {
        let now = Instant::now();
        let mut turns = turns(1..3, now);
        assert_eq!(turns.next(), Some(now + Duration::from_secs(1)));
        assert_eq!(turns.overdue(now + Duration::from_secs(1)), [1]);
        assert!(turns.overdue(now + Duration::from_secs(1)).is_empty());
        assert_eq!(turns.next(), Some(now + Duration::from_secs(2)));
        assert_eq!(line(&mut turns, "late"), None);
        assert_eq!(line(&mut turns, "two"), Some((2, Some("two".into()))));
        assert_eq!(turns.rest().count(), 0);
    }

    #[test]
    fn a_numbered_answer_goes_to_its_question() {
        let now = Instant::now();
        let mut turns = turns(1..4, now);
        turns.overdue(now + Duration::from_secs(1));
        let of = |turns: &mut Turns, text: &str| turns.answer(Ok(text.to_owned()));
        let given =
            of(&mut turns, r#"{"question":3,"text":"a\nb","exit":2,"data":[1 ],"last":false}"#);
        let data = Some(Json::parse("[1]").unwrap());
        let wanted = Given { text: "a\nb".into(), data, exit: Some(2), last: false };
        assert_eq!(given, Some((3, Some(wanted))));
        assert_eq!(line(&mut turns, r#"{"question":3,"text":"c"}"#), Some((3, Some("c".into()))));
        assert_eq!(line(&mut turns, r#"{"question":3,"text":"d"}"#), None, "it was the last");
        assert_eq!(line(&mut turns, r#"{"question":1,"text":"late"}"#), None);
        assert_eq!(line(&mut turns, r#"{"question":2,"pass":true}"#), Some((2, None)));
    }

    #[test]
    fn a_line_that_is_none_says_so_to_who_asked() {
        let mut turns = turns(1..2, Instant::now());
        let (number, given) = turns.answer(Err("is not UTF-8 text".to_owned())).unwrap();
        let given = given.unwrap();
        assert_eq!((number, given.exit), (1, Some(1)));
        assert_eq!(given.text, "[the answer is not UTF-8 text]");
    }
}
