//! Tests without sockets, processes or sleeps.

mod vectors;
