//! `cooper build`: files of the machine, users that commands have for themselves, and directories in memory.

use std::os::unix::fs::{MetadataExt as _, symlink};

use tests::{PeerStore, Scratch, has, is_root, run};

use crate::build::{RUN, cooper, program, with_busybox};
use crate::files;

fn read(directory: &Scratch, name: &str) -> String {
    std::fs::read_to_string(directory.join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn can_run() -> bool {
    has(&["busybox"]) && is_root()
}

fn owner(directory: &Scratch, name: &str) -> (u32, u32) {
    let found = std::fs::symlink_metadata(directory.join(name)).expect("it is there");
    (found.uid(), found.gid())
}

#[test]
fn a_volume_is_given_to_the_user_of_the_step_and_nothing_through_links() {
    if !can_run() {
        return;
    }
    let store = PeerStore::new();
    let volume = files(&[("given/deep/file", "old"), ("kept/file", "")]);
    symlink(volume.join("kept"), volume.join("given/link")).expect("it is new");
    let directory = with_busybox(&format!("{RUN}USER 12:34\nRUN echo new > /x/deep/file\n"));
    let line = format!("build -q -v {}:/x:U .", volume.at("given"));
    cooper(&store, &directory, &line).ok();
    assert_eq!(read(&volume, "given/deep/file"), "new\n");
    for given in ["given", "given/deep", "given/deep/file", "given/link"] {
        assert_eq!(owner(&volume, given), (12, 34), "{given}");
    }
    for kept in ["kept", "kept/file"] {
        assert_eq!(owner(&volume, kept), (0, 0), "{kept}");
    }
    // What the machine needs is nobody's, and files of the context are not given away: a copy of them is.
    let line = "build -q --no-cache -v /etc:/x:U .";
    cooper(&store, &directory, line).ends(125).says("chowning host path \"/etc\" is not allowed");
    let mount =
        "RUN --mount=type=bind,source=busybox,target=/b,U,rw /bin/busybox stat -c %u:%g /b >&2";
    let directory = with_busybox(&format!("{RUN}USER 12:34\n{mount}\n"));
    let told = cooper(&store, &directory, "build --progress plain .").ok();
    assert!(told.stderr.contains("12:34"), "{told}");
    assert_eq!(owner(&directory, "busybox"), (0, 0));
}

#[test]
fn changes_of_an_overlay_are_kept_where_it_is_said() {
    if !can_run() {
        return;
    }
    let store = PeerStore::new();
    let volume = files(&[("lower/file", "old\n"), ("upper/more", "more\n"), ("work/x", "")]);
    std::fs::remove_file(volume.join("work/x")).expect("it is there");
    let seen = "/bin/busybox cat /x/file /x/more > /seen; echo new > /x/file";
    let directory = with_busybox(&format!("{RUN}RUN {seen}\n"));
    let places = ["lower", "upper", "work"].map(|name| volume.at(name));
    let [lower, upper, work] = &places;
    let line = format!("build -q -o out -v {lower}:/x:O,upperdir={upper},workdir={work} .");
    cooper(&store, &directory, &line).ok();
    assert_eq!(read(&directory, "out/seen"), "old\nmore\n");
    assert_eq!(read(&volume, "lower/file"), "old\n");
    assert_eq!(read(&volume, "upper/file"), "new\n");
    let line = format!("build -q -v {lower}:/x:O,upperdir={upper} .");
    cooper(&store, &directory, &line).ends(125).says("if specifying upperdir then workdir");
    cooper(&store, &directory, "build -q -v /nowhere/at/all:/x .").ends(125).says("no such file");
}

#[test]
fn a_directory_in_memory_looks_as_the_one_below_and_has_its_files_where_that_is_asked_for() {
    if !can_run() {
        return;
    }
    let store = PeerStore::new();
    let file = format!(
        "{RUN}RUN /bin/busybox mkdir -m 710 /d && echo x > /d/f && /bin/busybox chown 5:6 /d/f\n\
         RUN --mount=type=tmpfs,target=/d,tmpcopyup cd /d; \
         /bin/busybox stat -c '%a %u:%g %n' . f > /seen; /bin/busybox stat -f -c %T . >> /seen; rm f\n\
         RUN --mount=type=tmpfs,target=/d --mount=type=tmpfs,target=/new /bin/busybox ls /d >> /seen; \
         /bin/busybox stat -c %a /new >> /seen\n"
    );
    let directory = with_busybox(&file.replace("; rm f", "; /bin/busybox rm f"));
    cooper(&store, &directory, "build -q -o out .").ok();
    assert_eq!(read(&directory, "out/seen"), "710 0:0 .\n644 5:6 f\ntmpfs\n1777\n");
    assert_eq!(read(&directory, "out/d/f"), "x\n");
}

#[test]
fn commands_read_what_the_build_is_given() {
    if !can_run() {
        return;
    }
    let store = PeerStore::new();
    let directory = with_busybox(&format!("{RUN}RUN /bin/busybox cat > /read\n"));
    std::fs::write(directory.join("input"), "given\n").expect("it is writable");
    for (flag, expected) in [("--stdin", "given\n"), ("--no-cache", "")] {
        let input = std::fs::File::open(directory.join("input")).expect("it is there");
        let line = format!("build -q {flag} -o out .");
        run(program(&store, &directory, &line).stdin(input)).ok();
        assert_eq!(read(&directory, "out/read"), expected, "{flag}");
    }
}

const MAP: &str = "--userns-uid-map 0:100000:5000 --userns-gid-map 0:200000:5000";

#[test]
fn commands_have_users_of_their_own_and_layers_have_those_inside() {
    if !can_run() {
        return;
    }
    let store = PeerStore::new();
    let file = format!(
        "{RUN}COPY --chown=7:8 a /copied\n\
         RUN --mount=type=cache,target=/c echo x > /made; /bin/busybox chown 9:10 /made; \
         /bin/busybox mkdir -m 700 /e; /bin/busybox chown 11 /copied; \
         /bin/busybox head -n 1 /proc/self/uid_map /proc/self/gid_map | /bin/busybox tr -s ' ' > /maps; \
         /bin/busybox stat -c %u:%g / /bin/busybox /copied /c > /seen\n\
         WORKDIR /w\n\
         RUN --mount=type=bind,source=a,target=/a --mount=type=tmpfs,target=/t \
         /bin/busybox stat -c %u:%g /a /made /w . >> /seen; /bin/busybox rm /bin/busybox\n"
    );
    let directory = with_busybox(&file);
    std::fs::write(directory.join("a"), "A").expect("it is writable");
    cooper(&store, &directory, &format!("build -q -t it {MAP} .")).ok();
    let export = files(&[("Containerfile", "FROM localhost/it\n")]);
    cooper(&store, &export, "build -q -o out .").ok();
    let maps = read(&export, "out/maps");
    assert!(maps.contains(" 0 100000 5000") && maps.contains(" 0 200000 5000"), "{maps}");
    assert_eq!(read(&export, "out/seen"), "0:0\n0:0\n11:8\n0:0\n0:0\n9:10\n0:0\n0:0\n");
    for (name, expected) in
        [("made", (9, 10)), ("copied", (11, 8)), ("e", (0, 0)), ("maps", (0, 0)), ("w", (0, 0))]
    {
        assert_eq!(owner(&export, &format!("out/{name}")), expected, "{name}");
    }
    assert!(!export.join("out/bin/busybox").exists());
    cooper(&store, &directory, "build -q --userns host --userns-uid-map 0:1:1 .")
        .ends(125)
        .says("can not specify ID mappings");
}

#[test]
fn volumes_of_the_image_stay_as_they_were_where_that_is_asked_for() {
    if !can_run() || !has(&["buildah"]) {
        return;
    }
    let text = format!(
        "{RUN}COPY busybox /data/deep/before\nVOLUME /data /made\n\
         RUN echo lost > /data/new && /bin/busybox rm /data/deep/before && echo stays > /other\n\
         RUN /bin/busybox rm -r /data\n\
         RUN echo lost > /made/new; /bin/busybox test ! -e /data/new\n\
         COPY busybox /data/later\n\
         RUN /bin/busybox test -e /data/deep/before -a -e /data/later && echo lost > /data/later\n"
    );
    let directory = with_busybox(&text);
    let store = PeerStore::new();
    cooper(&store, &directory, "build -q --compat-volumes -o kept .").ok();
    let found = |name: &str| directory.join("kept").join(name).exists();
    for (name, expected) in [
        ("data/deep/before", true),
        ("data/later", true),
        ("data/new", false),
        ("made/new", false),
        ("other", true),
    ] {
        assert_eq!(found(name), expected, "{name}");
    }
    let size = |name: &str| std::fs::metadata(directory.join(name)).expect("it is there").len();
    assert_eq!(size("kept/data/later"), size("busybox"));
    // Without it they are directories as all others, and none of the steps is that of before.
    let changed = cooper(&store, &directory, "build --progress plain .");
    changed.ends(1);
    let text =
        format!("{RUN}VOLUME /data\nRUN /bin/busybox mkdir -p /data; echo stays > /data/new\n");
    let directory = with_busybox(&text);
    for (flag, expected) in
        [("--compat-volumes", false), ("", true), ("--compat-volumes=false", true)]
    {
        cooper(&store, &directory, &format!("build -q {flag} -o out .")).ok();
        assert_eq!(directory.join("out/data/new").exists(), expected, "{flag}");
        std::fs::remove_dir_all(directory.join("out")).expect("it was made");
    }
}
