//! Heads of HTTP messages for the two handshakes: made by editing good ones, and read naively.
//!
//! What a naive reading gives is a list of whole lines as owned text. It is strict in the one sense that the RFCs
//! leave: whatever a second reader could read differently is no head.

use super::input::Input;
use crate::limits::{HEAD_BYTES_MAX, HEAD_FIELDS_MAX};

/// The bytes of a handshake: as they are in the input, or a good head of these lines after some edits that the input
/// chooses, often with lines from `spare`, and the rest of the input behind it.
pub(super) fn edited(input: &mut Input<'_>, good: &[&str], spare: &[&str]) -> Vec<u8> {
    let edits = input.below(EDITS_MAX + 2);
    if edits > EDITS_MAX {
        return input.take(usize::MAX).to_vec();
    }
    let mut lines: Vec<Vec<u8>> = good.iter().map(|line| line.as_bytes().to_vec()).collect();
    for _ in 0..edits {
        edit(input, &mut lines, spare);
    }
    let mut head = lines.join(&b"\r\n"[..]);
    head.extend_from_slice(b"\r\n\r\n");
    head.extend_from_slice(input.take(usize::MAX));
    head
}

fn edit(input: &mut Input<'_>, lines: &mut Vec<Vec<u8>>, spare: &[&str]) {
    let (what, at) = (input.below(8), input.below(lines.len().max(1)));
    let spare = spare[input.below(spare.len())].as_bytes();
    if what == 0 || lines.is_empty() {
        lines.insert(at, spare.to_vec());
        return;
    }
    let line = &mut lines[at];
    let place = input.below(line.len() + 1);
    match what {
        1 => drop(lines.remove(at)),
        2 => {
            let twin = line.clone();
            lines.insert(at, twin);
        }
        3 => *line = spare.to_vec(),
        4 => drop(line.splice(place..place, input.piece().iter().copied())),
        5 => drop(line.splice(place.., input.piece().iter().copied())),
        // Limits are beyond what an input is long.
        6 => {
            let byte = line.get(place).copied().unwrap_or(b'a');
            let many = 64 * usize::from(input.byte());
            drop(line.splice(place..place, std::iter::repeat_n(byte, many)));
        }
        _ => lines.swap(0, at),
    }
}

/// A head, read naively.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub(super) start_line: Vec<u8>,
    /// Names in lower case.
    fields: Vec<(String, Vec<u8>)>,
    pub(super) bytes: usize,
}

impl Head {
    /// The head that `bytes` begin with; `None` where that is not one of RFC 9112 §2.1, or beyond our limits.
    pub(super) fn read(bytes: &[u8]) -> Option<Self> {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
        let text = &bytes[..end - 4];
        if end > HEAD_BYTES_MAX {
            return None;
        }
        let mut lines: Vec<Vec<u8>> = vec![Vec::new()];
        let mut at = 0;
        while at < text.len() {
            if text[at..].starts_with(b"\r\n") {
                lines.push(Vec::new());
                at += 2;
                continue;
            }
            // RFC 9112 §2.2, RFC 9110 §5.5: no line has a bare CR or LF, and no field another control character.
            let byte = text[at];
            let is_control = byte == 0x7f || (byte < b' ' && byte != b'\t');
            if matches!(byte, b'\r' | b'\n') || (is_control && lines.len() > 1) {
                return None;
            }
            lines.last_mut()?.push(byte);
            at += 1;
        }
        let start_line = lines.remove(0);
        if lines.len() > HEAD_FIELDS_MAX {
            return None;
        }
        let fields: Option<Vec<_>> = lines.iter().map(|line| read_field(line)).collect();
        Some(Self {
            start_line,
            fields: fields?,
            bytes: end,
        })
    }

    /// The values of all fields of a name, which is given in lower case.
    pub(super) fn all(&self, name: &str) -> Vec<&[u8]> {
        let of_name = self.fields.iter().filter(|(other, _)| other == name);
        of_name.map(|(_, value)| &value[..]).collect()
    }

    /// The value of a field that is there once.
    pub(super) fn once(&self, name: &str) -> Option<&[u8]> {
        match self.all(name)[..] {
            [value] => Some(value),
            _ => None,
        }
    }

    /// All elements of a list, in lower case.
    pub(super) fn list(&self, name: &str) -> Vec<String> {
        self.elements(name)
            .iter()
            .map(|element| String::from_utf8_lossy(element).to_ascii_lowercase())
            .collect()
    }

    /// All elements of a list as they are, less those that are empty.
    pub(super) fn elements(&self, name: &str) -> Vec<&[u8]> {
        let values = self.all(name);
        let elements = values.iter().flat_map(|value| value.split(|byte| *byte == b','));
        elements.map(trim).filter(|element| !element.is_empty()).collect()
    }
}

/// RFC 9112 §5: a token, at once a colon, and a value.
fn read_field(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let colon = line.iter().position(|byte| *byte == b':')?;
    let name = is_token(&line[..colon]).then(|| String::from_utf8_lossy(&line[..colon]));
    Some((name?.to_ascii_lowercase(), trim(&line[colon + 1..]).to_vec()))
}

/// RFC 9110 §5.6.2.
pub(super) fn is_token(bytes: &[u8]) -> bool {
    let delimiters = b"\"(),/:;<=>?@[\\]{}";
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| (b'!'..=b'~').contains(byte) && !delimiters.contains(byte))
}

/// RFC 9112 §5: spaces and tabs around a value are not part of it.
fn trim(bytes: &[u8]) -> &[u8] {
    let blank = |byte: &u8| matches!(byte, b' ' | b'\t');
    let Some(start) = bytes.iter().position(|byte| !blank(byte)) else {
        return b"";
    };
    let end = bytes
        .iter()
        .rposition(|byte| !blank(byte))
        .map_or(0, |last| last + 1);
    &bytes[start..end]
}

/// RFC 3986 §3.2 without user information: the bytes that host and port may consist of.
pub(super) fn is_authority(bytes: &[u8]) -> bool {
    !bytes.is_empty()
        && bytes
            .iter()
            .all(|byte| byte.is_ascii_graphic() && !b"\"#/<>?@\\^`{|}".contains(byte))
}

/// A whole response that ends the conversation: what every refusal must be.
///
/// # Panics
/// When it is not well formed, does not say that it closes, or has not the length that it announces.
pub(super) fn assert_closes(response: &[u8], status: u16) -> Head {
    let head = Head::read(response).expect("a refusal has a head");
    let line = String::from_utf8(head.start_line.clone()).expect("the status line is text");
    let reason = line.strip_prefix(&format!("HTTP/1.1 {status} "));
    assert!(reason.is_some_and(|reason| !reason.is_empty()), "{line}");
    assert!(head.list("connection").contains(&"close".to_owned()));
    assert!(head.all("transfer-encoding").is_empty());
    let content = &response[head.bytes..];
    let length = head.once("content-length").expect("its length is announced once");
    assert_eq!(length, content.len().to_string().as_bytes());
    let words = std::str::from_utf8(content).expect("it is said in text");
    assert!(
        content.is_empty() || (words.ends_with('\n') && words.lines().count() == 1),
        "{words:?}"
    );
    head
}

/// Edits of one head.
const EDITS_MAX: usize = 8;
