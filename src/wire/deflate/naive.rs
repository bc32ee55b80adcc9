//! RFC 1951, read bit by bit: slow, and simple enough to be believed.

use crate::limits::DEFLATE_STREAMS_MAX;
use crate::wire::Fault;

/// A message, and the longest distance that its data refers back.
#[derive(Debug)]
pub(crate) struct Naive {
    pub(crate) message: Vec<u8>,
    pub(crate) farthest: usize,
}

/// Inflates the payload of one message (RFC 7692 §7.2.2), whose data may refer to `history`.
pub(crate) fn naive_inflate(payload: &[u8], history: &[u8], bytes_max: usize) -> Result<Naive, Fault> {
    let data = [payload, &[0x00, 0x00, 0xff, 0xff]].concat();
    let mut reader = Reader {
        data: &data,
        at: 0,
        out: history.to_vec(),
        begun: 0,
        payload_bits: 8 * payload.len(),
        bytes_max: history.len() + bytes_max,
        farthest: 0,
    };
    let mut streams = 1;
    let mut ended = false;
    // The message ends where the data does, between two blocks.
    while reader.at < 8 * data.len() {
        if ended {
            streams += 1;
            if streams > DEFLATE_STREAMS_MAX {
                return Err(Fault::CompressedInvalid);
            }
            reader.at = reader.at.next_multiple_of(8);
            reader.begun = reader.out.len();
            if reader.at == 8 * data.len() {
                return Err(Fault::CompressedInvalid);
            }
        }
        ended = reader.block()?;
    }
    if ended {
        // The tail must end a block that is not the last one of its stream.
        return Err(Fault::CompressedInvalid);
    }
    Ok(Naive {
        message: reader.out.split_off(history.len()),
        farthest: reader.farthest,
    })
}

struct Reader<'d> {
    data: &'d [u8],
    /// The next bit.
    at: usize,
    out: Vec<u8>,
    /// Where in `out` the stream begins, before which it may not refer; 0 takes in the history.
    begun: usize,
    /// Where the payload ends, and what its sender left out begins.
    payload_bits: usize,
    bytes_max: usize,
    farthest: usize,
}

impl Reader<'_> {
    /// §3.2.3: one block; says whether it was the last one.
    fn block(&mut self) -> Result<bool, Fault> {
        let last = self.bits(1)? == 1;
        match self.bits(2)? {
            0 => self.stored()?,
            1 => {
                let literals: Vec<usize> = (0..288_usize)
                    .map(|symbol| match symbol {
                        0..=143 | 280.. => 8,
                        144..=255 => 9,
                        256..=279 => 7,
                    })
                    .collect();
                self.compressed(&Code::new(&literals), &Code::new(&[5; 30]))?;
            }
            2 => {
                let (literals, distances) = self.dynamic()?;
                self.compressed(&literals, &distances)?;
            }
            _ => return Err(Fault::CompressedInvalid),
        }
        Ok(last)
    }

    /// §3.2.4.
    fn stored(&mut self) -> Result<(), Fault> {
        self.at = self.at.next_multiple_of(8);
        let (len, complement) = (self.bits(16)?, self.bits(16)?);
        if len != complement ^ 0xffff {
            return Err(Fault::CompressedInvalid);
        }
        for _ in 0..len {
            let byte = self.bits(8)?;
            self.put(byte)?;
        }
        Ok(())
    }

    /// §3.2.7.
    fn dynamic(&mut self) -> Result<(Code, Code), Fault> {
        const ORDER: [usize; 19] = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15];
        let literals = self.bits(5)? + 257;
        let distances = self.bits(5)? + 1;
        let count = self.bits(4)? + 4;
        if literals > 286 || distances > 30 {
            return Err(Fault::CompressedInvalid);
        }
        let mut meta = [0; 19];
        for &symbol in &ORDER[..count] {
            meta[symbol] = self.bits(3)?;
        }
        // zlib wants this code to be whole.
        let meta = Code::whole(&meta)?;
        let mut lengths: Vec<usize> = Vec::new();
        while lengths.len() < literals + distances {
            let (length, times) = match self.symbol(&meta)? {
                16 => (
                    *lengths.last().ok_or(Fault::CompressedInvalid)?,
                    self.bits(2)? + 3,
                ),
                17 => (0, self.bits(3)? + 3),
                18 => (0, self.bits(7)? + 11),
                length => (length, 1),
            };
            lengths.extend(std::iter::repeat_n(length, times));
        }
        if lengths.len() > literals + distances || lengths[256] == 0 {
            return Err(Fault::CompressedInvalid);
        }
        let (literals, distances) = lengths.split_at(literals);
        Ok((
            Code::whole_or_single(literals)?,
            Code::whole_or_single(distances)?,
        ))
    }

    /// §3.2.5.
    fn compressed(&mut self, literals: &Code, distances: &Code) -> Result<(), Fault> {
        loop {
            let symbol = self.symbol(literals)?;
            let length = match symbol {
                0..=255 => {
                    self.put(symbol)?;
                    continue;
                }
                256 => return Ok(()),
                257..=264 => symbol - 254,
                265..=284 => {
                    let extra = (symbol - 261) / 4;
                    (((symbol - 265) % 4 + 4) << extra) + 3 + self.bits(extra)?
                }
                285 => 258,
                _ => return Err(Fault::CompressedInvalid),
            };
            let symbol = self.symbol(distances)?;
            let distance = match symbol {
                0..=3 => symbol + 1,
                4..=29 => {
                    let extra = symbol / 2 - 1;
                    ((symbol % 2 + 2) << extra) + 1 + self.bits(extra)?
                }
                _ => return Err(Fault::CompressedInvalid),
            };
            if distance > self.out.len() - self.begun || distance > 32 * 1024 {
                return Err(Fault::CompressedInvalid);
            }
            self.farthest = self.farthest.max(distance);
            for _ in 0..length {
                self.put(self.out[self.out.len() - distance].into())?;
            }
        }
    }

    fn symbol(&mut self, code: &Code) -> Result<usize, Fault> {
        let mut word = 0;
        for (first, symbols) in &code.0 {
            word = word << 1 | self.bits(1)?;
            if let Some(symbol) = symbols.get(word.wrapping_sub(*first)) {
                return Ok(*symbol);
            }
        }
        Err(Fault::CompressedInvalid)
    }

    /// So many bits, the first of them the least significant.
    fn bits(&mut self, count: usize) -> Result<usize, Fault> {
        let mut value = 0;
        for bit in 0..count {
            let byte = self.data.get(self.at / 8).ok_or(Fault::CompressedInvalid)?;
            value |= usize::from(byte >> (self.at % 8) & 1) << bit;
            self.at += 1;
        }
        Ok(value)
    }

    fn put(&mut self, byte: usize) -> Result<(), Fault> {
        // RFC 7692 §7.2.1: what was left out is the end of a block without content.
        if self.at > self.payload_bits {
            return Err(Fault::CompressedInvalid);
        }
        self.out
            .push(u8::try_from(byte).map_err(|_| Fault::CompressedInvalid)?);
        if self.out.len() > self.bytes_max {
            return Err(Fault::MessageTooBig);
        }
        Ok(())
    }
}

/// A Huffman code: for each length from 1 to 15 its first word, and the symbols of its words in order (§3.2.2).
struct Code(Vec<(usize, Vec<usize>)>);

impl Code {
    fn new(lengths: &[usize]) -> Self {
        let mut next = 0;
        let of_length = |length: usize| {
            let own = lengths.iter().enumerate().filter(|(_, own)| **own == length);
            let symbols: Vec<usize> = own.map(|(symbol, _)| symbol).collect();
            let first = next << 1;
            next = first + symbols.len();
            (first, symbols)
        };
        Self((1..=15).map(of_length).collect())
    }

    /// A code that uses up all words of its longest length.
    fn whole(lengths: &[usize]) -> Result<Self, Fault> {
        if kraft(lengths) == 1 << 15 {
            Ok(Self::new(lengths))
        } else {
            Err(Fault::CompressedInvalid)
        }
    }

    /// §3.2.7 allows one word of one bit besides, and no word at all where there is nothing to say.
    fn whole_or_single(lengths: &[usize]) -> Result<Self, Fault> {
        let used: Vec<usize> = lengths.iter().copied().filter(|length| *length > 0).collect();
        if used.is_empty() || used == [1] {
            return Ok(Self::new(lengths));
        }
        Self::whole(lengths)
    }
}

/// How much of the words of 15 bits a code uses up.
fn kraft(lengths: &[usize]) -> usize {
    lengths
        .iter()
        .filter(|length| **length > 0)
        .map(|length| 1 << (15 - length))
        .sum()
}
