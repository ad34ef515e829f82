//! A row as it stands in its file, and what is common to all of them.

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use shared::clock::Time;
use shared::config::Settings;
use shared::contact::{EmailAddress, Phone};
use shared::domain::legacy::{Legacy, Source};
use shared::ids::{Crn, CustomerNumber};
use shared::text::Name;

use super::extended;
use super::finding::{Refusal, Remark, What};

/// The most bytes of an id; it becomes part of a key.
const MAX_ID_BYTES: usize = 512;

/// The most characters that are kept of a value that cannot be read.
const MAX_UNREAD_CHARS: usize = 4_096;

/// More than anybody has issued: a number beyond it is a mistake that a counter must not learn.
const MAX_SEQUENCE: u64 = 999_999_999_999;

/// The years that a reference may name.
const YEARS: std::ops::RangeInclusive<i16> = 2000..=9999;

/// The ids that a row has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ids {
    /// Its id, which everything else calls it by.
    pub(super) id: String,
    /// The id that `MongoDB` gave it, if that is another.
    pub(super) other: Option<String>,
}

/// The fields of a row, and what became of them so far.
#[derive(Debug)]
pub(super) struct Row {
    source: Source,
    fields: Map<String, Value>,
    unread: BTreeMap<String, String>,
    /// What is to be reported.
    pub(super) remarks: Vec<Remark>,
}

impl Row {
    /// Reads a line.
    pub(super) fn parse(source: Source, line: &str) -> Result<Self, Refusal> {
        match serde_json::from_str(line) {
            Ok(Value::Object(fields)) => Ok(Self { source, fields, unread: BTreeMap::new(), remarks: Vec::new() }),
            Ok(_) => Err(Refusal::NotObject),
            Err(_) => Err(Refusal::NotJson),
        }
    }

    /// Its ids.
    pub(super) fn ids(&self) -> Result<Ids, Refusal> {
        let own = match self.source {
            Source::Users | Source::CustomersV2 => "id",
            Source::Clients => "client_id",
        };
        let other = self.id(&["_id"]);
        let id = self.id(&[own]).or_else(|| other.clone()).ok_or(Refusal::NoId)?;
        let other = other.filter(|other| self.source.id_of(other) != self.source.id_of(&id));
        Ok(Ids { id, other })
    }

    /// When it was made, by its own word or by that of an `ObjectId`.
    pub(super) fn created_at(&mut self, ids: &Ids) -> Option<Time> {
        let names = &["created_at", "createdAt"];
        let said = self.find(names).map(|value| (extended::time(value), value.to_string()));
        match said {
            Some((Some(time), _)) => return Some(time),
            Some((None, text)) => self.leave(names[0], text, What::Time),
            None => {}
        }
        let object_ids = [ids.other.as_deref(), Some(ids.id.as_str())];
        object_ids.into_iter().flatten().find_map(extended::time_of_object_id)
    }

    /// The first of the fields `names` that says anything.
    pub(super) fn find(&self, names: &[&str]) -> Option<&Value> {
        names.iter().filter_map(|name| self.fields.get(*name)).find(|value| !extended::is_blank(value))
    }

    /// What `parse` makes of the field of one of `names`. If it says anything else, that is kept as
    /// text and reported as `what`, under the first name.
    pub(super) fn parsed<T>(
        &mut self,
        names: &[&'static str],
        what: What,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Option<T> {
        let value = self.find(names)?;
        let text = extended::text(value);
        let parsed = text.as_deref().and_then(parse);
        if parsed.is_none() {
            let kept = text.unwrap_or_else(|| value.to_string());
            self.leave(names.first().copied().unwrap_or_default(), kept, what);
        }
        parsed
    }

    /// Keeps what could not be taken over, and reports it.
    pub(super) fn leave(&mut self, field: &'static str, text: String, what: What) {
        self.unread.insert(field.to_owned(), kept(text));
        self.report(field, what);
    }

    /// Reports a field of which nothing is kept.
    pub(super) fn report(&mut self, field: &'static str, what: What) {
        self.remarks.push(Remark { field, what });
    }

    pub(super) fn name(&mut self, names: &[&'static str]) -> Option<Name> {
        self.parsed(names, What::Unread, |text| Name::parse(text).ok())
    }

    pub(super) fn phone(&mut self, settings: &Settings) -> Option<Phone> {
        self.parsed(&["phone"], What::Unread, |text| Phone::parse(text, settings.phone_default_country).ok())
    }

    pub(super) fn email(&mut self, what: What) -> Option<EmailAddress> {
        self.parsed(&["email"], what, |text| EmailAddress::parse(text).ok())
    }

    /// The id of another row.
    pub(super) fn pointer(&mut self, name: &'static str) -> Option<String> {
        self.parsed(&[name], What::Unread, |text| Some(text.to_owned()).filter(|text| is_id(text)))
    }

    pub(super) fn number(&mut self, settings: &Settings) -> Option<CustomerNumber> {
        self.parsed(&["customerId"], What::BadNumber, |text| number(text, settings))
    }

    pub(super) fn crn(&mut self, settings: &Settings) -> Option<Crn> {
        self.parsed(&["customer_reference"], What::BadNumber, |text| crn(text, settings).map(|(crn, _, _)| crn))
    }

    /// The year and the sequence number of its reference, if it has one.
    pub(super) fn sequence(&self, settings: &Settings) -> Option<(i16, u64)> {
        let text = extended::text(self.find(&["customer_reference"])?)?;
        crn(&text, settings).map(|(_, year, sequence)| (year, sequence))
    }

    /// Where it came from, with all that was left.
    pub(super) fn legacy(&mut self, id: &str) -> Legacy {
        Legacy { source: self.source, id: id.to_owned(), unread: std::mem::take(&mut self.unread) }
    }

    fn id(&self, names: &[&str]) -> Option<String> {
        extended::text(self.find(names)?).filter(|text| is_id(text))
    }
}

/// `text`, cut where it is longer than an item should hold.
fn kept(text: String) -> String {
    match text.char_indices().nth(MAX_UNREAD_CHARS) {
        Some((end, _)) => text[..end].to_owned(),
        None => text,
    }
}

fn is_id(text: &str) -> bool {
    !text.is_empty() && text.len() <= MAX_ID_BYTES
}

fn number(text: &str, settings: &Settings) -> Option<CustomerNumber> {
    let number = CustomerNumber::parse_in_any_case(text, &settings.customer_number_prefix)?;
    (1..=MAX_SEQUENCE).contains(&number.sequence()).then_some(number)
}

/// A reference in the one form in which it is issued, so that no two spell the same.
fn crn(text: &str, settings: &Settings) -> Option<(Crn, i16, u64)> {
    let crn = Crn::parse(text, &settings.crn_prefix)?;
    let (year, sequence) = text.strip_prefix(&settings.crn_prefix)?.strip_prefix('-')?.split_once('-')?;
    let (year, sequence) = (year.parse().ok()?, sequence.parse().ok()?);
    let issued = Crn::issue(&settings.crn_prefix, year, sequence) == crn;
    let likely = YEARS.contains(&year) && (1..=MAX_SEQUENCE).contains(&sequence);
    (issued && likely).then_some((crn, year, sequence))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(source: Source, line: &str) -> Row {
        Row::parse(source, line).unwrap()
    }

    #[test]
    fn a_line_that_is_no_row_is_refused() {
        let refused = |line| Row::parse(Source::Users, line).err();
        assert_eq!(refused("{\"_id\":1"), Some(Refusal::NotJson));
        assert_eq!(refused("[1]"), Some(Refusal::NotObject));
        assert_eq!(row(Source::Users, "{\"email\":\"a@x.io\"}").ids(), Err(Refusal::NoId));
        let long = format!("{{\"_id\":\"{}\"}}", "x".repeat(513));
        assert_eq!(row(Source::Users, &long).ids(), Err(Refusal::NoId));
    }

    #[test]
    fn the_id_goes_before_the_id_of_mongodb_which_stays_known() {
        let both = "{\"_id\":{\"$oid\":\"65e1c24000000000000000aa\"},\"id\":\"cust-1\",\"client_id\":\"c-1\"}";
        let other = Some("65e1c24000000000000000aa".to_owned());
        let ids = |source| row(source, both).ids().unwrap();
        assert_eq!(ids(Source::CustomersV2), Ids { id: "cust-1".into(), other: other.clone() });
        assert_eq!(ids(Source::Clients), Ids { id: "c-1".into(), other });
        assert_eq!(row(Source::Users, "{\"_id\":\"u\",\"id\":\"u\"}").ids().unwrap().other, None);
    }

    #[test]
    fn a_row_is_as_old_as_it_says_or_as_its_object_id() {
        let said =
            "{\"_id\":{\"$oid\":\"65e1c24000000000000000aa\"},\"createdAt\":{\"$date\":\"2024-01-01T00:00:00Z\"}}";
        let mut said = row(Source::Users, said);
        let ids = said.ids().unwrap();
        assert_eq!(said.created_at(&ids).unwrap().to_string(), "2024-01-01T00:00:00Z");
        let mut unsaid = row(Source::Users, "{\"_id\":\"65e1c24000000000000000aa\",\"created_at\":\"soon\"}");
        let ids = unsaid.ids().unwrap();
        assert_eq!(unsaid.created_at(&ids).map(Time::unix_seconds), Some(0x65e1_c240));
        assert_eq!(unsaid.remarks, [Remark { field: "created_at", what: What::Time }]);
        assert_eq!(unsaid.legacy("x").unread["created_at"], "\"soon\"");
    }

    #[test]
    fn a_number_that_nobody_issued_teaches_no_counter() {
        let settings = Settings::default();
        assert_eq!(number("pl24", &settings).unwrap().as_str(), "PL24");
        for bad in ["PL0", "PL", "24", "PL9876543210987", "PL99999999999999999999999999"] {
            assert_eq!(number(bad, &settings), None, "{bad}");
        }
        assert_eq!(crn("PLE-CVP-2024-000007", &settings).unwrap().2, 7);
        for bad in ["PLE-CVP-2024-7", "PLE-CVP-2024-0000007", "PLE-CVP-0024-000007", "PLE-CVP-2024-000000", "x"] {
            assert!(crn(bad, &settings).is_none(), "{bad}");
        }
    }

    #[test]
    fn what_cannot_be_read_is_kept_as_text_if_not_all_of_it() {
        let mut row = row(Source::Users, "{\"_id\":\"u\",\"phone\":\"call me\",\"name\":{\"first\":\"A\"}}");
        assert!(row.phone(&Settings::default()).is_none() && row.name(&["name"]).is_none());
        let legacy = row.legacy("u");
        assert_eq!((&*legacy.unread["phone"], &*legacy.unread["name"]), ("call me", "{\"first\":\"A\"}"));
        assert_eq!(kept("ü".repeat(5_000)).chars().count(), 4_096);
    }
}
