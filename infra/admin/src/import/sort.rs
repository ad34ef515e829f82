//! Sorting more than memory holds: sorted runs in temporary files, merged while they are read.
//!
//! Runs are merged in levels: so many of one level become one of the next, so that each record is
//! written once per level, and there are few levels however much is sorted. What is held is bounded by
//! [`CHUNK_BYTES`] and the heads of the runs that are merged. The files have no name and are gone with
//! the process.

use std::cmp::{Ordering, Reverse};
use std::collections::BinaryHeap;
use std::fs::File;
use std::io::{self, BufReader, BufWriter, ErrorKind, Read, Seek, Write};
use std::vec;

/// How much is held before it is written to a file.
pub(super) const CHUNK_BYTES: usize = 1 << 20;

/// How many runs of a level become one of the next; so many files of each are open at most.
const MAX_RUNS: usize = 32;

/// What a record takes beside its own bytes.
const OVERHEAD_BYTES: usize = 64;

/// Something to sort: by its key, which is unique.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Record {
    pub(super) key: Vec<u8>,
    pub(super) value: Vec<u8>,
}

/// Takes records in any order.
#[derive(Debug)]
pub(super) struct Sorter {
    chunk_bytes: usize,
    held_bytes: usize,
    held: Vec<Record>,
    /// The runs in files, the shortest first.
    levels: Vec<Vec<File>>,
}

impl Sorter {
    /// A sorter that holds about `chunk_bytes`.
    pub(super) fn new(chunk_bytes: usize) -> Self {
        Self { chunk_bytes, held_bytes: 0, held: Vec::new(), levels: Vec::new() }
    }

    pub(super) fn push(&mut self, record: Record) -> io::Result<()> {
        self.held_bytes += record.key.len() + record.value.len() + OVERHEAD_BYTES;
        self.held.push(record);
        if self.held_bytes < self.chunk_bytes {
            return Ok(());
        }
        self.held_bytes = 0;
        let mut chunk = std::mem::take(&mut self.held);
        chunk.sort_unstable();
        self.keep(write_run(chunk.into_iter().map(Ok))?)
    }

    /// Adds a run to the first level; a level that is full becomes a run of the next.
    fn keep(&mut self, mut run: File) -> io::Result<()> {
        for level in &mut self.levels {
            level.push(run);
            if level.len() < MAX_RUNS {
                return Ok(());
            }
            run = write_run(Sorted::merge(std::mem::take(level), Vec::new())?)?;
        }
        self.levels.push(vec![run]);
        Ok(())
    }

    /// What was pushed, by key.
    pub(super) fn finish(mut self) -> io::Result<Sorted> {
        self.held.sort_unstable();
        Sorted::merge(self.levels.into_iter().flatten().collect(), self.held)
    }
}

/// Records in order.
#[derive(Debug)]
pub(super) struct Sorted {
    runs: Vec<Run>,
    heads: BinaryHeap<Reverse<Head>>,
}

impl Sorted {
    fn merge(files: Vec<File>, held: Vec<Record>) -> io::Result<Self> {
        let files = files.into_iter().map(|file| Run::File(BufReader::new(file)));
        let runs = files.chain([Run::Memory(held.into_iter())]).collect();
        let mut sorted = Self { runs, heads: BinaryHeap::new() };
        for run in 0..sorted.runs.len() {
            sorted.advance(run)?;
        }
        Ok(sorted)
    }

    /// Puts the next record of `run` among the heads.
    fn advance(&mut self, run: usize) -> io::Result<()> {
        if let Some(record) = self.runs[run].next()? {
            self.heads.push(Reverse(Head { record, run }));
        }
        Ok(())
    }
}

impl Iterator for Sorted {
    type Item = io::Result<Record>;

    fn next(&mut self) -> Option<Self::Item> {
        let Reverse(Head { record, run }) = self.heads.pop()?;
        Some(self.advance(run).map(|()| record))
    }
}

/// The first record that is left of a run.
#[derive(Debug, PartialEq, Eq)]
struct Head {
    record: Record,
    run: usize,
}

impl Ord for Head {
    fn cmp(&self, other: &Self) -> Ordering {
        self.record.key.cmp(&other.record.key).then(self.run.cmp(&other.run))
    }
}

impl PartialOrd for Head {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Records that are in order already.
#[derive(Debug)]
enum Run {
    File(BufReader<File>),
    Memory(vec::IntoIter<Record>),
}

impl Run {
    fn next(&mut self) -> io::Result<Option<Record>> {
        let reader = match self {
            Self::Memory(records) => return Ok(records.next()),
            Self::File(reader) => reader,
        };
        let Some(key) = read_bytes(reader)? else { return Ok(None) };
        let value = read_bytes(reader)?.ok_or(ErrorKind::UnexpectedEof)?;
        Ok(Some(Record { key, value }))
    }
}

fn write_run(records: impl Iterator<Item = io::Result<Record>>) -> io::Result<File> {
    let mut writer = BufWriter::new(tempfile::tempfile()?);
    for record in records {
        let Record { key, value } = record?;
        for bytes in [key, value] {
            writer.write_all(&(bytes.len() as u64).to_be_bytes())?;
            writer.write_all(&bytes)?;
        }
    }
    let mut file = writer.into_inner().map_err(io::IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file)
}

/// The bytes that follow their own length; `None` at the end.
fn read_bytes(reader: &mut BufReader<File>) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 8];
    match reader.read_exact(&mut length) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    }
    let length = usize::try_from(u64::from_be_bytes(length)).map_err(|_| ErrorKind::InvalidData)?;
    let mut bytes = vec![0; length];
    reader.read_exact(&mut bytes)?;
    Ok(Some(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_comes_out_is_in_order_however_often_it_was_written_to_a_file() {
        for chunk_bytes in [1, 300, 5_000, CHUNK_BYTES] {
            let mut sorter = Sorter::new(chunk_bytes);
            for n in 0..1_100_u32 {
                let key = (n * 7_919 % 1_100).to_be_bytes().to_vec();
                sorter.push(Record { value: format!("value of {key:?}").into_bytes(), key }).unwrap();
            }
            let levels = sorter.levels.len();
            assert!(chunk_bytes > 1 || levels == 3, "{levels} levels");
            let sorted: Vec<Record> = sorter.finish().unwrap().map(Result::unwrap).collect();
            assert_eq!(sorted.len(), 1_100);
            for (n, record) in (0..1_100_u32).zip(sorted) {
                assert_eq!(record.key, n.to_be_bytes(), "chunks of {chunk_bytes}");
                assert_eq!(record.value, format!("value of {:?}", record.key).into_bytes());
            }
        }
    }

    #[test]
    fn nothing_sorted_is_nothing() {
        assert_eq!(Sorter::new(1).finish().unwrap().count(), 0);
    }
}
