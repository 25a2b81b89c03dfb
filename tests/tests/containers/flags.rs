//! Flags of containers, their effects, and what is the case without them: as podman has it.

use std::fs;

use tests::{Access, PASSWORD, Served, USER, has, run, scratch};

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
        (&["-w", "/no"], "true", 126, "workdir \"/no\" does not exist on container"),
        (&["-w", "/proc/no"], "true", 126, "make the working directory /proc/no"),
        (&["--timeout", "1", "--entrypoint", "sleep"], "1000", 255, ""),
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
    for flag in ["--device-read-bps=/dev/zero:1mb", "--blkio-weight-device=/dev/zero:123"] {
        cellar.run(&["update", flag, "c"]).ends(125).says("/dev/zero: not a block device");
    }
    for (flag, other) in [("--cpu-period", "1000"), ("--cpu-quota", "1000")] {
        let words = format!("{flag} and --cpus cannot be set together");
        cellar.run(&["update", flag, other, "--cpus", "2", "c"]).ends(125).says(&words);
    }
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
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let mut bytes = [0; 64];
    let length = socket.recv(&mut bytes).unwrap();
    let format = "MAINPID={{.State.ConmonPid}}\nREADY=1";
    let expected = cellar.run(&["inspect", "--format", format, "told"]).ok();
    assert_eq!(std::str::from_utf8(&bytes[..length]).unwrap(), expected.text());
    start("nope", "nope").ends(125).says("must be container, conmon or ignore");
}

#[test]
fn a_container_tells_the_manager_of_services_itself_that_it_is_ready() {
    let Some(cellar) = Cellar::new() else { return };
    let path = cellar.path("notify");
    let socket = std::os::unix::net::UnixDatagram::bind(&path).unwrap();
    socket.set_read_timeout(Some(std::time::Duration::from_secs(60))).unwrap();
    let hear = || {
        let mut bytes = [0; 64];
        let length = socket.recv(&mut bytes).unwrap();
        String::from_utf8_lossy(&bytes[..length]).into_owned()
    };
    let script = "echo $NOTIFY_SOCKET; exec sleep 1000";
    let made = ["create", "--network", "none", "--name", "c", "box:1", "sh", "-c", script];
    cellar.run(&made).ok();
    // The shells here have nothing that sends to such a socket: it is found beside the container.
    let format = "{{.State.ConmonPid}}";
    for told in 0..2 {
        run(cellar.command(&["start", "c"]).env("NOTIFY_SOCKET", &path)).ok();
        let monitor = cellar.run(&["inspect", "--format", format, "c"]).ok();
        assert_eq!(hear(), format!("MAINPID={}", monitor.text()));
        let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok();
        let inside = cellar.path("run/cask/containers").join(id.text()).join("notify");
        let directory = fs::File::open(&inside).unwrap();
        let number = std::os::fd::AsRawFd::as_raw_fd(&directory);
        let own = std::os::unix::net::UnixDatagram::unbound().unwrap();
        for words in ["STATUS=begins", "READY=0", "MAINPID=1\nREADY=1\n"] {
            own.send_to(words.as_bytes(), format!("/proc/self/fd/{number}/notify.sock")).unwrap();
        }
        assert_eq!(hear(), "READY=1", "{told}");
        let seen = cellar.run(&["exec", "c", "ls", "/run/notify"]).ok();
        assert_eq!(seen.text(), "notify.sock");
        cellar.run(&["stop", "-t", "0", "c"]).ok();
    }
    let logged = cellar.run(&["logs", "--tail", "1", "c"]).ok();
    assert_eq!(logged.text(), "/run/notify/notify.sock");
    cellar.run(&["start", "c"]).ok();
    cellar.run(&["exec", "c", "test", "-e", "/run/notify"]).ends(1);
}

#[test]
fn groups_descriptors_and_what_the_kernel_pretends_to_be_are_passed_on() {
    let Some(cellar) = Cellar::new() else { return };
    let check = |script: &str, expected: &str| {
        assert_eq!(cellar.shell(script).ok().text(), expected, "{script}");
    };
    let run = "$CELLAR run --rm --network none";
    let groups = format!("setpriv --groups 77,4321 {run} --group-add keep-groups box:1 id");
    check(&groups, "uid=0(root) gid=0 groups=77,4321");
    let kept = cellar.path("kept").display().to_string();
    fs::write(&kept, "kept\n").unwrap();
    let two = "--preserve-fds 2 box:1 sh -c 'cat <&3; cat <&4'";
    check(&format!("{run} {two} 3<{kept} 4<{kept}"), "kept\nkept");
    check(&format!("{run} --preserve-fd 9 -t box:1 sh -c 'echo one >&9' 9>&1"), "one");
    check(&format!("{run} --personality LINUX32 box:1 cat /proc/self/personality"), "00000008");
    let detached = "$CELLAR run -d --name c --network none --group-add keep-groups";
    // Nobody keeps the pipe of whoever started it.
    cellar.shell(&format!("{detached} box:1 sleep 1000 7>&1 | cat")).ok();
    check("setpriv --groups 5 $CELLAR exec c id", "uid=0(root) gid=0 groups=5");
    check("$CELLAR exec --preserve-fds 1 c sh -c 'echo two >&3' 3>&1", "two");
    check(
        "$CELLAR exec -d --preserve-fds 1 c sh -c 'echo three >&3' 3>&1 >/dev/null | cat",
        "three",
    );
    cellar.run(&["exec", "-w", "/no", "c", "true"]).ends(127).says("no such file or directory");
    for flag in ["--preserve-fds=1", "--preserve-fd=900"] {
        let refused = "is not available - the preserve-fds option requires";
        cellar.container(&["--rm", flag, "box:1", "true"]).ends(125).says(refused);
        cellar.run(&["exec", flag, "c", "true"]).ends(125).says(refused);
    }
}

#[test]
fn what_is_changed_in_an_overlay_goes_with_the_life_of_the_container() {
    let Some(cellar) = Cellar::new() else { return };
    let at = |name: &str| cellar.path(name).display().to_string();
    for name in ["lower", "root/upper", "root/work"] {
        fs::create_dir(cellar.path(name)).unwrap();
    }
    fs::write(cellar.path("lower/file"), "text\n").unwrap();
    let (lower, upper, work) = (at("lower"), at("root/upper"), at("root/work"));
    let own = format!("{lower}:/own:O,upperdir={upper},workdir={work}");
    let script = "echo more >>/a/file; cat /a/file; echo x >/own/new; echo x >/v/new; echo x >/i/new; \
                  ls /own /v /i/data";
    let flags = ["--name", "c", "-v", &format!("{lower}:/a:O"), "-v", &own, "-v", "vol:/v:O"];
    let image = ["--mount", "type=image,source=box:1,target=/i,rw=true", "box:1", "sh", "-c"];
    let words = [&flags[..], &image, &[script]].concat();
    let expected = "text\nmore\n/i/data:\nof-image\n\n/own:\nfile\nnew\n\n/v:\nnew";
    assert_eq!(cellar.container(&words).ok().text(), expected);
    // Another life sees nothing of the one before but what is kept where somebody wanted it.
    assert_eq!(cellar.run(&["start", "-a", "c"]).ok().text(), expected);
    assert_eq!(fs::read_to_string(cellar.path("lower/file")).unwrap(), "text\n");
    assert!(!cellar.path("lower/new").exists() && cellar.path("root/upper/new").exists());
    assert!(!cellar.path("root/volumes/vol/_data/new").exists());
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok();
    assert!(!cellar.path("root/cask/containers").join(id.text()).join("overlays").exists());
    for (value, words) in [
        (format!("{lower}:/a:O,ro"), "can't use 'O' with other options"),
        (format!("{lower}:/a:O,U"), "can't use 'O' with other options"),
        (format!("{lower}:/a:O,upperdir={upper}"), "must set both `upperdir` and `workdir`"),
        (format!("{lower}:/a:upperdir={upper}"), "invalid mount option"),
        (format!("{lower}/no:/a:O"), "no such file or directory"),
    ] {
        cellar.container(&["--rm", "-v", &value, "box:1", "true"]).ends(125).says(words);
    }
    cellar.run(&["rm", "-v", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn what_every_process_has_is_what_it_has_with_podman() {
    let Some(cellar) = Cellar::new() else { return };
    let check = |flags: &[&str], script: &str, expected: &str| {
        let words = [&["--rm"][..], flags, &["box:1", "/bin/sh", "-c", script]].concat();
        assert_eq!(cellar.container(&words).ok().text(), expected, "{flags:?}");
    };
    check(&[], "echo $TERM", "xterm");
    check(
        &["--unsetenv-all", "-e", "A=1"],
        "b=/bin/busybox; $b env | $b grep -c -e TERM -e contai; echo $A",
        "0\n1",
    );
    check(&["--ipc", "none"], "test -e /dev/shm || echo none", "none");
    let place = cellar.path("mounted");
    fs::create_dir(&place).unwrap();
    let mount = format!("{}:/m", place.display());
    check(&["-v", &mount, "-w", "/m/new/er"], "pwd", "/m/new/er");
    let systemd = ["--systemd", "always", "--shm-size-systemd", "1m"];
    check(&systemd, "/bin/busybox grep -c ' /run tmpfs .*size=1024k' /proc/mounts", "1");
}

#[test]
fn what_podman_makes_for_a_container_and_leaves_out_of_it() {
    let Some(cellar) = Cellar::new() else { return };
    let said = |flags: &[&str], script: &str| {
        let words = [&["--rm"][..], flags, &["box:1", "sh", "-c", script]].concat();
        cellar.container(&words).ok().text().to_owned()
    };
    // What is above a mount is made with it.
    let flags = ["-v", "/etc/passwd:/new/deep/file:ro", "--workdir", "/new/deep"];
    assert_eq!(said(&flags, "pwd; ls"), "/new/deep\nfile");
    assert_eq!(said(&[], "busybox readlink /etc/mtab"), "/proc/mounts");
    let absent = ["--rm", "--workdir", "/new", "box:1", "true"];
    cellar.container(&absent).ends(126).says("workdir \"/new\" does not exist on container");
    assert_eq!(said(&["--memory", "0"], "echo hello"), "hello");
    let terminals = |systemd: &str| {
        let flags = ["--privileged", &format!("--systemd={systemd}")];
        said(&flags, "ls /dev | busybox grep -c '^tty[0-9]' || :")
    };
    assert_eq!(terminals("always"), "0");
    assert_eq!(terminals("false") == "0", !std::path::Path::new("/dev/tty0").exists());
    let words = ["--name", "c", "-a", "stdin", "box:1", "echo", "hello"];
    let id = cellar.container(&words).ok();
    assert_eq!(id.text(), cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok().text());
    assert_eq!(cellar.run(&["logs", "c"]).ok().text(), "hello");
    let shared = ["-d", "--name", "shared", "box:1", "sleep", "1000"];
    cellar.container(&shared).ok();
    cellar.run(&["exec", "shared", "sh", "-c", "echo said >/dev/shm/word"]).ok();
    let joined = ["--ipc", "container:shared"];
    assert_eq!(said(&joined, "cat /dev/shm/word; echo back >/dev/shm/word"), "said");
    assert_eq!(cellar.run(&["exec", "shared", "cat", "/dev/shm/word"]).ok().text(), "back");
    let alone = ["-d", "--name", "alone", "--ipc", "private", "box:1", "sleep", "1000"];
    cellar.container(&alone).ok();
    cellar
        .container(&["--ipc", "container:alone", "box:1", "true"])
        .ends(125)
        .says("is not allowed: non-shareable IPC (hint: use IpcMode:shareable");
    let mode = cellar.run(&["inspect", "--format", "{{.HostConfig.IpcMode}}", "alone"]).ok();
    assert_eq!(mode.text(), "private");
    let rule = ["--device-cgroup-rule", "b 7:* rmX", "box:1"];
    cellar.container(&rule).ends(125).says("invalid device access in device-access-add: X");
}

#[test]
fn an_image_for_another_platform_runs_and_that_is_told() {
    let Some(cellar) = Cellar::new() else { return };
    let archive = cellar.path("image.tar").display().to_string();
    cellar.run(&["import", "-q", "--arch", "s390x", &archive, "localhost/other:1"]).ok();
    let words = "image platform (linux/s390x) does not match the expected platform";
    for flags in [&["--rm"][..], &["--rm", "-q"], &["--rm", "--pull=never"]] {
        let said = cellar.container(&[flags, &["other:1", "true"]].concat()).ok();
        assert!(said.stderr.contains(words), "{flags:?}: {said}");
    }
    let asked = cellar.container(&["--rm", "--platform", "linux/s390x", "other:1", "true"]).ok();
    assert_eq!(asked.stderr, "");
    assert_eq!(cellar.container(&["--rm", "box:1", "true"]).ok().stderr, "");
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
        pull_policy = "never"
        detach_keys = "ctrl-x"
        runtime = "other"
        [engine.runtimes]
        other = ["/no/file", "/usr/sbin/runc", "/usr/bin/runc"]
    "#;
    fs::write(&conf, text).unwrap();
    let with = |words: &[&str]| run(cellar.command(words).env("CONTAINERS_CONF", &conf));
    let own = ["create", "--runtime", "native", "--name", "c", "--annotation", "a=own"];
    with(&[&own[..], &["box:1", "true"]].concat()).ok();
    with(&["create", "no-such-image:1"]).ends(125).says("image not known");
    let format = "{{.Config.Annotations}} {{.BoundingCaps}} {{.HostConfig.Ulimits}} \
                  {{.HostConfig.Dns}} {{.HostConfig.NetworkMode}} {{.HostConfig.PidsLimit}} \
                  {{.HostConfig.ShmSize}} {{.Config.Timezone}} {{.Config.Umask}} {{.Config.StopTimeout}}";
    assert_eq!(
        cellar.run(&["inspect", "--format", format, "c"]).ok().text(),
        "map[a:own b:conf] [CAP_CHOWN CAP_KILL] [{RLIMIT_NOFILE 10 20} {RLIMIT_NPROC 30 30}] \
         [1.2.3.4] none 9 1048576 local 0077 3"
    );
    let script = "echo $FOO; cat /proc/sys/net/core/somaxconn; umask; ulimit -n";
    let flags = ["run", "--runtime", "native", "--rm", "-e", "PATH=/bin", "--umask", "22"];
    let said = with(&[&flags[..], &["box:1", "sh", "-c", script]].concat());
    assert_eq!(said.ok().text(), "conf\n77\n0022\n10");
    if has(&["runc"]) {
        with(&["create", "--name", "d", "box:1", "true"]).ok();
        let shown = cellar.run(&["inspect", "--format", "{{.OCIRuntime}}", "d"]).ok();
        assert_eq!(shown.text(), "other");
    }
    fs::write(&conf, "[containers]\nuserns = \"nope\"").unwrap();
    with(&["create", "box:1", "true"]).ends(125).says("nope");
    fs::write(&conf, "[engine]\ndetach_keys = \"nope\"").unwrap();
    with(&["exec", "c", "true"]).ends(125).says("invalid detach keys");
    fs::write(&conf, "[containers]\npids_limit = \"x\"").unwrap();
    with(&["create", "box:1"]).ends(125).says("containers.pids_limit");
    fs::remove_file(&conf).unwrap();
    with(&["create", "box:1"]).ends(125).says("loading containers configuration");
}

#[test]
fn flags_of_other_commands_that_are_not_here_are_refused_by_name_with_their_letters_too() {
    let Some(cellar) = Cellar::new() else { return };
    for line in [
        &["-r", "ps"][..],
        &["-c", "other", "ps"],
        &["--url", "unix:///x", "ps"],
        &["pull", "--decryption-key", "x", "box:1"],
        &["manifest", "push", "--sign-by", "x", "list", "dir:x"],
    ] {
        cellar.run(line).ends(125).says("is not supported: ");
    }
    cellar.run(&["manifest", "rm", "--ignore", "nosuch"]).ok();
    // A list is pushed with its layers in another compression.
    cellar.run(&["manifest", "create", "list"]).ok();
    cellar.run(&["manifest", "add", "list", "containers-storage:localhost/box:1"]).ok();
    let place = format!("dir:{}", cellar.path("pushed").display());
    cellar.run(&["manifest", "push", "-q", "--compression-format", "zstd", "list", &place]).ok();
    let magic = [0x28, 0xb5, 0x2f, 0xfd];
    let files = std::fs::read_dir(cellar.path("pushed")).expect("it was pushed").flatten();
    let mut texts = files.filter_map(|file| std::fs::read(file.path()).ok());
    assert!(texts.any(|text| text.starts_with(&magic)));
}

#[test]
fn of_a_directory_as_root_a_copy_is_changed_where_that_is_said() {
    let Some(cellar) = Cellar::new() else { return };
    let image = cellar.path("image").display().to_string();
    let over = format!("{image}:O");
    let own = ["--network", "none", "--name", "c", "--rootfs"];
    let run = |root: &str, command: &str| {
        cellar.run(&[&["run", "-d"], &own[..], &[root, "sh", "-c", command]].concat())
    };
    run(&over, "echo changed >>/made; rm -r /data; exec sleep 1000").ok();
    cellar.run(&["restart", "-t", "0", "c"]).ok();
    assert_eq!(cellar.run(&["exec", "c", "cat", "/made"]).ok().text(), "changed\nchanged");
    assert!(cellar.path("image/data").is_dir() && !cellar.path("image/made").exists());
    // One whose monitor was killed leaves nothing mounted.
    let kill = "kill -9 $($CELLAR inspect --format '{{.State.ConmonPid}}' c)";
    cellar.shell(kill).ok();
    cellar.run(&["start", "c"]).ok();
    cellar.run(&["stop", "-t", "0", "c"]).ok();
    let copied = cellar.shell("$CELLAR cp c:/made - | tar -xOf -").ok();
    assert_eq!(copied.text().lines().count(), 3, "{copied}");
    cellar.run(&["rm", "c"]).ok();
    let mounts = fs::read_to_string("/proc/self/mounts").expect("it is there");
    assert!(!mounts.contains(&cellar.path("run").display().to_string()), "{mounts}");
    run("/nowhere:O", "true").ends(125).says("stat /nowhere: no such file or directory");
    cellar.is_clean();
}

#[test]
fn the_name_of_the_machine_has_the_address_that_is_said() {
    let Some(cellar) = Cellar::new() else { return };
    let conf = cellar.path("address.conf");
    let hosts = |address: &str, flags: &[&str]| {
        let text = format!("[containers]\nhost_containers_internal_ip = \"{address}\"\n");
        fs::write(&conf, text).expect("it is writable");
        let words = [&["run", "--rm", "--network", "none"], flags, &["box:1", "cat", "/etc/hosts"]];
        run(cellar.command(&words.concat()).env("CONTAINERS_CONF", &conf)).ok().text().to_owned()
    };
    assert!(hosts("10.1.2.3", &[]).contains("10.1.2.3\thost.containers.internal"));
    assert!(hosts("10.1.2.3", &["--add-host", "m:host-gateway"]).contains("10.1.2.3\tm\n"));
    assert!(!hosts("none", &[]).contains("host.containers.internal"));
}

#[test]
fn who_reaches_nobody_has_no_servers_but_those_of_the_image() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "ls /etc; tail -n 1 /etc/hosts || true";
    let of = |network: &str, flags: &[&str]| {
        let flags = [&["run", "--rm", "--network", network, "--name", "c"], flags].concat();
        let said = cellar.run(&[&flags[..], &["box:1", "sh", "-c", script]].concat()).ok();
        said.text().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    let said = of("none", &["--hostname", "h"]);
    assert_eq!(said, ["hostname", "hosts", "mtab", "passwd", "127.0.0.1", "h", "c"]);
    assert_eq!(of("none", &["--no-hosts", "--no-hostname"]), ["mtab", "passwd"]);
    assert!(of("host", &[]).contains(&"resolv.conf".to_owned()));
}

#[test]
fn a_secret_is_a_password_of_a_registry() {
    let Some(cellar) = Cellar::new() else { return };
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Password);
    let file = scratch.at("password");
    fs::write(&file, PASSWORD).expect("it is writable");
    for name in [USER, "other"] {
        cellar.run(&["secret", "create", name, &file]).ok();
    }
    fs::write(&file, "wrong").expect("it is writable");
    cellar.run(&["secret", "create", "wrong", &file]).ok();
    let auth = scratch.at("auth.json");
    let login = |flags: &[&str]| {
        let usual = ["login", "--tls-verify=false", "--authfile", &auth];
        cellar.run(&[&usual[..], flags, &[served.address()]].concat())
    };
    login(&["--secret", "other"]).ends(125).says("invalid username/password");
    login(&["--secret", "wrong", "-u", USER]).ends(125).says("invalid username/password");
    login(&["--secret", "nosuch"]).ends(125).says("no such secret");
    login(&["--secret", USER, "-p", "x"])
        .ends(125)
        .says("--secret can not be used with --password");
    assert_eq!(login(&["--secret", USER]).ok().text(), "Login Succeeded!");
    assert_eq!(login(&["--get-login"]).ok().text(), USER);
    login(&["--secret", "other", "-u", USER]).ok();
}

#[test]
fn what_asks_for_a_service_is_refused_behind_the_command_too() {
    let Some(cellar) = Cellar::new() else { return };
    for line in
        [&["ps", "--remote"][..], &["--remote", "ps"], &["ps", "--url", "unix:///x"], &["-r", "ps"]]
    {
        cellar.run(line).ends(125).says("there is no service, here or on other machines");
    }
    cellar.run(&["ps", "--remote=false"]).ok();
}

/// Programs that drive podman, such as podman-compose, still say them.
///
/// Source: podman, `cmd/podman/utils/alias.go`; buildah, `pkg/cli/common.go`.
#[test]
fn flags_are_taken_under_their_older_names() {
    let Some(cellar) = Cellar::new() else { return };
    let check = ["--healthcheck-command", "true", "--healthcheck-interval", "disable"];
    let limits = ["--healthcheck-retries=2", "--healthcheck-start-period=1s"];
    let rest = ["--healthcheck-timeout=4s", "--net=none", "box:1", "true"];
    let all = [["create", "--name", "c"].as_slice(), &check, &limits, &rest].concat();
    cellar.run(&all).ok();
    let shown = "{{.Config.Healthcheck.Test}} {{.Config.Healthcheck.Retries}} \
                 {{.Config.Healthcheck.StartPeriod}} {{.Config.Healthcheck.Timeout}}";
    let shown = cellar.run(&["inspect", "-f", shown, "c"]).ok();
    assert_eq!(shown.text(), "[CMD-SHELL true] 2 1s 4s");
    let platform = ["--override-os=linux", "--override-arch=s390x", "--override-variant=v1"];
    let other = [["create", "--pull=never"].as_slice(), &platform, &["box:1", "true"]].concat();
    cellar.run(&other).says("linux/s390x");
    cellar.run(&["ps", "-a", "--storage", "--notruncate"]).ok();
    cellar.run(&["history", "--notruncate", "box:1"]).ok();
    let platform = ["--override-os=linux", "--override-arch=s390x"];
    let nothing = cellar.path("Containerfile");
    fs::write(&nothing, "FROM scratch\nLABEL a=b\n").expect("it is writable");
    let nothing = nothing.display().to_string();
    let build = ["build", "-q", "-t", "far:1", "-f", &nothing];
    cellar.run(&[&build, platform.as_slice(), &["."]].concat()).ok();
    let shown = cellar.run(&["inspect", "-f", "{{.Os}}/{{.Architecture}}", "far:1"]).ok();
    assert_eq!(shown.text(), "linux/s390x");
}

#[test]
fn what_stands_behind_the_image_is_the_containers() {
    let Some(cellar) = Cellar::new() else { return };
    let own = ["-v", "--name", "x", "--", "--help", "--root"];
    let echo = ["run", "--rm", "--entrypoint", "/bin/echo", "box:1"];
    let said = cellar.run(&[echo.as_slice(), &own].concat()).ok();
    assert_eq!(said.text(), own.join(" "));
    cellar.run(&["create", "--name=c", "--", "box:1", "--", "-d"]).ok();
    let shown = cellar.run(&["inspect", "-f", "{{json .Config.Cmd}}", "c"]).ok();
    assert_eq!(shown.text(), r#"["--","-d"]"#);
    cellar.run(&["create"]).ends(125).says("requires at least 1 arg(s), only received 0");
}
