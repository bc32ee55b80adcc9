//! RFC 7692 by its own examples, and both directions against a naive reader of RFC 1951.

mod negotiation;
mod sessions;

use super::naive::naive_inflate;
use super::{Deflater, Inflater};
use crate::limits::DEFLATE_STREAMS_MAX;
use crate::wire::Fault;
use proptest::prelude::*;

const LIMIT: u32 = 1000;

fn inflate(payload: &[u8]) -> Result<Vec<u8>, Fault> {
    Inflater::new(LIMIT).inflate(payload).map(<[u8]>::to_vec)
}

#[test]
fn rfc_7692_section_7_2_3_examples_are_inflated() {
    let table: &[(&str, &[u8], &[u8])] = &[
        ("7.2.3.1", b"\xf2\x48\xcd\xc9\xc9\x07\x00", b"Hello"),
        (
            "7.2.3.3",
            b"\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00",
            b"Hello",
        ),
        ("7.2.3.4", b"\xf3\x48\xcd\xc9\xc9\x07\x00\x00", b"Hello"),
        (
            "7.2.3.5",
            b"\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00",
            b"Hello",
        ),
        ("7.2.3.6", b"\x00", b""),
    ];
    for (section, payload, message) in table {
        assert_eq!(inflate(payload).as_deref(), Ok(*message), "{section}");
    }
}

#[test]
fn rfc_7692_section_7_2_3_2_a_shared_window_needs_the_first_message() {
    let (first, second) = (&b"\xf2\x48\xcd\xc9\xc9\x07\x00"[..], &b"\xf2\x00\x11\x00\x00"[..]);
    let mut inflater = Inflater::with_context_takeover(LIMIT, 15);
    assert_eq!(inflater.inflate(first), Ok(&b"Hello"[..]));
    assert_eq!(inflater.inflate(second), Ok(&b"Hello"[..]));
    assert_eq!(inflate(second), Err(Fault::CompressedInvalid));
}

#[test]
fn a_distance_of_the_whole_window_is_followed_within_a_message_and_beyond_it() {
    let window: Vec<u8> = (0..=250).cycle().take(32_768).collect();
    // A stored block of that many bytes, and a block with fixed codes that copies three from its beginning.
    let stored = [b"\x00\x00\x80\xff\x7f", &window[..]].concat();
    let copied = b"\x02\xde\xff\x0f\x00";
    let expected = [&window[..], &window[..3]].concat();
    let mut inflater = Inflater::new(40_000);
    assert!(inflater.inflate(&[&stored[..], copied].concat()) == Ok(&expected));
    let mut keeping = Inflater::with_context_takeover(40_000, 15);
    assert!(keeping.inflate(&[&stored[..], b"\x00"].concat()) == Ok(&window));
    assert_eq!(keeping.inflate(copied), Ok(&window[..3]));
}

#[test]
fn what_is_no_whole_deflate_data_is_refused() {
    let hello = b"\xf2\x48\xcd\xc9\xc9\x07\x00";
    for cut in 0..hello.len() {
        assert_eq!(inflate(&hello[..cut]), Err(Fault::CompressedInvalid), "{cut}");
    }
    for wrong in [
        &b"\x07"[..],                        // block type 3
        b"\xff\xff\xff\xff",                 // the same
        b"\xf2\x48\xcd\xc9\xc9\x07\x00\x01", // a stored block whose lengths disagree
        b"\xf3\x48\xcd\xc9\xc9\x07\x00",     // a last block, and nothing that the tail could end
        b"\x02\x08\x20\x00",                 // a distance further back than the beginning
    ] {
        assert_eq!(inflate(wrong), Err(Fault::CompressedInvalid), "{wrong:x?}");
    }
}

#[test]
fn the_limit_holds_while_inflating_and_is_exact() {
    for (bytes, ok) in [(LIMIT - 1, true), (LIMIT, true), (LIMIT + 1, false)] {
        let message = vec![b'x'; bytes as usize];
        let mut deflater = Deflater::new(15);
        let result = inflate(deflater.deflate(&message).unwrap());
        let expected = if ok {
            Ok(message)
        } else {
            Err(Fault::MessageTooBig)
        };
        assert_eq!(result, expected, "{bytes}");
    }
    // A thousand bytes of this are a million.
    let million = vec![0; 1_000_000];
    let mut deflater = Deflater::new(15);
    let bomb = deflater.deflate(&million).unwrap();
    let mut inflater = Inflater::new(LIMIT);
    assert_eq!(inflater.inflate(bomb), Err(Fault::MessageTooBig));
    // And it is as good as new.
    assert_eq!(
        inflater.inflate(b"\xf2\x48\xcd\xc9\xc9\x07\x00"),
        Ok(&b"Hello"[..])
    );
}

#[test]
fn a_message_beyond_the_limit_is_too_big_whatever_is_wrong_behind_it() {
    // A few bytes with fixed codes, and then what is no code.
    let payload = b"\x3a\x00\x00\x00\x0a\xa0\x00\xfb\x80\xb7\x01";
    assert_eq!(inflate(payload), Err(Fault::CompressedInvalid));
    assert_eq!(Inflater::new(0).inflate(payload), Err(Fault::MessageTooBig));
}

#[test]
fn a_block_that_was_cut_does_not_get_the_end_of_every_message_for_its_content() {
    let cut: [&[u8]; 4] = [
        b"\x01\x09\x00\xf6\xff", // a last stored block of nine bytes, none of which has come
        b"\x00\x04\x00\xfb\xff", // one of four
        b"\x00\xff\xff\x00",     // one of very many, whose length is cut as well
        b"\x4a\x04",             // fixed codes
    ];
    for payload in cut {
        for limit in 0..12 {
            let inflated = Inflater::new(limit).inflate(payload).map(<[u8]>::to_vec);
            let naive = naive_inflate(payload, &[], limit as usize).map(|naive| naive.message);
            assert_eq!(inflated, naive, "{payload:x?} of at most {limit} bytes");
            assert!(inflated.is_err(), "{payload:x?} of at most {limit} bytes");
        }
    }
}

#[test]
fn a_message_may_be_made_of_so_many_streams() {
    // An empty last block with fixed codes takes ten bits, and the next one begins at a byte.
    let streams = |count: usize| [b"\x03\x00".repeat(count), b"\x00".to_vec()].concat();
    assert_eq!(inflate(&streams(DEFLATE_STREAMS_MAX - 1)), Ok(Vec::new()));
    assert_eq!(
        inflate(&streams(DEFLATE_STREAMS_MAX)),
        Err(Fault::CompressedInvalid)
    );
}

#[test]
fn a_message_that_would_not_become_shorter_is_not_compressed() {
    let mut deflater = Deflater::new(15);
    assert_eq!(deflater.deflate(b""), None);
    assert_eq!(deflater.deflate(b"abc"), None);
    assert!(deflater.deflate(&[b'a'; 30]).is_some());
    let mut keeping = Deflater::with_context_takeover(15);
    assert_eq!(keeping.deflate(b""), Some(&b"\x00"[..]));
    assert!(keeping.deflate(b"abc").is_some());
}

#[test]
fn with_context_takeover_a_message_like_the_last_one_costs_next_to_nothing() {
    let tick =
        br#"{"t":"trade","ch":"trade:BTC-USD","seq":5002,"px":"61685.99","sz":"0.00001","side":"buy"}"#;
    let mut deflater = Deflater::with_context_takeover(15);
    let mut inflater = Inflater::with_context_takeover(LIMIT, 15);
    let mut sizes = Vec::new();
    for _ in 0..3 {
        let compressed = deflater.deflate(tick).unwrap();
        sizes.push(compressed.len());
        assert_eq!(inflater.inflate(compressed), Ok(&tick[..]));
    }
    assert!(sizes[1] < 12 && sizes[2] < 12, "{sizes:?}");
}

#[test]
fn rfc_7692_section_7_2_3_6_an_empty_message_has_a_payload_behind_another_one_too() {
    let mut deflater = Deflater::with_context_takeover(15);
    let mut inflater = Inflater::with_context_takeover(LIMIT, 15);
    for message in [&b"Hello"[..], b"", b"", b"Hello"] {
        let compressed = deflater.deflate(message).unwrap();
        assert_eq!(inflater.inflate(compressed), Ok(message));
    }
}

/// Bytes with repetitions near and far, as long as several windows.
fn repetitive() -> impl Strategy<Value = Vec<u8>> {
    let word = prop::collection::vec(any::<u8>(), 1..300);
    (
        prop::collection::vec(word, 1..5),
        prop::collection::vec(any::<prop::sample::Index>(), 0..60),
    )
        .prop_map(|(words, order)| order.iter().flat_map(|index| index.get(&words).clone()).collect())
}

proptest! {
    #[test]
    fn every_window_is_kept_and_every_message_comes_back(
        messages in prop::collection::vec(repetitive(), 1..4), window_bits in 8_u8..=15, takeover: bool,
    ) {
        let limit = 60 * 300;
        let (mut deflater, mut inflater) = if takeover {
            (Deflater::with_context_takeover(window_bits), Inflater::with_context_takeover(limit, window_bits))
        } else {
            (Deflater::new(window_bits), Inflater::new(limit))
        };
        let mut history = Vec::new();
        for message in messages {
            if !takeover {
                history.clear();
            }
            let Some(compressed) = deflater.deflate(&message) else { continue };
            prop_assert!(takeover || compressed.len() < message.len());
            prop_assert_eq!(inflater.inflate(compressed), Ok(&message[..]));
            let naive = naive_inflate(compressed, &history, limit as usize).unwrap();
            prop_assert_eq!(&naive.message, &message);
            prop_assert!(naive.farthest <= 1 << window_bits, "{} bytes back with {} bits", naive.farthest, window_bits);
            history.extend_from_slice(&message);
        }
    }

    #[test]
    fn any_bytes_are_inflated_as_the_naive_reader_does(
        payload in prop_oneof![
            prop::collection::vec(any::<u8>(), 0..60),
            // Mutations of something valid go deeper.
            (repetitive(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(message, at, with)| {
                let mut compressed = Deflater::new(15).deflate(&message).unwrap_or(b"\x00").to_vec();
                let at = at.index(compressed.len());
                compressed[at] = with;
                compressed
            }),
        ],
    ) {
        let naive = naive_inflate(&payload, &[], LIMIT as usize).map(|naive| naive.message);
        prop_assert_eq!(inflate(&payload), naive);
    }
}
