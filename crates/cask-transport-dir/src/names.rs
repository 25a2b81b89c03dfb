//! The names of the files, and the text of the one that says what the others are.
//!
//! Source: containers/image, `directory/directory_transport.go` and `directory/version.go`.

use cask_image::{Algorithm, Digest};

/// The file that says that the directory is an image.
pub(crate) const VERSION: &str = "version";
/// The top manifest or index.
pub(crate) const MANIFEST: &str = "manifest.json";
/// How much is read of a version file at most, in bytes.
pub(crate) const MAX_VERSION_BYTES: u64 = 256;
/// What every version file starts with.
const VERSION_PREFIX: &str = "Directory Transport Version: ";
/// With what the names of blobs start that another program was killed over.
const FOREIGN_PART: &str = "dir-put-blob";

/// How the files are named.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Version {
    /// As of 1.0: blobs are `<hex>.tar`.
    Tars,
    /// As of 1.1: digests are SHA-256, which the names do not say.
    OneAlgorithm,
    /// As of 1.2: other algorithms are named.
    Algorithms,
}

/// Why a version file cannot be understood.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum VersionFault {
    /// It holds something else.
    Odd,
    /// It is of a version that is not known here.
    Unknown(u32, u32),
}

impl Version {
    /// Parses the text of a version file, which has one spelling only.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, VersionFault> {
        let text = std::str::from_utf8(text).map_err(|_| VersionFault::Odd)?;
        let numbers = text.strip_prefix(VERSION_PREFIX).and_then(|rest| rest.strip_suffix('\n'));
        let (major, minor) =
            numbers.and_then(|numbers| numbers.split_once('.')).ok_or(VersionFault::Odd)?;
        match (number(major), number(minor)) {
            (Some(1), Some(0)) => Ok(Self::Tars),
            (Some(1), Some(1)) => Ok(Self::OneAlgorithm),
            (Some(1), Some(2)) => Ok(Self::Algorithms),
            (Some(major), Some(minor)) => Err(VersionFault::Unknown(major, minor)),
            _ => Err(VersionFault::Odd),
        }
    }

    /// The text of the version file.
    pub(crate) fn text(self) -> String {
        let minor = match self {
            Self::Tars => 0,
            Self::OneAlgorithm => 1,
            Self::Algorithms => 2,
        };
        format!("{VERSION_PREFIX}1.{minor}\n")
    }
}

/// A number in its one spelling.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number: &u32| number.to_string() == text)
}

/// The file of a blob.
pub(crate) fn blob(digest: &Digest) -> String {
    match digest.algorithm() {
        Algorithm::Sha256 => digest.hex().to_owned(),
        algorithm => format!("{algorithm}-{}", digest.hex()),
    }
}

/// The file of a blob as it was before version 1.1.
pub(crate) fn old_blob(digest: &Digest) -> String {
    format!("{}.tar", blob(digest))
}

/// The file of a manifest that the top lists.
pub(crate) fn child(digest: &Digest) -> String {
    format!("{}.{MANIFEST}", blob(digest))
}

/// The file of a signature, counted from one; `instance` is `None` for the top.
pub(crate) fn signature(instance: Option<&Digest>, number: usize) -> String {
    match instance {
        None => format!("signature-{number}"),
        Some(digest) => format!("{}.signature-{number}", blob(digest)),
    }
}

/// Which signature of the top a file is, counted from one.
pub(crate) fn top_signature(name: &str) -> Option<usize> {
    let text = name.strip_prefix("signature-")?;
    text.parse().ok().filter(|number: &usize| *number > 0 && number.to_string() == text)
}

/// Whether a file of this name belongs to an image, or to an attempt to write one.
pub(crate) fn is_of_an_image(name: &str) -> bool {
    if matches!(name, VERSION | MANIFEST) || top_signature(name).is_some() {
        return true;
    }
    if let Some(rest) = name.strip_prefix(FOREIGN_PART) {
        return rest.bytes().all(|byte| byte.is_ascii_digit());
    }
    let (digest, suffix) = match name.split_once('.') {
        Some((digest, suffix)) => (digest, Some(suffix)),
        None => (name, None),
    };
    let hex = digest.rsplit_once('-').map_or(digest, |(_, hex)| hex);
    hex.len() >= 32
        && hex.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
        && digest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+_-".contains(&byte))
        && suffix.is_none_or(|suffix| {
            matches!(suffix, "tar" | MANIFEST) || top_signature(suffix).is_some()
        })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn whatever_is_ours_is_a_plain_name(
            name in "(version|manifest|signature|dir-put-blob|[0-9a-f]{60,70}|[-./0-9a-z+])*\\PC?",
        ) {
            if is_of_an_image(&name) {
                prop_assert!(!name.is_empty() && !name.starts_with('.'));
                let plain = |byte: u8| byte.is_ascii_alphanumeric() || b".-+_".contains(&byte);
                prop_assert!(name.bytes().all(plain));
            }
        }

        #[test]
        fn a_version_that_is_understood_is_written_the_same(
            text in proptest::collection::vec(any::<u8>(), 0..40),
            number in "[0-9.+ -]{0,6}\n?",
        ) {
            let near = format!("Directory Transport Version: {number}");
            for text in [&text[..], near.as_bytes()] {
                if let Ok(version) = Version::parse(text) {
                    prop_assert!(version.text().as_bytes() == text);
                }
            }
        }
    }

    #[test]
    fn a_version_has_one_spelling() {
        fn check(text: &str, expected: Result<Version, VersionFault>) {
            assert_eq!(Version::parse(text.as_bytes()), expected, "{text:?}");
        }
        check("Directory Transport Version: 1.0\n", Ok(Version::Tars));
        check("Directory Transport Version: 1.1\n", Ok(Version::OneAlgorithm));
        check("Directory Transport Version: 1.2\n", Ok(Version::Algorithms));
        for version in [Version::Tars, Version::OneAlgorithm, Version::Algorithms] {
            check(&version.text(), Ok(version));
        }
        for (major, minor) in [(0, 9), (1, 3), (1, 10), (2, 0), (9, 9), (u32::MAX, 0)] {
            let text = format!("Directory Transport Version: {major}.{minor}\n");
            check(&text, Err(VersionFault::Unknown(major, minor)));
        }
        for text in [
            "",
            "\n",
            "1.1\n",
            "Directory Transport Version: 1.1",
            "Directory Transport Version: 1.1\n\n",
            "Directory Transport Version: 1.1\r\n",
            "Directory Transport Version: 1.1 \n",
            "Directory Transport Version:  1.1\n",
            "Directory Transport Version: +1.1\n",
            "Directory Transport Version: 01.1\n",
            "Directory Transport Version: 1.01\n",
            "Directory Transport Version: 1\n",
            "Directory Transport Version: 1.1.0\n",
            "Directory Transport Version: 1.-1\n",
            "Directory Transport Version: 1.99999999999\n",
            "directory transport version: 1.1\n",
        ] {
            check(text, Err(VersionFault::Odd));
        }
        assert_eq!(
            Version::parse(b"Directory Transport Version: 1.\xff\n"),
            Err(VersionFault::Odd)
        );
    }

    #[test]
    fn names_that_are_written_are_known() {
        let hash = [0xab; 64];
        for (algorithm, bytes) in
            [(Algorithm::Sha256, 32), (Algorithm::Sha384, 48), (Algorithm::Sha512, 64)]
        {
            let digest = Digest::from_hash(algorithm, &hash[..bytes]);
            let names = [
                blob(&digest),
                old_blob(&digest),
                child(&digest),
                signature(Some(&digest), 1),
                signature(Some(&digest), 128),
                signature(None, 12),
            ];
            for name in names {
                assert!(is_of_an_image(&name), "{name}");
                assert!(!name.contains('/') && name.len() < 200, "{name}");
            }
        }
        assert_eq!(top_signature(&signature(None, 12)), Some(12));
    }

    #[test]
    fn other_names_are_not_ours_to_remove() {
        fn check(name: &str, expected: bool) {
            assert_eq!(is_of_an_image(name), expected, "{name:?}");
        }
        let hex = "0123456789abcdef".repeat(4);
        check(&hex, true);
        check("dir-put-blob123456789", true);
        check("dir-put-blob-notes", false);
        for name in ["", ".", "..", "README.md", "signature-", "signature-0", "signature-01"] {
            check(name, false);
        }
        for name in ["signature-x", "version~", "Version", "manifest.json.bak", "0123.tar", "abba"]
        {
            check(name, false);
        }
        for tail in [".tar.gz", ".signature-0", ".txt", ".", "\u{fffd}", ".manifest.json.bak"] {
            check(&format!("{hex}{tail}"), false);
        }
        check(&hex.to_uppercase(), false);
        check(&format!("/{hex}"), false);
        check(&format!("../x-{hex}"), false);
    }
}
