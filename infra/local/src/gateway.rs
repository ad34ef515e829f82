//! What API Gateway does before any function sees a request: it takes the body in, whole.
//!
//! Whoever is refused before they have sent everything, and then cut off, reads no answer. On AWS
//! nobody is: here neither. What a route takes is the route's own to say.

use std::future::poll_fn;
use std::pin::Pin;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::Request;
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use shared::http::ApiError;

/// The most bytes of a body, as at API Gateway.
const MAX_BODY_BYTES: usize = 10 * 1_024 * 1_024;

/// The most bytes of a body that is too large which are read, and dropped, before it is refused.
const MAX_DROPPED_BYTES: usize = 64 * 1_024 * 1_024;

/// Passes a request on once its body is here.
pub(crate) async fn take_in(request: Request, next: Next) -> Response {
    let (parts, body) = request.into_parts();
    match whole(body).await {
        Ok(body) => next.run(Request::from_parts(parts, Body::from(body))).await,
        Err(error) => error.into_response(),
    }
}

async fn whole(mut body: Body) -> Result<Bytes, ApiError> {
    let (mut kept, mut bytes) = (Vec::<u8>::new(), 0);
    while let Some(frame) = poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await {
        let frame = frame.map_err(|_| ApiError::InvalidJson("The body ended early.".into()))?;
        let Ok(data) = frame.into_data() else { continue };
        bytes += data.len();
        if bytes > MAX_BODY_BYTES + MAX_DROPPED_BYTES {
            break;
        }
        if bytes <= MAX_BODY_BYTES {
            kept.extend_from_slice(&data);
        }
    }
    if bytes <= MAX_BODY_BYTES { Ok(kept.into()) } else { Err(ApiError::PayloadTooLarge) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_body_is_whole_or_refused() {
        assert_eq!(whole(Body::empty()).await.unwrap(), Bytes::new());
        let most = vec![b'a'; MAX_BODY_BYTES];
        assert_eq!(whole(Body::from(most.clone())).await.unwrap(), most);
        let more = whole(Body::from([most, b"a".to_vec()].concat())).await;
        assert!(matches!(more, Err(ApiError::PayloadTooLarge)));
    }
}
