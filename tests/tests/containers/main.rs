//! Containers of `cellar`, as root: they run, are watched, joined, stopped and removed, and leave nothing.

mod advisories;
mod copies;
mod faults;
mod files;
mod flags;
mod groups;
mod health;
mod hooks;
mod life;
mod lives;
mod network;
mod newer;
mod output;
mod prepared;
mod reset;
mod several;
mod space;
mod support;
mod terminal;
mod told;
mod users;
mod verbs;
mod volumes;
