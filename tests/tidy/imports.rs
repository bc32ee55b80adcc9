//! Who may import whom: the floor plan, and the paths that cross it.
//!
//! Paths are resolved textually, wherever they stand (declarations, bodies, attributes, macros, test modules): what begins
//! with `crate::`, `tickwire::` or as many `super::` as lead out of its room is a use of the room it names. Examples in
//! comments are not looked at.

use crate::source::{Token, code_only, tokens};
use crate::tree::TextFile;

/// A folder or file directly below `src/`.
#[derive(Debug)]
pub(crate) struct Room {
    name: &'static str,
    floor: u8,
    may_import: &'static [&'static str],
}

/// The floor plan. Rooms of one floor are strangers to each other, except that `base` may use `limits`.
pub(crate) const ROOMS: &[Room] = &[
    room("limits", 0, &[]),
    room("base", 0, &["limits"]),
    room("wire", 1, &["limits", "base"]),
    room("market", 1, &["limits", "base"]),
    room("ring", 1, &["limits", "base"]),
    room("tape", 1, &["limits", "base"]),
    room("dialect", 2, &["limits", "base", "wire", "market"]),
    room("hub", 2, &["limits", "base", "tape"]),
    room("connection", 2, &["limits", "base", "wire"]),
    room("shard", 3, BELOW_THE_SHARD),
    room(
        "writer",
        3,
        &["limits", "base", "wire", "market", "tape", "dialect"],
    ),
    room("client", 3, &["limits", "base", "wire", "market", "dialect"]),
    // Calls every parser of foreign bytes, and nobody calls it but tests and fuzzers.
    room(
        "fuzzing",
        4,
        &["limits", "base", "wire", "market", "tape", "dialect", "writer"],
    ),
    room("control", 4, BELOW_THE_CONTROL),
    // A shard for the other side, which shares nothing with the server but what both ends speak.
    room(
        "load",
        4,
        &["limits", "base", "wire", "dialect", "ring", "client"],
    ),
    room("bin", 5, EVERYTHING),
];

const BELOW_THE_SHARD: &[&str] = &[
    "limits",
    "base",
    "wire",
    "market",
    "ring",
    "tape",
    "dialect",
    "hub",
    "connection",
];
const BELOW_THE_CONTROL: &[&str] = &[
    "limits",
    "base",
    "wire",
    "market",
    "ring",
    "tape",
    "dialect",
    "hub",
    "connection",
    "shard",
    "writer",
];
const EVERYTHING: &[&str] = &[
    "limits",
    "base",
    "wire",
    "market",
    "ring",
    "tape",
    "dialect",
    "hub",
    "connection",
    "shard",
    "writer",
    "client",
    "control",
    "load",
];

const fn room(name: &'static str, floor: u8, may_import: &'static [&'static str]) -> Room {
    Room {
        name,
        floor,
        may_import,
    }
}

/// The paths of one file that the floor plan forbids.
pub(crate) fn violations(file: &TextFile) -> Vec<String> {
    let Some(room) = room_of(&file.path) else {
        return Vec::new();
    };
    let forbidden = |path: &NamedPath| match path.names.first() {
        None => Some("the root of the crate".to_owned()),
        Some(name) if name == room.name || room.may_import.contains(&name.as_str()) => None,
        Some(name) if ROOMS.iter().any(|room| room.name == name) => Some(format!("`{name}`")),
        Some(name) => Some(format!("`{name}`, which is no room")),
    };
    let code = code_only(&file.text);
    let paths = named_paths(&module_of(&file.path), room.name == "bin", &tokens(&code));
    let (file, from) = (&file.path, room.name);
    let violation = |path: &NamedPath| {
        let line = path.line;
        forbidden(path).map(|to| format!("{file}:{line}: room `{from}` may not import from {to}"))
    };
    let mut found: Vec<String> = paths.iter().filter_map(violation).collect();
    found.dedup();
    found
}

/// Files that belong to no room of the table, and rooms without a file.
pub(crate) fn strays(files: &[TextFile]) -> Vec<String> {
    let stray = files
        .iter()
        .filter(|file| file.path != CRATE_ROOT && room_of(&file.path).is_none())
        .map(|file| {
            format!(
                "{}: belongs to no room of the table in tests/tidy/imports.rs",
                file.path
            )
        });
    let empty = ROOMS
        .iter()
        .filter(|room| !files.iter().any(|file| lies_in(&file.path, room.name)))
        .map(|room| format!("room `{}` has no file", room.name));
    stray.chain(empty).collect()
}

fn room_of(path: &str) -> Option<&'static Room> {
    ROOMS.iter().find(|room| lies_in(path, room.name))
}

fn lies_in(path: &str, room: &str) -> bool {
    let inside = path.strip_prefix("src/").and_then(|path| path.strip_prefix(room));
    inside.is_some_and(|rest| rest == ".rs" || rest.starts_with('/'))
}

/// The module that a file is, as names from the root of the crate.
fn module_of(path: &str) -> Vec<String> {
    let path = path.strip_prefix("src/").unwrap_or(path);
    let path = path.strip_suffix(".rs").unwrap_or(path);
    let path = path.strip_suffix("/mod").unwrap_or(path);
    path.split('/').map(str::to_owned).collect()
}

/// A path that was resolved, as names from the root of the crate.
#[derive(Debug)]
struct NamedPath {
    names: Vec<String>,
    line: usize,
}

/// Every path of a file that says where it starts. `apart` says that the file is of another crate: then only what it
/// names of ours counts.
fn named_paths(module: &[String], apart: bool, tokens: &[Token<'_>]) -> Vec<NamedPath> {
    let mut found = Vec::new();
    let mut here = module.to_vec();
    let (mut depth, mut inline) = (0_usize, Vec::new());
    let mut at = 0;
    while at < tokens.len() {
        let next = text(tokens, at + 1);
        match text(tokens, at) {
            "{" => depth += 1,
            "}" => {
                if inline.last() == Some(&depth) {
                    inline.pop();
                    here.pop();
                }
                depth = depth.saturating_sub(1);
            }
            "mod" if text(tokens, at + 2) == "{" => {
                here.push(next.to_owned());
                inline.push(depth + 1);
                at += 1;
            }
            "crate" | "super" | "self" if apart => {}
            "crate" | "super" | "self" | "tickwire" if matches!(next, "::" | "as") => {
                at = resolve(tokens, at, here.clone(), &mut found);
                continue;
            }
            _ => {}
        }
        at += 1;
    }
    found
}

/// Follows the path that begins at a token from the module `names`, through every branch of its groups; gives the place
/// behind it.
fn resolve(tokens: &[Token<'_>], start: usize, mut names: Vec<String>, found: &mut Vec<NamedPath>) -> usize {
    let mut at = start;
    loop {
        match text(tokens, at) {
            "crate" | "tickwire" => names.clear(),
            "super" => drop(names.pop()),
            "self" => {}
            name => names.push(name.to_owned()),
        }
        let goes_on = text(tokens, at + 1) == "::";
        match tokens.get(at + 2) {
            Some(next) if goes_on && next.text == "{" => return branches(tokens, at + 3, &names, found),
            Some(next) if goes_on && (next.is_word() || next.text == "*") => at += 2,
            _ => break,
        }
    }
    let line = tokens[start].line;
    found.push(NamedPath { names, line });
    at + 1
}

/// Follows every branch of a group whose first token is at `at`.
fn branches(tokens: &[Token<'_>], mut at: usize, names: &[String], found: &mut Vec<NamedPath>) -> usize {
    while at < tokens.len() {
        match text(tokens, at) {
            "}" => return at + 1,
            "," => at += 1,
            "as" => at += 2,
            _ => at = resolve(tokens, at, names.to_vec(), found),
        }
    }
    at
}

fn text<'a>(tokens: &[Token<'a>], at: usize) -> &'a str {
    tokens.get(at).map_or("", |token| token.text)
}

const CRATE_ROOT: &str = "src/lib.rs";

#[cfg(test)]
mod tests {
    use super::*;

    fn found(path: &str, source: &str) -> Vec<String> {
        violations(&TextFile::new(path, source))
    }

    #[test]
    fn the_table_only_points_down() {
        for room in ROOMS {
            for name in room.may_import {
                let below = ROOMS.iter().find(|below| below.name == *name);
                let below = below.expect("a room may import rooms of the table only");
                let within_ground = room.name == "base" && below.name == "limits";
                assert!(
                    below.floor < room.floor || within_ground,
                    "{} → {name}",
                    room.name
                );
            }
        }
    }

    #[test]
    fn an_upward_import_names_file_line_and_both_rooms() {
        assert_eq!(
            found("src/wire/send.rs", "//! Sends.\n\nuse crate::hub::Hub;\n"),
            ["src/wire/send.rs:3: room `wire` may not import from `hub`"]
        );
    }

    #[test]
    fn every_way_to_write_an_import_is_seen() {
        for source in [
            "use crate::shard;",
            "use crate::{base::Key, shard::{self, Shard as S}};",
            "use {crate::base::Key, crate::shard::Shard};",
            "use crate::{\n    limits,\n    shard,\n};",
            "pub(crate) use super::super::shard::*;",
            "use super::{topic::Topic, super::shard};",
            "fn f() -> crate::shard::Shard<u8> { todo() }",
            "fn f() { let x = tickwire::shard::Site::default(); }",
            "macro_rules! m { () => { $crate::shard::x() } }",
            "#[cfg(test)]\nmod tests {\n    use super::super::super::shard::Shard;\n}",
            "mod a { mod b { fn f() {} } use super::super::super::shard::x; }",
        ] {
            let violations = found("src/hub/client.rs", source);
            assert_eq!(violations.len(), 1, "{source}: {violations:?}");
            assert!(violations[0].ends_with("room `hub` may not import from `shard`"));
        }
    }

    #[test]
    fn the_root_of_the_crate_is_nobodys_to_use() {
        for source in [
            "use crate as c;",
            "use crate::*;",
            "use crate::Hub;",
            "use super::super as root;",
        ] {
            assert_eq!(found("src/hub/client.rs", source).len(), 1, "{source}");
        }
    }

    #[test]
    fn what_the_table_allows_passes() {
        for source in [
            "use crate::{base::{Key, Now}, limits, tape::Reader};",
            "use super::Hub; use super::subscription::Subscriptions; use crate::hub::Range;",
            "pub(super) fn f(self) { self.g(); Self::h(); }",
            "// use crate::shard::Shard;\nconst S: &str = \"crate::shard::Shard\";",
            "#[cfg(test)]\nmod tests { use super::*; mod deep { use super::super::Client; } }",
        ] {
            assert_eq!(found("src/hub/client.rs", source), [""; 0], "{source}");
        }
        assert_eq!(found("src/hub/mod.rs", "use super::tape::Reader;"), [""; 0]);
        assert_eq!(
            found(
                "src/bin/tickwire/main.rs",
                "use crate::run; use tickwire::control;"
            ),
            [""; 0]
        );
    }

    #[test]
    fn a_folder_without_a_row_and_a_row_without_a_folder_are_strays() {
        let files = [
            TextFile::new("src/lib.rs", ""),
            TextFile::new("src/helpers/mod.rs", ""),
        ];
        let strays = strays(&files);
        assert!(strays[0].starts_with("src/helpers/mod.rs: belongs to no room"));
        assert_eq!(strays.len(), 1 + ROOMS.len());
    }
}
