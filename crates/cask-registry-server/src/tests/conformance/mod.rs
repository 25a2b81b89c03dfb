//! The workflows of the distribution specification, as its conformance suite checks them: each
//! check names the sentence that it is of.
//!
//! Source: OCI distribution specification 1.1 and its working draft; its `conformance` program,
//! whose sets of content and ways to upload these are.

mod blobs;
mod content;
mod errors;
mod sets;
mod suite;
