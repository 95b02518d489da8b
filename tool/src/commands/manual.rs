//! A page of the manual: what the parser knows, and what a reader of manuals looks for beside it.

use crate::failure::{Failure, Outcome};
use clap::Command;
use clap_mangen::Man;
use roff::{Roff, bold, roman};

const EXIT_STATUS: [(&str, &str); 5] = [
    ("0", "All went well."),
    ("1", "Something failed, or one of several files did; a message says what."),
    ("2", "The command line was wrong."),
    ("130", "The run was interrupted."),
    ("141", "Whoever read the output has gone."),
];

const ENVIRONMENT: [(&str, &str); 6] = [
    ("HF_HUB_CACHE, HF_HOME, XDG_CACHE_HOME, HOME", "Where models are that are named as owner/model."),
    ("HF_ENDPOINT", "The server that mimi fetch asks; https://huggingface.co if it is not set."),
    ("HF_TOKEN", "What gives mimi fetch access to models that are not public."),
    ("HF_HUB_OFFLINE", "If 1, mimi fetch takes what is there and asks no server."),
    ("NO_COLOR", "If set, help has no colours."),
    ("COLUMNS", "The width of help where there is no terminal."),
];

const FILES: [(&str, &str); 3] = [
    ("~/.cache/huggingface/hub", "Models by name, shared with the tools of Hugging Face."),
    (
        ".mimi-made.jsonl",
        "In a folder of outputs: how each was made. Without it, what is there is judged by its own header and \
         its age.",
    ),
    (
        ".mimi-*.part",
        "An output that is not complete yet. What a killed run leaves, the next that writes there removes.",
    ),
];

/// The name of the page about `command`.
pub(super) fn name(command: &Command) -> &str {
    command.get_display_name().unwrap_or(command.get_name())
}

/// The page about `command`, which is `program` or a command of it.
pub(super) fn page(command: &Command, program: &Command) -> Outcome<Vec<u8>> {
    write(command, program).map_err(|error| Failure::system(&error))
}

fn write(command: &Command, program: &Command) -> std::io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).title(name(command));
    let mut text = Vec::new();
    man.render_title(&mut text)?;
    man.render_name_section(&mut text)?;
    let usage = command.clone().render_usage().to_string();
    let mut synopsis = Roff::new();
    synopsis.control("SH", ["SYNOPSIS"]).text([roman(usage.trim_start_matches("Usage: "))]);
    synopsis.to_writer(&mut text)?;
    man.render_description_section(&mut text)?;
    man.render_options_section(&mut text)?;
    if command.has_subcommands() {
        man.render_subcommands_section(&mut text)?;
    }
    let mut rest = Roff::new();
    let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
    for paragraph in help.split("\n\n") {
        match paragraph.strip_prefix("Examples:\n") {
            // as they stand, so that they can be copied
            Some(examples) => {
                rest.control("SH", ["EXAMPLES"]).control("nf", []);
                for line in examples.lines() {
                    rest.text([roman(line)]);
                }
                rest.control("fi", []);
            }
            None if paragraph.is_empty() => {}
            None => {
                rest.control("SH", ["NOTES"]).text([roman(paragraph)]);
            }
        }
    }
    list(&mut rest, "EXIT STATUS", &EXIT_STATUS);
    list(&mut rest, "ENVIRONMENT", &ENVIRONMENT);
    list(&mut rest, "FILES", &FILES);
    let others = std::iter::once(program).chain(program.get_subcommands());
    let others: Vec<_> =
        others.map(name).filter(|&other| other != name(command)).map(|other| format!("{other}(1)")).collect();
    rest.control("SH", ["SEE ALSO"]).text([roman(others.join(", "))]);
    rest.to_writer(&mut text)?;
    Ok(text)
}

fn list(page: &mut Roff, heading: &str, entries: &[(&str, &str)]) {
    page.control("SH", [heading]);
    for (term, meaning) in entries {
        page.control("TP", []).text([bold(*term)]).text([roman(*meaning)]);
    }
}
