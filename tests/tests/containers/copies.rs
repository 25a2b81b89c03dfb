//! Containers that are made as others were, changed afterwards, and run by what a label says.

use crate::support::Cellar;

#[test]
fn a_container_is_copied_with_what_it_was_made_with() {
    let Some(cellar) = Cellar::new() else { return };
    let made = ["--name", "c", "-e", "A=of c", "-v", "data:/kept", "--pids-limit", "50"];
    let script = "echo $A; ls /kept; touch /kept/$HOSTNAME";
    let words = [&["create", "--network", "none"][..], &made, &["box:1", "sh", "-c", script]];
    cellar.run(&words.concat()).ok();
    cellar.run(&["start", "-a", "c"]).ok();
    let limit = |name: &str| {
        cellar.run(&["inspect", "-f", "{{.HostConfig.PidsLimit}}", name]).ok().text().to_owned()
    };
    let id = cellar.run(&["container", "clone", "c"]).ok();
    assert_eq!(cellar.run(&["inspect", "-f", "{{.ID}}", "c-clone"]).ok().text(), id.text());
    cellar.run(&["container", "clone", "--pids-limit", "60", "c"]).ok();
    assert_eq!([limit("c"), limit("c-clone"), limit("c-clone1")], ["50", "50", "60"]);
    assert!(cellar.run(&["start", "-a", "c-clone"]).ok().text().starts_with("of c\n"));
    // Another name, another image, and at once.
    cellar.run(&["tag", "box:1", "other:2"]).ok();
    let copy = ["container", "clone", "--run", "--destroy", "c", "d", "other:2"];
    cellar.run(&copy).ok();
    cellar.run(&["wait", "d"]).ok();
    assert_eq!(cellar.run(&["logs", "d"]).ok().text().lines().next(), Some("of c"));
    let image = cellar.run(&["inspect", "-f", "{{.ImageName}}", "d"]).ok();
    assert_eq!(image.text(), "localhost/other:2");
    for (words, said) in [
        (&["clone", "-f", "d"][..], "cannot set --force without --destroy"),
        (&["clone", "d", "c-clone"], "is already in use"),
        (&["clone", "--name", "c-clone", "d"], "is already in use"),
        (&["clone", "nope"], "no container with name or ID \"nope\" found"),
        (&["clone", "--pod", "p", "d"], "no pod with name or ID p found"),
        (&["clone", "d", "e", "nope:1", "x"], "accepts between 1 and 3 arg(s), received 4"),
    ] {
        cellar.run(&[&["container"], words].concat()).ends(125).says(said);
    }
    assert_eq!(cellar.states(), "c-clone exited 0, c-clone1 created 0, d exited 0");
}

#[test]
fn when_it_begins_again_and_its_variables_are_changed() {
    let Some(cellar) = Cellar::new() else { return };
    let command = ["-e", "A=1", "-e", "B=2", "box:1", "sh", "-c", "echo $A $B $C; sleep 1000"];
    cellar.container(&[&["-d", "--name", "c"], &command[..]].concat()).ok();
    cellar.run(&["update", "--restart", "on-failure:1", "-e", "A=x", "-e", "C=y", "c"]).ok();
    cellar.run(&["update", "--unsetenv", "B", "c"]).ok();
    let format =
        "{{.HostConfig.RestartPolicy.Name}} {{.HostConfig.RestartPolicy.MaximumRetryCount}}";
    assert_eq!(cellar.run(&["inspect", "-f", format, "c"]).ok().text(), "on-failure 1");
    // It holds for the life that it lives.
    cellar.shell("until $CELLAR logs c | grep -q '1 2'; do sleep 0.05; done").ok();
    cellar.run(&["exec", "c", "kill", "-9", "1"]);
    cellar.run(&["kill", "-s", "KILL", "c"]);
    cellar.run(&["wait", "c"]);
    cellar.run(&["restart", "-t", "0", "c"]).ok();
    cellar.shell("until $CELLAR logs c | grep -q x; do sleep 0.05; done").ok();
    assert_eq!(cellar.run(&["logs", "c"]).ok().text(), "1 2\nx y");
    cellar
        .run(&["update", "--restart", "sometimes", "c"])
        .ends(125)
        .says("not a valid restart policy");
    cellar.container(&["-d", "--rm", "--name", "gone", "box:1", "sleep", "1000"]).ok();
    cellar
        .run(&["update", "--restart", "always", "gone"])
        .ends(125)
        .says("cannot set restart policy");
}

#[test]
fn what_a_label_says_is_run() {
    let Some(cellar) = Cellar::new() else { return };
    let labels = [
        "LABEL run=\"podman run --rm --network none ${OPT1} --name NAME IMAGE echo I=IMAGE N=${NAME}\"",
        "LABEL Shell=\"echo in $PWD\"",
        "LABEL fails=false",
    ];
    let root = cellar.path("image.tar").display().to_string();
    let mut words = vec!["import", "-q"];
    words.extend(labels.iter().flat_map(|label| ["-c", *label]));
    words.extend([root.as_str(), "localhost/team/tool:3"]);
    cellar.run(&words).ok();
    let label = |words: &[&str]| cellar.run(&[&["container", "runlabel"], words].concat());
    let shown = label(&["--display", "RUN", "team/tool:3", "more"]).ok();
    let said = "run --rm --network none --name tool localhost/team/tool:3 echo I=localhost/team/tool:3 N=tool more";
    assert!(shown.text().starts_with("command: ") && shown.text().ends_with(said), "{shown}");
    let named = label(&["--display", "--name", "x", "--opt1", "-t -i", "run", "team/tool:3"]).ok();
    let said = "--network none -t -i --name x localhost/team/tool:3";
    assert!(named.text().contains(said), "{named}");
    assert!(label(&["shell", "team/tool:3", "a"]).ok().text().ends_with(" a"));
    label(&["--quiet", "shell", "team/tool:3", "a"]).ok();
    label(&["fails", "team/tool:3"]).ends(125);
    label(&["no", "team/tool:3"])
        .ends(125)
        .says("cannot find the value of label: no in image: team/tool:3");
}

#[test]
fn a_shell_is_told_what_may_stand_where() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.container(&["-d", "--name", "runs", "box:1", "sleep", "1000"]).ok();
    cellar.run(&["create", "--network", "none", "--name", "waits", "box:1", "true"]).ok();
    cellar.run(&["volume", "create", "kept"]).ok();
    let line = cellar.command(&[]);
    let flags: Vec<String> =
        line.get_args().map(|word| word.to_string_lossy().into_owned()).collect();
    let asked = |words: &[&str]| {
        let mut all = vec!["__completeNoDesc"];
        all.extend(flags.iter().map(String::as_str));
        all.extend(words);
        let mut program = tests::command(tests::cellar_built());
        let answer = tests::run(program.args(all)).ok();
        answer.text().replace('\n', " ")
    };
    assert_eq!(asked(&["exec", ""]), "runs :4");
    assert_eq!(asked(&["start", ""]), "waits :4");
    assert_eq!(asked(&["rm", "w"]), "waits :4");
    assert_eq!(asked(&["run", ""]), "localhost/box:1 :4");
    assert_eq!(asked(&["run", "bo"]), "box:1 :4");
    assert_eq!(asked(&["volume", "rm", ""]), "kept :4");
    assert_eq!(asked(&["cp", "ru"]), "runs: :2");
    assert_eq!(asked(&["run", "--network", "no"]), "none :4");
    assert_eq!(asked(&["build", ""]), ":0");
    assert_eq!(asked(&["images", "--filter", "dang"]), "dangling= :6");
    assert_eq!(asked(&["images", "--filter", "before=bo"]), "before=box:1 :4");
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = cellar.run(&["completion", shell]).ok();
        assert!(script.text().contains("cellar"), "{script}");
        if shell == "bash" {
            tests::run(tests::command("bash").args(["-n", "-c", script.text()])).ok();
        }
    }
}
