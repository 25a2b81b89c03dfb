//! Scopes that are paths.

use std::error::Error;
use std::fmt;

/// Checks a scope of a transport whose images are files or directories: it must be an absolute
/// path in its shortest form, and not the root, which would mean the same as `""`.
///
/// Symbolic links are not looked at. For [`Policy::validate_scopes`](crate::Policy::validate_scopes).
///
/// # Errors
/// The reason, with a better way to write the scope.
///
/// Source: containers/image, `ValidatePolicyConfigurationScope` of `dir:`, `oci:` and `oci-archive:`.
pub fn validate_path_scope(scope: &str) -> Result<(), PathScopeError> {
    let advice = if !scope.starts_with('/') {
        Advice::Absolute
    } else if scope == "/" {
        Advice::Default
    } else {
        match shortest(scope) {
            shortest if shortest == scope => return Ok(()),
            shortest => Advice::Shorter(shortest),
        }
    };
    Err(PathScopeError { scope: scope.into(), advice })
}

/// A path that cannot be a scope.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PathScopeError {
    scope: String,
    advice: Advice,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Advice {
    Absolute,
    Default,
    Shorter(String),
}

impl fmt::Display for PathScopeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = cask_json::quoted_as_go(&self.scope);
        write!(f, "invalid scope {scope}: ")?;
        match &self.advice {
            Advice::Absolute => f.write_str("must be an absolute path"),
            Advice::Default => f.write_str("use the generic default scope \"\""),
            Advice::Shorter(path) => {
                let path = cask_json::quoted_as_go(path);
                write!(f, "uses non-canonical format, perhaps try {path}")
            }
        }
    }
}

impl Error for PathScopeError {}

/// The shortest form of an absolute path, judged by its text alone.
///
/// Source: Go's `path/filepath`, `Clean`.
fn shortest(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_absolute_paths_in_their_shortest_form_are_scopes() {
        #[track_caller]
        fn check(scope: &str, expected: &str) {
            let found = validate_path_scope(scope)
                .map_or_else(|error| error.to_string(), |()| String::new());
            assert_eq!(found, expected, "{scope:?}");
        }
        check("/srv", "");
        check("/srv/a b", "");
        check("/...", "");
        check("srv", r#"invalid scope "srv": must be an absolute path"#);
        check("", r#"invalid scope "": must be an absolute path"#);
        check("/", r#"invalid scope "/": use the generic default scope """#);
        let shorter = |scope: &str, better: &str| {
            check(
                scope,
                &format!(
                    "invalid scope {scope:?}: uses non-canonical format, perhaps try {better:?}"
                ),
            );
        };
        shorter("/srv/", "/srv");
        shorter("//srv", "/srv");
        shorter("/srv/./a", "/srv/a");
        shorter("/srv/../../etc", "/etc");
        shorter("/..", "/");
    }
}
