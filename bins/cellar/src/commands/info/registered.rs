//! What `registries.conf` says of registries, as podman shows it.

use std::collections::BTreeMap;

use cask_config::registries::{Mirror, PullFromMirror, RegistriesConf, Registry};
use serde::Serialize;

/// A registry by its prefix, or, under `search`, where names without a registry are looked for.
#[derive(Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Registered {
    Search(Vec<String>),
    Registry(Shown),
}

/// Source: containers/image, `pkg/sysregistriesv2`, `Registry` and `Endpoint`.
#[derive(Debug, Serialize)]
#[serde(rename = "sysregistriesv2.Registry")]
pub(super) struct Shown {
    #[serde(rename = "Prefix")]
    prefix: String,
    #[serde(rename = "Location")]
    location: String,
    #[serde(rename = "Insecure")]
    insecure: bool,
    #[serde(rename = "PullFromMirror")]
    pull_from_mirror: &'static str,
    #[serde(rename = "Mirrors")]
    mirrors: Option<Vec<Place>>,
    #[serde(rename = "Blocked")]
    blocked: bool,
    #[serde(rename = "MirrorByDigestOnly")]
    by_digest_only: bool,
}

#[derive(Debug, Serialize)]
#[serde(rename = "sysregistriesv2.Endpoint")]
struct Place {
    #[serde(rename = "Location")]
    location: String,
    #[serde(rename = "Insecure")]
    insecure: bool,
    #[serde(rename = "PullFromMirror")]
    pull_from_mirror: &'static str,
}

/// All that is said: nothing of searching where that is nowhere.
pub(super) fn all(conf: &RegistriesConf) -> BTreeMap<String, Registered> {
    let known = conf.registries().map(|one| (one.prefix().to_owned(), Registered::of(one)));
    let mut all: BTreeMap<String, Registered> = known.collect();
    let search = conf.search_registries().to_vec();
    if !search.is_empty() {
        all.insert("search".to_owned(), Registered::Search(search));
    }
    all
}

impl Registered {
    fn of(registry: &Registry) -> Self {
        let mirrors: Vec<Place> = registry.mirrors().iter().map(Place::of).collect();
        Self::Registry(Shown {
            prefix: registry.prefix().to_owned(),
            location: registry.location().to_owned(),
            insecure: registry.is_insecure(),
            pull_from_mirror: "",
            mirrors: Some(mirrors).filter(|mirrors| !mirrors.is_empty()),
            blocked: registry.is_blocked(),
            by_digest_only: registry.is_mirrored_by_digest_only(),
        })
    }
}

impl Place {
    fn of(mirror: &Mirror) -> Self {
        Self {
            location: mirror.location().to_owned(),
            insecure: mirror.is_insecure(),
            pull_from_mirror: match mirror.pull_from_mirror() {
                PullFromMirror::All => "",
                PullFromMirror::DigestOnly => "digest-only",
                PullFromMirror::TagOnly => "tag-only",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn registries_are_shown_under_their_prefixes() {
        let text = "unqualified-search-registries = [\"quay.example\"]\n\
                    [[registry]]\nprefix = \"a.example\"\nlocation = \"b.example/x\"\ninsecure = true\n\
                    [[registry.mirror]]\nlocation = \"m.example\"\npull-from-mirror = \"tag-only\"\n";
        let conf = RegistriesConf::parse(text, "registries.conf").unwrap();
        let shown = serde_json::to_value(all(&conf)).unwrap();
        let expected = serde_json::json!({
            "a.example": {
                "Prefix": "a.example", "Location": "b.example/x", "Insecure": true,
                "PullFromMirror": "", "Blocked": false, "MirrorByDigestOnly": false,
                "Mirrors": [
                    {"Location": "m.example", "Insecure": false, "PullFromMirror": "tag-only"}
                ],
            },
            "search": ["quay.example"],
        });
        assert_eq!(shown, expected);
    }
}
