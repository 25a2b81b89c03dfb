//! Choosing the entry of an index for a platform.

use std::fmt;
use std::str::FromStr;

use cask_json::quoted;

use crate::{Descriptor, ImageFormat, Index, Platform};

/// The platform that an image is wanted for.
///
/// The version and the features of the operating system play no part: no two tools agree on what
/// they mean.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct PlatformWanted {
    /// Go's name of the operating system: `linux`, `windows`, …
    pub os: String,
    /// Go's name of the processor architecture: `amd64`, `arm64`, `arm`, …
    pub architecture: String,
    /// The best variant that will do; `None` if nobody asked for one. See
    /// [`acceptable_variants`](Self::acceptable_variants).
    pub variant: Option<String>,
}

/// Which of several entries for one platform is taken.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum PreferredCompression {
    /// The one that is marked as compressed with Zstandard.
    #[default]
    Zstd,
    /// One that is not.
    Gzip,
}

impl PlatformWanted {
    /// Makes a wish without a variant.
    pub fn new(os: impl Into<String>, architecture: impl Into<String>) -> Self {
        Self { os: os.into(), architecture: architecture.into(), variant: None }
    }

    /// The platform that this code was compiled for, without a variant.
    ///
    /// Which variant of an ARM processor runs the code is for the caller to find out.
    pub fn of_this_build() -> Self {
        let os = match std::env::consts::OS {
            "macos" => "darwin",
            os => os,
        };
        let little = cfg!(target_endian = "little");
        let architecture = match std::env::consts::ARCH {
            "powerpc64" if little => "ppc64le",
            "powerpc64" => "ppc64",
            "mips" if little => "mipsle",
            "mips64" if little => "mips64le",
            "loongarch64" => "loong64",
            "wasm32" => "wasm",
            other => go_architecture(other),
        };
        Self::new(os, architecture)
    }

    /// Parses `os/architecture` or `os/architecture/variant`, such as `linux/arm64/v8`.
    ///
    /// The names that `uname` prints for architectures are translated, and case does not matter.
    ///
    /// # Errors
    /// If there are not two or three parts, or one of them is empty or holds anything other than
    /// letters, digits, `_`, `-` and `.`.
    pub fn parse(text: &str) -> Result<Self, PlatformError> {
        let fail = || PlatformError { input: text.into() };
        let allowed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.');
        let parts: Vec<&str> = text.split('/').collect();
        if parts.iter().any(|part| part.is_empty() || !part.bytes().all(allowed)) {
            return Err(fail());
        }
        let (os, architecture, variant) = match parts[..] {
            [os, architecture] => (os, architecture, None),
            [os, architecture, variant] => (os, architecture, Some(variant)),
            _ => return Err(fail()),
        };
        let architecture = architecture.to_ascii_lowercase();
        let implied = match architecture.as_str() {
            "armhf" => Some("v7"),
            "armel" => Some("v6"),
            _ => None,
        };
        let os = match os.to_ascii_lowercase().as_str() {
            "macos" => "darwin".to_owned(),
            other => other.to_owned(),
        };
        Ok(Self {
            os,
            architecture: go_architecture(&architecture).to_owned(),
            variant: variant.or(implied).map(str::to_ascii_lowercase),
        })
    }

    /// The variants that will do, the best first; an empty one is an entry without a variant.
    ///
    /// With a wish for a known variant: that one and all lesser ones, then none. For an unknown
    /// one: that one, then none. Without a wish: none, then all known ones.
    ///
    /// Source: `containers/image`, `WantedPlatforms`.
    pub fn acceptable_variants(&self) -> Vec<&str> {
        let known: &[&str] = match self.architecture.as_str() {
            "arm" => &["v8", "v7", "v6", "v5"],
            "arm64" => &["v8"],
            _ => &[],
        };
        let Some(wanted) = self.variant.as_deref().filter(|variant| !variant.is_empty()) else {
            return [""].iter().chain(known).copied().collect();
        };
        let mut variants = match known.iter().position(|variant| *variant == wanted) {
            Some(best) => known[best..].to_vec(),
            None => vec![wanted],
        };
        variants.push("");
        variants
    }

    /// How well a platform fits: 0 is best, `None` is not at all.
    fn rank(&self, platform: &Platform) -> Option<usize> {
        if platform.os != self.os || platform.architecture != self.architecture {
            return None;
        }
        let variant = platform.variant.as_deref().unwrap_or_default();
        self.acceptable_variants().iter().position(|acceptable| *acceptable == variant)
    }

    /// Whether an image of a platform will do.
    pub fn accepts(&self, platform: &Platform) -> bool {
        self.rank(platform).is_some()
    }
}

impl fmt::Display for PlatformWanted {
    /// Writes what [`PlatformWanted::parse`] reads.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.os, self.architecture)?;
        match &self.variant {
            Some(variant) => write!(f, "/{variant}"),
            None => Ok(()),
        }
    }
}

impl FromStr for PlatformWanted {
    type Err = PlatformError;

    fn from_str(text: &str) -> Result<Self, PlatformError> {
        Self::parse(text)
    }
}

/// Go's name of an architecture that others name differently.
fn go_architecture(name: &str) -> &str {
    match name {
        "x86_64" | "x86-64" => "amd64",
        "x86" | "i386" | "i486" | "i586" | "i686" => "386",
        "aarch64" => "arm64",
        "armhf" | "armel" => "arm",
        other => other,
    }
}

/// Chooses the entry of an index for a platform, Zstandard before gzip.
///
/// Operating system and architecture have to be equal. Then the best variant wins, then the
/// preferred compression, then the first entry. Entries without a platform are the last resort, of
/// OCI indexes only. Attestations are never chosen.
///
/// The entry may be another index: it is for the caller to look into that.
///
/// Source: `containers/image`, `ChooseInstance`.
///
/// # Errors
/// If no entry fits.
pub fn choose_instance<'i>(
    index: &'i Index,
    wanted: &PlatformWanted,
) -> Result<&'i Descriptor, NoInstance> {
    choose_instance_preferring(index, wanted, PreferredCompression::Zstd)
}

/// Chooses the entry of an index for a platform and a compression, as [`choose_instance`] does.
///
/// # Errors
/// If no entry fits.
pub fn choose_instance_preferring<'i>(
    index: &'i Index,
    wanted: &PlatformWanted,
    preferred: PreferredCompression,
) -> Result<&'i Descriptor, NoInstance> {
    let rank = |entry: &Descriptor| {
        let variant = match &entry.platform {
            Some(platform) => wanted.rank(platform)?,
            None if index.format == ImageFormat::Docker || entry.is_attestation() => return None,
            None => usize::MAX,
        };
        let other_compression = index.format == ImageFormat::Oci
            && entry.is_marked_zstd() != (preferred == PreferredCompression::Zstd);
        Some((variant, other_compression))
    };
    let ranked = index.manifests.iter().filter_map(|entry| rank(entry).map(|rank| (rank, entry)));
    ranked
        .filter(|(_, entry)| !entry.is_attestation())
        .min_by_key(|(rank, _)| *rank)
        .map(|(_, entry)| entry)
        .ok_or_else(|| NoInstance::new(index, wanted))
}

/// An index that has nothing for a platform.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NoInstance {
    format: ImageFormat,
    wanted: PlatformWanted,
    available: Vec<Platform>,
}

impl NoInstance {
    fn new(index: &Index, wanted: &PlatformWanted) -> Self {
        let images = index.manifests.iter().filter(|entry| !entry.is_attestation());
        let available = images.filter_map(|entry| entry.platform.clone()).collect();
        Self { format: index.format, wanted: wanted.clone(), available }
    }

    /// The platform that was wanted.
    pub fn wanted(&self) -> &PlatformWanted {
        &self.wanted
    }

    /// The platforms that the index has images for, in its order.
    pub fn available(&self) -> &[Platform] {
        &self.available
    }
}

impl fmt::Display for NoInstance {
    /// Writes the words of `containers/image`, which scripts search for.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = match self.format {
            ImageFormat::Oci => "image index",
            ImageFormat::Docker => "manifest list",
        };
        let PlatformWanted { os, architecture, variant } = &self.wanted;
        let variant = quoted(variant.as_deref().unwrap_or_default());
        write!(
            f,
            "no image found in {list} for architecture {architecture}, variant {variant}, OS {os}"
        )
    }
}

impl std::error::Error for NoInstance {}

/// A text that is not a [`PlatformWanted`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlatformError {
    input: Box<str>,
}

impl PlatformError {
    /// The text that was refused.
    pub fn input(&self) -> &str {
        &self.input
    }
}

impl fmt::Display for PlatformError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "invalid platform {}: use OS/ARCH or OS/ARCH/VARIANT", quoted(&self.input))
    }
}

impl std::error::Error for PlatformError {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Algorithm, Hasher, MediaType};

    fn entry(number: u8, platform: Option<&str>, zstd: bool) -> Descriptor {
        let digest = Hasher::digest(Algorithm::Sha256, &[number]);
        let mut entry = Descriptor::new(MediaType::OciManifest, digest, u64::from(number));
        entry.platform = platform.map(|text| {
            let wanted = PlatformWanted::parse(text).unwrap();
            Platform { variant: wanted.variant, ..Platform::new(wanted.os, wanted.architecture) }
        });
        if zstd {
            entry.mark_zstd();
        }
        entry
    }

    fn check(entries: &[Descriptor], wanted: &str, zstd: Option<u64>, gzip: Option<u64>) {
        let index = Index::new(ImageFormat::Oci, entries.to_vec());
        let wanted = PlatformWanted::parse(wanted).unwrap();
        for (preferred, expected) in
            [(PreferredCompression::Zstd, zstd), (PreferredCompression::Gzip, gzip)]
        {
            let chosen = choose_instance_preferring(&index, &wanted, preferred);
            assert_eq!(chosen.ok().map(|d| d.size), expected, "{wanted} {preferred:?}");
        }
    }

    #[test]
    fn variants_come_before_compression_and_position() {
        let entries = [
            entry(1, Some("linux/arm/v5"), true),
            entry(2, Some("linux/arm/v6"), false),
            entry(3, Some("linux/arm/v6"), true),
            entry(4, Some("linux/arm/v6"), true),
            entry(5, None, false),
            entry(6, Some("linux/arm/x9"), false),
            entry(7, Some("unknown/unknown"), false),
        ];
        check(&entries, "linux/arm/v7", Some(3), Some(2));
        check(&entries, "linux/arm/v5", Some(1), Some(1));
        check(&entries, "linux/arm", Some(3), Some(2));
        check(&entries, "linux/arm/x9", Some(6), Some(6));
        check(&entries, "linux/arm/x8", Some(5), Some(5));
        check(&entries, "unknown/unknown", Some(5), Some(5));
    }

    #[test]
    fn attestations_are_never_the_last_resort() {
        let mut attestation = entry(1, None, false);
        let key = "vnd.docker.reference.type".to_owned();
        attestation.annotations.insert(key, "attestation-manifest".into());
        check(&[attestation], "linux/amd64", None, None);
    }

    #[test]
    fn the_error_has_the_known_words_and_says_what_there_is() {
        let entries =
            vec![entry(1, Some("linux/arm64/v8"), false), entry(2, Some("unknown/unknown"), false)];
        let wanted = PlatformWanted::parse("linux/amd64").unwrap();
        let error =
            choose_instance(&Index::new(ImageFormat::Oci, entries.clone()), &wanted).unwrap_err();
        assert_eq!(
            error.to_string(),
            "no image found in image index for architecture amd64, variant \"\", OS linux"
        );
        let available: Vec<String> = error.available().iter().map(Platform::to_string).collect();
        assert_eq!(available, ["linux/arm64/v8"]);
        let error =
            choose_instance(&Index::new(ImageFormat::Docker, entries), &wanted).unwrap_err();
        assert!(error.to_string().starts_with("no image found in manifest list for"));
    }

    #[test]
    fn platforms_are_parsed_and_translated() {
        for (input, expected) in [
            ("linux/amd64", Some("linux/amd64")),
            ("Linux/AMD64", Some("linux/amd64")),
            ("linux/x86_64", Some("linux/amd64")),
            ("linux/aarch64", Some("linux/arm64")),
            ("linux/arm64/v8", Some("linux/arm64/v8")),
            ("linux/armhf", Some("linux/arm/v7")),
            ("macos/arm64", Some("darwin/arm64")),
            ("linux", None),
            ("linux/", None),
            ("/amd64", None),
            ("linux/arm/v7/x", None),
            ("linux/a b", None),
            ("", None),
        ] {
            let parsed = PlatformWanted::parse(input).ok().map(|wanted| wanted.to_string());
            assert_eq!(parsed.as_deref(), expected, "{input}");
        }
        let own = PlatformWanted::of_this_build();
        assert_eq!(PlatformWanted::parse(&own.to_string()), Ok(own));
    }
}
