//! The fields of a mount.

use super::mount::{Mount, MountError, MountKind, Propagation, Relabel, Sharing};
use super::values::{boolean, size};
use crate::suggest::{did_you_mean, nearest};

/// Every field that is known.
const KEYS: [&str; 27] = [
    "type",
    "from",
    "source",
    "target",
    "readonly",
    "id",
    "sharing",
    "required",
    "size",
    "mode",
    "uid",
    "gid",
    "src",
    "dst",
    "destination",
    "ro",
    "rw",
    "readwrite",
    "env",
    "tmpfs-size",
    "tmpfs-mode",
    "tmpcopyup",
    "bind-propagation",
    "relabel",
    "z",
    "u",
    "o",
];

const SHARINGS: [(&str, Sharing); 3] =
    [("locked", Sharing::Locked), ("private", Sharing::Private), ("shared", Sharing::Shared)];

const PROPAGATIONS: [(&str, Propagation); 8] = [
    ("private", Propagation::Private),
    ("rprivate", Propagation::RecursivePrivate),
    ("rshared", Propagation::RecursiveShared),
    ("rslave", Propagation::RecursiveSlave),
    ("runbindable", Propagation::RecursiveUnbindable),
    ("shared", Propagation::Shared),
    ("slave", Propagation::Slave),
    ("unbindable", Propagation::Unbindable),
];

/// A mount in the making.
#[derive(Default)]
pub(super) struct Fields {
    mount: Mount,
    is_access_given: bool,
}

type Outcome = Result<(), MountError>;

impl Fields {
    /// Takes a field without a value.
    pub(super) fn flag(&mut self, field: &str) -> Outcome {
        // The case of z tells the label, and is folded everywhere else.
        match field {
            "z" => self.mount.relabel = Some(Relabel::Shared),
            "Z" => self.mount.relabel = Some(Relabel::Private),
            _ => return self.folded_flag(field, &field.to_ascii_lowercase()),
        }
        Ok(())
    }

    fn folded_flag(&mut self, field: &str, key: &str) -> Outcome {
        match key {
            "readonly" | "ro" => self.read_only(true),
            "readwrite" | "rw" => self.read_only(false),
            "required" => return self.required(true),
            "tmpcopyup" => self.mount.copies_up = true,
            "u" => self.mount.changes_owner = true,
            "o" => self.mount.is_overlay = true,
            _ => {
                let near = nearest(key, KEYS, true);
                let field = field.escape_debug();
                let near = did_you_mean(near);
                return refuse(format!("invalid field '{field}' must be a key=value pair{near}"));
            }
        }
        Ok(())
    }

    fn read_only(&mut self, is_read_only: bool) {
        self.mount.is_read_only = is_read_only;
        self.is_access_given = true;
    }

    fn required(&mut self, is_required: bool) -> Outcome {
        if !matches!(self.mount.kind, MountKind::Secret | MountKind::Ssh) {
            let kind = self.mount.kind.as_str();
            return refuse(format!("unexpected key 'required' for mount type '{kind}'"));
        }
        self.mount.is_required = is_required;
        Ok(())
    }

    /// Checks that the fields go together.
    pub(super) fn finish(mut self) -> Result<Mount, MountError> {
        let kind = self.mount.kind;
        let mount = &self.mount;
        let is_set = |condition: bool, message: String| {
            if condition { Err(MountError::new(message)) } else { Ok(()) }
        };
        if matches!(kind, MountKind::Bind | MountKind::Tmpfs) {
            let name = kind.as_str();
            let refusal = |key: &str| format!("{key} not allowed for {name:?} type mounts");
            // Buildah lets a tmpfs have a mode.
            is_set(mount.mode.is_some() && kind == MountKind::Bind, refusal("mode"))?;
            is_set(mount.uid.is_some(), refusal("uid"))?;
            is_set(mount.gid.is_some(), refusal("gid"))?;
        }
        if kind == MountKind::Secret {
            let nameless = mount.source.is_none() && mount.target.is_none() && mount.id.is_none();
            is_set(mount.from.is_some(), "secret mount should not have a from".to_owned())?;
            is_set(mount.sharing.is_some(), "secret mount should not define sharing".to_owned())?;
            is_set(nameless, "invalid secret mount. one of source, target required".to_owned())?;
            let both = mount.source.is_some() && mount.id.is_some();
            is_set(both, "both source and id can't be set".to_owned())?;
        }
        let is_shared = mount.sharing.is_some() && kind != MountKind::Cache;
        is_set(is_shared, format!("invalid cache sharing set for {} mount", kind.as_str()))?;
        if !self.is_access_given {
            self.mount.is_read_only = !matches!(kind, MountKind::Cache | MountKind::Tmpfs);
        }
        Ok(self.mount)
    }
}

fn refuse<T>(message: String) -> Result<T, MountError> {
    Err(MountError::new(message))
}

fn invalid<T>(key: &str, value: &str) -> Result<T, MountError> {
    refuse(format!("invalid value for {key}: {}", value.escape_debug()))
}

fn choice<T: Copy>(what: &str, value: &str, all: &[(&'static str, T)]) -> Result<T, MountError> {
    let folded = value.to_ascii_lowercase();
    match all.iter().find(|(name, _)| *name == folded) {
        Some((_, found)) => Ok(*found),
        None => {
            let near = did_you_mean(nearest(value, all.iter().map(|(name, _)| *name), true));
            refuse(format!("unsupported {what} {value:?}{near}"))
        }
    }
}

fn number(key: &str, value: &str, radix: u32) -> Result<u32, MountError> {
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    match u32::from_str_radix(value, radix) {
        Ok(number) if digits => Ok(number),
        _ => refuse(format!("invalid value {} for {key}", value.escape_debug())),
    }
}

/// Takes a field with a value.
pub(super) fn read(fields: &mut Fields, field: &str, key: &str, value: &str) -> Outcome {
    let folded = key.to_ascii_lowercase();
    let truth = || boolean(value).map_or_else(|| invalid(&folded, value), Ok);
    let text = || Some(value.to_owned()).filter(|value| !value.is_empty());
    let mount = &mut fields.mount;
    match folded.as_str() {
        "type" => mount.kind = choice("mount type", value, &MountKind::ALL)?,
        "from" => mount.from = text(),
        "source" | "src" => mount.source = text(),
        "target" | "dst" | "destination" => mount.target = text(),
        "readonly" | "ro" => fields.read_only(truth()?),
        "readwrite" | "rw" => fields.read_only(!truth()?),
        "required" => fields.required(truth()?)?,
        "size" | "tmpfs-size" if mount.kind == MountKind::Tmpfs => {
            mount.size_bytes = Some(size(value).map_or_else(|| invalid(&folded, value), Ok)?);
        }
        "tmpcopyup" => mount.copies_up = truth()?,
        "size" | "tmpfs-size" => {
            let kind = mount.kind.as_str();
            return refuse(format!("unexpected key '{folded}' for mount type '{kind}'"));
        }
        "id" => mount.id = text(),
        "sharing" => mount.sharing = Some(choice("sharing value", value, &SHARINGS)?),
        "mode" | "tmpfs-mode" => mount.mode = Some(number("mode", value, 8)?),
        "uid" => mount.uid = Some(number("uid", value, 10)?),
        "gid" => mount.gid = Some(number("gid", value, 10)?),
        "env" => mount.env = Some(value.to_owned()),
        "bind-propagation" => {
            mount.propagation = Some(choice("propagation", value, &PROPAGATIONS)?);
        }
        "relabel" => {
            let all = [("private", Relabel::Private), ("shared", Relabel::Shared)];
            mount.relabel = Some(choice("relabel", value, &all)?);
        }
        "u" => mount.changes_owner = truth()?,
        "o" => mount.is_overlay = truth()?,
        _ => {
            let near = did_you_mean(nearest(&folded, KEYS, false));
            let (key, field) = (folded.escape_debug(), field.escape_debug());
            return refuse(format!("unexpected key '{key}' in '{field}'{near}"));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::MountFlag;
    use super::*;
    use crate::expand::ExpandOptions;
    use crate::span::Span;

    fn resolve(value: &str) -> Result<Mount, String> {
        let flag = MountFlag::parse(value, Span::default()).map_err(|e| e.to_string())?;
        let variables = [("ID", "npm"), ("EMPTY", "")];
        flag.resolve(&variables[..], &ExpandOptions::default()).map_err(|e| e.to_string())
    }

    #[test]
    fn mounts_have_their_fields() {
        fn check(value: &str, expected: Mount) {
            assert_eq!(resolve(value), Ok(expected), "{value}");
        }
        let text = |text: &str| Some(text.to_owned());
        let bind = Mount { target: text("/x"), is_read_only: true, ..Mount::default() };
        check("target=/x", bind.clone());
        check("dst=/x,ro", bind.clone());
        check("type=bind,destination=/x,rw", Mount { is_read_only: false, ..bind.clone() });
        check("target=/x,readonly=false", Mount { is_read_only: false, ..bind.clone() });
        check(
            "target=/x,from=a,src=/b",
            Mount { from: text("a"), source: text("/b"), ..bind.clone() },
        );
        check(
            "target=/x,Z,U",
            Mount { relabel: Some(Relabel::Private), changes_owner: true, ..bind.clone() },
        );
        let cache = Mount { kind: MountKind::Cache, target: text("/x"), ..Mount::default() };
        check("type=cache,target=/x,id=$ID", Mount { id: text("npm"), ..cache.clone() });
        let modes =
            Mount { sharing: Some(Sharing::Locked), mode: Some(0o755), uid: Some(5), ..cache };
        check("type=CACHE,target=/x,sharing=locked,mode=0755,uid=5", modes);
        let tmpfs = Mount { kind: MountKind::Tmpfs, target: text("/x"), ..Mount::default() };
        check("type=tmpfs,target=/x,size=64m", Mount { size_bytes: Some(64 << 20), ..tmpfs });
        let secret = Mount {
            kind: MountKind::Secret,
            id: text("a"),
            is_read_only: true,
            ..Mount::default()
        };
        check(
            "type=secret,id=a,required,env=TOKEN",
            Mount { is_required: true, env: text("TOKEN"), ..secret },
        );
    }

    #[test]
    fn mounts_that_cannot_be_are_refused() {
        fn check(value: &str, expected: &str) {
            assert_eq!(resolve(value), Err(expected.to_owned()), "{value}");
        }
        check("type=bnd", "unsupported mount type \"bnd\" (did you mean bind?)");
        check("traget=/x", "unexpected key 'traget' in 'traget=/x' (did you mean target?)");
        check("target", "invalid field 'target' must be a key=value pair");
        check("type=bind,required", "unexpected key 'required' for mount type 'bind'");
        check("type=cache,size=1", "unexpected key 'size' for mount type 'cache'");
        check("type=tmpfs,size=x", "invalid value for size: x");
        check("type=cache,mode=9", "invalid value 9 for mode");
        check("type=cache,uid=-1", "invalid value -1 for uid");
        check("uid=1", "uid not allowed for \"bind\" type mounts");
        check("type=secret", "invalid secret mount. one of source, target required");
        check("type=secret,id=a,src=b", "both source and id can't be set");
        check("sharing=shared", "invalid cache sharing set for bind mount");
        check(
            "type=cache,sharing=lock",
            "unsupported sharing value \"lock\" (did you mean locked?)",
        );
        check("bind-propagation=rprivate;src=/", "unsupported propagation \"rprivate;src=/\"");
        check("ro=maybe", "invalid value for ro: maybe");
        check("\"a", "failed to parse csv mounts: a quoted field begins and ends with \"");
        check("id=${", "a field cannot be expanded");
    }
}
