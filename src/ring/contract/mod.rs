//! The contract of [`Ring`], as one suite of tests that every implementation passes.
//!
//! Each test is a function over a [`Stage`]: a ring and a way to connect to it. The three stages are the kernel over
//! loopback, with sockets that are the process's descriptors and with sockets that are the ring's own, which print why
//! when they have to be skipped, and the simulator without faults.

mod arrivals;
mod cases;
mod echo;
mod stage;

use super::{Capabilities, Unavailable, probe};
use std::io::Write as _;

/// What the kernel offers to the live tests of a ring of its own descriptors. `None`, said likewise, where it is too old.
pub(super) fn available_with_table() -> Option<Capabilities> {
    let capabilities = available()?;
    if let Some(lacks) = capabilities.table_lacks() {
        writeln!(
            std::io::stderr(),
            "SKIPPED, REGISTERED DESCRIPTORS WERE NOT TESTED: this kernel lacks {lacks}"
        )
        .expect("stderr is open");
        return None;
    }
    Some(capabilities)
}

/// What the kernel offers to the live tests. `None` where the machine forbids a ring, said past the test harness, which
/// hides what passing tests print; any other refusal on a machine that allows one is a fault of ours.
pub(super) fn available() -> Option<Capabilities> {
    match probe() {
        Ok(capabilities) => Some(capabilities),
        Err(
            refusal @ (Unavailable::Disabled
            | Unavailable::DisabledForUser
            | Unavailable::Filtered
            | Unavailable::Missing { .. }
            | Unavailable::TooOld { .. }),
        ) => {
            writeln!(
                std::io::stderr(),
                "SKIPPED, THE KERNEL'S RING WAS NOT TESTED: {refusal}"
            )
            .expect("stderr is open");
            None
        }
        Err(refusal) => panic!("a kernel that allows io_uring refuses ours: {refusal}"),
    }
}

macro_rules! held_by_every_ring {
    ($($name:ident),+ $(,)?) => {
        mod uring {
            $(#[test] fn $name() {
                if let Some(stage) = super::stage::LiveStage::new(None) {
                    super::cases::$name(stage);
                }
            })+
        }
        mod registered {
            $(#[test] fn $name() {
                if let Some(stage) = super::stage::LiveStage::new(Some(128)) {
                    super::cases::$name(stage);
                }
            })+
        }
        mod sim {
            $(#[test] fn $name() {
                super::cases::$name(super::stage::SimStage::new());
            })+
        }
    };
}

held_by_every_ring! {
    accepts_every_connection_once,
    hands_out_every_completion_of_a_crowd,
    a_poll_fires_once_and_then_not_until_it_is_armed_again,
    a_poll_of_a_socket_that_is_ready_already_fires,
    receives_each_socket_into_its_own_lane,
    tells_the_end_of_a_stream_from_nothing_yet,
    a_send_that_goes_out_whole_says_nothing,
    a_batch_larger_than_the_queue_goes_out_whole,
    a_short_send_says_exactly_how_much_went_out,
    a_vectored_short_send_says_exactly_how_much_went_out,
    a_blocked_socket_is_watched_for_both_directions,
    one_poll_may_watch_both_directions,
    a_lasting_poll_reports_each_arrival_and_nothing_twice,
    a_lasting_poll_reports_what_is_there_when_it_is_armed,
    a_lasting_poll_reports_the_end_of_a_stream,
    a_lasting_poll_ends_once_and_gives_way_to_another,
    whatever_a_lasting_poll_reports_comes_before_its_end,
    a_lasting_poll_outlives_a_shutdown_until_it_is_disarmed,
    a_reset_hangs_up_and_breaks_sends,
    shutdown_makes_armed_polls_report_and_the_peer_see_the_end,
    what_was_sent_before_a_shutdown_still_arrives,
    a_finished_connection_still_hears_its_peer,
    sending_after_a_shutdown_is_broken_not_blocked,
    completions_that_come_during_a_batch_are_not_lost,
    a_completion_that_a_batch_reaped_ends_the_next_wait,
    a_completion_that_came_when_another_connection_ended_ends_the_next_wait,
    a_doorbell_wakes_and_several_are_one,
    a_doorbell_rung_by_another_thread_wakes,
    a_deadline_ends_the_wait_and_a_past_one_does_not_wait,
    stopping_to_listen_ends_accepting_and_refuses_clients,
    an_empty_batch_does_nothing,
}
