//! The function `check`.

use functions::routes::CHECK;
use functions::serve::{InitError, serve};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), InitError> {
    serve(&CHECK).await
}
