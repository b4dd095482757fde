//! The `cooee` program: everything is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    cooee::cli::main()
}
