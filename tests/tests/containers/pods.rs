//! Pods: containers that share namespaces, limits and their end.

use std::fs;

use tests::{run, tool};

use crate::support::Cellar;

const SLEEP: [&str; 3] = ["box:1", "sleep", "1000"];

#[test]
fn containers_of_a_pod_share_and_are_listed_started_and_removed_together() {
    let Some(cellar) = Cellar::new() else { return };
    let says = |arguments: &[&str]| cellar.run(arguments).ok().text().to_owned();
    assert_eq!(says(&["pod", "ps", "--noheading"]), "");
    cellar.run(&["pod", "exists", "p"]).ends(1);
    let id = says(&["pod", "create", "--name", "p", "--network", "none", "-l", "a=b"]);
    cellar.run(&["pod", "exists", "p"]).ok();
    cellar.run(&["pod", "exists", &id[..10]]).ok();
    cellar.run(&["pod", "create", "p"]).ends(125).says("name \"p\" is in use: pod already exists");
    let infra = says(&["pod", "inspect", "-f", "{{.InfraContainerID}}", "p"]);
    assert_eq!(
        says(&["inspect", "-f", "{{.Name}} {{.IsInfra}}", &infra]),
        format!("{}-infra true", &id[..12])
    );
    let row = "{{.ID}} {{.Name}} {{.Status}} {{.NumberOfContainers}} {{.Labels}}";
    assert_eq!(
        says(&["pod", "ps", "--format", row]),
        format!("{} p Created 1 map[a:b]", &id[..12])
    );

    // Whoever starts a container starts the infra container.
    let run = |more: &[&str]| cellar.run(&[&["run", "--rm", "--pod", "p"], more].concat());
    assert_eq!(run(&["box:1", "hostname"]).ok().text(), "p");
    let member = says(&[&["run", "-d", "--pod", "p", "--name", "m"], &SLEEP[..]].concat());
    assert_eq!(says(&["pod", "ps", "--format", "{{.Status}}"]), "Running");
    run(&["box:1", "touch", "/dev/shm/of-pod"]).ok();
    assert_eq!(says(&["exec", "m", "ls", "/dev/shm"]), "of-pod");
    let spaces = |id: &str| {
        let pid = says(&["inspect", "-f", "{{.State.Pid}}", id]);
        ["net", "ipc", "uts", "pid"]
            .map(|space| fs::read_link(format!("/proc/{pid}/ns/{space}")).unwrap())
    };
    let (of_infra, of_member) = (spaces(&infra), spaces("m"));
    assert_eq!(of_infra[..3], of_member[..3]);
    assert_ne!(of_infra[3], of_member[3]);
    assert_eq!(says(&["inspect", "-f", "{{.Pod}} {{.IsInfra}}", "m"]), format!("{id} false"));
    assert_eq!(
        says(&[
            "ps",
            "--filter",
            "pod=p",
            "--filter",
            "name=m",
            "--format",
            "{{.Pod}} {{.PodName}}"
        ]),
        format!("{} p", &id[..12])
    );
    assert_eq!(says(&["ps", "-aq", "--filter", "pod=other"]), "");
    let shown = cellar.run(&["pod", "inspect", "p"]).ok().json();
    let shown = &shown[0];
    assert_eq!(
        (&shown["Id"], &shown["State"], &shown["NumContainers"], &shown["SharedNamespaces"]),
        (
            &id.as_str().into(),
            &"Running".into(),
            &2.into(),
            &serde_json::json!(["ipc", "net", "uts"])
        )
    );

    cellar.run(&["pod", "rm", "p"]).ends(125).says("cannot remove container").says(&member);
    assert_eq!(says(&["pod", "stop", "-t", "0", "p"]), id);
    assert_eq!(says(&["pod", "inspect", "-f", "{{.State}}", "p"]), "Exited");
    assert_eq!(says(&["container", "prune", "-f"]), member);
    assert_eq!(says(&["pod", "start", "p"]), id);
    assert_eq!(says(&["pod", "rm", "-f", "-t", "0", "p"]), id);
    assert_eq!(says(&["ps", "-aq"]), "");
    cellar.run(&["pod", "rm", "p"]).ends(1).says("no pod with name or ID p found: no such pod");
    assert_eq!(says(&["pod", "rm", "-f", "-t", "0", "p"]), "");
    assert!(
        fs::read_dir(cellar.path("root/cask/pods"))
            .unwrap()
            .all(|one| one.unwrap().file_name() == "lock")
    );
    let told = says(&[
        "events",
        "--stream=false",
        "--filter",
        "type=pod",
        "--format",
        "{{.Status}} {{.Name}}",
    ]);
    assert_eq!(told, "create p\nstop p\nstart p\nremove p");
}

#[test]
fn what_is_of_a_pod_is_refused_for_its_containers() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.run(&["pod", "create", "--network", "none", "p"]).ok();
    let run = |more: &[&str]| cellar.run(&[&["run", "--rm", "--pod", "p"], more].concat());
    for (flags, words) in [
        (&["--hostname", "x"][..], "cannot set hostname when joining the pod UTS namespace"),
        (&["-p", "80:80"], "published or exposed ports must be defined when the pod is created"),
        (&["--add-host", "a:1.2.3.4"], "extra host entries must be specified on the pod"),
        (&["--ip", "10.88.0.9"], "networks must be defined when the pod is created"),
        (&["--userns", "keep-id"], "--userns and --pod cannot be set together"),
    ] {
        run(&[flags, &["box:1", "true"]].concat()).ends(125).says(words);
    }
    cellar
        .run(&["create", "--pod", "nope", "box:1", "true"])
        .ends(125)
        .says("no pod with name or ID nope found: no such pod");
    let infra = cellar.run(&["pod", "inspect", "-f", "{{.InfraContainerID}}", "p"]).ok();
    for flags in [&["rm", infra.text()][..], &["rm", "-f", infra.text()]] {
        cellar.run(flags).ends(125).says("is the infra container of pod");
    }
}

#[test]
fn pods_are_made_with_a_container_and_without_an_infra_container() {
    let Some(cellar) = Cellar::new() else { return };
    let says = |arguments: &[&str]| cellar.run(arguments).ok().text().to_owned();
    let new = |more: &[&str]| {
        says(
            &[
                &["run", "--rm", "--network", "none", "--pod", "new:n"],
                more,
                &["box:1", "hostname"],
            ]
            .concat(),
        )
    };
    assert_eq!(new(&["--hostname", "foobar"]), "foobar");
    cellar.run(&["pod", "rm", "n"]).ok();
    assert_eq!(new(&[]), "n");
    let file = cellar.path("id").display().to_string();
    // As podman-compose makes it.
    let id = says(&[
        "pod",
        "create",
        "--name=alone",
        "--infra=false",
        "--share=",
        "--pod-id-file",
        &file,
    ]);
    assert_eq!(fs::read_to_string(&file).unwrap(), id);
    cellar.container(&["--pod-id-file", &file, "--hostname", "own", "box:1", "hostname"]).ok();
    assert_eq!(
        says(&[
            "pod",
            "ps",
            "--format",
            "{{.Name}} {{.Status}} {{if .InfraId}}true{{else}}false{{end}}",
            "--sort",
            "name"
        ]),
        "alone Exited false\nn Running true"
    );
    assert_eq!(says(&["pod", "prune", "-f"]), id);
    for (flags, words) in [
        (
            &["--share", "bogus"][..],
            "invalid kernel namespace to share: bogus. Options are: cgroup, ipc, net, pid, uts or none",
        ),
        (&["--exit-policy", "x"], "invalid pod exit policy: \"x\""),
        (
            &["--infra=false", "-p", "80:80"],
            "you must have an infra container to publish port bindings",
        ),
        (
            &["--infra=false", "--infra-name", "x"],
            "cannot set infra-name without an infra container",
        ),
        (
            &["--infra=false", "--share", "ipc"],
            "cannot set share(ipc) namespaces without an infra container",
        ),
        (&["--replace"], "cannot replace pod without --name being set"),
        (&["--name", "a", "b"], "cannot specify --name and NAME at the same time"),
    ] {
        cellar.run(&[&["pod", "create"], flags].concat()).ends(125).says(words);
    }
    cellar.run(&["pod", "create", "--replace", "--share", "+pid", "--network", "none", "n"]).ok();
    assert_eq!(says(&["pod", "inspect", "-f", "{{.SharedNamespaces}}", "n"]), "[ipc net pid uts]");
    let infra = says(&["pod", "inspect", "-f", "{{.InfraContainerID}}", "n"]);
    let member = says(&["create", "--pod", "n", "box:1", "true"]);
    let gone = says(&["rm", "--depend", &infra]);
    assert!(gone.contains(&member) && gone.contains(&infra), "{gone}");
    assert_eq!(says(&["pod", "ps", "-q"]), "");
}

#[test]
fn pods_are_paused_killed_watched_and_end_with_their_last_container() {
    let Some(cellar) = Cellar::new() else { return };
    let says = |arguments: &[&str]| cellar.run(arguments).ok().text().to_owned();
    let id = says(&["pod", "create", "--network", "none", "--exit-policy", "stop", "p"]);
    let create = |name: &str, more: &[&str]| {
        says(&[&["create", "--pod", "p", "--name", name], more].concat())
    };
    create("first", &["--init-ctr", "once", "box:1", "touch", "/dev/shm/first"]);
    create("m", &["box:1", "sh", "-c", "ls /dev/shm; exec sleep 1000"]);
    assert_eq!(says(&["pod", "start", "p"]), id);
    cellar.run(&["container", "exists", "first"]).ends(1);
    cellar.shell("until $CELLAR pod logs p | grep -qx first; do sleep 0.05; done").ok();
    cellar.run(&["pod", "logs", "-c", "x", "p"]).ends(125).says("container x is not in pod p");
    let top = says(&["pod", "top", "p", "args"]);
    assert!(top.contains("sleep 1000"), "{top}");
    let stats = says(&["pod", "stats", "--no-stream", "--format", "{{.Pod}} {{.Name}}", "p"]);
    assert!(stats.contains(&format!("{} m", &id[..12])), "{stats}");
    cellar.run(&["pod", "restart", "p"]).ok();
    cellar.run(&["pod", "kill", "p"]).ok();
    assert_eq!(says(&["pod", "ps", "--format", "{{.Status}}"]), "Exited");
    cellar.run(&["start", "m"]).ok();
    assert_eq!(says(&["pod", "ps", "--format", "{{.Status}}"]), "Running");
    cellar.run(&["stop", "-t", "0", "m"]).ok();
    cellar
        .shell(
            "until [ \"$($CELLAR pod ps --format '{{.Status}}')\" = Exited ]; do sleep 0.05; done",
        )
        .ok();
    cellar.run(&["pod", "rm", "p"]).ok();
}

#[test]
fn of_two_that_make_a_pod_one_wins_and_what_was_killed_goes_with_force() {
    let Some(cellar) = Cellar::new() else { return };
    let make = || cellar.command(&["pod", "create", "--network", "none", "p"]).output().unwrap();
    let (one, other) = std::thread::scope(|scope| {
        let one = scope.spawn(make);
        (make(), one.join().unwrap())
    });
    assert_ne!(one.status.success(), other.status.success());
    cellar.run(&[&["run", "-d", "--pod", "p", "--name", "m"], &SLEEP[..]].concat()).ok();
    let infra = cellar.run(&["pod", "inspect", "-f", "{{.InfraContainerID}}", "p"]).ok();
    // All that belongs to the pod dies at once; a container dies with its monitor, perhaps before it is killed itself.
    for id in ["m", infra.text()] {
        let shown = cellar.run(&["inspect", "-f", "{{.State.ConmonPid}} {{.State.Pid}}", id]).ok();
        let _ = tool("kill", &format!("-KILL {}", shown.text()));
    }
    cellar.run(&["pod", "rm", "-f", "-t", "0", "p"]).ok();
    assert_eq!(cellar.run(&["ps", "-aq"]).ok().text(), "");
    let root = cellar.path("root").display().to_string();
    assert!(
        !fs::read_to_string("/proc/self/mounts").unwrap().contains(&format!("{root}/cask/pods"))
    );
}

#[test]
fn a_name_is_a_pods_or_a_containers_and_events_of_containers_tell_of_their_pod() {
    let Some(cellar) = Cellar::new() else { return };
    let id = cellar.run(&["pod", "create", "--network", "none", "p"]).ok().text().to_owned();
    cellar.run(&["create", "--pod", "p", "--name", "m", "box:1", "true"]).ok();
    for (words, said) in [
        (
            &["create", "--name", "p", "box:1", "true"][..],
            "name \"p\" is in use: pod already exists",
        ),
        (&["rename", "m", "p"], "name \"p\" is in use: pod already exists"),
        (
            &["pod", "create", "m"],
            "adding pod to state: name \"m\" is in use: container already exists",
        ),
    ] {
        cellar.run(words).ends(125).says(said);
    }
    let events = |more: &[&str]| {
        cellar.run(&[&["events", "--stream=false", "--no-trunc"], more].concat()).ok()
    };
    let told = events(&["--filter", "container=m"]);
    let ending = format!("(image=localhost/box:1, name=m, pod_id={id})");
    assert!(told.text().ends_with(&ending), "{told}");
    let told = events(&["--filter", "container=m", "--format", "json"]).json();
    assert_eq!(told["PodID"], id);
    let told = events(&["--filter", "pod=p"]);
    assert!(told.text().contains(" pod create ") && told.text().lines().count() == 1, "{told}");
}

#[test]
fn containers_that_share_a_network_find_each_other_by_their_names() {
    let Some(cellar) = Cellar::new() else { return };
    let says = |arguments: &[&str]| cellar.run(arguments).ok().text().to_owned();
    says(&["pod", "create", "--network", "none", "--add-host", "a:10.0.0.1", "p"]);
    says(&[&["run", "-d", "--pod", "p", "--name", "m"], &SLEEP[..]].concat());
    let infra = says(&["pod", "inspect", "-f", "{{.InfraContainerID}}", "p"]);
    let hosts = says(&["exec", "m", "cat", "/etc/hosts"]);
    assert!(hosts.starts_with("10.0.0.1\ta\n") && hosts.ends_with("\n127.0.0.1\tm"), "{hosts}");
    let other = ["run", "--rm", "--pod", "p", "--name", "n", "box:1", "cat", "/etc/hosts"];
    assert_eq!(says(&other), format!("{hosts}\n127.0.0.1\tn"));
    assert_eq!(says(&["exec", "m", "cat", "/etc/hosts"]), hosts);

    // Without a pod each has a name of its own too, and through another one it is the same network.
    let joins = |more: &[&str]| cellar.run(&[&["run", "--rm", "--name", "j"], more].concat());
    let command =
        ["--network", "container:m", "box:1", "sh", "-c", "hostname; cat /etc/hostname /etc/hosts"];
    let said = joins(&command).ok().text().to_owned();
    let (own, rest) = said.split_once('\n').unwrap();
    assert_eq!(rest, format!("{own}\n{hosts}\n127.0.0.1\t{own} j"));
    joins(&["--no-hosts", "--network", "container:m", "box:1", "cat", "/etc/hosts"]).ends(1);
    joins(&["--add-host", "a:1.2.3.4", "--network", "container:m", "box:1", "true"])
        .ends(125)
        .says("cannot set extra host entries when the container is joined to another containers network namespace");
    says(&[&["run", "-d", "--network", "container:m", "--name", "k"], &SLEEP[..]].concat());
    let of_infra =
        says(&["inspect", "-f", "{{.HostsPath}} {{.NetworkSettings.SandboxKey}}", &infra]);
    let of_other = says(&["inspect", "-f", "{{.HostsPath}} {{.NetworkSettings.SandboxKey}}", "k"]);
    assert_eq!(of_infra, of_other);
    says(&["kill", "k"]);
    says(&["wait", "k"]);
    assert_eq!(says(&["exec", "m", "cat", "/etc/hosts"]), hosts);
}

#[test]
fn containers_conf_says_what_pods_are_where_no_flag_does() {
    let Some(cellar) = Cellar::new() else { return };
    let conf = cellar.path("containers.conf");
    let said = "[engine]\ninfra_image = \"box:1\"\ninfra_command = \"sleep 1000\"\npod_exit_policy = \"stop\"\n";
    fs::write(&conf, said).unwrap();
    let with = |words: &[&str]| run(cellar.command(words).env("CONTAINERS_CONF", &conf)).ok();
    for (flags, expected) in [
        (&[][..], "stop localhost/box:1 sleep 1000"),
        (&["--exit-policy=continue"], "continue localhost/box:1 sleep 1000"),
    ] {
        with(
            &[&["pod", "create", "--network", "none", "--replace", "--name", "p"], flags].concat(),
        );
        let shown = with(&["pod", "inspect", "-f", "{{.ExitPolicy}} {{.InfraContainerID}}", "p"]);
        let (policy, infra) = shown.text().split_once(' ').unwrap();
        let shown = with(&["inspect", "-f", "{{.ImageName}} {{.Config.Entrypoint}}", infra]);
        assert_eq!(format!("{policy} {}", shown.text()), expected);
        with(&["pod", "start", "p"]);
        with(&["pod", "kill", "p"]);
    }
    with(&["create", "--pod", "new:n", "--network", "none", "box:1", "true"]);
    let shown = with(&["pod", "inspect", "-f", "{{.ExitPolicy}}", "n"]);
    assert_eq!(shown.text(), "stop");
}

#[test]
fn a_pod_is_copied_with_its_containers() {
    let Some(cellar) = Cellar::new() else { return };
    let says = |arguments: &[&str]| cellar.run(arguments).ok().text().to_owned();
    says(&["pod", "create", "--network", "none", "--hostname", "h", "-l", "a=b", "p"]);
    says(&[&["create", "--pod", "p", "--name", "m"], &SLEEP[..]].concat());
    says(&[&["create", "--pod", "p", "--name", "own", "--uts", "private"], &SLEEP[..]].concat());
    let made = says(&["pod", "clone", "--start", "-l", "c=d", "--memory", "64m", "p"]);
    let row = "{{.Name}} {{.Status}} {{.NumberOfContainers}} {{.Labels}}";
    assert_eq!(
        says(&["pod", "ps", "--sort", "name", "--format", row]),
        "p Created 3 map[a:b]\np-clone Running 3 map[a:b c:d]"
    );
    assert_eq!(
        says(&["pod", "inspect", "-f", "{{.Id}} {{.Hostname}}", "p-clone"]),
        format!("{made} h")
    );
    assert_eq!(says(&["exec", "m-clone", "hostname"]), "h");
    assert_ne!(says(&["exec", "own-clone", "hostname"]), "h");
    let hosts = says(&["exec", "m-clone", "cat", "/etc/hosts"]);
    assert!(hosts.contains("\tm-clone") && hosts.contains("own-clone"), "{hosts}");
    let limit = |pod: &str| says(&["pod", "inspect", "-f", "{{.MemoryLimit}}", pod]);
    assert_eq!((limit("p").as_str(), limit("p-clone").as_str()), ("0", "67108864"));
    let infra = |pod: &str| says(&["pod", "inspect", "-f", "{{.InfraContainerID}}", pod]);
    assert_ne!(infra("p"), infra("p-clone"));
    says(&["pod", "clone", "--destroy", "p", "moved"]);
    assert_eq!(says(&["pod", "ps", "--sort", "name", "--format", "{{.Name}}"]), "moved\np-clone");
    cellar.run(&["pod", "clone", "nope"]).ends(125).says("no pod with name or ID nope found");
    cellar
        .run(&["pod", "clone", "moved", "p-clone"])
        .ends(125)
        .says("is in use: pod already exists");
    says(&["pod", "rm", "-a", "-f", "-t", "0"]);
    assert_eq!(says(&["ps", "-aq"]), "");
}
