//! Tests without sockets, processes or sleeps.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod alone;
mod asking;
mod coming;
mod cut_off;
mod delivery;
mod delivery_hostile;
mod delivery_table;
mod filtered;
mod finding;
mod floors;
mod golden;
mod hostile;
mod ipv6;
mod many;
mod recalling;
mod receipts;
mod stories;
mod swarm;
mod talking;
mod vectors;
mod watching;
