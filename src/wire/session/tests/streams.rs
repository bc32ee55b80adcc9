//! Generated streams, good and bad, against an oracle that reads frame by frame from a whole stream.

use super::*;
use proptest::prelude::*;

/// One frame as a generator makes it: mostly well formed.
#[derive(Clone, Debug)]
struct Made {
    first: u8,
    masked: bool,
    key: [u8; 4],
    payload: Vec<u8>,
    /// Announces this length, in 64 bits, in place of the true one.
    lie: Option<u64>,
}

impl Made {
    fn write(&self, out: &mut Vec<u8>) {
        let mask_bit = if self.masked { 0x80 } else { 0 };
        out.push(self.first);
        match (self.lie, self.payload.len()) {
            (Some(lie), _) => {
                out.push(mask_bit | 127);
                out.extend_from_slice(&lie.to_be_bytes());
            }
            (None, len @ 0..126) => out.push(mask_bit | u8::try_from(len).unwrap()),
            (None, len) => {
                out.push(mask_bit | 126);
                out.extend_from_slice(&u16::try_from(len).unwrap().to_be_bytes());
            }
        }
        let key = if self.masked { self.key } else { [0; 4] };
        if self.masked {
            out.extend_from_slice(&key);
        }
        out.extend(
            self.payload
                .iter()
                .zip(key.iter().cycle())
                .map(|(byte, key)| byte ^ key),
        );
    }
}

/// Payloads that are likely to matter: text whose characters cross frames, close codes, bytes.
fn payload() -> impl Strategy<Value = Vec<u8>> {
    let pieces = [
        "e2",
        "82ac",
        "e282",
        "ac",
        "f090",
        "8d88",
        "eda0",
        "ff",
        "03e8",
        "03e9627965",
        "03ed",
        "03",
    ];
    let bytes = |hex: &str| -> Vec<u8> {
        let digits = hex.as_bytes().chunks(2);
        digits
            .map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap())
            .collect()
    };
    prop_oneof![
        4 => "[a-zé€𐍈]{0,12}".prop_map(String::into_bytes),
        3 => prop::sample::select(pieces.map(bytes).to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..40),
        1 => prop::collection::vec(Just(b'x'), 100..140),
    ]
}

fn made(to_server: bool) -> impl Strategy<Value = Made> {
    let first = prop_oneof![
        20 => prop::sample::select(vec![0x81_u8, 0x82, 0x01, 0x02, 0x00, 0x00, 0x80, 0x80, 0x89, 0x8a]),
        1 => Just(0x88),
        1 => any::<u8>(),
    ];
    let lie = prop_oneof![
        40 => Just(None),
        1 => any::<u64>().prop_map(Some),
        1 => (0_u64..300).prop_map(Some),
    ];
    let wrong = prop::bool::weighted(0.01);
    (first, wrong, any::<[u8; 4]>(), payload(), lie).prop_map(move |(first, wrong, key, payload, lie)| Made {
        first,
        masked: to_server != wrong,
        key,
        payload,
        lie,
    })
}

/// A stream, and where it is cut into pieces.
fn stream(to_server: bool) -> impl Strategy<Value = (Vec<u8>, Vec<usize>)> {
    let frames = prop::collection::vec(made(to_server), 0..14);
    let cuts = prop::collection::vec(any::<prop::sample::Index>(), 0..12);
    (frames, cuts).prop_map(|(frames, cuts)| {
        let mut stream = Vec::new();
        for frame in frames {
            frame.write(&mut stream);
        }
        let cuts = sorted(&cuts, stream.len());
        (stream, cuts)
    })
}

fn sorted(cuts: &[prop::sample::Index], len: usize) -> Vec<usize> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut.index(len + 1)).collect();
    cuts.sort_unstable();
    cuts
}

fn pieces<'s>(stream: &'s [u8], cuts: &[usize]) -> Vec<&'s [u8]> {
    let mut start = 0;
    let mut piece = |end: usize| &stream[std::mem::replace(&mut start, end)..end];
    cuts.iter()
        .chain([&stream.len()])
        .map(|&cut| piece(cut))
        .collect()
}

const fn plain(message_bytes_max: u32) -> Terms {
    Terms {
        message_bytes_max,
        deflate: DeflateTerms::Never,
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_server_reads_any_stream_as_the_oracle_does((stream, cuts) in stream(true), limit in 0_u32..200) {
        prop_assert_eq!(outcome::<Server>(limit, pieces(&stream, &cuts)), naive_outcome(&stream, true, plain(limit)));
    }

    #[test]
    fn a_client_reads_any_stream_as_the_oracle_does((stream, cuts) in stream(false), limit in 0_u32..200) {
        prop_assert_eq!(outcome::<Client>(limit, pieces(&stream, &cuts)), naive_outcome(&stream, false, plain(limit)));
    }

    #[test]
    fn a_message_that_is_put_back_comes_again((stream, cuts) in stream(true), limit in 0_u32..200) {
        let outcome = outcome::<Server>(limit, pieces(&stream, &cuts));
        prop_assert_eq!(outcome_put_back::<Server>(limit, pieces(&stream, &cuts)), outcome);
    }

    #[test]
    fn any_bytes_are_decoded_or_refused(
        bytes in prop::collection::vec(any::<u8>(), 0..100), cuts: [prop::sample::Index; 3],
    ) {
        let cuts = sorted(&cuts, bytes.len());
        prop_assert_eq!(outcome::<Server>(50, pieces(&bytes, &cuts)), naive_outcome(&bytes, true, plain(50)));
        prop_assert_eq!(outcome::<Client>(50, pieces(&bytes, &cuts)), naive_outcome(&bytes, false, plain(50)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn the_split_of_a_stream_never_matters(
        (masked, _) in stream(true), (unmasked, _) in stream(false), limit in 0_u32..200,
    ) {
        outcome_however_split::<Server>(limit, &masked);
        outcome_however_split::<Client>(limit, &unmasked);
    }
}
