//! What the decoder of one format does for [`DecompressReader`](super::DecompressReader).

use std::borrow::Cow;

use crate::ErrorKind;

/// One format's decoder, fed with slices.
pub(super) trait Codec: Send {
    /// Takes some of `input` and fills some of `output`.
    ///
    /// `input` is empty only at the end of the whole input, which `input_ended` tells. A step
    /// that neither consumes nor produces anything has nothing more to do until then; with
    /// `input_ended` it means the end, which is fine if the step says `boundary`.
    fn step(&mut self, input: &[u8], input_ended: bool, output: &mut [u8]) -> Result<Step, Fault>;

    /// What is not complete if the input ends now.
    fn unfinished(&self) -> &'static str;
}

/// The outcome of one [`Codec::step`].
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Step {
    /// Bytes taken from the input.
    pub(super) consumed: usize,
    /// Bytes put into the output.
    pub(super) produced: usize,
    /// Whether the input may end here.
    pub(super) boundary: bool,
}

/// Why a [`Codec::step`] failed.
#[derive(Debug)]
pub(super) struct Fault {
    pub(super) kind: ErrorKind,
    pub(super) detail: Cow<'static, str>,
    /// How far into the input of this step the decoder came.
    pub(super) consumed: usize,
}

impl Fault {
    pub(super) fn new(
        kind: ErrorKind,
        consumed: usize,
        detail: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { kind, detail: detail.into(), consumed }
    }

    pub(super) fn corrupt(consumed: usize, detail: impl Into<Cow<'static, str>>) -> Self {
        Self::new(ErrorKind::Corrupt, consumed, detail)
    }
}
