//! `tickwire bench`: puts a WebSocket server under load and says what came of it.
//!
//! Standard output carries the report and nothing else; how it gets on is shown on standard error.

use std::fmt;
use std::io::{self, Write as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tickwire::load::{LoadError, Report, TemplateError, Watch, run as run_load};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::oneshot;

use options::Resolved;

mod options;

pub(crate) use options::Args;

/// Why there is no report.
#[derive(Debug)]
pub(crate) enum BenchError {
    /// The operating system gives no event queue or signal handler.
    Runtime(io::Error),
    /// A template is none.
    Template(&'static str, TemplateError),
    /// The run did not come to its end.
    Load(LoadError),
    /// The report cannot be written.
    Output(io::Error),
}

impl fmt::Display for BenchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Runtime(error) => write!(f, "cannot wait for signals: {error}"),
            Self::Template(option, error) => write!(f, "{option}: {error}"),
            Self::Load(error) => write!(f, "{error}"),
            Self::Output(error) => write!(f, "cannot write the report: {error}"),
        }
    }
}

impl std::error::Error for BenchError {}

impl From<LoadError> for BenchError {
    fn from(error: LoadError) -> Self {
        Self::Load(error)
    }
}

/// Runs the scenario on a thread of its own, so that a signal can end it in order.
pub(crate) fn run(args: &Args) -> Result<(), BenchError> {
    let resolved = args.resolve()?;
    let stop = Arc::new(AtomicBool::new(false));
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(BenchError::Runtime)?;
    let report = runtime.block_on(async {
        let mut interrupt = signal(SignalKind::interrupt()).map_err(BenchError::Runtime)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(BenchError::Runtime)?;
        let (sender, mut done) = oneshot::channel();
        let told = Arc::clone(&stop);
        let conducting = thread::Builder::new()
            .name("conductor".to_owned())
            .spawn(move || {
                // Who does not wait for it any more has ended.
                let _ = sender.send(conduct(&resolved, &told));
            });
        conducting.map_err(BenchError::Runtime)?;
        loop {
            tokio::select! {
                report = &mut done => return report.map_err(|_| BenchError::Load(LoadError::Panicked))?,
                _ = interrupt.recv() => stop.store(true, Ordering::Relaxed),
                _ = terminate.recv() => stop.store(true, Ordering::Relaxed),
            }
        }
    })?;
    print(&report, args.json()).map_err(BenchError::Output)
}

fn conduct(resolved: &Resolved, stop: &AtomicBool) -> Result<Report, BenchError> {
    let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
    if let Ok(style) = ProgressStyle::with_template("{elapsed}  {msg}") {
        bar.set_style(style);
    }
    let mut show = |words: &str| bar.set_message(words.to_owned());
    let watch = Watch {
        show: &mut show,
        stop,
    };
    let report = run_load(&resolved.plan, &resolved.scenario, watch);
    bar.finish_and_clear();
    Ok(report?)
}

fn print(report: &Report, json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if json {
        writeln!(out, "{}", report.to_json())
    } else {
        writeln!(out, "{report}")
    }
}
