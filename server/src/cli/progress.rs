//! How far a transfer is: a bar on a terminal, lines elsewhere if asked for.

use std::io::{self, IsTerminal, Write};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};

use super::table::bytes;

/// The pause between two lines.
const EVERY: Duration = Duration::from_secs(5);

/// The progress of one transfer; the bar goes when it is dropped.
pub(super) struct Progress {
    shown: Shown,
    done: u64,
    total: Option<u64>,
}

enum Shown {
    Nothing,
    Bar(ProgressBar),
    Lines { what: String, last: Instant },
}

impl Progress {
    /// Begins to show how much of `total` bytes is through.
    pub(super) fn new(what: &str, total: Option<u64>, verbose: bool) -> Progress {
        let shown = if io::stderr().is_terminal() {
            Shown::Bar(bar(what, total))
        } else if verbose {
            Shown::Lines { what: what.to_owned(), last: Instant::now() }
        } else {
            Shown::Nothing
        };
        Progress { shown, done: 0, total }
    }

    /// So many bytes more are through.
    pub(super) fn add(&mut self, count: usize) {
        self.done = self.done.saturating_add(count as u64);
        match &mut self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => bar.set_position(self.done),
            Shown::Lines { what, last } => {
                if last.elapsed() >= EVERY || self.total == Some(self.done) {
                    *last = Instant::now();
                    let total = self.total.map(|total| format!(" of {}", bytes(total)));
                    let total = total.unwrap_or_default();
                    // Whoever reads this may have gone; the transfer goes on.
                    let _ = writeln!(io::stderr(), "{what}: {}{total}", bytes(self.done));
                }
            }
        }
    }
}

impl Progress {
    /// Everything is through, and something else is waited for.
    pub(super) fn wait_for(&self, what: &str) {
        match &self.shown {
            Shown::Nothing => {}
            Shown::Bar(bar) => {
                if let Ok(style) = ProgressStyle::with_template("{msg}, {elapsed}") {
                    bar.set_style(style);
                }
                bar.set_message(what.to_owned());
                bar.enable_steady_tick(Duration::from_secs(1));
            }
            Shown::Lines { .. } => {
                let _ = writeln!(io::stderr(), "{what}");
            }
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Shown::Bar(bar) = &self.shown {
            bar.finish_and_clear();
        }
    }
}

fn bar(what: &str, total: Option<u64>) -> ProgressBar {
    let (bar, template) = match total {
        Some(total) => {
            let bar = ProgressBar::new(total);
            (bar, "{msg} [{bar:30}] {bytes} of {total_bytes}, {bytes_per_sec}, {eta} left")
        }
        None => (ProgressBar::new_spinner(), "{msg} {bytes}, {bytes_per_sec}"),
    };
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style.progress_chars("=> "));
    }
    bar.set_message(what.to_owned());
    bar
}
