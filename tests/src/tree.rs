//! What a directory holds.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

/// Every file below a path, by its path from there: its type and permissions, and its bytes.
pub type Tree = BTreeMap<String, (u32, Vec<u8>)>;

/// Reads all that is at a path; nothing, if nothing is there.
///
/// # Panics
/// If it cannot be read.
pub fn tree(path: &Path) -> Tree {
    let mut found = Tree::new();
    add(path, String::new(), &mut found);
    found
}

fn add(path: &Path, name: String, found: &mut Tree) {
    let Ok(metadata) = path.symlink_metadata() else { return };
    let kind = metadata.file_type();
    let bytes = if kind.is_file() {
        std::fs::read(path).expect("a file can be read")
    } else if kind.is_symlink() {
        let target = std::fs::read_link(path).expect("a link can be read");
        target.into_os_string().into_encoded_bytes()
    } else {
        Vec::new()
    };
    if kind.is_dir() {
        for entry in std::fs::read_dir(path).expect("a directory can be listed") {
            let entry = entry.expect("a directory can be listed");
            add(&entry.path(), format!("{name}/{}", entry.file_name().to_string_lossy()), found);
        }
    }
    found.insert(name, (metadata.permissions().mode(), bytes));
}
