//! The function `data-quality`.

use functions::routes::DATA_QUALITY;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&DATA_QUALITY).await
}
