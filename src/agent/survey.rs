//! One question to many: who has answered, who will not, and whether that is enough.
//!
//! ```text
//!   asked ──answer──▶ answered          counts
//!     ├────nobody───▶ without           nobody answers there, so nothing is missing
//!     └─lost, time──▶ missing
//! ```
//!
//! Peers are counted, not answers: a peer may give several.

use std::fmt;
use std::str::FromStr;

use crate::proto::AnswerEnd;
use crate::values::{NodeId, PeerText, SmallMap, order};

/// How many have to answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Need {
    /// Everyone at whom somebody answers questions; at least one.
    #[default]
    Answerers,
    /// So many.
    Count(usize),
    /// So many of a hundred of those who are asked.
    Percent(usize),
    /// Everyone who is asked.
    All,
}

impl FromStr for Need {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || "write a number, such as 3; a share, such as 50%; or all".to_owned();
        if text == "all" {
            return Ok(Self::All);
        }
        let number = text.strip_suffix('%').unwrap_or(text);
        let digits = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
        let count: usize = if digits { number.parse().map_err(|_| wrong())? } else { 0 };
        match count {
            0 => Err(wrong()),
            _ if text == number => Ok(Self::Count(count)),
            1..=100 => Ok(Self::Percent(count)),
            _ => Err(wrong()),
        }
    }
}

impl Need {
    /// How many that is where so many are there.
    pub(crate) fn of(self, all: usize) -> usize {
        match self {
            Self::Count(count) => count,
            Self::Percent(share) => (all * share).div_ceil(100),
            Self::Answerers | Self::All => all,
        }
    }
}

/// As [`Need::from_str`] reads it; nothing for what needs not be said.
impl fmt::Display for Need {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Answerers => Ok(()),
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(share) => write!(f, "{share}%"),
            Self::All => f.write_str("all"),
        }
    }
}

/// What is known of one who was asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Waiting,
    /// There may be more.
    Answering,
    Answered,
    Without,
    Lost,
}

/// A peer by id and nick.
pub(crate) type Who = (NodeId, PeerText);

/// By nick, those with the same by id.
pub(super) fn sort(who: &mut Vec<Who>) {
    order::sort_by(who, |(a, nick), (b, other)| (nick, a).cmp(&(other, b)));
}

/// A question under way.
#[derive(Debug)]
pub(crate) struct Survey {
    need: Need,
    asked: SmallMap<NodeId, (PeerText, State)>,
    /// How many of them may still send something, have sent something, and never will.
    open: usize,
    answered: usize,
    without: usize,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Summary {
    /// Peers that have answered.
    pub(crate) answers: usize,
    /// Peers that should have.
    pub(crate) expected: usize,
    /// Who should have answered and did not.
    pub(crate) missing: Vec<Who>,
    /// Where nobody answers.
    pub(crate) without: Vec<Who>,
}

impl Survey {
    pub(crate) fn new(need: Need, asked: impl IntoIterator<Item = Who>) -> Self {
        let mut all = SmallMap::new();
        for (id, nick) in asked {
            all.insert(id, (nick, State::Waiting));
        }
        Self { need, open: all.len(), asked: all, answered: 0, without: 0 }
    }

    /// Whom to ask.
    pub(crate) fn ids(&self) -> Vec<NodeId> {
        self.asked.keys().copied().collect()
    }

    /// A peer has answered.
    pub(crate) fn answer(&mut self, from: NodeId) {
        if let Some((_, state)) = self.asked.get_mut(&from)
            && *state == State::Waiting
        {
            *state = State::Answering;
            self.answered += 1;
        }
    }

    /// No more will come from a peer.
    pub(crate) fn end(&mut self, from: NodeId, end: AnswerEnd) {
        let Some((_, state)) = self.asked.get_mut(&from) else { return };
        *state = match (*state, end) {
            (State::Answering, _) => State::Answered,
            (State::Waiting, AnswerEnd::Nobody) => {
                self.without += 1;
                State::Without
            }
            (State::Waiting, AnswerEnd::Given | AnswerEnd::Lost(_)) => State::Lost,
            (State::Answered | State::Without | State::Lost, _) => return,
        };
        self.open -= 1;
    }

    fn expected(&self) -> usize {
        let without = if self.need == Need::Answerers { self.without } else { 0 };
        self.need.of(self.asked.len() - without)
    }

    /// Whether there is nothing to wait for any more.
    pub(crate) fn is_over(&self) -> bool {
        let enough = match self.need {
            // They may have further answers to give.
            Need::Answerers | Need::All => false,
            Need::Count(_) | Need::Percent(_) => self.answered >= self.expected().max(1),
        };
        enough || self.open == 0
    }

    /// What has come of it so far.
    pub(crate) fn summary(&self) -> Summary {
        let who = |fits: &dyn Fn(State) -> bool| -> Vec<Who> {
            let fitting = self.asked.iter().filter(|(_, (_, state))| fits(*state));
            let mut who: Vec<Who> = fitting.map(|(&id, (nick, _))| (id, nick.clone())).collect();
            sort(&mut who);
            who
        };
        Summary {
            answers: self.answered,
            expected: self.expected(),
            missing: who(&|state| matches!(state, State::Waiting | State::Lost)),
            without: who(&|state| state == State::Without),
        }
    }
}

impl Summary {
    /// Whether as many have answered as had to.
    pub(crate) fn is_met(&self) -> bool {
        self.answers >= self.expected.max(1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::TellError;

    fn id(n: u8) -> NodeId {
        NodeId([n; 32])
    }

    fn survey(need: &str, count: u8) -> Survey {
        let need = if need.is_empty() { Need::default() } else { need.parse().unwrap() };
        Survey::new(need, (0..count).map(|n| (id(n), format!("n{n}").as_str().into())))
    }

    /// Has each answer for good.
    fn answered(survey: &mut Survey, ids: std::ops::Range<u8>) {
        for n in ids {
            survey.answer(id(n));
            survey.end(id(n), AnswerEnd::Given);
        }
    }

    const LOST: AnswerEnd = AnswerEnd::Lost(TellError::Unanswered);

    #[test]
    fn a_need_is_a_number_a_share_or_all() {
        for text in ["1", "30", "1%", "100%", "all"] {
            assert_eq!(text.parse::<Need>().unwrap().to_string(), text);
        }
        for text in ["", "0", "0%", "101%", "-1", "+1", "1.5", "half", "%", "99999999999999999999"]
        {
            assert!(text.parse::<Need>().is_err(), "{text}");
        }
    }

    #[test]
    fn unless_said_otherwise_everyone_is_expected_at_whom_somebody_answers() {
        let mut survey = survey("", 3);
        answered(&mut survey, 0..1);
        survey.end(id(1), AnswerEnd::Nobody);
        assert!(!survey.is_over() && !survey.summary().is_met());
        answered(&mut survey, 2..3);
        let summary = survey.summary();
        assert!(survey.is_over() && summary.is_met());
        assert_eq!((summary.answers, summary.expected), (2, 2));
        assert_eq!(summary.without, [(id(1), "n1".into())]);
    }

    #[test]
    fn where_nobody_answers_or_nobody_is_there_the_need_is_not_met() {
        for count in [0, 2] {
            let mut survey = survey("", count);
            for n in 0..count {
                survey.end(id(n), AnswerEnd::Nobody);
            }
            assert!(survey.is_over() && !survey.summary().is_met());
            assert_eq!(survey.summary().expected, 0);
        }
    }

    #[test]
    fn who_is_lost_or_late_is_missing() {
        let mut survey = survey("", 3);
        answered(&mut survey, 0..1);
        survey.end(id(1), LOST);
        assert!(!survey.is_over());
        let summary = survey.summary();
        assert_eq!(summary.missing, [(id(1), "n1".into()), (id(2), "n2".into())]);
        assert_eq!((summary.expected, summary.is_met()), (3, false));
        survey.answer(id(2));
        assert!(!survey.is_over(), "it may have more to say");
        survey.end(id(2), LOST);
        assert!(survey.is_over());
        assert_eq!(survey.summary().answers, 2, "what it said counts");
    }

    #[test]
    fn as_many_as_are_needed_are_enough() {
        for (need, enough) in [("2", 2), ("50%", 2), ("51%", 3), ("1%", 1)] {
            let mut survey = survey(need, 4);
            answered(&mut survey, 0..enough - 1);
            assert!(!survey.is_over() && !survey.summary().is_met(), "{need}");
            survey.answer(id(enough - 1));
            assert!(survey.is_over() && survey.summary().is_met(), "{need}");
        }
        let mut few = survey("5", 2);
        answered(&mut few, 0..2);
        assert!(few.is_over() && !few.summary().is_met());
    }

    #[test]
    fn all_are_all() {
        let mut survey = survey("all", 2);
        answered(&mut survey, 0..1);
        survey.end(id(1), AnswerEnd::Nobody);
        assert!(survey.is_over() && !survey.summary().is_met());
        assert_eq!(survey.summary().expected, 2);
    }
}
