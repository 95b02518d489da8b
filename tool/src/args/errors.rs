//! Wrong command lines, in words of the tool's own where those of the parser mislead.

use clap::{
    Error,
    error::{ContextKind, ContextValue, ErrorKind},
};

/// The same error, better said.
pub(crate) fn explain(mut error: Error) -> Error {
    let missing = match error.get(ContextKind::InvalidArg) {
        Some(ContextValue::Strings(missing)) if error.kind() == ErrorKind::MissingRequiredArgument => missing,
        _ => return error,
    };
    match missing.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        // One path was typed, and the parser takes it for the last that it needs.
        ["<INPUT>..."] => {
            let output = ContextValue::Strings(vec!["<OUTPUT>".to_owned()]);
            error.insert(ContextKind::InvalidArg, output);
            error
        }
        ["--raw"] => {
            let usage = error.get(ContextKind::Usage).map(ToString::to_string).unwrap_or_default();
            let message = "--rate and --f32 describe samples without a header; they go with --raw";
            let help = "For more information, try '--help'.";
            Error::raw(ErrorKind::MissingRequiredArgument, format!("{message}\n\n{usage}\n\n{help}\n"))
        }
        _ => error,
    }
}
