//! What happens, in lines for people.

use std::fmt::Write;
use std::net::SocketAddr;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthChar;

use crate::node::Notice;
use crate::proto::{Contact, Event, Message, PeerInfo};
use crate::values::{Escaped, Level, NodeId, PeerText, WallTime};
use crate::wire::{Hearing, Profile};

/// How lines look: the local time, and colours where there are any.
#[derive(Clone, Debug)]
pub(crate) struct Style {
    zone: TimeZone,
    colours: bool,
}

/// Milliseconds.
const DAY: u64 = 86_400_000;

/// Marks on one letter of a nick; more are there to cover other lines.
const MARKS: usize = 3;

/// What to call a peer of which perhaps no nick is known: otherwise by the beginning of its id.
pub(crate) fn called(nick: &PeerText, id: &NodeId) -> PeerText {
    if nick.raw().is_empty() { id.short().as_str().into() } else { nick.clone() }
}

/// A nick, safe to print, in which nothing looks like nothing: blanks at its ends and blanks other
/// than the space are written as escapes, and so are heaps of marks on one letter. One that could
/// pass for what stands around a nick in a line is quoted.
pub(crate) fn name(nick: &PeerText) -> String {
    let text = nick.raw();
    if text.trim().is_empty() {
        return "(no name)".to_owned();
    }
    let (begin, end) = (text.len() - text.trim_start().len(), text.trim_end().len());
    let mut shown = String::with_capacity(text.len());
    let mut marks = 0;
    for (at, c) in text.char_indices() {
        let is_mark = !c.is_ascii() && c.width() == Some(0);
        marks = if is_mark { marks + 1 } else { 0 };
        let is_blank = c.is_whitespace() && (c != ' ' || at < begin || at >= end);
        if is_blank || marks > MARKS || is_mark && at == 0 {
            let _ = write!(shown, "{}", c.escape_unicode());
        } else {
            let _ = write!(shown, "{}", Escaped::of(c.encode_utf8(&mut [0; 4])));
        }
    }
    let frames = |c| matches!(c, ':' | '(' | ')' | '[' | ']' | '#' | '→' | '"' | '·');
    if text.contains(frames) { format!("\"{}\"", shown.replace('"', "\\\"")) } else { shown }
}

/// `: rack=7, role=web`, if there is any such thing to tell of a peer.
fn labels(profile: &Profile) -> String {
    let tags = profile.tags.iter().map(|(key, value)| (key, value.escaped().to_string()));
    let services = profile.services.iter().map(|(name, port)| (name, port.to_string()));
    let mut text = String::new();
    for (name, value) in tags.chain(services) {
        let sign = if text.is_empty() { ":" } else { "," };
        let _ = write!(text, "{sign} {}={value}", name.escaped());
    }
    text
}

fn dropped(count: u64, buffer: usize) -> String {
    let what = format!("this host could not keep up, and the kernel has dropped {count} datagrams");
    let most = crate::net::OpenOptions::RECEIVE_BUFFER;
    // Linux counts its own bookkeeping, and tells twice what was granted (socket(7)).
    if buffer >= 2 * most {
        return what + ": others send faster than this program reads";
    }
    let kib = buffer / 1024;
    format!(
        "{what}; its receive buffer has {kib} KiB, more are allowed by sysctl -w net.core.rmem_max={most}"
    )
}

/// Colours for nicks: readable on light and on dark, none that means alarm.
const COLOURS: [u8; 10] = [32, 33, 34, 35, 36, 92, 93, 94, 95, 96];

impl Style {
    /// The user's time zone.
    pub(crate) fn new(colours: bool) -> Self {
        Self { zone: TimeZone::system(), colours }
    }

    /// `21:34:00`, in the user's time zone.
    pub(crate) fn time(&self, at: WallTime) -> String {
        let ms = i64::try_from(at.0.min(WallTime::MAX.0)).unwrap_or(0);
        let time = Timestamp::from_millisecond(ms).unwrap_or_default();
        time.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// A nick, safe to print; in the colour of its id where there are colours.
    pub(crate) fn nick(&self, nick: &PeerText, id: Option<&NodeId>) -> String {
        match id.filter(|_| self.colours) {
            Some(id) => {
                let sum: usize = id.0.iter().map(|byte| usize::from(*byte)).sum();
                // Only the colour ends: a nick may stand in a dim line.
                format!("\x1b[{}m{}\x1b[39m", COLOURS[sum % COLOURS.len()], name(nick))
            }
            None => name(nick),
        }
    }

    /// A line that is less important than others.
    pub(crate) fn quiet(&self, line: String) -> String {
        if self.colours { format!("\x1b[2m{line}\x1b[0m") } else { line }
    }

    /// `21:34:00 #lobby ada: hello`
    pub(crate) fn message(&self, message: &Message, arrived: WallTime) -> String {
        // A clock that is off by days is the author's; the reader wants to know when.
        let sane = |at: &WallTime| at.0.abs_diff(arrived.0) < DAY;
        let mut line = self.time(message.at.filter(sane).unwrap_or(arrived));
        if let Some(channel) = &message.channel {
            let _ = write!(line, " #{channel}");
        }
        let _ = write!(line, " {}", self.nick(&message.nick, message.from.as_ref()));
        if message.channel.is_none() {
            line.push_str(" → you");
        }
        match message.source {
            Some(source) => {
                let _ = write!(line, " (unverified, from {})", source.ip());
            }
            None if !message.verified => line.push_str(" (unverified)"),
            None => {}
        }
        if message.level != Level::Info {
            let _ = write!(line, " [{}]", message.level);
        }
        let _ = write!(line, ": {}", message.text.escaped());
        if let Some(data) = &message.data {
            let _ = write!(line, " {}", Escaped::of(data.as_str()));
        }
        line
    }

    /// `2026-11-22 21:34:00 #lobby ada: hello`, for what was said long ago.
    pub(crate) fn dated(&self, message: &Message, to: Option<NodeId>) -> String {
        let at = message.at.unwrap_or_default();
        let ms = i64::try_from(at.0.min(WallTime::MAX.0)).unwrap_or(0);
        let day = Timestamp::from_millisecond(ms).unwrap_or_default();
        let day = day.to_zoned(self.zone.clone()).strftime("%Y-%m-%d");
        let line = self.message(message, at);
        match to {
            // Who it was is known by the id only: nicks change.
            Some(to) => {
                let to: String = to.to_string().chars().take(8).collect();
                format!("{day} {}", line.replacen("→ you", &format!("→ {to}"), 1))
            }
            None => format!("{day} {line}"),
        }
    }

    /// What happened, without the time; `None` for what a person has no use for, and for messages.
    pub(crate) fn notice(&self, notice: &Notice) -> Option<String> {
        let who = |peer: &PeerInfo| self.nick(&peer.profile.nick, Some(&peer.id));
        let at = |peer: &PeerInfo| {
            peer.addr.map(|addr| format!(" ({})", host(addr))).unwrap_or_default()
        };
        Some(match notice {
            Notice::Event(event) => match event {
                Event::Joined(peer) => format!("{} joined{}", who(peer), at(peer)),
                Event::Left(peer) => format!("{} left", who(peer)),
                Event::Suspect(peer) => format!("{} does not answer", who(peer)),
                Event::Alive(peer) => format!("{} answers again", who(peer)),
                Event::Dead(peer) => format!("{} is gone without a word", who(peer)),
                Event::Path(peer) if peer.contact == Contact::Inbound => {
                    format!("{} is heard here, and does not hear this host", who(peer))
                }
                Event::Path(peer) if peer.contact == Contact::Outbound => {
                    format!("{} hears this host, and is not heard here", who(peer))
                }
                Event::Path(peer) if peer.contact == Contact::Neither => {
                    format!("{} and this host do not hear each other; others hear both", who(peer))
                }
                Event::Path(peer) => {
                    let through = match peer.path {
                        Hearing::Unicast => "does not get through; unicast does",
                        Hearing::Multicast => "gets through again",
                    };
                    format!("multicast between here and {} {through}", who(peer))
                }
                Event::Renamed { peer, was } => {
                    format!("{} is now {}", self.nick(was, Some(&peer.id)), who(peer))
                }
                Event::Moved { peer, was } => {
                    let now = peer.addr.map(host).unwrap_or_default();
                    format!("{} has moved to {now} (it was at {})", who(peer), host(*was))
                }
                Event::Status(peer) => match &peer.profile.away {
                    Some(away) => format!("{} is away: {}", who(peer), away.escaped()),
                    None => format!("{} is here{}", who(peer), labels(&peer.profile)),
                },
                Event::Cloned { addr, nick, .. } => cloned(*addr, nick),
                Event::Refused(refusal) => refusal.to_string(),
                Event::NotTold { why, .. } => format!("not told: {why}"),
                Event::Gap { author, nick, channel, count } => format!(
                    "{count} message{} of {}'s in #{channel} did not arrive",
                    if *count == 1 { "" } else { "s" },
                    self.nick(&called(nick, author), Some(author))
                ),
                Event::Message(_)
                | Event::Said(_)
                | Event::Restarted(_)
                | Event::Entry(_)
                | Event::Fetch { .. }
                | Event::Expecting { .. }
                | Event::Receipt { .. }
                | Event::Settled { .. }
                | Event::Told { .. }
                | Event::Question(_)
                | Event::QuestionOver { .. }
                | Event::Answer(_)
                | Event::AnswerEnd { .. }
                | Event::Bereft
                | Event::Stopped => {
                    return None;
                }
            },
            Notice::LinkUp { name } => format!("link {} is up", Escaped::of(name)),
            Notice::LinkDown { name, why } => {
                format!("link {} is down: {}", Escaped::of(name), Escaped::of(why))
            }
            Notice::Dropped { count, buffer } => dropped(*count, *buffer),
            Notice::Missed(count) => format!("too slow: {count} notices were missed"),
        })
    }
}

/// That another node uses this node's identity, and what to do about it.
pub(crate) fn cloned(addr: SocketAddr, nick: &PeerText) -> String {
    format!(
        "another node uses this node's identity: {} at {addr}, by a copied state folder or a \
         cloned disk; remove the state folder on one of the two, or let its agent take a new \
         identity (renew-identity = true)",
        nick.escaped()
    )
}

/// A host's address, as it can be typed on this one: an address of a link's own with the number of the
/// link (RFC 4007 §11), without which it means nothing.
pub(crate) fn host(addr: SocketAddr) -> String {
    match addr {
        SocketAddr::V6(addr) if addr.scope_id() != 0 => {
            format!("{}%{}", addr.ip(), addr.scope_id())
        }
        _ => addr.ip().to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::objects::tests::{a_message, a_peer};

    fn plain() -> Style {
        Style { zone: TimeZone::UTC, colours: false }
    }

    #[test]
    fn a_message_is_one_line_with_the_time_the_channel_and_the_nick() {
        let mut message = a_message();
        let arrived = WallTime(message.at.unwrap().0 + DAY / 2);
        assert_eq!(
            plain().message(&message, arrived),
            "21:34:00 #ops ada [warn]: hi\\nthere {\"n\":1}"
        );
        message.channel = None;
        message.data = None;
        message.level = Level::Info;
        assert_eq!(plain().message(&message, arrived), "21:34:00 ada → you: hi\\nthere");
        message.at = None;
        message.verified = false;
        message.source = Some(([10, 0, 0, 9], 5).into());
        message.nick = "".into();
        let line = plain().message(&message, arrived);
        assert_eq!(line, "09:34:00 (no name) → you (unverified, from 10.0.0.9): hi\\nthere");
    }

    #[test]
    fn what_did_not_arrive_is_counted_and_its_author_has_a_name_of_some_kind() {
        let gap = |nick: &str, count| {
            let (author, channel) = (a_peer().id, "t17".parse().unwrap());
            plain().notice(&Notice::Event(Event::Gap { author, nick: nick.into(), channel, count }))
        };
        assert_eq!(gap("n2", 1).unwrap(), "1 message of n2's in #t17 did not arrive");
        let short = a_peer().id.short();
        let nameless = format!("3 messages of {short}'s in #t17 did not arrive");
        assert_eq!(gap("", 3).unwrap(), nameless);
    }

    #[test]
    fn a_time_that_is_days_off_is_not_shown() {
        let mut message = a_message();
        let arrived = message.at.unwrap();
        for wrong in [0, arrived.0 + 2 * DAY, u64::MAX] {
            message.at = Some(WallTime(wrong));
            assert!(plain().message(&message, arrived).starts_with("21:34:00 "));
        }
    }

    #[test]
    fn no_part_of_a_nick_looks_like_nothing() {
        let shown = |nick: &str| plain().nick(&nick.into(), None);
        assert_eq!(shown(" ada"), "\\u{20}ada");
        assert_eq!(shown("ada\u{a0}"), "ada\\u{a0}");
        assert_eq!(shown("ada\u{3000}b"), "ada\\u{3000}b");
        assert_eq!(shown(" \u{a0}"), "(no name)");
        assert_eq!(shown("\u{301}"), "\\u{301}");
        assert_eq!(shown("Zoe\u{308} 世界"), "Zoe\u{308} 世界");
        assert_eq!(
            shown(&format!("a{}", "\u{301}".repeat(5))),
            format!("a{}\\u{{301}}\\u{{301}}", "\u{301}".repeat(3))
        );
    }

    #[test]
    fn dropped_datagrams_come_with_the_remedy_that_helps() {
        assert!(dropped(7, 425_984).contains("rmem_max=4194304"));
        assert!(!dropped(7, 8 << 20).contains("rmem_max"));
    }

    #[test]
    fn strangers_cannot_steer_the_terminal() {
        let mut message = a_message();
        message.nick = "\x1b[31mroot\u{202e}".into();
        message.text = "\x1b]0;title\x07\r\u{9b}2J".into();
        for colours in [false, true] {
            let style = Style { zone: TimeZone::UTC, colours };
            let line = style.message(&message, WallTime(0));
            assert!(line.contains("\\u{1b}[31mroot\\u{202e}"), "{line}");
            assert!(!line.contains(['\x07', '\r', '\u{9b}', '\u{202e}', '\n']), "{line}");
            assert_eq!(line.matches('\x1b').count(), if colours { 2 } else { 0 });
        }
    }

    #[test]
    fn a_nick_has_the_colour_of_its_id() {
        let style = Style { zone: TimeZone::UTC, colours: true };
        let of = |byte| style.nick(&"ada".into(), Some(&NodeId([byte; 32])));
        assert_eq!(of(1), of(1));
        assert_ne!(of(1), of(2));
        assert_eq!(style.nick(&"ada".into(), None), "ada");
        assert_eq!(plain().nick(&"ada".into(), Some(&NodeId([1; 32]))), "ada");
    }

    #[test]
    fn what_happens_is_told_in_a_few_words() {
        let peer = a_peer();
        let says = |event| plain().notice(&Notice::Event(event));
        assert_eq!(says(Event::Joined(peer.clone())).unwrap(), "ada joined (10.0.0.2)");
        assert_eq!(says(Event::Left(peer.clone())).unwrap(), "ada left");
        assert_eq!(says(Event::Status(peer.clone())).unwrap(), "ada is here: role=web, http=80");
        let path = |contact| says(Event::Path(PeerInfo { contact, ..peer.clone() })).unwrap();
        assert!(path(Contact::Both).starts_with("multicast between here and ada gets through"));
        assert_eq!(path(Contact::Inbound), "ada is heard here, and does not hear this host");
        let moved = Event::Moved { peer: peer.clone(), was: ([10, 0, 0, 9], 7).into() };
        assert_eq!(says(moved).unwrap(), "ada has moved to 10.0.0.2 (it was at 10.0.0.9)");
        let renamed = Event::Renamed { peer, was: "bob".into() };
        assert_eq!(says(renamed).unwrap(), "bob is now ada");
        assert_eq!(says(Event::Settled { complete: true }), None);
    }
}
