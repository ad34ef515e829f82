//! Pages of a list: `?limit=` and `?cursor=`.
//!
//! A cursor names a position in the list and the filter it was made for, so that it cannot be taken
//! to another list, where rows would be missing.

use std::collections::BTreeMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Serialize;
use utoipa::ToSchema;

use super::problem::ApiError;
use crate::token::sha256_hex;

/// The most rows of a page.
const MAX_LIMIT: usize = 100;

/// The rows of a page whose size nobody asked for.
const DEFAULT_LIMIT: usize = 20;

/// The characters that a filter is known by in a cursor.
const FILTER_CHARS: usize = 16;

/// Longer than any position in a list.
const MAX_POSITION_BYTES: usize = 200;

/// The page that a request asks for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PageRequest {
    /// The most rows to answer.
    pub limit: usize,
    /// The position after which the page begins.
    pub after: Option<String>,
    filter: String,
}

impl PageRequest {
    /// Reads `limit` and `cursor` of a list that is filtered by `filter`.
    pub fn parse(query: &BTreeMap<String, String>, filter: &[&str]) -> Result<Self, ApiError> {
        let limit = match query.get("limit") {
            None => DEFAULT_LIMIT,
            Some(text) => parse_limit(text)?,
        };
        let filter = sha256_hex(filter.join("\u{0}"))[..FILTER_CHARS].to_owned();
        let after = match query.get("cursor") {
            None => None,
            Some(cursor) => Some(open(cursor, &filter).ok_or(ApiError::InvalidCursor)?),
        };
        Ok(Self { limit, after, filter })
    }

    /// The cursor of the page that begins after `position`.
    #[must_use]
    pub fn cursor(&self, position: &str) -> String {
        URL_SAFE_NO_PAD.encode(format!("{}.{position}", self.filter))
    }
}

fn parse_limit(text: &str) -> Result<usize, ApiError> {
    // Rust's own reading takes a sign.
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    let limit = text.parse().ok().filter(|limit| digits && (1..=MAX_LIMIT).contains(limit));
    limit.ok_or_else(|| ApiError::field("limit", format!("must be a whole number from 1 to {MAX_LIMIT}")))
}

/// The position in `cursor`, if it was made for `filter`.
fn open(cursor: &str, filter: &str) -> Option<String> {
    let text = String::from_utf8(URL_SAFE_NO_PAD.decode(cursor).ok()?).ok()?;
    let position = text.strip_prefix(filter)?.strip_prefix('.')?;
    (!position.is_empty() && position.len() <= MAX_POSITION_BYTES).then(|| position.to_owned())
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
    /// A page of `data`.
    #[must_use]
    pub fn new(data: Vec<T>, next_cursor: Option<String>) -> Self {
        Self { success: true, count: data.len(), data, next_cursor }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const POSITION: &str = "2026-11-20T12:00:00Z#0190a1c2-0000-7000-8000-000000000000";

    fn query(name: &str, value: &str) -> BTreeMap<String, String> {
        BTreeMap::from([(name.to_owned(), value.to_owned())])
    }

    #[test]
    fn a_cursor_leads_back_to_its_position_in_its_own_list_only() {
        let cursor = PageRequest::parse(&BTreeMap::new(), &["active", ""]).unwrap().cursor(POSITION);
        let page = PageRequest::parse(&query("cursor", &cursor), &["active", ""]).unwrap();
        assert_eq!((page.limit, page.after.as_deref()), (20, Some(POSITION)));
        for filter in [["", "active"], ["trial", ""]] {
            let refused = PageRequest::parse(&query("cursor", &cursor), &filter);
            assert!(matches!(refused, Err(ApiError::InvalidCursor)));
        }
    }

    #[test]
    fn junk_is_no_cursor() {
        for junk in ["", "x", "%00", "AAAA", &URL_SAFE_NO_PAD.encode("0.1")] {
            assert!(matches!(PageRequest::parse(&query("cursor", junk), &[]), Err(ApiError::InvalidCursor)), "{junk}");
        }
    }

    #[test]
    fn a_limit_is_bounded() {
        for bad in ["", "0", "101", "-1", "+5", " 5", "5 ", "٥", "1.5", "x", "99999999999999999999999"] {
            assert!(matches!(PageRequest::parse(&query("limit", bad), &[]), Err(ApiError::InvalidRequest(_))), "{bad}");
        }
        assert_eq!(PageRequest::parse(&query("limit", "100"), &[]).unwrap().limit, 100);
    }
}
