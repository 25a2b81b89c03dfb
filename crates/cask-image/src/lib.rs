//! Digests, media types, platforms, manifests, indexes and configs of container images.
