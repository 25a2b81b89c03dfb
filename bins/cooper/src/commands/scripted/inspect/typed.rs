//! What templates look into: both documents with all their fields, as Go has them, those too of which
//! nothing is said.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use cask_build::WorkingDetails;
use cask_terminal::value::{Duration, Time, nil};
use serde::de::DeserializeOwned;
use serde::ser::SerializeStruct as _;
use serde::{Deserialize, Serialize, Serializer};

/// A container, or an image as one.
///
/// Source: buildah, `buildah.go`, `BuilderInfo`.
pub(super) struct Details<'d> {
    details: &'d WorkingDetails,
    oci: OciImage,
    docker: DockerImage,
    history: Option<Vec<Step>>,
    namespaces: Option<Vec<Namespace>>,
    ids: IdMappings,
    devices: Option<Vec<Device>>,
    annotations: Labels,
}

impl<'d> Details<'d> {
    pub(super) fn of(details: &'d WorkingDetails) -> Result<Self> {
        Ok(Self {
            details,
            oci: read(details, "OCIv1")?.unwrap_or_default(),
            docker: read(details, "Docker")?.unwrap_or_default(),
            history: read(details, "History")?,
            namespaces: read(details, "NamespaceOptions")?,
            ids: read(details, "IDMappingOptions")?.unwrap_or_default(),
            devices: read(details, "Devices")?,
            annotations: read(details, "ImageAnnotations")?.unwrap_or_default(),
        })
    }
}

/// Reads a field; nothing where it says nothing.
fn read<T: DeserializeOwned>(details: &WorkingDetails, wanted: &str) -> Result<Option<T>> {
    let found = details.fields.iter().find(|(name, _)| *name == wanted);
    let Some((_, value)) = found else { return Ok(None) };
    serde_json::from_value(value.clone()).with_context(|| format!("reading {wanted}"))
}

impl Serialize for Details<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let fields = &self.details.fields;
        let mut record = serializer.serialize_struct("buildah.BuilderInfo", fields.len())?;
        for (name, value) in fields {
            match *name {
                "OCIv1" => record.serialize_field("OCIv1", &self.oci)?,
                "Docker" => record.serialize_field("Docker", &self.docker)?,
                "History" => record.serialize_field("History", &List(&self.history))?,
                "NamespaceOptions" => {
                    record.serialize_field("NamespaceOptions", &List(&self.namespaces))?;
                }
                "IDMappingOptions" => record.serialize_field("IDMappingOptions", &self.ids)?,
                "Devices" => record.serialize_field("Devices", &List(&self.devices))?,
                "ImageAnnotations" => {
                    record.serialize_field("ImageAnnotations", &Pairs(&self.annotations))?;
                }
                name => record.serialize_field(name, value)?,
            }
        }
        record.end()
    }
}

struct List<'l, T>(&'l Option<Vec<T>>);

impl<T: Serialize> Serialize for List<'_, T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        nil::list(self.0, serializer)
    }
}

struct Pairs<'l>(&'l Labels);

impl Serialize for Pairs<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        nil::map(self.0, serializer)
    }
}

type Texts = Option<Vec<String>>;
type Set = Option<BTreeMap<String, Empty>>;
type Labels = Option<BTreeMap<String, String>>;

/// What Go writes as `struct{}`.
#[derive(Default, Deserialize, Serialize)]
#[serde(rename = "struct {}")]
struct Empty {}

/// Declares a struct whose fields have Go's names in templates and those of the document in JSON.
macro_rules! record {
    ($(#[$meta:meta])* $name:ident, $go:literal {
        $($field:ident: $type:ty = $shown:literal, $key:literal $(, $with:literal)?;)*
    }) => {
        $(#[$meta])*
        #[derive(Default, Deserialize, Serialize)]
        #[serde(default, rename(serialize = $go))]
        struct $name {
            $(
                #[serde(rename(serialize = $shown, deserialize = $key) $(, serialize_with = $with)?)]
                $field: $type,
            )*
        }
    };
}

record! {
    /// Source: OCI image specification, `specs-go/v1/config.go`.
    OciImage, "v1.Image" {
        created: Option<String> = "Created json:created,omitempty", "created", "moment";
        author: String = "Author json:author,omitempty", "author";
        architecture: String = "Architecture json:architecture", "architecture";
        variant: String = "Variant json:variant,omitempty", "variant";
        os: String = "OS json:os", "os";
        os_version: String = "OSVersion json:os.version,omitempty", "os.version";
        os_features: Texts = "OSFeatures json:os.features,omitempty", "os.features", "nil::list";
        config: OciConfig = "Config json:config,omitempty", "config";
        root_fs: RootFs = "RootFS json:rootfs", "rootfs";
        history: Option<Vec<Step>> = "History json:history,omitempty", "history", "nil::list";
    }
}

record! {
    OciConfig, "v1.ImageConfig" {
        user: String = "User json:User,omitempty", "User";
        exposed_ports: Set = "ExposedPorts json:ExposedPorts,omitempty", "ExposedPorts", "nil::map";
        env: Texts = "Env json:Env,omitempty", "Env", "nil::list";
        entrypoint: Texts = "Entrypoint json:Entrypoint,omitempty", "Entrypoint", "nil::list";
        cmd: Texts = "Cmd json:Cmd,omitempty", "Cmd", "nil::list";
        volumes: Set = "Volumes json:Volumes,omitempty", "Volumes", "nil::map";
        working_dir: String = "WorkingDir json:WorkingDir,omitempty", "WorkingDir";
        labels: Labels = "Labels json:Labels,omitempty", "Labels", "nil::map";
        stop_signal: String = "StopSignal json:StopSignal,omitempty", "StopSignal";
        args_escaped: bool = "ArgsEscaped json:ArgsEscaped,omitempty", "ArgsEscaped";
    }
}

record! {
    RootFs, "v1.RootFS" {
        kind: String = "Type json:type", "type";
        diff_ids: Texts = "DiffIDs json:diff_ids", "diff_ids", "nil::list";
    }
}

record! {
    Step, "v1.History" {
        created: Option<String> = "Created json:created,omitempty", "created", "moment";
        created_by: String = "CreatedBy json:created_by,omitempty", "created_by";
        author: String = "Author json:author,omitempty", "author";
        comment: String = "Comment json:comment,omitempty", "comment";
        empty_layer: bool = "EmptyLayer json:empty_layer,omitempty", "empty_layer";
    }
}

record! {
    DockerStep, "docker.V2S2History" {
        created: Option<String> = "Created json:created", "created", "moment";
        author: String = "Author json:author,omitempty", "author";
        created_by: String = "CreatedBy json:created_by,omitempty", "created_by";
        comment: String = "Comment json:comment,omitempty", "comment";
        empty_layer: bool = "EmptyLayer json:empty_layer,omitempty", "empty_layer";
    }
}

record! {
    /// Source: buildah, `define/types.go`, `NamespaceOption`.
    Namespace, "define.NamespaceOption" {
        name: String = "Name", "Name";
        host: bool = "Host", "Host";
        path: String = "Path", "Path";
    }
}

record! {
    /// Source: buildah, `define/types.go`, `IDMappingOptions`.
    IdMappings, "define.IDMappingOptions" {
        host_users: bool = "HostUIDMapping", "HostUIDMapping";
        host_groups: bool = "HostGIDMapping", "HostGIDMapping";
        users: Option<Vec<IdMap>> = "UIDMap", "UIDMap", "nil::list";
        groups: Option<Vec<IdMap>> = "GIDMap", "GIDMap", "nil::list";
        auto: bool = "AutoUserNs", "AutoUserNs";
        automatic: AutoOptions = "AutoUserNsOpts", "AutoUserNsOpts";
    }
}

record! {
    IdMap, "specs.LinuxIDMapping" {
        inside: u32 = "ContainerID json:containerID", "containerID";
        outside: u32 = "HostID json:hostID", "hostID";
        count: u32 = "Size json:size", "size";
    }
}

record! {
    AutoOptions, "types.AutoUserNsOptions" {
        size: u32 = "Size", "Size";
        initial: u32 = "InitialSize", "InitialSize";
        users: String = "PasswdFile", "PasswdFile";
        groups: String = "GroupFile", "GroupFile";
        more_users: Option<Vec<IdMap>> = "AdditionalUIDMappings", "AdditionalUIDMappings", "nil::list";
        more_groups: Option<Vec<IdMap>> = "AdditionalGIDMappings", "AdditionalGIDMappings", "nil::list";
    }
}

record! {
    /// Source: buildah, `define/types.go`, `BuildahDevice`.
    Device, "define.BuildahDevice" {
        kind: i64 = "Type json:type", "type";
        major: i64 = "Major json:major", "major";
        minor: i64 = "Minor json:minor", "minor";
        permissions: String = "Permissions json:permissions", "permissions";
        allow: bool = "Allow json:allow", "allow";
        path: String = "Path json:path", "path";
        mode: u32 = "FileMode json:file_mode", "file_mode";
        uid: u32 = "Uid json:uid", "uid";
        gid: u32 = "Gid json:gid", "gid";
        source: String = "Source", "Source";
        destination: String = "Destination", "Destination";
    }
}

record! {
    /// Source: buildah, `docker/types.go`, `V2Image`.
    DockerImage, "docker.V2Image" {
        id: String = "ID json:id,omitempty", "id";
        parent: String = "Parent json:parent,omitempty", "parent";
        comment: String = "Comment json:comment,omitempty", "comment";
        created: Option<String> = "Created json:created", "created", "moment";
        container: String = "Container json:container,omitempty", "container";
        container_config: DockerConfig = "ContainerConfig json:container_config,omitempty", "container_config";
        docker_version: String = "DockerVersion json:docker_version,omitempty", "docker_version";
        author: String = "Author json:author,omitempty", "author";
        config: DockerConfig = "Config json:config,omitempty", "config";
        architecture: String = "Architecture json:architecture,omitempty", "architecture";
        variant: String = "Variant json:variant,omitempty", "variant";
        os: String = "OS json:os,omitempty", "os";
        size: i64 = "Size json:Size,omitempty", "Size";
        root_fs: RootFs = "RootFS json:rootfs,omitempty", "rootfs";
        history: Option<Vec<DockerStep>> = "History json:history,omitempty", "history", "nil::list";
        os_version: String = "OSVersion json:os.version,omitempty", "os.version";
        os_features: Texts = "OSFeatures json:os.features,omitempty", "os.features", "nil::list";
    }
}

record! {
    DockerConfig, "docker.Config" {
        hostname: String = "Hostname", "Hostname";
        domainname: String = "Domainname", "Domainname";
        user: String = "User", "User";
        attach_stdin: bool = "AttachStdin", "AttachStdin";
        attach_stdout: bool = "AttachStdout", "AttachStdout";
        attach_stderr: bool = "AttachStderr", "AttachStderr";
        exposed_ports: Set = "ExposedPorts json:ExposedPorts,omitempty", "ExposedPorts", "nil::map";
        tty: bool = "Tty", "Tty";
        open_stdin: bool = "OpenStdin", "OpenStdin";
        stdin_once: bool = "StdinOnce", "StdinOnce";
        env: Texts = "Env", "Env", "nil::list";
        cmd: Texts = "Cmd", "Cmd", "nil::list";
        healthcheck: Option<Health> = "Healthcheck json:Healthcheck,omitempty", "Healthcheck";
        args_escaped: bool = "ArgsEscaped json:ArgsEscaped,omitempty", "ArgsEscaped";
        image: String = "Image", "Image";
        volumes: Set = "Volumes", "Volumes", "nil::map";
        working_dir: String = "WorkingDir", "WorkingDir";
        entrypoint: Texts = "Entrypoint", "Entrypoint", "nil::list";
        network_disabled: bool = "NetworkDisabled json:NetworkDisabled,omitempty", "NetworkDisabled";
        mac_address: String = "MacAddress json:MacAddress,omitempty", "MacAddress";
        on_build: Texts = "OnBuild", "OnBuild", "nil::list";
        labels: Labels = "Labels", "Labels", "nil::map";
        stop_signal: String = "StopSignal json:StopSignal,omitempty", "StopSignal";
        stop_timeout: Option<i64> = "StopTimeout json:StopTimeout,omitempty", "StopTimeout";
        shell: Texts = "Shell json:Shell,omitempty", "Shell", "nil::list";
    }
}

record! {
    Health, "docker.HealthConfig" {
        test: Texts = "Test json:Test,omitempty", "Test", "nil::list";
        interval: Span = "Interval json:Interval,omitempty", "Interval";
        timeout: Span = "Timeout json:Timeout,omitempty", "Timeout";
        start_period: Span = "StartPeriod json:StartPeriod,omitempty", "StartPeriod";
        retries: i64 = "Retries json:Retries,omitempty", "Retries";
    }
}

/// A moment, or nothing.
fn moment<S: Serializer>(value: &Option<String>, serializer: S) -> Result<S::Ok, S::Error> {
    value.clone().map(Time).serialize(serializer)
}

/// A duration: nanoseconds in documents.
#[derive(Default, Deserialize)]
struct Span(i64);

impl Serialize for Span {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        Duration(self.0).serialize(serializer)
    }
}

#[cfg(test)]
mod tests {
    use cask_terminal::template::{Format, Origin};
    use cask_terminal::value::Value;
    use serde_json::json;

    use super::*;

    #[test]
    fn what_is_not_said_is_what_go_has_for_nothing() {
        let check = |config: serde_json::Value, template: &str, expected: &str| {
            let image: DockerImage = serde_json::from_value(json!({ "config": config })).unwrap();
            let format = Format::parse("format", template, Origin::Value).unwrap();
            let text = format.render(None, &Value::of(&image).unwrap()).unwrap();
            assert_eq!(String::from_utf8(text).unwrap().trim_end(), expected, "{template}");
        };
        check(json!({}), "{{.Config.Env}} {{len .Config.Cmd}} {{.Config.Labels}}", "[] 0 map[]");
        check(json!({"Volumes": {"/v": {}}}), "{{.Config.Volumes}}", "map[/v:{}]");
        for labels in [json!({}), json!({"Labels": {}}), json!({"Labels": {"b": "c"}})] {
            check(labels, "[{{index .Config.Labels \"a\"}}]", "[]");
        }
        check(json!({}), "{{.Config.Healthcheck}} {{.OS}}", "<nil>");
        let health = json!({"Healthcheck": {"Test": ["CMD", "a"], "Interval": 5_000_000_000_i64,
            "Timeout": 1_500_000_000_i64, "StartPeriod": 60_000_000_000_i64, "Retries": 3}});
        check(health.clone(), "{{.Config.Healthcheck}}", "{[CMD a] 5s 1.5s 1m0s 3}");
        check(health, "{{printf \"%d\" .Config.Healthcheck.Interval}}", "5000000000");
    }
}
