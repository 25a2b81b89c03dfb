//! Parses, normalises and prints the names of container images.
