//! Tests of the whole store.

mod crash;
mod full;
mod golden;
mod support;
mod working;
mod writing;
