//! One copy, from its plan to its report.

use cask_image::{Digest, RawManifest};
use cask_transport::{
    Capabilities, Error, ErrorKind, Event, Have, Location, Result, Selector, Signature,
    Transaction, VerifiedSource,
};

use crate::check_policy;
use crate::decide::{Decider, Fixed};
use crate::execute::{Cancel, Execution};
use crate::graph::Graph;
use crate::{CopyOptions, Plan};

/// What a copy did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The top manifest as it was written.
    pub manifest: RawManifest,
    /// How many bytes of blobs were written.
    pub moved_bytes: u64,
    /// How many bytes of blobs the destination had.
    pub reused_bytes: u64,
}

/// A copy that was planned and not done. Dropped, it leaves nothing behind.
pub struct PlannedCopy {
    source: VerifiedSource,
    graph: Graph,
    plan: Plan,
    options: CopyOptions,
    capabilities: Capabilities,
    signatures: Vec<Vec<Signature>>,
    named_digest: Option<Digest>,
    transaction: Box<dyn Transaction>,
}

/// Copies what one location holds to another.
///
/// The image's signatures and the policy are looked at before anything of it is interpreted;
/// every digest and size is checked; nothing is visible at the destination before all is there.
///
/// # Errors
/// `PolicyRejected`; `NotFound` if there is no such image, or none for the platform;
/// `Unsupported` if the destination cannot hold it, or could only by a change that the options
/// exclude; `DigestMismatch`, `SizeMismatch`, `Corrupt` for an image that is not what it says;
/// and what the two places say.
pub async fn copy(from: &dyn Location, to: &dyn Location, options: &CopyOptions) -> Result<Report> {
    plan(from, to, options).await?.execute().await
}

/// Finds out what a copy would do. Manifests and configs are read, layers are not.
///
/// # Errors
/// As [`copy`].
pub async fn plan(
    from: &dyn Location,
    to: &dyn Location,
    options: &CopyOptions,
) -> Result<PlannedCopy> {
    check_policy(&options.policy, from, options.require_signed)?;
    let source = from.source().await?;
    let attached = options.attached;
    let graph =
        Graph::read(&source, &Selector::Chosen, &options.instances, attached.referrers).await?;
    let signatures = read_signatures(&source, &graph, to, options).await?;
    let named_digest = to.reference().and_then(|reference| reference.digest()).cloned();
    let fixed = if signatures.iter().any(|signatures| !signatures.is_empty()) {
        Some(Fixed::Signed)
    } else if options.preserve_digests {
        Some(Fixed::Asked)
    } else {
        named_digest.as_ref().map(|_| Fixed::Named)
    };
    let capabilities = to.capabilities();
    let mut decider = Decider {
        source: &source,
        graph: &graph,
        capabilities: &capabilities,
        destination: to.scheme(),
        options,
        fixed,
        manifests: Vec::new(),
        blobs: Vec::new(),
        warnings: Vec::new(),
        known: std::collections::HashMap::new(),
    };
    decider.run().await?;
    let mut plan = Plan {
        from: from.to_string(),
        to: to.to_string(),
        manifests: decider.manifests,
        blobs: decider.blobs,
        warnings: decider.warnings,
    };
    let transaction = to.begin(&options.write).await?;
    let specs: Vec<_> = plan.blobs.iter().map(crate::plan::BlobStep::spec).collect();
    let have = transaction.have(&specs).await?;
    if have.len() != plan.blobs.len() {
        return Err(Error::new(ErrorKind::Corrupt, "asking", to)
            .with_detail("the transport did not answer for every blob"));
    }
    for (blob, have) in plan.blobs.iter_mut().zip(have) {
        // What is not stored need not be there either.
        blob.have = if blob.action == crate::BlobAction::Leave { Have::Missing } else { have };
    }
    Ok(PlannedCopy {
        source,
        graph,
        plan,
        options: options.clone(),
        capabilities,
        signatures,
        named_digest,
        transaction,
    })
}

impl PlannedCopy {
    /// What will be done.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// Does it.
    ///
    /// # Errors
    /// As [`copy`].
    pub async fn execute(self) -> Result<Report> {
        for message in &self.plan.warnings {
            self.options.events.send(Event::Warning { message: message.clone() });
        }
        let execution = Execution {
            source: &self.source,
            graph: &self.graph,
            plan: &self.plan,
            options: &self.options,
            concurrent_blobs: self.capabilities.concurrent_blobs,
            index_types: self.capabilities.index_types,
            signatures: self.signatures,
            named_digest: self.named_digest,
            cancel: Cancel::default(),
        };
        execution.run(self.transaction).await
    }
}

impl std::fmt::Debug for PlannedCopy {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PlannedCopy").field("plan", &self.plan).finish_non_exhaustive()
    }
}

/// The signatures of every manifest that is copied, in the order of the graph.
async fn read_signatures(
    source: &VerifiedSource,
    graph: &Graph,
    to: &dyn Location,
    options: &CopyOptions,
) -> Result<Vec<Vec<Signature>>> {
    let mut all = vec![Vec::new(); graph.nodes().len()];
    if options.attached.remove_signatures {
        return Ok(all);
    }
    options.events.send(Event::ReadingSignatures);
    for (node, signatures) in graph.nodes().iter().zip(&mut all) {
        *signatures = source.signatures(&node.descriptor).await?;
    }
    if !to.capabilities().signatures && all.iter().any(|signatures| !signatures.is_empty()) {
        return Err(Error::new(ErrorKind::Unsupported, "copying signatures to", to)
            .with_detail(format!(
                "Can not copy signatures to {to}: Storing signatures for {} destinations is not \
                 supported",
                to.scheme()
            ))
            .with_hint("--remove-signatures copies the image without them"));
    }
    Ok(all)
}
