//! The function `logout`.

use functions::routes::LOGOUT;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&LOGOUT).await
}
