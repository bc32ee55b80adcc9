//! Our client's session in conversation with the server of the Autobahn|Testsuite, which `tests/autobahn/run` starts
//! and whose verdicts it reads.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::time::Duration;

use tickwire::wire::{
    Client, ClientSession, CloseFrame, Deflate, DeflateOffer, Deflater, Event, HeadScan, Inflater,
    MaskingKey, Offer, Phase, Sender, Silenced,
};

#[test]
fn answers_every_case_that_the_autobahn_testsuite_puts() {
    let Some(address) = std::env::var(VARIABLE).ok() else {
        // Around the test runner, which keeps what a test that passes prints to itself.
        let _ = writeln!(
            io::stderr(),
            "!!!! SKIPPED: no server of the Autobahn|Testsuite in {VARIABLE}; tests/autobahn/run starts one"
        );
        return;
    };
    let count = Conversation::open(&address, "/getCaseCount")
        .and_then(Conversation::hear_one)
        .expect("the suite says how many cases it has");
    let count: usize = count.parse().expect("a number of cases");
    for case in 1..=count {
        // What goes wrong in a case is for the suite to judge, which made it go wrong; it says more about it too.
        if let Err(error) = converse(&address, &format!("/runCase?case={case}&agent=tickwire")) {
            println!("case {case} of {count}: {error}");
        }
    }
    converse(&address, "/updateReports?agent=tickwire").expect("the suite writes its reports");
}

/// Echoes what the suite says, until it ends the stream.
fn converse(address: &str, target: &str) -> io::Result<()> {
    let mut conversation = Conversation::open(address, target)?;
    while conversation.turn(echo)? {}
    Ok(())
}

/// Answers a message with the same message, and a control frame as it must be.
fn echo(event: Event<'_>, sender: &mut Sender<Client>, out: &mut Out) -> Result<(), Silenced> {
    let key = masking_key();
    match (event, &mut out.deflater) {
        (Event::Text(text), Some(deflater)) => sender.text_deflated(text, deflater, key, &mut out.bytes),
        (Event::Text(text), None) => sender.text(text, key, &mut out.bytes),
        (Event::Binary(bytes), Some(deflater)) => {
            sender.binary_deflated(bytes, deflater, key, &mut out.bytes)
        }
        (Event::Binary(bytes), None) => sender.binary(bytes, key, &mut out.bytes),
        (Event::Ping(payload), _) => sender.pong(payload, key, &mut out.bytes),
        (Event::Pong(_), _) => Ok(()),
        (Event::Close(frame), _) => sender.close(frame, key, &mut out.bytes),
    }
}

/// One connection to the suite.
#[derive(Debug)]
struct Conversation {
    stream: TcpStream,
    session: ClientSession,
    buffer: Box<[u8]>,
    /// Bytes of the buffer that the session holds or has not seen.
    filled: usize,
    /// Whether there are bytes that the session has not seen.
    fresh: bool,
    inflater: Option<Inflater>,
    out: Out,
}

/// What is to be sent.
#[derive(Debug)]
struct Out {
    bytes: Vec<u8>,
    deflater: Option<Deflater>,
}

impl Conversation {
    /// Connects and opens a WebSocket.
    fn open(address: &str, target: &str) -> io::Result<Self> {
        let mut stream = TcpStream::connect(address)?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(SILENCE))?;
        let offer = Offer::new(address, target, &[], random())
            .and_then(|offer| offer.with_deflate(EVERYTHING))
            .map_err(io::Error::other)?;
        let mut out = Vec::new();
        offer.write(&mut out);
        stream.write_all(&out)?;
        out.clear();
        let mut buffer =
            vec![0; ClientSession::buffer_bytes_min(MESSAGE_BYTES_MAX) + RECEIVE_BYTES].into_boxed_slice();
        let mut scan = HeadScan::default();
        let mut filled = 0;
        let accepted = loop {
            filled += receive(&mut stream, &mut buffer[filled..])?;
            if let Some(accepted) = offer
                .read(&buffer[..filled], &mut scan)
                .map_err(io::Error::other)?
            {
                break accepted;
            }
        };
        buffer.copy_within(accepted.head_bytes..filled, 0);
        filled -= accepted.head_bytes;
        Ok(Self {
            stream,
            session: ClientSession::new(MESSAGE_BYTES_MAX),
            buffer,
            filled,
            fresh: filled > 0,
            inflater: accepted.deflate.map(inflater),
            out: Out {
                bytes: out,
                deflater: accepted.deflate.map(deflater),
            },
        })
    }

    /// The one text message that the suite answers a question with.
    fn hear_one(mut self) -> io::Result<String> {
        let mut heard = String::new();
        while self.turn(|event, sender, out| {
            if let Event::Text(text) = event {
                heard.push_str(text);
                return Ok(());
            }
            echo(event, sender, out)
        })? {}
        Ok(heard)
    }

    /// Receives, has everything that came answered, and sends the answers. `false` at the end of the stream, which is
    /// the server's to bring about (RFC 6455 §7.1.1): the suite's does so with a reset.
    fn turn(
        &mut self,
        mut answer: impl FnMut(Event<'_>, &mut Sender<Client>, &mut Out) -> Result<(), Silenced>,
    ) -> io::Result<bool> {
        if !std::mem::take(&mut self.fresh) {
            match self.stream.read(&mut self.buffer[self.filled..]) {
                Ok(0) => return Ok(false),
                Ok(bytes) => self.filled += bytes,
                Err(error) if error.kind() == io::ErrorKind::ConnectionReset && self.is_over() => {
                    return Ok(false);
                }
                Err(error) => return Err(error),
            }
        }
        let mut decoder = self
            .session
            .decode_with(&mut self.buffer[..self.filled], self.inflater.as_mut());
        let fault = loop {
            match decoder.next() {
                Ok(Some((event, sender))) => {
                    answer(event, sender, &mut self.out).map_err(io::Error::other)?;
                }
                Ok(None) => break None,
                Err(fault) => break Some(fault),
            }
        };
        self.filled = decoder.finish();
        if let Some(fault) = fault
            && self.session.phase() == Phase::Failed
        {
            let farewell = CloseFrame::from(fault);
            self.session
                .sender()
                .close(Some(farewell), masking_key(), &mut self.out.bytes)
                .map_err(io::Error::other)?;
        }
        self.stream.write_all(&self.out.bytes)?;
        self.out.bytes.clear();
        Ok(true)
    }

    /// Whether both ends have said that they close.
    fn is_over(&self) -> bool {
        self.session.phase() == Phase::Closed
    }
}

/// Reads what the server compresses as it agreed to.
fn inflater(agreed: Deflate) -> Inflater {
    if agreed.server_no_context_takeover {
        Inflater::new(MESSAGE_BYTES_MAX)
    } else {
        Inflater::with_context_takeover(MESSAGE_BYTES_MAX, agreed.server_max_window_bits)
    }
}

/// Compresses as hard as the server allows.
fn deflater(agreed: Deflate) -> Deflater {
    if agreed.client_no_context_takeover {
        Deflater::new(agreed.client_max_window_bits)
    } else {
        Deflater::with_context_takeover(agreed.client_max_window_bits)
    }
}

/// Receives at least one byte.
fn receive(stream: &mut TcpStream, into: &mut [u8]) -> io::Result<usize> {
    match stream.read(into)? {
        0 => Err(io::ErrorKind::UnexpectedEof.into()),
        bytes => Ok(bytes),
    }
}

fn masking_key() -> MaskingKey {
    MaskingKey::new(random())
}

fn random<const BYTES: usize>() -> [u8; BYTES] {
    let mut bytes = [0; BYTES];
    getrandom::fill(&mut bytes).expect("there are random bytes");
    bytes
}

/// Names the suite's server, as an address and a port.
const VARIABLE: &str = "TICKWIRE_AUTOBAHN";
/// Leaves every parameter of permessage-deflate to the suite's server.
const EVERYTHING: DeflateOffer = DeflateOffer {
    server_no_context_takeover: false,
    client_no_context_takeover: false,
    server_max_window_bits: None,
    client_max_window_bits: 15,
};
/// The longest message of the suite, 16 MiB, is accepted.
const MESSAGE_BYTES_MAX: u32 = 16 * 1024 * 1024;
/// Room behind the longest message.
const RECEIVE_BYTES: usize = 64 * 1024;
/// Beyond what any case of the suite keeps silent for: only a hang becomes an error.
const SILENCE: Duration = Duration::from_secs(600);
