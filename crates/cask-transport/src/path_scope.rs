//! Paths as scopes of the signature policy.

use std::path::{Path, PathBuf};

use crate::{Error, ErrorKind, PolicyIdentity, Result};

/// Under which names the policy looks up a path: itself without symbolic links, then each
/// directory above it, the root excepted. The last part of the path need not exist.
///
/// # Errors
/// `NotFound` if a directory on the way does not exist; `Io` or `Denied` if it cannot be read;
/// `InvalidLocation` if the path without its links is not UTF-8.
///
/// Source: containers/image, `oci/layout/oci_transport.go` and
/// `directory/explicitfilepath/path.go`.
pub fn path_policy_identity(path: &Path) -> Result<PolicyIdentity> {
    // Policies are text: two paths that look alike there must not be taken for one another.
    let identity = resolve(path)?.into_os_string().into_string().map_err(|resolved| {
        Error::new(ErrorKind::InvalidLocation, "resolving", path.display())
            .with_detail(format!("it is {resolved:?}, which is not UTF-8"))
    })?;
    let ends = identity.match_indices('/').map(|(slash, _)| slash).chain([identity.len()]);
    // The root says nothing that the transport's own default does not say.
    let mut namespaces: Vec<_> =
        ends.filter(|end| *end > 1).map(|end| identity[..end].to_owned()).collect();
    namespaces.reverse();
    Ok(PolicyIdentity { identity, namespaces })
}

fn resolve(path: &Path) -> Result<PathBuf> {
    let fail = |error| Error::from_io(error, "resolving", path.display());
    // A slash at the end would have a link followed that leads nowhere.
    let bare: PathBuf = path.components().collect();
    let in_its_directory = |error| {
        let absolute = std::path::absolute(&bare).map_err(fail)?;
        let (Some(parent), Some(name)) = (absolute.parent(), absolute.file_name()) else {
            return Err(fail(error));
        };
        Ok(parent.canonicalize().map_err(fail)?.join(name))
    };
    let is_missing = |error: &std::io::Error| error.kind() == std::io::ErrorKind::NotFound;
    match bare.symlink_metadata() {
        Ok(_) => path.canonicalize().or_else(|error| {
            // A link of /proc leads to a file that has no name.
            match is_missing(&error) && path.metadata().is_ok() {
                true => in_its_directory(error),
                false => Err(fail(error)),
            }
        }),
        Err(error) if is_missing(&error) => in_its_directory(error),
        Err(error) => Err(fail(error)),
    }
}

/// Checks that a scope is an absolute path in its shortest form, and not the root.
///
/// # Errors
/// `InvalidLocation`, with a better way to write the scope.
///
/// Source: containers/image, `oci/internal/oci_util.go`, `ValidateScope`.
pub fn validate_path_scope(scope: &str) -> Result<()> {
    let invalid =
        |detail: String| Err(Error::new(ErrorKind::InvalidLocation, "", "").with_detail(detail));
    if !scope.starts_with('/') {
        return invalid(format!("Invalid scope {scope}: must be an absolute path"));
    }
    if scope == "/" {
        return invalid("Invalid scope \"/\": Use the generic default scope \"\"".to_owned());
    }
    let clean = clean(scope);
    if clean != scope {
        return invalid(format!(
            "Invalid scope {scope}: Uses non-canonical path format, perhaps try with path {clean}"
        ));
    }
    Ok(())
}

/// An absolute path without `.`, `..` and doubled slashes, by its text alone.
fn clean(path: &str) -> String {
    let mut parts = Vec::new();
    for part in path.split('/') {
        match part {
            "" | "." => {}
            ".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_known_by_itself_and_what_is_above() {
        let temp = tempfile::tempdir().unwrap();
        let real = temp.path().canonicalize().unwrap();
        std::fs::create_dir(real.join("a")).unwrap();
        std::os::unix::fs::symlink("a", real.join("link")).unwrap();
        let check = |path: &Path, expected: PathBuf| {
            let found = path_policy_identity(path).unwrap();
            assert_eq!(found.identity, expected.display().to_string(), "{}", path.display());
            assert_eq!(found.namespaces[0], found.identity);
            assert_eq!(found.namespaces[1], expected.parent().unwrap().display().to_string());
            assert_eq!(found.namespaces.last().unwrap().matches('/').count(), 1);
        };
        check(&real.join("a"), real.join("a"));
        check(&real.join("a/."), real.join("a"));
        check(&real.join("link/../a"), real.join("a"));
        check(&real.join("link"), real.join("a"));
        check(&real.join("link/new"), real.join("a/new"));
        check(&real.join("new"), real.join("new"));
        let root = path_policy_identity(Path::new("/")).unwrap();
        assert_eq!((root.identity.as_str(), root.namespaces.len()), ("/", 0));
        let error = path_policy_identity(&real.join("none/new")).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }

    #[test]
    fn scopes_are_clean_absolute_paths() {
        fn check(scope: &str, expected: Option<&str>) {
            let found = validate_path_scope(scope).err().map(|error| error.to_string());
            assert_eq!(found.as_deref(), expected, "{scope}");
        }
        check("/etc", None);
        check("/this/does/not/exist", None);
        check("x", Some("Invalid scope x: must be an absolute path"));
        check("", Some("Invalid scope : must be an absolute path"));
        check("/", Some("Invalid scope \"/\": Use the generic default scope \"\""));
        check(
            "/a/../../b/./c//d/",
            Some(
                "Invalid scope /a/../../b/./c//d/: Uses non-canonical path format, perhaps try \
                 with path /b/c/d",
            ),
        );
    }
}
