//! cooee: the hosts of a LAN find each other and talk.

pub mod net;
pub mod node;
pub mod proto;
pub mod sim;
pub mod values;
pub mod wire;
