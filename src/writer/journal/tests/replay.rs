//! The journal as a source.

use super::*;
use crate::writer::clock::Clock;
use crate::writer::source::{Next, Source, SourceError, SourceSpec, Speed};

/// Publishes a journal anew; says how many events there were.
pub(super) async fn replay(path: &Path) -> Result<(Sequencer, u64), SourceError> {
    let spec = SourceSpec::Journal { path: path.into() };
    let clock = Clock::start();
    let mut source = Source::open(&spec, Speed::Max).await?;
    let mut sequencer = sequencer();
    loop {
        match source.next(clock.now()) {
            Next::Event(event) => {
                sequencer.publish(&event, at(1)).unwrap();
                sequencer.settle().unwrap();
            }
            Next::Wait => source.wait(clock.now()).await?,
            Next::End => break,
        }
    }
    let progress = source.progress().unwrap();
    assert_eq!(Some(progress.bytes_read), progress.bytes_total);
    assert_eq!(source.tally().bad_lines(), 0);
    Ok((sequencer, source.tally().ticks()))
}

/// States without numbers and times of publication, which a replay gives anew.
fn contents(sequencer: &mut Sequencer) -> Vec<(String, u64, Vec<u8>)> {
    let states = states(sequencer).into_iter();
    let content = |text: Vec<u8>| {
        let mut value: serde_json::Value = serde_json::from_slice(&text).unwrap_or_default();
        if let Some(object) = value.as_object_mut() {
            object.retain(|key, _| key != "pt" && key != "seq");
        }
        value.to_string().into_bytes()
    };
    states
        .map(|(name, _, ts_ns, text)| (name, ts_ns, content(text)))
        .collect()
}

#[test]
fn a_replay_publishes_what_was_published_over_several_runs() {
    run(async {
        let folder = Folder::new();
        let mut prng = Prng::new(4);
        let spec = folder.spec(SyncPolicy::Never);
        let mut server = Server::start(&spec).await.unwrap();
        server.trade(&mut prng, 500).await;
        server.kill();
        let mut server = Server::start(&spec).await.unwrap();
        server.trade(&mut prng, 500).await;
        let before = contents(&mut server.sequencer);
        // It may still be written.
        let (mut again, ticks) = replay(folder.path()).await.unwrap();
        assert_eq!(ticks, 1000);
        assert_eq!(contents(&mut again), before);
        assert_eq!(again.channels(), server.sequencer.channels());
    });
}

#[test]
fn where_the_oldest_segments_are_gone_a_channel_begins_with_its_first_state() {
    run(async {
        let folder = Folder::new();
        let mut server = Server::start(&folder.spec(SyncPolicy::Never)).await.unwrap();
        server.trade(&mut Prng::new(4), 1000).await;
        let before = contents(&mut server.sequencer);
        server.kill();
        let segments = folder.segments();
        for &segment in &segments[..segments.len() / 2] {
            std::fs::remove_file(folder.segment(segment)).unwrap();
        }
        let (mut again, ticks) = replay(folder.path()).await.unwrap();
        assert!((100..1000).contains(&ticks), "{ticks}");
        assert_eq!(contents(&mut again), before);
    });
}

#[test]
fn a_directory_without_a_journal_is_told_apart_from_an_empty_one() {
    run(async {
        let folder = Folder::new();
        let error = replay(folder.path()).await.err().unwrap();
        assert!(matches!(error, SourceError::Journal(_)), "{error}");
        std::fs::create_dir(folder.path()).unwrap();
        let error = replay(folder.path()).await.err().unwrap();
        assert!(error.to_string().contains("has no journal in it"), "{error}");
    });
}
