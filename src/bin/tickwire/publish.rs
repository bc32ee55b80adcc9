//! `tickwire pub`: publishes lines over a WebSocket.
//!
//! Never stops at a bad line: it is told with its number and why, and counts as refused. Never reads further ahead than so many
//! lines are unanswered, so that a publisher that is faster than the server waits.
//!
//! Invariant: a line is published once, also where the connection breaks while it is under way.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use std::collections::VecDeque;
use std::fmt;
use std::fs::File;
use std::io::{self, BufReader, Write};
use std::path::PathBuf;

use tickwire::client::{Client, ClientError, Clock, ConnectError, Event, Url};
use tokio::sync::mpsc::{Receiver, channel};

use crate::signals::Signals;
use crate::text::{Printable, Span};
use lines::Line;

mod lines;

/// Publish JSON lines on channels of a server.
///
/// Each line is an object as `tickwire serve --source stdin` takes them, {"ch":"room:42","t":"msg","data":…}; with --ch it is
/// any JSON value, which becomes a message there. Lines that are refused are told with their numbers, and end it with status 1.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server.
    #[arg(long, default_value = "ws://127.0.0.1:9001", value_name = "URL")]
    url: Url,
    /// Publish every line on this channel.
    #[arg(long, value_name = "CHANNEL")]
    ch: Option<String>,
    /// Publish line 7 with the key NAME-7, so that the server takes it once however often it is sent, by this process or
    /// another [default: a name that no other process has].
    #[arg(long, value_name = "NAME")]
    key: Option<String>,
    /// What proves that you may.
    #[arg(long, value_name = "TOKEN")]
    token: Option<String>,
    /// The lines [default: standard input].
    #[arg(value_name = "FILE")]
    file: Option<PathBuf>,
}

/// Publishes as asked until the lines end. Must not be called from within a runtime.
///
/// # Errors
/// Why not every line was published.
pub(crate) fn run(args: &Args) -> Result<(), PublishError> {
    let lines: Box<dyn io::Read + Send> = match &args.file {
        None => Box::new(io::stdin()),
        Some(path) => Box::new(File::open(path).map_err(|error| PublishError::File {
            path: path.clone(),
            error,
        })?),
    };
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(PublishError::Runtime)?;
    // A thread of its own, for neither a terminal nor a file can be waited for like a socket. It ends with the process.
    let (sender, receiver) = channel(LINES_AHEAD);
    std::thread::spawn(move || lines::read(BufReader::new(lines), |line| sender.blocking_send(line).is_ok()));
    runtime.block_on(publish(args, receiver))
}

/// Why not every line was published.
#[derive(Debug)]
pub(crate) enum PublishError {
    /// The operating system gives no event queue or signal handler.
    Runtime(io::Error),
    /// The file cannot be read.
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        error: io::Error,
    },
    /// There is no connection.
    Connect(ConnectError),
    /// There is none any more, and will not be.
    Ended(ClientError),
    /// Lines were refused.
    Refused {
        /// How many.
        lines: u64,
    },
    /// It was told to end.
    Interrupted {
        /// Lines that were sent and of which nothing is known.
        unanswered: usize,
    },
}

impl fmt::Display for PublishError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "cannot wait for sockets and signals: {error}"),
            Self::File { path, error } => write!(f, "cannot read {}: {error}", path.display()),
            Self::Connect(error) => write!(f, "{error}"),
            Self::Ended(error) => write!(f, "{error}"),
            Self::Refused { lines } => write!(f, "{lines} lines were refused; see the reasons above"),
            Self::Interrupted { unanswered } => write!(
                f,
                "interrupted; of {unanswered} lines that were under way it is not known whether they were published"
            ),
        }
    }
}

impl std::error::Error for PublishError {}

/// Connects, publishes every line, and waits for the answers.
async fn publish(args: &Args, mut lines: Receiver<Line>) -> Result<(), PublishError> {
    let mut signals = Signals::new().map_err(PublishError::Runtime)?;
    let mut builder = Client::builder(&args.url);
    if let Some(token) = &args.token {
        builder = builder.token(token);
    }
    let connected = tokio::select! {
        () = signals.next() => return Ok(()),
        connected = builder.connect() => connected,
    };
    let mut client = connected.map_err(PublishError::Connect)?;
    let clock = Clock::start();
    let mut publisher = Publisher::new(args);
    let ended = loop {
        if publisher.is_done() {
            break Ok(());
        }
        tokio::select! {
            biased;
            () = signals.next() => {
                let unanswered = publisher.under_way.len();
                break Err(PublishError::Interrupted { unanswered });
            }
            event = client.next() => match event {
                Ok(event) => publisher.hear(&event),
                Err(ended) => break Err(PublishError::Ended(ended)),
            },
            line = lines.recv(), if publisher.may_read() => publisher.read(line, &mut client),
        }
    };
    tell(&publisher.summary(clock.now().mono_ns));
    if ended.is_ok() {
        tokio::select! {
            () = signals.next() => {}
            // A server that does not answer does not make the lines less published.
            _ = client.close() => {}
        }
    }
    match publisher.refused {
        0 => ended,
        lines => ended.and(Err(PublishError::Refused { lines })),
    }
}

/// What becomes of the lines.
#[derive(Debug)]
struct Publisher {
    channel: Option<String>,
    key: Option<String>,
    /// Requests that are not answered, with the numbers of their lines.
    under_way: VecDeque<(u64, u64)>,
    lines: u64,
    published: u64,
    refused: u64,
    has_ended: bool,
}

impl Publisher {
    fn new(args: &Args) -> Self {
        Self {
            channel: args.ch.clone(),
            key: args.key.clone(),
            under_way: VecDeque::new(),
            lines: 0,
            published: 0,
            refused: 0,
            has_ended: false,
        }
    }

    /// Whether all lines are read and answered.
    fn is_done(&self) -> bool {
        self.has_ended && self.under_way.is_empty()
    }

    fn may_read(&self) -> bool {
        !self.has_ended && self.under_way.len() < LINES_UNDER_WAY
    }

    /// Publishes a line; without one, there are no more.
    fn read(&mut self, line: Option<Line>, client: &mut Client) {
        let Some(line) = line else {
            self.has_ended = true;
            return;
        };
        self.lines += 1;
        let number = line.number;
        match self.send(line, client) {
            Ok(id) => self.under_way.push_back((id, number)),
            Err(why) => self.refuse(number, &why),
        }
    }

    fn send(&self, line: Line, client: &mut Client) -> Result<u64, String> {
        let text = line.text?;
        let text = str::from_utf8(&text).map_err(|_| "not UTF-8".to_owned())?;
        let key = self.key.as_ref().map(|name| format!("{name}-{}", line.number));
        let asked = match (&self.channel, &key) {
            (Some(channel), None) => client.publish(channel, text),
            (Some(channel), Some(key)) => client.publish_once(channel, text, key),
            (None, key) => client.publish_line(text, key.as_deref()),
        };
        asked.map_err(|error| error.to_string())
    }

    fn hear(&mut self, event: &Event<'_>) {
        match event {
            Event::Published(published) => {
                let published = self.answered(published.id);
                self.published += u64::from(published.is_some());
            }
            Event::Refused {
                refused,
                again: false,
            } => match self.answered(refused.id) {
                Some(number) => self.refuse(number, &format!("{} {}", refused.code, refused.msg)),
                None => tell(&format!("the server says: {} {}", refused.code, refused.msg)),
            },
            Event::Disconnected(disconnected) => {
                let retry_ns = u64::try_from(disconnected.retry_in.as_nanos()).unwrap_or(u64::MAX);
                tell(&format!(
                    "{}; trying again in {}",
                    disconnected.why,
                    Span(retry_ns)
                ));
            }
            _ => {}
        }
    }

    /// The line that a request was for, which is answered now.
    fn answered(&mut self, id: Option<u64>) -> Option<u64> {
        let at = self.under_way.iter().position(|(asked, _)| Some(*asked) == id)?;
        self.under_way.remove(at).map(|(_, line)| line)
    }

    fn refuse(&mut self, line: u64, why: &str) {
        self.refused += 1;
        tell(&format!("line {line}: {why}"));
    }

    fn summary(&self, elapsed_ns: u64) -> String {
        let mut summary = format!(
            "{} lines in {}: published {}, refused {}",
            self.lines,
            Span(elapsed_ns),
            self.published,
            self.refused
        );
        if !self.under_way.is_empty() {
            summary += &format!(", not answered {}", self.under_way.len());
        }
        summary
    }
}

/// Writes one line to standard error; where that is closed, nobody wants to know.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "tickwire pub: {}", Printable(line));
}

/// Lines that are read before they are wanted.
const LINES_AHEAD: usize = 64;
/// Lines that are sent and not answered.
const LINES_UNDER_WAY: usize = 512;

#[cfg(test)]
mod tests {
    use clap::Parser;
    use tickwire::dialect::native_json::ServerMessage;

    use super::*;

    #[derive(Parser)]
    struct CommandLine {
        #[command(flatten)]
        args: Args,
    }

    fn publisher(words: &[&str]) -> (Publisher, Client) {
        let args = CommandLine::try_parse_from([&["pub"], words].concat())
            .unwrap()
            .args;
        let client = Client::builder(&args.url).build().unwrap();
        (Publisher::new(&args), client)
    }

    fn line(number: u64, text: &str) -> Option<Line> {
        let text = Ok(text.as_bytes().to_vec());
        Some(Line { number, text })
    }

    fn hear(publisher: &mut Publisher, text: &str) {
        let mut levels = Vec::new();
        publisher.hear(&ServerMessage::parse(text, &mut levels).unwrap().into());
    }

    #[test]
    fn lines_are_published_and_refused_by_their_numbers() {
        let (mut publisher, mut client) = publisher(&[]);
        for (number, text) in [
            (1, r#"{"ch":"room:42","t":"msg","data":{"a":1}}"#),
            (2, "not JSON"),
            (3, r#"{"ch":"trade:X","t":"trade","px":"1","sz":"1","side":"up"}"#),
            (5, r#"{"ch":"room:42","t":"msg","data":2}"#),
        ] {
            publisher.read(line(number, text), &mut client);
        }
        assert_eq!((publisher.under_way.len(), publisher.refused), (2, 2));
        hear(&mut publisher, r#"{"t":"ack","id":1,"ch":"room:42","seq":17}"#);
        hear(&mut publisher, r#"{"t":"error","id":2,"code":4003,"msg":"no"}"#);
        hear(
            &mut publisher,
            r#"{"t":"error","id":9,"code":4003,"msg":"of something else"}"#,
        );
        assert!(!publisher.is_done());
        publisher.read(None, &mut client);
        assert!(publisher.is_done() && !publisher.may_read());
        assert_eq!(
            publisher.summary(1_200_000_000),
            "4 lines in 1.20 s: published 1, refused 3"
        );
    }

    #[test]
    fn with_a_channel_each_line_is_what_is_published_there() {
        let (mut publisher, mut client) = publisher(&["--ch", "room:42", "--key", "import"]);
        for (number, text) in [(1, "[1, 2]"), (2, "{\"t\":\"trade\"}"), (3, "no JSON")] {
            publisher.read(line(number, text), &mut client);
        }
        assert_eq!((publisher.under_way.len(), publisher.refused), (2, 1));
    }

    #[test]
    fn not_more_lines_are_read_than_are_answered() {
        let (mut publisher, mut client) = publisher(&["--ch", "room:42"]);
        let mut number = 0;
        while publisher.may_read() {
            number += 1;
            publisher.read(line(number, "1"), &mut client);
        }
        assert_eq!(publisher.under_way.len(), LINES_UNDER_WAY);
        hear(&mut publisher, r#"{"t":"ack","id":1,"ch":"room:42","seq":17}"#);
        assert!(publisher.may_read());
    }
}
