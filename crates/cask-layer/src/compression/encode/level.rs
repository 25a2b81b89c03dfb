//! How hard to compress.

use std::ops::RangeInclusive;

use crate::compression::Compression;
use crate::{Error, ErrorKind};

/// How hard to compress: higher is slower and smaller.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Level {
    /// 3 for gzip and for zstd.
    ///
    /// With the gzip library that is used here, 3 gives smaller output than Go's default does.
    #[default]
    Default,
    /// This level: 1 to 9 for gzip, 1 to 20 for zstd.
    Exact(i32),
}

impl Level {
    /// Gives the number that this level stands for, so that a program can refuse a wrong one
    /// before it begins to work. 0 for [`Compression::None`].
    ///
    /// # Errors
    /// [`InvalidLevel`](ErrorKind::InvalidLevel) if the compression has no such level (`None` has
    /// only the default), [`Unsupported`](ErrorKind::Unsupported) for xz and bzip2, which are read
    /// only.
    ///
    /// ```
    /// use cask_layer::{Compression, ErrorKind, Level};
    ///
    /// assert_eq!(Level::Default.number(Compression::Gzip)?, 3);
    /// let error = Level::Exact(12).number(Compression::Gzip).unwrap_err();
    /// assert_eq!(error.kind(), ErrorKind::InvalidLevel);
    /// assert_eq!(error.to_string(), "gzip has no level 12: choose 1 to 9");
    /// # Ok::<(), cask_layer::Error>(())
    /// ```
    pub fn number(self, compression: Compression) -> Result<i32, Error> {
        let (range, default): (RangeInclusive<i32>, i32) = match compression {
            Compression::None => return self.of_none(),
            Compression::Gzip => (1..=9, 3),
            Compression::Zstd => (1..=20, 3),
            Compression::Xz | Compression::Bzip2 => {
                return Err(Error::compress(
                    ErrorKind::Unsupported,
                    compression,
                    format!("{compression} can only be read: choose gzip or zstd"),
                ));
            }
        };
        match self {
            Self::Default => Ok(default),
            Self::Exact(number) if range.contains(&number) => Ok(number),
            Self::Exact(number) => Err(Error::compress(
                ErrorKind::InvalidLevel,
                compression,
                format!(
                    "{compression} has no level {number}: choose {} to {}",
                    range.start(),
                    range.end()
                ),
            )),
        }
    }

    fn of_none(self) -> Result<i32, Error> {
        match self {
            Self::Default => Ok(0),
            Self::Exact(number) => Err(Error::compress(
                ErrorKind::InvalidLevel,
                Compression::None,
                format!("uncompressed data has no level {number}: choose a compression"),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_compression_has_its_own_levels() {
        let check = |compression, level, expected: Result<i32, ErrorKind>| {
            assert_eq!(
                Level::number(level, compression).map_err(|error| error.kind()),
                expected,
                "{compression} {level:?}"
            );
        };
        check(Compression::Gzip, Level::Default, Ok(3));
        check(Compression::Gzip, Level::Exact(1), Ok(1));
        check(Compression::Gzip, Level::Exact(9), Ok(9));
        check(Compression::Gzip, Level::Exact(0), Err(ErrorKind::InvalidLevel));
        check(Compression::Gzip, Level::Exact(10), Err(ErrorKind::InvalidLevel));
        check(Compression::Gzip, Level::Exact(-1), Err(ErrorKind::InvalidLevel));
        check(Compression::Zstd, Level::Default, Ok(3));
        check(Compression::Zstd, Level::Exact(20), Ok(20));
        check(Compression::Zstd, Level::Exact(0), Err(ErrorKind::InvalidLevel));
        check(Compression::Zstd, Level::Exact(21), Err(ErrorKind::InvalidLevel));
        check(Compression::None, Level::Default, Ok(0));
        check(Compression::None, Level::Exact(1), Err(ErrorKind::InvalidLevel));
        check(Compression::Xz, Level::Default, Err(ErrorKind::Unsupported));
        check(Compression::Bzip2, Level::Exact(1), Err(ErrorKind::Unsupported));
    }
}
