//! The function `link-audit`.

use functions::routes::LINK_AUDIT;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&LINK_AUDIT).await
}
