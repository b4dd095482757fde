//! cooee: the hosts of a LAN find each other and talk.

#[cfg(feature = "cli")]
pub mod cli;
pub mod net;
pub mod node;
pub mod proto;
pub mod sim;
pub mod values;
pub mod wire;
