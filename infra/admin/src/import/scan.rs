//! The first reading of the files: refuses what is no row, notes second ids, learns the highest
//! numbers, and sorts the rest by age.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};

use shared::app::App;
use shared::clock::Time;
use shared::config::Settings;
use shared::domain::legacy::Source;
use shared::store::StoreError;
use shared::store::key::Key;

use super::aliases::Aliases;
use super::finding::{Finding, Place, Refusal, Remark, What};
use super::line::{Line, Lines};
use super::row::Row;
use super::sort::{CHUNK_BYTES, Record, Sorted, Sorter};
use super::{Import, ImportError, Input};

/// What the files hold, oldest first.
pub(super) struct Scanned {
    /// Rows of `customers_v2` and `clients`.
    pub(super) customers: Sorted,
    /// Rows of `users`.
    pub(super) users: Sorted,
}

/// The highest numbers that the files hold.
#[derive(Debug, Default)]
struct Highest {
    number: u64,
    references: BTreeMap<i16, u64>,
}

impl Highest {
    fn learn(&mut self, row: &mut Row, settings: &Settings) {
        if let Some(number) = row.number(settings) {
            self.number = self.number.max(number.sequence());
        }
        if let Some((year, sequence)) = row.sequence(settings) {
            let highest = self.references.entry(year).or_default();
            *highest = sequence.max(*highest);
        }
    }

    /// Moves the counters beyond them, so that no draw gives one of them again.
    async fn raise(&self, app: &App) -> Result<(), StoreError> {
        let references = self.references.iter().map(|(year, last)| (Key::crn_counter(*year), *last));
        for (counter, last) in references.chain([(Key::number_counter(), self.number)]) {
            if app.store.last_drawn(&counter).await? < last {
                // Whoever moved it further meanwhile did the same.
                app.store.advance_counter(&counter, last).await?;
            }
        }
        Ok(())
    }
}

impl Import<'_> {
    /// Reads every file once. Nothing is written but second ids and counters.
    pub(super) async fn scan(&mut self, inputs: &[Input]) -> Result<Scanned, ImportError> {
        let mut files = Vec::new();
        for input in inputs {
            files.push((input, open(input)?));
        }
        let (mut customers, mut users) = (Sorter::new(CHUNK_BYTES), Sorter::new(CHUNK_BYTES));
        let mut highest = Highest::default();
        for (input, reader) in files {
            let sorter = if input.source == Source::Users { &mut users } else { &mut customers };
            self.scan_file(input, reader, sorter, &mut highest).await?;
        }
        if !self.dry_run {
            highest.raise(self.app).await?;
        }
        let (customers, users) = (customers.finish(), users.finish());
        Ok(Scanned {
            customers: customers.map_err(ImportError::Temporary)?,
            users: users.map_err(ImportError::Temporary)?,
        })
    }

    async fn scan_file(
        &mut self,
        input: &Input,
        reader: BufReader<File>,
        sorter: &mut Sorter,
        highest: &mut Highest,
    ) -> Result<(), ImportError> {
        let mut lines = Lines::new(reader);
        let mut aliases = Aliases::default();
        while let Some(line) = lines.read().map_err(|error| unreadable(input, error))? {
            self.watcher.passed(line.bytes);
            self.totals.read += 1;
            let place = Place { source: input.source, line: line.number };
            match self.scan_line(place, line, &mut aliases, highest) {
                Ok(record) => sorter.push(record).map_err(ImportError::Temporary)?,
                Err(refusal) => self.tell(place, Finding::Refused(refusal))?,
            }
            if aliases.is_full() {
                self.note(&mut aliases).await?;
            }
        }
        self.note(&mut aliases).await
    }

    fn scan_line(
        &self,
        place: Place,
        line: Line,
        aliases: &mut Aliases,
        highest: &mut Highest,
    ) -> Result<Record, Refusal> {
        let text = line.text?;
        let mut row = Row::parse(place.source, &text)?;
        let ids = row.ids()?;
        aliases.push(place, &ids);
        highest.learn(&mut row, &self.app.settings);
        let key = order(row.created_at(&ids), place);
        Ok(Record { key, value: text.into_bytes() })
    }

    async fn note(&mut self, aliases: &mut Aliases) -> Result<(), ImportError> {
        for place in aliases.flush(&self.app.store, self.dry_run).await? {
            self.tell(place, Finding::Reported(Remark { field: "_id", what: What::Alias }))?;
        }
        Ok(())
    }
}

/// The order of rows: by age, then as they stand in the files. Whoever does not say its age comes
/// last.
fn order(created_at: Option<Time>, place: Place) -> Vec<u8> {
    let age = created_at.map_or(u64::MAX, |time| u64::try_from(time.unix_ms()).unwrap_or(0));
    let mut key = age.to_be_bytes().to_vec();
    key.extend(place_bytes(place));
    key
}

/// A place, such that they sort as they stand in the files.
pub(super) fn place_bytes(place: Place) -> Vec<u8> {
    let source = Source::ALL.iter().position(|source| *source == place.source).unwrap_or_default();
    let mut bytes = vec![u8::try_from(source).unwrap_or(u8::MAX)];
    bytes.extend(place.line.to_be_bytes());
    bytes
}

/// The place that ends `bytes`.
pub(super) fn place_of(bytes: &[u8]) -> Option<Place> {
    let (rest, line) = bytes.split_last_chunk::<8>()?;
    let source = Source::ALL.get(usize::from(*rest.last()?))?;
    Some(Place { source: *source, line: u64::from_be_bytes(*line) })
}

/// Opens a file, unless it is one array.
fn open(input: &Input) -> Result<BufReader<File>, ImportError> {
    let opened = File::open(&input.path).map(BufReader::new).and_then(|mut reader| {
        let begins = reader.fill_buf().map(begins_an_array)?;
        Ok((begins, reader))
    });
    match opened.map_err(|error| unreadable(input, error))? {
        (true, _) => Err(ImportError::Array(input.path.clone())),
        (false, reader) => Ok(reader),
    }
}

fn begins_an_array(bytes: &[u8]) -> bool {
    let byte_order_mark: &[u8] = b"\xef\xbb\xbf";
    let text = bytes.strip_prefix(byte_order_mark).unwrap_or(bytes);
    text.trim_ascii_start().first() == Some(&b'[')
}

fn unreadable(input: &Input, error: io::Error) -> ImportError {
    ImportError::Read { path: input.path.clone(), error }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn older_rows_come_first_and_those_of_unknown_age_last() {
        let place = |line| Place { source: Source::CustomersV2, line };
        let at = |seconds, line| order(Some(Time::from_unix_seconds(seconds)), place(line));
        assert!(at(1, 9) < at(2, 1) && at(2, 1) < at(2, 2) && at(2, 2) < order(None, place(1)));
        assert_eq!(place_of(&at(5, 77)), Some(place(77)));
    }

    #[test]
    fn an_array_is_told_from_rows() {
        assert!(begins_an_array(b"\xef\xbb\xbf\n [{") && !begins_an_array(b"{\"a\":[]}") && !begins_an_array(b""));
    }
}
