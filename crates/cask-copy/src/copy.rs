//! One copy, from its plan to its report.

use cask_image::{Digest, RawManifest};
use cask_transport::{
    Capabilities, Error, ErrorKind, Event, Have, Location, ManifestRole, Result, Selector,
    Signature, Transaction, VerifiedSource,
};

use crate::check_policy;
use crate::decide::{Decided, Fixed, accept_equivalents, decide};
use crate::execute::{Execution, Totals};
use crate::graph::Graph;
use crate::held::HeldLayers;
use crate::nowhere::Nowhere;
use crate::plan::BlobStep;
use crate::precompute::precompute;
use crate::{BlobAction, CopyOptions, ExistingImage, Plan};

/// How often a copy is planned anew because somebody took away meanwhile what it relied on.
const CHANGES: u32 = 5;

/// What a copy did.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Report {
    /// The top manifest as it was written.
    pub manifest: RawManifest,
    /// How many bytes of blobs were written.
    pub moved_bytes: u64,
    /// How many bytes of blobs the destination had, or has mounted.
    pub reused_bytes: u64,
}

/// A copy that was planned and not done. Dropped, it leaves nothing behind.
pub struct PlannedCopy {
    source: VerifiedSource,
    graph: Graph,
    plan: Plan,
    options: CopyOptions,
    capabilities: Capabilities,
    reads_files: bool,
    fixed: Option<Fixed>,
    held: HeldLayers,
    /// The destination's scheme.
    scheme: &'static str,
    signatures: Vec<Vec<Signature>>,
    transaction: Box<dyn Transaction>,
}

/// Copies what one location holds to another.
///
/// The image's signatures and the policy are looked at before anything of it is interpreted;
/// every digest and size is checked; nothing is visible at the destination before all is there.
/// When one part fails, the others are stopped, and the error is returned once they have: by then
/// the destination is as it was. A copy that is dropped stops as soon as it can. What the destination
/// had when the copy was planned may be deleted by others meanwhile: then it is planned anew.
///
/// # Errors
/// `PolicyRejected`; `NotFound` if there is no such image, or none for the platform;
/// `AlreadyExists` if the destination has another image that must stay;
/// `Unsupported` if the destination cannot hold it, or could only by a change that the options
/// exclude; `DigestMismatch`, `SizeMismatch`, `Corrupt`, `LimitExceeded` for an image that is not
/// what it says, or too much; `ManifestRefused` if the destination takes no form of a manifest;
/// and what the two places say.
pub async fn copy(from: &dyn Location, to: &dyn Location, options: &CopyOptions) -> Result<Report> {
    let mut planned = plan(from, to, options).await?;
    for _ in 0..CHANGES {
        match planned.execute().await {
            Err(error) if error.kind() == ErrorKind::Changed => {
                planned = plan(from, to, options).await?;
            }
            done => return done,
        }
    }
    planned.execute().await
}

/// Finds out what a copy would do. Manifests and configs are read; layers are not, except those
/// of a schema 1 image that is converted.
///
/// # Errors
/// As [`copy`].
pub async fn plan(
    from: &dyn Location,
    to: &dyn Location,
    options: &CopyOptions,
) -> Result<PlannedCopy> {
    plan_at(from, to, options, Existence::Possible).await
}

/// Whether there can be a place to write to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Existence {
    /// It is asked.
    Possible,
    /// The directory that it will be in does not exist, and shall not be made to plan: nothing is
    /// there, and nothing can be written.
    Impossible,
}

pub(crate) async fn plan_at(
    from: &dyn Location,
    to: &dyn Location,
    options: &CopyOptions,
    existence: Existence,
) -> Result<PlannedCopy> {
    options.check()?;
    let reads_files = from.capabilities().reads_files;
    let capabilities = to.capabilities();
    check_can_write(to, &capabilities, options)?;
    check_policy(&options.policy, from, options.require_signed)?;
    let source = from.source().await?;
    let with_referrers = options.attached.referrers;
    let mut graph =
        Graph::read(&source, &Selector::Chosen, &options.instances, with_referrers).await?;
    graph.add_compressions(&options.added_compressions)?;
    let signatures = read_signatures(&source, &graph, (to, &capabilities), options).await?;
    let named_digest = to.reference().and_then(|reference| reference.digest()).cloned();
    let fixed = fixed(&signatures, named_digest.as_ref(), options);
    if options.existing == ExistingImage::Refused {
        check_free(to, &capabilities, graph.top().raw.digest()).await?;
    }
    let kept = graph.chosen_from().filter(|_| capabilities.keeps_chosen_from);
    let mut write_options = options.write.clone();
    if write_options.copied_from.is_none() {
        write_options.copied_from = from.reference().cloned();
    }
    write_options.chosen_from = kept.cloned();
    let begin = async || match existence {
        Existence::Possible => to.begin(&write_options).await.map_err(Error::not_found_is_missing),
        Existence::Impossible => Ok(Box::new(Nowhere) as Box<dyn Transaction>),
    };
    let mut held = HeldLayers::read(&source, &graph).await?;
    let unnamed = held.unnamed(&graph, &capabilities, options);
    let mut begun = None;
    if !unnamed.is_empty() {
        held.ask(&**begun.insert(begin().await?), &unnamed).await?;
    }
    let place = (&capabilities, to.scheme());
    let decided = decide(&source, &graph, place, options, fixed, &held).await?;
    check_name(named_digest.as_ref(), &graph.top().raw, kept)?;
    let transaction = match begun {
        Some(begun) => begun,
        None => begin().await?,
    };
    let Decided { manifests, blobs, warnings } = decided;
    let (from, to_text) = (from.to_string(), to.to_string());
    let plan = Plan { from, to: to_text, manifests, blobs, is_there: false, warnings };
    let (options, scheme) = (options.clone(), to.scheme());
    let mut planned = PlannedCopy {
        source,
        graph,
        plan,
        options,
        capabilities,
        reads_files,
        fixed,
        held,
        scheme,
        signatures,
        transaction,
    };
    planned.look().await?;
    Ok(planned)
}

fn check_can_write(
    to: &dyn Location,
    capabilities: &Capabilities,
    options: &CopyOptions,
) -> Result<()> {
    let fail = || Error::new(ErrorKind::Unsupported, "writing to", to);
    if !capabilities.write {
        return Err(fail().with_detail("this transport can only be read"));
    }
    if !options.write.additional_names.is_empty() && !capabilities.additional_names {
        return Err(fail().with_detail(format!("{} takes no additional names", to.scheme())));
    }
    Ok(())
}

/// Fails if the destination has another image than `top` under its name.
async fn check_free(to: &dyn Location, capabilities: &Capabilities, top: &Digest) -> Result<()> {
    if !capabilities.read {
        return Ok(());
    }
    let found = match to.source().await {
        Ok(source) => source.look_up().await,
        Err(error) => Err(error),
    };
    let found = match found {
        Ok(found) => found.digest,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if found == *top {
        return Ok(());
    }
    // The words of crane and of `skopeo sync`, which scripts search for.
    let detail = match to.name() {
        Some(_) => format!("refusing to clobber existing tag {to}@{found}"),
        None => {
            let text = to.to_string();
            let path = text.split_once(':').map_or(text.as_str(), |(_, path)| path);
            format!("Refusing to overwrite destination directory {path:?}")
        }
    };
    Err(Error::new(ErrorKind::AlreadyExists, "", "").with_detail(detail))
}

/// Why no manifest may change, if none may.
fn fixed(
    signatures: &[Vec<Signature>],
    named_digest: Option<&Digest>,
    options: &CopyOptions,
) -> Option<Fixed> {
    if signatures.iter().any(|signatures| !signatures.is_empty()) {
        return Some(Fixed::Signed);
    }
    let asked = options.preserve_digests.then_some(Fixed::Asked);
    asked.or(named_digest.map(|_| Fixed::Named))
}

/// Fails if the destination's name has another digest than what will be written there: a name with
/// a digest fixes the manifest, so that is known beforehand. It may be that of the index that is
/// `kept` with the image.
fn check_name(named: Option<&Digest>, top: &RawManifest, kept: Option<&RawManifest>) -> Result<()> {
    match named {
        Some(named) if !top.matches(named) && !kept.is_some_and(|kept| kept.matches(named)) => {
            // The words of containers/image, which scripts search for.
            let words = "Digest of source image's manifest would not match destination reference";
            Err(Error::new(ErrorKind::DigestMismatch, "", "")
                .with_detail(words)
                .with_hint(format!("the manifest is {}", top.digest())))
        }
        _ => Ok(()),
    }
}

/// Whether the destination has every manifest as it would be written. The top one is asked for
/// first: that is the one that mostly differs.
async fn is_there(transaction: &dyn Transaction, plan: &Plan) -> Result<bool> {
    if !plan.keeps_digests() {
        return Ok(false);
    }
    let (top, others): (Vec<_>, Vec<_>) =
        plan.manifests.iter().partition(|step| step.role == ManifestRole::Top);
    for step in top.into_iter().chain(others) {
        if !transaction
            .holds(&step.source, &step.role)
            .await
            .map_err(Error::not_found_is_missing)?
        {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Asks the destination what it has of each blob that has to be stored and that it was not asked for before.
async fn ask(transaction: &dyn Transaction, plan: &mut Plan, held: &HeldLayers) -> Result<()> {
    for blob in &mut plan.blobs {
        if let Some(have) = held.named(&blob.source.digest) {
            blob.have = have.clone();
        }
    }
    let is_stored = |blob: &&mut BlobStep| {
        blob.action != BlobAction::Leave && held.named(&blob.source.digest).is_none()
    };
    let mut stored: Vec<_> = plan.blobs.iter_mut().filter(is_stored).collect();
    let specs: Vec<_> = stored.iter().map(|blob| blob.spec()).collect();
    let have = transaction.have(&specs).await.map_err(Error::not_found_is_missing)?;
    if have.len() != specs.len() {
        return Err(Error::new(ErrorKind::Corrupt, "asking what is at", &plan.to)
            .with_detail("the transport did not answer for every blob"));
    }
    for ((blob, spec), have) in stored.iter_mut().zip(&specs).zip(have) {
        // Nobody can have the very bytes of what has yet to be made.
        let is_nameless = spec.measured.is_none();
        blob.have = match have {
            Have::Exact | Have::Mountable { .. } if is_nameless => Have::Missing,
            have => have,
        };
    }
    Ok(())
}

impl PlannedCopy {
    /// What will be done.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The digest of the image as the source names it: its index, or the one image that was chosen.
    pub fn top_digest(&self) -> &Digest {
        &self.graph.top().descriptor.digest
    }

    /// Finds out what the destination has of it.
    async fn look(&mut self) -> Result<()> {
        let Self { plan, transaction, .. } = self;
        if self.signatures.iter().all(Vec::is_empty) && is_there(&**transaction, plan).await? {
            plan.is_there = true;
            plan.blobs.iter_mut().for_each(|blob| blob.have = Have::Exact);
            return Ok(());
        }
        if self.options.layers.precompute_digests {
            precompute(plan, &self.source, &self.options.layers).await?;
        }
        ask(&**transaction, plan, &self.held).await?;
        let is_fixed = self.fixed.is_some();
        accept_equivalents(plan, &self.graph, &self.capabilities, is_fixed);
        Ok(())
    }

    /// Has the destination mount the layers that the source cannot give. Where one turns out not
    /// to be there, it is planned again without them.
    async fn mount_named(&mut self) -> Result<()> {
        let mut missing = Vec::new();
        for blob in &mut self.plan.blobs {
            if self.held.named(&blob.source.digest).is_none() || self.plan.is_there {
                continue;
            }
            let is_there = match &blob.have {
                Have::Exact | Have::Equivalent(_) | Have::MountableEquivalent { .. } => continue,
                Have::Mountable { from } => self.transaction.mount(&blob.spec(), from).await?,
                _ => false,
            };
            match is_there {
                true => blob.have = Have::Exact,
                false => missing.push(blob.source.digest.clone()),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        self.held.withdraw(&missing);
        let place = (&self.capabilities, self.scheme);
        let (source, graph, options) = (&self.source, &self.graph, &self.options);
        let decided = decide(source, graph, place, options, self.fixed, &self.held).await?;
        self.plan.manifests = decided.manifests;
        self.plan.blobs = decided.blobs;
        self.plan.warnings = decided.warnings;
        self.look().await
    }

    /// Does it.
    ///
    /// # Errors
    /// As [`copy`].
    pub async fn execute(mut self) -> Result<Report> {
        self.mount_named().await.map_err(Error::not_found_is_missing)?;
        for message in &self.plan.warnings {
            self.options.events.send(Event::Warning { message: message.clone() });
        }
        let execution = Execution {
            source: &self.source,
            graph: &self.graph,
            plan: &self.plan,
            options: &self.options,
            capabilities: &self.capabilities,
            reads_files: self.reads_files,
            fixed: self.fixed,
            signatures: &self.signatures,
            progress: Totals::default(),
        };
        // Everything that had to be found was found when it was planned.
        execution.run(self.transaction).await.map_err(Error::not_found_is_missing)
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
    (to, capabilities): (&dyn Location, &Capabilities),
    options: &CopyOptions,
) -> Result<Vec<Vec<Signature>>> {
    let mut all = vec![Vec::new(); graph.nodes().len()];
    if options.attached.remove_signatures {
        return Ok(all);
    }
    options.events.send(Event::ReadingSignatures);
    if !source.may_be_signed().await? {
        return Ok(all);
    }
    let own = graph.nodes().iter().zip(&mut all).filter(|(node, _)| node.added.is_none());
    for (node, signatures) in own {
        *signatures = source.signatures(&node.descriptor).await?;
    }
    if !capabilities.signatures && all.iter().any(|signatures| !signatures.is_empty()) {
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
