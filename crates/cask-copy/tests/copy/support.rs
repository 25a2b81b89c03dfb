//! What all tests need: two places, options, and a look at what came of it.

use std::sync::{Arc, Mutex};

use cask_copy::{CopyOptions, Instances, PlannedCopy, Report, validate};
use cask_image::{ImageManifest, Index, Manifest, PlatformWanted, RawManifest};
use cask_testkit::generate::{Blob, Content};
use cask_testkit::memory::{Call, MemoryStore};
use cask_transport::{Capabilities, Error, Event, Result};
use cask_trust::Policy;

/// Where tests copy from.
pub(crate) const FROM: &str = "memory:a:app";
/// Where tests copy to.
pub(crate) const TO: &str = "memory:b:app";

/// Options that accept everything, for linux/amd64.
pub(crate) fn options() -> CopyOptions {
    let policy = Arc::new(Policy::danger_accept_anything());
    CopyOptions::new(policy, PlatformWanted::new("linux", "amd64"))
}

/// Options with a change.
pub(crate) fn with(change: impl FnOnce(&mut CopyOptions)) -> CopyOptions {
    let mut options = options();
    change(&mut options);
    options
}

/// Options that copy all of an index, with a change.
pub(crate) fn all_with(change: impl FnOnce(&mut CopyOptions)) -> CopyOptions {
    with(|options| {
        options.instances = Instances::All;
        change(options);
    })
}

/// A store to copy from and one to copy to.
pub(crate) struct Pair {
    pub(crate) from: MemoryStore,
    pub(crate) to: MemoryStore,
}

impl Pair {
    /// Content at [`FROM`], and a place that can hold everything.
    pub(crate) fn new(content: &Content) -> Self {
        let pair = Self { from: MemoryStore::new(), to: MemoryStore::new() };
        pair.from.insert(FROM, content);
        pair
    }

    /// Content at [`FROM`], and a place that can do less.
    pub(crate) fn to_place(content: &Content, change: impl FnOnce(&mut Capabilities)) -> Self {
        let pair = Self::new(content);
        pair.to.set_capabilities(change);
        pair
    }

    pub(crate) async fn plan(&self, options: &CopyOptions) -> Result<PlannedCopy> {
        cask_copy::plan(&*self.from.location(FROM), &*self.to.location(TO), options).await
    }

    pub(crate) async fn copy(&self, options: &CopyOptions) -> Result<Report> {
        cask_copy::copy(&*self.from.location(FROM), &*self.to.location(TO), options).await
    }

    /// Copies, checks that nothing was read twice and that what came of it is whole, and gives
    /// it.
    pub(crate) async fn copied(&self, options: &CopyOptions) -> Content {
        self.from.forget_calls();
        let report = match self.copy(options).await {
            Ok(report) => report,
            Err(error) => panic!("{error:?}"),
        };
        check_read_once(&self.from);
        let content = self.to.content(TO);
        assert_eq!(*report.manifest.digest(), content.top.digest, "the report tells the top");
        if options.instances != Instances::IndexOnly {
            check_valid(&self.to).await;
        }
        content
    }

    /// Fails to copy, and checks that the destination is as it was.
    pub(crate) async fn refused(&self, options: &CopyOptions) -> Error {
        let before = self.to.visible();
        let error = match self.copy(options).await {
            Ok(report) => panic!("it was copied: {}", report.manifest.digest()),
            Err(error) => error,
        };
        assert_eq!(self.to.visible(), before, "the destination was touched: {error:?}");
        error
    }
}

/// Nothing of a source is read a second time.
#[track_caller]
pub(crate) fn check_read_once(store: &MemoryStore) {
    let mut seen = Vec::new();
    for call in store.calls() {
        assert!(!seen.contains(&call), "{call:?} came twice");
        seen.push(call);
    }
    let twice = |call: &Call| matches!(call, Call::Blob { offset, .. } if *offset > 0);
    assert_eq!(store.count(twice), 0, "a blob was read in parts");
}

/// What is at [`TO`] is what it says.
pub(crate) async fn check_valid(store: &MemoryStore) {
    let found = validate(&*store.location(TO), Arc::new(())).await.expect("it can be read");
    assert_eq!(found.problems, [], "what was written is whole");
}

/// The top of content, as an image.
#[track_caller]
pub(crate) fn image(content: &Content) -> ImageManifest {
    parsed_image(&content.raw_top())
}

/// A manifest of content, as an image.
#[track_caller]
pub(crate) fn image_of(blob: &Blob) -> ImageManifest {
    let Blob { descriptor, bytes } = blob;
    parsed_image(&RawManifest::new(bytes.clone(), descriptor.media_type.clone()))
}

#[track_caller]
fn parsed_image(raw: &RawManifest) -> ImageManifest {
    match raw.parse() {
        Ok(Manifest::Image(image)) => image,
        other => panic!("it is no image: {other:?}"),
    }
}

/// The top of content, as an index.
#[track_caller]
pub(crate) fn index(content: &Content) -> Index {
    match content.raw_top().parse() {
        Ok(Manifest::Index(index)) => index,
        other => panic!("it is no index: {other:?}"),
    }
}

/// The words of an error and of all beneath it.
pub(crate) fn words(error: &Error) -> String {
    let mut text = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(error) = next {
        text = format!("{text}: {error}");
        next = error.source();
    }
    text
}

/// Takes note of events.
#[derive(Clone, Default)]
pub(crate) struct Events(Arc<Mutex<Vec<Event>>>);

impl Events {
    pub(crate) fn sink(&self) -> Arc<dyn cask_transport::EventSink> {
        let noted = Arc::clone(&self.0);
        Arc::new(move |event| noted.lock().expect("no test panics here").push(event))
    }

    pub(crate) fn noted(&self) -> Vec<Event> {
        self.0.lock().expect("no test panics here").clone()
    }

    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |event| match event {
            Event::Warning { message } => Some(message),
            _ => None,
        };
        self.noted().into_iter().filter_map(warning).collect()
    }
}
