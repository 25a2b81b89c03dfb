//! What is done to several containers at once, and what is beside containers: volumes, secrets, and what others did.

use std::fs;

use tests::has;

use crate::support::Cellar;

fn create(cellar: &Cellar, options: &[&str]) -> String {
    let all = [&["create", "--network", "none"], options, &["box:1", "sleep", "1000"]].concat();
    cellar.run(&all).ok().text().to_owned()
}

#[test]
fn what_podman_removed_is_gone_here_too() {
    let Some(cellar) = Cellar::new() else { return };
    if !has(&["podman"]) {
        return;
    }
    for name in ["listed", "named"] {
        create(&cellar, &["--name", name]);
    }
    let id = create(&cellar, &["--name", "by-id", "-v", "data:/inside"]);
    cellar.container(&["-d", "--name", "up", "box:1", "sleep", "1000"]).ok();
    cellar.podman(&["rm", "named", &id]).ok();
    cellar.podman(&["rm", "-f", "up"]).ok();
    cellar.run(&["start", "named"]).ends(125).says("no container with name or ID \"named\"");
    assert_eq!(
        cellar.run(&["rm", "named", &id[..12]]).ok().text(),
        format!("named\n{}", &id[..12])
    );
    cellar.run(&["rm", "named"]).ends(1).says("no container with name or ID \"named\"");
    cellar.podman(&["rm", "listed"]).ok();
    // What runs is told of as long as it runs, and its name may be given again.
    assert_eq!(cellar.states(), "up running 0");
    assert_eq!(cellar.run(&["exec", "up", "echo", "yes"]).ok().text(), "yes");
    create(&cellar, &["--name", "up", "--replace"]);
    assert_eq!(cellar.states(), "up created 0");
    cellar.run(&["rm", "up"]).ok();
    assert_eq!(cellar.run(&["volume", "ls", "-q"]).ok().text(), "data");
    cellar.is_clean();
}

#[test]
fn what_another_program_made_is_mounted_compared_and_removed() {
    let Some(cellar) = Cellar::new() else { return };
    if !has(&["podman"]) {
        return;
    }
    let made = cellar.podman(&["create", "--name", "p", "box:1", "true"]).ok();
    let id = made.text().to_owned();
    let short = &id[..12];
    let root = cellar.run(&["mount", "p"]).ok().text().to_owned();
    fs::write(format!("{root}/made"), "").expect("it is mounted");
    assert_eq!(cellar.run(&["mount"]).ok().text(), format!("{short}  {root}"));
    assert_eq!(cellar.run(&["mount", "--notruncate"]).ok().text(), format!("{id}  {root}"));
    assert_eq!(cellar.run(&["diff", "p"]).ok().text(), "A /made");
    assert_eq!(cellar.run(&["container", "diff", short]).ok().text(), "A /made");
    cellar.run(&["rm", short]).ends(2).says("is mounted and cannot be removed without using force");
    cellar.run(&["unmount", short]).ok();
    assert_eq!(cellar.run(&["mount"]).ok().text(), "");
    cellar.run(&["mount", "p"]).ok();
    assert_eq!(cellar.run(&["rm", "-f", short, "nope"]).ok().text(), short);
    assert_eq!(cellar.run(&["ps", "-a", "--external", "--noheading"]).ok().text(), "");
    cellar.run(&["rm", "p"]).ends(1).says("no container with name or ID \"p\" found");
    cellar.run(&["mount", "p"]).ends(125).says("no such container");
}

#[test]
fn policies_of_restarts_are_filtered_by() {
    let Some(cellar) = Cellar::new() else { return };
    for (name, flags) in
        [("none", &[][..]), ("no", &["--restart", "no"]), ("on", &["--restart", "always"])]
    {
        let own = ["create", "--network", "none", "--name", name];
        cellar.run(&[&own[..], flags, &["box:1", "true"]].concat()).ok();
    }
    for (policy, names) in
        [("none", "none"), ("no", "no"), ("always", "on"), ("unless-stopped", "")]
    {
        let filter = format!("restart-policy={policy}");
        let words = ["ps", "-a", "--filter", &filter, "--format", "{{.Names}}"];
        assert_eq!(cellar.run(&words).ok().text(), names, "{policy}");
    }
    cellar
        .run(&["start", "--filter", "restart-policy=nope", "no"])
        .ends(125)
        .says("nope invalid restart policy");
}

#[test]
fn several_are_chosen_by_filters_files_and_which_was_last() {
    let Some(cellar) = Cellar::new() else { return };
    let (a, b) = (create(&cellar, &["-l", "x=1"]), create(&cellar, &["-l", "x=1"]));
    let c = create(&cellar, &["--name", "c"]);
    let file = cellar.path("cid").display().to_string();
    fs::write(&file, format!("{b}\nmore\n")).expect("it is new");
    let both = format!("{a}\n{b}");
    let says = |words: &[&str], expected: &str| {
        assert_eq!(cellar.run(words).ok().text(), expected, "{words:?}");
    };
    says(&["start", "-f", "label=x=1"], &both);
    says(&["pause", "-f", "label=x=1", "-f", "status=running"], &both);
    says(&["unpause", "-f", "status=paused"], &both);
    says(&["restart", "-t", "0", "-f", &format!("id={a}")], &a);
    says(&["kill", "--cidfile", &file], &b);
    says(&["wait", &b], "137");
    says(&["stop", "--timeout", "0", "-f", "status=running"], &a);
    says(&["stop", "-i", "--cidfile", "/no/file"], "");
    says(&["stop", "-i", "nope", "c"], "c");
    says(&["start", "-l"], &c);
    says(&["rm", "-f", "-t", "0", "-l"], &c);
    says(&["rm", "--filter", "label=x=1"], &both);
    for (words, said) in [
        (&["stop", "-f", "status=running", "c"][..], "--filter takes no arguments"),
        (&["stop", "-f", "x"], "invalid filter \"x\""),
        (&["pause", "-f", "x=y"], "x is an invalid filter"),
        (&["rm", "-t", "0", "c"], "--force option must be specified to use the --time option"),
        (&["rm", "-a", "--cidfile", &file], "--all, --latest, and --cidfile cannot be used"),
        (&["rm", "--cidfile", &file, "c"], "no arguments are needed with --latest or --cidfile"),
        (&["kill", "-l"], "no such container"),
        (&["kill", "--cidfile", "/no/file"], "reading CIDFile: open /no/file: no such file"),
        (&["start", "-l", "c"], "--latest and containers cannot be used together"),
        (&["restart"], "you must provide at least one name or id"),
    ] {
        cellar.run(words).ends(125).says(said);
    }
    cellar.is_clean();
}

#[test]
fn volumes_have_owners_and_are_mounted_where_they_are() {
    let Some(cellar) = Cellar::new() else { return };
    let says = |words: &[&str], expected: &str| {
        assert_eq!(cellar.run(words).ok().text(), expected, "{words:?}");
    };
    cellar.run(&["volume", "create", "--uid", "1000", "--gid", "77", "of-alice"]).ok();
    cellar.run(&["volume", "create", "-l", "a=b", "data"]).ok();
    let at =
        |name: &str| cellar.path("root/volumes").join(name).join("_data").display().to_string();
    says(&["volume", "mount", "of-alice", "data"], &format!("{}\n{}", at("of-alice"), at("data")));
    says(&["volume", "unmount", "data"], "data");
    says(&["volume", "reload"], "");
    // What an image has at the place comes into it, and it stays whose it is.
    let script = "ls /data; echo x >/data/mine";
    let run = ["--rm", "-u", "alice", "-v", "of-alice:/data", "box:1", "sh", "-c", script];
    assert_eq!(cellar.container(&run).ok().text(), "of-image");
    says(&["volume", "inspect", "--format", "{{.UID}}:{{.GID}}", "of-alice"], "1000:77");
    let shown = cellar.run(&["volume", "inspect", "data"]).ok().json();
    assert_eq!(
        (&shown[0]["UID"], &shown[0]["Labels"]["a"]),
        (&serde_json::Value::Null, &"b".into())
    );
    says(&["volume", "prune", "--dry-run"], "Volumes that would be pruned:\ndata\nof-alice");
    for (words, said) in [
        (&["volume", "create", "-d", "nfs", "v"][..], "no volume plugin with name nfs available"),
        (&["volume", "create", "-d", "image", "v"], "must provide an image name"),
        (&["volume", "mount", "nope"], "no volume with name \"nope\" found: no such volume"),
        (&["volume", "prune", "-f", "--dry-run"], "cannot be used together"),
        (&["volume", "rm", "-t", "1", "data"], "--force option must be specified"),
        (
            &["network", "update", "--dns-add", "1.1.1.1", "podman"],
            "DNS is not enabled for network",
        ),
        (&["network", "create", "--route", "x"], "invalid route: x"),
        (&["network", "create", "host"], "it conflicts with a valid network mode"),
        (&["network", "create", "--interface-name", "podman0"], "podman0 already in use"),
    ] {
        let refused = cellar.run(words);
        assert_ne!(refused.code, 0, "{refused}");
        refused.says(said);
    }
    says(&["volume", "prune", "-f", "-a"], "data\nof-alice");
}

#[test]
fn secrets_are_shown_replaced_and_forgotten_as_podman_does() {
    let Some(cellar) = Cellar::new() else { return };
    let file = cellar.path("secret").display().to_string();
    fs::write(&file, "word").expect("it is new");
    let secret = |words: &[&str]| cellar.run(&[&["secret"], words].concat());
    let first = secret(&["create", "-l", "a=b", "one", &file]).ok().text().to_owned();
    assert_eq!(secret(&["create", "--ignore", "one", &file]).ok().text(), first);
    let second = secret(&["create", "--replace", "-l", "a=b", "-l", "c", "one", &file]).ok();
    assert_ne!(second.text(), first);
    assert_eq!(secret(&["ls", "-q", "-n"]).ok().text(), second.text());
    for (filters, shown) in [
        (&["-f", "name=^o.e$", "-f", "id=."][..], second.text()),
        (&["-f", "name=two", "-f", "name=on"], second.text()),
        (&["-f", "name=o", "-f", "id=^z"], ""),
    ] {
        let listed = secret(&[&["ls", "-q"], filters].concat()).ok();
        assert_eq!(listed.text(), shown, "{filters:?}");
    }
    secret(&["ls", "-f", "name=("]).ends(125);
    let pretty = secret(&["inspect", "--pretty", "one"]).ok();
    let expected = format!(
        "ID:              {}\nName:              one\nLabels:\n - a=b\n - c\nDriver:            file\nCreated at:        20",
        second.text()
    );
    assert!(pretty.text().starts_with(&expected), "{pretty}");
    assert!(pretty.text().ends_with("+0000 UTC"), "{pretty}");
    let shown = secret(&["inspect", "one"]).ok().json();
    assert_eq!(shown[0]["SecretData"], serde_json::Value::Null);
    let shown = secret(&["inspect", "--showsecret", "one"]).ok().json();
    assert_eq!(shown[0]["SecretData"], "word");
    secret(&["exists", "one"]).ok();
    secret(&["exists", "two"]).ends(1);
    assert_eq!(secret(&["rm", "-i", "two", "one"]).ok().text(), second.text());
}
