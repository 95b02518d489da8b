//! What became of each file: a line at the end for people, lines of JSON for programs.

use crate::{
    failure::{Failure, Outcome, plain, tell},
    standard::{self, Destination},
};
use serde_json::{Value, json};
use std::{
    collections::BTreeMap,
    fmt::Write as _,
    io::Write as _,
    path::{Path, PathBuf},
    time::Instant,
};

/// Extensions that the last line names.
const MOST_EXTENSIONS: usize = 5;
/// Files of another kind that are named on the terminal, one by one.
const MOST_DIFFERENT: usize = 5;

/// What became of one input.
pub(super) enum Fate {
    /// Seconds of audio; 0: unknown.
    Made(f64),
    Present,
    Skipped,
    /// Not made, for a reason that was told.
    Failed(String),
}

pub(super) struct Report {
    entries: Vec<(PathBuf, Fate)>,
    /// Outputs that are there and of another kind.
    different: usize,
    file: Option<Lines>,
    begun: Instant,
}

/// A file whose lines are there as soon as they are written.
struct Lines {
    destination: Destination,
    /// Why the file does not have all of them.
    failure: Option<Failure>,
}

impl Lines {
    fn write(&mut self, line: &Value) {
        let (sink, pending) = &mut self.destination;
        if self.failure.is_none() {
            let written = writeln!(sink, "{line}").and_then(|()| sink.flush());
            self.failure = written.err().map(|error| Failure::io(pending.path(), &error));
        }
    }
}

impl Report {
    /// A report that also goes to the file at `path`, where it takes the place of one from before.
    pub(super) fn begin(path: Option<&Path>) -> Outcome<Self> {
        let destination = path.map(standard::create_live).transpose()?;
        let file = destination.map(|destination| Lines { destination, failure: None });
        Ok(Self { entries: Vec::new(), different: 0, file, begun: Instant::now() })
    }

    pub(super) fn add(&mut self, input: &Path, output: Option<&Path>, fate: Fate) {
        if let Some(file) = &mut self.file {
            file.write(&line(input, output, &fate));
        }
        self.entries.push((input.to_path_buf(), fate));
    }

    /// Tells of a failure, and adds it.
    pub(super) fn fail(&mut self, input: &Path, output: Option<&Path>, failure: &Failure) {
        tell(failure);
        self.add(input, output, Fate::Failed(failure.to_string()));
    }

    /// Adds an output that is there and of another kind. The first of them are told of.
    pub(super) fn differs(&mut self, input: &Path, output: &Path, difference: &str) {
        let failure = Failure::at(output, format!("{difference}; --overwrite to make it again"));
        self.different += 1;
        if self.different <= MOST_DIFFERENT {
            tell(&failure);
        }
        self.add(input, Some(output), Fate::Failed(failure.to_string()));
    }

    /// Tells how many more there were.
    pub(super) fn end_of_differences(&self) {
        if self.different > MOST_DIFFERENT {
            let more = self.different - MOST_DIFFERENT;
            tell(format_args!(
                "{more} more files are there and of another kind; --overwrite to make them again"
            ));
        }
    }

    fn count(&self, is: impl Fn(&Fate) -> bool) -> usize {
        self.entries.iter().filter(|(_, fate)| is(fate)).count()
    }

    /// The end. It is a failure if a file failed.
    pub(super) fn finish(self, quiet: bool) -> Outcome {
        let made = self.count(|fate| matches!(fate, Fate::Made(_)));
        let present = self.count(|fate| matches!(fate, Fate::Present));
        let skipped = self.count(|fate| matches!(fate, Fate::Skipped));
        let failed = self.count(|fate| matches!(fate, Fate::Failed(_)));
        let audio: f64 =
            self.entries.iter().filter_map(|(_, fate)| seconds(fate)).fold(0.0, |sum, n| sum + n);
        let elapsed = self.begun.elapsed().as_secs_f64();
        if !quiet {
            let mut line = format!("files made: {made}, already there: {present}, skipped: {skipped}");
            if skipped > 0 {
                let _ = write!(line, " ({})", self.extensions());
            }
            let _ = write!(line, ", failed: {failed}");
            if audio > 0.0 {
                let speed = audio / elapsed;
                let _ = write!(line, "; {audio:.1} s of audio in {elapsed:.1} s, {speed:.1} times real time");
            }
            tell(line);
        }
        let whole = made + present + failed;
        if let Some(mut file) = self.file {
            let numbers = json!({
                "made": made, "present": present, "skipped": skipped, "failed": failed,
                "audio_seconds": audio, "elapsed_seconds": elapsed,
            });
            file.write(&json!({ "status": "summary", "files": numbers }));
            file.failure.map_or(Ok(()), Err)?;
            file.destination.1.commit()?;
        }
        match failed {
            0 => Ok(()),
            _ => Err(Failure::new(format!("{failed} of {whole} files failed"))),
        }
    }

    /// Of what was skipped, the commonest first.
    fn extensions(&self) -> String {
        let mut counts: BTreeMap<String, usize> = BTreeMap::new();
        for (input, fate) in &self.entries {
            if matches!(fate, Fate::Skipped) {
                *counts.entry(extension(input).unwrap_or_else(|| "no extension".to_owned())).or_default() +=
                    1;
            }
        }
        let mut counts: Vec<_> = counts.into_iter().collect();
        counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
        let more = if counts.len() > MOST_EXTENSIONS { ", …" } else { "" };
        let named: Vec<_> = counts
            .iter()
            .take(MOST_EXTENSIONS)
            .map(|(name, count)| format!("{}: {count}", plain(name)))
            .collect();
        named.join(", ") + more
    }
}

/// With its dot, in small letters.
fn extension(path: &Path) -> Option<String> {
    path.extension().map(|extension| format!(".{}", extension.to_string_lossy().to_lowercase()))
}

/// What became of `input`, for programs.
fn line(input: &Path, output: Option<&Path>, fate: &Fate) -> Value {
    let (status, message) = match fate {
        Fate::Made(_) => ("made", None),
        Fate::Present => ("present", None),
        Fate::Skipped => {
            let found = extension(input).map(|extension| format!("its extension is {extension}"));
            ("skipped", Some(found.unwrap_or_else(|| "it has no extension".to_owned())))
        }
        Fate::Failed(message) => ("failed", Some(message.clone())),
    };
    let mut entry = json!({ "status": status, "input": input.to_string_lossy() });
    if let Some(output) = output {
        entry["output"] = json!(output.to_string_lossy());
    }
    if let Some(message) = message {
        entry["message"] = json!(message);
    }
    if let Some(seconds) = seconds(fate) {
        entry["audio_seconds"] = json!(seconds);
    }
    entry
}

/// Of audio, if they are known.
fn seconds(fate: &Fate) -> Option<f64> {
    match fate {
        Fate::Made(seconds) if *seconds > 0.0 => Some(*seconds),
        _ => None,
    }
}
