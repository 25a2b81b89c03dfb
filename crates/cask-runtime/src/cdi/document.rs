//! One file of specifications, and what it may say.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};

/// The versions of the specification, in their order.
///
/// Source: CDI specification, SPEC.md, "Released versions".
const VERSIONS: [&str; 10] =
    ["0.1.0", "0.2.0", "0.3.0", "0.4.0", "0.5.0", "0.6.0", "0.7.0", "0.8.0", "1.0.0", "1.1.0"];

/// Of one kind of devices. Names are those of the format.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Document {
    cdi_version: String,
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) devices: Vec<NamedDevice>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) container_edits: Edits,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NamedDevice {
    pub(super) name: String,
    #[serde(default, deserialize_with = "or_default")]
    annotations: BTreeMap<String, String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) container_edits: Edits,
}

/// What becomes of a container that has a device.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase", default)]
pub(super) struct Edits {
    #[serde(deserialize_with = "or_default")]
    pub(super) env: Vec<String>,
    #[serde(deserialize_with = "or_default")]
    pub(super) device_nodes: Vec<Node>,
    #[serde(deserialize_with = "or_default")]
    pub(super) mounts: Vec<BoundFile>,
    #[serde(deserialize_with = "or_default")]
    pub(super) hooks: Vec<NamedHook>,
    #[serde(deserialize_with = "or_default")]
    pub(super) additional_gids: Vec<u32>,
    pub(super) intel_rdt: Option<IntelRdt>,
    #[serde(deserialize_with = "or_default")]
    pub(super) net_devices: Vec<NetDevice>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct Node {
    pub(super) path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) host_path: String,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) major: i64,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) minor: i64,
    pub(super) file_mode: Option<u32>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) permissions: String,
    pub(super) uid: Option<u32>,
    pub(super) gid: Option<u32>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct BoundFile {
    pub(super) host_path: String,
    pub(super) container_path: String,
    #[serde(default, rename = "type", deserialize_with = "or_default")]
    pub(super) kind: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) options: Vec<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NamedHook {
    pub(super) hook_name: String,
    pub(super) path: String,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) args: Vec<String>,
    #[serde(default, deserialize_with = "or_default")]
    pub(super) env: Vec<String>,
    pub(super) timeout: Option<i64>,
}

/// Classes of caches and memory bandwidth. It is known, so that a file with it can be read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct IntelRdt {
    #[serde(rename = "closID")]
    _class: Option<String>,
    #[serde(rename = "l3CacheSchema")]
    _cache: Option<String>,
    #[serde(rename = "memBwSchema")]
    _bandwidth: Option<String>,
    #[serde(rename = "enableCMT")]
    _cache_watched: Option<bool>,
    #[serde(rename = "enableMBM")]
    _bandwidth_watched: Option<bool>,
    schemata: Option<Vec<String>>,
    enable_monitoring: Option<bool>,
}

/// An interface of a network that is moved. It is known, so that a file with it can be read.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, rename_all = "camelCase")]
pub(super) struct NetDevice {
    #[serde(rename = "hostInterfaceName")]
    _interface: String,
    #[serde(rename = "name")]
    _name: Option<String>,
}

/// The kind of a file that is otherwise not as it should be.
#[derive(Deserialize)]
struct Kind {
    kind: String,
}

impl Document {
    /// Reads a file; the error says what is wrong with it.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        let options = serde_saphyr::options! { legacy_octal_numbers: true };
        let read: Option<Self> =
            serde_saphyr::from_str_with_options(text, options).map_err(|error| {
                let message = error.without_snippet().to_string();
                // That is for whoever calls the parser.
                message.replace(", set DuplicateKeyPolicy in Options if acceptable", "")
            })?;
        let document = read.ok_or("it is empty")?;
        document.check()?;
        Ok(document)
    }

    /// The kind that a file would be of, if it were as it should be.
    pub(super) fn kind_of(text: &str) -> Option<String> {
        serde_saphyr::from_str::<Kind>(text).ok().map(|found| found.kind)
    }

    fn all_edits(&self) -> impl Iterator<Item = &Edits> {
        let of_devices = self.devices.iter().map(|device| &device.container_edits);
        of_devices.chain([&self.container_edits])
    }

    /// The words are those of the specification's own library.
    fn check(&self) -> Result<(), String> {
        let version = self.cdi_version.strip_prefix('v').unwrap_or(&self.cdi_version);
        let place = |wanted: &str| VERSIONS.iter().position(|known| *known == wanted);
        let Some(own) = place(version) else {
            return Err(format!("invalid version {:?}", self.cdi_version));
        };
        let least = self.least_version();
        if place(least).is_some_and(|least| own < least) {
            return Err(format!("the spec version must be at least v{least}"));
        }
        let (vendor, class) =
            self.kind.split_once('/').ok_or_else(|| format!("invalid kind {:?}", self.kind))?;
        super::name::check_part(vendor, "vendor")?;
        super::name::check_part(class, "class")?;
        self.container_edits.check()?;
        let mut names = std::collections::BTreeSet::new();
        for device in &self.devices {
            super::name::check_device(&device.name)?;
            let edits = &device.container_edits;
            if edits.is_empty() {
                return Err(format!("invalid device {:?}, empty device edits", device.name));
            }
            edits.check().map_err(|why| format!("invalid device {:?}: {why}", device.name))?;
            if !names.insert(&device.name) {
                return Err(format!("invalid spec, multiple device {:?}", device.name));
            }
        }
        match names.is_empty() {
            true => Err("invalid spec, no devices".to_owned()),
            false => Ok(()),
        }
    }

    /// The oldest version that has everything of this file.
    fn least_version(&self) -> &'static str {
        let any = |has: &dyn Fn(&Edits) -> bool| self.all_edits().any(has);
        let newest = |rdt: &IntelRdt| rdt.schemata.is_some() || rdt.enable_monitoring.is_some();
        let class = self.kind.split_once('/').map_or("", |(_, class)| class);
        if any(&|edits| {
            !edits.net_devices.is_empty() || edits.intel_rdt.as_ref().is_some_and(newest)
        }) {
            "1.1.0"
        } else if any(&|edits| edits.intel_rdt.is_some() || !edits.additional_gids.is_empty()) {
            "0.7.0"
        } else if !self.annotations.is_empty()
            || self.devices.iter().any(|device| !device.annotations.is_empty())
            || class.contains('.')
        {
            "0.6.0"
        } else if any(&|edits| edits.device_nodes.iter().any(|node| !node.host_path.is_empty()))
            || self
                .devices
                .iter()
                .any(|device| device.name.starts_with(|c: char| c.is_ascii_digit()))
        {
            "0.5.0"
        } else if any(&|edits| edits.mounts.iter().any(|mount| !mount.kind.is_empty())) {
            "0.4.0"
        } else {
            "0.3.0"
        }
    }
}

impl Edits {
    fn is_empty(&self) -> bool {
        self.env.is_empty()
            && self.device_nodes.is_empty()
            && self.mounts.is_empty()
            && self.hooks.is_empty()
            && self.additional_gids.is_empty()
            && self.intel_rdt.is_none()
            && self.net_devices.is_empty()
    }

    fn check(&self) -> Result<(), String> {
        check_environment(&self.env)?;
        for node in &self.device_nodes {
            if node.path.is_empty() {
                return Err("invalid (empty) device path".to_owned());
            }
            if !["", "b", "c", "u", "p"].contains(&node.kind.as_str()) {
                return Err(format!("device {:?}: invalid type {:?}", node.path, node.kind));
            }
            if node.permissions != "none" && !node.permissions.chars().all(|c| "rwm".contains(c)) {
                let (path, given) = (&node.path, &node.permissions);
                return Err(format!("device {path:?}: invalid permissions {given:?}"));
            }
        }
        for mount in &self.mounts {
            if mount.host_path.is_empty() {
                return Err("invalid mount, empty host path".to_owned());
            }
            if mount.container_path.is_empty() {
                return Err("invalid mount, empty container path".to_owned());
            }
        }
        for hook in &self.hooks {
            if hook.path.is_empty() {
                return Err(format!("invalid hook {:?} with empty path", hook.hook_name));
            }
            check_environment(&hook.env)
                .map_err(|why| format!("invalid hook {:?}: {why}", hook.hook_name))?;
        }
        Ok(())
    }
}

fn check_environment(entries: &[String]) -> Result<(), String> {
    let named = |entry: &&String| entry.find('=').is_some_and(|place| place > 0);
    match entries.iter().find(|entry| !named(entry)) {
        Some(entry) => Err(format!("invalid environment variable {entry:?}")),
        None => Ok(()),
    }
}

/// What is null is as if it were not there.
fn or_default<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    from: D,
) -> Result<T, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or_default())
}
