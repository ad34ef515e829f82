//! Values as `mongoexport` writes them: `MongoDB` Extended JSON v2, canonical and relaxed, and what
//! of version 1 is still met.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Map, Value};
use shared::clock::Time;
use uuid::Uuid;

/// Later years do not sort as text.
const MAX_UNIX_MS: i64 = 253_370_764_800_000;

/// A number below this is one of seconds: as one of milliseconds it would be before March 1973.
const MIN_UNIX_MS: i64 = 100_000_000_000;

/// Whether a field says nothing: absent, null or blank.
pub(super) fn is_blank(value: &Value) -> bool {
    match value {
        Value::Null => true,
        Value::String(text) => text.trim().is_empty(),
        Value::Object(map) => wrapped(map, "$undefined").is_some(),
        _ => false,
    }
}

/// A scalar as text: a string, a number, an `ObjectId`, a UUID.
pub(super) fn text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.trim().to_owned()),
        Value::Number(number) => Some(match number.as_f64() {
            // `9876543210.0` is a phone number that went through a spreadsheet.
            Some(float) if number.is_f64() => float.to_string(),
            _ => number.to_string(),
        }),
        Value::Object(map) => wrapped_text(map),
        _ => None,
    }
}

/// The moment that `value` names: a date of extended JSON, RFC 3339 with or without offset, or a number
/// of milliseconds or seconds since 1970.
pub(super) fn time(value: &Value) -> Option<Time> {
    match value {
        Value::String(text) => time_of_text(text.trim()),
        Value::Object(map) if map.contains_key("$date") => match wrapped(map, "$date")? {
            Value::String(text) => time_of_text(text.trim()),
            ms => time_of_ms(integer(ms)?),
        },
        _ => match integer(value)? {
            seconds @ 0..MIN_UNIX_MS => Some(Time::from_unix_seconds(seconds)),
            ms => time_of_ms(ms),
        },
    }
}

/// Whether `value` says yes or no.
pub(super) fn flag(value: &Value) -> Option<bool> {
    if let Value::Bool(flag) = value {
        return Some(*flag);
    }
    match text(value)?.to_ascii_lowercase().as_str() {
        "true" | "1" => Some(true),
        "false" | "0" => Some(false),
        _ => None,
    }
}

/// When the `ObjectId` `id` was made.
pub(super) fn time_of_object_id(id: &str) -> Option<Time> {
    let is_object_id = id.len() == 24 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    let seconds = i64::from_str_radix(id.get(..8).filter(|_| is_object_id)?, 16).ok()?;
    Some(Time::from_unix_seconds(seconds))
}

fn integer(value: &Value) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::Object(map) => {
            let integer = wrapped(map, "$numberLong").or_else(|| wrapped(map, "$numberInt"));
            integer?.as_str()?.parse().ok()
        }
        _ => None,
    }
}

fn wrapped<'a>(map: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    if map.len() == 1 { map.get(name) } else { None }
}

fn wrapped_text(map: &Map<String, Value>) -> Option<String> {
    if let Some(bytes) = map.get("$binary") {
        return binary(bytes, map.get("$type"));
    }
    for name in ["$oid", "$numberInt", "$numberLong", "$numberDecimal", "$symbol"] {
        if let Some(value) = wrapped(map, name) {
            return value.as_str().map(|text| text.trim().to_owned());
        }
    }
    if let Some(value) = wrapped(map, "$numberDouble") {
        return value.as_str()?.parse::<f64>().ok().map(|number| number.to_string());
    }
    let uuid = wrapped(map, "$uuid")?.as_str()?;
    Uuid::try_parse(uuid).ok().map(|uuid| uuid.to_string())
}

/// A UUID in binary form: subtype 4, or 3 in the byte order of the text.
fn binary(bytes: &Value, old_type: Option<&Value>) -> Option<String> {
    let (bytes, sub_type) = match bytes {
        Value::Object(map) => (map.get("base64")?.as_str()?, map.get("subType")?.as_str()?),
        old => (old.as_str()?, old_type?.as_str()?),
    };
    if !matches!(sub_type, "03" | "04" | "3" | "4") {
        return None;
    }
    let bytes = STANDARD.decode(bytes).ok()?;
    Uuid::from_slice(&bytes).ok().map(|uuid| uuid.to_string())
}

fn time_of_ms(ms: i64) -> Option<Time> {
    (0..MAX_UNIX_MS).contains(&ms).then(|| Time::from_unix_ms(ms))
}

/// Python writes UTC without saying so.
fn time_of_text(text: &str) -> Option<Time> {
    let spellings = [text.to_owned(), format!("{text}Z"), format!("{text}T00:00:00Z")];
    let time = spellings.into_iter().find_map(|text| serde_json::from_value::<Time>(Value::String(text)).ok())?;
    time_of_ms(time.unix_ms())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn scalars_of_both_dialects_are_the_same_text() {
        for (value, expected) in [
            (json!(" a "), "a"),
            (json!({ "$oid": "65f0c0ffee0123456789abcd" }), "65f0c0ffee0123456789abcd"),
            (json!(9_876_543_210_i64), "9876543210"),
            (json!(9_876_543_210.0), "9876543210"),
            (json!({ "$numberLong": "9876543210" }), "9876543210"),
            (json!({ "$numberInt": "42" }), "42"),
            (json!({ "$numberDouble": "9876543210.0" }), "9876543210"),
            (json!({ "$uuid": "0190A1C2-0000-7000-8000-000000000000" }), "0190a1c2-0000-7000-8000-000000000000"),
            (
                json!({ "$binary": { "base64": "AZChwgAAcACAAAAAAAAAAA==", "subType": "04" } }),
                "0190a1c2-0000-7000-8000-000000000000",
            ),
            (json!({ "$binary": "AZChwgAAcACAAAAAAAAAAA==", "$type": "03" }), "0190a1c2-0000-7000-8000-000000000000"),
        ] {
            assert_eq!(text(&value).as_deref(), Some(expected), "{value}");
        }
        for value in [json!([]), json!({ "street": "x" }), json!({ "$binary": { "base64": "AA==", "subType": "00" } })]
        {
            assert_eq!(text(&value), None, "{value}");
        }
    }

    #[test]
    fn a_moment_is_one_however_it_is_written() {
        for value in [
            json!({ "$date": "2024-03-01T12:00:00Z" }),
            json!({ "$date": { "$numberLong": "1709294400000" } }),
            json!({ "$date": 1_709_294_400_000_i64 }),
            json!(1_709_294_400_000_i64),
            json!(1_709_294_400_i64),
            json!({ "$numberInt": "1709294400" }),
            json!({ "$numberLong": "1709294400" }),
            json!({ "$numberLong": "1709294400000" }),
            json!("2024-03-01T12:00:00.000Z"),
            json!("2024-03-01T17:30:00+05:30"),
            json!("2024-03-01T12:00:00"),
            json!("2024-03-01 12:00:00.000000"),
        ] {
            assert_eq!(time(&value).map(Time::unix_seconds), Some(1_709_294_400), "{value}");
        }
        let early = time(&json!({ "$date": 1_709_294_400_i64 }));
        assert_eq!(early.map(Time::unix_seconds), Some(1_709_294), "a date is always one of milliseconds");
        assert_eq!(time(&json!("2024-03-01")).map(Time::unix_seconds), Some(1_709_251_200));
        for value in [json!("soon"), json!(-1), json!({ "$date": { "$numberLong": "253402300800000" } }), json!(true)] {
            assert_eq!(time(&value), None, "{value}");
        }
    }

    #[test]
    fn an_object_id_knows_when_it_was_made() {
        let made = time_of_object_id("65e1c24000000000000000aa");
        assert_eq!(made.map(Time::unix_seconds), Some(0x65e1_c240));
        assert_eq!(time_of_object_id("cust-550e8400"), None);
    }

    #[test]
    fn a_flag_says_yes_or_no() {
        assert_eq!(
            [json!(true), json!("False"), json!(0), json!("yes")].map(|v| flag(&v)),
            [Some(true), Some(false), Some(false), None]
        );
        assert!(is_blank(&json!(null)) && is_blank(&json!("  ")) && !is_blank(&json!(0)));
    }
}
