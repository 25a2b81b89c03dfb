//! Directories from strangers.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod common;

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use cask_image::{Algorithm, Digest};
use cask_testkit::generate::hostile::{self, Case, Fault};
use cask_testkit::generate::{
    Compression, Content, Format, ImageSpec, IndexSpec, LayerSpec, dir_files, platforms_index,
    write_dir,
};
use cask_transport::{Error, ErrorKind, Result, Selector};
use common::{files, image, location, names, read, read_below, write};

/// What a fault is to whoever reads the directory.
fn kind_of(name: &str, fault: Fault) -> ErrorKind {
    match fault {
        Fault::Digest => ErrorKind::DigestMismatch,
        Fault::Size => ErrorKind::SizeMismatch,
        // Without a manifest there is no image.
        Fault::Missing if ["manifest", "instance"].iter().any(|it| name.starts_with(it)) => {
            ErrorKind::NotFound
        }
        Fault::Missing => ErrorKind::Missing,
        Fault::Limit => ErrorKind::LimitExceeded,
        Fault::Malformed => ErrorKind::Unsupported,
        Fault::Escape | Fault::SpecialFile => ErrorKind::Corrupt,
        other => panic!("{other:?} is no fault of a directory"),
    }
}

#[tokio::test]
async fn hostile_directories_are_refused_where_they_are_hostile() {
    let temp = tempfile::tempdir().unwrap();
    let cases = hostile::write_dirs(temp.path(), 1).unwrap();
    assert_eq!(cases.len(), 8);
    for Case { name, fault, value } in cases {
        let error = read(&value).await.expect_err(&name);
        // Other bytes that are also fewer are found out by their number.
        let expected = if name == "layer of other bytes" {
            ErrorKind::SizeMismatch
        } else {
            kind_of(&name, fault)
        };
        assert_eq!(error.kind(), expected, "{name}: {error:?}");
        // Those of the layer show when it is read, all others when the directory is opened.
        assert_eq!(location(&value).source().await.is_ok(), name.starts_with("layer"), "{name}");
        if matches!(fault, Fault::Escape | Fault::SpecialFile) {
            let file = if name.starts_with("layer") { "" } else { "manifest.json" };
            assert!(error.subject().starts_with(value.to_str().unwrap()), "{error}");
            assert!(error.subject().ends_with(file), "{error}");
        }
    }
}

#[tokio::test]
async fn hostile_contents_are_found_out_or_are_faithfully_what_they_are() {
    let temp = tempfile::tempdir().unwrap();
    let cases = hostile::contents(1);
    assert_eq!(cases.len(), 41);
    for (number, Case { name, fault, value }) in cases.into_iter().enumerate() {
        // Only whoever parses deeper than digests and sizes can find these.
        let deeper = fault == Fault::Top
            || name.starts_with("diff ID")
            || fault == Fault::Malformed
            || ["index of 100", "index that doubles", "layer that unpacks", "config of more"]
                .iter()
                .any(|start| name.starts_with(start));
        let path = temp.path().join(number.to_string());
        write_dir(&path, &value).unwrap();
        // Forty doublings are more than this reader of everything can walk.
        if name.starts_with("index that doubles") {
            location(&path).source().await.unwrap();
            continue;
        }
        match read(&path).await {
            Ok(_) => assert!(deeper, "{name} was read"),
            Err(error) => {
                assert!(!deeper, "{name}: {error:?}");
                let expected = if name.contains("contain") {
                    // The top has no name in a directory: what is wrong is the one below.
                    [ErrorKind::DigestMismatch, ErrorKind::NotFound]
                } else {
                    [kind_of(&name, fault); 2]
                };
                assert!(expected.contains(&error.kind()), "{name}: {error:?}");
            }
        }
    }
}

/// Puts something else in the place of a file.
type Plant = fn(&Path);

const PLANTS: [(&str, Plant); 9] = [
    ("a symbolic link", |path| symlink("/etc/passwd", path).unwrap()),
    ("a symbolic link", |path| symlink("/dev/zero", path).unwrap()),
    ("a symbolic link", |path| symlink("/proc/self/environ", path).unwrap()),
    ("a symbolic link", |path| symlink("/proc/self/fd/0", path).unwrap()),
    ("a symbolic link", |path| symlink(path.file_name().unwrap(), path).unwrap()),
    ("a symbolic link", |path| {
        // Even to the very bytes that should be there.
        let inside = path.with_file_name("inside");
        fs::write(&inside, "").unwrap();
        symlink(inside, path).unwrap();
    }),
    ("a fifo", |path| {
        assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
    }),
    ("a socket", |path| {
        // The name of a socket may be too long for bind(2).
        let near = std::env::temp_dir().join(format!("cask-socket-{}", std::process::id()));
        drop(std::os::unix::net::UnixListener::bind(&near).unwrap());
        fs::rename(near, path).unwrap();
    }),
    ("a directory", |path| fs::create_dir(path).unwrap()),
];

fn signed_index() -> Content {
    platforms_index(1, Format::Oci)
}

/// Every file that a directory can have, by one name each.
fn roles(content: &Content) -> Vec<String> {
    let child = content.manifests[0].digest().hex();
    let blob = content.blobs[0].digest().hex();
    vec![
        "version".into(),
        "manifest.json".into(),
        "signature-1".into(),
        blob.into(),
        format!("{child}.manifest.json"),
        format!("{child}.signature-1"),
    ]
}

/// Reads the one file that has a role.
async fn read_role(path: &Path, content: &Content, role: &str) -> Result<()> {
    let source = location(path).source().await?;
    let top = source.resolve(&Selector::Chosen).await?;
    let child = &content.manifests[0].descriptor;
    if role.ends_with(".signature-1") {
        source.signatures(child).await.map(drop)
    } else if role == "signature-1" {
        source.signatures(&top).await.map(drop)
    } else if role.ends_with(".manifest.json") {
        let resolved = source.resolve(&Selector::Digest(child.digest.clone())).await.map(drop);
        let read = source.manifest(child).await.map(drop);
        assert_eq!(resolved.is_err(), read.is_err());
        read
    } else {
        source.blob_size(content.blobs[0].digest()).await?;
        source.blob(&content.blobs[0].descriptor).await?.drain().await.map(drop)
    }
}

#[tokio::test]
async fn nothing_but_regular_files_is_ever_opened() {
    let temp = tempfile::tempdir().unwrap();
    let content = signed_index();
    let mut honest = dir_files(&content);
    for role in roles(&content) {
        honest.entry(role).or_insert_with(|| "signature".into());
    }
    for (number, role) in roles(&content).into_iter().enumerate() {
        let path = temp.path().join(number.to_string());
        cask_testkit::generate::write_files(&path, &honest).unwrap();
        read_role(&path, &content, &role).await.unwrap();
        for (what, plant) in PLANTS {
            let file = path.join(&role);
            fs::remove_dir(&file).or_else(|_| fs::remove_file(&file)).unwrap();
            plant(&file);
            let error = read_role(&path, &content, &role).await.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Corrupt, "{role}, {what}: {error:?}");
            let expected =
                format!("opening {}: it is {what}, and a regular file is expected", file.display());
            assert_eq!(error.to_string(), expected);
        }
    }
}

#[tokio::test]
async fn places_of_the_system_hold_no_image() {
    for path in ["/proc", "/dev", "/proc/self", "/proc/self/fd", "/sys", "/dev/fd"] {
        let path = Path::new(path);
        if !path.exists() {
            continue;
        }
        let error = read(path).await.unwrap_err();
        // Linux keeps its own version there.
        let odd = path == Path::new("/proc");
        let expected = if odd { ErrorKind::Corrupt } else { ErrorKind::NotFound };
        assert_eq!(error.kind(), expected, "{path:?}: {error:?}");
        let error = write(path, &image(1)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{path:?}: {error:?}");
    }
    for path in ["/dev/zero", "/dev/null", "/proc/self/environ", "/etc/passwd"] {
        let error: Error = read(Path::new(path)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Io, "{path}: {error:?}");
    }
}

#[tokio::test]
async fn signatures_have_limits_in_number_and_size() {
    let temp = tempfile::tempdir().unwrap();
    let content = image(1);
    write_dir(temp.path(), &content).unwrap();
    let signature = |number: usize| temp.path().join(format!("signature-{number}"));
    let read = || async {
        let source = location(temp.path()).source().await.unwrap();
        let top = source.resolve(&Selector::Chosen).await.unwrap();
        source.signatures(&top).await
    };
    assert_eq!(read().await.unwrap().len(), 0);
    for number in 1..=128 {
        fs::write(signature(number), number.to_string()).unwrap();
    }
    let found = read().await.unwrap();
    assert_eq!(found.len(), 128);
    assert_eq!(found[99].bytes, "100");
    fs::write(signature(129), "").unwrap();
    assert_eq!(read().await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    // One that is missing ends the list, as it does for others.
    fs::remove_file(signature(3)).unwrap();
    assert_eq!(read().await.unwrap().len(), 2);

    fs::write(signature(1), vec![0; 4 << 20]).unwrap();
    assert_eq!(read().await.unwrap().len(), 2);
    fs::write(signature(2), vec![0; (4 << 20) + 1]).unwrap();
    assert_eq!(read().await.unwrap_err().kind(), ErrorKind::LimitExceeded);
    for number in 1..=5 {
        fs::write(signature(number), vec![0; 4 << 20]).unwrap();
    }
    assert_eq!(read().await.unwrap_err().kind(), ErrorKind::LimitExceeded);
}

#[tokio::test]
async fn digests_of_any_algorithm_name_files_of_their_own() {
    let temp = tempfile::tempdir().unwrap();
    for (algorithm, version) in
        [(Algorithm::Sha256, "1.1"), (Algorithm::Sha384, "1.2"), (Algorithm::Sha512, "1.2")]
    {
        let child = ImageSpec::new(1)
            .algorithm(algorithm)
            .layer(LayerSpec::new(1).compression(Compression::Zstd))
            .build();
        let index = IndexSpec::new().image(&child).build();
        let path = temp.path().join(algorithm.as_str());
        write(&path, &index).await.unwrap();
        assert_eq!(files(&path), dir_files(&index), "{algorithm}");
        let text = fs::read_to_string(path.join("version")).unwrap();
        assert_eq!(text, format!("Directory Transport Version: {version}\n"));
        read(&path).await.unwrap();

        // The top is known by all its digests, a child by its own.
        let single = temp.path().join(format!("single-{algorithm}"));
        write(&single, &child.content()).await.unwrap();
        let source = location(&single).source().await.unwrap();
        let top = source.resolve(&Selector::Digest(child.digest().clone())).await.unwrap();
        assert_eq!(top.digest, *child.digest());
        read_below(&source, &top).await.unwrap();
        let source = location(&path).source().await.unwrap();
        let found = source.resolve(&Selector::Digest(child.digest().clone())).await.unwrap();
        assert_eq!(found.digest, *child.digest());
        read_below(&source, &found).await.unwrap();
        let absent = Digest::from_hash(algorithm, &[7; 64][..algorithm.hex_len() / 2]);
        let error = source.resolve(&Selector::Digest(absent)).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFound);
    }
}

#[tokio::test]
async fn images_of_older_versions_are_read() {
    let temp = tempfile::tempdir().unwrap();
    let content = image(1);
    for version in [None, Some("1.0"), Some("1.1"), Some("1.2")] {
        let path = temp.path().join(format!("{version:?}"));
        write_dir(&path, &content).unwrap();
        match version {
            None => fs::remove_file(path.join("version")).unwrap(),
            Some(version) => {
                let text = format!("Directory Transport Version: {version}\n");
                fs::write(path.join("version"), text).unwrap();
            }
        }
        if matches!(version, None | Some("1.0")) {
            for blob in &content.blobs {
                let file = path.join(blob.digest().hex());
                fs::rename(&file, file.with_extension("tar")).unwrap();
            }
        }
        assert_eq!(read(&path).await.unwrap(), content.top.digest, "{version:?}");
        // Nothing but a version says that the files may be removed.
        let result = write(&path, &image(2)).await;
        match version {
            None => assert_eq!(result.unwrap_err().kind(), ErrorKind::AlreadyExists),
            Some(_) => {
                result.unwrap();
                assert_eq!(files(&path), dir_files(&image(2)));
            }
        }
    }
    for version in ["0.9", "1.3", "2.0", "9.9"] {
        let path = temp.path().join(version);
        write_dir(&path, &content).unwrap();
        let text = format!("Directory Transport Version: {version}\n");
        fs::write(path.join("version"), &text).unwrap();
        let was = names(&path);
        for error in [read(&path).await.unwrap_err(), write(&path, &image(2)).await.unwrap_err()] {
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{error:?}");
            assert!(error.to_string().contains("unsupported directory transport version"));
        }
        assert_eq!(names(&path), was);
    }
}
