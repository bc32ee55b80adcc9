//! The negotiation of permessage-deflate: the grammar of the offers, the answer to them, and what both ends make of it.
//!
//! The offers, the policy and the answers are whatever the input says; RFC 7692 §7.1 is restated here as a check of an
//! answer against an offer.

use super::head::{Head, is_token};
use super::input::Input;
use crate::wire::{
    Deflate, DeflateOffer, DeflatePolicy, HeadScan, Offer, Refusal, Rejection, Request, Upgrade,
};

/// `Sec-WebSocket-Extensions` in a request and in an answer (RFC 6455 §9.1, RFC 7692 §5 and §7.1).
///
/// # Panics
/// When a property does not hold.
pub fn extensions(data: &[u8]) {
    let mut input = Input::new(data);
    let (policy, offer) = (policy(&mut input), offer(&mut input));
    // Each line of the input is a field of its own.
    let fields = input.rest();
    let values: Vec<&[u8]> = if fields.is_empty() {
        Vec::new()
    } else {
        fields.split(|byte| *byte == b'\n').collect()
    };
    answers_as_it_must(&values, &policy);
    takes_what_it_asked_for(&values, offer);
    agrees_with_itself(offer, &policy);
}

fn policy(input: &mut Input<'_>) -> DeflatePolicy {
    let (options, bits) = (input.byte(), input.byte());
    let (low, high) = (8 + bits % 8, 8 + bits / 8 % 8);
    DeflatePolicy {
        server_window_bits_min: low.min(high),
        server_window_bits_max: low.max(high),
        server_context_takeover: options & 1 != 0,
        client_context_takeover: options & 2 != 0,
    }
}

fn offer(input: &mut Input<'_>) -> DeflateOffer {
    let (options, bits) = (input.byte(), input.byte());
    DeflateOffer {
        server_no_context_takeover: options & 1 != 0,
        client_no_context_takeover: options & 2 != 0,
        server_max_window_bits: (options & 4 != 0).then_some(8 + bits % 8),
        client_max_window_bits: 8 + bits / 8 % 8,
    }
}

/// A server refuses what breaks the grammar, and otherwise answers the first offer that it can accept with an answer
/// that is one.
fn answers_as_it_must(values: &[&[u8]], policy: &DeflatePolicy) {
    let head = request(values);
    let parsed = Request::parse(&head, &mut HeadScan::default());
    if Head::read(&head).is_none() {
        assert!(matches!(parsed, Err(Refusal::Head(_))), "{parsed:?}");
        return;
    }
    let (request, _) = parsed.expect("it is valid").expect("it is whole");
    let expected = listed(&head);
    let upgrade = match (Upgrade::parse(request), &expected) {
        (Ok(upgrade), Some(_)) => upgrade,
        (upgrade, expected) => {
            assert_eq!((upgrade, expected), (Err(Refusal::ExtensionsInvalid), &None));
            return;
        }
    };
    let offers = expected.unwrap_or_default();
    let agreed = upgrade.deflate(policy);
    let mut answer = Vec::new();
    upgrade.accept(None, agreed, &mut answer);
    let answered = listed(&answer).expect("an answer is in the grammar");
    let first = offers
        .iter()
        .find_map(|offer| Params::read(offer).filter(|offer| can_accept(offer, policy)));
    match (&answered[..], agreed, first) {
        ([], None, None) => {}
        ([answer], Some(agreed), Some(offer)) => {
            let answer = Params::read(answer).expect("an answer has good parameters");
            assert!(is_answer(&answer, &offer), "{answer:?} to {offer:?}");
            assert_keeps_to(policy, &answer);
            assert_means(&agreed, &answer, 15);
        }
        other => panic!("{other:?}"),
    }
}

/// A client takes an answer exactly when it answers the offer, and then knows what was agreed on.
fn takes_what_it_asked_for(values: &[&[u8]], asked: DeflateOffer) {
    let offer = Offer::new("host", "/", &[], NONCE).and_then(|offer| offer.with_deflate(asked));
    let offer = offer.expect("the offer is a good one");
    let head = response(values);
    let read = offer.read(&head, &mut HeadScan::default());
    if Head::read(&head).is_none() {
        assert!(matches!(read, Err(Rejection::Head(_))), "{read:?}");
        return;
    }
    let asked = Params::of(asked);
    let answered = listed(&head);
    let answer = answered.as_deref().map(|answered| match answered {
        [] => Ok(None),
        [one] => Params::read(one)
            .filter(|answer| is_answer(answer, &asked))
            .map(Some)
            .ok_or(()),
        [_, _, ..] => Err(()),
    });
    match (read, answer) {
        (Ok(Some(accepted)), Some(Ok(None))) => assert_eq!(accepted.deflate, None),
        (Ok(Some(accepted)), Some(Ok(Some(answer)))) => {
            let agreed = accepted.deflate.expect("it was accepted");
            assert_means(&agreed, &answer, asked.client_bits());
            // What the client has promised it keeps, asked or not.
            assert!(agreed.client_no_context_takeover || !asked.client_no_context_takeover);
        }
        (Err(Rejection::Extension | Rejection::Deflate), Some(Err(())) | None) => {}
        other => panic!("{other:?}"),
    }
}

/// Our client and our server agree on the same.
fn agrees_with_itself(asked: DeflateOffer, policy: &DeflatePolicy) {
    let offer = Offer::new("host", "/", &[], NONCE).and_then(|offer| offer.with_deflate(asked));
    let offer = offer.expect("the offer is a good one");
    let (mut head, mut answer) = (Vec::new(), Vec::new());
    offer.write(&mut head);
    let request = Request::parse(&head, &mut HeadScan::default());
    let (request, _) = request.expect("it is valid").expect("it is whole");
    let upgrade = Upgrade::parse(request).expect("it is a good request");
    let agreed = upgrade.deflate(policy);
    upgrade.accept(None, agreed, &mut answer);
    let accepted = offer.read(&answer, &mut HeadScan::default());
    let accepted = accepted.expect("it is accepted").expect("it is whole");
    assert_eq!(accepted.deflate, agreed);
    assert_eq!(agreed.is_some(), can_accept(&Params::of(asked), policy));
}

fn request(values: &[&[u8]]) -> Vec<u8> {
    let start = "GET / HTTP/1.1\r\nHost: host\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n";
    with_fields(start, values)
}

fn response(values: &[&[u8]]) -> Vec<u8> {
    let start = "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n";
    with_fields(start, values)
}

fn with_fields(start: &str, values: &[&[u8]]) -> Vec<u8> {
    let mut head = start.as_bytes().to_vec();
    for value in values {
        head.extend_from_slice(b"Sec-WebSocket-Extensions: ");
        head.extend_from_slice(value);
        head.extend_from_slice(b"\r\n");
    }
    head.extend_from_slice(b"\r\n");
    head
}

/// All extensions of a head; `None` where there is no head, or one of its lists breaks the grammar.
fn listed(head: &[u8]) -> Option<Vec<Extension>> {
    let head = Head::read(head)?;
    let lists: Option<Vec<_>> = head
        .all("sec-websocket-extensions")
        .into_iter()
        .map(read_list)
        .collect();
    Some(lists?.concat())
}

/// A name, and parameters that may have a value.
type Extension = (String, Vec<(String, Option<String>)>);

/// RFC 6455 §9.1, cut from the outside in: at commas, at semicolons, at the first equals sign. An empty element is
/// skipped (RFC 9110 §5.6.1.2), but there is at least one other.
pub(super) fn read_list(value: &[u8]) -> Option<Vec<Extension>> {
    let mut extensions = Vec::new();
    for element in split_unquoted(value, b',') {
        let element = element.trim_ascii();
        if element.is_empty() {
            continue;
        }
        let mut parts = split_unquoted(element, b';').into_iter().map(<[u8]>::trim_ascii);
        let name = token(parts.next()?)?;
        let params: Option<Vec<_>> = parts.map(read_param).collect();
        extensions.push((name, params?));
    }
    (!extensions.is_empty()).then_some(extensions)
}

fn read_param(param: &[u8]) -> Option<(String, Option<String>)> {
    let Some(equals) = param.iter().position(|byte| *byte == b'=') else {
        return Some((token(param)?, None));
    };
    let name = token(param[..equals].trim_ascii())?;
    let value = param[equals + 1..].trim_ascii();
    // RFC 9110 §5.6.4: a backslash stands for the character behind it.
    let [b'"', inside @ .., b'"'] = value else {
        return Some((name, Some(token(value)?)));
    };
    let mut plain = Vec::new();
    let mut inside = inside.iter();
    while let Some(byte) = inside.next() {
        match byte {
            b'\\' => plain.push(*inside.next()?),
            b'"' => return None,
            byte => plain.push(*byte),
        }
    }
    Some((name, Some(token(&plain)?)))
}

fn token(bytes: &[u8]) -> Option<String> {
    is_token(bytes).then(|| String::from_utf8_lossy(bytes).into_owned())
}

/// The pieces between separators that do not stand in a quoted string.
fn split_unquoted(bytes: &[u8], separator: u8) -> Vec<&[u8]> {
    let (mut pieces, mut start) = (Vec::new(), 0);
    let (mut quoted, mut escaped) = (false, false);
    for (at, byte) in bytes.iter().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if quoted => escaped = true,
            b'"' => quoted = !quoted,
            byte if *byte == separator && !quoted => {
                pieces.push(&bytes[start..at]);
                start = at + 1;
            }
            _ => {}
        }
    }
    pieces.push(&bytes[start..]);
    pieces
}

/// The four parameters of RFC 7692 §7.1, of an offer or an answer. A window is `Some(None)` where it is named without a
/// number.
#[derive(Clone, Debug, Default)]
struct Params {
    server_no_context_takeover: bool,
    client_no_context_takeover: bool,
    server_max_window_bits: Option<Option<u8>>,
    client_max_window_bits: Option<Option<u8>>,
}

impl Params {
    /// `None` for another extension, and where §7.1 has an offer declined or a connection failed: a parameter that is
    /// unknown, there twice, or has a value that it cannot have.
    fn read((name, params): &Extension) -> Option<Self> {
        let mut names: Vec<&String> = params.iter().map(|(name, _)| name).collect();
        names.sort_unstable();
        names.dedup();
        if name != "permessage-deflate" || names.len() < params.len() {
            return None;
        }
        let mut read = Self::default();
        for (name, value) in params {
            let bits = value.as_deref().map(|value| {
                let known = ["8", "9", "10", "11", "12", "13", "14", "15"].contains(&value);
                value.parse::<u8>().ok().filter(|_| known)
            });
            match (name.as_str(), bits) {
                ("server_no_context_takeover", None) => read.server_no_context_takeover = true,
                ("client_no_context_takeover", None) => read.client_no_context_takeover = true,
                ("server_max_window_bits", Some(Some(bits))) => {
                    read.server_max_window_bits = Some(Some(bits));
                }
                ("client_max_window_bits", Some(Some(bits))) => {
                    read.client_max_window_bits = Some(Some(bits));
                }
                ("client_max_window_bits", None) => read.client_max_window_bits = Some(None),
                _ => return None,
            }
        }
        Some(read)
    }

    /// What our client sends for this offer.
    fn of(offer: DeflateOffer) -> Self {
        let bits = offer.client_max_window_bits;
        Self {
            server_no_context_takeover: offer.server_no_context_takeover,
            client_no_context_takeover: offer.client_no_context_takeover,
            server_max_window_bits: offer.server_max_window_bits.map(Some),
            client_max_window_bits: Some((bits < 15).then_some(bits)),
        }
    }

    /// The largest window that the client will use.
    fn client_bits(&self) -> u8 {
        self.client_max_window_bits.flatten().unwrap_or(15)
    }
}

/// Whether a server of this policy can accept an offer: it compresses with no smaller window than it has.
fn can_accept(offer: &Params, policy: &DeflatePolicy) -> bool {
    let most = offer.server_max_window_bits.flatten().unwrap_or(15);
    most >= policy.server_window_bits_min
}

/// RFC 7692 §7.1.1.1 to §7.1.2.2: whether these parameters answer that offer.
fn is_answer(answer: &Params, offer: &Params) -> bool {
    let server_window = match (answer.server_max_window_bits, offer.server_max_window_bits) {
        (Some(Some(bits)), Some(Some(most))) => bits <= most,
        (Some(Some(_)), None) | (None, None) => true,
        _ => false,
    };
    let client_window = match (answer.client_max_window_bits, offer.client_max_window_bits) {
        (Some(Some(bits)), Some(most)) => bits <= most.unwrap_or(15),
        (None, _) => true,
        _ => false,
    };
    let server_forgets = answer.server_no_context_takeover || !offer.server_no_context_takeover;
    server_window && client_window && server_forgets
}

fn assert_keeps_to(policy: &DeflatePolicy, answer: &Params) {
    let bits = answer.server_max_window_bits.flatten().unwrap_or(15);
    assert!(
        (policy.server_window_bits_min..=policy.server_window_bits_max).contains(&bits),
        "{bits}"
    );
    assert!(answer.server_no_context_takeover || policy.server_context_takeover);
    assert!(answer.client_no_context_takeover || policy.client_context_takeover);
}

/// What was agreed on is what the answer says.
fn assert_means(agreed: &Deflate, answer: &Params, client_bits: u8) {
    assert_eq!(
        agreed.server_no_context_takeover,
        answer.server_no_context_takeover
    );
    assert!(agreed.client_no_context_takeover || !answer.client_no_context_takeover);
    let server_bits = answer.server_max_window_bits.flatten().unwrap_or(15);
    assert_eq!(agreed.server_max_window_bits, server_bits);
    let client_bits = answer.client_max_window_bits.flatten().unwrap_or(client_bits);
    assert_eq!(agreed.client_max_window_bits, client_bits);
}

const NONCE: [u8; 16] = *b"the sample nonce";
