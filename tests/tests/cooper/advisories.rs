//! What went wrong in other builders, through ours. The names are those of the advisories; more of
//! them are in the crates that each is about.

use std::os::unix::fs::PermissionsExt as _;

use cask_testkit::generate::hostile::malformed_manifests;
use cask_testkit::registry::Registry;
use tests::{PeerStore, command, has, is_root, run, scratch};

use crate::build::{RUN, cooper, program, with_busybox};
use crate::files;

const USER: &str = "tester";
const PASSWORD: &str = "marker-of-a-password";

/// There, certificates of a token server were not looked at.
#[test]
fn cve_2019_10214_a_token_server_that_nobody_vouches_for_sees_no_password() {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .expect("a runtime can be built");
    let tokens = || Registry::builder().token_auth(USER, PASSWORD);
    let stranger = runtime.block_on(tokens().tls().start());
    let plain = runtime.block_on(tokens().start());
    let saw_password = |registry: &Registry| {
        registry.take_requests().iter().any(|seen| seen.header("authorization").is_some())
    };
    let store = PeerStore::new();
    for (server, words) in [(&stranger, "certificate"), (&plain, "http://")] {
        let realm = format!("{}/token", server.url());
        let registry = runtime.block_on(tokens().tls().realm(&realm).start());
        let directory =
            files(&[("Containerfile", &format!("FROM {}/it/base:1\n", registry.host()))]);
        let trust = |name: &str, registry: &Registry| {
            let authority = registry.authority_pem().expect("it speaks TLS");
            std::fs::create_dir_all(directory.join("certs")).expect("it is writable");
            std::fs::write(directory.join("certs").join(name), authority).expect("it is writable");
        };
        trust("registry.crt", &registry);
        let line = format!("build --retry 0 --cert-dir certs --creds {USER}:{PASSWORD} .");
        let outcome = cooper(&store, &directory, &line).ends(125).says(words);
        assert!(!outcome.stderr.contains(PASSWORD), "{outcome}");
        assert!(!saw_password(server), "{outcome}");
        if server.authority_pem().is_some() {
            // Of a token server that is vouched for, a token is got.
            trust("tokens.crt", server);
            cooper(&store, &directory, &line).ends(125);
            assert!(saw_password(server));
        }
    }
}

/// There, commands read what the builder was started with.
#[test]
fn cve_2021_3602_no_isolation_shows_what_the_builder_was_started_with() {
    if !is_root() || !has(&["busybox", "runc"]) {
        return;
    }
    let script = "busybox cat /proc/[0-9]*/environ | busybox tr '\\0' '\\n'";
    let directory = with_busybox(&format!("{RUN}ENV OWN=shown\nRUN {script}\n"));
    let store = PeerStore::new();
    std::fs::write(directory.join("marker.conf"), "").expect("it is writable");
    for isolation in ["", "--isolation oci --runtime runc", "--isolation chroot"] {
        let mut build = program(&store, &directory, &format!("build --no-cache {isolation} ."));
        build.env("CONTAINERS_CONF", directory.join("marker.conf")).env("MARKER", "1");
        let outcome = run(&mut build).ok();
        let said = outcome.to_string();
        assert!(said.contains("OWN=shown") && !said.to_lowercase().contains("marker"), "{said}");
    }
}

/// There, what is called a digest became the name of a file.
#[test]
fn cve_2024_3727_a_digest_that_is_none_is_no_path() {
    let (store, directory) = (PeerStore::new(), scratch());
    let cases = malformed_manifests().into_iter().filter(|case| {
        let climbs = case.name.contains("..") || case.name.contains("/etc");
        climbs && !case.name.ends_with("subject") && !case.name.ends_with("entry")
    });
    let mut count = 0;
    for case in cases {
        count += 1;
        let image = directory.join("image");
        std::fs::create_dir_all(&image).expect("it is writable");
        let version = "Directory Transport Version: 1.1\n";
        std::fs::write(image.join("version"), version).expect("it is writable");
        std::fs::write(image.join("manifest.json"), &case.value.bytes).expect("it is writable");
        let file = format!("FROM dir:{}\n", image.display());
        std::fs::write(directory.join("Containerfile"), file).expect("it is writable");
        let outcome = cooper(&store, &directory, "build --retry 0 .").ends(125);
        assert!(outcome.stderr.contains("digest"), "{}: {outcome}", case.name);
    }
    assert_eq!(count, 10);
}

/// There, `xz` was run on archives, by the name that it has in the PATH.
#[test]
fn cve_2014_9357_no_program_of_the_machine_unpacks_archives() {
    if !has(&["bzip2", "gzip", "tar", "xz", "zstd"]) {
        return;
    }
    let (store, directory) = (PeerStore::new(), files(&[("a", "A"), ("bin/x", "")]));
    let programs = [
        "bunzip2", "bzip2", "gunzip", "gzip", "igzip", "pigz", "tar", "unpigz", "unxz", "unzstd",
        "xz", "xzcat", "zcat", "zstd",
    ];
    for name in programs {
        let path = directory.join("bin").join(name);
        let script = format!("#!/bin/sh\necho $0 >>{}\n", directory.at("was-run"));
        std::fs::write(&path, script).expect("it is writable");
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755))
            .expect("it is ours");
    }
    let mut file = "FROM scratch\n".to_owned();
    for (suffix, flag) in [("gz", "-z"), ("bz2", "-j"), ("xz", "-J"), ("zst", "--zstd")] {
        let archive = format!("a.tar.{suffix}");
        run(command("tar").current_dir(&*directory).args([flag, "-cf", &archive, "a"])).ok();
        file += &format!("ADD {archive} /{suffix}/\n");
    }
    std::fs::write(directory.join("Containerfile"), file).expect("it is writable");
    let mut build = program(&store, &directory, "build -o out .");
    run(build.env("PATH", directory.join("bin"))).ok();
    for suffix in ["gz", "bz2", "xz", "zst"] {
        let found = std::fs::read_to_string(directory.join(format!("out/{suffix}/a")));
        assert_eq!(found.expect("the archive was unpacked"), "A", "{suffix}");
    }
    assert!(!directory.join("was-run").exists());
    // The scripts are what would have been run.
    run(&mut command(directory.join("bin/xz"))).ok();
    assert!(directory.join("was-run").exists());
}

/// There, a name that a frontend gave led out of a directory. We have no frontends; names come
/// from the file.
#[test]
fn cve_2026_33747_names_of_a_file_lead_nowhere() {
    let (store, directory) = (PeerStore::new(), files(&[("in/a", "A"), ("in/out/x", "")]));
    for (text, expected) in [
        ("COPY <<\"../../up\" /d/\nx\n../../up\n", Some("d/up")),
        ("COPY <<\"/etc/x\" /d/\nx\n/etc/x\n", None),
        ("COPY a ../../../../up\n", Some("up")),
        ("WORKDIR ../../..\nCOPY a up\n", Some("up")),
        ("COPY --from=../../x a /up\n", None),
        ("VOLUME /../../up\nCOPY a /../../up/a\n", Some("up/a")),
    ] {
        std::fs::write(directory.join("in/Containerfile"), format!("FROM scratch\n{text}"))
            .expect("it is writable");
        let _ = std::fs::remove_dir_all(directory.join("in/out"));
        let outcome = cooper(&store, &directory, "build --retry 0 -o in/out in");
        for outside in ["up", "in/up", "in/etc", "etc", "x"] {
            assert!(!directory.join(outside).exists(), "{text}: {outside} of {outcome}");
        }
        if let Some(expected) = expected {
            outcome.ok();
            assert!(directory.join("in/out").join(expected).exists(), "{text}");
        }
    }
}
