//! Reading configs.

use std::time::Duration;

use cask_json::{Document, Fields, Kind, Value};

use super::{ExecutionConfig, Healthcheck, HistoryEntry, ImageConfig};
use crate::error::ManifestError;

impl ImageConfig {
    pub(crate) fn read(document: &Document<'_>) -> Result<Self, ManifestError> {
        let fields = Fields::of_any_case(document.root())?;
        let mut config = Self {
            created: fields.parsed("created")?,
            author: fields.text("author")?,
            architecture: fields.text("architecture")?,
            os: fields.text("os")?,
            os_version: fields.nonempty("os.version")?,
            os_features: fields.strings("os.features")?,
            variant: fields.nonempty("variant")?,
            ..Self::default()
        };
        if let Some(value) = fields.get("config")? {
            config.config = ExecutionConfig::read(value)?;
        }
        if let Some(rootfs) = fields.get("rootfs")? {
            let rootfs = Fields::of_any_case(rootfs)?;
            config.rootfs_type = rootfs.text("type")?;
            let diff_ids = rootfs.array("diff_ids")?;
            config.diff_ids = diff_ids.map(Value::as_parsed).collect::<Result<_, _>>()?;
        }
        let history = fields.array("history")?;
        config.history = history.map(HistoryEntry::read).collect::<Result<_, _>>()?;
        Ok(config)
    }
}

impl ExecutionConfig {
    fn read(value: Value<'_>) -> Result<Self, ManifestError> {
        let fields = Fields::of_any_case(value)?;
        Ok(Self {
            user: fields.text("User")?,
            exposed_ports: fields.string_set("ExposedPorts")?,
            env: fields.strings("Env")?,
            entrypoint: command(&fields, "Entrypoint")?,
            cmd: command(&fields, "Cmd")?,
            volumes: fields.string_set("Volumes")?,
            working_dir: fields.text("WorkingDir")?,
            labels: fields.string_map("Labels")?,
            stop_signal: fields.text("StopSignal")?,
            args_escaped: fields.boolean("ArgsEscaped")?,
            healthcheck: match fields.get("Healthcheck")? {
                Some(value) => Some(Healthcheck::read(value)?),
                None => None,
            },
            on_build: fields.strings("OnBuild")?,
            shell: command(&fields, "Shell")?,
        })
    }
}

impl Healthcheck {
    pub(crate) fn read(value: Value<'_>) -> Result<Self, ManifestError> {
        let fields = Fields::of_any_case(value)?;
        let natural = |name| {
            let number = fields.integer(name)?.unwrap_or_default();
            Ok::<_, ManifestError>(u64::try_from(number).unwrap_or_default())
        };
        let duration = |name| natural(name).map(Duration::from_nanos);
        Ok(Self {
            test: fields.strings("Test")?,
            interval: duration("Interval")?,
            timeout: duration("Timeout")?,
            start_period: duration("StartPeriod")?,
            start_interval: duration("StartInterval")?,
            retries: u32::try_from(natural("Retries")?).unwrap_or(u32::MAX),
        })
    }
}

impl HistoryEntry {
    fn read(value: Value<'_>) -> Result<Self, ManifestError> {
        if value.is_null() {
            return Ok(Self::default());
        }
        let fields = Fields::of_any_case(value)?;
        Ok(Self {
            created: fields.parsed("created")?,
            created_by: fields.text("created_by")?,
            author: fields.text("author")?,
            comment: fields.text("comment")?,
            empty_layer: fields.boolean("empty_layer")?,
        })
    }
}

/// A command: a list of arguments, or, in Docker's configs, one argument as text.
fn command(fields: &Fields<'_>, name: &str) -> Result<Option<Vec<String>>, ManifestError> {
    Ok(match fields.get(name)? {
        None => None,
        Some(value) => match value.kind() {
            Kind::String(text) => Some(vec![text.to_owned()]),
            _ => Some(value.as_strings()?),
        },
    })
}
