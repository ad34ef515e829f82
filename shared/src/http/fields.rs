//! Reading the fields of a JSON object into parsed values, noting every field that is wrong.

use serde_json::{Map, Value};

use super::problem::{ApiError, FieldError};
use crate::config::Settings;
use crate::contact::{EmailAddress, Phone};
use crate::domain::customer::{Metadata, Status};
use crate::domain::password_policy;
use crate::domain::product::{Currency, FeatureId, Group, Interval, ProductId};
pub use crate::domain::update::Patch;
use crate::ids::{ExternalId, UserId, check_id_charset, check_stripe_id};
use crate::secret::Secret;
use crate::text::{Address, Area, Name};

/// The most characters of a fingerprint.
const MAX_OPAQUE_CHARS: usize = 255;
/// The most keys of metadata.
const MAX_METADATA_KEYS: usize = 50;
/// The most bytes of metadata, as JSON.
const MAX_METADATA_BYTES: usize = 16 * 1_024;

/// A value that a field is parsed into; the error is the message for the caller.
pub trait FieldValue: Sized {
    /// Parses `value`, which is not null.
    fn parse_field(value: &Value, settings: &Settings) -> Result<Self, String>;
}

/// A request body: an object whose fields are read one by one.
pub trait FromFields: Sized {
    /// Reads the fields; `None` when one was wrong, which `fields` has noted.
    fn from_fields(fields: &mut Fields<'_>) -> Option<Self>;
}

/// The fields of a body and what was found wrong with them.
pub struct Fields<'a> {
    object: &'a Map<String, Value>,
    settings: &'a Settings,
    errors: Vec<FieldError>,
}

impl Fields<'_> {
    /// Parses the whole of `body`, or says everything that is wrong with it.
    pub fn parse<T: FromFields>(body: &Value, settings: &Settings) -> Result<T, ApiError> {
        let Value::Object(object) = body else {
            return Err(ApiError::InvalidJson("The body must be a JSON object.".into()));
        };
        let mut fields = Fields { object, settings, errors: Vec::new() };
        let parsed = T::from_fields(&mut fields);
        match parsed {
            Some(parsed) if fields.errors.is_empty() => Ok(parsed),
            _ => Err(ApiError::InvalidRequest(fields.errors)),
        }
    }

    /// A field that may be absent or null. The outer `None` means that it was wrong.
    pub fn optional<T: FieldValue>(&mut self, name: &str) -> Option<Option<T>> {
        match self.object.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => match T::parse_field(value, self.settings) {
                Ok(parsed) => Some(Some(parsed)),
                Err(message) => self.refuse(name, message),
            },
        }
    }

    /// A field of a patch: absent, null or a new value. `None` means that it was wrong.
    pub fn patch<T: FieldValue>(&mut self, name: &str) -> Option<Patch<T>> {
        let absent = !self.object.contains_key(name);
        match self.optional(name)? {
            _ if absent => Some(Patch::Keep),
            None => Some(Patch::Clear),
            Some(value) => Some(Patch::Set(value)),
        }
    }

    /// A field that must be there.
    pub fn required<T: FieldValue>(&mut self, name: &str) -> Option<T> {
        match self.optional(name)? {
            Some(value) => Some(value),
            None => self.refuse(name, "is required"),
        }
    }

    /// An object that may be absent or null; what is wrong in it is named `name.field`.
    pub fn optional_object<T: FromFields>(&mut self, name: &str) -> Option<Option<T>> {
        match self.object.get(name) {
            None | Some(Value::Null) => Some(None),
            Some(value) => self.nested(name, value).map(Some),
        }
    }

    /// A list of at most `max` objects; what is wrong in one is named `name[n].field`.
    pub fn required_list<T: FromFields>(&mut self, name: &str, max: usize) -> Option<Vec<T>> {
        match self.object.get(name) {
            None | Some(Value::Null) => self.refuse(name, "is required"),
            Some(Value::Array(values)) if values.len() <= max => {
                let parsed = values.iter().enumerate().map(|(n, value)| self.nested(&format!("{name}[{n}]"), value));
                // Every one is read, so that every error is noted.
                parsed.collect::<Vec<_>>().into_iter().collect()
            }
            Some(Value::Array(_)) => self.refuse(name, format!("must have at most {max} entries")),
            Some(_) => self.refuse(name, "must be a list"),
        }
    }

    fn nested<T: FromFields>(&mut self, path: &str, value: &Value) -> Option<T> {
        let Value::Object(object) = value else { return self.refuse(path, "must be an object") };
        let mut fields = Fields { object, settings: self.settings, errors: Vec::new() };
        let parsed = T::from_fields(&mut fields).filter(|_| fields.errors.is_empty());
        for error in fields.errors {
            self.errors.push(FieldError { field: format!("{path}.{}", error.field), message: error.message });
        }
        parsed
    }

    /// Notes what is wrong with a new password in `field`, of an owner of whom not everything may be
    /// known; one that could not be read is noted already.
    pub fn check_password(
        &mut self,
        field: &str,
        password: Option<&Secret>,
        email: Option<&EmailAddress>,
        name: Option<&Name>,
    ) {
        let min = self.settings.password_min_length;
        let checked = password.map(|password| password_policy::check(password, min, email, name));
        if let Some(Err(message)) = checked {
            self.refuse::<()>(field, message);
        }
    }

    /// Notes that `field` is wrong.
    pub fn refuse<T>(&mut self, field: &str, message: impl Into<String>) -> Option<T> {
        self.errors.push(FieldError { field: field.to_owned(), message: message.into() });
        None
    }
}

fn text(value: &Value) -> Result<&str, String> {
    value.as_str().ok_or_else(|| "must be a string".into())
}

fn opaque(value: &Value) -> Result<String, String> {
    let text = text(value)?.trim();
    let printable = !text.is_empty() && !text.chars().any(char::is_control);
    match text.chars().count() {
        _ if !printable => Err("must be printable text".into()),
        n if n > MAX_OPAQUE_CHARS => Err(format!("must be at most {MAX_OPAQUE_CHARS} characters")),
        _ => Ok(text.to_owned()),
    }
}

macro_rules! text_field {
    ($($name:ty),*) => {$(
        impl FieldValue for $name {
            fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
                Self::parse(text(value)?)
            }
        }
    )*};
}
text_field!(Name, Address, Area, Status, ProductId, FeatureId, Group, Currency, Interval);

impl FieldValue for EmailAddress {
    fn parse_field(value: &Value, settings: &Settings) -> Result<Self, String> {
        let email = Self::parse(text(value)?)?;
        if email.is_placeholder(&settings.placeholder_email_domain) {
            return Err("must be an address that somebody reads".into());
        }
        Ok(email)
    }
}

impl FieldValue for Phone {
    fn parse_field(value: &Value, settings: &Settings) -> Result<Self, String> {
        Self::parse(text(value)?, settings.phone_default_country)
    }
}

impl FieldValue for ExternalId {
    fn parse_field(value: &Value, settings: &Settings) -> Result<Self, String> {
        Self::parse(text(value)?, settings)
    }
}

impl FieldValue for UserId {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        text(value)?.parse().map_err(|_| "must be a UUID".into())
    }
}

impl FieldValue for bool {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        value.as_bool().ok_or_else(|| "must be `true` or `false`".into())
    }
}

/// Any text, as it was received.
impl FieldValue for String {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        text(value).map(str::to_owned)
    }
}

/// Text that is kept as it is: a fingerprint, a login in any form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Opaque(pub String);

impl FieldValue for Opaque {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        opaque(value).map(Self)
    }
}

/// The id of a Stripe customer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StripeId(pub String);

impl FieldValue for StripeId {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        let text = text(value)?.trim();
        check_stripe_id(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// A whole number from `MIN` to `MAX`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Whole<const MIN: u64, const MAX: u64>(pub u64);

impl<const MIN: u64, const MAX: u64> FieldValue for Whole<MIN, MAX> {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        let whole = value.as_u64().filter(|n| (MIN..=MAX).contains(n));
        whole.map(Self).ok_or_else(|| format!("must be a whole number from {MIN} to {MAX}"))
    }
}

/// An id of the id charset that Rollcall does not look into, as an entity's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlainId(pub String);

impl FieldValue for PlainId {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        let text = text(value)?;
        check_id_charset(text)?;
        Ok(Self(text.to_owned()))
    }
}

/// A password as it was received: not trimmed, not normalised.
impl FieldValue for Secret {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        match text(value)? {
            "" => Err("can't be an empty string".into()),
            text if text.len() > crate::password::MAX_PASSWORD_BYTES => {
                Err(format!("must be at most {} bytes", crate::password::MAX_PASSWORD_BYTES))
            }
            text => Ok(Self::new(text)),
        }
    }
}

impl FieldValue for Metadata {
    fn parse_field(value: &Value, _: &Settings) -> Result<Self, String> {
        let object = value.as_object().ok_or("must be an object")?;
        check_metadata(object)?;
        Ok(object.clone())
    }
}

/// Checks the limits of metadata, once more after a merge; the error is the message for the caller.
pub fn check_metadata(metadata: &Metadata) -> Result<(), String> {
    if metadata.len() > MAX_METADATA_KEYS {
        return Err(format!("must have at most {MAX_METADATA_KEYS} keys"));
    }
    if serde_json::to_vec(metadata).is_ok_and(|json| json.len() > MAX_METADATA_BYTES) {
        return Err(format!("must be at most {MAX_METADATA_BYTES} bytes as JSON"));
    }
    if metadata.keys().any(String::is_empty) {
        return Err("cannot have an empty key".into());
    }
    Ok(())
}
