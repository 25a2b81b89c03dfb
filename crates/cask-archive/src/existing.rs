//! What becomes of an archive that is there already.

use std::path::Path;

use crate::Existing;

/// What writing an image into an archive does where there is an archive already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ExistingArchive {
    /// It fails, unless the file is empty.
    Refused,
    /// The new archive replaces the old one when it is complete.
    Replaced,
    /// The image is added to the archive, in the archive's own layout. The archive is replaced by
    /// the larger one when that is complete; nobody else can change it meanwhile.
    Extended,
}

impl ExistingArchive {
    /// Whether there is an archive at a path that is to be added to.
    pub fn extends(self, path: &Path) -> bool {
        self == Self::Extended
            && path.metadata().is_ok_and(|found| found.is_file() && found.len() > 0)
    }

    /// What happens to a file at the path of a new archive: one that has come there since it was
    /// found that there is nothing to add to is not replaced.
    pub fn of_file(self) -> Existing {
        match self {
            Self::Replaced => Existing::Replaced,
            Self::Refused | Self::Extended => Existing::Refused,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_archive_that_has_something_is_added_to() {
        let temp = tempfile::tempdir().unwrap();
        let path = temp.path().join("a.tar");
        assert!(!ExistingArchive::Extended.extends(&path));
        std::fs::write(&path, "").unwrap();
        assert!(!ExistingArchive::Extended.extends(&path));
        std::fs::write(&path, "x").unwrap();
        assert!(ExistingArchive::Extended.extends(&path));
        assert!(!ExistingArchive::Replaced.extends(&path));
        assert!(!ExistingArchive::Extended.extends(temp.path()));
    }
}
