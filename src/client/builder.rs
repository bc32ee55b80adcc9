//! How a client is to be.

use super::Url;
use super::connection::Wishes;
use super::course::Course;
use super::driver::Client;
use super::error::{BuildError, ConnectError};
use super::ledger::Places;
use super::requests::Op;
use crate::dialect::Encoding;
use crate::dialect::native_json::Command;
use crate::wire::DeflateOffer;

/// How a client is to be. [`build`](Self::build) makes one that connects when it is first asked for an event, and goes on
/// trying; [`connect`](Self::connect) one that is connected.
///
/// ```
/// use tickwire::client::Client;
/// use tickwire::dialect::Encoding;
///
/// let url = "ws://localhost:8080?ch=trade:*".parse()?;
/// let client = Client::builder(&url).encoding(Encoding::Binary).reconnect(false).build()?;
/// assert_eq!(client.unanswered(), 1, "trade:* is asked for");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "a builder makes nothing until `build` or `connect` is called"]
pub struct Builder {
    url: Url,
    wishes: Wishes,
    reconnect: bool,
    seed: Option<u64>,
    token: Option<String>,
    since: Option<Places>,
}

/// What a client keeps of that.
#[derive(Clone, Debug)]
pub(super) struct Options {
    pub(super) url: Url,
    pub(super) wishes: Wishes,
    pub(super) reconnect: bool,
}

impl Builder {
    pub(super) fn new(url: &Url) -> Self {
        Self {
            url: url.clone(),
            wishes: Wishes::default(),
            reconnect: true,
            seed: None,
            token: None,
            since: None,
        }
    }

    /// In which form ticks are to come; JSON unless said. A server that does not speak it refuses.
    pub const fn encoding(mut self, encoding: Encoding) -> Self {
        self.wishes.encoding = encoding;
        self
    }

    /// Whether the server is asked to compress what it sends (RFC 7692), which it may or may not do; not unless said.
    pub fn compression(mut self, wanted: bool) -> Self {
        self.wishes.deflate = wanted.then(DeflateOffer::default);
        self
    }

    /// Whether the client comes back when a connection breaks; it does unless said.
    pub const fn reconnect(mut self, wanted: bool) -> Self {
        self.reconnect = wanted;
        self
    }

    /// From what all chance follows when the client waits before it comes back; chance itself unless said.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Who the client is, said at the beginning of each connection.
    pub fn token(mut self, token: &str) -> Self {
        self.token = Some(token.to_owned());
        self
    }

    /// Where another client stood: channels that are subscribed by name go on from there. Of a book this is of use only to who
    /// has kept the book as well.
    pub fn since(mut self, places: Places) -> Self {
        self.since = Some(places);
        self
    }

    /// Makes a client, which connects when it is asked for an event.
    ///
    /// # Errors
    /// When the address has a query that no server would understand.
    pub fn build(self) -> Result<Client, BuildError> {
        let mut chance = [0; 16];
        getrandom::fill(&mut chance).map_err(BuildError::Random)?;
        let [seed, prefix] = [&chance[..8], &chance[8..]].map(|bytes| {
            bytes
                .iter()
                .fold(0, |number: u64, byte| number << 8 | u64::from(*byte))
        });
        let mut course = Course::new(self.seed.unwrap_or(seed), &format!("{prefix:016x}"));
        if let Some(places) = self.since {
            course.since(places);
        }
        if let Some(token) = &self.token {
            course.authenticate(token);
        }
        let query =
            Command::from_query(self.url.query()).map_err(|error| BuildError::Query(error.message))?;
        if let Some(command) = query {
            let channels = command.channels().iter().map(|channel| (&**channel).into());
            course
                .ask(Op::Subscribe(channels.collect()))
                .map_err(BuildError::Request)?;
        }
        let options = Options {
            url: self.url.without_channels(),
            wishes: self.wishes,
            reconnect: self.reconnect,
        };
        Ok(Client::new(options, course))
    }

    /// Makes a client and its first connection. Nothing is tried twice until there is one.
    ///
    /// # Errors
    /// Why there is no client or no connection; a server that refuses is quoted.
    pub async fn connect(self) -> Result<Client, ConnectError> {
        self.build().map_err(ConnectError::Build)?.connected().await
    }
}
