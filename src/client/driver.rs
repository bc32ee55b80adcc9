//! The client: a course, and the sockets that it takes.
//!
//! Never starts a task or a thread, and never reads ahead of its user by more than one load: all that happens, happens while
//! one of its futures is polled. Who does not ask for the next event is a slow consumer, and the server will say so.
//!
//! Invariant: whatever future is dropped, nothing is lost: what has come is kept, a connection that is being opened goes on.

use std::fmt;
use std::future::Future;
use std::ops::ControlFlow;
use std::pin::Pin;
use std::time::Duration;

use tokio::time::{Instant, sleep_until, timeout};

use super::batch::Batch;
use super::builder::Options;
use super::connection::Connection;
use super::conversation::Payload;
use super::course::{Course, Heard, Poll};
use super::error::{ClientError, ConnectError, RequestError};
use super::event::{Disconnected, Event};
use super::ledger::Places;
use super::requests::Op;
use super::{Builder, Url};
use crate::dialect::native_binary::{self, Content};
use crate::dialect::native_json::ServerMessage;
use crate::market::Level;
use crate::wire::CloseCode;

/// A client of a server: it subscribes, comes back when a connection breaks, goes on where it was, and says what it misses.
///
/// Its user takes one event after the other. While he does not, nothing is received: memory stays as it is, and the server
/// deals with him as with a slow consumer.
///
/// ```no_run
/// use tickwire::client::{Client, Event};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let mut client = Client::builder(&"ws://localhost:8080".parse()?).build()?;
/// client.subscribe(&["trade:BTC-USD", "bbo:*"])?;
/// loop {
///     if let Event::Trade(stamp, trade) = client.next().await? {
///         println!("{} {} x {}", stamp.channel, trade.price, trade.size);
///     }
/// }
/// # }
/// ```
#[derive(Debug)]
pub struct Client {
    options: Options,
    course: Course,
    link: Link,
    batch: Batch,
    levels: Vec<Level>,
    /// What is to be told before anything else.
    disconnected: Option<Disconnected>,
    /// From when the course counts.
    origin: Instant,
}

/// An event, and the message that it was read from.
#[derive(Debug)]
pub struct Received<'a> {
    /// What happened.
    pub event: Event<'a>,
    /// The message as it came, one JSON object; empty where it came in binary, and of what the client says itself.
    pub text: &'a str,
    /// Bytes of the message, inflated where it was compressed.
    pub bytes: usize,
}

/// What there is of a connection.
enum Link {
    /// None until then.
    Waiting(Instant),
    /// One is being opened.
    Opening(Opening),
    /// There is one.
    Open(Box<Connection>),
    /// There will be none.
    Over,
}

type Opening = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

impl Client {
    /// How to make a client of the server at this address. What a query `?ch=…` names is subscribed.
    pub fn builder(url: &Url) -> Builder {
        Builder::new(url)
    }

    pub(super) fn new(options: Options, course: Course) -> Self {
        let origin = Instant::now();
        Self {
            options,
            course,
            link: Link::Waiting(origin),
            batch: Batch::default(),
            levels: Vec::new(),
            disconnected: None,
            origin,
        }
    }

    /// Makes the first connection; gives the client back.
    pub(super) async fn connected(mut self) -> Result<Self, ConnectError> {
        let connection = self.opening().await?;
        self.opened(connection);
        Ok(self)
    }

    /// Asks for channels or patterns, and gives the number that the answer will have as its `id`. The request goes out with
    /// the next [`next`](Self::next), and once more on each connection after this one.
    ///
    /// # Errors
    /// Why the request was not made.
    pub fn subscribe<S: AsRef<str>>(&mut self, channels: &[S]) -> Result<u64, RequestError> {
        self.course.ask(Op::Subscribe(boxed(channels)))
    }

    /// Ends subscriptions, by the names that they were begun with.
    ///
    /// # Errors
    /// Why the request was not made.
    pub fn unsubscribe<S: AsRef<str>>(&mut self, channels: &[S]) -> Result<u64, RequestError> {
        self.course.ask(Op::Unsubscribe(boxed(channels)))
    }

    /// Asks for the present state of channels that are subscribed.
    ///
    /// # Errors
    /// Why the request was not made.
    pub fn snapshot<S: AsRef<str>>(&mut self, channels: &[S]) -> Result<u64, RequestError> {
        self.course.ask(Op::Snapshot(boxed(channels)))
    }

    /// Asks what is subscribed.
    ///
    /// # Errors
    /// Why the request was not made.
    pub fn list(&mut self) -> Result<u64, RequestError> {
        self.course.ask(Op::List)
    }

    /// Asks for the server's time; `t0_ns` comes back with it.
    ///
    /// # Errors
    /// Why the request was not made.
    pub fn ping(&mut self, t0_ns: u64) -> Result<u64, RequestError> {
        self.course.ask(Op::Ping { t0_ns })
    }

    /// Publishes a JSON value on a channel, once, also when the connection breaks meanwhile: [`Event::Published`] or
    /// [`Event::Refused`] with this number tells what became of it.
    ///
    /// # Errors
    /// Why the request was not made, [`RequestError::TooManyUnanswered`] above all: events are to be taken before.
    pub fn publish(&mut self, channel: &str, data: &str) -> Result<u64, RequestError> {
        self.course.publish(channel, data, None)
    }

    /// The same with a key of the user's own, 1 to 64 bytes, under which the server publishes only one: for who publishes it
    /// again in another process.
    ///
    /// # Errors
    /// Why the request was not made.
    pub fn publish_once(&mut self, channel: &str, data: &str, key: &str) -> Result<u64, RequestError> {
        self.course.publish(channel, data, Some(key))
    }

    /// Publishes a tick of any kind, as a line of [`Input`](crate::dialect::native_json::Input) says it; with a key or one that
    /// no other has.
    ///
    /// # Errors
    /// Why the request was not made.
    pub fn publish_line(&mut self, line: &str, key: Option<&str>) -> Result<u64, RequestError> {
        self.course.publish_line(line, key)
    }

    /// Says who the client is, now and on each connection after this one: another token before the first expires. What is
    /// published waits until the server has taken the token, and is refused if it does not: [`Event::Refused`].
    pub fn authenticate(&mut self, token: &str) {
        self.course.authenticate(token);
    }

    /// Waits for the next event. Meanwhile requests are sent, pings answered, and connections made.
    ///
    /// Dropping the future loses nothing.
    ///
    /// # Errors
    /// Why there will be none: the server refuses for good, or the client was not to come back.
    pub async fn next(&mut self) -> Result<Event<'_>, ClientError> {
        self.receive().await.map(|received| received.event)
    }

    /// The same, with the message that the event was read from.
    ///
    /// # Errors
    /// As [`next`](Self::next).
    pub async fn receive(&mut self) -> Result<Received<'_>, ClientError> {
        if self.course.has_nameless() && self.disconnected.is_none() && self.batch.is_empty() {
            // Whoever publishes anew for each that is refused must not keep the connection from its turn.
            if let Ok(turned) = timeout(Duration::ZERO, self.turn()).await {
                turned?;
            }
        }
        while !self.has_event() {
            self.turn().await?;
        }
        Ok(self.take())
    }

    /// The next event, if there is one that has come already.
    pub fn next_at_hand(&mut self) -> Option<Received<'_>> {
        self.has_event().then(|| self.take())
    }

    fn has_event(&self) -> bool {
        self.disconnected.is_some() || self.course.has_nameless() || !self.batch.is_empty()
    }

    /// Where the client stands in each channel, for [`Builder::since`]; `None` before the server has greeted.
    #[must_use]
    pub fn places(&self) -> Option<Places> {
        self.course.places()
    }

    /// Requests that are not answered yet.
    #[must_use]
    pub fn unanswered(&self) -> usize {
        self.course.unanswered()
    }

    /// Ends the client: closes the connection, discards what still comes, and waits for the server's close frame.
    ///
    /// # Errors
    /// When that does not come.
    pub async fn close(self) -> Result<(), ClientError> {
        match self.link {
            Link::Open(connection) => connection.close(CloseCode::NORMAL, "").await,
            Link::Waiting(_) | Link::Opening(_) | Link::Over => Ok(()),
        }
    }

    /// Does what is to be done next, which may bring messages.
    async fn turn(&mut self) -> Result<(), ClientError> {
        let now_ms = self.now_ms();
        match &mut self.link {
            Link::Over => return Err(ClientError::Over),
            Link::Waiting(until) => {
                sleep_until(*until).await;
                self.link = Link::Opening(self.opening());
            }
            Link::Opening(opening) => match opening.await {
                Ok(connection) => self.opened(connection),
                Err(error) => return self.lost(ClientError::Connect(error)),
            },
            Link::Open(connection) => {
                let later = make_requests(&mut self.course, connection, now_ms);
                let deadline = self.origin + Duration::from_millis(self.course.deadline_ms().min(later));
                let batch = &mut self.batch;
                let received = tokio::select! {
                    biased;
                    received = connection.receive(|payload| {
                        batch.push(payload);
                        if batch.is_full() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                    }) => Some(received),
                    () = sleep_until(deadline) => None,
                };
                match received {
                    Some(Err(end)) => return self.lost(end),
                    Some(Ok(())) => self.received(),
                    None => self.look_for_life()?,
                }
            }
        }
        Ok(())
    }

    fn opening(&self) -> Opening {
        let (url, wishes) = (self.options.url.clone(), self.options.wishes);
        Box::pin(async move { Connection::open(&url, wishes).await })
    }

    fn opened(&mut self, connection: Connection) {
        self.link = Link::Open(Box::new(connection));
        self.course.opened(self.now_ms());
    }

    fn received(&mut self) {
        if !self.batch.is_empty() {
            self.course.received(self.now_ms());
        }
    }

    fn look_for_life(&mut self) -> Result<(), ClientError> {
        if self.course.is_dead(self.now_ms()) {
            return self.lost(ClientError::Silent);
        }
        Ok(())
    }

    /// There is no connection any more.
    fn lost(&mut self, why: ClientError) -> Result<(), ClientError> {
        if !self.options.reconnect || why.is_final() {
            self.link = Link::Over;
            return Err(why);
        }
        let not_before_s = if let ClientError::Connect(error) = &why {
            error.retry_after_s()
        } else {
            None
        };
        let retry_in = Duration::from_millis(self.course.lost(self.now_ms(), not_before_s));
        self.link = Link::Waiting(Instant::now() + retry_in);
        self.disconnected = Some(Disconnected { why, retry_in });
        Ok(())
    }

    /// The next event, of which there is one.
    fn take(&mut self) -> Received<'_> {
        let now_ms = self.now_ms();
        let Self {
            course,
            link,
            batch,
            levels,
            disconnected,
            ..
        } = self;
        if let Some(disconnected) = disconnected.take() {
            return Received::own(Event::Disconnected(disconnected));
        }
        if let Some(refused) = course.take_nameless() {
            let again = false;
            return Received::own(Event::Refused { refused, again });
        }
        let (read, text, bytes) = match batch.take() {
            None => return Received::own(Event::Other),
            Some(Payload::Text(text)) => {
                let read = ServerMessage::parse(text, levels).map_err(ClientError::Unreadable);
                (read.map(Some), text, text.len())
            }
            Some(Payload::Binary(bytes)) => {
                let read =
                    native_binary::Message::decode(bytes, levels).map_err(ClientError::UnreadableBinary);
                let read = read.map(|message| match message.content {
                    Content::Tick(stamp, tick) => Some(ServerMessage::Tick(stamp, tick)),
                    Content::Unknown { .. } => None,
                });
                (read, "", bytes.len())
            }
        };
        let event = match read {
            Err(error) => {
                distrust(link, batch, error);
                Event::Other
            }
            Ok(None) => {
                course.pass_unread();
                Event::Other
            }
            Ok(Some(message)) => {
                let heard = course.hear(&message, now_ms);
                match &heard {
                    Heard::Away { .. } | Heard::Unexplained { .. } => batch.put_back(),
                    Heard::Hole { channel, from, to } => {
                        let (channel, from, to) = (channel.to_string(), *from, *to);
                        distrust(link, batch, ClientError::Missing { channel, from, to });
                    }
                    Heard::GreetedAgain => distrust(link, batch, ClientError::GreetedAgain),
                    Heard::Told
                    | Heard::Greeted(_)
                    | Heard::Answered { .. }
                    | Heard::Postponed
                    | Heard::Repeated => {}
                }
                Event::of(message, heard)
            }
        };
        Received { event, text, bytes }
    }

    /// Milliseconds since the client was made.
    fn now_ms(&self) -> u64 {
        u64::try_from(self.origin.elapsed().as_millis()).unwrap_or(u64::MAX)
    }
}

impl<'a> Received<'a> {
    /// What the client says itself.
    const fn own(event: Event<'a>) -> Self {
        Self {
            event,
            text: "",
            bytes: 0,
        }
    }
}

impl fmt::Debug for Link {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Waiting(_) => "Waiting",
            Self::Opening(_) => "Opening",
            Self::Open(_) => "Open",
            Self::Over => "Over",
        })
    }
}

/// Hands the connection the requests that may be made; gives the time at which there may be more.
fn make_requests(course: &mut Course, connection: &mut Connection, now_ms: u64) -> u64 {
    while connection.may_ask() {
        match course.poll_request(now_ms) {
            Poll::Ready(text) => {
                if connection.ask(&text).is_err() {
                    // It is closing. All that is not answered is asked again on the next.
                    break;
                }
            }
            Poll::At(later) => return later,
            Poll::Idle => break,
        }
    }
    u64::MAX
}

/// What the server says is not to be relied on any more: the rest of it is dropped, and the connection ended.
fn distrust(link: &mut Link, batch: &Batch, why: ClientError) {
    batch.drop_all();
    if let Link::Open(connection) = link {
        connection.fail(why);
    }
}

fn boxed<S: AsRef<str>>(channels: &[S]) -> Vec<Box<str>> {
    channels.iter().map(|channel| channel.as_ref().into()).collect()
}
