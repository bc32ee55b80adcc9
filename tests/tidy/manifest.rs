//! Whether the manifest says why each dependency is there.

use crate::tree::TextFile;

/// Dependencies without a comment on the line above.
pub(crate) fn unexplained(manifest: &TextFile) -> Vec<String> {
    let mut found = Vec::new();
    let mut lists_dependencies = false;
    let mut open = 0_usize;
    let mut above = "";
    for (index, line) in manifest.text.lines().map(str::trim).enumerate() {
        let begins_entry = open == 0 && !line.is_empty() && !line.starts_with('#');
        let table = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
        if let (true, Some(table)) = (begins_entry, table) {
            lists_dependencies = table.ends_with("dependencies");
        }
        let is_dependency = match table {
            Some(table) => table.contains("dependencies."),
            None => lists_dependencies,
        };
        if begins_entry && is_dependency && !is_reason(above) {
            let name = line
                .trim_start_matches('[')
                .split([' ', '=', ']'])
                .next()
                .unwrap_or(line);
            let place = format!("{}:{}", manifest.path, index + 1);
            found.push(format!("{place}: {name}: no comment above says why it is there"));
        }
        if table.is_none() && !line.starts_with('#') {
            open = (open + line.matches(['[', '{']).count()).saturating_sub(line.matches([']', '}']).count());
        }
        above = line;
    }
    found
}

fn is_reason(line: &str) -> bool {
    line.strip_prefix('#')
        .is_some_and(|reason| reason.split_whitespace().count() > 1)
}

#[test]
fn a_dependency_without_a_reason_is_found_in_every_kind_of_table() {
    let text = "\
[package]
name = \"x\"

[dependencies]
# Why a is there.
a = { version = \"1\", features = [
    \"x\",
] }
b = \"1\"
# Yes.
c = \"1\"

[target.'cfg(x)'.dependencies]
d = \"1\"

# Why e is there.
[dev-dependencies.e]
version = \"1\"
[build-dependencies.f]
version = \"1\"
";
    let reason = "no comment above says why it is there";
    assert_eq!(
        unexplained(&TextFile::new("Cargo.toml", text)),
        [
            format!("Cargo.toml:9: b: {reason}"),
            format!("Cargo.toml:11: c: {reason}"),
            format!("Cargo.toml:14: d: {reason}"),
            format!("Cargo.toml:19: build-dependencies.f: {reason}"),
        ]
    );
}
