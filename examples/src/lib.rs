//! Examples of embedding Cask.
