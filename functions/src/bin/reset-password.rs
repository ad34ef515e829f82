//! The function `reset-password`.

use functions::routes::RESET_PASSWORD;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&RESET_PASSWORD).await
}
