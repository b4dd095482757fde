//! Questions and answers as objects, and back.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::read::wall;
use super::{Clocks, line};
use crate::agent::survey::{Summary, Who};
use crate::proto::{Answer, Question};
use crate::values::{Json, NodeId, PeerText, WallTime};

#[derive(Debug, Deserialize, Serialize)]
pub(super) struct Peer {
    id: String,
    nick: String,
}

impl Peer {
    pub(super) fn of(id: NodeId, nick: &PeerText) -> Self {
        Self { id: id.to_string(), nick: nick.raw().to_owned() }
    }

    pub(super) fn who(self) -> Option<Who> {
        Some((self.id.parse().ok()?, PeerText::new(self.nick)))
    }
}

#[derive(Debug, Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Object {
    Question {
        question: u64,
        from: Peer,
        at: String,
        text: String,
        data: Option<Box<RawValue>>,
    },
    Answer {
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
        from: Peer,
        at: String,
        text: String,
        data: Option<Box<RawValue>>,
        exit: Option<i32>,
        rtt_ms: f64,
    },
    Answered {
        #[serde(skip_serializing_if = "Option::is_none")]
        n: Option<u64>,
        answers: usize,
        expected: usize,
        missing: Vec<Peer>,
        without: Vec<Peer>,
    },
}

fn raw(data: Option<&Json>) -> Option<Box<RawValue>> {
    data.and_then(|data| RawValue::from_string(data.as_str().to_owned()).ok())
}

/// A peer without a clock has said it just now.
fn time(at: WallTime, clocks: Clocks) -> String {
    if at == WallTime::default() { clocks.wall().to_string() } else { at.to_string() }
}

/// A question to this node.
pub(crate) fn question(question: &Question, clocks: Clocks) -> String {
    line(&Object::Question {
        question: question.number,
        from: Peer::of(question.from, &question.nick),
        at: time(question.at, clocks),
        text: question.text.raw().to_owned(),
        data: raw(question.data.as_ref()),
    })
}

/// An answer; on the control socket with the number of the request.
pub(crate) fn answer(answer: &Answer, n: Option<u64>, clocks: Clocks) -> String {
    line(&Object::Answer {
        n,
        from: Peer::of(answer.from, &answer.nick),
        at: time(answer.at, clocks),
        text: answer.text.raw().to_owned(),
        data: raw(answer.data.as_ref()),
        exit: answer.exit,
        rtt_ms: answer.took.as_micros() as f64 / 1_000.0,
    })
}

/// What came of a question.
pub(crate) fn answered(summary: &Summary, n: Option<u64>) -> String {
    let peers = |who: &[Who]| who.iter().map(|(id, nick)| Peer::of(*id, nick)).collect();
    line(&Object::Answered {
        n,
        answers: summary.answers,
        expected: summary.expected,
        missing: peers(&summary.missing),
        without: peers(&summary.without),
    })
}

/// One of these lines, read again.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    Question(Question),
    /// Its ticket is the number of the request.
    Answer(Answer),
    Answered(Summary),
}

/// Any of them, and of those about confirmations; each has some of these. (Not [`Object`]: what is
/// read by its tag can't hold JSON as it was written.)
#[derive(Debug, Deserialize)]
pub(super) struct Members {
    pub(super) event: String,
    n: Option<u64>,
    question: Option<u64>,
    from: Option<Peer>,
    pub(super) id: Option<String>,
    pub(super) nick: Option<String>,
    at: Option<String>,
    text: Option<String>,
    data: Option<Box<RawValue>>,
    exit: Option<i32>,
    pub(super) rtt_ms: Option<f64>,
    answers: Option<usize>,
    pub(super) received: Option<usize>,
    pub(super) expected: Option<usize>,
    pub(super) missing: Option<Vec<Peer>>,
    without: Option<Vec<Peer>>,
}

impl Members {
    fn question(self) -> Option<Question> {
        let (from, nick) = self.from?.who()?;
        let (at, text) = (wall(&self.at?)?, PeerText::new(self.text?));
        let data = self.data.and_then(|raw| Json::parse(raw.get()).ok());
        Some(Question { number: self.question?, from, nick, at, text, data })
    }

    fn answer(self) -> Option<Answer> {
        let (from, nick) = self.from?.who()?;
        let (at, text) = (wall(&self.at?)?, PeerText::new(self.text?));
        let data = self.data.and_then(|raw| Json::parse(raw.get()).ok());
        let took = Duration::try_from_secs_f64(self.rtt_ms? / 1_000.0).unwrap_or_default();
        let (ticket, exit) = (self.n.unwrap_or_default(), self.exit);
        Some(Answer { ticket, from, nick, at, text, data, exit, took })
    }

    fn summary(self) -> Option<Summary> {
        let who = |peers: Vec<Peer>| peers.into_iter().map(Peer::who).collect::<Option<Vec<Who>>>();
        Some(Summary {
            answers: self.answers?,
            expected: self.expected?,
            missing: who(self.missing?)?,
            without: who(self.without?)?,
        })
    }
}

/// Reads a line; `None` if it is none of these.
pub(crate) fn read(line: &str) -> Option<Read> {
    let members: Members = serde_json::from_slice(line.as_bytes()).ok()?;
    match members.event.as_str() {
        "question" => members.question().map(Read::Question),
        "answer" => members.answer().map(Read::Answer),
        "answered" => members.summary().map(Read::Answered),
        _ => None,
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn a_question() -> Question {
        Question {
            number: 7,
            from: NodeId([3; 32]),
            nick: "ada".into(),
            at: WallTime(1_795_383_240_123),
            text: "uptime\u{202e} \0".into(),
            data: Some(Json::parse(r#"{"n":1e400}"#).unwrap()),
        }
    }

    pub(crate) fn an_answer() -> Answer {
        Answer {
            ticket: 0,
            from: NodeId([3; 32]),
            nick: "web1".into(),
            at: WallTime(1_795_383_240_123),
            text: "one\ntwo".into(),
            data: None,
            exit: Some(-1),
            took: Duration::from_micros(1_500),
        }
    }

    #[test]
    fn an_answer_is_one_line_with_promised_members() {
        let line = answer(&an_answer(), None, Clocks::zero());
        let id = NodeId([3; 32]);
        assert_eq!(
            line,
            format!(
                r#"{{"event":"answer","from":{{"id":"{id}","nick":"web1"}},"at":"2026-11-22T21:34:00.123Z","text":"one\ntwo","data":null,"exit":-1,"rtt_ms":1.5}}"#
            )
        );
        let who = |nick: &str| (id, nick.into());
        let summary = Summary { answers: 1, expected: 2, missing: vec![who("a")], without: vec![] };
        assert_eq!(
            answered(&summary, Some(4)),
            format!(
                r#"{{"event":"answered","n":4,"answers":1,"expected":2,"missing":[{{"id":"{id}","nick":"a"}}],"without":[]}}"#
            )
        );
    }

    #[test]
    fn what_was_printed_is_read_again() {
        let clocks = Clocks::zero();
        let line = question(&a_question(), clocks);
        assert!(line.is_ascii() && !line.contains('\n'), "{line}");
        assert_eq!(read(&line), Some(Read::Question(a_question())));
        let given = Answer { ticket: 9, ..an_answer() };
        assert_eq!(read(&answer(&given, Some(9), clocks)), Some(Read::Answer(given)));
        let who = vec![(NodeId([1; 32]), PeerText::from("x"))];
        let summary = Summary { answers: 3, expected: 4, missing: who.clone(), without: who };
        assert_eq!(read(&answered(&summary, None)), Some(Read::Answered(summary)));
        for other in ["", "{}", r#"{"event":"message"}"#, r#"{"event":"answer"}"#] {
            assert_eq!(read(other), None, "{other}");
        }
    }
}
