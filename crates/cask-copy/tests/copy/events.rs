//! What is told while a copy runs.

use std::collections::HashMap;

use cask_copy::LayersWanted;
use cask_image::Digest;
use cask_layer::Compression;
use cask_testkit::generate::{
    Compression as Made, Content, Format, ImageSpec, LayerSpec, platforms_index,
};
use cask_testkit::memory::{Failure, Lie, Writing};
use cask_transport::{Event, LayerForm, Outcome, TaskId, TaskKind};

use crate::support::{Events, Pair, all_with, options, with};

/// What was told of one task.
#[derive(Debug)]
struct Told {
    kind: TaskKind,
    total: Option<u64>,
    advanced: u64,
    outcome: Option<Outcome>,
}

/// Checks that every task begins, goes on and ends, in that order and once.
#[track_caller]
fn tasks(events: &Events) -> Vec<Told> {
    let mut tasks: HashMap<TaskId, Told> = HashMap::new();
    let mut order = Vec::new();
    for event in events.noted() {
        match event {
            Event::Started { task, kind, total_bytes: total } => {
                order.push(task);
                let told = Told { kind, total, advanced: 0, outcome: None };
                assert!(tasks.insert(task, told).is_none(), "{task:?} started twice");
            }
            Event::Advanced { task, bytes } => {
                let told = tasks.get_mut(&task).expect("it started");
                assert!(bytes > 0 && told.outcome.is_none(), "{told:?}");
                told.advanced += bytes;
            }
            Event::Finished { task, outcome } => {
                let told = tasks.get_mut(&task).expect("it started");
                assert_eq!(told.outcome.replace(outcome), None, "{told:?}");
            }
            _ => {}
        }
    }
    let told: Vec<_> = order.iter().map(|task| tasks.remove(task).expect("it is there")).collect();
    assert!(told.iter().all(|told| told.outcome.is_some()), "every task ends: {told:?}");
    told
}

fn mixed() -> Content {
    let layer =
        |seed, compression| LayerSpec::new(seed).size_bytes(600_000).compression(compression);
    let spec = ImageSpec::new(1).layer(layer(1, Made::Gzip)).layer(layer(2, Made::None));
    spec.layer(layer(3, Made::Zstd)).build().content()
}

#[tokio::test]
async fn what_is_read_adds_up_however_it_is_read() {
    for writing in [Writing::Once, Writing::Measured, Writing::Resumed] {
        for is_async in [false, true] {
            for wish in [
                LayersWanted::Keep,
                LayersWanted::Decompress,
                LayersWanted::Compress(Compression::Gzip),
            ] {
                let events = Events::default();
                let pair = Pair::new(&mixed());
                for store in [&pair.from, &pair.to] {
                    store.behave(|behaviour| {
                        behaviour.writing = writing;
                        behaviour.is_async = is_async;
                    });
                }
                let options = with(|options| {
                    options.events = events.sink();
                    options.layers.wanted = wish;
                });
                let planned = pair.plan(&options).await.expect("it can be planned");
                let announced = planned.plan().moved_bytes();
                planned.execute().await.expect("it can be copied");
                let told = tasks(&events);
                assert_eq!(told.len(), 4);
                assert!(told.iter().all(|told| told.outcome == Some(Outcome::Copied)));
                assert!(told.iter().all(|told| Some(told.advanced) == told.total), "{told:?}");
                assert_eq!(told.iter().map(|told| told.advanced).sum::<u64>(), announced);
                let configs = told.iter().filter(|t| matches!(t.kind, TaskKind::Config { .. }));
                assert_eq!(configs.count(), 1);
            }
        }
    }
}

#[tokio::test]
async fn what_is_spared_is_told() {
    let foreign = LayerSpec::new(1).foreign("https://example.com/layer");
    let content = ImageSpec::new(1).layer(foreign).layer(LayerSpec::new(2)).build().content();
    let pair = Pair::new(&content);
    pair.copy(&options()).await.expect("it can be copied");
    let events = Events::default();
    pair.copy(&with(|options| options.events = events.sink())).await.expect("once more");
    let told = tasks(&events);
    let outcomes: Vec<_> = told.iter().filter_map(|told| told.outcome).collect();
    assert_eq!(outcomes, [Outcome::Skipped, Outcome::Reused, Outcome::Reused]);
    assert!(told.iter().all(|told| told.advanced == 0));
}

#[tokio::test]
async fn every_task_that_began_ends_when_one_fails() {
    let content = mixed();
    let broken: Digest = content.blobs[2].digest().clone();
    for (lie, failure) in [
        (Some(Lie::Breaks), None),
        (Some(Lie::OtherBytes), None),
        (None, Some(Failure::Blob(1))),
        (None, Some(Failure::Manifest(0))),
    ] {
        for wish in [LayersWanted::Keep, LayersWanted::Compress(Compression::Gzip)] {
            let events = Events::default();
            let pair = Pair::new(&content);
            pair.from.behave(|behaviour| {
                behaviour.lies.extend(lie.map(|lie| (broken.clone(), lie)));
            });
            pair.to.behave(|behaviour| behaviour.failure = failure);
            let options = with(|options| {
                options.events = events.sink();
                options.layers.wanted = wish;
            });
            pair.refused(&options).await;
            let told = tasks(&events);
            let failed = told.iter().any(|told| told.outcome == Some(Outcome::Failed));
            assert_eq!(failed, failure != Some(Failure::Manifest(0)), "{told:?}");
            assert!(told.iter().all(|told| Some(told.advanced) <= told.total));
        }
    }
}

#[tokio::test]
async fn every_task_that_began_ends_when_the_copy_is_dropped() {
    let content = mixed();
    let events = Events::default();
    let pair = Pair::new(&content);
    pair.from.behave(|behaviour| {
        behaviour.lies.insert(content.blobs[1].digest().clone(), Lie::Stalls);
    });
    let wish = with(|options| options.events = events.sink());
    let soon = std::time::Duration::from_millis(100);
    tokio::time::timeout(soon, pair.copy(&wish)).await.expect_err("it cannot end");
    assert!(tasks(&events).iter().any(|told| told.outcome == Some(Outcome::Failed)));
}

/// The events that are not about tasks.
fn milestones(events: &Events) -> Vec<String> {
    let name = |event: Event| match event {
        Event::Started { .. } | Event::Advanced { .. } | Event::Finished { .. } => None,
        Event::IndexStarted { chosen, of } => Some(format!("{chosen} of {of}")),
        Event::ReadingSignatures => Some("reading signatures".into()),
        Event::WritingManifest => Some("writing manifest".into()),
        Event::StoringSignatures => Some("storing signatures".into()),
        Event::Warning { message } => Some(format!("warning: {message}")),
        other => Some(format!("{other:?}")),
    };
    events.noted().into_iter().filter_map(name).collect()
}

#[tokio::test]
async fn milestones_come_in_order() {
    let content = mixed();
    let events = Events::default();
    let pair = Pair::new(&content);
    pair.from.sign(crate::support::FROM, &content.top.digest, "signed");
    pair.copied(&with(|options| options.events = events.sink())).await;
    let expected =
        ["reading signatures", "writing manifest", "storing signatures", "Committing", "Committed"];
    assert_eq!(milestones(&events), expected);

    let events = Events::default();
    pair.copied(&with(|options| {
        options.events = events.sink();
        options.attached.remove_signatures = true;
    }))
    .await;
    assert_eq!(milestones(&events), ["writing manifest", "Committing", "Committed"]);

    // Where the top manifest is what makes an image visible, it is announced before that.
    let events = Events::default();
    let pair = Pair::to_place(&content, |place| place.visible_with_top = true);
    pair.to.behave(|behaviour| behaviour.failure = Some(Failure::Manifest(0)));
    pair.copy(&with(|options| options.events = events.sink())).await.expect_err("it fails");
    assert_eq!(
        milestones(&events),
        ["reading signatures", "writing manifest", "Committing", "Committed"]
    );
}

#[tokio::test]
async fn an_index_is_announced_with_how_much_of_it_is_copied() {
    let content = platforms_index(1, Format::Oci);
    let amd64 = vec![cask_image::PlatformWanted::new("linux", "amd64")];
    for (instances, expected) in [
        (cask_copy::Instances::All, Some("6 of 6")),
        (cask_copy::Instances::Platforms(amd64), Some("2 of 6")),
        (cask_copy::Instances::IndexOnly, Some("0 of 6")),
        (options().instances, None),
    ] {
        let events = Events::default();
        let wish = all_with(|options| {
            options.events = events.sink();
            options.instances = instances.clone();
        });
        Pair::new(&content).copied(&wish).await;
        let told = milestones(&events);
        assert_eq!(told[0], "reading signatures");
        let announced = told[1..].iter().find(|text| text.contains(" of "));
        assert_eq!(announced.map(String::as_str), expected, "{instances:?}");
    }
}

#[tokio::test]
async fn warnings_come_first_and_once() {
    let content = ImageSpec::new(1).annotation("org.example", "said").build().content();
    let events = Events::default();
    let pair = Pair::to_place(&content, |place| {
        place.manifest_types = &[cask_image::MediaType::DockerManifest];
        place.layer_form = LayerForm::Uncompressed;
    });
    pair.copied(&with(|options| options.events = events.sink())).await;
    let told = milestones(&events);
    assert_eq!(told.len(), 5, "{told:?}");
    assert!(told[1].starts_with("warning: application/vnd.docker"), "{told:?}");
}
