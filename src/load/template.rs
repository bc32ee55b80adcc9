//! A message's text, ready but for its mark.
//!
//! Never allocates once made. Invariant: every message of a template has the same length.

use super::mark::{MARK_BYTES, MARK_PLACE, Mark, PAD_PLACE};
use std::fmt;

/// A text with one place for a mark.
///
/// ```
/// use tickwire::load::{Mark, Template};
/// let mut template = Template::new(r#"{"m":"{mark}","p":"{pad}"}"#, 64)?;
/// let text = template.fill(Mark { n: 1, at_ns: 2 });
/// assert_eq!(text.len(), 64);
/// # Ok::<(), tickwire::load::TemplateError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Template {
    text: String,
    mark_at: usize,
}

/// Why a text is no template.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TemplateError {
    /// It has no place for a mark, or several.
    Mark,
    /// It has several places to fill up.
    Pads,
    /// It is longer than its messages are to be.
    TooLong {
        /// Bytes that it has at least.
        least: usize,
        /// Bytes that were asked for.
        asked: usize,
    },
    /// It is shorter than its messages are to be, and has no place to fill up.
    NoPad,
    /// It spans several lines.
    LineBreak,
}

impl Template {
    /// A template of messages of `bytes` bytes; 0 for as few as it has.
    ///
    /// # Errors
    /// Why there can be none.
    pub fn new(text: &str, bytes: usize) -> Result<Self, TemplateError> {
        if text.contains('\n') {
            return Err(TemplateError::LineBreak);
        }
        if text.matches(MARK_PLACE).count() != 1 {
            return Err(TemplateError::Mark);
        }
        let marked = text.replacen(MARK_PLACE, &" ".repeat(MARK_BYTES), 1);
        let pads = marked.matches(PAD_PLACE).count();
        let least = marked.len() - pads * PAD_PLACE.len();
        let missing = match bytes {
            0 => 0,
            asked if asked < least => return Err(TemplateError::TooLong { least, asked }),
            asked => asked - least,
        };
        let text_after_pad = match pads {
            0 if missing > 0 => return Err(TemplateError::NoPad),
            0 | 1 => marked.replacen(PAD_PLACE, &PAD.repeat(missing), 1),
            _ => return Err(TemplateError::Pads),
        };
        let pad_before_mark = match (text.find(PAD_PLACE), text.find(MARK_PLACE)) {
            (Some(pad), Some(mark)) => pad < mark,
            _ => false,
        };
        let place = text.find(MARK_PLACE).unwrap_or_default();
        let mark_at = if pad_before_mark {
            place - PAD_PLACE.len() + missing
        } else {
            place
        };
        Ok(Self {
            text: text_after_pad,
            mark_at,
        })
    }

    /// The message with this mark.
    ///
    /// # Panics
    /// Never: a mark is ASCII and has its place.
    pub fn fill(&mut self, mark: Mark) -> &str {
        let written = mark.to_string();
        self.text
            .replace_range(self.mark_at..self.mark_at + MARK_BYTES, &written);
        &self.text
    }

    /// Bytes of each message.
    #[must_use]
    pub const fn bytes(&self) -> usize {
        self.text.len()
    }
}

impl fmt::Display for TemplateError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Mark => write!(
                f,
                "a message needs one place for its mark: write {MARK_PLACE} where it is to stand"
            ),
            Self::Pads => write!(f, "a message has one {PAD_PLACE} at most"),
            Self::TooLong { least, asked } => {
                write!(
                    f,
                    "a message has {least} bytes at least, so it cannot have {asked}; ask for {least} or more"
                )
            }
            Self::NoPad => write!(f, "to be made longer, a message needs a {PAD_PLACE} to fill up"),
            Self::LineBreak => f.write_str("a message is one line"),
        }
    }
}

impl std::error::Error for TemplateError {}

const PAD: &str = "x";

#[cfg(test)]
mod tests {
    use super::super::mark::Scan;
    use super::*;

    const MARK: Mark = Mark { n: 3, at_ns: 4 };

    #[test]
    fn the_mark_stands_where_the_template_says_whatever_surrounds_it() {
        for text in [
            "{mark}",
            "a{mark}b",
            "{pad}{mark}",
            "{mark}{pad}",
            r#"{"p":"{pad}","m":"{mark}"}"#,
        ] {
            let mut template = Template::new(text, if text.contains("{pad}") { 100 } else { 0 }).unwrap();
            let bytes = template.bytes();
            let filled = template.fill(MARK).to_owned();
            assert_eq!(filled.len(), bytes);
            let want = text.replace("{mark}", &MARK.to_string());
            let (before, after) = want.split_once("{pad}").unwrap_or((&want, ""));
            assert!(filled.starts_with(before) && filled.ends_with(after), "{filled}");
            assert_eq!(Scan::new().marks(filled.as_bytes()).collect::<Vec<_>>(), [MARK]);
        }
    }

    #[test]
    fn a_message_has_exactly_the_length_that_was_asked_for() {
        for bytes in [24, 25, 64, 16 * 1024] {
            let mut template = Template::new("{mark}{pad}", bytes).unwrap();
            assert_eq!(template.fill(MARK).len(), bytes);
        }
    }

    #[test]
    fn each_fault_is_named() {
        let fault = |text: &str, bytes| Template::new(text, bytes).unwrap_err();
        assert_eq!(fault("{pad}", 0), TemplateError::Mark);
        assert_eq!(fault("{mark}{mark}", 0), TemplateError::Mark);
        assert_eq!(fault("{mark}{pad}{pad}", 99), TemplateError::Pads);
        assert_eq!(fault("{mark}", 99), TemplateError::NoPad);
        assert_eq!(fault("{mark}\n", 0), TemplateError::LineBreak);
        assert_eq!(
            fault("{mark}{pad}", 8),
            TemplateError::TooLong { least: 24, asked: 8 }
        );
    }
}
