//! Images that are pulled, pushed, saved, loaded and imported, beside podman.

use std::process::Stdio;

use serde_json::Value;
use tests::{
    Access, Outcome, PeerStore, Registry, Scratch, dray_with, fixtures, has, identity, layers,
    scratch, skopeo_with, tool,
};

use crate::TOOLS;

const PLAIN: &str = "--tls-verify=false";

/// A registry with the image of the fixtures, under two tags and in a list.
struct Setting {
    scratch: Scratch,
    registry: Registry,
}

impl Setting {
    fn start() -> Option<Self> {
        if !has(&TOOLS) || !has(&["skopeo", "docker-registry"]) {
            return None;
        }
        let scratch = scratch();
        let registry = Registry::start(&scratch, Access::Plain);
        let it = Self { scratch, registry };
        for tag in ["1", "2"] {
            let to = format!("docker://{}", it.name(&format!("it:{tag}")));
            let from = &fixtures().buildah_oci;
            skopeo_with(&["copy", "-q", "--dest-tls-verify=false", from, &to]).ok();
        }
        Some(it)
    }

    /// What an image is called in the registry.
    fn name(&self, image: &str) -> String {
        format!("{}/{image}", self.registry.address())
    }

    /// The digest of an image of the registry.
    fn digest(&self, image: &str) -> String {
        let place = format!("docker://{}", self.name(image));
        dray_with(&["digest", PLAIN, &place]).ok().text().to_owned()
    }
}

/// What is known of an image, apart from what belongs to its store.
fn inspected(store: &PeerStore, image: &str) -> Value {
    let mut all = store.podman(&["image", "inspect", image]).ok().json();
    let object = all[0].as_object_mut().expect("an image is an object");
    object.remove("GraphDriver");
    object.remove("NamesHistory");
    all[0].take()
}

fn names(store: &PeerStore) -> Vec<String> {
    let listed = store.podman(&["images", "-a", "--format", "{{.Repository}}:{{.Tag}}"]).ok();
    let mut names: Vec<String> = listed.text().lines().map(str::to_owned).collect();
    names.sort();
    names
}

/// Nothing is broken, and nothing is left over.
#[track_caller]
fn assert_whole(store: &PeerStore) {
    let check = store.cellar(&["system", "check"]).ok();
    assert_eq!((check.text(), check.stderr.as_str()), ("", ""));
}

/// The last line of each line that tells of something on standard error is the same.
#[track_caller]
fn assert_fails_as(theirs: &Outcome, ours: &Outcome, phrase: &str) {
    assert_eq!(theirs.code, ours.code, "{theirs}\n{ours}");
    for outcome in [theirs, ours] {
        assert!(outcome.stderr.contains(phrase), "expected {phrase:?}: {outcome}");
    }
}

#[test]
fn what_is_pulled_is_what_podman_pulls() {
    let Some(setting) = Setting::start() else { return };
    let digest = setting.digest("it:1");
    let by_digest = setting.name(&format!("it@{digest}"));
    let by_both = setting.name(&format!("it:2@{digest}"));
    let (one, two) = (setting.name("it:1"), setting.name("it:2"));
    let with_scheme = format!("docker://{two}");
    for line in [
        vec![one.as_str()],
        vec![&with_scheme],
        vec![&by_digest],
        vec![&by_both],
        vec!["-q", &one, &two],
    ] {
        let (podman, cellar) = (PeerStore::new(), PeerStore::new());
        let line = [&["pull", PLAIN], line.as_slice()].concat();
        let (theirs, ours) = (podman.podman(&line).ok(), cellar.cellar(&line).ok());
        assert_eq!(theirs.text(), ours.text(), "{theirs}\n{ours}");
        assert_eq!(names(&podman), names(&cellar), "{line:?}");
        let id = ours.text().lines().next().expect("an image was pulled");
        assert_eq!(inspected(&podman, id), inspected(&cellar, id), "{line:?}");
        assert_whole(&cellar);
    }
    let store = PeerStore::new();
    let said = store.cellar(&["pull", PLAIN, &one]).ok();
    assert!(said.stderr.starts_with(&format!("Trying to pull {one}...\n")), "{said}");
    assert!(said.stderr.contains("Writing manifest to image destination"), "{said}");
    let saved = setting.scratch.at("saved.tar");
    store.podman(&["save", "-q", "-o", &saved, &one]).ok();
    assert_eq!(identity(&format!("docker-archive:{saved}")), identity(&fixtures().buildah_oci));
    let quiet = store.cellar(&["pull", "-q", PLAIN, &one]).ok();
    assert_eq!(quiet.stderr, "");
    // Podman does not find the tags without TLS.
    let all = PeerStore::new();
    let pulled = all.cellar(&["pull", "-q", PLAIN, "--all-tags", &setting.name("it")]).ok();
    assert_eq!(pulled.text().lines().count(), 2, "{pulled}");
    assert_eq!(names(&all), [one, two]);
}

#[test]
fn of_a_list_the_image_for_the_platform_is_pulled_and_both_digests_name_it() {
    let Some(setting) = Setting::start() else { return };
    let name = setting.name("list:1");
    let store = PeerStore::new();
    // A list of the image and one of another architecture.
    let make = |arguments: &[&str]| store.run("buildah", arguments).ok();
    store.cellar(&["pull", "-q", PLAIN, &setting.name("it:1")]).ok();
    make(&["manifest", "create", "l", &setting.name("it:1")]);
    let other = ["--arch", "s390x", "-q", "/dev/null", "other:1"];
    let empty = setting.scratch.at("empty.tar");
    tool("tar", &format!("-cf {empty} -T /dev/null")).ok();
    let import = ["import", other[0], other[1], other[2], &empty, other[4]];
    store.cellar(&import).ok();
    make(&["manifest", "add", "--arch", "s390x", "l", "containers-storage:localhost/other:1"]);
    make(&["manifest", "push", "--all", PLAIN, "l", &format!("docker://{name}")]);
    for (flag, code) in [("--insecure", 0), ("--insecure=false", 125)] {
        PeerStore::new().cellar(&["manifest", "inspect", flag, &name]).ends(code);
    }
    let digest = setting.digest("list:1");
    let by_digest = setting.name(&format!("list@{digest}"));
    for wanted in [&name, &by_digest] {
        let (podman, cellar) = (PeerStore::new(), PeerStore::new());
        let line = ["pull", "-q", PLAIN, wanted];
        let (theirs, ours) = (podman.podman(&line).ok(), cellar.cellar(&line).ok());
        assert_eq!(theirs.text(), ours.text(), "{wanted}");
        assert_eq!(names(&podman), names(&cellar), "{wanted}");
        let id = ours.text();
        let (theirs, ours) = (inspected(&podman, id), inspected(&cellar, id));
        assert_eq!(theirs["RepoDigests"], ours["RepoDigests"], "{wanted}");
        assert_eq!(theirs["Digest"], ours["Digest"], "{wanted}");
        cellar.cellar(&["create", "--name", "c", id, "x"]).ok();
        let of_container = cellar.cellar(&["inspect", "-f", "{{.ImageDigest}}", "c"]).ok();
        assert_eq!(ours["Digest"], of_container.text(), "{wanted}");
        cellar.cellar(&["rm", "c"]).ok();
        cellar.podman(&["image", "exists", &by_digest]).ok();
        cellar.cellar(&["image", "exists", &by_digest]).ok();
        assert_whole(&cellar);
    }
    let (podman, cellar) = (PeerStore::new(), PeerStore::new());
    let line = ["pull", "-q", PLAIN, "--arch", "s390x", &name];
    assert_eq!(podman.podman(&line).ok().text(), cellar.cellar(&line).ok().text());
    // Where there is one alone, it comes, and that is told.
    let single = setting.name("it:1");
    let line = ["pull", "-q", PLAIN, "--platform", "linux/s390x", &single];
    let (theirs, ours) = (podman.podman(&line).ok(), cellar.cellar(&line).ok());
    assert_eq!(theirs.text(), ours.text());
    let other = PeerStore::new();
    let mut line = std::process::Command::new(tests::cooper_built());
    let cooper = ["pull", "-q", PLAIN, "--arch", "s390x", &single];
    let of_cooper = tests::run(other.at_store(&mut line).args(cooper)).ok();
    for said in [theirs, ours, of_cooper] {
        assert!(said.stderr.contains("does not match the expected platform"), "{said}");
    }
    let line = ["pull", PLAIN, "--platform", "linux/riscv64", &name];
    let none = "no image found in";
    assert_fails_as(&podman.podman(&line), &cellar.cellar(&line), none);
}

#[test]
fn pulls_fail_as_podman_s_do() {
    let Some(setting) = Setting::start() else { return };
    let store = PeerStore::with_images();
    let missing = setting.name("it:nosuch");
    let secure = setting.name("it:1");
    let check = |line: &[&str], phrase: &str| {
        let line = [&["pull"], line].concat();
        assert_fails_as(&store.podman(&line), &store.cellar(&line), phrase);
    };
    check(&[], "requires at least 1 arg(s), only received 0");
    check(&[PLAIN, &missing], &format!("initializing source docker://{missing}: reading manifest"));
    check(&[&secure], "server gave HTTP response to HTTPS client");
    check(&["nosuch"], "short-name \"nosuch\" did not resolve to an alias and no");
    store.cellar(&["pull", "A/b"]).ends(125).says("A/b");
    check(&["a:b:c"], "invalid reference format");
    check(&["-a", "dir:/nowhere"], "pulling all tags is not supported for dir transport");
    check(&["oci:/nowhere:x"], "/nowhere");
    let id = store.podman(&["images", "-q", "--no-trunc", "base:1"]).ok();
    check(&[id.text()], "pull policy is always but image has been referred to by ID");
    check(&["--platform", "linux/arm", "--arch", "arm", "x"], "option can not be specified with");
    // Of several, what can be pulled is.
    let both = store.cellar(&["pull", "-q", PLAIN, &missing, &secure]).ends(125);
    assert_eq!(both.text().lines().count(), 1, "{both}");
    store.cellar(&["pull", "--sign-by", "x", "y"]).ends(125).says("unknown flag: --sign-by");
}

#[test]
fn repositories_are_searched_for_as_podman_does() {
    let Some(setting) = Setting::start() else { return };
    let store = PeerStore::new();
    let name = |name: &str| setting.name(name);
    for line in [
        vec!["it"],
        vec![""],
        vec!["nosuch"],
        vec!["--compatible", "i"],
        vec!["--format", "json", "it"],
        vec!["--format", "{{.Index}} {{.Name}} {{.Stars}}{{.Official}}{{.Automated}}", "it"],
        vec!["--format", "table {{.Name}}\t{{.Description}}", "it"],
        vec!["-f", "is-official=false", "it"],
        vec!["--filter", "stars=1", "it"],
        vec!["--list-tags", "it"],
        vec!["--list-tags", "--limit", "1", "--format", "json", "it"],
    ] {
        let (term, flags) = line.split_last().expect("a line has words");
        let term = name(term);
        let line = [&["search", PLAIN], flags, &[&term]].concat();
        let (theirs, ours) = (store.podman(&line).ok(), store.cellar(&line).ok());
        assert_eq!(ours.stdout, theirs.stdout, "{line:?}");
    }
    let it = name("it");
    let check = |line: &[&str], phrase: &str| {
        let line = [&["search", PLAIN], line].concat();
        assert_fails_as(&store.podman(&line), &store.cellar(&line), phrase);
    };
    check(&["-f", "nosuch=1", &it], "invalid filter type \"nosuch=1\"");
    check(&["--list-tags", "-f", "stars=1", &it], "filters are not applicable to list tags result");
    check(
        &["127.0.0.1:1/x"],
        "couldn't search registry \"127.0.0.1:1\": pinging container registry",
    );
    // Where the peer says nothing, ours says what is missing.
    let conf = setting.scratch.at("registries.conf");
    std::fs::write(&conf, "").expect("a scratch directory is writable");
    let nowhere = store.cellar(&["--registries-conf", &conf, "search", "it"]);
    nowhere.ends(125).says("unqualified-search-registries");
    std::fs::write(
        &conf,
        format!(
            "unqualified-search-registries = [\"127.0.0.1:1\", \"{0}\"]\n[[registry]]\nlocation = \"{0}\"\ninsecure = true\n",
            setting.registry.address()
        ),
    )
    .expect("a scratch directory is writable");
    let found = store.cellar(&["--registries-conf", &conf, "image", "search", "it"]).ok();
    assert!(found.text().contains(&it), "one of the registries is there: {found}");
}

#[test]
fn policies_say_when_to_pull() {
    let Some(setting) = Setting::start() else { return };
    let (store, name) = (PeerStore::new(), setting.name("it:1"));
    let pull = |policy: &str| {
        let before = setting.registry.requests().len();
        let pulled = store.cellar(&["pull", "-q", PLAIN, "--policy", policy, &name]);
        (pulled, setting.registry.requests().len() - before)
    };
    pull("never").0.ends(125).says("image not known");
    let (first, asked) = pull("missing");
    assert!(asked > 0, "{first}");
    let id = first.ok().text().to_owned();
    for (policy, is_asked) in [("missing", false), ("never", false), ("newer", true)] {
        let (pulled, asked) = pull(policy);
        assert_eq!((pulled.ok().text(), asked > 0), (id.as_str(), is_asked), "{policy}");
    }
    // Another image under the same name is newer.
    let to = format!("docker://{name}");
    let from = &fixtures().buildah_dir;
    skopeo_with(&["copy", "-q", "--dest-tls-verify=false", from, &to]).ok();
    assert_eq!(pull("missing").0.ok().text(), id);
    pull("newer").0.ok();
    let digests = store.podman(&["image", "inspect", "-f", "{{.RepoDigests}}", &name]).ok();
    assert!(digests.text().contains(&setting.digest("it:1")), "{digests}");
    pull("often").0.ends(125).says("unsupported pull policy \"often\"");
}

#[test]
fn what_podman_pulled_is_mounted_and_stays_as_it_came() {
    let Some(setting) = Setting::start() else { return };
    let (store, name, copy) = (PeerStore::new(), setting.name("it:1"), setting.name("team/copy:1"));
    store.podman(&["pull", "-q", PLAIN, &name]).ok();
    let before = setting.registry.requests().len();
    store.cellar(&["push", "-q", PLAIN, &name, &copy]).ok();
    assert_eq!(setting.digest("team/copy:1"), setting.digest("it:1"));
    let requests = setting.registry.requests().split_off(before);
    let count = |word: &str, answer: &str| {
        let fits = |line: &&String| line.contains(word) && line.ends_with(answer);
        requests.iter().filter(fits).count()
    };
    // Three layers and the config: nothing is sent, and nothing asked for twice.
    assert_eq!(count("?mount=", " 201"), 4, "{requests:?}");
    let others = ["HEAD /v2/team/copy/blobs/", "PATCH /v2/", "PUT /v2/team/copy/blobs/"];
    assert_eq!(others.map(|word| count(word, "")), [3, 0, 0], "{requests:?}");
}

#[test]
fn what_is_pulled_by_its_digest_too_is_listed_by_its_tags_and_saved_plain_if_asked_for() {
    let Some(setting) = Setting::start() else { return };
    let digest = setting.digest("it:1");
    let (podman, cellar) = (PeerStore::new(), PeerStore::new());
    for name in [setting.name(&format!("it@{digest}")), setting.name("it:1")] {
        let line = ["pull", "-q", PLAIN, &name];
        podman.podman(&line).ok();
        cellar.cellar(&line).ok();
        let list = ["images", "--format", "{{.Repository}} {{.Tag}} {{.ID}}"];
        assert_eq!(podman.podman(&list).ok().text(), cellar.cellar(&list).ok().text(), "{name}");
    }
    for format in ["oci-archive", "oci-dir"] {
        let at = setting.scratch.at(format);
        let line = ["save", "-q", "--format", format, "--uncompressed", "-o", &at];
        cellar.cellar(&[&line[..], &[&setting.name("it:1")]].concat()).ok();
        let scheme = if format == "oci-dir" { "oci" } else { format };
        for layer in layers(&format!("{scheme}:{at}")) {
            assert_eq!(layer["mediaType"], "application/vnd.oci.image.layer.v1.tar", "{format}");
        }
    }
}

#[test]
fn short_names_are_aliases_or_of_search_registries() {
    let Some(setting) = Setting::start() else { return };
    let (conf, store) = (setting.scratch.at("registries.conf"), PeerStore::new());
    let host = setting.registry.address();
    let text = format!(
        "unqualified-search-registries = [\"127.0.0.1:1\", \"{host}\"]\n\
         short-name-mode = \"permissive\"\n[[registry]]\nlocation = \"{host}\"\ninsecure = true\n\
         [aliases]\n\"other\" = \"{host}/it\"\n"
    );
    std::fs::write(&conf, text).expect("a scratch directory is writable");
    let pull = |name: &str| store.cellar(&["--registries-conf", &conf, "pull", name]);
    let alias = pull("other:2").ok();
    assert!(alias.stderr.contains("Resolved \"other\" as an alias"), "{alias}");
    let searched = pull("it:1").ok();
    assert!(searched.stderr.contains("Resolving \"it\" using unqualified-search"), "{searched}");
    let tried = "Trying to pull 127.0.0.1:1/it:1...\n";
    assert!(searched.stderr.contains(tried), "{searched}");
    assert_eq!(names(&store), [setting.name("it:1"), setting.name("it:2")]);
    let failed = pull("nosuch").ends(125);
    assert!(failed.stderr.contains("2 errors occurred while pulling:\n"), "{failed}");
}

#[test]
fn what_is_pushed_podman_pulls() {
    let Some(setting) = Setting::start() else { return };
    let (store, other) = (PeerStore::with_images(), PeerStore::new());
    let file = setting.scratch.at("digest");
    for (number, flags) in [
        vec![],
        vec!["--format", "v2s2"],
        vec!["--format", "oci", "--compression-format", "zstd", "--compression-level", "3"],
        vec!["--format", "oci", "--compression-format", "zstd:chunked"],
        vec!["--compression-format", "gzip", "--force-compression", "--remove-signatures"],
    ]
    .into_iter()
    .enumerate()
    {
        let name = setting.name(&format!("pushed:{number}"));
        let fixed = ["push", PLAIN, "--digestfile", &file];
        let pushed = store.cellar(&[&fixed, flags.as_slice(), &["child:1", &name]].concat()).ok();
        assert!(pushed.stderr.contains("Copying blob sha256:"), "{pushed}");
        assert_eq!(pushed.text(), "");
        let written = std::fs::read_to_string(&file).expect("the digest was written");
        assert_eq!(written, setting.digest(&format!("pushed:{number}")));
        let id = other.podman(&["pull", "-q", PLAIN, &name]).ok();
        let own = store.podman(&["images", "-q", "--no-trunc", "child:1"]).ok();
        let own = own.text().lines().next().expect("it is listed").replace("sha256:", "");
        assert_eq!(
            id.text() == own,
            flags.get(1) != Some(&"oci"),
            "{flags:?}: only formats change it"
        );
        dray_with(&["--insecure-policy", "validate", "-q", PLAIN, &format!("docker://{name}")])
            .ok();
    }
    // What was pulled, and is the same, goes as it came: the blobs were kept.
    let (it, again) = (setting.name("it:1"), setting.name("again:1"));
    store.cellar(&["pull", "-q", PLAIN, &it]).ok();
    store.cellar(&["push", "-q", PLAIN, "--digestfile", &file, &it, &again]).ok();
    let written = std::fs::read_to_string(&file).expect("the digest was written");
    assert_eq!(written, setting.digest("it:1"));
    assert_eq!(written, setting.digest("again:1"));
    // To itself, by its own name.
    let own = setting.name("own:1");
    store.cellar(&["tag", "base:1", &own]).ok();
    store.cellar(&["push", "-q", PLAIN, &own]).ok();
    other.podman(&["pull", "-q", PLAIN, &own]).ok();
}

#[test]
fn images_are_pushed_anywhere() {
    if !has(&TOOLS) || !has(&["skopeo"]) {
        return;
    }
    let (store, scratch) = (PeerStore::with_images(), scratch());
    let base = store.location("localhost/base:1");
    let expected = |place: &str| {
        let config = dray_with(&["--insecure-policy", "inspect", "--config", place]).ok().json();
        config["rootfs"]["diff_ids"].clone()
    };
    let at = |name: &str| scratch.at(name);
    for place in [
        format!("oci:{}:x", at("layout")),
        format!("oci-archive:{}:x", at("oci.tar")),
        format!("docker-archive:{}:x", at("docker.tar")),
        format!("dir:{}", at("dir")),
    ] {
        store.cellar(&["push", "-q", "base:1", &place]).ok();
        dray_with(&["--insecure-policy", "validate", "-q", &place]).ok();
        assert_eq!(expected(&place), expected(&base), "{place}");
        // And back, by both; podman calls what is in a layout as its path, which may be no name.
        let (podman, cellar) = (PeerStore::new(), PeerStore::new());
        let ours = cellar.cellar(&["pull", "-q", &place]).ok();
        assert_whole(&cellar);
        if !place.starts_with("oci:") {
            let theirs = podman.podman(&["pull", "-q", &place]).ok();
            assert_eq!(theirs.text(), ours.text(), "{place}");
            assert_eq!(names(&podman), names(&cellar), "{place}");
        }
    }
    let check = |line: &[&str], phrase: &str| {
        assert_fails_as(&store.podman(line), &store.cellar(line), phrase);
    };
    check(&["push"], "accepts between 1 and 2 arg(s), received 0");
    check(&["push", "nosuch:1", "dir:/nowhere/x"], "nosuch:1: image not known");
    check(&["push", "--format", "bogus", "base:1", "dir:/x"], "unknown format \"bogus\". Choose");
    let full = format!("docker-archive:{}", at("docker.tar"));
    check(&["push", "base:1", &full], "docker-archive doesn't support modifying existing images");
    store.cellar(&["push", "--compression-format", "lz4", "base:1", "dir:/x"]).ends(125);
}

#[test]
fn what_is_saved_podman_loads_and_the_other_way_round() {
    if !has(&TOOLS) || !has(&["skopeo"]) {
        return;
    }
    let (store, scratch) = (PeerStore::with_images(), scratch());
    let two = ["base:1", "quay.io/x/child:v2"];
    let lines: [&[&str]; 6] = [
        &["base:1"],
        &["base:1", "more:2", "docker.io/library/third:3"],
        &["-m", two[0], two[1]],
        &["--format", "oci-archive", "child:1"],
        &["--format", "oci-dir", "base:1"],
        &["--format", "docker-dir", "base:1"],
    ];
    for (number, line) in lines.iter().enumerate() {
        let (ours, theirs) =
            (scratch.at(&format!("ours{number}")), scratch.at(&format!("theirs{number}")));
        store.podman(&[&["save", "-q", "-o", &theirs], *line].concat()).ok();
        let said = store.cellar(&[&["save", "-q", "-o", &ours], *line].concat()).ok();
        assert_eq!((said.text(), said.stderr.as_str()), ("", ""));
        // Whoever saved it, both load the same.
        let mut seen = Vec::new();
        for saved in [&ours, &theirs] {
            let (podman, cellar) = (PeerStore::new(), PeerStore::new());
            // Podman calls what is in a layout as its path, and takes none with capitals in it.
            if !line.contains(&"oci-dir") {
                podman.podman(&["load", "-q", "-i", saved]).ok();
                seen.push((names(&podman), ids(&podman)));
            }
            let loaded = cellar.cellar(&["load", "-q", "-i", saved]).ok();
            assert!(
                loaded.text().lines().all(|line| line.starts_with("Loaded image: ")),
                "{loaded}"
            );
            seen.push((names(&cellar), ids(&cellar)));
            assert_whole(&cellar);
        }
        seen.dedup();
        assert_eq!(seen.len(), 1, "{line:?}: {seen:?}");
    }
    // The bytes are the same, too.
    assert_eq!(bytes(&scratch, "ours0"), bytes(&scratch, "theirs0"), "one image");
    assert_eq!(bytes(&scratch, "ours1"), bytes(&scratch, "theirs1"), "several names");
}

fn bytes(scratch: &Scratch, name: &str) -> Vec<u8> {
    std::fs::read(scratch.join(name)).expect("it was saved")
}

fn ids(store: &PeerStore) -> Vec<String> {
    let listed = store.podman(&["images", "-q", "--no-trunc"]).ok();
    let mut ids: Vec<String> = listed.text().lines().map(str::to_owned).collect();
    ids.sort();
    ids.dedup();
    ids
}

#[test]
fn several_images_fit_an_oci_archive() {
    if !has(&TOOLS) {
        return;
    }
    let (store, scratch) = (PeerStore::with_images(), scratch());
    let at = scratch.at("two.tar");
    let line = ["save", "-q", "-m", "--format", "oci-archive", "-o", &at, "base:1", "child:1"];
    store.cellar(&line).ok();
    let other = PeerStore::new();
    let loaded = other.cellar(&["load", "-q", "-i", &at]).ok();
    let expected = "Loaded image: localhost/base:1\nLoaded image: localhost/child:1";
    assert_eq!(loaded.text(), expected);
    let layers =
        |store: &PeerStore, image: &str| inspected(store, image)["RootFS"]["Layers"].clone();
    for image in ["base:1", "child:1"] {
        assert_eq!(layers(&store, image), layers(&other, image));
    }
}

#[test]
fn archives_come_through_pipes_and_compressed() {
    if !has(&TOOLS) || !has(&["gzip", "bzip2", "xz", "zstd"]) {
        return;
    }
    let (store, scratch) = (PeerStore::with_images(), scratch());
    for format in ["docker-archive", "oci-archive"] {
        let at = scratch.at(format);
        store.cellar(&["save", "-q", "--format", format, "-o", &at, "child:1"]).ok();
        // Written to a pipe it is the same.
        let piped = store.cellar(&["save", "--format", format, "child:1"]).ok();
        assert!(piped.stdout == bytes(&scratch, format), "{format}: {}", piped.stderr);
        for tool in ["gzip", "bzip2", "xz", "zstd"] {
            let file = format!("{at}.{tool}");
            let line = format!("{tool} -c < {at} > {file}");
            tests::run(tests::command("sh").args(["-c", &line])).ok();
            let other = PeerStore::new();
            let loaded = other.cellar(&["load", "-q", "-i", &file]).ok();
            assert_eq!(loaded.text(), "Loaded image: localhost/child:1", "{file}");
            assert_whole(&other);
        }
        for is_pipe in [false, true] {
            let other = PeerStore::new();
            let mut load = other.cellar_command(&["load", "-q"]);
            let stdin = match is_pipe {
                true => {
                    let mut cat = tests::command("cat");
                    let cat = cat.arg(&at).stdout(Stdio::piped()).spawn();
                    Stdio::from(cat.expect("cat runs").stdout.expect("it is piped"))
                }
                false => Stdio::from(std::fs::File::open(&at).expect("it was saved")),
            };
            let loaded = tests::run(load.stdin(stdin)).ok();
            assert_eq!(loaded.text(), "Loaded image: localhost/child:1", "{format}");
        }
    }
    let two = store.cellar(&["save", "-m", "base:1", "child:1"]).ok();
    std::fs::write(scratch.join("two"), two.stdout).expect("a scratch directory is writable");
    let loaded = PeerStore::new().cellar(&["load", "-q", "-i", &scratch.at("two")]).ok();
    assert_eq!(loaded.text().lines().count(), 2, "{loaded}");
}

#[test]
fn an_archive_in_two_formats_is_loaded_once() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let at = scratch.at("hybrid.tar");
    let to = format!("docker-archive:{at}:example.com/hybrid:1");
    let from = &fixtures().buildah_oci;
    dray_with(&["--insecure-policy", "copy", "-q", "--dest-hybrid", from, &to]).ok();
    let store = PeerStore::new();
    let loaded = store.cellar(&["load", "-q", "-i", &at]).ok();
    assert_eq!(loaded.text(), "Loaded image: example.com/hybrid:1");
    assert_eq!(ids(&store), [identity(from).config]);
    assert_whole(&store);
}

#[test]
fn saving_and_loading_fail_as_podman_s_do() {
    if !has(&TOOLS) {
        return;
    }
    let (store, scratch) = (PeerStore::with_images(), scratch());
    let at = |name: &str| scratch.at(name);
    std::fs::write(scratch.join("junk"), "hello\n").expect("a scratch directory is writable");
    std::fs::write(scratch.join("full.tar"), "hello\n").expect("a scratch directory is writable");
    let check = |line: &[&str], phrase: &str| {
        assert_fails_as(&store.podman(line), &store.cellar(line), phrase);
    };
    check(&["save"], "need at least 1 argument");
    check(&["save", "-o", &at("x"), "nosuch"], "nosuch: image not known");
    check(&["save", "-o", "a:b", "base:1"], "invalid filename (should not contain ':') \"a:b\"");
    check(&["save", "--format", "zip", "-o", &at("x"), "base:1"], "format value must be one of");
    check(&["save", "--compress", "-o", &at("x"), "base:1"], "--compress can only be set when");
    check(&["save", "-o", &at("full.tar"), "base:1"], "doesn't support modifying existing images");
    check(&["load", "-i", &at("nosuch")], "stat ");
    check(
        &["load", "-i", &at("junk")],
        "payload does not match any of the supported image formats",
    );
    check(&["load", "x"], "load` takes no arguments");
    store.cellar(&["save", "--format", "oci-dir", "base:1"]).ends(125).says("use -o flag");
    let line = ["save", "-m", "--format", "oci-dir", "-o", &at("x"), "base:1", "child:1"];
    store.cellar(&line).ends(125).says("unsupported format \"oci-dir\" for saving multiple images");
}

#[test]
fn what_is_imported_is_what_podman_imports() {
    if !has(&TOOLS) || !has(&["gzip", "bzip2", "xz", "zstd"]) {
        return;
    }
    let scratch = scratch();
    let root = scratch.join("root");
    std::fs::create_dir_all(root.join("etc")).expect("a scratch directory is writable");
    std::fs::write(root.join("etc/it"), "it\n").expect("a scratch directory is writable");
    let tar = scratch.at("it.tar");
    tool("tar", &format!("-C {} -cf {tar} etc", root.display())).ok();
    let sh = |line: &str| tests::run(tests::command("sh").args(["-c", line])).ok();
    sh(&format!("gzip -k {tar}; touch -r {tar} {tar}.gz"));
    let gz = format!("{tar}.gz");
    let (podman, cellar) = (PeerStore::new(), PeerStore::new());
    let lines: [&[&str]; 6] = [
        &[&tar, "it:1"],
        &[&gz, "quay.io/x/it"],
        &["-m", "a message", &tar],
        &["--arch", "arm64", "--os", "linux", &tar],
        &["-c", "CMD [\"a\",\"b\"]", "-c", "ENV=A=b", "-c", "LABEL x=y", "-c", "EXPOSE 80", &tar],
        &[
            "-c",
            "ENTRYPOINT x y",
            "--change",
            "VOLUME=/v",
            "-c",
            "STOPSIGNAL TERM",
            "-c",
            "USER 3",
            &tar,
        ],
    ];
    for line in lines {
        let line = [&["import", "-q"], line].concat();
        let (theirs, ours) = (podman.podman(&line).ok(), cellar.cellar(&line).ok());
        assert_eq!(theirs.text(), ours.text(), "{line:?}");
        let id = ours.text().trim_start_matches("sha256:");
        let (mut theirs, mut ours) = (inspected(&podman, id), inspected(&cellar, id));
        // A manifest may say its own type; ours does.
        for inspected in [&mut theirs, &mut ours] {
            let object = inspected.as_object_mut().expect("an image is an object");
            // Podman names what is imported after it is there, and so last.
            for key in ["Digest", "RepoDigests", "RepoTags", "Size", "VirtualSize"] {
                object.remove(key);
            }
        }
        assert_eq!(theirs, ours, "{line:?}");
    }
    assert_eq!(names(&podman), names(&cellar));
    assert_whole(&cellar);
    // In a compression that manifests have no word for it is the tar that counts, through a pipe too.
    let plain = cellar.cellar(&["image", "inspect", "-f", "{{.RootFS.Layers}}", "it:1"]).ok();
    for tool in ["bzip2", "xz", "zstd"] {
        sh(&format!("{tool} -c {tar} > {tar}.{tool}"));
        let mut import = cellar.cellar_command(&["import", "-q", "-", tool]);
        let file = std::fs::File::open(format!("{tar}.{tool}")).expect("it was made");
        tests::run(import.stdin(Stdio::from(file))).ok();
        let layers = cellar.podman(&["image", "inspect", "-f", "{{.RootFS.Layers}}", tool]).ok();
        assert_eq!(layers.text(), plain.text(), "{tool}");
        let saved = scratch.at(&format!("{tool}.saved"));
        cellar.podman(&["save", "-q", "-o", &saved, tool]).ok();
    }
    let check = |line: &[&str], phrase: &str| {
        let line = [&["import", "-q"], line].concat();
        assert_fails_as(&podman.podman(&line), &cellar.cellar(&line), phrase);
    };
    check(&[], "accepts between 1 and 2 arg(s), received 0");
    check(&["nosuch.tar"], "error opening \"nosuch.tar\": open nosuch.tar: ");
    check(&["-c", "RUN x", &tar], "invalid change \"RUN x\" - invalid instruction RUN");
    check(&[&tar, "A"], "repository name must be lowercase");
}

#[test]
fn a_tarball_is_imported_and_an_archive_is_loaded_from_a_url() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let tar = scratch.at("it.tar");
    tool("tar", &format!("-C /bin -cf {tar} busybox")).ok();
    let directory = scratch.at("");
    let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
    let address = listener.local_addr().expect("a listener has an address");
    std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        for stream in listener.incoming().flatten() {
            let mut stream = stream;
            let mut request = [0; 4096];
            let count = stream.read(&mut request).unwrap_or(0);
            let line = String::from_utf8_lossy(&request[..count]).into_owned();
            let name = line.split(' ').nth(1).unwrap_or("/").trim_start_matches('/');
            let found = std::fs::read(std::path::Path::new(&directory).join(name));
            let (status, body) = match found {
                Ok(bytes) => ("200 OK", bytes),
                Err(_) => ("404 Not Found", Vec::new()),
            };
            let head = format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\n\r\n", body.len());
            let _ = stream.write_all(head.as_bytes()).and_then(|()| stream.write_all(&body));
        }
    });
    let store = PeerStore::new();
    store.cellar(&["import", &format!("http://{address}/it.tar"), "it"]).ok();
    assert_eq!(names(&store), ["localhost/it:latest"]);
    let missing = store.cellar(&["import", &format!("http://{address}/nosuch"), "it"]).ends(125);
    assert!(missing.stderr.contains("404"), "{missing}");
    store.cellar(&["import", "ftp://host/x"]).ends(125).says("only http and https");
    store.cellar(&["save", "-q", "-o", &scratch.at("saved.tar"), "it"]).ok();
    store.cellar(&["rmi", "it"]).ok();
    let loaded = store.cellar(&["load", "-i", &format!("http://{address}/saved.tar")]).ok();
    assert_eq!(loaded.text(), "Loaded image: localhost/it:latest");
    let missing = store.cellar(&["load", "-i", &format!("http://{address}/nosuch")]).ends(125);
    assert!(missing.stderr.contains("404"), "{missing}");
    assert_whole(&store);
}

/// A directory for `PATH` with an `ssh` that runs what it is told on this machine, where podman has another store, and
/// that notes its words before the last.
fn other_machine(there: &PeerStore, scratch: &Scratch) -> String {
    let programs = scratch.join("programs");
    std::fs::create_dir(&programs).expect("a scratch directory is writable");
    let mut podman = std::process::Command::new("podman");
    there.at_store(&mut podman);
    let words: Vec<_> = podman.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let path = std::env::var("PATH").expect("there is a PATH");
    let ssh = format!(
        "#!/bin/sh\nwhile [ $# -gt 1 ]; do echo \"$1\" >> {}; shift; done\nexec sh -c \"$1\"\n",
        scratch.at("asked")
    );
    let podman = format!("#!/bin/sh\nPATH='{path}'\nexec podman {} \"$@\"\n", words.join(" "));
    for (name, text) in [("ssh", ssh), ("podman", podman)] {
        let program = programs.join(name);
        std::fs::write(&program, text).expect("a scratch directory is writable");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&program, mode).expect("a file of ours");
    }
    format!("{}:{path}", programs.display())
}

#[test]
fn images_go_to_other_machines_and_come_from_there() {
    if !has(&TOOLS) {
        return;
    }
    let (here, there, scratch) = (PeerStore::with_images(), PeerStore::new(), scratch());
    let path = other_machine(&there, &scratch);
    let scp = |store: &PeerStore, words: &[&str]| {
        let mut line = store.cellar_command(&["image", "scp"]);
        tests::run(line.args(words).env("PATH", &path))
    };
    let id = |store: &PeerStore, name: &str| {
        store.podman(&["image", "inspect", "-f", "{{.Id}}", name]).ok().text().to_owned()
    };
    // In Docker's format and in the other: the ID stays.
    for name in ["localhost/base:1", "localhost/child:1"] {
        let sent = scp(&here, &[name, "me@there:77::"]).ok();
        assert!(sent.text().contains(name), "{sent}");
        assert_eq!(id(&there, name), id(&here, name), "{name}");
    }
    let asked = std::fs::read_to_string(scratch.join("asked")).expect("ssh was asked");
    assert_eq!(asked, "-p\n77\nme@there\n".repeat(2));
    let back = PeerStore::new();
    for name in ["localhost/base:1", "localhost/child:1"] {
        let quiet = scp(&back, &["-q", &format!("ssh://there::{name}")]).ok();
        assert_eq!(quiet.text(), format!("Loaded image: {name}"));
        assert_eq!(id(&back, name), id(&here, name), "{name}");
    }
    assert_whole(&back);
    // Neither store is this one's.
    there.podman(&["tag", "localhost/base:1", "localhost/new:1"]).ok();
    scp(&PeerStore::new(), &["one::localhost/new:1", "other::"]).ok();

    let wrong = |words: &[&str], phrase: &str| {
        scp(&here, words).ends(125).says(phrase);
    };
    wrong(&[], "accepts between 1 and 2 arg(s), received 0");
    wrong(&["base:1"], "must specify a destination");
    wrong(&["base:1", "there::name"], "cannot be its name there");
    wrong(&["there::"], "names no image");
    wrong(&["base:1", "--", "-oProxyCommand=touch::"], "is no machine");
    wrong(&["nosuch", "there::"], "nosuch: image not known");
    wrong(&["there::nosuch"], "what ran on there has ended with exit status: 125");
    let touched = scratch.at("touched");
    wrong(&[&format!("there::x'; touch {touched}; '")], "has ended with");
    assert!(!scratch.join("touched").exists());
}
