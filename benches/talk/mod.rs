//! What clients send: byte streams of masked frames, and a link that hands them out as a socket would.

pub(crate) mod link;

use tickwire::base::Prng;
use tickwire::wire::{ClientSession, MaskingKey};

/// What a decoder made of a stream. All decoders must agree on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tally {
    pub(crate) messages: u64,
    pub(crate) message_bytes: u64,
    /// Bytes of the frames that answered pings.
    pub(crate) reply_bytes: u64,
}

/// `count` frames of a client that follows a market: it subscribes, unsubscribes, asks for the time, and now and then
/// sends a ping or an unasked pong.
pub(crate) fn commands(count: usize) -> Vec<u8> {
    let mut prng = Prng::new(6455);
    let mut stream = Vec::new();
    let mut client = ClientSession::new(0);
    for id in 0..count {
        let key = key(&mut prng);
        let sender = client.sender();
        let sent = match prng.below(20) {
            0 | 1 => sender.ping(&id.to_be_bytes()[..8 * (id % 2)], key, &mut stream),
            2 => sender.pong(b"", key, &mut stream),
            kind => sender.text(&command(&mut prng, kind, id), key, &mut stream),
        };
        sent.expect("the session is open");
    }
    stream
}

/// Messages of this many bytes, until there are `total` bytes of them.
pub(crate) fn long_messages(message_bytes: usize, total: usize) -> Vec<u8> {
    let mut prng = Prng::new(6455);
    let mut stream = Vec::new();
    let mut client = ClientSession::new(0);
    let mut text = String::new();
    for id in 0..total / message_bytes {
        text.clear();
        while text.len() < message_bytes {
            text.push_str(&command(&mut prng, 3, id));
        }
        text.truncate(message_bytes);
        let key = key(&mut prng);
        client
            .sender()
            .text(&text, key, &mut stream)
            .expect("the session is open");
    }
    stream
}

/// A command of the native protocol, some 20 to 310 bytes long.
fn command(prng: &mut Prng, kind: u64, id: usize) -> String {
    match kind {
        3..=10 => format!(r#"{{"op":"sub","id":{id},"ch":[{}]}}"#, channels(prng)),
        11..=15 => format!(r#"{{"op":"unsub","id":{id},"ch":[{}]}}"#, channels(prng)),
        16..=18 => format!(
            r#"{{"op":"ping","id":{id},"t0":{}}}"#,
            1_700_000_000_000_000 + prng.below(1 << 40)
        ),
        _ => format!(r#"{{"op":"list","id":{id}}}"#),
    }
}

/// Names of up to eighteen channels, few of them more often than many.
fn channels(prng: &mut Prng) -> String {
    const KINDS: [&str; 3] = ["trade", "bbo", "book"];
    const SYMBOLS: [&str; 6] = ["BTC-USD", "ETH-USD", "SOL-USDT", "DOGE-USDT", "1INCH-BTC", "*"];
    let most = 1 + prng.below(18);
    let names = (0..1 + prng.below(most)).map(|_| {
        let (kind, symbol) = (pick(prng, &KINDS), pick(prng, &SYMBOLS));
        format!(r#""{kind}:{symbol}""#)
    });
    names.collect::<Vec<_>>().join(",")
}

fn pick<'a>(prng: &mut Prng, from: &[&'a str]) -> &'a str {
    from[usize::try_from(prng.below(from.len() as u64)).unwrap_or(0)]
}

fn key(prng: &mut Prng) -> MaskingKey {
    let [a, b, c, d, ..] = prng.next_u64().to_ne_bytes();
    MaskingKey::new([a, b, c, d])
}
