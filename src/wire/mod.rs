//! Datagrams to messages and back. The whole protocol on the wire, version 1, in one page:
//!
//! | type | sent | says |
//! | --- | --- | --- |
//! | `hello` | to the group, or to one address | here I am, who else is? |
//! | `here` | to the group now and then, or as an answer | here I am |
//! | `bye` | to the group | I am leaving |
//! | `ask` | to one address | tell me whom you know |
//! | `roster` | as an answer | some of the peers that I know |
//! | `say` | to a channel | an entry of the author's log in that channel |
//! | `head` | to a channel, or one address | so far goes my log |
//! | `want` | to a channel, or one address | this I miss of somebody's log |
//! | `got` | as an answer | I have all of your log up to here |
//! | `recall` | to one address | tell me what was said before I came |
//! | `logs` | as an answer | parts of logs that I have |
//! | `probe` | to one address | are you there, or: ask another that |
//! | `alive` | as an answer | I am there |
//! | `suspect` | to the group | a peer does not answer |
//! | `cast` | to a channel | the same, best effort and unsigned |
//! | `tell` | to one address | a message for one peer, a question or an answer, encrypted |
//! | `ack` | as an answer | your `tell` has arrived |
//!
//! A datagram is one JSON object. Its first member is `"cooee":1`; a signed one ends in
//! `,"sig":"…"}` and the signature covers every byte before that tail, so a datagram is kept and
//! passed on as bytes and stays verifiable. What is parsed here can always be emitted again.
//!
//! Bytes come in as a [`Packet`], which is parsed, and its signature checked, at most once and
//! only when somebody asks. Nothing here has state, reads a clock or does I/O.

mod decode;
mod direct;
mod entry;
mod inside;
mod log;
mod object;
mod packet;
mod presence;
mod roster;
mod seal;
mod sign;
mod watch;

pub use decode::DecodeError;
pub(crate) use decode::decode_content;
pub use direct::{DirectError, open_direct, seal_direct};
pub use entry::{Ack, Body, Content, Earlier, Entry, Payload, Tell, split};
pub use inside::{Inside, Matter};
pub use log::{ChannelLogs, Got, Head, LogsPage, Recall, Span, Stretch, Want};
pub use packet::{Datagram, Packet};

pub use presence::{Hearing, Presence, PresenceKind, Profile, Summary, encode_bye};
pub use roster::{Ask, RosterPage, Slice, Told};
pub use seal::Secret;
pub use sign::{Identity, Verifier};
pub use watch::{Alive, Probe, Suspect};

use crate::values::{Epoch, NodeId};

/// The version of the protocol that is spoken here.
pub const VERSION: u64 = 1;

/// Who sent a datagram, in which of its runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sender {
    /// The node.
    pub id: NodeId,
    /// Its run.
    pub epoch: Epoch,
}
