//! Derived channels in a journal: their numbers are never given twice, and nothing is said before somebody asks.

use super::replay::replay;
use super::*;
use crate::tape::{ChannelId, RecordKind};

/// Ticks on all channels, and what follows from them.
async fn trade(server: &mut Server, prng: &mut Prng, count: usize) {
    for _ in 0..count / 4 {
        server.trade(prng, 4).await;
        server.derive();
    }
    server.commit().await;
}

fn of_derived(messages: Vec<Message>) -> Vec<Message> {
    let is_derived = |message: &Message| message.0.contains(['@', '/']);
    messages.into_iter().filter(is_derived).collect()
}

const NAMES: [&str; 4] = ["book:0/2", "book:0@20ms", "book:1/1@20ms", "bbo:0@20ms"];

#[test]
fn numbers_go_on_behind_a_restart_and_the_first_message_is_a_state() {
    run(async {
        let folder = Folder::new();
        let mut prng = Prng::new(9);
        let spec = folder.spec(SyncPolicy::Never);
        let mut server = Server::start(&spec).await.unwrap();
        server.trade(&mut prng, 100).await;
        for name in NAMES {
            server.open(name);
        }
        let mut epoch = None;
        // So long that segments are begun by rotation and the first ones are not read any more.
        for round in 0..3 {
            trade(&mut server, &mut prng, 400).await;
            let (before, published) = (server.states(), of_derived(server.messages()));
            assert!(published.len() > 20, "{published:?}");
            assert_eq!(*epoch.get_or_insert(server.epoch), server.epoch);
            server.kill();
            server = Server::start(&spec).await.unwrap();
            assert_eq!(
                server.states(),
                before,
                "round {round}: states and numbers are as they were"
            );
            let again = of_derived(server.messages());
            assert!(
                published.ends_with(&again) && !again.is_empty(),
                "messages are what they were"
            );
            server.derive();
            trade(&mut server, &mut prng, 20).await;
            assert!(
                again.ends_with(&of_derived(server.messages())),
                "nobody has asked"
            );
            for name in NAMES {
                let newest = before.iter().find(|state| state.0 == name).unwrap().1;
                let head = server.sequencer.tape().head();
                server.open(name);
                let record = server.sequencer.tape().record(head);
                assert_eq!(
                    (record.seq, record.kind),
                    (newest + 1, RecordKind::State),
                    "{name}"
                );
            }
        }
        server.close().await;
        let (again, _) = replay(folder.path()).await.unwrap();
        let names: Vec<&str> = (0..again.channels())
            .map(|number| again.name(ChannelId::new(u32::try_from(number).unwrap())))
            .collect();
        assert!(
            !names.iter().any(|name| NAMES.contains(name)),
            "what is derived is not published anew"
        );
    });
}
