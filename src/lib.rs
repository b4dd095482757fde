//! cooee: the hosts of a LAN find each other and talk.

pub mod values;
pub mod wire;
