//! `tickwire sub`: subscribes and prints one line for each tick.
//!
//! Never tries twice to reach a server that it has not reached before: who mistypes an address is told so. After that it
//! comes back as any client does, unless it was told not to.
//!
//! Standard output carries ticks and nothing else; all that is said about them goes to standard error.

use std::fmt;
use std::io::{self, BufWriter, Write};
use std::num::NonZeroU64;
use std::pin::pin;
use std::time::Duration;

use jiff::tz::TimeZone;
use tickwire::client::{Client, ClientError, Clock, ConnectError, RequestError, Url};
use tickwire::dialect::Encoding;
use tickwire::dialect::native_json::Command;

use crate::signals::Signals;
use crate::text::Printable;
use follower::Follower;

mod follower;
mod line;
mod tally;

/// Subscribe to channels of a server and print one line for each tick.
///
/// When the connection breaks it comes back and goes on where it was; what it missed for good is told. When it ends (Ctrl-C,
/// --count, --for), a summary on standard error tells messages, gaps in the sequence numbers and latencies. A latency is this host's clock less the time of publication, so it means
/// something only where both hosts' clocks agree.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// The server, as in ws://localhost:8080; port 80 and path /v1/ws unless given, ?ch=… subscribes too.
    url: Url,
    /// Channels to subscribe to: trade:BTC-USD, all of a kind as in 'trade:*', or '*'.
    #[arg(value_name = "CHANNEL")]
    channels: Vec<String>,
    /// End after this many ticks.
    #[arg(long, value_name = "N")]
    count: Option<NonZeroU64>,
    /// Print each tick as the JSON that the server sent, or would have sent.
    #[arg(long)]
    json: bool,
    /// Print no ticks, only the summary.
    #[arg(long)]
    quiet: bool,
    /// In which form the server is to send ticks; they are printed alike.
    #[arg(long, default_value = "json", value_name = "json|bin")]
    encoding: EncodingArg,
    /// Ask the server to compress what it sends, which it does not do to what is binary.
    #[arg(long)]
    compression: bool,
    /// End with an error when the connection does, instead of coming back.
    #[arg(long)]
    no_reconnect: bool,
    /// End after this time, counted from the first open connection; fractions are allowed.
    #[arg(long = "for", value_name = "SECONDS", value_parser = parse_seconds)]
    limit: Option<Duration>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum EncodingArg {
    Json,
    Bin,
}

impl From<EncodingArg> for Encoding {
    fn from(asked: EncodingArg) -> Self {
        match asked {
            EncodingArg::Json => Self::Json,
            EncodingArg::Bin => Self::Binary,
        }
    }
}

/// Subscribes as asked and prints until the end. Must not be called from within a runtime.
///
/// # Errors
/// Why it did not end as asked. A reader of standard output that went away is no error.
pub(crate) fn run(args: &Args) -> Result<(), SubError> {
    let query = Command::from_query(args.url.query()).map_err(|error| SubError::Query(error.message))?;
    if args.channels.is_empty() && query.is_none() {
        return Err(SubError::NoChannel);
    }
    let requests = usize::from(query.is_some()) + usize::from(!args.channels.is_empty());
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(SubError::Runtime)?;
    match runtime.block_on(follow(args, requests)) {
        Err(SubError::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        ended => ended,
    }
}

/// Why following did not end as asked.
#[derive(Debug)]
pub(crate) enum SubError {
    /// The operating system gives no event queue or signal handler.
    Runtime(io::Error),
    /// The address has a query that no server would understand.
    Query(String),
    /// Nothing says what to subscribe to.
    NoChannel,
    /// There is no connection.
    Connect(ConnectError),
    /// The subscription could not be asked for.
    Request(RequestError),
    /// The server granted nothing.
    NothingSubscribed,
    /// The connection ended.
    Ended(ClientError),
    /// Standard output takes no more.
    Output(io::Error),
}

impl fmt::Display for SubError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "cannot wait for sockets and signals: {error}"),
            Self::Query(error) => write!(f, "the query of the address names no channels: {error}"),
            Self::NoChannel => {
                f.write_str("name at least one channel, such as trade:BTC-USD, 'trade:*' or '*'")
            }
            Self::Connect(error) => write!(f, "{error}"),
            Self::Request(error) => write!(f, "{error}"),
            Self::NothingSubscribed => f.write_str(
                "the server granted none of the channels; see the reasons above and mend the names",
            ),
            Self::Ended(error) => write!(f, "{error}"),
            Self::Output(error) => write!(f, "cannot write to standard output: {error}"),
        }
    }
}

impl std::error::Error for SubError {}

/// Connects, subscribes, prints until the end, and closes.
async fn follow(args: &Args, requests: usize) -> Result<(), SubError> {
    let mut signals = Signals::new().map_err(SubError::Runtime)?;
    let connected = tokio::select! {
        () = signals.next() => return Ok(()),
        connected = Client::builder(&args.url)
            .encoding(args.encoding.into())
            .compression(args.compression)
            .reconnect(!args.no_reconnect)
            .connect() => connected,
    };
    let mut client = connected.map_err(SubError::Connect)?;
    let clock = Clock::start();
    if !args.channels.is_empty() {
        client.subscribe(&args.channels).map_err(SubError::Request)?;
    }
    let out = BufWriter::with_capacity(OUTPUT_BYTES, io::stdout().lock());
    let mut follower = Follower::new(args, requests, TimeZone::system(), out);
    let ended = receive(&mut client, &mut follower, args.limit, &mut signals, &clock).await;
    let elapsed_ns = clock.now().mono_ns;
    if ended.is_ok() {
        tokio::select! {
            () = signals.next() => {}
            // A server that does not answer does not make the ticks less printed.
            _ = client.close() => {}
        }
    }
    if !matches!(ended, Err(SubError::Output(_) | SubError::NothingSubscribed)) {
        tell(&follower.summary(elapsed_ns));
    }
    ended
}

/// Prints what is received until the end; an end that was asked for, by whatever means, is `Ok`.
async fn receive(
    client: &mut Client,
    follower: &mut Follower<impl Write>,
    limit: Option<Duration>,
    signals: &mut Signals,
    clock: &Clock,
) -> Result<(), SubError> {
    let mut time_up = pin!(async {
        match limit {
            Some(limit) => tokio::time::sleep(limit).await,
            None => std::future::pending().await,
        }
    });
    loop {
        let received = tokio::select! {
            biased;
            () = signals.next() => return Ok(()),
            () = &mut time_up => return Ok(()),
            received = client.receive() => received,
        };
        let ended = match received {
            Err(ended) => Some(ended),
            Ok(received) => {
                // All that is at hand had arrived by now: one reading of the clock serves it.
                let arrived_ns = clock.now().wall_ns;
                let mut going = follower.hear(&received, arrived_ns);
                while going.is_continue()
                    && let Some(received) = client.next_at_hand()
                {
                    going = follower.hear(&received, arrived_ns);
                }
                None
            }
        };
        follower.flush().map_err(SubError::Output)?;
        for notice in follower.take_notices() {
            tell(&notice);
        }
        if let Some(outcome) = follower.take_outcome() {
            return outcome;
        }
        match ended {
            None => {}
            Some(ended) if follower.is_enough(&ended) => return Ok(()),
            Some(ended) => return Err(SubError::Ended(ended)),
        }
    }
}

/// Writes one line to standard error; where that is closed, nobody wants to know.
fn tell(line: &str) {
    let _ = writeln!(io::stderr(), "tickwire sub: {}", Printable(line));
}

/// A positive number of seconds.
fn parse_seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(limit) if !limit.is_zero() && limit <= LIMIT_MAX => Ok(limit),
        Ok(_) | Err(_) => Err(format!(
            "expected more than 0 and at most {} seconds",
            LIMIT_MAX.as_secs()
        )),
    }
}

/// Bytes of lines that are collected before they are written; what one receive gave is written in any case.
const OUTPUT_BYTES: usize = 64 * 1024;
/// The longest time that `--for` takes: a year.
const LIMIT_MAX: Duration = Duration::from_secs(366 * 24 * 3600);

#[cfg(test)]
mod tests;
