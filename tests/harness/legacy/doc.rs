//! Documents as `mongoexport` writes them, in either dialect.

use shared::clock::Time;

/// A document, field by field. Texts need no escapes.
#[derive(Clone)]
pub(super) struct Doc {
    canonical: bool,
    fields: Vec<(&'static str, String)>,
}

impl Doc {
    pub(super) fn new(canonical: bool) -> Self {
        Self { canonical, fields: Vec::new() }
    }

    /// Sets a field to a JSON value.
    pub(super) fn raw(mut self, name: &'static str, json: String) -> Self {
        match self.fields.iter_mut().find(|(of, _)| *of == name) {
            Some((_, value)) => *value = json,
            None => self.fields.push((name, json)),
        }
        self
    }

    pub(super) fn text(self, name: &'static str, text: &str) -> Self {
        self.raw(name, format!("\"{text}\""))
    }

    pub(super) fn object_id(self, id: &str) -> Self {
        self.raw("_id", format!("{{\"$oid\":\"{id}\"}}"))
    }

    pub(super) fn number(self, name: &'static str, number: &str) -> Self {
        let json = if self.canonical { format!("{{\"$numberLong\":\"{number}\"}}") } else { number.to_owned() };
        self.raw(name, json)
    }

    pub(super) fn date(self, name: &'static str, seconds: i64) -> Self {
        let json = if self.canonical {
            format!("{{\"$date\":{{\"$numberLong\":\"{seconds}000\"}}}}")
        } else {
            format!("{{\"$date\":\"{}\"}}", Time::from_unix_seconds(seconds))
        };
        self.raw(name, json)
    }

    pub(super) fn without(mut self, name: &str) -> Self {
        self.fields.retain(|(of, _)| *of != name);
        self
    }

    pub(super) fn line(&self) -> String {
        let fields: Vec<String> = self.fields.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
        format!("{{{}}}", fields.join(","))
    }
}
