//! The function `reset-password`.

use functions::routes::RESET_PASSWORD;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), InitError> {
    serve(&RESET_PASSWORD).await
}
