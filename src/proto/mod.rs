//! The engine: the protocol, and no I/O at all.

mod config;
mod event;

pub use config::Config;
pub use event::{
    Command, Destination, Event, Input, Message, Outgoing, Output, PeerInfo, PeerState, Refusal,
    TellError,
};
