//! The words that every floor above speaks: time, ids, names, limits, text from strangers.
//!
//! Everything here is a plain value. Nothing reads a clock, opens a socket or draws from the
//! system's entropy.

mod id;
pub mod limits;
mod link;



mod time;

pub use id::{Epoch, NodeId, ParseIdError};
pub use link::LinkId;



pub use time::{Instant, WallTime};
