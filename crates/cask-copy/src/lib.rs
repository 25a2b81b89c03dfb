//! Plans and executes copies of images between any two places.
