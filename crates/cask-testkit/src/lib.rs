//! For tests: image generators, a conformance suite for transports, hostile inputs.
