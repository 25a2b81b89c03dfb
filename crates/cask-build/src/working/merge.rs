//! A config that is given as a whole, put over what a working container's image will say.

use serde_json::{Map, Value, json};

use super::change::{Changing, map, put_map, set_list};
use super::state::{BOTH_KINDS, Kind, texts};
use crate::{Error, ErrorKind, Result};

/// What counts of a config, and what it is.
///
/// Source: containers/image, `manifest/docker_schema2.go`, `Schema2Config`.
const FIELDS: [(&str, Field); 23] = [
    ("Hostname", Field::DockerText),
    ("Domainname", Field::DockerText),
    ("User", Field::Text),
    ("AttachStdin", Field::DockerValue),
    ("AttachStdout", Field::DockerValue),
    ("AttachStderr", Field::DockerValue),
    ("ExposedPorts", Field::Map),
    ("Tty", Field::DockerValue),
    ("OpenStdin", Field::DockerValue),
    ("StdinOnce", Field::DockerValue),
    ("Env", Field::Environment),
    ("Cmd", Field::Words),
    ("Healthcheck", Field::DockerValue),
    ("ArgsEscaped", Field::DockerValue),
    ("Image", Field::DockerText),
    ("Volumes", Field::Map),
    ("WorkingDir", Field::Text),
    ("Entrypoint", Field::Words),
    ("MacAddress", Field::DockerText),
    ("OnBuild", Field::DockerWords),
    ("Labels", Field::Map),
    ("StopSignal", Field::Text),
    ("Shell", Field::DockerWords),
];

/// What a field is, and how it comes over the one before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    /// A text that is not empty counts.
    Text,
    DockerText,
    /// Anything but nothing.
    DockerValue,
    /// What is in it is added.
    Map,
    /// Variables are added, and take the place of their like.
    Environment,
    /// A command and an entry point come together.
    Words,
    DockerWords,
}

impl Changing<'_> {
    /// Puts a config of Docker's over what is said.
    ///
    /// Source: buildah 1.43, `internal/config/override.go`, `OverrideOCI` and `OverrideDocker`.
    pub(super) fn config(&mut self, given: &Map<String, Value>) -> Result<()> {
        let mut known = Vec::new();
        for (name, value) in given {
            // As Go reads names.
            let field = FIELDS.iter().find(|(field, _)| field.eq_ignore_ascii_case(name));
            let Some((name, field)) = field else {
                let detail = "it is no field of a config";
                return Err(Error::new(ErrorKind::Invalid, format!("{name:?}"), detail).with_hint(
                    "give the object that stands under \"config\" in the config of an image",
                ));
            };
            if !field.is_of(value) {
                let detail = format!("{value} is not what it has to be");
                return Err(Error::new(ErrorKind::Invalid, format!("{name:?}"), detail));
            }
            if !value.is_null() {
                known.push((*name, *field, value));
            }
        }
        let has_words = known
            .iter()
            .any(|(_, field, value)| *field == Field::Words && !texts(Some(value)).is_empty());
        if has_words {
            ["Entrypoint", "Cmd"].iter().for_each(|name| self.words(name, &[]));
        }
        for (name, field, value) in known {
            self.field(name, field, value);
        }
        Ok(())
    }

    fn words(&mut self, name: &str, words: &[String]) {
        for kind in BOTH_KINDS {
            set_list(self.state.execution_mut(kind), kind, name, words);
        }
    }

    fn field(&mut self, name: &str, field: Field, value: &Value) {
        match field {
            Field::Text | Field::DockerText if value.as_str() == Some("") => {}
            Field::Text => {
                for kind in BOTH_KINDS {
                    self.state.execution_mut(kind).insert(name.to_owned(), value.clone());
                }
            }
            Field::DockerText | Field::DockerValue => {
                self.state.execution_mut(Kind::Docker).insert(name.to_owned(), value.clone());
            }
            Field::Map => {
                let added = value.as_object().cloned().unwrap_or_default();
                for kind in BOTH_KINDS {
                    let fields = self.state.execution_mut(kind);
                    let mut all = map(fields, name);
                    all.extend(added.clone());
                    put_map(fields, name, all);
                }
            }
            Field::Environment => {
                for variable in texts(Some(value)) {
                    let (name, value) = variable.split_once('=').unwrap_or((&variable, ""));
                    self.set_variable(name, Some(value));
                }
            }
            Field::Words => {
                let words = texts(Some(value));
                if !words.is_empty() {
                    self.words(name, &words);
                }
            }
            Field::DockerWords => {
                let words = texts(Some(value));
                if !words.is_empty() {
                    let fields = self.state.execution_mut(Kind::Docker);
                    fields.insert(name.to_owned(), json!(words));
                }
            }
        }
    }
}

impl Field {
    fn is_of(self, value: &Value) -> bool {
        let is_text = |value: &Value| value.is_string();
        value.is_null()
            || match self {
                Self::Text | Self::DockerText => value.is_string(),
                Self::DockerValue => value.is_boolean() || value.is_object(),
                Self::Map => value.is_object(),
                Self::Environment | Self::Words | Self::DockerWords => {
                    value.as_array().is_some_and(|words| words.iter().all(is_text))
                }
            }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::working::state::State;

    fn merged(before: Value, given: Value) -> Result<State> {
        let mut state = State::new();
        for kind in BOTH_KINDS {
            *state.execution_mut(kind) = before.as_object().unwrap().clone();
        }
        let mut changing = Changing { state: &mut state, history: None, warnings: Vec::new() };
        changing.config(given.as_object().unwrap())?;
        Ok(state)
    }

    #[test]
    fn what_a_config_says_comes_over_what_was_said() {
        let before = json!({"User": "a", "Env": ["A=1", "B=2"], "Cmd": ["old"],
            "Entrypoint": ["/e"], "Labels": {"x": "1"}, "StopSignal": "TERM"});
        let given = json!({"user": "b", "Env": ["B=3", "C=4"], "Cmd": ["new"], "Tty": true,
            "Labels": {"y": "2"}, "Volumes": {"/v": {}}, "WorkingDir": "", "Shell": ["/sh"]});
        let state = merged(before.clone(), given).unwrap();
        let oci = json!({"User": "b", "Env": ["A=1", "B=3", "C=4"], "Cmd": ["new"],
            "Labels": {"x": "1", "y": "2"}, "StopSignal": "TERM", "Volumes": {"/v": {}}});
        assert_eq!(state.execution(Kind::Oci).unwrap(), oci.as_object().unwrap());
        let docker = state.execution(Kind::Docker).unwrap();
        assert_eq!((&docker["Tty"], &docker["Shell"]), (&json!(true), &json!(["/sh"])));
        assert_eq!(docker["Entrypoint"], json!([]));
        for wrong in [json!({"config": {}}), json!({"Cmd": "text"}), json!({"Env": [1]})] {
            merged(before.clone(), wrong).unwrap_err();
        }
    }
}
