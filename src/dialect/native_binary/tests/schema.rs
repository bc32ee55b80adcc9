//! The schema says what the code does.

use super::*;

/// A tag of the schema: its name, and what it says.
struct Tag<'a> {
    name: &'a str,
    attributes: Vec<(&'a str, &'a str)>,
}

impl<'a> Tag<'a> {
    fn says(&self, attribute: &str) -> Option<&'a str> {
        self.attributes
            .iter()
            .find(|(name, _)| *name == attribute)
            .map(|(_, value)| *value)
    }

    fn number(&self, attribute: &str) -> usize {
        let value = self
            .says(attribute)
            .unwrap_or_else(|| panic!("{}: no {attribute}", self.name));
        value.parse().unwrap()
    }
}

/// As much of XML as the schema uses: no text but in a type of one, no attribute that holds a `>`.
fn tags(xml: &str) -> Vec<Tag<'_>> {
    let mut rest = xml;
    let mut tags = Vec::new();
    while let Some((_, tag)) = rest.split_once('<') {
        if let Some(comment) = tag.strip_prefix("!--") {
            rest = comment.split_once("-->").unwrap().1;
            continue;
        }
        let (tag, after) = tag.split_once('>').unwrap();
        rest = after;
        let (name, said) = tag
            .trim_end_matches('/')
            .split_once(char::is_whitespace)
            .unwrap_or((tag, ""));
        let mut said = said.trim();
        let mut attributes = Vec::new();
        while let Some((attribute, value)) = said.split_once("=\"") {
            let (value, after) = value.split_once('"').unwrap();
            attributes.push((attribute.trim(), value));
            said = after;
        }
        tags.push(Tag { name, attributes });
    }
    tags
}

/// Where each field of each block is, as the schema says: `message.field` or `message.group.field`, its offset and its
/// bytes; and the bytes of the blocks, as `message` and `message.group`.
fn fields(tags: &[Tag<'_>]) -> Vec<(String, usize, usize)> {
    let mut fields = Vec::new();
    let (mut message, mut group, mut end) = ("", "", 0);
    for tag in tags {
        match tag.name {
            "sbe:message" => (message, group, end) = (tag.says("name").unwrap(), "", 0),
            "group" => {
                assert_eq!(tag.says("dimensionType"), Some("groupSizeEncoding"));
                (group, end) = (tag.says("name").unwrap(), 0);
            }
            "/group" => group = "",
            "field" => {
                let bytes = bytes_of(tag.says("type").unwrap());
                // There are no holes: a field begins where the one before it ends, and the block ends with the last.
                assert_eq!(tag.number("offset"), end, "{message}.{group}");
                let name = tag.says("name").unwrap();
                let path = [message, group, name]
                    .map(str::to_owned)
                    .into_iter()
                    .filter(|part| !part.is_empty());
                fields.push((path.collect::<Vec<_>>().join("."), end, bytes));
                end += bytes;
                continue;
            }
            _ => continue,
        }
        if tag.name != "/group" {
            let path = if group.is_empty() {
                message.to_owned()
            } else {
                format!("{message}.{group}")
            };
            fields.push((path, 0, tag.number("blockLength")));
        }
    }
    fields
}

fn bytes_of(field_type: &str) -> usize {
    match field_type {
        "int8" | "Side" => 1,
        "int64" | "uint64" | "timestamp" => 8,
        "decimal" => layout::decimal::BYTES,
        other => panic!("{other}: a type that this test does not know"),
    }
}

/// The same, as the code has it.
fn expected() -> Vec<(String, usize, usize)> {
    let mut all: Vec<(String, usize, usize)> = Vec::new();
    let mut add = |path: String, offset, bytes| all.push((path, offset, bytes));
    let stamped = |add: &mut dyn FnMut(String, usize, usize), message: &str, block, with_ts| {
        add(message.to_owned(), 0, block);
        add(format!("{message}.seq"), layout::stamp::SEQ, 8);
        add(format!("{message}.pt"), layout::stamp::PT, 8);
        if with_ts {
            add(format!("{message}.ts"), layout::stamp::TS, 8);
        }
    };
    stamped(&mut add, "Trade", trade::BLOCK, true);
    add("Trade.price".into(), trade::PRICE, 9);
    add("Trade.size".into(), trade::SIZE, 9);
    add("Trade.side".into(), trade::SIDE, 1);
    stamped(&mut add, "Quote", quote::BLOCK, true);
    add("Quote.bidPrice".into(), quote::BID_PRICE, 9);
    add("Quote.bidSize".into(), quote::BID_SIZE, 9);
    add("Quote.askPrice".into(), quote::ASK_PRICE, 9);
    add("Quote.askSize".into(), quote::ASK_SIZE, 9);
    for message in ["BookSnapshot", "BookDelta"] {
        stamped(&mut add, message, book::BLOCK, true);
        add(format!("{message}.priceExponent"), book::PRICE_EXPONENT, 1);
        add(format!("{message}.sizeExponent"), book::SIZE_EXPONENT, 1);
        for group in ["bids", "asks"] {
            add(format!("{message}.{group}"), 0, book::LEVEL);
            add(format!("{message}.{group}.price"), book::LEVEL_PRICE, 8);
            add(format!("{message}.{group}.size"), book::LEVEL_SIZE, 8);
        }
    }
    for message in ["MixedBookSnapshot", "MixedBookDelta"] {
        stamped(&mut add, message, mixed_book::BLOCK, true);
        for group in ["bids", "asks"] {
            add(format!("{message}.{group}"), 0, mixed_book::LEVEL);
            add(format!("{message}.{group}.price"), mixed_book::LEVEL_PRICE, 9);
            add(format!("{message}.{group}.size"), mixed_book::LEVEL_SIZE, 9);
        }
    }
    stamped(&mut add, "Msg", msg::BLOCK, false);
    all
}

#[test]
fn the_schema_has_every_field_where_the_code_has_it() {
    assert_eq!(fields(&tags(SCHEMA_XML)), expected());
}

#[test]
fn each_block_of_the_schema_ends_with_its_last_field() {
    let fields = fields(&tags(SCHEMA_XML));
    let depth = |path: &str| path.matches('.').count();
    for (path, _, bytes) in &fields {
        let inside = |other: &str| {
            other
                .strip_prefix(path.as_str())
                .is_some_and(|rest| rest.starts_with('.'))
        };
        let is_field = |other: &str| {
            !fields.iter().any(|(inner, ..)| {
                inner
                    .strip_prefix(other)
                    .is_some_and(|rest| rest.starts_with('.'))
            })
        };
        let ends = fields
            .iter()
            .filter(|(other, ..)| inside(other) && depth(other) == depth(path) + 1 && is_field(other))
            .map(|(_, offset, bytes)| offset + bytes);
        if let Some(end) = ends.max() {
            assert_eq!(end, *bytes, "{path}");
        }
    }
}

#[test]
fn the_schema_has_the_numbers_that_the_code_has() {
    let tags = tags(SCHEMA_XML);
    let schema = tags.iter().find(|tag| tag.name == "sbe:messageSchema").unwrap();
    assert_eq!(schema.number("id"), usize::from(layout::SCHEMA));
    assert_eq!(schema.number("version"), usize::from(layout::VERSION));
    assert_eq!(schema.says("byteOrder"), Some("littleEndian"));
    let messages: Vec<(&str, usize)> = tags
        .iter()
        .filter(|tag| tag.name == "sbe:message")
        .map(|tag| (tag.says("name").unwrap(), tag.number("id")))
        .collect();
    let numbered = [
        ("Trade", trade::TEMPLATE),
        ("Quote", quote::TEMPLATE),
        ("BookSnapshot", book::SNAPSHOT),
        ("BookDelta", book::DELTA),
        ("MixedBookSnapshot", mixed_book::SNAPSHOT),
        ("MixedBookDelta", mixed_book::DELTA),
        ("Msg", msg::TEMPLATE),
    ];
    assert_eq!(
        messages,
        numbered.map(|(name, number)| (name, usize::from(number)))
    );
    assert!(
        numbered
            .iter()
            .all(|(_, number)| !layout::RESERVED.contains(number))
    );
    let sides: Vec<(&str, &str)> = tags
        .iter()
        .filter(|tag| tag.name == "validValue")
        .map(|tag| (tag.says("name").unwrap(), tag.says("description").unwrap()))
        .collect();
    assert_eq!(
        sides,
        [
            ("Buy", "the buyer crossed the spread"),
            ("Sell", "the seller did")
        ]
    );
    assert!(SCHEMA_XML.contains(&format!(">{}</validValue>", trade::BUY)));
    assert!(SCHEMA_XML.contains(&format!(">{}</validValue>", trade::SELL)));
}

#[test]
fn the_schema_names_the_lengths_before_names_levels_and_data() {
    let tags = tags(SCHEMA_XML);
    let mut composites: Vec<(&str, Vec<(&str, &str)>)> = Vec::new();
    let mut inside = false;
    for tag in &tags {
        match tag.name {
            "composite" => composites.push((tag.says("name").unwrap(), Vec::new())),
            "type" if inside => {
                let member = (tag.says("name").unwrap(), tag.says("primitiveType").unwrap());
                composites.last_mut().unwrap().1.push(member);
            }
            _ => {}
        }
        inside = tag.name == "composite" || (inside && tag.name == "type");
    }
    let words = ["blockLength", "templateId", "schemaId", "version"].map(|name| (name, "uint16"));
    let expected = [
        ("messageHeader", words.to_vec()),
        (
            "groupSizeEncoding",
            vec![("blockLength", "uint16"), ("numInGroup", "uint16")],
        ),
        ("decimal", vec![("mantissa", "int64"), ("exponent", "int8")]),
        ("name", vec![("length", "uint8"), ("varData", "uint8")]),
        ("text", vec![("length", "uint32"), ("varData", "uint8")]),
    ];
    assert_eq!(composites, expected);
    let data: Vec<(&str, &str)> = tags
        .iter()
        .filter(|tag| tag.name == "data")
        .map(|tag| (tag.says("name").unwrap(), tag.says("type").unwrap()))
        .collect();
    let channel = ("channel", "name");
    let in_order = [
        channel,
        ("tradeId", "name"),
        channel,
        channel,
        channel,
        channel,
        channel,
        channel,
        ("data", "text"),
    ];
    assert_eq!(data, in_order);
    assert_eq!(
        (
            layout::NAME_LENGTH,
            layout::DATA_LENGTH,
            group::BYTES,
            header::BYTES
        ),
        (1, 4, 4, 8)
    );
}

const SCHEMA_XML: &str = include_str!("../../../../docs/tickwire-v1-bin.xml");
