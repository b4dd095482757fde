//! cooee: the hosts of a LAN find each other and talk.
//!
//! No server, no account, no configuration: nodes find each other over UDP multicast, know who is
//! there, and talk in channels. Where multicast does not get through, unicast takes its place
//! without anybody noticing.
//!
//! # A first program
//!
//! ```no_run
//! use std::time::Duration;
//!
//! use cooee::node::{Node, Notice, Options};
//! use cooee::proto::{Event, Outgoing};
//! use cooee::values::{ChannelName, Level};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let lobby = ChannelName::lobby();
//! let (node, notices) =
//!     Node::start(Options { channels: vec![lobby.clone()], ..Options::default() })?;
//! let text = "hello, everybody".to_owned();
//! node.say(&lobby, Outgoing { at: node.wall(), text, data: None, level: Level::Info })?;
//! while let Some(notice) = notices.next(Duration::from_secs(60))? {
//!     match notice {
//!         Notice::Event(Event::Joined(peer)) => println!("{} came", peer.profile.nick.escaped()),
//!         Notice::Event(Event::Message(message)) => println!("{}", message.text.escaped()),
//!         _ => {}
//!     }
//! }
//! node.stop(); // says goodbye
//! # Ok(())
//! # }
//! ```
//!
//! # The floors
//!
//! ```text
//!  cli          the command line (feature `cli`)
//!  agent        one node for a host, and the socket by which commands use it (feature `cli`)
//!  talk         talk in lines of text: what they mean, how they look (feature `cli`)
//!  node         a node as a program sees it          ◀── start here
//!  net   sim    sockets and links                    whole LANs in virtual time
//!  proto        the protocol as a value: inputs in, outputs out, no I/O
//!  wire         datagrams, signatures, seals
//!  values       time, ids, names, limits, strangers' text
//! ```
//!
//! Each floor uses only those below it. [`proto::Engine`] is the protocol itself, for those who
//! want to drive it with sockets of their own.

#[cfg(feature = "cli")]
mod agent;
#[cfg(feature = "cli")]
pub mod cli;
pub mod net;
pub mod node;
pub mod proto;
pub mod sim;
#[cfg(feature = "cli")]
mod talk;
pub mod values;
pub mod wire;
