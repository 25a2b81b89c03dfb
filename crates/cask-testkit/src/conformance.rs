//! One suite that every transport has to pass.
//!
//! The suite reads a location's capabilities to choose its cases: what a place says it can do is
//! tried, and what it says it cannot do has to be refused and leave no trace.

mod body;
mod cases;
mod collection;
mod held;
mod place;
mod write;

pub use body::{BytesBody, FailingBody};
pub use place::Place;
pub use write::{Interrupted, write, write_signed, write_until};

/// Runs every case against a place, and tells how many ran.
///
/// # Panics
/// At the first promise of the seam that the transport does not keep, naming the case.
pub async fn run(place: &Place) -> usize {
    cases::run(place).await + collection::run(place).await
}
