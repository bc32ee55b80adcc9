//! Which files may hold `unsafe`.
//!
//! The list is exact: a file that stops needing it leaves the list.

use crate::source::{code_only, tokens};
use crate::tree::TextFile;

/// The files with a reason to hold `unsafe`, which each of them states at its top.
pub(crate) const FILES: &[&str] = &[
    "benches/peers/src/floor/uring.rs",
    "src/ring/uring/kernel.rs",
    "src/ring/uring/queue.rs",
    "src/ring/uring/table.rs",
    "src/ring/uring/tests.rs",
    "src/ring/uring/transfer.rs",
    "src/tape/mirror.rs",
    "src/tape/shared.rs",
];

/// Files that use `unsafe` or lift its ban and are not listed, and listed files that do not.
pub(crate) fn violations(listed: &[&str], files: &[TextFile]) -> Vec<String> {
    let found: Vec<(&str, usize)> = files
        .iter()
        .filter_map(|file| first_use(&file.text).map(|line| (file.path.as_str(), line)))
        .collect();
    let unlisted = found
        .iter()
        .filter(|(path, _)| !listed.contains(path))
        .map(|(path, line)| format!("{path}:{line}: `unsafe` in a file that is not listed to hold it"));
    let unused = listed
        .iter()
        .filter(|path| !found.iter().any(|(used, _)| used == *path))
        .map(|path| format!("{path}: listed to hold `unsafe`, and holds none"));
    unlisted.chain(unused).collect()
}

/// The line of the first keyword or attribute.
fn first_use(source: &str) -> Option<usize> {
    let code = code_only(source);
    let tokens = tokens(&code);
    let token = tokens
        .iter()
        .find(|token| matches!(token.text, "unsafe" | "unsafe_code"));
    token.map(|token| token.line)
}

#[test]
fn an_unlisted_use_and_an_unused_listing_are_found() {
    let files = [
        TextFile::new("a.rs", "fn f() {\n    unsafe { g() }\n}\n"),
        TextFile::new("b.rs", "#![expect(unsafe_code, reason = \"…\")]\n"),
        TextFile::new(
            "c.rs",
            "// unsafe\nconst WORD: &str = \"unsafe\"; // unsafe_code\n",
        ),
        TextFile::new("d.rs", "unsafe impl Send for X {}\n"),
    ];
    assert_eq!(
        violations(&["c.rs", "d.rs"], &files),
        [
            "a.rs:2: `unsafe` in a file that is not listed to hold it",
            "b.rs:1: `unsafe` in a file that is not listed to hold it",
            "c.rs: listed to hold `unsafe`, and holds none",
        ]
    );
}
