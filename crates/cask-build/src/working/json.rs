//! JSON as Go writes the structs of images: the fields in the order of the structs, whatever else
//! there is behind them.

use std::cmp::Ordering;

use cask_json::Writer;
use serde_json::Value;

/// Which struct of Go's an object is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// An OCI config.
    OciImage,
    /// A Docker config.
    DockerImage,
    /// How to run an image, OCI.
    OciExecution,
    /// How to run an image, Docker.
    DockerExecution,
    /// What an image is made of.
    RootFs,
    /// A step of a history.
    History,
    /// How to find out whether a program works.
    Healthcheck,
    /// A map, or a struct whose order does not matter.
    Sorted,
}

/// Source: OCI image specification, `specs-go/v1/config.go`.
const OCI_IMAGE: [&str; 10] = [
    "created",
    "author",
    "architecture",
    "variant",
    "os",
    "os.version",
    "os.features",
    "config",
    "rootfs",
    "history",
];
/// Source: OCI image specification, `specs-go/v1/config.go`, `ImageConfig`.
pub(super) const OCI_EXECUTION: [&str; 10] = [
    "User",
    "ExposedPorts",
    "Env",
    "Entrypoint",
    "Cmd",
    "Volumes",
    "WorkingDir",
    "Labels",
    "StopSignal",
    "ArgsEscaped",
];
/// Source: buildah, `docker/types.go`.
const DOCKER_IMAGE: [&str; 17] = [
    "id",
    "parent",
    "comment",
    "created",
    "container",
    "container_config",
    "docker_version",
    "author",
    "config",
    "architecture",
    "variant",
    "os",
    "size",
    "rootfs",
    "history",
    "os.version",
    "os.features",
];
const DOCKER_EXECUTION: [&str; 26] = [
    "Hostname",
    "Domainname",
    "User",
    "AttachStdin",
    "AttachStdout",
    "AttachStderr",
    "ExposedPorts",
    "PublishService",
    "Tty",
    "OpenStdin",
    "StdinOnce",
    "Env",
    "Cmd",
    "Healthcheck",
    "ArgsEscaped",
    "Image",
    "Volumes",
    "WorkingDir",
    "Entrypoint",
    "NetworkDisabled",
    "MacAddress",
    "OnBuild",
    "Labels",
    "StopSignal",
    "StopTimeout",
    "Shell",
];
const HISTORY: [&str; 5] = ["created", "created_by", "author", "comment", "empty_layer"];
const ROOT_FS: [&str; 2] = ["type", "diff_ids"];
const HEALTHCHECK: [&str; 6] =
    ["Test", "Interval", "Timeout", "StartPeriod", "StartInterval", "Retries"];

impl Shape {
    fn order(self) -> &'static [&'static str] {
        match self {
            Self::OciImage => &OCI_IMAGE,
            Self::DockerImage => &DOCKER_IMAGE,
            Self::OciExecution => &OCI_EXECUTION,
            Self::DockerExecution => &DOCKER_EXECUTION,
            Self::RootFs => &ROOT_FS,
            Self::History => &HISTORY,
            Self::Healthcheck => &HEALTHCHECK,
            Self::Sorted => &[],
        }
    }

    /// What is in a field.
    fn field(self, key: &str) -> Self {
        match (self, key) {
            (Self::OciImage, "config") => Self::OciExecution,
            (Self::DockerImage, "config" | "container_config") => Self::DockerExecution,
            (Self::OciImage | Self::DockerImage, "rootfs") => Self::RootFs,
            (Self::OciImage | Self::DockerImage, "history") => Self::History,
            (Self::DockerExecution, "Healthcheck") => Self::Healthcheck,
            _ => Self::Sorted,
        }
    }
}

/// Writes a value; objects in lists have the shape of the list.
pub(super) fn encode(value: &Value, shape: Shape) -> Vec<u8> {
    let mut writer = Writer::default();
    write(&mut writer, value, shape);
    writer.finish()
}

fn write(writer: &mut Writer, value: &Value, shape: Shape) {
    match value {
        Value::Null => writer.null(),
        Value::Bool(value) => writer.boolean(*value),
        Value::Number(number) => writer.copy(number.to_string().as_bytes()),
        Value::String(text) => writer.string(text),
        Value::Array(items) => {
            writer.array(|w| items.iter().for_each(|item| write(w, item, shape)));
        }
        Value::Object(fields) => {
            let order = shape.order();
            let rank = |key: &str| order.iter().position(|known| *known == key);
            let mut fields: Vec<(&String, &Value)> = fields.iter().collect();
            fields.sort_by(|(a, _), (b, _)| match (rank(a), rank(b)) {
                (Some(a), Some(b)) => a.cmp(&b),
                (Some(_), None) => Ordering::Less,
                (None, Some(_)) => Ordering::Greater,
                (None, None) => a.cmp(b),
            });
            writer.object(|w| {
                for (key, value) in fields {
                    write(w.key(key), value, shape.field(key));
                }
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_come_in_the_order_of_go_s_structs() {
        fn check(shape: Shape, json: &str, expected: &str) {
            let value: Value = serde_json::from_str(json).unwrap();
            assert_eq!(String::from_utf8(encode(&value, shape)).unwrap(), expected);
        }
        check(
            Shape::OciImage,
            r#"{"os":"linux","history":[{"empty_layer":true,"created":"x"}],"created":"c","x":1}"#,
            r#"{"created":"c","os":"linux","history":[{"created":"x","empty_layer":true}],"x":1}"#,
        );
        check(
            Shape::DockerImage,
            r#"{"config":{"Env":["a=<b>"],"User":""},"comment":"x"}"#,
            r#"{"comment":"x","config":{"User":"","Env":["a=\u003cb\u003e"]}}"#,
        );
        check(Shape::Sorted, r#"{"b":-1.5,"a":null}"#, r#"{"a":null,"b":-1.5}"#);
    }
}
