//! The archive format of docker save: read, write, append.
