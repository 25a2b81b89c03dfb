//! Tar streams, made by hand so that they can be as wrong as is wanted.

/// A tar stream being made. Owners are those of the process, so that anybody can extract it.
#[derive(Clone, Default)]
pub(crate) struct Tar(pub(crate) Vec<u8>);

/// What a header says.
#[derive(Clone)]
pub(crate) struct Header<'a> {
    pub(crate) name: &'a [u8],
    pub(crate) flag: u8,
    pub(crate) link: &'a [u8],
    pub(crate) mode: u32,
    pub(crate) size: u64,
    pub(crate) time: u64,
    pub(crate) device: (u32, u32),
}

impl Default for Header<'_> {
    fn default() -> Self {
        let (name, link) = (&b""[..], &b""[..]);
        Self { name, flag: b'0', link, mode: 0o644, size: 0, time: 1_000_000_000, device: (0, 0) }
    }
}

impl Tar {
    pub(crate) fn header(mut self, header: &Header<'_>) -> Self {
        let mut block = [0; 512];
        let mut put = |at: usize, text: &[u8]| block[at..at + text.len()].copy_from_slice(text);
        put(0, &header.name[..header.name.len().min(100)]);
        put(100, format!("{:07o}", header.mode).as_bytes());
        put(108, format!("{:07o}", rustix::process::getuid().as_raw()).as_bytes());
        put(116, format!("{:07o}", rustix::process::getgid().as_raw()).as_bytes());
        put(124, format!("{:011o}", header.size).as_bytes());
        put(136, format!("{:011o}", header.time).as_bytes());
        put(148, b"        ");
        put(156, &[header.flag]);
        put(157, &header.link[..header.link.len().min(100)]);
        put(257, b"ustar\x0000");
        put(329, format!("{:07o}", header.device.0).as_bytes());
        put(337, format!("{:07o}", header.device.1).as_bytes());
        let sum: u32 = block.iter().map(|byte| u32::from(*byte)).sum();
        block[148..155].copy_from_slice(format!("{sum:06o}\0").as_bytes());
        self.0.extend_from_slice(&block);
        self
    }

    pub(crate) fn body(mut self, body: &[u8]) -> Self {
        self.0.extend_from_slice(body);
        let length = self.0.len().next_multiple_of(512);
        self.0.resize(length, 0);
        self
    }

    pub(crate) fn file(self, name: &str, body: &str) -> Self {
        let (name, size) = (name.as_bytes(), body.len() as u64);
        self.header(&Header { name, size, ..Header::default() }).body(body.as_bytes())
    }

    pub(crate) fn dir(self, name: &str, mode: u32) -> Self {
        self.header(&Header { name: name.as_bytes(), flag: b'5', mode, ..Header::default() })
    }

    pub(crate) fn symlink(self, name: &str, target: &str) -> Self {
        let (name, link) = (name.as_bytes(), target.as_bytes());
        self.header(&Header { name, flag: b'2', link, mode: 0o777, ..Header::default() })
    }

    pub(crate) fn hard_link(self, name: &str, target: &str) -> Self {
        let (name, link) = (name.as_bytes(), target.as_bytes());
        self.header(&Header { name, flag: b'1', link, ..Header::default() })
    }

    /// Extended records for the next member.
    pub(crate) fn pax(self, records: &[(&str, &[u8])]) -> Self {
        let mut data = Vec::new();
        for (key, value) in records {
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length != rest + length.to_string().len() {
                length = rest + length.to_string().len();
            }
            data.extend_from_slice(format!("{length} {key}=").as_bytes());
            data.extend_from_slice(value);
            data.push(b'\n');
        }
        let size = data.len() as u64;
        self.header(&Header { name: b"pax", flag: b'x', size, ..Header::default() }).body(&data)
    }

    pub(crate) fn end(mut self) -> Vec<u8> {
        self.0.extend_from_slice(&[0; 1024]);
        self.0
    }
}
