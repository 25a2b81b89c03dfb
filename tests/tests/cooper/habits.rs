//! What who knows buildah expects of `cooper build`.

use std::fs;

use tests::{Access, PeerStore, Served, scratch};

use crate::build::{cooper, program, with_busybox};
use crate::files;

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
