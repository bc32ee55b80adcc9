//! The echo: every message comes back as it came.
//!
//! It knows no commands, and nobody is counted: a client is served as fast as it reads.

use super::converse::{Desk, Reply};
use crate::wire::{Opcode, server_header};

impl Desk<'_> {
    /// Answers a message with itself. Only the header of the frame goes into the scratch: the message is taken from
    /// where it lies.
    pub(super) fn echo<'m>(&mut self, opcode: Opcode, message: &'m [u8]) -> Reply<'m> {
        let header = server_header(opcode, message.len());
        self.site.frame.extend_from_slice(header.as_slice());
        Reply::Given(message)
    }
}
