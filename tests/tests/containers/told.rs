//! Events: where they are told.

use std::os::unix::net::UnixDatagram;

use tests::{has, run};

use crate::output::with_journal;
use crate::support::Cellar;

#[test]
fn events_are_told_where_the_flag_or_the_file_says() {
    let Some(cellar) = Cellar::new() else { return };
    let (file, conf) = (cellar.path("deep/events"), cellar.path("containers.conf"));
    let told = |arguments: &[&str]| run(cellar.command(arguments).env("CONTAINERS_CONF", &conf));
    let write = |text: &str| {
        let path = format!("events_logfile_path = {:?}\n", file.display().to_string());
        std::fs::write(&conf, format!("[engine]\n{path}{text}")).expect("it is writable");
    };
    write("events_logger = \"file\"\n");
    let words = ["run", "--rm", "--network=none", "--name", "c", "box:1", "true"];
    told(&words).ok();
    told(&["volume", "create", "v"]).ok();
    told(&["tag", "box:1", "box:2"]).ok();
    let here = ["events", "--stream=false", "--format", "{{.Type}} {{.Status}}"];
    let all = [
        "image pull",
        "container create",
        "container init",
        "container start",
        "container attach",
        "container died",
        "container remove",
        "volume create",
        "image tag",
    ];
    assert_eq!(told(&here).ok().text().lines().collect::<Vec<_>>(), all);
    let of_store = cellar.run(&here).ok();
    assert!(!of_store.text().contains("container"), "{of_store}");
    // Nowhere is nowhere, and a flag goes before the file.
    told(&[&["--events-backend=none"][..], &words].concat()).ok();
    told(&["--events-backend=NONE", "events"])
        .ends(125)
        .says("cannot read events with the \"none\" backend");
    assert_eq!(told(&here).ok().text().lines().count(), all.len());
    told(&["--events-backend=syslog", "ps"]).ends(125).says("unknown event logger type: syslog");
    let name = |arguments: &[&str]| {
        told(&[arguments, &["info", "-f", "{{.Host.EventLogger}}"]].concat()).ok().text().to_owned()
    };
    assert_eq!((name(&[]), name(&["--events-backend", "none"])), ("file".into(), "none".into()));
    // It is bounded as the file says.
    write("events_logfile_max_size = \"1k\"\n");
    told(&words).ok();
    let length = std::fs::metadata(&file).expect("it is there").len();
    assert!(length < 1500, "{length}");
    let all = told(&here).ok();
    assert!(all.text().starts_with("system log-rotation\n"), "{all}");
    assert!(all.text().ends_with("container remove"), "{all}");
    cellar.is_clean();
}

#[test]
fn a_journal_is_told_in_podmans_words_and_read() {
    if !has(&["unshare", "mount"]) {
        return;
    }
    let Some(cellar) = Cellar::new() else { return };
    std::fs::create_dir(cellar.path("journal")).expect("it is new");
    let journal = UnixDatagram::bind(cellar.path("journal/socket")).expect("it is new");
    let options = "--network none --name c --label one=1";
    let script =
        format!("$CELLAR --events-backend journald run --rm {options} box:1 sh -c \"exit 7\"");
    with_journal(&cellar, &script).ends(7);
    journal.set_nonblocking(true).expect("it is a socket");
    let mut entries = Vec::new();
    let mut buffer = vec![0; 1 << 16];
    while let Ok(length) = journal.recv(&mut buffer) {
        entries.push(String::from_utf8_lossy(&buffer[..length]).into_owned());
    }
    let died = entries.iter().find(|entry| entry.contains("PODMAN_EVENT=died\n"));
    let died = died.unwrap_or_else(|| panic!("{entries:#?}"));
    for field in [
        "SYSLOG_IDENTIFIER=podman\n",
        "PODMAN_TYPE=container\n",
        "PODMAN_NAME=c\n",
        "PODMAN_IMAGE=localhost/box:1\n",
        "PODMAN_EXIT_CODE=7\n",
        "PODMAN_LABELS={\"one\":\"1\"}\n",
    ] {
        assert!(died.contains(field), "{field} {died}");
    }
    assert!(entries.iter().any(|entry| entry.contains("PODMAN_EVENT=create\n")), "{entries:#?}");
    // What the journal has is printed by its program.
    std::fs::write(cellar.path("journal/printed"), format!("__CURSOR=a\n{died}\n")).expect("new");
    let script = "cat >/usr/local/bin/journalctl <<END
#!/bin/sh
case \"\\$*\" in --sync) ;; *\"SYSLOG_IDENTIFIER=podman _UID=0\") cat /run/systemd/journal/printed ;; esac
END
         chmod +x /usr/local/bin/journalctl
         $CELLAR --events-backend journald events --stream=false --format json";
    let said = with_journal(&cellar, script).ok().json();
    let parts = ["Name", "Status", "ContainerExitCode", "Image"].map(|part| said[part].to_string());
    assert_eq!(parts, ["\"c\"", "\"died\"", "7", "\"localhost/box:1\""]);
    assert_eq!(said["Attributes"]["one"], "1");
    cellar.is_clean();
}

#[test]
fn events_have_what_podman_4_and_later_ones_call_their_time_and_all_of_what_was_made() {
    let Some(cellar) = Cellar::new() else { return };
    let conf = cellar.path("containers.conf");
    let told = |arguments: &[&str]| run(cellar.command(arguments).env("CONTAINERS_CONF", &conf));
    std::fs::write(&conf, "").expect("it is writable");
    let make = ["create", "--network=none", "--name", "c", "box:1", "true"];
    told(&make).ok();
    told(&["start", "-a", "c"]).ok();
    let event = |status: &str, more: &[&str]| {
        let status = format!("event={status}");
        let words = ["events", "--stream=false", "--filter", &status, "--filter", "type=container"];
        told(&[&words[..], more].concat()).ok()
    };
    let died = event("died", &["--format", "json"]).json();
    let nanoseconds = died["timeNano"].as_i64().expect("it is a number");
    assert_eq!(died["time"].as_i64(), Some(nanoseconds / 1_000_000_000));
    assert!(died["Time"].as_str().is_some_and(|text| text.starts_with("20")), "{died}");
    assert_eq!(died["ContainerExitCode"], 0);
    assert_eq!(died["OOMKilled"], false);
    let format = "{{.TimeNano}} {{.OOMKilled}}";
    assert_eq!(event("died", &["--format", format]).text(), format!("{nanoseconds} false"));
    let of_made = ["--format", "{{.ContainerInspectData}}"];
    assert_eq!(event("create", &of_made).text(), "");
    told(&["rm", "c"]).ok();
    // All of it where the file asks for that.
    let words = "[engine]\nevents_container_create_inspect_data = true\n";
    std::fs::write(&conf, words).expect("it is writable");
    told(&make).ok();
    let shown = told(&["container", "inspect", "--size", "c"]).ok().json();
    assert_eq!(event("create", &of_made).json(), shown[0]);
    let line = event("create", &[]).ok();
    assert!(!line.text().contains("GraphDriver"), "{line}");
    told(&["rm", "c"]).ok();
    cellar.is_clean();
}
