//! The function `track`.

use functions::routes::TRACK;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), InitError> {
    serve(&TRACK).await
}
