//! The arguments as typed.

use std::num::{NonZeroU32, NonZeroUsize};
use std::path::PathBuf;

use cask_program::access;
use cask_program::command_line::WhenNamed;
use cask_program::duration::GoDuration;
use cask_program::settings::Settings;
use cask_program::version;
use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Copies, inspects, lists and deletes container images, anywhere to anywhere.
#[derive(Debug, Parser)]
#[command(
    name = "dray",
    display_name = version::DRAY.name(),
    version = version::DRAY.version_words(),
    disable_version_flag = true,
    args_override_self = true,
    arg_required_else_help = false,
    after_help = "An IMAGE is TRANSPORT:DETAILS; the transports are containers-storage, dir, docker, \
                  docker-archive, docker-daemon, oci and oci-archive."
)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: WhenNamed<Command>,
}

/// What every command takes, before or after its name.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct GlobalArguments {
    /// Use this signature policy
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) policy: Option<PathBuf>,
    /// Accept every image, without a signature policy
    #[arg(long, global = true)]
    pub(crate) insecure_policy: bool,
    /// Refuse images that nobody signed, even where the policy would accept them
    #[arg(long, global = true, conflicts_with = "insecure_policy")]
    pub(crate) require_signed: bool,
    /// Choose images for this operating system instead of the running one
    #[arg(long, global = true, value_name = "OS")]
    pub(crate) override_os: Option<String>,
    /// Choose images for this architecture instead of the machine's
    #[arg(long, global = true, value_name = "ARCH")]
    pub(crate) override_arch: Option<String>,
    /// Choose images for this variant of the architecture
    #[arg(long, global = true, value_name = "VARIANT")]
    pub(crate) override_variant: Option<String>,
    /// Give up after this time, such as 90s or 1h30m
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) command_timeout: Option<GoDuration>,
    /// Read the configuration of registries from this file alone
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) registries_conf: Option<PathBuf>,
    /// Read where signatures are from the files in this directory
    #[arg(long = "registries.d", global = true, value_name = "DIRECTORY")]
    pub(crate) registries_d: Option<PathBuf>,
    /// Try a request to a registry again so often [default: 4]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) retry_times: Option<u32>,
    /// Wait so long between two tries, such as 2s [default: 1s, then twice as long each time]
    #[arg(long, global = true, value_name = "DURATION")]
    pub(crate) retry_delay: Option<GoDuration>,
    /// Let at most so many requests to a registry wait at once [default: 32]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) requests_at_once: Option<NonZeroUsize>,
    /// Begin at most so many requests to a registry within a second [default: as many as there are]
    #[arg(long, global = true, value_name = "N")]
    pub(crate) requests_per_second: Option<NonZeroU32>,
    /// Put large temporary files here [default: $TMPDIR, else /var/tmp]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub(crate) tmpdir: Option<PathBuf>,
    /// Say what happens, in detail
    #[arg(long, global = true)]
    pub(crate) debug: bool,
    /// Require HTTPS and valid certificates of registries, where no flag of the command says so
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth, value_name = "true|false")]
    tls_verify: Option<bool>,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

fn truth(text: &str) -> Result<bool, String> {
    access::boolean_value("tls-verify", text).map_err(|error| error.to_string())
}

impl GlobalArguments {
    /// What the libraries' options follow from.
    pub(crate) fn settings(&self) -> Settings {
        let duration = |given: Option<GoDuration>| given.map(|GoDuration(duration)| duration);
        let mut settings = Settings::new("dray");
        settings.policy.clone_from(&self.policy);
        settings.insecure_policy = self.insecure_policy;
        settings.platform.os.clone_from(&self.override_os);
        settings.platform.architecture.clone_from(&self.override_arch);
        settings.platform.variant.clone_from(&self.override_variant);
        settings.registries_conf.clone_from(&self.registries_conf);
        settings.registries_d.clone_from(&self.registries_d);
        settings.tls_verify = self.tls_verify;
        settings.retry.times = self.retry_times;
        settings.retry.delay = duration(self.retry_delay);
        settings.limits.at_once = self.requests_at_once;
        settings.limits.per_second = self.requests_per_second;
        settings.temporary_directory.clone_from(&self.tmpdir);
        settings
    }
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Copy(Box<WhenNamed<commands::copy::Arguments>>),
    Sync(Box<WhenNamed<commands::sync::Arguments>>),
    Inspect(WhenNamed<commands::inspect::Arguments>),
    ListTags(WhenNamed<commands::list_tags::Arguments>),
    Catalog(WhenNamed<commands::catalog::Arguments>),
    Digest(WhenNamed<commands::digest::Arguments>),
    Referrers(WhenNamed<commands::referrers::Arguments>),
    Tag(WhenNamed<commands::tag::Arguments>),
    Untag(WhenNamed<commands::untag::Arguments>),
    Delete(WhenNamed<commands::delete::Arguments>),
    ManifestDigest(WhenNamed<commands::manifest_digest::Arguments>),
    Validate(WhenNamed<commands::validate::Arguments>),
    Login(WhenNamed<cask_program::login::Arguments>),
    Logout(WhenNamed<cask_program::logout::Arguments>),
    Auth(WhenNamed<commands::auth::Arguments>),
    Serve(WhenNamed<commands::serve::Arguments>),
    Completion(WhenNamed<commands::completion::Arguments>),
    #[command(hide = true)]
    Man(WhenNamed<commands::man::Arguments>),
    #[command(flatten)]
    Refused(commands::refused::Command),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn no_command_has_a_flag_twice() {
        super::Cli::command().debug_assert();
    }
}
