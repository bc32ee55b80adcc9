//! What can be typed after `tickwire bench`, and what it comes to.

use std::net::IpAddr;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Subcommand, ValueEnum};
use tickwire::load::{
    Asking, Churn, Descriptors, Echo, Fanout, HALF_OPEN_DEFAULT, Idle, Plan, Publish, Scenario, Slow, Storm,
    Target, Template,
};

use super::BenchError;

/// Put a WebSocket server under load and report what came of it.
///
/// Latency counts from when a message was meant to be sent, never from when it was (an open loop). docs/load.md says what
/// each scenario measures and how to read it.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    #[command(subcommand)]
    scenario: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Open connections and hold them: what they cost, what is lost, how long one tick takes to reach them all.
    Idle {
        #[command(flatten)]
        common: Common,
        /// How long they are held.
        #[arg(long, default_value = "30", value_name = "SECONDS", value_parser = seconds)]
        hold: Duration,
        /// Publish one tick at the end, which is to reach them all.
        #[arg(long)]
        tick_at_end: bool,
    },
    /// Publish ticks to many subscribers: how long to the first, the median and the last of them.
    Fanout {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        rate: Rate,
        #[command(flatten)]
        window: Window,
    },
    /// Send messages to a server that sends them back.
    Echo {
        #[command(flatten)]
        common: Common,
        /// Messages a second altogether, answered or not: an open loop.
        #[arg(long, value_name = "N", value_parser = positive)]
        rate: Option<f64>,
        /// Messages under way on each connection: a closed loop, unless there is a --rate.
        #[arg(long, default_value_t = 1, value_name = "N", conflicts_with = "rate")]
        depth: u32,
        /// Bytes of each message.
        #[arg(long, default_value_t = 64, value_name = "N")]
        bytes: usize,
        #[command(flatten)]
        window: Window,
    },
    /// Connect, shake hands, send one message, close; --connections at once, --connect-rate a second.
    Churn {
        #[command(flatten)]
        common: Common,
        /// Bytes of the message, for a server that sends it back; others need --send and --expect.
        #[arg(long, default_value_t = 64, value_name = "N")]
        bytes: usize,
        #[command(flatten)]
        window: Window,
    },
    /// Publish ticks while a share of the subscribers does not read.
    Slow {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        rate: Rate,
        #[command(flatten)]
        window: Window,
        /// The share that stops reading, from 0 to 1.
        #[arg(long, default_value = "0.1", value_name = "SHARE", value_parser = share)]
        slow_share: f64,
        /// Let them read again, for so long.
        #[arg(long, value_name = "SECONDS", value_parser = seconds)]
        resume: Option<Duration>,
    },
    /// Drop all connections at once and let them reconnect, beside some that stay.
    Storm {
        #[command(flatten)]
        common: Common,
        /// Ticks a second, each for all connections.
        #[arg(long, default_value = "5", value_name = "N", value_parser = positive)]
        rate: f64,
        #[command(flatten)]
        window: Window,
        /// Of the connections, those that stay.
        #[arg(long, default_value_t = 100, value_name = "N")]
        bystanders: u32,
        /// How long the storm may last.
        #[arg(long, default_value = "60", value_name = "SECONDS", value_parser = seconds)]
        patience: Duration,
    },
}

/// What every scenario takes.
#[derive(Debug, clap::Args)]
struct Common {
    /// The server [default: ws://127.0.0.1:9001 with all channels of the ticks that are published].
    #[arg(long, value_name = "URL")]
    url: Option<String>,
    /// Connections.
    #[arg(short = 'n', long, default_value_t = 1000, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    connections: u32,
    /// Threads, each with a ring of its own [default: half the cores, and as many as descriptors need].
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// Addresses to connect from [default: any; on this machine itself, as many as there must be ports].
    #[arg(long, value_name = "ADDR", value_delimiter = ',')]
    source: Vec<IpAddr>,
    /// Connections begun in a second [default: as many as --half-open allows].
    #[arg(long, value_name = "N", value_parser = positive)]
    connect_rate: Option<f64>,
    /// Connections on their way at once.
    #[arg(long, default_value_t = HALF_OPEN_DEFAULT, value_name = "N")]
    half_open: usize,
    /// Whose descriptors sockets are: the process's, or the rings' own, which its limit bounds each for itself.
    #[arg(long, default_value = "auto", value_name = "WHOSE")]
    descriptors: DescriptorsOption,
    /// Bytes of each socket's receive buffer [default: what the kernel thinks best].
    #[arg(long, value_name = "N")]
    receive_buffer: Option<u32>,
    /// How long it may take until all connections are ready [default: 60, and one more for every 2,000].
    #[arg(long, value_name = "SECONDS", value_parser = seconds)]
    open_within: Option<Duration>,
    /// A subprotocol to ask for.
    #[arg(long, value_name = "NAME")]
    protocol: Option<String>,
    /// What to say on each connection as soon as it is open.
    #[arg(long, value_name = "TEXT")]
    send: Option<String>,
    /// What must be in a message before a connection is ready [default: for an address with ?ch=, what tickwire grants it
    /// with; for others nothing].
    #[arg(long, value_name = "TEXT")]
    expect: Option<String>,
    /// Start the server with this command, and publish to its standard input.
    #[arg(long, value_name = "COMMAND")]
    server: Option<String>,
    /// The server's process, to be watched, where it is not started with --server.
    #[arg(long, value_name = "PID", conflicts_with = "server")]
    pid: Option<u32>,
    /// Where ticks are written: stdin (the server's, the default with --server), ws (see --publish-url), or a path.
    #[arg(long, value_name = "stdin|ws|PATH")]
    publish: Option<String>,
    /// Where ticks are sent with --publish ws.
    #[arg(long, value_name = "URL", required_if_eq("publish", "ws"))]
    publish_url: Option<String>,
    /// What a tick says, with {mark} for its number and time and {pad} to fill it up.
    #[arg(long, value_name = "TEXT", default_value = TICK)]
    tick: String,
    /// Bytes of a tick [default: as few as it has].
    #[arg(long, value_name = "N", default_value_t = 0)]
    tick_bytes: usize,
    /// Report in JSON.
    #[arg(long)]
    json: bool,
}

/// How ticks are published.
#[derive(Debug, clap::Args)]
struct Rate {
    /// Bursts a second.
    #[arg(long, default_value = "100", value_name = "N", value_parser = positive)]
    rate: f64,
    /// Ticks in each burst.
    #[arg(long, default_value_t = 1, value_name = "N")]
    burst: u32,
}

/// When something counts.
#[derive(Debug, clap::Args)]
struct Window {
    /// How long before it counts.
    #[arg(long, default_value = "2", value_name = "SECONDS", value_parser = seconds)]
    warmup: Duration,
    /// How long it counts.
    #[arg(long, default_value = "10", value_name = "SECONDS", value_parser = seconds)]
    duration: Duration,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum DescriptorsOption {
    Auto,
    Process,
    Registered,
}

/// What was typed, looked up and checked.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) plan: Plan,
    pub(crate) scenario: Scenario,
}

impl Args {
    pub(crate) fn json(&self) -> bool {
        self.common().json
    }

    pub(crate) fn resolve(&self) -> Result<Resolved, BenchError> {
        let scenario = match &self.scenario {
            Command::Idle {
                hold, tick_at_end, ..
            } => Scenario::Idle(Idle {
                hold: *hold,
                tick: *tick_at_end,
            }),
            Command::Fanout { rate, window, .. } => Scenario::Fanout(Fanout {
                per_second: rate.rate,
                burst: rate.burst,
                warmup: window.warmup,
                duration: window.duration,
            }),
            Command::Echo {
                rate,
                depth,
                bytes,
                window,
                ..
            } => Scenario::Echo(Echo {
                message: message(*bytes)?,
                asking: rate.map_or(Asking::Depth(*depth), Asking::Rate),
                warmup: window.warmup,
                duration: window.duration,
            }),
            Command::Churn { bytes, window, .. } => Scenario::Churn(Churn {
                message: message(*bytes)?,
                warmup: window.warmup,
                duration: window.duration,
            }),
            Command::Slow {
                rate,
                window,
                slow_share,
                resume,
                ..
            } => Scenario::Slow(Slow {
                per_second: rate.rate,
                burst: rate.burst,
                share: *slow_share,
                warmup: window.warmup,
                duration: window.duration,
                resume: *resume,
            }),
            Command::Storm {
                rate,
                window,
                bystanders,
                patience,
                ..
            } => Scenario::Storm(Storm {
                per_second: *rate,
                bystanders: *bystanders,
                warmup: window.warmup,
                calm: window.duration,
                patience: *patience,
            }),
        };
        Ok(Resolved {
            plan: self.common().plan(self.speaks())?,
            scenario,
        })
    }

    fn common(&self) -> &Common {
        match &self.scenario {
            Command::Idle { common, .. }
            | Command::Fanout { common, .. }
            | Command::Echo { common, .. }
            | Command::Churn { common, .. }
            | Command::Slow { common, .. }
            | Command::Storm { common, .. } => common,
        }
    }

    /// Whether connections subscribe; those that do not talk to an echo.
    fn speaks(&self) -> Speaks {
        match self.scenario {
            Command::Echo { .. } | Command::Churn { .. } => Speaks::Echo,
            Command::Idle { .. } | Command::Fanout { .. } | Command::Slow { .. } | Command::Storm { .. } => {
                Speaks::Feed
            }
        }
    }
}

/// What a server is taken for unless its address is given.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Speaks {
    Feed,
    Echo,
}

impl Common {
    fn plan(&self, speaks: Speaks) -> Result<Plan, BenchError> {
        let publish = match (self.publish.as_deref(), &self.publish_url) {
            (Some("ws"), Some(url)) => Publish::WebSocket(Box::new(Target::new(url)?)),
            (Some("stdin"), _) => Publish::Stdin,
            (Some(path), _) => Publish::Path(PathBuf::from(path)),
            (None, _) if self.server.is_some() && speaks == Speaks::Feed => Publish::Stdin,
            (None, _) => Publish::Nowhere,
        };
        let url = match (&self.url, speaks, &publish) {
            (Some(url), ..) => url,
            (None, Speaks::Echo, _) => URL_ECHO,
            // Kinds that only ticks make are there only when somebody publishes them.
            (None, Speaks::Feed, Publish::Nowhere) => URL_TRADES,
            (None, Speaks::Feed, _) => URL_ROOMS,
        };
        let mut target = Target::new(url)?;
        let lazily_subscribes = url
            .split_once('?')
            .is_some_and(|(_, query)| query.contains("ch="));
        let granted = (lazily_subscribes && speaks == Speaks::Feed).then(|| GRANTED.to_owned());
        target.protocol.clone_from(&self.protocol);
        target.send.clone_from(&self.send);
        target.expect = self.expect.clone().or(granted);
        let tick = Template::new(&self.tick, self.tick_bytes)
            .map_err(|error| BenchError::Template("--tick", error))?;
        Ok(Plan {
            threads: self.threads,
            sources: self.source.clone(),
            connect_per_second: self.connect_rate.unwrap_or_default(),
            half_open: self.half_open.max(1),
            descriptors: match self.descriptors {
                DescriptorsOption::Auto => Descriptors::Auto,
                DescriptorsOption::Process => Descriptors::Process,
                DescriptorsOption::Registered => Descriptors::Registered,
            },
            receive_buffer_bytes: self.receive_buffer,
            server: self.server.clone(),
            pid: self.pid,
            publish,
            open_within: self.open_within.unwrap_or(open_within(self.connections)),
            ..Plan::new(target, self.connections, tick)
        })
    }
}

/// How long so many connections may take.
fn open_within(connections: u32) -> Duration {
    Duration::from_secs(60 + u64::from(connections / 2_000))
}

fn message(bytes: usize) -> Result<Template, BenchError> {
    Template::new("{mark}{pad}", bytes).map_err(|error| BenchError::Template("--bytes", error))
}

/// A positive number of seconds.
fn seconds(text: &str) -> Result<Duration, String> {
    let seconds = text
        .parse()
        .map_err(|_| "expected a number of seconds".to_owned())?;
    match Duration::try_from_secs_f64(seconds) {
        Ok(span) if span <= SECONDS_MAX => Ok(span),
        Ok(_) | Err(_) => Err(format!("expected 0 to {} seconds", SECONDS_MAX.as_secs())),
    }
}

/// A number above zero.
fn positive(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(number) if number > 0.0 && number <= RATE_MAX => Ok(number),
        Ok(_) | Err(_) => Err(format!("expected a number above 0 and at most {RATE_MAX}")),
    }
}

/// A share of the whole.
fn share(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(share) if (0.0..=1.0).contains(&share) => Ok(share),
        Ok(_) | Err(_) => Err("expected a number from 0 to 1".to_owned()),
    }
}

/// A tick that tickwire reads on its standard input.
const TICK: &str = r#"{"ch":"room:bench","t":"msg","data":{"mark":"{mark}","pad":"{pad}"}}"#;
/// Where such ticks are subscribed.
const URL_ROOMS: &str = "ws://127.0.0.1:9001/v1/ws?ch=room:*";
/// What can be subscribed before there is any tick.
const URL_TRADES: &str = "ws://127.0.0.1:9001/v1/ws?ch=trade:*";
const URL_ECHO: &str = "ws://127.0.0.1:9001/";
/// What stands in tickwire's answer when it grants a subscription.
const GRANTED: &str = r#""ok":[{"#;
/// The longest that anything lasts: a day. Marks tell three.
const SECONDS_MAX: Duration = Duration::from_secs(24 * 3600);
/// More than can be asked for of one machine.
const RATE_MAX: f64 = 1e8;

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;

    #[derive(Debug, clap::Parser)]
    struct Typed {
        #[command(flatten)]
        args: Args,
    }

    fn typed(line: &str) -> Result<Typed, clap::Error> {
        Typed::try_parse_from(std::iter::once("bench").chain(line.split_whitespace()))
    }

    fn plan(line: &str) -> Plan {
        typed(line).unwrap().args.resolve().unwrap().plan
    }

    #[test]
    fn defaults_are_for_a_tickwire_whoever_publishes() {
        let published = plan("fanout --server x");
        assert!(matches!(published.publish, Publish::Stdin));
        assert_eq!(published.target.to_string(), URL_ROOMS);
        assert_eq!(published.target.expect.as_deref(), Some(GRANTED));
        let silent = plan("idle");
        assert!(matches!(silent.publish, Publish::Nowhere));
        assert_eq!(silent.target.to_string(), URL_TRADES);
        let echo = plan("echo --server x");
        assert!(matches!(echo.publish, Publish::Nowhere));
        assert_eq!(
            (echo.target.to_string().as_str(), echo.target.expect),
            (URL_ECHO, None)
        );
    }

    #[test]
    fn only_an_address_that_subscribes_is_expected_to_be_granted_something() {
        assert_eq!(plan("idle --url ws://127.0.0.1:1/").target.expect, None);
        assert!(
            plan("idle --url ws://127.0.0.1:1/v1/ws?ch=a:b")
                .target
                .expect
                .is_some()
        );
        let said = plan("idle --url ws://127.0.0.1:1/?ch=a:b --expect hello --send hi");
        assert_eq!(said.target.expect.as_deref(), Some("hello"));
        assert_eq!(said.target.send.as_deref(), Some("hi"));
    }

    #[test]
    fn what_contradicts_itself_is_refused() {
        for line in [
            "",
            "idle -n 0",
            "echo --rate 10 --depth 2",
            "echo --rate 0",
            "fanout --publish ws",
            "fanout --server x --pid 1",
            "slow --slow-share 2",
            "storm --duration -1",
        ] {
            assert!(typed(line).is_err(), "{line}");
        }
        let short = typed("echo --bytes 8")
            .unwrap()
            .args
            .resolve()
            .unwrap_err()
            .to_string();
        assert!(short.contains("--bytes") && short.contains("24"), "{short}");
    }

    #[test]
    fn more_connections_may_take_longer_to_open() {
        assert_eq!(plan("idle -n 1000").open_within, Duration::from_secs(60));
        assert_eq!(plan("idle -n 1000000").open_within, Duration::from_secs(560));
        assert_eq!(
            plan("idle -n 1000000 --open-within 5").open_within,
            Duration::from_secs(5)
        );
    }
}
