//! What instructions and flags make of an image's config.

use std::path::{Component, Path};

use cask_containerfile::instruction::{CommandLine, Healthcheck as HealthcheckWords};
use cask_containerfile::{Behavior, Dialect};
use cask_image::{ExecutionConfig, Healthcheck, ImageConfig};
use cask_runtime::DEFAULT_PATH;

/// The shell of images that name none.
const DEFAULT_SHELL: [&str; 2] = ["/bin/sh", "-c"];

/// Names of signals that STOPSIGNAL takes, without `SIG`.
///
/// Source: moby/sys/signal, `SignalMap` for Linux.
const SIGNALS: [&str; 36] = [
    "ABRT", "ALRM", "BUS", "CHLD", "CLD", "CONT", "FPE", "HUP", "ILL", "INT", "IO", "IOT", "KILL",
    "PIPE", "POLL", "PROF", "PWR", "QUIT", "RTMAX", "RTMIN", "SEGV", "STKFLT", "STOP", "SYS",
    "TERM", "TRAP", "TSTP", "TTIN", "TTOU", "URG", "USR1", "USR2", "VTALRM", "WINCH", "XCPU",
    "XFSZ",
];

/// Adds the search path to an environment that has none.
pub(crate) fn default_path(config: &mut ExecutionConfig) {
    if !config.env.iter().any(|entry| entry.starts_with("PATH=")) {
        config.env.push(format!("PATH={DEFAULT_PATH}"));
    }
}

/// The environment as names and values.
pub(crate) fn environment(config: &ExecutionConfig) -> Vec<(String, String)> {
    let pair = |entry: &String| match entry.split_once('=') {
        Some((name, value)) => (name.to_owned(), value.to_owned()),
        None => (entry.clone(), String::new()),
    };
    config.env.iter().map(pair).collect()
}

/// Sets a variable, in the place that it has.
pub(crate) fn set_environment(config: &mut ExecutionConfig, name: &str, value: &str) {
    let entry = format!("{name}={value}");
    let is_it = |old: &String| old.split_once('=').map_or(old.as_str(), |(name, _)| name) == name;
    match config.env.iter_mut().find(|old| is_it(old)) {
        Some(old) => *old = entry,
        None => config.env.push(entry),
    }
}

/// Takes a variable away.
pub(crate) fn unset_environment(config: &mut ExecutionConfig, name: &str) {
    config.env.retain(|old| old.split_once('=').map_or(old.as_str(), |(name, _)| name) != name);
}

/// The shell that commands are given to.
pub(crate) fn shell(config: &ExecutionConfig) -> Vec<String> {
    match &config.shell {
        Some(shell) if !shell.is_empty() => shell.clone(),
        _ => DEFAULT_SHELL.map(str::to_owned).to_vec(),
    }
}

/// The arguments of CMD or ENTRYPOINT.
pub(crate) fn command(
    command: &CommandLine,
    config: &ExecutionConfig,
    dialect: Dialect,
) -> Vec<String> {
    match command {
        CommandLine::Exec(words) => words.iter().map(|word| word.text.to_string()).collect(),
        CommandLine::Shell(text) if text.text.is_empty() => Vec::new(),
        CommandLine::Shell(text) => {
            let mut words = match dialect.does(Behavior::ShellAppliesToCmd) {
                true => shell(config),
                false => DEFAULT_SHELL.map(str::to_owned).to_vec(),
            };
            words.push(text.text.to_string());
            words
        }
    }
}

/// What HEALTHCHECK puts into the config.
pub(crate) fn healthcheck(words: &HealthcheckWords) -> Healthcheck {
    let HealthcheckWords::Command {
        command,
        interval,
        timeout,
        start_period,
        start_interval,
        retries,
        ..
    } = words
    else {
        return Healthcheck { test: vec!["NONE".to_owned()], ..Healthcheck::default() };
    };
    let test = match command {
        CommandLine::Exec(words) => {
            let words = words.iter().map(|word| word.text.to_string());
            std::iter::once("CMD".to_owned()).chain(words).collect()
        }
        CommandLine::Shell(text) => vec!["CMD-SHELL".to_owned(), text.text.to_string()],
    };
    Healthcheck {
        test,
        interval: interval.unwrap_or_default(),
        timeout: timeout.unwrap_or_default(),
        start_period: start_period.unwrap_or_default(),
        start_interval: start_interval.unwrap_or_default(),
        retries: *retries,
    }
}

/// The highest number of a signal.
pub(crate) const LAST_SIGNAL: u32 = 64;

/// Whether a text names a signal, or is a number. As with peers, the number may be one that no signal has.
pub(crate) fn is_signal(text: &str) -> bool {
    if let Ok(number) = text.parse::<u32>() {
        return number > 0 && i32::try_from(number).is_ok();
    }
    let upper = text.to_ascii_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |prefix: &str| {
        let rest = name.strip_prefix(prefix)?;
        rest.parse::<u32>().ok().filter(|number| (1..=15).contains(number))
    };
    SIGNALS.contains(&name) || real_time("RTMIN+").is_some() || real_time("RTMAX-").is_some()
}

/// Where WORKDIR leads: relative to the directory before, without `.` and `..`.
pub(crate) fn working_directory(before: &str, path: &str) -> String {
    let joined = Path::new("/").join(before).join(path);
    let mut parts: Vec<&str> = Vec::new();
    for component in joined.components() {
        match component {
            Component::Normal(part) => parts.extend(part.to_str()),
            Component::ParentDir => drop(parts.pop()),
            _ => {}
        }
    }
    format!("/{}", parts.join("/"))
}

/// What a config has that an OCI image is not meant to have: the names of the instructions.
pub(crate) fn docker_only(config: &ImageConfig) -> Vec<&'static str> {
    let config = &config.config;
    let has = [
        (config.healthcheck.is_some(), "HEALTHCHECK"),
        (config.shell.is_some(), "SHELL"),
        (!config.on_build.is_empty(), "ONBUILD"),
    ];
    has.into_iter().filter(|(has, _)| *has).map(|(_, name)| name).collect()
}

/// Takes that away.
pub(crate) fn remove_docker_only(config: &mut ImageConfig) {
    config.config.healthcheck = None;
    config.config.shell = None;
    config.config.on_build.clear();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn directories_are_joined_and_cleaned() {
        fn check(before: &str, path: &str, expected: &str) {
            assert_eq!(working_directory(before, path), expected, "{before} {path}");
        }
        check("", "a", "/a");
        check("/a", "b/", "/a/b");
        check("/a", "/b", "/b");
        check("/a", "../../..", "/");
        check("/a", "./b//c/../d", "/a/b/d");
        check("", "/", "/");
        check("/x", "", "/x");
    }

    #[test]
    fn signals_have_names_and_numbers() {
        for good in ["9", "64", "99", "SIGTERM", "term", "SIGRTMIN+3", "RTMAX-15", "SIGRTMIN"] {
            assert!(is_signal(good), "{good}");
        }
        for bad in ["", "0", "-1", "2147483648", "SIGNONE", "SIGRTMIN+16", "SIG"] {
            assert!(!is_signal(bad), "{bad}");
        }
    }

    #[test]
    fn variables_keep_their_places() {
        let mut config = ExecutionConfig::default();
        config.env = vec!["A=1".to_owned(), "B".to_owned(), "AA=2".to_owned()];
        set_environment(&mut config, "AA", "3");
        set_environment(&mut config, "B", "4");
        set_environment(&mut config, "C", "5");
        default_path(&mut config);
        unset_environment(&mut config, "A");
        let expected = ["B=4", "AA=3", "C=5", &format!("PATH={DEFAULT_PATH}")];
        assert_eq!(config.env, expected);
        default_path(&mut config);
        assert_eq!(config.env.len(), 4);
    }
}
