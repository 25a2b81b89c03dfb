//! Changes of a config, as instructions of a Containerfile.

use cask_image::ExecutionConfig;

use crate::{Error, ErrorKind, Result};

/// The signals of Linux by their numbers from 1, without `SIG`.
const SIGNALS: [&str; 31] = [
    "HUP", "INT", "QUIT", "ILL", "TRAP", "ABRT", "BUS", "FPE", "KILL", "USR1", "SEGV", "USR2",
    "PIPE", "ALRM", "TERM", "STKFLT", "CHLD", "CONT", "STOP", "TSTP", "TTIN", "TTOU", "URG",
    "XCPU", "XFSZ", "VTALRM", "PROF", "WINCH", "IO", "PWR", "SYS",
];
const FIRST_REAL_TIME: i32 = 34;
const LAST_SIGNAL: i32 = 64;

/// The config that instructions give: `CMD`, `ENTRYPOINT`, `ENV`, `EXPOSE`, `LABEL`, `ONBUILD`,
/// `STOPSIGNAL`, `USER`, `VOLUME` and `WORKDIR`, each as `KEY VALUE` or `KEY=VALUE`.
///
/// They are podman's instructions, not a Containerfile's: one `ENV` or `LABEL` takes one pair, in
/// which all behind the first `=` is the value.
///
/// Source: containers/common, `libimage/image_config.go`, `ImageConfigFromChanges`.
///
/// # Errors
/// [`ErrorKind::Invalid`], in podman's words.
pub fn config_of_changes(changes: &[String]) -> Result<ExecutionConfig> {
    let mut config = ExecutionConfig::default();
    for change in changes {
        let invalid = |why: &str| {
            Error::new(ErrorKind::Invalid, "", format!("invalid change {change:?} - {why}"))
        };
        let parts = change.split_once(' ').or_else(|| change.split_once('='));
        let (key, value) = parts.ok_or_else(|| invalid("must be formatted as KEY VALUE"))?;
        let key = key.trim().to_uppercase();
        apply(&mut config, &key, value.trim()).map_err(|why| invalid(&why))?;
    }
    Ok(config)
}

/// Makes one change; the error says why not.
fn apply(config: &mut ExecutionConfig, key: &str, value: &str) -> Result<(), String> {
    let given = |value: &str| match value {
        "" => Err(format!("must provide a value to {key}")),
        value => Ok(value.to_owned()),
    };
    match key {
        "USER" => config.user = given(value)?,
        "EXPOSE" => {
            config.exposed_ports.insert(port(value)?);
        }
        "ENV" => {
            let (name, value) = value.split_once('=').unwrap_or((value, ""));
            if name.is_empty() {
                return Err("ENV must have at least one argument".to_owned());
            }
            config.env.push(format!("{}={}", unquoted(name), unquoted(value)));
        }
        "ENTRYPOINT" => config.entrypoint = Some(command(value)),
        "CMD" => config.cmd = Some(command(value)),
        "VOLUME" => config.volumes.extend(volumes(value)?),
        "WORKDIR" => config.working_dir = joined(&config.working_dir, &given(value)?),
        "LABEL" => {
            let pair = value.split_once('=');
            let (name, value) = pair.ok_or("LABEL must be formatted key=value")?;
            if name.is_empty() {
                return Err("LABEL must have a non-empty key".to_owned());
            }
            config.labels.insert(unquoted(name).to_owned(), unquoted(value).to_owned());
        }
        "STOPSIGNAL" => {
            let number = signal(value);
            let wrong =
                || format!("KILLSIGNAL must be given a valid signal: invalid signal: {value}");
            config.stop_signal = number.ok_or_else(wrong)?.to_string();
        }
        "ONBUILD" => config.on_build.push(given(value)?),
        _ => return Err(format!("invalid instruction {key}")),
    }
    Ok(())
}

fn port(value: &str) -> Result<String, String> {
    let (number, protocol) = value.split_once('/').unwrap_or((value, "tcp"));
    if protocol.contains('/') {
        return Err("EXPOSE port must be formatted as PORT[/PROTO]".to_owned());
    }
    let number: i64 = number
        .parse()
        .map_err(|_| format!("EXPOSE port must be an integer: {number:?} is none"))?;
    if !(1..=65535).contains(&number) {
        return Err("EXPOSE port must be a valid port number".to_owned());
    }
    let protocol = protocol.to_lowercase();
    if !matches!(protocol.as_str(), "tcp" | "udp") {
        return Err("EXPOSE protocol must be TCP or UDP".to_owned());
    }
    Ok(format!("{number}/{protocol}"))
}

/// A command: a list in JSON, or a line for a shell.
fn command(value: &str) -> Vec<String> {
    serde_json::from_str(value).unwrap_or_else(|_| {
        let line = (!value.is_empty()).then_some(value);
        ["/bin/sh", "-c"].into_iter().chain(line).map(str::to_owned).collect()
    })
}

fn volumes(value: &str) -> Result<Vec<String>, String> {
    let volumes: Vec<String> = serde_json::from_str(value)
        .unwrap_or_else(|_| value.split(' ').map(str::to_owned).collect());
    match volumes.as_slice() {
        [] => Err("must provide at least one argument to VOLUME".to_owned()),
        all if all.iter().any(String::is_empty) => Err("VOLUME paths must not be empty".to_owned()),
        _ => Ok(volumes),
    }
}

fn unquoted(text: &str) -> &str {
    text.strip_prefix('"').and_then(|text| text.strip_suffix('"')).unwrap_or(text)
}

/// Joins paths and cleans the result, as Go's `filepath.Join` does: a later absolute path goes
/// below the earlier one, too.
fn joined(before: &str, path: &str) -> String {
    let is_absolute = before.starts_with('/') || before.is_empty() && path.starts_with('/');
    let mut parts: Vec<&str> = Vec::new();
    for part in before.split('/').chain(path.split('/')) {
        match part {
            "" | "." => {}
            ".." if parts.last().is_some_and(|last| *last != "..") => {
                parts.pop();
            }
            ".." if is_absolute => {}
            part => parts.push(part),
        }
    }
    match (is_absolute, parts.join("/")) {
        (true, path) => format!("/{path}"),
        (false, path) if path.is_empty() => ".".to_owned(),
        (false, path) => path,
    }
}

/// The number of a signal.
///
/// Source: containers/common, `pkg/signal`, `ParseSignalNameOrNumber`.
fn signal(text: &str) -> Option<i32> {
    let upper = text.to_uppercase();
    let name = upper.strip_prefix("SIG").unwrap_or(&upper);
    let real_time = |rest: &str, sign: char| match rest {
        "" => Some(0),
        rest => rest.strip_prefix(sign).and_then(|number| number.parse::<i32>().ok()),
    };
    let number = name.parse().ok().or_else(|| {
        if let Some(rest) = name.strip_prefix("RTMIN") {
            return Some(FIRST_REAL_TIME + real_time(rest, '+')?);
        }
        if let Some(rest) = name.strip_prefix("RTMAX") {
            return Some(LAST_SIGNAL - real_time(rest, '-')?);
        }
        let name = match name {
            "CLD" => "CHLD",
            "IOT" => "ABRT",
            "POLL" => "IO",
            name => name,
        };
        let position = SIGNALS.iter().position(|known| *known == name)?;
        i32::try_from(position + 1).ok()
    });
    number.filter(|number| (1..=LAST_SIGNAL).contains(number))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn made(changes: &[&str]) -> Result<ExecutionConfig> {
        config_of_changes(&changes.iter().map(|change| (*change).to_owned()).collect::<Vec<_>>())
    }

    #[test]
    fn instructions_are_read_as_podman_reads_them() {
        let text = |list: &[&str]| list.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        let env = |change: &str| made(&[change]).unwrap().env;
        assert_eq!(env("ENV=A="), ["A="]);
        assert_eq!(env("ENV A"), ["A="]);
        assert_eq!(env("ENV \"A\"=\"b c\""), ["A=b c"]);
        assert_eq!(env("env A=b c=d"), ["A=b c=d"]);
        let command = |change: &str| made(&[change]).unwrap().cmd.unwrap();
        assert_eq!(command("CMD [\"a\",\"b\"]"), text(&["a", "b"]));
        assert_eq!(command("CMD a b"), text(&["/bin/sh", "-c", "a b"]));
        assert_eq!(command("CMD="), text(&["/bin/sh", "-c"]));
        assert_eq!(made(&["EXPOSE 80/UDP"]).unwrap().exposed_ports.first().unwrap(), "80/udp");
        assert_eq!(made(&["LABEL x=y z=w"]).unwrap().labels["x"], "y z=w");
        assert_eq!(made(&["VOLUME /a /b"]).unwrap().volumes.len(), 2);
        assert_eq!(made(&["WORKDIR /a", "WORKDIR b", "WORKDIR ../c"]).unwrap().working_dir, "/a/c");
        assert_eq!(made(&["user=a"]).unwrap().user, "a");
        assert_eq!(made(&["ONBUILD RUN x"]).unwrap().on_build, ["RUN x"]);
    }

    #[test]
    fn signals_become_numbers() {
        let check =
            |text: &str, expected: Option<i32>| assert_eq!(signal(text), expected, "{text}");
        check("TERM", Some(15));
        check("sigkill", Some(9));
        check("9", Some(9));
        check("SIGRTMIN+3", Some(37));
        check("RTMAX-1", Some(63));
        check("RTMIN", Some(34));
        check("0", None);
        check("65", None);
        check("xx", None);
        check("RTMIN3", None);
    }

    #[test]
    fn what_makes_no_sense_is_refused_in_podman_s_words() {
        let check = |change: &str, expected: &str| {
            let error = made(&[change]).unwrap_err().to_string();
            assert_eq!(error, format!("invalid change {change:?} - {expected}"));
        };
        check("ENV", "must be formatted as KEY VALUE");
        check("ENV =a", "ENV must have at least one argument");
        check("EXPOSE 70000", "EXPOSE port must be a valid port number");
        check("EXPOSE 80/icmp", "EXPOSE protocol must be TCP or UDP");
        check("EXPOSE 80/tcp/x", "EXPOSE port must be formatted as PORT[/PROTO]");
        check("LABEL a", "LABEL must be formatted key=value");
        check("LABEL =a", "LABEL must have a non-empty key");
        check("RUN x", "invalid instruction RUN");
        check("STOPSIGNAL xx", "KILLSIGNAL must be given a valid signal: invalid signal: xx");
        check("USER ", "must provide a value to USER");
        check("VOLUME []", "must provide at least one argument to VOLUME");
    }
}
