//! What a fuzzer gives, taken apart: choices from its front, then the bytes that they are about.
//!
//! Never fails: behind the end of the input every choice is the first one and every piece is empty.

/// The part of an input that was not used yet.
#[derive(Debug)]
pub(super) struct Input<'a> {
    rest: &'a [u8],
}

impl<'a> Input<'a> {
    pub(super) const fn new(data: &'a [u8]) -> Self {
        Self { rest: data }
    }

    /// The next byte.
    pub(super) fn byte(&mut self) -> u8 {
        self.array::<1>()[0]
    }

    /// The next `N` bytes, as many zeros behind them as are lacking.
    pub(super) fn array<const N: usize>(&mut self) -> [u8; N] {
        let taken = self.take(N);
        let mut array = [0; N];
        array[..taken.len()].copy_from_slice(taken);
        array
    }

    /// A choice among `count`, which is at least 1: the number of one of them.
    pub(super) fn below(&mut self, count: usize) -> usize {
        usize::from(self.byte()) % count
    }

    /// The next `count` bytes, or as many as there are.
    pub(super) fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count.min(self.rest.len()));
        self.rest = rest;
        taken
    }

    /// A short piece, whose length is the next byte.
    pub(super) fn piece(&mut self) -> &'a [u8] {
        let count = usize::from(self.byte());
        self.take(count)
    }

    /// Where to cut what comes later.
    pub(super) fn cuts(&mut self) -> Cuts<'a> {
        let count = self.below(CUTS_MAX + 1);
        Cuts(self.take(count))
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// All that is left.
    pub(super) const fn rest(self) -> &'a [u8] {
        self.rest
    }
}

/// Lengths of pieces, used one after the other and then over again.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cuts<'a>(&'a [u8]);

impl Cuts<'_> {
    /// `bytes` in pieces of these lengths, all of it in one where they are none or zero.
    pub(super) fn pieces<'b>(&self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        if self.0.iter().all(|length| *length == 0) {
            return vec![bytes];
        }
        let mut pieces = Vec::new();
        let mut rest = bytes;
        let mut lengths = self.0.iter().cycle();
        while !rest.is_empty() {
            let length = lengths.next().map_or(0, |length| usize::from(*length));
            let (piece, after) = rest.split_at(length.min(rest.len()));
            pieces.push(piece);
            rest = after;
        }
        pieces
    }

    /// What has arrived after each of these pieces: longer and longer beginnings of `bytes`, and at last all of it.
    pub(super) fn arrivals<'b>(&self, bytes: &'b [u8]) -> Vec<&'b [u8]> {
        let mut arrived = 0;
        let ends = self.pieces(bytes).into_iter().map(|piece| {
            arrived += piece.len();
            arrived
        });
        let mut arrivals: Vec<&[u8]> = ends.map(|end| &bytes[..end]).collect();
        if arrivals.is_empty() {
            arrivals.push(bytes);
        }
        arrivals
    }
}

/// Lengths that one input gives for its pieces.
const CUTS_MAX: usize = 7;
