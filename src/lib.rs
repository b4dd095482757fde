//! cooee: the hosts of a LAN find each other and talk.

pub mod net;
pub mod values;
