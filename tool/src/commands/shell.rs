//! `mimi completions` and `mimi man`: what a shell and `man` are told about the command line.

use super::manual;
use crate::{
    args::Args,
    failure::{Failure, Outcome},
    standard,
};
use clap::{Command, CommandFactory};
use clap_complete::Shell;
use std::{fs, path::Path};

pub(crate) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "mimi", &mut script);
    standard::print(&script)
}

/// The page of `command`, or of all in short.
pub(crate) fn man(command: Option<&str>) -> Outcome {
    let program = program();
    let page = match command {
        None => &program,
        Some(name) => program
            .find_subcommand(name)
            .ok_or_else(|| Failure::usage(format!("there is no command {name}; mimi --help lists them")))?,
    };
    standard::print(&manual::page(page, &program)?)
}

/// All pages to files in `folder`.
pub(crate) fn manual(folder: &Path) -> Outcome {
    fs::create_dir_all(folder).map_err(|error| Failure::io(folder, &error))?;
    let program = program();
    for page in std::iter::once(&program).chain(program.get_subcommands()) {
        let path = folder.join(format!("{}.1", manual::name(page)));
        standard::write(standard::create(&path)?, &manual::page(page, &program)?)?;
    }
    Ok(())
}

fn program() -> Command {
    let mut program = Args::command().disable_help_subcommand(true);
    program.build();
    program
}
