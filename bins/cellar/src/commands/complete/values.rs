//! What the value of a flag may be.

use clap::Arg;

use super::Candidates;
use super::line::{Kind, State, Wanted};

/// What stands behind the key of a filter.
#[derive(Clone, Copy)]
enum Value {
    Anything,
    Words(&'static [&'static str]),
    Of(Kind),
}

type Keys = &'static [(&'static str, Value)];

const TRUTHS: Value = Value::Words(&["false", "true"]);
const ANY_CONTAINER: Value = Value::Of(Kind::Containers(State::Any));

/// Source of all: podman, `cmd/podman/common/completion.go`.
const CONTAINERS: Keys = &[
    ("ancestor=", Value::Of(Kind::Images)),
    ("before=", ANY_CONTAINER),
    ("exited=", Value::Anything),
    ("health=", Value::Words(&["healthy", "none", "starting", "unhealthy"])),
    ("id=", Value::Anything),
    ("label=", Value::Anything),
    ("name=", ANY_CONTAINER),
    ("network=", Value::Of(Kind::Networks)),
    ("restart-policy=", Value::Words(RESTARTS)),
    ("since=", ANY_CONTAINER),
    ("status=", Value::Words(STATES)),
    ("until=", Value::Anything),
    ("volume=", Value::Of(Kind::Volumes)),
];
const IMAGES: Keys = &[
    ("after=", Value::Of(Kind::Images)),
    ("before=", Value::Of(Kind::Images)),
    ("containers=", TRUTHS),
    ("dangling=", TRUTHS),
    ("digest=", Value::Anything),
    ("id=", Value::Anything),
    ("intermediate=", TRUTHS),
    ("label=", Value::Anything),
    ("manifest=", TRUTHS),
    ("readonly=", TRUTHS),
    ("reference=", Value::Of(Kind::Images)),
    ("since=", Value::Of(Kind::Images)),
    ("until=", Value::Anything),
];
const NETWORKS: Keys = &[
    ("dangling=", TRUTHS),
    ("driver=", Value::Words(NETWORK_DRIVERS)),
    ("id=", Value::Anything),
    ("label=", Value::Anything),
    ("name=", Value::Of(Kind::Networks)),
    ("until=", Value::Anything),
];
const VOLUMES: Keys = &[
    ("after=", Value::Of(Kind::Volumes)),
    ("anonymous=", TRUTHS),
    ("dangling=", TRUTHS),
    ("driver=", Value::Words(&["image", "local"])),
    ("label=", Value::Anything),
    ("name=", Value::Of(Kind::Volumes)),
    ("opt=", Value::Anything),
    ("scope=", Value::Words(&["local"])),
    ("since=", Value::Of(Kind::Volumes)),
    ("until=", Value::Anything),
];
const SECRETS: Keys = &[("id=", Value::Anything), ("name=", Value::Of(Kind::Secrets))];
const EVENTS: Keys = &[
    ("container=", ANY_CONTAINER),
    ("event=", Value::Anything),
    ("image=", Value::Of(Kind::Images)),
    ("label=", Value::Anything),
    ("type=", Value::Words(&["container", "image", "network", "pod", "system", "volume"])),
    ("volume=", Value::Of(Kind::Volumes)),
];
const PRUNED: Keys = &[("label=", Value::Anything), ("until=", Value::Anything)];

const STATES: &[&str] = &[
    "created",
    "exited",
    "initialized",
    "paused",
    "removing",
    "running",
    "stopped",
    "stopping",
    "unknown",
];
const RESTARTS: &[&str] = &["always", "no", "on-failure", "unless-stopped"];
const NETWORK_DRIVERS: &[&str] = &["bridge", "macvlan", "ipvlan"];

/// The value of a flag, by the names of the commands and of the flag.
pub(super) fn of_flag(path: &[&str], flag: &Arg, start: &str) -> Wanted {
    let values = flag.get_possible_values();
    if !values.is_empty() {
        let names = values.iter().map(clap::builder::PossibleValue::get_name);
        return Wanted::Words(fitting(names, "", start));
    }
    let group = path.first().copied().unwrap_or_default();
    let verb = path.last().copied().unwrap_or_default();
    let name = flag.get_long().unwrap_or_default();
    let there = |kind| Wanted::There(kind, start.to_owned());
    let fixed: &[&str] = match name {
        "network" | "net" => return there(Kind::NetworkModes),
        "volumes-from" | "requires" => return there(Kind::Containers(State::Any)),
        "secret" => return there(Kind::Secrets),
        "pod" => return there(Kind::Pods),
        "exit-policy" => &["continue", "stop"],
        "share" => &["cgroup", "ipc", "net", "none", "pid", "uts"],
        "init-ctr" => &["always", "once"],
        "filter" => return filter(keys(group, verb), start),
        "change" => &["CMD=", "ENTRYPOINT=", "ENV=", "EXPOSE=", "LABEL=", "USER=", "VOLUME="],
        "cgroup-manager" => &["cgroupfs", "systemd"],
        "cgroups" => &["disabled", "enabled", "no-conmon", "split"],
        "compression-format" => &["gzip", "zstd", "zstd:chunked"],
        "driver" => match group {
            "network" => NETWORK_DRIVERS,
            "secret" => &["file"],
            _ => &["image", "local"],
        },
        "events-backend" => &["file", "journald", "none"],
        "format" => match verb {
            "build" | "commit" => &["docker", "oci"],
            "push" => &["oci", "v2s2"],
            "save" => &["docker-archive", "docker-dir", "oci-archive", "oci-dir"],
            _ => &["json"],
        },
        "health-on-failure" => &["kill", "none", "restart", "stop"],
        "image-volume" => &["anonymous", "ignore", "tmpfs"],
        "ipam-driver" => &["host-local", "none"],
        "log-driver" => &["journald", "json-file", "k8s-file", "none", "passthrough"],
        "log-level" => &["debug", "error", "fatal", "info", "panic", "trace", "warn"],
        "pid" | "ipc" | "uts" | "cgroupns" => &["container:", "host", "ns:", "private"],
        "pull" | "policy" => &["always", "missing", "never", "newer"],
        "restart" => RESTARTS,
        "sdnotify" => &["conmon", "container", "ignore"],
        "signal" | "stop-signal" => {
            &["SIGHUP", "SIGINT", "SIGKILL", "SIGQUIT", "SIGTERM", "SIGUSR1", "SIGUSR2"]
        }
        "sort" => match (group, verb) {
            ("images", _) | ("image", "ls") => &["created", "id", "repository", "size", "tag"],
            _ => &["command", "created", "id", "image", "names", "runningfor", "size", "status"],
        },
        "storage-driver" => &["overlay", "vfs"],
        "systemd" => &["always", "false", "true"],
        "type" if group == "image" => &["accept", "reject", "signedBy"],
        "type" => &["all", "container", "image", "network", "pod", "volume"],
        "userns" => &["auto", "container:", "host", "keep-id", "nomap", "ns:"],
        "name" | "hostname" | "label" | "annotation" | "memory" | "cpus" | "pids-limit"
        | "time" | "ip" | "ip6" | "mac-address" | "publish" | "user" | "last" | "tail"
        | "since" | "until" | "interval" | "platform" | "arch" | "os" | "variant" | "creds"
        | "username" | "password" => return Wanted::Nothing,
        _ => return Wanted::Files,
    };
    Wanted::Words(fitting(fixed.iter().copied(), "", start))
}

/// What begins so, behind a key.
fn fitting<'w>(names: impl Iterator<Item = &'w str>, key: &str, start: &str) -> Candidates {
    let fitting = names.filter(|name| name.starts_with(start));
    fitting.map(|name| (format!("{key}{name}"), String::new())).collect()
}

/// What the filters of a command are about.
fn keys(group: &str, verb: &str) -> Keys {
    match (group, verb) {
        ("image", "ls") | ("images", _) => IMAGES,
        ("network", "ls") => NETWORKS,
        ("volume", "ls") => VOLUMES,
        ("secret", _) => SECRETS,
        (_, "events") => EVENTS,
        (_, "prune") => PRUNED,
        _ => CONTAINERS,
    }
}

/// A key, and what stands behind it.
fn filter(keys: Keys, start: &str) -> Wanted {
    let Some((key, value)) = keys.iter().find(|(key, _)| start.starts_with(key)) else {
        return Wanted::Keys(fitting(keys.iter().map(|(key, _)| *key), "", start));
    };
    let rest = &start[key.len()..];
    match value {
        Value::Anything => Wanted::Nothing,
        Value::Words(known) => Wanted::Words(fitting(known.iter().copied(), key, rest)),
        Value::Of(kind) => Wanted::Behind((*key).to_owned(), *kind, rest.to_owned()),
    }
}
