//! The function `get-customer`.

use functions::routes::GET_CUSTOMER;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&GET_CUSTOMER).await
}
