//! Slow clients of a tape that is too short for them, while fast ones keep up.
//!
//! Lines go in only as fast as the fast clients read, so who is how far behind does not depend on the machine.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::fmt::Write as _;
use std::io::Write as _;
use std::ops::Range;

use serde_json::Value;

use scene::process::Process;
use scene::socket::Socket;
use scene::{block_on, cannot_serve};

#[test]
fn who_reads_late_but_within_the_tape_has_every_trade_and_who_does_not_is_told_which_it_misses() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start(
        "serve --source stdin --wait 9 --listen 127.0.0.1:0 --shards 2 --connections 16 \
         --tape-bytes 16777216 --tape-records 4096 --binary on",
    );
    let address = process.address();
    let mut stdin = process.stdin();
    block_on(async {
        let (mut fast, mut late, mut stuck) = (Vec::new(), Vec::new(), Vec::new());
        for (query, binary) in [("?ch=*", false), ("?ch=*", true), ("?ch=trade:*", true)] {
            for clients in [&mut fast, &mut late, &mut stuck] {
                clients.push(Reader::connect(address, query, binary).await);
            }
        }
        for round in 0..ROUNDS {
            let numbers = round * ROUND..(round + 1) * ROUND;
            stdin
                .write_all(lines(numbers.clone()).as_bytes())
                .expect("the server reads");
            for reader in &mut fast {
                reader.read_to(numbers.end).await;
            }
            // Two rounds behind, which the tape still holds.
            if round % 2 == 1 {
                for reader in &mut late {
                    reader.read_to(numbers.end).await;
                }
            }
        }
        for reader in fast.iter().chain(&late) {
            assert_eq!((reader.trades, reader.missed), (ROUNDS * ROUND, 0));
        }
        for reader in &mut stuck {
            reader.read_to(ROUNDS * ROUND).await;
            assert!(
                reader.missed > 0 && reader.missed < ROUNDS * ROUND,
                "the tape holds a part of what it was to get: {}",
                reader.missed
            );
        }
        // The fast are still served.
        stdin
            .write_all(lines(ROUNDS * ROUND..ROUNDS * ROUND + 1).as_bytes())
            .expect("the server reads");
        for reader in &mut fast {
            reader.read_to(ROUNDS * ROUND + 1).await;
        }
    });
    process.signal("TERM");
    drop(stdin);
    assert_eq!(process.wait().status.code(), Some(0));
}

/// A client that counts what it reads, and knows at each message what it has and what it misses.
struct Reader {
    socket: Socket,
    /// The number of the last trade that it has got or was told that it misses.
    trades: u64,
    /// How many it was told that it misses.
    missed: u64,
    quotes: u64,
    /// Whether it was told that it is behind.
    warned: bool,
}

impl Reader {
    async fn connect(address: std::net::SocketAddr, query: &str, binary: bool) -> Self {
        let mut socket = if binary {
            Socket::connect_binary(address, query).await
        } else {
            Socket::connect(address, query).await
        };
        assert_eq!(socket.json().await["t"], "hello");
        assert_eq!(socket.json().await["t"], "ack");
        Self {
            socket,
            trades: 0,
            missed: 0,
            quotes: 0,
            warned: false,
        }
    }

    /// Reads up to the trade of that number.
    async fn read_to(&mut self, trades: u64) {
        while self.trades < trades {
            let text = self.socket.text().await;
            self.take(&text);
        }
    }

    fn take(&mut self, text: &str) {
        let message: Value = serde_json::from_str(text).expect("JSON");
        let number = |name: &str| message[name].as_u64().expect("a number");
        match message["t"].as_str() {
            Some("trade") => {
                self.trades += 1;
                assert_eq!(number("seq"), self.trades, "{text}");
            }
            Some("bbo") => {
                let next = self.quotes + 1;
                self.quotes = number("seq");
                assert!(
                    self.quotes == next || self.warned && self.quotes >= next - 1,
                    "{next}: {text}"
                );
            }
            Some("gap") => {
                assert!(self.warned, "{text}");
                assert_eq!(number("from"), self.trades + 1, "{text}");
                self.missed += number("to") - self.trades;
                self.trades = number("to");
            }
            Some("warn") => self.warned = true,
            _ => panic!("{text}"),
        }
    }
}

/// A quote and a trade for each number: the trade is the last that anybody waits for.
fn lines(numbers: Range<u64>) -> String {
    let mut lines = String::new();
    for number in numbers {
        let quote = r#"{"ch":"bbo:X","t":"bbo","bp":"1.5","bs":"2","ap":"1.6","as":"3"}"#;
        let trade = format!(r#"{{"ch":"trade:X","t":"trade","px":"{number}.5","sz":"1","side":"sell"}}"#);
        writeln!(lines, "{quote}\n{trade}").expect("strings take everything");
    }
    lines
}

/// Two records a number; the tape has 4,096, and clears an eighth of them ahead.
const ROUND: u64 = 700;
/// Far more than the sockets' buffers hold.
const ROUNDS: u64 = 40;
