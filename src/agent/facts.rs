//! What a command is told of what happened: JSON on its standard input, the main things as
//! variables.
//!
//! Strangers' text is in both. Neither is ever read by a shell unless the command itself is one
//! and does so.

use super::objects::{self, Clocks};
use crate::node::Notice;
use crate::proto::{Event, Message, PeerInfo, Question};
use crate::values::{ChannelName, Json, PeerText};

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
        let channel = message.channel.as_ref().map_or("", ChannelName::as_str);
        let at = message.at.unwrap_or(clocks.wall());
        let env = vec![
            ("COOEE_EVENT", "message".to_owned()),
            ("COOEE_AT", at.to_string()),
            ("COOEE_TEXT", safe(&message.text)),
            ("COOEE_CHANNEL", channel.to_owned()),
            ("COOEE_FROM", message.from.map(|id| id.to_string()).unwrap_or_default()),
            // Not COOEE_NICK: a `cooee` run by the command would speak under the author's nick.
            ("COOEE_FROM_NICK", safe(&message.nick)),
            ("COOEE_LEVEL", message.level.to_string()),
            ("COOEE_DATA", message.data.as_ref().map_or("", Json::as_str).to_owned()),
            ("COOEE_DIRECT", message.channel.is_none().to_string()),
            ("COOEE_VERIFIED", message.verified.to_string()),
        ];
        Self { json: objects::message(message, clocks) + "\n", env }
    }

    /// What is told of anything else that happened; `None` for what scripts have no use for.
    pub(crate) fn of_notice(notice: &Notice, clocks: Clocks) -> Option<Self> {
        let event = |name: &str| {
            vec![("COOEE_EVENT", name.to_owned()), ("COOEE_AT", clocks.wall().to_string())]
        };
        let env = match notice {
            Notice::Event(Event::Message(message) | Event::Said(message)) => {
                return Some(Self::of(message, clocks));
            }
            Notice::Event(Event::Joined(peer)) => of_peer(event("joined"), peer),
            Notice::Event(Event::Left(peer)) => of_peer(event("left"), peer),
            Notice::Event(Event::Suspect(peer)) => of_peer(event("suspect"), peer),
            Notice::Event(Event::Alive(peer)) => of_peer(event("alive"), peer),
            Notice::Event(Event::Dead(peer)) => of_peer(event("dead"), peer),
            Notice::Event(Event::Path(peer)) => of_peer(event("path"), peer),
            Notice::Event(Event::Status(peer)) => of_peer(event("status"), peer),
            Notice::Event(Event::Renamed { peer, was }) => {
                let mut env = of_peer(event("renamed"), peer);
                env.push(("COOEE_WAS", safe(was)));
                env
            }
            Notice::Event(Event::Moved { peer, was }) => {
                let mut env = of_peer(event("moved"), peer);
                env.push(("COOEE_WAS", was.to_string()));
                env
            }
            Notice::Event(Event::Cloned { addr, nick, .. }) => {
                let mut env = event("cloned");
                env.push(("COOEE_FROM_NICK", safe(nick)));
                env.push(("COOEE_ADDR", addr.to_string()));
                env
            }
            Notice::LinkUp { name } => of_link(event("link"), name, "up", ""),
            Notice::LinkDown { name, why } => of_link(event("link"), name, "down", why),
            _ => return None,
        };
        Some(Self { json: objects::notice(notice, clocks)? + "\n", env })
    }

    /// What is told of a question.
    pub(crate) fn of_question(question: &Question, clocks: Clocks) -> Self {
        let env = vec![
            ("COOEE_EVENT", "question".to_owned()),
            ("COOEE_TEXT", safe(&question.text)),
            ("COOEE_FROM", question.from.to_string()),
            ("COOEE_FROM_NICK", safe(&question.nick)),
            ("COOEE_AT", question.at.to_string()),
        ];
        Self { json: objects::asking::question(question, clocks) + "\n", env }
    }

    /// The value of a variable.
    pub(crate) fn get(&self, variable: &str) -> Option<&str> {
        self.env.iter().find(|(name, _)| *name == variable).map(|(_, value)| value.as_str())
    }
}

type Env = Vec<(&'static str, String)>;

fn of_peer(mut env: Env, peer: &PeerInfo) -> Env {
    let profile = &peer.profile;
    env.extend([
        ("COOEE_FROM", peer.id.to_string()),
        ("COOEE_FROM_NICK", safe(&profile.nick)),
        ("COOEE_HOST", safe(&profile.host)),
        ("COOEE_ADDR", peer.addr.map(|addr| addr.to_string()).unwrap_or_default()),
        ("COOEE_STATE", peer.state.as_str().to_owned()),
        ("COOEE_AWAY", profile.away.as_ref().map(safe).unwrap_or_default()),
        ("COOEE_VERIFIED", peer.verified.to_string()),
    ]);
    env
}

fn of_link(mut env: Env, name: &str, state: &str, why: &str) -> Env {
    env.extend([
        ("COOEE_LINK", name.to_owned()),
        ("COOEE_STATE", state.to_owned()),
        ("COOEE_WHY", why.replace('\0', "?")),
    ]);
    env
}

/// Neither the environment nor an argument can carry NUL; the JSON does.
fn safe(text: &PeerText) -> String {
    text.raw().replace('\0', "?")
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
        assert_eq!(facts.get("COOEE_TEXT"), Some("$(reboot) `x` ? \"q\""));
        assert_eq!(facts.get("COOEE_CHANNEL"), Some("ops"));
        assert_eq!(facts.get("COOEE_DATA"), Some("{\"n\":1}"));
        let json = &facts.json;
        assert!(json.starts_with("{\"event\":\"message\"") && json.ends_with("}\n"), "{json}");
        assert!(json.contains("\\u0000"), "{json}");
    }
}
