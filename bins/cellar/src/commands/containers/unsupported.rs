//! Flags of `podman run` that are not here: known by name, so that who uses one is told what there is instead; those
//! that ask for what is the case anyway are taken.

use anyhow::{Result, bail};
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

/// A flag: its name, the values that ask for what is the case anyway, and why there is no more.
type Flag = (&'static str, &'static [&'static str], &'static str);

const PODS: &str =
    "there are no pods; containers share with --network, --ipc and --pid container:NAME";

const FLAGS: &[Flag] = &[
    ("gpus", &[], "devices are given with --device"),
    ("pod", &[""], PODS),
    ("pod-id-file", &[], PODS),
    ("init-ctr", &[], PODS),
    (
        "sdnotify",
        &["ignore"],
        "the service manager is not told; only --sdnotify ignore is supported",
    ),
    ("init-path", &[], "the init is a part of this program"),
    ("rdt-class", &[], "classes of memory bandwidth are not set"),
    ("personality", &[], "the kernel's personality is not changed"),
    ("preserve-fds", &["0"], "no more descriptors are passed on than the three"),
    ("preserve-fd", &[], "no more descriptors are passed on than the three"),
    ("kernel-memory", &[], "the kernel has no such limit any more; use --memory"),
    ("seccomp-policy", &["default"], "the profile is the usual one, or none with --security-opt"),
    ("shm-size-systemd", &[], "nothing is prepared for systemd"),
    ("link-local-ip", &[], "addresses are given by networks"),
    ("volume-driver", &["local", ""], "volumes are local"),
    ("isolation", &["default", ""], "containers have namespaces"),
];

/// The flags of this kind that were given.
#[derive(Debug)]
pub(crate) struct Unsupported(Vec<(&'static Flag, String)>);

impl Unsupported {
    /// Fails for the first that asks for more than there is.
    pub(crate) fn check(&self) -> Result<()> {
        for ((name, taken, why), value) in &self.0 {
            if !taken.contains(&value.as_str()) {
                let shown = if value.is_empty() { String::new() } else { format!(" {value}") };
                bail!("--{name}{shown} is not supported: {why}");
            }
        }
        Ok(())
    }
}

impl Args for Unsupported {
    fn augment_args(command: Command) -> Command {
        FLAGS.iter().fold(command, |command, (name, taken, _)| {
            // Those that are true or false need no value.
            let is_switch = taken.iter().any(|value| matches!(*value, "true" | "false"));
            let arg = Arg::new(*name).long(*name).hide(true).action(ArgAction::Append);
            let arg = arg.allow_hyphen_values(true);
            command.arg(match is_switch {
                true => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
                false => arg.num_args(1),
            })
        })
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Unsupported {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        let given = FLAGS
            .iter()
            .filter(|(name, ..)| matches.value_source(name) == Some(ValueSource::CommandLine));
        let values = given.flat_map(|flag| {
            let values = matches.get_many::<String>(flag.0).into_iter().flatten();
            values.map(move |value| (flag, value.clone()))
        });
        Ok(Self(values.collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(words: &[&str]) -> String {
        let command = Unsupported::augment_args(Command::new("run").no_binary_name(true));
        let matches = command.try_get_matches_from(words).unwrap();
        let checked = Unsupported::from_arg_matches(&matches).unwrap().check();
        checked.map_or_else(|error| error.to_string(), |()| String::new())
    }

    #[test]
    fn what_is_the_case_anyway_is_taken_and_the_rest_refused_by_name() {
        for taken in [&["--volume-driver", "local"][..], &["--sdnotify=ignore"], &[]] {
            assert_eq!(said(taken), "", "{taken:?}");
        }
        assert_eq!(said(&["--pod", "x"]), format!("--pod x is not supported: {PODS}"));
        for refused in [&["--gpus", "x"][..], &["--sdnotify=container"]] {
            assert!(said(refused).contains("is not supported: "), "{refused:?}");
        }
    }
}
