//! The `litevfs-cloud` program: everything is in the library beside it.
#![forbid(unsafe_code)]

use std::process::ExitCode;

fn main() -> ExitCode {
    litevfs_cloud::cli::main()
}
