//! The function `assign-delivery`.

use functions::routes::ASSIGN_DELIVERY;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&ASSIGN_DELIVERY).await
}
