//! Many images, brought up to date.

use std::collections::{BTreeMap, HashSet};

use cask_copy::{SyncOptions, SyncOutcome, SyncPair, surplus, sync};
use cask_testkit::generate::{ImageSpec, LayerSpec};
use cask_testkit::memory::{Call, Failure, MemoryStore};
use futures_util::StreamExt as _;

use crate::support::options;

const NAMES: [&str; 3] = ["one", "two", "three"];

/// A store with three images, and one that tells which manifests it has.
fn stores() -> (MemoryStore, MemoryStore) {
    let (from, to) = (MemoryStore::new(), MemoryStore::new());
    for (seed, name) in (1..).zip(NAMES) {
        let image = ImageSpec::new(seed).layer(LayerSpec::new(seed)).build();
        from.insert(&format!("memory:a:{name}"), &image.content());
    }
    to.behave(|behaviour| behaviour.reuse.manifests = true);
    (from, to)
}

async fn run(from: &MemoryStore, to: &MemoryStore, dry_run: bool) -> BTreeMap<String, String> {
    let pair = |name: &&str| SyncPair {
        from: from.location(&format!("memory:a:{name}")),
        to: to.location(&format!("memory:b:{name}")),
        parent: None,
    };
    let mut sync_options = SyncOptions::new(options());
    sync_options.dry_run = dry_run;
    let synced = sync(NAMES.iter().map(pair).collect(), &sync_options);
    let told = synced.map(|synced| {
        let outcome = match synced.outcome {
            SyncOutcome::Unchanged { .. } => "unchanged",
            SyncOutcome::Copied(_) => "copied",
            SyncOutcome::Planned { moved_bytes } if moved_bytes > 0 => "planned",
            SyncOutcome::Failed(_) => "failed",
            other => panic!("{other:?}"),
        };
        (synced.to, outcome.to_owned())
    });
    told.collect().await
}

#[tokio::test]
async fn what_is_there_is_not_touched() {
    let (from, to) = stores();
    let all = |outcome: &str| {
        NAMES.map(|name| (format!("memory:b:{name}"), outcome.to_owned())).into_iter().collect()
    };
    assert_eq!(run(&from, &to, true).await, all("planned"));
    assert!(!to.calls().iter().any(|call| matches!(call, Call::Commit)));
    assert_eq!(run(&from, &to, false).await, all("copied"));
    to.forget_calls();
    assert_eq!(run(&from, &to, false).await, all("unchanged"));
    assert!(!to.calls().iter().any(|call| matches!(call, Call::Have(_) | Call::Commit)));
}

#[tokio::test]
async fn one_that_fails_does_not_stop_the_others() {
    let (from, to) = stores();
    to.behave(|behaviour| behaviour.failure = Some(Failure::Commit));
    let outcomes = run(&from, &to, false).await;
    let failed = outcomes.values().filter(|outcome| *outcome == "failed").count();
    assert_eq!((outcomes.len(), failed), (3, 1), "{outcomes:?}");
}

#[tokio::test]
async fn surplus_is_what_is_not_to_be_kept() {
    let (from, _) = stores();
    let collection = from.location("memory:a:one").collection().await.expect("it is one");
    let keep: HashSet<String> = ["two".to_owned(), "four".to_owned()].into();
    let mut names = surplus(&*collection, &keep).await.expect("it lists");
    names.sort();
    assert_eq!(names, ["one", "three"]);
}
