//! What the machine, the environment and flags of the whole program say.

use tests::{Outcome, PeerStore, command, has, run, scratch};

use crate::{TOOLS, cooper, program, store_with_base};

/// Runs cooper on a store with a variable.
#[track_caller]
fn with(store: &PeerStore, (name, value): (&str, &str), arguments: &[&str]) -> Outcome {
    let mut words = command(program());
    run(store.at_store(&mut words).args(arguments).env(name, value))
}

#[test]
fn what_containers_conf_says_holds_where_no_flag_says_otherwise() {
    if !has(&TOOLS) {
        return;
    }
    let (store, files) = (store_with_base(), scratch());
    let conf = files.at("containers.conf");
    let text = "[containers]\ndefault_ulimits = [\"nofile=100:200\"]\nshm_size = \"1m\"\n\
                default_capabilities = [\"CHOWN\"]\ndevices = [\"/dev/null:/dev/other\"]\n\
                dns_servers = [\"192.0.2.1\"]\n";
    std::fs::write(&conf, text).expect("a scratch directory is writable");
    let variable = ("CONTAINERS_CONF", conf.as_str());
    let check = |options: &[&str], script: &str, expected: &str| {
        let line = [&["from"], options, &["base"]].concat();
        let container = with(&store, variable, &line).ok().text().to_owned();
        // What was said then is remembered.
        let said = cooper(&store, &["run", &container, "--", "sh", "-c", script]).ok();
        assert_eq!(said.text(), expected, "{options:?}");
        cooper(&store, &["rm", &container]).ok();
    };
    check(&[], "ulimit -n", "100");
    check(&["--ulimit", "nofile=50:60"], "ulimit -n", "50");
    let size = "busybox df -k /dev/shm | busybox awk 'END {print $2}'";
    check(&[], size, "1024");
    check(&["--shm-size", "2m"], size, "2048");
    let capabilities = "busybox sed -n 's/^CapEff:.//p' /proc/self/status";
    check(&[], capabilities, "0000000000000001");
    check(&["--cap-add", "kill"], capabilities, "0000000000000021");
    check(&["--cap-drop", "chown"], capabilities, "0000000000000000");
    // Limits hold for containers that were made before.
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let line = ["run", &container, "--", "sh", "-c", "ulimit -n"];
    assert_eq!(with(&store, variable, &line).ok().text(), "100");
    check(&[], "ls /dev/other; cat /etc/resolv.conf", "/dev/other\nnameserver 192.0.2.1");
}

#[test]
fn a_level_of_logging_is_one_of_seven() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    for level in ["trace", "debug", "info", "warn", "error", "fatal", "panic"] {
        cooper(&store, &["--log-level", level, "images"]).ok();
    }
    cooper(&store, &["--debug", "images"]).ok();
    cooper(&store, &["images", "--log-level=telepathic"])
        .ends(125)
        .says("unable to parse log level: not a valid logrus Level: \"telepathic\"");
}

#[test]
fn the_caller_may_allow_some_registries_alone() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |sources: &str, line: &[&str], said: &str| {
        with(&store, ("BUILD_REGISTRY_SOURCES", sources), line).ends(125).says(said);
    };
    let blocked = r#"{"blockedRegistries": ["r.example"]}"#;
    let allowed = r#"{"allowedRegistries": ["other.example"]}"#;
    let place = "docker://r.example/x";
    let lines = [
        ["pull", "--quiet", "r.example/x"],
        ["push", "base", place],
        ["commit", &container, place],
        ["from", "--pull-always", "r.example/x"],
    ];
    for line in lines {
        check(blocked, &line, "denied by policy: it is in the blocked registries list");
        check(allowed, &line, "denied by policy: not in allowed registries list");
    }
    check("x", &["pull", "r.example/x"], "parsing $BUILD_REGISTRY_SOURCES");
}
