//! Files that say which containers have which hooks.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io::Read;
use std::path::{Path, PathBuf};

use regex_lite::Regex;
use serde_json::{Map, Value};

use super::{Hook, HookStage};
use crate::error::{Error, ErrorKind, Result};

/// The longest file that is read, in bytes.
const LONGEST_FILE: u64 = 1 << 20;

/// The hooks that a machine has for containers, and for which.
///
/// ```text
/// DIRECTORY/NAME.json   {"version": "1.0.0", "hook": {"path": …}, "when": {…}, "stages": [ … ]}
/// ```
///
/// Source: oci-hooks(5), with the version 0.1.0 of such files, which podman reads too.
#[derive(Clone, Debug, Default)]
pub struct HookFiles {
    files: Vec<HookFile>,
}

#[derive(Clone, Debug)]
struct HookFile {
    /// One for each of its stages.
    hooks: Vec<Hook>,
    when: When,
}

#[derive(Clone, Debug, Default)]
struct When {
    always: Option<bool>,
    has_bind_mounts: Option<bool>,
    annotations: Vec<(Regex, Regex)>,
    commands: Vec<Regex>,
    /// One condition is enough.
    any: bool,
}

impl HookFiles {
    /// Reads all files whose names end in `.json` of directories, of which a later one's file replaces one of the same
    /// name before. A directory that is missing is an empty one.
    ///
    /// # Errors
    ///
    /// `InvalidSpec` with the file and what is wrong in it, also where there is no such program; `Denied` and `Io`
    /// where something cannot be read.
    pub fn read(directories: &[PathBuf]) -> Result<Self> {
        let mut found = BTreeMap::new();
        for directory in directories {
            let failed = |error| Error::io(error, "read the hooks in", directory.display());
            let entries = match std::fs::read_dir(directory) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                other => other.map_err(failed)?,
            };
            for entry in entries {
                let path = entry.map_err(failed)?.path();
                let name = path.file_name().unwrap_or_default().to_owned();
                if name.as_encoded_bytes().ends_with(b".json")
                    && let Some(file) = read_file(&path)?
                {
                    found.insert(name, file);
                }
            }
        }
        let mut files: Vec<_> = found.into_iter().collect();
        files.sort_by_key(|(name, _)| name.to_string_lossy().to_lowercase());
        Ok(Self { files: files.into_iter().map(|(_, file)| file).collect() })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    /// Those of a container, in the order of the names of their files; its command is the first of its arguments.
    pub fn select(
        &self,
        arguments: &[OsString],
        annotations: &BTreeMap<String, String>,
        has_bind_mounts: bool,
    ) -> Vec<Hook> {
        let command = arguments.first().map(|word| word.to_string_lossy()).unwrap_or_default();
        let fits = |file: &&HookFile| file.when.fits(&command, annotations, has_bind_mounts);
        self.files.iter().filter(fits).flat_map(|file| file.hooks.clone()).collect()
    }
}

impl When {
    /// Source: oci-hooks(5); containers/common, `pkg/hooks/1.0.0`, `When.Match`.
    fn fits(
        &self,
        command: &str,
        annotations: &BTreeMap<String, String>,
        has_bind_mounts: bool,
    ) -> bool {
        let noted = |(key, value): &(Regex, Regex)| {
            annotations.iter().any(|(name, text)| key.is_match(name) && value.is_match(text))
        };
        let mut conditions: Vec<bool> = self.always.into_iter().collect();
        // One that asks for no mounts never holds, with podman neither.
        conditions.extend(self.has_bind_mounts.map(|wanted| wanted && has_bind_mounts));
        conditions.extend(self.annotations.iter().map(noted));
        if !self.commands.is_empty() {
            conditions.push(self.commands.iter().any(|pattern| pattern.is_match(command)));
        }
        match self.any {
            true => conditions.contains(&true),
            false => !conditions.is_empty() && !conditions.contains(&false),
        }
    }
}

/// Reads one file; `None` where it is gone by now.
fn read_file(path: &Path) -> Result<Option<HookFile>> {
    let failed = |error| Error::io(error, "read the hook", path.display());
    let mut text = Vec::new();
    let file = match std::fs::File::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(failed)?,
    };
    file.take(LONGEST_FILE + 1).read_to_end(&mut text).map_err(failed)?;
    if text.len() as u64 > LONGEST_FILE {
        return Err(failed(std::io::ErrorKind::FileTooLarge.into()));
    }
    let parsed = parse(&text).and_then(|file| {
        let programs = file.hooks.iter().filter(|hook| hook.stage != HookStage::StartContainer);
        let missing = programs.map(|hook| &hook.path).find(|path| !Path::new(path).exists());
        match missing {
            Some(program) => Err(format!("{program}: no such file or directory")),
            None => Ok(file),
        }
    });
    parsed.map(Some).map_err(|why| {
        Error::new(ErrorKind::InvalidSpec, "read the hook", path.display()).with_detail(why)
    })
}

fn parse(text: &[u8]) -> Result<HookFile, String> {
    let value: Value = serde_json::from_slice(text).map_err(|error| error.to_string())?;
    let Value::Object(object) = value else { return Err("it is no object".to_owned()) };
    match string(&object, "version")?.as_deref() {
        Some("1.0.0") => current(&object),
        None | Some("" | "0.1.0") => old(&object),
        Some(other) => Err(format!("unrecognized hook version: {other:?}")),
    }
}

fn current(object: &Map<String, Value>) -> Result<HookFile, String> {
    let hook = table(object, "hook")?.ok_or("missing required property: hook.path")?;
    let path = string(hook, "path")?.filter(|path| !path.is_empty());
    let path = path.ok_or("missing required property: hook.path")?;
    let timeout_seconds = match present(hook, "timeout") {
        None => None,
        Some(value) => {
            let seconds = value.as_u64().and_then(|seconds| u32::try_from(seconds).ok());
            Some(
                seconds
                    .filter(|seconds| *seconds > 0)
                    .ok_or("hook.timeout is no number of seconds")?,
            )
        }
    };
    let mut model = Hook::new(HookStage::Prestart, path);
    model.arguments = strings(hook, "args")?.unwrap_or_default();
    model.environment = strings(hook, "env")?.unwrap_or_default();
    model.timeout_seconds = timeout_seconds;
    let mut when = When::default();
    if let Some(table) = table(object, "when")? {
        when.always = boolean(table, "always")?;
        when.has_bind_mounts = boolean(table, "hasBindMounts")?;
        when.commands = patterns(strings(table, "commands")?)?;
        let annotations = self::table(table, "annotations")?.into_iter().flatten();
        for (key, value) in annotations {
            let value = value.as_str().ok_or("when.annotations has a value that is no text")?;
            when.annotations.push((pattern(key)?, pattern(value)?));
        }
    }
    let stages = strings(object, "stages")?.ok_or("missing required property: stages")?;
    finished(&model, &stages, when)
}

/// Source: containers/common, `pkg/hooks/0.1.0`.
fn old(object: &Map<String, Value>) -> Result<HookFile, String> {
    let path = string(object, "hook")?.ok_or("missing required property: hook")?;
    let either = |one: &str, other: &str| match (strings(object, one)?, strings(object, other)?) {
        (Some(_), Some(_)) => Err(format!("cannot set both {one:?} and {other:?}")),
        (one, other) => Ok(one.or(other)),
    };
    let stages = either("stages", "stage")?.ok_or("missing required property: stages")?;
    let mut model = Hook::new(HookStage::Prestart, path.clone());
    if let Some(arguments) = strings(object, "arguments")? {
        model.arguments = std::iter::once(path).chain(arguments).collect();
    }
    let mut when = When { any: true, ..When::default() };
    when.commands = patterns(either("cmds", "cmd")?)?;
    when.has_bind_mounts = boolean(object, "hasbindmounts")?;
    if let Some(annotations) = either("annotations", "annotation")? {
        when.annotations.push((pattern(".*")?, pattern(&annotations.join("|"))?));
    }
    finished(&model, &stages, when)
}

fn finished(model: &Hook, stages: &[String], when: When) -> Result<HookFile, String> {
    if !model.path.starts_with('/') {
        return Err(format!("the path of the hook {:?} is not absolute", model.path));
    }
    let at = |name: &String| {
        let stage = HookStage::named(name).ok_or_else(|| format!("unknown stage {name:?}"))?;
        Ok(Hook { stage, ..model.clone() })
    };
    let hooks = stages.iter().map(at).collect::<Result<_, String>>()?;
    Ok(HookFile { hooks, when })
}

fn present<'a>(object: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    object.get(name).filter(|value| !value.is_null())
}

fn string(object: &Map<String, Value>, name: &str) -> Result<Option<String>, String> {
    let text = |value: &Value| value.as_str().map(ToOwned::to_owned);
    let read = |value| text(value).ok_or_else(|| format!("{name} is no text"));
    present(object, name).map(read).transpose()
}

fn boolean(object: &Map<String, Value>, name: &str) -> Result<Option<bool>, String> {
    let read =
        |value: &Value| value.as_bool().ok_or_else(|| format!("{name} is not true or false"));
    present(object, name).map(read).transpose()
}

fn strings(object: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, String> {
    let wrong = || format!("{name} is no list of texts");
    let Some(value) = present(object, name) else { return Ok(None) };
    let list = value.as_array().ok_or_else(wrong)?.iter();
    let texts = list.map(|item| item.as_str().map(ToOwned::to_owned).ok_or_else(wrong));
    texts.collect::<Result<_, _>>().map(Some)
}

fn table<'a>(
    object: &'a Map<String, Value>,
    name: &str,
) -> Result<Option<&'a Map<String, Value>>, String> {
    let read = |value: &'a Value| value.as_object().ok_or_else(|| format!("{name} is no object"));
    present(object, name).map(read).transpose()
}

fn pattern(text: &str) -> Result<Regex, String> {
    Regex::new(text).map_err(|error| format!("the pattern {text:?}: {error}"))
}

fn patterns(texts: Option<Vec<String>>) -> Result<Vec<Regex>, String> {
    texts.iter().flatten().map(|text| pattern(text)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fits(when: &str, command: &str, annotation: &str, has_bind_mounts: bool) -> bool {
        let text = format!(
            r#"{{"version":"1.0.0","hook":{{"path":"/bin/sh"}},"when":{when},"stages":["prestart"]}}"#
        );
        fits_text(&text, command, annotation, has_bind_mounts)
    }

    fn fits_text(text: &str, command: &str, annotation: &str, has_bind_mounts: bool) -> bool {
        let (name, value) = annotation.split_once('=').unwrap();
        let annotations = BTreeMap::from([(name.to_owned(), value.to_owned())]);
        parse(text.as_bytes()).unwrap().when.fits(command, &annotations, has_bind_mounts)
    }

    #[test]
    fn all_conditions_must_hold() {
        for (when, wanted) in [
            ("{}", false),
            (r#"{"always":true}"#, true),
            (r#"{"always":false}"#, false),
            (r#"{"hasBindMounts":true}"#, true),
            (r#"{"hasBindMounts":false}"#, false),
            (r#"{"commands":["^/no$","sh$"]}"#, true),
            (r#"{"commands":["^sh$"]}"#, false),
            (r#"{"annotations":{"^a\\.b$":"yes"}}"#, true),
            (r#"{"annotations":{"^a$":"yes"}}"#, false),
            (r#"{"annotations":{"a":"yes","b":"no"}}"#, false),
            (r#"{"always":true,"commands":["no"]}"#, false),
            (r#"{"always":true,"commands":["sh"],"hasBindMounts":true}"#, true),
        ] {
            assert_eq!(fits(when, "/bin/sh", "a.b=yes", true), wanted, "{when}");
        }
        assert!(!fits(r#"{"hasBindMounts":true}"#, "/bin/sh", "a=b", false));
    }

    #[test]
    fn of_the_older_version_one_condition_is_enough() {
        let text = r#"{"hook":"/bin/sh","arguments":["-c"],"stage":["poststop","prestart"],"cmd":["^no$"],"annotation":["x","yes"]}"#;
        let file = parse(text.as_bytes()).unwrap();
        assert_eq!(file.hooks[0].arguments, ["/bin/sh", "-c"]);
        assert_eq!(
            file.hooks.iter().map(|hook| hook.stage.name()).collect::<Vec<_>>(),
            ["poststop", "prestart"]
        );
        assert!(fits_text(text, "sh", "a=yes", false));
        assert!(fits_text(text, "no", "a=b", false));
        assert!(!fits_text(text, "sh", "a=b", false));
    }

    #[test]
    fn later_directories_replace_files_and_names_say_the_order() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| place.path().join(name));
        let write = |directory: &Path, name: &str, argument: &str| {
            std::fs::create_dir_all(directory).unwrap();
            let text = format!(
                r#"{{"version":"1.0.0","hook":{{"path":"/bin/sh","args":["{argument}"],"env":["A=b"],"timeout":7}},"when":{{"always":true}},"stages":["prestart"]}}"#
            );
            std::fs::write(directory.join(name), text).unwrap();
        };
        write(&first, "20.json", "replaced");
        write(&first, "B.json", "last");
        write(&first, "a.json", "middle");
        write(&first, "ignored.txt", "never");
        write(&second, "20.json", "first");
        let files = HookFiles::read(&[first, place.path().join("none"), second]).unwrap();
        let hooks = files.select(&["sh".into()], &BTreeMap::new(), false);
        let names: Vec<_> = hooks.iter().map(|hook| hook.arguments[0].as_str()).collect();
        assert_eq!(names, ["first", "middle", "last"]);
        assert_eq!(
            (hooks[0].timeout_seconds, &hooks[0].environment[..]),
            (Some(7), &["A=b".to_owned()][..])
        );
    }

    #[test]
    fn what_is_wrong_in_a_file_is_said() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("bad.json");
        for (text, why) in [
            ("{", "EOF"),
            ("[]", "no object"),
            (r#"{"version":"9"}"#, "unrecognized hook version"),
            (r#"{"version":"1.0.0","stages":[]}"#, "hook.path"),
            (r#"{"version":"1.0.0","hook":{"path":"/bin/sh"}}"#, "stages"),
            (r#"{"version":"1.0.0","hook":{"path":"/bin/sh"},"stages":["x"]}"#, "unknown stage"),
            (
                r#"{"version":"1.0.0","hook":{"path":"/no/such"},"stages":["prestart"]}"#,
                "no such file",
            ),
            (r#"{"version":"1.0.0","hook":{"path":"sh"},"stages":["prestart"]}"#, "not absolute"),
            (
                r#"{"version":"1.0.0","hook":{"path":"/bin/sh","timeout":-1},"stages":[]}"#,
                "timeout",
            ),
            (
                r#"{"version":"1.0.0","hook":{"path":"/bin/sh"},"when":{"commands":["("]},"stages":[]}"#,
                "pattern",
            ),
            (r#"{"hook":"/bin/sh","stage":["prestart"],"stages":["prestart"]}"#, "both"),
        ] {
            std::fs::write(&path, text).unwrap();
            let said = HookFiles::read(&[place.path().to_owned()]).unwrap_err().to_string();
            assert!(said.contains(why) && said.contains("bad.json"), "{text}: {said}");
        }
    }
}
