//! Changes of what a working container's image will say, with buildah's rules for values: a `-`
//! behind a value takes it away, a `-` alone takes all of them.

use std::time::Duration;

use cask_image::{ImageFormat, PlatformWanted, Timestamp};
use serde_json::{Map, Value, json};

use super::shell_words::split;
use super::state::{BOTH_KINDS, Kind, State};
use crate::{Error, ErrorKind, Result};

/// What stands before the text of a step that ran nothing.
const NOTHING_RUN: &str = "/bin/sh -c #(nop) ";

/// A change of what the image of a working container will say. The values are those of `buildah
/// config`.
///
/// Source: buildah, `cmd/buildah/config.go`.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ConfigChange {
    /// Who made the image.
    Author(String),
    /// How its layer was made, for the history.
    CreatedBy(String),
    /// The architecture.
    Architecture(String),
    /// The variant of the architecture.
    Variant(String),
    /// The operating system.
    Os(String),
    /// The version of the operating system.
    OsVersion(String),
    /// Features of the operating system.
    OsFeatures(Vec<String>),
    /// The user.
    User(String),
    /// The shell, as a shell would read it.
    Shell(String),
    /// The signal that ends it.
    StopSignal(String),
    /// Ports.
    Ports(Vec<String>),
    /// Variables: `NAME=VALUE`, in which `$OTHER` is replaced. Those without a value must have got
    /// theirs from the caller's environment already.
    Environment(Vec<String>),
    /// One variable, and its value as it is: nothing in it is replaced.
    Variable(String, String),
    /// The entry point: a JSON list, or a text for `/bin/sh -c`.
    Entrypoint(String),
    /// The command: a JSON list, or a text as a shell would read it.
    Command(String),
    /// Directories that are volumes.
    Volumes(Vec<String>),
    /// How to find out whether it works.
    Healthcheck(HealthcheckChange),
    /// Labels.
    Labels(Vec<String>),
    /// Labels that go, by name.
    RemoveLabels(Vec<String>),
    /// Annotations that go, by name.
    RemoveAnnotations(Vec<String>),
    /// The directory in which it begins.
    WorkingDirectory(String),
    /// A comment; Docker's format only.
    Comment(String),
    /// A comment for the history.
    HistoryComment(String),
    /// The domain; Docker's format only.
    DomainName(String),
    /// The name of the host; Docker's format only.
    HostName(String),
    /// Instructions for builds that start from the image; Docker's format only.
    OnBuild(Vec<String>),
    /// Annotations.
    Annotations(Vec<String>),
    /// A config of Docker's, which comes over what is said.
    Config(Map<String, Value>),
}

/// What changes of how to find out whether the program works. What is `None` stays as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct HealthcheckChange {
    /// `CMD` and arguments, `CMD-SHELL` and a command, or `NONE`: as a shell would read it. Empty
    /// takes the check away.
    pub test: Option<String>,
    /// The time between two checks.
    pub interval: Option<Duration>,
    /// How long one check may take.
    pub timeout: Option<Duration>,
    /// How long the program may take to start.
    pub start_period: Option<Duration>,
    /// The time between two checks while the program starts.
    pub start_interval: Option<Duration>,
    /// How many checks have to fail in a row.
    pub retries: Option<u32>,
    /// How the options were written, for the history: `--interval=5s `.
    pub written: String,
}

/// What changes are made with.
pub(super) struct Changing<'s> {
    pub(super) state: &'s mut State,
    /// When entries of the history are made; none are without.
    pub(super) history: Option<Timestamp>,
    /// What the user is to be told.
    pub(super) warnings: Vec<String>,
}

impl Changing<'_> {
    pub(super) fn apply(&mut self, change: &ConfigChange) -> Result<()> {
        match change {
            ConfigChange::Author(text) => self.state.set_image_text("author", text),
            ConfigChange::CreatedBy(text) => self.state.set_text("created-by", text),
            // Without one it is this machine's.
            ConfigChange::Architecture(text) if text.is_empty() => {
                let usual = PlatformWanted::of_this_build().architecture;
                self.state.set_image_text("architecture", &usual);
            }
            ConfigChange::Architecture(text) => self.state.set_image_text("architecture", text),
            ConfigChange::Variant(text) => self.state.set_image_text("variant", text),
            ConfigChange::Os(text) if text.is_empty() => {
                self.state.set_image_text("os", &PlatformWanted::of_this_build().os);
            }
            ConfigChange::Os(text) => self.state.set_image_text("os", text),
            ConfigChange::OsVersion(text) => self.state.set_image_text("os.version", text),
            ConfigChange::OsFeatures(features) => self.os_features(features),
            ConfigChange::User(text) => self.text("User", "USER", text),
            ConfigChange::Shell(text) => self.shell(text)?,
            ConfigChange::StopSignal(text) => self.text("StopSignal", "STOPSIGNAL", text),
            ConfigChange::Ports(ports) => self.ports(ports),
            ConfigChange::Environment(variables) => self.environment(variables)?,
            ConfigChange::Variable(name, value) => self.set_variable(name, Some(value)),
            ConfigChange::Entrypoint(text) => self.entrypoint(text),
            ConfigChange::Command(text) => self.command(text)?,
            ConfigChange::Volumes(volumes) => self.volumes(volumes),
            ConfigChange::Healthcheck(change) => self.healthcheck(change)?,
            ConfigChange::Labels(labels) => self.labels(labels),
            ConfigChange::RemoveLabels(names) => self.remove_labels(names),
            ConfigChange::RemoveAnnotations(names) => {
                let annotations = self.state.annotations_mut();
                names.iter().for_each(|name| drop(annotations.remove(name)));
            }
            ConfigChange::Config(given) => self.config(given)?,
            ConfigChange::WorkingDirectory(text) => self.text("WorkingDir", "WORKDIR", text),
            ConfigChange::Comment(text) => self.comment(text),
            ConfigChange::HistoryComment(text) => self.state.set_text("history-comment", text),
            ConfigChange::DomainName(text) => self.docker_text("Domainname", "domainname", text),
            ConfigChange::HostName(text) => self.host_name(text),
            ConfigChange::OnBuild(instructions) => self.on_build(instructions),
            ConfigChange::Annotations(annotations) => {
                edit_pairs(self.state.annotations_mut(), annotations);
            }
        }
        Ok(())
    }

    fn add_history(&mut self, text: &str) {
        if let Some(created) = self.history {
            self.state.add_history(created, &format!("{NOTHING_RUN}{text}"));
        }
    }

    fn warn_of_docker_only(&mut self, what: &str, said: &str) {
        if self.state.format() != ImageFormat::Docker {
            self.warnings.push(format!(
                "{what} is not supported for OCI image format, {said} will be ignored. Must use `docker` format"
            ));
        }
    }

    /// A text that both formats have.
    fn text(&mut self, key: &str, instruction: &str, text: &str) {
        for kind in BOTH_KINDS {
            let fields = self.state.execution_mut(kind);
            match (kind, text) {
                (Kind::Oci, "") => drop(fields.remove(key)),
                _ => drop(fields.insert(key.to_owned(), json!(text))),
            }
        }
        self.add_history(&format!("{instruction} {text}"));
    }

    fn docker_text(&mut self, key: &str, what: &str, text: &str) {
        if !text.is_empty() {
            self.warn_of_docker_only(&what.to_uppercase(), &format!("{what} {text}"));
        }
        self.state.execution_mut(Kind::Docker).insert(key.to_owned(), json!(text));
    }

    fn host_name(&mut self, text: &str) {
        if !text.is_empty() && self.state.format() != ImageFormat::Docker {
            self.warnings.push(format!(
                "HOSTNAME is not supported for OCI V1 image format, hostname {text} will be ignored. Must use `docker` format"
            ));
        }
        self.state.execution_mut(Kind::Docker).insert("Hostname".to_owned(), json!(text));
    }

    fn comment(&mut self, text: &str) {
        if !text.is_empty() {
            self.warn_of_docker_only("COMMENT", &format!("comment {text}"));
        }
        let docker = self.state.image_mut(Kind::Docker);
        match text {
            "" => drop(docker.remove("comment")),
            text => drop(docker.insert("comment".to_owned(), json!(text))),
        }
    }

    fn on_build(&mut self, instructions: &[String]) {
        for instruction in instructions {
            if !instruction.is_empty() {
                self.warn_of_docker_only("ONBUILD", instruction);
            }
            let mut all = self.state.execution_list(Kind::Docker, "OnBuild");
            all.push(instruction.clone());
            self.state.execution_mut(Kind::Docker).insert("OnBuild".to_owned(), json!(all));
            self.add_history(&format!("ONBUILD {instruction}"));
        }
    }

    fn os_features(&mut self, features: &[String]) {
        for kind in BOTH_KINDS {
            let image = self.state.image_mut(kind);
            let mut all = super::state::texts(image.get("os.features"));
            for feature in features {
                match (feature.as_str(), feature.strip_suffix('-')) {
                    ("-", _) => all.clear(),
                    (_, Some(feature)) => all.retain(|known| known != feature),
                    _ if all.contains(feature) => {}
                    _ => all.push(feature.clone()),
                }
            }
            match all.is_empty() {
                true => drop(image.remove("os.features")),
                false => drop(image.insert("os.features".to_owned(), json!(all))),
            }
        }
    }

    fn shell(&mut self, text: &str) -> Result<()> {
        let words = split(text).map_err(|error| cannot_parse("--shell", text, &error))?;
        if !words.is_empty() {
            self.warn_of_docker_only("SHELL", &format!("[{}]", words.join(" ")));
        }
        let docker = self.state.execution_mut(Kind::Docker);
        match words.is_empty() {
            true => drop(docker.remove("Shell")),
            false => drop(docker.insert("Shell".to_owned(), json!(words))),
        }
        self.add_history(&format!("SHELL {text}"));
        Ok(())
    }

    fn ports(&mut self, ports: &[String]) {
        for kind in BOTH_KINDS {
            edit_set(self.state.execution_mut(kind), "ExposedPorts", ports);
        }
        self.add_history(&format!("EXPOSE {}", ports.join(" ")));
    }

    fn volumes(&mut self, volumes: &[String]) {
        for kind in BOTH_KINDS {
            edit_set(self.state.execution_mut(kind), "Volumes", volumes);
        }
        for volume in volumes {
            self.add_history(&format!("VOLUME {volume}"));
        }
    }

    fn environment(&mut self, variables: &[String]) -> Result<()> {
        for variable in variables {
            match variable.split_once('=') {
                Some((name, value)) => {
                    let known = self.state.execution_list(Kind::Oci, "Env");
                    let (value, unknown) = expand(value, &known);
                    self.warnings.extend(unknown.into_iter().map(|name| {
                        format!("error expanding variable {name:?}: no value set in configuration")
                    }));
                    self.set_variable(name, Some(&value));
                }
                None if variable == "-" => {
                    for kind in BOTH_KINDS {
                        set_list(self.state.execution_mut(kind), kind, "Env", &[]);
                    }
                }
                None => match variable.strip_suffix('-') {
                    Some(name) => self.set_variable(name, None),
                    None => {
                        return Err(Error::new(
                            ErrorKind::Invalid,
                            format!("setting env {variable:?}"),
                            "no value given",
                        ));
                    }
                },
            }
        }
        self.add_history(&format!("ENV {}", variables.join(" ")));
        Ok(())
    }

    /// Sets a variable or takes it away; one that is set comes last.
    pub(super) fn set_variable(&mut self, name: &str, value: Option<&str>) {
        for kind in BOTH_KINDS {
            let mut all = self.state.execution_list(kind, "Env");
            let is_it =
                |entry: &String| entry.strip_prefix(name).is_some_and(|rest| rest.starts_with('='));
            all.retain(|entry| !is_it(entry));
            all.extend(value.map(|value| format!("{name}={value}")));
            set_list(self.state.execution_mut(kind), kind, "Env", &all);
        }
    }

    fn entrypoint(&mut self, text: &str) {
        let command = self.state.execution_list(Kind::Oci, "Cmd");
        let command = (!command.is_empty()).then(|| format!("{:?}", command.join(" ")));
        let words = match (text.trim().is_empty(), json_list(text)) {
            (true, _) => Vec::new(),
            (false, Some(words)) => {
                self.warnings.extend(command.map(|command| {
                    format!("cmd {command} exists and will be passed to entrypoint as a parameter")
                }));
                words
            }
            (false, None) => {
                self.warnings.extend(command.map(|command| {
                    format!(
                        "cmd {command} exists but will be ignored because of entrypoint settings"
                    )
                }));
                vec!["/bin/sh".to_owned(), "-c".to_owned(), text.to_owned()]
            }
        };
        self.set_both("Entrypoint", &words);
        self.add_history(&format!("ENTRYPOINT {text}"));
    }

    fn command(&mut self, text: &str) -> Result<()> {
        let words = match json_list(text) {
            Some(words) => words,
            None => split(text).map_err(|error| cannot_parse("--cmd", text, &error))?,
        };
        self.set_both("Cmd", &words);
        self.add_history(&format!("CMD {text}"));
        Ok(())
    }

    fn set_both(&mut self, key: &str, words: &[String]) {
        for kind in BOTH_KINDS {
            set_list(self.state.execution_mut(kind), kind, key, words);
        }
    }

    fn labels(&mut self, labels: &[String]) {
        for kind in BOTH_KINDS {
            let fields = self.state.execution_mut(kind);
            let mut all = map(fields, "Labels");
            edit_pairs(&mut all, labels);
            put_map(fields, "Labels", all);
        }
        self.add_history(&format!("LABEL {}", labels.join(" ")));
    }

    fn remove_labels(&mut self, names: &[String]) {
        for kind in BOTH_KINDS {
            let fields = self.state.execution_mut(kind);
            let mut all = map(fields, "Labels");
            names.iter().for_each(|name| drop(all.remove(name)));
            put_map(fields, "Labels", all);
        }
    }

    fn healthcheck(&mut self, change: &HealthcheckChange) -> Result<()> {
        let known =
            self.state.execution(Kind::Docker).and_then(|f| f.get("Healthcheck")?.as_object());
        let mut check = known.cloned().unwrap_or_else(|| {
            let half_a_minute = json!(30_000_000_000_u64);
            let default = [
                ("Test", json!(["NONE"])),
                ("Interval", half_a_minute.clone()),
                ("Timeout", half_a_minute),
                ("Retries", json!(3)),
            ];
            default.map(|(key, value)| (key.to_owned(), value)).into_iter().collect()
        });
        if let Some(text) = &change.test {
            let words = split(text).map_err(|error| cannot_parse("--healthcheck", text, &error))?;
            check.insert("Test".to_owned(), json!(words));
        }
        let durations = [
            ("Interval", change.interval),
            ("StartPeriod", change.start_period),
            ("StartInterval", change.start_interval),
            ("Timeout", change.timeout),
        ];
        for (key, duration) in durations {
            let Some(duration) = duration else { continue };
            let nanoseconds = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
            put_number(&mut check, key, nanoseconds);
        }
        if let Some(retries) = change.retries {
            put_number(&mut check, "Retries", i64::from(retries));
        }
        let fields = self.state.execution_mut(Kind::Docker);
        if super::state::texts(check.get("Test")).is_empty() {
            fields.remove("Healthcheck");
            self.add_history("HEALTHCHECK NONE");
            return Ok(());
        }
        fields.insert("Healthcheck".to_owned(), Value::Object(check));
        if self.state.format() != ImageFormat::Docker {
            self.warnings.push(
                "HEALTHCHECK is not supported for OCI image format and will be ignored. Must use `docker` format"
                    .to_owned(),
            );
        }
        let test = change.test.as_deref().unwrap_or_default();
        self.add_history(&format!("HEALTHCHECK {}{test}", change.written));
        Ok(())
    }
}

fn cannot_parse(flag: &str, text: &str, error: &str) -> Error {
    Error::new(ErrorKind::Invalid, format!("parsing {flag} {text:?}"), error)
}

/// A JSON list of texts; `null` is an empty one.
fn json_list(text: &str) -> Option<Vec<String>> {
    serde_json::from_str::<Option<Vec<String>>>(text).ok().map(Option::unwrap_or_default)
}

/// Sets a list as Go writes it: OCI leaves an empty one out.
pub(super) fn set_list(fields: &mut Map<String, Value>, kind: Kind, key: &str, words: &[String]) {
    match (kind, words.is_empty()) {
        (Kind::Oci, true) => drop(fields.remove(key)),
        _ => drop(fields.insert(key.to_owned(), json!(words))),
    }
}

fn put_number(fields: &mut Map<String, Value>, key: &str, number: i64) {
    match number {
        0 => drop(fields.remove(key)),
        number => drop(fields.insert(key.to_owned(), json!(number))),
    }
}

pub(super) fn map(fields: &Map<String, Value>, key: &str) -> Map<String, Value> {
    fields.get(key).and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Puts a map back where there was one, or where it says something.
pub(super) fn put_map(fields: &mut Map<String, Value>, key: &str, map: Map<String, Value>) {
    match map.is_empty() {
        // Null for Docker, nothing for OCI: whatever stood there before.
        true if fields.get(key).is_some_and(Value::is_null) => {}
        true => drop(fields.remove(key)),
        false => drop(fields.insert(key.to_owned(), Value::Object(map))),
    }
}

/// Adds keys to a set, or takes them away.
fn edit_set(fields: &mut Map<String, Value>, key: &str, changes: &[String]) {
    let mut set = map(fields, key);
    for change in changes {
        match (change.as_str(), change.strip_suffix('-')) {
            ("-", _) => set.clear(),
            (_, Some(name)) => drop(set.remove(name)),
            (name, None) => drop(set.insert(name.to_owned(), json!({}))),
        }
    }
    put_map(fields, key, set);
}

/// Adds `NAME=VALUE` to a map, or takes names away.
fn edit_pairs(map: &mut Map<String, Value>, changes: &[String]) {
    for change in changes {
        match (change.split_once('='), change.strip_suffix('-')) {
            (Some((name, value)), _) => drop(map.insert(name.to_owned(), json!(value))),
            (None, Some("")) => map.clear(),
            (None, Some(name)) => drop(map.remove(name)),
            (None, None) => drop(map.insert(change.clone(), json!(""))),
        }
    }
}

/// Replaces variables in a text as Go's `os.Expand` does; gives those that have no value, which
/// stand for their names.
fn expand(text: &str, known: &[String]) -> (String, Vec<String>) {
    let mut unknown = Vec::new();
    let mut value = |name: &str| {
        let find = |entry: &String| {
            let (known, value) = entry.split_once('=')?;
            (known == name).then(|| value.to_owned())
        };
        known.iter().find_map(find).unwrap_or_else(|| {
            unknown.push(name.to_owned());
            name.to_owned()
        })
    };
    let mut out = String::new();
    let mut rest = text;
    while let Some(dollar) = rest.find('$') {
        out.push_str(&rest[..dollar]);
        rest = &rest[dollar + 1..];
        let (name, length) = shell_name(rest);
        match (name, length) {
            // Go eats what makes no sense, and leaves a `$` that nothing follows.
            ("", 0) => out.push('$'),
            ("", _) => {}
            (name, _) => out.push_str(&value(name)),
        }
        rest = &rest[length..];
    }
    out.push_str(rest);
    (out, unknown)
}

/// The name at the beginning of a text, and how many bytes it takes with its braces.
///
/// Source: Go, `os.getShellName`.
fn shell_name(text: &str) -> (&str, usize) {
    let is_special = |c: char| "*#$@!?-0123456789".contains(c);
    if let Some(braced) = text.strip_prefix('{') {
        let mut characters = braced.chars();
        if let (Some(first), Some('}')) = (characters.next(), characters.next())
            && is_special(first)
        {
            return (&braced[..1], 3);
        }
        return match braced.find('}') {
            Some(0) => ("", 2),
            Some(end) => (&braced[..end], end + 2),
            None => ("", 1),
        };
    }
    if text.starts_with(is_special) {
        return (&text[..1], 1);
    }
    let end = text.find(|c: char| !(c == '_' || c.is_ascii_alphanumeric())).unwrap_or(text.len());
    (&text[..end], end)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn state() -> State {
        let mut state = State::new();
        state.take_nothing();
        state
    }

    fn change(state: &mut State, change: &ConfigChange) -> Vec<String> {
        let mut changing = Changing { state, history: None, warnings: Vec::new() };
        changing.apply(change).unwrap();
        changing.warnings
    }

    fn words(all: &[&str]) -> Vec<String> {
        all.iter().map(|word| (*word).to_owned()).collect()
    }

    #[test]
    fn a_dash_takes_away() {
        let mut state = state();
        change(&mut state, &ConfigChange::Environment(words(&["A=1", "B=2", "A=3"])));
        assert_eq!(state.execution_list(Kind::Oci, "Env"), ["B=2", "A=3"]);
        change(&mut state, &ConfigChange::Environment(words(&["B-"])));
        assert_eq!(state.execution_list(Kind::Docker, "Env"), ["A=3"]);
        change(&mut state, &ConfigChange::Environment(words(&["-"])));
        assert!(state.execution_list(Kind::Docker, "Env").is_empty());
        change(&mut state, &ConfigChange::Ports(words(&["80", "443/tcp", "80-"])));
        assert_eq!(state.execution_keys(Kind::Oci, "ExposedPorts"), ["443/tcp"]);
        change(&mut state, &ConfigChange::Ports(words(&["-", "53/udp"])));
        assert_eq!(state.execution_keys(Kind::Docker, "ExposedPorts"), ["53/udp"]);
        change(&mut state, &ConfigChange::Labels(words(&["a=1", "b=x=y", "c", "a-"])));
        assert_eq!(state.execution_keys(Kind::Docker, "Labels"), ["b", "c"]);
        change(&mut state, &ConfigChange::RemoveLabels(words(&["c"])));
        assert_eq!(state.execution(Kind::Oci).unwrap()["Labels"], json!({"b": "x=y"}));
        change(&mut state, &ConfigChange::Volumes(words(&["/a", "/b", "/a-"])));
        assert_eq!(state.execution_keys(Kind::Oci, "Volumes"), ["/b"]);
        change(&mut state, &ConfigChange::Annotations(words(&["a=1", "b=2", "a-"])));
        assert_eq!(state.annotations(), [("b".to_owned(), "2".to_owned())]);
        change(&mut state, &ConfigChange::Annotations(words(&["-"])));
        assert!(state.annotations().is_empty());
    }

    #[test]
    fn commands_are_json_or_text() {
        fn check(change_to: &ConfigChange, key: &str, expected: &[&str]) {
            let mut state = state();
            change(&mut state, change_to);
            assert_eq!(state.execution_list(Kind::Oci, key), expected, "{change_to:?}");
            assert_eq!(state.execution_list(Kind::Docker, key), expected, "{change_to:?}");
        }
        check(&ConfigChange::Command("a 'b c'".into()), "Cmd", &["a", "b c"]);
        check(&ConfigChange::Command(r#"["a", "b c"]"#.into()), "Cmd", &["a", "b c"]);
        check(&ConfigChange::Command(" ".into()), "Cmd", &[]);
        check(&ConfigChange::Entrypoint(r#"["a"]"#.into()), "Entrypoint", &["a"]);
        check(&ConfigChange::Entrypoint("a b".into()), "Entrypoint", &["/bin/sh", "-c", "a b"]);
        check(&ConfigChange::Entrypoint(String::new()), "Entrypoint", &[]);
    }

    #[test]
    fn variables_are_replaced_as_go_does() {
        fn check(text: &str, expected: &str) {
            let known = ["A=1".to_owned(), "PATH=/bin".to_owned()];
            assert_eq!(expand(text, &known).0, expected, "{text}");
        }
        check("$PATH:/x", "/bin:/x");
        check("${PATH}x$A", "/binx1");
        check("$B", "B");
        check("a$", "a$");
        check("$$", "$");
        check("${}x", "x");
        check("${x", "x");
        check("$ä", "$ä");
        check("$-x", "-x");
    }

    #[test]
    fn what_oci_has_not_is_warned_of() {
        let mut state = state();
        state.set_format(ImageFormat::Oci);
        let warnings = change(&mut state, &ConfigChange::Shell("/bin/bash -c".into()));
        assert_eq!(
            warnings,
            [
                "SHELL is not supported for OCI image format, [/bin/bash -c] will be ignored. Must use `docker` format"
            ]
        );
        let check = HealthcheckChange {
            test: Some("CMD true".into()),
            interval: Some(Duration::from_secs(5)),
            ..HealthcheckChange::default()
        };
        assert_eq!(change(&mut state, &ConfigChange::Healthcheck(check)).len(), 1);
        let found = &state.execution(Kind::Docker).unwrap()["Healthcheck"];
        let expected = json!({"Test": ["CMD", "true"], "Interval": 5_000_000_000_u64, "Timeout": 30_000_000_000_u64, "Retries": 3});
        assert_eq!(*found, expected);
        state.set_format(ImageFormat::Docker);
        assert!(change(&mut state, &ConfigChange::HostName("h".into())).is_empty());
        assert_eq!(state.execution_text(Kind::Docker, "Hostname"), "h");
    }

    #[test]
    fn history_is_kept_where_it_is_wanted() {
        let mut state = state();
        let history = Timestamp::from_unix(0, 0);
        let mut changing = Changing { state: &mut state, history, warnings: Vec::new() };
        changing.apply(&ConfigChange::User("x".into())).unwrap();
        let expected = json!([{"created": "1970-01-01T00:00:00Z", "created_by": "/bin/sh -c #(nop) USER x", "empty_layer": true}]);
        assert_eq!(state.value("PrependedEmptyLayers"), Some(&expected));
    }
}
