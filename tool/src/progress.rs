//! Bars on a terminal, as wide as it is; nothing in a pipe.

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Over many files.
pub(crate) fn files(count: usize, quiet: bool) -> ProgressBar {
    bar(Some(count as u64), "{wide_bar} {pos} of {len} files, {eta} left", quiet)
}

/// Over one recording of so many samples or frames.
pub(crate) fn recording(length: Option<u64>, quiet: bool) -> ProgressBar {
    let template = match length {
        Some(_) => "{wide_bar} {percent}%, {eta} left",
        None => "{spinner} {elapsed}",
    };
    bar(length, template, quiet)
}

/// Over a download.
pub(crate) fn bytes(size: Option<u64>, quiet: bool) -> ProgressBar {
    let template = match size {
        Some(_) => "{wide_bar} {bytes} of {total_bytes}, {eta} left",
        None => "{spinner} {bytes}",
    };
    bar(size, template, quiet)
}

/// What reads without showing it.
pub(crate) fn none() -> ProgressBar {
    ProgressBar::hidden()
}

fn bar(length: Option<u64>, template: &str, quiet: bool) -> ProgressBar {
    let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
    let bar = ProgressBar::with_draw_target(length, target).with_finish(ProgressFinish::AndClear);
    match ProgressStyle::with_template(template) {
        Ok(style) => bar.with_style(style),
        Err(_) => bar,
    }
}
