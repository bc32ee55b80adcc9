//! The line on the terminal while a capture replays.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::writer::source::Progress;

/// Draws on standard error, where that is a terminal, and is silent elsewhere.
#[derive(Debug)]
pub struct ProgressLine {
    bar: ProgressBar,
}

impl ProgressLine {
    /// A line that shows nothing yet.
    #[must_use]
    pub fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr());
        Self { bar }
    }

    /// Shows how far the replay has come.
    pub fn show(&self, progress: &Progress) {
        if let Some(total) = progress.bytes_total
            && self.bar.length() != Some(total)
        {
            if let Ok(style) = ProgressStyle::with_template("{bar:30} {percent:>3} %  {elapsed}  {msg}") {
                self.bar.set_style(style);
            }
            self.bar.set_length(total);
        }
        self.bar.set_position(progress.bytes_read);
        let seconds = progress.captured_ns() / 1_000_000_000;
        self.bar
            .set_message(format!("{} ticks, {seconds} s of the recording", progress.ticks));
    }

    /// Takes the line away, so that something else can be said.
    pub fn clear(&self) {
        self.bar.finish_and_clear();
    }
}

impl Default for ProgressLine {
    fn default() -> Self {
        Self::new()
    }
}
