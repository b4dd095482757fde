//! Tests without sockets, processes or sleeps.

mod floors;
mod vectors;
