//! The function `dashboard`.

use functions::routes::DASHBOARD;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&DASHBOARD).await
}
