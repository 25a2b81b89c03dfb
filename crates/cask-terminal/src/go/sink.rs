//! A byte buffer that cannot outgrow its allowance.

/// Collects bytes up to a limit; past it, further bytes are dropped and `overflowed` says so.
///
/// A template is somebody's input, and `printf "%1000000d"` turns ten bytes into a million:
/// everything that builds text for a template writes through one of these.
#[derive(Debug)]
pub(crate) struct Sink {
    bytes: Vec<u8>,
    limit: usize,
    overflowed: bool,
}

impl Sink {
    pub(crate) fn with_limit(limit: usize) -> Self {
        Self { bytes: Vec::new(), limit, overflowed: false }
    }

    /// For text whose size our own code bounds already.
    pub(crate) fn unlimited() -> Self {
        Self::with_limit(usize::MAX)
    }

    pub(crate) fn push(&mut self, bytes: &[u8]) {
        let room = self.limit.saturating_sub(self.bytes.len());
        if bytes.len() > room {
            self.overflowed = true;
        } else {
            self.bytes.extend_from_slice(bytes);
        }
    }

    pub(crate) fn push_str(&mut self, text: &str) {
        self.push(text.as_bytes());
    }

    pub(crate) fn push_char(&mut self, character: char) {
        self.push_str(character.encode_utf8(&mut [0; 4]));
    }

    pub(crate) fn push_repeated(&mut self, byte: u8, count: usize) {
        let room = self.limit.saturating_sub(self.bytes.len());
        if count > room {
            self.overflowed = true;
        } else {
            self.bytes.resize(self.bytes.len() + count, byte);
        }
    }

    pub(crate) fn overflowed(&self) -> bool {
        self.overflowed
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.bytes.len()
    }

    pub(crate) fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_past_the_limit_are_dropped_and_reported() {
        let mut sink = Sink::with_limit(4);
        sink.push_str("abc");
        assert!(!sink.overflowed());
        sink.push_str("de");
        sink.push_repeated(b'x', 1_000_000_000);
        assert!(sink.overflowed());
        assert_eq!(sink.into_bytes(), b"abc");
    }

    #[test]
    fn the_limit_itself_fits() {
        let mut sink = Sink::with_limit(4);
        sink.push_char('é');
        sink.push_repeated(b'x', 2);
        assert!(!sink.overflowed());
        assert_eq!(sink.len(), 4);
    }
}
