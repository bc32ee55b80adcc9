//! How long a file may be, how it begins, and what no file says.

use crate::tree::TextFile;

/// Whether a file has more lines than one reads in a sitting.
pub(crate) fn too_long(file: &TextFile) -> Vec<String> {
    let lines = file.text.lines().count();
    if lines <= LINES_MAX || file.path.ends_with("Cargo.lock") {
        return Vec::new();
    }
    vec![format!("{}: {lines} lines; the most is {LINES_MAX}", file.path)]
}

/// Whether a module does not begin with what it is.
pub(crate) fn without_heading(file: &TextFile) -> Vec<String> {
    let heading = file
        .text
        .lines()
        .next()
        .and_then(|line| line.strip_prefix("//! "));
    if heading.is_some_and(|heading| !heading.trim().is_empty()) {
        return Vec::new();
    }
    vec![format!(
        "{}:1: a module begins with a `//!` line that says what it is",
        file.path
    )]
}

/// Absolute paths that mean something on one machine only. A test that needs a file asks for the system's folder for
/// such files.
pub(crate) fn machine_paths(file: &TextFile) -> Vec<String> {
    let lines = file.text.lines().enumerate();
    lines
        .flat_map(|(index, line)| {
            MACHINE_FOLDERS
                .iter()
                .map(|name| format!("/{name}"))
                .filter(|folder| names_folder(line, folder))
                .map(move |folder| format!("{}:{}: names {folder}", file.path, index + 1))
        })
        .collect()
}

/// Whether the folder stands in the line as an absolute path, and not as a part of a longer path or word.
fn names_folder(line: &str, folder: &str) -> bool {
    line.match_indices(folder).any(|(at, _)| {
        let (before, after) = (&line[..at], &line[at + folder.len()..]);
        let part_of_word = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-');
        !before.ends_with(|c: char| part_of_word(c) || matches!(c, '.' | '~' | '*' | '}' | '/'))
            && !after.starts_with(part_of_word)
    })
}

const LINES_MAX: usize = 600;
/// Without the slash, so that this file keeps its own rule.
const MACHINE_FOLDERS: &[&str] = &["work", "tmp", "root", "home"];

#[test]
fn a_line_too_many_is_found() {
    let longest = "\n".repeat(LINES_MAX);
    assert_eq!(too_long(&TextFile::new("a.rs", &longest)), [""; 0]);
    assert_eq!(
        too_long(&TextFile::new("a.rs", &(longest + "\n"))),
        ["a.rs: 601 lines; the most is 600"]
    );
}

#[test]
fn a_module_without_a_heading_is_found() {
    assert_eq!(
        without_heading(&TextFile::new("a.rs", "//! What it is.\n")),
        [""; 0]
    );
    for text in [
        "",
        "\n//! Late.\n",
        "//!\n",
        "#![expect(x)]\n//! Late.\n",
        "// No.\n",
    ] {
        assert_eq!(without_heading(&TextFile::new("a.rs", text)).len(), 1, "{text:?}");
    }
}

#[test]
fn a_machine_path_is_found_with_its_line() {
    let [work, tmp, root, home] = [0, 1, 2, 3].map(|index| format!("/{}", MACHINE_FOLDERS[index]));
    let text = format!("see\n`{work}/x`\n\"{tmp}\"\ncd {root}\nin {home}/me\n");
    let found = machine_paths(&TextFile::new("a.md", &text));
    let expected = [(2, &work), (3, &tmp), (4, &root), (5, &home)];
    assert_eq!(
        found,
        expected.map(|(line, folder)| format!("a.md:{line}: names {folder}"))
    );
    let harmless = format!("frame{work} {work}ers ..{tmp} x{root} https://host{home}");
    assert_eq!(machine_paths(&TextFile::new("a.md", &harmless)), [""; 0]);
}
