//! What a command tells: results on standard output, everything else on standard error.

use std::fmt::Arguments;
use std::io::{Write, stderr, stdout};

use crate::error::AdminError;

/// The exit code of a command that went through its rows and refused some.
pub(crate) const ROWS_REFUSED: u8 = 3;

/// Writes a line of the result. A reader that has gone away is an error, not a panic: the line may
/// be a password that nobody saw.
pub(crate) fn result(line: Arguments<'_>) -> Result<(), AdminError> {
    writeln!(stdout().lock(), "{line}").map_err(AdminError::Output)
}

/// Writes a line beside the result. Nobody listening is no reason to fail.
pub(crate) fn note(line: Arguments<'_>) {
    let _ = writeln!(stderr().lock(), "{line}");
}
