//! The load generator against real servers: tickwire's own, as a process and in this one, and one that we did not write.
//!
//! What is asserted are counts, never times: a run says how long things took, and a test says that nothing is missing.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::net::{SocketAddr, TcpListener};
use std::process::Command;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tickwire::limits::ECHO_MESSAGE_BYTES_DEFAULT;
use tickwire::load::{
    Asking, Churn, Descriptors, Echo, Fanout, Idle, LoadError, Plan, Publish, Scenario, Slow, Storm, Target,
    Template, Watch,
};

use scene::process::BINARY;

const SHORT: Duration = Duration::from_millis(300);

/// Runs a scenario to its end, and gives what a program would be told.
fn run(plan: &Plan, scenario: &Scenario) -> Result<Value, LoadError> {
    let (stop, mut show) = (AtomicBool::new(false), |_: &str| {});
    let watch = Watch {
        show: &mut show,
        stop: &stop,
    };
    tickwire::load::run(plan, scenario, watch).map(|report| report.to_json())
}

fn count(report: &Value, section: &str, figure: &str) -> u64 {
    report[section][figure]
        .as_u64()
        .unwrap_or_else(|| panic!("no {section}.{figure} in {report:#}"))
}

fn message() -> Template {
    Template::new("{mark}{pad}", 64).expect("a template")
}

/// A port that is free for the moment.
fn free_port() -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    listener.local_addr().expect("bound").port()
}

/// A plan against a tickwire that the run starts itself and publishes to; says so where there can be none.
fn served(connections: u32) -> Option<Plan> {
    if scene::cannot_serve() {
        return None;
    }
    let port = free_port();
    let mut target = Target::new(&format!("ws://127.0.0.1:{port}/v1/ws?ch=room:*")).expect("an address");
    target.expect = Some("\"ok\":[{".to_owned());
    let tick = r#"{"ch":"room:bench","t":"msg","data":"{mark}"}"#;
    Some(Plan {
        server: Some(format!(
            "{BINARY} serve --source stdin --shards 1 --connections 256 --listen 127.0.0.1:{port}"
        )),
        publish: Publish::Stdin,
        ..Plan::new(target, connections, Template::new(tick, 0).expect("a template"))
    })
}

/// A plan against an echo at this address.
fn talking_to(address: SocketAddr, connections: u32) -> Plan {
    let target = Target::new(&format!("ws://{address}/")).expect("an address");
    Plan::new(target, connections, message())
}

fn echo(asking: Asking) -> Scenario {
    Scenario::Echo(Echo {
        message: message(),
        asking,
        warmup: SHORT,
        duration: SHORT,
    })
}

#[test]
fn idle_connections_are_all_held_and_one_tick_reaches_them_all() {
    let Some(plan) = served(100) else { return };
    let idle = Idle {
        hold: SHORT,
        tick: true,
    };
    let report = run(&plan, &Scenario::Idle(idle)).expect("a report");
    assert_eq!(count(&report, "connections", "lost"), 0);
    assert_eq!(count(&report, "connections", "open_at_the_end"), 100);
    assert_eq!(count(&report, "tick", "complete"), 1);
    assert_eq!(count(&report, "frames", "delivered"), 100);
    assert_eq!(count(&report, "frames", "missing"), 0);
    assert!(
        report["memory"]["rss_per_connection_bytes"].is_number(),
        "{report:#}"
    );
}

#[test]
fn every_tick_of_a_fanout_reaches_every_subscriber_once() {
    let Some(plan) = served(20) else { return };
    let fanout = Fanout {
        per_second: 100.0,
        burst: 3,
        warmup: SHORT,
        duration: SHORT,
    };
    let report = run(&plan, &Scenario::Fanout(fanout)).expect("a report");
    let complete = count(&report, "ticks", "complete");
    assert!(complete > 0 && complete.is_multiple_of(3), "{report:#}");
    let due = complete + count(&report, "ticks", "never_sent");
    assert!(due >= 3 * 29, "every tick that was due is told: {report:#}");
    for figure in ["missing", "repeated", "ticks_unmeasured"] {
        assert_eq!(count(&report, "frames", figure), 0, "{figure}");
    }
    assert_eq!(count(&report, "ticks", "incomplete"), 0);
    assert!(count(&report, "frames", "delivered").is_multiple_of(3 * 20));
    assert_eq!(report["ticks"]["to_last"]["count"], complete);
    assert_eq!(report["ticks"]["delivery"]["count"], complete * 20);
}

#[test]
fn subscribers_that_stop_reading_cost_the_others_no_tick_and_catch_up() {
    let Some(plan) = served(10) else { return };
    let slow = Slow {
        per_second: 100.0,
        burst: 1,
        share: 0.5,
        warmup: SHORT,
        duration: SHORT,
        resume: Some(SHORT),
    };
    let report = run(&plan, &Scenario::Slow(slow)).expect("a report");
    assert_eq!(count(&report, "frames_of_the_healthy", "missing"), 0);
    assert_eq!(count(&report, "frames_of_the_slow", "stopped_reading"), 5);
    assert_eq!(count(&report, "frames_of_the_slow", "caught_up"), 5);
    assert_eq!(count(&report, "frames_of_the_slow", "missing"), 0);
    assert_eq!(count(&report, "ticks_while_some_do_not", "incomplete"), 0);
}

#[test]
fn everyone_is_served_again_after_a_storm_and_bystanders_miss_nothing() {
    let Some(plan) = served(50) else { return };
    let storm = Storm {
        per_second: 100.0,
        bystanders: 10,
        warmup: SHORT,
        calm: SHORT,
        patience: scene::DEADLINE,
    };
    let report = run(&plan, &Scenario::Storm(storm)).expect("a report");
    assert_eq!(count(&report, "storm", "dropped"), 40);
    assert_eq!(count(&report, "storm", "served_again"), 40);
    assert_eq!(count(&report, "frames_of_bystanders", "missing"), 0);
    assert_eq!(count(&report, "connections", "open_at_the_end"), 50);
    assert_eq!(count(&report, "connections", "lost"), 0);
}

#[test]
fn an_echo_answers_every_message_of_a_closed_and_of_an_open_loop() {
    let Some(served) = scene::served::echo(ECHO_MESSAGE_BYTES_DEFAULT) else {
        return;
    };
    for asking in [Asking::Depth(1), Asking::Depth(4), Asking::Rate(500.0)] {
        for descriptors in [Descriptors::Process, Descriptors::Registered] {
            let plan = Plan {
                descriptors,
                ..talking_to(served.address(), 8)
            };
            let report = run(&plan, &echo(asking)).expect("a report");
            let latency = &report["messages"]["latency"];
            assert!(
                latency["count"].as_u64().is_some_and(|count| count > 0),
                "{report:#}"
            );
            for figure in ["unanswered", "out_of_order"] {
                assert_eq!(count(&report, "messages", figure), 0, "{figure}");
            }
        }
    }
}

#[test]
fn an_echo_at_a_rate_beyond_reach_tells_of_every_message_that_was_due() {
    let Some(served) = scene::served::echo(ECHO_MESSAGE_BYTES_DEFAULT) else {
        return;
    };
    let report = run(&talking_to(served.address(), 8), &echo(Asking::Rate(1e8))).expect("a report");
    // Where nothing that was due in the window was sent there are no latencies.
    let answered = report["messages"]["latency"]["count"]
        .as_u64()
        .unwrap_or_default();
    let never = count(&report, "messages", "never_sent");
    let due = answered + count(&report, "messages", "unanswered") + never;
    assert!(never > 0 && due >= 29_000_000, "{report:#}");
    assert_eq!(count(&report, "messages", "out_of_order"), 0);
}

#[test]
fn a_server_that_others_wrote_is_put_under_load_like_ours() {
    if scene::cannot_serve() {
        return;
    }
    let address = foreign(true);
    let report = run(&talking_to(address, 5), &echo(Asking::Depth(2))).expect("a report");
    assert!(count(&report["messages"], "latency", "count") > 0, "{report:#}");
    assert_eq!(count(&report, "messages", "unanswered"), 0);
    assert_eq!(count(&report, "messages", "out_of_order"), 0);
    assert_eq!(count(&report, "connections", "open_at_the_end"), 5);
}

#[test]
fn connections_that_come_and_go_end_in_order() {
    let Some(served) = scene::served::echo(ECHO_MESSAGE_BYTES_DEFAULT) else {
        return;
    };
    let churn = Churn {
        message: message(),
        warmup: SHORT,
        duration: SHORT,
    };
    for connect_per_second in [0.0, 100.0] {
        let plan = Plan {
            connect_per_second,
            ..talking_to(served.address(), 4)
        };
        let report = run(&plan, &Scenario::Churn(churn.clone())).expect("a report");
        let whole = count(&report["lives"], "whole", "count");
        assert!(whole > 0, "{report:#}");
        assert_eq!(count(&report["lives"], "close", "count"), whole);
        assert_eq!(count(&report, "connections", "lost"), 0);
    }
}

#[test]
fn lives_that_nobody_answers_are_unfinished_and_those_that_they_hold_up_never_begun() {
    if scene::cannot_serve() {
        return;
    }
    let churn = Scenario::Churn(Churn {
        message: message(),
        warmup: SHORT,
        duration: SHORT,
    });
    for (connections, held_up) in [(1, true), (1000, false)] {
        let plan = Plan {
            connect_per_second: 100.0,
            ..talking_to(foreign(false), connections)
        };
        let report = run(&plan, &churn).expect("a report");
        let lives = &report["lives"];
        assert_eq!(lives["finished_per_s"], 0.0, "{report:#}");
        for figure in ["message", "close", "whole"] {
            assert!(lives[figure].is_null(), "{figure} of nobody in {report:#}");
        }
        let [unfinished, never] = ["unfinished", "never_begun"].map(|figure| count(&report, "lives", figure));
        assert!(unfinished + never >= 29, "{report:#}");
        assert!(
            !held_up || unfinished == 0,
            "the only one began before: {report:#}"
        );
    }
}

#[test]
fn a_feed_is_churned_with_words_of_its_own() {
    let Some(served) = scene::served::market() else {
        return;
    };
    let mut plan = talking_to(served.address(), 4);
    plan.target = Target::new(&format!("ws://{}/v1/ws", served.address())).expect("an address");
    plan.target.send = Some(r#"{"op":"ping","id":1}"#.to_owned());
    plan.target.expect = Some("\"pong\"".to_owned());
    let churn = Churn {
        message: message(),
        warmup: SHORT,
        duration: SHORT,
    };
    let report = run(&plan, &Scenario::Churn(churn)).expect("a report");
    assert!(count(&report["lives"], "message", "count") > 0, "{report:#}");
    assert_eq!(count(&report, "connections", "lost"), 0);
}

#[test]
fn a_server_that_ends_by_itself_ends_the_run() {
    if scene::cannot_serve() {
        return;
    }
    let plan = Plan {
        server: Some("sh -c 'exit 3'".to_owned()),
        ..talking_to(SocketAddr::from(([127, 0, 0, 1], free_port())), 1)
    };
    let error = run(&plan, &echo(Asking::Depth(1)))
        .expect_err("there is no server")
        .to_string();
    assert!(
        error.contains("exit 3") && error.contains("ended before it was ready"),
        "{error}"
    );
}

#[test]
fn ticks_need_somebody_who_publishes_them() {
    let Some(served) = scene::served::market() else {
        return;
    };
    let mut plan = talking_to(served.address(), 1);
    plan.target = Target::new(&format!("ws://{}?ch=trade:*", served.address())).expect("an address");
    let fanout = Fanout {
        per_second: 1.0,
        burst: 1,
        warmup: SHORT,
        duration: SHORT,
    };
    let error = run(&plan, &Scenario::Fanout(fanout)).expect_err("nobody publishes");
    assert!(matches!(error, LoadError::NoPublisher), "{error}");
}

#[test]
fn the_command_reports_in_json_or_in_words() {
    let Some(served) = scene::served::echo(ECHO_MESSAGE_BYTES_DEFAULT) else {
        return;
    };
    let bench = |json: &[&str]| {
        let url = format!("ws://{}/", served.address());
        let output = Command::new(BINARY)
            .args([
                "bench",
                "echo",
                "--url",
                &url,
                "-n",
                "2",
                "--warmup",
                "0.1",
                "--duration",
                "0.2",
            ])
            .args(json)
            .output()
            .expect("the binary is built");
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).expect("a report is text")
    };
    let report: Value = serde_json::from_str(&bench(&["--json"])).expect("a report in JSON");
    assert_eq!(report["scenario"], "echo");
    assert!(count(&report["messages"], "latency", "count") > 0);
    let words = bench(&[]);
    assert!(words.starts_with("echo\n") && words.contains("p99.9"), "{words}");
}

/// A server of tokio-tungstenite's in a thread of its own, which ends with the test's process: an echo, if it `answers`.
fn foreign(answers: bool) -> SocketAddr {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let address = listener.local_addr().expect("bound");
    listener.set_nonblocking(true).expect("a socket can be");
    std::thread::spawn(move || {
        scene::block_on(async {
            let listener = tokio::net::TcpListener::from_std(listener).expect("a listener");
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(mut socket) = tokio_tungstenite::accept_async(stream).await else {
                        return;
                    };
                    while let Some(Ok(message)) = socket.next().await {
                        let is_asked = message.is_text() || message.is_binary();
                        if answers && is_asked && socket.send(message).await.is_err() {
                            break;
                        }
                    }
                });
            }
        });
    });
    address
}
