//! The function `update-me`.

use functions::routes::UPDATE_ME;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&UPDATE_ME).await
}
