//! The function `notify`.

use functions::jobs::notify::on_stream;
use functions::routes::NOTIFY;
use functions::serve::{InitError, job, until_frozen};
use lambda_runtime::{Diagnostic, LambdaEvent, run, service_fn};

#[tokio::main(flavor = "local")]
async fn main() -> Result<(), InitError> {
    let app = job(&NOTIFY).await?;
    until_frozen(async move {
        let handle = async |event: LambdaEvent<_>| Ok::<_, Diagnostic>(on_stream(&app, event).await);
        run(service_fn(handle)).await
    })
    .await
}
