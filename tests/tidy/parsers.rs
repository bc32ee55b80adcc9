//! Whether every parser of untrusted bytes denies itself what may panic.
//!
//! The lints stand at the top of a parser, where they hold for its own modules too.

use crate::source::{Token, code_only, tokens};
use crate::tree::TextFile;

/// The parsers of what a peer, a file or standard input may say.
pub(crate) const FILES: &[&str] = &[
    "src/client/url.rs",
    "src/dialect/native_binary/decode.rs",
    "src/dialect/native_json/command.rs",
    "src/dialect/native_json/fields.rs",
    "src/dialect/native_json/input.rs",
    "src/dialect/native_json/input/levels.rs",
    "src/dialect/native_json/message.rs",
    "src/dialect/native_json/query.rs",
    "src/load/mark.rs",
    "src/load/procfs.rs",
    "src/market/channel.rs",
    "src/market/decimal/parse.rs",
    // For all of the room.
    "src/wire/mod.rs",
    "src/writer/journal/epoch.rs",
    "src/writer/journal/format.rs",
    "src/writer/journal/roll.rs",
    "src/writer/journal/scan.rs",
    "src/writer/source/capture/binance.rs",
    "src/writer/source/capture/decoder.rs",
    "src/writer/source/capture/depth.rs",
    "src/writer/source/gzip.rs",
    "src/writer/source/lines.rs",
    "src/writer/source/stdin.rs",
];

/// Listed files that do not exist or lack one of the lints.
pub(crate) fn violations(listed: &[&str], files: &[TextFile]) -> Vec<String> {
    let lacking = |path: &str| match files.iter().find(|file| file.path == path) {
        None => vec![format!("{path}: listed as a parser, and does not exist")],
        Some(file) => {
            let code = code_only(&file.text);
            let denied = denied(&tokens(&code));
            LINTS
                .iter()
                .filter(|lint| !denied.contains(lint))
                .map(|lint| format!("{path}: a parser of untrusted bytes must deny clippy::{lint}"))
                .collect()
        }
    };
    listed.iter().flat_map(|path| lacking(path)).collect()
}

/// The Clippy lints that `deny(…)` names in the attributes of a module (`#![…]`).
fn denied<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let texts: Vec<&str> = tokens.iter().map(|token| token.text).collect();
    let mut lints = Vec::new();
    let (mut brackets, mut denying) = (0_usize, false);
    for (at, &text) in texts.iter().enumerate() {
        match text {
            "[" if brackets > 0 || texts[..at].ends_with(&["#", "!"]) => brackets += 1,
            "]" => brackets = brackets.saturating_sub(1),
            "deny" => denying = brackets > 0,
            ")" => denying = false,
            _ if denying && texts[..at].ends_with(&["clippy", "::"]) => lints.push(text),
            _ => {}
        }
    }
    lints
}

const LINTS: &[&str] = &[
    "indexing_slicing",
    "arithmetic_side_effects",
    "panic",
    "expect_used",
];

#[test]
fn a_parser_that_lacks_a_lint_is_found() {
    let all = "clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic, clippy::expect_used";
    let some = "clippy::indexing_slicing, clippy::arithmetic_side_effects, clippy::panic";
    let files = [
        TextFile::new("all.rs", &format!("//! Doc.\n#![deny({all})]\n")),
        TextFile::new("not_test.rs", &format!("#![cfg_attr(not(test), deny({all}))]\n")),
        TextFile::new("some.rs", &format!("#![deny({some})]\n")),
        TextFile::new(
            "warns.rs",
            &format!("#![deny({some})]\n#![warn(clippy::expect_used)]\n"),
        ),
        TextFile::new(
            "item.rs",
            &format!("#![deny({some})]\n#[deny(clippy::expect_used)]\nfn f() {{}}\n"),
        ),
    ];
    let listed = [
        "all.rs",
        "not_test.rs",
        "some.rs",
        "warns.rs",
        "item.rs",
        "gone.rs",
    ];
    let lacks = "a parser of untrusted bytes must deny clippy::expect_used";
    assert_eq!(
        violations(&listed, &files),
        [
            format!("some.rs: {lacks}"),
            format!("warns.rs: {lacks}"),
            format!("item.rs: {lacks}"),
            "gone.rs: listed as a parser, and does not exist".to_owned(),
        ]
    );
}
