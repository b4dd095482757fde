//! The lines that go through the control socket; `docs/agent.md` is the page about them.
//!
//! ```text
//!   client                                         agent
//!   {"n":1,"do":"say","text":"hi"}          ──▶
//!                                           ◀──    {"n":1,"ok":true}
//!   {"n":2,"do":"listen","channels":["ops"]} ──▶
//!                                           ◀──    {"n":2,"ok":true}
//!                                           ◀──    {"event":"message",…}
//! ```
//!
//! One JSON object a line, both ways. Members that are not known are ignored, so both ends may grow.
//! No I/O here, and nothing of how a request is carried out.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::filter::Filter;
use super::survey::Need;
use crate::net::{Interface, Usage};
use crate::values::{ChannelName, Json, Level, Nick, limits};

/// Bytes of the longest line that the agent reads: a text of 64 KiB and as much data, each
/// character written as `\uXXXX`, with room to spare.
pub(crate) const LINE: usize = 1 << 20;

/// How long answers and receipts are waited for unless said otherwise.
pub(crate) const WAIT: Duration = Duration::from_secs(5);

/// A request as written.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Line {
    /// The client's number for it, sent back with the reply. Without one, there is a reply only if
    /// it is refused.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<u64>,
    /// What to do.
    #[serde(rename = "do")]
    pub(crate) verb: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) channel: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) channels: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) data: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) level: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) to: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) events: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) history: Option<u32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) keep: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) nick: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) tags: Option<BTreeMap<String, Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) need: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) wait_ms: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) question: Option<u64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) exit: Option<i32>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) last: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) pass: Option<bool>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) set: Option<BTreeMap<String, Option<String>>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) offer: Option<BTreeMap<String, Option<u16>>>,
}

/// What is asked of the agent.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Request {
    /// Who are you?
    Hello,
    /// Who is here?
    Peers,
    /// Say something in a channel; `cast` is best effort.
    Say { channel: ChannelName, what: What, cast: bool },
    /// Tell one peer.
    Tell { to: String, what: What },
    /// Put a question to all peers, those with these tags, or one; send the answers as they come,
    /// and then what came of it.
    Ask(Inquiry),
    /// Have everyone in a channel confirm what was said there; send the receipts as they come, and
    /// then what came of it.
    Confirm { channel: ChannelName, need: Need, wait: Duration },
    /// Send others' questions from now on; this client answers them.
    Answer,
    /// Answer a question; without `what`, give no answer, or no more.
    Reply { question: u64, what: Option<What>, exit: Option<i32>, last: bool },
    /// Send what happens from now on: messages in these channels and direct ones, and if wanted who
    /// comes and goes, beginning with those who are here. First, so many messages that were said in
    /// each channel before.
    Listen { channels: Vec<ChannelName>, events: bool, history: u32 },
    /// Take part in a channel, for as long as this client is there, or from now on.
    Join { channel: ChannelName, keep: bool, history: u32 },
    /// The reverse.
    Leave { channel: ChannelName, keep: bool },
    /// Which channels are kept, and which are joined for clients only?
    Channels,
    /// Which interfaces are there, and which are used?
    Links,
    /// Change the nick.
    Nick(Nick),
    /// Be away, or be back.
    Away(Option<String>),
    /// Set and remove (`null`) tags.
    Tag(BTreeMap<String, Option<String>>),
    /// Offer and withdraw (`null`) services.
    Service(BTreeMap<String, Option<u16>>),
    /// How are you?
    Status,
    /// Say goodbye and end.
    Stop,
}

/// A question, and whose answers are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Inquiry {
    /// One peer.
    pub(crate) to: Option<String>,
    /// All peers that have these tags.
    pub(crate) filter: Filter,
    pub(crate) what: What,
    pub(crate) need: Need,
    pub(crate) wait: Duration,
}

/// What is said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct What {
    pub(crate) text: String,
    pub(crate) data: Option<Json>,
    pub(crate) level: Level,
}

/// Reads a request. The error says what is wrong with it; the number is sent back all the same.
pub(crate) fn read(line: &[u8]) -> Result<(Option<u64>, Request), (Option<u64>, String)> {
    let line: Line = serde_json::from_slice(line).map_err(|e| {
        /// Of a request that is wrong otherwise.
        #[derive(Default, Deserialize)]
        struct Number {
            n: Option<u64>,
        }
        let number: Number = serde_json::from_slice(line).unwrap_or_default();
        let why = match e.classify() {
            serde_json::error::Category::Data if number.n.is_none() => {
                "not a JSON object with the members that docs/agent.md names".to_owned()
            }
            _ => e.to_string(),
        };
        (number.n, format!("not a request: {why}"))
    })?;
    let n = line.n;
    request(line).map(|request| (n, request)).map_err(|why| (n, why))
}

fn request(line: Line) -> Result<Request, String> {
    let channel = |name: Option<&String>| match name {
        Some(name) => name.parse().map_err(|e| format!("{e}")),
        None => Ok(ChannelName::lobby()),
    };
    let named = |name: Option<&String>| match name {
        Some(_) => channel(name),
        None => Err("the member 'channel' is missing".to_owned()),
    };
    let keep = line.keep.unwrap_or(false);
    let need = line.need.as_ref().map(|need| need.parse()).transpose();
    let wait = line.wait_ms.map_or(WAIT, Duration::from_millis);
    let history = line.history.unwrap_or(0);
    if history > limits::RECALL {
        return Err(format!("at most {} messages of the history", limits::RECALL));
    }
    Ok(match line.verb.as_str() {
        "hello" => Request::Hello,
        "peers" => Request::Peers,
        "say" | "cast" => Request::Say {
            channel: channel(line.channel.as_ref())?,
            cast: line.verb == "cast",
            what: what(&line)?,
        },
        "tell" => {
            let what = what(&line)?;
            Request::Tell { to: line.to.ok_or("the member 'to' is missing")?, what }
        }
        "ask" => Request::Ask(Inquiry {
            what: what(&line)?,
            to: line.to,
            filter: Filter::with_tags(line.tags.unwrap_or_default()),
            need: need?.unwrap_or_default(),
            wait: wait.min(limits::QUESTION_TIME),
        }),
        "confirm" => Request::Confirm {
            channel: channel(line.channel.as_ref())?,
            need: need?.unwrap_or(Need::All),
            wait: wait.min(limits::CONFIRM_TIME),
        },
        "answer" => Request::Answer,
        "reply" => {
            let question = line.question.ok_or("the member 'question' is missing")?;
            if line.pass.unwrap_or(false) {
                Request::Reply { question, what: None, exit: None, last: true }
            } else {
                let (what, exit) = (Some(what(&line)?), line.exit);
                Request::Reply { question, what, exit, last: line.last.unwrap_or(true) }
            }
        }
        "listen" => {
            let wanted = line.channels.unwrap_or_else(|| vec![ChannelName::LOBBY.to_owned()]);
            if wanted.len() > limits::CHANNELS {
                return Err(format!("at most {} channels", limits::CHANNELS));
            }
            let channels = wanted.iter().map(|name| channel(Some(name)));
            Request::Listen {
                channels: channels.collect::<Result<_, _>>()?,
                events: line.events.unwrap_or(false),
                history,
            }
        }
        "join" => Request::Join { channel: named(line.channel.as_ref())?, keep, history },
        "leave" => Request::Leave { channel: named(line.channel.as_ref())?, keep },
        "channels" => Request::Channels,
        "links" => Request::Links,
        "nick" => {
            let nick = line.nick.ok_or("the member 'nick' is missing")?;
            Request::Nick(nick.parse().map_err(|e| format!("{e}"))?)
        }
        "away" => Request::Away(line.text),
        "tag" => Request::Tag(line.set.ok_or("the member 'set' is missing")?),
        "service" => Request::Service(line.offer.ok_or("the member 'offer' is missing")?),
        "status" => Request::Status,
        "stop" => Request::Stop,
        _ => return Err("there is no such request; see docs/agent.md".to_owned()),
    })
}

fn what(line: &Line) -> Result<What, String> {
    let text = line.text.clone().unwrap_or_default();
    if text.len() > limits::TEXT {
        let (bytes, most) = (text.len(), limits::TEXT / 1_024);
        return Err(format!("the text has {bytes} bytes; at most {most} KiB are allowed"));
    }
    let data = line.data.as_ref().map(|raw| Json::parse(raw.get()));
    Ok(What {
        text,
        data: data.transpose().map_err(|e| format!("data: {e}"))?,
        level: match &line.level {
            Some(level) => level.parse().map_err(|e| format!("{e}"))?,
            None => Level::default(),
        },
    })
}

/// A reply: what was asked for, or why not.
#[derive(Debug, Default, Deserialize, Serialize)]
pub(crate) struct Reply {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) n: Option<u64>,
    pub(crate) ok: bool,
    /// Why not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) peers: Option<Box<RawValue>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) count: Option<usize>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) took_ms: Option<f64>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) about: Option<About>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) kept: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) joined: Option<Vec<String>>,
    /// The interfaces of this host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) links: Option<Vec<LinkRow>>,
    /// Channels that hooks need.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) hooked: Option<Vec<String>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) status: Option<Status>,
}

/// Who the agent is.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct About {
    pub(crate) id: String,
    pub(crate) nick: String,
    pub(crate) group: String,
    pub(crate) sealed: bool,
    pub(crate) links: Vec<LinkAbout>,
    pub(crate) version: String,
    /// How many peers it knows.
    #[serde(default)]
    pub(crate) peers: usize,
}

/// A link of the agent's.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct LinkAbout {
    pub(crate) name: String,
    pub(crate) addr: std::net::IpAddr,
}

/// An interface of this host, and what the node makes of it.
#[derive(Clone, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag of the system's own")]
pub(crate) struct LinkRow {
    pub(crate) name: String,
    pub(crate) index: u32,
    /// Its addresses of IPv4, and of IPv6, with the length of their network part.
    pub(crate) addrs: Vec<String>,
    #[serde(default)]
    pub(crate) ipv6: Vec<String>,
    pub(crate) used: bool,
    /// How peers are reached there.
    #[serde(default)]
    pub(crate) path: Option<String>,
    pub(crate) why: String,
    pub(crate) up: bool,
    pub(crate) carrier: bool,
    pub(crate) multicast: bool,
    pub(crate) loopback: bool,
    pub(crate) wireless: bool,
}

impl LinkRow {
    pub(crate) fn new(interface: &Interface, usage: Usage) -> Self {
        let addrs = interface.addrs.iter().zip(&interface.prefixes);
        Self {
            name: interface.name.clone(),
            index: interface.link.0,
            addrs: addrs.map(|(addr, prefix)| format!("{addr}/{prefix}")).collect(),
            ipv6: interface.six.iter().map(|(addr, prefix)| format!("{addr}/{prefix}")).collect(),
            used: usage.is_used(),
            path: usage.path().map(str::to_owned),
            why: usage.why(&interface.name),
            up: interface.up,
            carrier: interface.running,
            multicast: interface.multicast,
            loopback: interface.loopback,
            wireless: interface.wireless,
        }
    }
}

/// How the agent is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct Status {
    pub(crate) pid: u32,
    /// Seconds since it started.
    pub(crate) up: u64,
    pub(crate) peers: usize,
    pub(crate) clients: usize,
    /// Messages in the history; `null`: there is none just now.
    pub(crate) history: Option<u64>,
    /// Why there is no history, if something is wrong with it.
    pub(crate) trouble: Option<String>,
    pub(crate) away: Option<String>,
    pub(crate) tags: BTreeMap<String, String>,
    pub(crate) services: BTreeMap<String, u16>,
    /// The line gateway, if there is one.
    #[serde(default)]
    pub(crate) gateway: Option<GatewayStatus>,
    /// What was counted, but for what never happened.
    pub(crate) counters: BTreeMap<String, u64>,
    /// What became of the hooks.
    #[serde(default)]
    pub(crate) hooks: HookCounts,
}

/// What was counted about hooks since the agent started.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct HookCounts {
    /// Hooks that are configured.
    pub(crate) configured: usize,
    /// Commands that were started.
    pub(crate) run: u64,
    /// Those that ended with something other than success.
    pub(crate) failed: u64,
    /// Those that were killed because their time was up.
    pub(crate) timed_out: u64,
    /// Commands that could not be started.
    pub(crate) not_started: u64,
    /// Not run because too much waited.
    pub(crate) dropped: u64,
    /// Not run because the message could not be kept.
    pub(crate) not_kept: u64,
    /// Commands that run just now.
    pub(crate) running: usize,
    /// What waits for its turn.
    pub(crate) waiting: usize,
}

/// How the line gateway is.
#[derive(Clone, Debug, Default, Deserialize, PartialEq, Eq, Serialize)]
pub(crate) struct GatewayStatus {
    /// Where it listens.
    pub(crate) addr: String,
    /// How many take part through it.
    pub(crate) clients: usize,
}

impl Reply {
    pub(crate) fn done(n: Option<u64>) -> Self {
        Self { n, ok: true, ..Self::default() }
    }

    pub(crate) fn refused(n: Option<u64>, why: impl Into<String>) -> Self {
        Self { n, ok: false, error: Some(why.into()), ..Self::default() }
    }

    /// As a line.
    pub(crate) fn line(&self) -> String {
        // There are no maps with keys other than strings in it, so nothing can fail.
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(line: &str) -> Result<Request, String> {
        read(line.as_bytes()).map(|(_, request)| request).map_err(|(_, why)| why)
    }

    #[test]
    fn a_request_is_read_with_its_number_and_what_it_leaves_out() {
        let lobby = ChannelName::lobby();
        let hi = What { text: "hi".into(), data: None, level: Level::Info };
        assert_eq!(
            read(br#"{"n":7,"do":"say","text":"hi","new":[1]}"#),
            Ok((Some(7), Request::Say { channel: lobby.clone(), what: hi.clone(), cast: false }))
        );
        assert_eq!(
            of(r#"{"do":"tell","to":"ada","text":"hi"}"#),
            Ok(Request::Tell { to: "ada".into(), what: hi })
        );
        assert_eq!(
            of(r#"{"do":"listen"}"#),
            Ok(Request::Listen { channels: vec![lobby], events: false, history: 0 })
        );
        assert_eq!(of(r#"{"do":"away"}"#), Ok(Request::Away(None)));
        let hi = What { text: "hi".into(), data: None, level: Level::Info };
        let asked =
            of(r#"{"do":"ask","text":"hi","tags":{"role":"web","rack":null},"need":"50%"}"#);
        let Ok(Request::Ask(inquiry)) = asked else { panic!("{asked:?}") };
        assert_eq!((inquiry.need, inquiry.wait), (Need::Percent(50), WAIT));
        assert_eq!((inquiry.filter.tags().len(), &inquiry.what), (2, &hi));
        let all = Request::Confirm { channel: ChannelName::lobby(), need: Need::All, wait: WAIT };
        assert_eq!(of(r#"{"do":"confirm"}"#), Ok(all));
        let some = Request::Confirm {
            channel: "ops".parse().unwrap(),
            need: Need::Percent(80),
            wait: limits::CONFIRM_TIME,
        };
        let line = r#"{"do":"confirm","channel":"ops","need":"80%","wait_ms":3600000}"#;
        assert_eq!(of(line), Ok(some));
        let reply = |what, last| Request::Reply { question: 7, what, exit: None, last };
        assert_eq!(of(r#"{"do":"reply","question":7,"text":"hi"}"#), Ok(reply(Some(hi), true)));
        assert_eq!(of(r#"{"do":"reply","question":7,"pass":true}"#), Ok(reply(None, true)));
    }

    #[test]
    fn a_wrong_request_is_refused_with_its_number_and_the_reason() {
        assert_eq!(read(br#"{"n":3,"do":"join"}"#).unwrap_err().0, Some(3));
        for (line, why) in [
            ("", "not a request"),
            ("[]", "not a request"),
            (r#"{"do":"shout"}"#, "no such request"),
            (r#"{"do":"join"}"#, "'channel' is missing"),
            (r#"{"do":"say","channel":"a b"}"#, "which is not allowed"),
            (r#"{"do":"nick","nick":"a\u001bb"}"#, "which is not allowed"),
            (r#"{"do":"say","level":"loud"}"#, "not a level"),
            (r#"{"do":"ask","need":"none"}"#, "write a number"),
            (r#"{"do":"confirm","need":"none"}"#, "write a number"),
            (r#"{"do":"reply","text":"x"}"#, "'question' is missing"),
            (
                r#"{"do":"say","data":[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]}"#,
                "data",
            ),
        ] {
            assert!(of(line).unwrap_err().contains(why), "{line}: {:?}", of(line));
        }
        let long = format!(r#"{{"do":"say","text":"{}"}}"#, "x".repeat(limits::TEXT + 1));
        assert!(of(&long).unwrap_err().contains("64 KiB"));
    }
}
