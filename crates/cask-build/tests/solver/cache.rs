//! What earlier builds are good for.

use std::fs;
use std::os::unix::fs::MetadataExt;

use super::support::{BASE, Bench, first_miss, outcomes};

#[test]
fn a_file_that_changed_is_named_and_what_follows_is_done_again() {
    let bench = Bench::new();
    for name in ["src/a", "src/b", "other"] {
        bench.write(name, name);
    }
    let text = "FROM scratch\nCOPY other /other\nCOPY src /src\nCOPY other /last\n";
    let first = bench.build(text);
    assert_eq!(outcomes(&first), ["-", "miss", "miss", "miss"]);
    assert_eq!(outcomes(&bench.build(text)), ["-", "hit", "hit", "hit"]);
    bench.write("src/b", "changed");
    let report = bench.build(text);
    assert_eq!(outcomes(&report), ["-", "hit", "miss", "miss"]);
    assert!(first_miss(&report).contains("b changed"), "{}", first_miss(&report));
    assert_eq!(bench.read(&report.images[0], "/src/b"), "changed");
    // What was is found again.
    bench.write("src/b", "src/b");
    let again = bench.build(text);
    assert_eq!(outcomes(&again), ["-", "hit", "hit", "hit"]);
    assert_eq!(again.images[0].id, first.images[0].id);
}

#[test]
fn an_argument_counts_for_the_commands_that_see_it_alone() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!("FROM {BASE}\nRUN echo 1 >/1\nARG V=a\nLABEL v=$V\nRUN echo $V >/2\n");
    bench.build(&text);
    let mut request = bench.request(&text);
    request.arguments.insert("V".to_owned(), "b".to_owned());
    let report = bench.run(&request).unwrap();
    assert_eq!(outcomes(&report), ["-", "hit", "-", "-", "miss"]);
    assert_eq!(first_miss(&report), "argument V changed from a to b");
    assert_eq!(bench.read(&report.images[0], "/2"), "b\n");
    // An argument that nobody declares changes nothing, and is told.
    request.arguments.insert("NONE".to_owned(), "x".to_owned());
    let report = bench.run(&request).unwrap();
    assert_eq!(outcomes(&report), ["-", "hit", "-", "-", "hit"]);
    assert_eq!(report.warnings, ["one or more build args were not consumed: [NONE]"]);
}

#[test]
fn no_cache_does_steps_again_but_once_in_a_build() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE} AS a\nRUN echo x >/x\nFROM {BASE} AS b\nRUN echo x >/x\nRUN true\n\
         FROM {BASE}\nCOPY --from=a /x /a\nCOPY --from=b /x /b\n"
    );
    bench.build(&text);
    let mut request = bench.request(&text);
    request.cache.none = true;
    let report = bench.run(&request).unwrap();
    let found = outcomes(&report);
    assert_eq!(found.iter().filter(|word| **word == "hit").count(), 1, "{found:?}");
    request.cache.none = false;
    request.cache.none_for = vec!["B".to_owned()];
    assert_eq!(outcomes(&bench.run(&request).unwrap())[..2], ["-", "hit"]);
    let report = bench.run(&request).unwrap();
    assert_eq!(outcomes(&report)[3..5], ["miss", "miss"]);
}

#[test]
fn damaged_records_and_layers_that_are_gone_are_no_records() {
    let bench = Bench::new();
    bench.write("a", "A");
    let text = "FROM scratch\nCOPY a /a\n";
    let image = bench.build(text).images.remove(0);
    let records = bench.directory.path().join("root/cask/build/records");
    let all = || {
        fs::read_dir(&records).unwrap().flatten().flat_map(|shard| {
            fs::read_dir(shard.path())
                .unwrap()
                .flatten()
                .map(|entry| entry.path())
                .collect::<Vec<_>>()
        })
    };
    for path in all() {
        fs::write(path, "half").unwrap();
    }
    let report = bench.build(text);
    assert_eq!(outcomes(&report), ["-", "miss"]);
    assert!(report.warnings[0].contains("damaged"), "{:?}", report.warnings);
    assert_eq!(outcomes(&bench.build(text)), ["-", "hit"]);
    bench.store.delete_image(&image.id).unwrap();
    let report = bench.build(text);
    assert_eq!(first_miss(&report), "its layer is no longer in the store");
    assert_eq!(report.images[0].id, image.id);
}

#[test]
fn the_cache_is_listed_and_pruned() {
    let bench = Bench::new();
    bench.write("a", "A");
    bench.build("FROM scratch\nCOPY a /a\n");
    let cache = cask_build::Cache::new(&bench.tools.state_directory);
    let entries = cache.entries().unwrap();
    assert_eq!(entries.len(), 1);
    assert_eq!(entries[0].description, "COPY a /a");
    assert!(entries[0].size_bytes > 0);
    let layer = entries[0].layer.clone().unwrap();
    assert!(bench.store.layer(&layer).unwrap().is_some());
    cache.prune(&cask_build::CachePrune::default()).unwrap();
    assert!(cache.entries().unwrap().is_empty());
}

#[test]
fn a_build_in_which_nothing_changed_runs_nothing() {
    let bench = Bench::new();
    let mut text = "FROM scratch\n".to_owned();
    for number in 0..10 {
        bench.write(&format!("d{number}/f"), "x");
        text.push_str(&format!("COPY d{number} /d{number}\n"));
    }
    bench.build(&text);
    let report = bench.build(&text);
    assert!(outcomes(&report)[1..].iter().all(|word| *word == "hit"));
}

#[test]
fn a_stage_that_gives_the_same_files_again_keeps_what_follows() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = |comment: &str| {
        format!(
            "FROM {BASE} AS made\nRUN echo x >/x # {comment}\n\
             FROM {BASE}\nCOPY --from=made /x /y\nRUN cat /y >/z\n"
        )
    };
    bench.build(&text("one"));
    let report = bench.build(&text("two"));
    assert_eq!(outcomes(&report), ["-", "miss", "-", "hit", "hit"]);
}

#[test]
fn a_command_that_leaves_the_same_files_again_keeps_what_follows() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = |comment: &str| format!("FROM {BASE}\nRUN echo x >/x # {comment}\nRUN cat /x >/z\n");
    let first = bench.build(&text("one"));
    let report = bench.build(&text("two"));
    assert_eq!(outcomes(&report), ["-", "miss", "hit"]);
    assert_eq!(report.images[0].layers, first.images[0].layers);
}

#[test]
fn a_linked_copy_is_the_same_layer_upon_another_base_and_nothing_is_copied() {
    let bench = Bench::new();
    for (path, text) in [("a", "A"), ("dir/f", "F"), ("base", "1")] {
        bench.write(path, text);
    }
    let text = "FROM scratch\nCOPY base /base\nCOPY --link --chown=7 a dir /to/\nCOPY base /last\n";
    let first = bench.build(text).images.remove(0);
    bench.write("base", "2");
    let report = bench.build(text);
    assert_eq!(outcomes(&report), ["-", "miss", "hit", "miss"]);
    let second = &report.images[0];
    assert_eq!(second.config.diff_ids[1], first.config.diff_ids[1]);
    let inode = |image: &cask_build::BuiltImage| {
        let layer = format!("overlay/{}/diff/to/f", image.layers[1]);
        fs::metadata(bench.store.graph_root().join(layer)).unwrap().ino()
    };
    assert_eq!(inode(second), inode(&first), "it is the same file");
    assert_eq!(bench.read(second, "/to/f"), "F");
    // Either may go without the other.
    bench.store.delete_image(&first.id).unwrap();
    assert_eq!(bench.read(second, "/to/a"), "A");
    bench.check_nothing_left();
    // Names of owners are the stage's.
    let named = |number: u8| {
        format!(
            "FROM scratch\nCOPY <<E /etc/passwd\nu:x:{number}:{number}::/:\nE\nCOPY --link --chown=u a /a\n"
        )
    };
    bench.build(&named(1));
    let report = bench.build(&named(2));
    assert_eq!(outcomes(&report), ["-", "miss", "miss"]);
    assert_eq!(bench.view(&report.images[0]).status("/a").unwrap().unwrap().uid, 2);
}
