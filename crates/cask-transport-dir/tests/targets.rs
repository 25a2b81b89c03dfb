//! What can be written to, and what is left alone.

#![expect(clippy::unwrap_used, reason = "a failure in a helper fails its test")]

mod common;

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use bytes::Bytes;
use cask_image::{Algorithm, Hasher, MediaType, RawManifest};
use cask_testkit::conformance::{BytesBody, FailingBody};
use cask_testkit::generate::{ImageSpec, dir_files, random_bytes};
use cask_transport::{
    BlobKind, BlobSpec, ErrorKind, Have, ManifestRole, Measured, Selector, Signature, Transaction,
    WriteOptions,
};
use common::{files, image, location, names, parse, read, write};

/// Writes to a path that is refused, and must stay as it is.
async fn check_refused(path: &Path, kind: ErrorKind, words: &str) {
    let was = path.is_dir().then(|| files(path));
    let above = path.parent().filter(|parent| parent.is_dir()).map(names);
    let error = write(path, &image(9)).await.expect_err(words);
    assert_eq!(error.kind(), kind, "{}: {error:?}", path.display());
    assert!(error.to_string().contains(words), "{error}");
    assert_eq!(path.is_dir().then(|| files(path)), was);
    assert_eq!(path.parent().filter(|parent| parent.is_dir()).map(names), above);
}

const NOT_OURS: &str = "not a containers image directory, don't want to overwrite important data";

#[tokio::test]
async fn directories_that_hold_anything_else_are_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let make = |name: &str| {
        let path = temp.path().join(name);
        fs::create_dir(&path).unwrap();
        path
    };
    let diary = make("diary");
    fs::write(diary.join("diary"), "precious").unwrap();
    check_refused(&diary, ErrorKind::AlreadyExists, NOT_OURS).await;

    // An image that somebody keeps a file with, whatever it is called.
    let odd = std::ffi::OsStr::from_bytes(b"0123\xff");
    for (number, name) in
        ["notes.txt", ".hidden", ".cask-notes", ".cask-unfinished-", "signature-x", "a b"]
            .into_iter()
            .map(std::ffi::OsStr::new)
            .chain([odd])
            .enumerate()
    {
        let path = temp.path().join(format!("with-{number}"));
        write(&path, &image(1)).await.unwrap();
        fs::write(path.join(name), "precious").unwrap();
        check_refused(&path, ErrorKind::AlreadyExists, "is not part of an image").await;
        assert_eq!(read(&path).await.unwrap(), image(1).top.digest, "it is an image to readers");
    }
    // A directory, even of a name that a blob could have.
    let path = temp.path().join("with-directory");
    write(&path, &image(1)).await.unwrap();
    fs::create_dir(path.join("0".repeat(64))).unwrap();
    check_refused(&path, ErrorKind::AlreadyExists, "is not part of an image").await;

    // Something that only has a file called version.
    for (number, text) in ["1.0.3\n", "", "Directory Transport Version: x\n"].iter().enumerate() {
        let path = make(&format!("version-{number}"));
        fs::write(path.join("version"), text).unwrap();
        check_refused(&path, ErrorKind::AlreadyExists, NOT_OURS).await;
    }
    let path = make("version-large");
    fs::write(path.join("version"), vec![b' '; 10_000]).unwrap();
    check_refused(&path, ErrorKind::AlreadyExists, NOT_OURS).await;
    let path = make("version-link");
    fs::write(temp.path().join("version"), "Directory Transport Version: 1.1\n").unwrap();
    symlink("../version", path.join("version")).unwrap();
    check_refused(&path, ErrorKind::AlreadyExists, NOT_OURS).await;
    let path = make("no-version");
    write(&path, &image(1)).await.unwrap();
    fs::remove_file(path.join("version")).unwrap();
    check_refused(&path, ErrorKind::AlreadyExists, NOT_OURS).await;
}

#[tokio::test]
async fn what_is_no_directory_is_left_alone() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    fs::write(at("file"), "precious").unwrap();
    symlink("missing", at("dangling")).unwrap();
    symlink("file", at("to-file")).unwrap();
    symlink("loop", at("loop")).unwrap();
    for name in ["file", "file/"] {
        check_refused(&at(name), ErrorKind::AlreadyExists, "it is not a directory").await;
    }
    for name in ["dangling", "dangling/", "dangling/.", "to-file", "to-file/"] {
        let words = "it is a symbolic link that does not lead to a directory";
        check_refused(&at(name), ErrorKind::AlreadyExists, words).await;
    }
    check_refused(&at("loop"), ErrorKind::Io, "opening").await;
    check_refused(&at("missing/image"), ErrorKind::NotFound, "opening").await;
    check_refused(&at("missing/.."), ErrorKind::NotFound, "opening").await;
    check_refused(&at("dangling/image"), ErrorKind::NotFound, "opening").await;
    check_refused(&at("file/image"), ErrorKind::Io, "opening").await;
    check_refused(&at(&"x".repeat(300)), ErrorKind::Io, "opening").await;
    assert_eq!(fs::read_to_string(at("file")).unwrap(), "precious");
    assert_eq!(names(temp.path()).len(), 4);
}

#[tokio::test]
async fn every_way_to_name_a_directory_leads_there() {
    let temp = tempfile::tempdir().unwrap();
    let at = |name: &str| temp.path().join(name);
    fs::create_dir(at("real")).unwrap();
    symlink("real", at("link")).unwrap();
    symlink(at("link"), at("link-to-link")).unwrap();
    let long = "x".repeat(255);
    let mut seed = 0;
    for (name, real) in [
        ("real", "real"),
        ("real/", "real"),
        ("real//.", "real"),
        ("link", "real"),
        ("link/", "real"),
        ("link-to-link", "real"),
        ("link/../real", "real"),
        ("real/../new", "new"),
        ("new/", "new"),
        ("new2//", "new2"),
        ("new3/.", "new3"),
        ("real2/../new4", ""),
        ("-n \n\u{1f980}", "-n \n\u{1f980}"),
        (&long, &long),
    ] {
        seed += 1;
        let content = image(seed);
        let result = write(&at(name), &content).await;
        if real.is_empty() {
            assert_eq!(result.unwrap_err().kind(), ErrorKind::NotFound, "{name}");
            continue;
        }
        result.unwrap_or_else(|error| panic!("{name}: {error:?}"));
        assert_eq!(files(&at(real)), dir_files(&content), "{name}");
        assert_eq!(read(&at(name)).await.unwrap(), content.top.digest, "{name}");
    }
    assert!(at("link").is_symlink() && at("link-to-link").is_symlink());
    assert_eq!(names(temp.path()).len(), 3 + 4 + 1);
}

/// The working directory belongs to the whole process, so that the test is one of its own.
#[test]
fn relative_paths_start_from_the_working_directory() {
    let temp = tempfile::tempdir().unwrap();
    let run = |role: &str, directory: &Path| {
        let status = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "child", "--nocapture"])
            .env("CASK_TRANSPORT_DIR_ROLE", role)
            .current_dir(directory)
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        assert!(status.success(), "{role}");
    };
    run("new", temp.path());
    assert_eq!(files(&temp.path().join("new")), dir_files(&image(1)));
    let inside = temp.path().join("inside");
    fs::create_dir(&inside).unwrap();
    let was = fs::metadata(&inside).unwrap().ino();
    for _ in 0..2 {
        run(".", &inside);
        assert_eq!(files(&inside), dir_files(&image(1)));
        assert_eq!(fs::metadata(&inside).unwrap().ino(), was);
    }
    run("umask", temp.path());
    let mode = |path: &str| fs::metadata(temp.path().join(path)).unwrap().mode() & 0o7777;
    assert_eq!(mode("umask"), 0o750);
    assert_eq!(mode("umask/manifest.json"), 0o640);
    assert_eq!(mode("umask/version"), 0o640);
}

#[tokio::test]
async fn child() {
    let Ok(role) = std::env::var("CASK_TRANSPORT_DIR_ROLE") else { return };
    if role == "umask" {
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o027));
    }
    conformance(&role).await;
}

async fn conformance(role: &str) {
    let location = parse(role);
    cask_testkit::conformance::write(&*location, &image(1)).await.unwrap();
    let source = location.source().await.unwrap();
    assert_eq!(source.resolve(&Selector::Chosen).await.unwrap().digest, image(1).top.digest);
}

#[tokio::test]
async fn an_existing_directory_keeps_its_permissions_and_identity() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    for mode in [0o700, 0o777, 0o1755, 0o2750, 0o3711] {
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        let was = fs::metadata(&path).unwrap();
        for seed in 0..2 {
            write(&path, &image(seed)).await.unwrap();
            let is = fs::metadata(&path).unwrap();
            assert_eq!((is.mode() & 0o7777, is.ino()), (mode, was.ino()));
        }
        fs::remove_dir_all(&path).unwrap();
    }
}

#[tokio::test]
async fn a_target_that_moves_away_is_not_written() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    let begun = || async { location(&path).begin(&WriteOptions::default()).await.unwrap() };
    write(&path, &image(1)).await.unwrap();
    let transaction = begun().await;
    fill(&*transaction, 2).await;
    fs::rename(&path, temp.path().join("moved")).unwrap();
    let error = transaction.commit().await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound, "{error:?}");
    assert_eq!(files(&temp.path().join("moved")), dir_files(&image(1)));

    // What came into being meanwhile is replaced only if it is an image.
    for (made, expected) in
        [("file", None), ("directory", None), ("empty", Some(())), ("image", Some(()))]
    {
        let transaction = begun().await;
        fill(&*transaction, 2).await;
        match made {
            "file" => fs::write(&path, "precious").unwrap(),
            "image" => write(&path, &image(3)).await.map(drop).unwrap(),
            _ => fs::create_dir(&path).unwrap(),
        }
        if made == "directory" {
            fs::write(path.join("diary"), "precious").unwrap();
        }
        match (transaction.commit().await, expected) {
            (Ok(_), Some(())) => assert_eq!(read(&path).await.unwrap(), image(2).top.digest),
            (Err(error), None) => assert_eq!(error.kind(), ErrorKind::AlreadyExists, "{error:?}"),
            (result, _) => panic!("{made}: {result:?}"),
        }
        assert_eq!(names(temp.path()), ["image", "moved"], "{made}: no litter");
        fs::remove_dir_all(&path).or_else(|_| fs::remove_file(&path)).unwrap();
    }
}

/// Writes an image, and does not commit.
async fn fill(transaction: &dyn Transaction, seed: u64) {
    let content = image(seed);
    for blob in &content.blobs {
        let spec = spec(Some(Measured::from(&blob.descriptor)));
        transaction.write_blob(&spec, Arc::new(BytesBody(blob.bytes.clone()))).await.unwrap();
    }
    transaction.write_manifest(&content.raw_top(), &ManifestRole::Top).await.unwrap();
}

fn spec(measured: Option<Measured>) -> BlobSpec {
    BlobSpec { kind: BlobKind::Other, media_type: MediaType::OciEmpty, measured }
}

fn measured(algorithm: Algorithm, bytes: &[u8]) -> Measured {
    Measured { digest: Hasher::digest(algorithm, bytes), size: bytes.len() as u64 }
}

#[tokio::test]
async fn a_blob_is_what_was_announced_or_is_not_kept() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    let transaction = location(&path).begin(&WriteOptions::default()).await.unwrap();
    let bytes = Bytes::from(random_bytes(1, 1_000_000));
    let body = || Arc::new(BytesBody(bytes.clone()));
    for algorithm in [Algorithm::Sha256, Algorithm::Sha512] {
        let right = measured(algorithm, &bytes);
        let other = measured(algorithm, b"other");
        let digest = Measured { digest: other.digest, size: right.size };
        let size = Measured { digest: right.digest.clone(), size: 7 };
        for (wrong, kind) in [(digest, ErrorKind::DigestMismatch), (size, ErrorKind::SizeMismatch)]
        {
            let error = transaction.write_blob(&spec(Some(wrong)), body()).await.unwrap_err();
            assert_eq!(error.kind(), kind, "{error:?}");
        }
        let failing = Arc::new(FailingBody(bytes.slice(..500_000)));
        transaction.write_blob(&spec(Some(right.clone())), failing).await.unwrap_err();
        // Tried again, tried twice, and at the same time.
        let again = spec(Some(right.clone()));
        let writes = (0..4).map(|_| transaction.write_blob(&again, body()));
        for written in futures_util::future::join_all(writes).await {
            assert_eq!(written.unwrap(), right);
        }
    }
    let found = transaction.write_blob(&spec(None), body()).await.unwrap();
    assert_eq!(found, measured(Algorithm::Sha256, &bytes));
    let top = ImageSpec::new(1).without_layers().build();
    transaction.write_manifest(&top.content().raw_top(), &ManifestRole::Top).await.unwrap();
    transaction.commit().await.unwrap();
    let sha512 = measured(Algorithm::Sha512, &bytes).digest;
    let expected = [
        found.digest.hex().to_owned(),
        "manifest.json".into(),
        format!("sha512-{}", sha512.hex()),
        "version".into(),
    ];
    assert!(names(&path).iter().all(|name| expected.contains(name)), "{:?}", names(&path));
    assert_eq!(files(&path)["version"], "Directory Transport Version: 1.2\n");
}

#[tokio::test]
async fn one_top_and_its_signatures_are_written() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    let begin = || async { location(&path).begin(&WriteOptions::default()).await.unwrap() };
    let (top, other) = (image(1).raw_top(), image(2).raw_top());
    let signatures = |texts: &[&'static str]| -> Vec<Signature> {
        texts.iter().map(|text| Signature { bytes: Bytes::from_static(text.as_bytes()) }).collect()
    };
    let transaction = begin().await;
    let error = transaction.write_manifest(&top, &ManifestRole::Referrer).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    for _ in 0..2 {
        transaction.write_manifest(&top, &ManifestRole::Top).await.unwrap();
        transaction.write_signatures(&top, &signatures(&["a", "b"])).await.unwrap();
    }
    let error = transaction.write_manifest(&other, &ManifestRole::Top).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::AlreadyExists);
    transaction.write_manifest(&other, &ManifestRole::Child).await.unwrap();
    transaction.write_signatures(&other, &signatures(&["c"])).await.unwrap();
    let many = vec![Signature { bytes: Bytes::new() }; 129];
    let large = [Signature { bytes: vec![0; (4 << 20) + 1].into() }];
    for too_much in [&many[..], &large] {
        let error = transaction.write_signatures(&top, too_much).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    }
    transaction.commit().await.unwrap();
    let source = location(&path).source().await.unwrap();
    for (manifest, expected) in [(&top, &["a", "b"][..]), (&other, &["c"])] {
        let found = source.signatures(&manifest.descriptor()).await.unwrap();
        assert_eq!(found, signatures(expected));
    }
    let sha512 = RawManifest::with_algorithm(
        top.bytes().clone(),
        top.media_type().clone(),
        Algorithm::Sha512,
    );
    assert_eq!(source.signatures(&sha512.descriptor()).await.unwrap().len(), 2);
    drop(source);

    // Fewer signatures replace more, and more replace fewer.
    for (seed, texts) in [(3, &["d"][..]), (4, &["e", "f", "g"]), (5, &[]), (6, &["h"])] {
        let transaction = begin().await;
        fill(&*transaction, seed).await;
        let top = image(seed).raw_top();
        transaction.write_signatures(&top, &signatures(texts)).await.unwrap();
        assert_eq!(transaction.commit().await.unwrap().warnings, Vec::<String>::new());
        let opened = location(&path).source().await.unwrap();
        assert_eq!(opened.signatures(&top.descriptor()).await.unwrap(), signatures(texts));
        let numbered = names(&path).iter().filter(|name| name.contains("signature")).count();
        assert_eq!(numbered, texts.len());
    }
    let transaction = begin().await;
    let error = transaction.commit().await.unwrap_err();
    assert!(error.to_string().contains("no top manifest was written"), "{error}");
    assert_eq!(read(&path).await.unwrap(), image(6).top.digest);
}

#[tokio::test]
async fn what_is_there_already_is_not_asked_for() {
    let temp = tempfile::tempdir().unwrap();
    let path = temp.path().join("image");
    let have = |seed| {
        let path = path.clone();
        async move {
            let transaction = location(&path).begin(&WriteOptions::default()).await.unwrap();
            let content = image(seed);
            let specs: Vec<_> = content
                .blobs
                .iter()
                .map(|blob| spec(Some(Measured::from(&blob.descriptor))))
                .chain([spec(None)])
                .collect();
            transaction.have(&specs).await.unwrap()
        }
    };
    assert_eq!(have(1).await, vec![Have::Missing; 4]);
    write(&path, &image(1)).await.unwrap();
    assert_eq!(have(1).await, [Have::Exact, Have::Exact, Have::Exact, Have::Missing]);
    // The one layer that both have.
    assert_eq!(have(2).await, [Have::Missing, Have::Exact, Have::Missing, Have::Missing]);
    write(&path, &image(2)).await.unwrap();
    assert_eq!(files(&path), dir_files(&image(2)));
}
