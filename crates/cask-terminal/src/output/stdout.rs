//! Standard output that a closed pipe cannot break.

use std::io::{BufWriter, ErrorKind, Stdout, Write};

use serde::Serialize;

use crate::value::{JsonStyle, Value, ValueError, to_json};

/// Why output could not be written.
#[derive(Debug)]
pub struct OutputError {
    kind: OutputErrorKind,
    source: Box<dyn std::error::Error + Send + Sync>,
}

/// The kinds of [`OutputError`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum OutputErrorKind {
    /// Writing failed, and not because nobody reads: the disk is full, say.
    Write,
    /// The data cannot be shown: see [`ValueError`].
    Data,
}

impl OutputError {
    /// What kind of error it is.
    #[must_use]
    pub fn kind(&self) -> OutputErrorKind {
        self.kind
    }
}

impl std::fmt::Display for OutputError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(match self.kind {
            OutputErrorKind::Write => "writing standard output",
            OutputErrorKind::Data => "preparing data for standard output",
        })
    }
}

impl std::error::Error for OutputError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        Some(&*self.source)
    }
}

impl From<std::io::Error> for OutputError {
    fn from(source: std::io::Error) -> Self {
        Self { kind: OutputErrorKind::Write, source: source.into() }
    }
}

impl From<ValueError> for OutputError {
    fn from(source: ValueError) -> Self {
        Self { kind: OutputErrorKind::Data, source: source.into() }
    }
}

/// Standard output. When its reader goes away, as `head` does, the rest is dropped in silence:
/// that is success.
///
/// Output is buffered; [`finish`](Self::finish) says whether it arrived.
///
/// ```
/// use cask_terminal::output::Output;
/// use cask_terminal::value::JsonStyle;
///
/// let mut output = Output::new(Vec::new());
/// output.text("Tags:\n")?;
/// output.json(&serde_json::json!({"Tags": ["<latest>"]}), JsonStyle::compact())?;
/// assert_eq!(output.into_inner()?, b"Tags:\n{\"Tags\":[\"\\u003clatest\\u003e\"]}\n");
/// # Ok::<(), cask_terminal::output::OutputError>(())
/// ```
#[derive(Debug)]
pub struct Output<W: Write> {
    writer: BufWriter<PipeWriter<W>>,
}

/// A writer for which a broken pipe is the end of interest, not an error.
#[derive(Debug)]
struct PipeWriter<W> {
    inner: W,
    abandoned: bool,
}

impl<W: Write> Write for PipeWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.abandoned {
            return Ok(bytes.len());
        }
        match self.inner.write(bytes) {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.abandoned = true;
                Ok(bytes.len())
            }
            result => result,
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        if self.abandoned {
            return Ok(());
        }
        match self.inner.flush() {
            Err(error) if error.kind() == ErrorKind::BrokenPipe => {
                self.abandoned = true;
                Ok(())
            }
            result => result,
        }
    }
}

impl Output<Stdout> {
    /// The program's standard output.
    #[must_use]
    pub fn stdout() -> Self {
        Self::new(std::io::stdout())
    }
}

impl<W: Write> Output<W> {
    /// Any writer, treated the same.
    pub fn new(writer: W) -> Self {
        Self { writer: BufWriter::new(PipeWriter { inner: writer, abandoned: false }) }
    }

    /// Whether the reader has gone away, so that there is no point in producing more.
    #[must_use]
    pub fn is_abandoned(&self) -> bool {
        self.writer.get_ref().abandoned
    }

    /// Writes text as it is.
    ///
    /// # Errors
    ///
    /// [`OutputErrorKind::Write`].
    pub fn text(&mut self, text: &str) -> Result<(), OutputError> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes as they are.
    ///
    /// # Errors
    ///
    /// [`OutputErrorKind::Write`].
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<(), OutputError> {
        Ok(self.writer.write_all(bytes)?)
    }

    /// Writes JSON as Go would, and a newline; see [`to_json`].
    ///
    /// # Errors
    ///
    /// [`OutputErrorKind::Write`] and [`OutputErrorKind::Data`].
    pub fn json<T: Serialize + ?Sized>(
        &mut self,
        data: &T,
        style: JsonStyle,
    ) -> Result<(), OutputError> {
        let value = Value::of(data)?;
        self.text(&to_json(&value, style))?;
        self.text("\n")
    }

    /// Sends what is buffered.
    ///
    /// # Errors
    ///
    /// [`OutputErrorKind::Write`].
    pub fn flush(&mut self) -> Result<(), OutputError> {
        Ok(self.writer.flush()?)
    }

    /// Sends what is buffered, and ends.
    ///
    /// # Errors
    ///
    /// [`OutputErrorKind::Write`].
    pub fn finish(mut self) -> Result<(), OutputError> {
        self.flush()
    }

    /// Sends what is buffered, and gives the writer back.
    ///
    /// # Errors
    ///
    /// [`OutputErrorKind::Write`].
    pub fn into_inner(self) -> Result<W, OutputError> {
        match self.writer.into_inner() {
            Ok(writer) => Ok(writer.inner),
            Err(error) => Err(error.into_error().into()),
        }
    }
}

impl<W: Write> Write for Output<W> {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        self.writer.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        self.writer.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Takes so many bytes and then fails.
    struct Failing(usize, ErrorKind);

    impl Write for Failing {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            if self.0 == 0 {
                return Err(self.1.into());
            }
            let taken = self.0.min(bytes.len());
            self.0 -= taken;
            Ok(taken)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            if self.0 == 0 { Err(self.1.into()) } else { Ok(()) }
        }
    }

    #[test]
    fn a_reader_that_left_is_no_error() {
        let mut output = Output::new(Failing(3, ErrorKind::BrokenPipe));
        output.text("abcdef").unwrap();
        assert!(!output.is_abandoned());
        output.flush().unwrap();
        assert!(output.is_abandoned());
        output.bytes(&[b'x'; 100_000]).unwrap();
        output.finish().unwrap();
    }

    #[test]
    fn a_full_disk_is_an_error() {
        let mut output = Output::new(Failing(3, ErrorKind::StorageFull));
        output.text("abcdef").unwrap();
        let error = output.finish().unwrap_err();
        assert_eq!(error.kind(), OutputErrorKind::Write);
        let text = crate::report::error_text(&error);
        assert_eq!(text, "writing standard output: no storage space");
    }

    #[test]
    fn data_without_a_form_is_an_error() {
        let error = Output::new(Vec::new()).json(&u128::MAX, JsonStyle::pretty()).unwrap_err();
        assert_eq!(error.kind(), OutputErrorKind::Data);
    }
}
