//! `GET /openapi.json`, and `GET /docs`: the same to read and to try, from what is linked in.

use std::sync::Arc;

use axum::Json;
use axum::extract::Path;
use axum::extract::rejection::PathRejection;
use axum::http::HeaderValue;
use axum::http::header::{CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, X_CONTENT_TYPE_OPTIONS};
use axum::response::{IntoResponse, Response};
use shared::http::ApiError;
use utoipa_swagger_ui::{Config, SwaggerFile, serve};

/// Swagger UI sets styles from its script and draws with inline images.
const POLICY: &str = "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; \
    object-src 'none'; frame-ancestors 'none'";

/// The document.
pub async fn openapi() -> impl IntoResponse {
    Json(functions::openapi::document())
}

/// The page, which names its files relative to `/docs/`.
pub async fn index() -> Result<Response, ApiError> {
    let page = find("index.html")?;
    let html = String::from_utf8_lossy(&page.bytes).replacen("<head>", "<head><base href=\"/docs/\">", 1);
    Ok(answer(html.into_bytes(), &page))
}

/// A file of the page.
pub async fn file(name: Result<Path<String>, PathRejection>) -> Result<Response, ApiError> {
    let Ok(Path(name)) = name else { return Err(ApiError::NotFound) };
    let file = find(&name)?;
    Ok(answer(file.bytes.to_vec(), &file))
}

fn find(name: &str) -> Result<SwaggerFile<'static>, ApiError> {
    // Its validator would send the document to somebody else's server.
    let config = Config::new(["/openapi.json"]).validator_url("none");
    match serve(name, Arc::new(config)) {
        Ok(Some(file)) => Ok(file),
        Ok(None) => Err(ApiError::NotFound),
        Err(error) => Err(ApiError::Internal(error.to_string())),
    }
}

fn answer(bytes: Vec<u8>, file: &SwaggerFile<'_>) -> Response {
    let mut response = bytes.into_response();
    let headers = response.headers_mut();
    if let Ok(kind) = HeaderValue::from_str(&file.content_type) {
        headers.insert(CONTENT_TYPE, kind);
    }
    if file.gzpipped {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    }
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_file_that_the_page_names_is_linked_in() {
        let page = find("index.html").unwrap();
        let html = String::from_utf8(page.bytes.to_vec()).unwrap();
        let named = html
            .split('"')
            .filter(|part| [Some("js"), Some("css")].contains(&part.rsplit_once('.').map(|(_, kind)| kind)));
        let named: Vec<_> = named.map(|name| name.trim_start_matches("./")).collect();
        assert!(named.len() >= 4, "{html}");
        for name in named {
            assert!(find(name).is_ok(), "{name}");
        }
        assert!(!html.contains("http://") && !html.contains("https://"), "{html}");
    }

    #[test]
    fn the_page_reads_our_document_and_asks_nobody_else() {
        let script = find("swagger-initializer.js").unwrap();
        let script = String::from_utf8(script.bytes.to_vec()).unwrap();
        assert!(script.contains("/openapi.json") && script.contains("\"none\""), "{script}");
    }
}
