//! What goes into the engine and what comes out.

use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4};
use std::sync::Arc;
use std::time::Duration;

use super::command::Command;
use super::kept::{Kept, Past};
use super::six::Versions;
use crate::values::{
    Attachment, ChannelName, Epoch, Instant, Json, Level, LinkId, NodeId, PeerText, WallTime, order,
};
use crate::wire::{Hearing, Packet, Profile};

/// Everything that can happen to an engine.
#[derive(Debug)]
pub enum Input<'a> {
    /// A datagram arrived.
    Datagram {
        /// The datagram.
        packet: &'a Packet,
        /// Where it came from.
        source: SocketAddr,
        /// On which link.
        link: LinkId,
        /// Whether it was sent to a group, or to this node alone.
        via: Hearing,
    },
    /// The node's user wants something.
    Command(Command),
    /// The links in use are these from now on. The first such input starts the engine.
    Links(&'a [Attachment]),
    /// A deadline given out as [`Output::Wake`] has come, or nothing happened at all.
    Tick,
}

/// What the engine wants done, or wants known.
#[derive(Clone, Debug, PartialEq)]
pub enum Output {
    /// Send these bytes.
    Send {
        /// The datagram.
        bytes: Arc<[u8]>,
        /// Where to.
        to: Destination,
    },
    /// Become a member of this group on every link, by each version of IP that the link has.
    Join(Ipv4Addr),
    /// Drop the membership.
    Leave(Ipv4Addr),
    /// Drop every membership and take it up again, so that the switches learn anew who wants what.
    Rejoin,
    /// Tell the user.
    Event(Event),
    /// Nothing more for now. Call [`super::Engine::handle`] with [`Input::Tick`] at this time, or
    /// with anything else before.
    Wake(Instant),
}

/// Where a datagram goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Destination {
    /// To a group, on every link; in IPv6 to [`crate::values::Group::ipv6`].
    Group(SocketAddrV4, Versions),
    /// To one address, over the given link where it is known.
    Address(SocketAddr, Option<LinkId>),
}

/// What the node's user may want to know.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// Something was said, or told to us.
    Message(Message),
    /// Something that this node says has been numbered and goes out; only where
    /// [`super::Config::echo`] asks for it. In the order of the commands, for each channel and way.
    Said(Message),
    /// An entry of a log is shown next, or is this node's own and goes out; only where
    /// [`super::Config::keep`] asks for it.
    Entry(Kept),
    /// A peer wants something of the past that is not in this node's memory, but may be among the
    /// entries that its user has kept; only where [`super::Config::keep`] is set. A
    /// [`Command::Found`] or [`Command::Recalled`] is due.
    Fetch {
        /// To be given back.
        ticket: u64,
        /// In which channel.
        channel: ChannelName,
        /// What.
        past: Past,
    },
    /// Nobody has what is missing of somebody's log, or it is too far back: the rest is shown
    /// without it.
    Gap {
        /// The author.
        author: NodeId,
        /// The author's nick, if it is known.
        nick: PeerText,
        /// Where.
        channel: ChannelName,
        /// How many numbers are missing: messages, or parts of long ones.
        count: u64,
    },
    /// What was said before a [`Command::Confirm`] has gone out, and these are to confirm it; or
    /// would have to, if they answered.
    Expecting {
        /// The number from [`Command::Confirm`].
        ticket: u64,
        /// The peers in that channel; none if nothing was said there.
        from: Vec<NodeId>,
        /// Who is told of by others as being here, by its nick, and answers nothing. Whether it takes
        /// part in the channel is not known; it has not got what was said there.
        unheard: Vec<(NodeId, PeerText)>,
    },
    /// A peer has shown its user everything that was to be confirmed.
    Receipt {
        /// The number from [`Command::Confirm`].
        ticket: u64,
        /// The peer.
        from: NodeId,
        /// How long after it was said.
        took: Duration,
    },
    /// A peer is there.
    Joined(PeerInfo),
    /// A peer has said goodbye.
    Left(PeerInfo),
    /// A peer has been silent for too long; it is being asked.
    Suspect(PeerInfo),
    /// A peer that was suspect is there after all.
    Alive(PeerInfo),
    /// A peer is gone without a word.
    Dead(PeerInfo),
    /// Multicast between a peer and this node does not get through any more, or it does again: its
    /// `path` has changed.
    Path(PeerInfo),
    /// A peer is to be reached at another address of the same link, and no more at the one it had. Of a large group,
    /// only those who have to do with it find that out.
    Moved {
        /// The peer, with its new address.
        peer: PeerInfo,
        /// The address it had.
        was: SocketAddr,
    },
    /// A peer that was not known to have gone has started again: it is there, and knows nothing any more of
    /// what its last run was asked or had begun.
    Restarted(PeerInfo),
    /// A peer has a new nick.
    Renamed {
        /// The peer, with its new nick.
        peer: PeerInfo,
        /// The nick it had.
        was: PeerText,
    },
    /// A peer went away or came back, or its tags or services changed.
    Status(PeerInfo),
    /// What is known of the LAN is as complete as it will be for now.
    Settled {
        /// Whether what is known here agrees with what others know. `false` if nobody answered, or
        /// some who were told of did not.
        complete: bool,
    },
    /// A direct message has arrived.
    Told {
        /// The number from [`Command::Tell`].
        ticket: u64,
        /// From the first attempt to the acknowledgement.
        took: Duration,
    },
    /// A direct message was given up.
    NotTold {
        /// The number from [`Command::Tell`].
        ticket: u64,
        /// Why.
        why: TellError,
    },
    /// Somebody asks, and this node answers questions: a [`Command::Answer`] is due.
    Question(Question),
    /// A question was not answered for so long that no answer to it is taken any more.
    QuestionOver {
        /// Its number.
        number: u64,
    },
    /// An answer has come.
    Answer(Answer),
    /// No more answers will come from this peer.
    AnswerEnd {
        /// The number from [`Command::Ask`].
        ticket: u64,
        /// The peer.
        from: NodeId,
        /// Why not.
        end: AnswerEnd,
    },
    /// Another node uses this node's identity: a copied state folder or a cloned disk.
    Cloned {
        /// Where it is.
        addr: SocketAddr,
        /// What it calls itself.
        nick: PeerText,
        /// Whether its run began later, so that the others take it for this node's next run and hear
        /// this one no more.
        superseded: bool,
    },
    /// The other node with this node's identity, which the others took for this one's next run, has not been heard
    /// for long. This run is heard by nobody; the next one will be.
    Bereft,
    /// A command could not be carried out.
    Refused(Refusal),
    /// [`Command::Stop`] is done; the engine does nothing any more.
    Stopped,
}

/// A question of somebody's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Question {
    /// This node's number for it.
    pub number: u64,
    /// Who asks: a peer, somebody who only passes through, or this node itself.
    pub from: NodeId,
    /// Under which nick.
    pub nick: PeerText,
    /// When, by the asker's clock.
    pub at: WallTime,
    /// In words.
    pub text: PeerText,
    /// For programs.
    pub data: Option<Json>,
}

/// An answer to a question of this node's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The number from [`Command::Ask`].
    pub ticket: u64,
    /// Whose it is.
    pub from: NodeId,
    /// Under which nick.
    pub nick: PeerText,
    /// When, by the answerer's clock.
    pub at: WallTime,
    /// In words.
    pub text: PeerText,
    /// For programs.
    pub data: Option<Json>,
    /// The exit code of the command that gave it, if it was one.
    pub exit: Option<i32>,
    /// How long after the question was sent.
    pub took: Duration,
}

/// Why no more answers will come from a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AnswerEnd {
    /// It has given all of them.
    Given,
    /// Nobody there answers questions, or this one.
    Nobody,
    /// The question did not reach it, or it is gone.
    Lost(TellError),
}

/// Why a direct message was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TellError {
    /// Nobody of that id is known.
    #[error("no peer of that id is here")]
    Unknown,
    /// Repeated for as long as it makes sense.
    #[error("the peer does not answer")]
    Unanswered,
    /// The peer's id can't be encrypted to.
    #[error("the peer's id can't be encrypted to")]
    BadKey,
    /// Too many wait already.
    #[error("too many direct messages wait for their acknowledgement")]
    Busy,
}

/// Why a command was not carried out. Nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// See [`crate::values::limits::TEXT`].
    #[error("the text has {0} bytes; at most {limit} KiB can be said", limit = crate::values::limits::TEXT / 1024)]
    TextTooLong(usize),
    /// See [`crate::values::limits::CHANNELS`].
    #[error("a node takes part in at most {limit} channels", limit = crate::values::limits::CHANNELS)]
    TooManyChannels,
    /// See [`crate::values::limits::OWN_LOGS`].
    #[error("one node says something in at most {limit} channels", limit = crate::values::limits::OWN_LOGS)]
    TooManyLogs,
    /// See [`crate::values::limits::TAGS`] and [`crate::values::limits::TAG_BYTES`].
    #[error("too many or too long tags and services to be announced")]
    TooManyTags,
}

/// A message, as it is shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Where; `None` for what was told to us alone.
    pub channel: Option<ChannelName>,
    /// Who said it; `None` where somebody wrote the datagram by hand.
    pub from: Option<NodeId>,
    /// Where an unverified one came from: all that tells its author.
    pub source: Option<SocketAddr>,
    /// Under which nick.
    pub nick: PeerText,
    /// In which run of the author; 0 where nobody said.
    pub epoch: Epoch,
    /// The message's number in the author's log of that channel and run; 0 where nobody said.
    pub seq: u64,
    /// When, by the author's clock; `None` where nobody said.
    pub at: Option<WallTime>,
    /// In words.
    pub text: PeerText,
    /// For programs.
    pub data: Option<Json>,
    /// How urgent it is.
    pub level: Level,
    /// Whether it carries the author's signature. What does not may come from anyone.
    pub verified: bool,
    /// Whether it was said before this node took part in the channel.
    pub history: bool,
}

/// Sorts messages by the authors' clocks, each author's in its own order: what was said after something
/// else was not said before it, whatever its author's clock showed.
pub(crate) fn sort_by_time(messages: &mut Vec<Message>) {
    order::sort_by_key(messages, |message| (message.from, message.epoch, message.seq));
    let mut latest = (None, None);
    let mut timed = Vec::new();
    for message in messages.drain(..) {
        let at = if message.from.is_some() && latest.0 == message.from {
            message.at.max(latest.1)
        } else {
            message.at
        };
        latest = (message.from, at);
        timed.push((at, message));
    }
    order::sort_by_key(&mut timed, |(at, _)| *at);
    messages.extend(timed.into_iter().map(|(_, message)| message));
}

/// What is known of a peer.
#[derive(Clone, Debug, PartialEq)]
pub struct PeerInfo {
    /// Its id.
    pub id: NodeId,
    /// Its run.
    pub epoch: Epoch,
    /// What it says of itself.
    pub profile: Arc<Profile>,
    /// The channels it takes part in.
    pub channels: Arc<Vec<ChannelName>>,
    /// Where it is, if known.
    pub addr: Option<SocketAddr>,
    /// Alive, suspect, left or dead.
    pub state: PeerState,
    /// Whether it hears and is heard by multicast, or one of the two by unicast only.
    pub path: Hearing,
    /// Which ways datagrams get through between it and this node.
    pub contact: Contact,
    /// Round trip time, if it was ever measured.
    pub rtt: Option<Duration>,
    /// Since when it is known here.
    pub since: Instant,
    /// Whether its own signed word was heard, and not only what others tell of it.
    pub verified: bool,
}

impl PeerInfo {
    /// Whether it offers a service of this name, see [`Profile::services`].
    pub fn offers(&self, service: &str) -> bool {
        self.profile.services.keys().any(|name| name.raw() == service)
    }

    /// Whether it takes part in a channel.
    pub fn is_in(&self, channel: &ChannelName) -> bool {
        self.channels.contains(channel)
    }
}

/// Which ways datagrams get through between a peer and this node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contact {
    /// Both, as far as is known.
    Both,
    /// It is heard, and does not hear this node.
    Inbound,
    /// It hears this node, and is not heard: that it is there, others tell by its own signature.
    Outbound,
    /// Neither hears the other, and others hear both.
    Neither,
}

impl Contact {
    /// The word in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Both => "both",
            Self::Inbound => "inbound",
            Self::Outbound => "outbound",
            Self::Neither => "neither",
        }
    }

    /// What a word in output says; of an unknown one nothing is known.
    #[cfg(feature = "cli")]
    pub(crate) fn from_word(word: &str) -> Self {
        let all = [Self::Inbound, Self::Outbound, Self::Neither];
        all.into_iter().find(|contact| contact.as_str() == word).unwrap_or(Self::Both)
    }
}

/// What is believed of a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum PeerState {
    /// It is there.
    Alive,
    /// It has been silent for too long and is being asked.
    Suspect,
    /// It has said goodbye.
    Left,
    /// It has not answered.
    Dead,
}

impl PeerState {
    /// The word in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Suspect => "suspect",
            Self::Left => "left",
            Self::Dead => "dead",
        }
    }
}
