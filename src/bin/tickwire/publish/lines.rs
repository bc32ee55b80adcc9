//! Lines of a reader, with their numbers.
//!
//! Invariant: no line is kept beyond [`MESSAGE_BYTES_MAX`], however long it is.

use std::io::{BufRead, Read};

use tickwire::limits::MESSAGE_BYTES_MAX;

/// One line that is not blank.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1, blank lines too.
    pub(super) number: u64,
    /// What it says, or why that is not known.
    pub(super) text: Result<Vec<u8>, String>,
}

/// Hands every line to `each` until it wants no more or there are no more. A reader that fails ends with a line that says so.
pub(super) fn read(mut reader: impl BufRead, mut each: impl FnMut(Line) -> bool) {
    for number in 1.. {
        let mut text = Vec::new();
        let text = match next(&mut reader, &mut text) {
            Ok(0) => return,
            Ok(bytes) if bytes > MESSAGE_BYTES_MAX => Err(format!(
                "longer than {MESSAGE_BYTES_MAX} bytes, which no server takes"
            )),
            Ok(_) if text.trim_ascii().is_empty() => continue,
            Ok(_) => Ok(text.trim_ascii().to_vec()),
            Err(error) => {
                each(Line {
                    number,
                    text: Err(format!("cannot be read: {error}")),
                });
                return;
            }
        };
        if !each(Line { number, text }) {
            return;
        }
    }
}

/// Reads the next line, of which no more is kept than a message may have; gives how long it is.
fn next(reader: &mut impl BufRead, text: &mut Vec<u8>) -> std::io::Result<usize> {
    let most = MESSAGE_BYTES_MAX as u64 + 1;
    let mut bytes = reader.by_ref().take(most).read_until(b'\n', text)?;
    let mut rest = Vec::new();
    while bytes > 0 && text.last() != Some(&b'\n') && rest.last() != Some(&b'\n') {
        rest.clear();
        match reader.by_ref().take(most).read_until(b'\n', &mut rest)? {
            0 => break,
            more => bytes = bytes.saturating_add(more),
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lines(text: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        read(text, |line| {
            lines.push(line);
            true
        });
        lines
    }

    fn line(number: u64, text: &str) -> Line {
        Line {
            number,
            text: Ok(text.into()),
        }
    }

    #[test]
    fn lines_have_numbers_and_blank_ones_count() {
        assert_eq!(lines(b""), []);
        assert_eq!(
            lines(b"a\n\n \r\nb\r\nc"),
            [line(1, "a"), line(4, "b"), line(5, "c")]
        );
    }

    #[test]
    fn a_line_that_is_too_long_is_passed_over_however_long_it_is() {
        let long = "x".repeat(3 * MESSAGE_BYTES_MAX);
        let found = lines(format!("{long}\nb\n{long}").as_bytes());
        assert!(found[0].text.is_err() && found[0].number == 1);
        assert_eq!(found[1], line(2, "b"));
        assert!(found[2].text.is_err() && found.len() == 3);
        let just = "x".repeat(MESSAGE_BYTES_MAX - 1);
        assert_eq!(
            lines(format!("{just}\nb").as_bytes()),
            [line(1, &just), line(2, "b")]
        );
    }

    #[test]
    fn who_wants_no_more_gets_no_more() {
        let mut count = 0;
        read(&b"a\nb\nc\n"[..], |_| {
            count += 1;
            count < 2
        });
        assert_eq!(count, 2);
    }
}
