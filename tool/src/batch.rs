//! The same command on many files, on all cores.

use crate::{
    args::BatchArgs,
    failure::{Failure, Outcome},
    output::remove_abandoned,
    progress, standard,
};
use std::{
    collections::{BTreeSet, HashMap},
    fs,
    num::NonZeroUsize,
    path::{Path, PathBuf},
    sync::atomic::{AtomicUsize, Ordering},
    thread,
};
use walkdir::WalkDir;

/// One file to make out of another.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Job {
    pub(crate) input: PathBuf,
    pub(crate) output: PathBuf,
}

/// What inputs and an output, as typed, mean.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Plan {
    /// The one input to the output.
    One(Job),
    /// Files to a folder.
    Many(Vec<Job>),
}

/// Works out what to make of what. Of a folder, files with one of the extensions `taken` are taken;
/// what is made has the extension `made`.
pub(crate) fn plan(inputs: &[PathBuf], output: &Path, taken: &[&str], made: &str) -> Outcome<Plan> {
    if let [input] = inputs
        && !input.is_dir()
        && !standard::names_folder(output)
    {
        return Ok(Plan::One(Job { input: input.clone(), output: output.to_path_buf() }));
    }
    if inputs.iter().any(|input| standard::is_standard(input)) || standard::is_standard(output) {
        return Err(Failure::new("- is one file; it does not go with folders or several files"));
    }
    let mut jobs = Vec::new();
    for input in inputs {
        if input.is_dir() {
            jobs.extend(folder(input, output, taken, made)?);
        } else {
            let name = Path::new(input.file_name().ok_or_else(|| Failure::at(input, "not a file"))?);
            jobs.push(Job { input: input.clone(), output: output.join(name).with_extension(made) });
        }
    }
    check_distinct(&jobs)?;
    Ok(Plan::Many(jobs))
}

/// The files in `input` and below, in order of their names, to the same places below `output`.
fn folder(input: &Path, output: &Path, taken: &[&str], made: &str) -> Outcome<Vec<Job>> {
    let mut jobs = Vec::new();
    for entry in WalkDir::new(input).follow_links(true).sort_by_file_name() {
        let entry = entry.map_err(|error| Failure::new(error.to_string()))?;
        let path = entry.path();
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        let is_taken = extension.is_some_and(|extension| taken.contains(&extension.as_str()));
        if entry.file_type().is_file() && is_taken {
            let below = path.strip_prefix(input).unwrap_or(path);
            jobs.push(Job { input: path.to_path_buf(), output: output.join(below).with_extension(made) });
        }
    }
    match jobs.is_empty() {
        true => Err(Failure::at(input, format!("no files in it with the extensions {}", taken.join(", ")))),
        false => Ok(jobs),
    }
}

/// No two inputs may go to one output.
fn check_distinct(jobs: &[Job]) -> Outcome {
    let mut inputs = HashMap::new();
    for job in jobs {
        if let Some(other) = inputs.insert(&job.output, &job.input) {
            let (other, input) = (other.display(), job.input.display());
            return Err(Failure::at(&job.output, format!("both {other} and {input} would go there")));
        }
    }
    Ok(())
}

/// Does `work` for each of `jobs`, on several threads, each with its own `worker`. Outputs that are
/// there already are left alone. A job that fails is told of, and the others go on.
pub(crate) fn run<W>(
    mut jobs: Vec<Job>,
    args: &BatchArgs,
    quiet: bool,
    worker: impl Fn() -> Outcome<W> + Sync,
    work: impl Fn(&mut W, &Job) -> Outcome + Sync,
) -> Outcome {
    let all = jobs.len();
    if !args.overwrite {
        jobs.retain(|job| !job.output.exists());
    }
    let present = all - jobs.len();
    let folders: BTreeSet<_> = jobs.iter().map(|job| folder_of(&job.output)).collect();
    folders.into_iter().for_each(remove_abandoned);
    let bar = progress::files(jobs.len(), quiet);
    let (next, failed) = (AtomicUsize::new(0), AtomicUsize::new(0));
    let run_jobs = || -> Outcome {
        let mut worker = worker()?;
        while let Some(job) = jobs.get(next.fetch_add(1, Ordering::Relaxed)) {
            let made = prepare(&job.output).and_then(|()| work(&mut worker, job));
            if let Err(failure) = made {
                failed.fetch_add(1, Ordering::Relaxed);
                bar.suspend(|| eprintln!("mimi: {failure}"));
            }
            bar.inc(1);
        }
        Ok(())
    };
    let cores = || thread::available_parallelism().unwrap_or(NonZeroUsize::MIN);
    let threads = args.jobs.unwrap_or_else(cores).get().min(jobs.len());
    thread::scope(|scope| -> Outcome {
        let threads: Vec<_> = (0..threads).map(|_| scope.spawn(run_jobs)).collect();
        threads.into_iter().try_for_each(|thread| match thread.join() {
            Ok(outcome) => outcome,
            Err(panic) => std::panic::resume_unwind(panic),
        })
    })?;
    bar.finish_and_clear();
    report(jobs.len(), present, failed.into_inner(), quiet)
}

fn folder_of(output: &Path) -> &Path {
    output.parent().unwrap_or(Path::new("."))
}

fn prepare(output: &Path) -> Outcome {
    let folder = folder_of(output);
    fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))
}

fn report(jobs: usize, present: usize, failed: usize, quiet: bool) -> Outcome {
    let made = jobs - failed;
    if !quiet {
        match present {
            0 => eprintln!("mimi: files made: {made}"),
            _ => eprintln!("mimi: files made: {made}, already there: {present}"),
        }
    }
    match failed {
        0 => Ok(()),
        _ => Err(Failure::new(format!("{failed} of {jobs} files failed"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(input: &Path, output: &Path) -> Job {
        Job { input: input.to_path_buf(), output: output.to_path_buf() }
    }

    #[test]
    fn one_file_goes_to_a_file_or_into_a_folder_that_is_there_or_named_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let input = PathBuf::from("a/b.wav");
        let inputs = std::slice::from_ref(&input);
        let plan = |output: &Path| plan(inputs, output, &["wav"], "mtok").unwrap();
        assert_eq!(plan(Path::new("x.npy")), Plan::One(job(&input, Path::new("x.npy"))));
        let inside = Plan::Many(vec![job(&input, &folder.path().join("b.mtok"))]);
        assert_eq!(plan(folder.path()), inside);
        assert_eq!(plan(Path::new("new/")), Plan::Many(vec![job(&input, Path::new("new/b.mtok"))]));
    }

    #[test]
    fn folders_keep_their_shape_and_leave_out_what_is_not_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::create_dir_all(at("in/sub")).unwrap();
        for name in ["in/b.WAV", "in/a.flac", "in/sub/c.wav", "in/notes.txt", "in/wav", "d.wav"] {
            fs::write(at(name), "").unwrap();
        }
        let jobs = [("in/a.flac", "a"), ("in/b.WAV", "b"), ("in/sub/c.wav", "sub/c"), ("d.wav", "d")]
            .map(|(input, output)| job(&at(input), &at("out").join(output).with_extension("npy")));
        let plan = plan(&[at("in"), at("d.wav")], &at("out"), &["wav", "flac"], "npy").unwrap();
        assert_eq!(plan, Plan::Many(jobs.to_vec()));
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let (empty, out) = (folder.path().to_path_buf(), Path::new("out"));
        let plan = |inputs: &[&str], output: &Path| {
            plan(&inputs.iter().map(PathBuf::from).collect::<Vec<_>>(), output, &["wav"], "mtok")
        };
        assert!(plan(&["-", "a.wav"], out).is_err());
        assert!(plan(&["a.wav", "b.wav"], Path::new("-")).is_err());
        assert!(plan(&["-"], &empty).is_err());
        assert!(plan(&["x/a.wav", "y/a.wav"], out).unwrap_err().to_string().contains("both"));
        assert!(plan(&["a.wav", "a.flac"], out).is_err());
        assert!(plan(&[empty.to_str().unwrap()], out).is_err());
    }

    #[test]
    fn every_job_is_done_once_and_failures_are_counted() {
        let folder = tempfile::tempdir().unwrap();
        let jobs: Vec<Job> = (0..50)
            .map(|i| job(&PathBuf::from(i.to_string()), &folder.path().join(format!("{i}/out"))))
            .collect();
        let args = BatchArgs { jobs: NonZeroUsize::new(4), overwrite: false };
        let work = |(): &mut (), job: &Job| match job.input.to_str() {
            Some("13") => Err(Failure::new("13 is out of luck")),
            _ => fs::write(&job.output, "done").map_err(|error| Failure::io(&job.output, &error)),
        };
        let failure = run(jobs.clone(), &args, true, || Ok(()), work).unwrap_err().to_string();
        assert_eq!(failure, "1 of 50 files failed");
        assert_eq!(jobs.iter().filter(|job| job.output.exists()).count(), 49);
        // all but the one that failed are there
        let again = AtomicUsize::new(0);
        run(
            jobs,
            &args,
            true,
            || Ok(()),
            |(), _| {
                again.fetch_add(1, Ordering::Relaxed);
                Ok(())
            },
        )
        .unwrap();
        assert_eq!(again.into_inner(), 1);
    }
}
