//! Every case of the field, compared with what is recorded of buildah 1.45 and dockerd 20.10, and with what
//! Debian's buildah makes of it here.

use serde_json::Value;
use tests::{Outcome, has, scratch};

use crate::TOOLS;
use crate::case::{prepare, table};
use crate::difference::{Built, differences};
use crate::shop::{Builder, Shop};

/// A difference on purpose: the case (`*` is any), how the difference begins, why.
pub(crate) type Deviation = (&'static str, &'static str, &'static str);

/// Differences from what is recorded and from Debian's buildah alike.
const FROM_BOTH: &[Deviation] = &[
    ("shell test", "history", AS_BUILDKIT),
    ("copy file to workdir rename", "layers: 3 / 2", WORKDIR),
    ("copy file to workdir rename", "history", WORKDIR),
    ("exposed default", "history", AS_BUILDKIT),
    ("ci-pipeline-modified", "layers: 2 / 1", WORKDIR),
    ("ci-pipeline-modified", "history", WORKDIR),
    ("env-squote-in-dquote", "history", AS_BUILDKIT),
    ("env-eddquote", "history", AS_BUILDKIT),
    ("env-edsquote", "history", AS_BUILDKIT),
    ("env-empty-squote-in-empty-dquote", "history", AS_BUILDKIT),
    ("workdir with trailing separator", "history", AS_BUILDKIT),
    ("mount-cache-by-ownership", "history", AS_BUILDKIT),
    ("stage arg overrides header arg in same stage", "history", AS_BUILDKIT),
    ("multiple ARGs in single instruction", "history", AS_BUILDKIT),
    ("multiple ARGs in single instruction with build-arg override", "history", AS_BUILDKIT),
];

/// Differences from what is recorded alone.
const FROM_RECORDED: &[Deviation] = &[
    ("copy-escape-glob", "layers: 6 / 5", WORKDIR),
    ("copy-escape-glob", "history", WORKDIR),
    ("heredoc-quoting", "history", AS_BUILDKIT),
];

/// Differences from Debian's buildah alone.
const FROM_BUILDAH: &[Deviation] = &[
    ("*", "config WorkingDir: \"/\" / none", SCRATCH),
    ("ci-pipeline-modified", "config WorkingDir", CLEANED),
    ("workdir with trailing separator", "config WorkingDir", CLEANED),
    ("mount-cache-by-ownership", "file results/0+10/0.txt: none", CACHES),
    ("mount-cache-by-ownership", "file results/0/10.txt: none", CACHES),
    ("mount-cache-by-ownership", "file results/10/0.txt: none", CACHES),
];

const CLEANED: &str =
    "a working directory has no slash at its end, as in BuildKit and later buildahs";
const CACHES: &str = "a cache for another owner is another cache, as in later buildahs";

pub(crate) const SCRATCH: &str =
    "an image from nothing works in /, as with later buildahs and with BuildKit";
const WORKDIR: &str = "WORKDIR makes its directory in a layer of its own, as in BuildKit";
const AS_BUILDKIT: &str =
    "the history has the words of BuildKit: what was run and set, not what was written";

#[test]
fn every_case_becomes_what_the_field_makes_of_it() {
    let Some((cases, contexts)) = table() else { return };
    if !has(&TOOLS) {
        return;
    }
    let shop = Shop::open();
    let (mut recorded, mut live) = (Vec::new(), Vec::new());
    for case in &cases {
        let id = case["id"].as_str().expect("a case has an ID");
        let expected = &case["expected"]["buildah"];
        let scratch = scratch();
        let prepared = prepare(case, &contexts, &scratch);
        let make = |builder| {
            let outcome = shop.build(builder, &prepared);
            let built = built(&shop, builder, &outcome);
            (outcome, built)
        };
        let ((ours, ours_built), (_, theirs)) = std::thread::scope(|scope| {
            let theirs = scope.spawn(|| make(Builder::Buildah));
            (make(Builder::Cooper), theirs.join().expect("buildah is run, whatever it says"))
        });
        let found = match (&ours_built, expected["fails"] == Value::Bool(true)) {
            (None, true) => Vec::new(),
            (Some(_), true) => vec!["fails: no / yes".to_owned()],
            (None, false) => vec![format!("fails: yes / no: {}", ours.stderr.trim())],
            (Some(ours), false) => differences(ours, &Built::recorded(expected)),
        };
        recorded.extend(found.into_iter().map(|found| (id.to_owned(), found)));
        let found = match (ours_built, theirs) {
            (Some(ours), Some(theirs)) => differences(&ours, &theirs),
            _ => Vec::new(),
        };
        live.extend(found.into_iter().map(|found| (id.to_owned(), found)));
    }
    let wrong = [
        unlisted("what is recorded", &recorded, [FROM_BOTH, FROM_RECORDED]),
        unlisted("Debian's buildah", &live, [FROM_BOTH, FROM_BUILDAH]),
    ]
    .concat();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    // In the same shop, which takes a while to open.
    crate::dialect::check(&shop);
}

/// What was built, `None` if it failed.
fn built(shop: &Shop, builder: Builder, outcome: &Outcome) -> Option<Built> {
    if outcome.code != 0 {
        return None;
    }
    let id = outcome.text().lines().last().expect("a build ends with an ID");
    Some(Built::of(&shop.read(builder, id)))
}

/// The differences that are not listed, and what is listed and is none.
pub(crate) fn unlisted(
    from: &str,
    found: &[(String, String)],
    listed: [&[Deviation]; 2],
) -> Vec<String> {
    let listed = listed.concat();
    let is = |(case, begins, _): &Deviation, (id, found): &(String, String)| {
        (*case == "*" || case == id) && found.starts_with(begins)
    };
    let unlisted = found
        .iter()
        .filter(|found| !listed.iter().any(|listed| is(listed, found)))
        .map(|(id, found)| format!("not as {from}: {id}: {found}"));
    let unseen = listed
        .iter()
        .filter(|listed| !found.iter().any(|found| is(listed, found)))
        .map(|(case, begins, why)| format!("as {from} after all: {case}: {begins} ({why})"));
    unlisted.chain(unseen).collect()
}
