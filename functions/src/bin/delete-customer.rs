//! The function `delete-customer`.

use functions::routes::DELETE_CUSTOMER;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&DELETE_CUSTOMER).await
}
