//! Replays what the fuzzers have found worth keeping, and sees to it that every target keeps something.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What a target does with an input.
type Body = fn(&[u8]);

/// Every target, by the name of its file.
const TARGETS: &[(&str, Body)] = &[
    ("command", super::command),
    ("extensions", super::extensions),
    ("frame", super::frame),
    ("handshake_request", super::handshake_request),
    ("handshake_response", super::handshake_response),
    ("inflate", super::inflate),
    ("journal", super::journal),
    ("market_binary", super::market_binary),
    ("market_json", super::market_json),
    ("mask", super::mask),
    ("session", super::session),
    ("utf8", super::utf8),
];

/// Names of what lies in a folder of the fuzz crate, and the paths there.
fn listed(folder: &str) -> Vec<(String, std::path::PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz").join(folder);
    let entries = fs::read_dir(&folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut listed: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .map(|path| (path.file_stem().unwrap().to_string_lossy().into_owned(), path))
        .collect();
    listed.sort();
    listed
}

#[test]
fn every_input_of_the_corpus_still_passes() {
    for (name, target) in TARGETS {
        let inputs = listed(&format!("corpus/{name}"));
        assert!(!inputs.is_empty(), "{name}: no input to replay");
        for (_, path) in inputs {
            // A failure's last line on standard error names the input.
            eprintln!("{name}: {}", path.display());
            target(&fs::read(&path).unwrap());
        }
    }
}

#[test]
fn every_target_has_a_body_and_a_corpus_and_no_other_has() {
    let bodies: BTreeSet<String> = TARGETS.iter().map(|(name, _)| (*name).to_owned()).collect();
    for folder in ["fuzz_targets", "corpus"] {
        let names: BTreeSet<String> = listed(folder).into_iter().map(|(name, _)| name).collect();
        assert_eq!(names, bodies, "fuzz/{folder}");
    }
    let manifest = include_str!("../../fuzz/Cargo.toml");
    let entries = manifest
        .lines()
        .filter_map(|line| line.strip_prefix("path = \"fuzz_targets/"));
    let names: BTreeSet<String> = entries
        .map(|file| file.trim_end_matches(".rs\"").to_owned())
        .collect();
    assert_eq!(names, bodies, "fuzz/Cargo.toml");
}

#[test]
fn a_corpus_stays_small() {
    for (name, _) in TARGETS {
        let inputs = listed(&format!("corpus/{name}"));
        let bytes: u64 = inputs
            .iter()
            .map(|(_, path)| fs::metadata(path).unwrap().len())
            .sum();
        assert!(inputs.len() <= INPUTS_MAX, "{name}: {} inputs", inputs.len());
        assert!(bytes <= CORPUS_BYTES_MAX, "{name}: {bytes} bytes");
    }
}

const INPUTS_MAX: usize = 64;
const CORPUS_BYTES_MAX: u64 = 48 * 1024;
