//! The function `track`.

use functions::routes::TRACK;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&TRACK).await
}
