//! The echo over real sockets: what clients that others wrote get back, and what those get who do not read.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::io::{ErrorKind, Write as _};
use std::net::{SocketAddr, TcpStream};

use futures_util::{SinkExt as _, StreamExt as _};
use tickwire::limits::ECHO_MESSAGE_BYTES_DEFAULT;
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::{MaybeTlsStream, WebSocketStream};

use scene::raw::{BINARY, CLOSE, CONTINUATION, FIN, PING, PONG, Raw, TEXT, UPGRADE, masked};
use scene::{block_on, within};

type Stream = WebSocketStream<MaybeTlsStream<tokio::net::TcpStream>>;

async fn connect(address: SocketAddr) -> Stream {
    let url = format!("ws://{address}/");
    let (stream, _) = within("connect", tokio_tungstenite::connect_async(&url))
        .await
        .unwrap_or_else(|error| panic!("{url}: {error}"));
    stream
}

/// Sends a message, and gives the next one that comes.
async fn echoed(stream: &mut Stream, message: Message) -> Message {
    within("send", stream.send(message))
        .await
        .expect("the server reads");
    within("the echo", stream.next())
        .await
        .expect("the connection goes on")
        .expect("the echo is well formed")
}

fn raw(address: SocketAddr) -> Raw {
    let mut raw = Raw::connect(address);
    raw.send(UPGRADE.as_bytes());
    raw.opened();
    raw
}

/// Bytes that differ from those before and behind them.
fn bytes(count: usize) -> Vec<u8> {
    (0..count)
        .map(|index| u8::try_from(index % 251).expect("small"))
        .collect()
}

#[test]
fn a_foreign_client_gets_every_message_back_whatever_its_kind_and_length() {
    let Some(served) = scene::served::echo(ECHO_MESSAGE_BYTES_DEFAULT) else {
        return;
    };
    block_on(async {
        let mut stream = connect(served.address()).await;
        let longest = usize::try_from(ECHO_MESSAGE_BYTES_DEFAULT).expect("it fits into memory");
        for count in [0, 1, 125, 126, 4096, 16 * 1024, 65_535, 65_536, 1 << 20, longest] {
            let binary = Message::binary(bytes(count));
            assert!(
                echoed(&mut stream, binary.clone()).await == binary,
                "{count} bytes"
            );
            let text = Message::text("\u{fc}".repeat(count / 2));
            assert!(
                echoed(&mut stream, text.clone()).await == text,
                "text of {count} bytes"
            );
        }
        let ping = echoed(&mut stream, Message::Ping(vec![1, 2].into())).await;
        assert_eq!(ping, Message::Pong(vec![1, 2].into()));
    });
}

#[test]
fn messages_that_are_sent_before_any_is_read_come_back_in_order() {
    let Some(served) = scene::served::echo(1 << 20) else {
        return;
    };
    block_on(async {
        let (mut sink, mut stream) = connect(served.address()).await.split();
        let lengths = [3, 70_000, 0, 500_000, 16_384, 1 << 20, 5];
        let send = async {
            for length in lengths.iter().cycle().take(70) {
                sink.send(Message::binary(bytes(*length)))
                    .await
                    .expect("the server reads");
            }
        };
        let receive = async {
            for length in lengths.iter().cycle().take(70) {
                let message = stream.next().await.expect("there is more").expect("well formed");
                assert!(message == Message::binary(bytes(*length)), "{length}");
            }
        };
        within("all of them", async { tokio::join!(send, receive) }).await;
    });
}

#[test]
fn four_mebibytes_in_fragments_of_64_bytes_are_one_message() {
    let Some(served) = scene::served::echo(ECHO_MESSAGE_BYTES_DEFAULT) else {
        return;
    };
    let mut raw = raw(served.address());
    let message = bytes(4 << 20);
    let mut frames = Vec::new();
    for (index, fragment) in message.chunks(64).enumerate() {
        let opcode = if index == 0 { BINARY } else { CONTINUATION };
        frames.extend(masked(opcode, fragment));
    }
    frames.extend(masked(FIN | PING, b"amid"));
    frames.extend(masked(FIN | CONTINUATION, b""));
    raw.send(&frames);
    assert_eq!(raw.frame().opcode, PONG);
    let echo = raw.frame();
    assert!(echo.opcode == BINARY && echo.payload == message);
}

#[test]
fn a_message_in_chops_is_a_message() {
    let Some(served) = scene::served::echo(1 << 20) else {
        return;
    };
    let mut raw = raw(served.address());
    for (length, chop) in [(50, 1), (5000, 7), (200_000, 997)] {
        let message = vec![b'x'; length];
        for part in masked(FIN | TEXT, &message).chunks(chop) {
            raw.send(part);
        }
        let echo = raw.frame();
        assert!(
            echo.opcode == TEXT && echo.payload == message,
            "{length} by {chop}"
        );
    }
}

#[test]
fn one_byte_too_many_is_refused_and_the_limit_itself_is_not() {
    let Some(served) = scene::served::echo(100_000) else {
        return;
    };
    let mut raw = raw(served.address());
    raw.send(&masked(FIN | BINARY, &[7; 100_000]));
    assert_eq!(raw.frame().payload.len(), 100_000);
    raw.send(&masked(BINARY, &[7; 100_000]));
    raw.send(&masked(FIN | CONTINUATION, &[7]));
    assert_eq!(raw.frame().closes(), (1009, "message exceeds the limit"));
    assert!(raw.is_over());
}

#[test]
fn a_close_is_echoed_and_a_stop_closes_with_going_away() {
    let Some(served) = scene::served::echo(1024) else {
        return;
    };
    let mut first = raw(served.address());
    first.send(&masked(FIN | CLOSE, b"\x0f\xa0bye"));
    assert_eq!(first.frame().closes(), (4000, "bye"));
    assert!(first.is_over());
    let mut second = raw(served.address());
    served.server().stop();
    assert_eq!(second.frame().closes(), (1001, "server is shutting down"));
    second.send(&masked(FIN | CLOSE, b"\x03\xe9"));
    assert!(second.is_over());
}

/// Whatever it sends beyond what it may owe stays in the sockets' buffers.
#[test]
fn who_never_reads_can_send_only_so_much_and_others_are_served() {
    let Some(served) = scene::served::echo(1 << 20) else {
        return;
    };
    let mut other = raw(served.address());
    let mut flood = TcpStream::connect(served.address()).expect("connect");
    flood
        .write_all(UPGRADE.as_bytes())
        .expect("a request fits into a socket");
    flood
        .set_nonblocking(true)
        .expect("a socket can be told not to wait");
    let frame = masked(FIN | BINARY, &bytes(1 << 20));
    let (mut sent, mut stuck) = (0_usize, 0);
    while stuck < 200 {
        match flood.write(&frame[sent % frame.len()..]) {
            Ok(count) => (sent, stuck) = (sent + count, 0),
            Err(error) => {
                assert_eq!(error.kind(), ErrorKind::WouldBlock);
                stuck += 1;
            }
        }
        other.send(&masked(FIN | TEXT, b"still here"));
        assert_eq!(other.frame().text(), "still here");
    }
    assert!((1 << 20..64 << 20).contains(&sent), "{sent}");
}
