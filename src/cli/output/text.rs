//! What happens, in lines for people.

use std::fmt::Write;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use crate::node::Notice;
use crate::proto::{Event, Message, PeerInfo};
use crate::values::{Escaped, Level, NodeId, PeerText, WallTime};

/// How lines look: the local time, and colours where there are any.
#[derive(Clone, Debug)]
pub(in crate::cli) struct Style {
    zone: TimeZone,
    colours: bool,
}

/// Colours for nicks: readable on light and on dark, none that means alarm.
const COLOURS: [u8; 10] = [32, 33, 34, 35, 36, 92, 93, 94, 95, 96];

impl Style {
    /// The user's time zone.
    pub(in crate::cli) fn new(colours: bool) -> Self {
        Self { zone: TimeZone::system(), colours }
    }

    /// `21:34:00`, in the user's time zone.
    pub(in crate::cli) fn time(&self, at: WallTime) -> String {
        let ms = i64::try_from(at.0.min(WallTime::MAX.0)).unwrap_or(0);
        let time = Timestamp::from_millisecond(ms).unwrap_or_default();
        time.to_zoned(self.zone.clone()).strftime("%H:%M:%S").to_string()
    }

    /// A nick, safe to print; in the colour of its id where there are colours.
    pub(in crate::cli) fn nick(&self, nick: &PeerText, id: Option<&NodeId>) -> String {
        match id.filter(|_| self.colours) {
            Some(id) => {
                let sum: usize = id.0.iter().map(|byte| usize::from(*byte)).sum();
                // Only the colour ends: a nick may stand in a dim line.
                format!("\x1b[{}m{}\x1b[39m", COLOURS[sum % COLOURS.len()], nick.escaped())
            }
            None => nick.escaped().to_string(),
        }
    }

    /// A line that is less important than others.
    pub(in crate::cli) fn quiet(&self, line: String) -> String {
        if self.colours { format!("\x1b[2m{line}\x1b[0m") } else { line }
    }

    /// `21:34:00 #lobby ada: hello`
    pub(in crate::cli) fn message(&self, message: &Message, arrived: WallTime) -> String {
        let mut line = self.time(message.at.unwrap_or(arrived));
        if let Some(channel) = &message.channel {
            let _ = write!(line, " #{channel}");
        }
        let _ = write!(line, " {}", self.nick(&message.nick, message.from.as_ref()));
        if message.channel.is_none() {
            line.push_str(" → you");
        }
        if !message.verified {
            line.push_str(" (unverified)");
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

    /// What happened, without the time; `None` for what a person has no use for, and for messages.
    pub(in crate::cli) fn notice(&self, notice: &Notice) -> Option<String> {
        let who = |peer: &PeerInfo| self.nick(&peer.profile.nick, Some(&peer.id));
        let at =
            |peer: &PeerInfo| peer.addr.map(|addr| format!(" ({})", addr.ip())).unwrap_or_default();
        Some(match notice {
            Notice::Event(event) => match event {
                Event::Joined(peer) => format!("{} joined{}", who(peer), at(peer)),
                Event::Left(peer) => format!("{} left", who(peer)),
                Event::Suspect(peer) => format!("{} does not answer", who(peer)),
                Event::Alive(peer) => format!("{} answers again", who(peer)),
                Event::Dead(peer) => format!("{} is gone without a word", who(peer)),
                Event::Renamed { peer, was } => {
                    format!("{} is now {}", self.nick(was, Some(&peer.id)), who(peer))
                }
                Event::Status(peer) => match &peer.profile.away {
                    Some(away) => format!("{} is away: {}", who(peer), away.escaped()),
                    None => format!("{} is here", who(peer)),
                },
                Event::Cloned { addr } => format!(
                    "another node at {addr} uses this node's identity: a copied state folder or \
                     a cloned disk; remove the state folder on one of the two"
                ),
                Event::Refused(refusal) => refusal.to_string(),
                Event::NotTold { why, .. } => format!("not told: {why}"),
                Event::Message(_) | Event::Settled { .. } | Event::Told { .. } | Event::Stopped => {
                    return None;
                }
            },
            Notice::LinkUp { name } => format!("link {} is up", Escaped::of(name)),
            Notice::LinkDown { name, why } => {
                format!("link {} is down: {}", Escaped::of(name), Escaped::of(why))
            }
            Notice::Dropped { count, buffer } => format!(
                "this host could not keep up, and the kernel dropped {count} datagrams; a receive \
                 buffer larger than {} KiB helps: sysctl -w net.core.rmem_max=8388608",
                buffer / 1024
            ),
            Notice::Missed(count) => format!("too slow: {count} notices were missed"),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::json::tests::{a_message, a_peer};

    fn plain() -> Style {
        Style { zone: TimeZone::UTC, colours: false }
    }

    #[test]
    fn a_message_is_one_line_with_the_time_the_channel_and_the_nick() {
        let mut message = a_message();
        let arrived = WallTime(0);
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
        assert_eq!(
            plain().message(&message, arrived),
            "00:00:00 ada → you (unverified): hi\\nthere"
        );
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
        let renamed = Event::Renamed { peer, was: "bob".into() };
        assert_eq!(says(renamed).unwrap(), "bob is now ada");
        assert_eq!(says(Event::Settled { complete: true }), None);
    }
}
