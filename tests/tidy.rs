//! House rules that no compiler checks, held against the text of the repository.
//!
//! Each rule is a function from text to violations, in a file of `tests/tidy/` whose own tests plant a violation and
//! see it found. Here the rules meet the repository.

#[path = "tidy/conformance.rs"]
mod conformance;
#[path = "tidy/imports.rs"]
mod imports;
#[path = "tidy/items.rs"]
mod items;
#[path = "tidy/links.rs"]
mod links;
#[path = "tidy/manifest.rs"]
mod manifest;
#[path = "tidy/parsers.rs"]
mod parsers;
#[path = "tidy/shape.rs"]
mod shape;
#[path = "tidy/source.rs"]
mod source;
#[path = "tidy/tree.rs"]
mod tree;
#[path = "tidy/unsafety.rs"]
mod unsafety;

use tree::{TextFile, exists, text_files};

#[test]
fn a_room_imports_only_from_the_rooms_below_it() {
    assert_none(each(&files(&["src/"], ".rs"), imports::violations));
}

#[test]
fn every_part_of_the_crate_is_a_room_of_the_table() {
    assert_none(imports::strays(&files(&["src/"], ".rs")));
}

#[test]
fn unsafe_code_is_in_the_listed_files_and_in_each_of_them() {
    let sources = files(&["src/", "tests/", "benches/", "examples/", "fuzz/"], ".rs");
    assert_none(unsafety::violations(unsafety::FILES, &sources));
}

#[test]
fn no_file_is_too_long_to_be_read() {
    let files = files(&["src/", "tests/", "benches/", "examples/", "fuzz/", "docs/"], "");
    assert_none(each(&files, shape::too_long));
}

#[test]
fn every_module_says_first_what_it_is() {
    assert_none(each(
        &files(&["src/", "examples/"], ".rs"),
        shape::without_heading,
    ));
}

#[test]
fn no_file_names_a_place_on_somebodys_machine() {
    assert_none(each(&text_files(), shape::machine_paths));
}

#[test]
fn every_dependency_says_why_it_is_there() {
    let manifests: Vec<TextFile> = ["Cargo.toml", "benches/peers/Cargo.toml", "fuzz/Cargo.toml"]
        .iter()
        .flat_map(|path| text_files().into_iter().find(|file| file.path == *path))
        .collect();
    assert_eq!(
        manifests.len(),
        3,
        "there is a manifest of the crate, one of its fuzzers and one of its peers"
    );
    assert_none(each(&manifests, manifest::unexplained));
}

#[test]
fn parsers_of_untrusted_bytes_cannot_panic_unnoticed() {
    assert_none(parsers::violations(parsers::FILES, &files(&["src/"], ".rs")));
}

#[test]
fn links_between_documents_lead_somewhere() {
    let documents: Vec<TextFile> = text_files()
        .into_iter()
        .filter(|file| links::is_document(&file.path))
        .collect();
    assert!(!documents.is_empty(), "there are documents");
    assert_none(each(&documents, |file| links::broken(file, exists)));
}

#[test]
fn the_architecture_names_files_that_exist() {
    let documents = files(&["docs/architecture.md"], ".md");
    assert_eq!(documents.len(), 1, "there is one such document");
    assert_none(each(&documents, |file| links::missing_paths(file, exists)));
}

#[test]
fn each_requirement_of_the_rfcs_has_a_function_that_obeys_it_and_a_test_that_proves_it() {
    let documents = files(&["docs/rfc-conformance.md"], ".md");
    let sources = files(&["src/", "tests/"], ".rs");
    assert_eq!(documents.len(), 1, "there is one such document");
    assert_none(each(&documents, |file| {
        conformance::violations(conformance::SECTIONS, file, &sources)
    }));
}

/// The text files below one of the folders whose names end so.
fn files(folders: &[&str], ending: &str) -> Vec<TextFile> {
    text_files()
        .into_iter()
        .filter(|file| folders.iter().any(|folder| file.path.starts_with(folder)))
        .filter(|file| file.path.ends_with(ending))
        .collect()
}

fn each(files: &[TextFile], rule: impl Fn(&TextFile) -> Vec<String>) -> Vec<String> {
    files.iter().flat_map(rule).collect()
}

fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}
