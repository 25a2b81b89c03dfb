//! The flags of `build`, as typed.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use anyhow::{Result, bail};
use cask_containerfile::Dialect;
use clap::{ArgAction, Args, ValueEnum};

use super::refused::RefusedArguments;
use super::run_arguments::RunArguments;
use crate::access::boolean;
use crate::duration::GoDuration;
use crate::moving::RegistryArguments;

/// Build an image from a Containerfile
///
/// Ends with the status of a command that fails, and with 125 for everything else that goes wrong.
#[derive(Args, Clone, Debug)]
pub struct Arguments {
    /// The files to build from: a directory, a Containerfile, an URL of an archive or a repository,
    /// or `-` for an archive or a Containerfile on standard input [default: .]
    pub(super) context: Option<String>,
    #[command(flatten)]
    pub(super) input: InputArguments,
    #[command(flatten)]
    pub(super) image: ImageArguments,
    #[command(flatten)]
    pub(super) output: OutputArguments,
    #[command(flatten)]
    pub(super) cache: CacheArguments,
    #[command(flatten)]
    pub(super) run: RunArguments,
    #[command(flatten)]
    pub(super) show: ShowArguments,
    #[command(flatten)]
    pub(super) registry: RegistryArguments,
    #[command(flatten)]
    pub(super) refused: RefusedArguments,
}

impl Arguments {
    /// Has `runtime` run the commands, where no flag says what does.
    #[must_use]
    pub fn with_runtime(mut self, runtime: Option<PathBuf>) -> Self {
        self.run.runtime = self.run.runtime.or(runtime);
        self
    }

    /// Has `--squash` make one layer of those that are new, as podman's does.
    #[must_use]
    pub fn squashing_new_layers(mut self) -> Self {
        self.image.squash_keeps_base = true;
        self
    }

    /// Has commands have hooks of these directories too, which come before those of the flags.
    #[must_use]
    pub fn with_hooks_in(mut self, directories: &[PathBuf]) -> Self {
        self.run.hooks_dir.splice(..0, directories.iter().cloned());
        self
    }

    /// Has devices of vendors be described in these directories too, which come before the usual ones.
    #[must_use]
    pub fn with_cdi_devices_in(mut self, directories: &[PathBuf]) -> Self {
        self.run.cdi_config_dir.splice(..0, directories.iter().cloned());
        self
    }

    /// Has commands be given copies of what this file lists, instead of what mounts.conf does.
    #[must_use]
    pub fn with_default_mounts_in(mut self, file: Option<PathBuf>) -> Self {
        self.run.default_mounts_file = file;
        self
    }

    /// Gives the runtime these options before those of the flags.
    #[must_use]
    pub fn with_runtime_flags(mut self, flags: &[String]) -> Self {
        self.run.runtime_flag.splice(..0, flags.iter().cloned());
        self
    }
}

/// What is built.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What is built")]
pub(super) struct InputArguments {
    /// The Containerfile, an URL, or `-` for standard input; several make one [default: Containerfile
    /// or Dockerfile of the context]
    #[arg(short, long, value_name = "FILE")]
    pub(super) file: Vec<String>,
    /// Call files or an image by a name in FROM and --from
    #[arg(long, value_name = "NAME=CONTEXT")]
    pub(super) build_context: Vec<String>,
    /// Take this ignore file instead of the context's
    #[arg(long, value_name = "FILE")]
    pub(super) ignorefile: Option<PathBuf>,
    /// Ask this file which images may be used, and what is taken instead of them
    #[arg(long, value_name = "FILE")]
    pub(super) source_policy_file: Option<PathBuf>,
    /// Give an ARG this value, or the environment's
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(super) build_arg: Vec<String>,
    /// Read such arguments from a file, one on each line
    #[arg(long, value_name = "FILE")]
    pub(super) build_arg_file: Vec<PathBuf>,
    /// An option for the C preprocessor, which reads files whose names end in .in
    #[arg(long, value_name = "OPTION", allow_hyphen_values = true)]
    pub(super) cpp_flag: Vec<String>,
    /// Begin the first stage with this image instead
    #[arg(long, value_name = "IMAGE")]
    pub(super) from: Option<String>,
    /// Build this stage [default: the last one]
    #[arg(long, value_name = "STAGE")]
    pub(super) target: Option<String>,
    /// Leave out stages that the target does not need [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) skip_unused_stages: Option<String>,
    /// Build for these platforms
    #[arg(long, value_name = "OS/ARCH[/VARIANT],...", value_delimiter = ',')]
    pub(super) platform: Vec<String>,
    /// Build for every platform that all base images have; of those in the store, what is there counts, but with
    /// --pull
    #[arg(long)]
    pub(super) all_platforms: bool,
    /// Build for this architecture instead of the machine's
    #[arg(long, alias = "override-arch", value_name = "ARCH")]
    pub(super) arch: Option<String>,
    /// Build for this operating system instead of the running one
    #[arg(long, alias = "override-os", value_name = "OS")]
    pub(super) os: Option<String>,
    /// Build for this variant of the architecture
    #[arg(long, value_name = "VARIANT")]
    pub(super) variant: Option<String>,
    /// When to pull base images: true (always), missing, never or newer
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "POLICY")]
    pub(super) pull: Option<String>,
    /// Pull base images, whatever is in the store
    #[arg(long)]
    pub(super) pull_always: bool,
    /// Pull nothing
    #[arg(long)]
    pub(super) pull_never: bool,
}

/// What the image says.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What the image is like")]
pub(super) struct ImageArguments {
    /// The format: oci or docker [default: $BUILDAH_FORMAT, else oci]
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Whose image is made where theirs differ: docker, as BuildKit makes it, or buildah, which makes one layer, has
    /// a history in other words and other rules for what is in the way of COPY [default: as docker, but as buildah
    /// where patterns match nothing, begin an exception of an ignore file or have **, and for setuid and VOLUME]
    #[arg(long, value_enum, value_name = "WHOSE")]
    pub(super) compat: Option<Compat>,
    /// A layer for every instruction that changes files, or one for all [default: $BUILDAH_LAYERS,
    /// else true, but with --compat=buildah]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) layers: Option<String>,
    /// Make one layer: of all, as with buildah, or of all that are new, as with podman
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) squash: Option<String>,
    /// Make one layer of all
    #[arg(long)]
    pub(super) squash_all: bool,
    /// `--squash` leaves the layers of the base as they are.
    #[arg(skip)]
    pub(super) squash_keeps_base: bool,
    /// Set a label
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) label: Vec<String>,
    /// Take a label of the base away
    #[arg(long, value_name = "NAME")]
    pub(super) unsetlabel: Vec<String>,
    /// Set a label of the stages before the target too
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) layer_label: Vec<String>,
    /// Keep the labels of the base [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) inherit_labels: Option<String>,
    /// Add a label with the builder's version [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) identity_label: Option<String>,
    /// Make images without a name of the stages before the target too, as far as it needs them [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) save_stages: Option<String>,
    /// Have labels of each say which stage it is and what it begins with [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) stage_labels: Option<String>,
    /// Set an environment variable, or take over the caller's
    #[arg(long, value_name = "NAME[=VALUE]")]
    pub(super) env: Vec<String>,
    /// Take an environment variable away
    #[arg(long, value_name = "NAME")]
    pub(super) unsetenv: Vec<String>,
    /// Set an annotation of the manifest
    #[arg(long, value_name = "NAME=VALUE")]
    pub(super) annotation: Vec<String>,
    /// Take an annotation away
    #[arg(long, value_name = "NAME")]
    pub(super) unsetannotation: Vec<String>,
    /// Keep the annotations of the base [default: true]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) inherit_annotations: Option<String>,
    /// The version of the operating system that the image needs
    #[arg(long, value_name = "VERSION")]
    pub(super) os_version: Option<String>,
    /// A feature of the operating system that it needs; FEATURE- takes one of the base away
    #[arg(long, value_name = "FEATURE", allow_hyphen_values = true)]
    pub(super) os_feature: Vec<String>,
    /// Date the image and everything in its new layers by these seconds since 1970
    #[arg(long, value_name = "SECONDS")]
    pub(super) timestamp: Option<i64>,
    /// Date the image and its history by these seconds since 1970 [default: $SOURCE_DATE_EPOCH]
    #[arg(long, value_name = "SECONDS")]
    pub(super) source_date_epoch: Option<String>,
    /// Let no file of new layers be newer than the image
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) rewrite_timestamp: Option<String>,
    /// Leave the history out
    #[arg(long)]
    pub(super) omit_history: bool,
    /// Annotate the image with its date [default: false]
    #[arg(long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) created_annotation: Option<String>,
}

/// Whose results are wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Compat {
    /// BuildKit's
    Docker,
    /// Buildah's
    Buildah,
}

impl ImageArguments {
    /// Whose rules hold.
    pub(super) fn dialect(&self) -> Dialect {
        match self.compat {
            Some(Compat::Buildah) => Dialect::Buildah,
            Some(Compat::Docker) => Dialect::BuildKit,
            None => Dialect::Cask,
        }
    }
}

/// Where it goes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Where it goes")]
pub(super) struct OutputArguments {
    /// A name of the image in the store, or a place behind the scheme of a transport
    #[arg(short, long, value_name = "NAME")]
    pub(super) tag: Vec<String>,
    /// Write the files to a directory, or type=local|tar|oci|docker|image|registry,dest=PATH,name=NAME;
    /// `-` is a tar archive on standard output
    #[arg(short, long, value_name = "OUTPUT")]
    pub(super) output: Vec<String>,
    /// Push the image to the registries that its names name
    #[arg(long)]
    pub(super) push: bool,
    /// Keep the image in the store; that is always so
    #[arg(long)]
    pub(super) load: bool,
    /// Add the images to this list in the store, which is made if it is not there
    #[arg(long, value_name = "LIST")]
    pub(super) manifest: Option<String>,
    /// Write the ID of the image to this file
    #[arg(long, value_name = "FILE")]
    pub(super) iidfile: Option<PathBuf>,
    /// The same without `sha256:` before it
    #[arg(long, alias = "raw-iidfile", value_name = "FILE")]
    pub(super) iidfile_raw: Option<PathBuf>,
    /// Compress layers that are pushed or written to an archive by gzip, zstd or zstd:chunked
    #[arg(long, value_name = "FORMAT")]
    pub(super) compression_format: Option<String>,
    /// The level of compression: gzip 1 to 9, zstd 1 to 20
    #[arg(long, value_name = "LEVEL")]
    pub(super) compression_level: Option<i32>,
    /// Take no layer in another compression for the one that was asked for
    #[arg(long, value_name = "true|false", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub(super) force_compression: Option<String>,
    /// Add a statement of what the image was made from: true, false, or mode=min|max,builder-id=URI
    #[arg(long, value_name = "PROVENANCE", num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(super) provenance: Vec<String>,
    /// The same: type=provenance,mode=min|max,builder-id=URI
    #[arg(long, value_name = "STATEMENT")]
    pub(super) attest: Vec<String>,
    /// A statement of what is in the image; false alone is supported
    #[arg(long, hide = true, num_args = 0..=1, default_missing_value = "true", require_equals = true)]
    pub(super) sbom: Vec<String>,
    /// Write what came of the build to this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub(super) metadata_file: Option<PathBuf>,
}

/// What earlier builds did.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What earlier builds did")]
pub(super) struct CacheArguments {
    /// Use nothing of it
    #[arg(long)]
    pub(super) no_cache: bool,
    /// Use nothing of it for these stages
    #[arg(long, value_name = "STAGE,...", value_delimiter = ',')]
    pub(super) no_cache_filter: Vec<String>,
    /// Take steps from here too: a repository, or type=registry|local,ref=REPOSITORY,src=DIRECTORY
    #[arg(long, value_name = "PLACE")]
    pub(super) cache_from: Vec<String>,
    /// Put steps there for later builds: a repository, or
    /// type=registry|local,ref=REPOSITORY,dest=DIRECTORY,mode=min|max; type=inline has the image name its
    /// own, which --cache-from type=registry,ref=IMAGE takes
    #[arg(long, value_name = "PLACE")]
    pub(super) cache_to: Vec<String>,
    /// Use nothing of it that is older, such as 24h
    #[arg(long, value_name = "DURATION")]
    pub(super) cache_ttl: Option<GoDuration>,
    /// Say why a step was not taken from it
    #[arg(long)]
    pub(super) explain: bool,
    /// Remove what a build leaves between its steps; nothing is left
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) rm: Option<String>,
    /// The same where it fails
    #[arg(long, hide = true, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) force_rm: Option<String>,
    /// Docker's; images are compressed where they go anyway
    #[arg(long, hide = true)]
    pub(super) compress: bool,
    /// Leave layers plain that go to a place which --tag names and which is no registry [default: true]
    #[arg(short = 'D', long, num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) disable_compression: Option<String>,
    /// Build so many stages at the same time [default: one for each processor, up to 4]
    #[arg(long, value_name = "N")]
    pub(super) jobs: Option<usize>,
}

impl CacheArguments {
    /// Whether layers are compressed wherever they go.
    pub(super) fn compresses(&self) -> Result<bool> {
        let plain = boolean("disable-compression", self.disable_compression.as_deref())?;
        Ok(plain == Some(false))
    }

    /// How many stages at the same time; 0 is no limit of ours.
    pub(super) fn jobs(&self) -> Option<NonZeroUsize> {
        self.jobs.map(|jobs| NonZeroUsize::new(jobs).unwrap_or(NonZeroUsize::MAX))
    }
}

/// What is shown.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "What is shown")]
pub(super) struct ShowArguments {
    /// Print nothing but the ID
    #[arg(short, long, action = ArgAction::SetTrue)]
    pub(super) quiet: bool,
    /// How to show what happens
    #[arg(long, value_enum, default_value = "auto", value_name = "HOW")]
    pub(super) progress: Progress,
    /// Show it in this file instead
    #[arg(long, value_name = "FILE")]
    pub(super) logfile: Option<PathBuf>,
    /// Show each platform in a file of its own: FILE_OS_ARCH
    #[arg(long, requires = "logfile", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_name = "true|false")]
    pub(super) logsplit: Option<String>,
    /// Open a shell in the stage where a command fails
    #[arg(long)]
    pub(super) debug: bool,
    /// Check the Containerfile, and build nothing
    #[arg(long)]
    pub(super) check: bool,
    /// What to do with the Containerfile: build it, check it, or tell its outline (what it can be given) or
    /// its targets
    #[arg(long, value_name = "METHOD")]
    pub(super) call: Option<String>,
}

impl ShowArguments {
    /// What is done with the Containerfile.
    ///
    /// Source: docker/buildx, `--call`.
    pub(super) fn method(&self) -> Result<Method> {
        match self.call.as_deref() {
            _ if self.check => Ok(Method::Check),
            None | Some("build") => Ok(Method::Build),
            Some("check" | "lint") => Ok(Method::Check),
            Some("outline") => Ok(Method::Outline),
            Some("targets") => Ok(Method::Targets),
            Some(other) if other.contains(",format=") => {
                bail!(
                    "--call={other}: there is no other format: write `cooper graph --format json`"
                )
            }
            Some(other) => {
                bail!("--call={other} is not known: use build, check, outline or targets")
            }
        }
    }
}

/// What is done with a Containerfile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Method {
    Build,
    Check,
    Outline,
    Targets,
}

/// How to show what happens.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Progress {
    /// Live on a terminal, else plain
    Auto,
    /// Lines
    Plain,
    /// Live
    Tty,
    /// A JSON object for each event, on standard error
    Json,
    /// Nothing but the ID
    Quiet,
}
