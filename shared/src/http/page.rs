//! Lists: which page a caller asks for, and how it is answered.

use axum::extract::{FromRequestParts, Query};
use axum::http::request::Parts;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ApiError;
use crate::app::App;

/// The rows of a page when nobody says how many.
const DEFAULT_LIMIT: usize = 20;
/// The most rows of a page.
const MAX_LIMIT: usize = 100;

/// The page that a caller asks for.
#[derive(Clone, Debug)]
pub struct PageQuery {
    /// The most rows of it.
    pub limit: usize,
    /// Where it begins: after what the list itself wrote into the cursor.
    pub after: Option<String>,
}

impl FromRequestParts<App> for PageQuery {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, ApiError> {
        let query: Query<Vec<(String, String)>> =
            Query::try_from_uri(&parts.uri).map_err(|_| ApiError::field("limit", "cannot be read"))?;
        let value = |name: &str| query.0.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str());
        let limit = match value("limit").map(str::parse::<usize>) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit)) if (1..=MAX_LIMIT).contains(&limit) => limit,
            Some(_) => {
                return Err(ApiError::field("limit", format!("must be a whole number from 1 to {MAX_LIMIT}")));
            }
        };
        Ok(Self { limit, after: value("cursor").map(open).transpose()? })
    }
}

/// A page of a list.
#[derive(Serialize, ToSchema)]
pub struct Page<T> {
    /// Always true.
    success: bool,
    /// The rows of this page.
    count: usize,
    /// They.
    data: Vec<T>,
    /// Where the next page begins; null at the end.
    next_cursor: Option<String>,
}

impl<T> Page<T> {
    /// A page of `rows`, of which one more than `limit` was looked for; `position` says what a
    /// cursor after a row holds.
    #[must_use]
    pub fn of(mut rows: Vec<T>, limit: usize, position: impl Fn(&T) -> String) -> Self {
        let more = rows.len() > limit;
        rows.truncate(limit);
        let next_cursor = rows.last().filter(|_| more).map(|last| URL_SAFE_NO_PAD.encode(position(last)));
        Self { success: true, count: rows.len(), data: rows, next_cursor }
    }
}

fn open(cursor: &str) -> Result<String, ApiError> {
    let bytes = URL_SAFE_NO_PAD.decode(cursor).map_err(|_| ApiError::InvalidCursor)?;
    String::from_utf8(bytes).map_err(|_| ApiError::InvalidCursor)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_leads_on_until_the_end() {
        let page = Page::of(vec!["a", "b", "c"], 2, ToString::to_string);
        assert_eq!((page.count, page.data), (2, vec!["a", "b"]));
        assert_eq!(open(&page.next_cursor.unwrap()).unwrap(), "b");
        assert!(Page::of(vec!["c"], 2, ToString::to_string).next_cursor.is_none());
        assert!(open("no cursor!").is_err());
    }
}
