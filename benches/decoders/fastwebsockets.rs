//! fastwebsockets' `FragmentCollector`, which like ours gives whole messages.

use super::{MESSAGE_BYTES_MAX, count};
use crate::talk::Tally;
use crate::talk::link::Link;
use fastwebsockets::{FragmentCollector, OpCode, Role, WebSocket};
use std::cell::Cell;
use std::hint::black_box;
use std::rc::Rc;

pub(super) async fn converse(link: Link, tally: Rc<Cell<Tally>>) {
    let mut socket = WebSocket::after_handshake(link, Role::Server);
    socket.set_max_message_size(MESSAGE_BYTES_MAX + 1);
    let mut socket = FragmentCollector::new(socket);
    loop {
        let frame = socket.read_frame().await.expect("the stream is valid");
        match frame.opcode {
            // It has validated the text, and gives it as bytes.
            OpCode::Text => count(&tally, black_box(&frame.payload).len()),
            OpCode::Pong => {}
            OpCode::Continuation | OpCode::Binary | OpCode::Close | OpCode::Ping => {
                unreachable!("the stream has none, or it has answered")
            }
        }
    }
}
