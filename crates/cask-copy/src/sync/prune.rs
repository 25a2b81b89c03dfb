//! Taking away what the source no longer has.

use std::collections::{BTreeMap, HashSet};

use cask_transport::{Collection, Entry, Error, ErrorKind, Location, Result, Selector};
use futures_util::stream::{self, TryStreamExt as _};

use super::{NameFilter, SyncSet, SyncTarget, name_within};

/// The names of a collection that are not among those to keep, in its order.
///
/// # Errors
/// As for listing it.
pub async fn surplus(collection: &dyn Collection, keep: &HashSet<String>) -> Result<Vec<String>> {
    let names = |entry: Entry| stream::iter(entry.names.into_iter().map(Ok));
    let is_surplus = |name: &String| std::future::ready(!keep.contains(name));
    collection.entries().map_ok(names).try_flatten().try_filter(is_surplus).try_collect().await
}

/// What was listed of one set: whole, and not empty.
pub(super) struct Listing<'s> {
    pub(super) set: &'s SyncSet,
    pub(super) filter: &'s NameFilter,
}

/// Fails if nothing can be taken away at the destination, before anything is copied there.
pub(super) fn check(target: &SyncTarget, listings: &[Listing<'_>]) -> Result<()> {
    for listing in listings {
        let place = target.transports.parse(&target.place_of(listing.set).0)?;
        let capabilities = place.capabilities().collection;
        if !capabilities.list || !capabilities.tag {
            return Err(Error::new(ErrorKind::Unsupported, "pruning", place)
                .with_detail("names cannot be taken away there"));
        }
    }
    Ok(())
}

/// Takes away the names that these sets would have given, and no longer give. `keep` are the
/// images that they give now. Names of other sets, of other filters and without the suffix stay.
pub(super) async fn prune(
    target: &SyncTarget,
    listings: &[Listing<'_>],
    keep: &HashSet<String>,
    dry_run: bool,
) -> Result<Vec<String>> {
    let mut places: BTreeMap<String, Vec<(&Listing<'_>, String)>> = BTreeMap::new();
    for listing in listings {
        let (place, before) = target.place_of(listing.set);
        places.entry(place).or_default().push((listing, before));
    }
    let mut removed = Vec::new();
    for (text, listings) in places {
        let place = target.transports.parse(&text)?;
        let collection = match place.collection().await {
            Ok(collection) => collection,
            Err(error) if error.kind() == ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        for name in names(&*collection).await? {
            let Some(within) = name_within(&*place, &name) else { continue };
            let whole = format!("{text}:{within}");
            let is_ours = |(listing, before): &(&Listing<'_>, String)| {
                let tag = whole.strip_prefix(before.as_str());
                let tag = tag.and_then(|tag| tag.strip_suffix(target.suffix.as_str()));
                tag.is_some_and(|tag| !tag.is_empty() && listing.filter.accepts(tag))
            };
            let shown = target.transports.parse(&whole).map_or(whole.clone(), |it| it.to_string());
            if keep.contains(&shown) || !listings.iter().any(is_ours) {
                continue;
            }
            if dry_run || remove(&*place, &*collection, name).await? {
                removed.push(shown);
            }
        }
    }
    Ok(removed)
}

async fn names(collection: &dyn Collection) -> Result<Vec<String>> {
    match surplus(collection, &HashSet::new()).await {
        // A repository that nothing was ever put into.
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(Vec::new()),
        names => names,
    }
}

/// Takes one name away; `false` if somebody else did. In a registry the manifest stays: other
/// names, and lists, may need it.
async fn remove(place: &dyn Location, collection: &dyn Collection, name: String) -> Result<bool> {
    let done = match place.capabilities().deletes_by_name {
        true => collection.delete(&Selector::Name(name)).await,
        false => collection.untag(&name).await,
    };
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}
