//! Builds of users: with users of their own, and with a network of their own.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tests::{RANGES, User, cooper_built, has};

use crate::TOOLS;

/// A user with cooper, and a directory with busybox and the file of an image that has nothing else.
fn builder() -> User {
    let user = User::new(RANGES);
    user.bring(cooper_built(), "cooper");
    fs::create_dir(user.path("ctx")).expect("it is new");
    user.bring(Path::new("/bin/busybox"), "ctx/busybox");
    let file = "FROM scratch\nCOPY busybox /bin/busybox\nSHELL [\"/bin/busybox\", \"sh\", \"-c\"]\n\
                RUN /bin/busybox --install /bin; mkdir /d; touch /d/f; chown -R 12:34 /d\n";
    fs::write(user.path("ctx/Containerfile"), file).expect("it is new");
    fs::set_permissions(user.path("ctx"), Permissions::from_mode(0o755)).expect("it is ours");
    user.script("$D/cooper build -q -t base $D/ctx").ok();
    user
}

#[test]
fn a_user_builds_with_users_of_other_numbers() {
    if !has(&TOOLS) {
        return;
    }
    let user = builder();
    let found = user.script(
        "C=$D/cooper; M='--userns-uid-map 0:10000:5000'
         c=$($C from $M base)
         $C run $c -- sh -c 'head -n1 /proc/self/uid_map; echo x > /made; chown 5:6 /made; stat -c %u:%g / /d/f /made'
         echo x > f; $C copy -q --chown 3:4 $c f /c/f; $C commit -q $c ours >/dev/null
         o=$($C from ours); $C run $o -- stat -c %u:%g / /d/f /made /c/f",
    );
    let found = found.ok();
    let lines: Vec<&str> = found.text().lines().skip(1).collect();
    let map: Vec<&str> = found.text().split_whitespace().take(3).collect();
    assert_eq!(map, ["0", "10000", "5000"], "{found}");
    assert_eq!(lines[..3], ["0:0", "12:34", "5:6"], "{found}");
    assert_eq!(lines[lines.len() - 4..], ["0:0", "12:34", "5:6", "3:4"], "{found}");
    let found = user.script(
        "C=$D/cooper
         cat > Containerfile <<X
FROM localhost/base
SHELL [\"/bin/sh\", \"-c\"]
RUN stat -c %u:%g / /d/f > /seen; echo x > /made; chown 7:8 /made; rm -r /bin/true
WORKDIR /w
RUN stat -c %u:%g /made /w >> /seen
X
         $C build -q --userns-uid-map 0:10000:5000 -t it . >/dev/null
         c=$($C from it); $C run $c -- sh -c 'cat /seen; stat -c %u:%g /made /w /seen; test ! -e /bin/true'",
    );
    let expected = "0:0\n12:34\n7:8\n0:0\n7:8\n0:0\n0:0";
    assert_eq!(found.ok().text(), expected);
    // All but root, who is the user, are there to be chosen.
    let found = user.script(
        "C=$D/cooper; a=$($C from --userns auto:size=300 base); m='head -n1 /proc/self/uid_map'
         $C run $a -- sh -c \"$m; echo x > /made; chown 5:6 /made; stat -c %u:%g /made /d/f\"
         printf 'FROM localhost/base\nRUN %s; stat -c %%u:%%g /d/f\n' \"$m\" > Containerfile
         $C build -q --userns auto:size=200 -t chosen . 2>&1 >/dev/null
         $C build --no-cache --userns auto:size=200 . 2>/dev/null | grep -v -e STEP -e ^COMMIT -e ^--",
    );
    let found = found.ok();
    let words: Vec<&str> = found.text().split_whitespace().collect();
    assert_eq!(
        words[..9],
        ["0", "1", "300", "5:6", "12:34", "0", "301", "200", "12:34"],
        "{found}"
    );
}

#[test]
fn commands_of_a_user_have_a_network_of_their_own() {
    if !has(&TOOLS) || !has(&["pasta"]) {
        return;
    }
    let user = builder();
    let found = user.networked(
        "C=$D/cooper
         printf 'FROM localhost/base\nSHELL [\"/bin/sh\", \"-c\"]\nRUN ls /sys/class/net > /net; grep -c nameserver /etc/resolv.conf >> /net\n' > Containerfile
         for network in pasta private; do
             $C build -q --no-cache --network $network -o out . >/dev/null; cat out/net
         done
         c=$($C from --network private base); $C run $c -- sh -c 'ls /sys/class/net | wc -l'
         $C run --network pasta:-T,none $c -- sh -c 'ls /sys/class/net | wc -l'
         $C run --network none $c -- ls /sys/class/net
         ps -u cask-tester -o comm= | grep -c pasta || true
         $C run --network podman $c -- true 2>&1 || true",
    );
    let found = found.ok();
    let lines: Vec<&str> = found.text().lines().collect();
    let interfaces = lines.iter().filter(|line| **line == "lo").count();
    assert_eq!(interfaces, 3, "{found}");
    // No interface but the loopback one is called as nowhere else: it is called as the machine's.
    assert_eq!(lines[lines.len() - 5..lines.len() - 1], ["2", "2", "lo", "0"], "{found}");
    assert!(lines[lines.len() - 1].contains("networks of names need root"), "{found}");
}
