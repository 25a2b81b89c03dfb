//! Tests of the whole store.

mod crash;
mod full;
mod golden;
mod kept;
mod rebuilt;
mod support;
mod transient;
mod working;
mod writing;
