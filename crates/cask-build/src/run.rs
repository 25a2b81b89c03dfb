//! RUN: a command in the image, and the layer that its changes make.

mod agent;
pub(crate) mod cache_mount;
mod command;
mod execute;
mod kept_volumes;
mod materialize;
mod mounts;
mod names;
mod output;
mod step;
mod stubs;

pub(crate) use execute::sysctls;
pub(crate) use mounts::memory;
pub(crate) use names::resolv_conf;
