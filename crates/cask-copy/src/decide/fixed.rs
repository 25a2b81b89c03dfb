//! Why no manifest may change.

/// Why no manifest may change. The words are those of containers/image.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fixed {
    /// `--preserve-digests`.
    Asked,
    /// There are signatures.
    Signed,
    /// The destination's reference has a digest.
    Named,
}

impl Fixed {
    pub(crate) fn reason(self) -> &'static str {
        match self {
            Self::Asked => "Instructed to preserve digests",
            Self::Signed => "Would invalidate signatures",
            Self::Named => "Destination specifies a digest",
        }
    }

    pub(crate) fn hint(self) -> &'static str {
        match self {
            Self::Asked => {
                "leave out --preserve-digests, or choose a destination that keeps manifests"
            }
            Self::Signed => "--remove-signatures copies the image without them",
            Self::Named => "name the destination by a tag",
        }
    }
}

/// Why something cannot be done, and what would help.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Refusal {
    pub(crate) detail: String,
    pub(crate) hint: Option<&'static str>,
}

impl Refusal {
    pub(crate) fn new(detail: impl Into<String>) -> Self {
        Self { detail: detail.into(), hint: None }
    }

    pub(crate) fn with_hint(self, hint: &'static str) -> Self {
        Self { hint: Some(hint), ..self }
    }
}
