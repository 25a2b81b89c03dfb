//! Tables, and the sizes, ages and names in them.
//!
//! ```
//! use cask_terminal::table::{Layout, Table};
//!
//! let mut table = Table::new(["REPOSITORY", "SIZE"]);
//! table.row(["quay.io/library/busybox", "1.24 MB"]);
//! table.row(["alpine", "5.57 MB"]);
//! assert_eq!(
//!     table.render(Layout::PODMAN),
//!     "REPOSITORY               SIZE\n\
//!      quay.io/library/busybox  1.24 MB\n\
//!      alpine                   5.57 MB\n"
//! );
//! ```

mod align;
mod duration;
mod identifier;
mod rows;
mod size;

pub use align::{Layout, align};
pub use duration::{ago, human_duration};
pub use identifier::short_id;
pub use rows::Table;
pub use size::{binary_size, human_size, human_size_with_precision, spaced_size};
