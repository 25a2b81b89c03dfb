//! placeholder
mod go;
pub mod table;
pub mod template;
pub mod value;
