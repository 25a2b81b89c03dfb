//! Directories of images.

use std::collections::VecDeque;
use std::path::{Path, PathBuf};
use std::{fs, io};

use cask_transport::{Error, ErrorKind, Result, blocking};

/// How many directories are looked into.
const MAX_DIRECTORIES: usize = 1_000_000;

/// Lists the directories below one, and itself, that have a file of the given name: each as its
/// path from there, in their order, and empty for the one itself. What is below such a directory
/// is not looked at, and symbolic links are not followed, except to `base`.
///
/// Source: skopeo, `imagesToCopyFromDir`.
///
/// # Errors
/// `Io` of the system, with the path; `Corrupt` for a name that is not UTF-8;
/// `LimitExceeded` above 1,000,000 directories.
pub async fn directories_with(base: &Path, file: &'static str) -> Result<Vec<String>> {
    let base = base.to_owned();
    blocking(move || walk(&base, file)).await
}

fn walk(base: &Path, file: &str) -> Result<Vec<String>> {
    let (mut found, mut seen) = (Vec::new(), 0);
    let mut waiting = VecDeque::from([PathBuf::new()]);
    while let Some(relative) = waiting.pop_front() {
        let directory = match relative.as_os_str().is_empty() {
            true => base.to_owned(),
            false => base.join(&relative),
        };
        // That there is no directory does not say that there is no image.
        let fail = |error: io::Error| {
            Error::new(ErrorKind::Io, "listing", directory.display()).with_source(error)
        };
        seen += 1;
        if seen > MAX_DIRECTORIES {
            return Err(Error::new(ErrorKind::LimitExceeded, "listing", base.display())
                .with_detail(format!("there are more than {MAX_DIRECTORIES} directories")));
        }
        let (mut below, mut is_one) = (Vec::new(), false);
        for entry in fs::read_dir(&directory).map_err(fail)? {
            let entry = entry.map_err(fail)?;
            let kind = entry.file_type().map_err(fail)?;
            if kind.is_dir() {
                below.push(relative.join(entry.file_name()));
            } else if entry.file_name() == file {
                is_one = true;
            }
        }
        if !is_one {
            waiting.extend(below);
            continue;
        }
        match relative.to_str() {
            Some(path) => found.push(path.to_owned()),
            None => {
                return Err(Error::new(ErrorKind::Corrupt, "listing", directory.display())
                    .with_detail("its name is not UTF-8"));
            }
        }
    }
    found.sort();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn images_are_found_however_deep_and_not_within_each_other() {
        let base = tempfile::tempdir().unwrap();
        for path in ["b:1", "a/deep/c:2", "a/none", "b:1/inner"] {
            fs::create_dir_all(base.path().join(path)).unwrap();
        }
        for path in ["b:1", "a/deep/c:2", "b:1/inner"] {
            fs::write(base.path().join(path).join("manifest.json"), "").unwrap();
        }
        std::os::unix::fs::symlink(base.path(), base.path().join("a/loop")).unwrap();
        let found = directories_with(base.path(), "manifest.json").await.unwrap();
        assert_eq!(found, ["a/deep/c:2", "b:1"]);
        let one = directories_with(&base.path().join("b:1"), "manifest.json").await.unwrap();
        assert_eq!(one, [""]);
        let error = directories_with(&base.path().join("nope"), "x").await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io);
    }
}
