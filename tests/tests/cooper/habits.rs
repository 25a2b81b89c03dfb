//! What who knows buildah expects of `cooper build`.

use std::fs;

use tests::{Access, PeerStore, Served, scratch};

use crate::build::{cooper, program, with_busybox};
use crate::files;

#[test]
fn a_line_without_a_command_prints_which_there_are() {
    let (store, directory) = (PeerStore::new(), scratch());
    for (line, command) in [("", "build"), ("manifest", "annotate")] {
        let said = cooper(&store, &directory, line).ok();
        assert!(said.text().contains(command), "{line:?}: {said}");
    }
}

#[test]
fn a_name_that_the_caller_gave_counts_more_than_a_stage() {
    let text = "FROM scratch AS one\nCOPY not-there /\n\
                FROM scratch AS two\nCOPY --from=one a /x\nCOPY --from=0 a /y\nCOPY --from=two a /z\n";
    let directory = files(&[("Containerfile", text), ("other/a", "theirs")]);
    let line = "build --build-context one=other --build-context TWO=other -o out .";
    cooper(&PeerStore::new(), &directory, line).ok();
    for name in ["x", "y", "z"] {
        let found = fs::read_to_string(directory.join("out").join(name)).expect("it is copied");
        assert_eq!(found, "theirs", "{name}");
    }
}

#[test]
fn an_image_is_for_the_platform_that_was_asked_for_whatever_its_base_is_for() {
    let store = PeerStore::new();
    let directory = files(&[("Containerfile", "FROM --platform=linux/amd64 scratch\nLABEL a=1\n")]);
    let check = |flags: &str, expected: &str| {
        cooper(&store, &directory, &format!("build {flags} -t it .")).ok();
        let format = "{{.OCIv1.OS}}/{{.OCIv1.Architecture}}/{{.OCIv1.Variant}}";
        let outcome =
            cooper(&store, &directory, &format!("inspect -t image --format {format} it")).ok();
        assert_eq!(outcome.text(), expected, "{flags}");
    };
    check("", "linux/amd64/");
    check("--platform linux/arm64/v8", "linux/arm64/v8");
    check("--platform windows/", &format!("windows/{}/", go_architecture()));
    check("--arch s390x", "linux/s390x/");
}

/// What Go calls the processors of this machine.
fn go_architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[test]
fn each_platform_begins_with_the_base_that_is_for_it() {
    let (scratch, store) = (scratch(), PeerStore::new());
    let served = Served::start(&scratch, Access::Plain);
    let base = format!("{}/it/base:1", served.address());
    let platforms = ["amd64", "s390x", "arm64", "amd64"];
    let directory = files(&[
        ("base", "FROM scratch\nARG TARGETARCH\nCOPY $TARGETARCH /for\n"),
        ("Containerfile", &format!("FROM {base}\n")),
        ("amd64", "amd64"),
        ("s390x", "s390x"),
        ("arm64", "arm64"),
    ]);
    let all = "linux/amd64,linux/s390x,linux/arm64";
    let push = format!("build -q --tls-verify=false --push --platform {all} -f base -t {base} .");
    cooper(&PeerStore::new(), &directory, &push).ok();
    for platform in platforms {
        let line = format!("build -q --tls-verify=false --platform linux/{platform} -o out .");
        cooper(&store, &directory, &line).ok();
        let found = fs::read_to_string(directory.join("out/for")).expect("the base has it");
        assert_eq!(found, platform);
    }
}

#[test]
fn a_volume_is_there_for_the_commands_behind_it() {
    let text = "FROM scratch\nCOPY busybox /bin/sh\nRUN [\"/bin/sh\", \"-c\", \"echo\"]\n\
                VOLUME /v/w\nRUN echo 1 > /v/w/f\n";
    let directory = with_busybox(text);
    cooper(&PeerStore::new(), &directory, "build -q .").ok();
}

#[test]
fn steps_are_counted_and_told_as_buildah_does() {
    let text = "ARG base=scratch\nFROM ${base} AS one\nLABEL a=1\nFROM one AS two\nLABEL b=1\nFROM scratch\n";
    let directory = files(&[("Containerfile", text)]);
    let store = PeerStore::new();
    let outcome = cooper(&store, &directory, "build --quiet=false -t it --target two .").ok();
    let lines: Vec<&str> = outcome.text().lines().take(5).collect();
    let expected = [
        "[1/2] STEP 1/2: FROM scratch AS one",
        "[1/2] STEP 2/2: LABEL a=1",
        "[2/2] STEP 1/2: FROM one AS two",
        "[2/2] STEP 2/2: LABEL b=1",
        "COMMIT it",
    ];
    assert_eq!(lines, expected, "{outcome}");
    let outcome =
        cooper(&store, &directory, "build --from=other --target two --build-context other=. .")
            .ok();
    assert!(outcome.text().contains("STEP 1/2: FROM other AS one"), "{outcome}");
    cooper(&store, &directory, "build . more")
        .ends(125)
        .says("accepts at most 1 arg(s), received 2");
}

#[test]
fn chroot_has_mounts_and_processes_where_the_machine_can() {
    let text = "FROM scratch\nCOPY busybox /bin/sh\n\
                RUN --mount=type=cache,target=/c test -d /c && test -d /proc/$$ && echo x > /dev/null\n";
    let directory = with_busybox(text);
    let mut build = program(&PeerStore::new(), &directory, "build -q .");
    tests::run(build.env("BUILDAH_ISOLATION", "chroot")).ok();
}

#[test]
fn squash_makes_one_layer_of_all_as_buildah_s_does() {
    let (store, directory) = (PeerStore::new(), files(&[("a", "a"), ("b", "b")]));
    let write = |text: &str| {
        fs::write(directory.join("Containerfile"), text).expect("a scratch directory is writable");
    };
    write("FROM scratch\nCOPY a /a\n");
    cooper(&store, &directory, "build -q -t base .").ok();
    write("FROM base\nCOPY b /b\n");
    cooper(&store, &directory, "build -q --squash -t it .").ok();
    let format = "{{len .OCIv1.RootFS.DiffIDs}},{{len .OCIv1.History}}";
    let mut inspect = program(&store, &directory, "inspect -t image it -f");
    assert_eq!(tests::run(inspect.arg(format)).ok().text(), "1,1");
}

#[test]
fn a_policy_that_rejects_everything_says_nothing_of_the_own_store() {
    let (store, directory) =
        (PeerStore::new(), files(&[("Containerfile", "FROM scratch\nLABEL a=1\n")]));
    fs::write(directory.join("deny"), r#"{"default": [{"type": "reject"}]}"#)
        .expect("a scratch directory is writable");
    cooper(&store, &directory, "build -q --signature-policy deny -t it .").ok();
    cooper(&store, &directory, "push -q --signature-policy deny it dir:out").ok();
    fs::write(directory.join("Containerfile"), "FROM dir:out\n").expect("it is writable");
    cooper(&store, &directory, "build -q --signature-policy deny .")
        .ends(125)
        .says("Source image rejected");
}

#[test]
fn what_containers_conf_says_holds_for_commands() {
    let text = "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/grep\n\
                RUN ulimit -n; grep CapBnd /proc/self/status\n";
    let directory = with_busybox(text);
    let conf = "[containers]\ndefault_ulimits = [\"nofile=99:100\"]\n\
                default_capabilities = [\"CHOWN\"]\nnetns = \"none\"\n";
    fs::write(directory.join("conf"), conf).expect("a scratch directory is writable");
    let mut build = program(&PeerStore::new(), &directory, "build .");
    let outcome = tests::run(build.env("CONTAINERS_CONF", directory.join("conf"))).ok();
    assert!(outcome.text().contains("\n99\nCapBnd:\t0000000000000001\n"), "{outcome}");
    let runtime = "[engine]\nruntime = \"nowhere\"\n";
    fs::write(directory.join("conf"), runtime).expect("a scratch directory is writable");
    let mut build = program(&PeerStore::new(), &directory, "build .");
    tests::run(build.env("CONTAINERS_CONF", directory.join("conf")))
        .ends(125)
        .says("default OCI runtime \"nowhere\" not found");
    let mut build = program(&PeerStore::new(), &directory, "build -q --runtime native .");
    tests::run(build.env("CONTAINERS_CONF", directory.join("conf"))).ok();
}

#[test]
fn every_command_has_the_mounts_of_the_build() {
    let text = "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/cat\nrun cat /s\n";
    let directory = with_busybox(text);
    let line = "build --raw-iidfile id --mount type=secret,id=it,target=/s,required --secret id=it,env=IT .";
    let mut build = program(&PeerStore::new(), &directory, line);
    let outcome = tests::run(build.env("IT", "words")).ok();
    assert!(outcome.text().contains("STEP 4/4: RUN cat /s\nwords"), "{outcome}");
    let id = fs::read_to_string(directory.join("id")).expect("it is written");
    assert_eq!(id.len(), 64);
    cooper(&PeerStore::new(), &directory, "build --mount type=secret,id=no,required .")
        .ends(125)
        .says("building at STEP \"RUN cat /s\": secret required but no secret with id no found");
    cooper(&PeerStore::new(), &directory, "build --mount type=x .")
        .ends(125)
        .says("--mount \"type=x\"");
}

#[test]
fn files_for_the_c_preprocessor_are_read_through_it() {
    if !tests::has(&["cpp"]) {
        return;
    }
    let text = "#include \"more.in\"\n#ifdef A\nLABEL a=A\n#endif\n";
    let directory = files(&[("Containerfile.in", text), ("more.in", "FROM scratch\nLABEL b=B\n")]);
    let store = PeerStore::new();
    let check = |flags: &str, expected: &str| {
        let line = format!("build -q -t it -f Containerfile.in {flags} .");
        cooper(&store, &directory, &line).ok();
        let labels = "inspect -t image -f {{.OCIv1.Config.Labels}} it";
        assert_eq!(cooper(&store, &directory, labels).ok().text(), expected);
    };
    check("", "map[b:B]");
    check("--cpp-flag=-DA=a", "map[a:a b:B]");
    fs::write(directory.join("none.in"), "#error none\n").expect("it is writable");
    cooper(&store, &directory, "build -f none.in .")
        .ends(125)
        .says("Ignoring <stdin>:1:2: error: #error none");
}

#[test]
fn the_step_of_a_script_tells_its_first_line() {
    let text =
        "FROM scratch\nCOPY busybox /bin/sh\nRUN <<EOF\necho a\necho b\nEOF\nRUN <<X\necho c\nX\n";
    let directory = with_busybox(text);
    let outcome = cooper(&PeerStore::new(), &directory, "build .").ok();
    assert!(outcome.text().contains("STEP 3/4: RUN <<EOF (echo a...)\na\nb\n"), "{outcome}");
    assert!(outcome.text().contains("STEP 4/4: RUN <<X (echo c)\nc\n"), "{outcome}");
}

#[test]
fn a_device_directory_gives_its_devices() {
    let text = "FROM scratch\nCOPY busybox /bin/sh\nRUN test -c /dev/x/null && test -c /y/null\n";
    let directory = with_busybox(text);
    if !tests::is_root() {
        return;
    }
    let made =
        tests::run(tests::command("mknod").arg(directory.join("null")).args(["c", "1", "3"]));
    made.ok();
    let at = directory.display().to_string();
    let line = format!("build -q --device {at}:/dev/x --device {at}/null:/y/null .");
    cooper(&PeerStore::new(), &directory, &line).ok();
}

#[test]
fn a_policy_says_which_images_builds_begin_with() {
    let store = PeerStore::new();
    let base = files(&[("Containerfile", "FROM scratch\nCOPY a /a\n"), ("a", "A")]);
    cooper(&store, &base, "build -q -t other:1 .").ok();
    let policy = r#"{"rules": [
        {"action": "CONVERT",
         "selector": {"identifier": "docker-image://docker.io/library/nosuch:*"},
         "updates": {"identifier": "docker-image://localhost/other:1"}},
        {"action": "DENY", "selector": {"identifier": "docker-image://localhost/denied*"}}
    ]}"#;
    let build = |text: &str| {
        let directory = files(&[("Containerfile", text), ("policy.json", policy)]);
        let line = "build -q --pull=never --source-policy-file policy.json -o out .";
        let outcome = cooper(&store, &directory, line);
        (std::fs::read_to_string(directory.join("out/a")).ok(), outcome)
    };
    let convert = ["FROM nosuch\nLABEL a=b\n", "FROM scratch\nCOPY --from=nosuch:7 /a /a\n"];
    for text in convert {
        let (found, outcome) = build(text);
        outcome.ok();
        assert_eq!(found.as_deref(), Some("A"), "{text}");
    }
    // Other names are what they are.
    let (found, outcome) = build("FROM localhost/other:1\nLABEL a=b\n");
    outcome.ok();
    assert_eq!(found.as_deref(), Some("A"));
    let (_, outcome) = build("FROM localhost/denied:1\n");
    let words = "denied by source policy: matched rule 1";
    outcome.ends(125).says(words).says("Containerfile:1:");
    // A stage is no image.
    let (found, outcome) = build("FROM localhost/other:1 AS denied\nFROM denied\nLABEL a=b\n");
    outcome.ok();
    assert_eq!(found.as_deref(), Some("A"));
    let directory = files(&[("Containerfile", "FROM scratch\n"), ("policy.json", "[]")]);
    let line = "build --source-policy-file policy.json .";
    cooper(&store, &directory, line).ends(125).says("--source-policy-file policy.json");
}
