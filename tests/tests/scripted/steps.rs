//! Commands in containers, and what they change.

use tests::has;

use crate::{TOOLS, buildah, cooper, store_with_base};

#[test]
fn run_ends_as_the_command_does() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |command: &[&str], code: i32| {
        cooper(&store, &[&["run", &container, "--"], command].concat()).ends(code);
    };
    check(&["true"], 0);
    check(&["sh", "-c", "exit 7"], 7);
    // Number 1 of its processes is no target of its own signals: another one ends, and it says so.
    check(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137);
    check(&["nosuch"], 127);
    check(&["/bin"], 126);
}

#[test]
fn commands_see_what_is_said_for_them() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |options: &[&str], script: &str, expected: &str| {
        let line = [&["run"], options, &[&container, "--", "sh", "-c", script]].concat();
        assert_eq!(cooper(&store, &line).ok().text(), expected, "{options:?}");
    };
    check(&[], "echo $A", "1");
    check(&["--env", "A=2"], "echo $A", "2");
    check(&["--user", "5:6"], "id -u; id -g", "5\n6");
    check(&["--workingdir", "/made/here"], "pwd", "/made/here");
    check(&["--hostname", "h"], "cat /etc/hostname", "h");
    check(&["--network", "none"], "ls /sys/class/net", "lo");
    // Where files have no labels, as on machines without SELinux, there are none to change.
    check(&["-v", "/bin:/host:ro,Z"], "ls /host/busybox", "/host/busybox");
    check(&["--mount", "type=tmpfs,target=/t"], "echo x > /t/x; cat /t/x", "x");
    // What was given for one command alone is not in the container.
    check(&[], "ls /t /host /etc/hostname 2>/dev/null; true", "/etc/hostname");
    check(&[], ". /run/.containerenv; echo $rootless", "0");
    let root = cooper(&store, &["mount", &container]).ok().text().to_owned();
    assert!(!std::path::Path::new(&root).join("etc/hostname").exists());
    cooper(&store, &["umount", &container]).ok();
}

#[test]
fn names_are_reused() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    for _ in 0..2 {
        let made = cooper(&store, &["from", "--name", "one", "base"]).ok();
        assert_eq!(made.text(), "one");
        cooper(&store, &["from", "--name", "one", "base"]).ends(125).says("already in use");
        cooper(&store, &["rm", "one"]).ok();
    }
    cooper(&store, &["from", "--name", "one", "base"]).ok();
    cooper(&store, &["rename", "one", "two"]).ok();
    buildah(&store, &["from", "--name", "one", "base"]).ok();
    cooper(&store, &["rename", "two", "one"]).ends(125).says("already in use");
}

#[test]
fn options_that_are_not_there_are_refused_by_name() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |line: &[&str], said: &str| {
        cooper(&store, line).ends(125).says(said);
    };
    check(&["from", "--userns", "auto:x=1", "base"], "unknown option specified: \"x\"");
    check(&["from", "--security-opt", "apparmor=x", "base"], "--security-opt");
    check(&["from", "--device", "/etc/passwd", "base"], "not a device node");
    check(&["from", "--network", "slirp4netns", "base"], "--network=slirp4netns is not supported");
    check(&["run", "--mount", "type=secret,target=/x", &container, "true"], "type is for builds");
    check(&["run", "--mount", "type=nosuch,target=/x", &container, "true"], "nosuch");
    check(&["run", "--pid", "nosuch", &container, "true"], "is no namespace");
    check(&["run", "-v", "/:/x:bogus", &container, "true"], "invalid option type \"bogus\"");
    check(&["run", "--isolation", "x", &container, "true"], "unrecognized isolation type");
    check(&["commit", "--sign-by", "me", &container], "--sign-by me is not supported");
    check(&["commit", "--format", "x", &container], "unrecognized image type \"x\"");
}

#[test]
fn a_command_has_a_terminal_of_its_own() {
    if !has(&TOOLS) || !has(&["script"]) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let said = cooper(&store, &["run", "-t", &container, "tty"]).ok();
    assert_eq!(said.text(), "/dev/pts/0");
    cooper(&store, &["run", "-t", &container, "sh", "-c", "exit 4"]).ends(4);
    cooper(&store, &["run", "--terminal=false", &container, "tty"]).ends(1);
}

#[test]
fn commands_see_mounts_of_every_type() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), tests::scratch());
    std::fs::create_dir(files.join("sub")).expect("a scratch directory is writable");
    std::fs::write(files.join("sub/f"), "f").expect("a scratch directory is writable");
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let other = cooper(&store, &["from", "base"]).ok().text().to_owned();
    cooper(&store, &["run", &other, "sh", "-c", "echo other > /mine"]).ok();
    let check = |isolation: &str, options: &[&str], script: &str, expected: &str| {
        let line = ["run", "--isolation", isolation];
        let line = [&line, options, &[&container, "--", "sh", "-c", script]].concat();
        let line: Vec<&str> = match isolation {
            "" => {
                line.iter().copied().filter(|word| !matches!(*word, "" | "--isolation")).collect()
            }
            _ => line,
        };
        assert_eq!(cooper(&store, &line).ok().text(), expected, "{isolation} {options:?}");
    };
    let bind = format!("type=bind,source={},target=/s", files.at("sub"));
    let writable = format!("{bind},rw");
    let directory = files.display().to_string();
    for isolation in ["", "chroot"] {
        check(isolation, &["--mount", &bind], "cat /s/f; touch /s/x 2>/dev/null || echo no", "fno");
        check(isolation, &["--mount", &writable], "touch /s/x && rm /s/x && echo yes", "yes");
        let below = ["--contextdir", &directory, "--mount", "type=bind,source=sub,target=/s"];
        check(isolation, &below, "ls /s", "f");
        let image = ["--mount", "type=bind,from=base,source=/bin,target=/s"];
        check(isolation, &image, "ls /s/busybox", "/s/busybox");
        let from = format!("type=bind,from={other},source=/mine,target=/s");
        check(isolation, &["--mount", &from], "cat /s", "other");
        let cache = ["--mount", "type=cache,target=/c,id=test"];
        check(
            isolation,
            &cache,
            "echo $(ls /c | busybox wc -l); touch /c/$$-$RANDOM",
            if isolation.is_empty() { "0" } else { "1" },
        );
        check(isolation, &["--mount", "type=tmpfs,target=/t"], "touch /t/x; ls /t", "x");
        check(isolation, &["--hostname", "h"], "hostname", "h");
    }
    let hostile =
        ["run", "--contextdir", &directory, "--mount", "type=bind,source=../..,target=/s"];
    let said = cooper(&store, &[hostile.as_slice(), &[&container, "ls", "/s"]].concat()).ok();
    assert_eq!(said.text(), "sub", "nothing outside of the directory is reached");
    let left = cooper(&store, &["mount"]).ok();
    assert_eq!(left.text(), "");
}

#[test]
fn what_a_container_remembers_holds_for_its_commands() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let check = |options: &[&str], script: &str, expected: &str| {
        let made = cooper(&store, &[&["from"], options, &["base"]].concat()).ok();
        let line = ["run", made.text(), "--", "sh", "-c", script];
        assert_eq!(cooper(&store, &line).ok().text(), expected, "{options:?}");
    };
    let of_machine = |name: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("it is there");
        link.display().to_string()
    };
    let link = |name: &str| format!("busybox readlink /proc/self/ns/{name}");
    check(&["--ipc", "host"], &link("ipc"), &of_machine("ipc"));
    check(&["--uts", "host"], &link("uts"), &of_machine("uts"));
    check(&["--device", "/dev/null:/dev/nothing"], "ls /dev/nothing", "/dev/nothing");
    check(
        &["--security-opt", "seccomp=unconfined"],
        "busybox grep Seccomp: /proc/self/status",
        "Seccomp:\t0",
    );
    let made = buildah(&store, &["from", "--ipc", "host", "base"]).ok();
    let said = cooper(&store, &["run", made.text(), "--", "sh", "-c", &link("ipc")]).ok();
    assert_eq!(said.text(), of_machine("ipc"), "buildah's memory is ours");
    let ours = cooper(&store, &["from", "--memory", "64m", "--cpu-shares", "5", "base"]).ok();
    let seen = buildah(&store, &["inspect", "--format", "{{.NamespaceOptions}}", ours.text()]).ok();
    assert!(seen.text().contains("{ipc false }"), "{seen}");
}

#[test]
fn instructions_for_builds_are_carried_out() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), tests::scratch());
    std::fs::write(files.join("file"), "x").expect("a scratch directory is writable");
    let base = cooper(&store, &["from", "--format", "docker", "base"]).ok().text().to_owned();
    for instruction in [
        "COPY --chown=7:8 file /copied/",
        "ADD [\"file\" \"/added\"]",
        "ENV B=2",
        "RUN echo ran > /ran",
    ] {
        let instruction = instruction.replace("\" \"", "\", \"");
        // A comma parts the values of the flag.
        if !instruction.contains(',') {
            cooper(&store, &["config", "--onbuild", &instruction, &base]).ok();
        }
    }
    cooper(&store, &["commit", "-q", "--format", "docker", &base, "parent"]).ok();
    let mut from = tests::command(crate::program());
    store.at_store(&mut from).args(["from", "-q", "parent"]).current_dir(&*files);
    let made = tests::run(&mut from).ok().text().to_owned();
    let script = "cat /copied/file /ran; busybox stat -c %u:%g /copied/file; echo $B";
    let said = cooper(&store, &["run", &made, "--", "sh", "-c", script]).ok();
    assert_eq!(said.text(), "xran\n7:8\n2");
    let left = cooper(&store, &["inspect", "--format", "{{.Docker.Config.OnBuild}}", &made]).ok();
    assert_eq!(left.text(), "[]");
}

#[test]
fn flags_that_are_buildahs_work_or_are_refused_by_name() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let made = cooper(&store, &["from", "--userns", "host", "base"]).ok();
    let container = made.text();
    for (line, said) in [
        (&["from", "--userns", "ns:/nowhere", "base"][..], "checking user namespace"),
        (&["from", "--name", container, "base"], "You have to remove that container to be able to"),
        (&["from", "--arch", "s390x", "--pull-never", "base"], "base: image not known"),
        (&["add", "--allow-wildcard=false", container, "/b*"], "wildcards are not allowed"),
        (&["copy", "--allow-empty-wildcard", container, "/not/there"], "no such file or directory"),
        (&["commit", "--sbom", "syft", container], "--sbom syft is not supported"),
        (&["from", "--decryption-key", "k", "base"], "--decryption-key k is not supported"),
        (&["pull", "--decryption-key", "k", "base"], "--decryption-key k is not supported"),
        (&["push", "--sign-by", "k", "base"], "images cannot be signed yet"),
        (&["commit", "--encrypt-layer", "0", container], "--encrypt-layer 0 is not supported"),
        (&["manifest", "push", "--sign-by", "k", "x"], "images cannot be signed yet"),
        (&["run", "--runtime-flag", "debug", container, "true"], "name one with --runtime"),
        (&["unshare", "--mount", "m=x", "true"], "build container \"x\""),
    ] {
        cooper(&store, line).ends(125).says(said);
    }
    if has(&["runc"]) {
        let own = ["run", "--runtime", "runc", "--runtime-flag", "debug"];
        let other = cooper(&store, &["from", "base"]).ok();
        cooper(&store, &[&own[..], &[other.text(), "true"]].concat()).ok();
    }
}

#[test]
fn volumes_of_the_image_are_there() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    cooper(&store, &["config", "--volume", "/srv/data", &container]).ok();
    cooper(&store, &["run", &container, "touch", "/srv/data/x"]).ok();
    assert_eq!(cooper(&store, &["run", &container, "ls", "/srv/data"]).ok().text(), "x");
    let line = ["run", "--user", "nobody-here", &container, "true"];
    cooper(&store, &line).ends(125).says("unknown user");
}

#[test]
fn architectures_may_have_the_names_of_machines() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let check = |name: &str, expected: &str| {
        let made = cooper(&store, &["from", "--arch", name, "scratch"]).ok().text().to_owned();
        let line = ["inspect", "--format", "{{.OCIv1.Architecture}}{{.Docker.Variant}}", &made];
        assert_eq!(cooper(&store, &line).ok().text(), expected, "{name}");
    };
    check("aarch64", "arm64");
    check("x86_64", "amd64");
    check("armhf", "armv7");
    check("riscv64", "riscv64");
}
