//! Control groups of containers, as the command line asks for them.

use crate::support::Cellar;

/// Runs a script in a group of its own in every hierarchy, `$g`, which goes afterwards.
const IN_A_GROUP: &str = r#"
g=cask-test-$$
cd /sys/fs/cgroup
if test -e cgroup.controllers; then tops=.; else tops=$(for top in *; do test -L "$top" || echo "$top"; done); fi
for top in $tops; do
    mkdir "$top/$g"
    for file in cpuset.cpus cpuset.mems; do
        test ! -e "$top/$g/$file" || cat "$top/$file" > "$top/$g/$file"
    done
done
TOPS="$tops" g="$g" sh -c '
    for top in $TOPS; do echo $$ > "$top/$g/cgroup.procs"; done
    cd /; eval "$SCRIPT"'
code=$?
for top in $tops; do rmdir "$top/$g/runtime" "$top/$g" 2>/dev/null || find "$top/$g" -depth -type d -exec rmdir {} + 2>/dev/null; done
exit $code
"#;

#[test]
fn a_container_can_have_a_part_of_the_group_of_whoever_starts_it() {
    let Some(cellar) = Cellar::new() else { return };
    let script = r#"
        $CELLAR run --name c --network none --cgroups split --cgroupns host box:1 cat /proc/self/cgroup |
            grep -q "/$g/libpod-payload-" || exit 3
        grep -q "/$g/runtime" /proc/self/cgroup || exit 4
        $CELLAR start --attach c > /dev/null || exit 5
        $CELLAR run -d --name d --network none --cgroups split box:1 sleep 1000 > /dev/null || exit 6
        $CELLAR inspect --format "{{.State.CgroupPath}}" d | grep -q "^/$g/libpod-payload-" || exit 7
        $CELLAR pause d && $CELLAR unpause d && $CELLAR rm -f -t 0 d || exit 8"#;
    let script = script.replace('\'', "'\\''");
    cellar.shell(&format!("export SCRIPT='{script}' CELLAR; {IN_A_GROUP}")).ok();
    cellar.run(&["rm", "c"]).ok();
    cellar.is_clean();
}

#[test]
fn what_does_not_go_together_about_groups_is_refused() {
    let Some(cellar) = Cellar::new() else { return };
    let check = |flags: &[&str], expected: &str| {
        cellar.container(&[flags, &["box:1", "true"]].concat()).ends(125).says(expected);
    };
    check(&["--cgroups", "bogus"], "invalid cgroup mode");
    check(
        &["--cgroups", "split", "--cgroup-parent", "/x"],
        "--cgroup-mode=split with a cgroup-parent",
    );
    let disabled = ["--cgroups", "disabled"];
    check(&[&disabled[..], &["--cgroup-parent", "/x"]].concat(), "cannot set cgroup parent");
    check(&[&disabled[..], &["--pid", "host"]].concat(), "must create a private PID namespace");
    check(&[&disabled[..], &["--memory", "64m"]].concat(), "limits need a control group");
    cellar.container(&["--rm", "--cgroups", "no-conmon", "box:1", "true"]).ok();
    cellar.is_clean();
}

#[test]
fn a_group_is_made_below_the_one_that_is_named() {
    let Some(cellar) = Cellar::new() else { return };
    let parent = format!("/cask-test-{}/parent", std::process::id());
    let flags = ["-d", "--name", "c", "--cgroup-parent", &parent, "box:1", "sleep", "1000"];
    cellar.container(&flags).ok();
    let path = cellar.run(&["inspect", "--format", "{{.State.CgroupPath}}", "c"]).ok();
    assert!(path.text().starts_with(&format!("{parent}/")), "{path}");
    cellar.run(&["pause", "c"]).ok();
    cellar.run(&["unpause", "c"]).ok();
    cellar.run(&["rm", "-f", "-t", "0", "c"]).ok();
    let top = parent.rsplit_once('/').map(|(top, _)| top).unwrap_or_default();
    let tops = "/sys/fs/cgroup /sys/fs/cgroup/*";
    let away = format!("for t in {tops}; do rmdir $t{parent} $t{top} 2>/dev/null; done; true");
    cellar.shell(&away).ok();
    cellar.is_clean();
}

#[test]
fn the_monitor_ends_as_its_container_does() {
    let Some(cellar) = Cellar::new() else { return };
    // Who is the first of its processes is told how those end that nobody waits for.
    let script =
        r#"system(@ARGV); while ((my $pid = wait()) > 0) { print "ended with ", $? >> 8, "\n" }"#;
    let run = "$CELLAR run -d --rm --network none --cgroups disabled box:1 sh -c 'exit 7'";
    let first = "exec unshare --pid --fork --mount-proc perl -e \"$SCRIPT\"";
    let told = cellar.shell(&format!("export SCRIPT='{script}'; {first} {run}")).ok();
    assert!(told.text().ends_with("ended with 7"), "{}", told.text());
    cellar.is_clean();
}

#[test]
fn a_setting_by_name_is_given_the_controller_that_it_needs() {
    let Some(cellar) = Cellar::new() else { return };
    // Pages of 2 MiB or 1 GiB are no usual limit: groups have their controller where somebody asks for it.
    let script = r#"
        mount -t cgroup2 none /sys/fs/cgroup || exit 90
        $CELLAR run --rm --network none --cgroup-conf nosuch.max=1 box:1 true
        test $? = 126 || exit 91
        grep -qw hugetlb /sys/fs/cgroup/cgroup.controllers && set -- /sys/kernel/mm/hugepages/* || exit 0
        case $1 in *2048kB) size=2MB ;; *1048576kB) size=1GB ;; *) exit 0 ;; esac
        file=hugetlb.$size.max
        $CELLAR run --rm --network none --cgroup-conf $file=0 box:1 cat /sys/fs/cgroup/$file"#;
    let said = cellar.shell(&format!("exec unshare -m sh -c '{script}'")).ok();
    let said = said.says("limit by the controller nosuch");
    assert!(matches!(said.text(), "0" | ""), "{said}");
    cellar.is_clean();
}
