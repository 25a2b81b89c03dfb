//! Files of containers: copied, compared, exported, made an image of.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, symlink};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;

use tests::tool;

use crate::support::Cellar;

/// A container that wrote, and one that runs.
fn written() -> Option<Cellar> {
    let cellar = Cellar::new()?;
    let script =
        "echo hi >/new; rm /data/of-image; echo more >>/etc/passwd; mkdir /d; echo x >/d/f";
    cellar.container(&["--name", "c", "box:1", "sh", "-c", script]).ok();
    Some(cellar)
}

#[test]
fn what_a_container_changed_is_told_as_podman_tells_it() {
    let Some(cellar) = written() else { return };
    let expected = "A /d\nA /d/f\nC /data\nD /data/of-image\nC /etc/passwd\nA /new";
    let told = |arguments: &[&str]| {
        let told = cellar.run(arguments).ok();
        // Mount points are made in directories that are there, which changes those.
        told.text().lines().filter(|line| *line != "C /etc").collect::<Vec<_>>().join("\n")
    };
    assert_eq!(told(&["diff", "c"]), expected);
    assert_eq!(told(&["diff", "c", "box:1"]), expected);
    let json = cellar.run(&["container", "diff", "--format", "json", "c"]).ok().json();
    assert_eq!(json["deleted"], serde_json::json!(["/data/of-image"]));
    assert_eq!(json["added"], serde_json::json!(["/d", "/d/f", "/new"]));
    assert!(told(&["image", "diff", "box:1"]).starts_with("A /bin\nA /bin/busybox"));
    // Of two that are not above each other both are mounted and compared.
    cellar.container(&["--name", "e", "box:1", "true"]).ok();
    assert!(told(&["diff", "e", "c"]).contains("A /data/of-image\n"));
    for (arguments, words) in [
        (vec!["diff", "nosuch"], "nosuch not found: layer not known"),
        (vec!["container", "diff", "box:1"], "box:1 not found: container not known"),
        (vec!["image", "diff", "no"], "no not found: no: image not known"),
        (vec!["diff", "--format", "x", "c"], "only supported value for '--format' is 'json'"),
        (vec!["export"], "accepts 1 arg(s), received 0"),
        (vec!["cp", "x", "y"], "you must use at least one container"),
        (vec!["cp", "c:", "y"], "you must specify paths"),
        (vec!["cp", "c:/x"], "accepts 2 arg(s), received 1"),
        (vec!["cp", "nosuch:/x", "y"], "container \"nosuch\" does not exist"),
        (
            vec!["commit", "c", "-m", "x"],
            "messages are only compatible with the docker image format",
        ),
        (vec!["commit", "c", "-f", "x"], "unrecognized image format \"x\""),
        (vec!["commit", "c", "-c", "FOO=1"], "invalid instruction FOO"),
    ] {
        cellar.run(&arguments).ends(125).says(words);
    }
}

#[test]
fn an_export_is_all_files_and_a_commit_is_an_image_that_runs() {
    let Some(cellar) = written() else { return };
    let tar = cellar.path("out.tar").display().to_string();
    cellar.run(&["export", "-o", &tar, "c"]).ok();
    let listed = tool("tar", &format!("-tf {tar}")).ok();
    for name in ["bin/busybox", "d/f", "new"] {
        assert!(listed.text().lines().any(|line| line == name), "{name}");
    }
    assert!(!listed.text().contains("of-image"));
    let changes = ["-c", "ENV=B=$A-2", "-c", "LABEL=x=y", "-c", "CMD=[\"cat\",\"/new\"]"];
    let all = [
        &["commit", "-q", "-p", "-a", "me", "-f", "docker", "-m", "why"],
        &changes[..],
        &["c", "made:1"],
    ];
    let id = cellar.run(&all.concat()).ok();
    assert_eq!(cellar.container(&["--rm", "made:1"]).ok().text(), "hi");
    let shown = cellar.run(&["image", "inspect", "made:1"]).ok().json();
    assert_eq!(shown[0]["Id"], id.text());
    let said = [&shown[0]["Author"], &shown[0]["Comment"], &shown[0]["Config"]["Labels"]["x"]];
    assert_eq!(said, ["me", "why", "y"]);
    let environment = shown[0]["Config"]["Env"].as_array().cloned().unwrap_or_default();
    assert!(environment.contains(&"B=$A-2".into()), "{environment:?}");
    assert_eq!(shown[0]["RootFS"]["Layers"].as_array().map(Vec::len), Some(2));
    let config = cellar.path("config").display().to_string();
    let given =
        r#"{"Env": ["B=3", "FROM_CALLER"], "cmd": ["ls"], "Labels": {"m": "1"}, "User": "alice"}"#;
    fs::write(&config, given).expect("it is writable");
    let change = ["commit", "-q", "--config", &config, "-c", "LABEL=x=y", "-c", "USER=bob"];
    let id = cellar.run(&[&change[..], &["c"]].concat()).ok();
    let shown = cellar.run(&["image", "inspect", id.text()]).ok().json();
    let shown = &shown[0]["Config"];
    let said = [&shown["Labels"]["m"], &shown["Labels"]["x"], &shown["User"], &shown["Cmd"][0]];
    assert_eq!(said, ["1", "y", "bob", "ls"]);
    let environment = shown["Env"].to_string();
    assert!(environment.contains("\"B=3\"") && environment.contains("\"FROM_CALLER=\""));
    fs::write(&config, "[]").expect("it is writable");
    for (file, words) in [("/nowhere", "--config: "), (&*config, "is no JSON object with a config")]
    {
        cellar.run(&["commit", "--config", file, "c"]).ends(125).says(words);
    }
    let file = cellar.path("id").display().to_string();
    let id = cellar.run(&["commit", "--squash", "--iidfile", &file, "c"]).ok();
    assert_eq!(fs::read_to_string(&file).unwrap_or_default(), id.text());
    let shown = cellar.run(&["inspect", id.text()]).ok().json();
    assert_eq!(shown[0]["RootFS"]["Layers"].as_array().map(Vec::len), Some(1));
}

#[test]
fn files_are_copied_in_and_out_by_the_rules_of_cp() {
    let Some(cellar) = Cellar::new() else { return };
    let here = cellar.path("here");
    fs::create_dir_all(here.join("dir/sub")).expect("it is writable");
    fs::write(here.join("file"), "f").expect("it is writable");
    fs::write(here.join("dir/sub/s"), "s").expect("it is writable");
    fs::hard_link(here.join("dir/sub/s"), here.join("dir/hard")).expect("it is writable");
    let at = |name: &str| here.join(name).display().to_string();
    let copy = |from: &str, to: &str| cellar.run(&["cp", from, to]);
    let volume = ["-v", "v:/vol", "-u", "alice", "-w", "/data"];
    let made = [&["--name", "c", "-d"], &volume[..], &["box:1", "sleep", "1000"]].concat();
    cellar.container(&made).ok();
    let list = |path: &str| {
        let listed = cellar.run(&["exec", "c", "ls", path]).ok();
        listed.text().split_whitespace().collect::<Vec<_>>().join(" ")
    };
    copy(&at("file"), "c:/tmp").ok();
    copy(&at("file"), "c:/tmp/new").ok();
    copy(&at("dir"), "c:/tmp").ok();
    copy(&at("dir"), "c:/tmp/dir2").ok();
    copy(&at("dir/."), "c:/tmp/dot").ok();
    copy(&at("file"), "c:relative").ok();
    copy(&at("file"), "c:/vol/v").ok();
    assert_eq!(list("/tmp"), "dir dir2 dot file new");
    assert_eq!(
        (list("/tmp/dot"), list("/data"), list("/vol")),
        ("hard sub".into(), "of-image relative".into(), "v".into())
    );
    // What gets there is its user's.
    cellar
        .run(&[
            "exec",
            "c",
            "sh",
            "-c",
            "test -O /tmp/file && test /tmp/dir2/hard -ef /tmp/dir2/sub/s",
        ])
        .ok();
    for (from, to, words) in [
        (
            at("file"),
            "c:/no/",
            "\"/no/\" could not be found on container c: no such file or directory",
        ),
        (at("file"), "c:/no/x", "\"/no/x\" could not be found on container c"),
        (at("dir"), "c:/tmp/file", "destination must be a directory when copying a directory"),
        (at("nosuch"), "c:/tmp", "could not be found on the host: no such file or directory"),
        ("c:/nosuch".into(), &*at("x"), "\"/nosuch\" could not be found on container c"),
        (at("dir"), "c:/etc/passwd/x", "could not be found on container c"),
    ] {
        copy(&from, to).ends(125).says(words);
    }
    copy("c:/tmp/dot", &at("")).ok();
    assert_eq!(fs::read(here.join("dot/sub/s")).ok().as_deref(), Some(&b"s"[..]));
    assert_eq!(
        fs::metadata(here.join("dot/hard")).map(|found| (found.uid(), found.nlink())).ok(),
        Some((0, 2))
    );
    // A directory where a file is to be stays, unless its place is given away.
    fs::create_dir(here.join("new")).expect("it is writable");
    copy("c:/tmp/new", &at("")).ends(125).says("file exists");
    cellar.run(&["cp", "--overwrite", "c:/tmp/new", &at("")]).ok();
    assert_eq!(fs::read(here.join("new")).ok().as_deref(), Some(&b"f"[..]));
    // Of one that does not run, what is in its volumes too, and from one to another.
    cellar.container(&["--name", "d", "-v", "v:/vol", "box:1", "true"]).ok();
    copy("d:/vol/v", &at("from-volume")).ok();
    copy("c:/tmp/dir", "d:/data").ok();
    cellar.run(&["cp", "-a=false", "c:/tmp/file", "d:/vol/kept"]).ok();
    assert_eq!(list("/vol"), "kept v");
    copy("d:/data", &at("data")).ok();
    assert!(here.join("data/dir/sub/s").exists());
    // As a stream.
    let tar = at("t.tar");
    let out = format!(
        "set -e; $CELLAR cp c:/tmp/dir - >{tar}; $CELLAR exec -u root c mkdir /in; gzip -c {tar} | $CELLAR cp - c:/in; ! echo x | $CELLAR cp - c:/in"
    );
    cellar.shell(&out).ok().says("source must be a (compressed) tar archive");
    assert_eq!(list("/in/dir"), "hard sub");
    cellar
        .shell(&format!("$CELLAR cp - c:/nosuch <{tar}"))
        .ends(125)
        .says("destination must be a directory when copying from stdin");
}

#[test]
fn links_of_a_container_lead_nowhere_else() {
    let Some(cellar) = Cellar::new() else { return };
    let secret = cellar.path("secret");
    fs::create_dir(&secret).expect("it is writable");
    fs::write(secret.join("key"), "secret").expect("it is writable");
    let links = format!(
        "ln -s {0} /out; ln -s /../../..{0}/key /key; ln -s /proc/1/root /up; sleep 1000",
        secret.display()
    );
    cellar.container(&["--name", "c", "-d", "box:1", "sh", "-c", &links]).ok();
    cellar.run(&["exec", "c", "sh", "-c", "until test -L /up; do sleep 0.1; done"]).ok();
    let file = cellar.path("file").display().to_string();
    fs::write(&file, "evil").expect("it is writable");
    for running in [true, false] {
        for (from, to) in
            [("c:/key", "x"), ("c:/out/key", "x"), (&*file, "c:/key"), (&*file, "c:/out/")]
        {
            let to = if to == "x" { cellar.path("x").display().to_string() } else { to.to_owned() };
            cellar.run(&["cp", from, &to]).ends(125).says("no such file or directory");
        }
        assert_eq!(fs::read_dir(&secret).map(Iterator::count).ok(), Some(1));
        assert_eq!(fs::read(secret.join("key")).ok().as_deref(), Some(&b"secret"[..]));
        if running {
            cellar.run(&["kill", "c"]).ok();
            cellar.run(&["wait", "c"]).ok();
        }
    }
    // A tarball that leads out of where it is unpacked.
    let tree = cellar.path("tree");
    fs::create_dir(&tree).expect("it is writable");
    symlink(&secret, tree.join("link")).expect("it is writable");
    let tar = cellar.path("evil.tar").display().to_string();
    fs::write(tree.join("evil"), "evil").expect("it is writable");
    let transform =
        format!("-C {} -cf {tar} --transform s,evil,link/evil, link evil", tree.display());
    tool("tar", &transform).ok();
    cellar.shell(&format!("$CELLAR cp - c:/tmp <{tar}; true")).ok();
    assert_eq!(fs::read_dir(&secret).map(Iterator::count).ok(), Some(1));
}

/// Has a directory be a link, and the link the directory, again and again, until this is dropped.
struct Swapping {
    stop: Arc<AtomicBool>,
    thread: Option<JoinHandle<()>>,
}

impl Swapping {
    fn start(directory: PathBuf, link: PathBuf) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let (stopped, aside) = (Arc::clone(&stop), directory.with_extension("aside"));
        let swapping = move || {
            let is_over = || stopped.load(Ordering::Relaxed);
            while !is_over() {
                for (from, to) in [(&directory, &aside), (&link, &directory), (&aside, &link)] {
                    // What is copied may have made a directory there meanwhile.
                    while fs::rename(from, to).is_err() && !is_over() {
                        let _ = fs::remove_dir_all(to);
                    }
                }
            }
        };
        Self { stop, thread: Some(std::thread::spawn(swapping)) }
    }
}

impl Drop for Swapping {
    fn drop(&mut self) {
        self.stop.store(true, Ordering::Relaxed);
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

#[test]
fn cve_2018_15664_a_directory_that_is_swapped_while_it_is_copied_leads_nowhere() {
    let Some(cellar) = Cellar::new() else { return };
    let outside = cellar.path("outside");
    fs::create_dir(&outside).expect("it is writable");
    fs::write(outside.join("key"), "secret").expect("it is writable");
    cellar.container(&["--name", "c", "-d", "box:1", "sleep", "1000"]).ok();
    let root = PathBuf::from(cellar.run(&["mount", "c"]).ok().text());
    fs::create_dir(root.join("d")).expect("it is writable");
    fs::write(root.join("d/key"), "inside").expect("it is writable");
    symlink(&outside, root.join("l")).expect("it is writable");
    let file = cellar.path("file").display().to_string();
    fs::write(&file, "evil").expect("it is writable");
    let swapping = Swapping::start(root.join("d"), root.join("l"));
    let mut copied = 0;
    // Six turns at least, and as many as it takes for one copy to be made.
    for turn in 0..100 {
        if turn >= 6 && copied > 0 {
            break;
        }
        let to = cellar.path(&format!("out{turn}"));
        for from in ["c:/d/key", "c:/d/."] {
            // It may be a link that leads nowhere in the container, or nothing, at the moment.
            cellar.run(&["cp", from, &to.display().to_string()]);
            let text = fs::read_to_string(&to).or_else(|_| fs::read_to_string(to.join("key")));
            copied += usize::from(text.as_ref().is_ok_and(|text| text == "inside"));
            assert!(text.as_ref().is_ok_and(|text| text == "inside") || text.is_err(), "{text:?}");
            let _ = fs::remove_file(&to).or_else(|_| fs::remove_dir_all(&to));
        }
        cellar.run(&["cp", &file, "c:/d/new"]);
        cellar.run(&["cp", &file, "c:/d/key2"]);
        let there: Vec<_> = fs::read_dir(&outside).expect("it is there").flatten().collect();
        assert_eq!(there.len(), 1, "{there:?}");
    }
    drop(swapping);
    assert!(copied > 0, "nothing was ever copied");
    assert_eq!(fs::read(outside.join("key")).ok().as_deref(), Some(&b"secret"[..]));
    cellar.run(&["unmount", "c"]).ok();
}

#[test]
fn a_part_of_a_volume_is_one_of_the_volume_wherever_its_links_lead() {
    let Some(cellar) = Cellar::new() else { return };
    let outside = cellar.path("outside");
    fs::create_dir(&outside).expect("it is writable");
    fs::write(outside.join("key"), "secret").expect("it is writable");
    let script = format!("ln -s {0} /v/out; ln -s ../../../../../..{0} /v/up", outside.display());
    cellar.container(&["--rm", "-v", "v:/v", "box:1", "sh", "-c", &script]).ok();
    for part in ["out", "up", "../../../../../../../../etc", "out/key"] {
        let mount = format!("type=volume,source=v,target=/m,subpath={part}");
        let said =
            cellar.container(&["--rm", "--mount", &mount, "box:1", "sh", "-c", "cat /m/key /m"]);
        assert!(!said.text().contains("secret"), "{part}: {said}");
        assert_ne!(said.code, 0, "{part}: {said}");
    }
}

#[test]
fn containers_are_given_copies_of_what_mounts_conf_lists() {
    let Some(cellar) = Cellar::new() else { return };
    let given = cellar.path("given");
    fs::create_dir_all(given.join("deep")).expect("a scratch directory is writable");
    fs::write(given.join("deep/key"), "secret\n").expect("it is writable");
    let (from, conf) = (given.display(), cellar.path("mounts.conf"));
    let text = format!("{from}:/run/secrets\n/no/such\n{from}/deep/key:/data/key\n{from}:/mine\n");
    fs::write(&conf, text).expect("it is writable");
    let conf = conf.display().to_string();
    let named = ["--default-mounts-file", &conf];
    let script = "cat /run/secrets/deep/key /data/key; ls /mine; echo more >>/run/secrets/deep/key; touch /run/secrets/new";
    let line = ["create", "--name", "c", "--network", "none", "--tmpfs", "/mine", "box:1", "sh"];
    cellar.run(&[&named[..], &line, &["-c", script]].concat()).ok();
    let start = || cellar.run(&[&named[..], &["start", "-a", "c"]].concat()).ok();
    assert_eq!(start().text(), "secret\nsecret");
    // It is a copy, which stays with the container.
    assert_eq!(start().text(), "secret\nmore\nsecret");
    assert_eq!(fs::read_to_string(given.join("deep/key")).expect("it is there"), "secret\n");
    assert!(!given.join("new").exists());
    cellar.run(&["rm", "c"]).ok();
    let missing = ["--default-mounts-file", "/no/such"];
    let line = ["run", "--rm", "--network", "none", "box:1", "ls", "/run/secrets"];
    cellar.run(&[&missing[..], &line].concat()).ends(1);
    cellar.is_clean();
}
