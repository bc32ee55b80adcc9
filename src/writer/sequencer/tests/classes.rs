//! Channels of another class than their kind has by itself.

use super::*;
use crate::market::{ChannelRule, Pattern};

/// The smallest tape, with these classes.
fn ruled(said: &[(&str, ChannelClass)]) -> (Sequencer, Reader) {
    let mut rules = ChannelRules::default();
    for &(pattern, class) in said {
        let rule = ChannelRule {
            class: Some(class),
            terms: 0,
        };
        rules.add(Pattern::parse(pattern).unwrap(), rule).unwrap();
    }
    let (sequencer, reader) = smallest_writing(ALL);
    (sequencer.ruled_by(rules), reader)
}

#[test]
fn the_newest_message_or_trade_of_a_replace_channel_stays_through_many_laps() {
    let (mut sequencer, mut reader) = ruled(&[
        ("status:*", ChannelClass::Replace),
        ("trade:Y", ChannelClass::Replace),
    ]);
    for (number, text) in ["\"first\"", "\"second\""].into_iter().enumerate() {
        publish(&mut sequencer, "status:venue", Tick::Message(text)).unwrap();
        publish(
            &mut sequencer,
            "trade:Y",
            trade(7 + i64::try_from(number).unwrap()),
        )
        .unwrap();
    }
    for number in 0..1000 {
        publish(&mut sequencer, "trade:X", trade(number)).unwrap();
    }
    let found = on_tape(&sequencer);
    for channel in ["status:venue", "trade:Y"] {
        assert_eq!(found[channel], [(RecordKind::Image, 2)], "{channel}");
    }
    reader.pin();
    let positions = (reader.tail().number()..reader.head().number()).map(Position::new);
    let texts: Vec<Value> = positions
        .filter(|&at| reader.record(at).kind == RecordKind::Image)
        .map(|at| payload(reader.frame(NATIVE_JSON, at)))
        .collect();
    assert!(texts.iter().any(|text| text["data"] == "second"), "{texts:?}");
    assert!(texts.iter().any(|text| text["px"] == "0.08"), "{texts:?}");
    let class = |id| reader.channel(ChannelId::new(id)).class;
    assert_eq!(
        [class(0), class(1), class(2)],
        [Class::Replace, Class::Replace, Class::Append]
    );
}

#[test]
fn every_quote_of_an_append_channel_counts_and_only_its_number_is_kept() {
    let (mut sequencer, _reader) = ruled(&[("bbo:*", ChannelClass::Append)]);
    publish(&mut sequencer, "bbo:X", quote(1)).unwrap();
    publish(&mut sequencer, "bbo:X", quote(2)).unwrap();
    assert_eq!(
        on_tape(&sequencer)["bbo:X"],
        [(RecordKind::Live, 1), (RecordKind::Live, 2)]
    );
    for number in 0..1000 {
        publish(&mut sequencer, "trade:X", trade(number)).unwrap();
    }
    assert_eq!(on_tape(&sequencer)["bbo:X"], [(RecordKind::Mark, 2)]);
}
