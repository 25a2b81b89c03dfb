//! Requests and what is answered: the cases of the distribution specification's conformance suite
//! under its names, and what an attacker or a bad network does.

mod conformance;
mod content_discovery;
mod content_management;
mod hostile;
mod pull;
mod push;
mod server;
mod support;
