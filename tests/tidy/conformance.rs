//! Whether the table of requirements is whole, and names only functions and tests that exist.
//!
//! The document is a heading for each section of an RFC, which states how many requirements the section has, and under
//! it one table with one row each. What the headings state is held against [`SECTIONS`], which was counted from the
//! RFCs, so that neither a row nor a section can go missing unnoticed.

use std::collections::{BTreeMap, BTreeSet};

use crate::items::{functions, tests};
use crate::tree::TextFile;

/// How often a section of an RFC says MUST (REQUIRED, SHALL) and SHOULD (RECOMMENDED), denied or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Section {
    name: &'static str,
    musts: usize,
    shoulds: usize,
}

/// Where a requirement is obeyed and proven, or why it is not.
#[derive(Debug, PartialEq, Eq)]
enum Standing<'a> {
    /// These functions obey it, and these tests, each with its file, prove it.
    Met {
        functions: Vec<&'a str>,
        tests: Vec<(&'a str, &'a str)>,
    },
    /// In words.
    Unmet,
}

/// What is wrong with the document.
pub(crate) fn violations(sections: &[Section], document: &TextFile, sources: &[TextFile]) -> Vec<String> {
    let mut check = Check {
        document,
        functions: functions(sources),
        tests: sources
            .iter()
            .map(|file| (&*file.path, tests(&file.text)))
            .collect(),
        seen: BTreeSet::new(),
        found: Vec::new(),
    };
    let mut told = Vec::new();
    let (mut open, mut due): (Option<Open>, &[&str]) = (None, &[]);
    for (index, text) in document.text.lines().enumerate() {
        let line = index + 1;
        if let Some(heading) = text.strip_prefix("### ") {
            check.close(open.take());
            open = check.open(line, heading);
            told.extend(
                open.as_ref()
                    .map(|open| (line, open.section.clone(), open.stated)),
            );
            due = &TABLE_HEAD;
        } else if text.starts_with('#') {
            check.close(open.take());
        } else if text.starts_with('|') {
            match (&mut open, due) {
                (None, _) => check.note(line, "a table outside a section"),
                (Some(_), [next, rest @ ..]) if text == *next => due = rest,
                (Some(_), [next, ..]) => check.note(line, &format!("expected {next}")),
                (Some(open), []) => check.row(line, text, open),
            }
        }
    }
    check.close(open);
    check.compare(sections, &told);
    check.found
}

/// A section whose table is being read.
#[derive(Debug)]
struct Open {
    line: usize,
    section: String,
    stated: (usize, usize),
    counted: (usize, usize),
}

struct Check<'a> {
    document: &'a TextFile,
    functions: BTreeSet<String>,
    tests: BTreeMap<&'a str, BTreeSet<String>>,
    /// Section and requirement of every row so far.
    seen: BTreeSet<(String, String)>,
    found: Vec<String>,
}

impl Check<'_> {
    /// `RFC 6455 §5.2: 10 MUST, 0 SHOULD`.
    fn open(&mut self, line: usize, heading: &str) -> Option<Open> {
        let parts = heading.split_once(": ").and_then(|(section, counts)| {
            let (musts, shoulds) = counts.strip_suffix(" SHOULD")?.split_once(" MUST, ")?;
            Some((section, (musts.parse().ok()?, shoulds.parse().ok()?)))
        });
        let Some((section, stated)) = parts else {
            self.note(
                line,
                "expected ### RFC number §section: number MUST, number SHOULD",
            );
            return None;
        };
        Some(Open {
            line,
            section: section.to_owned(),
            stated,
            counted: (0, 0),
        })
    }

    fn close(&mut self, open: Option<Open>) {
        let Some(open) = open else { return };
        let Open { stated, counted, .. } = open;
        if counted != stated {
            let said = format!("{} MUST, {} SHOULD", counted.0, counted.1);
            self.note(open.line, &format!("{} has rows for {said}", open.section));
        }
    }

    fn row(&mut self, line: usize, text: &str, open: &mut Open) {
        let cells: Option<Vec<&str>> = text
            .strip_prefix("| ")
            .and_then(|rest| rest.strip_suffix(" |"))
            .map(|rest| rest.split(" | ").map(str::trim).collect());
        let Some([place, level, binds, asks, obeyed, proven]) = cells.as_deref() else {
            return self.note(line, "a row has six cells");
        };
        if [place, level, binds, asks, obeyed, proven]
            .iter()
            .any(|cell| cell.is_empty())
        {
            return self.note(line, "an empty cell");
        }
        let section = open.section.rsplit('§').next().unwrap_or_default();
        let item = place.strip_prefix(section).unwrap_or("?");
        if !(item.is_empty() || item.starts_with(", ")) {
            self.note(line, &format!("{place} is not in §{section}"));
        }
        match *level {
            "MUST" | "MUST NOT" => open.counted.0 += 1,
            "SHOULD" | "SHOULD NOT" => open.counted.1 += 1,
            "must" => {}
            other => self.note(line, &format!("{other} is no level")),
        }
        if !BINDS.contains(binds) {
            self.note(line, &format!("{binds} is nobody"));
        }
        if !self.seen.insert((open.section.clone(), asks.to_lowercase())) {
            self.note(line, &format!("twice: {asks}"));
        }
        match standing(obeyed, proven) {
            Some(Standing::Met { functions, tests }) => self.resolve(line, &functions, &tests),
            Some(Standing::Unmet) => {}
            None => self.note(
                line,
                "expected functions and tests in code spans, or `—` and a reason",
            ),
        }
    }

    fn resolve(&mut self, line: usize, functions: &[&str], tests: &[(&str, &str)]) {
        for name in functions {
            if !self.functions.contains(*name) {
                self.note(line, &format!("there is no function {name}"));
            }
        }
        for (path, name) in tests {
            if !self.tests.get(path).is_some_and(|tests| tests.contains(*name)) {
                self.note(line, &format!("{path} has no test {name}"));
            }
        }
    }

    /// Holds what the headings state against what was counted from the RFCs.
    fn compare(&mut self, sections: &[Section], told: &[(usize, String, (usize, usize))]) {
        let mut due = sections.iter();
        for (line, name, stated) in told {
            match due.next() {
                Some(section) if section.name == *name && *stated == (section.musts, section.shoulds) => {}
                Some(section) => {
                    let Section { name, musts, shoulds } = section;
                    return self.note(*line, &format!("expected {name}: {musts} MUST, {shoulds} SHOULD"));
                }
                None => return self.note(*line, &format!("{name} is not among the sections")),
            }
        }
        if let Some(section) = due.next() {
            self.found
                .push(format!("{}: lacks {}", self.document.path, section.name));
        }
    }

    fn note(&mut self, line: usize, what: &str) {
        self.found.push(format!("{}:{line}: {what}", self.document.path));
    }
}

/// What the last two cells of a row say; `None` when that is neither names nor a reason.
fn standing<'a>(obeyed: &'a str, proven: &'a str) -> Option<Standing<'a>> {
    if obeyed == "—" {
        let why = REASONS.iter().find_map(|reason| proven.strip_prefix(reason))?;
        return (!why.trim().is_empty()).then_some(Standing::Unmet);
    }
    let (mut tests, mut path) = (Vec::new(), None);
    for span in spans(proven)? {
        match path {
            _ if span.ends_with(".rs") => {
                // A file is named for a test of it.
                if path.is_some_and(|before| !tests.iter().any(|(path, _)| *path == before)) {
                    return None;
                }
                path = Some(span);
            }
            Some(path) => tests.push((path, span)),
            None => return None,
        }
    }
    let last = spans(proven)?.pop()?;
    let functions = spans(obeyed)?;
    (!last.ends_with(".rs")).then_some(Standing::Met { functions, tests })
}

/// The code spans of a cell that holds nothing else but commas between them.
fn spans(cell: &str) -> Option<Vec<&str>> {
    let parts: Vec<&str> = cell.split('`').collect();
    let between = parts.iter().step_by(2).enumerate();
    let mut listed = between.map(|(index, text)| match index {
        0 => text.is_empty(),
        _ if index == parts.len() / 2 => text.is_empty(),
        _ => *text == ", ",
    });
    let spans: Vec<&str> = parts.iter().skip(1).step_by(2).copied().collect();
    let whole = parts.len() % 2 == 1 && !spans.is_empty() && spans.iter().all(|span| !span.is_empty());
    (whole && listed.all(|well| well)).then_some(spans)
}

const fn section(name: &'static str, musts: usize, shoulds: usize) -> Section {
    Section { name, musts, shoulds }
}

const TABLE_HEAD: [&str; 2] = [
    "| where | level | binds | what it asks | obeyed by | proven by |",
    "|---|---|---|---|---|---|",
];
/// Whom a requirement can bind: those we are, and those we are not.
const BINDS: &[&str] = &["client", "server", "both", "intermediary", "browser", "extension"];
/// How a row begins that names no function.
const REASONS: &[&str] = &["does not apply: ", "left to the caller: ", "departs: "];

/// Counted in the RFCs. Sections that say nothing in capitals are here for what they define.
pub(crate) const SECTIONS: &[Section] = &[
    section("RFC 6455 §3", 2, 0),
    section("RFC 6455 §4.1", 39, 3),
    section("RFC 6455 §4.2.1", 1, 1),
    section("RFC 6455 §4.2.2", 10, 0),
    section("RFC 6455 §4.3", 1, 0),
    section("RFC 6455 §4.4", 1, 0),
    section("RFC 6455 §5.1", 4, 0),
    section("RFC 6455 §5.2", 10, 0),
    section("RFC 6455 §5.3", 4, 0),
    section("RFC 6455 §5.4", 10, 0),
    section("RFC 6455 §5.5", 2, 0),
    section("RFC 6455 §5.5.1", 6, 2),
    section("RFC 6455 §5.5.2", 1, 1),
    section("RFC 6455 §5.5.3", 0, 0),
    section("RFC 6455 §5.6", 1, 0),
    section("RFC 6455 §5.8", 1, 0),
    section("RFC 6455 §6.1", 8, 0),
    section("RFC 6455 §6.2", 5, 0),
    section("RFC 6455 §7.1.1", 0, 4),
    section("RFC 6455 §7.1.2", 1, 1),
    section("RFC 6455 §7.1.5", 0, 0),
    section("RFC 6455 §7.1.6", 0, 0),
    section("RFC 6455 §7.1.7", 3, 3),
    section("RFC 6455 §7.2.1", 2, 1),
    section("RFC 6455 §7.2.2", 1, 0),
    section("RFC 6455 §7.2.3", 0, 3),
    section("RFC 6455 §7.3", 0, 1),
    section("RFC 6455 §7.4.1", 3, 1),
    section("RFC 6455 §7.4.2", 0, 0),
    section("RFC 6455 §8.1", 1, 0),
    section("RFC 6455 §9", 2, 0),
    section("RFC 6455 §9.1", 5, 0),
    section("RFC 6455 §10.2", 0, 2),
    section("RFC 6455 §10.3", 1, 0),
    section("RFC 6455 §10.4", 1, 1),
    section("RFC 6455 §10.6", 1, 1),
    section("RFC 6455 §10.7", 1, 2),
    section("RFC 6455 §11.3", 5, 0),
    section("RFC 7692 §5", 11, 0),
    section("RFC 7692 §5.1", 0, 0),
    section("RFC 7692 §6.1", 4, 0),
    section("RFC 7692 §6.2", 2, 0),
    section("RFC 7692 §7", 2, 0),
    section("RFC 7692 §7.1.1.1", 0, 1),
    section("RFC 7692 §7.1.1.2", 1, 0),
    section("RFC 7692 §7.1.2.1", 2, 0),
    section("RFC 7692 §7.1.2.2", 3, 0),
    section("RFC 7692 §7.2.1", 7, 0),
    section("RFC 7692 §7.2.2", 6, 0),
    section("RFC 7692 §7.3", 0, 1),
    section("RFC 7692 §8", 0, 0),
];

/// What is wrong with a document of one section with these rows, when it should have these sections.
fn found(sections: &[Section], rows: &str) -> Vec<String> {
    let [head, rule] = TABLE_HEAD;
    let text = format!("# Title\n### RFC 1 §2.1: 1 MUST, 1 SHOULD\n\n{head}\n{rule}\n{rows}\n\nAnd so on.\n");
    let sources = [
        TextFile::new("src/wire/mod.rs", "fn obey() {} impl Frame { fn read() {} }"),
        TextFile::new("tests/live.rs", "#[test] fn it_obeys() {} fn helper() {}"),
        TextFile::new("tests/other.rs", "#[test] fn it_reads() {}"),
    ];
    violations(sections, &TextFile::new("docs/a.md", &text), &sources)
}

const GOOD: &str = "\
| 2.1, 1 | MUST | both | Obey. | `wire::obey`, `wire::Frame::read` | `tests/live.rs`, `it_obeys` |
| 2.1 | SHOULD | browser | Sing. | — | does not apply: there is no browser here |";
const GOOD_SECTIONS: &[Section] = &[section("RFC 1 §2.1", 1, 1)];

#[test]
fn a_table_without_a_lie_passes() {
    assert_eq!(found(GOOD_SECTIONS, GOOD), [""; 0]);
    let two_files = "`tests/live.rs`, `it_obeys`, `tests/other.rs`, `it_reads`";
    let rows = GOOD.replace("`tests/live.rs`, `it_obeys`", two_files);
    assert_eq!(found(GOOD_SECTIONS, &rows), [""; 0]);
}

#[test]
fn a_made_up_name_is_found() {
    for (true_name, made_up, complaint) in [
        ("wire::obey", "wire::obeys", "there is no function wire::obeys"),
        ("wire::obey", "obey", "there is no function obey"),
        (
            "wire::Frame::read",
            "wire::read",
            "there is no function wire::read",
        ),
        (
            "wire::Frame::read",
            "wire::Fame::read",
            "there is no function wire::Fame::read",
        ),
        ("it_obeys", "it_obeyed", "tests/live.rs has no test it_obeyed"),
        ("it_obeys", "helper", "tests/live.rs has no test helper"),
        ("it_obeys", "it_reads", "tests/live.rs has no test it_reads"),
        (
            "tests/live.rs",
            "tests/gone.rs",
            "tests/gone.rs has no test it_obeys",
        ),
    ] {
        let rows = GOOD.replace(true_name, made_up);
        assert_eq!(found(GOOD_SECTIONS, &rows), [format!("docs/a.md:6: {complaint}")]);
    }
}

#[test]
fn a_row_that_says_less_than_it_must_is_found() {
    let names = "expected functions and tests in code spans, or `—` and a reason";
    for (whole, cut, complaint) in [
        ("Obey.", "", "an empty cell"),
        ("| both ", "", "a row has six cells"),
        ("Obey. |", "Obey. | or not |", "a row has six cells"),
        ("| 2.1, 1 |", "| 2.2 |", "2.2 is not in §2.1"),
        ("| both |", "| us |", "us is nobody"),
        ("`wire::obey`, `wire::Frame::read`", "wire::obey", names),
        ("`wire::obey`,", "`wire::obey` and", names),
        ("`tests/live.rs`, `it_obeys`", "`tests/live.rs`", names),
        ("`tests/live.rs`", "`tests/live.rs`, `tests/other.rs`", names),
        ("`tests/live.rs`, ", "", names),
        ("`wire::obey`, `wire::Frame::read`", "—", names),
    ] {
        let found = found(GOOD_SECTIONS, &GOOD.replace(whole, cut));
        assert!(
            found.contains(&format!("docs/a.md:6: {complaint}")),
            "{cut}: {found:?}"
        );
    }
    let found = found(
        GOOD_SECTIONS,
        &GOOD.replace("does not apply: there is no browser here", "no"),
    );
    assert_eq!(found, [format!("docs/a.md:7: {names}")]);
}

#[test]
fn a_row_too_many_or_too_few_is_found() {
    let (first, second) = GOOD.split_once('\n').expect("two rows");
    assert_eq!(
        found(GOOD_SECTIONS, first),
        ["docs/a.md:2: RFC 1 §2.1 has rows for 1 MUST, 0 SHOULD"]
    );
    let twice = format!("{GOOD}\n{}", first.replace("Obey", "obey"));
    assert_eq!(
        found(GOOD_SECTIONS, &twice),
        [
            "docs/a.md:8: twice: obey.",
            "docs/a.md:2: RFC 1 §2.1 has rows for 2 MUST, 1 SHOULD"
        ]
    );
    let another = format!(
        "{GOOD}\n{}",
        second.replace("SHOULD", "must").replace("Sing", "Dance")
    );
    assert_eq!(found(GOOD_SECTIONS, &another), [""; 0]);
}

#[test]
fn a_section_that_is_missing_or_counted_wrong_is_found() {
    let more = [section("RFC 1 §2.1", 1, 1), section("RFC 1 §2.2", 0, 0)];
    assert_eq!(found(&more, GOOD), ["docs/a.md: lacks RFC 1 §2.2"]);
    assert_eq!(
        found(&[section("RFC 1 §2.1", 2, 1)], GOOD),
        ["docs/a.md:2: expected RFC 1 §2.1: 2 MUST, 1 SHOULD"]
    );
    assert_eq!(
        found(&[], GOOD),
        ["docs/a.md:2: RFC 1 §2.1 is not among the sections"]
    );
    let outside = format!("{GOOD}\n## Other\n{GOOD}");
    assert_eq!(
        found(GOOD_SECTIONS, &outside)[..1],
        ["docs/a.md:9: a table outside a section"]
    );
}
