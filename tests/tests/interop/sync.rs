//! `dray sync` beside `skopeo sync`, between Debian's registries and directories.

use std::path::Path;

use tests::{
    Access, Outcome, PASSWORD, Registry, Scratch, USER, command, dray, dray_built, dray_with,
    fixtures, has, run, scratch, skopeo, skopeo_with,
};

const TOOLS: [&str; 6] = ["skopeo", "buildah", "podman", "busybox", "docker-registry", "openssl"];

const INSECURE: &str = "--src-tls-verify=false --dest-tls-verify=false";

/// Two registries; the first has `team/app:1`, `team/app:2` and `other/app:9`.
struct Setup {
    scratch: Scratch,
    from: Registry,
    _other: Scratch,
    to: Registry,
    digest: String,
}

fn setup() -> Option<Setup> {
    if !has(&TOOLS) {
        return None;
    }
    let (scratch, other) = (scratch(), scratch());
    let from = Registry::start(&scratch, Access::Plain);
    let to = Registry::start(&other, Access::Plain);
    let image = &fixtures().buildah_oci;
    for name in ["team/app:1", "team/app:2", "other/app:9"] {
        put(image, &from, name);
    }
    let digest = tests::digest(image);
    Some(Setup { scratch, from, _other: other, to, digest })
}

#[track_caller]
fn put(image: &str, registry: &Registry, name: &str) {
    let to = format!("docker://{}/{name}", registry.address());
    dray(&format!("copy -q --all --dest-tls-verify=false {image} {to}")).ok();
}

/// Every image of a registry, as `repository:tag digest`.
#[track_caller]
fn images(registry: &Registry) -> Vec<String> {
    let host = registry.address();
    let catalog = dray(&format!("catalog --tls-verify=false {host}")).ok();
    let mut images = Vec::new();
    for repository in catalog.text().lines() {
        let place = format!("docker://{host}/{repository}");
        let listed = dray(&format!("list-tags --tls-verify=false {place}"));
        // A repository with digests alone has no list.
        if listed.code != 0 {
            images.push(repository.to_owned());
            continue;
        }
        for tag in listed.json()["Tags"].as_array().into_iter().flatten() {
            let tag = tag.as_str().expect("a tag is a text");
            let digest = dray(&format!("digest --tls-verify=false {place}:{tag}")).ok();
            images.push(format!("{repository}:{tag} {}", digest.text()));
        }
    }
    images.sort();
    images
}

/// The directories of images below one.
fn directories(base: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut waiting = vec![base.to_owned()];
    while let Some(directory) = waiting.pop() {
        for entry in std::fs::read_dir(&directory).into_iter().flatten() {
            let path = entry.expect("it can be listed").path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.ends_with("manifest.json") {
                let directory = directory.strip_prefix(base).expect("it is below");
                found.push(directory.display().to_string());
            }
        }
    }
    found.sort();
    found
}

/// Runs the same with both, the destination alone being another.
#[track_caller]
fn both(line: &str, theirs: &str, ours: &str) -> (Outcome, Outcome) {
    let theirs = skopeo(&format!("sync {}", line.replace("DEST", theirs)));
    let ours = dray(&format!("sync {}", line.replace("DEST", ours)));
    assert_eq!(ours.code, theirs.code, "{ours}\n{theirs}");
    (theirs, ours)
}

#[test]
fn what_arrives_is_what_skopeo_brings_under_the_same_names() {
    let Some(setup) = setup() else { return };
    let Setup { scratch, from, digest, .. } = &setup;
    let host = from.address();
    let list = scratch.at("list.yml");
    let text = format!(
        "{host}:\n  tls-verify: false\n  images:\n    team/app: []\n    other/app: [\"9\", \"{digest}\"]\n"
    );
    std::fs::write(&list, text).expect("it is writable");
    let filtered = scratch.at("filtered.yml");
    let text = format!(
        "{host}:\n  tls-verify: false\n  images-by-tag-regex:\n    team/app: ^[2-9]$\n    other/app: x\n"
    );
    std::fs::write(&filtered, text).expect("it is writable");
    let tree = scratch.at("tree");
    skopeo(&format!("sync {INSECURE} --src docker --dest dir {host}/team/app {tree}")).ok();
    for line in [
        format!("--src docker --dest docker {host}/team/app DEST"),
        format!("-s docker -d docker {host}/team/app DEST/below/it/"),
        format!("--src docker --dest docker {host}/team/app:2 DEST"),
        format!("--src docker --dest docker {host}/team/app@{digest} DEST"),
        format!("--src yaml --dest docker {list} DEST/yaml"),
        format!("--src yaml --dest docker {filtered} DEST/yaml"),
        format!("--src dir --dest docker {tree} DEST"),
        format!("--src dir --dest docker {tree}/ DEST"),
        format!("--src dir --dest docker {tree}/app:1 DEST/one"),
        format!("--src dir --dest docker --scoped {tree} DEST/scoped"),
    ] {
        let places = (self::scratch(), self::scratch());
        let theirs = Registry::start(&places.0, Access::Plain);
        let ours = Registry::start(&places.1, Access::Plain);
        both(&format!("{INSECURE} {line}"), theirs.address(), ours.address()).1.ok();
        assert!(!images(&theirs).is_empty(), "{line}");
        assert_eq!(images(&ours), images(&theirs), "{line}");
    }
    for (number, line) in [
        format!("--src docker --dest dir {host}/team/app DEST"),
        format!("--src docker --dest dir --scoped {host}/team/app DEST"),
        format!("--src docker --dest dir {host}/team/app@{digest} DEST/"),
        format!("--src yaml --dest dir --scoped {list} DEST"),
    ]
    .into_iter()
    .enumerate()
    {
        let (theirs, ours) = (format!("theirs-{number}"), format!("ours-{number}"));
        both(&format!("{INSECURE} {line}"), &scratch.at(&theirs), &scratch.at(&ours)).1.ok();
        let found = directories(&scratch.join(&ours));
        assert_eq!(found, directories(&scratch.join(&theirs)), "{line}");
        for image in found {
            dray(&format!("validate -q dir:{}/{image}", scratch.at(&ours))).ok();
        }
    }
}

#[test]
fn what_is_refused_is_refused_in_skopeo_s_words() {
    let Some(setup) = setup() else { return };
    let Setup { scratch, from, to, .. } = &setup;
    let (host, there) = (from.address(), to.address());
    let (empty, full) = (scratch.at("empty"), scratch.at("full"));
    std::fs::create_dir(&empty).expect("it is writable");
    skopeo(&format!("sync {INSECURE} --src docker --dest dir {host}/team/app {full}")).ok();
    let second = fixtures().buildah_dir.strip_prefix("dir:").expect("it is a directory");
    // Another image where one shall be; the same would be no error.
    std::fs::remove_dir_all(format!("{full}/app:1")).expect("it is there");
    let copied = tests::tool("cp", &format!("-r {second} {full}/app:1"));
    copied.ok();
    let not_a_list = scratch.at("bad.yml");
    std::fs::write(&not_a_list, "[]").expect("it is writable");
    for (line, words) in [
        (
            format!("--src docker --dest docker --scoped {host}/team/app {there}/mirror"),
            "Cannot obtain a valid image reference for transport \\\"docker\\\" and reference",
        ),
        (
            format!("--src docker --dest docker docker://{host}/team/app {there}"),
            "Cannot obtain a valid image reference for transport \\\"docker\\\" and reference",
        ),
        (
            format!("--src dir --dest docker {full}/nope {there}"),
            "Invalid source directory specified",
        ),
        (format!("--src dir --dest docker {empty} {there}"), "No images to sync found in"),
        (
            format!("--src dir --dest dir {full} {empty}"),
            "sync from 'dir' to 'dir' not implemented, consider using rsync instead",
        ),
        (format!("--dest dir {full} {empty}"), "A source transport must be specified"),
        (format!("--src dir {full} {empty}"), "A destination transport must be specified"),
        (format!("--src x --dest dir {full} {empty}"), "\\\"x\\\" is not a valid source transport"),
        (
            format!("--src dir --dest yaml {full} {empty}"),
            "\\\"yaml\\\" is not a valid destination transport",
        ),
        (
            format!("--src docker --dest dir {host}/team/app:1 {full}"),
            "Refusing to overwrite destination directory",
        ),
        (
            format!("--src docker --dest docker --format x {host}/team/app {there}"),
            "unknown format",
        ),
        (format!("--src yaml --dest docker {not_a_list} {there}"), "Failed to unmarshal"),
        (format!("--src yaml --dest docker {full}/nope.yml {there}"), "open "),
        (
            format!("--keep-going --src docker --dest docker {host}/team/app:nope {there}"),
            "Sync failed due to previous reported error(s) for one or more images",
        ),
    ] {
        let (theirs, ours) = both(&format!("{INSECURE} {line}"), "", "");
        theirs.ends(1).says(words);
        ours.ends(1).says(words);
    }
    // skopeo 1.9 ends with 1 here; later ones with 2.
    let line = format!("sync {INSECURE} --src docker --dest docker {host}/team/app:nope {there}");
    skopeo(&line).ends(1).says("Error copying ref");
    dray(&line).ends(2).says("Error copying ref").says("manifest unknown");
    assert_eq!(images(to), [""; 0]);
}

#[test]
fn what_is_there_costs_a_question_on_each_side() {
    let Some(setup) = setup() else { return };
    let Setup { scratch, from, to, .. } = &setup;
    let (host, there) = (from.address(), to.address());
    let sync = format!("sync {INSECURE} --src docker --dest docker {host}/team/app {there}");
    dray(&sync).ok();
    let before = (from.requests().len(), to.requests().len());
    let again = dray(&sync).ok();
    assert!(again.text().ends_with("2 unchanged, 0 bytes"), "{again}");
    let requests = [from.requests().split_off(before.0), to.requests().split_off(before.1)];
    // Who are you, what tags are there, and a digest for each of two tags.
    assert!(requests[0].len() <= 4 && requests[1].len() <= 3, "{requests:#?}");
    let reads = |request: &String| request.starts_with("GET ") || request.starts_with("HEAD ");
    assert!(requests.iter().flatten().all(reads), "{requests:#?}");

    // On the disk, too, nothing is read at the source but digests.
    let tree = scratch.at("tree");
    let sync = format!("sync {INSECURE} --src docker --dest dir {host}/team/app {tree}");
    dray(&sync).ok();
    let before = from.requests().len();
    dray(&sync).ok();
    let requests = from.requests().split_off(before);
    assert!(requests.len() <= 4, "{requests:#?}");
}

#[test]
fn pruning_takes_away_what_the_source_no_longer_has_and_nothing_else() {
    let Some(setup) = setup() else { return };
    let Setup { from, to, digest, .. } = &setup;
    let (host, there) = (from.address(), to.address());
    let image = &fixtures().buildah_oci;
    let sync = |flags: &str, source: &str| {
        dray(&format!("sync {INSECURE} --src docker --dest docker {flags} {host}/{source} {there}"))
    };
    sync("", "team/app").ok();
    sync("--append-suffix=-m", "team/app").ok();
    put(image, to, "other:3");
    dray(&format!("untag --tls-verify=false docker://{host}/team/app:2")).ok();
    let all = ["app:1", "app:1-m", "app:2", "app:2-m", "other:3"];
    let all = all.map(|name| format!("{name} {digest}"));
    // What would give those names is listed; one image is no list, and neither is none.
    sync("--prune --dry-run", "team/app").ok();
    sync("--prune", "team/app:1").ok();
    sync("--prune", "team/nope").ends(2);
    assert_eq!(images(to), all);
    let done = sync("--prune --append-suffix=-m", "team/app").ok();
    assert!(done.text().contains("1 removed"), "{done}");
    let left = ["app:1", "app:1-m", "app:2", "other:3"].map(|name| format!("{name} {digest}"));
    assert_eq!(images(to), left);
    // Without a suffix, all the tags are of its kind.
    sync("--prune", "team/app").ok();
    let left = ["app:1", "other:3"].map(|name| format!("{name} {digest}"));
    assert_eq!(images(to), left);
    // What is left can still be read whole.
    dray(&format!("validate -q --tls-verify=false docker://{there}/app:1")).ok();
}

#[test]
fn a_list_has_passwords_and_certificates_of_its_own() {
    if !has(&TOOLS) {
        return;
    }
    let scratch = scratch();
    let image = &fixtures().buildah_oci;
    let asks = Registry::start(&scratch, Access::Password);
    let tls = Registry::start(&scratch, Access::Tls);
    let creds = format!("{USER}:{PASSWORD}");
    let to = format!("docker://{}/it:1", asks.address());
    dray_with(&["copy", "-q", "--dest-tls-verify=false", "--dest-creds", &creds, image, &to]).ok();
    let certificates = tls.certificates();
    let to = format!("docker://{}/other:1", tls.address());
    dray(&format!("copy -q --dest-cert-dir {certificates} {image} {to}")).ok();
    let list = scratch.at("list.yml");
    let text = format!(
        "{}:\n  images: {{it: []}}\n  credentials: {{username: {USER}, password: {PASSWORD}}}\n  \
         tls-verify: false\n{}:\n  images: {{other: [1]}}\n  cert-dir: {certificates}\n",
        asks.address(),
        tls.address()
    );
    std::fs::write(&list, &text).expect("it is writable");
    for (name, sync) in [
        ("theirs", skopeo_with as fn(&[&str]) -> Outcome),
        ("ours", dray_with as fn(&[&str]) -> Outcome),
    ] {
        let tree = scratch.at(name);
        sync(&["sync", "--src", "yaml", "--dest", "dir", &list, &tree]).ok();
        assert_eq!(directories(Path::new(&tree)), ["it:1", "other:1"]);
    }
    let wrong = text.replace(PASSWORD, "wrong");
    std::fs::write(&list, wrong).expect("it is writable");
    let out = scratch.at("out");
    dray_with(&["sync", "--src", "yaml", "--dest", "dir", &list, &out]).ends(1);
    let kept = ["sync", "--keep-going", "--src", "yaml", "--dest", "dir", &list, &out];
    let kept = dray_with(&kept).ends(1).says("Sync failed due to previous reported error(s)");
    assert!(kept.text().contains("1 sources not listed"), "{kept}");
    assert_eq!(directories(Path::new(&out)), ["other:1"]);
}

#[test]
fn all_tags_of_a_repository_go_to_another_and_to_files() {
    let Some(setup) = setup() else { return };
    let Setup { scratch, from, to, digest, .. } = &setup;
    let (source, host) = (format!("docker://{}/team/app", from.address()), to.address());
    let signature = digest.replace(':', "-") + ".sig";
    let flags = "--src-tls-verify=false --dest-tls-verify=false";
    dray(&format!("copy -q {flags} --all-tags {source} docker://{host}/all")).ok();
    let expected = ["1", "2"].map(|tag| format!("all:{tag} {digest}"));
    assert_eq!(images(to), expected);
    dray(&format!("copy {flags} --all-tags {source}:1 docker://{host}/all"))
        .ends(1)
        .says("no tag or digest is allowed");
    dray(&format!("copy {flags} --all-tags docker://{host}/none dir:/nowhere/it")).ends(2);

    put(&fixtures().buildah_oci, from, &format!("team/app:{signature}"));
    dray(&format!("copy -q {flags} --digest-tags {source}:2 docker://{host}/signed:2")).ok();
    let found = images(to);
    assert!(found.contains(&format!("signed:{signature} {digest}")), "{found:?}");

    let second = fixtures().buildah_dir.clone();
    dray(&format!("copy -q -n {flags} {source}:1 docker://{host}/all:1")).ok();
    dray(&format!("copy -q -n {flags} {second} docker://{host}/all:1"))
        .ends(1)
        .says(&format!("refusing to clobber existing tag docker://{host}/all:1@{digest}"));

    let layout = scratch.at("layout");
    dray(&format!("copy -q {flags} --all-tags {source} oci:{layout}")).ok();
    skopeo(&format!("inspect oci:{layout}:2")).ok();
    dray(&format!("sync -q {flags} --src docker --dest oci {} {layout}s", &source[9..])).ok();
    skopeo(&format!("inspect oci:{layout}s/app:2")).ok();
    // The port of a registry is none of a layout's path.
    dray(&format!("sync -q {flags} --scoped --src docker --dest oci {} {layout}x", &source[9..]))
        .ends(1)
        .says("a path of oci: cannot have a colon")
        .says("hint: without --scoped");
    assert!(!scratch.join("layoutx").exists());
}

#[test]
fn what_is_precomputed_and_there_is_not_sent() {
    let Some(setup) = setup() else { return };
    let to = &setup.to;
    let (host, plain) = (to.address(), &fixtures().podman_docker_archive);
    let flags = "-q --dest-tls-verify=false";
    dray(&format!("copy {flags} {plain} docker://{host}/one:1")).ok();
    // What an earlier process remembers of the layers would spare them as well.
    let again = |more: &str| {
        let before = to.requests().len();
        let line = format!("copy {flags} {more} {plain} docker://{host}/one:2");
        let mut dray = command(dray_built());
        dray.args(line.split_whitespace());
        dray.env("XDG_CACHE_HOME", setup.scratch.join(format!("cache{}", more.len())));
        run(&mut dray).ok();
        let requests = to.requests().split_off(before);
        requests.iter().filter(|it| it.starts_with("PUT ") && it.contains("/blobs/")).count()
    };
    let (sent, known) = (again(""), again("--dest-precompute-digests"));
    assert!(sent >= 3 && known <= 1, "{sent} and then {known}");
    let digest = |tag| dray(&format!("digest --tls-verify=false docker://{host}/one:{tag}")).ok();
    assert_eq!(digest(1).text(), digest(2).text());
}
