//! Volumes with options, and which are listed.

use std::fs;

use crate::support::Cellar;

#[test]
fn volumes_are_those_of_another_container_too() {
    let Some(cellar) = Cellar::new() else { return };
    let outside = cellar.path("outside");
    fs::create_dir(&outside).expect("it is new");
    let outside = format!("{}:/o:ro", outside.display());
    let own = ["--name", "c", "-v", "v:/v", "-v", &outside, "--tmpfs", "/t", "box:1", "true"];
    cellar.container(&own).ok();
    let look =
        "busybox awk '$2 ~ \"^/[vot]$\" {print $2, substr($4, 1, 2)}' /proc/mounts | busybox sort";
    let run = |from: &str| {
        let line = ["--name", "d", "--replace", "--volumes-from", from, "box:1", "sh", "-c", look];
        cellar.container(&line).ok().text().to_owned()
    };
    // What is in memory stays with whoever has it.
    assert_eq!(run("c"), "/o ro\n/v rw");
    assert_eq!(run("c:ro"), "/o ro\n/v ro");
    let told = "{{json .HostConfig.VolumesFrom}} {{.HostConfig.Links}}";
    let told = cellar.run(&["inspect", "--format", told, "d"]).ok();
    assert_eq!(told.text(), "[\"c:ro\"] []");
    cellar.run(&["rm", "c", "d"]).ok();
}

#[test]
fn volumes_are_mounted_while_somebody_uses_them() {
    let Some(cellar) = Cellar::new() else { return };
    let outside = cellar.path("outside");
    fs::create_dir(&outside).expect("it is new");
    fs::write(outside.join("file"), "of outside\n").expect("it is writable");
    let device = format!("device={}", outside.display());
    cellar.run(&["volume", "create", "-o", "type=bind", "-o", &device, "bound"]).ok();
    let memory = ["-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m,uid=1000"];
    cellar.run(&[&["volume", "create"], &memory[..], &["memory"]].concat()).ok();
    cellar.run(&["volume", "create", "-o", "type=none", "-o", "o=bind", "-o", &device, "as"]).ok();
    let run = |volume: &str, script: &str| {
        let volume = format!("{volume}:/v");
        cellar.container(&["--rm", "-v", &volume, "box:1", "sh", "-c", script])
    };
    let shown = |name: &str, format: &str| {
        cellar.run(&["volume", "inspect", "-f", format, name]).ok().text().to_owned()
    };
    assert_eq!(run("bound", "cat /v/file; echo x >/v/new").ok().text(), "of outside");
    assert_eq!(fs::read_to_string(outside.join("new")).expect("it is there"), "x\n");
    assert_eq!(run("as", "cat /v/new").ok().text(), "x");
    let told = "{{.Options.o}} {{.Options.UID}} {{.UID}} {{.MountCount}}";
    assert_eq!(shown("memory", told), "size=1m,uid=1000 1000 1000 0");
    // Two share it; what is in memory goes with the last.
    let name = ["-d", "--name", "c", "-v", "memory:/v", "box:1", "sh", "-c"];
    cellar.container(&[&name[..], &["echo x >/v/file; sleep 1000"]].concat()).ok();
    tests::again(|| run("memory", "cat /v/file"), |outcome| outcome.text() == "x");
    assert_eq!(shown("memory", "{{.MountCount}}"), "1");
    cellar.run(&["kill", "c"]).ok();
    cellar.run(&["wait", "c"]).ok();
    tests::again(|| shown("memory", "{{.MountCount}}"), |count| count == "0");
    run("memory", "ls /v").ok();
    assert_eq!(run("memory", "ls /v").ok().text(), "");
    // By hand.
    let at = cellar.run(&["volume", "mount", "bound"]).ok();
    assert!(fs::exists(format!("{}/file", at.text())).expect("it can be looked at"));
    cellar.run(&["volume", "unmount", "bound"]).ok();
    assert!(!fs::exists(format!("{}/file", at.text())).expect("it can be looked at"));
    let exported = cellar.run(&["volume", "export", "bound"]).ok().stdout;
    assert!(String::from_utf8_lossy(&exported).contains("of outside"));
    // What is removed is the volume, and not what is mounted.
    cellar.run(&["volume", "mount", "bound"]).ok();
    cellar.run(&["volume", "rm", "bound", "as"]).ok();
    assert!(outside.join("file").exists());
    for (options, said) in [
        (&["-o", "nope=1"][..], "invalid mount option nope for driver 'local'"),
        (
            &["-o", "type=bind", "-o", "device=/no/such"],
            "invalid volume option device for driver 'local': stat /no/such: no such file",
        ),
        (&["-o", "o=size=1m"], "a directory of this machine has no limit of its own"),
    ] {
        cellar.run(&[&["volume", "create"], options].concat()).ends(125).says(said);
    }
    cellar.run(&["volume", "create", "-o", "type=nope", "bad"]).ok();
    run("bad", "true").ends(126).says("mounting volume bad");
}

#[test]
fn volumes_are_chosen_by_filters() {
    let Some(cellar) = Cellar::new() else { return };
    for (name, label) in [("vol1", "foo=bar"), ("vol2", "foo=baz"), ("other", "helloworld=x")] {
        cellar.run(&["volume", "create", "-l", label, name]).ok();
    }
    cellar.run(&["create", "--network", "none", "-v", "vol2:/v", "box:1", "true"]).ok();
    let check = |filters: &[&str], expected: &str| {
        let mut words = vec!["volume", "ls", "-q"];
        words.extend(filters.iter().flat_map(|filter| ["-f", *filter]));
        let listed = cellar.run(&words).ok();
        assert_eq!(listed.text().replace('\n', " "), expected, "{filters:?}");
    };
    // It is not known which is meant, where one that is not there would be 1.
    cellar.run(&["volume", "rm", "vo"]).ends(125).says("more than one");
    cellar.run(&["volume", "rm", "vo", "no"]).ends(1).says("more than one");
    check(&["name=vol"], "vol1 vol2");
    check(&["name=^vol1.*"], "vol1");
    check(&["name=vol1", "name=oth"], "other vol1");
    check(&["label=foo"], "vol1 vol2");
    check(&["label=foo=bar"], "vol1");
    check(&["label=hello*"], "other");
    check(&["label=foo", "label=helloworld"], "");
    check(&["label!=foo"], "other");
    check(&["dangling=true"], "other vol1");
    check(&["dangling=0"], "vol2");
    check(&["driver=local", "label=foo", "dangling=false"], "vol2");
    check(&["since=vol1"], "other vol2");
    check(&["anonymous=true"], "");
    cellar
        .run(&["volume", "ls", "-f", "dangling=x"])
        .ends(125)
        .says("\"x\" is not a valid value for the \"dangling\" filter - must be true or false");
    let archive = cellar.path("image.tar").display().to_string();
    cellar.run(&["import", "-q", "-c", "VOLUME ['/odd']", &archive, "odd:1"]).ok();
    cellar.container(&["--rm", "odd:1", "true"]).ok();
    cellar.run(&["volume", "ls", "-f", "nope=x"]).ends(125).says("\"nope\" is an invalid volume");
    // The same twice is once, and nothing else can be where something is.
    cellar.container(&["--rm", "-v", "vol1:/v", "-v", "vol1:/v", "box:1", "true"]).ok();
    cellar
        .container(&["-v", "vol1:/v", "-v", "vol2:/v", "box:1", "true"])
        .ends(125)
        .says("/v: duplicate mount destination");
}

#[test]
fn volumes_are_in_the_directory_that_is_said() {
    let Some(cellar) = Cellar::new() else { return };
    let elsewhere = cellar.path("elsewhere");
    let conf = cellar.path("containers.conf");
    let other = cellar.path("other");
    std::fs::write(&conf, format!("[engine]\nvolume_path = {other:?}\n")).expect("it is new");
    let directory = elsewhere.display().to_string();
    let with = |line: &[&str]| cellar.run(&[&["--volumepath", &directory], line].concat());
    let write = "echo kept >/d/file; exec sleep 1000";
    with(&[
        "run",
        "-d",
        "--name",
        "c",
        "--network",
        "none",
        "-v",
        "data:/d",
        "box:1",
        "sh",
        "-c",
        write,
    ])
    .ok();
    with(&["restart", "-t", "0", "c"]).ok();
    assert_eq!(with(&["exec", "c", "cat", "/d/file"]).ok().text(), "kept");
    assert_eq!(std::fs::read(elsewhere.join("data/_data/file")).expect("it is there"), b"kept\n");
    assert!(!cellar.path("root/volumes/data").exists());
    let shown = with(&["info", "--format", "{{.Store.VolumePath}}"]).ok();
    assert_eq!(shown.text(), directory);
    let mut made = cellar.command(&["volume", "create", "more"]);
    tests::run(made.env("CONTAINERS_CONF", &conf)).ok();
    assert!(other.join("more/_data").is_dir());
    with(&["rm", "-f", "-t", "0", "c"]).ok();
    // What another store has there stays.
    std::fs::create_dir_all(elsewhere.join("foreign/_data")).expect("it is writable");
    let networks = cellar.path("networks").display().to_string();
    with(&["--network-config-dir", &networks, "system", "reset", "-f"]).ok();
    assert!(elsewhere.join("foreign/_data").is_dir() && !elsewhere.join("data").exists());
}

#[test]
fn a_volume_of_an_image_has_its_files_and_keeps_what_is_changed() {
    let Some(cellar) = Cellar::new() else { return };
    let refused = |options: &[&str], words: &str| {
        let line = [&["volume", "create", "--driver"], options, &["v"]].concat();
        cellar.run(&line).ends(125).says(words);
    };
    refused(&["image"], "must provide an image name when creating a volume");
    refused(&["image", "--opt", "image=nope"], "looking up image nope to create volume failed");
    refused(&["image", "--opt", "image=box:1", "--opt", "o=x"], "invalid mount option o");
    refused(&["plugin"], "no volume plugin with name plugin available");
    cellar.run(&["volume", "ls", "-q"]).ok();
    cellar.run(&["volume", "create", "--driver", "image", "--opt", "image=box:1", "v"]).ok();
    let format = ["volume", "inspect", "v", "--format", "{{.Driver}} {{.MountCount}}"];
    assert_eq!(cellar.run(&format).ok().text(), "image 0");
    let seen = |script: &str| {
        let line = ["--rm", "-v", "v:/v", "box:1", "sh", "-c", script];
        cellar.container(&line).ok().text().to_owned()
    };
    assert_eq!(seen("test -x /v/bin/busybox && echo kept > /v/made && echo whole"), "whole");
    assert_eq!(seen("cat /v/made"), "kept");
    let read_only = ["--rm", "-v", "v:/v:ro", "box:1", "touch", "/v/x"];
    cellar.container(&read_only).ends(1).says("Read-only file system");
    // Podman takes the layer for a container that is another program's, and the image for one in use.
    let listed = cellar.podman(&["ps", "-a", "--external", "--format", "{{.Names}}"]).ok();
    assert_eq!(listed.text(), "v+volume");
    cellar.run(&["rmi", "box:1"]).ends(2).says("image is in use by a container");
    cellar.run(&["volume", "rm", "v"]).ok();
    assert_eq!(cellar.run(&["ps", "-aq", "--external"]).ok().text(), "");
    cellar.is_clean();
}
