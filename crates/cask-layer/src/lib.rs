//! Layer tarballs: compression, its detection, and readers that verify.
