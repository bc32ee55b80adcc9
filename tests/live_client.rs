//! Our own client and servers that are killed and started again, and one that is faster than its user.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::Write as _;

use tickwire::client::{Client, Continuation, Event, GapReason, LocalBook, Url};
use tickwire::dialect::Encoding;
use tickwire::dialect::native_json::ServerMessage;
use tickwire::limits::{CLIENT_AHEAD_BYTES, CLIENT_MESSAGE_BYTES_MAX};
use tickwire::market::{Book, Tick};

use scene::folder::Folder;
use scene::process::{Process, own_host, run};
use scene::{block_on, cannot_serve, within};

/// The book as it is after the message of that number, by all that was published.
fn book_at(published: &BTreeMap<u64, String>, seq: u64) -> Book {
    let (mut book, mut levels) = (Book::new(), Vec::new());
    for text in published.range(..=seq).map(|(_, text)| text) {
        let Ok(ServerMessage::Tick(_, Tick::Book(update))) = ServerMessage::parse(text, &mut levels) else {
            panic!("{text} is no update of a book");
        };
        book.apply(&update).expect("what was published can be applied");
    }
    book
}

/// Three channels of one market, followed by one client.
struct Follower {
    client: Client,
    book: LocalBook,
    trades: Vec<u64>,
    books: u64,
    /// How often it was told that it has another connection, which goes on.
    returns: u64,
}

impl Follower {
    fn new(url: &Url, encoding: Encoding) -> Self {
        let builder = Client::builder(url).encoding(encoding).seed(1);
        Self {
            client: builder.build().expect("a client"),
            book: LocalBook::new("book:BTC-USD"),
            trades: Vec::new(),
            books: 0,
            returns: 0,
        }
    }

    /// Follows until there are so many trades and updates of the book more, and the book is known.
    async fn follow(&mut self, trades: usize, books: u64) {
        let (trades, books) = (self.trades.len() + trades, self.books + books);
        while self.trades.len() < trades || self.books < books || self.book.seq().is_none() {
            self.take().await;
        }
    }

    async fn take(&mut self) {
        let event = within("an event", self.client.next())
            .await
            .expect("it comes back");
        self.book.apply(&event).expect("an update can be applied");
        let mut unknown = Vec::new();
        match &event {
            Event::Trade(stamp, _) => self.trades.push(stamp.seq),
            Event::Book(..) => self.books += 1,
            Event::Connected(connected) => {
                assert_ne!(connected.continuation, Continuation::Anew, "the epoch goes on");
                self.returns += u64::from(connected.continuation == Continuation::Same);
            }
            // Before it speaks a channel cannot be named. One that was granted is asked for by the client itself.
            Event::Answered { answer, again: false } => {
                unknown = answer.err.iter().map(|refused| refused.ch.to_string()).collect();
            }
            Event::Gap(_) | Event::Missing { .. } | Event::Repeated { .. } | Event::Other => {
                panic!("{event:?}")
            }
            _ => {}
        }
        if !unknown.is_empty() {
            self.client.subscribe(&unknown).expect("a request");
        }
    }
}

#[test]
fn servers_that_are_killed_and_started_again_lose_nothing_for_a_client_and_its_book_is_theirs() {
    if cannot_serve() {
        return;
    }
    for encoding in [Encoding::Json, Encoding::Binary] {
        let folder = Folder::new(&format!("{encoding:?}"));
        let serve = |listen: &str| {
            Process::start(&format!(
                "serve --source sim --listen {listen} --shards 1 --connections 16 --journal {}",
                folder.display()
            ))
        };
        let mut first = serve(&own_host(encoding as u8));
        let address = first.address().to_string();
        let url: Url = format!("ws://{address}").parse().expect("a URL");
        let mut follower = Follower::new(&url, encoding);
        let channels = ["trade:BTC-USD", "bbo:BTC-USD", "book:BTC-USD"];
        follower.client.subscribe(&channels).expect("a request");
        let server = block_on(async {
            let mut server = first;
            for returns in 1..=3 {
                follower.follow(5, 20).await;
                server.signal("KILL");
                drop(server.wait());
                server = Process::again(|| serve(&address)).0;
                while follower.returns < returns {
                    follower.take().await;
                }
            }
            follower.follow(5, 20).await;
            server
        });
        server.signal("TERM");
        server.wait();
        let first = follower.trades[0];
        let expected: Vec<u64> = (first..).take(follower.trades.len()).collect();
        assert_eq!(follower.trades, expected, "each trade came once");

        let published = folder.journaled("book:BTC-USD");
        let seq = follower.book.seq().expect("it is known");
        let (oracle, book) = (
            book_at(&published, seq),
            follower.book.book().expect("it is known"),
        );
        assert!(
            oracle.bids().eq(book.bids()) && oracle.asks().eq(book.asks()),
            "at {seq}"
        );
        assert!(!book.is_empty());
    }
}

#[test]
fn a_user_who_does_not_take_events_is_warned_and_told_what_he_misses_and_keeps_no_more_than_one_load() {
    if cannot_serve() {
        return;
    }
    let mut server = Process::start(
        "serve --source stdin --wait 2 --listen 127.0.0.1:0 --shards 1 --connections 16 --tape-bytes 16777216 \
         --tape-records 4096",
    );
    let url: Url = format!("ws://{}?ch=*", server.address()).parse().expect("a URL");
    let mut stdin = server.stdin();
    block_on(async {
        let builder = Client::builder(&url);
        let mut fast = Reader::new(builder.clone().connect().await.expect("a connection"));
        let mut slow = Reader::new(builder.connect().await.expect("a connection"));
        fast.subscribed().await;
        slow.subscribed().await;
        for round in 0..ROUNDS {
            stdin
                .write_all(lines(round).as_bytes())
                .expect("the server reads");
            fast.read_to((round + 1) * ROUND).await;
        }
        let mut ahead = 0;
        while let Some(received) = slow.client.next_at_hand() {
            ahead += received.bytes;
            slow.counts.take(&received.event);
        }
        assert!(
            ahead <= CLIENT_AHEAD_BYTES + CLIENT_MESSAGE_BYTES_MAX as usize,
            "{ahead}"
        );
        slow.read_to(ROUNDS * ROUND).await;
        let Counts {
            trades,
            missed,
            quotes,
            warned,
            ..
        } = slow.counts;
        assert!(warned && missed > 0, "{missed}");
        assert_eq!(trades + missed, ROUNDS * ROUND);
        assert!(quotes < trades, "{quotes} quotes beside {trades} trades");
        let Counts { trades, missed, .. } = fast.counts;
        assert_eq!((trades, missed), (ROUNDS * ROUND, 0));
    });
    server.signal("TERM");
    drop(stdin);
    assert_eq!(server.wait().status.code(), Some(0));
}

/// A client that counts what it takes.
struct Reader {
    client: Client,
    counts: Counts,
}

#[derive(Default)]
struct Counts {
    subscribed: bool,
    trades: u64,
    missed: u64,
    quotes: u64,
    warned: bool,
}

impl Reader {
    fn new(client: Client) -> Self {
        Self {
            client,
            counts: Counts::default(),
        }
    }

    async fn subscribed(&mut self) {
        while !self.counts.subscribed {
            self.take().await;
        }
    }

    /// Takes events up to the trade of that number.
    async fn read_to(&mut self, trades: u64) {
        while self.counts.trades + self.counts.missed < trades {
            self.take().await;
        }
    }

    async fn take(&mut self) {
        let event = within("an event", self.client.next()).await.expect("it goes on");
        self.counts.take(&event);
    }
}

impl Counts {
    fn take(&mut self, event: &Event<'_>) {
        match event {
            Event::Trade(stamp, _) => {
                self.trades += 1;
                assert_eq!(stamp.seq, self.trades + self.missed);
            }
            Event::Quote(..) => self.quotes += 1,
            Event::Gap(gap) => {
                assert_eq!(
                    (gap.from, &gap.why),
                    (self.trades + self.missed + 1, &GapReason::Slow)
                );
                self.missed += gap.to - gap.from + 1;
            }
            Event::Warning { .. } => self.warned = true,
            Event::Answered { .. } => self.subscribed = true,
            Event::Connected(_) | Event::Live { .. } | Event::Heartbeat { .. } => {}
            other => panic!("{other:?}"),
        }
    }
}

/// A quote and a trade for each number of a round: the trade is the last that anybody waits for.
fn lines(round: u64) -> String {
    let mut lines = String::new();
    for number in round * ROUND..(round + 1) * ROUND {
        let quote = r#"{"ch":"bbo:X","t":"bbo","bp":"1.5","bs":"2","ap":"1.6","as":"3"}"#;
        let trade = format!(r#"{{"ch":"trade:X","t":"trade","px":"{number}.5","sz":"1","side":"sell"}}"#);
        writeln!(lines, "{quote}\n{trade}").expect("strings take everything");
    }
    lines
}

#[test]
fn sub_comes_back_by_itself_unless_it_was_told_not_to() {
    if cannot_serve() {
        return;
    }
    let serve = |listen: &str, wait: u32| {
        Process::start(&format!(
            "serve --source sim --listen {listen} --shards 1 --wait {wait}"
        ))
    };
    let mut server = serve(&own_host(3), 3);
    let address = server.address().to_string();
    let mut sub = Process::start(&format!("sub ws://{address} trade:* bbo:* --quiet"));
    let mut once = Process::start(&format!("sub ws://{address} trade:* --quiet --no-reconnect"));
    // The market begins when all three have subscribed.
    assert!(
        run(&format!("sub ws://{address} * --quiet --count 200"))
            .status
            .success()
    );
    server.signal("TERM");
    server.wait();
    once.line("1012");
    let ended = once.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    sub.line("trying again in");
    let server = Process::again(|| serve(&address, 0)).0;
    sub.line("connected again; the server has begun anew");
    sub.signal("TERM");
    let ended = sub.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    // Who reaches no server at first is told so at once.
    server.signal("TERM");
    server.wait();
    let ended = run(&format!("sub ws://{address} trade:*"));
    assert_eq!(ended.status.code(), Some(1));
    assert!(ended.stderr.contains("refuses connections"), "{}", ended.stderr);
}

/// Two records a number; the tape has 4,096, and clears an eighth of them ahead.
const ROUND: u64 = 700;
/// Far more than the sockets' buffers hold.
const ROUNDS: u64 = 40;

#[test]
fn lines_are_published_once_and_in_order_however_often_the_server_is_killed() {
    if cannot_serve() {
        return;
    }
    let folder = Folder::new("client-pub");
    let serve = |listen: &str| {
        Process::start(&format!(
            "serve --source none --publish room:* --listen {listen} --shards 1 --connections 16 --journal {} \
             --journal-sync each",
            folder.display()
        ))
    };
    let mut first = serve(&own_host(2));
    let address = first.address().to_string();
    let file = std::env::temp_dir().join(format!("tickwire-live-client-{}.ndjson", std::process::id()));
    let lines: String = (1..=LINES).fold(String::new(), |lines, number| lines + &format!("{number}\n"));
    std::fs::write(&file, lines).expect("a file can be written");
    let publisher = Process::start(&format!(
        "pub --url ws://{address} --ch room:42 {}",
        file.display()
    ));

    // Whoever may publish on a channel can name it before it speaks.
    let url: Url = format!("ws://{address}?ch=room:42").parse().expect("a URL");
    let mut reader = Client::builder(&url).seed(1).build().expect("a client");
    let server = block_on(async {
        let mut server = first;
        let mut newest = 0;
        for kill in 1..=4 {
            while newest < kill * LINES / 4 {
                let event = within("an event", reader.next()).await.expect("it comes back");
                if let Event::Message(stamp, data) = event {
                    // Some may have been published before it came.
                    assert!(
                        newest == 0 || stamp.seq == newest + 1,
                        "{} follows {newest}",
                        stamp.seq
                    );
                    assert_eq!(data, stamp.seq.to_string());
                    newest = stamp.seq;
                }
            }
            server.signal("KILL");
            drop(server.wait());
            server = Process::again(|| serve(&address)).0;
        }
        server
    });
    let ended = publisher.wait();
    assert!(ended.status.success(), "{}", ended.stderr);
    let summary = format!("published {LINES}, refused 0");
    assert!(ended.stderr.contains(&summary), "{}", ended.stderr);
    server.signal("TERM");
    server.wait();
    let _ = std::fs::remove_file(&file);

    let published = folder.journaled("room:42");
    assert!(
        published.keys().copied().eq(1..=LINES),
        "{} lines",
        published.len()
    );
    for (seq, text) in published {
        assert!(text.ends_with(&format!("\"data\":{seq}}}")), "{text}");
    }
}

#[test]
fn lines_that_are_refused_are_told_by_their_numbers_and_the_others_are_published() {
    if cannot_serve() {
        return;
    }
    let mut server = Process::start("serve --source none --publish room:* --listen 127.0.0.1:0 --shards 1");
    let address = server.address();
    let mut publisher = Process::start(&format!("pub --url ws://{address}"));
    let lines = [
        r#"{"ch":"room:42","t":"msg","data":1}"#,
        "not JSON",
        r#"{"ch":"hall:1","t":"msg","data":1}"#,
        "",
        r#"{"ch":"room:42","t":"msg","data":2}"#,
    ];
    let mut stdin = publisher.stdin();
    stdin.write_all(lines.join("\n").as_bytes()).expect("it reads");
    drop(stdin);
    let ended = publisher.wait();
    assert_eq!(ended.status.code(), Some(1), "{}", ended.stderr);
    for words in [
        "line 2: expected ident at line 1 column 2",
        "line 3: 4003 ",
        "4 lines in ",
        "published 2, refused 2",
        "2 lines were refused",
    ] {
        assert!(ended.stderr.contains(words), "{words}: {}", ended.stderr);
    }
}

/// Lines of a file that is published.
const LINES: u64 = 5_000;
