//! What containers do in an ordinary life.

use tests::tool;

use crate::support::Cellar;

#[test]
fn a_command_runs_and_leaves_nothing() {
    let Some(cellar) = Cellar::new() else { return };
    let said = cellar.container(&["--rm", "box:1", "echo", "hello"]).ok();
    assert_eq!((said.text(), said.stderr.as_str()), ("hello", ""));
    cellar.container(&["--rm", "box:1", "sh", "-c", "exit 7"]).ends(7);
    cellar.container(&["--rm", "box:1", "sh", "-c", "kill -9 $$; sleep 1"]);
    cellar.container(&["--rm", "box:1", "nope"]).ends(127).says("not found in $PATH");
    cellar.container(&["--rm", "box:1", "/etc/passwd"]).ends(126);
    cellar
        .container(&["--rm", "--pull=never", "nosuch:1", "true"])
        .ends(125)
        .says("image not known");
    assert_eq!(cellar.states(), "");
    cellar.is_clean();
}

#[test]
fn a_store_may_be_named_from_where_one_is() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "cd \"$1\" && shift && exec \"$1\" --root root --runroot run run --rm --network none box:1 echo hello";
    let program = cellar.command(&[]).get_program().to_owned();
    let mut shell = tests::command("sh");
    shell.args(["-c", script, "sh"]).arg(cellar.path("")).arg(program);
    assert_eq!(tests::run(&mut shell).ok().text(), "hello");
    cellar.is_clean();
}

#[test]
fn output_is_kept_and_told_apart() {
    let Some(cellar) = Cellar::new() else { return };
    cellar
        .container(&["--name", "c", "box:1", "sh", "-c", "echo out; echo err >&2; exit 3"])
        .ends(3);
    assert_eq!(cellar.states(), "c exited 3");
    let logs = cellar.run(&["logs", "c"]).ok();
    assert_eq!((logs.text(), logs.stderr.trim()), ("out", "err"));
    assert_eq!(cellar.run(&["wait", "c"]).ok().text(), "3");
    let shown = cellar.run(&["inspect", "c"]).ok().json();
    assert_eq!(shown[0]["State"]["ExitCode"], 3);
    assert_eq!(shown[0]["Name"], "c");
    cellar.container(&["--name", "c", "box:1", "true"]).ends(125).says("is already in use by");
    cellar.run(&["rm", "c"]).ok();
    cellar.run(&["rm", "c"]).ends(1).says("no such container");
    cellar.is_clean();
}

#[test]
fn a_detached_container_is_joined_stopped_and_started_again() {
    let Some(cellar) = Cellar::new() else { return };
    let id = cellar
        .container(&["-d", "--name", "web", "--hostname", "inside", "box:1", "sleep", "1000"])
        .ok();
    assert_eq!(id.text().len(), 64);
    assert_eq!(cellar.states(), "web running 0");
    assert_eq!(cellar.run(&["exec", "web", "hostname"]).ok().text(), "inside");
    assert_eq!(cellar.run(&["exec", "-u", "alice", "web", "id", "-u"]).ok().text(), "1000");
    cellar.run(&["exec", "web", "sh", "-c", "exit 9"]).ends(9);
    cellar.run(&["exec", "web", "nope"]).ends(127);
    cellar.run(&["rm", "web"]).ends(2).says("container state improper");
    cellar.run(&["stop", "-t", "0", "web"]).ok();
    assert_eq!(cellar.states(), "web exited 137");
    cellar.run(&["exec", "web", "true"]).ends(255).says("running containers");
    cellar.run(&["start", "web"]).ok();
    assert_eq!(cellar.states(), "web running 0");
    cellar.run(&["kill", "web"]).ok();
    assert_eq!(cellar.states(), "web exited 137");
    cellar.run(&["rename", "web", "other"]).ok();
    cellar.run(&["rm", &id.text()[..6]]).ok();
    cellar.is_clean();
}

#[test]
fn volumes_outlive_containers_and_are_filled_from_images() {
    let Some(cellar) = Cellar::new() else { return };
    let said = cellar.container(&[
        "--rm",
        "-v",
        "v:/data",
        "box:1",
        "sh",
        "-c",
        "cat /data/of-image; echo mine >/data/new",
    ]);
    assert_eq!(said.ok().text(), "data");
    assert_eq!(
        cellar.container(&["--rm", "-v", "v:/x:ro", "box:1", "cat", "/x/new"]).ok().text(),
        "mine"
    );
    assert_eq!(cellar.run(&["volume", "ls", "-q"]).ok().text(), "v");
    cellar.run(&["volume", "rm", "v"]).ok();
    cellar.run(&["volume", "rm", "v"]).ends(1);
    let bound = cellar.path("bound");
    std::fs::create_dir(&bound).expect("it is new");
    std::fs::write(bound.join("file"), "outside\n").expect("it is writable");
    let option = format!("type=bind,src={},dst=/b,ro", bound.display());
    let said = cellar.container(&[
        "--rm",
        "--mount",
        &option,
        "box:1",
        "sh",
        "-c",
        "cat /b/file; touch /b/x",
    ]);
    assert_eq!(said.text(), "outside");
    assert!(said.stderr.contains("Read-only"), "{said}");
    cellar
        .container(&["--rm", "-v", "/nope/nope:/x", "box:1", "true"])
        .ends(125)
        .says("/nope/nope");
}

#[test]
fn cve_2022_27649_nothing_is_inheritable_in_a_container_or_in_what_joins_it() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.container(&["-d", "--name", "c", "box:1", "sleep", "1000"]).ok();
    let run = ["run", "--rm", "--network", "none", "-u", "alice", "box:1"];
    for words in [&run[..], &["exec", "c"], &["exec", "-u", "alice", "c"]] {
        let said = cellar.run(&[words, &["cat", "/proc/self/status"]].concat()).ok();
        for name in ["CapInh:", "CapAmb:"] {
            let line = said.text().lines().find(|line| line.starts_with(name)).unwrap_or_default();
            let value = line.trim_start_matches(name).trim();
            assert_eq!(value, "0000000000000000", "{words:?} {name}");
        }
    }
}

#[test]
fn what_scripts_of_podman_rely_on_holds() {
    let Some(cellar) = Cellar::new() else { return };
    // A volume is kept, and put into another.
    let backup = "$CELLAR run --rm --network none -v v:/v box:1 sh -c 'echo kept >/v/file' &&
        $CELLAR volume export v | gzip >$D/v.tgz && $CELLAR volume create w >$D/made &&
        $CELLAR volume import w $D/v.tgz && $CELLAR volume export w -o $D/w.tar &&
        $CELLAR run --rm --network none -v w:/v box:1 cat /v/file";
    let directory = cellar.path("").display().to_string();
    let shell = |script: &str| cellar.shell(&script.replace("$D", &directory));
    assert_eq!(shell(backup).ok().text(), "kept");
    let listed = tool("tar", &format!("-tf {directory}/w.tar"));
    assert_eq!(listed.ok().text(), "file");
    shell("echo junk | $CELLAR volume import w -").ends(125).says("importing into volume w");
    cellar.run(&["volume", "export", "nope"]).ends(125).says("no such volume");
    cellar.run(&["volume", "rm", "v", "w"]).ok();
    // A policy is a word of its own.
    let pulled = cellar.container(&["--pull", "missing", "--rm", "box:1", "echo", "there"]);
    assert_eq!(pulled.ok().text(), "there");
    // What is published of a network that is not one's own is said to be nowhere.
    let published = cellar.container(&["--rm", "-p", "80:80", "-p", "", "box:1", "true"]).ok();
    assert!(published.stderr.starts_with("Port mappings have been discarded"), "{published}");
    // An image goes under the name that was said, no further.
    cellar.run(&["tag", "box:1", "other:1"]).ok();
    cellar.container(&["--rm", "--rmi", "other:1", "true"]).ok();
    cellar.run(&["image", "exists", "other:1"]).ends(1);
    cellar.run(&["image", "exists", "box:1"]).ok();
    cellar.run(&["create", "--name", "c", "--network", "none", "box:1", "true"]).ok();
    cellar.run(&["exec", "c", "true"]).ends(255).says("container state improper");
    cellar.run(&["rm", "c"]).ok();
    let wanted = [
        (
            "info",
            "{{.Host.Security.Rootless}} {{.Host.OCIRuntime.Name}} {{.Host.OS}}",
            "false cask linux",
        ),
        ("info", "{{.Store.ContainerStore.Running}} {{.Host.NetworkBackend}}", "0 netavark"),
    ];
    for (command, template, expected) in wanted {
        assert_eq!(cellar.run(&[command, "--format", template]).ok().text(), expected);
    }
    let known =
        ["--cgroup-manager", "cgroupfs", "--events-backend=file", "--remote=false", "ps", "-q"];
    assert_eq!(cellar.run(&known).ok().text(), "");
    let refused = cellar.run(&["--cgroup-manager", "nobody", "ps"]).ends(125);
    refused.says("cgroup manager \"nobody\": systemd and cgroupfs are known");
    cellar.run(&["inspect", "-t", "image", "--format", "{{.Os}}", "box:1"]).ok();
    // Templates name what there is not, and what has another name.
    let mount = "type=bind,src=/tmp,dst=/host";
    let made = ["create", "--name", "c", "--network", "none", "-v", "v:/data", "--mount", mount];
    cellar.run(&[&made[..], &["box:1", "true"]].concat()).ok();
    let template = "{{range .Mounts}}[{{.Name}}:{{.Dst}}]{{end}} {{.State.Healthcheck.Status}}\
                    {{.Config.Healthcheck}} {{.Config.Secrets}} {{.SizeRw}} {{len .ImageID}}";
    let shown = cellar.run(&["inspect", "--format", template, "c"]).ok();
    assert_eq!(shown.text(), "[v:/data][:/host] <nil> [] <nil> 64");
    let json = cellar.run(&["inspect", "c"]).ok().json();
    let left_out =
        [&json[0]["SizeRw"], &json[0]["Mounts"][1]["Name"], &json[0]["Config"]["Secrets"]];
    assert!(left_out.iter().all(|value| value.is_null()), "{json}");
    let network = cellar.run(&["inspect", "-t", "network", "--format", "{{.Name}}", "podman"]);
    assert_eq!(network.ok().text(), "podman");
    cellar.run(&["rm", "-v", "c"]).ok();
    cellar.run(&["volume", "rm", "v"]).ok();
    // Lists as buildah has them, in podman's words.
    let id = cellar.run(&["manifest", "create", "list"]).ok();
    assert_eq!(cellar.run(&["manifest", "add", "list", "box:1"]).ok().text(), id.text());
    let pushed = format!("oci:{}:1", cellar.path("pushed").display());
    cellar.run(&["manifest", "push", "-q", "list", &pushed]).ok();
    let blobs = std::fs::read_dir(cellar.path("pushed/blobs/sha256")).expect("it was pushed");
    assert_eq!(blobs.count(), 4, "the list, and all of the image");
    let removed = cellar.run(&["manifest", "rm", "list"]).ok();
    assert!(removed.text().starts_with("Untagged: localhost/list:latest\nDeleted: "), "{removed}");
    cellar.run(&["manifest", "rm", "list"]).ends(1).says("image not known");
    let version = cellar.run(&["version", "--format", "{{.Version}}"]).ok();
    let server = cellar.run(&["version", "--format", "{{.Server.Version}}"]).ok();
    assert_eq!(version.text(), server.text());
    assert_eq!(cellar.run(&["-v"]).ok().text(), format!("cellar version {}", version.text()));
    cellar.is_clean();
}
