//! Where a head ends (RFC 9112 §2.1), found as it arrives.
//!
//! Looks at each byte once, however small the pieces are.

use crate::limits::HEAD_BYTES_MAX;

/// What is wrong with a head that is not about its first line.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum HeadFault {
    /// More than [`HEAD_BYTES_MAX`] bytes.
    TooLong,
    /// More than [`HEAD_FIELDS_MAX`](crate::limits::HEAD_FIELDS_MAX) fields.
    TooManyFields,
    /// A line that ends without a carriage return (RFC 9112 §2.2).
    BareLineFeed,
    /// A field that goes on in a second line (RFC 9112 §5.2).
    FoldedField,
    /// A field line whose name is empty, not a token, or not followed at once by a colon (RFC 9112 §5.1).
    FieldName,
    /// A control character, NUL or bare carriage return in a field value (RFC 9110 §5.5).
    FieldValue,
}

impl HeadFault {
    /// The fault in words.
    #[must_use]
    pub const fn reason(self) -> &'static str {
        match self {
            Self::TooLong => "head is too long",
            Self::TooManyFields => "head has too many fields",
            Self::BareLineFeed => "line ends without a carriage return",
            Self::FoldedField => "field is folded over two lines",
            Self::FieldName => "field name is not a token followed by a colon",
            Self::FieldValue => "field value contains a control character",
        }
    }
}

impl std::fmt::Display for HeadFault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.reason())
    }
}

impl std::error::Error for HeadFault {}

/// How far a buffer has been searched for the end of its head. One for each head; starts from `default()`.
///
/// ```
/// use tickwire::wire::HeadScan;
/// let mut scan = HeadScan::default();
/// assert_eq!(scan.find_end(b"GET / HTTP/1.1\r\n"), Ok(None));
/// assert_eq!(scan.find_end(b"GET / HTTP/1.1\r\n\r\n and more"), Ok(Some(18)));
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HeadScan {
    scanned: u32,
}

const _: () = assert!(HEAD_BYTES_MAX < u32::MAX as usize);

impl HeadScan {
    /// The bytes of the head that `buffer` begins with, its empty line included; `None` while it is not whole.
    /// `buffer` is what it was at the last call, and whatever has arrived since.
    ///
    /// # Errors
    /// [`HeadFault::BareLineFeed`], or [`HeadFault::TooLong`] as soon as the head cannot end in time.
    pub fn find_end(&mut self, buffer: &[u8]) -> Result<Option<usize>, HeadFault> {
        let head = buffer.get(..HEAD_BYTES_MAX).unwrap_or(buffer);
        loop {
            let scanned = self.scanned as usize;
            let unscanned = head.get(scanned..).unwrap_or_default();
            let Some(line_feed) = memchr::memchr(b'\n', unscanned) else {
                self.advance_to(head.len());
                break;
            };
            let end = scanned.saturating_add(line_feed).saturating_add(1);
            let lines = head.get(..end).unwrap_or_default();
            if !lines.ends_with(b"\r\n") {
                return Err(HeadFault::BareLineFeed);
            }
            self.advance_to(end);
            if lines.ends_with(b"\r\n\r\n") {
                return Ok(Some(end));
            }
        }
        if head.len() == HEAD_BYTES_MAX {
            return Err(HeadFault::TooLong);
        }
        Ok(None)
    }

    fn advance_to(&mut self, scanned: usize) {
        self.scanned = u32::try_from(scanned).unwrap_or(u32::MAX);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head_of(bytes: usize) -> Vec<u8> {
        let mut head = b"GET / HTTP/1.1\r\nx: ".to_vec();
        head.resize(bytes - 4, b'a');
        head.extend_from_slice(b"\r\n\r\n");
        head
    }

    #[test]
    fn a_head_may_be_as_long_as_the_limit_and_no_longer() {
        for bytes in [HEAD_BYTES_MAX - 1, HEAD_BYTES_MAX] {
            let head = [&head_of(bytes)[..], b"behind"].concat();
            assert_eq!(HeadScan::default().find_end(&head), Ok(Some(bytes)));
        }
        let head = head_of(HEAD_BYTES_MAX + 1);
        assert_eq!(HeadScan::default().find_end(&head), Err(HeadFault::TooLong));
        let mut scan = HeadScan::default();
        assert_eq!(scan.find_end(&head[..HEAD_BYTES_MAX - 1]), Ok(None));
        assert_eq!(scan.find_end(&head[..HEAD_BYTES_MAX]), Err(HeadFault::TooLong));
    }

    #[test]
    fn each_byte_is_searched_once() {
        let head = head_of(400);
        let mut scan = HeadScan::default();
        for arrived in 0..head.len() {
            assert_eq!(scan.find_end(&head[..arrived]), Ok(None));
            assert_eq!(scan.scanned as usize, arrived);
        }
        assert_eq!(scan.find_end(&head), Ok(Some(400)));
    }

    #[test]
    fn a_bare_line_feed_is_refused_when_it_arrives() {
        for head in [&b"\n"[..], b"GET / HTTP/1.1\n", b"GET / HTTP/1.1\r\n\n"] {
            assert_eq!(HeadScan::default().find_end(head), Err(HeadFault::BareLineFeed));
        }
    }
}
