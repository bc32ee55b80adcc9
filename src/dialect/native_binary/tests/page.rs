//! The page that explains the messages shows what the encoder writes.

use super::*;

const PAGE: &str = include_str!("../../../../docs/binary.md");

/// The text of the fenced block whose first line is so.
fn fenced(opening: &str) -> &'static str {
    let (_, block) = PAGE
        .split_once(&format!("```{opening}\n"))
        .unwrap_or_else(|| panic!("no block ```{opening}"));
    block.split_once("\n```").unwrap().0
}

#[test]
fn each_dump_of_the_page_is_what_the_encoder_writes() {
    let mut dumps = 0;
    with_each(|name, stamp, tick| {
        let bytes = encoded(stamp, tick);
        let mut shown = Vec::new();
        for line in fenced(&format!("hex {name}")).lines() {
            let (offset, rest) = line.split_at(6);
            assert_eq!(offset.trim().parse(), Ok(shown.len()), "{name}: {line}");
            let bytes = rest.split("  ").next().unwrap_or_default().split(' ');
            shown.extend(bytes.map(|byte| u8::from_str_radix(byte, 16).unwrap()));
        }
        assert_eq!(shown, bytes, "{name}");
        assert_eq!(fenced(&format!("json {name}")), json(stamp, tick));
        dumps += 1;
    });
    assert_eq!(
        PAGE.matches("```hex ").count(),
        dumps,
        "there is a tick for each dump"
    );
}

#[test]
fn the_page_says_how_long_each_part_is() {
    for (words, number) in [
        ("`blockLength` of a trade is", trade::BLOCK),
        ("`blockLength` of a quote is", quote::BLOCK),
        ("`blockLength` of a book is", book::BLOCK),
        ("`blockLength` of a mixed book is", mixed_book::BLOCK),
        ("`blockLength` of a message is", msg::BLOCK),
    ] {
        assert!(PAGE.contains(&format!("{words} {number}")), "{words} {number}");
    }
}
