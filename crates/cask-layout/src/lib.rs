//! The OCI image-layout directory: lock, read, write, sweep.
