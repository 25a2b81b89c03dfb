//! Tables of cases, found and read.

use std::path::PathBuf;

use serde_json::Value;

/// The folder of cases; `None` where there is none and none is needed. `what` is what is not tested
/// then.
///
/// # Panics
/// If there is none, and `CI` is set.
#[expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]
pub fn folder(what: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("CASK_CASES").map(PathBuf::from);
    if folder.is_none() {
        assert!(std::env::var_os("CI").is_none(), "CASK_CASES must be set where CI is");
        eprintln!("CASK_CASES is not set: {what} is not tested");
    }
    folder
}

/// A file of the folder, parsed; `None` where there is no folder.
///
/// # Panics
/// As [`folder`]; if the file is not there, or is not JSON.
pub fn document(file: &str) -> Option<Value> {
    let path = folder(file)?.join(file);
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    let parsed = serde_json::from_slice(&bytes);
    Some(parsed.unwrap_or_else(|error| panic!("{}: {error}", path.display())))
}

/// The rows of one table of a file; `None` where there is no folder.
///
/// # Panics
/// As [`document`]; if the table is not there, or has another number of rows.
pub fn rows(file: &str, table: &str, count: usize) -> Option<Vec<Value>> {
    let mut document = document(file)?;
    match document["tables"][table]["rows"].take() {
        Value::Array(rows) => {
            assert_eq!(rows.len(), count, "the rows of {table} in {file}");
            Some(rows)
        }
        _ => panic!("{file} has no table {table}"),
    }
}
