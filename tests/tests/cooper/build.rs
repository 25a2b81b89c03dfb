//! `cooper build`: what it says, where results go, and how it ends.

use std::process::Command;

use serde_json::Value;
use tests::{Outcome, PeerStore, Scratch, command, cooper_built, has, is_root, run};

use crate::files;

/// `cooper` on a store, in a directory, with arguments that white space separates.
pub(crate) fn program(store: &PeerStore, directory: &Scratch, line: &str) -> Command {
    let mut cooper = command(cooper_built());
    store.at_store(&mut cooper).current_dir(&**directory).args(line.split_whitespace());
    cooper
}

#[track_caller]
pub(crate) fn cooper(store: &PeerStore, directory: &Scratch, line: &str) -> Outcome {
    run(&mut program(store, directory, line))
}

/// The last line of standard output.
pub(crate) fn last(outcome: &Outcome) -> String {
    outcome.text().lines().last().unwrap_or_default().to_owned()
}

const TWO_STAGES: &str = "\
FROM scratch AS one
COPY a /a
FROM scratch
COPY --from=one /a /b
LABEL x=y
";

/// A context with busybox, for files with RUN.
pub(crate) fn with_busybox(file: &str) -> Scratch {
    let directory = files(&[("Containerfile", file)]);
    std::fs::copy("/bin/busybox", directory.join("busybox")).expect("busybox is installed");
    directory
}

pub(crate) const RUN: &str = "\
FROM scratch
COPY busybox /bin/busybox
SHELL [\"/bin/busybox\", \"sh\", \"-c\"]
";

#[test]
fn steps_are_told_as_buildah_tells_them_and_the_id_comes_last() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", TWO_STAGES), ("a", "A")]));
    let outcome = cooper(&store, &directory, "build -t it:1 -t quay.io/x/it .").ok();
    let id = last(&outcome);
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{outcome}");
    let expected = format!(
        "\
[1/2] STEP 1/2: FROM scratch AS one
[1/2] STEP 2/2: COPY a /a
[2/2] STEP 1/3: FROM scratch
[2/2] STEP 2/3: COPY --from=one /a /b
[2/2] STEP 3/3: LABEL x=y
COMMIT it:1
--> {}
Successfully tagged localhost/it:1
Successfully tagged quay.io/x/it:latest
{id}",
        &id[..12]
    );
    // The stages are built side by side.
    let steps = |text: &str| -> Vec<String> {
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    assert_eq!(steps(outcome.text()), steps(&expected));
    assert!(outcome.stderr.starts_with("TIME "), "{outcome}");
    let again = cooper(&store, &directory, "bud -t it:1 .").ok();
    assert_eq!(last(&again), id, "the same input gives the same image");
    assert_eq!(again.text().matches("--> Using cache").count(), 2, "{again}");
    let quiet = cooper(&store, &directory, "build-using-dockerfile -q").ok();
    assert_eq!((quiet.text(), quiet.stderr.as_str()), (id.as_str(), ""));
    // Elsewhere, at another time, side by side or not: the same.
    let other = files(&[("x/Dockerfile", TWO_STAGES), ("x/a", "A")]);
    std::thread::sleep(std::time::Duration::from_millis(20));
    let elsewhere = PeerStore::new();
    let built = cooper(&elsewhere, &other, "build -q --jobs 1 --source-date-epoch 7 x").ok();
    let first = cooper(&store, &directory, "build -q --source-date-epoch 7 --rewrite-timestamp .");
    let second = cooper(&elsewhere, &other, "build -q --source-date-epoch 7 --rewrite-timestamp x");
    assert_eq!(first.ok().text(), second.ok().text());
    assert_eq!(built.text().len(), 64);
}

#[test]
fn a_failed_command_is_shown_and_its_status_is_the_program_s() {
    if !has(&["busybox"]) || !is_root() {
        return;
    }
    let store = PeerStore::new();
    let directory = with_busybox(&format!("{RUN}RUN echo out; echo err >&2\nRUN exit 42\n"));
    let outcome = cooper(&store, &directory, "build -t it .").ends(42);
    let expected = " --> Containerfile:5:1
  |
5 | RUN exit 42
  | ^^^^^^^^^^^
Error: building at STEP \"RUN exit 42\": while running runtime: exit status 42
";
    assert!(outcome.stderr.ends_with(expected), "{outcome}");
    assert!(outcome.stderr.starts_with("err\n"), "{outcome}");
    assert!(outcome.text().ends_with("out\nSTEP 5/5: RUN exit 42"), "{outcome}");
    // Quiet, as with buildah, is not silent about what is wrong.
    let quiet = cooper(&store, &directory, "build -q --no-cache .").ends(42);
    assert_eq!(quiet.text(), "");
    assert!(quiet.stderr.starts_with("err\n") && !quiet.stderr.contains("out\n"), "{quiet}");
    // What could not be run at all says so.
    let nothing = format!("{RUN}RUN [\"/nothing\"]\n");
    std::fs::write(directory.join("nothing"), nothing).expect("it is writable");
    cooper(&store, &directory, "build -f nothing .")
        .ends(127)
        .says("exit status 127: process \"/nothing\": exec \"/nothing\": no such file");
    let images = cooper(&store, &directory, "images -q --filter reference=localhost/it").ok();
    assert_eq!(images.text(), "", "nothing is tagged");
}

#[test]
fn files_go_to_directories_and_archives() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", TWO_STAGES), ("a", "A")]));
    cooper(&store, &directory, "build -q -o out .").ok();
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("it is there");
    assert_eq!(read("out/b"), "A");
    assert!(!directory.join("out/a").exists(), "that is another stage's");
    cooper(&store, &directory, "build -q --output type=local,dest=one --target one .").ok();
    assert_eq!(read("one/a"), "A");
    // Over standard output, nothing but the archive.
    let archive = cooper(&store, &directory, "build -o - .").ok();
    let file = directory.join("out.tar");
    cooper(&store, &directory, "build -q -o type=tar,dest=out.tar .").ok();
    assert_eq!(archive.stdout, std::fs::read(&file).expect("it is there"), "the same bytes");
    let listed = run(command("tar").arg("-tf").arg(&file)).ok();
    assert_eq!(listed.text(), "b");
    // Links that are in the way lead nowhere.
    let outside = directory.at("outside");
    std::fs::write(&outside, "kept").expect("it is writable");
    std::fs::remove_file(directory.join("out/b")).expect("it is there");
    std::os::unix::fs::symlink(&outside, directory.join("out/b")).expect("it is writable");
    cooper(&store, &directory, "build -q -o out .").ok();
    assert_eq!((read("outside"), read("out/b")), ("kept".to_owned(), "A".to_owned()));
}

#[test]
fn images_go_anywhere() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", TWO_STAGES), ("a", "A")]));
    let line = "build -q -t oci:layout:x -o type=oci,dest=a.tar,name=it:1 \
                -o type=docker,dest=d.tar,name=it:1 .";
    let id = cooper(&store, &directory, line).ok();
    for place in ["oci:layout:x", "oci-archive:a.tar:it:1", "docker-archive:d.tar:it:1"] {
        let (scheme, rest) = place.split_once(':').expect("it has a scheme");
        let place = format!("{scheme}:{}", directory.at(rest));
        let config = tests::dray(&format!("inspect --config {place}")).ok().json();
        assert_eq!(config["config"]["Labels"]["x"], "y", "{place} of {id}");
        tests::dray(&format!("--insecure-policy validate {place}")).ok();
    }
    // As with buildah, what --tag names gets plain layers, unless they are to be compressed; and as with BuildKit,
    // what --output names gets compressed ones.
    let platforms = "--platform linux/amd64,linux/arm64 -t oci:list:x";
    for line in [
        "-t oci:plain:x",
        "-D=false -t oci:gzip:x",
        "--compression-format gzip -t oci:gzip2:x",
        platforms,
    ] {
        cooper(&store, &directory, &format!("build -q {line} .")).ok();
    }
    let places = [
        ("oci:layout:x", "tar"),
        ("oci:plain:x", "tar"),
        ("oci:list:x", "tar"),
        ("oci:gzip:x", "tar+gzip"),
        ("oci:gzip2:x", "tar+gzip"),
        ("oci-archive:a.tar:it:1", "tar+gzip"),
    ];
    for (place, expected) in places {
        let (scheme, rest) = place.split_once(':').expect("it has a scheme");
        let place = format!("{scheme}:{}", directory.at(rest));
        let layers = tests::dray(&format!("inspect {place}")).ok().json();
        let kind = layers["LayersData"][0]["MIMEType"].as_str().unwrap_or_default().to_owned();
        assert!(kind.ends_with(&format!(".{expected}")), "{place}: {kind}");
    }
}

#[test]
fn platforms_become_a_list() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", TWO_STAGES), ("a", "A")]));
    let line = "build --platform linux/amd64,linux/arm64 -t it:1 --iidfile iid \
                --metadata-file meta --logfile log --logsplit -t oci:layout:x -o out .";
    let outcome = cooper(&store, &directory, line).ok();
    assert!(!outcome.text().lines().any(|line| line.len() == 64), "it went to a file: {outcome}");
    let read = |name: &str| std::fs::read_to_string(directory.join(name)).expect("it is there");
    let metadata: Value = serde_json::from_str(&read("meta")).expect("it is JSON");
    assert_eq!(metadata["images"].as_array().map(Vec::len), Some(2));
    let digest = metadata["containerimage.digest"].as_str().expect("it has a digest");
    assert_eq!(read("iid"), digest, "a list is known by the digest of what it says");
    assert_eq!(read("out/linux_arm64/b"), "A");
    // Each has a log of its own, by the names of buildah 1.28.
    for (own, other) in [("amd64", "arm64"), ("arm64", "amd64")] {
        let log = read(&format!("log_linux_{own}"));
        assert!(log.contains("STEP 2/3: COPY --from=one /a /b"), "{log}");
        let is_other = |line: &str| line.starts_with(&format!("[linux/{other}] "));
        assert!(!log.lines().any(is_other), "{log}");
    }
    let place = format!("oci:{}", directory.at("layout:x"));
    let index = tests::dray(&format!("inspect --raw {place}")).ok().json();
    let platforms: Vec<&Value> = index["manifests"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| &one["platform"]["architecture"])
        .collect();
    assert_eq!(platforms, ["amd64", "arm64"]);
    tests::dray(&format!("--insecure-policy validate {place}")).ok();
    if has(&["podman"]) {
        let shown = store.podman(&["manifest", "inspect", "localhost/it:1"]).ok().json();
        assert_eq!(shown["manifests"].as_array().map(Vec::len), Some(2), "{shown}");
        // One more comes to the list.
        cooper(&store, &directory, "build -q --arch s390x --manifest it:1 .").ok();
        let shown = store.podman(&["manifest", "inspect", "localhost/it:1"]).ok().json();
        assert_eq!(shown["manifests"].as_array().map(Vec::len), Some(3), "{shown}");
    }
    cooper(&store, &directory, "build --platform linux/amd64,linux/arm64 -o type=tar,dest=x .")
        .ends(125)
        .says("an archive has the files of one platform");
}

#[test]
fn platforms_have_images_of_their_own_upon_one_base_and_a_log_has_all_that_is_said() {
    let store = PeerStore::new();
    let directory = files(&[("Containerfile", "FROM localhost/one\nCOPY a /b\n"), ("a", "A")]);
    std::fs::write(directory.join("base"), "FROM scratch\nCOPY a /a\n").expect("it is writable");
    cooper(&store, &directory, "build -q --platform linux/amd64 -t one -f base .").ok();
    let line = "build --platform linux/amd64,linux/arm64 --manifest list .";
    let outcome = cooper(&store, &directory, line).ok();
    for platform in [" linux/amd64", " linux/arm64"] {
        let told = outcome.text().lines().filter(|line| line.ends_with(platform)).count();
        assert_eq!(told, 1, "{outcome}");
    }
    let shown = cooper(&store, &directory, "manifest inspect list").ok().json();
    assert_eq!(shown["manifests"].as_array().map(Vec::len), Some(2), "{shown}");
    // As with buildah and podman, the ID too.
    for quiet in ["", "-q"] {
        let outcome = cooper(&store, &directory, &format!("build {quiet} --logfile log .")).ok();
        assert_eq!((outcome.text(), outcome.stderr.as_str()), ("", ""));
        let log = std::fs::read_to_string(directory.join("log")).expect("it is there");
        assert_eq!(log.lines().last().map(str::len), Some(64), "{log}");
        assert_eq!(log.contains("STEP 1/2"), quiet.is_empty(), "{log}");
    }
}

#[test]
fn annotations_and_platforms_of_the_base_are_the_images() {
    let store = PeerStore::new();
    let directory = files(&[
        ("Containerfile", TWO_STAGES),
        ("a", "A"),
        ("upon", "FROM localhost/base\nCOPY a /c\n"),
        ("upon-both", "FROM localhost/base AS x\nFROM localhost/many\nCOPY --from=x /b /c\n"),
    ]);
    let line =
        "build -q -t base --annotation a=1 --annotation b=2 --os-version 10 --os-feature f .";
    cooper(&store, &directory, line).ok();
    let line = "build -q -t many --platform linux/amd64,linux/arm64/v8,linux/s390x .";
    cooper(&store, &directory, line).ok();
    let shown = |what: &str, name: &str| {
        let place = format!("oci:{}", directory.at(&format!("layout:{name}")));
        tests::dray(&format!("inspect {what} {place}")).ok().json()
    };
    // What buildah 1.28 makes of the first of them.
    for (name, flags, expected) in [
        ("kept", "--annotation c=3", ["1", "2", "3"]),
        ("changed", "--annotation a=4 --unsetannotation b", ["4", "", ""]),
        ("dropped", "--inherit-annotations=false --annotation c=3", ["", "", "3"]),
    ] {
        let line = format!("build -q -f upon {flags} -t oci:layout:{name} .");
        cooper(&store, &directory, &line).ok();
        let annotations = &shown("--raw", name)["annotations"];
        let found = ["a", "b", "c"].map(|key| annotations[key].as_str().unwrap_or_default());
        assert_eq!(found, expected, "{name}: {annotations}");
        assert_eq!(annotations["org.opencontainers.image.base.name"], "localhost/base:latest");
        let config = shown("--config", name);
        assert_eq!((&config["os.version"], &config["os.features"][0]), (&"10".into(), &"f".into()));
    }
    // All that both bases have, and all that one has.
    let own = if cfg!(target_arch = "aarch64") { "arm64" } else { "amd64" };
    for (file, expected) in
        [("upon-both", vec![own]), ("Containerfile.many", vec!["amd64", "arm64", "s390x"])]
    {
        std::fs::write(directory.join("Containerfile.many"), "FROM localhost/many\nCOPY a /c\n")
            .expect("it is writable");
        let line = format!("build -q -f {file} --all-platforms --metadata-file meta .");
        cooper(&store, &directory, &line).ok();
        let meta = std::fs::read_to_string(directory.join("meta")).expect("it is there");
        let meta: Value = serde_json::from_str(&meta).expect("it is JSON");
        let images = meta["images"].as_array().expect("a list").iter();
        let platforms: Vec<&str> = images
            .map(|one| one["platform"].as_str().unwrap_or_default())
            .map(|platform| platform.split('/').nth(1).unwrap_or_default())
            .collect();
        assert_eq!(platforms, expected, "{file}");
    }
    cooper(&store, &directory, "build --all-platforms --arch arm64 .")
        .ends(125)
        .says("--all-platforms finds the platforms itself");
}

#[test]
fn a_miss_is_explained_and_the_cache_is_listed_and_pruned() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", TWO_STAGES), ("a", "A")]));
    cooper(&store, &directory, "build -q .").ok();
    std::fs::write(directory.join("a"), "B").expect("it is writable");
    let outcome = cooper(&store, &directory, "build --explain .").ok();
    assert!(outcome.text().contains("--> not from the cache: a changed"), "{outcome}");
    let listed = cooper(&store, &directory, "cache ls --json").ok().json();
    assert_eq!(listed.as_array().map(Vec::len), Some(4), "{listed}");
    let usage = cooper(&store, &directory, "cache du").ok();
    assert!(usage.text().starts_with("KIND"), "{usage}");
    cooper(&store, &directory, "cache prune").ends(125).says("say what to delete");
    let pruned = cooper(&store, &directory, "cache prune --all").ok();
    assert_eq!(pruned.text().matches("Deleted step: ").count(), 4, "{pruned}");
    assert_eq!(cooper(&store, &directory, "cache ls -q").ok().text(), "");
}

#[test]
fn what_is_known_and_missing_is_refused_by_name() {
    let (store, directory) = (PeerStore::new(), files(&[("Containerfile", "FROM scratch\n")]));
    let table = [
        ("--all-platforms", "unable to find any base images with which to determine platforms"),
        ("--provenance", "--provenance: an image of the store has no place for it"),
        ("--attest type=sbom", "--attest type=sbom is not supported"),
        ("--call frob", "--call=frob is not known: use build, check, outline or targets"),
        ("--runtime-flag debug", "--runtime-flag debug is for an OCI runtime"),
        ("--logsplit", "--logfile"),
        ("--iidfile no/where", "writing no/where: no such file or directory"),
        ("--metadata-file .", "writing .: it is a directory"),
        ("--cache-from type=gha", "the type \"gha\" is not supported"),
        ("--sbom", "--sbom is not supported: run a scanner on the image"),
        ("--userns automatic", "wrong user namespace mode"),
        ("--ipc nowhere", "--ipc: \"nowhere\": is no namespace"),
        ("--isolation chroot --pid host", "--isolation=chroot has no namespaces"),
        ("--network slirp4netns", "--network=slirp4netns is not supported: use --network=pasta"),
        ("--security-opt seccomp=x.json", "opening seccomp profile (x.json) failed"),
        ("--security-opt seccomp=Containerfile", "the seccomp profile: it is not JSON"),
        ("--security-opt frob", "--security-opt \"frob\" is not known"),
        ("--rm=false", "--rm=false is not supported"),
        ("--frobnicate", "unknown flag: --frobnicate"),
        ("--pull --pull-never", "can only set one of 'pull', 'pull-always' and 'pull-never'"),
        ("--format x", "unrecognized image type \"x\""),
        ("--isolation x", "unrecognized isolation type \"x\""),
        ("--ulimit x", "invalid ulimit argument"),
        ("--target x", "target stage \"x\" could not be found"),
        ("--secret src=a", "there is no id"),
        ("--push", "--push needs a name to push to"),
        ("--platform a/b --arch c", "--platform option can not be specified with --arch"),
        ("-f nowhere", "opening nowhere: no such file or directory"),
        ("--timestamp 1 --source-date-epoch 2", "contradict each other"),
        ("--network none --dns x", "the --dns option cannot be used with --network=none"),
        ("--isolation chroot --network none", "cannot set --network other than host"),
        ("--no-hosts --add-host a:1.2.3.4", "--no-hosts and --add-host conflict"),
        ("--authfile nowhere", "checking authfile: stat nowhere: no such file or directory"),
        ("-f .", "cannot be path to a directory"),
    ];
    for (flags, words) in table {
        let outcome = cooper(&store, &directory, &format!("build {flags} .")).ends(125).says(words);
        assert_eq!(outcome.text(), "", "{outcome}");
    }
    cooper(&store, &directory, "build nowhere")
        .ends(125)
        .says("context nowhere does not exist: no such file or directory");
}

#[test]
fn commands_have_the_hooks_of_a_directory() {
    if !is_root() || !has(&["busybox", "runc"]) {
        return;
    }
    let directory = with_busybox(&format!("{RUN}RUN busybox true\n"));
    let store = PeerStore::new();
    let write = |name: &str, stage: &str, script: &str| {
        std::fs::create_dir_all(directory.join("hooks")).expect("it is writable");
        let text = serde_json::json!({
            "version": "1.0.0",
            "hook": { "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] },
            "when": { "commands": ["busybox$"] },
            "stages": [stage],
        });
        std::fs::write(directory.join("hooks").join(name), text.to_string())
            .expect("it is writable");
    };
    let told = directory.join("told");
    for stage in ["poststop", "createContainer", "prestart"] {
        let script = format!("echo {stage} >> {}", told.display());
        write(&format!("{stage}.json"), stage, &script);
    }
    for isolation in ["", "--isolation oci --runtime runc --ulimit nofile=64:64"] {
        let line = format!("build --no-cache --hooks-dir hooks {isolation} .");
        cooper(&store, &directory, &line).ok();
        let text = std::fs::read_to_string(&told).expect("hooks wrote it");
        assert_eq!(text, "prestart\ncreateContainer\npoststop\n", "{isolation}");
        std::fs::remove_file(&told).expect("it is there");
    }
    // What has nothing but another root has none, as with buildah.
    cooper(&store, &directory, "build --no-cache --hooks-dir hooks --isolation chroot .").ok();
    assert!(!told.exists());
    write("prestart.json", "prestart", "echo no card >&2; exit 3");
    cooper(&store, &directory, "build --no-cache --hooks-dir hooks .").ends(125).says("no card");
    std::fs::write(directory.join("hooks/prestart.json"), "{").expect("it is writable");
    cooper(&store, &directory, "build --hooks-dir hooks .").ends(125).says("hooks/prestart.json");
}

#[test]
fn errors_of_the_file_are_shown_with_their_lines() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", "FROM scratch\nCPOY a b\n")]));
    cooper(&store, &directory, "build .").ends(125).says(" --> Containerfile:2:1").says(
        "Error: Containerfile cannot be built: unknown instruction: CPOY (did you mean COPY?)",
    );
    let strict = "# check=error=true\nFROM scratch AS B\nLABEL a=b\n";
    std::fs::write(directory.join("Containerfile"), strict).expect("it is writable");
    cooper(&store, &directory, "build .").ends(125).says("StageNameCasing");
    let missing = "FROM scratch\nCOPY nothing /\n";
    std::fs::write(directory.join("Containerfile"), missing).expect("it is writable");
    cooper(&store, &directory, "build .")
        .ends(125)
        .says(" --> Containerfile:2:")
        .says("building at STEP \"COPY nothing /\"");
}

#[test]
fn what_a_build_can_be_given_is_told() {
    let text = "# GO is the version\nARG GO=1.23\n# app is what is deployed\nFROM go:$GO AS app\nFROM scratch\n";
    let (store, directory) = (PeerStore::new(), files(&[("Containerfile", text)]));
    let targets = cooper(&store, &directory, "build --call=targets --target app .").ok();
    assert!(targets.text().contains("app (default)   is what is deployed"), "{targets}");
    let outline = cooper(&store, &directory, "build --call outline --target app .").ok();
    assert!(outline.text().contains("GO"), "{outline}");
    let checked = cooper(&store, &directory, "build --call check .").ok();
    assert!(checked.stderr.contains("Check complete, no warnings found."), "{checked}");
}

#[test]
fn several_files_make_one_containerfile() {
    let parts = [
        ("first", "ARG base=scratch\nFROM $base AS one\n"),
        ("second", "COPY a /a\n"),
        ("third", "FROM scratch\nCOPY --from=one /a /b\n"),
        ("wrong", "LABEL x=y\nRUN --x y\n"),
        ("a", "A"),
    ];
    let (store, directory) = (PeerStore::new(), files(&parts));
    cooper(&store, &directory, "build -q -o out -f first -f second -f third .").ok();
    assert_eq!(std::fs::read_to_string(directory.join("out/b")).expect("it is there"), "A");
    // Each has lines of its own.
    cooper(&store, &directory, "build -f first -f wrong .")
        .ends(125)
        .says(" --> wrong:2:5")
        .says("wrong cannot be built: unknown flag: --x");
}

#[test]
fn contexts_come_from_standard_input_and_named_places() {
    let (store, directory) = (
        PeerStore::new(),
        files(&[("ctx/Containerfile", TWO_STAGES), ("ctx/a", "A"), ("more/a", "M")]),
    );
    let tar = directory.at("ctx.tar.gz");
    run(command("tar").args(["-czf", &tar, "-C", &directory.at("ctx"), "."])).ok();
    let stdin = std::fs::File::open(&tar).expect("it was just made");
    let of_tar = run(program(&store, &directory, "build -q -o t -").stdin(stdin)).ok();
    assert_eq!(
        std::fs::read_to_string(directory.join("t/b")).expect("it is there"),
        "A",
        "{of_tar}"
    );
    let file = std::fs::File::open(directory.join("ctx/Containerfile")).expect("it is there");
    let line = "build -q -o n --build-context one=more -f - ctx";
    run(program(&store, &directory, line).stdin(file)).ok();
    std::fs::write(directory.join("alone"), "FROM scratch\nCOPY <<E /e\ntext\nE\n")
        .expect("it is writable");
    let alone = std::fs::File::open(directory.join("alone")).expect("it is there");
    run(program(&store, &directory, "build -q -o alone-out -").stdin(alone)).ok();
    assert_eq!(
        std::fs::read_to_string(directory.join("alone-out/e")).expect("it is there"),
        "text\n"
    );
}

#[test]
fn secrets_and_arguments_reach_commands_and_nothing_else() {
    if !has(&["busybox"]) || !is_root() {
        return;
    }
    let store = PeerStore::new();
    let directory = with_busybox(&format!(
        "{RUN}ARG A=default\nRUN --mount=type=secret,id=s cat() {{ /bin/busybox cat \"$@\"; }}; \
         cat /run/secrets/s > /seen; echo $A >> /seen\n"
    ));
    std::fs::write(directory.join("secret"), "hidden\n").expect("it is writable");
    let line = "build -q --secret id=s,src=secret --build-arg A=given -o out .";
    cooper(&store, &directory, line).ok();
    let seen = std::fs::read_to_string(directory.join("out/seen")).expect("it is there");
    assert_eq!(seen, "hidden\ngiven\n");
    assert!(!directory.join("out/run/secrets").exists());
}

#[test]
fn json_progress_is_one_object_on_each_line() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", TWO_STAGES), ("a", "A")]));
    let outcome = cooper(&store, &directory, "build --progress json .").ok();
    let events: Vec<Value> = outcome
        .stderr
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect();
    let count = |name: &str| events.iter().filter(|event| event["event"] == name).count();
    assert_eq!((count("stepBegan"), count("stepEnded"), count("built")), (5, 5, 1));
    assert_eq!(outcome.text().len(), 64);
    // Of a failure, too.
    std::fs::write(directory.join("wrong"), "FROM scratch\nCOPY none /\n").expect("writable");
    let failed = cooper(&store, &directory, "build --progress json -f wrong .").ends(125);
    let told = failed.stderr.lines().map(serde_json::from_str::<Value>);
    let told: Vec<Value> = told.map(|line| line.expect("it is JSON")).collect();
    let last = told.last().expect("something is told");
    assert_eq!((&last["event"], &last["line"]), (&"failed".into(), &2.into()), "{failed}");
    assert!(last["error"].as_str().is_some_and(|text| text.contains("\"/none\": not found")));
    let logged = cooper(&store, &directory, "build --progress json --logfile log .").ok();
    assert_eq!(
        (logged.text().len(), logged.stderr.as_str()),
        (64, ""),
        "the log has objects alone"
    );
    let log = std::fs::read_to_string(directory.join("log")).expect("it is there");
    assert!(log.lines().all(|line| serde_json::from_str::<Value>(line).is_ok()), "{log}");
}
