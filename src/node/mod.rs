//! A node as a program sees it: start it, say things, hear things, ask who is there.
//!
//! There are two ways to have one:
//!
//! - A [`Node`] is a handle. The work is done by a thread of its own, in which the engine, the
//!   sockets and the timers meet in one poll; the handle sends it commands, and [`Notices`] tell
//!   what happened. It can be used from any thread.
//! - A [`LocalNode`] has no thread: the program's own drives it whenever it waits for the next
//!   notice. No message changes hands between threads, which saves most of a round trip's time.
//!
//! Dropping either says goodbye.

mod driver;
mod handle;
mod identity;
mod known;
mod local;
mod memory;
mod notices;
mod options;
mod saying;
mod spoken;
mod start;
mod waiting;

use std::io;
use std::path::PathBuf;

pub use driver::Stats;
pub use handle::Node;
#[cfg(feature = "cli")]
pub(crate) use identity::{create_private, renew as renew_identity};
pub use local::{Guest, LocalNode, Turn};
#[cfg(feature = "cli")]
pub(crate) use notices::{Feeder, feed};
pub use notices::{Notice, Notices};
pub use options::Options;
pub use waiting::NoAnswer;

use crate::net::{LinkError, OpenError};

/// Why a node can't start. Nothing is left open.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// No link can be used. The user's to mend.
    #[error(transparent)]
    Link(#[from] LinkError),
    /// The sockets can't be opened. The user's to mend.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The key that is to be this node's is another's at this moment; only where [`Options::same`]
    /// asks for it.
    #[error("key.{key} in {} is in use by another node that runs; stop that one, or wait for its end", .folder.display())]
    KeyInUse {
        /// The key's name.
        key: String,
        /// Where it is.
        folder: PathBuf,
    },
    /// The key that is to be this node's can't be had; only where [`Options::same`] asks for it.
    #[error("key.{key} in {} can't be used: {error}", .folder.display())]
    Key {
        /// The key's name.
        key: String,
        /// Where it should be.
        folder: PathBuf,
        /// Why not.
        error: io::Error,
    },
    /// The system refused something else.
    #[error("the system refused {what}: {error}")]
    System {
        /// What was asked of it.
        what: &'static str,
        /// What it said.
        error: io::Error,
    },
}

/// The node's thread has ended, so nothing can be asked of it any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the node has stopped")]
pub struct Stopped;
