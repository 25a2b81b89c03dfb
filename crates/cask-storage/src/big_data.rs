//! Files that belong to a record: configs and manifests of images, and others.

use std::fs;
use std::path::Path;

use cask_json::base64;

/// The most bytes of big data that are read into memory.
pub(crate) const MAX_BYTES: u64 = 64 << 20;

/// The name of the file of a key: the key, where it is letters, digits and dots, and else its
/// base 64 behind an equals sign.
///
/// Source: containers/storage, `images.go`, `makeBigDataBaseName`.
pub(crate) fn file_name(key: &str) -> String {
    let plain = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'z' | b'.');
    if !key.bytes().all(plain) {
        return format!("={}", base64::encode(key.as_bytes()));
    }
    key.to_owned()
}

/// The key of a file; `None` for files that are no big data.
fn key(file_name: &str) -> Option<String> {
    match file_name.strip_prefix('=') {
        Some(encoded) => String::from_utf8(base64::decode(encoded).ok()?).ok(),
        None => (self::file_name(file_name) == file_name).then(|| file_name.to_owned()),
    }
}

/// Whether a key can be the name of a file.
pub(crate) fn is_key(key: &str) -> bool {
    let name = file_name(key);
    !name.contains('/') && !matches!(&*name, "" | "." | "..") && name.len() <= 255
}

/// What lies in a directory of big data, the manifest last as it is written.
pub(crate) fn on_disk(directory: &Path) -> Vec<(String, Vec<u8>)> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let mut found: Vec<(String, Vec<u8>)> = entries
        .filter_map(|entry| {
            let key = key(entry.file_name().to_str()?)?;
            let (bytes, _) = crate::file::read(&entry.path(), MAX_BYTES).ok()??;
            Some((key, bytes))
        })
        .collect();
    found.sort_by_key(|(key, _)| (key == "manifest", !key.starts_with("sha256:"), key.clone()));
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_podman() {
        let config = "sha256:453d75e5e594268739b106b01523d15160b501a83c2d2b7fe45b9ddbc0efb7b2";
        let cases = [
            ("manifest", "manifest"),
            ("zstd-chunked-manifest", "=enN0ZC1jaHVua2VkLW1hbmlmZXN0"),
            ("instances.json", "instances.json"),
            (
                config,
                "=c2hhMjU2OjQ1M2Q3NWU1ZTU5NDI2ODczOWIxMDZiMDE1MjNkMTUxNjBiNTAxYTgzYzJkMmI3ZmU0NWI5\
                 ZGRiYzBlZmI3YjI=",
            ),
        ];
        for (name, file) in cases {
            assert_eq!(file_name(name), file);
            assert_eq!(key(file).as_deref(), Some(name));
            assert!(is_key(name));
        }
    }

    #[test]
    fn keys_do_not_lead_out_of_the_directory() {
        for bad in ["", ".", "..", "\u{3f}\u{3f}\u{3f}", &"a".repeat(256)] {
            assert!(!is_key(bad), "{bad:?}");
        }
        assert!(is_key("../../etc/passwd"), "what is encoded is harmless");
    }
}
