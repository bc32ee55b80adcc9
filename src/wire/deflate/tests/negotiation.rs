//! What is agreed on, from either end (RFC 7692 §5, §7.1).

use crate::wire::{
    Accepted, Deflate, DeflateOffer, DeflatePolicy, HeadScan, Offer, OfferFault, Rejection, Request, Upgrade,
};
use proptest::prelude::*;

const NONCE: [u8; 16] = *b"the sample nonce";
const PLAIN: Deflate = Deflate {
    server_no_context_takeover: true,
    client_no_context_takeover: true,
    server_max_window_bits: 15,
    client_max_window_bits: 15,
    names_server_window: false,
};

/// What a server with this policy answers to these offers.
fn answer(offers: &[&str], policy: &DeflatePolicy) -> (Option<Deflate>, Option<String>) {
    let lines: String = offers
        .iter()
        .map(|offer| format!("Sec-WebSocket-Extensions: {offer}\r\n"))
        .collect();
    let head = format!(
        "GET / HTTP/1.1\r\nHost: h\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n{lines}\r\n"
    );
    let (request, _) = Request::parse(head.as_bytes(), &mut HeadScan::default())
        .unwrap()
        .unwrap();
    let upgrade = Upgrade::parse(request).unwrap();
    let deflate = upgrade.deflate(policy);
    let mut out = Vec::new();
    upgrade.accept(None, deflate, &mut out);
    let out = String::from_utf8(out).unwrap();
    let answered = out
        .split("\r\n")
        .find_map(|line| line.strip_prefix("Sec-WebSocket-Extensions: "));
    (deflate, answered.map(str::to_owned))
}

/// What a client that offered this makes of an answer.
fn read(offer: DeflateOffer, extensions: &str) -> Result<Option<Deflate>, Rejection> {
    let offer = Offer::new("h", "/", &[], NONCE)
        .unwrap()
        .with_deflate(offer)
        .unwrap();
    let head = format!(
        "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
         Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nSec-WebSocket-Extensions: {extensions}\r\n\r\n"
    );
    let accepted = offer.read(head.as_bytes(), &mut HeadScan::default())?;
    Ok(accepted.and_then(|accepted: Accepted<'_>| accepted.deflate))
}

#[test]
fn an_offer_is_answered_with_what_was_asked_and_no_context_takeover() {
    let policy = DeflatePolicy::default();
    for (offer, expected) in [
        (
            "permessage-deflate",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            "permessage-deflate; client_max_window_bits",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover",
        ),
        (
            "permessage-deflate; client_max_window_bits=\"9\"; server_max_window_bits=\"1\\0\"",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; \
             server_max_window_bits=10; client_max_window_bits=9",
        ),
        (
            "permessage-deflate; server_max_window_bits=15",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=15",
        ),
        (
            "foo, permessage-deflate;server_max_window_bits=8;server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover; client_no_context_takeover; server_max_window_bits=8",
        ),
    ] {
        assert_eq!(answer(&[offer], &policy).1.as_deref(), Some(expected), "{offer}");
    }
}

#[test]
fn context_takeover_is_kept_where_the_policy_allows_and_the_client_does_not_forbid() {
    let policy = DeflatePolicy {
        server_context_takeover: true,
        client_context_takeover: true,
        ..DeflatePolicy::default()
    };
    for (offer, expected) in [
        ("permessage-deflate", "permessage-deflate"),
        (
            "permessage-deflate; server_no_context_takeover",
            "permessage-deflate; server_no_context_takeover",
        ),
        (
            "permessage-deflate; client_no_context_takeover",
            "permessage-deflate; client_no_context_takeover",
        ),
    ] {
        assert_eq!(answer(&[offer], &policy).1.as_deref(), Some(expected), "{offer}");
    }
}

#[test]
fn rfc_7692_section_7_1_offers_that_must_be_declined_are_declined() {
    for offer in [
        "permessage-deflate; unknown",
        "permessage-deflate; server_no_context_takeover; server_no_context_takeover",
        "permessage-deflate; client_max_window_bits; client_max_window_bits=10",
        "permessage-deflate; server_no_context_takeover=true",
        "permessage-deflate; server_max_window_bits",
        "permessage-deflate; server_max_window_bits=7",
        "permessage-deflate; server_max_window_bits=16",
        "permessage-deflate; server_max_window_bits=08",
        "permessage-deflate; server_max_window_bits=015",
        "permessage-deflate; server_max_window_bits=15.0",
        "permessage-deflate; client_max_window_bits=1",
        "permessage-deflate; client_max_window_bits=99999999999999999999",
        "Permessage-Deflate",
        "x-webkit-deflate-frame",
    ] {
        assert_eq!(
            answer(&[offer], &DeflatePolicy::default()),
            (None, None),
            "{offer}"
        );
    }
}

#[test]
fn the_first_acceptable_of_several_offers_is_chosen() {
    let policy = DeflatePolicy {
        server_window_bits_min: 12,
        ..DeflatePolicy::default()
    };
    let (deflate, _) = answer(
        &[
            "permessage-deflate; server_max_window_bits=10, permessage-deflate; x",
            "permessage-deflate; server_max_window_bits=12, permessage-deflate",
        ],
        &policy,
    );
    let expected = Deflate {
        server_max_window_bits: 12,
        names_server_window: true,
        ..PLAIN
    };
    assert_eq!(deflate, Some(expected));
    assert_eq!(
        answer(&["permessage-deflate; server_max_window_bits=11"], &policy).0,
        None
    );
    assert_eq!(answer(&[], &policy), (None, None));
}

#[test]
fn an_answer_that_does_not_fit_the_offer_fails_the_connection() {
    let asking = DeflateOffer {
        server_no_context_takeover: true,
        server_max_window_bits: Some(10),
        client_max_window_bits: 12,
        ..DeflateOffer::default()
    };
    let good = "permessage-deflate; server_no_context_takeover; server_max_window_bits=9";
    let expected = Deflate {
        server_max_window_bits: 9,
        client_max_window_bits: 12,
        names_server_window: true,
        ..PLAIN
    };
    assert_eq!(read(asking, good), Ok(Some(expected)));
    for wrong in [
        "permessage-deflate; server_max_window_bits=9",
        "permessage-deflate; server_no_context_takeover",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=11",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=09",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; client_max_window_bits",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; x=1",
        "permessage-deflate; server_no_context_takeover; server_max_window_bits=9; server_max_window_bits=9",
    ] {
        assert_eq!(read(asking, wrong), Err(Rejection::Deflate), "{wrong}");
    }
    for wrong in [
        "permessage-deflate, permessage-deflate",
        "permessage-deflate, foo",
        "foo",
        "permessage-deflate;",
        "",
    ] {
        assert_eq!(
            read(DeflateOffer::default(), wrong),
            Err(Rejection::Extension),
            "{wrong}"
        );
    }
}

#[test]
fn a_second_list_of_extensions_fails_the_connection() {
    let offer = DeflateOffer::default();
    assert!(read(offer, "permessage-deflate").is_ok());
    for second in ["permessage-deflate", "foo", "", ","] {
        let both = format!("permessage-deflate\r\nSec-WebSocket-Extensions: {second}");
        assert_eq!(read(offer, &both), Err(Rejection::Extension), "{second}");
    }
}

#[test]
fn the_clients_window_is_the_smaller_of_what_it_offered_and_what_the_server_allows() {
    let offer = DeflateOffer {
        client_max_window_bits: 12,
        ..DeflateOffer::default()
    };
    for (named, bits) in [("=15", 12), ("=13", 12), ("=12", 12), ("=8", 8)] {
        let answer = format!("permessage-deflate; client_max_window_bits{named}");
        let deflate = read(offer, &answer).unwrap().unwrap();
        assert_eq!(deflate.client_max_window_bits, bits, "{answer}");
    }
    let unnamed = read(offer, "permessage-deflate").unwrap().unwrap();
    assert_eq!(unnamed.client_max_window_bits, 12);
}

#[test]
fn a_window_that_cannot_be_is_not_offered() {
    let offer = Offer::new("h", "/", &[], NONCE).unwrap();
    for bits in [0, 7, 16] {
        let server = DeflateOffer {
            server_max_window_bits: Some(bits),
            ..DeflateOffer::default()
        };
        let client = DeflateOffer {
            client_max_window_bits: bits,
            ..DeflateOffer::default()
        };
        for wrong in [server, client] {
            assert_eq!(offer.with_deflate(wrong).unwrap_err(), OfferFault::WindowBits);
        }
    }
}

proptest! {
    #[test]
    fn our_client_and_our_server_agree(
        offer in (any::<bool>(), any::<bool>(), prop::option::of(8_u8..=15), 8_u8..=15),
        policy in (8_u8..=15, 8_u8..=15, any::<bool>(), any::<bool>()),
    ) {
        let offer = DeflateOffer {
            server_no_context_takeover: offer.0,
            client_no_context_takeover: offer.1,
            server_max_window_bits: offer.2,
            client_max_window_bits: offer.3,
        };
        let policy = DeflatePolicy {
            server_window_bits_min: policy.0.min(policy.1),
            server_window_bits_max: policy.0.max(policy.1),
            server_context_takeover: policy.2,
            client_context_takeover: policy.3,
        };
        let mut head = Vec::new();
        let request = Offer::new("h", "/", &[], NONCE).unwrap().with_deflate(offer).unwrap();
        request.write(&mut head);
        let (parsed, _) = Request::parse(&head, &mut HeadScan::default()).unwrap().unwrap();
        let upgrade = Upgrade::parse(parsed).unwrap();
        let deflate = upgrade.deflate(&policy);
        let mut answer = Vec::new();
        upgrade.accept(None, deflate, &mut answer);
        let accepted = request.read(&answer, &mut HeadScan::default()).unwrap().unwrap();
        prop_assert_eq!(accepted.deflate, deflate);
        if let Some(deflate) = deflate {
            prop_assert!(deflate.server_max_window_bits >= policy.server_window_bits_min);
            prop_assert!(deflate.server_max_window_bits <= offer.server_max_window_bits.unwrap_or(15));
            prop_assert!(deflate.client_max_window_bits <= offer.client_max_window_bits);
        } else {
            prop_assert!(offer.server_max_window_bits.is_some_and(|bits| bits < policy.server_window_bits_min));
        }
    }
}
