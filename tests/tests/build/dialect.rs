//! `--compat=buildah`: what the two do differently is done as Debian's buildah does it.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use tests::{command, run, scratch};

use crate::case::Prepared;
use crate::difference::{Built, differences};
use crate::shop::{Builder, Shop};

/// What is different where each instruction is a layer.
const LAYERS: &str = "\
FROM mirror.gcr.io/busybox
VOLUME /vol/x /vol/y
COPY a /w/t/
WORKDIR /wd/y
USER nobody
WORKDIR /of/nobody
RUN true
WORKDIR /of/nobody/too
COPY a /w/u/
USER unknown
WORKDIR /w
COPY a /w/v/
USER nobody
WORKDIR /last
";

/// One instruction or more for each difference that a builder sees; the parser's are tested beside it.
const ONE_LAYER: &str = "\
FROM mirror.gcr.io/busybox AS Base
RUN mkdir -p /e/sub /fd/a /sw && chmod 1777 /e && chown 9:9 /e/sub && ln -s /w/t /dang && ln -s /sw/x /tofile && echo 1 > /sw/x
FROM Base
ENV A=env
ARG A=arg B C=c
COPY d /e
COPY ig /ig
COPY . /all
ADD --chown=3:4 ar.tar /ar
COPY --chown=3:4 a setuid /up/above/
COPY a /dang
COPY d/sub/f /tofile
COPY a /fd/
COPY sw /sw
VOLUME /vol/x /vol/y
WORKDIR /wd/y
WORKDIR z
SHELL [\"/bin/bash\", \"-c\"]
RUN echo $A > said
CMD echo [\"x\"] y
HEALTHCHECK --retries=3 CMD true
USER 5:6
EXPOSE 8000-8002 80
WORKDIR /last
";

fn write_context(context: &Path) {
    let write = |path: &str, mode: u32| {
        let path = context.join(path);
        fs::create_dir_all(path.parent().expect("it is in a directory")).expect("writable");
        fs::write(&path, "text\n").expect("writable");
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    write("a", 0o644);
    write("setuid", 0o6755);
    write("d/sub/f", 0o640);
    write("sw/x/z", 0o644);
    for path in ["ig/kept/f", "ig/kept/g", "ig/lost/f", "ig/h", "of/lost/f", "of/g"] {
        write(path, 0o644);
    }
    fs::set_permissions(context.join("ig/kept"), fs::Permissions::from_mode(0o700)).expect("ours");
    // An exception that begins with a pattern is lost.
    fs::write(context.join(".dockerignore"), "ig/*\nof\n!ig/kept/f\n!*/lost\n").expect("writable");
    let sub = context.join("d/sub");
    fs::set_permissions(&sub, fs::Permissions::from_mode(0o711)).expect("it is ours");
    chown(&sub, Some(5), Some(6)).expect("tests run as root");
    let tar = ["--owner=7", "--group=8", "-cf", "ar.tar", "a", "d"];
    run(command("tar").args(tar).current_dir(context)).ok();
}

/// What differs is as in buildah where that is wanted.
pub(crate) fn check(shop: &Shop) {
    let scratch = scratch();
    let context = scratch.join("context");
    write_context(&context);
    let made = |builder: Builder, (flag, text): (&str, &str)| {
        let file = scratch.join(format!("{builder:?}{flag}"));
        fs::write(&file, text).expect("writable");
        let mut arguments = vec![flag.to_owned()];
        if builder == Builder::Cooper {
            arguments.push("--compat=buildah".to_owned());
        }
        let case = Prepared { file, context: context.clone(), arguments };
        let outcome = shop.build(builder, &case).ok();
        let id = outcome.text().lines().last().expect("a build ends with an ID").to_owned();
        Built::of(&shop.read(builder, &id))
    };
    std::thread::scope(|scope| {
        let made = &made;
        let all = [("--layers=true", LAYERS), ("--layers=false", ONE_LAYER)].map(|build| {
            let theirs = scope.spawn(move || made(Builder::Buildah, build));
            (build.0, made(Builder::Cooper, build), theirs)
        });
        for (flag, ours, theirs) in all {
            let theirs = theirs.join().expect("buildah builds it");
            let found = differences(&ours, &theirs);
            assert!(found.is_empty(), "{flag}:\n{}", found.join("\n"));
            assert!(ours.files.contains_key("w/t/a") && ours.files.contains_key("vol/y"));
        }
    });
}
