//! Indexes between OCI and Docker.

use super::image::{lost_at_top, lost_in_descriptor};
use super::{Conversion, ConversionError, ConversionErrorKind as ErrorKind, Loss, LossKind};
use crate::{Descriptor, ImageFormat, Index, Platform};

impl Index {
    /// The index in Docker's format, where every entry needs a platform.
    ///
    /// The entries go on naming the same manifests: those that are converted as well have to be
    /// replaced. Entries without a platform get `assumed`; the Go tools assume the platform on
    /// which they run. An index in Docker's format comes back as it is.
    ///
    /// Source: `containers/image`, `ToSchema2List`.
    ///
    /// # Errors
    /// `MissingPlatform`, if an entry has none and none is assumed.
    pub fn to_docker(
        &self,
        assumed: Option<&Platform>,
    ) -> Result<Conversion<Self>, ConversionError> {
        if self.format == ImageFormat::Docker {
            return Ok(Conversion { manifest: self.clone(), config: None, losses: Vec::new() });
        }
        let mut losses = self.losses_at_top();
        let mut manifests = Vec::with_capacity(self.manifests.len());
        for (position, entry) in self.manifests.iter().enumerate() {
            let path = format!("manifests[{position}]");
            let Some(platform) = entry.platform.as_ref().or(assumed) else {
                let detail = "the entry has no platform, which Docker's manifest lists require";
                return Err(ConversionError::new(ErrorKind::MissingPlatform, path, detail));
            };
            manifests.push(bare_entry(entry, platform, &path, &mut losses));
        }
        let manifest = Self::new(ImageFormat::Docker, manifests);
        Ok(Conversion { manifest, config: None, losses })
    }

    /// The index in OCI's format.
    ///
    /// The entries go on naming the same manifests: those that are converted as well have to be
    /// replaced. An index in OCI's format comes back as it is.
    ///
    /// Source: `containers/image`, `ToOCI1Index`.
    pub fn to_oci(&self) -> Conversion<Self> {
        if self.format == ImageFormat::Oci {
            return Conversion { manifest: self.clone(), config: None, losses: Vec::new() };
        }
        let mut losses = self.losses_at_top();
        let convert = |(position, entry): (usize, &Descriptor)| {
            let path = format!("manifests[{position}]");
            let platform = entry.platform.clone().unwrap_or_default();
            bare_entry(entry, &platform, &path, &mut losses)
        };
        let manifests = self.manifests.iter().enumerate().map(convert).collect();
        Conversion { manifest: Self::new(ImageFormat::Oci, manifests), config: None, losses }
    }

    fn losses_at_top(&self) -> Vec<Loss> {
        let Self { annotations, artifact_type, subject, unknown_fields, .. } = self;
        lost_at_top(annotations, artifact_type.as_ref(), subject.as_ref(), unknown_fields)
    }
}

/// The entry with what both formats have.
fn bare_entry(
    entry: &Descriptor,
    platform: &Platform,
    path: &str,
    losses: &mut Vec<Loss>,
) -> Descriptor {
    lost_in_descriptor(entry, path, losses);
    if !platform.features.is_empty() {
        losses.push(Loss { path: format!("{path}.platform.features"), kind: LossKind::Platform });
    }
    let mut bare = Descriptor::new(entry.media_type.clone(), entry.digest.clone(), entry.size);
    bare.urls.clone_from(&entry.urls);
    bare.platform = Some(Platform { features: Vec::new(), ..platform.clone() });
    bare
}
