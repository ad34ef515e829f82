//! The function `stripe-webhook`.

use functions::routes::STRIPE_WEBHOOK;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&STRIPE_WEBHOOK).await
}
