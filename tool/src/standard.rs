//! `-`: standard input and output, which must not be terminals.

use crate::{
    failure::{Failure, Outcome},
    output::{self, Pending},
};
use std::{
    fs::File,
    io::{self, BufWriter, IsTerminal, Read, Write},
    path::{Path, PathBuf},
};

/// Whether standard output was closed from the beginning. Rust's run-time opens /dev/null in its place,
/// where everything would be lost without an error.
#[cfg(unix)]
mod closed {
    use std::{
        io,
        os::fd::AsFd,
        sync::atomic::{AtomicBool, Ordering},
    };

    static IS_CLOSED: AtomicBool = AtomicBool::new(false);

    // Before `main` and the run-time, on the only thread. It asks the system and does nothing else.
    #[ctor::ctor(unsafe)]
    fn look() {
        IS_CLOSED.store(io::stdout().as_fd().try_clone_to_owned().is_err(), Ordering::Relaxed);
    }

    pub(super) fn output() -> bool {
        IS_CLOSED.load(Ordering::Relaxed)
    }
}

#[cfg(not(unix))]
mod closed {
    pub(super) fn output() -> bool {
        false
    }
}

/// Refuses to write where nothing arrives.
pub(crate) fn check_output() -> Outcome {
    match closed::output() {
        true => Err(Failure::new("standard output is closed")),
        false => Ok(()),
    }
}

/// Is it `-`?
pub(crate) fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// Is it a folder, there or to be made?
pub(crate) fn names_folder(path: &Path) -> bool {
    path.is_dir() || path.as_os_str().to_string_lossy().ends_with(std::path::is_separator)
}

/// What to call an input in messages.
pub(crate) fn input_name(path: &Path) -> PathBuf {
    if is_standard(path) { PathBuf::from("standard input") } else { path.to_path_buf() }
}

/// Nobody types audio or codes: the command would seem to hang.
pub(crate) fn refuse_terminal_input() -> Outcome {
    match io::stdin().is_terminal() {
        true => Err(Failure::new("standard input is a terminal; expected audio or codes from a pipe")),
        false => Ok(()),
    }
}

/// Opens a file or standard input.
pub(crate) fn open(path: &Path) -> Outcome<Box<dyn Read + Send>> {
    if is_standard(path) {
        refuse_terminal_input()?;
        return Ok(Box::new(io::stdin()));
    }
    let file = File::open(path).map_err(|error| Failure::io(path, &error))?;
    Ok(Box::new(file))
}

/// Where bytes go, and the place of the file that they become.
pub(crate) type Destination = (BufWriter<Box<dyn Write + Send>>, Pending);

/// Begins the file that is to stand at `path`, or standard output.
pub(crate) fn create(path: &Path) -> Outcome<Destination> {
    create_with(path, output::create)
}

/// The same with a file under its own name: what was written stays, whatever happens.
pub(crate) fn create_live(path: &Path) -> Outcome<Destination> {
    create_with(path, output::create_in_place)
}

fn create_with(path: &Path, create: fn(&Path) -> Outcome<(File, Pending)>) -> Outcome<Destination> {
    let (sink, pending): (Box<dyn Write + Send>, _) = if is_standard(path) {
        check_output()?;
        if io::stdout().is_terminal() {
            return Err(Failure::new("standard output is a terminal; this is not for reading: use a pipe"));
        }
        (Box::new(io::stdout()), Pending::standard_output())
    } else {
        let (file, pending) = create(path)?;
        (Box::new(file), pending)
    };
    Ok((BufWriter::new(sink), pending))
}

/// Writes the whole of a file and puts it in its place.
pub(crate) fn write((mut sink, pending): Destination, bytes: &[u8]) -> Outcome {
    let written = sink.write_all(bytes).and_then(|()| sink.flush());
    written.map_err(|error| Failure::io(pending.path(), &error))?;
    pending.commit()
}

/// Writes text to standard output.
pub(crate) fn print(text: &[u8]) -> Outcome {
    check_output()?;
    let mut out = io::stdout();
    out.write_all(text)
        .and_then(|()| out.flush())
        .map_err(|error| Failure::io(Path::new("standard output"), &error))
}
