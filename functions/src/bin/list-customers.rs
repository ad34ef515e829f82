//! The function `list-customers`.

use functions::routes::LIST_CUSTOMERS;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&LIST_CUSTOMERS).await
}
