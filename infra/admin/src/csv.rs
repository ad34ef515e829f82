//! Cells of comma-separated values (RFC 4180), which people open in spreadsheets.

use std::borrow::Cow;

/// What a spreadsheet takes for the beginning of a formula (OWASP, CSV injection).
const FORMULA: [char; 7] = ['=', '+', '-', '@', '\t', '\r', '\n'];

/// `text` between quotation marks.
pub(crate) fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('"', "\"\""))
}

/// `text`, between quotation marks if it would be more than one cell without.
pub(crate) fn cell(text: &str) -> String {
    if text.contains([',', '"', '\r', '\n']) { quoted(text) } else { text.to_owned() }
}

/// What a person wrote: what would be a formula begins with an apostrophe, and so is none.
pub(crate) fn free_text(text: &str) -> String {
    let harmless: Cow<'_, str> = if text.starts_with(FORMULA) { format!("'{text}").into() } else { text.into() };
    cell(&harmless)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_name_stays_one_field() {
        assert_eq!(quoted("a \"b\",c.json"), "\"a \"\"b\"\",c.json\"");
    }

    #[test]
    fn only_what_needs_them_stands_between_quotation_marks() {
        assert_eq!(cell("Ana Ruiz"), "Ana Ruiz");
        assert_eq!(cell("5, Hill Road\nPune"), "\"5, Hill Road\nPune\"");
    }

    #[test]
    fn a_formula_is_text() {
        assert_eq!(free_text("=HYPERLINK(\"http://x\",\"y\")"), "\"'=HYPERLINK(\"\"http://x\"\",\"\"y\"\")\"");
        for begin in FORMULA {
            assert!(free_text(&format!("{begin}1")).trim_start_matches('"').starts_with('\''), "{begin:?}");
        }
        assert_eq!(free_text("Ana = Bea"), "Ana = Bea");
    }
}
