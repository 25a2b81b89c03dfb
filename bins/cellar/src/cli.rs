//! The arguments as typed.

use std::path::PathBuf;

use cask_program::command_line::WhenNamed;
use cask_program::manifest;
use cask_program::refused::Refused;
use cask_program::storage::StoreArguments;
use cask_program::tag;
use cask_program::version;
use clap::{Args, Parser, Subcommand};

use crate::commands;

/// Keeps container images, in podman's own store.
#[derive(Debug, Parser)]
#[command(name = "cellar", display_name = version::CELLAR.name(), version = version::CELLAR.version_words(), disable_version_flag = true, args_override_self = true, arg_required_else_help = false)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArguments,
    #[command(subcommand)]
    pub(crate) command: WhenNamed<Command>,
    #[command(flatten)]
    pub(crate) refused: Refused<commands::refused::OfAll>,
    /// Print the version
    #[arg(short = 'v', long, action = clap::ArgAction::Version)]
    version: Option<bool>,
}

/// What every command takes, before or after its name.
#[derive(Args, Clone, Debug, Default)]
#[command(next_help_heading = "Options of all commands")]
pub(crate) struct GlobalArguments {
    #[command(flatten)]
    pub(crate) store: StoreArguments,
    /// Keep networks in this directory [default: /etc/containers/networks, or networks in the store of a user]
    #[arg(long, alias = "cni-config-dir", global = true, value_name = "DIRECTORY", hide = true)]
    pub(crate) network_config_dir: Option<PathBuf>,
    /// Keep volumes in this directory [default: volumes in the store]
    #[arg(long, global = true, value_name = "DIRECTORY", hide = true)]
    pub(crate) volumepath: Option<PathBuf>,
    /// Log messages at this level and above: trace, debug, info, warn, error, fatal or panic [default: warn]
    #[arg(long, global = true, value_name = "LEVEL")]
    pub(crate) log_level: Option<String>,
    /// Send what is logged, warned of and what goes wrong to the system's log too
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false", hide = true)]
    pub(crate) syslog: Option<bool>,
    /// The same as --log-level debug
    #[arg(short = 'D', long)]
    pub(crate) debug: bool,
    /// Write what is for standard output to this file
    #[arg(long, value_name = "FILE")]
    pub(crate) out: Option<PathBuf>,
    /// Write nothing to standard output
    #[arg(long)]
    pub(crate) noout: bool,
    /// Use this signature policy
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) signature_policy: Option<PathBuf>,
    /// Read the configuration of registries from this file alone
    #[arg(long, global = true, value_name = "FILE", hide = true)]
    pub(crate) registries_conf: Option<PathBuf>,
    /// Look for credentials in this directory of Docker's too, as $DOCKER_CONFIG says
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) config: Option<PathBuf>,
    /// Read this file as containers.conf too, a path or a name in a directory containers.conf.modules
    #[arg(long, value_name = "MODULE")]
    pub(crate) module: Vec<PathBuf>,
    /// Have systemd make control groups, or this program: systemd or cgroupfs [default: systemd, where it can be reached]
    #[arg(long, global = true, value_name = "MANAGER")]
    pub(crate) cgroup_manager: Option<String>,
    /// Run containers and builds with this OCI runtime, a name or a path, instead of our own
    #[arg(long, value_name = "RUNTIME")]
    pub(crate) runtime: Option<PathBuf>,
    /// Give the OCI runtime an option, without its hyphens
    #[arg(long, value_name = "OPTION")]
    pub(crate) runtime_flag: Vec<String>,
    /// Have containers run the hooks that files of this directory name; of several, files of later ones replace those of
    /// the same names [default: /usr/share/containers/oci/hooks.d and /etc/containers/oci/hooks.d]
    #[arg(long, value_name = "DIRECTORY", value_delimiter = ',')]
    pub(crate) hooks_dir: Vec<PathBuf>,
    /// Read what devices of vendors are from the files of this directory [default: /etc/cdi and /var/run/cdi]
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) cdi_spec_dir: Vec<PathBuf>,
    /// Give containers copies of what this file lists, instead of mounts.conf in /etc/containers or /usr/share/containers
    #[arg(long, value_name = "FILE", hide = true)]
    pub(crate) default_mounts_file: Option<PathBuf>,
    /// Tell what is done in a file, in the journal or nowhere: file, journald or none [default: file]
    #[arg(long, global = true, value_name = "BACKEND")]
    pub(crate) events_backend: Option<String>,
    /// Put large temporary files here [default: $TMPDIR, else /var/tmp]
    #[arg(long, global = true, value_name = "DIRECTORY")]
    pub(crate) tmpdir: Option<PathBuf>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    #[command(subcommand)]
    Artifact(WhenNamed<commands::artifact::ArtifactCommand>),
    #[command(subcommand)]
    Image(WhenNamed<ImageCommand>),
    #[command(flatten)]
    Containers(Box<WhenNamed<commands::containers::ContainerVerb>>),
    Build(Box<WhenNamed<cask_program::build::Arguments>>),
    #[command(subcommand, hide = true, alias = "builder")]
    Buildx(WhenNamed<commands::buildx::BuildxCommand>),
    Images(WhenNamed<commands::list::Arguments>),
    Import(WhenNamed<commands::import::Arguments>),
    Inspect(WhenNamed<commands::inspect_any::Arguments>),
    History(WhenNamed<commands::history::Arguments>),
    Load(WhenNamed<commands::load::Arguments>),
    Pull(WhenNamed<commands::pull::Arguments>),
    Push(WhenNamed<commands::push::Arguments>),
    Rmi(WhenNamed<commands::remove::Arguments>),
    Save(WhenNamed<commands::save::Arguments>),
    Search(WhenNamed<commands::search::Arguments>),
    Tag(WhenNamed<tag::Arguments>),
    Untag(WhenNamed<commands::untag::Arguments>),
    Login(WhenNamed<commands::login::LoginArguments>),
    Logout(WhenNamed<cask_program::logout::Arguments>),
    #[command(subcommand)]
    Manifest(WhenNamed<manifest::Command>),
    #[command(subcommand)]
    System(WhenNamed<SystemCommand>),
    Unshare(WhenNamed<commands::unshare::Arguments>),
    Info(WhenNamed<commands::info::Arguments>),
    Version(WhenNamed<commands::version::Arguments>),
    Completion(WhenNamed<commands::completion::Arguments>),
    #[command(hide = true)]
    Man(WhenNamed<commands::man::Arguments>),
}

impl Command {
    /// Whether the command touches the files of layers, which may be anybody's: then a user has to be root of a
    /// user namespace.
    pub(crate) fn touches_layers(&self) -> bool {
        match self {
            Self::Artifact(_)
            | Self::Images(_)
            | Self::Inspect(_)
            | Self::History(_)
            | Self::Tag(_)
            | Self::Untag(_)
            | Self::Login(_)
            | Self::Logout(_)
            | Self::Info(_)
            | Self::Version(_)
            | Self::Completion(_)
            | Self::Man(_)
            | Self::Unshare(_)
            | Self::Search(_)
            | Self::System(WhenNamed(SystemCommand::Info(_) | SystemCommand::Refused(_))) => false,
            Self::Image(command) => !matches!(
                **command,
                ImageCommand::Exists(_)
                    | ImageCommand::History(_)
                    | ImageCommand::Inspect(_)
                    | ImageCommand::List(_)
                    | ImageCommand::Refused(_)
                    | ImageCommand::Scp(_)
                    | ImageCommand::Search(_)
                    | ImageCommand::Tag(_)
                    | ImageCommand::Tree(_)
                    | ImageCommand::Trust(_)
                    | ImageCommand::Untag(_)
            ),
            _ => true,
        }
    }

    /// Whether what the command does ends with its mount namespace: a user gives it in one that lasts.
    ///
    /// Source: podman, `ParentNSRequired`'s opposite, `UnshareNSRequired`.
    pub(crate) fn mounts_to_stay(&self) -> bool {
        match self {
            Self::Image(WhenNamed(ImageCommand::Mount(_) | ImageCommand::Unmount(_))) => true,
            Self::Containers(verb) => verb.mounts_to_stay(),
            _ => false,
        }
    }
}

/// Manage images
#[derive(Debug, Subcommand)]
pub(crate) enum ImageCommand {
    Build(Box<WhenNamed<cask_program::build::Arguments>>),
    Diff(WhenNamed<commands::containers::ImageDiffArguments>),
    Exists(WhenNamed<commands::exists::Arguments>),
    History(WhenNamed<commands::history::Arguments>),
    Import(WhenNamed<commands::import::Arguments>),
    Inspect(WhenNamed<commands::inspect::Arguments>),
    #[command(name = "ls", visible_alias = "list")]
    List(WhenNamed<commands::list::Arguments>),
    Load(WhenNamed<commands::load::Arguments>),
    Mount(WhenNamed<commands::mount::Arguments>),
    Prune(WhenNamed<commands::prune::Arguments>),
    Pull(WhenNamed<commands::pull::Arguments>),
    Push(WhenNamed<commands::push::Arguments>),
    #[command(name = "rm")]
    Remove(WhenNamed<commands::remove::Arguments>),
    Save(WhenNamed<commands::save::Arguments>),
    Scp(WhenNamed<commands::scp::Arguments>),
    Search(WhenNamed<commands::search::Arguments>),
    Tag(WhenNamed<tag::Arguments>),
    Tree(WhenNamed<commands::tree::Arguments>),
    #[command(subcommand)]
    Trust(WhenNamed<commands::trust::TrustCommand>),
    #[command(visible_alias = "umount")]
    Unmount(WhenNamed<commands::unmount::Arguments>),
    Untag(WhenNamed<commands::untag::Arguments>),
    #[command(flatten)]
    Refused(commands::refused::OfImage),
}

/// Manage the store
#[derive(Debug, Subcommand)]
pub(crate) enum SystemCommand {
    Check(WhenNamed<commands::check::Arguments>),
    Df(WhenNamed<commands::disk_usage::Arguments>),
    Events(WhenNamed<commands::containers::EventsArguments>),
    Info(WhenNamed<commands::info::Arguments>),
    Migrate(WhenNamed<commands::system_migrate::Arguments>),
    Prune(WhenNamed<commands::system_prune::Arguments>),
    Reset(WhenNamed<commands::system_reset::Arguments>),
    #[command(flatten)]
    Refused(commands::refused::OfSystem),
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    #[test]
    fn no_command_has_a_flag_twice() {
        super::Cli::command().debug_assert();
    }
}
