//! Rust source as a textual rule wants it: without comments and literals, cut into tokens.
//!
//! It is no parser: it knows what it takes to not mistake a word in a comment or a string for code.

/// One token: a word, `::`, or a single other character.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Token<'a> {
    pub(crate) text: &'a str,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token<'_> {
    pub(crate) fn is_word(&self) -> bool {
        self.text.starts_with(is_word)
    }
}

/// `source` with every comment, string and character literal blanked out; line ends stay, so that line numbers do.
pub(crate) fn code_only(source: &str) -> String {
    let mut code = String::with_capacity(source.len());
    let mut rest = source;
    while let Some(first) = rest.chars().next() {
        let after_word = code.ends_with(is_word);
        let (kept, blanked) = match literal_bytes(rest, after_word) {
            0 => (first.len_utf8(), 0),
            bytes => (0, bytes),
        };
        code.push_str(&rest[..kept]);
        code.extend(rest[..blanked].chars().map(|c| if c == '\n' { c } else { ' ' }));
        rest = &rest[kept + blanked..];
    }
    code
}

/// The tokens of what [`code_only`] gave.
pub(crate) fn tokens(code: &str) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    for (index, text) in code.lines().enumerate() {
        let line = index + 1;
        let mut rest = text.trim_start();
        while let Some(first) = rest.chars().next() {
            let bytes = match first {
                _ if is_word(first) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
                ':' if rest.starts_with("::") => 2,
                other => other.len_utf8(),
            };
            tokens.push(Token {
                text: &rest[..bytes],
                line,
            });
            rest = rest[bytes..].trim_start();
        }
    }
    tokens
}

/// Bytes of the comment or literal that `rest` begins with; 0 when it begins with neither.
fn literal_bytes(rest: &str, after_word: bool) -> usize {
    if rest.starts_with("//") {
        rest.find('\n').unwrap_or(rest.len())
    } else if rest.starts_with("/*") {
        block_comment_bytes(rest)
    } else if rest.starts_with('"') {
        quoted_bytes(rest, '"')
    } else if rest.starts_with('\'') {
        character_bytes(rest)
    } else if after_word {
        0
    } else {
        raw_string_bytes(rest)
    }
}

/// Block comments nest.
fn block_comment_bytes(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    loop {
        let tail = &rest[at..];
        if tail.starts_with("/*") {
            depth += 1;
            at += 2;
        } else if tail.starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            match tail.chars().next() {
                Some(c) => at += c.len_utf8(),
                None => return at,
            }
        }
    }
}

fn quoted_bytes(rest: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in rest.char_indices().skip(1) {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

/// A character literal, as opposed to a lifetime: an escape, or one character and a quote.
fn character_bytes(rest: &str) -> usize {
    let mut inside = rest.chars().skip(1);
    match (inside.next(), inside.next()) {
        (Some('\\'), _) | (Some(_), Some('\'')) => quoted_bytes(rest, '\''),
        _ => 0,
    }
}

/// `r"…"`, `r#"…"#` and so on, of text, bytes or a C string.
fn raw_string_bytes(rest: &str) -> usize {
    let prefix = ["r", "br", "cr"].iter().find(|prefix| {
        let hashed = rest
            .strip_prefix(**prefix)
            .map(|tail| tail.trim_start_matches('#'));
        hashed.is_some_and(|tail| tail.starts_with('"'))
    });
    let Some(prefix) = prefix else {
        return 0;
    };
    let hashes = rest[prefix.len()..].chars().take_while(|&c| c == '#').count();
    let opening = prefix.len() + hashes + 1;
    let closing = format!("\"{}", "#".repeat(hashes));
    rest[opening..]
        .find(&closing)
        .map_or(rest.len(), |at| opening + at + closing.len())
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[test]
fn comments_and_literals_are_blank_and_lines_stay_where_they_are() {
    let source = concat!(
        "a // unsafe\n",
        "/* unsafe /* nested */ unsafe\n still */ b\n",
        "c(\"unsafe \\\" unsafe\", 'x', '\\'', b'\"', r#\"unsafe \" unsafe\"#) d\n",
        "fn e<'unsafe_life>(x: &'static str) r#type f\n",
    );
    let code = code_only(source);
    assert_eq!(code.lines().count(), source.lines().count());
    let words: Vec<(&str, usize)> = tokens(&code)
        .iter()
        .filter(|token| token.is_word())
        .map(|token| (token.text, token.line))
        .collect();
    let expected = [
        ("a", 1),
        ("b", 3),
        ("c", 4),
        ("b", 4),
        ("d", 4),
        ("fn", 5),
        ("e", 5),
    ];
    assert_eq!(words[..expected.len()], expected);
    let rest: Vec<&str> = words[expected.len()..].iter().map(|word| word.0).collect();
    assert_eq!(rest, ["unsafe_life", "x", "static", "str", "r", "type", "f"]);
}

#[test]
fn a_path_is_cut_at_its_colons() {
    let code = code_only("use crate::{a, b::c};");
    let texts: Vec<&str> = tokens(&code).iter().map(|token| token.text).collect();
    let expected = ["use", "crate", "::", "{", "a", ",", "b", "::", "c", "}", ";"];
    assert_eq!(texts, expected);
}
