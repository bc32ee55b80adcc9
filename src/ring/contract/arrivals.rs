//! What every ring does with a lasting poll.

use super::cases::{END, KEY, READ};
use super::stage::{Peer, Stage};
use crate::ring::{Completion, Interest, Readiness, Ring, Socket};

const ENDED: Completion = Completion::Disarmed { key: KEY };

pub(super) fn a_lasting_poll_reports_each_arrival_and_nothing_twice(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().arm(KEY, socket, Interest::Arrivals);
    assert_eq!(stage.poll(), []);
    peer.write(b"one");
    assert_eq!(stage.wait_for(1), [fired(READ)]);
    assert_eq!(stage.poll(), [], "that something is still there is no news");
    peer.write(b"two");
    assert_eq!(stage.wait_for(1), [fired(READ)]);
    assert_eq!(stage.receive(socket).unwrap(), b"onetwo");
    assert_eq!(stage.poll(), []);
    peer.write(b"three");
    assert_eq!(stage.wait_for(1), [fired(READ)]);
    part(&mut stage, socket);
}

pub(super) fn a_lasting_poll_reports_what_is_there_when_it_is_armed(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    peer.write(b"early");
    assert_eq!(stage.until_ready(KEY, socket, Interest::Read), READ);
    assert_eq!(stage.until_ready(KEY, socket, Interest::Arrivals), READ);
    assert_eq!(stage.poll(), []);
    part(&mut stage, socket);
}

pub(super) fn a_lasting_poll_reports_the_end_of_a_stream(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().arm(KEY, socket, Interest::Arrivals);
    peer.write(b"last words");
    peer.finish();
    let mut reports = stage.wait_for(1);
    while *reports.last().unwrap() != fired(END) {
        assert_eq!(*reports.last().unwrap(), fired(READ));
        reports.extend(stage.wait_for(1));
    }
    assert_eq!(stage.poll(), [], "it is reported once");
    assert_eq!(stage.receive(socket).unwrap(), b"last words");
    assert_eq!(stage.receive(socket).unwrap(), b"");
    part(&mut stage, socket);
}

pub(super) fn a_lasting_poll_ends_once_and_gives_way_to_another(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().disarm(KEY);
    assert_eq!(stage.poll(), [], "there was none");
    stage.ring().arm(KEY, socket, Interest::Arrivals);
    assert_eq!(stage.poll(), []);
    stage.ring().disarm(KEY);
    stage.ring().disarm(KEY);
    assert_eq!(stage.wait_for(1), [ENDED]);
    stage.ring().disarm(KEY);
    peer.write(b"unheard");
    assert_eq!(stage.poll(), []);
    assert_eq!(stage.until_ready(KEY, socket, Interest::Read), READ);
    assert_eq!(stage.until_ready(KEY, socket, Interest::Arrivals), READ);
    part(&mut stage, socket);
}

pub(super) fn whatever_a_lasting_poll_reports_comes_before_its_end(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().arm(KEY, socket, Interest::Arrivals);
    assert_eq!(stage.poll(), []);
    peer.write(b"x");
    stage.ring().disarm(KEY);
    let mut reports = stage.wait_for(1);
    while *reports.last().unwrap() != ENDED {
        reports.extend(stage.wait_for(1));
    }
    assert!(
        matches!(reports[..], [ENDED]) || reports == [fired(READ), ENDED],
        "{reports:?}"
    );
    assert_eq!(stage.receive(socket).unwrap(), b"x");
    stage.ring().shutdown(socket);
    stage.ring().close(socket);
    assert_eq!(peer.read_to_end(), b"");
}

pub(super) fn a_lasting_poll_outlives_a_shutdown_until_it_is_disarmed(mut stage: impl Stage) {
    stage.ring().accept();
    let (mut peer, socket) = stage.pair();
    stage.ring().arm(KEY, socket, Interest::Arrivals);
    assert_eq!(stage.send(socket, &[b"goodbye"]), None);
    stage.ring().shutdown(socket);
    assert!(
        matches!(stage.wait_for(1)[..], [Completion::Ready { readiness, .. }] if readiness.hangup && readiness.end)
    );
    assert_eq!(stage.poll(), []);
    part(&mut stage, socket);
    assert_eq!(peer.read_to_end(), b"goodbye");
}

fn fired(readiness: Readiness) -> Completion {
    Completion::Ready {
        key: KEY,
        interest: Interest::Arrivals,
        readiness,
    }
}

/// Ends a connection that has a lasting poll.
fn part(stage: &mut impl Stage, socket: Socket) {
    stage.ring().disarm(KEY);
    stage.ring().shutdown(socket);
    let mut reports = stage.wait_for(1);
    while *reports.last().unwrap() != ENDED {
        reports.extend(stage.wait_for(1));
    }
    assert_eq!(stage.poll(), []);
    stage.ring().close(socket);
}
