//! Filters of volumes and networks: what both understand.

use std::collections::BTreeMap;

use anyhow::{Context as _, Result};
use cask_image::Timestamp;

use crate::moment;

/// The key and the value of a filter.
pub(super) fn pair(filter: &str) -> Result<(&str, &str)> {
    filter.split_once('=').with_context(|| format!("invalid filter {filter:?}: it is KEY=VALUE"))
}

/// Whether there is a label as a filter names it: `NAME`, or `NAME=VALUE`.
pub(super) fn has_label(labels: &BTreeMap<String, String>, wanted: &str) -> bool {
    match wanted.split_once('=') {
        Some((name, value)) => labels.get(name).is_some_and(|found| found == value),
        None => labels.contains_key(wanted),
    }
}

/// A check of whether something was made before a moment: a time, or a duration until now.
pub(super) fn made_before(moment: &str) -> Result<impl Fn(&str) -> bool + use<>> {
    let until = cask_engine::parse_moment(moment, moment::now())?;
    Ok(move |created: &str| {
        created.parse::<Timestamp>().is_ok_and(|made| made.unix_seconds() < until)
    })
}
