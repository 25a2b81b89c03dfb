//! Tests of the whole store.

mod crash;
mod golden;
mod support;
mod writing;
