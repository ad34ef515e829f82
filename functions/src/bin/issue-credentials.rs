//! The function `issue-credentials`.

use functions::routes::ISSUE_CREDENTIALS;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&ISSUE_CREDENTIALS).await
}
