//! The registry: what it lets in, what it tells, how it fails, whom it imitates.

mod access;
mod faults;
mod http;
mod vendors;
