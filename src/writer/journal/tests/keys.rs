//! Keys of messages, through restarts, rotations and torn ends.

use super::*;
use crate::limits::KEYS_PER_PUBLISHER_MAX;
use crate::writer::sequencer::{Keyed, PublishError, Published};

impl Server {
    /// Publishes a message with a key, as the feed does; says its number, and whether it was published before.
    fn publish_once(&mut self, publisher: &str, key: &str, channel: &str) -> (u64, bool) {
        self.ms += 1;
        let event = Event {
            channel,
            ts_ns: self.ms,
            tick: Tick::Message("1"),
        };
        let keyed = Some(Keyed { publisher, key });
        let published = self.sequencer.publish_once(&event, keyed, at(self.ms));
        match published.unwrap() {
            Published::Before(kept) => (kept.seq, true),
            Published::Now { seq } => {
                let accepted = self.sequencer.accepted().unwrap();
                let number = self
                    .journal
                    .note(&accepted, self.sequencer.accepted_key().as_ref());
                self.sequencer.journaled_as(number);
                self.sequencer.settle().unwrap();
                (seq, false)
            }
        }
    }
}

#[test]
fn a_key_is_remembered_by_every_server_on_the_journal_however_many_segments_there_are() {
    run(async {
        let folder = Folder::new();
        let spec = folder.spec(SyncPolicy::Each);
        let mut server = Server::start(&spec).await.unwrap();
        assert_eq!(server.publish_once("desk", "first", "room:1"), (1, false));
        server.commit().await;
        for round in 0..3 {
            for n in 0..200 {
                let key = format!("{round} {n}");
                assert!(!server.publish_once("", &key, "room:1").1);
                server.trade(&mut Prng::new(n), 5).await;
            }
            server.kill();
            server = Server::start(&spec).await.unwrap();
            assert_eq!(server.publish_once("desk", "first", "room:1"), (1, true));
            assert_eq!(server.publish_once("", "0 0", "room:1"), (2, true));
            let other = Event {
                channel: "room:2",
                ts_ns: 0,
                tick: Tick::Message("1"),
            };
            let keyed = Keyed {
                publisher: "desk",
                key: "first",
            };
            let refused = server.sequencer.publish_once(&other, Some(keyed), at(1));
            assert_eq!(refused, Err(PublishError::Key));
        }
        assert!(folder.segments().len() > 3);
        let keys = server.sequencer.keys();
        assert_eq!(keys.len(), 601);
        assert!(keys.iter().all(|key| key.kept.journaled == Some(0)));
    });
}

#[test]
fn a_message_that_was_torn_takes_its_key_with_it_and_its_number_is_not_mistaken_for_another_ones() {
    run(async {
        let folder = Folder::new();
        let spec = folder.spec(SyncPolicy::Each);
        let mut server = Server::start(&spec).await.unwrap();
        server.publish_once("", "one", "room:1");
        server.commit().await;
        server.publish_once("", "two", "room:1");
        server.commit().await;
        server.kill();
        let last = *folder.segments().last().unwrap();
        let bytes = std::fs::read(folder.segment(last)).unwrap();
        // The last message and, in some cases, its key are not whole.
        for lost in 1..120 {
            let copy = folder.copy();
            std::fs::write(copy.segment(last), &bytes[..bytes.len() - lost]).unwrap();
            let spec = copy.spec(SyncPolicy::Each);
            let mut server = Server::start(&spec).await.unwrap();
            assert_eq!(server.publish_once("", "one", "room:1"), (1, true));
            assert_eq!(server.publish_once("", "other", "room:1"), (2, false), "{lost}");
            server.commit().await;
            server.kill();
            let mut server = Server::start(&spec).await.unwrap();
            assert_eq!(server.publish_once("", "other", "room:1"), (2, true));
            assert_eq!(server.publish_once("", "two", "room:1"), (3, false), "{lost}");
        }
    });
}

#[test]
fn of_each_publisher_the_newest_keys_are_remembered_and_one_forgets_nothing_for_another() {
    run(async {
        let folder = Folder::new();
        let mut server = Server::start(&folder.spec(SyncPolicy::Never)).await.unwrap();
        assert_eq!(server.publish_once("desk", "0", "room:1"), (1, false));
        for n in 0..=KEYS_PER_PUBLISHER_MAX {
            assert!(!server.publish_once("", &n.to_string(), "room:1").1);
            if n % 20 == 0 {
                server.commit().await;
            }
        }
        assert!(server.publish_once("desk", "0", "room:1").1);
        assert!(server.publish_once("", "1", "room:1").1);
        assert!(
            !server.publish_once("", "0", "room:1").1,
            "the oldest is forgotten"
        );
        assert!(!server.publish_once("", "1", "room:1").1, "for it");
        server.commit().await;
    });
}
