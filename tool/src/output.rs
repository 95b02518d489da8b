//! Files that appear complete or not at all.

use crate::failure::{Failure, Outcome};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};
use tempfile::TempPath;

/// What the names of temporary files begin and end with.
const AFFIXES: (&str, &str) = (".mimi-", ".part");

/// How old a temporary file must be for [`remove_abandoned`]: older than one can be between its
/// creation and its lock.
const GRACE: Duration = Duration::from_secs(10);

/// Temporary files that exist now, for [`remove_unfinished_on_interrupt`].
static UNFINISHED: Mutex<Vec<PathBuf>> = Mutex::new(Vec::new());

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
        // What a shell reports of a program that was interrupted.
        std::process::exit(130);
    });
}

/// Removes what runs that were killed have left in `folder`: temporary files that nobody holds.
pub(crate) fn remove_abandoned(folder: &Path) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if name.starts_with(AFFIXES.0) && name.ends_with(AFFIXES.1) && is_abandoned(&entry.path()) {
            // no harm if it stays
            let _ = fs::remove_file(entry.path());
        }
    }
}

fn is_abandoned(path: &Path) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let age = file.metadata().and_then(|data| data.modified()).ok().and_then(|time| time.elapsed().ok());
    age.is_some_and(|age| age > GRACE) && file.try_lock().is_ok()
}

/// The place of a file under construction. If it is dropped before [`Pending::commit`], nothing is
/// left and what stood at its path is untouched.
pub(crate) struct Pending {
    path: PathBuf,
    /// `None`: written in place.
    temporary: Option<TempPath>,
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
    let mut unfinished = unfinished();
    let (file, temporary) = temporary_in(folder).map_err(|error| Failure::io(&path, &error))?;
    unfinished.push(temporary.to_path_buf());
    Ok((file, Pending { path, temporary: Some(temporary) }))
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
        let Some(temporary) = self.temporary.take() else { return Ok(()) };
        let mut unfinished = unfinished();
        unfinished.retain(|path| **path != *temporary);
        // A path that could not be renamed is removed when it is dropped.
        temporary.persist(&self.path).map_err(|error| Failure::io(&self.path, &error.error))
    }
}

impl Drop for Pending {
    fn drop(&mut self) {
        if let Some(temporary) = &self.temporary {
            unfinished().retain(|path| **path != **temporary);
        }
    }
}

fn temporary_in(folder: &Path) -> io::Result<(File, TempPath)> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(AFFIXES.0).suffix(AFFIXES.1);
    #[cfg(unix)]
    {
        // What any new file gets; the umask takes its share.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o666));
    }
    let (file, path) = builder.tempfile_in(folder)?.into_parts();
    // For `remove_abandoned`; where there are no locks, what a killed run leaves stays.
    let _ = file.try_lock();
    Ok((file, path))
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
    fn what_nobody_holds_is_removed_when_it_is_old() {
        let folder = tempfile::tempdir().unwrap();
        let old = std::time::SystemTime::now() - 2 * GRACE;
        let (held, _pending) = create(&folder.path().join("out")).unwrap();
        held.set_modified(old).unwrap();
        for (name, time) in [(".mimi-a.part", old), (".mimi-b.part", old + 2 * GRACE), ("mimi-c.part", old)] {
            File::create(folder.path().join(name)).unwrap().set_modified(time).unwrap();
        }
        remove_abandoned(folder.path());
        assert!(!folder.path().join(".mimi-a.part").exists());
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 3);
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
        assert!(message.ends_with("out.wav: No such file or directory"), "{message}");
        assert!(create(folder.path()).is_err());
    }
}
