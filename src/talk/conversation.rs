//! Somebody who talks in lines: under which nick, in which channels, to whom.

use std::time::{Duration, Instant};

use super::commands::{self, Action};
use super::find::{self, Found, sort_by_nick};
use crate::net::Clock;
use crate::node::Notice;
use crate::proto::{Event, Outgoing, PeerInfo, Refusal};
use crate::values::{
    ChannelName, Escaped, Level, Nick, NodeId, PeerText, SmallMap, SmallSet, limits,
};
use crate::wire::Profile;

/// More peers than this are counted and not named in the line about who is here.
const NAMED: usize = 10;

/// What was said longer ago has arrived, or everyone knows of it and asks for it: its number was said
/// again several times since.
const LATELY: Duration = Duration::from_secs(10);

/// Where a conversation takes place: a way to the LAN, and lines that somebody reads.
pub(crate) trait Place {
    /// Why it is over.
    type Error;

    fn say(&mut self, channel: &ChannelName, what: Outgoing) -> Result<(), Self::Error>;
    fn join(&mut self, channel: &ChannelName) -> Result<(), Self::Error>;
    fn leave(&mut self, channel: &ChannelName) -> Result<(), Self::Error>;
    fn set_profile(&mut self, profile: &Profile) -> Result<(), Self::Error>;

    /// Tells one peer; the outcome is a notice with the returned ticket.
    fn tell(&mut self, to: NodeId, what: Outgoing) -> Result<u64, Self::Error>;

    /// Everyone who is here, in no order.
    fn peers(&mut self) -> Result<Vec<PeerInfo>, Self::Error>;

    /// Shows something that the conversation itself has to say.
    fn info(&mut self, what: &str) -> Result<(), Self::Error>;

    /// Shows that something could not be done, and why.
    fn error(&mut self, what: &str) -> Result<(), Self::Error>;

    /// Shows a list of peers, of at least one.
    fn list(&mut self, peers: &[PeerInfo]) -> Result<(), Self::Error>;

    /// A nick as it is shown here.
    fn nick(&self, peer: &PeerInfo) -> String;
}

/// Somebody who talks.
#[derive(Debug)]
pub(crate) struct Conversation {
    pub(crate) profile: Profile,
    /// Where plain lines are said.
    pub(crate) current: Option<ChannelName>,
    joined: Vec<ChannelName>,
    /// Where something was said lately, and when.
    said: SmallMap<ChannelName, Instant>,
    /// Direct messages whose outcome is not known yet.
    tickets: SmallSet<u64>,
    /// Who is away, and why.
    away: SmallMap<NodeId, PeerText>,
}

impl Conversation {
    /// Of a node that is in `channel`.
    pub(crate) fn new(profile: Profile, channel: ChannelName) -> Self {
        Self {
            profile,
            current: Some(channel.clone()),
            joined: vec![channel],
            said: SmallMap::new(),
            tickets: SmallSet::new(),
            away: SmallMap::new(),
        }
    }

    /// The channels that it takes part in.
    pub(crate) fn joined(&self) -> &[ChannelName] {
        &self.joined
    }

    /// Where something was said so short a time ago that it may not have arrived everywhere.
    pub(crate) fn said_lately(&self) -> Vec<ChannelName> {
        let now = Instant::now();
        let lately = self.said.iter().filter(|(_, at)| now.duration_since(**at) < LATELY);
        lately.map(|(channel, _)| channel.clone()).collect()
    }

    /// Whether the outcome of a direct message is still to come.
    pub(crate) fn waits(&self) -> bool {
        !self.tickets.is_empty()
    }

    /// Takes note of what has happened, and tells whether it means anything to somebody who talks.
    pub(crate) fn is_news(&mut self, notice: &Notice) -> bool {
        let Notice::Event(event) = notice else { return true };
        match event {
            Event::Told { ticket, .. } | Event::NotTold { ticket, .. } => {
                self.tickets.remove(ticket);
                true
            }
            Event::Joined(peer) => {
                self.note_away(peer);
                true
            }
            // Also of tags and services, which change without anyone coming or going.
            Event::Status(peer) => self.note_away(peer),
            Event::Left(peer) | Event::Dead(peer) => {
                self.away.remove(&peer.id);
                true
            }
            // Suspicions come and go, and so do paths.
            Event::Suspect(_) | Event::Alive(_) | Event::Path(_) => false,
            _ => true,
        }
    }

    /// Whether the peer went away or came back, or gives another reason.
    fn note_away(&mut self, peer: &PeerInfo) -> bool {
        let before = match &peer.profile.away {
            Some(away) => self.away.insert(peer.id, away.clone()),
            None => self.away.remove(&peer.id),
        };
        before != peer.profile.away
    }

    /// Does what a line wants; that it wants to quit is the caller's business.
    pub(crate) fn act<P: Place>(&mut self, action: Action, place: &mut P) -> Result<(), P::Error> {
        match action {
            Action::Say(text) => match &self.current {
                Some(channel) => {
                    let now = Instant::now();
                    self.said.retain(|_, at| now.duration_since(*at) < LATELY);
                    self.said.insert(channel.clone(), now);
                    place.say(channel, outgoing(text))
                }
                None => place.error("you are in no channel; /join one"),
            },
            Action::Nick(nick) => self.rename(&nick, place),
            Action::Msg(rest) => self.tell(&rest, place),
            Action::Join(channel) => self.join(channel, place),
            Action::Leave(channel) => self.leave(channel, place),
            Action::Who => {
                let peers = sorted_peers(place)?;
                if peers.is_empty() {
                    return place.info("nobody else is here");
                }
                place.list(&peers)
            }
            Action::Away(why) => self.go_away(why, place),
            Action::Help => place.info(&commands::help()),
            Action::Quit => Ok(()),
        }
    }

    fn rename<P: Place>(&mut self, nick: &Nick, place: &mut P) -> Result<(), P::Error> {
        self.profile.nick = nick.as_str().into();
        place.set_profile(&self.profile)?;
        place.info(&format!("you are {nick} now"))
    }

    fn go_away<P: Place>(&mut self, why: Option<String>, place: &mut P) -> Result<(), P::Error> {
        self.profile.away = match (why, self.profile.away.take()) {
            (Some(why), _) => Some(PeerText::new(why)),
            (None, Some(_)) => None,
            (None, None) => Some("away".into()),
        };
        place.set_profile(&self.profile)?;
        place.info(match self.profile.away {
            Some(_) => "you are away; /away brings you back",
            None => "you are back",
        })
    }

    fn tell<P: Place>(&mut self, rest: &str, place: &mut P) -> Result<(), P::Error> {
        let peers = place.peers()?;
        let (found, name, text) = find::find_first(&peers, rest);
        let name = Escaped::of(name);
        match found {
            Found::Nobody => place.error(&format!("nobody here is called '{name}'; see /who")),
            Found::Several(found) => {
                let candidates = find::candidates(&found);
                place.error(&format!("'{name}' may be any of these; give the id:{candidates}"))
            }
            Found::One(_) if text.is_empty() => {
                place.error(&format!("say what '{name}' is to be told: /msg NAME TEXT"))
            }
            Found::One(peer) => {
                let ticket = place.tell(peer.id, outgoing(text.to_owned()))?;
                self.tickets.insert(ticket);
                Ok(())
            }
        }
    }

    fn join<P: Place>(&mut self, channel: ChannelName, place: &mut P) -> Result<(), P::Error> {
        if !self.joined.contains(&channel) {
            if self.joined.len() >= limits::CHANNELS {
                return place.error(&Refusal::TooManyChannels.to_string());
            }
            place.join(&channel)?;
            self.joined.push(channel.clone());
        }
        place.info(&format!("you speak in #{channel} now"))?;
        self.current = Some(channel);
        Ok(())
    }

    fn leave<P: Place>(
        &mut self,
        channel: Option<ChannelName>,
        place: &mut P,
    ) -> Result<(), P::Error> {
        let Some(channel) = channel.or_else(|| self.current.clone()) else {
            return place.error("you are in no channel; /join one");
        };
        if !self.joined.contains(&channel) {
            return place.error(&format!("you are not in #{channel}"));
        }
        place.leave(&channel)?;
        self.joined.retain(|joined| *joined != channel);
        if self.current.as_ref() == Some(&channel) {
            self.current = self.joined.last().cloned();
        }
        place.info(&match &self.current {
            Some(current) => format!("you have left #{channel} and speak in #{current}"),
            None => format!("you have left #{channel} and are in no channel; /join one"),
        })
    }
}

/// Shows who is here, in one line.
pub(crate) fn tell_who_is_here<P: Place>(place: &mut P) -> Result<(), P::Error> {
    let peers = sorted_peers(place)?;
    let line = match peers.len() {
        0 => "nobody else is here yet".to_owned(),
        1..=NAMED => {
            let nicks: Vec<String> = peers.iter().map(|peer| place.nick(peer)).collect();
            format!("here: {}", nicks.join(", "))
        }
        count => format!("{count} peers are here; /who lists them"),
    };
    place.info(&line)
}

fn sorted_peers<P: Place>(place: &mut P) -> Result<Vec<PeerInfo>, P::Error> {
    let mut peers = place.peers()?;
    sort_by_nick(&mut peers);
    Ok(peers)
}

fn outgoing(text: String) -> Outgoing {
    Outgoing { at: Clock::wall(), text, data: None, level: Level::Info }
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;
    use std::sync::Arc;

    use super::*;
    use crate::agent::objects::tests::a_peer;

    /// Where everything is written down.
    #[derive(Default)]
    struct Notebook {
        done: Vec<String>,
        peers: Vec<PeerInfo>,
    }

    impl Notebook {
        fn note(&mut self, what: String) {
            self.done.push(what);
        }
    }

    impl Place for Notebook {
        type Error = Infallible;

        fn say(&mut self, channel: &ChannelName, what: Outgoing) -> Result<(), Infallible> {
            self.note(format!("say #{channel}: {}", what.text));
            Ok(())
        }
        fn join(&mut self, channel: &ChannelName) -> Result<(), Infallible> {
            self.note(format!("join #{channel}"));
            Ok(())
        }
        fn leave(&mut self, channel: &ChannelName) -> Result<(), Infallible> {
            self.note(format!("leave #{channel}"));
            Ok(())
        }
        fn set_profile(&mut self, profile: &Profile) -> Result<(), Infallible> {
            let away = profile.away.as_ref().map(|away| away.escaped().to_string());
            self.note(format!("profile {} {away:?}", profile.nick.escaped()));
            Ok(())
        }
        fn tell(&mut self, to: NodeId, what: Outgoing) -> Result<u64, Infallible> {
            self.note(format!("tell {}: {}", to.short(), what.text));
            Ok(7)
        }
        fn peers(&mut self) -> Result<Vec<PeerInfo>, Infallible> {
            Ok(self.peers.clone())
        }
        fn info(&mut self, what: &str) -> Result<(), Infallible> {
            self.note(format!("* {what}"));
            Ok(())
        }
        fn error(&mut self, what: &str) -> Result<(), Infallible> {
            self.note(format!("! {what}"));
            Ok(())
        }
        fn list(&mut self, peers: &[PeerInfo]) -> Result<(), Infallible> {
            self.note(format!("{} listed", peers.len()));
            Ok(())
        }
        fn nick(&self, peer: &PeerInfo) -> String {
            peer.profile.nick.escaped().to_string()
        }
    }

    #[track_caller]
    fn does(talk: &mut Conversation, place: &mut Notebook, line: &str, expected: &[&str]) {
        place.done.clear();
        let action = commands::read(line).unwrap().unwrap();
        let Ok(()) = talk.act(action, place);
        assert_eq!(place.done, expected, "{line}");
    }

    #[test]
    fn lines_are_said_where_one_has_joined_last() {
        let mut talk = Conversation::new(Profile::default(), ChannelName::lobby());
        let mut place = Notebook::default();
        does(&mut talk, &mut place, "hi", &["say #lobby: hi"]);
        does(&mut talk, &mut place, "/join ops", &["join #ops", "* you speak in #ops now"]);
        does(&mut talk, &mut place, "hi", &["say #ops: hi"]);
        does(&mut talk, &mut place, "/join lobby", &["* you speak in #lobby now"]);
        does(
            &mut talk,
            &mut place,
            "/leave",
            &["leave #lobby", "* you have left #lobby and speak in #ops"],
        );
        let left = ["leave #ops", "* you have left #ops and are in no channel; /join one"];
        does(&mut talk, &mut place, "/leave ops", &left);
        let both: [ChannelName; 2] = ["lobby", "ops"].map(|name| name.parse().unwrap());
        assert_eq!(talk.said_lately(), both, "and may not have arrived");
        for line in ["hi", "/leave"] {
            does(&mut talk, &mut place, line, &["! you are in no channel; /join one"]);
        }
    }

    #[test]
    fn a_peer_is_told_by_its_nick_and_the_outcome_is_waited_for() {
        let mut talk = Conversation::new(Profile::default(), ChannelName::lobby());
        let mut place = Notebook { peers: vec![a_peer()], ..Notebook::default() };
        let nobody = "! nobody here is called 'eve'; see /who";
        does(&mut talk, &mut place, "/msg eve hi", &[nobody]);
        assert!(!talk.waits() && talk.said_lately().is_empty());
        let told = format!("tell {}: hi", a_peer().id.short());
        does(&mut talk, &mut place, "/msg ada hi", &[&told]);
        assert!(talk.waits());
        talk.is_news(&Notice::Event(Event::Told { ticket: 7, took: std::time::Duration::ZERO }));
        assert!(!talk.waits());
        does(&mut talk, &mut place, "/who", &["1 listed"]);
    }

    #[test]
    fn tags_that_change_are_no_news_but_who_goes_away_is() {
        let mut talk = Conversation::new(Profile::default(), ChannelName::lobby());
        let mut peer = a_peer();
        Arc::make_mut(&mut peer.profile).away = None;
        let status = |peer: &PeerInfo| Notice::Event(Event::Status(peer.clone()));
        assert!(talk.is_news(&Notice::Event(Event::Joined(peer.clone()))));
        assert!(!talk.is_news(&status(&peer)));
        Arc::make_mut(&mut peer.profile).away = Some("lunch".into());
        assert!(talk.is_news(&status(&peer)));
        assert!(!talk.is_news(&status(&peer)));
        Arc::make_mut(&mut peer.profile).away = None;
        assert!(talk.is_news(&status(&peer)));
    }
}
