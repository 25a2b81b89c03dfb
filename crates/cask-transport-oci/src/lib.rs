//! The oci: transport: images in an OCI image-layout directory.
