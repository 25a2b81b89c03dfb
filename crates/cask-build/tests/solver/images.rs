//! Images without a command.

use std::sync::{Arc, Mutex};

use cask_build::{
    BuildEvent, Context, ErrorKind, IgnoreChoice, LayerMode, NamedContext, SavedStages,
};
use cask_containerfile::Dialect;
use cask_image::ImageFormat;

use super::support::{BASE, Bench, outcomes};

#[test]
fn instructions_give_the_config_that_they_say() {
    let bench = Bench::new();
    bench.write("a", "text");
    let report = bench.build(
        "ARG V=1\nFROM scratch AS one\nARG V\nENV A=x B=\"$A y\" C=$V\nENV A=z D=$A\n\
         LABEL k=\"v w\" e=$A\nCOPY a /dir/\nWORKDIR /dir\nWORKDIR sub\nUSER 5:6\n\
         EXPOSE 80 8000-8001/udp\nVOLUME /v [\"/w\"]\nVOLUME [\"/x y\"]\nSTOPSIGNAL SIGINT\n\
         SHELL [\"/bin/x\", \"-c\"]\nCMD text\nENTRYPOINT [\"/e\"]\n\
         HEALTHCHECK --interval=5s --retries=2 CMD true\nMAINTAINER me\nONBUILD RUN later\n",
    );
    let config = &report.images[0].config;
    let run = &config.config;
    assert_eq!(run.env[1..], ["A=z", "B= y", "C=1", "D=x"]);
    assert_eq!(run.labels["k"], "v w");
    assert_eq!(run.labels["e"], "z");
    assert_eq!((run.working_dir.as_str(), run.user.as_str()), ("/dir/sub", "5:6"));
    assert_eq!(
        run.exposed_ports.iter().map(String::as_str).collect::<Vec<_>>(),
        ["80/tcp", "8000/udp", "8001/udp"]
    );
    assert!(run.volumes.contains("/v") && run.volumes.contains("/x y"));
    assert_eq!(run.cmd.as_deref().unwrap(), ["/bin/x", "-c", "text"]);
    assert_eq!(run.entrypoint.as_deref().unwrap(), ["/e"]);
    assert_eq!(run.healthcheck.as_ref().unwrap().retries, 2);
    assert_eq!((run.stop_signal.as_str(), config.author.as_str()), ("SIGINT", "me"));
    assert_eq!(run.on_build, ["RUN later"]);
    // COPY, and the directory that WORKDIR made.
    assert_eq!(config.diff_ids.len(), 2);
    let layers = config.history.iter().filter(|entry| !entry.empty_layer).count();
    assert_eq!(layers, 2);
    let texts: Vec<&str> = config.history.iter().map(|e| e.created_by.as_str()).collect();
    assert_eq!(texts[0], "ARG V=1");
    assert_eq!(texts[1], "ENV A=x B= y C=1");
    assert!(texts.contains(&"COPY a /dir/ # buildkit"));
    assert!(texts.contains(&"EXPOSE [80/tcp 8000/udp 8001/udp]"));
    assert!(texts.contains(&"WORKDIR /dir") && texts.contains(&"WORKDIR /dir/sub"));
    assert!(texts.contains(&"CMD [\"/bin/x\" \"-c\" \"text\"]"));
    assert_eq!(bench.read(&report.images[0], "/dir/a"), "text");
    bench.check_nothing_left();
}

#[test]
fn the_same_input_gives_the_same_image_in_another_store() {
    let image = || {
        let bench = Bench::new();
        bench.write("a", "text");
        let old = std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_600_000_000);
        let file = std::fs::File::options().write(true).open(bench.context().join("a")).unwrap();
        file.set_modified(old).unwrap();
        let report =
            bench.build("FROM scratch\nCOPY a /deep/er/\nWORKDIR /w\nCMD [\"/deep/er/a\"]\n");
        let created = report.images[0].config.created.unwrap().unix_seconds();
        assert_eq!(created, 1_600_000_000);
        report.images[0].id.clone()
    };
    assert_eq!(image(), image());
}

#[test]
fn images_get_their_names_and_a_second_build_writes_nothing() {
    let bench = Bench::new();
    bench.write("a", "1");
    let mut request = bench.request("FROM scratch\nCOPY a /a\nLABEL x=y\n");
    request.image.names = vec!["localhost/one:latest".to_owned()];
    let first = bench.run(&request).unwrap();
    let images = bench.directory.path().join("root/overlay-images/images.json");
    let written = std::fs::metadata(&images).unwrap().modified().unwrap();
    let second = bench.run(&request).unwrap();
    assert_eq!(outcomes(&second), ["-", "hit", "-"]);
    assert_eq!(first.images[0].id, second.images[0].id);
    assert_eq!(std::fs::metadata(&images).unwrap().modified().unwrap(), written);
    let found = bench.store.image_by_name("localhost/one:latest").unwrap().unwrap();
    assert_eq!(found.id, first.images[0].id);
    request.image.names = vec!["localhost/two:latest".to_owned()];
    bench.run(&request).unwrap();
    let names = bench.store.image(&found.id).unwrap().unwrap().names.clone();
    assert_eq!(names.len(), 2);
}

#[test]
fn stages_are_found_by_name_and_number_and_the_rest_is_left_out() {
    let bench = Bench::new();
    bench.write("a", "A");
    bench.write("b", "B");
    let report = bench.build(
        "FROM scratch AS One\nCOPY a /x/a\nENV FROM_ONE=1\nARG LATER=arg\n\
         FROM scratch\nCOPY b /b\n\
         FROM nowhere/at/all AS unused\nCOPY missing /\n\
         FROM one\nCOPY --from=1 /b /b\nCOPY --from=oNe /x /y\nENV L=$LATER\n",
    );
    let image = &report.images[0];
    assert_eq!(bench.read(image, "/b"), "B");
    assert_eq!(bench.read(image, "/y/a"), "A");
    assert_eq!(image.config.config.env[1..], ["FROM_ONE=1", "L=arg"]);
    assert_eq!(image.layers.len(), 3);
    // The layer of the second stage has an image without a name, which prunes know.
    let unnamed = bench.store.images().unwrap().into_iter().filter(|i| i.names.is_empty());
    assert_eq!(unnamed.count(), 2);
}

#[test]
fn triggers_of_a_base_are_fired_once() {
    let bench = Bench::new();
    bench.write("a", "A");
    let mut request =
        bench.request("FROM scratch\nONBUILD COPY a /from-trigger\nONBUILD ENV T=1\n");
    request.image.names = vec![BASE.to_owned()];
    bench.run(&request).unwrap();
    let report = bench.build(&format!("FROM {BASE}\nLABEL x=y\n"));
    let image = &report.images[0];
    assert_eq!(bench.read(image, "/from-trigger"), "A");
    assert_eq!(image.config.config.env[1..], ["T=1"]);
    assert!(image.config.config.on_build.is_empty());
}

#[test]
fn flags_edit_what_the_file_says() {
    let bench = Bench::new();
    let mut base = bench.request("FROM scratch\nLABEL old=1 gone=1\nENV E=1 F=2\n");
    base.image.names = vec![BASE.to_owned()];
    bench.run(&base).unwrap();
    let mut request = bench.request(&format!("FROM {BASE}\nLABEL own=$N\n"));
    let edits = &mut request.image.edits;
    edits.labels = vec![("own2".to_owned(), "x".to_owned())];
    edits.remove_labels = vec!["gone".to_owned()];
    edits.environment = vec![("N".to_owned(), "n".to_owned())];
    edits.remove_environment = vec!["E".to_owned()];
    edits.annotations = vec![("a".to_owned(), "b".to_owned())];
    request.image.dates.source_date_epoch = Some(77);
    let report = bench.run(&request).unwrap();
    let image = &report.images[0];
    let labels: Vec<String> =
        image.config.config.labels.iter().map(|(k, v)| format!("{k}={v}")).collect();
    assert_eq!(labels, ["old=1", "own=n", "own2=x"]);
    assert_eq!(image.config.config.env[1..], ["F=2", "N=n"]);
    assert_eq!(image.config.created.unwrap().unix_seconds(), 77);
    let manifest = String::from_utf8(image.manifest.bytes().to_vec()).unwrap();
    assert!(manifest.contains("\"a\":\"b\"") && manifest.contains(BASE), "{manifest}");
}

#[test]
fn docker_format_and_what_oci_leaves_out_for_buildah() {
    let bench = Bench::new();
    let text = "FROM scratch\nHEALTHCHECK CMD true\nSHELL [\"/x\"]\n";
    let mut request = bench.request(text);
    request.dialect = Dialect::Buildah;
    let report = bench.run(&request).unwrap();
    assert!(report.images[0].config.config.healthcheck.is_none());
    assert_eq!(report.warnings.len(), 2);
    let created_by = &report.images[0].config.history[0].created_by;
    assert_eq!(created_by, "/bin/sh -c #(nop) HEALTHCHECK CMD true");
    request.image.format = ImageFormat::Docker;
    let report = bench.run(&request).unwrap();
    assert!(report.images[0].config.config.healthcheck.is_some());
    assert!(report.warnings.is_empty());
}

#[test]
fn what_makes_no_sense_to_commands_is_built_as_with_peers_and_said() {
    let bench = Bench::new();
    let report = bench.build("FROM scratch\nENV ${N}=x A=1\nSTOPSIGNAL 99\n");
    let config = &report.images[0].config.config;
    assert_eq!((config.env[1].as_str(), config.env[2].as_str()), ("=x", "A=1"));
    assert_eq!(config.stop_signal, "99");
    assert!(report.warnings.iter().any(|warning| warning.contains("there is no signal 99")));
    assert!(report.warnings.iter().any(|warning| warning.contains("a variable has no name")));
}

#[test]
fn an_exception_that_does_not_hold_is_told_once() {
    let mut bench = Bench::new();
    for name in ["a/x", "b/x"] {
        bench.write(name, name);
    }
    bench.write(".dockerignore", "a\nb\n!*/x\n");
    bench.reopen_context();
    let text = "FROM scratch\nCOPY . /one\nCOPY [ab] /two\n";
    let mut request = bench.request("FROM scratch\nCOPY . /one\nCOPY . /two\n");
    let report = bench.run(&request).unwrap();
    let said = |warning: &String| warning.starts_with(".dockerignore:3: the exception \"!*/x\"");
    assert_eq!(report.warnings.iter().filter(|warning| said(warning)).count(), 1);
    assert!(bench.run(&bench.request(text)).is_err(), "nothing of them is there");
    request.dialect = Dialect::BuildKit;
    let other = bench.run(&request).unwrap();
    assert!(other.warnings.is_empty(), "{:?}", other.warnings);
    assert_ne!(other.images[0].id, report.images[0].id);
}

#[test]
fn stages_become_images_where_that_is_wanted() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.write(name, name);
    }
    let text = "FROM scratch AS One\nCOPY a /\nLABEL own=1\nFROM One\nCOPY b /\n\
                FROM scratch AS other\nCOPY c /\nFROM scratch\nCOPY --from=1 / /\n";
    let mut request = bench.request(text);
    request.image.stages = SavedStages::Labelled;
    let built = bench.run(&request).unwrap();
    let label = |image: &cask_storage::Image, name: &str| {
        let key = format!("sha256:{}", image.id.as_str());
        let config = bench.store.image_data(image, &key).unwrap();
        let config: serde_json::Value = serde_json::from_slice(&config).unwrap();
        config["config"]["Labels"][format!("io.buildah.stage.{name}")].as_str().unwrap().to_owned()
    };
    let images = bench.store.images().unwrap();
    let mut all: Vec<(String, String)> = Vec::new();
    for image in &images {
        all.push((label(image, "name"), label(image, "base")));
    }
    all.sort();
    let one = images.iter().find(|image| label(image, "name") == "One").unwrap();
    let pairs = [("1", one.id.as_str()), ("3", "scratch"), ("One", "scratch")];
    assert_eq!(all, pairs.map(|(name, base)| (name.to_owned(), base.to_owned())));
    let target = bench.store.image(&built.images[0].id).unwrap().unwrap();
    assert_eq!(label(&target, "name"), "3");
    // Again it is the same, and without, the stages are kept for their layers alone.
    bench.run(&request).unwrap();
    assert_eq!(bench.store.images().unwrap().len(), 3);
    let other = Bench::new();
    for name in ["a", "b", "c"] {
        other.write(name, name);
    }
    other.run(&other.request(text)).unwrap();
    assert_eq!(other.store.images().unwrap().len(), 2);
}

#[test]
fn squashed_layers_have_the_files_of_all() {
    let bench = Bench::new();
    for name in ["a", "b", "c"] {
        bench.write(name, name);
    }
    let mut base = bench.request("FROM scratch\nCOPY a b /d/\n");
    base.image.names = vec![BASE.to_owned()];
    bench.run(&base).unwrap();
    let text = format!("FROM {BASE}\nCOPY c /d/a\nCOPY c /e/\nWORKDIR /w\nCMD x\n");
    let plain = bench.build(&text);
    for (mode, layers) in [(LayerMode::SquashNew, 2), (LayerMode::SquashAll, 1)] {
        let mut request = bench.request(&text);
        request.image.layers = mode;
        let report = bench.run(&request).unwrap();
        let image = &report.images[0];
        assert_eq!((image.layers.len(), image.config.diff_ids.len()), (layers, layers));
        let with_layer = image.config.history.iter().filter(|entry| !entry.empty_layer).count();
        assert_eq!(with_layer, layers, "{mode:?}");
        for path in ["/d/a", "/d/b", "/e/c"] {
            assert_eq!(bench.read(image, path), bench.read(&plain.images[0], path), "{path}");
        }
        assert!(bench.has(image, "/w"));
        assert_eq!(bench.run(&request).unwrap().images[0].id, image.id);
    }
    bench.check_nothing_left();
}

#[test]
fn stages_that_nobody_needs_are_built_where_that_is_wanted() {
    let bench = Bench::new();
    let text = "FROM scratch AS one\nLABEL a=1\nFROM scratch AS two\nFROM scratch\nFROM nowhere\n";
    let mut request = bench.request(text);
    request.target = Some("2".to_owned());
    assert_eq!(bench.run(&request).unwrap().steps.len(), 1);
    request.unused_stages = true;
    assert_eq!(bench.run(&request).unwrap().steps.len(), 4);
}

#[test]
fn images_of_both_formats_stand_side_by_side() {
    let bench = Bench::new();
    bench.write("a", "a");
    let build = |text: &str, name: &str, format: ImageFormat| {
        let mut request = bench.request(text);
        request.image.format = format;
        request.image.names = vec![format!("localhost/{name}:latest")];
        bench.run(&request).unwrap().images.remove(0)
    };
    let both = [("docker", ImageFormat::Docker), ("oci", ImageFormat::Oci)];
    for text in ["FROM scratch\nCOPY a /a\n", "FROM localhost/docker:latest\nLABEL a=b\n"] {
        let images = both.map(|(name, format)| build(text, name, format));
        assert_ne!(images[0].id, images[1].id);
        for ((name, format), image) in both.iter().zip(&images) {
            let name = format!("localhost/{name}:latest");
            let found = bench.store.image_by_name(&name).unwrap().unwrap();
            assert_eq!(found.id, image.id);
            let manifest = bench.store.image_data(&found, "manifest").unwrap();
            let manifest = cask_image::RawManifest::guess(manifest).unwrap();
            assert_eq!(*manifest.media_type(), format.manifest_type());
        }
    }
}

#[test]
fn a_file_that_changes_nothing_is_its_base() {
    let bench = Bench::new();
    bench.write("a", "a");
    let mut base = bench.request("FROM scratch\nCOPY a /a\nCMD a\n");
    base.image.names = vec![BASE.to_owned()];
    let base = bench.run(&base).unwrap().images.remove(0);
    let text = format!("FROM {BASE} AS one\nFROM one\n");
    let mut request = bench.request(&text);
    request.image.names = vec!["localhost/other:1".to_owned()];
    let same = bench.run(&request).unwrap().images.remove(0);
    assert_eq!((&same.id, &same.layers), (&base.id, &base.layers));
    assert_eq!(same.manifest.bytes(), base.manifest.bytes(), "no base of itself");
    let named = bench.store.image_by_name("localhost/other:1").unwrap().unwrap();
    assert_eq!(named.id, base.id);
    request.image.format = ImageFormat::Docker;
    request.image.keeps_format_of_base = true;
    assert_eq!(bench.run(&request).unwrap().images[0].id, base.id);
    let check = |change: &dyn Fn(&mut cask_build::ImageOptions)| {
        let mut request = bench.request(&text);
        change(&mut request.image);
        let image = bench.run(&request).unwrap().images.remove(0);
        assert_ne!(image.manifest.bytes(), base.manifest.bytes());
    };
    check(&|image| image.edits.labels.push(("a".to_owned(), "b".to_owned())));
    check(&|image| image.edits.annotations.push(("a".to_owned(), "b".to_owned())));
    check(&|image| image.dates.timestamp = Some(5));
    check(&|image| image.layers = LayerMode::SquashAll);
    check(&|image| image.format = ImageFormat::Docker);
    bench.check_nothing_left();
}

#[test]
fn a_layer_of_all_has_no_history_of_the_base() {
    let bench = Bench::new();
    for name in ["a", "b"] {
        bench.write(name, name);
    }
    let mut base = bench.request("FROM scratch\nCOPY a /a\nCOPY b /b\n");
    base.image.names = vec![BASE.to_owned()];
    bench.run(&base).unwrap();
    for (file, entries) in [("", 1), ("LABEL a=b\nCMD x\n", 2)] {
        let mut request = bench.request(&format!("FROM {BASE}\n{file}"));
        request.image.layers = LayerMode::SquashAll;
        let image = bench.run(&request).unwrap().images.remove(0);
        assert_eq!((image.layers.len(), image.config.history.len()), (1, entries), "{file}");
        assert!(bench.has(&image, "/a") && bench.has(&image, "/b"));
    }
}

#[test]
fn an_argument_without_a_value_is_told_once() {
    let bench = Bench::new();
    let text = "ARG G=1\nFROM scratch AS one\nARG A\nARG G\nARG http_proxy\nENV E=1\nARG E\n\
                ARG TARGETARCH\nFROM one\nARG A\nARG B=\n";
    let mut request = bench.request(text);
    let expected =
        "missing \"A\" build argument. Try adding \"--build-arg A=<VALUE>\" to the command line";
    assert_eq!(bench.run(&request).unwrap().warnings, [expected]);
    request.arguments.insert("A".to_owned(), String::new());
    assert!(bench.run(&request).unwrap().warnings.is_empty());
}

#[test]
fn what_cannot_be_says_where() {
    let bench = Bench::new();
    let check = |text: &str, kind: ErrorKind, line: usize, expected: &str| {
        let error = bench.run(&bench.request(text)).unwrap_err();
        assert_eq!(error.kind(), kind, "{error:?}");
        assert!(error.to_string().contains(expected), "{error}");
        let location = error.location().unwrap_or_else(|| panic!("{error:?}"));
        assert_eq!((location.line, location.file.as_str()), (line, "Containerfile"), "{error}");
    };
    check("FROM nowhere/at/all\n", ErrorKind::Missing, 1, "image not known");
    check("FROM scratch\nENV A=${B:?none}\n", ErrorKind::Invalid, 2, "B: none");
    check("FROM scratch\nSTOPSIGNAL 0\n", ErrorKind::Invalid, 2, "Invalid signal: 0");
    check("FROM scratch\nSTOPSIGNAL NONE\n", ErrorKind::Invalid, 2, "Invalid signal: NONE");
    check("FROM scratch\nEXPOSE x\n", ErrorKind::Invalid, 2, "invalid containerPort: x");
    check(
        "FROM scratch\nCOPY --from=b / /\nFROM scratch AS b\nCOPY --from=0 / /x\n",
        ErrorKind::Invalid,
        2,
        "cannot copy from stage",
    );
    check("ARG X\nFROM $X\n", ErrorKind::Invalid, 2, "should not be blank");
    let mut request = bench.request("FROM scratch\n");
    request.target = Some("none".to_owned());
    assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Missing);
    assert!(bench.store.images().unwrap().is_empty());
    bench.check_nothing_left();
}

#[test]
fn workdir_stays_in_the_image() {
    let bench = Bench::new();
    std::os::unix::fs::symlink("/../../../../tmp", bench.context().join("out")).unwrap();
    std::fs::create_dir(bench.context().join("links")).unwrap();
    let outside = bench.directory.path().join("outside");
    std::fs::create_dir(&outside).unwrap();
    std::os::unix::fs::symlink(&outside, bench.context().join("links/host")).unwrap();
    std::os::unix::fs::symlink("host", bench.context().join("links/chain")).unwrap();
    let report = bench.build("FROM scratch\nCOPY links /links\nWORKDIR /links/chain/made\n");
    assert!(std::fs::read_dir(&outside).unwrap().next().is_none());
    let inside = format!("{}/made", outside.display());
    assert!(bench.has(&report.images[0], &inside));
}

#[test]
fn from_begins_with_the_files_of_a_named_context_or_with_the_image_that_it_names() {
    let mut bench = Bench::new();
    let other = tempfile::tempdir().unwrap();
    std::fs::create_dir(other.path().join("etc")).unwrap();
    std::fs::write(other.path().join("etc/f"), "named").unwrap();
    let files = Context::directory(other.path(), &IgnoreChoice::default()).unwrap();
    let named = &mut bench.tools.sources.named;
    named.insert("root".to_owned(), NamedContext::Files(Arc::new(files)));
    bench.write("a", "A");
    // The name comes before a stage that is called so.
    let text = "FROM scratch AS root\nCOPY a /of-stage\nFROM Root\nCOPY a /a\n";
    let report = bench.build(text);
    let image = &report.images[0];
    assert_eq!((bench.read(image, "/etc/f").as_str(), image.layers.len()), ("named", 2));
    assert!(!bench.has(image, "/of-stage"));
    let history: Vec<&str> = image.config.history.iter().map(|e| e.created_by.as_str()).collect();
    assert_eq!(history, ["COPY . / # buildkit", "COPY a /a # buildkit"]);
    assert_eq!(outcomes(&bench.build(text)), ["hit", "hit"]);
    std::fs::write(other.path().join("etc/f"), "changed").unwrap();
    let report = bench.build(text);
    assert_eq!(outcomes(&report), ["miss", "miss"]);
    assert_eq!(bench.read(&report.images[0], "/etc/f"), "changed");
}

#[test]
fn a_base_cannot_be_deleted_while_a_build_needs_it() {
    let Some(mut bench) = Bench::with_shell() else { return };
    let base = bench.store.find(&bench.store.resolve(BASE).unwrap()).unwrap().id.clone();
    let (store, tried) = (bench.store.clone(), Arc::new(Mutex::new(Vec::new())));
    let (id, told) = (base.clone(), Arc::clone(&tried));
    bench.tools.events = Arc::new(move |event| {
        if let BuildEvent::Output { .. } = event {
            told.lock().unwrap().push(store.delete_image(&id).map_err(|error| error.kind()));
        }
    });
    // The second one begins when the first has ended.
    let text =
        format!("FROM {BASE} AS a\nRUN echo\nFROM {BASE}\nCOPY --from=a /bin/sh /x\nRUN echo\n");
    bench.build(&text);
    let tried = std::mem::take(&mut *tried.lock().unwrap());
    assert_eq!(tried.len(), 2);
    assert!(
        tried.iter().all(|tried| tried.as_ref().err() == Some(&cask_storage::ErrorKind::InUse))
    );
    assert!(bench.store.containers().unwrap().is_empty(), "nothing holds it any more");
    bench.store.delete_image(&base).unwrap();
}
