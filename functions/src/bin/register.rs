//! The function `register`.

use functions::routes::REGISTER;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), InitError> {
    serve(&REGISTER).await
}
