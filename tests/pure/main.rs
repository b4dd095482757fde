//! Tests without sockets, processes or sleeps.

#![expect(clippy::expect_used, clippy::unwrap_used, reason = "a test fails by panicking")]

mod asking;
mod coming;
mod finding;
mod floors;
mod golden;
mod hostile;
mod stories;
mod swarm;
mod talking;
mod vectors;
