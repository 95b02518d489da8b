//! Files that appear complete or not at all.

use crate::failure::{Failure, Outcome, tell};
use std::{
    collections::BTreeSet,
    fs::{self, File, OpenOptions},
    io,
    path::{Path, PathBuf},
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};
use tempfile::TempPath;

/// What the names of all files begin with that are the tool's own business.
pub(crate) const PREFIX: &str = ".mimi-";

/// What the names of temporary files end with.
const SUFFIX: &str = ".part";

/// Temporary files that exist now, for [`remove_unfinished_on_interrupt`].
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

/// Files that a run over many has made so far, for whoever interrupts it.
static MADE: AtomicUsize = AtomicUsize::new(0);

/// One file more of many is made.
pub(crate) fn count_made() {
    MADE.fetch_add(1, Ordering::Relaxed);
}

fn unfinished() -> MutexGuard<'static, Vec<PathBuf>> {
    UNFINISHED.lock().unwrap_or_else(PoisonError::into_inner)
}

/// From now on a run that is interrupted (SIGINT, SIGTERM, SIGHUP) removes its unfinished files.
pub(crate) fn remove_unfinished_on_interrupt() {
    // It fails only if there is a handler already; then the files stay, under their own names.
    let _ = ctrlc::set_handler(|| {
        // Held to the end: nothing begins any more.
        let unfinished = unfinished();
        for path in unfinished.iter() {
            let _ = fs::remove_file(path);
        }
        match MADE.load(Ordering::Relaxed) {
            0 => {}
            made => tell(format_args!("interrupted; files made: {made}; the same line makes the others")),
        }
        // What a shell reports of a program that was interrupted.
        std::process::exit(130);
    });
}

/// Removes what runs that were killed have left in `folder`: temporary files that nobody holds. Looks
/// once into each folder.
fn remove_abandoned(folder: &Path) {
    static SEEN: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());
    if !SEEN.lock().unwrap_or_else(PoisonError::into_inner).insert(folder.to_path_buf()) {
        return;
    }
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            remove_if_abandoned(&entry.path());
        }
    }
}

/// Whoever writes a file holds its lock, and looks after locking whether the file is still there.
fn remove_if_abandoned(path: &Path) {
    // for writing, because some file systems lock nothing else
    let Ok(file) = open_plain(OpenOptions::new().read(true).write(true), path) else { return };
    if file.try_lock().is_ok() {
        // no harm if it stays
        let _ = fs::remove_file(path);
    }
}

/// Opens a file, and nothing else: it does not wait for the other end of a pipe, nor follow a link.
pub(crate) fn open_plain(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt;
        options.custom_flags(libc::O_NONBLOCK | libc::O_NOFOLLOW);
    }
    let file = options.open(path)?;
    match file.metadata()?.is_file() && !fs::symlink_metadata(path)?.is_symlink() {
        true => Ok(file),
        false => Err(io::Error::other("not a file")),
    }
}

/// Refuses to replace `input` by `output`, if they are the same file.
pub(crate) fn refuse_input(input: &Path, output: &Path) -> Outcome {
    match (fs::canonicalize(input), fs::canonicalize(output)) {
        (Ok(input), Ok(same)) if input == same && input.is_file() => {
            Err(Failure::at(output, "this is the input; --overwrite to replace it"))
        }
        _ => Ok(()),
    }
}

/// The place of a file under construction. If it is dropped before [`Pending::commit`], nothing is
/// left and what stood at its path is untouched.
pub(crate) struct Pending {
    path: PathBuf,
    /// The file under its other name, and its lock; `None`: written in place.
    temporary: Option<(TempPath, File)>,
}

/// Begins the file that is to stand at `path`, under another name in the same folder.
pub(crate) fn create(path: &Path) -> Outcome<(File, Pending)> {
    let fail = |error| Failure::io(path, &error);
    let path = match fs::metadata(path) {
        Ok(there) if there.is_dir() => return Err(Failure::at(path, "Is a directory")),
        // A device such as /dev/null must not be replaced by a file.
        Ok(there) if !there.is_file() => {
            let file = fs::OpenOptions::new().write(true).open(path).map_err(fail)?;
            return Ok((file, Pending { path: path.to_path_buf(), temporary: None }));
        }
        // Through symbolic links: the file that is meant is replaced, not the link to it.
        Ok(_) => fs::canonicalize(path).map_err(fail)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => path.to_path_buf(),
        Err(error) => return Err(fail(error)),
    };
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    if !folder.exists() {
        return Err(Failure::at(&path, format!("the folder {} does not exist", folder.display())));
    }
    remove_abandoned(folder);
    let mut unfinished = unfinished();
    let (file, temporary) = temporary_in(folder).map_err(|error| Failure::io(&path, &error))?;
    // Whoever writes the file may close it before it has its name: until then it must not seem abandoned.
    let held = file.try_clone().map_err(|error| Failure::io(&path, &error))?;
    unfinished.push(temporary.to_path_buf());
    Ok((file, Pending { path, temporary: Some((temporary, held)) }))
}

/// Begins the file at `path` under its own name: what was written stays, whatever happens.
pub(crate) fn create_in_place(path: &Path) -> Outcome<(File, Pending)> {
    let file = File::create(path).map_err(|error| Failure::io(path, &error))?;
    Ok((file, Pending { path: path.to_path_buf(), temporary: None }))
}

impl Pending {
    /// The place of what goes to standard output.
    pub(crate) fn standard_output() -> Self {
        Self { path: PathBuf::from("standard output"), temporary: None }
    }

    /// Where the file is going to stand.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Puts the file, which is complete, in its place.
    pub(crate) fn commit(mut self) -> Outcome {
        let Some((temporary, _held)) = self.temporary.take() else { return Ok(()) };
        let mut unfinished = unfinished();
        unfinished.retain(|path| **path != *temporary);
        // A path that could not be renamed is removed when it is dropped.
        temporary.persist(&self.path).map_err(|error| Failure::io(&self.path, &error.error))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some((temporary, _)) = &self.temporary {
            unfinished().retain(|path| **path != **temporary);
        }
    }
}

fn temporary_in(folder: &Path) -> io::Result<(File, TempPath)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(PREFIX).suffix(SUFFIX);
    #[cfg(unix)]
    {
        // What any new file gets; the umask takes its share.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    loop {
        let (file, path) = builder.tempfile_in(folder)?.into_parts();
        // For `remove_abandoned`; where there are no locks, what a killed run leaves stays.
        let _ = file.lock();
        // Another run may have taken it for abandoned before it was locked.
        if path.exists() {
            return Ok((file, path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write;

    #[test]
    fn a_file_that_is_not_committed_leaves_everything_as_it_was() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("out");
        fs::write(&path, "before").unwrap();
        let (mut file, pending) = create(&path).unwrap();
        file.write_all(b"half").unwrap();
        drop(pending);
        assert_eq!(fs::read_to_string(&path).unwrap(), "before");
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_nobody_holds_is_removed_by_the_next_that_writes_there() {
        let folder = tempfile::tempdir().unwrap();
        for name in [".mimi-a.part", "mimi-c.part"] {
            fs::write(folder.path().join(name), "half").unwrap();
        }
        let (file, pending) = create(&folder.path().join("out")).unwrap();
        assert!(!folder.path().join(".mimi-a.part").exists());
        let held = pending.temporary.as_ref().unwrap().0.to_path_buf();
        remove_if_abandoned(&held);
        assert!(held.exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 2);
        // also between the last byte and the new name
        drop(file);
        remove_if_abandoned(&held);
        pending.commit().unwrap();
        assert!(folder.path().join("out").exists());
    }

    #[cfg(unix)]
    #[test]
    fn pipes_and_links_of_the_same_name_are_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        assert!(std::process::Command::new("mkfifo").arg(at(".mimi-a.part")).status().unwrap().success());
        fs::write(at("target"), "mine").unwrap();
        std::os::unix::fs::symlink(at("target"), at(".mimi-b.part")).unwrap();
        // A pipe that is opened waits for its other end.
        let (_held, _pending) = create(&at("out")).unwrap();
        assert!(at(".mimi-a.part").exists() && at(".mimi-b.part").is_symlink() && at("target").exists());
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_devices_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let (link, target) = (folder.path().join("link"), folder.path().join("target"));
        fs::write(&target, "before").unwrap();
        std::os::unix::fs::symlink(&target, &link).unwrap();
        let (mut file, pending) = create(&link).unwrap();
        file.write_all(b"after").unwrap();
        pending.commit().unwrap();
        assert!(fs::symlink_metadata(&link).unwrap().is_symlink());
        assert_eq!(fs::read_to_string(&target).unwrap(), "after");

        let null = Path::new("/dev/null");
        let (mut file, pending) = create(null).unwrap();
        file.write_all(b"gone").unwrap();
        pending.commit().unwrap();
        assert!(!fs::metadata(null).unwrap().is_file());
    }

    #[cfg(unix)]
    #[test]
    fn errors_name_the_file_that_the_user_named() {
        let folder = tempfile::tempdir().unwrap();
        let inside_nothing = folder.path().join("nothing").join("out.wav");
        let message = create(&inside_nothing).err().unwrap().to_string();
        assert!(
            message.contains("out.wav: the folder ") && message.ends_with("nothing does not exist"),
            "{message}"
        );
        assert!(create(folder.path()).is_err());
    }
}
