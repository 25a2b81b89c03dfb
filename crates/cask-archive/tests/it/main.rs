//! Archives as others write them, as others read them, and as nobody should write them.

#![cfg(test)]

mod append;
mod cases;
mod crash;
mod hostile;
mod order;
mod peers;
mod raw;
mod read;
mod write;
