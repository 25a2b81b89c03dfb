//! The seam: what a place that holds images must supply, and what its users are given.
