//! Whole LANs of engines in virtual time.
//!
//! Nothing here reads a clock or does I/O: a [`World`] is a value, and the same seed makes the same
//! world do the same things, to the byte. Threads are started only to do the same sooner. What a switched LAN does to
//! multicast is modelled as far as the protocol can notice it: one send has a fate of its own at
//! each receiver, only members receive, a membership takes effect some milliseconds after it was
//! asked for, hosts may be deaf or mute to multicast, links are cut and LANs fall apart.
//!
//! ```text
//!   Swarm               what happens by chance       swarm.rs
//!   Startup, Scenario   what happens by plan         startup.rs, scenario.rs, progress.rs,
//!                       watch.rs, outcome.rs
//!     └── World         hosts, nodes, time           world.rs, host.rs, queue.rs, carry.rs, mishaps.rs; of thousands windows.rs, post.rs, profiles.rs
//!           ├── Segment who receives what, and when  segment.rs
//!           ├── Checker what must never happen       checker.rs, answers.rs
//!           ├── Tally   what it cost                 tally.rs
//!           └── Trace   what happened, to be read    trace.rs
//! ```

mod answers;
mod carry;
mod checker;
mod host;
mod memory;
mod mishaps;
mod outcome;
mod post;
mod profiles;
mod progress;
mod queue;
mod scenario;
mod segment;
mod startup;
mod swarm;
mod tally;
mod trace;
mod watch;
mod windows;
mod world;

pub use checker::Checker;
pub use host::{Host, HostId, Interface, NodeIndex, Spec};
pub use outcome::Table;
pub use progress::{Phase, Progress};
pub use scenario::{Joined, Outcome, Scenario};
pub use segment::{Faults, LanId, Segment};
pub use startup::{Report, Startup};
pub use swarm::{Failure, HEALING, Swarm};
pub use tally::{Kind, Sum, Tally};
pub use trace::Trace;
pub use world::World;
