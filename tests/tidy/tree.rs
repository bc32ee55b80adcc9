//! The text files of the repository, as they lie in the working directory.
//!
//! Never looks into what a build leaves behind or into the version control's own files.

use std::fs;
use std::path::Path;

/// A file that is text.
#[derive(Debug)]
pub(crate) struct TextFile {
    /// Where it is, from the root of the repository, with `/` between the parts.
    pub(crate) path: String,
    pub(crate) text: String,
}

impl TextFile {
    pub(crate) fn new(path: &str, text: &str) -> Self {
        Self {
            path: path.to_owned(),
            text: text.to_owned(),
        }
    }
}

/// Every text file, by path.
pub(crate) fn text_files() -> Vec<TextFile> {
    let mut files = Vec::new();
    gather(Path::new(ROOT), "", &mut files);
    files.sort_by(|a, b| a.path.cmp(&b.path));
    files
}

/// Whether the repository has a file or folder of that path.
pub(crate) fn exists(path: &str) -> bool {
    Path::new(ROOT).join(path).exists()
}

fn gather(folder: &Path, prefix: &str, files: &mut Vec<TextFile>) {
    for entry in fs::read_dir(folder).expect("a folder can be listed") {
        let entry = entry.expect("an entry can be read");
        let name = entry.file_name().to_string_lossy().into_owned();
        if LEFT_OUT.contains(&name.as_str()) {
            continue;
        }
        let path = format!("{prefix}{name}");
        let kind = entry.file_type().expect("an entry is of some type");
        if kind.is_dir() {
            gather(&entry.path(), &format!("{path}/"), files);
        } else if kind.is_file()
            && let Ok(text) = fs::read_to_string(entry.path())
        {
            files.push(TextFile { path, text });
        }
    }
}

const ROOT: &str = env!("CARGO_MANIFEST_DIR");
const LEFT_OUT: &[&str] = &[".git", "target"];

#[test]
fn the_tree_holds_sources_and_hidden_files_but_nothing_built() {
    let files = text_files();
    let has = |path: &str| files.iter().any(|file| file.path == path);
    assert!(has("tests/tidy/tree.rs") && has(".gitignore") && has("src/lib.rs"));
    assert!(!files.iter().any(|file| file.path.starts_with("target/")));
    assert!(exists("src") && !exists("src/nowhere.rs"));
}
