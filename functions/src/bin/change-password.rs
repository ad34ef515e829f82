//! The function `change-password`.

use functions::routes::CHANGE_PASSWORD;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&CHANGE_PASSWORD).await
}
