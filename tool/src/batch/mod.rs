//! The same command on many files, on all cores.

mod plan;
mod record;
mod report;

pub(crate) use plan::{files, plan};
pub(crate) use record::Settings;

use crate::{
    args::BatchArgs,
    codes,
    failure::{Failure, Outcome},
    output, progress, standard,
};
use record::Records;
use report::{Fate, Report};
use std::{
    fs,
    panic::{self, AssertUnwindSafe},
    path::{Path, PathBuf},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
};

/// One file to make out of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
}

/// Files to make, and what was found beside them.
#[derive(Debug, Default)]
pub(crate) struct Jobs {
    pub(crate) list: Vec<Job>,
    /// What cannot be worked on, and why.
    pub(crate) troubles: Vec<(PathBuf, Failure)>,
    /// Files in folders whose extension says that they are something else.
    pub(crate) skipped: Vec<PathBuf>,
}

/// What inputs and an output, as typed, mean.
#[derive(Debug)]
pub(crate) enum Plan {
    /// The one input to the output.
    One(Job),
    /// Files to a folder.
    Many(Jobs),
}

/// Before the one file of a [`Plan::One`] is made.
pub(crate) fn check_one(job: &Job, args: &BatchArgs) -> Outcome {
    if args.report.is_some() {
        return Err(Failure::usage("--report goes with several inputs, or with a folder"));
    }
    match args.overwrite {
        true => Ok(()),
        false => output::refuse_input(&job.input, &job.output),
    }
}

/// Does `work` for each of `jobs`, on several threads, each with its own worker; `work` returns the
/// seconds of audio, or 0. What is made depends on `settings`. Outputs that are there already and were
/// made in the same way are left alone; `told` reads what the output of a job tells of that. Whatever cannot be
/// worked on is told of, and the others go on.
pub(crate) fn run<W>(
    jobs: Jobs,
    args: &BatchArgs,
    quiet: bool,
    settings: &Settings,
    told: impl Fn(&Job) -> Outcome<Settings>,
    new_worker: impl Fn() -> Outcome<W> + Sync,
    work: impl Fn(&mut W, &Job) -> Outcome<f64> + Sync,
) -> Outcome {
    if let Some(report) = args.report.as_deref() {
        check_report(report, &jobs)?;
    }
    let mut report = Report::begin(args.report.as_deref())?;
    for (path, failure) in &jobs.troubles {
        report.fail(path, None, failure);
    }
    jobs.skipped.iter().for_each(|path| report.add(path, None, Fate::Skipped));
    let jobs = match args.overwrite {
        true => jobs.list,
        false => missing(jobs.list, settings, told, &mut report),
    };
    let bar = progress::files(jobs.len(), quiet);
    let (next, report) = (AtomicUsize::new(0), Mutex::new(report));
    let run_jobs = || -> Outcome {
        let mut worker = new_worker()?;
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let make = || {
                prepare(&job.output)?;
                refuse_special(&job.output)?;
                let seconds = work(&mut worker, job)?;
                record::note(job, settings).map(|()| seconds)
            };
            let made = match panic::catch_unwind(AssertUnwindSafe(make)) {
                Ok(made) => made,
                // A fault of the program's, or of a library's that reads files. The other files are not to
                // blame, and get a worker that it has not touched.
                Err(_) => {
                    worker = new_worker()?;
                    Err(Failure::at(&job.input, "the program failed on it, which is a bug"))
                }
            };
            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
            match made {
                Ok(seconds) => {
                    report.add(&job.input, Some(&job.output), Fate::Made(seconds));
                    output::count_made();
                }
                Err(failure) => bar.suspend(|| report.fail(&job.input, Some(&job.output), &failure)),
            }
            drop(report);
            bar.inc(1);
        }
        Ok(())
    };
    let cores = || thread::available_parallelism().map_or(1, usize::from);
    let threads = args.jobs.map_or_else(cores, usize::from).min(jobs.len());
    thread::scope(|scope| -> Outcome {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run_jobs)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => panic::resume_unwind(panic),
        })
    })?;
    bar.finish_and_clear();
    report.into_inner().unwrap_or_else(PoisonError::into_inner).finish(quiet)
}

/// Those of `jobs` whose output is not there. What is there must have been made in the same way.
fn missing(
    jobs: Vec<Job>,
    settings: &Settings,
    told: impl Fn(&Job) -> Outcome<Settings>,
    report: &mut Report,
) -> Vec<Job> {
    let mut records = Records::default();
    let mut missing = Vec::new();
    for job in jobs {
        if !job.output.exists() {
            missing.push(job);
            continue;
        }
        let allowed =
            refuse_special(&job.output).and_then(|()| output::refuse_input(&job.input, &job.output));
        let difference = allowed.and_then(|()| match codes::fault(&job.output)? {
            None => records.difference(&job, settings, &told),
            fault => Ok(fault),
        });
        match difference {
            Ok(None) => report.add(&job.input, Some(&job.output), Fate::Present),
            Ok(Some(difference)) => report.differs(&job.input, &job.output, &difference),
            Err(failure) => report.fail(&job.input, Some(&job.output), &failure),
        }
    }
    report.end_of_differences();
    missing
}

fn folder_of(output: &Path) -> &Path {
    output.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Refuses what stands in the place of an output and is no file: a pipe would make the run wait for ever.
fn refuse_special(output: &Path) -> Outcome {
    match fs::metadata(output) {
        Ok(there) if there.is_dir() => Err(Failure::at(output, "Is a directory")),
        Ok(there) if !there.is_file() => Err(Failure::at(output, "not a file")),
        _ => Ok(()),
    }
}

/// Refuses a report that would take the place of an input, an output or a record.
fn check_report(report: &Path, jobs: &Jobs) -> Outcome {
    if standard::is_standard(report) {
        return Ok(());
    }
    let place = place(report);
    let inputs = jobs.list.iter().map(|job| &job.input).chain(jobs.troubles.iter().map(|(path, _)| path));
    let taken = |what: &str| Failure::usage(format!("--report {}: this is {what}", report.display()));
    if inputs.into_iter().any(|input| self::place(input) == place) {
        return Err(taken("an input"));
    }
    for job in &jobs.list {
        if self::place(&job.output) == place {
            return Err(taken("where an output goes"));
        }
        if self::place(&folder_of(&job.output).join(record::NAME)) == place {
            return Err(taken("where it is noted how files were made"));
        }
    }
    Ok(())
}

/// The same for all names of a file, there or not.
fn place(path: &Path) -> PathBuf {
    let not_there = || Some(fs::canonicalize(folder_of(path)).ok()?.join(path.file_name()?));
    fs::canonicalize(path).ok().or_else(not_there).unwrap_or_else(|| path.to_path_buf())
}

fn prepare(output: &Path) -> Outcome {
    let folder = folder_of(output);
    fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_job_is_done_once_and_failures_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: String| folder.path().join(name);
        let list: Vec<Job> =
            (0..50).map(|i| Job { input: at(i.to_string()), output: at(format!("{i}.d/out")) }).collect();
        list.iter().for_each(|job| fs::write(&job.input, "").unwrap());
        let args = BatchArgs { jobs: Some(4), overwrite: false, report: None };
        let jobs = || Jobs { list: list.clone(), ..Jobs::default() };
        let work = |(): &mut (), job: &Job| match job.input.file_name().and_then(|name| name.to_str()) {
            Some("13") => Err(Failure::new("13 is out of luck")),
            Some("14") => panic!("14 is hostile"),
            _ => fs::write(&job.output, "done").map(|()| 1.0).map_err(|e| Failure::io(&job.output, &e)),
        };
        let (settings, told) = (Settings::new(), |_: &Job| Ok(Settings::new()));
        let failure = run(jobs(), &args, true, &settings, told, || Ok(()), work).unwrap_err().to_string();
        assert_eq!(failure, "2 of 50 files failed");
        assert_eq!(list.iter().filter(|job| job.output.exists()).count(), 48);
        // all but those that failed are there
        let again = AtomicUsize::new(0);
        let count = |(): &mut (), _: &Job| {
            again.fetch_add(1, Ordering::Relaxed);
            Ok(0.0)
        };
        let _ = run(jobs(), &args, true, &settings, told, || Ok(()), count);
        assert_eq!(again.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_report_takes_nothings_place() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        for name in ["a.wav", "b.wav"] {
            fs::write(at(name), "mine").unwrap();
        }
        fs::create_dir(at("out")).unwrap();
        let job = Job { input: at("a.wav"), output: at("out/a.mtok") };
        let jobs = || Jobs {
            list: vec![job.clone()],
            troubles: vec![(at("b.wav"), Failure::new("of no use"))],
            ..Jobs::default()
        };
        let run = |report: &str| {
            let args = BatchArgs { jobs: None, overwrite: true, report: Some(at(report)) };
            let work = |(): &mut (), job: &Job| {
                fs::write(&job.output, "made").map(|()| 0.0).map_err(|error| Failure::io(&job.output, &error))
            };
            let told = |_: &Job| Ok(Settings::new());
            run(jobs(), &args, true, &Settings::new(), told, || Ok(()), work).unwrap_err().to_string()
        };
        for (report, found) in [
            ("a.wav", "this is an input"),
            ("out/../b.wav", "this is an input"),
            ("out/a.mtok", "where an output goes"),
            ("out/.mimi-made.jsonl", "how files were made"),
        ] {
            assert!(run(report).contains(found), "{report}: {}", run(report));
        }
        assert_eq!(["a.wav", "b.wav"].map(|name| fs::read_to_string(at(name)).unwrap()), ["mine", "mine"]);
        assert!(!at("out/a.mtok").exists());
        assert_eq!(run("out/report.jsonl"), "1 of 2 files failed");
        let report = fs::read_to_string(at("out/report.jsonl")).unwrap();
        assert!(report.contains("\"audio_seconds\":0.0"), "{report}");
    }

    #[cfg(unix)]
    #[test]
    fn what_is_no_file_in_the_place_of_an_output_is_told_of() {
        let folder = tempfile::tempdir().unwrap();
        let job = Job { input: folder.path().join("in"), output: folder.path().join("out") };
        fs::write(&job.input, "").unwrap();
        assert!(std::process::Command::new("mkfifo").arg(&job.output).status().unwrap().success());
        for overwrite in [false, true] {
            let args = BatchArgs { jobs: None, overwrite, report: None };
            let jobs = Jobs { list: vec![job.clone()], ..Jobs::default() };
            let made = AtomicUsize::new(0);
            let work = |(): &mut (), _: &Job| {
                made.fetch_add(1, Ordering::Relaxed);
                Ok(0.0)
            };
            let told = |_: &Job| panic!("nothing is to be read");
            let failure = run(jobs, &args, true, &Settings::new(), told, || Ok(()), work).unwrap_err();
            assert_eq!((failure.to_string().as_str(), made.into_inner()), ("1 of 1 files failed", 0));
        }
    }
}
