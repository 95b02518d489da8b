//! The C ABI, from C: programs in `tests/c` against the static and the shared library, under
//! sanitizers and valgrind; what the shared library exports, and what it asks of the system.
//!
//! Needs gcc, clang, valgrind, strace and binutils, and says so where one is missing.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::{env, fs};

const WARNINGS: [&str; 4] = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"];

/// What a program that links the static library needs besides: `rustc --print native-static-libs`.
const SYSTEM_LIBRARIES: [&str; 4] = ["-lpthread", "-ldl", "-lm", "-lgcc_s"];

/// MIMI_ISA_ values.
const AUTO: &str = "0";
const BASELINE: &str = "1";

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap()
}

fn data() -> PathBuf {
    root().join("tests/data/golden")
}

fn demo() -> PathBuf {
    root().join("tool/demo/model.safetensors")
}

/// The library under test: what cargo built along with this test, in the test's own folder, or what lies in the folder
/// that `MIMI_LIBRARIES` names.
fn library(file: &str) -> PathBuf {
    let beside = || env::current_exe().unwrap().parent().unwrap().to_owned();
    let path = env::var_os("MIMI_LIBRARIES").map_or_else(beside, PathBuf::from).join(file);
    assert!(path.exists(), "{} was not built", path.display());
    path
}

/// A command, or a panic that names what to install.
fn tool(name: &str) -> Command {
    let package = match name {
        "nm" => "binutils",
        name => name,
    };
    let found = Command::new(name).arg("--version").output();
    assert!(found.is_ok(), "`{name}` is missing; install the Debian package {package}");
    Command::new(name)
}

fn run(command: &mut Command) -> Output {
    let output = command.output().unwrap_or_else(|e| panic!("{command:?}: {e}"));
    assert!(
        output.status.success(),
        "{command:?}: {}\n{}{}",
        output.status,
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

/// Runs a test program, which must succeed without a word.
fn run_silent(command: &mut Command) {
    let output = run(command);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert_eq!(said, "", "{command:?} is not silent");
}

/// How a program is built.
struct Build<'a> {
    compiler: &'a str,
    standard: &'a str,
    library: &'a str,
    flags: &'a [&'a str],
}

const STATIC: Build<'static> =
    Build { compiler: "gcc", standard: "c99", library: "libmimi.a", flags: &["-O1"] };

/// Compiles `tests/c/<name>.c` and returns the program.
fn compile(name: &str, build: &Build) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let label =
        format!("{name}-{}-{}-{}{}", build.compiler, build.standard, build.library, build.flags.concat());
    let program = folder.join(label.replace(['/', '=', ','], "_"));
    let mut command = tool(build.compiler);
    command
        .arg(format!("-std={}", build.standard))
        .args(WARNINGS)
        .args(["-g", "-D_POSIX_C_SOURCE=200809L", "-I"])
        .arg(root().join("include"))
        .args(build.flags)
        .arg(root().join("tests/c").join(name).with_extension("c"))
        .arg(library(build.library))
        .args(SYSTEM_LIBRARIES)
        .arg("-o")
        .arg(&program);
    run_silent(&mut command);
    program
}

#[test]
fn the_header_compiles_alone() {
    let languages = [("c", ["c99", "c11", "c17"]), ("c++", ["c++11", "c++17", "c++20"])];
    for compiler in ["gcc", "clang"] {
        for (language, standards) in languages {
            for standard in standards {
                let mut command = tool(compiler);
                command.args(["-fsyntax-only", "-x", language, &format!("-std={standard}")]).args(WARNINGS);
                // as a file of its own, because a header's includes go unchecked as a main file
                command.arg("-include").arg(root().join("include/mimi.h")).arg("/dev/null");
                run_silent(&mut command);
            }
        }
    }
}

#[test]
fn the_manuals_example_runs() {
    let program = compile("example", &STATIC);
    run_silent(Command::new(program).arg(demo()));
}

#[test]
fn golden_vectors_with_the_static_library() {
    for compiler in ["gcc", "clang"] {
        let program = compile("golden", &Build { compiler, ..STATIC });
        run_silent(Command::new(program).arg(data()).arg(demo()).arg(AUTO));
    }
}

#[test]
fn golden_vectors_with_the_shared_library() {
    let program = compile("golden", &Build { library: "libmimi.so", standard: "c11", ..STATIC });
    for isa in [AUTO, BASELINE] {
        run_silent(Command::new(&program).arg(data()).arg(demo()).arg(isa));
    }
}

/// With pointers of 32 bits, where sizes wrap, tests/packages/targets.sh runs it.
#[test]
fn hostile_checkpoints() {
    let folder = tempfile::tempdir().unwrap();
    run_silent(Command::new(compile("hostile", &STATIC)).arg(folder.path()));
}

#[test]
fn misuse() {
    for library in ["libmimi.a", "libmimi.so"] {
        let program = compile("misuse", &Build { library, ..STATIC });
        run_silent(Command::new(program).arg(data()).arg(demo()).arg(AUTO));
    }
}

#[test]
fn threads() {
    let program = compile("threads", &STATIC);
    run_silent(Command::new(program).arg(data()).arg(AUTO));
}

#[test]
fn live_audio() {
    for library in ["libmimi.a", "libmimi.so"] {
        let program = compile("live", &Build { library, ..STATIC });
        run_silent(Command::new(program).arg(data()).arg(AUTO));
    }
}

#[test]
fn many_streams_and_tokens() {
    for library in ["libmimi.a", "libmimi.so"] {
        let program = compile("many", &Build { library, ..STATIC });
        run_silent(Command::new(program).arg(data()).arg(AUTO));
    }
}

/// A host that traps every floating-point exception.
#[test]
fn nothing_traps() {
    for library in ["libmimi.a", "libmimi.so"] {
        let program = compile("traps", &Build { library, ..STATIC });
        run_silent(Command::new(program).arg(data()).arg(root().join("tests/fuzz/micro.safetensors")));
    }
}

#[test]
fn under_sanitizers() {
    let flags = ["-O1", "-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    for name in ["misuse", "golden", "threads", "many", "live"] {
        let program = compile(name, &Build { flags: &flags, ..STATIC });
        let mut command = Command::new(program);
        command.arg(data());
        if name == "misuse" || name == "golden" {
            command.arg(demo());
        }
        run_silent(command.arg(AUTO));
    }
}

/// Valgrind knows no AVX-512, which is why the kernels are capped.
#[test]
fn under_valgrind() {
    for (name, quick) in [("misuse", None), ("golden", Some("quick"))] {
        let program = compile(name, &STATIC);
        let mut command = tool("valgrind");
        command.args([
            "--quiet",
            "--error-exitcode=9",
            "--leak-check=full",
            "--show-leak-kinds=definite,indirect",
        ]);
        command.args(["--errors-for-leak-kinds=definite,indirect"]).arg(program);
        run_silent(command.arg(data()).arg(demo()).arg(BASELINE).args(quick));
    }
}

/// Streams of eight threads on one model: no two of them touch the same memory without order.
#[test]
fn no_data_races() {
    let program = compile("threads", &STATIC);
    let mut command = tool("valgrind");
    command.args(["--quiet", "--tool=helgrind", "--error-exitcode=9"]).arg(program);
    run_silent(command.arg(data()).arg(BASELINE).arg("quick"));
    // Four threads on a capture and a playback, which share atomics alone.
    let program = compile("live", &STATIC);
    let mut command = tool("valgrind");
    command.args(["--quiet", "--tool=helgrind", "--error-exitcode=9"]);
    command.arg(format!("--suppressions={}", root().join("tests/c/live.supp").display())).arg(program);
    run_silent(command.arg(data()).arg(BASELINE).arg("quick"));
    // and helgrind sees one where there is one
    let program = compile("race", &STATIC);
    let mut command = tool("valgrind");
    command.args(["--quiet", "--tool=helgrind", "--error-exitcode=9"]).arg(program);
    let output = command.output().unwrap();
    assert_eq!(output.status.code(), Some(9));
    assert!(String::from_utf8_lossy(&output.stderr).contains("Possible data race"), "{output:?}");
}

/// The program that has its own allocator and reads, which fail at will.
#[test]
fn every_allocation_and_read_may_fail() {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let (program, object) = (folder.join("faults"), folder.join("injector.o"));
    let source = |name: &str| root().join("tests/c").join(name);
    // apart, so that the compiler does not know what malloc does
    let mut command = tool("gcc");
    command.args(["-std=gnu11", "-O1", "-g", "-fno-builtin", "-c"]).args(WARNINGS).arg(source("injector.c"));
    run_silent(command.arg("-o").arg(&object));
    let mut command = tool("gcc");
    command
        .args(["-std=gnu11", "-O1", "-g", "-rdynamic"])
        .args(WARNINGS)
        .arg("-I")
        .arg(root().join("include"));
    command.arg(source("faults.c")).arg(&object).arg(library("libmimi.so")).arg("-lm");
    command.arg(format!("-Wl,-rpath,{}", library("libmimi.so").parent().unwrap().display()));
    run_silent(command.arg("-o").arg(&program));
    let micro = root().join("tests/fuzz/micro.safetensors");
    run_silent(Command::new(&program).arg(data()).arg(&micro));
    // the same from packed weights
    let packed = folder.join("micro-packed.safetensors");
    let checkpoint = mimi::Checkpoint::open(&micro).unwrap();
    let bytes = std::fs::read(&micro).unwrap();
    let (_, header) = safetensors::SafeTensors::read_metadata(&bytes).unwrap();
    let config = &header.metadata().as_ref().unwrap()["config"];
    let mut bytes = Vec::new();
    let written = mimi::probe::write_packed(&checkpoint, &mimi::LoadOptions::default(), config, |some| {
        bytes.extend_from_slice(some);
        Ok::<_, mimi::Error>(())
    });
    written.unwrap();
    std::fs::write(&packed, bytes).unwrap();
    run_silent(Command::new(&program).arg(data()).arg(&packed));
}

/// A minute of what `tests/c/soak.c` can do for hours: memory stays as it is.
#[test]
fn memory_is_flat() {
    let program = compile("soak", &STATIC);
    let output =
        run(Command::new(program).arg(data().join("tiny")).arg(data().join("speech.wav")).args(["60", "0"]));
    assert_eq!(String::from_utf8_lossy(&output.stdout).lines().count(), 10);
}

/// The program that opens the shared library and stands between it and libc.
fn interpose() -> PathBuf {
    let program = Path::new(env!("CARGO_TARGET_TMPDIR")).join("interpose");
    let object = program.with_extension("o");
    let source = |name: &str| root().join("tests/c").join(name);
    let include = root().join("include");
    // apart, because it defines functions of libc, and not as libc declares them
    let mut command = tool("gcc");
    command.args(["-std=gnu11", "-O1", "-fno-builtin", "-c"]).args(WARNINGS).arg(source("interposer.c"));
    run_silent(command.arg("-o").arg(&object));
    let mut command = tool("gcc");
    command.args(["-std=gnu11", "-O1", "-rdynamic", "-Wall", "-Wextra", "-Werror", "-I"]).arg(include);
    command.arg(source("interpose.c")).arg(&object).args(["-lpthread", "-ldl", "-lm"]);
    run_silent(command.arg("-o").arg(&program));
    program
}

#[test]
fn real_time_functions_ask_nothing_of_the_system() {
    let program = interpose();
    let library = library("libmimi.so");
    for isa in [AUTO, BASELINE] {
        run_silent(Command::new(&program).arg(&library).arg(data()).arg(isa));
    }
    // and the interposer sees what is forbidden
    run_silent(Command::new(&program).arg(&library).arg(data()).arg(AUTO).arg("self-check"));

    // a second witness: the kernel's view of the same stretch
    assert_eq!(system_calls(&program, &library, &[]), Vec::<String>::new());
    let forbidden = system_calls(&program, &library, &["self-check"]);
    assert!(forbidden.iter().any(|call| call.contains("getppid")), "{forbidden:?}");
    assert!(forbidden.iter().any(|call| call.contains("mmap")), "{forbidden:?}");
}

/// The system calls of the real-time thread between its marks.
fn system_calls(program: &Path, library: &Path, more: &[&str]) -> Vec<String> {
    let log = tempfile::NamedTempFile::new().unwrap();
    let mut command = tool("strace");
    command.args(["-f", "-o"]).arg(log.path()).arg(program).arg(library).arg(data()).arg(AUTO).args(more);
    run_silent(&mut command);
    let log = fs::read_to_string(log.path()).unwrap();
    let begin = log.lines().position(|line| line.contains("mark begin")).expect("the first mark");
    let thread = log.lines().nth(begin).unwrap().split(' ').next().unwrap();
    let of_thread = log.lines().skip(begin + 1).filter(|line| line.split(' ').next() == Some(thread));
    let calls: Vec<_> = of_thread.take_while(|line| !line.contains("mark end")).map(str::to_owned).collect();
    assert!(log.contains("mark end"));
    calls
}

#[test]
fn the_shared_library_exports_the_header_and_nothing_else() {
    let mut command = tool("nm");
    command.args(["-D", "--defined-only", "--format=just-symbols"]).arg(library("libmimi.so"));
    let output = run(&mut command);
    let exported: BTreeSet<String> =
        String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();

    let listed = fs::read_to_string(root().join("tests/abi/symbols.txt")).unwrap();
    let listed: BTreeSet<String> = listed.lines().map(str::to_owned).collect();
    assert_eq!(exported, listed, "exported (left) and tests/abi/symbols.txt (right)");

    // the compiler's own view of the header: what it declares, by name
    let mut command = tool("gcc");
    command.args(["-E", "-P", "-x", "c"]).arg(root().join("include/mimi.h"));
    let header = String::from_utf8(run(&mut command).stdout).unwrap();
    let before_parenthesis = header.split('(').map(|text| {
        text.rsplit(|c: char| !(c.is_alphanumeric() || c == '_')).next().unwrap_or_default().to_owned()
    });
    let declared: BTreeSet<String> = before_parenthesis.filter(|name| name.starts_with("mimi_")).collect();
    assert_eq!(declared, listed, "declared in mimi.h (left) and tests/abi/symbols.txt (right)");
}

/// Numbers of the ABI never change: those of the header, as a list, only grow.
#[test]
fn numbers_never_change() {
    let header = fs::read_to_string(root().join("include/mimi.h")).unwrap();
    let numbers = fs::read_to_string(root().join("tests/abi/numbers.txt")).unwrap();
    let in_header: BTreeSet<String> = header
        .lines()
        .filter_map(|line| line.strip_prefix("#define "))
        .filter(|line| line.starts_with("MIMI_") && !line.starts_with("MIMI_VERSION") && line.contains(' '))
        .filter(|line| !line.starts_with("MIMI_API") && !line.starts_with("MIMI_NODISCARD"))
        .map(|line| line.replace(['(', ')'], ""))
        .collect();
    let listed: BTreeSet<String> = numbers.lines().map(str::to_owned).collect();
    assert_eq!(in_header, listed, "mimi.h (left) and tests/abi/numbers.txt (right)");
}

/// What the header of 0.1.0 declares, today's declares alike: a compiler that sees both says so otherwise.
#[test]
fn declarations_never_change() {
    for language in ["c", "c++"] {
        let mut command = tool("gcc");
        command.args(["-fsyntax-only", "-x", language]).args(WARNINGS).arg(root().join("tests/abi/both.c"));
        run_silent(&mut command);
    }
}

#[test]
fn a_missing_tool_is_named() {
    let missing = std::panic::catch_unwind(|| tool("no-such-tool-anywhere")).unwrap_err();
    let message = missing.downcast_ref::<String>().unwrap();
    assert!(message.contains("Debian package no-such-tool-anywhere"), "{message}");
    assert_eq!(tool("nm").get_program(), OsStr::new("nm"));
}
