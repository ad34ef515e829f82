//! The function `intake-submit`.

use functions::routes::INTAKE_SUBMIT;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    serve(&INTAKE_SUBMIT).await
}
