//! The `cooee` program.

fn main() {}
