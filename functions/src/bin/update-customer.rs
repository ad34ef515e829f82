//! The function `update-customer`.

use functions::routes::UPDATE_CUSTOMER;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&UPDATE_CUSTOMER).await
}
