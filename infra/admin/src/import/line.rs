//! The lines of a file, each read into bounded memory, whatever the file is.

use std::io::{self, BufRead};

use super::finding::Refusal;

/// The most bytes of a line; a document of `MongoDB` may be longer, a person is not.
pub(super) const MAX_LINE_BYTES: usize = 1 << 20;

const BYTE_ORDER_MARK: char = '\u{feff}';

/// A line that is not blank.
#[derive(Debug)]
pub(super) struct Line {
    /// Its number, counted from 1.
    pub(super) number: u64,
    /// How many bytes were read for it, blank lines before it included.
    pub(super) bytes: u64,
    /// Its text without its end.
    pub(super) text: Result<String, Refusal>,
}

/// Reads lines one by one.
#[derive(Debug)]
pub(super) struct Lines<R> {
    reader: R,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) fn new(reader: R) -> Self {
        Self { reader, number: 0 }
    }

    /// The next line that is not blank.
    pub(super) fn read(&mut self) -> io::Result<Option<Line>> {
        let mut bytes = 0;
        loop {
            let (read, kept) = self.read_bytes()?;
            if read == 0 {
                return Ok(None);
            }
            self.number += 1;
            bytes += read;
            let text = match kept {
                None => Err(Refusal::TooLong),
                Some(kept) => String::from_utf8(kept).map_err(|_| Refusal::NotUtf8),
            };
            let text = text.map(|text| text.trim_start_matches(BYTE_ORDER_MARK).trim().to_owned());
            if text.as_ref().is_ok_and(String::is_empty) {
                continue;
            }
            return Ok(Some(Line { number: self.number, bytes, text }));
        }
    }

    /// How many bytes the next line has, and the bytes unless they are too many.
    fn read_bytes(&mut self) -> io::Result<(u64, Option<Vec<u8>>)> {
        let (mut read, mut kept) = (0, Some(Vec::new()));
        loop {
            let buffer = self.reader.fill_buf()?;
            let end = buffer.iter().position(|byte| *byte == b'\n');
            let taken = end.map_or(buffer.len(), |end| end + 1);
            if taken == 0 {
                return Ok((read, kept));
            }
            kept = kept.filter(|kept| kept.len() + taken <= MAX_LINE_BYTES);
            if let Some(kept) = &mut kept {
                kept.extend_from_slice(&buffer[..taken]);
            }
            self.reader.consume(taken);
            read += taken as u64;
            if end.is_some() {
                return Ok((read, kept));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(bytes: &[u8]) -> Vec<Line> {
        let mut lines = Lines::new(BufReader::with_capacity(7, bytes));
        std::iter::from_fn(|| lines.read().unwrap()).collect()
    }

    #[test]
    fn line_ends_blank_lines_and_a_byte_order_mark_are_not_part_of_the_text() {
        let bytes = b"\xef\xbb\xbf{\"a\":1}\r\n\n  \n{\"b\":2}";
        let read = lines(bytes);
        let texts: Vec<_> = read.iter().map(|line| (line.number, line.text.clone().unwrap())).collect();
        assert_eq!(texts, [(1, "{\"a\":1}".to_owned()), (4, "{\"b\":2}".to_owned())]);
        assert_eq!(read.iter().map(|line| line.bytes).sum::<u64>(), bytes.len() as u64);
    }

    #[test]
    fn a_bad_line_is_refused_and_the_next_one_read() {
        let mut bytes = vec![b'x'; 3 * MAX_LINE_BYTES];
        bytes.extend_from_slice(b"\n\xff\xfe\nlast\n");
        let read: Vec<_> = lines(&bytes).into_iter().map(|line| line.text).collect();
        assert_eq!(read, [Err(Refusal::TooLong), Err(Refusal::NotUtf8), Ok("last".to_owned())]);
    }
}
