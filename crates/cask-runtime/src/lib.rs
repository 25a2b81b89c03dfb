#![doc = include_str!("../README.md")]

mod cancel;
mod capability;
mod cdi;
mod cgroup;
mod channel;
mod chroot;
mod enter;
mod error;
mod executor;
mod given;
mod handle;
mod helper;
mod hooks;
mod identity;
mod ids;
mod in_root;
mod inherited;
mod launch;
mod limit;
mod mount;
mod namespace;
mod native;
mod oci;
mod overlay;
mod owners;
mod plan;
mod prepare;
mod program;
mod report;
mod running;
mod seccomp;
mod services;
mod signal;
mod spec;
mod sys;
mod wire;

pub use cancel::Cancel;
pub use capability::{Capability, CapabilitySet};
pub use cdi::{CDI_DIRECTORIES, CdiEdits, is_cdi_device};
pub use cgroup::{
    Cgroup, CgroupLimits, CgroupStats, DeviceAccess, DeviceKind, DeviceRule, DiskRate, DiskUse,
    DiskWeight,
};
pub use chroot::ChrootExecutor;
pub use enter::{enter_shared_user_namespace, enter_user_namespace};
pub use error::{Error, ErrorKind, Result};
pub use executor::{Executor, ExecutorCapabilities};
pub use given::GivenFile;
pub use handle::ProcessHandle;
pub use helper::{NOT_STARTED_BY_EXECUTOR, run_helper};
pub use hooks::{Hook, HookFiles, HookStage, Hooks};
pub use identity::{Identity, LONGEST_USER_FILE_BYTES, read_user_file};
pub use inherited::{
    close_inherited_descriptors, has_inherited_descriptor, take_inherited_descriptor,
};
pub use limit::{Limit, Resource};
pub use mount::{
    CopyUp, Memory, Mount, MountAccess, MountOptions, MountSource, Overlay, Propagation,
    has_selinux,
};
pub use namespace::{
    enter_mounts_with_file, enter_network_namespace, new_network_namespace, new_user_namespace,
};
pub use native::{NativeExecutor, NativeOptions};
pub use oci::{OciExecutor, OciOptions};
pub use owners::give_files;
pub use report::{ExitReport, ExitStatus, Note, Usage};
pub use running::{Created, Running};
pub use seccomp::{Seccomp, SeccompProfile};
pub use services::{ScopeKeeper, ServiceManager};
pub use signal::Signal;
pub use spec::{
    ControlGroupFiles, DEFAULT_PATH, Device, Files, IdMaps, IdRange, Input, Io, Namespace,
    Namespaces, Network, Output, PassedDescriptor, Personality, Privileges, Process, RunSpec,
    TerminalSize, UserNamespace,
};
