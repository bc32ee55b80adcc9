//! Which functions and which tests a source file defines, by name.

use std::collections::BTreeSet;

use crate::source::{Token, code_only, tokens};
use crate::tree::TextFile;

/// The paths of all functions below `src/` but those of tests: `module::function`, or `module::Type::function` where it
/// stands in an `impl` of the type or in the trait of that name.
pub(crate) fn functions(sources: &[TextFile]) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for file in sources {
        if let Some(module) = module(&file.path) {
            let code = code_only(&file.text);
            Scan::new(module).functions(&tokens(&code), &mut found);
        }
    }
    found
}

/// The names of the functions that a test runner would run, `#[ignore]`d ones left out.
pub(crate) fn tests(source: &str) -> BTreeSet<String> {
    let code = code_only(source);
    let tokens = tokens(&code);
    let mut found = BTreeSet::new();
    let (mut is_test, mut is_ignored) = (false, false);
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        match token.text {
            "#" => {
                let end = end_of_attribute(&tokens, at);
                let words: Vec<&str> = path_of(&tokens[at..end]);
                is_test |= words.last() == Some(&"test");
                is_ignored |= words == ["ignore"];
                at = end;
                continue;
            }
            "fn" => {
                let name = tokens.get(at + 1).filter(|name| name.is_word());
                found.extend(
                    name.filter(|_| is_test && !is_ignored)
                        .map(|name| name.text.to_owned()),
                );
                (is_test, is_ignored) = (false, false);
            }
            ";" | "{" | "}" => (is_test, is_ignored) = (false, false),
            _ => {}
        }
        at += 1;
    }
    found
}

/// The module that a file below `src/` is; `None` for other files and for tests.
fn module(path: &str) -> Option<Vec<&str>> {
    let path = path.strip_prefix("src/")?.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    let parts: Vec<&str> = path.split('/').filter(|part| *part != "lib").collect();
    (!parts.contains(&TESTS)).then_some(parts)
}

/// Walks through the items of a file.
struct Scan<'a> {
    /// The names of what is open: modules and types, and `None` for a block that names nothing.
    open: Vec<Option<&'a str>>,
    /// Open blocks without a name: within one there are no items of the module's.
    nameless: usize,
}

impl<'a> Scan<'a> {
    fn new(module: Vec<&'a str>) -> Self {
        Self {
            open: module.into_iter().map(Some).collect(),
            nameless: 0,
        }
    }

    fn functions(mut self, tokens: &[Token<'a>], found: &mut BTreeSet<String>) {
        let mut next = None;
        for (at, token) in tokens.iter().enumerate() {
            let named = tokens
                .get(at + 1)
                .filter(|name| name.is_word())
                .map(|name| name.text);
            match token.text {
                "mod" | "trait" => next = named,
                "impl" if begins_item(&tokens[..at]) => next = self_type(&tokens[at + 1..]),
                "fn" => found.extend(named.and_then(|name| self.path_to(name))),
                ";" => next = None,
                "{" => {
                    self.nameless += usize::from(next.is_none());
                    self.open.push(next.take());
                }
                "}" => {
                    let closed = self.open.pop().flatten();
                    self.nameless = self.nameless.saturating_sub(usize::from(closed.is_none()));
                }
                _ => {}
            }
        }
    }

    fn path_to(&self, function: &str) -> Option<String> {
        let mut path: Vec<&str> = self.open.iter().copied().flatten().collect();
        let listed = self.nameless == 0 && !path.contains(&TESTS);
        path.push(function);
        listed.then(|| path.join("::"))
    }
}

/// Whether an item can follow these tokens; an `impl` elsewhere is a type.
fn begins_item(before: &[Token<'_>]) -> bool {
    let last = before.last().map(|token| token.text);
    matches!(last, None | Some(";" | "{" | "}" | "]" | "unsafe"))
}

/// The name of the type that an `impl` is for, from the tokens behind the word.
fn self_type<'a>(header: &[Token<'a>]) -> Option<&'a str> {
    let mut depth = 0_usize;
    let mut name = None;
    for (at, token) in header.iter().enumerate() {
        match token.text {
            "<" => depth += 1,
            ">" if at > 0 && header[at - 1].text == "-" => {}
            ">" => depth = depth.saturating_sub(1),
            "{" | ";" | "where" => break,
            "for" if depth == 0 => name = None,
            "mut" | "dyn" | "const" => {}
            word if depth == 0 && token.is_word() => name = Some(word),
            _ => {}
        }
    }
    name
}

/// Where the attribute that begins at `at` ends: behind its bracket.
fn end_of_attribute(tokens: &[Token<'_>], at: usize) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate().skip(at + 1) {
        match token.text {
            "[" => depth += 1,
            "]" if depth == 1 => return index + 1,
            "]" => depth -= 1,
            "!" => {}
            _ if depth == 0 => return at + 1,
            _ => {}
        }
    }
    tokens.len()
}

/// The words of an attribute's path, without its arguments.
fn path_of<'a>(attribute: &[Token<'a>]) -> Vec<&'a str> {
    let path = attribute.iter().take_while(|token| token.text != "(");
    path.filter(|token| token.is_word())
        .map(|token| token.text)
        .collect()
}

const TESTS: &str = "tests";

#[test]
fn functions_are_found_where_they_are_defined_and_nowhere_else() {
    let text = "\
//! fn in_a_comment() {}
pub fn free() -> impl Iterator<Item = u8> { fn inner() {} \"fn quoted() {}\" }
impl<'a, R: Role> Session<R> where R: 'a { pub const fn new() {} fn held(&self, f: impl Fn() -> u8) {} }
#[derive(Debug)]
unsafe impl<T> From<Vec<T>> for Owned<'_, T> { fn from(x: [u8; 2]) {} }
impl fmt::Display for super::Other { fn fmt() { match x { _ => {} } } }
trait Speak { fn say(); fn shout() {} }
mod deep { impl Diver { fn dive() {} } }
macro_rules! m { () => { fn of_a_macro() {} } }
#[cfg(test)]
mod tests { fn helper() {} #[test] fn t() {} }
";
    let sources = [
        TextFile::new("src/wire/x.rs", text),
        TextFile::new("src/wire/mod.rs", "fn top() {}"),
        TextFile::new("src/lib.rs", "fn crate_wide() {}"),
        TextFile::new("src/wire/x/tests.rs", "fn helper() {}"),
        TextFile::new("tests/y.rs", "fn elsewhere() {}"),
    ];
    let found: Vec<String> = functions(&sources).into_iter().collect();
    assert_eq!(
        found,
        [
            "crate_wide",
            "wire::top",
            "wire::x::Other::fmt",
            "wire::x::Owned::from",
            "wire::x::Session::held",
            "wire::x::Session::new",
            "wire::x::Speak::say",
            "wire::x::Speak::shout",
            "wire::x::deep::Diver::dive",
            "wire::x::free",
        ]
    );
}

#[test]
fn tests_are_what_a_runner_runs() {
    let text = "\
#![cfg(test)]
#[test] fn plain() {}
#[tokio::test(start_paused = true)]
#[should_panic(expected = \"x\")]
pub async fn awaited() {}
proptest! { #![proptest_config(C)] #[test] fn generated(a: u8) {} }
#[test]
#[ignore = \"slow\"]
fn ignored() {}
#[cfg(test)]
fn helper() {}
#[test_case] fn no_test() {}
// #[test] fn in_a_comment() {}
";
    let found: Vec<String> = tests(text).into_iter().collect();
    assert_eq!(found, ["awaited", "generated", "plain"]);
}
