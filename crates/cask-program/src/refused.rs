//! Flags and commands of the field's tools that are not there: known by name, so that who uses one is told what there
//! is instead. Those that ask for what is the case anyway are taken.

use std::fmt;
use std::marker::PhantomData;

use anyhow::{Result, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// Why nothing can be signed, whatever is asked to.
pub const NO_SIGNING: &str = "images cannot be signed yet";

/// A flag: its name, with its letter behind a bar where it has one, as in `remote|r`; the values that ask for what is the
/// case anyway; and why there is no more.
pub type RefusedFlag = (&'static str, &'static [&'static str], &'static str);

/// Whatever is written behind the name of a command that is refused.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub struct Words {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    _words: Vec<String>,
}

/// The flags of a command that are refused.
pub trait RefusedFlags {
    /// Each of them. One that may be `true` or `false` needs no value.
    const FLAGS: &'static [RefusedFlag];

    /// Whether a flag is one of all commands below too, which have none of that name themselves.
    fn is_global(_name: &str) -> bool {
        false
    }
}

/// Those that were given, to be flattened into the arguments of a command.
pub struct Refused<F> {
    given: Vec<(&'static RefusedFlag, String)>,
    flags: PhantomData<fn() -> F>,
}

impl<F> fmt::Debug for Refused<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(&self.given).finish()
    }
}

impl<F> Default for Refused<F> {
    fn default() -> Self {
        Self { given: Vec::new(), flags: PhantomData }
    }
}

impl<F> Clone for Refused<F> {
    fn clone(&self) -> Self {
        Self { given: self.given.clone(), flags: PhantomData }
    }
}

impl<F> Refused<F> {
    /// Fails for the first that asks for more than there is.
    ///
    /// # Errors
    /// Where there is one.
    pub fn check(&self) -> Result<()> {
        for ((flag, taken, why), value) in &self.given {
            let name = parts(flag).0;
            if !taken.contains(&value.as_str()) {
                let shown = if value.is_empty() { String::new() } else { format!(" {value}") };
                bail!("--{name}{shown} is not supported: {why}");
            }
        }
        Ok(())
    }
}

/// The name of a flag, and its letter.
fn parts(flag: &'static str) -> (&'static str, Option<char>) {
    match flag.split_once('|') {
        Some((name, letter)) => (name, letter.chars().next()),
        None => (flag, None),
    }
}

impl<F: RefusedFlags> Args for Refused<F> {
    fn augment_args(command: Command) -> Command {
        F::FLAGS.iter().fold(command, |command, (flag, taken, _)| {
            let (name, letter) = parts(flag);
            let is_switch = taken.iter().any(|value| matches!(*value, "true" | "false"));
            let arg = Arg::new(name).long(name).hide(true).action(ArgAction::Append);
            let arg = arg.allow_hyphen_values(true);
            let arg = match is_switch {
                true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                false => arg.num_args(1),
            };
            if !F::is_global(name) {
                return command.arg(arg.short(letter));
            }
            // Commands below have letters of their own.
            let alone = letter.map(|letter| arg.clone().id(*flag).long(None).short(letter));
            command.arg(arg.global(true)).args(alone)
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<F: RefusedFlags> FromArgMatches for Refused<F> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let is_given = |name: &&str| {
            let source = matches.ids().any(|id| id == *name).then(|| matches.value_source(name));
            source.flatten() == Some(ValueSource::CommandLine)
        };
        let values = F::FLAGS.iter().flat_map(|flag| {
            let name = parts(flag.0).0;
            // As a letter alone it is kept with that.
            let names = [name, flag.0].into_iter().take(if flag.0 == name { 1 } else { 2 });
            names.filter(is_given).flat_map(move |name| {
                let values = matches.get_many::<String>(name).into_iter().flatten();
                values.map(move |value| (flag, value.clone()))
            })
        });
        Ok(Self { given: values.collect(), flags: PhantomData })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Some;

    impl RefusedFlags for Some {
        const FLAGS: &'static [RefusedFlag] =
            &[("userns", &["host", ""], "why"), ("systemd|s", &["false"], "because")];
    }

    struct OfAll;

    impl RefusedFlags for OfAll {
        const FLAGS: &'static [RefusedFlag] = &[("remote|r", &["false"], "why")];

        fn is_global(_name: &str) -> bool {
            true
        }
    }

    #[test]
    fn those_of_all_commands_are_known_behind_their_names_too() {
        let check = |words: &[&str], expected: Option<&str>| {
            let run = Command::new("run").arg(Arg::new("own").short('r').num_args(1));
            let command = Command::new("x").no_binary_name(true).subcommand(run);
            let command = Refused::<OfAll>::augment_args(command);
            let matches = command.try_get_matches_from(words).unwrap();
            let checked = Refused::<OfAll>::from_arg_matches(&matches).unwrap().check();
            let said = checked.err().map(|error| error.to_string());
            assert_eq!(said.as_deref(), expected, "{words:?}");
        };
        let refused = Option::Some("--remote true is not supported: why");
        check(&["run"], None);
        check(&["run", "--remote=false"], None);
        check(&["run", "--remote"], refused);
        check(&["-r", "run"], refused);
        check(&["--remote", "run"], refused);
        check(&["run", "-r", "1"], None);
    }

    #[test]
    fn what_is_the_case_anyway_is_taken_and_the_rest_refused_by_name() {
        let check = |words: &[&str], expected: &str| {
            let command = Refused::<Some>::augment_args(Command::new("x").no_binary_name(true));
            let matches = command.try_get_matches_from(words).unwrap();
            let checked = Refused::<Some>::from_arg_matches(&matches).unwrap().check();
            let said = checked.map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(said, expected, "{words:?}");
        };
        check(&[], "");
        check(&["--userns", "host", "--systemd=false"], "");
        check(&["--userns", "auto"], "--userns auto is not supported: why");
        check(&["--userns=host", "--systemd"], "--systemd true is not supported: because");
        check(&["-s"], "--systemd true is not supported: because");
    }
}
