//! Signature policy: which images may be used at all.
