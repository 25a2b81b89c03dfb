//! A plan for people to read.

use std::fmt;

use cask_transport::{BlobKind, Have};

use super::{BlobAction, BlobStep, ManifestStep, Plan};

impl fmt::Display for BlobAction {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Copy => f.write_str("copy"),
            Self::Compress(compression) => write!(f, "compress by {compression}"),
            Self::Decompress => f.write_str("decompress"),
            Self::Leave => f.write_str("leave at its URLs"),
            Self::Make => f.write_str("make"),
        }
    }
}

impl fmt::Display for BlobStep {
    /// Writes a line without its end: `layer sha256:… (123 bytes): copy`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, kind, action, reason, have, .. } = self;
        let what = match kind {
            BlobKind::Config => "config",
            BlobKind::Layer { .. } => "layer",
            _ => "blob",
        };
        write!(f, "{what} {} ({} bytes): ", source.digest, source.size)?;
        match have {
            Have::Exact => return f.write_str("reuse: the destination has it"),
            Have::Equivalent(other) => {
                let (digest, media_type) = (&other.digest, &other.media_type);
                return write!(f, "reuse: the destination has it as {digest} ({media_type})");
            }
            Have::MountableEquivalent { other, from } => {
                return write!(f, "mount from {from}, where it is as {}", other.digest);
            }
            Have::Mountable { from } => return write!(f, "mount from {from}"),
            Have::Partial { bytes } => write!(f, "{action} from byte {bytes} on")?,
            _ => write!(f, "{action}")?,
        }
        if reason.is_empty() { Ok(()) } else { write!(f, ", because {reason}") }
    }
}

impl fmt::Display for ManifestStep {
    /// Writes a line without its end: `manifest sha256:… (linux/amd64): write unchanged`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { source, changes, .. } = self;
        let what = if source.media_type.is_index() { "index" } else { "manifest" };
        write!(f, "{what} {}", source.digest)?;
        if let Some(platform) = &source.platform {
            write!(f, " ({platform})")?;
        }
        match changes.as_slice() {
            [] => f.write_str(": write unchanged"),
            changes => write!(f, ": its digest changes, because {}", changes.join("; ")),
        }
    }
}

impl fmt::Display for Plan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { from, to, manifests, blobs, is_there, warnings } = self;
        writeln!(f, "copy {from} to {to}")?;
        if *is_there {
            return writeln!(f, "  nothing to do: the destination has the same image");
        }
        for blob in blobs {
            writeln!(f, "  {blob}")?;
        }
        for manifest in manifests {
            writeln!(f, "  {manifest}")?;
        }
        for warning in warnings {
            writeln!(f, "  note: {warning}")?;
        }
        writeln!(f, "  {} bytes to move, {} bytes reused", self.moved_bytes(), self.reused_bytes())
    }
}
