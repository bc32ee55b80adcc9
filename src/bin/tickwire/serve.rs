//! `tickwire serve`: runs a server until it is told to stop.

use std::io::IsTerminal as _;
use std::net::SocketAddr;
use std::time::Duration;

use tickwire::control::progress::ProgressLine;
use tickwire::control::server::News;
use tickwire::control::{Config, Machine, Purpose, Resolved, Server, StartError};
use tickwire::writer::FeedEnd;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::args::Serve;
use crate::print;

/// Serves ticks as was asked for.
pub(crate) fn run(config: Config) -> Result<(), StartError> {
    serve(&config.resolve()?, |address| {
        eprintln!("serving on ws://{address}/v1/ws");
    })
}

/// Says whether what was asked for is in order, as far as that can be said of a server on any machine.
pub(crate) fn check(args: &Serve) -> Result<(), StartError> {
    args.config()?.draft()?;
    print("the configuration is in order\n");
    Ok(())
}

/// Starts a server, says where it is, and runs it until a signal or a failure ends it.
pub(crate) fn serve(resolved: &Resolved, announce: impl FnOnce(SocketAddr)) -> Result<(), StartError> {
    log_to_stderr();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(StartError::Runtime)?;
    runtime.block_on(async {
        // Before the first thread: a signal that comes while they start is not lost.
        let mut interrupt = signal(SignalKind::interrupt()).map_err(StartError::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(StartError::Runtime)?;
        let mut report = signal(SignalKind::user_defined1()).map_err(StartError::Runtime)?;
        // Beyond a limit of file sizes a write is to fail, not to end the process.
        let _file_size = signal(SignalKind::from_raw(libc::SIGXFSZ)).map_err(StartError::Runtime)?;
        let mut server = Server::start(resolved)?;
        log_start(resolved);
        announce(server.address());
        answer(&mut server);
        let result = watch_over(&mut server, &mut interrupt, &mut terminate, &mut report).await;
        server.stop();
        // Clients have seconds to part. Whoever does not want to wait for them says so again.
        tokio::select! {
            _ = tokio::task::spawn_blocking(move || server.join()) => {}
            _ = interrupt.recv() => std::process::exit(EXIT_IMPATIENT),
            _ = terminate.recv() => std::process::exit(EXIT_IMPATIENT),
        }
        result
    })
}

fn log_start(resolved: &Resolved) {
    let Resolved {
        shards, connections, ..
    } = *resolved;
    match &resolved.purpose {
        Purpose::Feed(config) => tracing::info!(shards, connections, source = %config.source, "serving"),
        Purpose::Echo { message_bytes_max } => {
            tracing::info!(shards, connections, message_bytes_max, "echoing");
        }
    }
    let plan = resolved.plan();
    tracing::info!("memory: {}", plan.line());
    if let Some(shortage) = plan.beyond(&Machine::here()) {
        tracing::warn!("memory may run out, the kernel's included: {shortage}");
    }
}

/// Has the admin port answer, where there is one, until the process ends: also while clients part.
fn answer(server: &mut Server) {
    let Some(admin) = server.take_admin() else {
        return;
    };
    if let Some(address) = admin.address() {
        eprintln!("metrics on http://{address}/metrics");
    }
    tokio::spawn(async {
        let Err(error) = admin.run().await;
        tracing::error!("the admin port does not answer: {error}");
    });
}

/// Shows how the source gets on until the server is to end.
async fn watch_over(
    server: &mut Server,
    interrupt: &mut Signal,
    terminate: &mut Signal,
    report: &mut Signal,
) -> Result<(), StartError> {
    let line = ProgressLine::new();
    let progress = server.progress();
    let mut redraw = tokio::time::interval(REDRAW);
    loop {
        tokio::select! {
            _ = interrupt.recv() => break,
            _ = terminate.recv() => break,
            _ = report.recv() => if let Some(vitals) = server.vitals() {
                vitals.report_history().await;
            },
            _ = redraw.tick() => if let Some(progress) = &*progress.borrow() {
                line.show(progress);
            },
            news = server.news() => {
                line.clear();
                match news {
                    Some(News::Feed(end)) => tell(end),
                    Some(News::Ended) => {}
                    Some(News::Failed(error)) => return Err(error),
                    None => break,
                }
            }
        }
    }
    line.clear();
    Ok(())
}

/// Says how the source has ended. The server goes on: what is on the tape is still there for newcomers.
fn tell(end: FeedEnd) {
    match end {
        FeedEnd::Over(summary) => eprintln!("source ended: {summary}; serving on"),
        FeedEnd::Broken(summary, error) => {
            eprintln!("source broke: {error}; until then {summary}; serving on");
        }
    }
}

fn log_to_stderr() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    let subscriber = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    // Fails only where a subscriber is set already, which then does as well.
    let _ = subscriber.try_init();
}

/// What a shell says of a command that an interrupt ended.
const EXIT_IMPATIENT: i32 = 130;
const REDRAW: Duration = Duration::from_millis(200);
