//! A tar file as a container of files: an index of its members, parallel reads and writes.
