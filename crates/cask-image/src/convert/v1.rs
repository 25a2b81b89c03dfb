//! Docker's first image config, encoded anew.

use cask_json::{Document, Fields, Kind, Value, Writer};

use crate::Timestamp;
use crate::error::ManifestError;
use crate::image_config::{Healthcheck, write_set};

/// Encodes a version 1 config as the Go tools do when they have read it into their struct, which
/// adds the fields that are written even if they are empty.
///
/// Source: `containers/image`, `Schema2V1Image` and `Schema2Config`.
pub(super) fn reencode(document: &Document<'_>) -> Result<Vec<u8>, ManifestError> {
    let fields = Fields::of_any_case(document.root())?;
    let container_config = Container::read(fields.get("container_config")?)?;
    let config = match fields.get("config")? {
        Some(value) => Some(Container::read(Some(value))?),
        None => None,
    };
    let created = fields.parsed("created")?.unwrap_or(Timestamp::GO_ZERO);
    let text = |name: &'static str| Ok::<_, ManifestError>((name, fields.text(name)?));
    let (before, between) = ([text("id")?, text("parent")?, text("comment")?], text("container")?);
    let (version, author) = (text("docker_version")?, text("author")?);
    let after = [text("architecture")?, text("variant")?, text("os")?];
    let size = fields.integer("Size")?.unwrap_or_default();
    let mut writer = Writer::default();
    writer.object(|w| {
        before.iter().for_each(|(name, text)| w.text_unless_empty(name, text));
        w.key("created").string(&created.to_string());
        w.text_unless_empty(between.0, &between.1);
        container_config.write(w.key("container_config"));
        w.text_unless_empty(version.0, &version.1);
        w.text_unless_empty(author.0, &author.1);
        if let Some(config) = config {
            config.write(w.key("config"));
        }
        after.iter().for_each(|(name, text)| w.text_unless_empty(name, text));
        if size != 0 {
            w.key("Size").integer(size);
        }
    });
    Ok(writer.finish())
}

/// The fields of a container's configuration, encoded.
struct Container {
    fields: Vec<(&'static str, Vec<u8>)>,
}

/// How a field is read, and when it is written.
enum Field {
    Text,
    TextUnlessEmpty,
    Flag,
    FlagIfSet,
    /// A list; null if it is missing.
    List,
    /// A list, or one text in place of a list of one; null if it is missing.
    Command,
    CommandUnlessEmpty,
    /// The keys of an object.
    SetUnlessEmpty,
    /// The keys of an object; null if it is missing.
    Set,
    /// An object of texts; null if it is missing.
    Map,
    NumberIfThere,
    Healthcheck,
}

/// The fields in the order of the struct.
const FIELDS: [(&str, Field); 24] = [
    ("Hostname", Field::Text),
    ("Domainname", Field::Text),
    ("User", Field::Text),
    ("AttachStdin", Field::Flag),
    ("AttachStdout", Field::Flag),
    ("AttachStderr", Field::Flag),
    ("ExposedPorts", Field::SetUnlessEmpty),
    ("Tty", Field::Flag),
    ("OpenStdin", Field::Flag),
    ("StdinOnce", Field::Flag),
    ("Env", Field::List),
    ("Cmd", Field::Command),
    ("Healthcheck", Field::Healthcheck),
    ("ArgsEscaped", Field::FlagIfSet),
    ("Image", Field::Text),
    ("Volumes", Field::Set),
    ("WorkingDir", Field::Text),
    ("Entrypoint", Field::Command),
    ("NetworkDisabled", Field::FlagIfSet),
    ("MacAddress", Field::TextUnlessEmpty),
    ("OnBuild", Field::List),
    ("Labels", Field::Map),
    ("StopSignal", Field::TextUnlessEmpty),
    ("StopTimeout", Field::NumberIfThere),
];

impl Container {
    fn read(value: Option<Value<'_>>) -> Result<Self, ManifestError> {
        let fields = value.map(Fields::of_any_case).transpose()?;
        let mut encoded = Vec::new();
        for (name, field) in FIELDS.iter().chain(&[("Shell", Field::CommandUnlessEmpty)]) {
            let value = match &fields {
                Some(fields) => fields.get(name)?,
                None => None,
            };
            let mut writer = Writer::default();
            if field.encode(value, &mut writer)? {
                encoded.push((*name, writer.finish()));
            }
        }
        Ok(Self { fields: encoded })
    }

    fn write(&self, writer: &mut Writer) {
        writer.object(|w| self.fields.iter().for_each(|(name, json)| w.key(name).copy(json)));
    }
}

impl Field {
    /// Writes a value, and returns whether the field is there at all.
    fn encode(&self, value: Option<Value<'_>>, w: &mut Writer) -> Result<bool, ManifestError> {
        let Some(value) = value else { return Ok(self.encode_missing(w)) };
        match self {
            Self::Text => w.string(value.as_str()?),
            Self::TextUnlessEmpty => {
                w.string(value.as_str()?);
                return Ok(!value.as_str()?.is_empty());
            }
            Self::Flag | Self::FlagIfSet => {
                let flag = value.as_bool()?;
                w.boolean(flag);
                return Ok(flag || matches!(self, Self::Flag));
            }
            Self::List => w.strings(&value.as_strings()?),
            Self::Command | Self::CommandUnlessEmpty => {
                let arguments = match value.kind() {
                    Kind::String(text) => vec![text.to_owned()],
                    _ => value.as_strings()?,
                };
                w.strings(&arguments);
                return Ok(!arguments.is_empty() || matches!(self, Self::Command));
            }
            Self::Set | Self::SetUnlessEmpty => {
                let keys = value.as_string_set()?;
                write_set(w, &keys);
                return Ok(!keys.is_empty() || matches!(self, Self::Set));
            }
            Self::Map => w.string_map(&value.as_string_map()?),
            Self::NumberIfThere => w.integer(value.as_integer()?),
            Self::Healthcheck => Healthcheck::read(value)?.write(w),
        }
        Ok(true)
    }

    fn encode_missing(&self, w: &mut Writer) -> bool {
        match self {
            Self::Text => w.string(""),
            Self::Flag => w.boolean(false),
            Self::List | Self::Command | Self::Set | Self::Map => w.null(),
            _ => return false,
        }
        true
    }
}
