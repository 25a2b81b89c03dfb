//! Archives of images: read, written, added to, and refused.

#![cfg(test)]

mod append;
mod fixtures;
mod hybrid;
mod read;
mod write;
