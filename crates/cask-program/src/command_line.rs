//! What is said of a command line that is wrong.

mod engine;
mod named;
mod visible;

use cask_terminal::report::Exit;
use clap::error::{ContextKind, ContextValue, ErrorKind};

pub use engine::{parse, wrong};
pub use named::{WhenNamed, try_parse};
pub use visible::visible;

use crate::{output, report};

/// What clap has to say, in the words of the tools whose place we take.
///
/// Help and versions are data, and a success.
pub fn usage(program: &str, error: &clap::Error) -> Exit {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let more = format!("Try '{program} --help' for more information");
    match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            match output::bytes(error.render().to_string().as_bytes()) {
                Ok(()) => Exit::Success,
                Err(error) => report::failure(&error),
            }
        }
        ErrorKind::InvalidSubcommand => {
            let command = context(ContextKind::InvalidSubcommand);
            let mut message = format!("Unrecognized command `{program} {command}`\n");
            if let Some(ContextValue::Strings(similar)) =
                error.get(ContextKind::SuggestedSubcommand)
            {
                message += &format!("\nDid you mean this?\n\t{}\n\n", similar.join("\n\t"));
            }
            report::usage(&format!("{message}{more}"), &[])
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            report::usage(&format!("Missing command '{program} COMMAND'\n{more}"), &[])
        }
        ErrorKind::UnknownArgument => {
            let flag = context(ContextKind::InvalidArg);
            let similar = context(ContextKind::SuggestedArg);
            let hint = format!("did you mean {similar}?");
            let hints: &[&str] = if similar.is_empty() { &[] } else { &[&hint] };
            if !flag.starts_with('-') {
                let usage = format!("unexpected argument {flag:?}\n{}", usage_line(error));
                return report::usage(usage.trim_end(), &[]);
            }
            report::usage(&format!("unknown flag: {flag}"), hints)
        }
        _ => {
            let text = error.render().to_string();
            let text = text.strip_prefix("error: ").unwrap_or(&text);
            report::usage(text.trim_end(), &[])
        }
    }
}

/// What clap has to say of an engine's command line, in podman's words.
///
/// Help and versions are data, and a success.
pub fn engine_usage(program: &str, error: &clap::Error) -> Exit {
    let context = |kind| match error.get(kind) {
        Some(ContextValue::String(text)) => text.as_str(),
        _ => "",
    };
    let program = &command_path(error).unwrap_or_else(|| program.to_owned());
    let message = match error.kind() {
        ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
            if let Err(error) = output::bytes(error.render().to_string().as_bytes()) {
                report::engine_failure(&error, |_| None);
                return Exit::EngineFailure;
            }
            return Exit::Success;
        }
        ErrorKind::InvalidSubcommand => {
            let command = context(ContextKind::InvalidSubcommand);
            let more = format!("Try '{program} --help' for more information");
            format!("unrecognized command `{program} {command}`\n{more}")
        }
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => {
            format!(
                "missing command '{program} COMMAND'\nTry '{program} --help' for more information"
            )
        }
        ErrorKind::UnknownArgument if context(ContextKind::InvalidArg).starts_with('-') => {
            let flag = context(ContextKind::InvalidArg);
            format!("unknown flag: {flag}\nSee '{program} --help'")
        }
        _ => {
            let text = error.render().to_string();
            text.strip_prefix("error: ").unwrap_or(&text).trim_end().to_owned()
        }
    };
    report::engine_usage(&message);
    Exit::EngineFailure
}

/// The command that was read as far as it was understood, such as `cellar network`.
fn command_path(error: &clap::Error) -> Option<String> {
    let line = usage_line(error);
    let line = line.lines().next()?.strip_prefix("Usage: ")?;
    let is_name = |word: &&str| word.starts_with(|first: char| first.is_ascii_alphanumeric());
    let words: Vec<&str> = line.split_whitespace().take_while(is_name).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

/// The line that shows how the command is used.
fn usage_line(error: &clap::Error) -> String {
    match error.get(ContextKind::Usage) {
        Some(ContextValue::StyledStr(usage)) => usage.to_string(),
        _ => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use clap::{Arg, Command};

    use super::*;

    #[test]
    fn errors_name_the_command_that_they_are_of() {
        let check = |line: &str, expected: &str| {
            let list = Command::new("ls").visible_alias("list").arg(Arg::new("name"));
            let network = Command::new("network").subcommand_required(true).subcommand(list);
            let program = Command::new("cellar").subcommand(network);
            let error = program.try_get_matches_from(line.split(' ')).unwrap_err();
            assert_eq!(command_path(&error).as_deref(), Some(expected), "{line}: {error}");
        };
        check("cellar nosuch", "cellar");
        check("cellar --nosuch", "cellar");
        check("cellar network", "cellar network");
        check("cellar network nosuch", "cellar network");
        check("cellar network ls --nosuch", "cellar network ls");
        check("cellar network list --nosuch", "cellar network ls");
    }
}
