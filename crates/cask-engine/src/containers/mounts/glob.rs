//! Files of this machine that fit a pattern, each mounted by itself.

use std::path::{Component, Path, PathBuf};

use regex_lite::Regex;

use super::{MountConfig, MountType, clean, invalid, split, target};
use crate::Result;

impl MountConfig {
    /// Reads the value of `--mount`, which may be several with `type=glob`: what fits the source is mounted read and
    /// write where it is here, or below the target.
    ///
    /// # Errors
    /// [`ErrorKind::Invalid`](crate::ErrorKind::Invalid).
    ///
    /// Source: podman, `pkg/specgenutil/volumes.go`, `getGlobMounts`.
    pub fn of_mounts(text: &str, here: &Path) -> Result<Vec<Self>> {
        let (kind, options): (Vec<_>, Vec<_>) =
            text.split(',').map(split).partition(|(name, _)| *name == "type");
        if kind.last().and_then(|(_, kind)| *kind) != Some("glob") {
            return Ok(vec![Self::of_mount(text, here)?]);
        }
        let mut every = Self::new(MountType::Bind, "", "");
        let (mut pattern, mut below) = ("", None);
        for (name, value) in options {
            match (name, value) {
                ("source" | "src", Some(value)) => pattern = value,
                ("target" | "destination" | "dst" | "dest", Some(value)) => {
                    below = Some(target(value, text)?);
                }
                (name, value) => every.set(name, value, text)?,
            }
        }
        let found = fitting(&clean(&here.join(pattern)))
            .ok_or_else(|| invalid(text, "the pattern makes no sense"))?;
        if found.is_empty() {
            return Err(invalid(text, format!("no file paths matching glob {pattern:?}")));
        }
        let mount = |path: PathBuf| {
            let name = path.file_name().unwrap_or_default();
            let to = below.as_ref().map_or_else(|| path.clone(), |below| below.join(name));
            Self { source: path.display().to_string(), target: to, ..every.clone() }
        };
        Ok(found.into_iter().map(mount).collect())
    }
}

/// The paths that fit a pattern, in order; `None` where that is none.
///
/// Source: Go, `path/filepath`, `Glob`.
fn fitting(pattern: &str) -> Option<Vec<PathBuf>> {
    let mut found = vec![PathBuf::from("/")];
    for component in Path::new(pattern).components() {
        let Component::Normal(name) = component else { continue };
        let Some(name) = name.to_str().filter(|name| name.contains(['*', '?', '[', '\\'])) else {
            found =
                found.into_iter().map(|path| path.join(name)).filter(|path| exists(path)).collect();
            continue;
        };
        let name = expression(name)?;
        found = found.iter().flat_map(|directory| entries(directory, &name)).collect();
    }
    Some(found)
}

/// Whether there is such a name, wherever it leads.
fn exists(path: &Path) -> bool {
    path.symlink_metadata().is_ok()
}

fn entries(directory: &Path, name: &Regex) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let fits = |entry: &std::fs::DirEntry| {
        entry.file_name().to_str().is_some_and(|entry| name.is_match(entry))
    };
    let mut found: Vec<PathBuf> = entries.filter(fits).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// One component of a pattern as a regular expression.
fn expression(pattern: &str) -> Option<Regex> {
    let mut text = String::from("(?s)^");
    let mut letters = pattern.chars();
    while let Some(letter) = letters.next() {
        match letter {
            '*' => text.push_str(".*"),
            '?' => text.push('.'),
            '\\' => text.push_str(&regex_lite::escape(&letters.next()?.to_string())),
            '[' => {
                text.push('[');
                for (place, letter) in
                    letters.by_ref().take_while(|letter| *letter != ']').enumerate()
                {
                    match letter {
                        '^' if place == 0 => text.push('^'),
                        '-' => text.push('-'),
                        letter => text.push_str(&regex_lite::escape(&letter.to_string())),
                    }
                }
                text.push(']');
            }
            letter => text.push_str(&regex_lite::escape(&letter.to_string())),
        }
    }
    Regex::new(&(text + "$")).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fits_is_mounted_one_by_one() {
        let place = tempfile::tempdir().unwrap();
        for name in ["v1a", "v1b", "v2", "v[x", "d1/f", "d2/f"] {
            let path = place.path().join(name);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        let check = |text: &str, expected: &[&str]| {
            let found = MountConfig::of_mounts(text, place.path()).unwrap();
            let own = |path: &str| path.replace(&place.path().display().to_string(), "HERE");
            let shown: Vec<String> = found
                .iter()
                .map(|one| {
                    own(&format!(
                        "{}>{}{}",
                        one.source,
                        one.target.display(),
                        if one.read_only { " ro" } else { "" }
                    ))
                })
                .collect();
            assert_eq!(shown, expected, "{text}");
        };
        check("type=glob,src=v1*,ro", &["HERE/v1a>HERE/v1a ro", "HERE/v1b>HERE/v1b ro"]);
        check("src=v?,type=glob,dst=/x", &["HERE/v2>/x/v2"]);
        check("type=glob,src=v1[^a],target=/x", &["HERE/v1b>/x/v1b"]);
        check("type=glob,src=v\\[*,target=/x", &["HERE/v[x>/x/v[x"]);
        check("type=glob,src=d[1-2]/f,target=/x", &["HERE/d1/f>/x/f", "HERE/d2/f>/x/f"]);
        check("type=bind,src=v*,target=/x", &["HERE/v*>/x"]);
        let refused =
            |text: &str| MountConfig::of_mounts(text, place.path()).unwrap_err().to_string();
        assert!(refused("type=glob,src=v3*").contains("no file paths matching glob \"v3*\""));
        assert!(refused("type=glob,src=v[").contains("makes no sense"));
    }
}
