//! Flags of buildah, podman and BuildKit that we know and do not have: each is refused by its name,
//! rather than ignored.

use clap::error::Error;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// Whether a flag takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// `true` or `false`, which asks for what is the case, or none.
    Maybe,
    Value,
}

const SBOM: &str = "run a scanner on the image, and attach what it writes";

/// The flags in alphabetical order, and what to do instead.
const FLAGS: &[(&str, Takes, &str)] = {
    use Takes::{Maybe, Nothing, Value};
    &[
        ("builder", Value, "this program builds itself"),
        ("cw", Value, "build the image, and encrypt it with a tool for that"),
        ("decryption-key", Value, "pull the image with another tool first"),
        (
            "log-rusage",
            Maybe,
            "what each step took stands in the table at the end, and in --metadata-file",
        ),
        (
            "no-pivot-root",
            Nothing,
            "nothing pivots but where it can; --isolation=chroot sets nothing apart but the files",
        ),
        ("rusage-logfile", Value, "what each step took stands in --metadata-file"),
        ("sbom-image-output", Value, SBOM),
        ("sbom-image-purl-output", Value, SBOM),
        ("sbom-merge-strategy", Value, SBOM),
        ("sbom-output", Value, SBOM),
        ("sbom-purl-output", Value, SBOM),
        ("sbom-scanner-command", Value, SBOM),
        ("sbom-scanner-image", Value, SBOM),
        ("sign-by", Value, crate::refused::NO_SIGNING),
        ("transient-run-mounts", Value, "use --volume"),
    ]
};

/// The first of those flags that was given.
#[derive(Clone, Debug, Default)]
pub(super) struct RefusedArguments {
    /// Its name, and what to do instead.
    pub(super) given: Option<(&'static str, &'static str)>,
}

impl Args for RefusedArguments {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, (name, takes, _)| {
            let argument = Arg::new(*name).long(*name).hide(true);
            command.arg(match takes {
                Takes::Nothing => argument.action(ArgAction::SetTrue),
                Takes::Maybe => {
                    argument.action(ArgAction::Append).num_args(0..=1).require_equals(true)
                }
                Takes::Value => argument.action(ArgAction::Append).allow_hyphen_values(true),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for RefusedArguments {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let is_given = |(name, takes, _): &&(&'static str, Takes, &'static str)| {
            let is_no = || {
                let mut values = matches.get_many::<String>(name).into_iter().flatten().peekable();
                values.peek().is_some() && values.all(|value| value == "false")
            };
            matches.value_source(name) == Some(ValueSource::CommandLine)
                && !(*takes == Takes::Maybe && is_no())
        };
        let given = FLAGS.iter().find(is_given).map(|(name, _, hint)| (*name, *hint));
        Ok(Self { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
