//! Results of earlier builds in registries and image layouts: `--cache-from` and `--cache-to`.
//!
//! As with buildah, every step is an image of its own whose tag is the key of the step.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use async_trait::async_trait;
use cask::copy::inspect;
use cask::image::{ImageFormat, Manifest, PlatformWanted};
use cask::reference::Reference;
use cask::transport::Transports;
use cask_build::{
    BuildRequest, CacheExport, CachedStep, ErrorKind, LayerMode, RemoteCache, names_step,
};
use cask_engine::Images;
use cask_storage::Id;
use tokio::runtime::Handle;
use tokio::sync::Mutex;

use super::compression::Compress;
use super::show::Show;
use super::values;
use crate::moving;
use crate::settings::Settings;

/// Longer, and a tag with a key behind it is none.
const LONGEST_TAG: usize = 63;

/// Where `--cache-to` puts steps.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Exports {
    pub(super) places: Vec<Place>,
    /// Into the image itself.
    pub(super) inline: bool,
}

/// A place for steps: what stands before a key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    prefix: String,
    /// An image that may name the steps that its layers are of.
    image: Option<String>,
    /// The directory of a layout, which need not be there yet.
    directory: Option<String>,
    export: CacheExport,
}

/// Whether a place is read or written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    From,
    To,
}

/// Where `--cache-from` has steps.
pub(super) fn sources(given: &[String]) -> Result<Vec<Place>> {
    let each = given
        .iter()
        .map(|text| place(text, Way::From).with_context(|| format!("--cache-from {text:?}")));
    each.collect()
}

/// Where `--cache-to` puts steps.
pub(super) fn destinations(given: &[String]) -> Result<Exports> {
    let mut found = Exports::default();
    for text in given {
        if text == "type=inline" || text == "type=inline,mode=min" {
            found.inline = true;
        } else {
            let place = place(text, Way::To).with_context(|| format!("--cache-to {text:?}"))?;
            found.places.push(place);
        }
    }
    Ok(found)
}

/// Refuses to name steps in what has no place for them, before anything is built.
pub(super) fn check_inline(request: &BuildRequest) -> Result<()> {
    if !request.cache.inline {
        return Ok(());
    }
    if request.image.format != ImageFormat::Oci {
        bail!("--cache-to type=inline needs --format=oci: Docker's format has no room for it");
    }
    if request.image.layers != LayerMode::Each {
        bail!(
            "--cache-to type=inline needs the layers of the steps: leave --squash and --layers=false out"
        );
    }
    if request.platforms.targets.len() > 1 {
        bail!("--cache-to type=inline is for one platform: use type=registry");
    }
    Ok(())
}

/// Which steps are made ready for all the places.
pub(super) fn export(places: &[Place]) -> Option<CacheExport> {
    let all = places.iter().any(|place| place.export == CacheExport::All);
    match places {
        [] => None,
        _ if all => Some(CacheExport::All),
        _ => Some(CacheExport::Target),
    }
}

/// Reads `REPOSITORY`, `type=registry,ref=REPOSITORY[:TAG]` or `type=local,src=DIRECTORY`.
///
/// Source: buildah, `parse.RepoNamesToNamedReferences`; docker/buildx, `ParseCacheEntry`.
fn place(text: &str, way: Way) -> Result<Place> {
    let export = CacheExport::All;
    if !text.contains('=') {
        let named = Reference::parse_normalized(text)?;
        if !named.is_name_only() {
            bail!("repository must contain neither a tag nor digest: {text}");
        }
        let prefix = format!("docker://{named}:");
        return Ok(Place { prefix, image: None, directory: None, export });
    }
    let (mut kind, mut reference, mut directory, mut mode) = (None, None, None, None);
    let directory_key = if way == Way::From { "src" } else { "dest" };
    for (key, value) in values::fields(text)? {
        let Some(value) = value else { bail!("{key:?} has no value: write KEY=VALUE,KEY=VALUE") };
        match key.as_str() {
            "type" => kind = Some(value),
            "ref" => reference = Some(value),
            "mode" if way == Way::To => mode = Some(value),
            key if key == directory_key => directory = Some(value),
            other => bail!("{other:?} is not supported: use type, ref, {directory_key} and mode"),
        }
    }
    let export = match mode.as_deref() {
        None | Some("max") => CacheExport::All,
        Some("min") => CacheExport::Target,
        Some(other) => bail!("the mode {other:?} is not known: use min or max"),
    };
    match kind.as_deref() {
        Some("registry") => {
            let text = reference.context("type=registry needs ref=REPOSITORY")?;
            let prefix = registry_prefix(&text)?;
            let named = Reference::parse_normalized(&text)?.with_default_tag();
            let image = (way == Way::From).then(|| format!("docker://{named}"));
            Ok(Place { prefix, image, directory: None, export })
        }
        Some("local") => {
            let directory =
                directory.with_context(|| format!("type=local needs {directory_key}=DIRECTORY"))?;
            let prefix = format!("oci:{directory}:");
            Ok(Place { prefix, image: None, directory: Some(directory), export })
        }
        Some("inline") if way == Way::From => {
            bail!("type=inline is for --cache-to: name the image with type=registry,ref=IMAGE")
        }
        Some(other) if way == Way::From => {
            bail!("the type {other:?} is not supported: use registry or local")
        }
        Some(other) => bail!("the type {other:?} is not supported: use registry, local or inline"),
        None => bail!("there is no type: write type=registry,ref=REPOSITORY"),
    }
}

/// What stands before a key: a tag of the caller is kept before it.
fn registry_prefix(text: &str) -> Result<String> {
    let named = Reference::parse_normalized(text)?;
    if named.digest().is_some() {
        bail!("repository must not contain a digest: {text}");
    }
    let Some(tag) = named.tag().map(ToString::to_string) else {
        return Ok(format!("docker://{named}:"));
    };
    if tag.len() > LONGEST_TAG {
        bail!("the tag {tag:?} is longer than {LONGEST_TAG} characters: keys come after it");
    }
    Ok(format!("docker://{}:{tag}-", named.without_tag()))
}

/// The places of `--cache-from`.
pub(super) struct Pulled {
    places: Vec<Place>,
    images: Images,
    transports: Transports,
    settings: Settings,
    show: Arc<Show>,
    /// What images say of their steps, by their names, once they were asked.
    told: Mutex<HashMap<String, Told>>,
}

/// What an image says of its steps.
#[derive(Clone, Default)]
struct Told {
    annotations: BTreeMap<String, String>,
    /// The image, once it was needed.
    id: Option<Id>,
}

#[async_trait]
impl RemoteCache for Pulled {
    async fn fetch(&self, key: &str, platform: &PlatformWanted) -> cask_build::Result<Option<Id>> {
        let mut failed = None;
        for image in self.places.iter().filter_map(|place| place.image.as_ref()) {
            if let Some(id) = self.of_image(image, key, platform).await {
                let shown = image.trim_start_matches("docker://");
                self.show.say(&format!("--> Cache pulled from remote {shown}"));
                return Ok(Some(id));
            }
        }
        for place in &self.places {
            if place.directory.as_ref().is_some_and(|path| !std::path::Path::new(path).exists()) {
                continue;
            }
            let name = format!("{}{key}", place.prefix);
            match self.pull(&name, platform).await {
                Ok(Some(id)) => {
                    let shown = name.trim_start_matches("docker://");
                    self.show.say(&format!("--> Cache pulled from remote {shown}"));
                    return Ok(Some(id));
                }
                Ok(None) => {}
                Err(error) => failed = failed.or(Some((name, error))),
            }
        }
        match failed {
            None => Ok(None),
            Some((name, error)) => {
                let place = name.trim_end_matches(key).trim_end_matches(':').to_owned();
                Err(cask_build::Error::new(ErrorKind::Fetch, place, "cannot be read")
                    .with_source(error))
            }
        }
    }
}

impl Pulled {
    /// Steps of places, which are pulled into a store.
    pub(super) fn new(
        places: Vec<Place>,
        (images, transports): (&Images, &Transports),
        settings: &Settings,
        show: &Arc<Show>,
    ) -> Arc<Self> {
        Arc::new(Self {
            places,
            images: images.clone(),
            transports: transports.clone(),
            settings: settings.clone(),
            show: Arc::clone(show),
            told: Mutex::default(),
        })
    }

    /// The image, if it names the step. One that cannot be read names none: it need not be there yet.
    async fn of_image(&self, image: &str, key: &str, platform: &PlatformWanted) -> Option<Id> {
        let mut told = self.told.lock().await;
        if !told.contains_key(image) {
            let annotations = self.annotations(image).await.unwrap_or_default();
            told.insert(image.to_owned(), Told { annotations, id: None });
        }
        let told = told.get_mut(image)?;
        if !names_step(&told.annotations, key) {
            return None;
        }
        if told.id.is_none() {
            told.id = self.pull(image, platform).await.ok()?;
        }
        told.id.clone()
    }

    async fn annotations(&self, image: &str) -> Result<BTreeMap<String, String>> {
        let (settings, progress) = (&self.settings, self.show.progress());
        let platform = PlatformWanted::of_this_build();
        let options = moving::copy_options(settings, platform, progress, true)?;
        let from = self.transports.parse(image)?;
        let found = inspect(&*from, &options.policy, options.require_signed).await?;
        Ok(match found.top().parse()? {
            Manifest::Image(manifest) => manifest.annotations,
            _ => BTreeMap::new(),
        })
    }

    async fn pull(&self, name: &str, platform: &PlatformWanted) -> Result<Option<Id>> {
        let (settings, progress) = (&self.settings, self.show.progress());
        let options = moving::copy_options(settings, platform.clone(), progress, true)?;
        let (images, transports) = (self.images.clone(), self.transports.clone());
        let (handle, name) = (Handle::current(), name.to_owned());
        // A pull stays on its thread: what it borrows cannot go from one to another.
        let pulling = tokio::task::spawn_blocking(move || {
            handle.block_on(images.take_unnamed(&name, &transports, &options))
        });
        Ok(pulling.await??)
    }
}

/// Where steps are put, and how.
pub(super) struct Pushing<'a> {
    /// The places of `--cache-to`.
    pub(super) places: &'a [Place],
    pub(super) images: &'a Images,
    pub(super) transports: &'a Transports,
    pub(super) settings: &'a Settings,
    pub(super) compress: &'a Compress,
}

impl Pushing<'_> {
    /// Puts steps to the places. One that cannot be written is told: what was built is there all the same.
    pub(super) async fn push(&self, steps: &[CachedStep], show: &Show) -> Result<()> {
        let platform = PlatformWanted::of_this_build();
        let mut options = moving::copy_options(self.settings, platform, show.progress(), true)?;
        self.compress.set(&mut options)?;
        for place in self.places {
            let shown = place.prefix.trim_start_matches("docker://");
            show.say(&format!("--> Pushing cache []:{shown} ({} steps)", steps.len()));
            for step in steps {
                let (image, to) = (step.image.as_str(), format!("{}{}", place.prefix, step.key));
                let pushed = self.images.push(image, &to, self.transports, &options).await;
                if let Err(error) = pushed {
                    let error = anyhow::Error::from(error);
                    crate::report::note(&format!("the cache {shown} cannot be written: {error:#}"));
                    break;
                }
            }
        }
        for step in steps.iter().filter(|step| step.is_new) {
            // It stays as an image without a name, which is harmless.
            let _ = self.images.store().delete_image(&step.image);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_repositories_and_directories() {
        let check = |text: &str, way: Way, expected: &str| {
            assert_eq!(place(text, way).unwrap().prefix, expected, "{text}");
        };
        check("h:5000/x/y", Way::From, "docker://h:5000/x/y:");
        check("x", Way::To, "docker://docker.io/library/x:");
        check("type=registry,ref=h/x", Way::From, "docker://docker.io/h/x:");
        check("type=registry,ref=h.io/x:cache,mode=min", Way::To, "docker://h.io/x:cache-");
        check("type=local,src=dir", Way::From, "oci:dir:");
        check("type=local,dest=dir,mode=max", Way::To, "oci:dir:");
        let refused = |text: &str, words: &str| {
            let error = format!("{:#}", place(text, Way::To).unwrap_err());
            assert!(error.contains(words), "{text}: {error}");
        };
        refused("h.io/x:1", "must contain neither a tag nor digest");
        refused("type=gha", "is not supported");
        let inline = destinations(&["type=inline".to_owned()]).unwrap();
        assert!(inline.inline && inline.places.is_empty());
        let from = place("type=registry,ref=h/x:1", Way::From).unwrap();
        assert_eq!(from.image.as_deref(), Some("docker://docker.io/h/x:1"));
        place("type=inline", Way::From).unwrap_err();
        refused("type=registry", "needs ref");
        refused("type=local,src=x", "\"src\" is not supported");
        refused("type=local,dest=x,mode=most", "is not known");
        refused(&format!("type=registry,ref=h.io/x:{}", "t".repeat(64)), "keys come after it");
    }

    #[test]
    fn the_largest_of_several_exports_counts() {
        let places = |texts: &[&str]| {
            let texts: Vec<String> = texts.iter().map(|text| (*text).to_owned()).collect();
            export(&destinations(&texts).unwrap().places)
        };
        assert_eq!(places(&[]), None);
        assert_eq!(places(&["type=local,dest=a,mode=min"]), Some(CacheExport::Target));
        assert_eq!(places(&["type=local,dest=a,mode=min", "h.io/x"]), Some(CacheExport::All));
    }
}
