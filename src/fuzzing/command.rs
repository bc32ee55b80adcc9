//! Requests of clients: read as another reader of JSON reads them, and answered with well-formed JSON.

use super::json::Object;
use crate::dialect::Code;
use crate::dialect::native_json::reply::write_error;
use crate::dialect::native_json::{Command, CommandError, Input, Pong, ServerMessage, Since};
use crate::limits::{
    ERROR_REASON_BYTES_MAX, PING_TIME_BYTES_MAX, PUBLISH_KEY_BYTES_MAX, REQUEST_CHANNELS_MAX,
};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::HashMap;

/// One text message of a client, or the query of its request target, in the native language.
///
/// # Panics
/// When a property does not hold.
pub fn command(data: &[u8]) {
    // What is not UTF-8 never gets as far as a command (RFC 6455 §8.1).
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let parsed = Command::parse(text);
    assert_eq!(parsed.as_ref().ok(), naive(text).as_ref(), "{parsed:?}");
    match &parsed {
        Ok(command) => {
            assert_again(command);
            if let Command::Publish {
                channel, text: whole, ..
            } = command
            {
                assert_eq!(*whole, text, "what is published is in the whole request");
                assert_published_where_it_was_meant(channel, whole);
            }
            if let Command::Ping { id, t0: Some(t0) } = *command {
                assert!(text.contains(t0), "the time is given back as it was written");
                assert_pong_carries(id, t0);
            }
        }
        Err(error) => assert_can_be_said(error),
    }
    match Command::from_query(text) {
        Ok(None) => assert_eq!(queried(text), Some(vec![])),
        Ok(Some(command)) => {
            let channels = command.channels().iter().map(|name| name.clone().into_owned());
            assert_eq!(Some(channels.collect()), queried(text));
            assert_eq!(Command::parse(&written(&command)), Ok(command));
        }
        Err(error) => {
            let expected = queried(text).is_none_or(|channels| channels.len() > REQUEST_CHANNELS_MAX);
            assert!(expected, "{error}");
            assert_can_be_said(&error);
        }
    }
}

/// What the message asks for, from the protocol's own table of requests; `None` where it is none.
fn naive(text: &str) -> Option<Command<'_>> {
    let object = Object::read(text)?;
    if object.repeats(&["op", "id", "ch", "t0", "since", "key", "token"]) {
        return None;
    }
    let id: Option<u64> = match object.some("id") {
        Some(id) => Some(serde_json::from_str(id).ok()?),
        None => None,
    };
    let op: String = serde_json::from_str(object.text("op")?).ok()?;
    if matches!(&*op, "sub" | "unsub" | "snap") {
        let ch = object.text("ch")?;
        let names: Vec<String> = serde_json::from_str(ch)
            .or_else(|_| serde_json::from_str(ch).map(|name| vec![name]))
            .ok()
            .filter(|names: &Vec<_>| names.len() <= REQUEST_CHANNELS_MAX)?;
        let channels = names.into_iter().map(Cow::Owned).collect();
        return Some(match &*op {
            "sub" => {
                let since = match object.some("since") {
                    None => None,
                    Some(since) => Some(naive_since(since)?),
                };
                Command::Subscribe { id, channels, since }
            }
            "snap" => Command::Snap { id, channels },
            _ => Command::Unsubscribe { id, channels },
        });
    }
    match &*op {
        "pub" => Some(Command::Publish {
            id,
            channel: Cow::Owned(serde_json::from_str(object.text("ch")?).ok()?),
            key: match object.some("key") {
                None => None,
                Some(key) => {
                    let key: String = serde_json::from_str(key).ok()?;
                    Some(Cow::Owned(Some(key).filter(|key| {
                        !key.is_empty() && key.len() <= PUBLISH_KEY_BYTES_MAX
                    })?))
                }
            },
            text,
        }),
        "auth" => Some(Command::Authenticate {
            id,
            token: Cow::Owned(serde_json::from_str(object.text("token")?).ok()?),
        }),
        "list" => Some(Command::List { id }),
        "ping" => {
            let Some(time) = object.some("t0") else {
                return Some(Command::Ping { id, t0: None });
            };
            // Only a number begins so.
            let is_number = time.starts_with(['-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9']);
            let start = text.find(time)?;
            let t0 = Some(&text[start..start + time.len()]);
            (is_number && time.len() <= PING_TIME_BYTES_MAX).then_some(Command::Ping { id, t0 })
        }
        _ => None,
    }
}

/// What a client has already; `None` where that is not said properly.
fn naive_since<'a>(text: &str) -> Option<Since<'a>> {
    let mut fields: HashMap<String, Box<RawValue>> = serde_json::from_str(text).ok()?;
    let epoch: String = serde_json::from_str(fields.remove("epoch")?.get()).ok()?;
    let seqs: Option<HashMap<Cow<'a, str>, u64>> = fields
        .into_iter()
        .map(|(name, value)| Some((Cow::Owned(name), value.get().parse().ok()?)))
        .collect();
    let (epoch, seqs) = (Cow::Owned(epoch), seqs?);
    (seqs.len() <= REQUEST_CHANNELS_MAX).then_some(Since { epoch, seqs })
}

/// The same request in the protocol's own hand says the same.
fn assert_again(command: &Command<'_>) {
    let again = written(command);
    let parsed = Command::parse(&again);
    match (command, &parsed) {
        (
            Command::Publish { id, channel, key, .. },
            Ok(Command::Publish {
                id: i,
                channel: c,
                key: k,
                ..
            }),
        ) => {
            assert_eq!((id, channel, key), (i, c, k), "{again}");
        }
        (command, parsed) => assert_eq!(parsed.as_ref(), Ok(command), "{again}"),
    }
}

/// The writer reads the request anew, and finds the channel that was granted.
fn assert_published_where_it_was_meant(channel: &str, text: &str) {
    let mut levels = Vec::new();
    if let Ok(input) = Input::parse_request(text, &mut levels) {
        assert_eq!(input.channel.as_str(), channel);
    }
}

/// The same command as the protocol writes it.
fn written(command: &Command<'_>) -> String {
    let op = match command {
        Command::Subscribe { .. } => "sub",
        Command::Unsubscribe { .. } => "unsub",
        Command::Snap { .. } => "snap",
        Command::List { .. } => "list",
        Command::Ping { .. } => "ping",
        Command::Publish { .. } => "pub",
        Command::Authenticate { .. } => "auth",
    };
    let mut text = format!("{{\"op\":\"{op}\"");
    if let Some(id) = command.id() {
        text.push_str(&format!(",\"id\":{id}"));
    }
    if matches!(op, "sub" | "unsub" | "snap") {
        let channels = serde_json::to_string(command.channels()).expect("names are text");
        text.push_str(&format!(",\"ch\":{channels}"));
    }
    if let Command::Subscribe {
        since: Some(Since { epoch, seqs }),
        ..
    } = command
    {
        let epoch = serde_json::to_string(epoch).expect("an epoch is text");
        text.push_str(&format!(",\"since\":{{\"epoch\":{epoch}"));
        for (channel, seq) in seqs {
            let channel = serde_json::to_string(channel).expect("names are text");
            text.push_str(&format!(",{channel}:{seq}"));
        }
        text.push('}');
    }
    match command {
        Command::Ping { t0: Some(t0), .. } => text.push_str(&format!(",\"t0\":{t0}")),
        Command::Publish { channel, key, .. } => {
            let channel = serde_json::to_string(channel).expect("a name is text");
            text.push_str(&format!(",\"ch\":{channel}"));
            if let Some(key) = key {
                let key = serde_json::to_string(key).expect("a key is text");
                text.push_str(&format!(",\"key\":{key}"));
            }
        }
        Command::Authenticate { token, .. } => {
            let token = serde_json::to_string(token).expect("a token is text");
            text.push_str(&format!(",\"token\":{token}"));
        }
        Command::Subscribe { .. }
        | Command::Unsubscribe { .. }
        | Command::Snap { .. }
        | Command::List { .. }
        | Command::Ping { t0: None, .. } => {}
    }
    text.push('}');
    text
}

fn assert_pong_carries(id: Option<u64>, t0: &str) {
    let mut pong = Vec::new();
    Pong {
        id,
        t0: Some(t0),
        t1_ns: 1,
        t2_ns: 2,
    }
    .write_to(&mut pong);
    let pong = String::from_utf8(pong).expect("a reply is text");
    let object = Object::read(&pong).expect("a reply is an object");
    assert_eq!(object.text("t0"), Some(t0));
}

/// A refusal is one of four kinds, and its reply is JSON of a bounded size that gives back the request's number.
fn assert_can_be_said(error: &CommandError) {
    assert!(
        matches!(
            error.code,
            Code::BadRequest | Code::BadJson | Code::UnknownOp | Code::BadSince
        ),
        "{error}"
    );
    let mut reply = Vec::new();
    write_error(&mut reply, error.id, error.code, &error.message);
    assert!(
        reply.len() <= ERROR_REASON_BYTES_MAX + 100,
        "{} bytes",
        reply.len()
    );
    let reply = String::from_utf8(reply).expect("a reply is text");
    let mut levels = Vec::new();
    let message = ServerMessage::parse(&reply, &mut levels).expect("a client can read it");
    let ServerMessage::Error(refused) = message else {
        panic!("{message:?} is no refusal");
    };
    assert_eq!((refused.id, refused.code), (error.id, error.code.value()));
    assert!(!refused.msg.is_empty());
}

/// The channels of every `ch` in a query; `None` where a percent-encoding does not stand for text.
fn queried(query: &str) -> Option<Vec<String>> {
    let mut channels = Vec::new();
    for parameter in query.split('&') {
        let Some(value) = parameter.strip_prefix("ch=").filter(|value| !value.is_empty()) else {
            continue;
        };
        let mut bytes = Vec::new();
        let mut at = 0;
        while let Some(byte) = value.as_bytes().get(at) {
            let digits = value.as_bytes().get(at + 1..at + 3);
            if *byte == b'%' {
                let digits = digits.filter(|digits| digits.iter().all(u8::is_ascii_hexdigit))?;
                bytes.push(u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()?);
                at += 3;
            } else {
                bytes.push(*byte);
                at += 1;
            }
        }
        let list = String::from_utf8(bytes).ok()?;
        channels.extend(list.split(',').map(str::to_owned));
    }
    Some(channels)
}
