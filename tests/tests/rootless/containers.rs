//! Containers of a user, across separate commands.

use std::fs;

use super::TOOLS;
use tests::{RANGES, UID, User, has, tool};

/// A user with an image of busybox, `localhost/box:1`.
fn user() -> Option<User> {
    if !has(&TOOLS) {
        return None;
    }
    let user = User::new(RANGES);
    let image = user.path("box");
    for name in ["bin", "etc", "data"] {
        fs::create_dir_all(image.join(name)).expect("it is new");
    }
    fs::copy("/bin/busybox", image.join("bin/busybox")).expect("busybox is installed");
    for name in ["sh", "true", "cat", "echo", "id", "sleep", "ls", "touch", "stat"] {
        std::os::unix::fs::symlink("busybox", image.join("bin").join(name)).expect("it is new");
    }
    let passwd = "root:x:0:0::/:/bin/sh\nalice:x:1000:1000::/:/bin/sh\n";
    fs::write(image.join("etc/passwd"), passwd).expect("it is new");
    tool("tar", &format!("-C {} -cf {} .", image.display(), user.text("box.tar"))).ok();
    user.script("$D/cellar import -q $D/box.tar localhost/box:1").ok();
    Some(user)
}

#[test]
fn a_users_container_is_joined_stopped_and_removed_by_later_commands() {
    let Some(user) = user() else { return };
    user.script("$D/cellar run -d --network none --name web -v data:/data -u alice box:1 sh -c 'echo up; exec sleep 1000'")
        .ok();
    let state = "$D/cellar ps -a --format '{{.Names}} {{.State}} {{.ExitCode}}'";
    assert_eq!(user.script(state).ok().text(), "web running 0");
    assert_eq!(user.script("$D/cellar exec web id -u").ok().text(), "1000");
    assert_eq!(user.script("$D/cellar logs web").ok().text(), "up");
    let inner =
        "$D/cellar exec -u root web sh -c 'echo kept >/data/file; echo layer >/made; cat /made'";
    assert_eq!(user.script(inner).ok().text(), "layer");
    // Its root is mounted for the user's other commands too.
    let mounted = user.script("$D/cellar unshare sh -c 'cat $($D/cellar mount web)/made'").ok();
    assert_eq!(mounted.text(), "layer");
    // It would be mounted for that command alone.
    user.script("$D/cellar mount web").ends(125).says("must execute `cellar unshare` first");
    user.script("$D/cellar mount").ok();
    // A process of another ID of the range is signalled.
    user.script("$D/cellar stop -t 0 web").ok();
    assert_eq!(user.script(state).ok().text(), "web exited 137");
    user.script("$D/cellar unshare $D/cellar unmount web").ok();
    user.script("$D/cellar start web").ok();
    assert_eq!(user.script("$D/cellar exec web cat /data/file /made").ok().text(), "kept\nlayer");
    user.script("$D/cellar restart -t 0 web").ok();
    user.script("$D/cellar kill web").ok();
    assert_eq!(user.script("$D/cellar wait web").ok().text(), "137");
    user.script("$D/cellar rm web && $D/cellar volume rm data").ok();
    assert_eq!(user.script(state).ok().text(), "");
    nothing_is_left(&user);
}

/// What kept the namespace ends by itself, as soon as nothing is in it any more.
pub(crate) fn nothing_is_left(user: &User) {
    let keeper = user.path("run/cask/keeper");
    for _ in 0..500 {
        if !keeper.exists() {
            return;
        }
        std::thread::sleep(std::time::Duration::from_millis(10));
    }
    panic!("a process is still there, or was killed");
}

#[test]
fn a_killed_keeper_is_replaced_and_a_killed_monitor_takes_its_container_along() {
    let Some(user) = user() else { return };
    let run = "$D/cellar run -d --network none --name $N box:1 sleep 1000";
    user.script(&format!("N=a; {run}")).ok();
    let keeper = "$(cut -d' ' -f1 $XDG_RUNTIME_DIR/cask/keeper)";
    user.script(&format!("kill -9 {keeper}")).ok();
    assert_eq!(user.script("$D/cellar exec a id -u").ok().text(), "0");
    user.script(&format!("kill -0 {keeper}; N=b; {run}")).ok();
    let namespaces = "for c in a b; do $D/cellar unshare readlink /proc/$($D/cellar inspect --format '{{.State.Pid}}' $c)/ns/user; done | sort -u | wc -l";
    assert_eq!(user.script(namespaces).ok().text(), "1");
    user.script("kill -9 $($D/cellar inspect --format '{{.State.ConmonPid}}' a)").ok();
    let states =
        user.script("sleep 0.1; $D/cellar ps -a --format '{{.Names}} {{.State}}' | sort").ok();
    assert_eq!(states.text(), "a exited\nb running");
    user.script("$D/cellar start a; $D/cellar rm -f -t 0 -a").ok();
    nothing_is_left(&user);
}

#[test]
fn a_users_container_is_copied_attached_to_committed_and_given_a_terminal() {
    let Some(user) = user() else { return };
    let said = user
        .script(
            r#"
        C=$D/cellar
        $C run -d --network none --name c -v data:/data box:1 sh -c 'echo up; while true; do sleep 1; done' >/dev/null
        echo copied >file; $C cp file c:/made; $C exec c sh -c 'cat /made; stat -c %u:%g /made; echo more >>/made'
        $C cp c:/made back; cat back; stat -c %U back
        $C commit -q c localhost/made:1 >/dev/null; $C run --rm --network none localhost/made:1 cat /made
        $C diff c | sort
        $C export c | tar -tf - made
        script -qec "$C exec -it c sh -c 'test -t 0 && echo terminal'" /dev/null | grep -o terminal
        $C run -d -i --network none --name e box:1 sh -c 'read line; echo got $line; exit 3' >/dev/null
        echo word | $C attach e || echo $?
        $C rename c d; $C top d comm | tail -n +2 | sort -u | head -n 1
        $C unshare sh -c 'cat $($D/cellar mount d)/made'
        $C rm e >/dev/null
        $C rm -f -t 0 d >/dev/null; $C volume rm data >/dev/null; $C rmi localhost/made:1 >/dev/null
        "#,
        )
        .ok();
    let expected = "copied\n0:0\ncopied\nmore\ncask-tester\ncopied\nmore\nA /made\nC /etc\nmade\nterminal\ngot word\n3\nsh\ncopied\nmore";
    assert_eq!(said.text(), expected, "{said}");
    nothing_is_left(&user);
}

#[test]
fn a_users_server_is_reached_through_pasta_and_nothing_of_that_is_left() {
    if !has(&["pasta"]) {
        return;
    }
    let Some(user) = user() else { return };
    let said = user
        .networked(
            r#"
        pastas() { ps -u $(id -u) -o args= | grep "$D/" | grep -c '^[^ ]*pasta .*--netns' || true; }
        C=$D/cellar
        $C run -d --name web -p 127.0.0.1::80 box:1 sh -c 'while true; do busybox nc -l -p 80 -e echo hello; done' >/dev/null
        at=$($C port web 80); test "${at%:*}" = 127.0.0.1
        for i in $(seq 300); do busybox nc -w 2 127.0.0.1 ${at##*:} </dev/null 2>/dev/null | grep . && break; sleep 0.1; done
        $C exec web cat /etc/resolv.conf | head -n 1
        pastas; $C stop -t 0 web >/dev/null; pastas
        $C start web >/dev/null; pastas
        kill -9 $($C inspect --format '{{.State.ConmonPid}}' web)
        for i in $(seq 600); do test "$(pastas)" = 0 && break; sleep 0.1; done; pastas
        $C rm -f -t 0 web >/dev/null; pastas
        "#,
    )
    .ok();
    let expected = "hello\nnameserver 169.254.1.1\n1\n0\n1\n0\n0";
    assert_eq!(said.text(), expected, "{said}");
    nothing_is_left(&user);
}

#[test]
fn a_users_containers_know_each_other_by_name_and_are_reached_by_ports() {
    if !has(&["pasta", "nsenter"]) {
        return;
    }
    let Some(user) = user() else { return };
    let said = user
        .networked_with(
            // Where systemd is, but no session of the user, netavark starts nobody who answers for names.
            "{ test ! -d /run/systemd || mount -t tmpfs none /run/systemd; }",
            r#"
        C=$D/cellar
        all() { ps -u $(id -u) -o args= | grep "$D/" | grep -c -e 'pasta .*--netns' -e '[a]ardvark-dns' || true; }
        asks() { for i in $(seq 300); do "$@" </dev/null 2>/dev/null | grep . && break; sleep 0.1; done; }
        $C network create --subnet 10.99.7.0/24 front >/dev/null; $C network create --internal back >/dev/null
        serve='while true; do busybox nc -l -p 80 -e echo $0; done'
        $C run -d --name web --network front --network-alias www -p 127.0.0.1::80 box:1 sh -c "$serve" hello >/dev/null
        $C run -d --name other --network front,back box:1 sh -c "$serve" hidden >/dev/null
        at=$($C port web 80)
        asks busybox nc -w 2 127.0.0.1 ${at##*:}
        asks $C exec other busybox nc -w 2 www 80
        asks $C exec web busybox nc -w 2 other 80
        $C exec other ls /sys/class/net | tr '\n' ' '; echo
        $C network connect back web; $C exec web ls /sys/class/net | tr '\n' ' '; echo
        $C network disconnect back web
        asks $C unshare --rootless-netns busybox nc -w 2 $($C inspect -f '{{.NetworkSettings.Networks.front.IPAddress}}' other) 80
        $C exec web cat /etc/hosts | grep -c host.containers.internal || true
        $C unshare --rootless-netns sh -c 'exit 7' || echo $?
        $C network rm front || echo $?
        $C restart -t 0 web >/dev/null
        asks busybox nc -w 2 127.0.0.1 ${at##*:}
        all; $C rm -f -t 0 web >/dev/null
        kill -9 $($C inspect --format '{{.State.ConmonPid}}' other); $C rm -f -t 0 other >/dev/null
        for i in $(seq 600); do test "$(all)" = 0 && break; sleep 0.1; done; all
        $C network rm front back
        "#,
        )
        .ok();
    let expected = "hello\nhello\nhidden\neth0 eth1 lo \neth0 eth1 lo \nhidden\n0\n7\n2\nhello\n2\n0\nfront\nback";
    assert_eq!(said.text(), expected, "{said}");
    nothing_is_left(&user);
}

#[test]
fn a_users_pod_is_reached_by_its_port_and_goes_with_its_containers() {
    if !has(&["pasta"]) {
        return;
    }
    let Some(user) = user() else { return };
    let said = user
        .networked(
            r#"
        C=$D/cellar
        $C pod create -p 127.0.0.1::80 p >/dev/null
        $C run -d --pod p --name web box:1 sh -c 'while true; do busybox nc -l -p 80 -e echo hello; done' >/dev/null
        $C run --rm --pod p box:1 sh -c 'for i in $(busybox seq 300); do busybox nc -w 2 127.0.0.1 80 </dev/null 2>/dev/null | busybox grep . && break; sleep 0.1; done'
        at=$($C port web 80)
        for i in $(seq 300); do busybox nc -w 2 127.0.0.1 ${at##*:} </dev/null 2>/dev/null | grep . && break; sleep 0.1; done
        $C pod ps --format '{{.Name}} {{.Status}} {{.NumberOfContainers}}'
        $C pod stop -t 0 p >/dev/null; $C pod ps --format '{{.Status}}'
        $C pod start p >/dev/null; $C exec web echo again
        $C pod rm -f -t 0 p >/dev/null; $C ps -aq; $C pod ps -q
        "#,
    )
    .ok();
    assert_eq!(said.text(), "hello\nhello\np Running 2\nExited\nagain", "{said}");
    nothing_is_left(&user);
}

#[test]
fn a_command_joins_a_users_container_that_has_namespaces_of_the_host() {
    let Some(user) = user() else { return };
    for shared in ["--network host", "--network host --uts host --ipc host --pid host"] {
        user.script(&format!("$D/cellar run -d {shared} --name c box:1 sleep 1000")).ok();
        let said = user.script(
            "$D/cellar exec c busybox readlink /proc/self/ns/net; readlink /proc/self/ns/net",
        );
        let said = said.ok().text().to_owned();
        let spaces: Vec<_> = said.lines().collect();
        assert_eq!(spaces.len(), 2, "{shared}: {said}");
        assert_eq!(spaces[0], spaces[1], "{shared}");
        user.script("$D/cellar rm -f -t 0 c").ok();
    }
    nothing_is_left(&user);
}

#[test]
fn a_users_container_keeps_the_users_groups_and_changes_nothing_below_an_overlay() {
    let Some(user) = user() else { return };
    // The user is in another group, whose file it may read.
    let prepare = format!(
        "echo shared >home/shared && chown 0:4321 home/shared && chmod 640 home/shared && cd home && shift && \
         exec setpriv --reuid={UID} --regid={UID} --groups=4321 \"$@\""
    );
    let script = r#"
        C="$D/cellar run --rm --network none"; mkdir low; echo low >low/file
        $C --group-add keep-groups -v $HOME/shared:/shared box:1 cat /shared
        $C -v $HOME/shared:/shared box:1 cat /shared 2>/dev/null || echo refused
        $C -v $HOME/low:/x:O box:1 sh -c 'echo more >>/x/file; cat /x/file; stat -c %u:%g /x'; cat low/file
    "#;
    let said = user.script_with(&prepare, script).ok();
    assert_eq!(said.text(), "shared\nrefused\nlow\nmore\n0:0\nlow", "{said}");
    nothing_is_left(&user);
}

#[test]
fn a_users_container_has_the_user_or_others_in_it() {
    let Some(user) = user() else { return };
    let said = user
        .script(
            r#"
        C="$D/cellar run --rm --network none"; mkdir vol; touch vol/file
        shown='tr -s " " </proc/self/uid_map; id -u; id -g; stat -c %u:%g / /bin/busybox /etc/passwd'
        $C --userns keep-id -v $HOME/vol:/v -v own:/own box:1 sh -c "$shown; stat -c %u:%g /v/file /own; touch /v/new /own/new
             grep cask-tester /etc/passwd | cut -d: -f1-4; echo \$HOME"
        stat -c %U vol/new
        $C --userns keep-id:uid=1000,gid=1000 box:1 sh -c "$shown"
        $C --userns keep-id -u 0 box:1 sh -c 'id -u; touch /made; stat -c %u:%g /made'
        $C --userns nomap -v $HOME/vol:/v box:1 sh -c "tr -s ' ' </proc/self/uid_map; stat -c %u:%g /v/file; touch /v/not 2>/dev/null || echo refused"
        $C --userns keep-id --cap-add net_raw box:1 sh -c "busybox grep -E 'Cap(Inh|Eff|Amb)' /proc/self/status | busybox cut -c 16-"
        $C --uidmap 0:0:1000 box:1 sh -c "tr -s ' ' </proc/self/uid_map"
        $C --userns nomap:x box:1 true 2>&1 || echo $?
        $D/cellar run -d --name seen --network none box:1 sleep 1000 >/dev/null; $D/cellar top seen user huser hgroup | tail -1 | tr -s ' '
        $D/cellar rm -f -t 0 seen >/dev/null
        $C --userns auto:size=300 box:1 sh -c "tr -s ' ' </proc/self/uid_map"
        $C --uidmap 0:100000:1 box:1 true || echo $?
        $C --userns auto:size=70000 box:1 true || echo $?
        "#,
        )
        .ok();
    let expected = format!(
        " 0 1 {UID}\n {UID} 0 1\n {after} {after} {rest}\n{UID}\n{UID}\n0:0\n0:0\n0:0\n{UID}:{UID}\n{UID}:{UID}\n\
         cask-tester:*:{UID}:{UID}\n/\ncask-tester\n 0 1 1000\n 1000 0 1\n 1001 1001 64536\n1000\n1000\n0:0\n0:0\n0:0\n\
         0\n0:0\n 0 1 65536\n65534:65534\nrefused\n000002000\n000002000\n000002000\n 0 0 1\n 1 1 999\n\
         Error: unrecognized namespace mode nomap:x passed\n125\nroot cask-tester {UID}\n 0 1 300\n125\n125",
        after = UID + 1,
        rest = 65_536 - UID,
    );
    assert_eq!(said.text(), expected.trim_start(), "{said}");
    let told = user.script("$D/cellar info --format '{{.Host.IDMappings.UIDMap}}'").ok();
    assert_eq!(told.text(), format!("[{{0 {UID} 1}} {{1 200000 65536}}]"));
    // What the user's container wrote, as an image and gone with its copies; podman of the user removes the rest.
    let said = user
        .script(
            "C=$D/cellar; $C run --network none --name k --userns keep-id box:1 sh -c 'touch /tmp-file 2>/dev/null; true'
             $C run --network none --name r --userns keep-id -u 0 box:1 touch /made
             $C commit -q r localhost/made:1 >/dev/null; $C run --rm --network none made:1 stat -c %u:%g /made
             $C rm k r >/dev/null; $C volume rm own >/dev/null; $C rmi localhost/made:1 >/dev/null
             podman rmi localhost/box:1 >/dev/null; $C images -q; $C system check; podman system migrate",
        )
        .ok();
    assert_eq!(said.text(), "0:0", "{said}");
    nothing_is_left(&user);
}

#[test]
fn a_thousand_runs_of_a_user_leave_nothing_while_podman_looks_at_them() {
    let Some(user) = user() else { return };
    // Of `ps --external` podman makes an error where a container goes meanwhile.
    let said = user.script(
        "while sleep 1; do podman images -q || echo \"code $?\"; done >beside & beside=$!
         seq 1000 | xargs -P 4 -I @ $D/cellar run --rm --network none box:1 echo @ | sort -n | uniq | wc -l
         kill $beside; wait $beside || true; sort -u beside | wc -l; $D/cellar ps -aq
         cd $HOME/.local/share/containers/storage; ls $XDG_RUNTIME_DIR/containers/cask/containers cask/containers
         ls overlay-containers | grep -E '^[0-9a-f]{64}$' || true",
    );
    let said = said.ok();
    let run = user.text("run/containers/cask/containers");
    assert_eq!(said.text(), format!("1000\n1\n{run}:\n\ncask/containers:"), "{said}");
    nothing_is_left(&user);
}
