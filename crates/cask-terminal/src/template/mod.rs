//! Go's `text/template`, for `--format`.
//!
//! ```
//! use cask_terminal::template::Template;
//! use cask_terminal::value::Value;
//!
//! let data = Value::of(&serde_json::json!({"Name": "busybox", "Layers": ["a", "b"]}))?;
//! let template = Template::parse("inspect", "{{.Name}}: {{range .Layers}}<{{.}}>{{end}}")?;
//! assert_eq!(template.render(&data)?, b"busybox: <a><b>");
//!
//! let error = Template::parse("inspect", "{{len 5}}")?.render(&data).unwrap_err();
//! assert_eq!(
//!     error.to_string(),
//!     r#"template: inspect:1:2: executing "inspect" at <len 5>: error calling len: len of type int"#
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Source: `text/template` of Go 1.19, with what later releases added: `range` over an integer and
//! `else with`. The functions besides Go's own are those of podman, buildah and skopeo.

mod compare;
mod error;
mod escape;
mod evaluate;
mod execute;
mod format;
mod functions;
mod index;
mod lex;
mod literal;
mod node;
mod parse;
mod strings;
#[cfg(test)]
mod tests;
mod time;

pub use error::{ExecutionError, ExecutionErrorKind, ParseError, ParseErrorKind};
pub use execute::{Limits, Template};
pub use format::{Format, Headers, Origin, is_json_format};
