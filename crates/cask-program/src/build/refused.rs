//! Flags of buildah, podman and BuildKit that we know and do not have: each is refused by its name,
//! rather than ignored.

use clap::error::Error;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// Whether a flag takes a value.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Takes {
    Nothing,
    /// One, or none.
    Maybe,
    Value,
}

/// The flags, in alphabetical order.
const FLAGS: &[(&str, Takes)] = {
    use Takes::{Maybe, Nothing, Value};
    &[
        ("all-platforms", Nothing),
        ("attest", Value),
        ("builder", Value),
        ("call", Value),
        ("cgroupns", Value),
        ("compat-volumes", Maybe),
        ("cpp-flag", Value),
        ("cw", Value),
        ("decryption-key", Value),
        ("group-add", Value),
        ("hooks-dir", Value),
        ("inherit-annotations", Maybe),
        ("ipc", Value),
        ("logsplit", Nothing),
        ("mount", Value),
        ("no-pivot-root", Nothing),
        ("os-feature", Value),
        ("os-version", Value),
        ("pid", Value),
        ("provenance", Maybe),
        ("runtime-flag", Value),
        ("save-stages", Nothing),
        ("sbom", Maybe),
        ("sbom-image-output", Value),
        ("sbom-image-purl-output", Value),
        ("sbom-merge-strategy", Value),
        ("sbom-output", Value),
        ("sbom-purl-output", Value),
        ("sbom-scanner-command", Value),
        ("sbom-scanner-image", Value),
        ("sign-by", Value),
        ("source-policy-file", Value),
        ("stage-labels", Nothing),
        ("stdin", Nothing),
        ("transient-run-mounts", Value),
        ("userns", Value),
        ("userns-gid-map", Value),
        ("userns-gid-map-group", Value),
        ("userns-uid-map", Value),
        ("userns-uid-map-user", Value),
        ("uts", Value),
    ]
};

/// The first of those flags that was given.
#[derive(Clone, Debug, Default)]
pub(super) struct RefusedArguments {
    pub(super) given: Option<&'static str>,
}

impl Args for RefusedArguments {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, (name, takes)| {
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
        let is_given = |name: &str| matches.value_source(name) == Some(ValueSource::CommandLine);
        let given = FLAGS.iter().map(|(name, _)| *name).find(|name| is_given(name));
        Ok(Self { given })
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}
