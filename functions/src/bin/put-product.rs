//! The function `put-product`.

use functions::routes::PUT_PRODUCT;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&PUT_PRODUCT).await
}
