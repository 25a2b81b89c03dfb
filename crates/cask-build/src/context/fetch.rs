//! What programs bring along to fetch from the network.

use std::fs::File;
use std::io::{self, Seek, Write};
use std::path::Path;

use cask_image::{Algorithm, Digest, Hasher};

use super::{Git, redacted};
use crate::{Error, ErrorKind, Result};

/// The most bytes of what is fetched by HTTP.
pub(crate) const MAX_DOWNLOAD_BYTES: u64 = 256 << 30;

/// Gets files by HTTP. Implemented by programs, which know about proxies and certificates.
pub trait Fetch: Send + Sync {
    /// Gets what is at an URL of the scheme `http` or `https`, redirects followed, and writes the body,
    /// as the server has it, while it comes. An answer other than 200 is an error.
    ///
    /// # Errors
    /// [`ErrorKind::Fetch`], without credentials in its text; those of `output` as they are.
    fn get(&self, url: &str, output: &mut dyn Write) -> Result<Fetched>;
}

/// What a server said beside the body.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Fetched {
    /// The headers, names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Fetched {
    /// Takes the headers of an answer.
    pub fn new(headers: impl IntoIterator<Item = (String, String)>) -> Self {
        let lower = |(name, value): (String, String)| (name.to_ascii_lowercase(), value);
        Self { headers: headers.into_iter().map(lower).collect() }
    }

    /// What `Last-Modified` says: seconds since the beginning of 1970.
    pub fn last_modified(&self) -> Option<i64> {
        let (_, value) = self.headers.iter().find(|(name, _)| name == "last-modified")?;
        let time = httpdate::parse_http_date(value).ok()?;
        let since = time.duration_since(std::time::UNIX_EPOCH).ok()?;
        i64::try_from(since.as_secs()).ok()
    }
}

/// What fetching contexts needs.
#[derive(Clone, Copy)]
pub struct ContextTools<'t> {
    /// Gets files by HTTP; without, such are refused.
    pub fetch: Option<&'t dyn Fetch>,
    /// Gets repositories; without, such are refused.
    pub git: Option<&'t Git>,
    /// An existing directory for temporary files.
    pub scratch: &'t Path,
}

impl std::fmt::Debug for ContextTools<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("ContextTools").field("scratch", &self.scratch).finish_non_exhaustive()
    }
}

/// A file without a name that was fetched, at its beginning.
pub(crate) struct Downloaded {
    pub(crate) file: File,
    pub(crate) digest: Digest,
    pub(crate) size_bytes: u64,
    pub(crate) last_modified: Option<i64>,
}

/// Fetches a file.
pub(crate) fn download(
    url: &str,
    algorithm: Algorithm,
    fetch: Option<&dyn Fetch>,
    scratch: &Path,
) -> Result<Downloaded> {
    let Some(fetch) = fetch else {
        let detail = "nothing was given that could fetch it by HTTP";
        return Err(Error::new(ErrorKind::Invalid, redacted(url), detail));
    };
    let fail = |error: io::Error| {
        let detail = "no temporary file can be written in it";
        Error::new(ErrorKind::Io, scratch.display(), detail).with_source(error)
    };
    let file = tempfile::tempfile_in(scratch).map_err(fail)?;
    let mut output = Counted { file, hasher: Hasher::new(algorithm), left: MAX_DOWNLOAD_BYTES };
    let fetched = fetch.get(url, &mut output)?;
    let Counted { mut file, hasher, left } = output;
    file.rewind().map_err(fail)?;
    let size_bytes = MAX_DOWNLOAD_BYTES - left;
    let last_modified = fetched.last_modified();
    Ok(Downloaded { file, digest: hasher.finish(), size_bytes, last_modified })
}

struct Counted {
    file: File,
    hasher: Hasher,
    left: u64,
}

impl Write for Counted {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() as u64 > self.left {
            let detail = format!("more than {MAX_DOWNLOAD_BYTES} bytes");
            return Err(io::Error::new(io::ErrorKind::FileTooLarge, detail));
        }
        let count = self.file.write(bytes)?;
        self.hasher.update(&bytes[..count]);
        self.left -= count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// The name that a file from an URL gets: the last one of its path; `None` where it has none.
///
/// Source: BuildKit, `dispatchCopy`.
pub(crate) fn file_name(url: &str) -> Option<String> {
    let behind = url.split_once("://").map_or(url, |(_, rest)| rest);
    let path = behind.split_once('/').map_or("", |(_, path)| path);
    let path = path.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let name = percent_decoded(path.rsplit('/').next().unwrap_or_default());
    let is_name = !matches!(name.as_str(), "" | "." | "..") && !name.contains(['/', '\0']);
    is_name.then_some(name)
}

fn percent_decoded(text: &str) -> String {
    let bytes = text.as_bytes();
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut at = 0;
    while at < bytes.len() {
        let pair = bytes.get(at + 1..at + 3).and_then(|pair| std::str::from_utf8(pair).ok());
        match pair.and_then(|pair| u8::from_str_radix(pair, 16).ok()) {
            Some(byte) if bytes[at] == b'%' => {
                decoded.push(byte);
                at += 3;
            }
            _ => {
                decoded.push(bytes[at]);
                at += 1;
            }
        }
    }
    String::from_utf8(decoded).unwrap_or_else(|_| text.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_are_named_by_the_path_of_their_url() {
        fn check(url: &str, expected: Option<&str>) {
            assert_eq!(file_name(url).as_deref(), expected, "{url}");
        }
        check("https://h/a/b.txt", Some("b.txt"));
        check("https://h/a/b.txt?x=/y", Some("b.txt"));
        check("https://h/a/b/", Some("b"));
        check("https://h/a%20b", Some("a b"));
        check("https://h/a%2fb", None);
        check("https://h/..", None);
        check("https://h/%2e%2e", None);
        check("https://h/", None);
        check("https://h", None);
        check("https://h?x", None);
        check("https://h/100%", Some("100%"));
    }

    #[test]
    fn the_time_of_a_file_is_what_its_server_says() {
        let said = |value: &str| {
            Fetched::new([("Last-Modified".to_owned(), value.to_owned())]).last_modified()
        };
        assert_eq!(said("Sun, 06 Nov 1994 08:49:37 GMT"), Some(784_111_777));
        assert_eq!(said("yesterday"), None);
        assert_eq!(Fetched::default().last_modified(), None);
    }
}
