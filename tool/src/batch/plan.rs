//! What inputs and an output, as typed, mean.

use super::{Job, Jobs, Plan};
use crate::{
    failure::{Failure, Outcome},
    output, standard,
};
use std::{
    collections::{BTreeMap, HashSet},
    ffi::OsStr,
    fs,
    path::{Component, Path, PathBuf},
};
use walkdir::WalkDir;

/// Works out what to make of what. Of a folder, files with one of the extensions `taken` are taken;
/// what is made of a file has the extension that `made` says.
pub(crate) fn plan(
    inputs: &[PathBuf],
    output: &Path,
    taken: &[&str],
    made: &dyn Fn(&Path) -> &'static str,
) -> Outcome<Plan> {
    if let [input] = inputs
        && !input.is_dir()
        && !standard::names_folder(output)
    {
        return Ok(Plan::One(Job { input: input.clone(), output: output.to_path_buf() }));
    }
    if inputs.iter().any(|input| standard::is_standard(input)) || standard::is_standard(output) {
        return Err(Failure::usage("- is one file; it does not go with folders or several files"));
    }
    if output.exists() && !output.is_dir() {
        return Err(Failure::at(output, "not a folder; several files, or those of a folder, go to a folder"));
    }
    if let Some(extension) = output.extension().filter(|_| !standard::names_folder(output))
        && let Some(format) = ["mtok", "npy", "safetensors", "wav", "flac", "ogg", "raw"]
            .iter()
            .find(|&&format| extension == OsStr::new(format))
    {
        let output = output.display();
        return Err(Failure::usage(format!(
            "{output}: named as a .{format} file, but what is made goes to a folder; for one of that name, {output}/"
        )));
    }
    let mut jobs = Jobs::default();
    let folders: Vec<_> = distinct(inputs.iter().filter(|input| input.is_dir()));
    let apart = tell_apart(&folders);
    for input in distinct(inputs.iter()) {
        if let Some(index) = folders.iter().position(|&folder| folder == input) {
            let found = jobs.list.len() + jobs.troubles.len();
            let mut job_of = |path: &Path| {
                let below = path.strip_prefix(input).unwrap_or(path);
                let output = output.join(&apart[index]).join(below).with_extension(made(path));
                Job { input: path.to_path_buf(), output }
            };
            walk(input, output, taken, &mut jobs, &mut job_of);
            if jobs.list.len() + jobs.troubles.len() == found {
                let nothing = format!("no files in it with the extensions {}", taken.join(", "));
                jobs.troubles.push((input.clone(), Failure::at(input, nothing)));
            }
        } else if let Some(name) = input.file_name() {
            let output = output.join(name).with_extension(made(input));
            jobs.list.push(Job { input: input.clone(), output });
        } else {
            jobs.troubles.push((input.clone(), Failure::at(input, "not a file")));
        }
    }
    set_collisions_aside(&mut jobs, folds_case);
    Ok(Plan::Many(jobs))
}

/// The files in `folder` and below, in order of their names, that have one of the extensions `taken`.
pub(crate) fn files(folder: &Path, taken: &[&str]) -> Jobs {
    let mut jobs = Jobs::default();
    let mut job_of = |path: &Path| Job { input: path.to_path_buf(), output: PathBuf::new() };
    walk(folder, Path::new(""), taken, &mut jobs, &mut job_of);
    jobs
}

/// Each once, however its folder is written. Links to files stand for themselves: what is made has their names.
fn distinct<'p>(paths: impl Iterator<Item = &'p PathBuf>) -> Vec<&'p PathBuf> {
    let mut seen = HashSet::new();
    let place = |path: &PathBuf| match path.file_name().filter(|_| !path.is_dir()) {
        Some(name) => Some(fs::canonicalize(super::folder_of(path)).ok()?.join(name)),
        None => fs::canonicalize(path).ok(),
    };
    paths.filter(|path| seen.insert(place(path).unwrap_or((*path).clone()))).collect()
}

/// Where the files of each of `folders` go below the output: nowhere else if there is one folder; else
/// each keeps its name, with as many of the folders above it as tell all of them apart.
fn tell_apart(folders: &[&PathBuf]) -> Vec<PathBuf> {
    let names: Vec<Vec<_>> = folders
        .iter()
        .map(|folder| {
            let whole = fs::canonicalize(folder).unwrap_or((*folder).clone());
            let is_name = |part: &Component| matches!(part, Component::Normal(_));
            whole.components().filter(is_name).map(|part| part.as_os_str().to_owned()).collect()
        })
        .collect();
    let ends = |count: usize| -> Vec<PathBuf> {
        names.iter().map(|names| names[names.len().saturating_sub(count)..].iter().collect()).collect()
    };
    if folders.len() < 2 {
        return ends(0);
    }
    let longest = names.iter().map(Vec::len).max().unwrap_or(0);
    let are_apart = |ends: &Vec<PathBuf>| ends.iter().collect::<HashSet<_>>().len() == ends.len();
    (1..longest).map(ends).find(are_apart).unwrap_or_else(|| ends(longest))
}

/// Adds to `jobs` what is in `input` and below: files to work on, files to skip, and what cannot be
/// looked into.
fn walk(input: &Path, output: &Path, taken: &[&str], jobs: &mut Jobs, job_of: &mut dyn FnMut(&Path) -> Job) {
    // What a run before this one has made within its input is no input.
    let own =
        fs::canonicalize(output).ok().filter(|own| fs::canonicalize(input).is_ok_and(|root| root != *own));
    let is_taken = |path: &Path| {
        let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
        extension.is_some_and(|extension| taken.contains(&extension.as_str()))
    };
    let mut folder = input.to_path_buf();
    let mut entries = WalkDir::new(input).follow_links(true).sort_by_file_name().into_iter();
    while let Some(entry) = entries.next() {
        let (path, problem) = match &entry {
            Ok(entry) if entry.file_type().is_dir() => {
                folder = entry.path().to_path_buf();
                if own.is_some() && fs::canonicalize(entry.path()).ok() == own {
                    entries.skip_current_dir();
                }
                continue;
            }
            Ok(entry) if !is_taken(entry.path()) => {
                if !entry.file_name().to_string_lossy().starts_with(output::PREFIX) {
                    jobs.skipped.push(entry.path().to_path_buf());
                }
                continue;
            }
            Ok(entry) if entry.file_type().is_file() => {
                jobs.list.push(job_of(entry.path()));
                continue;
            }
            Ok(entry) => (entry.path(), Failure::new("neither a file nor a folder")),
            // Of a folder that may not be read, only that it was the last is known.
            Err(error) => (error.path().unwrap_or(&folder), problem(error)),
        };
        if path.is_symlink() && path.extension().is_some() && !is_taken(path) {
            jobs.skipped.push(path.to_path_buf());
        } else {
            jobs.troubles.push((path.to_path_buf(), problem.of(path)));
        }
    }
}

fn problem(error: &walkdir::Error) -> Failure {
    match (error.loop_ancestor(), error.io_error()) {
        (Some(ancestor), _) => Failure::new(format!("a link in a circle, back to {}", ancestor.display())),
        (None, Some(error)) if error.kind() == std::io::ErrorKind::NotFound => {
            Failure::new("a link that leads nowhere")
        }
        (None, Some(error)) => Failure::system(error),
        (None, None) => Failure::new("it cannot be read"),
    }
}

/// Where several inputs would go to one output, none of them is worked on. `folds_case` tells whether a
/// folder takes `A` and `a` for one name.
fn set_collisions_aside(jobs: &mut Jobs, folds_case: impl Fn(&Path) -> bool) {
    let mut places: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (index, job) in jobs.list.iter().enumerate() {
        places.entry(job.output.to_string_lossy().to_lowercase()).or_default().push(index);
    }
    let mut colliding = BTreeMap::new();
    for together in places.into_values().filter(|together| together.len() > 1) {
        let outputs = || together.iter().map(|&index| &jobs.list[index].output);
        let one_name = outputs().all(|output| *output == jobs.list[together[0]].output);
        let folds = one_name || folds_case(jobs.list[together[0]].output.parent().unwrap_or(Path::new(".")));
        for &index in &together {
            let output = &jobs.list[index].output;
            let is_same = |&&other: &&usize| other != index && (folds || jobs.list[other].output == *output);
            if let Some(&other) = together.iter().find(is_same) {
                colliding.insert(index, jobs.list[other].input.clone());
            }
        }
    }
    let list = std::mem::take(&mut jobs.list);
    for (index, job) in list.into_iter().enumerate() {
        match colliding.get(&index) {
            None => jobs.list.push(job),
            Some(other) => {
                let (output, other) = (job.output.display(), other.display());
                let way_out = "rename one of them, or move it to another folder";
                let found = format!("it would go to {output}, and so would {other}; {way_out}");
                let failure = Failure::at(&job.input, found);
                jobs.troubles.push((job.input, failure));
            }
        }
    }
}

/// Does the nearest folder that is there, at `folder` or above, take `A` and `a` for one name?
fn folds_case(folder: &Path) -> bool {
    let there = folder.ancestors().find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    let probe = tempfile::Builder::new().prefix(".mimi-case-").suffix(".part").tempfile_in(there);
    let Ok(probe) = probe else { return cfg!(any(windows, target_os = "macos")) };
    let upper = probe.path().file_name().map(|name| name.to_string_lossy().to_uppercase());
    upper.is_some_and(|upper| there.join(upper).exists())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(input: &Path, output: &Path) -> Job {
        Job { input: input.to_path_buf(), output: output.to_path_buf() }
    }

    fn planned(inputs: &[PathBuf], output: &Path) -> Outcome<Plan> {
        plan(inputs, output, &["wav", "flac"], &|_| "mtok")
    }

    fn many(inputs: &[PathBuf], output: &Path) -> Jobs {
        match planned(inputs, output).unwrap() {
            Plan::Many(jobs) => jobs,
            Plan::One(job) => panic!("{job:?}"),
        }
    }

    /// Makes empty files below a folder.
    fn made(names: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn one_file_goes_to_a_file_or_into_a_folder_that_is_there_or_named_as_one() {
        let folder = tempfile::tempdir().unwrap();
        let input = PathBuf::from("a/b.wav");
        let inputs = std::slice::from_ref(&input);
        match planned(inputs, Path::new("x.npy")).unwrap() {
            Plan::One(one) => assert_eq!(one, job(&input, Path::new("x.npy"))),
            Plan::Many(_) => panic!("many"),
        }
        assert_eq!(many(inputs, folder.path()).list, [job(&input, &folder.path().join("b.mtok"))]);
        assert_eq!(many(inputs, Path::new("new/")).list, [job(&input, Path::new("new/b.mtok"))]);
    }

    #[test]
    fn folders_keep_their_shape_and_tell_what_they_leave_out() {
        let folder = made(&["in/sub/c.wav", "in/b.WAV", "in/a.flac", "in/notes.txt", "in/wav", "d.wav"]);
        let at = |name: &str| folder.path().join(name);
        let jobs = many(&[at("in"), at("d.wav")], &at("out"));
        let expected = [("in/a.flac", "a"), ("in/b.WAV", "b"), ("in/sub/c.wav", "sub/c"), ("d.wav", "d")]
            .map(|(input, output)| job(&at(input), &at("out").join(output).with_extension("mtok")));
        assert_eq!(jobs.list, expected);
        assert_eq!(jobs.skipped, [at("in/notes.txt"), at("in/wav")]);
        assert!(jobs.troubles.is_empty());
    }

    #[test]
    fn several_folders_keep_as_much_of_their_names_as_tells_them_apart() {
        let folder = made(&["x/wav/a.wav", "y/wav/a.wav", "z/a.wav"]);
        let at = |name: &str| folder.path().join(name);
        let outputs = |inputs: &[&str]| -> Vec<PathBuf> {
            let inputs: Vec<_> = inputs.iter().map(|name| at(name)).collect();
            let jobs = many(&inputs, Path::new("out"));
            assert!(jobs.troubles.is_empty());
            jobs.list.into_iter().map(|job| job.output).collect()
        };
        assert_eq!(outputs(&["x"]), [PathBuf::from("out/wav/a.mtok")]);
        assert_eq!(outputs(&["x", "z"]), ["out/x/wav/a.mtok", "out/z/a.mtok"].map(PathBuf::from));
        assert_eq!(outputs(&["x/wav", "y/wav"]), ["out/x/wav/a.mtok", "out/y/wav/a.mtok"].map(PathBuf::from));
        // typed twice
        assert_eq!(outputs(&["z", "z/"]), [PathBuf::from("out/a.mtok")]);
    }

    #[cfg(unix)]
    #[test]
    fn links_to_one_file_are_several_files() {
        let folder = made(&["a.wav"]);
        let at = |name: &str| folder.path().join(name);
        std::os::unix::fs::symlink(at("a.wav"), at("b.wav")).unwrap();
        let typed = [at("a.wav"), at("b.wav"), folder.path().join(".").join("a.wav")];
        assert_eq!(many(&typed, Path::new("out")).list.len(), 2);
    }

    #[test]
    fn all_collisions_are_named_and_the_others_are_worked_on() {
        let folder = made(&["a.wav", "a.flac", "b.wav", "b.flac", "c.wav"]);
        let jobs = many(&[folder.path().to_path_buf()], Path::new("out"));
        assert_eq!(jobs.list.len(), 1);
        let troubles: Vec<_> = jobs.troubles.iter().map(|(_, failure)| failure.to_string()).collect();
        assert_eq!(troubles.len(), 4);
        assert!(troubles[0].contains("a.flac: it would go to out/a.mtok, and so would "), "{troubles:?}");
        let apart = many(&["x/a.wav", "y/a.wav"].map(PathBuf::from), Path::new("out"));
        assert_eq!((apart.list.len(), apart.troubles.len()), (0, 2));
    }

    #[test]
    fn names_that_differ_in_case_alone_collide_where_the_file_system_says_so() {
        for folds in [true, false] {
            let list =
                ["out/A.mtok", "out/a.mtok", "out/b.mtok"].map(|name| job(Path::new(name), Path::new(name)));
            let mut jobs = Jobs { list: list.to_vec(), ..Jobs::default() };
            set_collisions_aside(&mut jobs, |_| folds);
            assert_eq!((jobs.list.len(), jobs.troubles.len()), if folds { (1, 2) } else { (3, 0) });
        }
        #[cfg(target_os = "linux")]
        assert!(!folds_case(tempfile::tempdir().unwrap().path()));
    }

    #[test]
    fn what_was_made_within_the_input_is_no_input() {
        let folder = made(&["in/a.wav", "in/out/b.wav"]);
        let at = |name: &str| folder.path().join(name);
        assert_eq!(many(&[at("in")], &at("in/out")).list.len(), 1);
        assert_eq!(many(&[at("in")], &at("in")).list.len(), 2);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        let folder = made(&["a.wav"]);
        let here = folder.path().to_path_buf();
        let plan = |inputs: &[&str], output: &Path| {
            planned(&inputs.iter().map(PathBuf::from).collect::<Vec<_>>(), output)
        };
        assert!(plan(&["-", "a.wav"], Path::new("out")).is_err());
        assert!(plan(&["a.wav", "b.wav"], Path::new("-")).is_err());
        assert!(plan(&["-"], &here).is_err());
        assert!(plan(&["a.wav", "b.wav"], &here.join("a.wav")).is_err());
        assert!(plan(&["a.wav", "b.wav"], Path::new("x.npy")).unwrap_err().to_string().contains("x.npy/"));
        let empty = tempfile::tempdir().unwrap();
        let jobs = many(&[empty.path().to_path_buf()], Path::new("out"));
        assert!(jobs.troubles[0].1.to_string().contains("no files in it with the extensions wav, flac"));
    }
}
