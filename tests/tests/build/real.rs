//! Images as people build them, upon a base by debootstrap: packages installed, a program compiled in one
//! stage and taken over into another, an application in Python.

use std::fs;
use std::path::Path;

use tests::{Outcome, PeerStore, Scratch, again, command, cooper_built, debian, has, run, scratch};

use crate::TOOLS;

/// Builds with cooper, in a store, from a context.
#[track_caller]
fn cooper(store: &PeerStore, arguments: &[&str], context: &Path) -> Outcome {
    let mut build = command(cooper_built());
    run(store.at_store(&mut build).args(arguments).arg(context))
}

/// A store with the base, and a context with a Containerfile.
fn begin(text: &str) -> (PeerStore, Scratch) {
    let (store, context) = (PeerStore::new(), scratch());
    store.podman(&["load", "-q", "-i", &debian().display().to_string()]).ok();
    fs::write(context.join("Containerfile"), text).expect("a scratch directory is writable");
    (store, context)
}

/// The machine's own settings of apt, for as long as a command runs.
const APT: [&str; 2] = ["-v", "/etc/apt:/etc/apt:ro"];

#[test]
fn packages_are_installed_and_a_python_application_runs_in_podman_s_world() {
    if !has(&TOOLS) {
        return;
    }
    let (store, context) = begin(
        "FROM localhost/debian:test\n\
         RUN apt-get -qq update && apt-get -qq -y install --no-install-recommends openssh-client python3-minimal >/dev/null \
          && rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin\n\
         RUN ssh-keygen -q -t ed25519 -N '' -f /root/key && test -s /root/key\n\
         CMD [\"ssh\", \"-V\"]\n",
    );
    cooper(&store, &[["build", "-q", "-t", "localhost/ssh"].as_slice(), &APT].concat(), &context)
        .ok();
    // The group of a package, and the set-group-ID bit: what a build without real users loses.
    let run = ["run", "--isolation", "chroot", "ssh-test", "--"];
    store.run("buildah", &["from", "-q", "--name", "ssh-test", "localhost/ssh"]).ok();
    let stat = ["stat", "-c", "%a %G", "/usr/bin/ssh-agent"];
    let agent = store.run("buildah", &[run.as_slice(), &stat].concat()).ok();
    assert_eq!(agent.text(), "2755 _ssh");
    // What was mounted while commands ran is not in the image.
    let listed =
        ["sh", "-c", "ls /var/lib/apt/lists /etc/apt; dpkg -V openssh-client && echo whole"];
    let said = store.run("buildah", &[run.as_slice(), &listed].concat()).ok();
    assert!(said.text().ends_with("whole"), "{said}");
    store.run("buildah", &["rm", "ssh-test"]).ok();
    store.podman(&["image", "inspect", "localhost/ssh"]).ok();
    python_application(&store, &context);
}

/// Builds an application of several modules upon an image with Python, and runs it as the user that it is for.
#[track_caller]
fn python_application(store: &PeerStore, context: &Path) {
    let text = "FROM localhost/ssh\n\
         WORKDIR /srv\n\
         COPY --chown=nobody:nogroup app app\n\
         RUN python3 -m py_compile app/words.py && test -d app/__pycache__\n\
         USER nobody\n\
         ENV GREETING=hello\n\
         RUN python3 -m app build > /tmp/said && test \"$(cat /tmp/said)\" = 'hello build of nobody'\n\
         CMD [\"python3\", \"-m\", \"app\", \"world\"]\n";
    let words = "import os, pwd\n\ndef greeting(whom):\n    \
         user = pwd.getpwuid(os.getuid()).pw_name\n    \
         return f\"{os.environ['GREETING']} {whom} of {user}\"\n";
    let main = "import sys\nfrom app.words import greeting\nprint(greeting(sys.argv[1]))\n";
    fs::create_dir(context.join("app")).expect("writable");
    for (name, text) in
        [("Containerfile.app", text), ("app/words.py", words), ("app/__main__.py", main)]
    {
        fs::write(context.join(name), text).expect("writable");
    }
    let file = context.join("Containerfile.app").display().to_string();
    cooper(store, &["build", "-q", "-t", "localhost/app", "-f", &file], context).ok();
    store.run("buildah", &["from", "-q", "--name", "app-test", "localhost/app"]).ok();
    let run = ["run", "--isolation", "chroot", "app-test", "--", "python3", "-m", "app", "world"];
    assert_eq!(store.run("buildah", &run).ok().text(), "hello world of nobody");
    store.run("buildah", &["rm", "app-test"]).ok();
}

/// The packages of a compiler, and how it is called. Where the program does without a library, a small one does, which is
/// installed in no time.
#[cfg(target_arch = "x86_64")]
const COMPILER: (&str, &str) = ("tcc", "tcc -nostdlib");
#[cfg(not(target_arch = "x86_64"))]
const COMPILER: (&str, &str) = ("gcc libc6-dev", "gcc -O1");

/// A program that prints a word.
#[cfg(target_arch = "x86_64")]
const PROGRAM: &str = r#"
static long call(long number, long a, long b, long c) {
    long result;
    __asm__ volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b), "d"(c) : "rcx", "r11", "memory");
    return result;
}
void _start(void) {
    static const char said[] = "WORD\n";
    call(1, 1, (long)said, sizeof said - 1);
    call(60, 0, 0, 0);
}
"#;
#[cfg(not(target_arch = "x86_64"))]
const PROGRAM: &str = r#"
#include <stdio.h>
int main(void) { puts("WORD"); return 0; }
"#;

#[test]
fn a_program_is_compiled_in_one_stage_and_taken_over_into_another() {
    if !has(&TOOLS) {
        return;
    }
    let (packages, compiler) = COMPILER;
    let (store, context) = begin(&format!(
        "FROM localhost/debian:test AS tools\n\
         RUN --mount=type=cache,target=/var/cache/apt,sharing=locked apt-get -qq update \
          && apt-get -qq -y install --no-install-recommends {packages} >/dev/null\n\
         FROM tools AS build\n\
         WORKDIR /src\n\
         COPY hello.c .\n\
         RUN {compiler} -static -o /hello hello.c\n\
         FROM localhost/debian:test AS unused\n\
         RUN exit 1\n\
         FROM scratch\n\
         COPY --from=build /hello /hello\n\
         RUN [\"/hello\"]\n\
         ENTRYPOINT [\"/hello\"]\n"
    ));
    let source = |word: &str| PROGRAM.replace("WORD", word);
    fs::write(context.join("hello.c"), source("hello")).expect("writable");
    let arguments = [["build", "-t", "localhost/hello"].as_slice(), &APT].concat();
    let first = cooper(&store, &arguments, &context).ok();
    let id = |outcome: &Outcome| outcome.text().lines().last().expect("an ID").to_owned();
    let second = cooper(&store, &arguments, &context).ok();
    assert_eq!(id(&first), id(&second), "nothing changed, and the image did");
    fs::write(context.join("hello.c"), source("goodbye")).expect("writable");
    let third = cooper(&store, &[arguments.as_slice(), &["--explain"]].concat(), &context).ok();
    assert_ne!(id(&first), id(&third));
    assert!(third.stderr.contains("hello.c"), "the file that changed is named: {third}");
    let name = ["from", "-q", "--name", "hello-test", "localhost/hello"];
    store.run("buildah", &name).ok();
    let run = ["run", "--isolation", "chroot", "hello-test", "--", "/hello"];
    let said = again(|| store.run("buildah", &run).ok(), |said| !said.text().is_empty());
    assert_eq!(said.text(), "goodbye");
    store.run("buildah", &["rm", "hello-test"]).ok();
}

#[test]
fn the_same_input_is_the_same_image_in_any_store_and_directory() {
    if !has(&TOOLS) {
        return;
    }
    let text = "FROM localhost/debian:test\n\
        FROM localhost/debian:test\n\
         ARG WORD=world\n\
         ENV WORD=$WORD\n\
         COPY --chown=nobody:nogroup --chmod=u=rwX,go=rX app /app\n\
         USER nobody\n\
         RUN test \"$(id -un)\" = nobody && test -r /app/main.py && test \"$WORD\" = world\n\
         CMD [\"python3\", \"/app/main.py\"]\n";
    let mut ids = Vec::new();
    for _ in 0..2 {
        let (store, context) = begin(text);
        fs::create_dir(context.join("app")).expect("writable");
        fs::write(context.join("app/main.py"), "print('hello')\n").expect("writable");
        // When a file changed is a part of the input: copies keep it.
        run(command("touch")
            .args(["-d", "@1485449953", "app/main.py", "app"])
            .current_dir(&*context))
        .ok();
        let built = cooper(&store, &["build", "-q", "-t", "localhost/app"], &context).ok();
        ids.push(built.text().to_owned());
    }
    assert_eq!(ids[0], ids[1], "another store, another directory, another time: another image");
}
