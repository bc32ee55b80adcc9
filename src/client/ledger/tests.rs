//! Numbers that follow each other, and all the ways in which they do not.

use proptest::prelude::*;

use super::*;

/// Of a channel that is subscribed by its name.
fn steps(channel: &str, numbers: &[(u64, bool)]) -> Vec<Step> {
    let mut ledger = Ledger::default();
    let class = default_class(channel);
    ledger.granted(channel, class, 4, false);
    let notes = numbers.iter();
    notes
        .map(|&(seq, image)| ledger.note(channel, seq, image))
        .collect()
}

const fn hole(from: u64, to: u64) -> Step {
    Step::Hole { from, to }
}

#[test]
fn an_append_channel_may_neither_leap_nor_go_back() {
    let numbers = [5, 6, 9, 7, 7, 3, 8].map(|seq| (seq, false));
    let expected = [
        Step::Next,
        Step::Next,
        hole(7, 8),
        Step::Next,
        Step::Repeated,
        Step::Repeated,
        Step::Next,
    ];
    assert_eq!(steps("trade:X", &numbers), expected);
    assert_eq!(steps("room:42", &numbers), expected);
    assert_eq!(steps("no name", &numbers), expected);
}

#[test]
fn a_replace_channel_may_leap_and_repeat_but_not_go_back() {
    let numbers = [5, 9, 9, 10, 7].map(|seq| (seq, false));
    let expected = [Step::Next, Step::Next, Step::Next, Step::Next, Step::Repeated];
    assert_eq!(steps("bbo:X", &numbers), expected);
}

#[test]
fn a_books_deltas_follow_its_image_which_may_be_older() {
    let numbers = [
        (5, true),
        (6, false),
        (9, true),
        (9, true),
        (10, false),
        (12, false),
        (8, true),
        (9, false),
        (9, false),
    ];
    let expected = [
        Step::Next,
        Step::Next,
        Step::Next,
        Step::Next,
        Step::Next,
        hole(11, 11),
        Step::Next,
        Step::Next,
        Step::Repeated,
    ];
    assert_eq!(steps("book:X", &numbers), expected);
}

#[test]
fn an_acknowledgement_says_where_an_append_channel_begins() {
    let mut ledger = Ledger::default();
    ledger.granted("trade:X", ChannelClass::Append, 4, false);
    assert_eq!(ledger.note("trade:X", 7, false), hole(5, 6));
    ledger.granted("stat:X", ChannelClass::Replace, 4, false);
    assert_eq!(ledger.note("stat:X", 3, false), Step::Next);
    assert_eq!(
        ledger.note("stat:X", 9, false),
        Step::Next,
        "its class is the server's to say"
    );
    // What is known already stays.
    ledger.granted("trade:X", ChannelClass::Append, 90, false);
    assert_eq!(ledger.note("trade:X", 5, false), Step::Next);
}

#[test]
fn a_gap_that_is_told_explains_what_is_missing_and_no_more_than_that() {
    let mut ledger = Ledger::default();
    ledger.granted("trade:X", ChannelClass::Append, 4, false);
    assert_eq!(ledger.gap("trade:X", 5, 9), Step::Next);
    assert_eq!(ledger.note("trade:X", 10, false), Step::Next);
    assert_eq!(ledger.gap("trade:X", 12, 15), hole(11, 11));
    assert_eq!(ledger.note("trade:X", 11, false), Step::Next);
}

#[test]
fn what_the_server_says_to_have_sent_must_have_come() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.sent("trade:X", 7), Step::Next, "nothing is known of it");
    ledger.note("trade:X", 7, false);
    assert_eq!(ledger.sent("trade:X", 7), Step::Next);
    assert_eq!(ledger.sent("trade:X", 6), Step::Next, "it was under way");
    assert_eq!(ledger.sent("trade:X", 9), hole(8, 9));
}

#[test]
fn what_happened_while_there_was_no_connection_is_told_once_where_nothing_brings_it_back() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.enter("e"), Continuation::First);
    ledger.granted("trade:X", ChannelClass::Append, 4, false);
    ledger.granted("bbo:X", ChannelClass::Replace, 4, false);
    for channel in ["trade:X", "trade:Y", "bbo:X", "bbo:Y"] {
        ledger.note(channel, 5, false);
    }
    ledger.note("book:X", 5, true);
    assert_eq!(ledger.enter("e"), Continuation::Same);
    assert_eq!(
        ledger.sent("trade:X", 8),
        Step::Next,
        "what it misses is not told yet"
    );
    assert_eq!(ledger.note("trade:X", 9, false), Step::Away { from: 6, to: 8 });
    assert_eq!(ledger.note("trade:X", 9, false), Step::Next);
    assert_eq!(ledger.note("trade:X", 11, false), hole(10, 10));
    assert_eq!(ledger.note("bbo:X", 9, false), Step::Next);
    // Nobody said that the newest of these says it all.
    assert_eq!(ledger.note("bbo:Y", 9, false), Step::Away { from: 6, to: 8 });
    assert_eq!(ledger.note("bbo:Y", 9, false), Step::Next);
    assert_eq!(ledger.note("book:X", 9, true), Step::Next);
    // One that is resumed goes on where it was.
    ledger.granted("trade:Y", ChannelClass::Append, 8, true);
    assert_eq!(ledger.note("trade:Y", 7, false), hole(6, 6));
}

#[test]
fn another_epoch_makes_all_numbers_void() {
    let mut ledger = Ledger::default();
    ledger.enter("e");
    ledger.note("trade:X", 5, false);
    ledger.granted("bbo:X", ChannelClass::Replace, 4, false);
    ledger.note("bbo:X", 5, false);
    ledger.note("bbo:Y", 5, false);
    assert_eq!(ledger.enter("f"), Continuation::Anew);
    // All of the new epoch is to come, and what was before it never will.
    assert_eq!((ledger.epoch(), ledger.seq("trade:X")), (Some("f"), Some(0)));
    assert_eq!(ledger.seq("bbo:X"), None);
    // Whose class nobody said may have a past as well.
    assert_eq!(ledger.note("bbo:Y", 4, false), Step::Away { from: 1, to: 3 });
    ledger.granted("trade:X", ChannelClass::Append, 3, true);
    assert_eq!(ledger.note("trade:X", 2, false), hole(1, 1));
    assert_eq!(ledger.note("trade:X", 1, false), Step::Next);
}

#[test]
fn of_what_a_pattern_stands_for_nobody_said_that_it_has_all_numbers() {
    let mut ledger = Ledger::default();
    ledger.note("stat:X", 5, false);
    assert_eq!(
        ledger.note("stat:X", 9, false),
        Step::Unexplained { from: 6, to: 8 }
    );
    assert_eq!(ledger.note("stat:X", 9, false), Step::Next);
    // Once the server has said so, it must.
    ledger.granted("stat:X", ChannelClass::Append, 9, false);
    assert_eq!(ledger.note("stat:X", 11, false), hole(10, 10));
    // Quotes may count one by one as well: so it is configured, and a pattern's reply does not say so.
    ledger.note("bbo:X", 5, false);
    assert_eq!(
        ledger.note("bbo:X", 9, false),
        Step::Unexplained { from: 6, to: 8 }
    );
    assert_eq!(ledger.note("bbo:X", 9, false), Step::Next);
    assert_eq!(
        ledger.note("bbo:X", 9, false),
        Step::Next,
        "the present state once more"
    );
    assert_eq!(ledger.gap("bbo:X", 10, 12), Step::Next);
    assert_eq!(ledger.note("bbo:X", 13, false), Step::Next);
    // A book without a delta is none in any case.
    ledger.note("book:X", 5, true);
    assert_eq!(ledger.note("book:X", 9, false), hole(6, 8));
}

#[test]
fn what_cannot_be_read_counts_where_its_channel_and_number_can() {
    let mut ledger = Ledger::default();
    ledger.granted("trade:X", ChannelClass::Append, 4, false);
    assert_eq!(ledger.pass("trade:X", 5), Step::Next);
    assert_eq!(
        ledger.pass("trade:X", 8),
        hole(6, 7),
        "it is no excuse for others"
    );
    assert_eq!(ledger.pass("trade:X", 5), Step::Repeated);
    assert_eq!(ledger.note("trade:X", 6, false), Step::Next);
    ledger.granted("book:X", ChannelClass::Book, 4, false);
    ledger.note("book:X", 4, true);
    assert_eq!(ledger.pass("book:X", 9), Step::Next, "it may be a snapshot");
    assert_eq!(ledger.note("book:X", 10, false), Step::Next);
}

#[test]
fn what_cannot_be_read_at_all_may_be_what_is_missing_until_the_connection_ends() {
    let mut ledger = Ledger::default();
    ledger.enter("e");
    ledger.granted("trade:X", ChannelClass::Append, 4, false);
    ledger.granted("book:X", ChannelClass::Book, 4, false);
    ledger.note("book:X", 4, true);
    ledger.pass_unread();
    assert_eq!(ledger.sent("trade:X", 5), Step::Next);
    let missing = Step::Unexplained { from: 5, to: 5 };
    for channel in ["trade:X", "book:X"] {
        assert_eq!(ledger.note(channel, 6, false), missing, "{channel}");
        assert_eq!(ledger.note(channel, 6, false), Step::Next, "{channel}");
    }
    ledger.enter("e");
    ledger.granted("trade:X", ChannelClass::Append, 6, true);
    assert_eq!(ledger.note("trade:X", 8, false), hole(7, 7));
}

#[test]
fn who_subscribes_again_is_a_newcomer() {
    let mut ledger = Ledger::default();
    for channel in ["trade:X", "trade:Y", "bbo:X"] {
        ledger.note(channel, 5, false);
    }
    ledger.forget("trade:X", |_| false);
    ledger.forget("bbo:X", |_| true);
    assert_eq!((ledger.seq("trade:X"), ledger.seq("bbo:X")), (None, Some(5)));
    ledger.note("trade:X", 9, false);
    ledger.forget("trade:*", |name| name.symbol() == "X");
    assert_eq!((ledger.seq("trade:X"), ledger.seq("trade:Y")), (Some(9), None));
    ledger.forget("*", |_| false);
    assert_eq!((ledger.seq("trade:X"), ledger.seq("bbo:X")), (None, None));
}

#[test]
fn places_are_where_another_ledger_goes_on() {
    let mut ledger = Ledger::default();
    assert_eq!(ledger.places(), None);
    ledger.enter("e");
    ledger.note("trade:X", 5, false);
    ledger.granted("book:X", ChannelClass::Book, 7, false);
    let places = ledger.places().unwrap();
    assert_eq!(places.seqs, BTreeMap::from([("trade:X".to_owned(), 5)]));
    let mut later = Ledger::since(places);
    assert_eq!(later.enter("e"), Continuation::Same);
    later.granted("trade:X", ChannelClass::Append, 9, true);
    assert_eq!(later.note("trade:X", 6, false), Step::Next);
}

#[test]
fn channels_beyond_the_limit_are_not_judged() {
    let mut ledger = Ledger::default();
    for number in 0..CHANNELS_MAX {
        ledger.granted(&format!("trade:{number}"), ChannelClass::Append, 1, false);
    }
    ledger.note("trade:beyond", 1, false);
    assert_eq!(ledger.note("trade:beyond", 5, false), Step::Next);
    assert_eq!(ledger.note("trade:0", 5, false), hole(2, 4));
}

proptest! {
    /// Whatever comes: each number of an append channel is handed out, or told missing, or was there before.
    #[test]
    fn nothing_is_lost_without_a_word(
        events in prop::collection::vec((0_u8..6, 1_u64..9, any::<bool>()), 1..60),
    ) {
        let mut ledger = Ledger::default();
        ledger.enter("e");
        ledger.granted("trade:X", ChannelClass::Append, 0, false);
        let (mut known, mut next) = (0, 1);
        for (event, skip, resumed) in events {
            match event {
                0..3 => {
                    let seq = next + if event == 0 { 0 } else { skip - 1 };
                    match ledger.note("trade:X", seq, false) {
                        Step::Next => {
                            prop_assert_eq!(seq, known + 1);
                            (known, next) = (seq, seq + 1);
                        }
                        Step::Away { from, to } => {
                            prop_assert_eq!((from, to), (known + 1, seq - 1));
                            known = to;
                        }
                        Step::Hole { from, to } | Step::Unexplained { from, to } => {
                            prop_assert_eq!((from, to), (known + 1, seq - 1));
                        }
                        Step::Repeated => prop_assert!(seq <= known),
                    }
                }
                3 => {
                    if ledger.gap("trade:X", known + 1, known + skip) == Step::Next {
                        known += skip;
                    }
                }
                4 => {
                    let told = ledger.sent("trade:X", known + skip);
                    let silent = Step::Hole { from: known + 1, to: known + skip };
                    prop_assert!(told == silent || told == Step::Next);
                }
                _ => {
                    ledger.enter("e");
                    if resumed {
                        ledger.granted("trade:X", ChannelClass::Append, known + skip, true);
                    }
                }
            }
            prop_assert_eq!(ledger.seq("trade:X"), Some(known));
            next = next.max(known + 1);
        }
    }
}
