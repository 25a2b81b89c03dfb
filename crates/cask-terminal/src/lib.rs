#![doc = include_str!("../README.md")]

mod go;
pub mod logging;
pub mod output;
pub mod progress;
pub mod report;
pub mod syslog;
pub mod table;
pub mod template;
pub mod value;
