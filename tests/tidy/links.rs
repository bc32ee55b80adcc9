//! Whether what the documents point to is there.

use crate::tree::TextFile;

/// Whether links of this file are checked.
pub(crate) fn is_document(path: &str) -> bool {
    let at_the_root = ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].contains(&path);
    at_the_root || (path.starts_with("docs/") && path.ends_with(".md"))
}

/// Relative links to what does not exist.
pub(crate) fn broken(file: &TextFile, exists: impl Fn(&str) -> bool) -> Vec<String> {
    links(&file.text)
        .into_iter()
        .filter(|(_, target)| !target.contains(':') && !target.starts_with('#'))
        .filter(|(_, target)| !resolve(&file.path, target).is_some_and(|path| exists(&path)))
        .map(|(line, target)| format!("{}:{line}: the link to {target} leads nowhere", file.path))
        .collect()
}

/// Files of this project that a document names, in prose, tables or diagrams, and that do not exist. A file is named by
/// its whole path, or from `src/` on.
pub(crate) fn missing_paths(file: &TextFile, exists: impl Fn(&str) -> bool) -> Vec<String> {
    let mut found = Vec::new();
    for (index, line) in file.text.lines().enumerate() {
        let words = line.split(|c: char| c.is_whitespace() || "`|()[],;".contains(c));
        for word in words.map(|word| word.trim_end_matches(['.', ':'])) {
            let is_path = FOLDERS.iter().any(|folder| word.starts_with(folder)) || word.ends_with(".rs");
            if is_path && !exists(word) && !exists(&format!("src/{word}")) {
                found.push(format!("{}:{}: there is no {word}", file.path, index + 1));
            }
        }
    }
    found
}

/// The targets of all links outside code, with their lines.
fn links(markdown: &str) -> Vec<(usize, String)> {
    let mut links = Vec::new();
    let mut fenced = false;
    for (index, line) in markdown.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            fenced = !fenced;
        }
        if fenced {
            continue;
        }
        let prose: String = line.split('`').step_by(2).collect::<Vec<_>>().join("code");
        let inline = prose
            .split("](")
            .skip(1)
            .filter_map(|rest| rest.split(')').next());
        let defined = prose.strip_prefix('[').and_then(|rest| rest.split_once("]: "));
        let targets = inline.chain(defined.map(|(_, target)| target));
        let first_word = |target: &str| target.split_whitespace().next().map(str::to_owned);
        links.extend(targets.filter_map(first_word).map(|target| (index + 1, target)));
    }
    links
}

/// The path from the root of the repository that a link in the document `from` means; `None` when it leads out.
fn resolve(from: &str, target: &str) -> Option<String> {
    let target = target.split('#').next().unwrap_or(target);
    let folder = from.rsplit_once('/').map_or("", |(folder, _)| folder);
    let mut parts: Vec<&str> = folder.split('/').filter(|part| !part.is_empty()).collect();
    for part in target.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()?),
            name => parts.push(name),
        }
    }
    Some(parts.join("/"))
}

const FOLDERS: &[&str] = &["src/", "tests/", "docs/", "benches/", "fuzz/", ".ci/"];

#[test]
fn a_link_that_leads_nowhere_is_found() {
    let text = "\
[a](there.md) [b](gone.md) [c](https://example.org/gone.md) [d](#here)
[e](../README.md#top \"title\") [f](../../out.md) `[g](gone.md)`
```
[h](gone.md)
```
[i]: gone/too.md
";
    let exists = |path: &str| ["docs/there.md", "README.md"].contains(&path);
    assert_eq!(
        broken(&TextFile::new("docs/a.md", text), exists),
        [
            "docs/a.md:1: the link to gone.md leads nowhere",
            "docs/a.md:2: the link to ../../out.md leads nowhere",
            "docs/a.md:6: the link to gone/too.md leads nowhere",
        ]
    );
}

#[test]
fn a_file_that_does_not_exist_is_found_wherever_it_is_named() {
    let text = "| `hub/mod.rs` | src/hub/gone.rs |\n  tests/gone.rs, lib.rs: not example.org\n";
    let exists = |path: &str| ["src/hub/mod.rs", "src/lib.rs"].contains(&path);
    assert_eq!(
        missing_paths(&TextFile::new("docs/a.md", text), exists),
        [
            "docs/a.md:1: there is no src/hub/gone.rs",
            "docs/a.md:2: there is no tests/gone.rs"
        ]
    );
}
