//! `build`, the command: from flags and the environment to an image, for the programs that have it.
//!
//! [`Arguments`] are the flags of buildah and podman, and some of BuildKit's; [`run`] does what they
//! say. What is known and cannot be done yet is refused by its name.

mod arguments;
mod bases;
mod cache;
mod check;
mod command;
mod compression;
mod environment;
mod executor;
mod inputs;
mod layout;
mod network;
mod outputs;
mod preprocess;
mod provenance;
mod refused;
mod request;
mod results;
mod run_arguments;
mod show;
mod source_policy;
mod summary;
mod users;
mod values;

pub use arguments::Arguments;
pub use command::run;
pub use executor::{runtime, usual_runtime};
pub use inputs::{Downloads, git};
pub use network::{make_network, resolv_conf, working_network};
pub use run_arguments::{seccomp_profile, security_option};
pub use users::UsersArguments;
pub use values::size;
