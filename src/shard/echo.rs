//! The echo: every message comes back as it came.
//!
//! It knows no commands, and nobody is counted: a client is served as fast as it reads. But what costs much more than
//! was sent, as inflating may, is spread over turns, so that others are heard between.

use super::converse::{Caller, Desk, NO_ROOM_FOR_REPLIES, Reply};
use crate::wire::{Opcode, compressed_server_header, server_header};

impl Desk<'_> {
    /// Answers a message with itself, compressed where that was agreed on and makes it shorter. It is copied once,
    /// from where it lies to where it is owed.
    pub(super) fn echo(&mut self, caller: &mut Caller<'_>, opcode: Opcode, message: &[u8]) -> Reply {
        caller.echoed_bytes += message.len();
        let compressed = match caller.deflate {
            Some(deflate) => {
                let deflater = self.site.deflaters.of_window(deflate.server_max_window_bits);
                deflater.deflate(message)
            }
            None => None,
        };
        let (header, payload) = match compressed {
            Some(payload) => (compressed_server_header(opcode, payload.len()), payload),
            None => (server_header(opcode, message.len()), message),
        };
        match self
            .outboxes
            .append_all(caller.outbox, [header.as_slice(), payload])
        {
            Ok(()) => Reply::Given,
            Err(_) => Reply::Last(NO_ROOM_FOR_REPLIES),
        }
    }
}
