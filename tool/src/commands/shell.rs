//! `mimi completions` and `mimi man`: what a shell and `man` are told about the command line.

use crate::{
    args::Args,
    failure::{Failure, Outcome},
    standard,
};
use clap::CommandFactory;
use clap_complete::Shell;

pub(crate) fn completions(shell: Shell) -> Outcome {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Args::command(), "mimi", &mut script);
    standard::print(&script)
}

pub(crate) fn man(command: Option<&str>) -> Outcome {
    let mut program = Args::command();
    program.build();
    let page = match command {
        None => program,
        Some(name) => match program.find_subcommand(name) {
            Some(command) => command.clone(),
            None => return Err(Failure::new(format!("there is no command {name}"))),
        },
    };
    let mut text = Vec::new();
    clap_mangen::Man::new(page).render(&mut text).map_err(|error| Failure::system(&error))?;
    standard::print(&text)
}
