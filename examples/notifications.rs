//! Notifications for users: one program publishes them, another shows a user his, those that came while he was away too.
//!
//! ```console
//! $ tickwire serve --source none --publish '*' --journal notes
//! $ cargo run --example notifications -- send ada 'the build is green'
//! $ cargo run --example notifications -- read ada
//! ```
//!
//! Each user has a channel, `note:ada`. Where a reader stands is kept in `ada.json`; what has come since is sent again, or
//! told missing where the server does not have it any more.

#![expect(
    clippy::wildcard_enum_match_arm,
    reason = "most events are of no interest here"
)]

use std::error::Error;
use std::fs;
use std::time::Duration;

use serde_json::json;
use tickwire::client::{Client, Event};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match &arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["send", user, text] => send(user, text).await,
        ["read", user] => read(user).await,
        _ => Err("usage: notifications send USER TEXT, or notifications read USER".into()),
    }
}

async fn send(user: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let mut client = Client::builder(&SERVER.parse()?).build()?;
    let id = client.publish(&format!("note:{user}"), &json!({ "text": text }).to_string())?;
    loop {
        match client.next().await? {
            Event::Published(published) if published.id == Some(id) => {
                println!("{user} has {} notifications", published.seq);
                break;
            }
            Event::Refused {
                refused,
                again: false,
            } => return Err(refused.msg.into_owned().into()),
            _ => {}
        }
    }
    Ok(client.close().await?)
}

async fn read(user: &str) -> Result<(), Box<dyn Error>> {
    let path = format!("{user}.json");
    let mut builder = Client::builder(&SERVER.parse()?);
    if let Ok(bytes) = fs::read(&path) {
        builder = builder.since(serde_json::from_slice(&bytes)?);
    }
    let mut client = builder.build()?;
    let channel = format!("note:{user}");
    client.subscribe(&[&channel])?;
    loop {
        match client.next().await? {
            Event::Message(stamp, data) => println!("{}. {data}", stamp.seq),
            Event::Gap(gap) => println!("{} to {} are gone", gap.from, gap.to),
            Event::Answered { answer, .. } if !answer.err.is_empty() => {
                // Before the first notification there is no such channel.
                tokio::time::sleep(Duration::from_secs(1)).await;
                client.subscribe(&[&channel])?;
                continue;
            }
            _ => continue,
        }
        if let Some(places) = client.places() {
            fs::write(&path, serde_json::to_vec(&places)?)?;
        }
    }
}

const SERVER: &str = "ws://127.0.0.1:9001";
