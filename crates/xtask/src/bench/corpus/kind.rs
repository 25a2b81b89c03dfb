//! Which images there are.

/// An image that rows read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Corpus {
    /// The least Debian, in one layer.
    Debian,
    /// Debian, Python packages of Debian, and an application's packages: three layers, over 20,000 files.
    Python,
    /// Debian and thirty layers with parts of Python packages.
    Many30,
    /// One GB that cannot be compressed, and one that can.
    BigBlob,
    /// So many layers of 64 KiB.
    Layers(u32),
}

impl Corpus {
    /// The name of its OCI layout.
    pub(crate) fn name(self) -> String {
        match self {
            Self::Debian => "debian".to_owned(),
            Self::Python => "python".to_owned(),
            Self::Many30 => "many30".to_owned(),
            Self::BigBlob => "bigblob".to_owned(),
            Self::Layers(count) => format!("layers-{count}"),
        }
    }
}
