//! Segments that are torn, cut, flipped and missing.

use super::*;
use crate::writer::journal::format::{Header, Record};

/// A journal of one run, synced after each commit, with the records of its last segment.
async fn journal() -> (Folder, Vec<Message>, u64) {
    let folder = Folder::new();
    let mut server = Server::start(&folder.spec(SyncPolicy::Each)).await.unwrap();
    server.trade(&mut Prng::new(5), 60).await;
    // The last batch has one record.
    server.publish("room:1", Tick::Message("\"last\""));
    server.commit().await;
    let (messages, epoch) = (server.messages(), server.epoch);
    server.kill();
    (folder, messages, epoch)
}

/// Where the records of a segment begin.
fn records(bytes: &[u8]) -> Vec<usize> {
    let mut starts = vec![format::HEADER_BYTES];
    while let Ok((_, size)) = Record::read(&bytes[starts[starts.len() - 1]..]) {
        starts.push(starts[starts.len() - 1] + size);
    }
    assert_eq!(starts.pop(), Some(bytes.len()));
    starts
}

#[test]
fn a_tail_that_was_torn_at_any_byte_is_cut_behind_the_last_whole_record() {
    run(async {
        let (folder, messages, epoch) = journal().await;
        let last = *folder.segments().last().unwrap();
        let bytes = std::fs::read(folder.segment(last)).unwrap();
        let starts = records(&bytes);
        let start = *starts.last().unwrap();
        for end in start..bytes.len() {
            for garbage in [0, 3, 2000] {
                let copy = folder.copy();
                let mut torn = bytes[..end].to_vec();
                torn.resize(end + garbage, 0);
                std::fs::write(copy.segment(last), &torn).unwrap();
                let server = Server::start(&copy.spec(SyncPolicy::Each)).await.unwrap();
                let again = server.messages();
                assert_eq!(again, messages[..messages.len() - 1], "torn at byte {end}");
                assert_eq!(server.epoch, epoch);
                assert_eq!(server.recovered.cut_bytes, (end - start + garbage) as u64);
                let kept = std::fs::metadata(copy.segment(last)).unwrap().len();
                assert_eq!(kept, start as u64, "it is cut on disk too");
            }
        }
    });
}

#[test]
fn whatever_bit_is_flipped_what_comes_back_is_a_beginning_of_what_was_or_nothing() {
    run(async {
        let (folder, messages, _) = journal().await;
        let last = *folder.segments().last().unwrap();
        let bytes = std::fs::read(folder.segment(last)).unwrap();
        let starts = records(&bytes);
        let batch = |at: &&usize| matches!(Record::read(&bytes[**at..]), Ok((Record::Batch(_), _)));
        let newest_batch = *starts.iter().rev().find(batch).unwrap();
        let (mut cut, mut refused) = (0, 0);
        for bit in (0..bytes.len() * 8).step_by(61) {
            let copy = folder.copy();
            let mut flipped = bytes.clone();
            flipped[bit / 8] ^= 1 << (bit % 8);
            std::fs::write(copy.segment(last), &flipped).unwrap();
            match Server::start(&copy.spec(SyncPolicy::Each)).await {
                Ok(server) => {
                    assert!(messages.starts_with(&server.messages()), "bit {bit}");
                    assert!(bit / 8 >= newest_batch, "bit {bit} was known to be on disk");
                    cut += 1;
                }
                Err(error) => {
                    let JournalError::Corrupt { path, offset, .. } = &error else {
                        panic!("{error}");
                    };
                    assert_eq!(*path, copy.segment(last));
                    let record = starts.iter().rev().find(|start| **start <= bit / 8);
                    assert_eq!(*offset, record.copied().unwrap_or(0) as u64, "bit {bit}");
                    assert!(error.to_string().contains("move its directory away"), "{error}");
                    assert_eq!(
                        std::fs::read(copy.segment(last)).unwrap(),
                        flipped,
                        "it is left alone"
                    );
                    refused += 1;
                }
            }
        }
        assert!(cut > 0 && refused > 50, "{cut} were cut and {refused} refused");
    });
}

#[test]
fn damage_in_a_segment_that_another_one_follows_is_refused() {
    run(async {
        let folder = Folder::new();
        let spec = folder.spec(SyncPolicy::Each);
        let mut server = Server::start(&spec).await.unwrap();
        server.trade(&mut Prng::new(5), 1000).await;
        server.kill();
        let segments = folder.segments();
        let [.., damaged, _] = segments[..] else {
            panic!("there are several segments: {segments:?}");
        };
        let mut bytes = std::fs::read(folder.segment(damaged)).unwrap();
        let whole = bytes.clone();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        std::fs::write(folder.segment(damaged), &bytes).unwrap();
        let error = Server::start(&spec).await.err().unwrap();
        assert!(matches!(error, JournalError::Corrupt { .. }), "{error}");
        let starts = records(&whole);
        for end in [middle, starts[starts.len() / 2], starts[starts.len() - 1]] {
            std::fs::write(folder.segment(damaged), &whole[..end]).unwrap();
            let error = Server::start(&spec).await.err().unwrap();
            assert!(
                matches!(error, JournalError::Corrupt { .. }),
                "cut short at {end}: {error}"
            );
        }
        std::fs::remove_file(folder.segment(damaged)).unwrap();
        let error = Server::start(&spec).await.err().unwrap();
        assert!(matches!(error, JournalError::Gone { .. }), "{error}");
        std::fs::write(folder.segment(damaged), &whole).unwrap();
        assert!(Server::start(&spec).await.is_ok(), "nothing else was touched");
    });
}

#[test]
fn what_a_power_cut_took_between_two_segments_puts_the_later_one_aside() {
    cut_between_two_segments(|bytes| bytes.len() - 5);
    // Between two records.
    cut_between_two_segments(|bytes| *records(bytes).last().unwrap());
}

fn cut_between_two_segments(end: impl Fn(&[u8]) -> usize) {
    run(async {
        let folder = Folder::new();
        let spec = folder.spec(SyncPolicy::Never);
        let mut server = Server::start(&spec).await.unwrap();
        server.trade(&mut Prng::new(5), 1000).await;
        let messages = server.messages();
        server.kill();
        let segments = folder.segments();
        let [.., torn, later] = segments[..] else {
            panic!("there are several segments: {segments:?}");
        };
        // As if no later batch knew of a sync.
        let mut bytes = std::fs::read(folder.segment(later)).unwrap();
        let starts = records(&bytes);
        for start in starts {
            if let Ok((Record::Batch(_), _)) = Record::read(&bytes[start..]) {
                format::write_batch(&mut bytes[start..], format::Mark::default());
            }
        }
        std::fs::write(folder.segment(later), &bytes).unwrap();
        let bytes = std::fs::read(folder.segment(torn)).unwrap();
        std::fs::write(folder.segment(torn), &bytes[..end(&bytes)]).unwrap();
        let server = Server::start(&spec).await.unwrap();
        let again = server.messages();
        let last = again.last().unwrap();
        let newest = messages.iter().position(|message| message == last).unwrap();
        let pairs = messages[..=newest].iter().rev().zip(again.iter().rev());
        assert!(pairs.clone().count() > 100 && pairs.clone().all(|(before, after)| before == after));
        assert!(newest + 1 < messages.len());
        assert!(folder.segment(later).with_extension("cut").exists());
    });
}

#[test]
fn a_start_that_was_killed_before_all_states_were_written_is_as_if_it_had_not_been() {
    run(async {
        let (folder, messages, epoch) = journal().await;
        let first = *folder.segments().last().unwrap();
        let server = Server::start(&folder.spec(SyncPolicy::Each)).await.unwrap();
        server.kill();
        let second = *folder.segments().last().unwrap();
        assert_eq!(second, first + 1);
        let bytes = std::fs::read(folder.segment(second)).unwrap();
        assert!(matches!(Header::read(&bytes), Ok(header) if header.segment == second));
        for end in (0..bytes.len()).step_by(7) {
            let copy = folder.copy();
            std::fs::write(copy.segment(second), &bytes[..end]).unwrap();
            let server = Server::start(&copy.spec(SyncPolicy::Each)).await.unwrap();
            assert_eq!(
                (server.messages(), server.epoch),
                (messages.clone(), epoch),
                "at byte {end}"
            );
        }
    });
}

#[test]
fn a_segment_under_another_number_is_refused() {
    run(async {
        let (folder, _, _) = journal().await;
        std::fs::rename(folder.segment(1), folder.segment(2)).unwrap();
        let error = Server::start(&folder.spec(SyncPolicy::Each)).await.err().unwrap();
        assert!(
            matches!(error, JournalError::Corrupt { offset: 0, .. }),
            "{error}"
        );
    });
}
