//! The commands of containers and volumes, one file each.

mod attach;
mod create;
mod ended;
mod exec;
mod exists;
mod inspect;
mod kill;
mod logs;
mod mount;
mod options;
mod pause;
mod port;
mod prune;
mod ps;
mod relay;
mod rename;
mod restart;
mod rm;
mod run;
mod several;
mod start;
mod stop;
mod verbs;
mod volume;
mod wait;

pub(crate) use inspect::documents;
pub(crate) use verbs::{ContainerVerb, internal, run};
