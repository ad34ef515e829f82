//! The function `logout`.

use functions::routes::LOGOUT;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), InitError> {
    serve(&LOGOUT).await
}
