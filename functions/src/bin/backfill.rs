//! The function `backfill`.

use functions::jobs::backfill::on_schedule;
use functions::routes::BACKFILL;
use functions::serve::{InitError, job, until_frozen};
use lambda_runtime::{LambdaEvent, run, service_fn};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    let app = job(&BACKFILL).await?;
    until_frozen(async move {
        let handle = async |event: LambdaEvent<_>| on_schedule(&app, event).await.map_err(|error| format!("{error:?}"));
        run(service_fn(handle)).await
    })
    .await
}
