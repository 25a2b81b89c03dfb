//! Devices of the Container Device Interface: files of vendors say what a container gets with a device.

mod document;
mod edits;
mod name;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags};

use crate::error::{Error, ErrorKind, Result};
use document::Document;

pub use edits::CdiEdits;
pub use name::is_cdi_device;

/// Where vendors put their files; those of the later one come first.
///
/// Source: CDI specification; podman(1), `--cdi-spec-dir`.
pub const CDI_DIRECTORIES: [&str; 2] = ["/etc/cdi", "/var/run/cdi"];

/// The longest file that is read, in bytes.
const LONGEST_FILE: u64 = 16 << 20;

/// What files of vendors say.
#[derive(Default)]
struct Files {
    documents: Vec<(PathBuf, Document)>,
    /// By their kind and name: the place of the directory, and the documents of it that have the device.
    devices: BTreeMap<(String, String), (usize, Vec<usize>)>,
    bad: Vec<BadFile>,
}

/// A file that is not as it should be.
struct BadFile {
    path: PathBuf,
    /// As far as that can be seen.
    kind: Option<String>,
    why: String,
}

impl CdiEdits {
    /// Finds what a container gets with devices, which are called `VENDOR/CLASS=NAME`. Of directories that have the same
    /// device the last one's counts; one that is missing is an empty one. Without names nothing is read.
    ///
    /// A file that is not as it should be only counts where a device is asked for that may be its: it is warned of.
    ///
    /// Source: CDI specification, SPEC.md; container-device-interface, `pkg/cdi/cache.go`.
    ///
    /// # Errors
    /// `NotFound` for devices that no file has, with the files that might have had them; `InvalidSpec` for those that two
    /// files of a directory have, and for what cannot be given; `NotFound`, `Denied` and `Io` where something of the
    /// machine cannot be used.
    pub fn find(names: &[String], directories: &[PathBuf]) -> Result<Self> {
        let mut edits = Self::default();
        if names.is_empty() {
            return Ok(edits);
        }
        let files = Files::read(directories);
        let known = |name: &String| {
            let (kind, name) = name::kind_and_name(name)?;
            files.devices.get(&(kind.to_owned(), name.to_owned()))
        };
        let missing: Vec<&String> = names.iter().filter(|name| known(name).is_none()).collect();
        if !missing.is_empty() {
            return Err(files.unresolvable(&missing));
        }
        let mut taken = Vec::new();
        for name in names {
            let Some((_, places)) = known(name) else { continue };
            let &[place] = places.as_slice() else { return Err(files.conflicting(name, places)) };
            let (path, document) = &files.documents[place];
            if !taken.contains(&place) {
                taken.push(place);
                edits.add(&document.container_edits, name, path)?;
            }
            let own = name::kind_and_name(name).map(|(_, own)| own);
            let device = document.devices.iter().find(|device| own == Some(&device.name));
            if let Some(device) = device {
                edits.add(&device.container_edits, name, path)?;
            }
        }
        let kinds: Vec<&str> =
            names.iter().filter_map(|name| Some(name::kind_and_name(name)?.0)).collect();
        let asked = |bad: &&BadFile| bad.kind.as_deref().is_some_and(|kind| kinds.contains(&kind));
        edits.warnings.extend(files.bad.iter().filter(asked).map(BadFile::told));
        Ok(edits)
    }
}

impl Files {
    fn read(directories: &[PathBuf]) -> Self {
        let mut files = Self::default();
        for (place, directory) in directories.iter().enumerate() {
            let mut paths: Vec<PathBuf> = match std::fs::read_dir(directory) {
                Ok(entries) => entries.filter_map(|entry| Some(entry.ok()?.path())).collect(),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
                Err(error) => {
                    let why = error.to_string();
                    files.bad.push(BadFile { path: directory.clone(), kind: None, why });
                    continue;
                }
            };
            paths.retain(|path| path.extension().is_some_and(|end| end == "json" || end == "yaml"));
            paths.sort();
            for path in paths {
                files.take(place, path);
            }
        }
        files
    }

    fn take(&mut self, place: usize, path: PathBuf) {
        let text = match read(&path) {
            Ok(None) => return,
            Ok(Some(text)) => text,
            Err(why) => return self.bad.push(BadFile { path, kind: None, why }),
        };
        let document = match Document::parse(&text) {
            Ok(document) => document,
            Err(why) => {
                let kind = Document::kind_of(&text);
                return self.bad.push(BadFile { path, kind, why });
            }
        };
        let index = self.documents.len();
        for device in &document.devices {
            let key = (document.kind.clone(), device.name.clone());
            let found = self.devices.entry(key).or_default();
            if found.0 != place {
                *found = (place, Vec::new());
            }
            found.1.push(index);
        }
        self.documents.push((path, document));
    }

    /// The words are those that podman has from the specification's library.
    fn unresolvable(&self, missing: &[&String]) -> Error {
        let names: Vec<&str> = missing.iter().map(|name| name.as_str()).collect();
        let kinds: Vec<&str> =
            names.iter().filter_map(|name| Some(name::kind_and_name(name)?.0)).collect();
        let may_be = |bad: &&BadFile| bad.kind.as_deref().is_none_or(|kind| kinds.contains(&kind));
        let told: Vec<String> = self.bad.iter().filter(may_be).map(BadFile::told).collect();
        let error = Error::new(ErrorKind::NotFound, "unresolvable CDI devices", names.join(", "));
        match told.is_empty() {
            true => error,
            false => error.with_detail(told.join("; ")),
        }
    }

    fn conflicting(&self, name: &str, places: &[usize]) -> Error {
        let paths: Vec<String> =
            places.iter().map(|place| format!("{:?}", self.documents[*place].0)).collect();
        let what = format!("{name:?} (specs {})", paths.join(", "));
        Error::new(ErrorKind::InvalidSpec, "conflicting device", what)
    }
}

impl BadFile {
    fn told(&self) -> String {
        format!("{} is no CDI specification: {}", self.path.display(), self.why)
    }
}

/// Reads a file; `None` where it is gone by now.
fn read(path: &Path) -> Result<Option<String>, String> {
    let told = |error: &dyn std::fmt::Display| error.to_string();
    // Whoever opens a FIFO would wait.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK | OFlags::NOCTTY;
    let opened = match rustix::fs::open(path, flags, Mode::empty()) {
        Err(rustix::io::Errno::NOENT) => return Ok(None),
        other => other.map_err(|error| told(&error))?,
    };
    let kind = rustix::fs::fstat(&opened).map_err(|error| told(&error))?.st_mode;
    if FileType::from_raw_mode(kind) != FileType::RegularFile {
        return Err("it is no file".to_owned());
    }
    let mut text = String::new();
    File::from(opened).take(LONGEST_FILE + 1).read_to_string(&mut text).map_err(|e| told(&e))?;
    match text.len() as u64 > LONGEST_FILE {
        true => Err(format!("it is longer than {LONGEST_FILE} bytes")),
        false => Ok(Some(text)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{HookStage, RunSpec};

    /// The kind and one device `name`, with these edits.
    fn file(name: &str, edits: &str) -> String {
        format!(
            r#"{{"cdiVersion":"0.7.0","kind":"v.com/c","devices":[{{"name":"{name}","containerEdits":{edits}}}]}}"#
        )
    }

    fn find(directories: &[&Path], names: &[&str]) -> Result<CdiEdits> {
        let names: Vec<String> = names.iter().map(ToString::to_string).collect();
        let directories: Vec<PathBuf> = directories.iter().map(PathBuf::from).collect();
        CdiEdits::find(&names, &directories)
    }

    fn spec_with(edits: &CdiEdits) -> RunSpec {
        let mut spec = RunSpec::new(std::os::fd::OwnedFd::from(File::open("/").unwrap()), ["sh"]);
        (spec.process.identity.uid, spec.process.identity.gid) = (5, 6);
        edits.apply(&mut spec).unwrap();
        spec
    }

    #[test]
    fn a_device_brings_what_its_file_says_for_all_and_for_it() {
        let place = tempfile::tempdir().unwrap();
        let text = r#"---
cdiVersion: 0.7.0
kind: nvidia.com/gpu
annotations: {a: b}
containerEdits:
  env: [ALL=1]
  hooks:
  - {hookName: createContainer, path: /bin/sh, args: [sh], env: [H=1], timeout: 7}
devices:
- name: "0"
  containerEdits:
    env:
    deviceNodes:
    - {path: /dev/gpu0, hostPath: /dev/null, fileMode: 0640, uid: 3, permissions: r}
    - {path: /dev/gpuctl, type: c, major: 195, minor: 255}
    - {path: /opt/node, hostPath: /dev/zero}
    mounts:
    - {hostPath: /etc, containerPath: /lib/etc, options: [ro, nosuid, nodev, bind]}
    additionalGids: [44, 0]
- name: other
  containerEdits: {env: [OTHER=1]}
"#;
        std::fs::write(place.path().join("a.yaml"), text).unwrap();
        std::fs::write(place.path().join("ignored.txt"), "{").unwrap();
        let edits = find(&[place.path()], &["nvidia.com/gpu=0"]).unwrap();
        let spec = spec_with(&edits);
        assert_eq!(spec.process.environment, [("ALL".into(), "1".into())]);
        let devices = &spec.files.devices;
        let shown: Vec<_> = devices
            .iter()
            .map(|device| (device.path.to_str().unwrap(), device.mode, device.uid, device.gid))
            .collect();
        assert_eq!(shown, [("/dev/gpu0", 0o640, 3, 6), ("/dev/gpuctl", 0o666, 5, 6)]);
        assert_eq!(devices[0].access.to_string(), "r");
        assert_eq!((devices[1].major, devices[1].minor), (195, 255));
        let mounts: Vec<_> = spec.files.mounts.iter().map(|m| m.target.to_str().unwrap()).collect();
        assert_eq!(mounts, ["/opt/node", "/lib/etc"]);
        let options = spec.files.mounts[1].options;
        assert!(options.access.read_only && options.access.no_setuid && !options.recursive);
        assert_eq!(spec.process.identity.groups, [44]);
        let hook = &spec.hooks.list[0];
        assert_eq!((hook.stage, hook.timeout_seconds), (HookStage::CreateContainer, Some(7)));
        let both = find(&[place.path()], &["nvidia.com/gpu=0", "nvidia.com/gpu=other"]).unwrap();
        assert_eq!(spec_with(&both).process.environment.len(), 2);
        assert!(find(&[place.path()], &[]).unwrap().is_empty());
    }

    #[test]
    fn a_later_directory_counts_and_two_files_of_one_conflict() {
        let place = tempfile::tempdir().unwrap();
        let [first, second] = ["a", "b"].map(|name| place.path().join(name));
        let write = |directory: &Path, name: &str, value: &str| {
            std::fs::create_dir_all(directory).unwrap();
            let text = file("d", &format!(r#"{{"env":["A={value}"]}}"#));
            std::fs::write(directory.join(name), text).unwrap();
        };
        write(&first, "x.json", "1");
        write(&first, "y.json", "1");
        let missing = place.path().join("none");
        let said = find(&[&first, &missing], &["v.com/c=d"]).unwrap_err().to_string();
        assert!(said.contains("conflicting device") && said.contains("y.json"), "{said}");
        write(&second, "x.json", "2");
        let spec = spec_with(&find(&[&first, &second], &["v.com/c=d"]).unwrap());
        assert_eq!(spec.process.environment, [("A".into(), "2".into())]);
    }

    #[test]
    fn a_bad_file_counts_where_it_may_be_the_one() {
        let place = tempfile::tempdir().unwrap();
        std::fs::write(place.path().join("good.json"), file("d", r#"{"env":["A=1"]}"#)).unwrap();
        let bad = file("e", r#"{"env":["A=1"]}"#).replace("0.7.0", "9.9.9");
        std::fs::write(place.path().join("bad.json"), &bad).unwrap();
        let other = bad.replace("v.com/c", "v.com/other");
        std::fs::write(place.path().join("other.json"), other).unwrap();
        rustix::fs::mkfifoat(rustix::fs::CWD, place.path().join("fifo.json"), Mode::RWXU).unwrap();
        let edits = find(&[place.path()], &["v.com/c=d"]).unwrap();
        let [warning] = edits.warnings() else { panic!("{:?}", edits.warnings()) };
        assert!(warning.contains("bad.json") && warning.contains("9.9.9"), "{warning}");
        let said = find(&[place.path()], &["v.com/c=e", "v.com/c=f"]).unwrap_err().to_string();
        assert!(said.contains("unresolvable CDI devices v.com/c=e, v.com/c=f"), "{said}");
        assert!(said.contains("bad.json") && said.contains("fifo.json"), "{said}");
        assert!(!said.contains("other.json"), "{said}");
    }

    #[test]
    fn what_is_wrong_in_a_file_or_cannot_be_given_is_said() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("a.json");
        let plain = file("d", r#"{"env":["A=1"]}"#);
        for (text, why) in [
            ("".to_owned(), "empty"),
            ("[]".to_owned(), ""),
            (plain.replace("0.7.0", "0.7.00"), "invalid version"),
            (plain.replace("\"cdiV", "\"x\":1,\"cdiV"), "x"),
            (file("d", "{}"), "empty device edits"),
            (file("-d", r#"{"env":["A=1"]}"#), "invalid device name"),
            (file("d", r#"{"env":["=1"]}"#), "invalid environment variable"),
            (file("d", r#"{"deviceNodes":[{"path":"","type":"c"}]}"#), "device path"),
            (file("d", r#"{"deviceNodes":[{"path":"/dev/x","type":"q"}]}"#), "invalid type"),
            (file("d", r#"{"deviceNodes":[{"path":"/dev/x","permissions":"x"}]}"#), "permissions"),
            (file("d", r#"{"deviceNodes":[{"path":"/no/such"}]}"#), "failed to stat"),
            (file("d", r#"{"deviceNodes":[{"path":"/etc"}]}"#), "not a device node"),
            (file("d", r#"{"deviceNodes":[{"path":"/dev/null","type":"b"}]}"#), "mismatch"),
            (file("d", r#"{"deviceNodes":[{"path":"/dev/p","type":"p"}]}"#), "FIFO"),
            (file("d", r#"{"mounts":[{"hostPath":"","containerPath":"/a"}]}"#), "host path"),
            (
                file("d", r#"{"mounts":[{"hostPath":"/a","containerPath":"/a","type":"ext4"}]}"#),
                "the type \"ext4\"",
            ),
            (
                file("d", r#"{"mounts":[{"hostPath":"/a","containerPath":"/a","options":["x"]}]}"#),
                "no option",
            ),
            (file("d", r#"{"hooks":[{"hookName":"x","path":"/bin/sh"}]}"#), "invalid hook name"),
            (file("d", r#"{"hooks":[{"hookName":"prestart","path":"/no"}]}"#), "no such file"),
            (file("d", r#"{"intelRdt":{"closID":"a"}}"#), "intelRdt"),
            (
                file("d", r#"{"netDevices":[{"hostInterfaceName":"e","name":"f"}]}"#)
                    .replace("0.7.0", "1.1.0"),
                "netDevices",
            ),
            (
                file("d", r#"{"additionalGids":[7]}"#).replace("0.7.0", "0.6.0"),
                "must be at least v0.7.0",
            ),
            (file("0", r#"{"env":["A=1"]}"#).replace("0.7.0", "0.4.0"), "at least v0.5.0"),
        ] {
            std::fs::write(&path, &text).unwrap();
            let name = if text.contains("\"name\":\"0\"") { "v.com/c=0" } else { "v.com/c=d" };
            let error = find(&[place.path()], &[name]).unwrap_err();
            let cause = std::error::Error::source(&error).map(ToString::to_string);
            let said = format!("{error} {}", cause.unwrap_or_default());
            assert!(said.contains(why) && said.contains("a.json"), "{text}: {said}");
        }
    }
}
