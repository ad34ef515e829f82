//! The function `forgot-password`.

use functions::routes::FORGOT_PASSWORD;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&FORGOT_PASSWORD).await
}
