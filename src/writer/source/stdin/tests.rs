//! Lines through real descriptors: pipes and files in this process, and a child's standard input.

use std::io::Write;
use std::process::{Command, Stdio};

use super::*;
use crate::market::Tick;
use crate::writer::runtime::runtime;

const NOW: Now = Now {
    mono_ns: 1,
    wall_ns: 77,
};

/// Everything until the end, a line each.
async fn drain(stdin: &mut Stdin) -> Vec<String> {
    let mut got = Vec::new();
    loop {
        match stdin.next(NOW) {
            Next::Event(Event { channel, ts_ns, tick }) => got.push(match tick {
                Tick::Trade(trade) => format!("{channel} {ts_ns} {} {}", trade.price, trade.size),
                Tick::Message(json) => format!("{channel} {ts_ns} {json}"),
                Tick::Book(book) => format!("{channel} {ts_ns} {}+{}", book.bids.len(), book.asks.len()),
                Tick::Quote(quote) => format!("{channel} {ts_ns} {} {}", quote.bid_price, quote.ask_price),
            }),
            Next::Wait => stdin.wait().await.unwrap(),
            Next::End => return got,
        }
    }
}

const INPUT: &str = concat!(
    r#"{"ch":"trade:BTC-USD","t":"trade","ts":5,"px":"1.50","sz":"2","side":"buy"}"#,
    "\r\n\n",
    r#"{"ch":"book:BTC-USD","t":"book","k":"snap","b":[["1","2"]],"a":[["2","1"],["3","1"]]}"#,
    "\nnonsense\n",
    r#"{"ch":"room","t":"msg","data":1}"#,
    "\n",
    r#"{"ch":"room:1","t":"msg","data":{"a":"b"}}"#,
);
const OUTPUT: [&str; 3] = [
    "trade:BTC-USD 5 1.50 2",
    "book:BTC-USD 77 1+2",
    r#"room:1 77 {"a":"b"}"#,
];

#[test]
fn good_lines_of_a_pipe_become_events_and_bad_ones_are_told() {
    let (reader, mut writer) = io::pipe().unwrap();
    writer.write_all(INPUT.as_bytes()).unwrap();
    drop(writer);
    runtime().unwrap().block_on(async {
        let mut stdin = Stdin::from(OwnedFd::from(reader));
        assert_eq!(drain(&mut stdin).await, OUTPUT);
        let tally = stdin.tally();
        assert_eq!((tally.lines, tally.ticks(), tally.bad_lines()), (6, 3, 2));
        assert_eq!((tally.bad(Fault::Json), tally.bad(Fault::Name)), (1, 1));
        assert_eq!(stdin.next(NOW), Next::End);
    });
}

#[test]
fn a_wait_that_is_given_up_loses_nothing() {
    let (reader, mut writer) = io::pipe().unwrap();
    runtime().unwrap().block_on(async {
        let mut stdin = Stdin::from(OwnedFd::from(reader));
        let mut events = Vec::new();
        for byte in INPUT.bytes() {
            while let Next::Event(event) = stdin.next(NOW) {
                events.push(event.channel.to_owned());
            }
            {
                let mut wait = std::pin::pin!(stdin.wait());
                let once =
                    std::future::poll_fn(|context| std::task::Poll::Ready(wait.as_mut().poll(context)));
                let _ = once.await;
            }
            writer.write_all(&[byte]).unwrap();
        }
        drop(writer);
        let rest = drain(&mut stdin).await.len();
        assert_eq!((events.len() + rest, stdin.tally().bad_lines()), (3, 2));
    });
}

#[test]
fn a_descriptor_that_cannot_be_read_is_told_once_and_ends() {
    let directory = std::fs::File::open(std::env::temp_dir()).unwrap();
    runtime().unwrap().block_on(async {
        let mut stdin = Stdin::from(OwnedFd::from(directory));
        assert_eq!(stdin.next(NOW), Next::Wait);
        assert!(matches!(
            stdin.wait().await,
            Err(SourceError::Read { offset: 0, .. })
        ));
        assert_eq!(stdin.next(NOW), Next::End);
    });
}

/// Not a test: what the tests below run as a process of its own, for its standard input.
#[test]
#[ignore = "reads standard input; other tests run it"]
fn child() {
    runtime().unwrap().block_on(async {
        for line in drain(&mut Stdin::open().unwrap()).await {
            println!("got {line}");
        }
    });
}

const CHILD: &str = "writer::source::stdin::tests::child";

fn what_a_child_reads(command: &mut Command, input: Stdio, typed: &str) -> Vec<String> {
    let mut process = command
        .stdin(input)
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    if let Some(mut stdin) = process.stdin.take() {
        stdin.write_all(typed.as_bytes()).unwrap();
    }
    let output = process.wait_with_output().unwrap();
    let text = String::from_utf8_lossy(&output.stdout);
    let got = text.lines().filter_map(|line| {
        line.split_once("got ")
            .map(|(_, event)| event.trim_end().to_owned())
    });
    got.collect()
}

fn this_program() -> Command {
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args(["--exact", CHILD, "--ignored", "--nocapture"]);
    command
}

#[test]
fn standard_input_may_be_a_pipe() {
    assert_eq!(
        what_a_child_reads(&mut this_program(), Stdio::piped(), INPUT),
        OUTPUT
    );
}

#[test]
fn standard_input_may_be_a_file() {
    let path = std::env::temp_dir().join(format!("tickwire-stdin-{}", std::process::id()));
    std::fs::write(&path, INPUT).unwrap();
    let file = std::fs::File::open(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(what_a_child_reads(&mut this_program(), file.into(), ""), OUTPUT);
}

#[test]
fn standard_input_may_be_a_terminal() {
    // script(1) of util-linux runs a command on a pseudo-terminal and types what it reads itself.
    if Command::new("script").arg("--version").output().is_err() {
        println!("SKIPPED: script(1) is not installed, so there is no pseudo-terminal to read from");
        return;
    }
    let program = std::env::current_exe().unwrap();
    let line = format!("{} --exact {CHILD} --ignored --nocapture", program.display());
    let mut script = Command::new("script");
    script.args(["--quiet", "--echo", "never", "--command", &line, "/dev/null"]);
    let typed = INPUT.to_owned() + "\n";
    assert_eq!(what_a_child_reads(&mut script, Stdio::piped(), &typed), OUTPUT);
}
