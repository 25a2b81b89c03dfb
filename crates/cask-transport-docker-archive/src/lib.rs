//! The docker-archive: transport: what docker save writes and docker load reads.
