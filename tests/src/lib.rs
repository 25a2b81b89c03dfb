//! Tests of the programs together, and against their peers.
