//! What is wrong with what.

/// Something hostile.
#[derive(Clone, Debug)]
pub struct Case<T> {
    /// Its name, for messages.
    pub name: String,
    /// What has to be found.
    pub fault: Fault,
    /// The thing itself.
    pub value: T,
}

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Bytes that do not have the digest that was told.
    Digest,
    /// A top manifest that is not what its descriptor tells. Only a place that keeps such a
    /// descriptor, as an OCI layout does and a `dir:` directory does not, can know.
    Top,
    /// Fewer or more bytes than were told.
    Size,
    /// Something that is referred to and is not there.
    Missing,
    /// Too much: bytes, entries or levels, or what becomes of them.
    Limit,
    /// No document, archive or compressed stream of its kind.
    Malformed,
    /// Two readers could see two different things.
    Ambiguous,
    /// A name or a link that leads out of where it belongs.
    Escape,
    /// A file of a kind that does not belong there, such as a device.
    SpecialFile,
}

impl<T> Case<T> {
    /// Makes a case.
    pub fn new(name: impl Into<String>, fault: Fault, value: T) -> Self {
        Self { name: name.into(), fault, value }
    }
}
