//! Every example runs and does what it says.

#![allow(missing_docs, unreachable_pub, reason = "the examples are programs, included here")]

#[path = "../build_and_run.rs"]
mod build_and_run;
#[path = "../copy_image.rs"]
mod copy_image;
#[path = "../inspect_image.rs"]
mod inspect_image;
#[path = "../lint_file.rs"]
mod lint_file;
#[path = "../list_images.rs"]
mod list_images;
#[path = "../own_transport.rs"]
mod own_transport;
#[path = "../pin_bases.rs"]
mod pin_bases;
#[path = "../print_stages.rs"]
mod print_stages;
#[path = "../render_progress.rs"]
mod render_progress;

use cask_testkit::generate::{Image, ImageSpec, write_oci_layout};

/// A layout with one image, and the two names of it.
fn layout() -> (tempfile::TempDir, Image, String, String) {
    let directory = tempfile::tempdir().expect("a temporary directory can be made");
    let image = ImageSpec::new(1).build();
    let source = directory.path().join("source");
    write_oci_layout(&source, &[(Some("app"), &image.content())]).expect("a layout can be written");
    let from = format!("oci:{}:app", source.display());
    let to = format!("oci:{}/target:app", directory.path().display());
    (directory, image, from, to)
}

#[tokio::test]
async fn build_and_run_moves_what_it_builds() {
    let directory = tempfile::tempdir().unwrap();
    let program = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("README.md");
    let (store, image) = build_and_run::build_and_move(directory.path(), &program).await.unwrap();
    let images = cask::engine::Images::new(store, cask::engine::no_registries());
    let found = images.find(&image).unwrap();
    let config = images.config(&found.image).unwrap().expect("an image has a config");
    assert_eq!(config.config.entrypoint, Some(vec!["/README.md".to_owned()]));
}

/// The example is a program here: a container is watched by that program started again.
#[test]
fn build_and_run_prints_what_the_container_does() {
    use std::os::unix::fs::MetadataExt as _;

    let is_root = std::fs::metadata("/proc/self").unwrap().uid() == 0;
    if !is_root || !std::path::Path::new("/bin/busybox").exists() {
        assert!(std::env::var_os("CI").is_none(), "this needs root, and Debian's busybox-static");
        return;
    }
    let tests = std::env::current_exe().unwrap();
    let examples = tests.parent().unwrap().parent().unwrap().join("examples");
    let output = std::process::Command::new(examples.join("build_and_run"))
        .args(["/bin/busybox", "sh", "-c", "echo $((6 * 7)); exit 3"])
        .output()
        .expect("cargo builds the examples of a package with its tests");
    let error = String::from_utf8_lossy(&output.stderr);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "42\nexit code 3\n", "{error}");
}

#[tokio::test]
async fn copy_image_gives_the_digest() {
    let (_directory, image, from, to) = layout();
    let digest = copy_image::copy_image(&from, &to).await.unwrap();
    assert_eq!(digest, image.digest().to_string());
}

#[tokio::test]
async fn inspect_image_tells_the_platform() {
    let (_directory, image, from, _) = layout();
    let text = inspect_image::inspect_image(&from).await.unwrap();
    assert!(text.contains(image.digest().as_str()), "{text}");
    assert!(text.contains("linux/amd64 with 2 layers"), "{text}");
}

#[tokio::test]
async fn list_images_gives_names_and_digests() {
    let (directory, image, ..) = layout();
    let place = format!("oci:{}/source", directory.path().display());
    let listed = list_images::list_images(&place).await.unwrap();
    assert_eq!(listed, [("app".to_owned(), Some(image.digest().to_string()))]);
}

#[tokio::test]
async fn own_transport_is_copied_from_and_verified() {
    let (directory, image, _, to) = layout();
    let shelf = directory.path().join("shelf");
    for part in ["names", "blobs"] {
        std::fs::create_dir_all(shelf.join(part)).unwrap();
    }
    std::fs::write(shelf.join("names/app"), image.digest().as_str()).unwrap();
    let content = image.content();
    for blob in content.manifests.iter().chain(&content.blobs) {
        std::fs::write(shelf.join("blobs").join(blob.digest().hex()), &blob.bytes).unwrap();
    }
    let from = format!("shelf:{}:app", shelf.display());
    let digest = own_transport::own_transport(&from, &to).await.unwrap();
    assert_eq!(digest, image.digest().to_string());

    let layer = &content.blobs[1];
    let mut wrong = layer.bytes.to_vec();
    wrong[5] ^= 1;
    std::fs::write(shelf.join("blobs").join(layer.digest().hex()), wrong).unwrap();
    let other = format!("oci:{}/other:app", directory.path().display());
    let error = own_transport::own_transport(&from, &other).await.unwrap_err();
    assert!(error.to_string().contains("Digest did not match"), "{error}");
}

#[tokio::test]
async fn render_progress_has_a_line_for_each_blob() {
    let (_directory, _, from, to) = layout();
    let lines = render_progress::render_progress(&from, &to).await.unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(lines.iter().all(|line| line.contains("Copied")), "{lines:?}");
}

#[test]
fn print_stages_marks_what_is_not_needed() {
    let text = print_stages::print_stages(
        "FROM a AS one\nFROM b\nFROM scratch\nCOPY --from=one x y\nCOPY --from=c x y\n",
    );
    assert_eq!(text, "one: a\n1: b (not needed)\n2: scratch, one, c\n");
}

#[test]
fn lint_file_shows_errors_and_lints() {
    let text = lint_file::lint_file("Containerfile", "FROM a:1 AS B\nCPOY x y\n");
    assert!(text.contains("error[unknown-instruction]"), "{text}");
    assert!(text.contains("warning[StageNameCasing]"), "{text}");
    assert!(text.contains(" --> Containerfile:1:13"), "{text}");
}

#[test]
fn pin_bases_changes_the_names_alone() {
    let source = "from  alpine  as a\n# alpine\nFROM a\nCOPY --from=alpine x y";
    let digests = [("alpine".to_owned(), "sha256:0".to_owned())].into();
    let pinned = pin_bases::pin_bases(source, &digests).unwrap();
    assert_eq!(pinned, source.replacen("alpine", "alpine@sha256:0", 1));
    assert!(pin_bases::pin_bases("FROM", &digests).is_err());
}
