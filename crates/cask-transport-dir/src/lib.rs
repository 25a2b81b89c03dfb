#![doc = include_str!("../README.md")]

mod destination;
mod directory;
mod limits;
mod location;
mod names;
mod replace;
mod source;
mod staging;

#[cfg(test)]
mod tests;

pub use location::DirTransport;
