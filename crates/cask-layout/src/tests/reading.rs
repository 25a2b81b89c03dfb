//! Opening, choosing and listing.

use std::path::Path;

use cask_image::{Digest, MediaType};

use super::support::*;
use crate::{Content as _, Error, ErrorKind, Layout, ManifestCache, Selector};

/// Everything that an error and its causes say.
fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}

fn layout_of(path: &Path, index: &str) -> Layout {
    std::fs::create_dir_all(path).unwrap();
    std::fs::write(path.join("oci-layout"), r#"{"imageLayoutVersion":"1.0.0"}"#).unwrap();
    std::fs::write(path.join("index.json"), index).unwrap();
    Layout::open(path, quick()).unwrap()
}

#[test]
fn what_is_no_layout_is_refused_with_advice() {
    let temp = tempfile::tempdir().unwrap();
    let check = |marker: Option<&str>, kind: ErrorKind, expected: &str| {
        let path = temp.path().join("l");
        let _ = std::fs::remove_dir_all(&path);
        std::fs::create_dir(&path).unwrap();
        if let Some(marker) = marker {
            std::fs::write(path.join("oci-layout"), marker).unwrap();
        }
        let error = Layout::open(&path, quick()).unwrap_err();
        assert_eq!(error.kind(), kind, "{marker:?}");
        let said = format!("{} {}", words(&error), error.hint().unwrap_or_default());
        assert!(said.contains(expected), "{marker:?}: {said}");
        assert!(said.contains("/l"), "it names the path: {said}");
    };
    check(None, ErrorKind::NotFound, r#"write {"imageLayoutVersion":"1.0.0"} to"#);
    check(Some(""), ErrorKind::Corrupt, "oci-layout");
    check(Some("{}"), ErrorKind::Corrupt, "imageLayoutVersion");
    check(Some(r#"{"imageLayoutVersion": 1.0.0}"#), ErrorKind::Corrupt, "line 1");
    check(Some(r#"{"imageLayoutVersion": 1}"#), ErrorKind::Corrupt, "string");
    check(Some(r#"{"imageLayoutVersion":"2.0.0"}"#), ErrorKind::Unsupported, r#""2.0.0""#);
    let large = format!(r#"{{"imageLayoutVersion":"1.0.0","x":"{}"}}"#, "x".repeat(70_000));
    check(Some(&large), ErrorKind::LimitExceeded, "65536 bytes");

    let missing = Layout::open(temp.path().join("none/l"), quick()).unwrap_err();
    assert_eq!(missing.kind(), ErrorKind::NotFound);
    std::fs::write(temp.path().join("file"), "").unwrap();
    assert_eq!(Layout::open(temp.path().join("file"), quick()).unwrap_err().kind(), ErrorKind::Io);
}

#[test]
fn a_marker_may_say_more() {
    let temp = tempfile::tempdir().unwrap();
    let marker = "\n{\n  \"imageLayoutVersion\": \"1.0.0\", \"more\": {}\n}\n";
    std::fs::write(temp.path().join("oci-layout"), marker).unwrap();
    let layout = Layout::open(temp.path(), quick()).unwrap();
    let error = layout.list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::NotFound);
    assert!(error.to_string().contains("index.json"), "{error}");
}

#[test]
fn an_index_is_read_up_to_four_mebibytes() {
    let temp = tempfile::tempdir().unwrap();
    let index = |bytes: usize| {
        let start = r#"{"schemaVersion":2,"manifests":[],"annotations":{"x":""#;
        format!("{start}{}\"}}}}", "x".repeat(bytes - start.len() - 3))
    };
    let layout = layout_of(temp.path(), &index(4 << 20));
    assert!(layout.list().unwrap().is_empty());
    let layout = layout_of(temp.path(), &index((4 << 20) + 1));
    let error = layout.list().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::LimitExceeded);
    assert!(
        error.to_string().contains("exceeded maximum allowed size of 4194304 bytes"),
        "{error}"
    );
}

#[test]
fn a_manifest_is_checked() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let image = image("a", 1);
    write(&layout, &image, Some("v1")).unwrap();
    let descriptor = image.manifest.descriptor();
    let path = layout.path().join("blobs/sha256").join(descriptor.digest.hex());
    let check = |content: &[u8], kind: ErrorKind| {
        std::fs::write(&path, content).unwrap();
        assert_eq!(layout.manifest(&descriptor).unwrap_err().kind(), kind);
    };
    let mut changed = image.manifest.bytes().to_vec();
    let last = changed.len() - 2;
    changed[last] ^= 1;
    check(&changed, ErrorKind::DigestMismatch);
    check(&changed[1..], ErrorKind::SizeMismatch);
    check(&vec![b' '; (4 << 20) + 1], ErrorKind::LimitExceeded);
    std::fs::remove_file(&path).unwrap();
    assert_eq!(layout.manifest(&descriptor).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn images_are_chosen_as_containers_image_does() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let check = |selector: Selector<'_>, expected: Result<usize, (ErrorKind, &str)>| {
        let found = layout.resolve(selector);
        match (found, expected) {
            (Ok(entry), Ok(position)) => assert_eq!(entry.position, position, "{selector:?}"),
            (Err(error), Err((kind, words))) => {
                assert_eq!(error.kind(), kind, "{selector:?}");
                assert!(error.to_string().ends_with(words), "{selector:?}: {error}");
            }
            (found, _) => panic!("{selector:?}: {found:?}"),
        }
    };
    use ErrorKind::{Ambiguous, NotFound};
    check(Selector::Only, Err((NotFound, "there is no image in it")));
    let first = image("a", 1);
    write(&layout, &first, Some("v1")).unwrap();
    check(Selector::Only, Ok(0));
    write(&layout, &first, Some("v2")).unwrap();
    write(&layout, &image("b", 1), None).unwrap();
    check(Selector::Only, Err((Ambiguous, "more than one image in oci, choose an image")));
    check(Selector::Name("v2"), Ok(1));
    check(Selector::Name("nope"), Err((NotFound, "no descriptor found for reference \"nope\"")));
    check(Selector::Name(""), Err((NotFound, "no descriptor found for reference \"\"")));
    check(Selector::Position(2), Ok(2));
    check(Selector::Position(6), Err((NotFound, "index 6 is too large, only 3 entries available")));
    check(Selector::Digest(image("b", 1).manifest.digest()), Ok(2));
    check(Selector::Digest(&digest(b"none")), Err((NotFound, digest(b"none").as_str())));
    let hint = layout.resolve(Selector::Only).unwrap_err().hint().unwrap().to_owned();
    assert_eq!(hint, "there are v1, v2, @2");
}

#[test]
fn names_are_found_in_nested_indexes_and_in_containerds_words() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let (deep, full) = (image("deep", 1), image("full", 1));
    write_index(&layout, &[&deep], "outer");
    // As BuildKit writes: an index whose entries are named.
    let mut inner = index_of(&[&deep.manifest, &full.manifest]).parse();
    let Ok(cask_image::Manifest::Index(index)) = &mut inner else { panic!("an index") };
    let annotate = |at: usize, key: &str, value: &str, index: &mut cask_image::Index| {
        index.manifests[at].annotations.insert(key.into(), value.into());
    };
    annotate(0, "org.opencontainers.image.ref.name", "inner", index);
    annotate(1, "io.containerd.image.name", "docker.io/library/x:1", index);
    let nested = index.encode();
    let outermost = index_of(&[&nested]);
    let transaction = layout.begin().unwrap();
    put(&transaction, &full).unwrap();
    for manifest in [&nested, &outermost] {
        transaction.write_manifest(manifest).unwrap();
    }
    transaction.commit(&[entry(&outermost, None)]).unwrap();

    let check = |name: &str, digest: &Digest, depth: usize| {
        let found = layout.resolve(Selector::Name(name)).unwrap();
        assert_eq!((&found.descriptor.digest, found.depth), (digest, depth), "{name}");
    };
    check("inner", deep.manifest.digest(), 2);
    check("docker.io/library/x:1", full.manifest.digest(), 2);
    let by_digest = layout.resolve(Selector::Digest(nested.digest())).unwrap();
    assert_eq!((by_digest.position, by_digest.depth), (1, 1));
    // What index.json says itself comes first.
    write(&layout, &image("top", 1), Some("inner")).unwrap();
    check("inner", image("top", 1).manifest.digest(), 0);
}

#[test]
fn referrers_are_found_directly_and_below_indexes() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let subject = image("subject", 1);
    let direct = image_with_subject("direct", 1, Some(&subject.manifest));
    let nested = image_with_subject("nested", 1, Some(&subject.manifest));
    let other = image_with_subject("other", 1, Some(&direct.manifest));
    write(&layout, &subject, Some("v1")).unwrap();
    write(&layout, &direct, None).unwrap();
    write_index(&layout, &[&nested, &direct], "fallback");
    write(&layout, &other, None).unwrap();
    let found = layout.referrers(subject.manifest.digest()).unwrap();
    let digests: Vec<_> = found.iter().map(|found| &found.digest).collect();
    assert_eq!(digests, [direct.manifest.digest(), nested.manifest.digest()]);
    assert_eq!(found[0].artifact_type, Some(MediaType::OciConfig));
    assert_eq!(layout.referrers(other.manifest.digest()).unwrap(), []);
}

#[test]
fn what_is_remembered_of_manifests_answers_as_they_would() {
    let temp = tempfile::tempdir().unwrap();
    let options = options(|options| options.manifest_cache = Some(ManifestCache::default()));
    let layout = Layout::create_or_open(temp.path().join("layout"), options).unwrap();
    let subject = image("subject", 1);
    let one = image_with_subject("one", 1, Some(&subject.manifest));
    write(&layout, &subject, Some("v1")).unwrap();
    write(&layout, &one, None).unwrap();
    let referrers = || layout.referrers(subject.manifest.digest()).unwrap();
    let first = referrers();
    assert_eq!(first.len(), 1);
    assert_eq!(referrers(), first);
    // Another process would not have read it.
    let blob = |digest: &Digest| layout.path().join("blobs/sha256").join(digest.hex());
    std::fs::write(blob(one.manifest.digest()), "{}").unwrap();
    assert_eq!(referrers(), first, "it is not read again");
    std::fs::remove_file(blob(one.manifest.digest())).unwrap();
    assert_eq!(referrers(), [], "it is looked for each time");
    let two = image_with_subject("two", 1, Some(&subject.manifest));
    write(&layout, &two, None).unwrap();
    assert_eq!(referrers()[0].digest, *two.manifest.digest());
}

#[test]
fn an_image_with_its_referrers_is_one_image() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let (subject, part) = (image("subject", 1), image("part", 1));
    let signature = image_with_subject("signature", 1, Some(&subject.manifest));
    let of_part = image_with_subject("of part", 1, Some(&part.manifest));
    let of_signature = image_with_subject("of signature", 1, Some(&signature.manifest));
    write(&layout, &signature, None).unwrap();
    assert_eq!(layout.resolve(Selector::Only).unwrap().position, 0, "nothing else is there");
    let index = write_index(&layout, &[&subject, &part], "all");
    write(&layout, &of_part, None).unwrap();
    write(&layout, &of_signature, None).unwrap();
    assert_eq!(layout.resolve(Selector::Only).unwrap().descriptor.digest, *index.digest());
    write(&layout, &image("another", 1), None).unwrap();
    assert_eq!(layout.resolve(Selector::Only).unwrap_err().kind(), ErrorKind::Ambiguous);
}

#[test]
fn an_index_that_lists_itself_ends() {
    // Digests cannot be chosen, but a layout can lie: the walk must end before it finds out.
    let temp = tempfile::tempdir().unwrap();
    let one = digest(b"one");
    let index = format!(
        r#"{{"schemaVersion":2,"manifests":[{{"mediaType":"application/vnd.oci.image.index.v1+json","digest":"{one}","size":10}}]}}"#
    );
    let layout = layout_of(temp.path(), &index);
    std::fs::create_dir_all(temp.path().join("blobs/sha256")).unwrap();
    std::fs::write(temp.path().join("blobs/sha256").join(one.hex()), &index).unwrap();
    assert_eq!(layout.referrers(&one).unwrap(), []);
    assert_eq!(layout.resolve(Selector::Name("x")).unwrap_err().kind(), ErrorKind::NotFound);
}

#[test]
fn a_sparse_layout_can_be_read() {
    let temp = tempfile::tempdir().unwrap();
    let layout = new_layout(&temp);
    let (kept, gone) = (image("kept", 1), image("gone", 1));
    write_index(&layout, &[&kept, &gone], "all");
    let blob = layout.path().join("blobs/sha256").join(gone.manifest.digest().hex());
    std::fs::remove_file(blob).unwrap();
    assert_eq!(layout.blob_size(gone.manifest.digest()).unwrap(), None);
    assert_eq!(layout.open_blob(gone.manifest.digest()).unwrap_err().kind(), ErrorKind::NotFound);
    layout.resolve(Selector::Name("all")).unwrap();
    assert_eq!(layout.referrers(kept.manifest.digest()).unwrap(), []);
    let removed = layout.collect_garbage().unwrap();
    assert_eq!(removed.blobs.len(), 2, "what only the missing manifest needed");
}
