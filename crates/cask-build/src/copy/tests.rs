//! COPY and ADD, row by row. What buildah 1.28.2 makes of the same is said where it differs.

mod adding;
mod copying;
mod destinations;
mod hostile;
mod keys;
mod properties;
mod repositories;
mod speed;
mod support;
