//! The function `create-customer`.

use functions::routes::CREATE_CUSTOMER;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&CREATE_CUSTOMER).await
}
