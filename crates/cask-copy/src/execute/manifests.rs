//! Writing the manifests, in another form where the destination refuses one.

use bytes::Bytes;
use cask_image::{ImageFormat, Manifest, RawManifest};
use cask_transport::{
    BlobKind, BlobSpec, Error, ErrorKind, ManifestRole, Measured, Result, TaskId, Transaction,
};

use super::Execution;
use crate::decide::other_format;
use crate::graph::{Content, Node};
use crate::plan::{ManifestStep, ManifestWork};
use crate::rewrite::{self, Made, Written};
use crate::transform::{BytesBody, Progress};

impl Execution<'_> {
    /// Writes all manifests, children before their parents, and gives them as they were written.
    pub(super) async fn write_manifests(
        &self,
        transaction: &dyn Transaction,
        written: &[Option<Written>],
    ) -> Result<Vec<RawManifest>> {
        let mut made = Made::default();
        for (node, step) in self.graph.nodes().iter().zip(&self.plan.manifests) {
            self.check_subject(node, &made)?;
            let manifest = match (&step.work, &node.content) {
                (ManifestWork::Image(work), _) if work.is_rewritten => {
                    Some(rewrite::image(work, written)?.encode())
                }
                (ManifestWork::Index(work), Content::Index { entries, .. }) => {
                    made.index(work, entries)
                }
                _ => None,
            };
            let manifest = manifest.unwrap_or_else(|| node.raw.clone());
            let manifest = self.write_manifest(transaction, step, manifest).await?;
            match node.added {
                None => made.push(&node.descriptor.digest, manifest),
                Some(_) => made.push_added(manifest),
            }
        }
        Ok(made.manifests)
    }

    /// What refers to a manifest that was refused, and then written in another form, would refer
    /// to nothing.
    fn check_subject(&self, node: &Node, made: &Made) -> Result<()> {
        let subject = node.subject().filter(|_| node.is_referrer);
        if subject.is_some_and(|subject| made.is_renamed(&subject.digest)) {
            return Err(Error::new(ErrorKind::Unsupported, "copying", &node.descriptor.digest)
                .with_detail("it refers to a manifest whose digest changed on the way")
                .with_hint("without --referrers the image is copied alone"));
        }
        Ok(())
    }

    /// Writes one manifest; where it is refused for its type, in the other format.
    ///
    /// Source: containers/image, `copySingleImage` and `copyMultipleImages`, for order and words.
    async fn write_manifest(
        &self,
        transaction: &dyn Transaction,
        step: &ManifestStep,
        manifest: RawManifest,
    ) -> Result<RawManifest> {
        let locked = self.options.locks.lock(manifest.digest()).await;
        if step.role == ManifestRole::Top && self.capabilities.visible_with_top {
            self.begin_commit();
        }
        let refused = match transaction.write_manifest(&manifest, &step.role).await {
            Ok(()) => return Ok(manifest),
            Err(error) if error.kind() == ErrorKind::ManifestRefused => error,
            Err(error) => return Err(error),
        };
        drop(locked);
        let Some((format, what)) = self.other_form(step) else {
            let is_schema1 = manifest.media_type().is_schema1() && self.fixed.is_none();
            let hint = "--format v2s2 and --format oci convert it";
            return Err(if is_schema1 { refused.with_hint(hint) } else { refused });
        };
        let fail = || Error::new(ErrorKind::ManifestRefused, "", "");
        if let Some(fixed) = self.fixed {
            let reason = fixed.reason();
            let detail = format!(
                "writing manifest failed and we cannot try conversions: {reason:?}: {refused}"
            );
            return Err(fail().with_detail(detail).with_source(refused).with_hint(fixed.hint()));
        }
        let again = self.write_converted(transaction, step, &manifest, format).await;
        again.map_err(|error| {
            let refused = format!("{}({refused})", manifest.media_type());
            let other = match what {
                "manifest list" => format.index_type(),
                _ => format.manifest_type(),
            };
            let detail = format!(
                "Uploading {what} failed, attempted the following formats: {refused}, {other}({error})"
            );
            fail().with_detail(detail).with_source(error)
        })
    }

    /// The format that a refused manifest can be tried in, where there is one, and what it is.
    fn other_form(&self, step: &ManifestStep) -> Option<(ImageFormat, &'static str)> {
        if self.options.format.is_some() || step.role == ManifestRole::Referrer {
            return None;
        }
        match &step.work {
            ManifestWork::Image(work) => {
                let format = other_format(work.manifest.format);
                let is_held = self.capabilities.manifest_types.contains(&format.manifest_type());
                is_held.then_some((format, "manifest"))
            }
            ManifestWork::Index(work) => {
                let format = other_format(work.index.format);
                let is_held = self.capabilities.index_types.contains(&format.index_type());
                is_held.then_some((format, "manifest list"))
            }
            ManifestWork::Keep { .. } => None,
        }
    }

    async fn write_converted(
        &self,
        transaction: &dyn Transaction,
        step: &ManifestStep,
        manifest: &RawManifest,
        format: ImageFormat,
    ) -> Result<RawManifest> {
        let (converted, config) = self.converted(step, manifest, format)?;
        if let Some((spec, config)) = config {
            let algorithm = cask_image::Algorithm::Sha256;
            // Nobody waits for so small a blob.
            let progress = Progress::new(std::sync::Arc::new(()), TaskId(u64::MAX));
            let body = BytesBody { bytes: config, algorithm, progress };
            transaction.write_blob(&spec, std::sync::Arc::new(body)).await?;
        }
        let _locked = self.options.locks.lock(converted.digest()).await;
        transaction.write_manifest(&converted, &step.role).await?;
        Ok(converted)
    }

    /// The manifest in another format, with its config where that is another one then.
    fn converted(
        &self,
        step: &ManifestStep,
        manifest: &RawManifest,
        format: ImageFormat,
    ) -> Result<(RawManifest, Option<(BlobSpec, Bytes)>)> {
        let digest = manifest.digest();
        let parsed = manifest.parse().map_err(|error| {
            Error::new(ErrorKind::Corrupt, "parsing manifest", digest).with_source(error)
        })?;
        let fail = |error| crate::decide::conversion_error(digest, error);
        match (parsed, &step.work, format) {
            (Manifest::Image(image), ManifestWork::Image(_), ImageFormat::Docker) => {
                Ok((image.to_docker().map_err(fail)?.manifest.encode(), None))
            }
            (Manifest::Image(image), ManifestWork::Image(work), ImageFormat::Oci) => {
                let config = self.plan.blobs[work.config].made.clone().unwrap_or_default();
                let conversion = image.to_oci(&config).map_err(fail)?;
                let spec = BlobSpec {
                    kind: BlobKind::Config,
                    media_type: conversion.manifest.config.media_type.clone(),
                    measured: Some(Measured::from(&conversion.manifest.config)),
                };
                let config = conversion.config.map(|config| (spec, config));
                Ok((conversion.manifest.encode(), config))
            }
            (Manifest::Index(index), _, ImageFormat::Docker) => {
                Ok((index.to_docker(None).map_err(fail)?.manifest.encode(), None))
            }
            (Manifest::Index(index), _, ImageFormat::Oci) => {
                Ok((index.to_oci().manifest.encode(), None))
            }
            _ => Err(Error::new(ErrorKind::Unsupported, "converting manifest", digest)
                .with_detail("there is no other form of it")),
        }
    }
}
