//! Tests without sockets, processes or sleeps.

mod floors;
mod swarm;
mod vectors;
