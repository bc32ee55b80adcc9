//! The threads of a server, and how they begin and end.
//!
//! Everything that can be refused is refused before the first thread starts. After that the server runs until it
//! is [stopped](Server::stop) or one of its threads cannot go on, and either way every thread ends.

use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::sync::mpsc::RecvTimeoutError;
use std::thread::{self, JoinHandle};
use std::time::Duration;

use tokio::sync::{Notify, mpsc, watch};

use super::admin::Admin;
use super::history::History;
use super::vitals::Vitals;
use super::{Config, Purpose, Resolved, StartError};
use crate::base::{Census, JournalCensus, Orders};
use crate::dialect::errand::{self, ShardEnd, WriterEnd};
use crate::dialect::native_json::Classes;
use crate::limits;
use crate::ring::uring::UringBell;
use crate::ring::{Bell, Errno, ListenError, UringBuilder, listen, probe};
use crate::shard::{Shard, Site};
use crate::tape::{self, Reader, Writer};
use crate::writer::journal::{self, Lock, Opened};
use crate::writer::source::{Progress, Source};
use crate::writer::{Clock, Counter, Feed, FeedEnd, Ingest, Journal, Publishing, Sequencer, runtime};

/// A running server.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    shards: Vec<ShardHandle>,
    orders: Arc<Orders>,
    stop: watch::Sender<bool>,
    /// What can be asked of it; nothing of an echo.
    vitals: Option<Arc<Vitals>>,
    /// Where that is asked, until somebody answers there.
    admin: Option<Admin>,
    /// Whether clients are served on for a while after that.
    drains: bool,
    progress: watch::Receiver<Option<Progress>>,
    news: mpsc::UnboundedReceiver<News>,
    threads: Vec<JoinHandle<()>>,
    /// Keeps other servers from this one's journal, also when its source has ended.
    journal_lock: Option<Lock>,
}

/// What the other threads hold of a shard.
#[derive(Clone, Debug)]
struct ShardHandle {
    bell: UringBell,
    census: Arc<Census>,
}

/// What a thread of the server has to say.
#[derive(Debug)]
pub enum News {
    /// The source has come to its end; the server serves what is on the tape, and what clients publish.
    Feed(FeedEnd),
    /// The server cannot go on.
    Failed(StartError),
    /// A thread has ended, as it was told to.
    Ended,
}

impl Server {
    /// Starts a server. It accepts connections when this returns, and its source begins, if it has one.
    ///
    /// # Errors
    /// When anything that it needs is refused; no thread is left behind then.
    pub fn start(resolved: &Resolved) -> Result<Self, StartError> {
        let capabilities = probe().map_err(StartError::Ring)?;
        let (writer, mut readers) = tape::new(&resolved.shape).map_err(StartError::Tape)?;
        // Before anyone can connect: whoever does finds all that is in the journal.
        let (prepared, journal_lock) = Prepared::new(resolved, writer)?;
        let listeners = listen_all(resolved).map_err(StartError::Listen)?;
        let address = listeners
            .first()
            .and_then(|listener| listener.local_addr().ok())
            .unwrap_or(resolved.listen);
        let builders: Vec<UringBuilder> = listeners
            .into_iter()
            .map(|listener| UringBuilder::new(listener, &capabilities, resolved.ring_options()))
            .collect::<Result<_, _>>()
            .map_err(StartError::Ring)?;
        let shards: Vec<ShardHandle> = builders
            .iter()
            .map(|builder| ShardHandle {
                bell: builder.doorbell(),
                census: Arc::default(),
            })
            .collect();
        let (ways, counter) = counter(&shards);
        let (stop, stopped) = watch::channel(false);
        let (progress_sender, progress) = watch::channel(None);
        let (teller, news) = mpsc::unbounded_channel();
        let orders: Arc<Orders> = Arc::default();
        // Those of the shards come first, and what is left is there to be walked now and then.
        let history = readers.drain(shards.len()..).next().map(History::new);
        let vitals = history.map(|history| Arc::new(vitals(&shards, prepared.as_ref(), &orders, history)));
        let admin = admin(resolved, vitals.as_ref()).map_err(StartError::Admin)?;
        let mut server = Self {
            address,
            shards,
            orders,
            stop,
            vitals,
            admin,
            drains: matches!(&resolved.purpose, Purpose::Feed(config) if config.drain_seconds > 0),
            progress,
            news,
            threads: Vec::new(),
            journal_lock,
        };
        let places = readers.into_iter().zip(ways).enumerate();
        let places = places.map(|(shard, (reader, way))| {
            let site = site(resolved, shard, prepared.as_ref());
            (reader, asking(resolved, site, way))
        });
        let begun = server
            .spawn_shards(resolved, builders, places.collect(), &teller)
            .and_then(|()| match (&resolved.purpose, prepared) {
                (Purpose::Feed(config), Some(prepared)) => {
                    let ends = WriterEnds {
                        counter,
                        stopped,
                        progress_sender,
                        teller,
                    };
                    server.spawn_writer(config, prepared, ends)
                }
                (Purpose::Feed(_) | Purpose::Echo { .. }, _) => Ok(()),
            });
        if let Err(error) = begun {
            server.stop();
            server.join();
            return Err(error);
        }
        Ok(server)
    }

    /// The address that it listens on, with the port that port 0 became.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// What each shard counts.
    pub fn census(&self) -> impl Iterator<Item = &Census> {
        self.shards.iter().map(|shard| &*shard.census)
    }

    /// How far the source has come, where it has an end.
    #[must_use]
    pub fn progress(&self) -> watch::Receiver<Option<Progress>> {
        self.progress.clone()
    }

    /// What happens next: the end of the source, a failure, the end of a thread; `None` when every thread has
    /// ended.
    pub async fn news(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Tells every thread to end. The clients of a feed are told so, and served on for as long as the server was given; then
    /// they are closed with 1012, those of an echo with 1001, and have two seconds to answer. The writer ends with the
    /// first shard.
    pub fn stop(&self) {
        self.orders.drain();
        if !self.drains {
            self.stop.send_replace(true);
        }
        for shard in &self.shards {
            shard.bell.ring();
        }
    }

    /// What can be asked of it while it runs; nothing of an echo.
    #[must_use]
    pub fn vitals(&self) -> Option<Arc<Vitals>> {
        self.vitals.clone()
    }

    /// The admin port, where one was asked for, for whoever will have it answer. It is given away once.
    #[must_use]
    pub fn take_admin(&mut self) -> Option<Admin> {
        self.admin.take()
    }

    /// Waits until every thread has ended.
    pub fn join(self) {
        for thread in self.threads {
            // A thread that panicked has said so, and its `Teller` has told the others.
            let _ = thread.join();
        }
        drop(self.journal_lock);
    }

    fn spawn_shards(
        &mut self,
        resolved: &Resolved,
        builders: Vec<UringBuilder>,
        places: Vec<(Reader, Site)>,
        news: &mpsc::UnboundedSender<News>,
    ) -> Result<(), StartError> {
        for (shard, (builder, (reader, site))) in builders.into_iter().zip(places).enumerate() {
            let size = resolved.size();
            let (census, orders) = (Arc::clone(&self.shards[shard].census), Arc::clone(&self.orders));
            let teller = Teller::new(format!("shard-{shard}"), news);
            let stop = self.stop.clone();
            self.spawn(teller, move || {
                let failed = |errno| StartError::Shard { shard, errno };
                let ring = builder.start().map_err(failed)?;
                let ended = Shard::new(ring, reader, size, site, census, orders).run();
                stop.send_replace(true);
                ended.map_err(failed)
            })?;
        }
        Ok(())
    }

    fn spawn_writer(
        &mut self,
        config: &Config,
        prepared: Prepared,
        ends: WriterEnds,
    ) -> Result<(), StartError> {
        let WriterEnds {
            counter,
            stopped,
            progress_sender,
            teller: news,
        } = ends;
        let Prepared {
            sequencer,
            journal: opened_journal,
            journal_census,
            epoch: _,
        } = prepared;
        let config = config.clone();
        let bells: Vec<UringBell> = self.shards.iter().map(|shard| shard.bell.clone()).collect();
        let censuses: Vec<Arc<Census>> = self
            .shards
            .iter()
            .map(|shard| Arc::clone(&shard.census))
            .collect();
        let teller = Teller::new("writer".to_owned(), &news);
        let (opened, opening) = std::sync::mpsc::channel();
        self.spawn(teller, move || {
            let runtime = runtime::runtime().map_err(StartError::Runtime)?;
            runtime.block_on(async {
                let source = Source::open(&config.source, config.speed)
                    .await
                    .map_err(StartError::Source)?;
                let ingest = match &config.ingest[..] {
                    [] => None,
                    sockets => Some(Ingest::open(sockets, counter.bell()).map_err(StartError::Ingest)?),
                };
                let _ = opened.send(());
                let feed = Feed {
                    source,
                    sequencer,
                    journal: opened_journal.map(|opened| Journal::start(opened, journal_census)),
                    counter,
                    ingest,
                    publishing: Publishing::of(Arc::clone(&config.publishers)),
                    // The control thread reads too, and never asks to be rung.
                    bell: |reader: usize| {
                        if let Some(bell) = bells.get(reader) {
                            bell.ring();
                        }
                    },
                    subscribers: || censuses.iter().map(|census| census.subscribers.read()).sum(),
                    tell: |end| drop(news.send(News::Feed(end))),
                    wait_for: config.wait_for,
                    stop: stopped,
                    progress: progress_sender,
                };
                feed.run().await;
                Ok(())
            })
        })?;
        match opening.recv_timeout(OPENING) {
            Ok(()) | Err(RecvTimeoutError::Timeout) => Ok(()),
            Err(RecvTimeoutError::Disconnected) => Err(self.first_failure()),
        }
    }

    /// Why a thread that has just ended could not go on.
    fn first_failure(&mut self) -> StartError {
        // It may still be on its way out of the thread.
        let writer = self.threads.pop();
        let _ = writer.map(JoinHandle::join);
        let failure = std::iter::from_fn(|| self.news.try_recv().ok()).find_map(|news| match news {
            News::Failed(error) => Some(error),
            News::Feed(_) | News::Ended => None,
        });
        failure.unwrap_or_else(|| StartError::Panic {
            thread: "writer".to_owned(),
        })
    }

    fn spawn(
        &mut self,
        mut teller: Teller,
        body: impl FnOnce() -> Result<(), StartError> + Send + 'static,
    ) -> Result<(), StartError> {
        let builder = thread::Builder::new()
            .name(teller.name.clone())
            .stack_size(limits::STACK_BYTES);
        let thread = builder
            .spawn(move || teller.end(body()))
            .map_err(StartError::Thread)?;
        self.threads.push(thread);
        Ok(())
    }
}

/// Where the writer is asked for something, and each shard's way there.
fn counter(shards: &[ShardHandle]) -> (Vec<ShardEnd>, Counter) {
    let bell = Arc::new(Notify::new());
    let ways = shards.iter().map(|shard| {
        let (writer, shard) = (Arc::clone(&bell), shard.bell.clone());
        errand::way(move || writer.notify_one(), move || shard.ring())
    });
    let (ways, ends): (_, Vec<WriterEnd>) = ways.unzip();
    (ways, Counter::new(ends, bell))
}

/// What can be asked of a server of ticks.
fn vitals(
    shards: &[ShardHandle],
    prepared: Option<&Prepared>,
    orders: &Arc<Orders>,
    history: History,
) -> Vitals {
    let censuses = shards.iter().map(|shard| Arc::clone(&shard.census)).collect();
    let journaled = prepared.filter(|prepared| prepared.journal.is_some());
    let journal = journaled.map(|prepared| Arc::clone(&prepared.journal_census));
    Vitals::new(censuses, journal, Arc::clone(orders), history)
}

/// Where it is asked, where there is to be such a place.
fn admin(resolved: &Resolved, vitals: Option<&Arc<Vitals>>) -> Result<Option<Admin>, ListenError> {
    match (&resolved.purpose, vitals) {
        (Purpose::Feed(config), Some(vitals)) => {
            let bind = |address| Admin::bind(address, Arc::clone(vitals));
            config.admin.map(bind).transpose()
        }
        (Purpose::Feed(_) | Purpose::Echo { .. }, _) => Ok(None),
    }
}

/// What is there before the first thread is.
struct Prepared {
    sequencer: Sequencer,
    journal: Option<Opened>,
    journal_census: Arc<JournalCensus>,
    epoch: String,
}

impl Prepared {
    /// Brings what was journaled onto the tape.
    fn new(resolved: &Resolved, tape: Writer) -> Result<(Option<Self>, Option<Lock>), StartError> {
        let Purpose::Feed(config) = &resolved.purpose else {
            // Its tape stays empty.
            return Ok((None, None));
        };
        let mut sequencer = Sequencer::writing(tape, config.formats()).ruled_by(config.rules.clone());
        let wall_ns = Clock::start().now().wall_ns;
        let opened = config
            .journal
            .as_ref()
            .map(|spec| journal::open(spec, &mut sequencer, wall_ns));
        let (journal, lock) = opened.transpose().map_err(StartError::Journal)?.unzip();
        let epoch = journal.as_ref().map_or(wall_ns / 1000, |journal| journal.epoch);
        let prepared = Self {
            sequencer,
            journal,
            journal_census: Arc::default(),
            epoch: format!("{epoch:x}"),
        };
        Ok((Some(prepared), lock))
    }
}

/// What the writer's thread keeps of its channels to the others.
struct WriterEnds {
    counter: Counter,
    stopped: watch::Receiver<bool>,
    progress_sender: watch::Sender<Option<Progress>>,
    teller: mpsc::UnboundedSender<News>,
}

/// Tells how its thread has ended, even when that was by a panic.
struct Teller {
    name: String,
    news: mpsc::UnboundedSender<News>,
    told: bool,
}

impl Teller {
    fn new(name: String, news: &mpsc::UnboundedSender<News>) -> Self {
        Self {
            name,
            news: news.clone(),
            told: false,
        }
    }

    fn end(&mut self, result: Result<(), StartError>) {
        self.told = true;
        let _ = self.news.send(result.map_or_else(News::Failed, |()| News::Ended));
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        if !self.told && thread::panicking() {
            let _ = self.news.send(News::Failed(StartError::Panic {
                thread: self.name.clone(),
            }));
        }
    }
}

/// How long a source may take to open before the server serves without it. A named pipe that nobody writes to yet
/// takes for ever.
const OPENING: Duration = Duration::from_secs(2);

/// What a shard offers.
fn site(resolved: &Resolved, shard: usize, prepared: Option<&Prepared>) -> Site {
    let site = match (&resolved.purpose, prepared) {
        (Purpose::Feed(config), Some(prepared)) => {
            let heartbeat_ms = u64::from(config.heartbeat_seconds) * 1000;
            let site = Site::new(shard, prepared.epoch.as_str().into())
                .on_terms(config.all_terms())
                .classed(Classes::of(&config.rules))
                .beating((heartbeat_ms > 0).then_some(heartbeat_ms))
                .draining(u64::from(config.drain_seconds) * 1000);
            let site = match prepared.journal {
                Some(_) => site.journaled(Arc::clone(&prepared.journal_census)),
                None => site,
            };
            let formats = config.formats();
            let site = match formats.deflated_track() {
                Some(track) => site.compressing(track),
                None => site,
            };
            match formats.binary_track() {
                Some(track) => site.speaking_binary(track),
                None => site,
            }
        }
        (Purpose::Feed(_) | Purpose::Echo { .. }, _) => Site::echo(shard),
    };
    site.pinging(resolved.ping_interval_ms)
}

/// The same of a feed whose clients may ask its writer for something.
fn asking(resolved: &Resolved, site: Site, way: ShardEnd) -> Site {
    match &resolved.purpose {
        Purpose::Feed(config) => site.asking(way, Arc::clone(&config.publishers)),
        Purpose::Echo { .. } => site,
    }
}

/// One listener a shard, all on the same port.
fn listen_all(resolved: &Resolved) -> Result<Vec<TcpListener>, ListenError> {
    let Resolved {
        listen: address,
        shards,
        listener: options,
        ..
    } = resolved;
    let address = *address;
    // Listeners that share their port would also share it with another server of ours, each getting some of the
    // clients. One that does not share finds out whether the port is taken.
    let alone = TcpListener::bind(address).map_err(|error| ListenError {
        address,
        errno: Errno::of(&error),
    })?;
    drop(alone);
    let first = listen(address, options)?;
    let shared = first.local_addr().unwrap_or(address);
    let mut listeners = vec![first];
    for _ in 1..*shards {
        listeners.push(listen(shared, options)?);
    }
    Ok(listeners)
}
