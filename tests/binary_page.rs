//! The decoder that `docs/binary.md` shows reads the messages that it shows.

use std::fmt::Write as _;
use std::io::ErrorKind;
use std::process::Command;

use serde_json::Value;

const PAGE: &str = include_str!("../docs/binary.md");

/// The fenced blocks whose first line begins so: what follows on that line, and the text.
fn fenced(opening: &str) -> Vec<(&'static str, &'static str)> {
    PAGE.split(&format!("\n```{opening}"))
        .skip(1)
        .map(|block| {
            let (name, block) = block.split_once('\n').expect("a block has lines");
            let (text, _) = block.split_once("\n```").expect("a block ends");
            (name.trim(), text)
        })
        .collect()
}

/// The bytes of a dump, as hexadecimal digits.
fn digits(dump: &str) -> String {
    dump.lines()
        .map(|line| {
            line[6..]
                .split("  ")
                .next()
                .expect("a line has bytes")
                .replace(' ', "")
        })
        .collect()
}

#[test]
fn the_decoder_of_the_page_reads_every_dump_of_it() {
    let [(_, decoder)] = fenced("python")[..] else {
        panic!("there is one decoder");
    };
    let (dumps, texts) = (fenced("hex "), fenced("json "));
    assert_eq!(dumps.len(), 7, "one for each template");
    let mut program = format!("{decoder}\n\n");
    for (_, dump) in &dumps {
        writeln!(
            program,
            "print(json.dumps(decode(bytes.fromhex('{}'))))",
            digits(dump)
        )
        .expect("strings take everything");
    }
    // What a newer server may say.
    program += "print(json.dumps(decode(bytes.fromhex('0900100054570200') + b'whatever!')))\n";
    let output = match Command::new("python3").args(["-c", &program]).output() {
        Err(error) if error.kind() == ErrorKind::NotFound => {
            println!("SKIPPED: there is no python3");
            return;
        }
        output => output.expect("python3 runs"),
    };
    assert!(output.status.success(), "{output:?}");
    let said = String::from_utf8(output.stdout).expect("JSON is text");
    let mut said = said
        .lines()
        .map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    for ((name, _), (text_name, text)) in dumps.iter().zip(&texts) {
        assert_eq!(name, text_name);
        let expected: Value = serde_json::from_str(text).expect("JSON");
        assert_eq!(said.next(), Some(expected), "{name}");
    }
    assert_eq!((said.next(), said.next()), (Some(Value::Null), None));
}
