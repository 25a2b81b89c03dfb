#![doc = include_str!("../README.md")]

mod cancel;
mod capability;
mod channel;
mod chroot;
mod enter;
mod error;
mod executor;
mod helper;
mod identity;
mod ids;
mod in_root;
mod launch;
mod limit;
mod mount;
mod native;
mod oci;
mod plan;
mod prepare;
mod report;
mod seccomp;
mod spec;
mod sys;
mod wire;

pub use cancel::Cancel;
pub use capability::{Capability, CapabilitySet};
pub use chroot::ChrootExecutor;
pub use enter::enter_user_namespace;
pub use error::{Error, ErrorKind, Result};
pub use executor::{Executor, ExecutorCapabilities};
pub use helper::{NOT_STARTED_BY_EXECUTOR, run_helper};
pub use identity::{Identity, LONGEST_USER_FILE_BYTES};
pub use limit::{Limit, Resource};
pub use mount::{Mount, MountAccess, MountOptions, MountSource, Propagation};
pub use native::{NativeExecutor, NativeOptions};
pub use oci::{OciExecutor, OciOptions};
pub use report::{ExitReport, ExitStatus, Note, Usage};
pub use seccomp::Seccomp;
pub use spec::{
    DEFAULT_PATH, Files, IdMaps, IdRange, Input, Io, Network, Output, Privileges, Process, RunSpec,
    UserNamespace,
};
