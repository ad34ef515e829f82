//! The function `check`.

use functions::routes::CHECK;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&CHECK).await
}
