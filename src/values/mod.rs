//! The words that every floor above speaks: time, ids, names, limits, text from strangers.
//!
//! Everything here is a plain value. Nothing reads a clock, opens a socket or draws from the
//! system's entropy.

pub mod duration;
mod id;
mod json;
pub mod limits;
mod link;
mod names;
pub(crate) mod order;
mod peer_text;
mod rng;
mod small;
mod time;

pub use id::{Epoch, NodeId, ParseIdError};
pub use json::{Json, JsonError};
pub use link::{Attachment, LinkId};
pub use names::{ChannelName, Group, GroupError, Level, NameError, Nick};
pub(crate) use order::filled;
pub use peer_text::{Escaped, PeerText, is_misleading};
pub use rng::Rng;
pub(crate) use small::{SmallMap, SmallSet};
pub use time::{Instant, WallTime};
