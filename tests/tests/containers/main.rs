//! Containers of `cellar`, as root: they run, are watched, joined, stopped and removed, and leave nothing.

mod faults;
mod life;
mod support;
