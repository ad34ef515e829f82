//! The administrator's command line; all of it is in the library, where tests reach it.

use std::process::ExitCode;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    admin::main().await
}
