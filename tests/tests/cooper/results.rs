//! What `cooper build` makes besides an image in the store, and of what.

use std::fs;
use std::os::unix::fs::MetadataExt as _;

use tests::{Outcome, PeerStore, has, is_root};

use crate::build::{cooper, program, with_busybox};
use crate::files;

#[test]
fn images_that_differ_in_annotations_alone_are_two() {
    let store = PeerStore::new();
    let directory = files(&[
        ("Containerfile", "FROM scratch\nCOPY a /a\n"),
        ("a", "A"),
        ("upon", "FROM localhost/base\n"),
    ]);
    let build = |line: &str| cooper(&store, &directory, &format!("build -q {line} .")).ok();
    let base = build("-t base --annotation a=1");
    let annotation = |name: &str| {
        let line = format!("inspect -t image {name} -f");
        let mut inspect = program(&store, &directory, &line);
        inspect.arg("{{index .ImageAnnotations \"a\"}}");
        tests::run(&mut inspect).ok().text().to_owned()
    };
    let mut ids = vec![base.text().to_owned()];
    for (name, flags, expected) in [
        ("more", "--annotation a=2", "2"),
        ("less", "--unsetannotation a", ""),
        ("none", "--inherit-annotations=false", ""),
        ("dated", "--created-annotation", "1"),
    ] {
        let line = format!("-f upon -t {name} {flags}");
        let built = build(&line);
        assert_eq!(annotation(name), expected, "{name}");
        assert_eq!(annotation("base"), "1", "{name} is another image than its base");
        assert_eq!(build(&line).text(), built.text(), "{name}: the same input, another image");
        ids.push(built.text().to_owned());
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 5, "{ids:?}");
}

#[test]
fn files_and_hosts_are_as_the_date_says() {
    let directory = files(&[("Containerfile", "FROM scratch\nCOPY a /d/a\n"), ("a", "A")]);
    let store = PeerStore::new();
    let modified = |name: &str| {
        let found = fs::symlink_metadata(directory.join(name));
        found.expect("it was written").mtime()
    };
    for flag in ["--timestamp", "--source-date-epoch", "--build-arg SOURCE_DATE_EPOCH="] {
        let flags = match flag.ends_with('=') {
            true => format!("{flag}60"),
            false => format!("{flag} 60"),
        };
        let line =
            format!("build -q {flags} -o out -o type=tar,dest=out.tar --format docker -t it .");
        cooper(&store, &directory, &line).ok();
        assert_eq!((modified("out/d"), modified("out/d/a")), (60, 60), "{flag}");
        let listed =
            tests::run(tests::command("tar").args(["--utc", "-tvf", &directory.at("out.tar")]));
        assert_eq!(listed.ok().text().matches("1970-01-01 00:01").count(), 2, "{flag}");
        let name = "inspect -t image -f {{.Docker.Config.Hostname}} it";
        assert_eq!(cooper(&store, &directory, name).ok().text(), "sandbox", "{flag}");
        fs::remove_dir_all(directory.join("out")).expect("it is there");
    }
    cooper(&store, &directory, "build -q -o out .").ok();
    assert_ne!(modified("out/d/a"), 60);
}

#[test]
fn a_build_that_fails_leaves_the_steps_before_for_the_next_one() {
    let directory = files(&[
        ("Containerfile", "FROM scratch\nCOPY a /a\nCOPY b /b\nCOPY nothing /c\n"),
        ("a", "A"),
        ("b", "B"),
    ]);
    let steps = directory.at("steps");
    let hits = |outcome: &Outcome| outcome.text().matches("--> Using cache").count();
    let line = format!("build --cache-to type=local,dest={steps} .");
    cooper(&PeerStore::new(), &directory, &line).ends(125).says("\"/nothing\": not found");
    fs::write(directory.join("nothing"), "C").expect("it is writable");
    let line = format!("build --cache-from type=local,src={steps} .");
    let second = cooper(&PeerStore::new(), &directory, &line).ok();
    assert_eq!(hits(&second), 2, "{second}");
}

#[test]
fn from_finds_images_in_the_context() {
    let (store, base) =
        (PeerStore::new(), files(&[("Containerfile", "FROM scratch\nCOPY a /\n"), ("a", "A")]));
    let directory = files(&[("context/b", "B")]);
    let places =
        [("oci-archive", "a.tar"), ("docker-archive", "d.tar"), ("oci", "layout"), ("dir", "dir")];
    for (scheme, name) in places {
        let at = directory.at(&format!("context/{name}"));
        cooper(&PeerStore::new(), &base, &format!("build -q -t {scheme}:{at} .")).ok();
        for path in [name.to_owned(), format!("./{name}"), format!("/{name}")] {
            let text = format!("FROM {scheme}:{path}\nCOPY b /\n");
            fs::write(directory.join("context/Containerfile"), text).expect("it is writable");
            cooper(&store, &directory, "build -q -o out context").ok();
            let read = |name: &str| fs::read_to_string(directory.join(name)).expect("it is there");
            assert_eq!(read("out/a") + &read("out/b"), "AB", "{scheme}:{path}");
            fs::remove_dir_all(directory.join("out")).expect("it is there");
        }
    }
}

#[test]
fn a_cache_is_for_users_of_a_command_s_own_too() {
    if !has(&["busybox", "runc"]) || !is_root() {
        return;
    }
    let text = "FROM scratch\nCOPY busybox /bin/sh\nCOPY busybox /bin/stat\nUSER 1000:1000\n\
                RUN --mount=type=cache,target=/c,uid=1000,gid=1000 echo x > /c/x && test $(stat -c %u /c) = 1000\n";
    let directory = with_busybox(text);
    fs::write(directory.join("conf"), "[engine]\nruntime = \"runc\"\n").expect("it is writable");
    let line = "build -q --userns-uid-map 0:1:1023 --userns-gid-map 0:1:1023 .";
    let mut build = program(&PeerStore::new(), &directory, line);
    tests::run(build.env("CONTAINERS_CONF", directory.join("conf"))).ok();
}
