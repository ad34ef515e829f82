//! The function `me`.

use functions::routes::ME;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&ME).await
}
