//! `RUN --mount`.

use std::fmt;

use super::mount_fields::{Fields, read};
use super::values::comma_separated;
use crate::expand::{ExpandError, ExpandOptions, Variables, expand};
use crate::span::Span;

/// What is mounted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum MountKind {
    /// A directory or file of the context, of a stage or of an image.
    #[default]
    Bind,
    /// A directory that lasts from build to build.
    Cache,
    /// A directory in memory.
    Tmpfs,
    /// A file, or a variable, that does not come into the image.
    Secret,
    /// The socket of an SSH agent.
    Ssh,
}

impl MountKind {
    pub(super) const ALL: [(&'static str, Self); 5] = [
        ("bind", Self::Bind),
        ("cache", Self::Cache),
        ("secret", Self::Secret),
        ("ssh", Self::Ssh),
        ("tmpfs", Self::Tmpfs),
    ];

    /// The word for it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("bind", |(name, _)| name)
    }
}

/// Who else may use a cache at the same time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Sharing {
    /// Anyone.
    #[default]
    Shared,
    /// Nobody: a second build gets a cache of its own.
    Private,
    /// Nobody: a second build waits.
    Locked,
}

/// How mounts in a mount come out of it. Buildah's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Propagation {
    /// `shared`.
    Shared,
    /// `slave`.
    Slave,
    /// `private`.
    Private,
    /// `unbindable`.
    Unbindable,
    /// `rshared`.
    RecursiveShared,
    /// `rslave`.
    RecursiveSlave,
    /// `rprivate`.
    RecursivePrivate,
    /// `runbindable`.
    RecursiveUnbindable,
}

/// The SELinux label that a mount gets. Buildah's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Relabel {
    /// One that other containers share: `z`.
    Shared,
    /// One of its own: `Z`.
    Private,
}

/// A mount whose variables are replaced.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Mount {
    /// What is mounted.
    pub kind: MountKind,
    /// The stage, context or image that it comes from; the build context where there is none.
    pub from: Option<String>,
    /// The path in there.
    pub source: Option<String>,
    /// The path in the stage.
    pub target: Option<String>,
    /// Whether it cannot be written to. What is written to a bind mount is lost.
    pub is_read_only: bool,
    /// The most bytes of a tmpfs.
    pub size_bytes: Option<u64>,
    /// The name of a cache, a secret or an agent.
    pub id: Option<String>,
    /// Who else may use a cache.
    pub sharing: Option<Sharing>,
    /// Whether the build fails without the secret or the agent.
    pub is_required: bool,
    /// The variable that a secret is put in; empty for one with the name of the secret.
    pub env: Option<String>,
    /// The mode of the directory or file.
    pub mode: Option<u32>,
    /// Its owner.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// Whether a tmpfs begins with what the image has there. Buildah's.
    pub copies_up: bool,
    /// Whether the owner of what is mounted is changed to that of the process. Buildah's.
    pub changes_owner: bool,
    /// Whether what is written is kept apart until the end of the RUN. Buildah's.
    pub is_overlay: bool,
    /// How mounts come out of it. Buildah's.
    pub propagation: Option<Propagation>,
    /// The label that it gets. Buildah's.
    pub relabel: Option<Relabel>,
}

impl Mount {
    /// Reads a `--mount` outside of a Containerfile: nothing in it is a variable.
    ///
    /// # Errors
    ///
    /// Its quotes are not those of comma-separated values; a field is unknown, has a value that it
    /// cannot have, or does not go with the others.
    pub fn parse(value: &str) -> Result<Self, MountError> {
        let mut fields = Fields::default();
        for field in &MountFlag::parse(value, Span::default())?.fields {
            match field.split_once('=') {
                None => fields.flag(field)?,
                Some((key, value)) => read(&mut fields, field, key, value)?,
            }
        }
        fields.finish()
    }
}

/// A `--mount` as it is written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MountFlag {
    /// Its fields, in order: `key=value` or `key`.
    pub fields: Vec<String>,
    /// Where it is.
    pub span: Span,
}

impl MountFlag {
    /// A mount that no file has, such as of `--mount` of a build.
    ///
    /// # Errors
    ///
    /// What is wrong with a value whatever its variables are.
    pub fn new(value: &str) -> Result<Self, MountError> {
        let flag = Self::parse(value, Span::default())?;
        flag.check().map(|()| flag)
    }

    /// Takes a value of the flag apart.
    ///
    /// # Errors
    ///
    /// Its quotes are not those of comma-separated values.
    pub(super) fn parse(value: &str, span: Span) -> Result<Self, MountError> {
        let fields = comma_separated(value).ok_or_else(|| {
            MountError::new("failed to parse csv mounts: a quoted field begins and ends with \"")
        })?;
        Ok(Self { fields, span })
    }

    /// The value of a field as it is written: the first of its names that there is.
    #[must_use]
    pub fn field(&self, keys: &[&str]) -> Option<&str> {
        let mut pairs = self.fields.iter().filter_map(|field| field.split_once('='));
        pairs.find(|(key, _)| keys.iter().any(|k| k.eq_ignore_ascii_case(key))).map(|(_, v)| v)
    }

    /// The kind, if no variable decides it.
    #[must_use]
    pub fn kind(&self) -> Option<MountKind> {
        let name = self.field(&["type"]).unwrap_or("bind").to_ascii_lowercase();
        MountKind::ALL.iter().find(|(known, _)| *known == name).map(|(_, kind)| *kind)
    }

    /// Replaces the variables, and reads the fields.
    ///
    /// # Errors
    ///
    /// A variable cannot be replaced, a field is unknown, has a value that it cannot have, or
    /// does not go with the others.
    pub fn resolve(
        &self,
        variables: &(impl Variables + ?Sized),
        options: &ExpandOptions,
    ) -> Result<Mount, MountError> {
        let mut fields = Fields::default();
        for field in &self.fields {
            match field.split_once('=') {
                None => fields.flag(field)?,
                Some((key, value)) => {
                    let value = expand(value, variables, options)?.text;
                    read(&mut fields, field, key, &value)?;
                }
            }
        }
        fields.finish()
    }

    /// Checks what can be checked before variables are known.
    pub(super) fn check(&self) -> Result<(), MountError> {
        let from = self.field(&["from"]).unwrap_or_default();
        if from.find('$').is_some_and(|at| at + 1 < from.len()) {
            let message = "'from' doesn't support variable expansion, define alias stage instead";
            return Err(MountError::new(message));
        }
        if self.fields.iter().any(|field| field.contains('$')) {
            return Ok(());
        }
        let nothing: &[(&str, &str)] = &[];
        self.resolve(nothing, &ExpandOptions::default()).map(drop)
    }
}

/// A mount that cannot be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MountError {
    message: String,
    source: Option<ExpandError>,
}

impl MountError {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), source: None }
    }
}

impl From<ExpandError> for MountError {
    fn from(error: ExpandError) -> Self {
        Self { message: "a field cannot be expanded".to_owned(), source: Some(error) }
    }
}

impl fmt::Display for MountError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for MountError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_ref().map(|error| error as _)
    }
}
