//! The function `register`.

use functions::routes::REGISTER;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&REGISTER).await
}
