//! What podman has had since version 4.3, and what belongs to every command.

use std::fs;

use tests::run;

use crate::support::Cellar;

#[test]
fn hosts_begin_with_what_is_asked_for_and_names_are_left_to_the_image() {
    let Some(cellar) = Cellar::new() else { return };
    let image =
        "mkdir -p /x/etc; echo '9.9.9.1 of.image' >/etc/hosts; echo of-image >/etc/hostname";
    cellar
        .container(&["--no-hosts", "--no-hostname", "--name", "c", "box:1", "sh", "-c", image])
        .ok();
    cellar.run(&["commit", "-q", "c", "localhost/named:1"]).ok();
    let file = cellar.path("hosts");
    fs::write(&file, "9.9.9.2 of.file").expect("it is new");
    let file = file.display().to_string();
    let hosts = |flags: &[&str]| {
        let words = [&["--rm"][..], flags, &["named:1", "cat", "/etc/hosts"]].concat();
        cellar.container(&words).ok().text().to_owned()
    };
    for (base, first) in [
        ("image", "9.9.9.1 of.image"),
        (&file, "9.9.9.2 of.file"),
        ("none", "127.0.0.1\tlocalhost"),
    ] {
        let said = hosts(&["--hosts-file", base]);
        assert_eq!(said.lines().next(), Some(first), "{said}");
        assert!(said.contains("localhost"), "{said}");
    }
    assert_eq!(hosts(&["--no-hosts"]), "9.9.9.1 of.image");
    let conf = cellar.path("containers.conf");
    fs::write(&conf, "[containers]\nbase_hosts_file = \"image\"\n").expect("it is new");
    let words = ["run", "--rm", "--network", "none", "named:1", "cat", "/etc/hosts"];
    let said = run(cellar.command(&words).env("CONTAINERS_CONF", &conf)).ok();
    assert_eq!(said.text().lines().next(), Some("9.9.9.1 of.image"));
    for (flags, words) in [
        (&["--hosts-file", "hosts"][..], "it is an absolute path, \"none\" or \"image\""),
        (&["--no-hosts", "--hosts-file", "none"], "--no-hosts and --hosts-file cannot be set"),
    ] {
        cellar.container(&[flags, &["box:1", "true"]].concat()).ends(125).says(words);
    }
    let absent = ["--hosts-file", "/no/file", "box:1", "true"];
    cellar.container(&absent).ends(126).says("hosts file /no/file: it cannot be read");
    let name = |flags: &[&str]| {
        let words =
            [&["--rm", "-h", "asked"][..], flags, &["named:1", "cat", "/etc/hostname"]].concat();
        cellar.container(&words).ok().text().to_owned()
    };
    assert_eq!((name(&[]), name(&["--no-hostname"])), ("asked".to_owned(), "of-image".to_owned()));
}

#[test]
fn modules_are_read_as_containers_conf_is() {
    let Some(cellar) = Cellar::new() else { return };
    let [one, other] = ["one", "other"].map(|name| {
        let path = cellar.path(name);
        let text = format!("[containers]\nenv = [\"{name}=here\"]\n");
        fs::write(&path, text).expect("it is new");
        path.display().to_string()
    });
    let seen = |modules: &[&str]| {
        let flags = modules.iter().flat_map(|module| ["--module", module]);
        let line = ["run", "--rm", "--network", "none", "box:1", "sh", "-c", "echo $one $other"];
        let words: Vec<&str> = flags.chain(line).collect();
        cellar.run(&words)
    };
    assert_eq!(seen(&[&one]).ok().text(), "here");
    assert_eq!(seen(&[&other]).ok().text(), "here");
    assert_eq!(seen(&[]).ok().text(), "");
    let missing = seen(&[&one, "nosuch.conf"]).ends(125);
    missing.says("no such module; looked for").says("containers.conf.modules/nosuch.conf");
}

#[test]
fn files_of_variables_may_have_commas_in_their_names() {
    let Some(cellar) = Cellar::new() else { return };
    let write = |name: &str, text: &str| {
        let path = cellar.path(name);
        fs::write(&path, text).expect("it is new");
        path.display().to_string()
    };
    let (one, two) = (write("one", "A=1\n"), write("two,more", "B=2\nL=x\n"));
    let said = |file: &str| {
        let words = ["--rm", "--env-file", file, "box:1", "sh", "-c", "echo $A $B"];
        cellar.container(&words).ok().text().to_owned()
    };
    assert_eq!(said(&two), "2");
    assert_eq!(said(&format!("{one},{one}")), "1");
    cellar.container(&["--name", "c", "--label-file", &two, "box:1", "true"]).ok();
    let labels = cellar.run(&["inspect", "--format", "{{.Config.Labels.L}}", "c"]).ok();
    assert_eq!(labels.text(), "x");
}

#[test]
fn commands_join_what_a_file_names_and_what_is_to_come() {
    let Some(cellar) = Cellar::new() else { return };
    let file = cellar.path("cid").display().to_string();
    let script = format!(
        "(until test -s {file}; do :; done; $CELLAR start c >/dev/null) & \
         $CELLAR create --network none --name c --cidfile {file} box:1 sleep 1000 >/dev/null; \
         $CELLAR exec --wait 60 c echo waited; wait; \
         $CELLAR exec --cidfile {file} --no-session echo named"
    );
    assert_eq!(cellar.shell(&script).ok().text(), "waited\nnamed");
    for (words, said) in [
        (&["exec", "--wait", "0", "nope", "true"][..], "timed out waiting for container: nope"),
        (&["exec", "--cidfile", "/no/file", "true"], "reading CIDFile: open /no/file"),
        (&["exec", "--cidfile", &file, "-l", "true"], "cannot be used together"),
        (&["exec", "--no-session", "-d", "c", "true"], "--no-session cannot be used with --detach"),
    ] {
        cellar.run(words).ends(125).says(said);
    }
}

#[test]
fn a_log_that_is_followed_ends_at_the_moment_that_was_asked_for() {
    let Some(cellar) = Cellar::new() else { return };
    let script = "echo said; while :; do sleep 1; done";
    cellar.container(&["-d", "--name", "c", "box:1", "sh", "-c", script]).ok();
    assert_eq!(cellar.run(&["logs", "-f", "--until", "1s", "c"]).ok().text(), "said");
    assert_eq!(cellar.states(), "c running 0");
}

#[test]
fn containers_conf_has_what_later_ones_have() {
    let Some(cellar) = Cellar::new() else { return };
    let conf = cellar.path("containers.conf");
    let bind = |source: &str| format!("type=bind,source={source},target=/mounted,ro");
    let text = format!(
        "[containers]\nread_only = true\noom_score_adj = 321\nmounts = [{:?}]\n",
        bind("/etc/passwd")
    );
    fs::write(&conf, text).expect("it is new");
    let said = |flags: &[&str], script: &str| {
        let own = ["run", "--rm", "--network", "none"];
        let words = [&own[..], flags, &["box:1", "sh", "-c", script]].concat();
        run(cellar.command(&words).env("CONTAINERS_CONF", &conf))
    };
    said(&[], "touch /made").ends(1).says("Read-only file system");
    said(&["--read-only=false"], "touch /made").ok();
    let all = "cat /proc/self/oom_score_adj; head -n 1 /mounted";
    let first = fs::read_to_string("/etc/passwd").expect("it is there");
    let first = first.lines().next().unwrap_or_default();
    assert_eq!(said(&[], all).ok().text(), format!("321\n{first}"));
    let other = bind("/etc/group");
    let second = fs::read_to_string("/etc/group").expect("it is there");
    let second = second.lines().next().unwrap_or_default();
    let flags = ["--oom-score-adj", "322", "--mount", &other];
    assert_eq!(said(&flags, all).ok().text(), format!("322\n{second}"));
    fs::write(&conf, "[containers]\nmounts = [\"type=nope,target=/x\"]\n").expect("it is there");
    said(&[], "true").ends(125).says("parsing containers.conf mounts").says("\"nope\"");
}

#[test]
fn output_goes_where_every_command_is_told_to() {
    let Some(cellar) = Cellar::new() else { return };
    let file = cellar.path("out");
    let name = file.display().to_string();
    assert_eq!(
        cellar.run(&["--out", &name, "create", "--name", "c", "box:1", "true"]).ok().text(),
        ""
    );
    let id = cellar.run(&["inspect", "--format", "{{.Id}}", "c"]).ok();
    assert_eq!(fs::read_to_string(&file).expect("it is there").trim(), id.text());
    assert_eq!(cellar.run(&["--noout", "rm", "c"]).ok().text(), "");
    assert_eq!(cellar.run(&["--noout", "run", "--network", "none", "box:1", "id"]).ok().text(), "");
    let here = cellar.path("").display().to_string();
    cellar.run(&["--out", &here, "ps"]).ends(1).says("unable to open file for standard output");
    let level = "Log Level \"nope\" is not supported, choose from: trace, debug";
    cellar.run(&["--log-level", "nope", "ps"]).ends(1).says(level);
    let both = ["--debug", "--log-level", "panic", "ps"];
    cellar.run(&both).ends(1).says("Setting --log-level and --debug is not allowed");
    cellar.run(&["-D", "ps"]).ok();
    cellar.run(&["--config", &name, "ps"]).ends(1).says("is not a directory");
}

#[test]
fn a_name_may_begin_as_docker_shows_it_and_a_file_of_credentials_must_be_there() {
    let Some(cellar) = Cellar::new() else { return };
    let mount = ["--mount", "type=image,src=box:1,dst=/i,subpath=/data"];
    let make = ["create", "--network", "none", "--name", "/c"];
    cellar.run(&[&make[..], &mount, &["box:1", "cat", "/i/of-image"]].concat()).ok();
    assert_eq!(cellar.states(), "c created 0");
    assert_eq!(cellar.run(&["start", "-a", "c"]).ok().text(), "data");
    let shown = cellar.run(&["inspect", "--format", "{{(index .Mounts 0).SubPath}}", "c"]).ok();
    assert_eq!(shown.text(), "/data");
    cellar.run(&["rm", "c"]).ok();
    for verb in ["create", "run"] {
        let words = [verb, "--network=none", "--authfile", "/nope", "box:1", "true"];
        cellar.run(&words).ends(125).says("checking authfile: stat /nope: no such file");
    }
    cellar.is_clean();
}

#[test]
fn moments_are_read_as_the_clock_of_a_shell_prints_them() {
    let Some(cellar) = Cellar::new() else { return };
    cellar.container(&["--name", "c", "box:1", "echo", "here"]).ok();
    for (moment, expected) in [
        ("2020-01-01T00:00:00,000000001+01:00", "here"),
        ("1577836800.5", "here"),
        ("1h", "here"),
        ("-1h", ""),
        ("2999-01-01T00:00:00,5Z", ""),
    ] {
        let said = cellar.run(&["logs", "--since", moment, "c"]).ok();
        assert_eq!(said.text(), expected, "{moment}");
        let words = ["events", "--stream=false", "--filter", "event=died", "--since", moment];
        assert_eq!(cellar.run(&words).ok().text().is_empty(), expected.is_empty(), "{moment}");
    }
    // Without a zone, that of who asks counts: in one there is noon when it is midnight in the other.
    let log = cellar.run(&["logs", "-t", "c"]).ok();
    let said = log.text().split('.').next().unwrap_or_default().to_owned();
    for (zone, expected) in [("UTC0", "here"), ("EAST-12", "here"), ("WEST12", "")] {
        let mut logs = cellar.command(&["logs", "--since", &said, "c"]);
        assert_eq!(run(logs.env("TZ", zone)).ok().text(), expected, "{zone}");
    }
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn engines_have_variables_and_archives_have_images_where_containers_conf_says_so() {
    let Some(cellar) = Cellar::new() else { return };
    let conf = cellar.path("containers.conf");
    let said = "[engine]\nenv = [\"OF_CONF=a=b\", \"GIVEN=conf\"]\nmulti_image_archive = true\n";
    fs::write(&conf, said).unwrap();
    let with = |words: &[&str]| {
        run(cellar.command(words).env("CONTAINERS_CONF", &conf).env("GIVEN", "own"))
    };
    let script = "echo $OF_CONF $GIVEN";
    let words = ["run", "--rm", "--network=none", "-e", "OF_CONF", "-e", "GIVEN", "box:1"];
    assert_eq!(with(&[&words[..], &["sh", "-c", script]].concat()).ok().text(), "a=b own");
    let made = with(&["create", "box:1", "true"]).ok();
    with(&["commit", "-q", made.text(), "other:1"]).ok();
    let archive = cellar.path("two.tar").display().to_string();
    with(&["save", "-q", "-o", &archive, "box:1", "other:1"]).ok();
    cellar.run(&["rmi", "-f", "box:1", "other:1"]).ok();
    let loaded = cellar.run(&["load", "-i", &archive]).ok();
    assert!(loaded.text().contains("box:1") && loaded.text().contains("other:1"), "{loaded}");
    fs::write(&conf, "[engine]\nenv = [\"nothing\"]\n").unwrap();
    let words =
        "invalid environment variable for engine nothing, valid configuration is KEY=value pair";
    with(&["ps"]).ends(125).says(words);
    let mut cooper = tests::command(tests::cooper_built());
    run(cooper.arg("containers").env("CONTAINERS_CONF", &conf)).ends(125).says(words);
}
