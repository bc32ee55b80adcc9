//! Writes JSON strings and numbers without the formatting machinery.
//!
//! Invariant: whatever text goes in, what comes out is one JSON string (RFC 8259 §7) of the same characters, or
//! where it was cut, of the first of them and an ellipsis.

/// Appends `text` in quotation marks, escaped where it must be.
pub(super) fn write_string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    write_escaped(out, text);
    out.push(b'"');
}

/// As [`write_string`], but cut so that at most `bytes_max` bytes stand between the quotation marks.
pub(super) fn write_string_cut(out: &mut Vec<u8>, text: &str, bytes_max: usize) {
    out.push(b'"');
    if escaped_bytes(text) <= bytes_max {
        write_escaped(out, text);
    } else {
        let mut room = bytes_max.saturating_sub(ELLIPSIS.len());
        let fits = |character: &char| {
            let bytes = escaped_bytes(character.encode_utf8(&mut [0; 4]));
            let fits = bytes <= room;
            room = room.saturating_sub(bytes);
            fits
        };
        let kept: usize = text.chars().take_while(fits).map(char::len_utf8).sum();
        write_escaped(out, text.split_at(kept).0);
        out.extend_from_slice(ELLIPSIS.as_bytes());
    }
    out.push(b'"');
}

/// Appends `number` in decimal digits.
pub(super) fn write_number<I: itoa::Integer>(out: &mut Vec<u8>, number: I) {
    out.extend_from_slice(itoa::Buffer::new().format(number).as_bytes());
}

fn write_escaped(out: &mut Vec<u8>, text: &str) {
    let mut rest = text.as_bytes();
    while let Some(at) = rest.iter().position(|byte| needs_escape(*byte)) {
        let (plain, escaped) = rest.split_at(at);
        out.extend_from_slice(plain);
        if let Some((byte, after)) = escaped.split_first() {
            write_escape(out, *byte);
            rest = after;
        }
    }
    out.extend_from_slice(rest);
}

fn write_escape(out: &mut Vec<u8>, byte: u8) {
    let digit = |nibble: u8| char::from_digit(u32::from(nibble), 16).map_or(b'0', |digit| digit as u8);
    match byte {
        b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
        b'\n' => out.extend_from_slice(b"\\n"),
        b'\r' => out.extend_from_slice(b"\\r"),
        b'\t' => out.extend_from_slice(b"\\t"),
        _ => out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]),
    }
}

/// Bytes that [`write_escaped`] makes of `text`.
fn escaped_bytes(text: &str) -> usize {
    text.bytes()
        .map(|byte| match byte {
            b'"' | b'\\' | b'\n' | b'\r' | b'\t' => 2,
            0..0x20 => 6,
            _ => 1,
        })
        .sum()
}

const fn needs_escape(byte: u8) -> bool {
    byte < 0x20 || matches!(byte, b'"' | b'\\')
}

const ELLIPSIS: &str = "…";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(written: &[u8]) -> String {
        serde_json::from_slice(written).unwrap()
    }

    proptest! {
        #[test]
        fn another_parser_reads_the_same_text(text in any::<String>(), controls in "[\\x00-\\x7f]{0,20}") {
            for text in [text, controls] {
                let mut out = Vec::new();
                write_string(&mut out, &text);
                prop_assert_eq!(out.len(), escaped_bytes(&text) + 2);
                prop_assert_eq!(read(&out), text);
            }
        }

        #[test]
        fn a_long_text_is_cut_to_its_beginning(text in "([\\x00-\\x7f]|\\PC){0,30}", bytes_max in 3_usize..60) {
            let mut out = Vec::new();
            write_string_cut(&mut out, &text, bytes_max);
            prop_assert!(out.len() <= bytes_max + 2);
            let written = read(&out);
            if written != text {
                prop_assert!(escaped_bytes(&text) > bytes_max);
                let kept = written.strip_suffix('…').unwrap();
                prop_assert!(text.starts_with(kept));
                let next = text[kept.len()..].chars().next().unwrap().to_string();
                prop_assert!(escaped_bytes(kept) + escaped_bytes(&next) + ELLIPSIS.len() > bytes_max);
            }
        }

        #[test]
        fn numbers_are_written_in_full(number in any::<u64>()) {
            let mut out = Vec::new();
            write_number(&mut out, number);
            prop_assert_eq!(out, number.to_string().into_bytes());
        }
    }
}
