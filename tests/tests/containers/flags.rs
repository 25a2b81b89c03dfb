//! Flags of containers, their effects, and what is the case without them: as podman has it.

use std::fs;

use tests::run;

use crate::support::Cellar;

/// What `inspect` says of a container that `flags` are for, with podman's fields.
const SHOWN: [(&[&str], &str, &str); 16] = [
    (&[], "{{.HostConfig.PidsLimit}} {{.HostConfig.IpcMode}}", "2048 shareable"),
    (
        &[],
        "{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}",
        "[] [CAP_AUDIT_WRITE CAP_MKNOD CAP_NET_RAW]",
    ),
    (
        &["--cap-add", "sys_admin,net_raw", "--cap-drop", "chown"],
        "{{.HostConfig.CapAdd}} {{.HostConfig.CapDrop}}",
        "[CAP_SYS_ADMIN] [CAP_AUDIT_WRITE CAP_CHOWN CAP_MKNOD]",
    ),
    (&["--pids-limit", "0"], "{{.HostConfig.PidsLimit}}", "0"),
    (&["--cpus", "1.5"], "{{.HostConfig.CpuPeriod}} {{.HostConfig.CpuQuota}}", "100000 150000"),
    (&["-m", "64m"], "{{.HostConfig.MemorySwap}} {{.HostConfig.MemorySwappiness}}", "134217728 -1"),
    (&["--annotation", "a=b,c=d"], "{{.Config.Annotations}}", "map[a:b c:d]"),
    (&["--expose", "90-91/udp"], "{{len .NetworkSettings.Ports}}", "2"),
    (&["--dns", "none"], "{{.HostConfig.Dns}}", "[]"),
    (&["--ulimit", "nofile=10:20,nproc=5"], "{{.HostConfig.Ulimits}}", LIMITS),
    (&["--ulimit", "host"], "{{.HostConfig.Ulimits}}", "[]"),
    (&["--tz", "local"], "{{.Config.Timezone}}", "local"),
    (&["--security-opt", "mask=/x"], "{{.HostConfig.SecurityOpt}}", "[]"),
    (&["--device", "/dev/null:/dev/x:r"], "{{.HostConfig.Devices}}", "[{/dev/null /dev/x }]"),
    (&["--platform", "linux/amd64", "--pull", "missing"], "{{.ImageName}}", "localhost/box:1"),
    (&["-a", "stdin", "-a", "stdout,stderr"], "{{.ImageName}}", "localhost/box:1"),
];

const LIMITS: &str = "[{RLIMIT_NOFILE 10 20} {RLIMIT_NPROC 5 5}]";

#[test]
fn what_is_asked_for_and_what_is_not_is_shown_as_podman_shows_it() {
    let Some(cellar) = Cellar::new() else { return };
    for (number, (flags, format, expected)) in SHOWN.into_iter().enumerate() {
        if flags.contains(&"linux/amd64") && cfg!(not(target_arch = "x86_64")) {
            continue;
        }
        let name = format!("c{number}");
        let own = ["create", "--network", "none", "--name", &name];
        cellar.run(&[&own[..], flags, &["box:1", "true"]].concat()).ok();
        let shown = cellar.run(&["inspect", "--format", format, &name]).ok();
        assert_eq!(shown.text(), expected, "{flags:?}");
    }
}

#[test]
fn what_cannot_run_as_it_is_asked_ends_as_podman_ends_it() {
    let Some(cellar) = Cellar::new() else { return };
    for (flags, command, code, said) in [
        (&[][..], "nope", 127, "not found in $PATH"),
        (&["--entrypoint", "/bin/echo hi"], "x", 127, "no such file"),
        (&[], "/etc/passwd", 126, "/etc/passwd: permission denied"),
        (&[], "/etc", 126, "/etc: permission denied"),
        (
            &["-u", "nope"],
            "true",
            126,
            "unable to find user nope: no matching entries in passwd file",
        ),
        (
            &["-u", "0:no"],
            "true",
            126,
            "unable to find group no: no matching entries in group file",
        ),
        (&["-w", "/etc/passwd"], "true", 126, "but is not a directory"),
        (&["--nope"], "true", 125, "unknown flag: --nope"),
    ] {
        let line = [&["--rm"][..], flags, &["box:1", command]].concat();
        cellar.container(&line).ends(code).says(said);
    }
}

#[test]
fn a_seccomp_profile_is_kept_and_holds_for_commands_too() {
    let Some(cellar) = Cellar::new() else { return };
    let profile = cellar.path("profile.json");
    let text = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 38}]}"#;
    fs::write(&profile, text).unwrap();
    let option = format!("seccomp={}", profile.display());
    let flags = ["-d", "--name", "c", "--security-opt", &option, "box:1", "sleep", "1000"];
    cellar.container(&flags).ok();
    fs::write(&profile, "{").unwrap();
    let refused = "Function not implemented";
    cellar.run(&["exec", "c", "mkdir", "/x"]).ends(1).says(refused);
    cellar.run(&["restart", "-t", "0", "c"]).ok();
    cellar.run(&["exec", "c", "mkdir", "/x"]).ends(1).says(refused);
    cellar.run(&["exec", "--privileged", "c", "mkdir", "/x"]).ok();
    let flags = ["--rm", "--security-opt", &option, "box:1", "true"];
    cellar.container(&flags).ends(125).says("it is not JSON");
}

#[test]
fn limits_are_changed_while_a_container_runs_and_stay_changed() {
    let Some(cellar) = Cellar::new() else { return };
    let id = cellar.container(&["-d", "--name", "c", "box:1", "sleep", "1000"]).ok();
    let told = cellar.run(&["update", "--pids-limit", "9", "--cpu-shares", "512", "c"]);
    if told.code == 125 && told.stderr.contains("has no control group") {
        return;
    }
    assert_eq!(told.ok().text(), id.text());
    let format = "{{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}} {{.HostConfig.Memory}}";
    let shown = || cellar.run(&["inspect", "--format", format, "c"]).ok().text().to_owned();
    assert_eq!(shown(), "9 512 0");
    let many = "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 100 >/dev/null 2>&1 & done";
    cellar.run(&["exec", "c", "sh", "-c", many]).says("can't fork");
    cellar.run(&["restart", "-t", "0", "c"]).ok();
    cellar.run(&["exec", "c", "sh", "-c", many]).says("can't fork");
    cellar
        .run(&["update", "-m", "16m", "--memory-reservation", "32m", "c"])
        .ends(125)
        .says("minimum memory limit cannot be less than memory reservation limit");
    assert_eq!(shown(), "9 512 0");
    cellar.run(&["container", "update", "--pids-limit", "-1", "c"]).ok();
    assert_eq!(shown(), "0 512 0");
    cellar.run(&["update"]).ends(125).says("accepts 1 arg(s), received 0");
    cellar.run(&["update", "--nope", "c"]).ends(125).says("unknown flag: --nope");
}

#[test]
fn the_manager_of_services_is_told_that_a_container_was_started() {
    let Some(cellar) = Cellar::new() else { return };
    let path = cellar.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    let start = |name: &str, mode: &str| {
        let words = [
            "run",
            "-d",
            "--network",
            "none",
            "--name",
            name,
            "--sdnotify",
            mode,
            "box:1",
            "sleep",
            "1000",
        ];
        run(cellar.command(&words).env("NOTIFY_SOCKET", &path))
    };
    start("silent", "ignore").ok();
    start("told", "conmon").ok();
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes).unwrap();
    let format = "MAINPID={{.State.ConmonPid}}\nREADY=1";
    let expected = cellar.run(&["inspect", "--format", format, "told"]).ok();
    assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), expected.text());
    start("itself", "container").ends(125).says("--sdnotify container is not supported where");
    start("nope", "nope").ends(125).says("must be container, conmon or ignore");
}

#[test]
fn containers_conf_says_what_no_flag_says() {
    let Some(cellar) = Cellar::new() else { return };
    let conf = cellar.path("containers.conf");
    let text = r#"
        [containers]
        annotations = ["a=conf", "b=conf"]
        default_capabilities = ["CHOWN", "KILL"]
        default_sysctls = ["net.core.somaxconn=77"]
        default_ulimits = ["nofile=10:20", "nproc=30:30"]
        dns_servers = ["1.2.3.4"]
        env = ["FOO=conf", "PATH=/conf"]
        netns = "none"
        pids_limit = 9
        shm_size = "1m"
        tz = "local"
        umask = "0077"
        [engine]
        stop_timeout = 3
    "#;
    fs::write(&conf, text).unwrap();
    let with = |words: &[&str]| run(cellar.command(words).env("CONTAINERS_CONF", &conf));
    with(&["create", "--name", "c", "--annotation", "a=own", "box:1", "true"]).ok();
    let format = "{{.Config.Annotations}} {{.BoundingCaps}} {{.HostConfig.Ulimits}} \
                  {{.HostConfig.Dns}} {{.HostConfig.NetworkMode}} {{.HostConfig.PidsLimit}} \
                  {{.HostConfig.ShmSize}} {{.Config.Timezone}} {{.Config.Umask}} {{.Config.StopTimeout}}";
    assert_eq!(
        cellar.run(&["inspect", "--format", format, "c"]).ok().text(),
        "map[a:own b:conf] [CAP_CHOWN CAP_KILL] [{RLIMIT_NOFILE 10 20} {RLIMIT_NPROC 30 30}] \
         [1.2.3.4] none 9 1048576 local 0077 3"
    );
    let script = "echo $FOO; cat /proc/sys/net/core/somaxconn; umask; ulimit -n";
    let said =
        with(&["run", "--rm", "-e", "PATH=/bin", "--umask", "22", "box:1", "sh", "-c", script]);
    assert_eq!(said.ok().text(), "conf\n77\n0022\n10");
    fs::write(&conf, "[containers]\npids_limit = \"x\"").unwrap();
    with(&["create", "box:1"]).ends(125).says("containers.pids_limit");
    fs::remove_file(&conf).unwrap();
    with(&["create", "box:1"]).ends(125).says("loading containers configuration");
}
