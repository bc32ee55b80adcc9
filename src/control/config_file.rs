//! A server's configuration file, TOML: what its command line may say, and what is said of channels by pattern.
//!
//! Never fills in a default, and looks at nothing but the file: what it does not say, the command line or the default says.
//!
//! Invariant: whatever is wrong with a file is told in one line, with the file, the line and the key where there is one, and
//! what may stand there instead.

use std::fmt;
use std::fs::File;
use std::io::{self, Read as _};
use std::marker::PhantomData;
use std::net::SocketAddr;
use std::num::NonZeroUsize;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde::Deserialize;
use serde::de::{Deserializer, Visitor};
use toml::Spanned;

use super::Bytes;
use crate::dialect::Publishers;
use crate::dialect::publisher::{Grants, Publisher};
use crate::limits::{CONFIG_FILE_BYTES_MAX, DERIVED_PER_BASE_MAX, TERMS_MAX};
use crate::market::{ChannelClass, ChannelRule, ChannelRules, Offer, OfferError, Pattern};
use crate::ring::Descriptors;
use crate::shard::{Policy, Slack, Terms};
use crate::writer::IngestSpec;
use crate::writer::journal::{Age, SyncPolicy};
use crate::writer::source::{SourceSpec, Speed};

/// What a configuration file says. Its keys are the options of `serve`, with `_` for `-`.
///
/// ```
/// use std::path::Path;
/// use tickwire::control::ConfigFile;
/// use tickwire::market::{ChannelClass, ChannelName};
/// use tickwire::shard::Slack;
///
/// let text = r#"
///     listen = "127.0.0.1:9001"
///     shards = 2
///
///     [[channel]]
///     pattern = "status:*"
///     class = "replace"
/// "#;
/// let file = ConfigFile::parse(text, Path::new("tickwire.toml"))?;
/// let status = ChannelName::parse("status:venue")?;
/// assert_eq!(file.shards.map(|shards| shards.get()), Some(2));
/// assert_eq!(file.channels(Slack::default())?.rules.class(status), ChannelClass::Replace);
///
/// let error = ConfigFile::parse("\nshards = 0", Path::new("tickwire.toml")).unwrap_err();
/// assert!(error.to_string().starts_with("tickwire.toml:2: shards: "));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ConfigFile {
    /// Where ticks come from.
    #[serde(deserialize_with = "written")]
    pub source: Option<SourceSpec>,
    /// How fast a capture or a journal is replayed.
    #[serde(deserialize_with = "written")]
    pub speed: Option<Speed>,
    /// How many clients must have subscribed before the source begins.
    pub wait: Option<u64>,
    /// Where to listen.
    #[serde(deserialize_with = "written")]
    pub listen: Option<SocketAddr>,
    /// Where metrics and health are told.
    #[serde(deserialize_with = "written")]
    pub admin: Option<SocketAddr>,
    /// How many shards.
    pub shards: Option<NonZeroUsize>,
    /// How many connections all shards together serve.
    pub connections: Option<NonZeroUsize>,
    /// Whose descriptors their sockets are.
    pub descriptors: Option<DescriptorsKey>,
    /// How much memory the plan may come to.
    #[serde(deserialize_with = "written")]
    pub memory: Option<Bytes>,
    /// Subscriptions that there is memory for, for each connection.
    pub subscriptions: Option<NonZeroUsize>,
    /// Whether messages are compressed for clients that ask for it.
    pub compression: Option<bool>,
    /// The length from which they are.
    pub compression_threshold: Option<usize>,
    /// Whether messages are also there in binary.
    pub binary: Option<bool>,
    /// Bytes of the tape's track of JSON.
    pub tape_bytes: Option<usize>,
    /// Records of the tape's index.
    pub tape_records: Option<usize>,
    /// Milliseconds by which a client may be behind.
    pub behind_ms: Option<u64>,
    /// Bytes by which it may be.
    #[serde(deserialize_with = "written")]
    pub behind_bytes: Option<Bytes>,
    /// Seconds of silence after which a subscriber is sent a heartbeat.
    pub heartbeat_seconds: Option<u32>,
    /// Seconds for which the server goes on when it has been told to stop.
    pub drain_seconds: Option<u32>,
    /// The directory of the journal.
    pub journal: Option<PathBuf>,
    /// When it is synced.
    #[serde(deserialize_with = "written")]
    pub journal_sync: Option<SyncPolicy>,
    /// Bytes of messages in one of its files.
    #[serde(deserialize_with = "written")]
    pub journal_segment: Option<Bytes>,
    /// Bytes of all of them.
    #[serde(deserialize_with = "written")]
    pub journal_keep: Option<Bytes>,
    /// How old they may become.
    #[serde(deserialize_with = "written")]
    pub journal_age: Option<Age>,
    /// Bytes of a socket's send buffer.
    #[serde(deserialize_with = "written")]
    pub send_buffer: Option<Bytes>,
    /// Bytes of it that may be unsent.
    #[serde(deserialize_with = "written")]
    pub unsent: Option<Bytes>,
    /// Bytes of a socket's receive buffer.
    #[serde(deserialize_with = "written")]
    pub receive_buffer: Option<Bytes>,
    /// Connections that may wait to be accepted.
    pub backlog: Option<u32>,
    /// Seconds between the pings of a connection.
    pub ping_seconds: Option<u32>,
    /// Sockets on which others publish lines.
    ingest: Vec<Spanned<String>>,
    /// Channels that every client may publish on.
    publish: Vec<Spanned<String>>,
    /// What is said of channels.
    channel: Vec<ChannelTable>,
    /// What may be derived of them.
    derived: DerivedTable,
    /// Who may publish more.
    publisher: Vec<PublisherTable>,
    /// Where it was read from, and what stands there: for what is found out later.
    #[serde(skip)]
    origin: Origin,
}

/// What is said of the channels that one pattern matches.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct ChannelTable {
    pattern: Spanned<String>,
    #[serde(default)]
    class: Option<Spanned<ClassKey>>,
    #[serde(default)]
    policy: Option<Spanned<PolicyKey>>,
    #[serde(default)]
    behind_ms: Option<u64>,
    #[serde(default, deserialize_with = "written")]
    behind_bytes: Option<Bytes>,
}

/// What clients may have derived.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct DerivedTable {
    depths: Option<Vec<Spanned<usize>>>,
    intervals: Option<Vec<Spanned<String>>>,
}

/// What a file says of channels.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Channels {
    /// What is said of which.
    pub rules: ChannelRules,
    /// The terms that these name, from number 1 on.
    pub terms: Vec<Terms>,
}

/// Somebody who has a token.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublisherTable {
    name: Spanned<String>,
    token: Spanned<String>,
    publish: Vec<Spanned<String>>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClassKey {
    Append,
    Replace,
    Book,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
enum PolicyKey {
    Conflate,
    Gap,
    Disconnect,
}

/// Whose descriptors sockets are, as a file says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum DescriptorsKey {
    /// The process's.
    Process,
    /// Each shard's own.
    Registered,
}

/// A file and its text.
#[derive(Clone, Debug, Default)]
struct Origin {
    path: PathBuf,
    text: String,
}

impl ConfigFile {
    /// Reads a file.
    ///
    /// # Errors
    /// When it cannot be read, or something in it is wrong.
    pub fn load(path: &Path) -> Result<Self, ConfigFileError> {
        let unread = |error: io::Error| {
            let what = format!("cannot be read: {error}; name a file that this user may read: --config FILE");
            ConfigFileError::at(path, None, what)
        };
        let mut text = String::new();
        let file = File::open(path).map_err(unread)?;
        let read = file.take(CONFIG_FILE_BYTES_MAX + 1).read_to_string(&mut text);
        if read.map_err(unread)? as u64 > CONFIG_FILE_BYTES_MAX {
            let what = format!("has more than {CONFIG_FILE_BYTES_MAX} bytes; is it the right file?");
            return Err(ConfigFileError::at(path, None, what));
        }
        Self::parse(&text, path)
    }

    /// Reads the text of the file at `path`.
    ///
    /// # Errors
    /// When something in it is wrong.
    pub fn parse(text: &str, path: &Path) -> Result<Self, ConfigFileError> {
        let origin = Origin {
            path: path.into(),
            text: text.to_owned(),
        };
        match toml::from_str::<Self>(text) {
            Ok(file) => {
                let file = Self { origin, ..file };
                file.channels(Slack::default())?;
                file.publishers(&[])?;
                file.ingest()?;
                Ok(file)
            }
            Err(error) => Err(origin.error(error.span(), error.message())),
        }
    }

    /// Who may publish what, where everybody may publish on what these patterns match, too.
    ///
    /// # Errors
    /// When a pattern is none, a name or token is too short or too long, or two are the same.
    pub fn publishers(&self, anyone: &[String]) -> Result<Publishers, ConfigFileError> {
        let mut named = Vec::new();
        for table in &self.publisher {
            let grants = self.grants(&table.publish)?;
            let publisher = Publisher::new(table.name.get_ref(), table.token.get_ref(), grants);
            named.push(publisher.map_err(|what| self.origin.error(Some(table.name.span()), &what))?);
        }
        let mut all = self.grants(&self.publish)?;
        for pattern in anyone {
            let added = all.add(pattern);
            added.map_err(|error| self.origin.error(None, &format!("--publish {pattern}: {error}")))?;
        }
        let place = || self.publisher.last().map(|table| table.name.span());
        Publishers::new(all, named).map_err(|what| self.origin.error(place(), &what))
    }

    /// Where lines come in.
    ///
    /// # Errors
    /// When it is no socket.
    pub fn ingest(&self) -> Result<Vec<IngestSpec>, ConfigFileError> {
        let specs = self.ingest.iter().map(|text| {
            let spec = text.get_ref().parse();
            spec.map_err(|what: String| self.origin.error(Some(text.span()), &what))
        });
        specs.collect()
    }

    fn grants(&self, patterns: &[Spanned<String>]) -> Result<Grants, ConfigFileError> {
        let mut grants = Grants::default();
        for pattern in patterns {
            grants.add(pattern.get_ref()).map_err(|error| {
                let what = format!("{error}; a pattern is kind:symbol, kind:* or *");
                self.origin.error(Some(pattern.span()), &what)
            })?;
        }
        Ok(grants)
    }

    /// What it says of channels, where clients may be behind by `slack` unless something else is said.
    ///
    /// # Errors
    /// When a pattern is none or stands there twice, is given a class that does not fit or a policy that the class cannot
    /// have, or there are too many different terms; or when something is to be derived that cannot be.
    pub fn channels(&self, slack: Slack) -> Result<Channels, ConfigFileError> {
        let mut channels = Channels::default();
        for table in &self.channel {
            let wrong = |span: Range<usize>, what: String| self.origin.error(Some(span), &what);
            let pattern = Pattern::parse(table.pattern.get_ref()).map_err(|error| {
                let what = format!("{error}; a pattern is kind:symbol, kind:* or *");
                wrong(table.pattern.span(), what)
            })?;
            let rule = ChannelRule {
                class: table.class.as_ref().map(|class| (*class.get_ref()).into()),
                terms: channels.number(table.terms(slack), slack).ok_or_else(|| {
                    let what = format!(
                        "more than {TERMS_MAX} different policies and thresholds; make some of them alike"
                    );
                    wrong(table.pattern.span(), what)
                })?,
            };
            channels.rules.add(pattern, rule).map_err(|error| {
                let class = table.class.as_ref().filter(|_| error.is_of_class());
                let span = class.map_or(table.pattern.span(), Spanned::span);
                wrong(span, error.to_string())
            })?;
            if let Some(policy) = &table.policy
                && *policy.get_ref() == PolicyKey::Conflate
                && !has_state(pattern, rule)
            {
                let what = "only channels of class replace or book have a state to skip to; choose gap or disconnect, or \
                            say it of each kind that has one";
                return Err(wrong(policy.span(), what.to_owned()));
            }
        }
        channels.rules = channels.rules.offering(self.offer()?);
        Ok(channels)
    }

    fn offer(&self) -> Result<Offer, ConfigFileError> {
        let mut offer = Offer::default();
        let wrong = |span, error: OfferError| self.origin.error(Some(span), &error.to_string());
        if let Some(depths) = &self.derived.depths {
            offer = offer.without_depths();
            for depth in depths {
                let added = offer.add_depth(*depth.get_ref());
                added.map_err(|error| wrong(depth.span(), error))?;
            }
        }
        if let Some(intervals) = &self.derived.intervals {
            offer = offer.without_intervals();
            for interval in intervals {
                let added = offer.add_interval(interval.get_ref());
                added.map_err(|error| wrong(interval.span(), error))?;
            }
        }
        let (names, most) = (offer.names().0, DERIVED_PER_BASE_MAX);
        if names > most {
            let what = format!(
                "[derived] comes to {names} channels of one book, more than the {most} that can be derived of it at once; \
                 offer fewer depths or intervals"
            );
            return Err(self.origin.error(None, &what));
        }
        Ok(offer)
    }
}

impl ChannelTable {
    fn terms(&self, slack: Slack) -> Terms {
        Terms {
            policy: self.policy.as_ref().map(|policy| (*policy.get_ref()).into()),
            slack: Slack {
                ms: self.behind_ms.unwrap_or(slack.ms),
                bytes: self.behind_bytes.map_or(slack.bytes, |bytes| bytes.0),
            },
        }
    }
}

impl Channels {
    /// The number of these terms, under which they are kept; `None` where there are as many as may be.
    fn number(&mut self, terms: Terms, slack: Slack) -> Option<u8> {
        if terms == (Terms { policy: None, slack }) {
            return Some(0);
        }
        let known = self.terms.iter().position(|known| *known == terms);
        let at = known.unwrap_or(self.terms.len());
        if known.is_none() {
            self.terms.push(terms);
        }
        u8::try_from(at + 1)
            .ok()
            .filter(|&number| usize::from(number) < TERMS_MAX)
    }
}

/// Whether all channels that the pattern matches have a state that stands for what was before.
fn has_state(pattern: Pattern<'_>, rule: ChannelRule) -> bool {
    let kind = match pattern {
        Pattern::All => return false,
        Pattern::Kind(kind) => kind,
        Pattern::Exact(name) => name.kind(),
    };
    let class = rule.class.unwrap_or_else(|| ChannelClass::default_for_kind(kind));
    class != ChannelClass::Append
}

/// What is wrong with a configuration file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConfigFileError {
    path: PathBuf,
    line: Option<usize>,
    what: String,
}

impl ConfigFileError {
    fn at(path: &Path, line: Option<usize>, what: String) -> Self {
        Self {
            path: path.into(),
            line,
            what,
        }
    }
}

impl fmt::Display for ConfigFileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (path, what) = (self.path.display(), &self.what);
        match self.line {
            Some(line) => write!(f, "{path}:{line}: {what}"),
            None => write!(f, "{path}: {what}"),
        }
    }
}

impl std::error::Error for ConfigFileError {}

impl Origin {
    /// What is wrong where: the key is the one of that line.
    fn error(&self, span: Option<Range<usize>>, what: &str) -> ConfigFileError {
        let what: Vec<&str> = what.lines().map(str::trim).collect();
        let what = what.join(", ");
        let before = span.and_then(|span| self.text.get(..span.start));
        let Some(before) = before else {
            return ConfigFileError::at(&self.path, None, what);
        };
        let line = before.bytes().filter(|&byte| byte == b'\n').count() + 1;
        let start = before.rfind('\n').map_or(0, |end| end + 1);
        let key = before
            .get(start..)
            .and_then(|left| left.split_once('='))
            .map(|(key, _)| key.trim());
        let what = match key {
            Some(key) => format!("{key}: {what}"),
            None => what,
        };
        ConfigFileError::at(&self.path, Some(line), what)
    }
}

impl From<ClassKey> for ChannelClass {
    fn from(key: ClassKey) -> Self {
        match key {
            ClassKey::Append => Self::Append,
            ClassKey::Replace => Self::Replace,
            ClassKey::Book => Self::Book,
        }
    }
}

impl From<PolicyKey> for Policy {
    fn from(key: PolicyKey) -> Self {
        match key {
            PolicyKey::Conflate => Self::Conflate,
            PolicyKey::Gap => Self::Gap,
            PolicyKey::Disconnect => Self::Disconnect,
        }
    }
}

impl From<DescriptorsKey> for Descriptors {
    fn from(key: DescriptorsKey) -> Self {
        match key {
            DescriptorsKey::Process => Self::Process,
            DescriptorsKey::Registered => Self::Registered,
        }
    }
}

/// Reads what is written as it would be on the command line; a number may stand without quotation marks.
fn written<'de, D, T>(deserializer: D) -> Result<Option<T>, D::Error>
where
    D: Deserializer<'de>,
    T: FromStr,
    T::Err: fmt::Display,
{
    deserializer.deserialize_any(Written(PhantomData)).map(Some)
}

struct Written<T>(PhantomData<T>);

impl<T> Visitor<'_> for Written<T>
where
    T: FromStr,
    T::Err: fmt::Display,
{
    type Value = T;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, or a number")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<T, E> {
        text.parse().map_err(E::custom)
    }

    fn visit_i64<E: serde::de::Error>(self, number: i64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }

    fn visit_f64<E: serde::de::Error>(self, number: f64) -> Result<T, E> {
        self.visit_str(&number.to_string())
    }
}

#[cfg(test)]
mod tests;
