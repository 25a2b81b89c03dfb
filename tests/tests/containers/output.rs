//! Where output of containers goes: to a file, to whoever started them, into the journal; and what of their files is
//! in memory.

use std::os::unix::net::UnixDatagram;
use std::process::Stdio;

use tests::{Outcome, has};

use crate::support::Cellar;

/// Prints on both of its outputs, and fails.
const PRINTS: [&str; 4] = ["box:1", "sh", "-c", "echo out; echo err >&2; exit 3"];

/// What is wanted, or what it is after a minute.
fn until<T>(look: impl Fn() -> T, is_wanted: impl Fn(&T) -> bool) -> T {
    let began = std::time::Instant::now();
    loop {
        let seen = look();
        if is_wanted(&seen) || began.elapsed().as_secs() > 60 {
            return seen;
        }
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

#[test]
fn drivers_of_logs_are_told_and_refused_as_podman_does() {
    let Some(cellar) = Cellar::new() else { return };
    let log = |arguments: &[&str]| {
        let made =
            cellar.run(&[&["create", "--name", "c"], arguments, &["box:1", "true"]].concat()).ok();
        let told = cellar.run(&["inspect", "--format", "{{json .HostConfig.LogConfig}}", "c"]).ok();
        let path = cellar.path("root").display().to_string();
        let told = told.json().to_string().replace(&path, "");
        cellar.run(&["rm", "c"]).ok();
        let id = made.text();
        if id.is_empty() { told } else { told.replace(id, "ID") }
    };
    let told = |kind: &str, path: &str, size: &str| {
        format!(
            "{{\"Config\":null,\"Path\":\"{path}\",\"Size\":\"{size}\",\"Tag\":\"\",\"Type\":\"{kind}\"}}"
        )
    };
    let file = "/cask/containers/ID/ctr.log";
    assert_eq!(log(&[]), told("k8s-file", file, "0B"));
    assert_eq!(log(&["--log-driver", ""]), told("k8s-file", file, "0B"));
    assert_eq!(log(&["--log-driver", "json-file"]), told("json-file", file, "0B"));
    assert_eq!(log(&["--log-driver", "none"]), told("none", "", "0B"));
    assert_eq!(log(&["--log-driver", "passthrough"]), told("passthrough", "", "0B"));
    for (size, shown) in
        [("10k", "10kB"), ("1MiB", "1MB"), ("1048576", "1.049MB"), ("1.5m", "1.5MB")]
    {
        assert_eq!(log(&["--log-opt", &format!("max-size={size}")]), told("k8s-file", file, shown));
    }
    assert_eq!(log(&["--log-opt", "path=/l"]), told("k8s-file", "/l", "0B"));
    for (options, words) in [
        (
            &["--log-driver", "nope"][..],
            "running container create option: invalid log driver: invalid argument",
        ),
        (&["--log-opt", "max-size=10x"], "invalid size: '10x'"),
        (&["--log-opt", "max-file=0"], "max-file is from 1 to 1000"),
        (&["--log-opt", "labels=a"], "invalid log option \"labels=a\""),
        (&["--log-opt", "tag=x"], "only the log driver journald has a tag"),
        (&["--log-driver", "none", "--log-opt", "path=/l"], "there is no file"),
        (&["--log-driver", "journald", "--log-opt", "max-size=1k"], "only a file has one"),
        (&["-t", "--log-driver", "passthrough"], "with a terminal"),
    ] {
        cellar.run(&[&["create"], options, &["box:1", "true"]].concat()).ends(125).says(words);
    }
    cellar.container(&[&["--name", "c", "--log-driver", "none"][..], &PRINTS].concat()).ends(3);
    let words = "this container is using the 'none' log driver, cannot read logs: this container is not logging output";
    cellar.run(&["logs", "c"]).ends(125).says(words);
    let drivers = cellar.run(&["info", "--format", "{{.Plugins.Log}} {{.Host.LogDriver}}"]).ok();
    assert_eq!(drivers.text(), "[k8s-file none passthrough journald] k8s-file");
}

#[test]
fn what_passes_through_reads_and_prints_where_its_starter_does() {
    let Some(cellar) = Cellar::new() else { return };
    let own = ["run", "--network", "none", "--log-driver", "passthrough"];
    let file = |name: &str| std::fs::File::create(cellar.path(name)).expect("it is new");
    let text = |name: &str| std::fs::read_to_string(cellar.path(name)).expect("it is there");
    // What it has is the file itself, not a pipe to somebody who writes it.
    let script = "cat; echo err >&2; own=$(ls -l /proc/1/fd/1); echo $own >&2; exit 4";
    let mut attached = cellar.command(&[&own[..], &["--rm", "box:1", "sh", "-c", script]].concat());
    std::fs::write(cellar.path("in"), "typed\n").expect("it is writable");
    let input = std::fs::File::open(cellar.path("in")).expect("it is there");
    attached.stdin(input).stdout(file("out")).stderr(file("err"));
    assert_eq!(attached.status().expect("it runs").code(), Some(4), "{}", text("err"));
    assert_eq!(text("out"), "typed\n");
    let name = cellar.path("out").display().to_string();
    assert!(text("err").starts_with("err\n") && text("err").contains(&name), "{}", text("err"));

    // Detached, nothing else is printed there, and each start has its own.
    let script = "echo up; sleep 1000";
    let detached = [&own[..], &["-d", "--name", "d", "box:1", "sh", "-c", script]].concat();
    let status = cellar.command(&detached).stdin(Stdio::null()).stdout(file("first")).status();
    assert!(status.expect("it runs").success());
    assert_eq!(until(|| text("first"), |text| !text.is_empty()), "up\n");
    let no = "this container is using the 'passthrough' log driver, cannot";
    cellar.run(&["logs", "d"]).ends(125).says(&format!("{no} read logs"));
    cellar.run(&["attach", "d"]).ends(125).says(&format!("{no} attach"));
    cellar.run(&["stop", "-t", "0", "d"]).ok();
    let status =
        cellar.command(&["start", "d"]).stdin(Stdio::null()).stdout(file("second")).status();
    assert!(status.expect("it runs").success());
    let second = until(|| text("second"), |text| text.lines().count() == 2);
    let mut lines: Vec<&str> = second.lines().collect();
    lines.sort_unstable();
    assert_eq!(lines, ["d", "up"]);
    assert_eq!(text("first"), "up\n");
    cellar.run(&["rm", "-f", "-t", "0", "d"]).ok();

    let refused = [&own[..], &["-a", "stdout", "box:1", "true"]].concat();
    let words = "cannot specify --attach with --log-driver=passthrough: invalid argument";
    cellar.run(&refused).ends(125).says(words);
    cellar.is_clean();
}

/// What a journal would print of a container, and the command that does.
const ENTRIES: &str = "__CURSOR=a\\n__REALTIME_TIMESTAMP=1700000000000000\\nPRIORITY=6\\nMESSAGE=one\\n\\n\
    __CURSOR=b\\n__REALTIME_TIMESTAMP=1700000001000000\\nPRIORITY=3\\nMESSAGE=two\\n\\n";

/// Runs a script where the journal of the machine is ours.
pub(crate) fn with_journal(cellar: &Cellar, script: &str) -> Outcome {
    let own = cellar.path("journal").display().to_string();
    let places = format!(
        "mount -t tmpfs none /run && mkdir -p /run/systemd/journal && mount --bind {own} /run/systemd/journal || exit 99
         mount -t tmpfs none /usr/local/bin && test ! -e /usr/bin/journalctl || mount --bind /dev/null /usr/bin/journalctl
         {script}"
    );
    cellar.shell(&format!("exec unshare -m sh -c '{}'", places.replace('\'', "'\\''")))
}

#[test]
fn a_journal_takes_output_and_gives_it_back() {
    if !has(&["unshare", "mount"]) {
        return;
    }
    let Some(cellar) = Cellar::new() else { return };
    std::fs::create_dir(cellar.path("journal")).expect("it is new");
    let run = "$CELLAR run --network none --name c --log-driver journald --log-opt tag={{.Name}}-{{.ImageName}}";
    let prints = "box:1 sh -c \"echo out; echo err >&2; exit 3\"";
    // Where nobody listens nothing begins, and that is said.
    let said = with_journal(&cellar, &format!("{run} {prints}")).ends(126);
    said.says("nobody takes entries there").says("--log-driver");
    cellar.run(&["rm", "c"]).ok();

    let journal = UnixDatagram::bind(cellar.path("journal/socket")).expect("it is new");
    let said = with_journal(&cellar, &format!("{run} {prints}")).ends(3);
    assert_eq!((said.text(), said.stderr.trim()), ("out", "err"));
    journal.set_nonblocking(true).expect("it is a socket");
    let mut entries = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length) = journal.recv(&mut buffer) {
        entries.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    entries.sort();
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok().text().to_owned();
    let entry = |priority: &str, message: &str| {
        format!(
            "CONTAINER_ID_FULL={id}\nCONTAINER_ID={}\nCONTAINER_NAME=c\nCONTAINER_TAG=c-localhost/box:1\n\
             SYSLOG_IDENTIFIER=c-localhost/box:1\nPRIORITY={priority}\nMESSAGE={message}\n",
            &id[..12]
        )
    };
    assert_eq!(entries, [entry("3", "err"), entry("6", "out")]);

    let said = with_journal(&cellar, "$CELLAR logs c").ends(125);
    said.says("there is no journalctl here");
    let reader = format!(
        "cat >/usr/local/bin/journalctl <<END
#!/bin/sh
case \"\\$*\" in
    --sync) ;;
    *--after-cursor=b*) ;;
    *CONTAINER_ID_FULL={id}) printf \"{}\" ;;
    *) exit 1 ;;
esac
END
         chmod +x /usr/local/bin/journalctl",
        ENTRIES.replace('\\', "\\\\\\\\")
    );
    let read = |arguments: &str| {
        let said = with_journal(&cellar, &format!("{reader}\n$CELLAR logs {arguments} c")).ok();
        (said.text().to_owned(), said.stderr.trim().to_owned())
    };
    let (one, two) = ("one".to_owned(), "two".to_owned());
    assert_eq!(read(""), (one.clone(), two.clone()));
    assert_eq!(read("-f"), (one.clone(), two.clone()));
    assert_eq!(read("--tail 1"), (String::new(), two.clone()));
    assert_eq!(read("--until 2023-11-14T22:13:20Z"), (one, String::new()));
    assert_eq!(
        read("-t --since 2023-11-14T22:13:21Z").1,
        format!("2023-11-14T22:13:21.000000000Z {two}")
    );
}

#[test]
fn a_log_in_several_files_is_read_as_one() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "i=0; while test $i -lt 90; do echo line-$i; i=$((i+1)); done";
    let options = ["--log-opt", "max-size=1k", "--log-opt", "max-file=4"];
    let words = ["--name", "c", "box:1", "sh", "-c", script];
    cellar.container(&[&options[..], &words].concat()).ok();
    let numbers = |arguments: &[&str]| -> Vec<u32> {
        let said = cellar.run(&[&["logs"], arguments, &["c"]].concat()).ok();
        let number = |line: &str| line.strip_prefix("line-").and_then(|text| text.parse().ok());
        said.text().lines().map(|line| number(line).expect("it is one of ours")).collect()
    };
    let all = numbers(&[]);
    // A file has 18 of these lines, and the oldest ones are gone.
    assert!((55..90).contains(&all.len()), "{all:?}");
    let last = |count: usize| (90 - u32::try_from(count).unwrap_or(0)..90).collect::<Vec<_>>();
    assert_eq!(all, last(all.len()));
    for count in [1, 18, 40, 100_000] {
        let tail = count.to_string();
        assert_eq!(numbers(&["--tail", &tail]), last(count.min(all.len())), "{count}");
        assert_eq!(numbers(&["-f", "--tail", &tail]), last(count.min(all.len())), "{count}");
    }
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn memory_begins_with_what_the_image_has() {
    let Some(cellar) = Cellar::new() else { return };
    let image = "box:2";
    let fill = "echo tmp >/tmp/of-image; mkdir -p /run; echo run >/run/of-image; \
        head -c 100000 /dev/zero >/data/large; chmod 750 /data";
    cellar.container(&["--name", "made", "box:1", "sh", "-c", fill]).ok();
    cellar.run(&["commit", "-q", "made", image]).ok();
    cellar.run(&["rm", "made"]).ok();
    let prints = |options: &[&str], script: &str| {
        let words = ["--rm", image, "sh", "-c", script];
        let (own, words) = words.split_at(1);
        cellar.container(&[own, options, words].concat()).ok().text().to_owned()
    };
    for options in [
        &["--tmpfs", "/data"][..],
        &["--mount", "type=tmpfs,dst=/data,tmpcopyup"],
        &["--mount", "type=ramfs,dst=/data"],
    ] {
        let found = prints(options, "ls /data; cat /data/of-image; echo new >/data/new");
        assert_eq!(found.lines().collect::<Vec<_>>(), ["large", "of-image", "data"]);
    }
    assert_eq!(prints(&["--tmpfs", "/data:notmpcopyup"], "ls /data"), "");
    let read_only = "cat /tmp/of-image /run/of-image; echo x >>/tmp/of-image && echo written; touch /x 2>/dev/null || echo not";
    assert_eq!(prints(&["--read-only"], read_only), "tmp\nrun\nwritten\nnot");
    assert_eq!(prints(&["--systemd", "always"], "cat /tmp/of-image /run/of-image"), "tmp\nrun");
    // Whoever has other users sees whose files they are.
    let users = ["--uidmap", "0:100000:5000", "--tmpfs", "/data"];
    assert_eq!(prints(&users, "cat /data/of-image; ls -ln /data/of-image | head -c 1"), "data\n-");
    let small = ["--rm", "--tmpfs", "/data:size=64k", image, "true"];
    let said = cellar.container(&small).ends(126);
    said.says("fill the directory in memory on /data").says("65536 bytes that it may hold");
    let told =
        ["create", "--name", "c", "--read-only", "--tmpfs", "/data:notmpcopyup", image, "true"];
    cellar.run(&told).ok();
    let told = cellar.run(&["inspect", "--format", "{{json .HostConfig.Tmpfs}}", "c"]).ok().json();
    assert_eq!(told["/data"], "rw,rprivate,nosuid,nodev");
    assert_eq!(told["/run"], "rw,rprivate,nosuid,nodev,tmpcopyup");
    cellar.run(&["rm", "c"]).ok();
    if has(&["runc"]) {
        let limits = ["--runtime", "runc", "--ulimit", "nofile=64:64", "--tmpfs", "/data"];
        assert_eq!(prints(&limits, "cat /data/of-image"), "data");
    }
    cellar.is_clean();
}
