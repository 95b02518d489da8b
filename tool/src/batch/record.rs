//! How the files of a folder were made: `.mimi-made.jsonl`, a line of JSON for each, beside them. A later
//! run of another kind then does not take them for its own.

use super::Job;
use crate::{
    failure::{Failure, Outcome},
    output,
};
use serde_json::{Value, json};
use std::{
    collections::{BTreeMap, HashMap},
    fs::{self, Metadata, OpenOptions},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write},
    path::{Path, PathBuf},
    time::UNIX_EPOCH,
};

/// The name of the file.
pub(super) const NAME: &str = ".mimi-made.jsonl";

/// Bytes of the file that are read: records of a million files have a fifth.
const LONGEST: u64 = 1 << 30;

/// What decides what a file becomes: names and values as a user would say them.
pub(crate) type Settings = BTreeMap<&'static str, String>;

/// The records of the folders that were looked into.
#[derive(Default)]
pub(super) struct Records(HashMap<PathBuf, HashMap<String, Record>>);

/// How one file was made.
struct Record {
    settings: HashMap<String, String>,
    /// Bytes of what it was made of.
    bytes: u64,
    /// When it was written: who writes another in its place does not always note it.
    modified: u64,
}

/// Nanoseconds since 1970.
fn modified(file: &Metadata) -> u64 {
    let since = file.modified().ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    since.map_or(0, |since| u64::try_from(since.as_nanos()).unwrap_or(u64::MAX))
}

impl Records {
    /// What keeps the output of `job`, which is there, from being what `settings` would make of its
    /// input now. `told` reads what the output tells of itself, if it has no record.
    pub(super) fn difference(
        &mut self,
        job: &Job,
        settings: &Settings,
        told: impl Fn(&Job) -> Outcome<Settings>,
    ) -> Outcome<Option<String>> {
        let folder = super::folder_of(&job.output);
        if !self.0.contains_key(folder) {
            self.0.insert(folder.to_path_buf(), read(folder));
        }
        let input = fs::metadata(&job.input).map_err(|error| Failure::io(&job.input, &error))?;
        let made = fs::metadata(&job.output).map_err(|error| Failure::io(&job.output, &error))?;
        let record = self.0.get(folder).and_then(|records| records.get(&name(&job.output)));
        let record = record.filter(|record| record.modified == modified(&made));
        let differs = |name: &str, then: &str| match settings.get(name) {
            Some(now) if now != then => Some(format!("made with {name} {then}, not {now}")),
            _ => None,
        };
        let found = match record {
            Some(record) if record.bytes != input.len() => {
                Some("its input has another length by now".to_owned())
            }
            // in the order of the names, for the same words each time
            Some(record) => settings.keys().find_map(|name| differs(name, record.settings.get(*name)?)),
            None => told(job)?.iter().find_map(|(name, then)| differs(name, then)),
        };
        let is_older = match (input.modified(), made.modified()) {
            (Ok(input), Ok(made)) => input > made,
            _ => false,
        };
        Ok(found.or_else(|| is_older.then(|| "older than its input".to_owned())))
    }
}

fn name(output: &Path) -> String {
    output.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// What is not a file, such as a pipe or a link, has no records.
fn read(folder: &Path) -> HashMap<String, Record> {
    let mut records = HashMap::new();
    let Ok(file) = output::open_plain(OpenOptions::new().read(true), &folder.join(NAME)) else {
        return records;
    };
    for line in BufReader::new(file.take(LONGEST)).split(b'\n').map_while(Result::ok) {
        // A line that a run did not finish says nothing.
        let Ok(line) = serde_json::from_slice::<Value>(&line) else { continue };
        let number = |name: &str| line[name].as_u64();
        let (Some(bytes), Some(modified)) = (number("input_bytes"), number("modified_ns")) else { continue };
        let Some(file) = line["file"].as_str() else { continue };
        let settings = line["settings"].as_object().into_iter().flatten();
        let settings = settings.filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())));
        records.insert(file.to_owned(), Record { settings: settings.collect(), bytes, modified });
    }
    records
}

/// Notes that the output of `job` was made with `settings`.
pub(super) fn note(job: &Job, settings: &Settings) -> Outcome {
    let path = super::folder_of(&job.output).join(NAME);
    let line = json!({
        "file": name(&job.output),
        "modified_ns": fs::metadata(&job.output).map_or(0, |output| modified(&output)),
        "input_bytes": fs::metadata(&job.input).map_or(0, |input| input.len()),
        "settings": settings,
    });
    append(&path, &line.to_string()).map_err(|error| Failure::io(&path, &error))
}

fn append(path: &Path, line: &str) -> io::Result<()> {
    let mut file = output::open_plain(OpenOptions::new().read(true).append(true).create(true), path)?;
    // A line that a full disk cut off must not take this one with it.
    let mut last = [b'\n'];
    if file.metadata()?.len() > 0 {
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut last)?;
    }
    let start = if last == [b'\n'] { "" } else { "\n" };
    // in one piece, because other runs may write, too
    file.write_all(format!("{start}{line}\n").as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_differs_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        let job = Job { input: at("a.wav"), output: at("a.mtok") };
        fs::write(&job.input, "123").unwrap();
        fs::write(&job.output, "").unwrap();
        let settings = |codebooks: &str| -> Settings {
            [("codebooks", codebooks.to_owned()), ("precision", "f32".to_owned())].into()
        };
        let difference = |codebooks: &str, told: &str| {
            let told = |_: &Job| Ok([("codebooks", told.to_owned())].into());
            Records::default().difference(&job, &settings(codebooks), told).unwrap()
        };
        // what the file itself tells
        assert_eq!(difference("8", "8"), None);
        assert_eq!(difference("2", "8").unwrap(), "made with codebooks 8, not 2");
        note(&job, &settings("8")).unwrap();
        note(&job, &settings("4")).unwrap();
        fs::OpenOptions::new().append(true).open(at(NAME)).unwrap().write_all(b"{\"file\":\"a.mt").unwrap();
        // the last whole line counts, and it counts for more
        assert_eq!(difference("4", "8"), None);
        assert_eq!(difference("8", "8").unwrap(), "made with codebooks 4, not 8");
        let later =
            fs::metadata(&job.output).unwrap().modified().unwrap() + std::time::Duration::from_secs(1);
        fs::File::options().write(true).open(&job.input).unwrap().set_modified(later).unwrap();
        assert_eq!(difference("4", "4").unwrap(), "older than its input");
        fs::write(&job.input, "1234").unwrap();
        assert_eq!(difference("4", "4").unwrap(), "its input has another length by now");
        // a line after one that was cut off
        note(&job, &settings("3")).unwrap();
        assert_eq!(difference("8", "8").unwrap(), "made with codebooks 3, not 8");
        // written by somebody else since: the file speaks for itself again
        fs::File::options()
            .write(true)
            .open(&job.output)
            .unwrap()
            .set_modified(later + std::time::Duration::from_secs(1))
            .unwrap();
        assert_eq!(difference("4", "4"), None);
        assert_eq!(difference("4", "8").unwrap(), "made with codebooks 8, not 4");
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_links_are_no_records() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(NAME);
        // Reading a pipe waits for its other end.
        assert!(std::process::Command::new("mkfifo").arg(&path).status().unwrap().success());
        assert!(read(folder.path()).is_empty());
        fs::remove_file(&path).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &path).unwrap();
        assert!(read(folder.path()).is_empty());
    }
}
