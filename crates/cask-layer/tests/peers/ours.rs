//! We write, they read.

use std::fs;
use std::os::unix::fs::symlink;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use cask_image::{Algorithm, Hasher};
use serde_json::json;

use crate::store::{Store, extract, peers_are_there};

fn member(flag: u8, name: &[u8], link: &[u8], data: &[u8]) -> Vec<u8> {
    let mut block = [0; 512];
    block[..name.len()].copy_from_slice(name);
    block[100..107].copy_from_slice(b"0000755");
    block[124..135].copy_from_slice(format!("{:011o}", data.len()).as_bytes());
    block[157..157 + link.len()].copy_from_slice(link);
    block[156] = flag;
    block[257..265].copy_from_slice(b"ustar\x0000");
    block[148..156].fill(b' ');
    let sum: u32 = block.iter().map(|&byte| u32::from(byte)).sum();
    block[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    let mut bytes = [&block[..], data].concat();
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    bytes
}

/// Writes a store with one image of one layer, from nothing.
fn write_store(store: &Store, stream: &[u8]) {
    let sha256 = |bytes: &[u8]| Hasher::digest(Algorithm::Sha256, bytes);
    let diff_digest = sha256(stream);
    let layer = diff_digest.hex();
    let root = store.root();
    let directory = root.join("overlay").join(layer);
    for name in ["diff", "work", "merged", "empty"] {
        fs::create_dir_all(directory.join(name)).unwrap();
    }
    let link = "ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    fs::write(directory.join("link"), link).unwrap();
    fs::create_dir_all(root.join("overlay/l")).unwrap();
    symlink(format!("../{layer}/diff"), root.join("overlay/l").join(link)).unwrap();
    let split = extract(stream, &directory.join("diff"));
    fs::create_dir_all(root.join("overlay-layers")).unwrap();
    fs::write(store.tar_split(layer), split).unwrap();
    let size = stream.len();
    let records = json!([{
        "id": layer, "created": "2026-01-01T00:00:00Z",
        "compressed-diff-digest": diff_digest.as_str(), "compressed-size": size,
        "diff-digest": diff_digest.as_str(), "diff-size": size,
    }]);
    fs::write(root.join("overlay-layers/layers.json"), records.to_string()).unwrap();

    let config = json!({
        "architecture": "amd64", "os": "linux", "config": {},
        "rootfs": {"type": "layers", "diff_ids": [diff_digest.as_str()]},
        "history": [{"created": "2026-01-01T00:00:00Z", "created_by": "test"}],
    });
    let config = config.to_string();
    let config_digest = sha256(config.as_bytes());
    let manifest = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.manifest.v1+json",
        "config": {"mediaType": "application/vnd.oci.image.config.v1+json",
                   "digest": config_digest.as_str(), "size": config.len()},
        "layers": [{"mediaType": "application/vnd.oci.image.layer.v1.tar",
                    "digest": diff_digest.as_str(), "size": size}],
    });
    let manifest = manifest.to_string();
    let manifest_digest = sha256(manifest.as_bytes());
    let image = config_digest.hex();
    let directory = root.join("overlay-images").join(image);
    fs::create_dir_all(&directory).unwrap();
    fs::write(directory.join("manifest"), &manifest).unwrap();
    let key = config_digest.as_str();
    fs::write(directory.join(format!("={}", STANDARD.encode(key))), &config).unwrap();
    let records = json!([{
        "id": image, "digest": manifest_digest.as_str(), "names": ["localhost/odd:1"],
        "layer": layer, "metadata": "{}", "created": "2026-01-01T00:00:00Z",
        "big-data-names": [key, "manifest"],
        "big-data-sizes": {key: config.len(), "manifest": manifest.len()},
        "big-data-digests": {key: key, "manifest": manifest_digest.as_str()},
    }]);
    fs::write(root.join("overlay-images/images.json"), records.to_string()).unwrap();
}

fn check(name: &str, members: &[Vec<u8>], tail: &[u8]) {
    let stream = [&members.concat()[..], &[0; 1024], tail].concat();
    let store = Store::new();
    write_store(&store, &stream);
    let out = store.directory().join("out");
    store.skopeo_copy("localhost/odd:1", &out).unwrap_or_else(|error| panic!("{name}: {error}"));
    let digest = Hasher::digest(Algorithm::Sha256, &stream);
    let blob = fs::read(out.join(digest.hex())).unwrap_or_else(|_| {
        let found: Vec<_> = fs::read_dir(&out).unwrap().map(|e| e.unwrap().file_name()).collect();
        panic!("{name}: {digest} is not among {found:?}")
    });
    assert!(blob == stream, "{name}");
}

#[test]
fn layers_written_here_are_exported_by_skopeo_byte_for_byte() {
    if !peers_are_there() {
        return;
    }
    let file = |name: &str, data: &str| member(b'0', name.as_bytes(), b"", data.as_bytes());
    let link = |name: &str, to: &str| member(b'2', name.as_bytes(), to.as_bytes(), b"");
    check("usual", &[member(b'5', b"etc/", b"", b""), file("etc/hostname", "web\n")], b"");
    check("Latin-1 names", &[member(b'0', b"etc/\xe4\xff", b"", b"data")], b"");
    check("names that JSON escapes", &[file("a\"\\<&>\n\u{1}\u{2028}\u{e4}", "data")], b"");
    check("garbage at the end", &[file("a", "data")], &[b'x'; 3000]);
    check("a name twice", &[file("a", "first"), file("a", "second one"), file("b", "c")], b"");
    check("a directory twice", &[member(b'5', b"d", b"", b""), member(b'5', b"d/", b"", b"")], b"");
    check("through a link", &[file("d/f", "first"), link("l", "d"), file("l/f", "second")], b"");
    check(
        "out through a link",
        &[member(b'5', b"etc", b"", b""), link("l", "/etc"), file("l/hostname", "a guest")],
        b"",
    );
    check("outside", &[file("../../out", "data"), file("/absolute", "data")], b"");
    check("replaced", &[file("d/f", "lost"), link("d", "nowhere"), file("e", "kept")], b"");
    check("a file deleted and there", &[file("a", "data"), file(".wh.b", "what?")], b"");

    let mut sparse = member(b'S', b"sparse", b"", b"0123456789");
    sparse[257..265].copy_from_slice(b"ustar  \0");
    sparse[386..397].copy_from_slice(b"00000010000");
    sparse[398..409].copy_from_slice(b"00000000012");
    sparse[483..494].copy_from_slice(b"00000020000");
    sparse[148..156].fill(b' ');
    let sum: u32 = sparse[..512].iter().map(|&byte| u32::from(byte)).sum();
    sparse[148..156].copy_from_slice(format!("{sum:06o}\0 ").as_bytes());
    check("a sparse file", &[sparse, file("a", "data")], b"");
}
