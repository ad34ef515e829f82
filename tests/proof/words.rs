//! Values that were asked for, and which of them may stand in the end.
//!
//! The last word stands. Nobody knows which was the last of two that were asked for at once, nor
//! whether one was carried out whose answer never came, so that several may stand. What must stay true:
//! a value that was really written last is always among them.

use std::collections::BTreeSet;

use harness::World;
use harness::world::text;

/// What is set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// Of a customer.
    Email,
    /// Of a customer.
    Phone,
    /// Of a customer.
    Status,
    /// Of a user.
    Name,
    /// Of a user, who can be asked for it and in whose record it is not.
    Password,
    /// The name of a product.
    Product,
}

impl What {
    /// What can be read from the table.
    pub(crate) const READABLE: [Self; 5] = [Self::Email, Self::Phone, Self::Status, Self::Name, Self::Product];

    /// What `world` has for the record `whose`; `None` if that is gone.
    pub(crate) fn found<'a>(self, world: &'a World, whose: &str) -> Option<&'a str> {
        let customer = || world.at(&format!("CUSTOMER#{whose}"));
        let (record, field) = match self {
            Self::Email => (customer(), "email"),
            Self::Phone => (customer(), "phone"),
            Self::Status => (customer(), "status"),
            Self::Name => (world.at(&format!("USER#{whose}")), "name"),
            Self::Product => (world.items.get(&("PRODUCTS".to_owned(), whose.to_owned())), "name"),
            Self::Password => (None, ""),
        };
        record.map(|record| text(record, field))
    }
}

/// Everything that was asked for.
#[derive(Default)]
pub(crate) struct Words {
    /// Rises with every question and every answer.
    clock: u64,
    words: Vec<Word>,
}

struct Word {
    what: What,
    /// By what name it was asked for.
    of: String,
    value: String,
    asked: u64,
    /// Nothing was heard of it yet, or never.
    heard: Option<Heard>,
}

/// An acknowledgement: when, and which record it was about.
struct Heard {
    at: u64,
    whose: String,
}

impl Words {
    /// The next moment.
    pub(crate) fn tick(&mut self) -> u64 {
        self.clock += 1;
        self.clock
    }

    /// Says that `what` is asked to be `value`, of what goes by the name `of`, since the moment `asked`.
    pub(crate) fn ask(&mut self, what: What, of: String, value: String, asked: u64) {
        self.words.push(Word { what, of, value, asked, heard: None });
    }

    /// Says that what is asked since then is acknowledged for the record `whose`.
    pub(crate) fn hear(&mut self, asked: u64, whose: &str) {
        let at = self.tick();
        for word in self.words.iter_mut().filter(|word| word.asked == asked) {
            word.heard = Some(Heard { at, whose: whose.to_owned() });
        }
    }

    /// Says that what is asked since then was refused.
    pub(crate) fn refuse(&mut self, asked: u64) {
        self.words.retain(|word| word.asked != asked);
    }

    /// The records of which some `what` was acknowledged.
    pub(crate) fn known(&self, what: What) -> BTreeSet<&str> {
        let words = self.words.iter().filter(|word| word.what == what);
        words.filter_map(|word| word.heard.as_ref()).map(|heard| heard.whose.as_str()).collect()
    }

    /// What may stand of a record in [`Words::known`]. Whoever acknowledged a value that was there already
    /// has only read it; then whoever wrote it stands for it, or another who read it later.
    pub(crate) fn standing(&self, what: What, whose: &str) -> BTreeSet<&str> {
        let words: Vec<&Word> = self.words.iter().filter(|word| word.what == what).collect();
        let heard: Vec<(&Word, &Heard)> = words.iter().filter_map(|word| Some((*word, word.heard.as_ref()?))).collect();
        let heard: Vec<(&Word, &Heard)> = heard.into_iter().filter(|(_, heard)| heard.whose == whose).collect();
        let last = heard.iter().map(|(word, _)| word.asked).max().unwrap_or_default();
        let names: BTreeSet<&str> = heard.iter().map(|(word, _)| word.of.as_str()).collect();
        let known = heard.into_iter().filter(|(_, heard)| heard.at > last).map(|(word, _)| word);
        let unknown = words.into_iter().filter(|word| word.heard.is_none() && names.contains(word.of.as_str()));
        known.chain(unknown).map(|word| word.value.as_str()).collect()
    }
}
