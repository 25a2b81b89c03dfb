//! Whose Containerfiles these are.

/// Whose reading of the language is meant, where the two give different results.
///
/// Only what changes a result is here; an error of one that the other does not have is no reason
/// to refuse a file. The table in the tests of this module has every difference.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dialect {
    /// BuildKit's, which is the living language.
    #[default]
    BuildKit,
    /// Buildah's and Podman's: that of the library `imagebuilder`.
    Buildah,
}

impl Dialect {
    /// Whether two escape characters at the end of a line continue it.
    ///
    /// To BuildKit the first escapes the second.
    pub(crate) const fn doubled_escape_continues(self) -> bool {
        matches!(self, Self::Buildah)
    }

    /// Whether text behind the `]` of a JSON array is left out, rather than making it a shell
    /// command.
    pub(crate) const fn json_ignores_trailing_text(self) -> bool {
        matches!(self, Self::Buildah)
    }
}
