//! Truths as Go's tools write them.

/// What a text says of true and false, in any of the ways in which it can be written in Go's options and files; `None`
/// for what is neither. Upper and lower case may not be mixed, except in `True` and `False`.
///
/// ```
/// assert_eq!(cask_config::truth("T"), Some(true));
/// assert_eq!(cask_config::truth("False"), Some(false));
/// assert_eq!(cask_config::truth("yes"), None);
/// ```
///
/// Source: Go, `strconv.ParseBool`.
pub fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
