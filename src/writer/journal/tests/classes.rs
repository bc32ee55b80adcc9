//! Journals of channels whose class the configuration says, and what happens when it says another one.

use super::*;
use crate::market::{ChannelClass, ChannelRule, ChannelRules, Pattern};

/// A new sequencer whose channels of these patterns are of class replace.
fn replacing(patterns: &[&str]) -> Sequencer {
    let mut rules = ChannelRules::default();
    for pattern in patterns {
        let rule = ChannelRule {
            class: Some(ChannelClass::Replace),
            terms: 0,
        };
        rules.add(Pattern::parse(pattern).unwrap(), rule).unwrap();
    }
    sequencer().ruled_by(rules)
}

#[test]
fn a_configured_class_outlives_a_kill_and_another_one_is_refused() {
    run(async {
        let folder = Folder::new();
        let spec = folder.spec(SyncPolicy::Each);
        let mut server = Server::on(&spec, replacing(&["room:*"])).await.unwrap();
        let mut prng = Prng::new(5);
        server.trade(&mut prng, 300).await;
        let states = server.states();
        assert!(
            states
                .iter()
                .any(|(name, _, _, text)| name.starts_with("room:") && !text.is_empty()),
            "a room has a state"
        );
        server.kill();
        let mut again = Server::on(&spec, replacing(&["room:*"])).await.unwrap();
        assert_eq!(again.states(), states);
        again.trade(&mut prng, 300).await;
        again.kill();
        let error = Server::on(&spec, sequencer()).await.err().unwrap().to_string();
        for words in [
            "room:",
            "of class replace in the journal",
            "class = \"replace\"",
            "--journal DIR",
        ] {
            assert!(error.contains(words), "{words:?} is not in {error:?}");
        }
        // What the journal does not know may be of any class.
        let more = replacing(&["room:*", "status:*"]);
        assert!(Server::on(&spec, more).await.is_ok());
    });
}
