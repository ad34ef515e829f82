//! The function `backfill`.

use functions::jobs::backfill::on_schedule;
use functions::routes::BACKFILL;
use functions::serve::{InitError, job};
use lambda_runtime::{LambdaEvent, run, service_fn};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), InitError> {
    let app = job(&BACKFILL).await?;
    let handle = async |event: LambdaEvent<_>| on_schedule(&app, event).await.map_err(|error| format!("{error:?}"));
    run(service_fn(handle)).await
}
