#![doc = include_str!("../README.md")]

pub mod conformance;
pub mod generate;
pub mod memory;
pub mod registry;
