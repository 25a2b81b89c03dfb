//! Tests of the whole store.

mod golden;
mod support;
