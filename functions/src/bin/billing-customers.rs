//! The function `billing-customers`.

use functions::routes::BILLING_CUSTOMERS;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&BILLING_CUSTOMERS).await
}
