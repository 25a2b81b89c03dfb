//! Files in lists, and images that are pushed in several compressions.

use serde_json::{Value, json};
use tests::{Access, PeerStore, Registry, Scratch, cellar_built, has, scratch, skopeo};

use crate::{TOOLS, buildah, cooper, program, store_with_base};

/// The files that were put into a list of buildah 1.43.2 and of podman 5.8.6.
fn write_files(files: &Scratch) {
    let texts: [(&str, &[u8]); 4] = [
        ("a.json", b"{\"a\":1}\n"),
        ("notes", b"some text\n"),
        ("pic", b"\x89PNG\r\n\x1a\n"),
        ("config", b"cfg"),
    ];
    for (name, text) in texts {
        std::fs::write(files.join(name), text).expect("a scratch directory is writable");
    }
}

/// The descriptors of the artifacts, as those programs made them of these files.
const EMPTY: &str = "sha256:64058df83577d72979baed01e44d797c2cc5949a853f1fd60729884b8186d0b7";
const TYPED: &str = "sha256:5604bf337b65b57ba132f6bf43f4f24ba2a1d2c42f8d97c7180acd1c37a06e71";
/// Of a file that is the config: buildah's without its bytes, podman's with them.
const UNTYPED: [&str; 2] = [
    "sha256:cc95072678eee015389d6b61a225394da8ec4d372dec1106e25f8a9ef5c88660",
    "sha256:571279ce42d917c21ca0f7af116a6e792caf25521c6025f2497c65d6ac80bbbb",
];
const CONFIG: [&str; 2] = [
    "sha256:e33c0b0f9ea154f7050778347e2f8eb6141e8f7dafda137096c93e4865505785",
    "sha256:645ac11d931c21791a8eb06971562bb30981cf615ce995a4d165231a549c1827",
];

fn read(place: &str) -> Value {
    skopeo(&format!("inspect --tls-verify=false --raw {place}")).ok().json()
}

fn digests(index: &Value) -> Vec<&str> {
    let entries = index["manifests"].as_array().expect("it is a list");
    entries.iter().map(|entry| entry["digest"].as_str().expect("it has one")).collect()
}

/// Puts the files into a list, each time in another way.
fn add_artifacts(store: &PeerStore, program: &str, files: &Scratch) {
    let at = |name: &str| files.at(name);
    let run = |arguments: &[&str]| store.run(program, &[&["manifest"], arguments].concat()).ok();
    run(&["create", "all"]);
    run(&["add", "--artifact", "all", &at("a.json"), &at("notes"), &at("pic")]);
    let about = ["--artifact-type", "application/x", "--artifact-config-type", "application/vnd.c"];
    let entry = ["--annotation", "k=v", "--os", "linux", "--arch", "arm64", "all", &at("notes")];
    run(&[&["add", "--artifact"], &about[..], &entry].concat());
    let config = at("config");
    let untyped =
        ["--artifact-type", "", "--artifact-config", &config, "--artifact-exclude-titles"];
    let layer = ["--artifact-layer-type", "text/z", "all", &at("notes")];
    run(&[&["add", "--artifact"], &untyped[..], &layer].concat());
    let typed = ["--artifact-config", &config, "--artifact-config-type", "application/vnd.c"];
    run(&[&["add", "--artifact"], &typed[..], &["all", &at("a.json")]].concat());
}

#[test]
fn files_come_to_lists_as_newer_peers_have_them() {
    if !has(&TOOLS) || !has(&["skopeo", "docker-registry"]) {
        return;
    }
    let cellar = cellar_built().to_str().expect("temporary directories have ordinary names");
    for (place, program) in [(0, program()), (1, cellar)] {
        let (store, files) = (store_with_base(), scratch());
        write_files(&files);
        add_artifacts(&store, program, &files);
        let registry = Registry::start(&files, Access::Plain);
        let layout = format!("oci:{}:x", files.at("layout"));
        let remote = format!("docker://{}/all:x", registry.address());
        for to in [&layout, &remote] {
            let line = ["manifest", "push", "--all", "-q", "--tls-verify=false", "all", to];
            store.run(program, &line).ok();
            let index = read(to);
            assert_eq!(digests(&index), [EMPTY, TYPED, UNTYPED[place], CONFIG[place]], "{to}");
            let entries = &index["manifests"];
            assert_eq!(entries[0]["artifactType"], "application/vnd.unknown.artifact.v1");
            assert_eq!(entries[0].get("platform"), None);
            assert_eq!(entries[1]["platform"], json!({"architecture": "arm64", "os": "linux"}));
            assert_eq!(entries[1]["annotations"], json!({"k": "v"}));
            assert_eq!(entries[2].get("artifactType"), None);
        }
        let one = read(&format!("docker://{}/all@{EMPTY}", registry.address()));
        assert_eq!(one["layers"][2]["mediaType"], "image/png");
        if place == 0 {
            // What came is whole, files and all.
            tests::dray_with(&["validate", &layout]).ok();
        }
        let shown = store.run(program, &["manifest", "inspect", "all"]).ok().json();
        assert_eq!(shown["manifests"][1]["files"], json!([files.at("notes")]));
        assert_eq!(shown["mediaType"], "application/vnd.oci.image.index.v1+json");
    }
}

#[test]
fn artifacts_are_found_by_their_files_and_come_along() {
    if !has(&TOOLS) || !has(&["skopeo"]) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    write_files(&files);
    let notes = files.at("notes");
    cooper(&store, &["manifest", "create", "all", "base"]).ok();
    let subject = ["manifest", "add", "--artifact", "--artifact-subject", "base"];
    let told = ["--artifact-annotation", "a=b", "all", &notes];
    let added = cooper(&store, &[&subject[..], &told].concat()).ok();
    let digest = added.text().rsplit(' ').next().expect("it prints the digest").to_owned();
    let changed =
        cooper(&store, &["manifest", "annotate", "--annotation", "x=1,y=2", "all", &notes]);
    assert!(changed.ok().text().ends_with(&digest));
    let about =
        ["manifest", "annotate", "--index", "--subject", "base", "--annotation", "i=1", "all"];
    let id = cooper(&store, &about).ok();
    assert_eq!(id.text().len(), 64);
    // Another list has it too, with its files.
    cooper(&store, &["manifest", "create", "--all", "other", "all"]).ok();
    let place = format!("oci:{}:x", files.at("layout"));
    cooper(&store, &["manifest", "push", "--all", "-q", "other", &place]).ok();
    assert_eq!(read(&place)["manifests"][1]["digest"], digest.as_str());
    cooper(&store, &["manifest", "push", "--all", "-q", "all", &place]).ok();
    let index = read(&place);
    let entry = &index["manifests"][1];
    assert_eq!(entry["annotations"], json!({"x": "1", "y": "2"}));
    assert_eq!(
        (&index["annotations"]["i"], index["subject"]["size"].is_u64()),
        (&"1".into(), true)
    );
    // What is about an image names it as the store has it: there it is plain.
    let here = cooper(&store, &["manifest", "inspect", "all"]).ok().json();
    let base = &here["manifests"][0]["digest"];
    assert_eq!(index["subject"]["digest"], *base);
    let blobs = files.join("layout/blobs/sha256");
    let artifact = std::fs::read(blobs.join(digest.trim_start_matches("sha256:")));
    let artifact: Value =
        serde_json::from_slice(&artifact.expect("it is there")).expect("it is JSON");
    assert_eq!(artifact["annotations"], json!({"a": "b"}));
    assert_eq!(artifact["subject"]["digest"], *base);
    // What another buildah changes keeps it.
    buildah(&store, &["manifest", "annotate", "--annotation", "z=3", "all", &digest]).ok();
    cooper(&store, &["manifest", "push", "--all", "-q", "all", &place]).ok();
    let removed = cooper(&store, &["manifest", "remove", "all", &notes]).ok();
    assert!(removed.text().ends_with(&digest));
    let left = cooper(&store, &["manifest", "inspect", "all"]).ok().json();
    assert_eq!(left["manifests"].as_array().map(Vec::len), Some(1));
}

#[test]
fn what_is_no_artifact_is_refused() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    write_files(&files);
    let (notes, nowhere) = (files.at("notes"), files.at("nosuch"));
    cooper(&store, &["manifest", "create", "all"]).ok();
    let check = |arguments: &[&str], words: &str| {
        let line = [&["manifest", "add"], arguments].concat();
        cooper(&store, &line).ends(125).says(words);
    };
    check(&["--artifact-type", "x", "all", "base"], "--artifact-type requires --artifact");
    let two = ["--artifact-type", "x", "--artifact-exclude-titles", "all", "base"];
    check(&two, "--artifact-type/--artifact-exclude-titles require --artifact");
    check(&["all", "base", "base"], "too many arguments");
    check(&["--artifact", "all", &nowhere], "nosuch");
    check(&["--artifact", "all", "/dev/null"], "it is no file");
    check(&["--artifact", "--artifact-config", &nowhere, "all", &notes], "nosuch");
    check(&["--artifact", "--artifact-annotation", "a", "all", &notes], "write NAME=VALUE");
    let empty = cooper(&store, &["manifest", "inspect", "all"]).ok().json();
    assert_eq!(empty["manifests"], Value::Null);
    // A file that changed since is not pushed as what it was.
    cooper(&store, &["manifest", "add", "--artifact", "all", &notes]).ok();
    std::fs::write(&notes, "some other").expect("it is writable");
    let place = format!("oci:{}:x", files.at("layout"));
    let push = ["manifest", "push", "--all", "-q", "all", &place];
    cooper(&store, &push).ends(125).says("Digest did not match");
    assert!(!files.join("layout/index.json").exists());
}

#[test]
fn lists_are_pushed_in_several_compressions() {
    if !has(&TOOLS) || !has(&["skopeo", "docker-registry"]) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let registry = Registry::start(&files, Access::Plain);
    cooper(&store, &["manifest", "create", "all", "base"]).ok();
    let push = |program: &str, flags: &[&str], name: &str| {
        let to = format!("docker://{}/{name}", registry.address());
        let line =
            [&["manifest", "push", "-q", "--tls-verify=false"], flags, &["all", &to]].concat();
        store.run(program, &line).ok();
        let index = read(&to);
        let one = |entry: &Value| {
            let digest = entry["digest"].as_str().expect("it has one");
            let name = name.split(':').next().unwrap_or_default();
            let image = read(&format!("docker://{}/{name}@{digest}", registry.address()));
            let kind = image["layers"][0]["mediaType"].as_str().expect("it has one").to_owned();
            let marked = entry["annotations"]["io.github.containers.compression.zstd"] == "true";
            assert_eq!(marked, kind.ends_with("zstd"), "{kind}");
            kind.rsplit('+').next().unwrap_or_default().to_owned()
        };
        let entries = index["manifests"].as_array().expect("it is a list");
        entries.iter().map(one).collect::<Vec<_>>()
    };
    let cellar = cellar_built().to_str().expect("temporary directories have ordinary names");
    for program in [program(), cellar] {
        let zstd = ["--add-compression", "zstd"];
        assert_eq!(push(program, &zstd, "a:1"), ["gzip", "zstd"], "{program}");
        let both = ["--add-compression", "gzip,zstd"];
        assert_eq!(push(program, &both, "b:1"), ["gzip", "zstd"], "{program}");
        let all = [
            "--add-compression",
            "zstd:chunked",
            "--compression-format",
            "zstd",
            "--force-compression",
        ];
        assert_eq!(push(program, &all, "c:1"), ["zstd", "zstd"], "{program}");
    }
    let place = format!("oci:{}:x", files.at("layout"));
    let push = ["manifest", "push", "--add-compression", "lz4", "all", &place];
    cooper(&store, &push).ends(125).says("unknown compression format \"lz4\"");
    let push = ["manifest", "push", "--all=false", "--add-compression", "zstd", "all", &place];
    cooper(&store, &push).ends(125).says("only where all of it is copied");
}

#[test]
fn containers_conf_says_what_pushes_compress_to() {
    if !has(&TOOLS) || !has(&["skopeo", "docker-registry"]) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let registry = Registry::start(&files, Access::Plain);
    let conf = files.at("containers.conf");
    let text = "[engine]\ncompression_format = \"zstd\"\ncompression_level = 6\nadd_compression = [\"zstd\"]\n";
    std::fs::write(&conf, text).expect("a scratch directory is writable");
    let run = |program: &str, line: &[&str]| {
        let mut command = tests::command(program);
        tests::run(store.at_store(&mut command).args(line).env("CONTAINERS_CONF", &conf)).ok()
    };
    let cellar = cellar_built().to_str().expect("temporary directories have ordinary names");
    let kind = |place: &str| {
        let kind = read(place)["layers"][0]["mediaType"].as_str().expect("it has one").to_owned();
        kind.rsplit(['+', '.']).next().unwrap_or_default().to_owned()
    };
    let remote = format!("docker://{}/base:", registry.address());
    let pushed = |program: &str, flags: &[&str], tag: &str| {
        let to = format!("{remote}{tag}");
        let line = [&["push", "-q", "--tls-verify=false"], flags, &["base", &to]].concat();
        run(program, &line);
        kind(&to)
    };
    assert_eq!(pushed(cellar, &[], "1"), "zstd");
    assert_eq!(pushed(cellar, &["--format", "v2s2"], "2"), "gzip");
    assert_eq!(pushed(cellar, &["--compression-format", "gzip"], "3"), "gzip");
    // Buildah reads nothing of this but what is added to lists.
    assert_eq!(pushed(program(), &["--disable-compression=false"], "4"), "gzip");
    let directory = format!("dir:{}", files.at("dir"));
    run(cellar, &["push", "-q", "base", &directory]);
    assert_eq!(kind(&directory), "tar");
    run(cellar, &["manifest", "create", "all", "base"]);
    for (program, name) in [(cellar, "x:1"), (program(), "y:1")] {
        let to = format!("docker://{}/{name}", registry.address());
        run(program, &["manifest", "push", "-q", "--all", "--tls-verify=false", "all", &to]);
        let index = read(&to);
        let entries = index["manifests"].as_array().expect("it is a list");
        assert_eq!(entries.len(), 2, "{index}");
    }
    std::fs::write(&conf, "[engine]\ncompression_format = \"lz4\"\n").expect("it is writable");
    let mut command = tests::command(cellar);
    let line = ["push", "-q", "base", &directory];
    let failed = tests::run(store.at_store(&mut command).args(line).env("CONTAINERS_CONF", &conf));
    failed.ends(125).says("[engine] compression_format");
}
