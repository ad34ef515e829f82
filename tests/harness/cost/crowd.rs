//! Many customers at once, past API and stream.
//!
//! One is made by the API and signed in to; the others are its copies under names of their own.
//! Copied are the items that share something with those of others, a partition of an index: the
//! heads of customer and user, which are in the lists and in the beginnings of names. Guards and
//! memberships are alone in their partitions and met by their whole key only, whoever else is
//! there; a million of them would show nothing but how fast the embedded `DynamoDB` loads.

use dynoxide::actions::scan::ScanRequest;
use dynoxide::{AttributeValue, Database, ImportOptions, Item};
use serde_json::json;
use shared::store::key::Key;

use crate::actor::{Actor, Answer};
use crate::app::{START, TABLE, TestApp};

/// Stands for the number of a copy, in the original.
const DIGITS: &str = "4242424";

/// Both counters stand here before anything is measured, whatever the size of the crowd: numbers
/// of one length make items of one size.
const DRAWN: u64 = 1_000_000;

/// The first number of a copy.
const FIRST: u32 = 2_000_000;

/// Copies that are imported at once.
const CHUNK: usize = 10_000;

/// Adds `customers` customers to the table.
pub async fn settle(app: &TestApp, database: &Database, admin: &Actor, customers: u32) {
    for counter in [Key::crn_counter(START.year()), Key::number_counter()] {
        assert!(app.raw_store().advance_counter(&counter, DRAWN).await.unwrap());
    }
    let name = format!("crowd-{DIGITS}");
    let body = json!({ "id": name, "name": format!("Crowd {DIGITS}"), "email": format!("{name}@x.io") });
    let original = admin.post("/v1/customers", body).await.expect(201);
    app.deliver_mail().await;
    let template = Template::read(database, &original);
    let numbers: Vec<u32> = (FIRST..FIRST + customers).collect();
    for chunk in numbers.chunks(CHUNK) {
        let items = chunk.iter().flat_map(|number| template.copy(*number)).collect();
        database.import_items(TABLE, items, ImportOptions::default()).unwrap();
    }
}

/// The items of the original, and what in them is its own.
struct Template {
    items: Vec<Item>,
    /// The attributes that name the original, by item.
    own: Vec<(usize, String)>,
    /// What names it: ids, reference, number.
    names: [String; 4],
}

impl Template {
    fn read(database: &Database, original: &Answer) -> Self {
        let names = ["internal_id", "user_id", "customer_reference", "customerId"];
        let names = names.map(|field| original.str(field).to_owned());
        let is_own = |text: &str| text.contains(DIGITS) || names.iter().any(|name| text.contains(name.as_str()));
        let scan: ScanRequest = serde_json::from_value(json!({ "TableName": TABLE })).unwrap();
        let mut items: Vec<Item> = database.scan(scan).unwrap().items.unwrap_or_default();
        items.retain(|item| {
            let indexed = item.keys().any(|name| name.starts_with("gsi"));
            indexed && is_own(&serde_json::to_string(item).unwrap())
        });
        assert_eq!(items.len(), 2, "the heads of customer and user");
        let mut own = Vec::new();
        for (n, item) in items.iter().enumerate() {
            let named = item.iter().filter(|(_, value)| matches!(value, AttributeValue::S(text) if is_own(text)));
            own.extend(named.map(|(attribute, _)| (n, attribute.clone())));
        }
        let template = Self { items, own, names };
        let copy = serde_json::to_string(&template.copy(FIRST)).unwrap();
        assert!(template.names.iter().all(|name| !copy.contains(name)), "a copy names the original: {copy}");
        template
    }

    /// The items of the copy `number`. Its ids sort before every id that is made by the clock.
    fn copy(&self, number: u32) -> Vec<Item> {
        let [customer_id, user_id, reference, own_number] = &self.names;
        let number = number.to_string();
        let pairs: [(&str, String); 5] = [
            (customer_id, format!("00000000-0000-7000-8000-{number:0>12}")),
            (user_id, format!("00000000-0000-7000-9000-{number:0>12}")),
            (reference, reference.replace(&(DRAWN + 1).to_string(), &number)),
            (own_number, format!("PL{number}")),
            (DIGITS, number),
        ];
        let mut items = self.items.clone();
        for (n, attribute) in &self.own {
            let Some(AttributeValue::S(text)) = items[*n].get_mut(attribute) else { continue };
            for (from, to) in &pairs {
                *text = text.replace(from, to);
            }
        }
        items
    }
}
