//! What a command is told of what happened: JSON on its standard input, the main things as
//! variables.
//!
//! Strangers' text is in both. Neither is ever read by a shell unless the command itself is one
//! and does so.

use super::objects::{self, Clocks};
use crate::proto::{Message, Question};

/// What a command is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Facts {
    /// For its standard input: one object, as `--json` prints it, and a line's end.
    pub(crate) json: String,
    /// For its environment.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Facts {
    /// What is told of a message.
    pub(crate) fn of(message: &Message, clocks: Clocks) -> Self {
        let channel = message.channel.as_ref().map_or("", |channel| channel.as_str());
        let at = message.at.unwrap_or(clocks.wall());
        let env = vec![
            ("COOEE_TEXT", without_nul(message.text.raw())),
            ("COOEE_CHANNEL", channel.to_owned()),
            ("COOEE_FROM", message.from.map(|id| id.to_string()).unwrap_or_default()),
            // Not COOEE_NICK: a `cooee` run by the command would speak under the author's nick.
            ("COOEE_FROM_NICK", without_nul(message.nick.raw())),
            ("COOEE_LEVEL", message.level.to_string()),
            ("COOEE_AT", at.to_string()),
            ("COOEE_VERIFIED", message.verified.to_string()),
        ];
        Self { json: objects::message(message, clocks) + "\n", env }
    }

    /// What is told of a question.
    pub(crate) fn of_question(question: &Question, clocks: Clocks) -> Self {
        let env = vec![
            ("COOEE_TEXT", without_nul(question.text.raw())),
            ("COOEE_FROM", question.from.to_string()),
            ("COOEE_FROM_NICK", without_nul(question.nick.raw())),
            ("COOEE_AT", question.at.to_string()),
        ];
        Self { json: objects::asking::question(question, clocks) + "\n", env }
    }
}

/// Neither the environment nor an argument can carry NUL; the JSON does.
pub(crate) fn without_nul(text: &str) -> String {
    text.replace('\0', "?")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::tests::a_message;

    #[test]
    fn a_message_is_told_in_full_and_a_nul_only_in_the_json() {
        let mut message = a_message();
        message.text = "$(reboot) `x` \0 \"q\"".into();
        let facts = Facts::of(&message, Clocks::zero());
        let of = |name| &facts.env.iter().find(|(n, _)| *n == name).unwrap().1;
        assert_eq!(of("COOEE_TEXT"), "$(reboot) `x` ? \"q\"");
        assert_eq!((of("COOEE_CHANNEL").as_str(), of("COOEE_LEVEL").as_str()), ("ops", "warn"));
        let json = &facts.json;
        assert!(json.starts_with("{\"event\":\"message\"") && json.ends_with("}\n"), "{json}");
        assert!(json.contains("\\u0000"), "{json}");
    }
}
