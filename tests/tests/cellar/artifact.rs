//! Artifacts: made, listed, pushed and pulled, written out; and what of that is refused.
//!
//! No podman of Debian 12 has them. What is expected was recorded of podman 5.8.6, which reads and writes the same place.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Stdio;

use serde_json::{Value, json};
use tests::{Access, Outcome, PeerStore, Scratch, Served, digest, dray_with, has, run, scratch};

use crate::TOOLS;

/// A store, and files to make artifacts of.
struct Setting {
    store: PeerStore,
    scratch: Scratch,
}

impl Setting {
    fn new() -> Option<Self> {
        if !has(&TOOLS) {
            return None;
        }
        let scratch = scratch();
        for (name, bytes) in [("a.txt", "hello\n"), ("c.txt", "c\n"), ("empty", "")] {
            fs::write(scratch.join(name), bytes).expect("it is writable");
        }
        fs::write(scratch.join("x.png"), b"\x89PNG\r\n\x1a\n").expect("it is writable");
        Some(Self { store: PeerStore::new(), scratch })
    }

    /// Runs it where the files are.
    #[track_caller]
    fn artifact(&self, line: &[&str]) -> Outcome {
        let line = [&["artifact"], line].concat();
        run(self.store.cellar_command(&line).current_dir(&*self.scratch))
    }

    /// `artifact ls`, without what depends on the clock.
    #[track_caller]
    fn listed(&self) -> Vec<String> {
        let columns = "{{.Repository}} {{.Tag}} {{.Size}}";
        let listed = self.artifact(&["ls", "--format", columns]).ok();
        listed.text().lines().map(str::to_owned).collect()
    }

    /// The files of the layout.
    fn blobs(&self) -> usize {
        let blobs = self.store.root().join("artifacts/blobs/sha256");
        fs::read_dir(blobs).map_or(0, Iterator::count)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.scratch.join(name)).unwrap_or_default()
    }
}

#[test]
fn files_become_artifacts_that_are_listed_shown_and_removed() {
    let Some(it) = Setting::new() else { return };
    assert_eq!(it.listed(), [""; 0]);
    let said = ["--annotation", "k=v", "--type", "application/x.y", "localhost/an:1"];
    let made = it.artifact(&[&["add"], &said[..], &["c.txt", "x.png"]].concat()).ok();
    let shown = it.artifact(&["inspect", "localhost/an:1"]).ok();
    assert!(shown.text().starts_with("{\n     \"Manifest\": {\n          \"schemaVersion\": 2,"));
    let shown: Value = shown.json();
    assert_eq!(shown["Digest"], format!("sha256:{}", made.text()));
    assert_eq!(shown["Name"], "localhost/an:1");
    let manifest = &shown["Manifest"];
    assert_eq!(manifest["artifactType"], "application/x.y");
    assert_eq!(manifest["config"]["data"], "e30=");
    assert_eq!(manifest["annotations"]["k"], "v");
    assert!(manifest["annotations"]["org.opencontainers.image.created"].is_string());
    let titled = |title: &str| json!({"k": "v", "org.opencontainers.image.title": title});
    assert_eq!(manifest["layers"][0]["annotations"], titled("c.txt"));
    assert_eq!(manifest["layers"][0]["mediaType"], "text/plain; charset=utf-8");
    assert_eq!(manifest["layers"][1]["mediaType"], "image/png");
    let template =
        "{{.Name}} {{.Manifest.ArtifactType}} {{.TotalSizeBytes}} {{len .Manifest.Layers}}";
    let said = it.artifact(&["inspect", "-f", template, &made.text()[..7]]).ok();
    assert_eq!(said.text(), "localhost/an:1 application/x.y 10 2");
    let appended = it.artifact(&["add", "--append", "localhost/an:1", "empty"]).ok();
    assert_ne!(appended.text(), made.text());
    it.artifact(&["add", "localhost/b", "a.txt"]).ok();
    assert_eq!(it.listed(), ["localhost/an 1 10B", "localhost/b  6B"]);
    let replaced = it.artifact(&["add", "--replace", "localhost/b", "c.txt"]).ok();
    assert_eq!(it.listed(), ["localhost/an 1 10B", "localhost/b  2B"]);
    let line = it.artifact(&["ls", "--no-trunc", "-n"]).ok();
    assert!(line.text().lines().nth(1).is_some_and(|line| line.contains(replaced.text())));
    assert!(it.artifact(&["ls"]).ok().text().starts_with("REPOSITORY    TAG         DIGEST  "));
    // Two manifests, three files and the config; what was replaced is gone.
    assert_eq!(it.blobs(), 6);
    let removed = it.artifact(&["rm", &replaced.text()[..12]]).ok();
    assert_eq!(removed.text(), replaced.text());
    it.artifact(&["rm", "-i", "nope"]).ok();
    assert_eq!(it.artifact(&["rm", "--all"]).ok().text(), appended.text());
    assert_eq!((it.listed().len(), it.blobs()), (0, 0));
}

#[test]
fn what_makes_no_sense_is_refused_and_changes_nothing() {
    let Some(it) = Setting::new() else { return };
    it.artifact(&["rm", "x"]).ends(125).says("x: artifact does not exist");
    it.artifact(&["push", "localhost/x:1"]).ends(125).says("artifact does not exist");
    it.artifact(&["add", "localhost/x:1", "a.txt"]).ok();
    it.artifact(&["add", "localhost/y:1", "c.txt"]).ok();
    let (listed, blobs) = (it.listed(), it.blobs());
    let title = "org.opencontainers.image.title=q";
    for (line, words) in [
        (&["add", "x"][..], "requires at least 2 arg(s), only received 1"),
        (&["add", "", "a.txt"], "artifact name cannot be empty"),
        (&["add", "localhost/z:1", "nofile"], "open nofile: no such file or directory"),
        (&["add", "localhost/z:1", "c.txt", "."], "is a directory"),
        (&["add", "localhost/Z:1", "c.txt"], "must be lowercase"),
        (&["add", "localhost/x:1", "c.txt"], "localhost/x:1: artifact already exists"),
        (&["add", "--append", "localhost/x:1", "a.txt"], "a.txt: file already exists in artifact"),
        (&["add", "--append", "--replace", "x", "a.txt"], "cannot be used together"),
        (&["add", "--append", "--type", "a/b", "localhost/x:1", "c.txt"], "not compatible"),
        (&["add", "--append", "localhost/z:1", "c.txt"], "localhost/z:1: artifact does not exist"),
        (&["add", "--replace", "localhost/x:1", "c.txt", "nofile"], "open nofile"),
        (
            &["add", "--annotation", "k", "localhost/z:1", "c.txt"],
            "no value given for annotation \"k\"",
        ),
        (&["add", "--annotation", title, "localhost/z:1", "c.txt", "a.txt"], "duplicate layers"),
        (&["add", "localhost/z:1", "c.txt", "./c.txt"], "c.txt: file already exists in artifact"),
        (&["inspect", "a", "b"], "accepts 1 arg(s), received 2"),
        (&["inspect", "nope"], "nope: artifact does not exist"),
        (&["ls", "x"], "artifact ls` takes no arguments"),
        (&["rm"], "at least one artifact name or digest must be specified"),
        (&["rm", "-a", "x"], "when using the --all switch"),
        (&["rm", "localhost/x:1", "nope"], "nope: artifact does not exist"),
        (&["pull", "--decryption-key", "k", "localhost/x:1"], "encrypted artifacts"),
        (&["push", "--sign-by", "k", "localhost/x:1"], "--sign-by"),
    ] {
        it.artifact(line).ends(125).says(words);
        assert_eq!((it.listed(), it.blobs()), (listed.clone(), blobs), "{line:?}");
    }
}

#[test]
fn files_are_written_out_whole_and_only_where_they_should_be() {
    let Some(it) = Setting::new() else { return };
    it.artifact(&["add", "localhost/x:1", "a.txt", "c.txt"]).ok();
    fs::create_dir(it.scratch.join("out")).expect("it is writable");
    // A link in the way is replaced, and what it leads to is not touched.
    fs::write(it.scratch.join("outside"), "mine").expect("it is writable");
    symlink(it.scratch.join("outside"), it.scratch.join("out/a.txt")).expect("it is writable");
    it.artifact(&["extract", "localhost/x:1", "out"]).ok();
    assert_eq!([it.read("out/a.txt"), it.read("out/c.txt")], ["hello\n", "c\n"]);
    assert_eq!(it.read("outside"), "mine");
    it.artifact(&["extract", "--title", "c.txt", "localhost/x:1", "one"]).ok();
    assert_eq!(it.read("one"), "c\n");
    it.artifact(&["extract", "--title", "a.txt", "localhost/x:1", "one"]).ok();
    assert_eq!(it.read("one"), "hello\n");
    let said = it.artifact(&["extract", "--title", "a.txt", "localhost/x:1", "/dev/stdout"]).ok();
    assert_eq!(said.text(), "hello");
    let all = "{{range .Manifest.Layers}}{{.Digest}}\n{{end}}";
    let digests = it.artifact(&["inspect", "--format", all, "localhost/x:1"]).ok();
    let hello = digests.text().lines().next().unwrap_or_default().to_owned();
    it.artifact(&["extract", "--digest", &hello, "localhost/x:1", "out"]).ok();
    assert_eq!(it.read(&format!("out/{}", hello.replace(':', "-"))), "hello\n");
    for (name, title) in [("up", "../up"), ("dots", ".."), ("rooted", "/up")] {
        let said = format!("org.opencontainers.image.title={title}");
        it.artifact(&["add", "--annotation", &said, name, "a.txt"]).ok();
        it.artifact(&["extract", name, "out"]).ends(125).says("artifact blob title invalid");
        it.artifact(&["extract", name, "named"]).ok();
    }
    assert!(!it.scratch.join("up").exists());
    for (line, words) in [
        (
            &["localhost/x:1", "nothing"][..],
            "the artifact consists of several blobs and the target",
        ),
        (&["--title", "z", "localhost/x:1", "out"], "no blob with the title \"z\""),
        (&["--digest", "z", "localhost/x:1", "out"], "no blob with the digest \"z\""),
        (&["--title", "z", "--digest", "z", "x", "out"], "cannot specify both digest and title"),
        (&["rooted", "no/where"], "failed to create target file: open no/where: no such file"),
        (&["rooted"], "accepts 2 arg(s), received 1"),
    ] {
        it.artifact(&[&["extract"], line].concat()).ends(125).says(words);
    }
    // One that is damaged leaves nothing at all.
    let blob = it.store.root().join("artifacts/blobs/sha256").join(&hello[7..]);
    fs::write(blob, "HELLO\n").expect("it is writable");
    fs::create_dir(it.scratch.join("fresh")).expect("it is writable");
    let failed = it.artifact(&["extract", "localhost/x:1", "fresh"]).ends(125);
    failed.says("in its place").says("remove the artifact");
    assert_eq!(fs::read_dir(it.scratch.join("fresh")).map_or(9, Iterator::count), 0);
    let left = fs::read_dir(it.scratch.join("out")).into_iter().flatten().flatten();
    let left: Vec<_> = left.map(|entry| entry.file_name()).collect();
    assert!(!left.iter().any(|name| name.to_string_lossy().starts_with('.')), "{left:?}");
}

#[test]
fn artifacts_go_to_registries_and_come_back() {
    let Some(it) = Setting::new() else { return };
    let served = Served::start(&it.scratch, Access::Plain);
    let name = format!("{}/team/files:1", served.address());
    let made = it.artifact(&["add", &name, "a.txt", "x.png"]).ok().text().to_owned();
    let plain = "--tls-verify=false";
    it.artifact(&["push", plain, "-q", "--digestfile", "pushed", &name]).ok();
    assert_eq!(it.read("pushed"), format!("sha256:{made}"));
    let there = format!("docker://{name}");
    let raw = dray_with(&["inspect", "--raw", plain, &there]).ok().json();
    assert_eq!(raw["layers"][1]["mediaType"], "image/png");
    // Others read the layout, too.
    let layout = format!("oci:{}:{name}", it.store.root().join("artifacts").display());
    assert_eq!(digest(&layout), format!("sha256:{made}"));
    dray_with(&["validate", &layout]).ok();
    it.artifact(&["rm", "-a"]).ok();
    assert_eq!(it.artifact(&["pull", "-q", plain, &name]).ok().text(), "");
    it.artifact(&["extract", "--title", "a.txt", &name, "back"]).ok();
    assert_eq!(it.read("back"), "hello\n");
    // What had the name is gone when another one has it.
    it.artifact(&["add", "--replace", &name, "c.txt"]).ok();
    it.artifact(&["pull", "-q", plain, &name]).ok();
    let columns = ["ls", "--no-trunc", "--format", "{{.Digest}} {{.Size}}"];
    assert_eq!(it.artifact(&columns).ok().text(), format!("{made} 14B"));
    assert_eq!(it.blobs(), 4);
    let nothing = format!("{}/team/none:1", served.address());
    it.artifact(&["pull", plain, &nothing]).ends(125).says("unknown");
    assert_eq!(it.artifact(&columns).ok().text(), format!("{made} 14B"));
}

#[test]
fn those_that_come_at_the_same_time_are_all_there() {
    let Some(it) = Setting::new() else { return };
    it.artifact(&["add", "localhost/grows:1", "empty"]).ok();
    let mut running = Vec::new();
    for number in 0..6 {
        let file = format!("f{number}");
        fs::write(it.scratch.join(&file), &file).expect("it is writable");
        let own = format!("localhost/own:{number}");
        for line in [["--append", "localhost/grows:1"], ["--replace", &own]] {
            let line = [&["artifact", "add"], &line[..], &[&file]].concat();
            let mut command = it.store.cellar_command(&line);
            running.push(
                command.current_dir(&*it.scratch).stdout(Stdio::null()).spawn().expect("it runs"),
            );
        }
    }
    for mut child in running {
        assert!(child.wait().expect("it is a child").success());
    }
    assert_eq!(it.listed().len(), 7);
    let count = ["inspect", "-f", "{{len .Manifest.Layers}}", "localhost/grows:1"];
    assert_eq!(it.artifact(&count).ok().text(), "7");
    // Seven manifests, seven files and the config.
    assert_eq!(it.blobs(), 15);
}

#[test]
fn one_without_a_name_is_listed_and_can_be_removed() {
    let Some(it) = Setting::new() else { return };
    let made = it.artifact(&["add", "localhost/x:1", "a.txt"]).ok().text().to_owned();
    // Podman leaves such after pulling another under the name, and then lists nothing any more.
    let index = it.store.root().join("artifacts/index.json");
    let text = fs::read_to_string(&index).expect("it is there");
    let start = text.find(",\"annotations\"").expect("it has a name");
    fs::write(&index, format!("{}}}]}}", &text[..start])).expect("it is writable");
    it.artifact(&["add", "localhost/y:1", "c.txt"]).ok();
    assert_eq!(it.listed(), ["<none>  6B", "localhost/y 1 2B"]);
    assert_eq!(it.artifact(&["rm", &made]).ok().text(), made);
    assert_eq!(it.listed(), ["localhost/y 1 2B"]);
}
