//! The compressions by name.

use std::fmt;
use std::str::FromStr;

use crate::Error;

/// A compression that a layer may have.
///
/// The text form, in both directions, is the word that the field's tools use: `none`, `gzip`,
/// `zstd`, `xz`, `bzip2`. Parsing is strict: lower case, no white space.
///
/// `zstd:chunked` is no variant: its bytes are a valid zstd stream, and content cannot tell the
/// two apart at their beginning. [`zstd_chunked`](crate::zstd_chunked) writes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Compression {
    /// Not compressed, or not by anything known here.
    None,
    /// gzip (RFC 1952).
    Gzip,
    /// Zstandard (RFC 8878).
    Zstd,
    /// xz; read only.
    Xz,
    /// bzip2; read only.
    Bzip2,
}

impl Compression {
    /// Every compression, in the order of the enum.
    pub const ALL: [Self; 5] = [Self::None, Self::Gzip, Self::Zstd, Self::Xz, Self::Bzip2];

    /// The word for this compression: what [`Display`](fmt::Display) prints and
    /// [`FromStr`] takes.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Gzip => "gzip",
            Self::Zstd => "zstd",
            Self::Xz => "xz",
            Self::Bzip2 => "bzip2",
        }
    }
}

impl fmt::Display for Compression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl FromStr for Compression {
    type Err = Error;

    /// Parses a compression's name.
    ///
    /// # Errors
    /// [`UnknownName`](crate::ErrorKind::UnknownName) for every other text.
    fn from_str(text: &str) -> Result<Self, Error> {
        if let Some(found) = Self::ALL.into_iter().find(|known| known.as_str() == text) {
            return Ok(found);
        }
        let start: String = text.chars().take(40).collect();
        Err(Error::unknown_name(format!(
            "unknown compression {start:?}: choose none, gzip, zstd, xz or bzip2"
        )))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ErrorKind;

    #[test]
    fn names_parse_to_what_prints_them() {
        for compression in Compression::ALL {
            assert_eq!(compression.to_string().parse::<Compression>().ok(), Some(compression));
        }
        assert_eq!(format!("{:>6}", Compression::Gzip), "  gzip");
    }

    #[test]
    fn other_names_are_refused_with_the_choices() {
        let long = "x".repeat(1000);
        for text in ["", "Gzip", "GZIP", " gzip", "gz", "zstd:chunked", "lz4", &long] {
            let error = text.parse::<Compression>().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::UnknownName);
            assert!(error.to_string().ends_with("choose none, gzip, zstd, xz or bzip2"));
            assert!(error.to_string().len() < 160);
        }
    }
}
