//! Hostile clients over real sockets: what no decent client sends, and what must come back.
//!
//! The rules are tables. A row says what is sent, in which pieces, what must come back, and which section of which RFC
//! says so; a row that fails prints all of it, and what came instead. What takes time or many is a test by itself.

#[allow(dead_code, reason = "this target uses its part")]
#[path = "../scene/mod.rs"]
mod scene;

mod compressed;
mod frames;
mod handshakes;
mod row;
mod upgrades;

use row::{Service, judge};

#[test]
fn handshakes_are_answered_as_the_rfcs_say() {
    for service in [Service::Feed, Service::Echo] {
        judge(service, handshakes::rows());
        judge(service, upgrades::rows());
    }
    judge(Service::Feed, upgrades::rows_of_the_feed());
    judge(Service::Echo, upgrades::rows_of_the_echo());
}

#[test]
fn frames_are_answered_as_the_rfcs_say() {
    for service in [Service::Feed, Service::Echo] {
        judge(service, frames::rows());
    }
    judge(Service::Feed, frames::rows_of_the_feed());
    judge(Service::Echo, frames::rows_of_the_echo());
}

#[test]
fn compressed_frames_are_answered_as_the_rfcs_say() {
    judge(Service::Echo, compressed::rows());
}
