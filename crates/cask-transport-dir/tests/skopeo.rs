//! skopeo reads what we wrote, and we read what it wrote.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]
#![expect(clippy::print_stderr, reason = "whoever runs the tests is told what they leave out")]

mod common;

use std::path::Path;
use std::process::Command;

use cask_image::Digest;
use cask_testkit::generate::{
    Compression, Content, Format, ImageSpec, IndexSpec, LayerSpec, dir_files, platforms_index,
    write_oci_layout,
};
use cask_transport::{ErrorKind, ManifestRole, Selector, Signature, WriteOptions};
use common::{files, image, location, names, read, write};

/// Whether skopeo is here. Where tests must be complete, it is.
fn is_here() -> bool {
    let found = Command::new("skopeo").arg("--version").output().is_ok();
    assert!(found || std::env::var_os("CI").is_none(), "skopeo is needed by this test");
    if !found {
        eprintln!("skopeo is not here: nothing was compared");
    }
    found
}

/// Runs skopeo; gives what it prints, or what it complains about.
fn skopeo(arguments: &[&str]) -> Result<Vec<u8>, String> {
    let output = Command::new("skopeo").arg("--insecure-policy").args(arguments).output().unwrap();
    if output.status.success() {
        return Ok(output.stdout);
    }
    Err(String::from_utf8_lossy(&output.stderr).into_owned())
}

fn copy(from: &str, to: &str, more: &[&str]) {
    let mut arguments = vec!["copy", "--quiet"];
    arguments.extend(more);
    arguments.extend([from, to]);
    skopeo(&arguments).unwrap_or_else(|error| panic!("{arguments:?}: {error}"));
}

fn dir(path: &Path) -> String {
    format!("dir:{}", path.display())
}

/// What skopeo of this age can hold: one algorithm, images and lists of them.
fn contents() -> Vec<(&'static str, Content)> {
    let plain = |format| {
        let layer = |seed, compression| LayerSpec::new(seed).compression(compression);
        ImageSpec::new(7)
            .format(format)
            .layer(layer(1, Compression::None))
            .layer(layer(2, Compression::Gzip))
            .layer(layer(1, Compression::None))
            .label("key", "value, <&> \u{e9}")
            .build()
            .content()
    };
    let zstd = LayerSpec::new(3).compression(Compression::Zstd);
    vec![
        ("image", image(1)),
        ("oci", plain(Format::Oci)),
        ("docker", plain(Format::Docker)),
        ("zstd", ImageSpec::new(8).layer(zstd).build().content()),
        ("empty", ImageSpec::new(9).without_layers().build().content()),
        ("index", platforms_index(4, Format::Oci)),
        ("list", platforms_index(5, Format::Docker)),
    ]
}

#[tokio::test]
async fn skopeo_reads_and_copies_what_we_write() {
    if !is_here() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    for (name, content) in contents() {
        let ours = temp.path().join(name);
        write(&ours, &content).await.unwrap();
        let raw = skopeo(&["inspect", "--raw", &dir(&ours)]).unwrap();
        assert_eq!(raw, *content.top_bytes(), "{name}");
        let config = skopeo(&["inspect", "--raw", "--config", &dir(&ours)]).unwrap();
        assert!(content.blobs.iter().any(|blob| blob.bytes == config), "{name}");
        let theirs = temp.path().join(format!("{name}-theirs"));
        copy(&dir(&ours), &dir(&theirs), &["--all", "--preserve-digests"]);
        assert_eq!(files(&theirs), dir_files(&content), "{name}");
    }
}

#[tokio::test]
async fn we_read_what_skopeo_writes() {
    if !is_here() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    for (name, content) in contents() {
        let theirs = temp.path().join(name);
        let from = if matches!(name, "docker" | "list") {
            // A layout does not hold Docker's types.
            let from = temp.path().join(format!("{name}-from"));
            cask_testkit::generate::write_dir(&from, &content).unwrap();
            dir(&from)
        } else {
            let from = temp.path().join(format!("{name}-layout"));
            write_oci_layout(&from, &[(Some("x"), &content)]).unwrap();
            format!("oci:{}:x", from.display())
        };
        copy(&from, &dir(&theirs), &["--all", "--preserve-digests"]);
        assert_eq!(read(&theirs).await.unwrap(), content.top.digest, "{name}");
        let source = location(&theirs).source().await.unwrap();
        for manifest in &content.manifests {
            let read = source.manifest(&manifest.descriptor).await.unwrap();
            assert_eq!(read.bytes(), &manifest.bytes, "{name}");
            let selector = Selector::Digest(manifest.digest().clone());
            let found = source.resolve(&selector).await.unwrap();
            assert_eq!(found.digest, *manifest.digest());
            assert_eq!(found.media_type, manifest.descriptor.media_type);
        }
        drop(source);
        // Each replaces what the other wrote.
        write(&theirs, &image(20)).await.unwrap();
        assert_eq!(files(&theirs), dir_files(&image(20)), "{name}");
        copy(&from, &dir(&theirs), &["--all", "--preserve-digests"]);
        assert_eq!(files(&theirs), dir_files(&content), "{name}");
    }
}

#[tokio::test]
async fn compressed_on_the_way_schema_1_and_one_instance_are_read() {
    if !is_here() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let from = temp.path().join("from");
    write(&from, &contents().swap_remove(2).1).await.unwrap();
    for (number, more) in
        [&["--dest-compress"][..], &["--dest-decompress"], &["--format", "oci"]].iter().enumerate()
    {
        let to = temp.path().join(number.to_string());
        copy(&dir(&from), &dir(&to), more);
        read(&to).await.unwrap_or_else(|error| panic!("{more:?}: {error:?}"));
    }
    let schema1 = temp.path().join("schema1");
    copy(&dir(&from), &dir(&schema1), &["--format", "v2s1"]);
    let source = location(&schema1).source().await.unwrap();
    let top = source.resolve(&Selector::Chosen).await.unwrap();
    let manifest = source.manifest(&top).await.unwrap();
    let cask_image::Manifest::Schema1(parsed) = manifest.parse().unwrap() else {
        panic!("{:?}", manifest.media_type())
    };
    for layer in &parsed.layers {
        let size = source.blob_size(&layer.digest).await.unwrap();
        let descriptor = cask_image::Descriptor::new(
            cask_image::MediaType::DockerLayer(cask_image::LayerCompression::Gzip),
            layer.digest.clone(),
            size,
        );
        source.blob(&descriptor).await.unwrap().drain().await.unwrap();
    }
    let said = skopeo(&["manifest-digest", &schema1.join("manifest.json").display().to_string()]);
    assert_eq!(String::from_utf8(said.unwrap()).unwrap().trim(), top.digest.as_str());

    let index = temp.path().join("index");
    write(&index, &platforms_index(4, Format::Oci)).await.unwrap();
    let one = temp.path().join("one");
    copy(&dir(&index), &dir(&one), &["--override-arch", "arm64", "--override-os", "linux"]);
    read(&one).await.unwrap();
    assert!(!names(&one).iter().any(|name| name.ends_with(".manifest.json") && name.len() > 20));
}

/// A key without a passphrase, in a keyring of its own.
fn make_key(home: &Path) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::create_dir(home).unwrap();
    std::fs::set_permissions(home, std::fs::Permissions::from_mode(0o700)).unwrap();
    let made = Command::new("gpg")
        .args(["--batch", "--quiet", "--passphrase", "", "--quick-generate-key"])
        .args(["cask@example.com", "rsa2048", "sign", "never"])
        .env("GNUPGHOME", home)
        .output();
    let made = made.is_ok_and(|output| output.status.success());
    assert!(made || std::env::var_os("CI").is_none(), "gpg is needed by this test");
    if !made {
        eprintln!("gpg is not here: no signatures were compared");
    }
    made
}

#[tokio::test]
async fn signatures_go_both_ways() {
    let temp = tempfile::tempdir().unwrap();
    let home = temp.path().join("gnupg");
    if !is_here() || !make_key(&home) {
        return;
    }
    let content = image(1);
    let theirs = temp.path().join("theirs");
    let from = temp.path().join("from");
    write(&from, &content).await.unwrap();
    // Only the destination is signed, by a name that the signature has to tell.
    let signature = temp.path().join("signature");
    let manifest = from.join("manifest.json");
    let output = Command::new("skopeo")
        .args(["standalone-sign", "--output", signature.to_str().unwrap()])
        .args([manifest.to_str().unwrap(), "example.com/image:1", "cask@example.com"])
        .env("GNUPGHOME", &home)
        .output()
        .unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let _ = Command::new("gpgconf").args(["--kill", "all"]).env("GNUPGHOME", &home).status();
    let bytes = std::fs::read(&signature).unwrap();

    // One that skopeo copied is the one that was made; it copies the one that we wrote.
    let ours = temp.path().join("ours");
    let index = IndexSpec::new().image(&ImageSpec::new(3).build()).build();
    for content in [content, index] {
        let transaction = location(&ours).begin(&WriteOptions::default()).await.unwrap();
        for blob in &content.blobs {
            let spec = cask_transport::BlobSpec {
                kind: cask_transport::BlobKind::Other,
                media_type: blob.descriptor.media_type.clone(),
                measured: Some((&blob.descriptor).into()),
            };
            let body = cask_testkit::conformance::BytesBody(blob.bytes.clone());
            transaction.write_blob(&spec, std::sync::Arc::new(body)).await.unwrap();
        }
        let signed = [bytes.clone(), b"\0sigstore-json\n{}".to_vec()]
            .map(|bytes| Signature { bytes: bytes.into() });
        // skopeo of this age knows only the older kind.
        let signed = &signed[..1];
        for manifest in &content.manifests {
            let raw = cask_image::RawManifest::guess(manifest.bytes.clone()).unwrap();
            let is_top = *manifest.digest() == content.top.digest;
            let role = if is_top { ManifestRole::Top } else { ManifestRole::Child };
            transaction.write_manifest(&raw, &role).await.unwrap();
        }
        for manifest in &content.manifests {
            let raw = cask_image::RawManifest::guess(manifest.bytes.clone()).unwrap();
            transaction.write_signatures(&raw, signed).await.unwrap();
        }
        transaction.commit().await.unwrap();
        copy(&dir(&ours), &dir(&theirs), &["--all"]);
        assert_eq!(files(&theirs), files(&ours));
        let signatures = names(&theirs).iter().filter(|name| name.contains("signature-1")).count();
        assert_eq!(signatures, content.manifests.len());
        let source = location(&theirs).source().await.unwrap();
        for manifest in &content.manifests {
            assert_eq!(source.signatures(&manifest.descriptor).await.unwrap(), signed);
        }
    }
}

#[tokio::test]
async fn both_refuse_the_same_directories() {
    if !is_here() {
        return;
    }
    let temp = tempfile::tempdir().unwrap();
    let from = temp.path().join("from");
    write(&from, &image(1)).await.unwrap();
    let not_an_image = temp.path().join("not-an-image");
    std::fs::create_dir(&not_an_image).unwrap();
    std::fs::write(not_an_image.join("diary"), "precious").unwrap();
    let theirs = skopeo(&["copy", "--quiet", &dir(&from), &dir(&not_an_image)]).unwrap_err();
    let ours = write(&not_an_image, &image(1)).await.unwrap_err();
    let words = "not a containers image directory, don't want to overwrite important data";
    assert!(theirs.contains(words) && ours.to_string().contains(words), "{theirs}{ours}");
    assert_eq!(ours.kind(), ErrorKind::AlreadyExists);
    assert_eq!(names(&not_an_image), ["diary"]);

    let missing = temp.path().join("missing/image");
    skopeo(&["copy", "--quiet", &dir(&from), &dir(&missing)]).unwrap_err();
    assert_eq!(write(&missing, &image(1)).await.unwrap_err().kind(), ErrorKind::NotFound);

    // A digest of what is not there, by which ours would be led astray.
    let wrong: Digest = format!("sha256:{}", "0".repeat(64)).parse().unwrap();
    let source = location(&from).source().await.unwrap();
    let error = source.resolve(&Selector::Digest(wrong)).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
}
