//! A place of signatures.

use std::path::PathBuf;

use cask_reference::Digest;
use url::Url;

/// A place of signatures: of all repositories, of one, or of one manifest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Lookaside {
    /// A directory. It can be written.
    Directory(PathBuf),
    /// A web server. It can only be read.
    Web(Url),
}

impl Lookaside {
    /// Parses `file:///PATH`, `http://…` or `https://…`; the error says why it is neither.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let mut url = Url::parse(text).map_err(|error| format!("no URL: {error}"))?;
        match url.scheme() {
            // Relative paths and hosts have no meaning here; the parser makes the former absolute.
            "file" if text.starts_with("file:///") => match url.to_file_path() {
                Ok(path) => Ok(Self::Directory(path)),
                Err(()) => Err("no path of this machine".to_owned()),
            },
            "file" => Err("a file:// URL has an absolute path: file:///PATH".to_owned()),
            "http" | "https" => {
                url.set_fragment(None);
                Ok(Self::Web(url))
            }
            scheme => Err(format!("{scheme} is neither file, http nor https")),
        }
    }

    /// What lies below, by a name that may have slashes.
    fn below(&self, name: &str) -> Self {
        match self {
            Self::Directory(path) => Self::Directory(path.join(name)),
            Self::Web(url) => {
                let mut url = url.clone();
                url.set_path(&format!("{}/{name}", url.path().trim_end_matches('/')));
                Self::Web(url)
            }
        }
    }

    /// The place of a repository, by its path. It is the beginning of the names of the places of
    /// its manifests, not above them.
    pub(super) fn of_repository(&self, path: &str) -> Self {
        self.below(path)
    }

    /// The signature of this number, from 1, of a manifest of the repository that this is the
    /// place of.
    ///
    /// Source: containers/image, `lookasideStorageURL`.
    #[must_use]
    pub fn signature(&self, manifest: &Digest, number: usize) -> Self {
        let suffix = format!("@{}={}/signature-{number}", manifest.algorithm(), manifest.hex());
        match self {
            Self::Directory(path) => {
                let mut path = path.clone().into_os_string();
                path.push(suffix);
                Self::Directory(path.into())
            }
            Self::Web(url) => {
                let mut url = url.clone();
                url.set_path(&format!("{}{suffix}", url.path()));
                Self::Web(url)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_directory_or_a_web_server() {
        #[track_caller]
        fn check(text: &str, expected: Result<&str, &str>) {
            let digest: Digest = format!("sha256:{}", "0a".repeat(32)).parse().unwrap();
            let found = Lookaside::parse(text).map(|base| {
                match base.of_repository("a/b").signature(&digest, 1) {
                    Lookaside::Directory(path) => path.display().to_string(),
                    Lookaside::Web(url) => url.to_string(),
                }
                .replace(&"0a".repeat(32), "HEX")
            });
            assert_eq!(found.as_deref().map_err(String::as_str), expected, "{text}");
        }
        check("file:///var/lib/x", Ok("/var/lib/x/a/b@sha256=HEX/signature-1"));
        check("file:///var/lib/x/", Ok("/var/lib/x/a/b@sha256=HEX/signature-1"));
        check("file:///with%20space", Ok("/with space/a/b@sha256=HEX/signature-1"));
        check("https://s.example", Ok("https://s.example/a/b@sha256=HEX/signature-1"));
        check("http://s.example:1/x/?q#f", Ok("http://s.example:1/x/a/b@sha256=HEX/signature-1?q"));
        check("file://host/x", Err("a file:// URL has an absolute path: file:///PATH"));
        check("file:x", Err("a file:// URL has an absolute path: file:///PATH"));
        check("ftp://x", Err("ftp is neither file, http nor https"));
        check("/var/lib", Err("no URL: relative URL without a base"));
    }
}
