//! One hook: what it waits for, and the command that it runs then. Pure values.
//!
//! Text from the network gets into an argument only where the user wrote a placeholder, never into
//! the program's name, and never makes two arguments of one.

use std::cell::OnceCell;
use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fmt;
use std::str::FromStr;
use std::time::Duration;

use crate::agent::facts::Facts;
use crate::node::Notice;
use crate::proto::{Event, Message, PeerInfo};
use crate::values::{ChannelName, Escaped, Level, SmallSet, WallTime, filled};

/// How long a hook's command may run unless said otherwise.
pub(crate) const TIMEOUT: Duration = Duration::from_secs(30);

/// A hook, as it was configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hook {
    /// What the log calls it.
    pub(crate) name: String,
    /// What happens.
    pub(crate) events: SmallSet<Trigger>,
    /// Only messages in these channels; empty: in any.
    pub(crate) channels: SmallSet<ChannelName>,
    /// Only messages told to this node alone, or only others.
    pub(crate) direct: Option<bool>,
    /// Only messages of at least this level.
    pub(crate) level: Level,
    /// Only of peers with one of these nicks or ids; empty: of anybody.
    pub(crate) from: SmallSet<String>,
    /// Only messages with all of these words, in small letters.
    pub(crate) words: SmallSet<String>,
    /// Only messages that their author has signed.
    pub(crate) verified: bool,
    /// Only messages said at most so long ago, by their author's clock.
    pub(crate) max_age: Option<Duration>,
    /// Also what this host says itself.
    pub(crate) own: bool,
    /// The program and its arguments.
    pub(crate) run: Vec<Template>,
    /// How long it may run.
    pub(crate) timeout: Duration,
    /// How many of this hook's commands run at a time, if fewer than of all hooks.
    pub(crate) at_once: Option<usize>,
}

/// What can happen; named as the objects name it that `--json` prints.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Trigger {
    /// Something was said.
    Message,
    /// A peer came.
    Joined,
    /// A peer said goodbye.
    Left,
    /// A peer is silent.
    Suspect,
    /// A suspect peer is there after all.
    Alive,
    /// A peer is gone without a word.
    Dead,
    /// Multicast from or to a peer does not get through any more, or does again.
    Path,
    /// A peer has a new nick.
    Renamed,
    /// A peer has another address.
    Moved,
    /// A peer is away or back, or has other tags or services.
    Status,
    /// A link of this host came or went.
    Link,
    /// Another node has this one's identity.
    Cloned,
}

impl Trigger {
    /// All of them.
    pub(crate) const ALL: [Self; 12] = [
        Self::Message,
        Self::Joined,
        Self::Left,
        Self::Suspect,
        Self::Alive,
        Self::Dead,
        Self::Path,
        Self::Renamed,
        Self::Moved,
        Self::Status,
        Self::Link,
        Self::Cloned,
    ];

    /// Its name.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Message => "message",
            Self::Joined => "joined",
            Self::Left => "left",
            Self::Suspect => "suspect",
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Path => "path",
            Self::Renamed => "renamed",
            Self::Moved => "moved",
            Self::Status => "status",
            Self::Link => "link",
            Self::Cloned => "cloned",
        }
    }

    /// It is about a peer.
    pub(crate) fn is_of_peer(self) -> bool {
        !matches!(self, Self::Message | Self::Link | Self::Cloned)
    }

    /// The placeholders that have a value when it happens, each with its variable.
    fn fields(self) -> impl Iterator<Item = (&'static str, &'static str)> {
        const ANY: &[&str] = &["event", "at"];
        const MESSAGE: &[&str] =
            &["text", "channel", "from", "nick", "level", "data", "direct", "verified"];
        const PEER: &[&str] = &["from", "nick", "host", "addr", "state", "away", "verified"];
        let (more, one): (&[&str], &[&str]) = match self {
            Self::Message => (MESSAGE, &[]),
            Self::Renamed | Self::Moved => (PEER, &["was"]),
            Self::Link => (&["link", "state", "why"], &[]),
            Self::Cloned => (&["addr", "nick"], &[]),
            _ => (PEER, &[]),
        };
        let has = move |name: &str| [ANY, more, one].iter().any(|names| names.contains(&name));
        FIELDS.into_iter().filter(move |(name, _)| has(name))
    }
}

/// All placeholders, each with the variable that has its value.
const FIELDS: [(&str, &str); 17] = [
    ("event", "COOEE_EVENT"),
    ("at", "COOEE_AT"),
    ("text", "COOEE_TEXT"),
    ("channel", "COOEE_CHANNEL"),
    ("from", "COOEE_FROM"),
    ("nick", "COOEE_FROM_NICK"),
    ("level", "COOEE_LEVEL"),
    ("data", "COOEE_DATA"),
    ("direct", "COOEE_DIRECT"),
    ("verified", "COOEE_VERIFIED"),
    ("host", "COOEE_HOST"),
    ("addr", "COOEE_ADDR"),
    ("state", "COOEE_STATE"),
    ("away", "COOEE_AWAY"),
    ("was", "COOEE_WAS"),
    ("link", "COOEE_LINK"),
    ("why", "COOEE_WHY"),
];

impl FromStr for Trigger {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::ALL.into_iter().find(|trigger| trigger.as_str() == text).ok_or_else(|| {
            let all: Vec<&str> = Self::ALL.into_iter().map(Self::as_str).collect();
            format!("there is no event '{}'; there are {}", Escaped::of(text), all.join(", "))
        })
    }
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One argument: text, and placeholders such as `{text}`. `{{text}}` stands for the text
/// `{text}`; any other bracket for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Template(Vec<Part>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    Text(String),
    /// The name of the placeholder, and of the variable.
    Field(&'static str, &'static str),
}

impl FromStr for Template {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text.contains('\0') {
            return Err("an argument can't contain NUL".to_owned());
        }
        let mut parts = Vec::new();
        let mut plain = String::new();
        let mut rest = text;
        while let Some(at) = rest.find('{') {
            plain.push_str(&rest[..at]);
            rest = &rest[at..];
            if let Some(name) = rest.strip_prefix("{{").and_then(|inner| named(inner, "}}")) {
                plain.push_str(&rest[1..name.len() + 3]);
                rest = &rest[name.len() + 4..];
            } else if let Some(name) = named(&rest[1..], "}") {
                let Some((name, variable)) = FIELDS.into_iter().find(|(n, _)| *n == name) else {
                    return Err(unknown(name));
                };
                if !plain.is_empty() {
                    parts.push(Part::Text(std::mem::take(&mut plain)));
                }
                parts.push(Part::Field(name, variable));
                rest = &rest[name.len() + 2..];
            } else {
                plain.push('{');
                rest = &rest[1..];
            }
        }
        plain.push_str(rest);
        if !plain.is_empty() || parts.is_empty() {
            parts.push(Part::Text(plain));
        }
        Ok(Self(parts))
    }
}

/// A name at the beginning of `text`, if `end` follows it.
fn named<'a>(text: &'a str, end: &str) -> Option<&'a str> {
    let length = text.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-')?;
    (length > 0 && text[length..].starts_with(end)).then(|| &text[..length])
}

fn unknown(name: &str) -> String {
    let all: Vec<String> = FIELDS.iter().map(|(name, _)| format!("{{{name}}}")).collect();
    format!(
        "there is no placeholder {{{name}}}; there are {}; the text {{{name}}} itself is written \
         {{{{{name}}}}}",
        all.join(", ")
    )
}

impl Template {
    /// The argument, with the facts in the place of the placeholders.
    pub(crate) fn fill(&self, facts: &Facts) -> OsString {
        let part = |part: &Part| match part {
            Part::Text(text) => text.clone(),
            Part::Field(_, variable) => facts.get(variable).unwrap_or_default().to_owned(),
        };
        self.0.iter().map(part).collect::<String>().into()
    }

    /// This text and no placeholder.
    pub(crate) fn plainly(text: &str) -> Self {
        Self(vec![Part::Text(text.to_owned())])
    }

    /// The text, if there is no placeholder in it.
    pub(crate) fn plain(&self) -> Option<&str> {
        match &self.0[..] {
            [Part::Text(text)] => Some(text),
            _ => None,
        }
    }

    /// The first placeholder that has no value when that happens.
    pub(crate) fn lacks(&self, trigger: Trigger) -> Option<&'static str> {
        self.0.iter().find_map(|part| match part {
            Part::Field(name, _) if trigger.fields().all(|(known, _)| known != *name) => {
                Some(*name)
            }
            _ => None,
        })
    }
}

/// The words of a text, in small letters.
pub(crate) fn words(text: &str) -> impl Iterator<Item = String> {
    text.split(|c: char| !c.is_alphanumeric())
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
}

/// What has happened, and what is found out about it once for all hooks.
pub(super) struct Happening<'a> {
    notice: &'a Notice,
    now: WallTime,
    words: OnceCell<BTreeSet<String>>,
}

impl<'a> Happening<'a> {
    pub(super) fn new(notice: &'a Notice, now: WallTime) -> Self {
        Self { notice, now, words: OnceCell::new() }
    }

    fn has_words(&self, message: &Message, wanted: &SmallSet<String>) -> bool {
        let said = self.words.get_or_init(|| filled(words(message.text.raw())));
        wanted.iter().all(|word| said.contains(word))
    }
}

impl Hook {
    /// What has happened, if this hook is to run for it.
    pub(super) fn wants(&self, happening: &Happening) -> Option<Trigger> {
        let message = |message| self.wants_message(message, happening);
        let (trigger, wanted) = match happening.notice {
            Notice::Event(Event::Message(said)) => (Trigger::Message, message(said)),
            Notice::Event(Event::Said(said)) => (Trigger::Message, self.own && message(said)),
            Notice::Event(Event::Joined(peer)) => (Trigger::Joined, self.wants_peer(peer)),
            Notice::Event(Event::Left(peer)) => (Trigger::Left, self.wants_peer(peer)),
            Notice::Event(Event::Suspect(peer)) => (Trigger::Suspect, self.wants_peer(peer)),
            Notice::Event(Event::Alive(peer)) => (Trigger::Alive, self.wants_peer(peer)),
            Notice::Event(Event::Dead(peer)) => (Trigger::Dead, self.wants_peer(peer)),
            Notice::Event(Event::Path(peer)) => (Trigger::Path, self.wants_peer(peer)),
            Notice::Event(Event::Status(peer)) => (Trigger::Status, self.wants_peer(peer)),
            Notice::Event(Event::Renamed { peer, .. }) => (Trigger::Renamed, self.wants_peer(peer)),
            Notice::Event(Event::Moved { peer, .. }) => (Trigger::Moved, self.wants_peer(peer)),
            Notice::LinkUp { .. } | Notice::LinkDown { .. } => (Trigger::Link, true),
            Notice::Event(Event::Cloned { .. }) => (Trigger::Cloned, true),
            _ => return None,
        };
        (wanted && self.events.contains(&trigger)).then_some(trigger)
    }

    fn wants_message(&self, message: &Message, happening: &Happening) -> bool {
        let is_young = |most: Duration| {
            let age = happening.now.0.saturating_sub(message.at.unwrap_or(happening.now).0);
            Duration::from_millis(age) <= most
        };
        let channel = message.channel.as_ref();
        let is_from = || {
            // Whoever writes a datagram by hand can claim any id.
            let id = message.from.filter(|_| message.verified);
            self.from.contains(message.nick.raw())
                || id.is_some_and(|id| self.from.contains(&id.to_string()))
        };
        (message.verified || !self.verified)
            && message.level >= self.level
            && self.direct.is_none_or(|direct| direct == channel.is_none())
            && (self.channels.is_empty() || channel.is_some_and(|c| self.channels.contains(c)))
            && (self.from.is_empty() || is_from())
            && self.max_age.is_none_or(is_young)
            && (self.words.is_empty() || happening.has_words(message, &self.words))
    }

    fn wants_peer(&self, peer: &PeerInfo) -> bool {
        self.from.is_empty()
            || self.from.contains(peer.profile.nick.raw())
            || self.from.contains(&peer.id.to_string())
    }
}

#[cfg(test)]
pub(super) mod tests;
