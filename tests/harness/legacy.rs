//! A legacy system that never was, with every defect that real ones have.
//!
//! The same seed makes the same files, byte for byte, however many rows; people are made one after
//! another, so that memory does not grow with their number. What an import must say about them is
//! counted beside them.

mod cases;
mod doc;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufWriter, Write};
use std::path::Path;

use shared::domain::legacy::Source;

use cases::{Case, defect_of};
pub use cases::{Defect, PROPORTIONS};

/// What an import of the files must come to.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Manifest {
    /// Lines.
    pub read: u64,
    /// Rows that are imported.
    pub imported: u64,
    /// Lines that are refused.
    pub refused: u64,
    /// Findings, refusals among them, by the short name of their reason.
    pub findings: BTreeMap<&'static str, u64>,
}

/// The name of a collection's file.
pub fn file_name(source: Source) -> String {
    format!("{}.json", source.name())
}

/// Makes `people` people and writes what the legacy system knew of them into `folder`.
pub fn write(folder: &Path, people: u64, seed: u64) -> io::Result<Manifest> {
    write_without(folder, people, seed, &[])
}

/// The same, but for the people with one of these `defects`.
pub fn write_without(folder: &Path, people: u64, seed: u64, defects: &[Defect]) -> io::Result<Manifest> {
    let mut files = Files::create(folder)?;
    for n in (0..people).filter(|n| !defects.contains(&defect_of(*n))) {
        Case::new(n, seed, &mut files).make()?;
    }
    files.finish()
}

/// How many of the rows of `people` people only a person can tell apart.
pub fn ambiguous(people: u64) -> u64 {
    let rows = |defect| match defect {
        Defect::TwoUsers | Defect::TwoCustomers => 1,
        Defect::Family => 4,
        _ => 0,
    };
    (0..people).map(|n| rows(defect_of(n))).sum()
}

/// The files on their way.
struct Files {
    writers: [(Source, BufWriter<File>); 3],
    manifest: Manifest,
}

impl Files {
    fn create(folder: &Path) -> io::Result<Self> {
        let open = |source| File::create(folder.join(file_name(source))).map(|file| (source, BufWriter::new(file)));
        let [users, customers, clients] = Source::ALL;
        Ok(Self { writers: [open(users)?, open(customers)?, open(clients)?], manifest: Manifest::default() })
    }

    /// A row that is imported.
    fn row(&mut self, source: Source, line: &str) -> io::Result<()> {
        self.manifest.imported += 1;
        self.line(source, line.as_bytes())
    }

    /// A line that is refused.
    fn refused(&mut self, source: Source, line: &[u8], code: &'static str) -> io::Result<()> {
        self.manifest.refused += 1;
        self.expect(code);
        self.line(source, line)
    }

    /// A finding about a row.
    fn expect(&mut self, code: &'static str) {
        *self.manifest.findings.entry(code).or_default() += 1;
    }

    fn line(&mut self, source: Source, line: &[u8]) -> io::Result<()> {
        self.manifest.read += 1;
        let (_, writer) = self.writers.iter_mut().find(|(of, _)| *of == source).unwrap();
        writer.write_all(line)?;
        writer.write_all(b"\n")
    }

    fn finish(self) -> io::Result<Manifest> {
        for (_, mut writer) in self.writers {
            writer.flush()?;
        }
        Ok(self.manifest)
    }
}
