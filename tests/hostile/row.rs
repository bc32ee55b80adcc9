//! Rows of the tables: what is sent, what must come back, who says so.

use std::fmt;

use crate::scene::cannot_serve;
use crate::scene::process::Process;
use crate::scene::raw::{CLOSE, FIN, PING, PONG, Raw, TEXT, UPGRADE, masked};

/// Which of the two services is talked to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Feed,
    Echo,
}

/// One row.
#[derive(Debug)]
pub(crate) struct Row {
    pub(crate) name: String,
    /// The section that asks for the answer.
    pub(crate) rule: &'static str,
    /// What goes before: nothing, where it is the handshake that is tried.
    pub(crate) opening: Opening,
    /// What is sent, each piece by itself.
    pub(crate) sent: Vec<Vec<u8>>,
    pub(crate) answer: Answer,
}

/// How the connection is opened before a row's bytes are sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Opening {
    /// Not at all.
    None,
    /// With a good request.
    Plain,
    /// With a good request, in one segment with the first piece.
    Together,
    /// With a good request, and permessage-deflate is agreed on.
    Deflate,
}

/// What must come back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// One response of this status with these words in it, and the end of the stream.
    Status(u16, &'static str),
    /// An open connection, whose response has this line, or names no such field.
    Opens(Line),
    /// A close frame of this code and reason, and the end of the stream.
    Closes(u16, &'static str),
    /// These frames, by opcode and payload, and a connection that lives.
    Frames(Vec<(u8, Vec<u8>)>),
    /// A text message that begins so, and a connection that lives.
    Says(&'static str),
    /// The end of the stream, without a word.
    Silence,
}

/// What a response must say, or must not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Line {
    Is(&'static str),
    Lacks(&'static str),
}

/// A row whose bytes are one piece.
pub(crate) fn row(
    name: impl Into<String>,
    rule: &'static str,
    opening: Opening,
    sent: impl Into<Vec<u8>>,
    answer: Answer,
) -> Row {
    Row {
        name: name.into(),
        rule,
        opening,
        sent: vec![sent.into()],
        answer,
    }
}

/// Tries every row against a server of its own, and says which failed and how.
pub(crate) fn judge(service: Service, rows: Vec<Row>) {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start(match service {
        Service::Feed => "serve --source sim --listen 127.0.0.1:0 --shards 2 --connections 64",
        Service::Echo => "echo --listen 127.0.0.1:0 --shards 2 --connections 64 --message-bytes 65536",
    });
    let address = process.address();
    let mut failures = Vec::new();
    for row in &rows {
        let told = TellOnPanic(row);
        if let Err(came) = row.attempt(service, Raw::connect(address)) {
            failures.push(format!("{row}\n  came:    {came}"));
        }
        drop(told);
    }
    let (failed, all) = (failures.len(), rows.len());
    assert_eq!(
        failed,
        0,
        "{service:?}, {failed} of {all}:\n\n{}",
        failures.join("\n\n")
    );
    process.signal("TERM");
    assert!(process.wait().status.success(), "the server ends in order");
}

impl Row {
    /// Sends what is to be sent; the error is what came instead of the answer.
    fn attempt(&self, service: Service, mut raw: Raw) -> Result<(), String> {
        let pieces = self.open(service, &mut raw)?;
        for piece in pieces {
            raw.send(piece);
        }
        match &self.answer {
            Answer::Status(status, words) => {
                let came = raw.rest();
                let response = String::from_utf8_lossy(&came);
                let (head, body) = response.split_once("\r\n\r\n").unwrap_or_default();
                // Nothing but this body, so that no second response hides behind the first.
                let length = format!("\r\nContent-Length: {}", body.len());
                let whole = head.starts_with(&format!("HTTP/1.1 {status} "))
                    && head.contains("\r\nConnection: close")
                    && head.contains(&length)
                    && response.contains(words);
                check(whole, || escaped(&came))
            }
            Answer::Opens(line) => {
                let head = raw.head();
                let (says, expected) = match line {
                    Line::Is(line) => (head.contains(&format!("\r\n{line}\r\n")), true),
                    Line::Lacks(field) => (head.contains(field), false),
                };
                let opened = head.starts_with("HTTP/1.1 101 ") && says == expected;
                check(opened, || escaped(head.as_bytes()))?;
                greeted(service, &mut raw)?;
                lives(&mut raw)
            }
            Answer::Closes(code, reason) => {
                let frame = raw.control();
                let payload = [&code.to_be_bytes(), reason.as_bytes()].concat();
                check(frame.opcode == CLOSE && frame.payload == payload, || {
                    format!("{frame:?} {}", escaped(&frame.payload))
                })?;
                raw.send(&masked(FIN | CLOSE, &code.to_be_bytes()));
                let rest = raw.rest();
                check(rest.is_empty(), || {
                    format!("the close frame, and then {}", escaped(&rest))
                })
            }
            Answer::Frames(frames) => {
                for (opcode, payload) in frames {
                    let frame = raw.frame();
                    let payload_came = frame.message();
                    check(frame.opcode == *opcode && payload_came == *payload, || {
                        format!("opcode {} with {}", frame.opcode, escaped(&payload_came))
                    })?;
                }
                lives(&mut raw)
            }
            Answer::Says(words) => {
                let frame = raw.frame();
                let says = frame.opcode == TEXT && frame.payload.starts_with(words.as_bytes());
                check(says, || {
                    format!("opcode {} with {}", frame.opcode, escaped(&frame.payload))
                })?;
                lives(&mut raw)
            }
            Answer::Silence => {
                raw.end();
                let rest = raw.rest();
                check(rest.is_empty(), || escaped(&rest))
            }
        }
    }

    /// Opens the connection, and gives the pieces that are still to be sent.
    fn open(&self, service: Service, raw: &mut Raw) -> Result<&[Vec<u8>], String> {
        let mut pieces = &self.sent[..];
        match self.opening {
            Opening::None => return Ok(pieces),
            Opening::Plain => raw.send(UPGRADE.as_bytes()),
            Opening::Together => {
                raw.send(&[UPGRADE.as_bytes(), &pieces[0]].concat());
                pieces = &pieces[1..];
            }
            Opening::Deflate => {
                let offer = "\r\nSec-WebSocket-Extensions: permessage-deflate\r\n\r\n";
                raw.send(UPGRADE.replace("\r\n\r\n", offer).as_bytes());
                raw.expect_compressed();
            }
        }
        raw.opened();
        greeted(service, raw)?;
        Ok(pieces)
    }
}

/// A feed says who it is; an echo says nothing.
fn greeted(service: Service, raw: &mut Raw) -> Result<(), String> {
    if service == Service::Echo {
        return Ok(());
    }
    let frame = raw.frame();
    check(frame.payload.starts_with(br#"{"t":"hello""#), || {
        format!("no greeting: {frame:?}")
    })
}

/// The connection is as it was: a ping is answered with its own payload and nothing else comes before it.
fn lives(raw: &mut Raw) -> Result<(), String> {
    raw.send(&masked(FIN | PING, b"still there?"));
    let frame = raw.frame();
    check(frame.opcode == PONG && frame.payload == b"still there?", || {
        format!("then opcode {} with {}", frame.opcode, escaped(&frame.payload))
    })?;
    raw.send(&masked(FIN | CLOSE, b""));
    let frame = raw.frame();
    check(frame.opcode == CLOSE && raw.rest().is_empty(), || {
        format!("then {frame:?}")
    })
}

fn check(holds: bool, came: impl FnOnce() -> String) -> Result<(), String> {
    if holds { Ok(()) } else { Err(came()) }
}

/// Bytes as they stand in source, cut where they are many.
fn escaped(bytes: &[u8]) -> String {
    let head = &bytes[..bytes.len().min(SHOWN)];
    let cut = if bytes.len() > SHOWN { "…" } else { "" };
    format!("\"{}{cut}\" ({} bytes)", head.escape_ascii(), bytes.len())
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            name, rule, opening, ..
        } = self;
        writeln!(f, "{name}\n  rule:    {rule}\n  opening: {opening:?}")?;
        for piece in self.sent.iter().take(8) {
            writeln!(f, "  sent:    {}", escaped(piece))?;
        }
        if self.sent.len() > 8 {
            writeln!(f, "           and {} pieces more", self.sent.len() - 8)?;
        }
        write!(f, "  answer:  ")?;
        if let Answer::Frames(frames) = &self.answer {
            for (opcode, payload) in frames {
                write!(f, "opcode {opcode} with {} ", escaped(payload))?;
            }
            return Ok(());
        }
        write!(f, "{:?}", self.answer)
    }
}

/// Says which row it was when something in it fails that is no matter of the answer.
struct TellOnPanic<'a>(&'a Row);

impl Drop for TellOnPanic<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("in this row:\n{}", self.0);
        }
    }
}

const SHOWN: usize = 300;
