//! The built binary: what it says when it cannot run, how it reads standard input, how it ends.

#[allow(dead_code, reason = "each test uses its part")]
mod scene;

use std::io::Write as _;
use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Stdio};

use scene::process::{BINARY, Ended, Process, run};
use scene::socket::{Closed, Socket};
use scene::{block_on, cannot_serve};

/// It ended with status 1 and one line, which names the cure.
#[track_caller]
fn refused(ended: &Ended, cures: &[&str]) {
    assert_eq!(ended.status.code(), Some(1), "{ended:?}");
    let said: Vec<&str> = ended
        .stderr
        .lines()
        .filter(|line| line.starts_with("tickwire: "))
        .collect();
    assert_eq!(said.len(), 1, "one line says why: {ended:?}");
    assert_eq!(
        ended.stderr.lines().last(),
        said.first().copied(),
        "and it is the last: {ended:?}"
    );
    for cure in cures {
        assert!(said[0].contains(cure), "{cure:?} is not in {:?}", said[0]);
    }
}

/// The command line itself was wrong, and its first line says how.
#[track_caller]
fn mistyped(ended: &Ended, part: &str) {
    assert_eq!(ended.status.code(), Some(2), "{ended:?}");
    let first = ended.stderr.lines().next().unwrap_or_default();
    assert!(first.starts_with("error: ") && first.contains(part), "{ended:?}");
    assert!(ended.stderr.contains("--help"), "{ended:?}");
}

#[test]
fn an_address_in_use_is_told_with_who_to_look_for() {
    if cannot_serve() {
        return;
    }
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("bound");
    let port = format!("sport = :{}", address.port());
    let cures = ["the address is in use", "choose another port", &port];
    refused(&run(&format!("serve --source sim --listen {address}")), &cures);
    refused(&run(&format!("demo --listen {address}")), &cures);
}

#[test]
fn a_second_server_does_not_share_the_port_of_the_first() {
    if cannot_serve() {
        return;
    }
    let mut first = Process::start("serve --source sim --listen 127.0.0.1:0 --connections 8");
    let address = first.address();
    refused(
        &run(&format!("serve --source sim --listen {address} --connections 8")),
        &["the address is in use"],
    );
}

#[test]
fn a_mistyped_source_or_speed_is_told_what_it_may_be() {
    mistyped(
        &run("serve --source kafka:x"),
        "a source is sim, sim:SEED, capture:PATH, journal:DIR, stdin or none",
    );
    mistyped(
        &run("serve --source sim:seven"),
        "\"seven\" is not a whole number",
    );
    mistyped(&run("serve --source capture"), "capture:PATH");
    mistyped(
        &run("serve --source sim --speed fast"),
        "neither \"max\" nor a number",
    );
    mistyped(
        &run("serve --source sim --speed 0"),
        "neither \"max\" nor a number",
    );
    mistyped(&run("serve --source sim --listen nowhere"), "'nowhere'");
}

/// A configuration file that goes away with its test.
struct ConfigFile(std::path::PathBuf);

impl ConfigFile {
    fn new(name: &str, text: &str) -> Self {
        let path = std::env::temp_dir().join(format!("tickwire-{name}-{}.toml", std::process::id()));
        std::fs::write(&path, text).expect("a temporary file");
        Self(path)
    }
}

impl Drop for ConfigFile {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

#[test]
fn a_configuration_says_what_the_command_line_does_not() {
    let text = "source = \"sim\"\nconnections = 8\nheartbeat_seconds = 4000\n";
    let file = ConfigFile::new("says", text);
    let path = file.0.display();
    refused(
        &run(&format!("serve --config {path} --check")),
        &["--heartbeat-seconds 4000 is out of range"],
    );
    let (said, ended) = printed(&format!("serve --config {path} --heartbeat-seconds 5 --check"));
    assert!(ended.status.success() && said.contains("in order"), "{ended:?}");
    let (said, ended) = printed(&format!("plan --config {path} --heartbeat-seconds 5 --json"));
    assert!(
        ended.status.success() && said.contains("\"connections\": 8"),
        "{said}"
    );
    let (said, ended) = printed(&format!(
        "plan --config {path} --heartbeat-seconds 5 --connections 9 --json"
    ));
    assert!(
        ended.status.success() && said.contains("\"connections\": 9"),
        "{said}"
    );
}

#[test]
fn what_is_wrong_in_a_configuration_is_told_with_file_line_and_key() {
    let file = ConfigFile::new(
        "wrong",
        "source = \"sim\"\n\n[[channel]]\npattern = \"book:*\"\nclass = \"append\"\n",
    );
    let path = file.0.display();
    let place = format!("{path}:5: class: ");
    for command in ["serve", "serve --check", "replay /nowhere", "plan", "doctor"] {
        let (name, rest) = command.split_once(' ').unwrap_or((command, ""));
        let ended = run(&format!("{name} {rest} --config {path}"));
        refused(&ended, &[&place, "hold books, which are of class book"]);
    }
    refused(
        &run("serve --config /no/such/file"),
        &["/no/such/file", "--config FILE"],
    );
}

#[test]
fn what_a_server_lacks_is_told_with_where_to_say_it() {
    refused(&run("serve"), &["--source SOURCE", "in the configuration"]);
    refused(
        &run("serve --source sim --journal-sync each"),
        &["--journal-sync", "--journal DIR"],
    );
}

#[test]
fn an_echo_that_cannot_be_had_is_refused_with_what_can() {
    if cannot_serve() {
        return;
    }
    let holder = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = holder.local_addr().expect("bound");
    refused(
        &run(&format!("echo --listen {address}")),
        &["the address is in use"],
    );
    for bytes in ["0", "67108865"] {
        refused(
            &run(&format!("echo --listen 127.0.0.1:0 --message-bytes {bytes}")),
            &[bytes, "--message-bytes 67108864"],
        );
    }
    mistyped(&run("echo --message-bytes 16M"), "'16M'");
    mistyped(&run("echo --shards 0"), "'0'");
    refused(
        &run("echo --listen 127.0.0.1:0 --shards 257 --connections 1"),
        &["257"],
    );
}

/// What a command that serves nothing prints, and how it ends.
fn printed(arguments: &str) -> (String, Ended) {
    let mut command = Command::new(BINARY);
    let output = command.args(arguments.split_whitespace()).output();
    let output = output.expect("the binary is built");
    let text = |bytes| String::from_utf8(bytes).expect("text");
    let ended = Ended {
        status: output.status,
        stderr: text(output.stderr),
    };
    (text(output.stdout), ended)
}

#[test]
fn a_plan_is_a_table_or_json_and_says_when_memory_does_not_suffice() {
    let plan = "plan --shards 2 --connections 1000000 --subscriptions 1";
    let (table, ended) = printed(plan);
    assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    assert!(
        table.contains("1,000,000 connections on 2 shards") && table.contains("blocks for replies"),
        "{table}"
    );
    let (json, _) = printed(&format!("{plan} --json"));
    let json: serde_json::Value = serde_json::from_str(&json).expect("JSON");
    assert_eq!((&json["shards"], &json["fits"]), (&2.into(), &true.into()));
    assert!(
        json["bytes_per_idle_connection"]
            .as_u64()
            .is_some_and(|bytes| bytes > 0)
    );
    let (table, tight) = printed(&format!("{plan} --memory 300M"));
    refused(&tight, &["--memory allows 300 MiB", "--connections "]);
    assert!(
        table.contains("blocks for replies"),
        "the table comes all the same"
    );
    mistyped(&run("plan --memory 4X"), "write one as 1073741824, 512M or 4G");
}

#[test]
fn a_server_whose_plan_exceeds_its_memory_is_refused_and_one_that_fits_says_what_it_takes() {
    for command in ["serve --source sim", "echo"] {
        refused(
            &run(&format!(
                "{command} --listen 127.0.0.1:0 --connections 100 --memory 1M"
            )),
            &["--memory allows 1.00 MiB", "tickwire plan"],
        );
    }
    if cannot_serve() {
        return;
    }
    let mut process =
        Process::start("serve --source sim --listen 127.0.0.1:0 --connections 100 --memory 1G --shards 1");
    process.address();
    let said = process.said();
    assert!(
        said.iter()
            .any(|line| line.contains("memory: at most ") && line.contains("per idle connection")),
        "{said:#?}"
    );
    process.signal("TERM");
    assert_eq!(process.wait().status.code(), Some(0));
}

#[test]
fn a_knob_beyond_its_range_is_refused_with_what_it_may_be() {
    for (option, cures) in [
        (
            "--send-buffer 1K",
            ["--send-buffer 1024", "from 4096 to 67108864"],
        ),
        ("--unsent 1M", ["--unsent 1048576", "from 1 to 131072"]),
        (
            "--receive-buffer 1G",
            ["--receive-buffer 1073741824", "from 4096 to"],
        ),
        ("--backlog 0", ["--backlog 0", "from 1 to 65535"]),
        ("--ping-seconds 0", ["--ping-seconds 0", "from 1 to 3600"]),
        (
            "--heartbeat-seconds 3601",
            ["--heartbeat-seconds 3601", "from 0 to 3600"],
        ),
        ("--drain-seconds 3601", ["--drain-seconds 3601", "from 0 to 3600"]),
    ] {
        refused(&run(&format!("serve --source sim {option}")), &cures);
    }
}

#[test]
fn an_echo_says_where_it_listens_and_a_signal_ends_it_with_success() {
    if cannot_serve() {
        return;
    }
    let mut process =
        Process::start("echo --listen 127.0.0.1:0 --shards 2 --connections 8 --message-bytes 1000");
    let address = process.address();
    block_on(async {
        let mut socket = Socket::connect(address, "").await;
        socket.send("anything").await;
        assert_eq!(socket.text().await, "anything");
        process.signal("TERM");
        let closed = socket.next().await.expect_err("it stops");
        assert_eq!(closed.code, 1001);
        socket.ended().await;
    });
    assert_eq!(process.wait().status.code(), Some(0));
}

#[test]
fn a_tape_that_is_no_power_of_two_is_refused() {
    let serve = "serve --listen 127.0.0.1:0 --source sim";
    refused(
        &run(&format!("{serve} --tape-bytes 16777217")),
        &["16777217", "power of two"],
    );
    refused(
        &run(&format!("{serve} --tape-records 1000")),
        &["1000", "power of two"],
    );
    refused(&run(&format!("{serve} --tape-records 0")), &["0", "power of two"]);
}

/// On a tape of one record the writer once stopped by a panic at its first book.
#[test]
fn a_tape_that_cannot_hold_the_longest_event_and_an_image_is_refused() {
    let serve = "serve --listen 127.0.0.1:0 --source sim";
    refused(
        &run(&format!("{serve} --tape-bytes 65536")),
        &["65536 bytes", "--tape-bytes 16777216"],
    );
    refused(
        &run(&format!("{serve} --tape-records 1")),
        &["1 records", "--tape-records 64"],
    );
}

/// The tape holds a record of every channel at all times. With more channels than records the writer once carried
/// those from the tail to the head for ever, and did not even end when it was told to.
#[test]
fn more_channels_than_the_tape_can_hold_are_refused_and_the_rest_is_served() {
    if cannot_serve() {
        return;
    }
    let mut process =
        Process::start("serve --source stdin --tape-records 64 --listen 127.0.0.1:0 --connections 8");
    process.address();
    let mut stdin = process.stdin();
    for channel in 0..100 {
        writeln!(stdin, r#"{{"ch":"room:{channel}","t":"msg","data":1}}"#).expect("the server reads");
    }
    drop(stdin);
    let summary = process.line("source ended: ");
    assert!(
        summary.contains("100 lines, 16 ticks") && summary.contains("(refused: 84)"),
        "{summary}"
    );
    process.signal("TERM");
    assert_eq!(process.wait().status.code(), Some(0));
}

#[test]
fn a_capture_that_is_not_there_is_named() {
    if cannot_serve() {
        return;
    }
    let serve = "serve --listen 127.0.0.1:0 --connections 8";
    refused(
        &run(&format!("{serve} --source capture:no/such/file.gz")),
        &["no/such/file.gz", "No such file"],
    );
}

#[test]
fn too_few_descriptors_are_told_with_how_to_raise_them() {
    let cures = [
        "descriptors are needed",
        "the hard limit is 64",
        "ulimit -Hn",
        "LimitNOFILE=",
    ];
    for connections in ["", " --connections 1000"] {
        let serve =
            format!("ulimit -n 64; exec '{BINARY}' serve --source sim --listen 127.0.0.1:0{connections}");
        let mut command = Command::new("sh");
        command.args(["-c", &serve]);
        refused(&Process::spawn(&mut command).wait(), &cures);
    }
}

#[test]
fn a_filter_that_refuses_io_uring_is_told_from_a_kernel_that_lacks_it() {
    if cannot_serve() {
        return;
    }
    let python = Command::new("python3")
        .arg("--version")
        .stdout(Stdio::null())
        .status();
    if !python.is_ok_and(|status| status.success()) {
        return println!("SKIPPED: python3, which installs the filter, is not here");
    }
    let filter = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/foreign/without_io_uring.py");
    let mut command = Command::new("python3");
    command
        .arg(filter)
        .args([BINARY, "serve", "--source", "sim", "--listen", "127.0.0.1:0"]);
    let cures = [
        "io_uring is filtered",
        "docker run --security-opt seccomp=unconfined",
        "Kubernetes",
    ];
    refused(&Process::spawn(&mut command).wait(), &cures);
}

#[test]
fn good_lines_of_standard_input_go_out_in_order_and_bad_ones_are_named() {
    if cannot_serve() {
        return;
    }
    let mut process = Process::start("serve --source stdin --wait 1 --listen 127.0.0.1:0 --connections 8");
    let address = process.address();
    let mut stdin = process.stdin();
    let lines = mixed_lines();
    block_on(async {
        let mut socket = Socket::connect(address, "?ch=*").await;
        assert_eq!(socket.json().await["t"], "hello");
        assert_eq!(socket.json().await["t"], "ack");
        stdin
            .write_all(lines.join("\n").as_bytes())
            .expect("the server reads");
        // The last line has no end but that of the stream.
        drop(stdin);
        let mut got = Vec::new();
        for _ in 0..4 {
            let message = socket.json().await;
            got.push((
                message["ch"].clone(),
                message["seq"].clone(),
                message["px"].clone(),
                message["data"].clone(),
            ));
        }
        let null = serde_json::Value::Null;
        let trade = |seq: u32, px: &str| ("trade:X".into(), seq.into(), px.into(), null.clone());
        assert_eq!(got[0], trade(1, "1.50"));
        assert_eq!(got[1], trade(2, "2.50"));
        assert_eq!(
            got[2],
            (
                "room:1".into(),
                1.into(),
                null.clone(),
                serde_json::json!({"hi": [1, 2]})
            )
        );
        assert_eq!(got[3], trade(3, "3.50"));
        let summary = process.line("source ended: ");
        let expected = "9 lines, 4 ticks (3 trades, 0 quotes, 0 books, 1 messages), 4 bad lines";
        assert!(summary.contains(expected), "{summary}");
        for reason in [
            "not JSON: 1",
            "bad field: 1",
            "bad name: 1",
            "refused: 1",
            "serving on",
        ] {
            assert!(summary.contains(reason), "{summary}");
        }
        // It still serves what is on the tape.
        socket.send(r#"{"op":"ping","id":1}"#).await;
        assert_eq!(socket.json().await["t"], "pong");
    });
    for (number, fault) in [(2, "not JSON"), (4, "bad field"), (6, "refused"), (8, "bad name")] {
        let said = process.said();
        let told = said
            .iter()
            .any(|line| line.contains(&format!("line={number} ")) && line.contains(fault));
        assert!(told, "line {number}: {said:#?}");
    }
    process.signal("TERM");
    assert!(process.wait().status.success());
}

/// Nine lines, four of them good: 1, 3, 7 and 9; the fifth is blank, which is nothing.
fn mixed_lines() -> [String; 9] {
    let trade =
        |number: u32| format!(r#"{{"ch":"trade:X","t":"trade","px":"{number}.50","sz":1.0,"side":"buy"}}"#);
    [
        trade(1),
        "no JSON".to_owned(),
        trade(2),
        r#"{"ch":"trade:X","t":"trade","sz":"1","side":"buy"}"#.to_owned(),
        String::new(),
        r#"{"ch":"trade:X","t":"bbo","bp":"1","bs":"1","ap":"2","as":"1"}"#.to_owned(),
        r#"{"ch":"room:1","t":"msg","data":{"hi":[1, 2]}}"#.to_owned(),
        r#"{"ch":"trade","t":"trade","px":"1","sz":"1","side":"buy"}"#.to_owned(),
        trade(3),
    ]
}

#[test]
fn either_signal_closes_every_client_and_ends_with_success() {
    if cannot_serve() {
        return;
    }
    for signal in ["TERM", "INT"] {
        let mut process =
            Process::start("serve --source sim --shards 2 --connections 16 --listen 127.0.0.1:0");
        let address = process.address();
        block_on(async {
            let mut sockets = Vec::new();
            for query in ["", "?ch=*", "?ch=trade:*", "?ch=bbo:BTC-USD"] {
                let mut socket = Socket::connect(address, query).await;
                assert_eq!(socket.json().await["t"], "hello");
                sockets.push(socket);
            }
            process.signal(signal);
            for mut socket in sockets {
                let closed = socket.last_words().await;
                let expected = Closed {
                    code: 1012,
                    reason: "server is shutting down".to_owned(),
                };
                assert_eq!(closed, expected);
            }
        });
        let ended = process.wait();
        assert_eq!(ended.status.code(), Some(0), "{ended:?}");
    }
}

#[test]
fn a_signal_ends_a_server_that_waits_for_subscribers_and_one_that_waits_for_input() {
    if cannot_serve() {
        return;
    }
    for source in ["sim --wait 5", "stdin"] {
        let mut process = Process::start(&format!(
            "serve --listen 127.0.0.1:0 --connections 8 --source {source}"
        ));
        process.address();
        let _open = process.stdin();
        process.signal("INT");
        assert_eq!(process.wait().status.code(), Some(0));
    }
}
