//! The same scripts, run with buildah and with cooper, each on a store of its own.

use std::process::Command;

use tests::{PeerStore, again, command, has, run, scratch};

use crate::{TOOLS, program, store_with_base};

/// Replaces what is random: IDs, whole or cut, the directories of the store, and dates.
fn normalized(text: &str, store: &PeerStore) -> String {
    let text = text.replace(&store.root().display().to_string(), "ROOT");
    let mut out = String::new();
    let mut word = String::new();
    for c in text.chars().chain(['\n']) {
        if c.is_ascii_hexdigit() {
            word.push(c);
            continue;
        }
        match word.len() {
            12 | 64 => out.push_str("ID"),
            _ => out.push_str(&word),
        }
        word.clear();
        out.push(c);
    }
    out
}

/// Runs a script in which `$buildah` is the program with its options.
fn ran(script: &str, program: &str) -> (String, String, i32) {
    let (store, files) = (store_with_base(), scratch());
    std::fs::create_dir_all(files.join("src/sub")).expect("a scratch directory is writable");
    for name in ["a", "sub/b"] {
        std::fs::write(files.join("src").join(name), name).expect("a directory is writable");
    }
    let mut options = Command::new(program);
    store.at_store(&mut options);
    let words = std::iter::once(options.get_program()).chain(options.get_args());
    let words: Vec<_> = words.map(|word| word.to_str().expect("they are text")).collect();
    let mut shell = command("sh");
    shell.args(["-c", &format!("buildah=\"{}\"\n{script}", words.join(" "))]);
    shell.current_dir(&*files).env("BUILDAH_ISOLATION", "chroot");
    let outcome = run(&mut shell);
    let stderr = normalized(&outcome.stderr, &store);
    (normalized(outcome.text(), &store), stderr, outcome.code)
}

/// Both say the same on standard output, and end alike.
#[track_caller]
fn same(script: &str) {
    let (ours, our_errors, our_code) = ran(script, program());
    let (theirs, their_errors, their_code) =
        again(|| ran(script, "buildah"), |(theirs, ..)| *theirs == ours);
    assert_eq!(ours, theirs, "{script}\n--- ours\n{our_errors}\n--- theirs\n{their_errors}");
    assert_eq!(our_code, their_code, "{script}\n{our_errors}");
}

#[test]
fn scripts_make_the_same_image_byte_for_byte() {
    if !has(&TOOLS) {
        return;
    }
    let commit = "$buildah commit -q --timestamp 0 --identity-label=false";
    let check = |steps: &str| {
        let make = |program: &str| {
            let script = format!("set -e\n{steps}\n{commit} $c made | sed 's/^/made /'");
            let (store, files) = (store_with_base(), scratch());
            std::fs::create_dir_all(files.join("src/sub")).expect("it is writable");
            for name in ["a", "sub/b"] {
                std::fs::write(files.join("src").join(name), name).expect("it is writable");
            }
            let mut options = Command::new(program);
            store.at_store(&mut options);
            let words = std::iter::once(options.get_program()).chain(options.get_args());
            let words: Vec<_> = words.map(|word| word.to_str().expect("text")).collect();
            let mut shell = command("sh");
            shell.args(["-c", &format!("buildah=\"{}\"\n{script}", words.join(" "))]);
            shell.current_dir(&*files);
            let outcome = run(&mut shell).ok();
            let made = outcome.text().lines().find_map(|line| line.strip_prefix("made "));
            made.unwrap_or_else(|| panic!("nothing was made: {outcome}")).to_owned()
        };
        assert_eq!(make(program()), make("buildah"), "{steps}");
    };
    check("c=$($buildah from scratch)\n$buildah config --env A=1 --port 80 $c");
    check("c=$($buildah from base)\n$buildah copy -q $c src /data");
    check(
        "c=$($buildah from base)\nchmod 6755 src/a\nchmod 2755 src/sub\n\
         $buildah copy -q $c src /data\n$buildah add -q $c src/a /more/",
    );
    check(
        "c=$($buildah from base)\n$buildah copy -q --chown 7:8 --chmod 640 $c src/a src/sub/b /x/\n\
         tar -cf s.tar -C src .\n$buildah add -q $c s.tar /un",
    );
    check(
        "c=$($buildah from base)\nm=$($buildah mount $c)\nmkdir -p $m/x/y\necho 1 > $m/x/f\n\
         ln -s f $m/x/l\nln $m/x/f $m/x/h\nrm $m/bin/pwd\nmkfifo $m/x/p\nchmod 4755 $m/x/f\n\
         $buildah umount $c",
    );
    check(
        "c=$($buildah from base)\n$buildah config --author me --workingdir /w --user u \
         --entrypoint '[\"a\", \"b\"]' --cmd 'c \"d e\"' --volume /v --stop-signal 9 \
         --annotation x=y --label l- --label m=2 --env A=2 --env B='$A' --created-by how --os-version 1 --variant v1 $c",
    );
}

#[test]
fn commands_print_what_buildah_s_print() {
    if !has(&TOOLS) {
        return;
    }
    same(
        "$buildah from base; $buildah from base; $buildah from --name x base; $buildah from scratch",
    );
    same("$buildah containers; $buildah from base; $buildah ls; $buildah ps --json");
    same("$buildah from base; $buildah containers -q; $buildah containers -n --notruncate");
    same("$buildah from base; $buildah containers --format '{{.ContainerName}} {{.ImageName}}'");
    same("$buildah containers --json; $buildah from scratch; $buildah containers -f name=working");
    same("$buildah from base; $buildah from scratch; $buildah containers --filter ancestor=base");
    same(
        "c=$($buildah from base); $buildah mount $c; $buildah mount; $buildah mount --json; $buildah umount $c; $buildah mount",
    );
    same("c=$($buildah from base); $buildah mount $c $c; $buildah umount -a");
    same(
        "c=$($buildah from base); $buildah rename $c y; $buildah ls -n; $buildah rm y; $buildah ls -n",
    );
    same("$buildah from base; $buildah from scratch; $buildah rm -a");
    same(
        "$buildah images; $buildah images -q; $buildah images -n --digests; $buildah images nosuch",
    );
    same(
        "$buildah images --format '{{.Name}}:{{.Tag}} {{.ID}}'; $buildah tag base x:1; $buildah rmi x:1",
    );
    same(
        "c=$($buildah from base); $buildah config --env B=2 --shell 'a b' $c; $buildah inspect --format '{{.OCIv1.Config.Env}} {{.Docker.Config.Shell}} {{.FromImage}}' $c",
    );
    same("$buildah inspect --type image --format '{{.OCIv1.Config.Labels}} {{.FromImageID}}' base");
    same(
        "c=$($buildah from --cidfile id base); grep -c . id; $buildah commit -q --iidfile iid $c; cut -c1-7 iid",
    );
}

#[test]
fn commands_fail_as_buildah_s_do() {
    if !has(&TOOLS) {
        return;
    }
    let check = |line: &str, phrase: &str| {
        for program in ["buildah", program()] {
            let (_, said, code) =
                ran(&format!("c=$($buildah from base); $buildah {line}"), program);
            assert_eq!(code, 125, "{program} {line}: {said}");
            assert!(said.contains(phrase), "{program} {line}: {said}");
        }
    };
    check("from", "an image name (or \"scratch\") must be specified");
    check("from --pull-never nosuch", "nosuch: image not known");
    check("from --name base-working-container base", "already in use");
    check("run nosuch true", "reading build container \"nosuch\": container not known");
    check("run $c", "command must be specified");
    check("config nosuch", "reading build container \"nosuch\": container not known");
    check("config --env NOSUCHVARIABLE $c", "setting env \"NOSUCHVARIABLE\": no value given");
    check("config --cmd \"'\" $c", "invalid command line string");
    check("copy $c", "src must be specified");
    check(
        "copy --ignorefile x $c a /",
        "--ignorefile option requires that you specify a context dir",
    );
    check("copy $c nosuch /", "adding content to container \"base-working-container\"");
    check("mount nosuch", "reading build container \"nosuch\": container not known");
    check("umount nosuch", "error unmounting container nosuch: container not known");
    check("umount", "at least one container ID must be specified");
    check("rm nosuch", "removing container \"nosuch\": container not known");
    check("rm", "container ID must be specified");
    check("rename $c $c", "renaming a container with the same name as its current name");
    check("commit", "container ID must be specified");
    check("commit --timestamp 0 --omit-timestamp $c", "can not use more then one timestamp option");
    check("containers --filter x", "incorrect filter value \"x\"");
    check("containers --filter x=y", "invalid filter");
    check("rmi", "image name or ID must be specified");
    check("rmi nosuch", "nosuch: image not known");
    check("rmi base", "image is in use by a container");
    check("inspect nosuch", "nosuch: image not known");
    check("push nosuch", "nosuch: image not known");
    check("tag nosuch x", "nosuch: image not known");
    check("from --nosuch base", "unknown flag: --nosuch");
}
