//! Hooks: programs of the machine at the turns of a container's life.

use std::path::{Path, PathBuf};

use tests::has;

use super::support::Cellar;

/// Writes a file of a hook: what it is called with, and the rest of its object.
fn write(directory: &Path, name: &str, stage: &str, script: &str, more: &str) {
    std::fs::create_dir_all(directory).expect("a scratch directory is writable");
    let hook = serde_json::json!({
        "version": "1.0.0",
        "hook": { "path": "/bin/sh", "args": ["sh", "-c", script], "env": ["PATH=/usr/bin:/bin"] },
        "when": serde_json::from_str::<serde_json::Value>(more).expect("it is JSON"),
        "stages": [stage],
    });
    std::fs::write(directory.join(name), hook.to_string()).expect("it is writable");
}

/// A directory of hooks, one for each stage, which write their stage and what they are told of into a file.
fn hooks(cellar: &Cellar) -> (String, PathBuf) {
    let (directory, told) = (cellar.path("hooks"), cellar.path("told"));
    for stage in ["prestart", "createRuntime", "createContainer", "poststart", "poststop"] {
        let words = "tr -d '\\n' | sed 's/.*\"status\": *\"\\([a-z]*\\)\".*/\\1/'";
        let script = format!("echo {stage} $({words}) >> {}", told.display());
        write(&directory, &format!("{stage}.json"), stage, &script, r#"{"always":true}"#);
    }
    let inside = "/bin/cat > /tmp/inside";
    write(&directory, "start.json", "startContainer", inside, r#"{"commands":["sh$"]}"#);
    (directory.display().to_string(), told)
}

#[test]
fn hooks_of_all_stages_run_in_their_order() {
    let Some(cellar) = Cellar::new() else { return };
    let (directory, told) = hooks(&cellar);
    let runc = ["--runtime", "runc"];
    let runtimes: &[&[&str]] = if has(&["runc"]) { &[&[], &runc] } else { &[&[]] };
    for runtime in runtimes {
        let named = ["--hooks-dir", &directory, "run", "--rm", "--network", "none"];
        let limit = ["--ulimit", "nofile=64:64", "--annotation", "kind=test", "box:1"];
        let line = [*runtime, &named, &limit, &["sh", "-c", "cat /tmp/inside"]].concat();
        let shown = cellar.run(&line).ok();
        assert!(shown.text().contains("\"kind\":\"test\""), "{runtime:?}: {shown}");
        let text = std::fs::read_to_string(&told).expect("hooks wrote it");
        let stages: Vec<&str> = text.lines().filter_map(|line| line.split(' ').next()).collect();
        let wanted = ["prestart", "createRuntime", "createContainer", "poststart", "poststop"];
        assert_eq!(stages, wanted, "{runtime:?}");
        assert!(text.starts_with("prestart creating\n"), "{runtime:?}: {text}");
        assert!(text.ends_with("poststop stopped\n"), "{runtime:?}: {text}");
        std::fs::remove_file(&told).expect("it is there");
    }
    // Nothing asks for hooks here.
    cellar.container(&["--rm", "box:1", "true"]).ok();
    assert!(!told.exists());
    cellar.is_clean();
}

#[test]
fn a_hook_finds_the_root_by_the_bundle_in_the_namespace_of_the_process() {
    let Some(cellar) = Cellar::new() else { return };
    if !has(&["nsenter", "jq"]) {
        return;
    }
    let directory = cellar.path("hooks");
    // As the hook of NVIDIA's does: what it makes there is in the container.
    let script = "S=$(cat); P=$(echo \"$S\" | jq .pid); B=$(echo \"$S\" | jq -r .bundle); \
        R=$(jq -r .root.path $B/config.json); nsenter -m -t $P touch $R/tmp/made";
    write(&directory, "a.json", "prestart", script, r#"{"annotations":{"^card$":"^yes$"}}"#);
    let named = directory.display().to_string();
    let with = |annotation: &str| {
        let line = ["--hooks-dir", &named, "run", "--rm", "--network", "none", "--annotation"];
        cellar.run(&[&line[..], &[annotation, "box:1", "test", "-e", "/tmp/made"]].concat())
    };
    with("card=yes").ok();
    with("card=no").ends(1);
    // Nor is the directory for it left behind, or in the image.
    cellar.is_clean();
}

#[test]
fn a_hook_that_fails_or_is_none_keeps_the_container_from_its_beginning() {
    let Some(cellar) = Cellar::new() else { return };
    let directory = cellar.path("hooks");
    let named = directory.display().to_string();
    let line = ["--hooks-dir", &named, "run", "--rm", "--network", "none", "box:1", "echo", "hi"];
    for stage in ["prestart", "createRuntime", "createContainer", "startContainer"] {
        write(&directory, "a.json", stage, "echo no card >&2; exit 3", r#"{"always":true}"#);
        let shown = cellar.run(&line).ends(126).says("no card");
        assert!(shown.text().is_empty(), "{stage}: {shown}");
    }
    let hanging = r#"{"hook":{"path":"/bin/sh","args":["sh","-c","sleep 1000"],"env":["PATH=/bin:/usr/bin"],"timeout":1},"version":"1.0.0","when":{"always":true},"stages":["prestart"]}"#;
    std::fs::write(directory.join("a.json"), hanging).expect("it is writable");
    cellar.run(&line).ends(126).says("timeout of 1s");
    std::fs::write(directory.join("a.json"), "{").expect("it is writable");
    cellar.run(&line).ends(126).says("a.json");
    // A hook at the end cannot undo what was done.
    write(&directory, "a.json", "poststop", "exit 3", r#"{"always":true}"#);
    assert_eq!(cellar.run(&line).ok().text(), "hi");
    // What a hook before everything makes of the configuration only runtimes heed.
    write(&directory, "a.json", "precreate", "sed s/hi/ho/", r#"{"always":true}"#);
    cellar.run(&line).ends(126).says("precreate");
    write(&directory, "a.json", "precreate", "cat", r#"{"always":true}"#);
    assert_eq!(cellar.run(&line).ok().text(), "hi");
    if has(&["runc"]) {
        write(&directory, "a.json", "precreate", "sed s/hi/ho/", r#"{"always":true}"#);
        let limit = ["--ulimit", "nofile=64:64"];
        let line = [&["--runtime", "runc"], &line[..6], &limit, &line[6..]].concat();
        assert_eq!(cellar.run(&line).ok().text(), "ho");
    }
    cellar.is_clean();
}
