//! What instructions mean.

mod flags;
mod lower;
mod model;
mod mount;
mod mount_fields;
mod values;

pub(crate) use lower::lower;
pub use model::{
    Add, Arg, ArgItem, CommandLine, Copy, CopySource, Device, Env, Expose, From, Healthcheck,
    Instruction, Label, Maintainer, Network, Onbuild, Run, Security, Shell, StopSignal, User,
    Volume, Workdir,
};
pub use mount::{Mount, MountError, MountFlag, MountKind, Propagation, Relabel, Sharing};
pub use values::{InvalidPort, Ports, parse_ports};

/// The words that begin an instruction.
pub const NAMES: [&str; 18] = [
    "ADD",
    "ARG",
    "CMD",
    "COPY",
    "ENTRYPOINT",
    "ENV",
    "EXPOSE",
    "FROM",
    "HEALTHCHECK",
    "LABEL",
    "MAINTAINER",
    "ONBUILD",
    "RUN",
    "SHELL",
    "STOPSIGNAL",
    "USER",
    "VOLUME",
    "WORKDIR",
];

/// The flags that an instruction has, without `--`, in order; none for what is no instruction. Upper
/// and lower case are one.
///
/// ```
/// use cask_containerfile::instruction::flag_names;
///
/// assert_eq!(flag_names("from").collect::<Vec<_>>(), ["after", "platform"]);
/// assert_eq!(flag_names("WORKDIR").count(), 0);
/// ```
pub fn flag_names(instruction: &str) -> impl Iterator<Item = &'static str> {
    let keyword = canonical(instruction).unwrap_or_default();
    flags::known_flags(keyword).iter().map(|(name, _)| *name)
}

/// The instruction that a word begins, in upper case.
pub(crate) fn canonical(word: &str) -> Option<&'static str> {
    let (shortest, longest) = (3, 11);
    if word.len() < shortest || word.len() > longest {
        return None;
    }
    NAMES.iter().copied().find(|name| name.eq_ignore_ascii_case(word))
}
