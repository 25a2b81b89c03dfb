//! Commands in containers, and what they change.

use tests::has;

use crate::{TOOLS, buildah, cooper, store_with_base};

#[test]
fn run_ends_as_the_command_does() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |command: &[&str], code: i32| {
        cooper(&store, &[&["run", &container, "--"], command].concat()).ends(code);
    };
    check(&["true"], 0);
    check(&["sh", "-c", "exit 7"], 7);
    // Number 1 of its processes is no target of its own signals: another one ends, and it says so.
    check(&["sh", "-c", "sh -c 'kill -9 $$'; exit $?"], 137);
    check(&["nosuch"], 127);
    check(&["/bin"], 126);
}

#[test]
fn commands_see_what_is_said_for_them() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |options: &[&str], script: &str, expected: &str| {
        let line = [&["run"], options, &[&container, "--", "sh", "-c", script]].concat();
        assert_eq!(cooper(&store, &line).ok().text(), expected, "{options:?}");
    };
    check(&[], "echo $A", "1");
    check(&["--env", "A=2"], "echo $A", "2");
    check(&["--user", "5:6"], "id -u; id -g", "5\n6");
    check(&["--workingdir", "/made/here"], "pwd", "/made/here");
    check(&["--hostname", "h"], "cat /etc/hostname", "h");
    check(&["--network", "none"], "ls /sys/class/net", "lo");
    check(&["-v", "/bin:/host:ro"], "ls /host/busybox", "/host/busybox");
    check(&["--mount", "type=tmpfs,target=/t"], "echo x > /t/x; cat /t/x", "x");
    // What was given for one command alone is not in the container.
    check(&[], "ls /t /host /etc/hostname 2>/dev/null; true", "/etc/hostname");
    let root = cooper(&store, &["mount", &container]).ok().text().to_owned();
    assert!(!std::path::Path::new(&root).join("etc/hostname").exists());
    cooper(&store, &["umount", &container]).ok();
}

#[test]
fn names_are_reused() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    for _ in 0..2 {
        let made = cooper(&store, &["from", "--name", "one", "base"]).ok();
        assert_eq!(made.text(), "one");
        cooper(&store, &["from", "--name", "one", "base"]).ends(125).says("already in use");
        cooper(&store, &["rm", "one"]).ok();
    }
    cooper(&store, &["from", "--name", "one", "base"]).ok();
    cooper(&store, &["rename", "one", "two"]).ok();
    buildah(&store, &["from", "--name", "one", "base"]).ok();
    cooper(&store, &["rename", "two", "one"]).ends(125).says("already in use");
}

#[test]
fn options_that_are_not_there_are_refused_by_name() {
    if !has(&TOOLS) {
        return;
    }
    let store = store_with_base();
    let container = cooper(&store, &["from", "base"]).ok().text().to_owned();
    let check = |line: &[&str], said: &str| {
        cooper(&store, line).ends(125).says(said);
    };
    check(&["from", "--userns", "auto", "base"], "unknown flag: --userns");
    check(&["from", "--security-opt", "apparmor=x", "base"], "--security-opt");
    check(&["from", "--network", "bridge", "base"], "network \"bridge\"");
    check(&["run", "--mount", "target=/x", &container, "true"], "has no source");
    check(&["run", "--pid", "nosuch", &container, "true"], "is no namespace");
    check(&["run", "-v", "/:/x:z", &container, "true"], "SELinux");
    check(&["run", "--isolation", "x", &container, "true"], "unrecognized isolation type");
    check(&["commit", "--sign-by", "me", &container], "unknown flag: --sign-by");
    check(&["commit", "--format", "x", &container], "unrecognized image type \"x\"");
}
