//! The store: what is held, how it behaves, what it was asked.

use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use cask_image::{Descriptor, Digest, MediaType};
use cask_transport::{
    Capabilities, CollectionCapabilities, Error, ErrorKind, LayerForm, Location, Result, Selector,
    Signature,
};

use super::behaviour::{Behaviour, Failure};
use super::call::Call;
use super::location::MemoryLocation;
use super::shelf::Shelf;
use crate::generate::{Blob, Content};

/// Images in memory. Clones share them.
#[derive(Clone, Debug)]
pub struct MemoryStore(Arc<Mutex<State>>);

#[derive(Debug)]
pub(super) struct State {
    pub(super) capabilities: Capabilities,
    pub(super) behaviour: Behaviour,
    pub(super) shelves: BTreeMap<String, Shelf>,
    calls: Vec<Call>,
}

const MANIFEST_TYPES: &[MediaType] = &[
    MediaType::OciManifest,
    MediaType::DockerManifest,
    MediaType::DockerSchema1Signed,
    MediaType::DockerSchema1,
];
const INDEX_TYPES: &[MediaType] = &[MediaType::OciIndex, MediaType::DockerManifestList];

impl Default for MemoryStore {
    fn default() -> Self {
        Self::new()
    }
}

impl MemoryStore {
    /// A store that can hold and do everything that the seam knows, and takes layers as they are.
    pub fn new() -> Self {
        Self::with_capabilities(Self::everything())
    }

    /// A store that can do what is said, and refuses all else.
    pub fn with_capabilities(capabilities: Capabilities) -> Self {
        Self(Arc::new(Mutex::new(State {
            capabilities,
            behaviour: Behaviour::default(),
            shelves: BTreeMap::new(),
            calls: Vec::new(),
        })))
    }

    /// The capabilities of a store that can do everything.
    pub fn everything() -> Capabilities {
        let mut capabilities = Capabilities::none();
        capabilities.read = true;
        capabilities.write = true;
        capabilities.collection = CollectionCapabilities { list: true, tag: true, delete: true };
        capabilities.manifest_types = MANIFEST_TYPES;
        capabilities.index_types = INDEX_TYPES;
        capabilities.keeps_manifests = true;
        capabilities.nested_indexes = true;
        capabilities.artifacts = true;
        capabilities.referrers = true;
        capabilities.signatures = true;
        capabilities.foreign_layers = true;
        capabilities.layer_form = LayerForm::AsGiven;
        capabilities.concurrent_blobs = NonZeroUsize::MAX;
        capabilities.additional_names = true;
        capabilities
    }

    /// Changes what the store can do. What it holds stays.
    pub fn set_capabilities(&self, change: impl FnOnce(&mut Capabilities)) {
        change(&mut self.state().capabilities);
    }

    /// Changes how the store behaves.
    pub fn behave(&self, change: impl FnOnce(&mut Behaviour)) {
        change(&mut self.state().behaviour);
    }

    /// Puts content at a location, without a question: hostile content is held as it is, each
    /// blob under the digest that it is said to have.
    ///
    /// # Panics
    /// If the text names no location.
    pub fn insert(&self, location: &str, content: &Content) {
        let location = self.parse(location);
        let names = location.name.iter().cloned().collect();
        self.state().shelf(&location.shelf).insert(names, content);
    }

    /// Adds a signature to a manifest at a location.
    ///
    /// # Panics
    /// If the text names no location.
    pub fn sign(&self, location: &str, manifest: &Digest, signature: impl Into<Bytes>) {
        let shelf = self.parse(location).shelf;
        let mut state = self.state();
        let signatures = state.shelf(&shelf).signatures.entry(manifest.clone()).or_default();
        signatures.push(Signature { bytes: signature.into() });
    }

    /// Lists a manifest as referring to another at a location, whatever its subject is.
    ///
    /// # Panics
    /// If the text names no location.
    pub fn list_referrer(&self, location: &str, subject: &Digest, referrer: &Descriptor) {
        let shelf = self.parse(location).shelf;
        let mut state = self.state();
        let listed = state.shelf(&shelf).listed.entry(subject.clone()).or_default();
        listed.push(referrer.clone());
    }

    /// Parses a location: `memory:SHELF`, or `memory:SHELF:NAME`.
    ///
    /// # Panics
    /// If the text names no location.
    pub fn location(&self, location: &str) -> Box<dyn Location> {
        Box::new(self.parse(location))
    }

    fn parse(&self, text: &str) -> MemoryLocation {
        let rest = text.strip_prefix("memory:").unwrap_or_else(|| panic!("{text} has no scheme"));
        MemoryLocation::parse(self, rest).unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// What is at a location, with whatever refers to it.
    ///
    /// # Panics
    /// If there is nothing.
    pub fn content(&self, location: &str) -> Content {
        let MemoryLocation { shelf, name, .. } = self.parse(location);
        let state = self.state();
        let found = state.shelves.get(&shelf).and_then(|shelf| {
            let position = shelf.find(&Selector::Chosen, name.as_deref()).ok()?;
            let top = shelf.entries[position].top.clone();
            let (manifests, blobs) = shelf.closure(&top.digest);
            Some(Content { top, manifests, blobs })
        });
        found.unwrap_or_else(|| panic!("there is nothing at {location}"))
    }

    /// The signatures of a manifest at a location.
    ///
    /// # Panics
    /// If the text names no location.
    pub fn signatures(&self, location: &str, manifest: &Digest) -> Vec<Bytes> {
        let shelf = self.parse(location).shelf;
        let mut state = self.state();
        let signatures = state.shelf(&shelf).signatures.get(manifest);
        signatures.into_iter().flatten().map(|signature| signature.bytes.clone()).collect()
    }

    /// A line for everything that can be seen: names, manifests, blobs, signatures. Equal before
    /// and after whatever must leave no trace.
    pub fn visible(&self) -> Vec<String> {
        let state = self.state();
        let mut lines = Vec::new();
        for (name, shelf) in &state.shelves {
            let entries = shelf.entries.iter();
            lines
                .extend(entries.map(|held| format!("{name} {:?} {}", held.names, held.top.digest)));
            let blobs = shelf.manifests.values().chain(shelf.blobs.values());
            lines.extend(
                blobs.map(|blob: &Blob| {
                    format!("{name} {} {} bytes", blob.digest(), blob.bytes.len())
                }),
            );
            let signatures = shelf.signatures.iter();
            lines.extend(signatures.map(|(of, all)| format!("{name} {} of {of}", all.len())));
        }
        lines
    }

    /// What was asked, in order.
    pub fn calls(&self) -> Vec<Call> {
        self.state().calls.clone()
    }

    /// How often something was asked.
    pub fn count(&self, is_counted: impl Fn(&Call) -> bool) -> usize {
        self.state().calls.iter().filter(|call| is_counted(call)).count()
    }

    /// Forgets what was asked.
    pub fn forget_calls(&self) {
        self.state().calls.clear();
    }

    pub(super) fn state(&self) -> MutexGuard<'_, State> {
        // A test that panicked has not left anything half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn call(&self, call: Call) {
        self.state().calls.push(call);
    }

    /// Fails if the test wants this to fail, and then never again.
    pub(super) fn fail(&self, failure: Failure, operation: &'static str) -> Result<()> {
        let mut state = self.state();
        if state.behaviour.failure != Some(failure) {
            return Ok(());
        }
        state.behaviour.failure = None;
        let kind = match failure {
            Failure::Changed => ErrorKind::Changed,
            _ => ErrorKind::Io,
        };
        Err(Error::new(kind, operation, "").with_detail("the test wants it to fail"))
    }
}

impl State {
    pub(super) fn shelf(&mut self, name: &str) -> &mut Shelf {
        self.shelves.entry(name.to_owned()).or_default()
    }
}
