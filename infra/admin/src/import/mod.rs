//! The import of a legacy system: `users`, `customers_v2` and `clients`, as `mongoexport` writes
//! them, become users and customers that wait for `migrate up`.
//!
//! - The oldest row comes first, so that whoever had an address, number or reference first keeps
//!   it. The rest keep it as text, and are reported.
//! - Everything of a row commits in one transaction. A row that is there is left alone, so that an
//!   import that died is run again, and one that did not changes nothing. One that was deleted since
//!   stays deleted.
//! - Nothing is dropped silently: every line counts as imported, there already or refused.
//! - Memory is bounded by the window and by the sorter's chunks, not by the files.

mod aliases;
mod claims;
mod customer;
mod draft;
mod extended;
mod finding;
mod line;
mod pointers;
mod row;
mod scan;
mod sort;
mod user;

use std::collections::BTreeSet;
use std::io;
use std::path::PathBuf;

use futures::future::try_join_all;
use shared::app::App;
use shared::clock::Time;
use shared::domain::legacy::Source;
use shared::store::StoreError;
use shared::store::key::Key;
use thiserror::Error;

use claims::{Claims, Foretold};
use draft::{Decided, Draft, Fate};
pub use finding::{Finding, Place, Refusal, Remark, What};
use scan::place_of;
use sort::{Record, Sorted};

/// How many rows are written at once.
const WINDOW: usize = 16;

/// A file of a collection.
#[derive(Clone, Debug)]
pub struct Input {
    /// The collection.
    pub source: Source,
    /// Where the file is.
    pub path: PathBuf,
}

/// What became of the lines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Totals {
    /// Lines that are not blank: the sum of the next three.
    pub read: u64,
    /// Rows that were written; in a dry run, that would be.
    pub imported: u64,
    /// Rows that were there already.
    pub there: u64,
    /// Lines that were refused.
    pub refused: u64,
    /// Findings about rows that were not refused; a row may have several.
    pub reported: u64,
}

/// Who is told what happens.
pub trait Watcher {
    /// Something is to be said about a row.
    fn found(&mut self, place: Place, finding: Finding) -> io::Result<()>;

    /// So many bytes more were dealt with. Every row is dealt with twice: read, and imported.
    fn passed(&mut self, bytes: u64);
}

/// Why an import stopped. What it did is stored, and running it again continues.
#[derive(Debug, Error)]
pub enum ImportError {
    /// A file cannot be read.
    #[error("`{}` cannot be read: {error}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: io::Error,
    },
    /// A file is one array.
    #[error("`{}` is one JSON array: export it without `--jsonArray`, a document a line", .0.display())]
    Array(PathBuf),
    /// Rows cannot be sorted.
    #[error("rows cannot be sorted in temporary files (`TMPDIR` says where they are): {0}")]
    Temporary(#[source] io::Error),
    /// Findings cannot be reported.
    #[error("the report cannot be written: {0}")]
    Report(#[source] io::Error),
    /// There is no table, and so nothing was done.
    #[error(transparent)]
    NoTable(StoreError),
    /// The table failed.
    #[error("the import stopped: {0}; what it did is stored, and running it again continues")]
    Store(#[source] StoreError),
}

impl From<StoreError> for ImportError {
    fn from(error: StoreError) -> Self {
        if matches!(error, StoreError::NoTable(_)) { Self::NoTable(error) } else { Self::Store(error) }
    }
}

/// Imports the files, at most one of each collection. A dry run writes nothing and reports the same.
pub async fn run(app: &App, inputs: &[Input], dry_run: bool, watcher: &mut dyn Watcher) -> Result<Totals, ImportError> {
    let now = app.clock.now();
    let mut import = Import { app, dry_run, now, watcher, totals: Totals::default(), claims: Claims::new() };
    let rows = import.scan(inputs).await?;
    // Customers first: a user may point at a client by an id that says nothing of its collection.
    import.rows(rows.customers).await?;
    import.rows(rows.users).await?;
    import.foretell()
}

/// An import on its way.
struct Import<'a> {
    app: &'a App,
    dry_run: bool,
    now: Time,
    watcher: &'a mut dyn Watcher,
    totals: Totals,
    claims: Claims,
}

impl Import<'_> {
    /// Imports rows in their order, as many at once as have nothing in common.
    async fn rows(&mut self, rows: Sorted) -> Result<(), ImportError> {
        let (mut window, mut claimed) = (Vec::new(), BTreeSet::new());
        for record in rows {
            let Some(draft) = self.draft(record.map_err(ImportError::Temporary)?)? else { continue };
            let claims = draft.claims();
            if window.len() == WINDOW || claims.iter().any(|key| claimed.contains(key)) {
                self.window(std::mem::take(&mut window)).await?;
                claimed.clear();
            }
            claimed.extend(claims);
            window.push(draft);
        }
        self.window(window).await
    }

    fn draft(&mut self, Record { key, value }: Record) -> Result<Option<Draft>, ImportError> {
        let broken = || ImportError::Temporary(io::ErrorKind::InvalidData.into());
        let (Some(place), Ok(line)) = (place_of(&key), String::from_utf8(value)) else { return Err(broken()) };
        match Draft::read(place, &line, &self.app.settings, self.now) {
            Ok(draft) => Ok(Some(draft)),
            Err(refusal) => {
                self.watcher.passed(line.len() as u64);
                self.tell(place, Finding::Refused(refusal))?;
                Ok(None)
            }
        }
    }

    /// Imports rows that have nothing in common.
    async fn window(&mut self, window: Vec<Draft>) -> Result<(), ImportError> {
        let (app, dry_run) = (self.app, self.dry_run);
        let keys: Vec<Key> = window.iter().flat_map(Draft::keys).collect();
        let seen = &app.store.batch_get(keys).await?;
        let decided = window
            .iter()
            .map(|draft| async move { if dry_run { draft.decide(seen) } else { draft.settle(app, seen).await } });
        let decided = try_join_all(decided).await?;
        for (draft, decided) in window.iter().zip(decided) {
            self.count(draft, decided)?;
        }
        Ok(())
    }

    fn count(&mut self, draft: &Draft, decided: Decided) -> Result<(), ImportError> {
        self.watcher.passed(draft.bytes);
        match decided.fate {
            Fate::Refused(refusal) => return self.tell(draft.place, Finding::Refused(refusal)),
            Fate::There => self.totals.there += 1,
            Fate::User(_) | Fate::Customer(..) => self.totals.imported += 1,
        }
        if self.dry_run {
            self.claims.push(draft, &decided.fate).map_err(ImportError::Temporary)?;
        }
        for remark in decided.remarks {
            self.tell(draft.place, Finding::Reported(remark))?;
        }
        Ok(())
    }

    fn tell(&mut self, place: Place, finding: Finding) -> Result<(), ImportError> {
        match finding {
            Finding::Refused(_) => self.totals.refused += 1,
            Finding::Reported(_) => self.totals.reported += 1,
        }
        self.watcher.found(place, finding).map_err(ImportError::Report)
    }

    /// What rows of a dry run would have found of one another.
    fn foretell(self) -> Result<Totals, ImportError> {
        let Self { watcher, mut totals, claims, .. } = self;
        let foretold = claims.foretell(|place, foretold| {
            let finding = match foretold {
                Foretold::There => {
                    totals.imported -= 1;
                    totals.there += 1;
                    return Ok(());
                }
                Foretold::Finding(finding) => finding,
            };
            match finding {
                Finding::Refused(_) => {
                    totals.imported -= 1;
                    totals.refused += 1;
                }
                Finding::Reported(_) => totals.reported += 1,
            }
            watcher.found(place, finding)
        });
        foretold.map_err(ImportError::Report)?;
        Ok(totals)
    }
}
