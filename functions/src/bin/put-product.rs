//! The function `put-product`.

use functions::routes::PUT_PRODUCT;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), InitError> {
    serve(&PUT_PRODUCT).await
}
