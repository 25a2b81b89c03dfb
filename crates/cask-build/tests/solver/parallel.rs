//! Stages and platforms side by side.

use cask_image::PlatformWanted;

use super::support::{BASE, Bench, outcomes};

#[test]
fn sixteen_stages_at_the_same_time_leave_nothing() {
    let Some(bench) = Bench::with_shell() else { return };
    let mut text = String::new();
    for number in 0..16 {
        text.push_str(&format!("FROM {BASE} AS s{number}\nRUN echo {number} >/n{number}\n"));
    }
    text.push_str("FROM scratch\n");
    for number in 0..16 {
        text.push_str(&format!("COPY --from=s{number} /n{number} /\n"));
    }
    let mut request = bench.request(&text);
    request.jobs = std::num::NonZeroUsize::new(16);
    let report = bench.run(&request).unwrap();
    for number in 0..16 {
        let path = format!("/n{number}");
        assert_eq!(bench.read(&report.images[0], &path), format!("{number}\n"));
    }
    bench.check_nothing_left();
    let one = Bench::with_shell().unwrap();
    let mut request = one.request(&text);
    request.jobs = std::num::NonZeroUsize::new(1);
    let again = one.run(&request).unwrap();
    let files = |report: &cask_build::BuildReport| report.images[0].config.diff_ids.len();
    assert_eq!(files(&report), files(&again));
}

#[test]
fn every_platform_has_an_image_and_what_is_for_the_builder_is_done_once() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM --platform=$BUILDPLATFORM {BASE} AS tools\nRUN echo done; echo x >/x\n\
         FROM scratch\nARG TARGETARCH\nCOPY --from=tools /x /x\nENV ARCH=$TARGETARCH\n"
    );
    let mut request = bench.request(&text);
    let own = PlatformWanted::of_this_build();
    request.platforms.targets = vec![own.clone(), PlatformWanted::new("linux", "riscv64")];
    request.image.names = vec!["localhost/several:latest".to_owned()];
    let report = bench.run(&request).unwrap();
    assert_eq!(bench.output(), "done\n");
    let arches: Vec<&str> =
        report.images.iter().map(|image| image.config.architecture.as_str()).collect();
    assert_eq!(arches, [own.architecture.as_str(), "riscv64"]);
    assert_eq!(report.images[1].config.config.env[1..], ["ARCH=riscv64"]);
    assert_eq!(report.images[0].layers, report.images[1].layers);
    assert!(report.images.iter().all(|image| image.names.is_empty()));
    let hits = outcomes(&report).into_iter().filter(|word| *word == "miss").count();
    assert_eq!(hits, 2);
}

#[test]
fn two_builds_in_one_store_at_the_same_time_give_the_same() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE} AS a\nRUN echo a >/a\nRUN echo b >/b\nFROM {BASE}\nCOPY --from=a /a /b /\nRUN cat /a /b >/c\n"
    );
    let bench = &bench;
    let text = &text;
    let ids: Vec<_> = std::thread::scope(|scope| {
        let builds: Vec<_> = (0..4)
            .map(|_| {
                scope.spawn(move || bench.run(&bench.request(text)).unwrap().images[0].id.clone())
            })
            .collect();
        builds.into_iter().map(|build| build.join().unwrap()).collect()
    });
    assert!(ids.iter().all(|id| *id == ids[0]));
    bench.check_nothing_left();
}
