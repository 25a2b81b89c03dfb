//! Tar archives of any entries, also of such as no tar library would write.

/// The size of a tar block, in bytes.
const BLOCK: usize = 512;

/// One entry of a tar archive. Every field is written as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TarEntry {
    /// The name. Of a longer one than fits, the entry gets a PAX record.
    pub name: Vec<u8>,
    /// The type flag: `b'0'` is a file, `b'5'` a directory, and so on.
    pub kind: u8,
    /// The permissions.
    pub mode: u32,
    /// The number of the owner.
    pub user: u32,
    /// The number of the group.
    pub group: u32,
    /// When it was changed, in seconds since 1970.
    pub modified: u32,
    /// The target of a link. Of a longer one than fits, the entry gets a PAX record.
    pub link: Vec<u8>,
    /// The major and minor number of a device.
    pub device: (u32, u32),
    /// The bytes that follow, padded to whole blocks.
    pub content: Vec<u8>,
    /// The size that the header tells; `None` tells the truth. The field's twelve bytes.
    pub size_field: Option<[u8; 12]>,
    /// The checksum that the header tells; `None` tells the truth.
    pub checksum: Option<u32>,
}

impl TarEntry {
    /// Makes an entry of a type, with ordinary metadata and no content.
    pub fn new(kind: u8, name: impl Into<Vec<u8>>) -> Self {
        Self {
            name: name.into(),
            kind,
            mode: if kind == b'5' { 0o755 } else { 0o644 },
            user: 0,
            group: 0,
            modified: 1_700_000_000,
            link: Vec::new(),
            device: (0, 0),
            content: Vec::new(),
            size_field: None,
            checksum: None,
        }
    }

    /// A regular file.
    pub fn file(name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        Self { content: content.into(), ..Self::new(b'0', name) }
    }

    /// A directory.
    pub fn directory(name: impl Into<Vec<u8>>) -> Self {
        Self::new(b'5', name)
    }

    /// A symbolic link.
    pub fn symlink(name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self { link: target.into(), mode: 0o777, ..Self::new(b'2', name) }
    }

    /// A hard link to the entry named `target`.
    pub fn hardlink(name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        Self { link: target.into(), ..Self::new(b'1', name) }
    }

    /// A PAX header for the entry that follows.
    pub fn pax(records: &[(&str, &[u8])]) -> Self {
        let mut content = Vec::new();
        for (key, value) in records {
            // The length counts its own digits.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            content.extend_from_slice(format!("{length} {key}=").as_bytes());
            content.extend_from_slice(value);
            content.push(b'\n');
        }
        Self { content, ..Self::new(b'x', "PaxHeaders.0/next") }
    }

    fn header(&self) -> [u8; BLOCK] {
        let mut header = [0; BLOCK];
        put(&mut header[..100], &self.name);
        put_octal(&mut header[100..108], self.mode.into());
        put_octal(&mut header[108..116], self.user.into());
        put_octal(&mut header[116..124], self.group.into());
        put_octal(&mut header[124..136], self.content.len() as u64);
        if let Some(field) = self.size_field {
            header[124..136].copy_from_slice(&field);
        }
        put_octal(&mut header[136..148], self.modified.into());
        header[156] = self.kind;
        put(&mut header[157..257], &self.link);
        header[257..265].copy_from_slice(b"ustar\x0000");
        if matches!(self.kind, b'3' | b'4') {
            put_octal(&mut header[329..337], self.device.0.into());
            put_octal(&mut header[337..345], self.device.1.into());
        }
        header[148..156].fill(b' ');
        let sum = header.iter().map(|byte| u32::from(*byte)).sum();
        let checksum = format!("{:06o}\0 ", self.checksum.unwrap_or(sum));
        header[148..156].copy_from_slice(&checksum.as_bytes()[..8]);
        header
    }
}

/// A tar archive that grows.
#[derive(Clone, Debug, Default)]
pub struct Tar {
    bytes: Vec<u8>,
}

impl Tar {
    /// Starts an archive.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry.
    #[must_use]
    pub fn entry(mut self, entry: &TarEntry) -> Self {
        self.push(entry);
        self
    }

    /// Adds a regular file.
    #[must_use]
    pub fn file(self, name: impl Into<Vec<u8>>, content: impl Into<Vec<u8>>) -> Self {
        self.entry(&TarEntry::file(name, content))
    }

    /// Adds a directory.
    #[must_use]
    pub fn directory(self, name: impl Into<Vec<u8>>) -> Self {
        self.entry(&TarEntry::directory(name))
    }

    /// Adds a symbolic link.
    #[must_use]
    pub fn symlink(self, name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        self.entry(&TarEntry::symlink(name, target))
    }

    /// Adds a hard link.
    #[must_use]
    pub fn hardlink(self, name: impl Into<Vec<u8>>, target: impl Into<Vec<u8>>) -> Self {
        self.entry(&TarEntry::hardlink(name, target))
    }

    /// Adds bytes as they are.
    #[must_use]
    pub fn raw(mut self, bytes: &[u8]) -> Self {
        self.bytes.extend_from_slice(bytes);
        self
    }

    /// Adds the two blocks that end an archive.
    pub fn finish(self) -> Vec<u8> {
        self.raw(&[0; 2 * BLOCK]).bytes
    }

    /// Leaves the end out.
    pub fn unfinished(self) -> Vec<u8> {
        self.bytes
    }

    fn push(&mut self, entry: &TarEntry) {
        let long: Vec<_> = [("path", &entry.name), ("linkpath", &entry.link)]
            .into_iter()
            .filter(|(_, value)| value.len() > 100)
            .map(|(key, value)| (key, value.as_slice()))
            .collect();
        if !long.is_empty() && entry.kind != b'x' {
            self.push(&TarEntry::pax(&long));
        }
        self.bytes.extend_from_slice(&entry.header());
        self.bytes.extend_from_slice(&entry.content);
        self.bytes.resize(self.bytes.len().next_multiple_of(BLOCK), 0);
    }
}

fn put(field: &mut [u8], value: &[u8]) {
    let size = value.len().min(field.len());
    field[..size].copy_from_slice(&value[..size]);
}

fn put_octal(field: &mut [u8], value: u64) {
    let digits = field.len() - 1;
    let text = format!("{value:0digits$o}\0");
    put(field, text.as_bytes());
}

#[cfg(test)]
mod tests {
    use std::io::Read as _;

    use super::*;

    #[test]
    fn an_independent_reader_reads_what_was_written() {
        let long = "d/".repeat(80) + "f";
        let bytes = Tar::new()
            .directory("a/")
            .file("a/f", "hello")
            .symlink("a/s", "f")
            .hardlink("a/h", "a/f")
            .file(long.as_str(), vec![7; 513])
            .finish();
        assert_eq!(bytes.len() % BLOCK, 0);
        let mut archive = ::tar::Archive::new(bytes.as_slice());
        let mut found = Vec::new();
        for entry in archive.entries().unwrap() {
            let mut entry = entry.unwrap();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).unwrap();
            let name = String::from_utf8(entry.path_bytes().to_vec()).unwrap();
            let link = entry.link_name_bytes().map(|link| link.to_vec()).unwrap_or_default();
            assert_eq!(entry.header().mtime().unwrap(), 1_700_000_000);
            found.push((entry.header().entry_type().as_byte(), name, link, content.len()));
        }
        let expected = [
            (b'5', "a/".to_string(), vec![], 0),
            (b'0', "a/f".to_string(), vec![], 5),
            (b'2', "a/s".to_string(), b"f".to_vec(), 0),
            (b'1', "a/h".to_string(), b"a/f".to_vec(), 0),
            (b'0', long, vec![], 513),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn pax_lengths_count_themselves() {
        #[track_caller]
        fn check(value_size: usize, length: usize) {
            let entry = TarEntry::pax(&[("k", &vec![b'v'; value_size])]);
            assert_eq!(entry.content.len(), length);
            assert!(entry.content.starts_with(format!("{length} k=").as_bytes()));
        }
        check(1, 6);
        check(4, 9);
        check(5, 11);
        check(93, 99);
        check(94, 101);
    }
}
