//! The oci-archive: transport: an OCI image layout in a tar file.
