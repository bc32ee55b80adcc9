//! What a thread's connections are about to send.
//!
//! Never sends twice from one socket in a batch: a second send would be tried after a first that was cut. What cannot go
//! behind the first waits in the connection. Invariant: a connection with unsent bytes sends nothing ahead of them.

use super::line::{Line, Peer};
use super::net::Net;
use crate::base::{Key, Prng, Slab};
use crate::limits::{LOAD_SEND_BYTES, LOAD_UNSENT_BYTES_MAX, SEND_BATCH};
use crate::ring::{Batch, Interest, Ring as _, Short, ShortCause};
use crate::wire::{Client, MaskingKey, Sender, Silenced};
use std::ops::Range;

/// Frames of this turn, and who sends them.
#[derive(Debug)]
pub(super) struct Outgoing {
    bytes: Vec<u8>,
    sends: Vec<(Key, Range<usize>)>,
    /// Connections whose unsent bytes may go out once this batch has.
    again: Vec<Key>,
    short: Vec<Short>,
    batch: Batch<'static>,
    random: Prng,
}

/// What became of something to be said.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Said {
    /// It goes out with this turn, or as soon as there is room.
    Queued,
    /// Too much is unsent already.
    NoRoom,
}

impl Outgoing {
    /// `seed` must come from a good source of randomness: masking keys follow from it.
    pub(super) fn new(seed: u64) -> Self {
        Self {
            bytes: Vec::with_capacity(LOAD_SEND_BYTES),
            sends: Vec::with_capacity(SEND_BATCH),
            again: Vec::new(),
            short: Vec::new(),
            batch: Batch::with_capacity(SEND_BATCH, SEND_BATCH),
            random: Prng::new(seed),
        }
    }

    /// Says a text.
    pub(super) fn text(&mut self, key: Key, line: &mut Line, sender: &Sender<Client>, text: &str) -> Said {
        let mask = self.mask();
        self.write(key, line, |out| sender.text(text, mask, out))
    }

    /// A fresh masking key.
    pub(super) fn mask(&mut self) -> MaskingKey {
        let [a, b, c, d, ..] = self.random.next_u64().to_le_bytes();
        MaskingKey::new([a, b, c, d])
    }

    /// Says what `write` writes. What the closing handshake forbids is not said, and that is all right.
    pub(super) fn write(
        &mut self,
        key: Key,
        line: &mut Line,
        write: impl FnOnce(&mut Vec<u8>) -> Result<(), Silenced>,
    ) -> Said {
        let last = self.sends.last_mut().filter(|(last, _)| *last == key);
        if line.unsent.is_empty() && (!line.queued || last.is_some()) {
            let start = self.bytes.len();
            let _silenced = write(&mut self.bytes);
            match last {
                Some((_, range)) => range.end = self.bytes.len(),
                None => self.sends.push((key, start..self.bytes.len())),
            }
            line.queued = true;
            return Said::Queued;
        }
        if line.unsent.len() > LOAD_UNSENT_BYTES_MAX {
            return Said::NoRoom;
        }
        if line.unsent.is_empty() {
            self.again.push(key);
        }
        let _silenced = write(&mut line.unsent);
        Said::Queued
    }

    /// Whether it is time to send.
    pub(super) fn is_full(&self) -> bool {
        self.bytes.len() >= LOAD_SEND_BYTES || self.sends.len() >= SEND_BATCH
    }

    /// Sends everything; gives the connections that are beyond use in `broken`, which is cleared.
    pub(super) fn flush(&mut self, net: &mut Net, peers: &mut Slab<Peer>, broken: &mut Vec<Key>) {
        broken.clear();
        if !self.sends.is_empty() {
            self.send_batch(net, peers, broken);
        }
        for key in std::mem::take(&mut self.again) {
            self.send_unsent(key, net, peers, broken);
        }
    }

    /// Sends what a connection has not sent yet.
    pub(super) fn send_unsent(
        &mut self,
        key: Key,
        net: &mut Net,
        peers: &mut Slab<Peer>,
        broken: &mut Vec<Key>,
    ) {
        let Some(Peer { line, .. }) = peers.get_mut(key) else {
            return;
        };
        if line.writing || line.unsent.is_empty() {
            return;
        }
        let unsent = std::mem::take(&mut line.unsent);
        let mut batch = Batch::with_capacity(1, 1);
        batch.push(line.socket, [&unsent[..]]);
        net.ring.send_batch(&batch, &mut self.short);
        if let Some(short) = self.short.first() {
            cut(key, line, &unsent, *short, net, broken);
        }
    }

    fn send_batch(&mut self, net: &mut Net, peers: &mut Slab<Peer>, broken: &mut Vec<Key>) {
        let mut batch = std::mem::take(&mut self.batch).recycle();
        let mut senders = std::mem::take(&mut self.sends);
        // A connection that is gone has nothing to say, and keeps its place in the batch's order.
        senders.retain(|(key, range)| {
            let Some(Peer { line, .. }) = peers.get_mut(*key) else {
                return false;
            };
            line.queued = false;
            batch.push(line.socket, [&self.bytes[range.clone()]]);
            true
        });
        net.ring.send_batch(&batch, &mut self.short);
        for short in &self.short {
            let (key, range) = &senders[short.index as usize];
            if let Some(Peer { line, .. }) = peers.get_mut(*key) {
                cut(*key, line, &self.bytes[range.clone()], *short, net, broken);
            }
        }
        self.batch = batch.recycle();
        senders.clear();
        self.sends = senders;
        self.bytes.clear();
    }
}

/// A send did not go out whole: the rest goes ahead of what was to follow it.
fn cut(key: Key, line: &mut Line, bytes: &[u8], short: Short, net: &mut Net, broken: &mut Vec<Key>) {
    match short.cause {
        ShortCause::Broken(_) => broken.push(key),
        ShortCause::Full => {
            line.unsent.splice(..0, bytes[short.sent..].iter().copied());
            if !line.writing {
                line.writing = true;
                net.ring.arm(key, line.socket, Interest::Write);
            }
        }
    }
}
