//! What may be said of a failed AWS call: its kind and code. The answer itself may quote an item
//! or an address, and so never reaches a log.

use aws_sdk_dynamodb::error::{ProvideErrorMetadata, SdkError};

/// The failure in words without anything personal.
#[must_use]
pub fn describe<E: ProvideErrorMetadata, R>(error: &SdkError<E, R>) -> String {
    match error {
        SdkError::ConstructionFailure(_) => "the request could not be built".into(),
        SdkError::TimeoutError(_) => "no answer in time".into(),
        SdkError::DispatchFailure(failure) if failure.is_timeout() => "no answer in time".into(),
        SdkError::DispatchFailure(_) => "no connection".into(),
        SdkError::ResponseError(_) => "the answer could not be read".into(),
        SdkError::ServiceError(service) => refusal(service.err()),
        _ => "failed".into(),
    }
}

/// The code, and the message where that names a permission or a resource and no value.
fn refusal<E: ProvideErrorMetadata>(error: &E) -> String {
    let code = error.code().unwrap_or("refused without a code");
    match (code, error.message()) {
        ("AccessDeniedException" | "ResourceNotFoundException" | "UnrecognizedClientException", Some(message)) => {
            format!("{code}: {message}")
        }
        _ => code.to_owned(),
    }
}
