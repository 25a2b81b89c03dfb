//! Devices that vendors describe: the Container Device Interface.

use tests::has;

use super::support::Cellar;

/// Describes two devices, of which the variable tells.
fn describe(cellar: &Cellar, value: &str) -> String {
    let directory = cellar.path("cdi");
    std::fs::create_dir_all(&directory).expect("a scratch directory is writable");
    let told = cellar.path("told");
    let text = format!(
        "cdiVersion: 0.6.0
kind: nvidia.com/gpu
containerEdits:
  env: [ALL={value}]
  hooks:
  - {{hookName: createRuntime, path: /bin/sh, args: [sh, -c, 'echo hook > {told}']}}
  mounts:
  - {{hostPath: {directory}, containerPath: /lib/gpu, options: [ro, rbind]}}
devices:
- name: \"0\"
  containerEdits:
    deviceNodes:
    - {{path: /dev/gpu0, hostPath: /dev/null, fileMode: 0640, gid: 7}}
- name: all
  containerEdits:
    deviceNodes:
    - {{path: /dev/gpus, hostPath: /dev/zero}}
",
        told = told.display(),
        directory = directory.display(),
    );
    std::fs::write(directory.join("gpu.yaml"), text).expect("it is writable");
    directory.display().to_string()
}

#[test]
fn a_described_device_brings_nodes_variables_mounts_and_hooks() {
    let Some(cellar) = Cellar::new() else { return };
    let directory = describe(&cellar, "1");
    let runc = ["--runtime", "runc"];
    let runtimes: &[&[&str]] = if has(&["runc"]) { &[&[], &runc] } else { &[&[]] };
    for runtime in runtimes {
        let asked = ["--cdi-spec-dir", &directory, "run", "--rm", "--network", "none"];
        let devices = ["--device", "nvidia.com/gpu=0", "--gpus", "all"];
        let limit = ["--ulimit", "nofile=64:64", "box:1", "sh", "-c"];
        let script = "echo $ALL; stat -c '%a %g' /dev/gpu0; head -c 3 /dev/gpus | wc -c; \
            ls /lib/gpu; : > /dev/gpu0 && touch /lib/gpu/x";
        let line = [*runtime, &asked, &devices, &limit, &[script]].concat();
        let shown = cellar.run(&line);
        assert_eq!(shown.text(), "1\n640 7\n3\ngpu.yaml", "{runtime:?}: {shown}");
        assert!(shown.stderr.contains("Read-only file system"), "{runtime:?}: {shown}");
        std::fs::remove_file(cellar.path("told")).expect("the hook wrote it");
    }
    cellar.is_clean();
}

#[test]
fn a_device_is_what_its_file_says_when_the_container_starts() {
    let Some(cellar) = Cellar::new() else { return };
    let directory = describe(&cellar, "1");
    let cdi = ["--cdi-spec-dir", &directory];
    let line = [&cdi[..], &["create", "--name", "c", "--network", "none", "--gpus", "0"]].concat();
    cellar.run(&[&line[..], &["box:1", "sh", "-c", "echo $ALL"]].concat()).ok();
    let start = [&cdi[..], &["start", "-a", "c"]].concat();
    assert_eq!(cellar.run(&start).ok().text(), "1");
    describe(&cellar, "2");
    assert_eq!(cellar.run(&start).ok().text(), "2");
    let format = ["inspect", "c", "--format", "{{json .HostConfig.Devices}}"];
    let shown = cellar.run(&[&cdi[..], &format].concat()).ok();
    assert!(shown.text().contains("\"PathInContainer\":\"/dev/gpu0\""), "{shown}");
    // Nobody describes it here.
    let refused = cellar.run(&["start", "c"]).ends(125);
    refused.says("unresolvable CDI devices nvidia.com/gpu=0");
    cellar.run(&["rm", "c"]).ok();
    let line = ["run", "--rm", "--network", "none", "--device", "v.com/c=d", "box:1", "true"];
    cellar.run(&line).ends(126);
    // A file that is not as it should be is warned of where it may be meant.
    std::fs::write(cellar.path("cdi/bad.json"), r#"{"kind":"nvidia.com/gpu"}"#).expect("writable");
    let line = [&cdi[..], &["run", "--rm", "--network", "none", "--gpus", "0"]].concat();
    let warned = cellar.run(&[&line[..], &["box:1", "true"]].concat()).ok();
    warned.says("bad.json is no CDI specification");
    cellar.is_clean();
}
