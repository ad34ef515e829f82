//! Standard output, which may be closed: whoever reads the first line may not stay for the rest.

use std::fmt::Display;
use std::io::Write;

/// Writes `line`, and lets it be seen at once.
pub(crate) fn say(line: impl Display) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}
