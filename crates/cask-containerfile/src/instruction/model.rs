//! A type for every instruction.

use std::time::Duration;

use super::mount::MountFlag;
use crate::heredoc::Heredoc;
use crate::statement::{Pair, Statement, Word};

/// An instruction with all that it says. Words are as they are written: variables in them are
/// not replaced, and quotes not removed, but where a JSON array or a flag has them.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Instruction {
    /// ADD.
    Add(Box<Add>),
    /// ARG.
    Arg(Arg),
    /// CMD.
    Cmd(CommandLine),
    /// COPY.
    Copy(Box<Copy>),
    /// ENTRYPOINT.
    Entrypoint(CommandLine),
    /// ENV.
    Env(Env),
    /// EXPOSE.
    Expose(Expose),
    /// FROM.
    From(Box<From>),
    /// HEALTHCHECK.
    Healthcheck(Healthcheck),
    /// LABEL.
    Label(Label),
    /// MAINTAINER.
    Maintainer(Maintainer),
    /// ONBUILD.
    Onbuild(Onbuild),
    /// RUN.
    Run(Run),
    /// SHELL.
    Shell(Shell),
    /// STOPSIGNAL.
    StopSignal(StopSignal),
    /// USER.
    User(User),
    /// VOLUME.
    Volume(Volume),
    /// WORKDIR.
    Workdir(Workdir),
}

/// FROM: begins a stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct From {
    /// The image, the stage or `scratch` that it begins with.
    pub image: Word,
    /// The name behind AS, as it is written. Names are compared in lower case.
    pub name: Option<Word>,
    /// `--platform`.
    pub platform: Option<Word>,
    /// `--after`: stages that are to be built before this one, though it takes nothing from them.
    /// Buildah's.
    pub after: Vec<Word>,
}

/// What is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CommandLine {
    /// A text for the shell of the stage; empty where there are no arguments.
    Shell(Word),
    /// A program and its arguments.
    Exec(Vec<Word>),
}

impl CommandLine {
    /// The words: one for a shell, none for an empty command.
    #[must_use]
    pub fn words(&self) -> Vec<&str> {
        match self {
            Self::Shell(word) if word.text.is_empty() => Vec::new(),
            Self::Shell(word) => vec![&word.text],
            Self::Exec(words) => words.iter().map(Word::as_str).collect(),
        }
    }
}

/// The network of a RUN.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Network {
    /// That of the build.
    #[default]
    Default,
    /// None.
    None,
    /// The host's.
    Host,
}

/// How a RUN is shut in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Security {
    /// As a container.
    #[default]
    Sandbox,
    /// Not: it has all privileges.
    Insecure,
}

/// A device of a RUN, by its name in the Container Device Interface.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Device {
    /// The name, `vendor/class=device`.
    pub name: String,
    /// Whether the build fails without it.
    pub is_required: bool,
}

/// RUN: runs a program in the stage.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Run {
    /// The program.
    pub command: CommandLine,
    /// Its heredocs: the script, if one of them is all there is on the line.
    pub heredocs: Vec<Heredoc>,
    /// `--mount`.
    pub mounts: Vec<MountFlag>,
    /// `--network`.
    pub network: Option<Network>,
    /// `--security`.
    pub security: Option<Security>,
    /// `--device`.
    pub devices: Vec<Device>,
}

impl Run {
    /// The heredoc that is the whole script: there is one, and nothing else on the line.
    #[must_use]
    pub fn script(&self) -> Option<&Heredoc> {
        let (CommandLine::Shell(line), [heredoc]) = (&self.command, self.heredocs.as_slice())
        else {
            return None;
        };
        (line.span == heredoc.span).then_some(heredoc)
    }
}

/// What is copied.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum CopySource {
    /// A path, a pattern or, for ADD, an URL.
    Path(Word),
    /// A file that is in the Containerfile; its name is the delimiter.
    Heredoc(Heredoc),
}

/// COPY.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Copy {
    /// What is copied.
    pub sources: Vec<CopySource>,
    /// Where to.
    pub destination: Word,
    /// `--from`: a stage, its number, a named context or an image.
    pub from: Option<Word>,
    /// `--chown`.
    pub owner: Option<Word>,
    /// `--chmod`.
    pub mode: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--parents`.
    pub parents: bool,
    /// `--exclude`.
    pub excludes: Vec<Word>,
}

/// ADD.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Add {
    /// What is added.
    pub sources: Vec<CopySource>,
    /// Where to.
    pub destination: Word,
    /// `--chown`.
    pub owner: Option<Word>,
    /// `--chmod`.
    pub mode: Option<Word>,
    /// `--link`.
    pub link: bool,
    /// `--exclude`.
    pub excludes: Vec<Word>,
    /// `--checksum`.
    pub checksum: Option<Word>,
    /// `--keep-git-dir`.
    pub keep_git_dir: Option<bool>,
    /// `--unpack`: whether archives are taken apart; `None` for local ones alone.
    pub unpack: Option<bool>,
}

/// A variable of ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ArgItem {
    /// The name.
    pub name: Word,
    /// What is behind `=`, with its quotes; `None` where there is no `=`.
    pub default: Option<Word>,
}

/// ARG.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Arg {
    /// The variables; at least one.
    pub items: Vec<ArgItem>,
}

/// ENV.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Env {
    /// The variables; at least one.
    pub pairs: Vec<Pair>,
}

/// LABEL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Label {
    /// The labels; at least one.
    pub pairs: Vec<Pair>,
}

/// EXPOSE.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Expose {
    /// The ports as they are written, at least one: see [`parse_ports`](super::parse_ports).
    pub ports: Vec<Word>,
}

/// HEALTHCHECK.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Healthcheck {
    /// There is none, whatever the base image has.
    None,
    /// A program that tells how the container is.
    #[non_exhaustive]
    Command {
        /// The program.
        command: CommandLine,
        /// The time between two checks.
        interval: Option<Duration>,
        /// The time after which a check has failed.
        timeout: Option<Duration>,
        /// The time in which failures do not count, from the start of the container.
        start_period: Option<Duration>,
        /// The time between two checks within it.
        start_interval: Option<Duration>,
        /// The failures that make a container unhealthy; 0 for what the engine takes.
        retries: u32,
    },
}

/// MAINTAINER.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Maintainer {
    /// The author.
    pub name: Word,
}

/// ONBUILD.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Onbuild {
    /// The instruction that an image made from this one begins with, as it is stored: with its
    /// heredocs behind it.
    pub text: String,
    /// It, parsed.
    pub trigger: Box<Statement>,
}

/// SHELL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Shell {
    /// The shell and its arguments; at least one word.
    pub words: Vec<Word>,
}

/// STOPSIGNAL.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopSignal {
    /// A name or a number.
    pub signal: Word,
}

/// USER.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct User {
    /// A user, perhaps with a group: `name:group`.
    pub user: Word,
}

/// VOLUME.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// The paths; at least one.
    pub paths: Vec<Word>,
}

/// WORKDIR.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Workdir {
    /// The path.
    pub path: Word,
}
