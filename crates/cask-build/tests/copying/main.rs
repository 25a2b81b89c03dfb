//! COPY and ADD beside buildah: the same files, owners, permissions and times, but for what is listed.
#![expect(clippy::unwrap_used, reason = "a test that fails says where")]

mod support;

use support::Verdict::{Differs, Fails, Same};
use support::{Peer, Verdict};

/// What is copied, and whether buildah 1.28.2 makes the same of it.
const CASES: &[(&str, Verdict)] = &[
    ("COPY a /x", Same),
    ("COPY a /x/", Same),
    ("COPY a /p/q/x", Same),
    ("COPY a x", Same),
    ("COPY a b /x/", Same),
    ("COPY a b /x", Same),
    ("COPY [ab] /x", Same),
    ("COPY [ab] /x/", Same),
    ("COPY nope* a /x/", Same),
    ("COPY d /x", Same),
    ("COPY d/ /x/", Same),
    ("COPY dlink /x", Same),
    ("COPY link /x/", Same),
    ("COPY climb /x", Same),
    ("COPY ../../a /../x", Same),
    ("COPY . /all/", Same),
    ("COPY run sgid /x/", Same),
    ("COPY sgid /x", Same),
    ("COPY --chmod=4755 run /x", Same),
    ("COPY --chmod=640 d /x", Same),
    ("COPY --chown=5 d /p/x", Same),
    ("COPY --chown=5:6 a /p/x", Same),
    ("COPY --chown=app a /x", Same),
    ("COPY --chown=app:staff a /x", Same),
    ("COPY hard /x", Same),
    ("COPY special /x", Same),
    ("COPY a /app", Same),
    ("COPY a /app/", Same),
    ("COPY a /bin/", Same),
    ("COPY a /abs", Same),
    ("COPY a /up/x", Same),
    ("COPY a /app/lib/new", Same),
    ("COPY over/file /app/file", Same),
    ("COPY over /app", Same),
    ("COPY linked /app", Same),
    ("ADD ar.tar /x", Same),
    ("ADD ar.tgz /x/", Same),
    ("ADD ar.tar ar.tgz /x", Same),
    ("ADD ar.tar /app", Same),
    ("ADD file-over-dir.tar /app", Same),
    ("ADD empty /x", Same),
    ("ADD text.gz /x", Same),
    ("ADD d /x", Same),
    ("COPY ar.tar /x", Same),
    ("COPY nope /x", Fails("no such file or directory")),
    ("COPY nope* /x", Fails("no such file or directory")),
    ("COPY nope a /x/", Fails("no such file or directory")),
    ("COPY dangling /x", Fails("no such file or directory")),
    ("COPY outside /x", Fails("no such file or directory")),
    ("COPY hidden.tmp /x", Fails("hidden.tmp")),
    ("COPY a /app/file/", Fails("already exists but is not a directory")),
    ("COPY a b /app/file", Fails("not a directory")),
    ("COPY special/sock /x", Fails("sock")),
    ("COPY --chown=nosuch a /x", Fails("looking up UID/GID for \"nosuch\"")),
    ("COPY a /dangling", Differs("a dangling destination is the file that it leads to")),
    ("COPY a /l", Differs("a link to a file is followed, and not replaced")),
    ("COPY d/sub /app/conf", Same),
    ("COPY merge /app", Same),
    ("COPY root /", Same),
    ("COPY link-over /app", Same),
    ("COPY replace /app", Differs("a file does not replace a directory")),
    ("COPY under /app", Differs("a directory does not replace a file")),
    ("COPY special/pipe /x", Differs("a FIFO is copied to the path, and not into a directory")),
    ("ADD --chown=1:2 ar.tar /x", Differs("--chown is for archives, too")),
    ("COPY --chmod=u=rwX,go=rX d /x", Differs("permissions may be symbolic")),
];

#[test]
fn copies_are_those_of_buildah_but_for_what_is_listed() {
    let Some(peer) = Peer::start() else { return };
    let mut wrong = Vec::new();
    for (line, verdict) in CASES {
        let (ours, theirs) = (peer.ours(line), peer.theirs(line));
        let is_right = match (verdict, &ours, &theirs) {
            (Same, Ok(ours), Ok(theirs)) => ours == theirs,
            (Differs(_), Ok(ours), Ok(theirs)) => ours != theirs,
            (Differs(_), ..) => ours.is_err() != theirs.is_err(),
            (Fails(expected), Err(ours), Err(_)) => ours.contains(expected),
            _ => false,
        };
        if !is_right {
            wrong.push(support::explain(line, &ours, &theirs));
        }
    }
    assert!(wrong.is_empty(), "{} of {}:\n{}", wrong.len(), CASES.len(), wrong.join("\n"));
    assert_eq!(CASES.len(), 65);
}
