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

/// RFC 6455 read naively: the whole stream at hand, bytes by index, a vector for each message.
struct Naive<'s> {
    stream: &'s [u8],
    to_server: bool,
    message_bytes_max: u32,
    message: Option<(bool, Vec<u8>)>,
    events: Vec<Owned>,
}

fn naive(stream: &[u8], to_server: bool, message_bytes_max: u32) -> Outcome {
    let mut naive = Naive {
        stream,
        to_server,
        message_bytes_max,
        message: None,
        events: Vec::new(),
    };
    let mut fault = None;
    while let Some(more) = naive.frame().unwrap_or_else(|broken| {
        fault = Some(broken);
        None
    }) {
        naive.stream = more;
    }
    (naive.events, fault)
}

impl<'s> Naive<'s> {
    /// Reads one frame and gives what is behind it; `None` at the end.
    fn frame(&mut self) -> Result<Option<&'s [u8]>, Fault> {
        let rest = self.stream;
        if rest.len() < 2 {
            return Ok(None);
        }
        let (first, short, masked) = (rest[0], rest[1] & 127, rest[1] >= 128);
        let control = first & 8 != 0;
        let faults = [
            (self.to_server && !masked, Fault::Unmasked),
            (!self.to_server && masked, Fault::Masked),
            (first & 0x70 != 0, Fault::ReservedBits),
            (
                ![0, 1, 2, 8, 9, 10].contains(&(first & 15)),
                Fault::ReservedOpcode,
            ),
            (control && short > 125, Fault::ControlTooLong),
            (control && first < 128, Fault::ControlFragmented),
        ];
        if let Some((_, fault)) = faults.iter().find(|(broken, _)| *broken) {
            return Err(*fault);
        }
        let (length_bytes, length_min) = match short {
            126 => (2, 126),
            127 => (8, 65_536),
            _ => (0, 0),
        };
        if rest.len() < 2 + length_bytes {
            return Ok(None);
        }
        let extended = rest[2..2 + length_bytes].iter();
        let extended = extended.fold(0_u64, |sum, byte| sum << 8 | u64::from(*byte));
        let length = if length_bytes > 0 {
            extended
        } else {
            u64::from(short)
        };
        if length >= 1 << 63 {
            return Err(Fault::LengthOverflow);
        }
        if length < length_min {
            return Err(Fault::LengthNotMinimal);
        }
        let header_bytes = 2 + length_bytes + if masked { 4 } else { 0 };
        if rest.len() < header_bytes {
            return Ok(None);
        }
        let (header, rest) = rest.split_at(header_bytes);
        let payload_bytes = usize::try_from(length).unwrap_or(usize::MAX).min(rest.len());
        let (payload, rest) = rest.split_at(payload_bytes);
        let whole = payload_bytes as u64 == length;
        let key = if masked {
            &header[header_bytes - 4..]
        } else {
            &[0; 4]
        };
        let payload: Vec<u8> = payload
            .iter()
            .enumerate()
            .map(|(i, byte)| byte ^ key[i % 4])
            .collect();
        if control {
            return Ok(if whole {
                self.control(first, payload)?.then_some(rest)
            } else {
                None
            });
        }
        self.data(first, length, &payload, whole)?;
        Ok(whole.then_some(rest))
    }

    /// Whether anything is read after it.
    fn control(&mut self, first: u8, payload: Vec<u8>) -> Result<bool, Fault> {
        let event = match first & 15 {
            9 => Owned::Ping(payload),
            10 => Owned::Pong(payload),
            _ => {
                let close = CloseFrame::decode(&payload)?;
                self.events.push(Owned::Close(
                    close.map(|close| (close.code, close.reason.to_owned())),
                ));
                return Ok(false);
            }
        };
        self.events.push(event);
        Ok(true)
    }

    fn data(&mut self, first: u8, length: u64, payload: &[u8], whole: bool) -> Result<(), Fault> {
        let (is_text, mut bytes) = match (first & 15, self.message.take()) {
            (0, None) => return Err(Fault::ContinuationWithoutMessage),
            (0, Some(message)) => message,
            (_, Some(_)) => return Err(Fault::MessageInterrupted),
            (opcode, None) => (opcode == 1, Vec::new()),
        };
        if u128::from(length) + bytes.len() as u128 > u128::from(self.message_bytes_max) {
            return Err(Fault::MessageTooBig);
        }
        bytes.extend_from_slice(payload);
        let ended = whole && first >= 128;
        let valid = match std::str::from_utf8(&bytes) {
            Ok(_) => true,
            Err(error) => error.error_len().is_none() && !ended,
        };
        match (is_text, ended) {
            (true, _) if !valid => return Err(Fault::InvalidUtf8),
            (_, false) => self.message = Some((is_text, bytes)),
            (true, true) => self.events.push(Owned::Text(String::from_utf8(bytes).unwrap())),
            (false, true) => self.events.push(Owned::Binary(bytes)),
        }
        Ok(())
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn a_server_reads_any_stream_as_the_oracle_does((stream, cuts) in stream(true), limit in 0_u32..200) {
        prop_assert_eq!(outcome::<Server>(limit, pieces(&stream, &cuts)), naive(&stream, true, limit));
    }

    #[test]
    fn a_client_reads_any_stream_as_the_oracle_does((stream, cuts) in stream(false), limit in 0_u32..200) {
        prop_assert_eq!(outcome::<Client>(limit, pieces(&stream, &cuts)), naive(&stream, false, limit));
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
        prop_assert_eq!(outcome::<Server>(50, pieces(&bytes, &cuts)), naive(&bytes, true, 50));
        prop_assert_eq!(outcome::<Client>(50, pieces(&bytes, &cuts)), naive(&bytes, false, 50));
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
