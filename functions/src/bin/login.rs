//! The function `login`.

use functions::routes::LOGIN;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&LOGIN).await
}
