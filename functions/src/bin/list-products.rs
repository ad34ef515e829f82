//! The function `list-products`.

use functions::routes::LIST_PRODUCTS;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&LIST_PRODUCTS).await
}
