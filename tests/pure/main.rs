//! Tests without sockets, processes or sleeps.

mod coming;
mod finding;
mod floors;
mod golden;
mod hostile;
mod stories;
mod swarm;
mod talking;
mod vectors;
