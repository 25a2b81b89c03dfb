//! The dir: transport: one image as plain files in a directory.
