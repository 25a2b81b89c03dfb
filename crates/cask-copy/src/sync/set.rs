//! Sets of images: where they come from.

use cask_image::Digest;
use cask_transport::{Entry, Error, ErrorKind, Location, Result, Transports};
use futures_util::TryStreamExt as _;

use super::select::NameFilter;

/// Images of one place that are brought up to date somewhere else.
#[derive(Clone, Debug)]
pub struct SyncSet {
    /// The transports by which the place is reached.
    pub transports: Transports,
    /// The place, as `scheme:details`: one image for [`Wanted::Itself`], else what comes before
    /// the colon and the name of an image: `docker://example.com/app`, `oci:layout`.
    pub place: String,
    /// What its images are called, before the colon and their name: `example.com/team/app`. With
    /// [`Wanted::Itself`], the whole of it. Empty where the target is the one place that they all
    /// go to: they are called by their tags alone.
    pub name: String,
    /// Which of its images.
    pub wanted: Wanted,
}

/// Which images of a place.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Wanted {
    /// The place is one image.
    Itself,
    /// Those with these tags or digests.
    These(Vec<String>),
    /// Those among the names of the place that the filter takes. Images without a name are left;
    /// but if there is one image only, without a name, and the filter takes all, it is that.
    Listed(NameFilter),
}

/// An image, and what it is called.
#[derive(Debug)]
pub(super) struct SyncImage {
    pub(super) from: Box<dyn Location>,
    pub(super) name: String,
}

impl SyncSet {
    /// Whether what is not among the images is known not to be there.
    pub(super) fn is_listed(&self) -> Option<&NameFilter> {
        match &self.wanted {
            Wanted::Listed(filter) => Some(filter),
            Wanted::Itself | Wanted::These(_) => None,
        }
    }

    /// Finds the images.
    pub(super) async fn images(&self) -> Result<Vec<SyncImage>> {
        match &self.wanted {
            Wanted::Itself => Ok(vec![self.image(&self.place, self.name.clone())?]),
            Wanted::These(references) => {
                references.iter().map(|reference| self.referenced(reference)).collect()
            }
            Wanted::Listed(filter) => self.listed(filter).await,
        }
    }

    fn image(&self, place: &str, name: String) -> Result<SyncImage> {
        let from = self.transports.parse(place).map_err(|error| {
            Error::new(error.kind(), "", "")
                .with_detail(format!("Error parsing ref {place:?}"))
                .with_source(error)
        })?;
        Ok(SyncImage { from, name })
    }

    fn referenced(&self, reference: &str) -> Result<SyncImage> {
        let separator = if reference.parse::<Digest>().is_ok() { '@' } else { ':' };
        let Self { place, name, .. } = self;
        let place = format!("{place}{separator}{reference}");
        self.image(&place, format!("{name}{separator}{reference}"))
    }

    async fn listed(&self, filter: &NameFilter) -> Result<Vec<SyncImage>> {
        let place = self.transports.parse(&self.place)?;
        if place.name().is_some() && place.reference().is_none() {
            return Err(Error::new(ErrorKind::InvalidLocation, "", &self.place)
                .with_detail("a path cannot have a colon here"));
        }
        if !place.capabilities().collection.list {
            return Err(Error::new(ErrorKind::Unsupported, "listing", place)
                .with_detail("this transport has no list of its images"));
        }
        let entries: Vec<Entry> = entries(&*place).await.map_err(|error| {
            let kind = error.kind();
            Error::new(kind, "Error determining the images of", &self.place).with_source(error)
        })?;
        if let ([only], NameFilter::All) = (entries.as_slice(), filter)
            && only.names.is_empty()
        {
            return Ok(vec![self.image(&self.place, self.name.clone())?]);
        }
        let names = entries.into_iter().flat_map(|entry| entry.names);
        let names = names.filter_map(|name| name_within(&*place, &name).map(str::to_owned));
        names.filter(|name| filter.accepts(name)).map(|name| self.named(&name)).collect()
    }

    fn named(&self, name: &str) -> Result<SyncImage> {
        let place = format!("{}:{name}", self.place);
        if self.name.is_empty() {
            let last = name.rsplit('/').next().unwrap_or(name);
            let tag = last.split_once(':').map_or(last, |(_, tag)| tag);
            return self.image(&place, format!(":{tag}"));
        }
        // Layouts and archives may hold whole references for names.
        let is_whole = name.contains(['/', ':']);
        self.image(&place, if is_whole { name.to_owned() } else { format!("{}:{name}", self.name) })
    }
}

/// What an image of a place is called behind the place's own name: its tag, where the place is a
/// repository. `None` if it is of another repository: a store has many, and gives whole names.
pub fn name_within<'n>(place: &dyn Location, name: &'n str) -> Option<&'n str> {
    // Tags have neither.
    let (Some(reference), true) = (place.reference(), name.contains(['/', ':', '@'])) else {
        return Some(name);
    };
    name.strip_prefix(reference.name())?.strip_prefix(':').filter(|tag| !tag.contains(['/', '@']))
}

async fn entries(place: &dyn Location) -> Result<Vec<Entry>> {
    place.collection().await?.entries().try_collect().await
}
