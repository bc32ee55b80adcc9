//! As much of HTTP/1.1 (RFC 9110, RFC 9112) as an opening handshake and a health check need.
//!
//! Never lenient: a head that two readers could read differently is refused. Bodies are not read.
//! What was parsed borrows from the caller's buffer.

mod fields;
mod head;
mod refusal;
mod request;
mod target;

pub use fields::{Fields, Repeated};
pub use head::{HeadFault, HeadScan};
pub use refusal::Refusal;
pub use request::Request;
pub use target::Target;

pub(super) use fields::{is_token, is_token_byte};
pub(super) use request::{is_authority, split_start_line};

/// Writes the answer to a health check that went well: `200 OK`, this body as plain text, and the connection
/// is to be closed.
///
/// ```
/// let mut out = Vec::new();
/// tickwire::wire::write_ok("ok\n", &mut out);
/// assert!(out.starts_with(b"HTTP/1.1 200 OK\r\n") && out.ends_with(b"\r\n\r\nok\n"));
/// ```
pub fn write_ok(body: &str, out: &mut Vec<u8>) {
    write_response(
        "200 OK",
        "Connection: close\r\nCache-Control: no-store\r\n",
        body,
        out,
    );
}

/// Writes a whole response: status line, these field lines, and a body with its length and type.
fn write_response(status: &str, field_lines: &str, body: &str, out: &mut Vec<u8>) {
    let head = format!(
        "HTTP/1.1 {status}\r\n{field_lines}Content-Type: text/plain; charset=utf-8\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    out.extend_from_slice(head.as_bytes());
    out.extend_from_slice(body.as_bytes());
}
