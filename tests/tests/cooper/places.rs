//! `cooper build` and what is elsewhere: registries, repositories, agents, runtimes, terminals.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;
use tests::{Access, Outcome, PeerStore, Scratch, Served, command, has, is_root, run, scratch};

use crate::build::{RUN, cooper, last, program, with_busybox};
use crate::files;

/// The text of a file.
#[track_caller]
fn read(directory: &Scratch, name: &str) -> String {
    let path = directory.join(name);
    std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

/// Whether commands can be run here.
fn can_run() -> bool {
    has(&["busybox"]) && is_root()
}

#[test]
fn bases_are_pulled_by_policy() {
    let (scratch, store) = (scratch(), PeerStore::new());
    let served = Served::start(&scratch, Access::Plain);
    let base = format!("{}/it/base:1", served.address());
    let make = |text: &str| files(&[("Containerfile", "FROM scratch\nCOPY a /a\n"), ("a", text)]);
    let push = format!("build -q --tls-verify=false --push -t {base} .");
    let first = make("A");
    cooper(&PeerStore::new(), &first, &push).ok();
    let directory = files(&[("Containerfile", &format!("FROM {base}\nLABEL x=y\n"))]);
    let build = |policy: &str| {
        let before = served.log().lines().count();
        let line = format!("build --tls-verify=false {policy} -o out .");
        let outcome = cooper(&store, &directory, &line);
        (outcome, served.log().lines().count() - before)
    };
    let (outcome, requests) = build("--pull=never");
    outcome.ends(125).says("image not known").says(" --> Containerfile:1:1");
    assert_eq!(requests, 0);
    let (outcome, requests) = build("");
    assert!(outcome.ok().stderr.contains(&format!("Trying to pull {base}")), "it is missing");
    assert!(requests > 0);
    assert_eq!(read(&directory, "out/a"), "A");
    // Another image under the name, which only those see that look.
    cooper(&PeerStore::new(), &make("B"), &push).ok();
    for (policy, asks, expected) in [
        ("--pull=missing", false, "A"),
        ("--pull-never", false, "A"),
        ("--pull=newer", true, "B"),
        ("--pull", true, "B"),
        ("--pull-always", true, "B"),
    ] {
        let (outcome, requests) = build(policy);
        outcome.ok();
        assert_eq!(
            (requests > 0, read(&directory, "out/a").as_str()),
            (asks, expected),
            "{policy}"
        );
    }
    drop(served);
    // What is there serves, unless it must not.
    cooper(&store, &directory, "build --tls-verify=false --pull=newer --retry 0 .").ok();
    cooper(&store, &directory, "build --tls-verify=false --pull=always --retry 0 .").ends(125);
}

#[test]
fn results_are_pushed_in_any_compression() {
    let (scratch, store) = (scratch(), PeerStore::new());
    let served = Served::start(&scratch, Access::Plain);
    let at = |tag: &str| format!("{}/it/app:{tag}", served.address());
    let directory = files(&[("Containerfile", "FROM scratch\nCOPY a /a\n"), ("a", "A")]);
    let url = format!("http://{}/v2/", served.address());
    let added = format!("FROM scratch\nADD http://user:word@{}/v2/ /x\n", served.address());
    std::fs::write(directory.join("added"), added).expect("it is writable");
    for line in [
        format!("--push -t {} --iidfile-raw raw", at("plain")),
        format!("-o type=registry,name={},compression=zstd,compression-level=5", at("own")),
        format!("-o type=image,name={},push=true --compression-format zstd", at("flag")),
        format!("-o type=registry,name={},compression=zstd:chunked", at("pieces")),
        format!("--platform linux/amd64,linux/arm64 --push -t {}", at("list")),
        format!(
            "--provenance=mode=max,builder-id=https://h/ci --build-arg X=y --push -t {}",
            at("told")
        ),
        "--attest type=provenance -o out --metadata-file meta -f added".to_owned(),
    ] {
        cooper(&store, &directory, &format!("build -q --tls-verify=false {line} .")).ok();
    }
    let raw = |tag: &str| {
        tests::dray(&format!("inspect --raw --tls-verify=false docker://{}", at(tag))).ok().json()
    };
    let layer = |tag: &str| raw(tag)["layers"][0]["mediaType"].as_str().unwrap_or("").to_owned();
    assert!(layer("plain").ends_with(".tar+gzip"), "{}", layer("plain"));
    let pieces = raw("pieces")["layers"][0]["annotations"].clone();
    assert!(pieces["io.github.containers.zstd-chunked.tarsplit-position"].is_string(), "{pieces}");
    for tag in ["own", "flag", "pieces"] {
        assert!(layer(tag).ends_with(".tar+zstd"), "{tag}: {}", layer(tag));
    }
    assert_eq!(raw("list")["manifests"].as_array().map(Vec::len), Some(2));
    // What is told stands beside the image, as BuildKit has it.
    let told = raw("told");
    let [image, about] = [0, 1].map(|index| told["manifests"][index].clone());
    assert_eq!(about["annotations"]["vnd.docker.reference.type"], "attestation-manifest");
    assert_eq!(about["annotations"]["vnd.docker.reference.digest"], image["digest"]);
    assert_eq!(about["platform"]["os"], "unknown");
    let place = format!("docker://{}", at("told"));
    tests::dray(&format!("copy --all --src-tls-verify=false {place} dir:{}", directory.at("told")))
        .ok();
    let by = |descriptor: &Value| {
        let digest = descriptor["digest"].as_str().unwrap_or_default();
        digest.trim_start_matches("sha256:").to_owned()
    };
    let manifest: Value =
        serde_json::from_str(&read(&directory, &format!("told/{}.manifest.json", by(&about))))
            .expect("it is JSON");
    let statement: Value =
        serde_json::from_str(&read(&directory, &format!("told/{}", by(&manifest["layers"][0]))))
            .expect("it is JSON");
    assert_eq!(statement["predicateType"], "https://slsa.dev/provenance/v1");
    assert_eq!(statement["subject"][0]["digest"]["sha256"], by(&image));
    let definition = &statement["predicate"]["buildDefinition"];
    assert_eq!(definition["externalParameters"]["request"]["args"]["build-arg:X"], "y");
    assert_eq!(statement["predicate"]["runDetails"]["builder"]["id"], "https://h/ci");
    assert!(read(&directory, "meta").contains("\"buildx.build.provenance\""));
    let least = read(&directory, "out/provenance.json");
    assert!(least.contains("configSource") && !least.contains("build-arg"), "{least}");
    // What ADD got, without the password.
    let least: Value = serde_json::from_str(&least).expect("it is JSON");
    let fetched = &least["predicate"]["buildDefinition"]["resolvedDependencies"][0];
    assert_eq!(fetched["uri"], url.as_str());
    assert_eq!(fetched["digest"]["sha256"].as_str().map(str::len), Some(64), "{fetched}");
    let id = format!("sha256:{}", read(&directory, "raw"));
    assert_eq!(raw("plain")["config"]["digest"], id.as_str());
    cooper(&store, &directory, "build --compression-format xz .").ends(125).says("xz");
    let line = "build -o type=oci,dest=x,compression=estargz .";
    cooper(&store, &directory, line).ends(125).says("estargz cannot be written");
}

#[test]
fn an_image_that_names_its_steps_is_a_cache() {
    let (scratch, store) = (scratch(), PeerStore::new());
    let served = Served::start(&scratch, Access::Plain);
    let name = format!("{}/it/app:1", served.address());
    let directory = files(&[
        (
            "Containerfile",
            "FROM scratch AS one\nCOPY a /a\nFROM one\nCOPY b /b\nENV x=y\nCOPY c /c\n",
        ),
        ("a", "A"),
        ("b", "B"),
        ("c", "C"),
    ]);
    let from = format!("--cache-from type=registry,ref={name}");
    let line = format!("build --tls-verify=false --cache-to type=inline {from} --push -t {name} .");
    let first = cooper(&store, &directory, &line).ok();
    assert!(!first.text().contains("Using cache"), "there was nothing yet: {first}");
    std::fs::write(directory.join("c"), "D").expect("it is writable");
    let fresh = PeerStore::new();
    let line = format!("build --tls-verify=false {from} -o out .");
    let second = cooper(&fresh, &directory, &line).ok();
    assert_eq!(second.text().matches("--> Using cache").count(), 2, "{second}");
    assert_eq!((read(&directory, "out/b"), read(&directory, "out/c")), ("B".into(), "D".into()));
    let images = cooper(&fresh, &directory, "images -q").ok();
    assert!(!images.text().contains(&last(&first)[..12]), "it came for its layers alone: {images}");
    for (flags, words) in [
        ("--format docker", "needs --format=oci"),
        ("--squash", "needs the layers of the steps"),
        ("--platform linux/amd64,linux/arm64", "is for one platform"),
    ] {
        cooper(&fresh, &directory, &format!("build --cache-to type=inline {flags} ."))
            .ends(125)
            .says(words);
    }
}

#[test]
fn steps_come_from_other_stores_through_a_repository_and_a_layout() {
    let scratch = scratch();
    let served = Served::start(&scratch, Access::Plain);
    let repository = format!("{}/it/cache", served.address());
    let text = "FROM scratch AS one\nCOPY a /a\nWORKDIR /w\nFROM scratch\nCOPY --from=one /a /b\n";
    let directory = files(&[("Containerfile", text), ("a", "A")]);
    let hits = |outcome: &Outcome| outcome.text().matches("--> Using cache").count();
    for (to, from) in [
        (repository.clone(), repository.clone()),
        (
            format!("type=registry,ref={repository}:mine"),
            format!("type=registry,ref={repository}:mine"),
        ),
        (
            format!("type=local,dest={}", directory.at("steps")),
            format!("type=local,src={}", directory.at("steps")),
        ),
    ] {
        let store = PeerStore::new();
        let line = format!("build --tls-verify=false --cache-from {from} --cache-to {to} .");
        let first = cooper(&store, &directory, &line).ok();
        assert_eq!(hits(&first), 0, "there is nothing yet: {first}");
        assert!(!first.stderr.contains("warning"), "that is nothing to warn of: {first}");
        let images = cooper(&store, &directory, "images -a -q").ok();
        assert_eq!(images.text().lines().count(), 2, "the target, and the other stage's tip");
        // Another store, which has never seen the files.
        let elsewhere = PeerStore::new();
        let line = format!("build --tls-verify=false --cache-from {from} .");
        let second = cooper(&elsewhere, &directory, &line).ok();
        assert_eq!((hits(&second), last(&second)), (3, last(&first)), "{second}");
        assert_eq!(second.text().matches("--> Cache pulled from remote ").count(), 3, "{second}");
        let third = cooper(&elsewhere, &directory, "build .").ok();
        assert_eq!(hits(&third), 3, "they are kept here now: {third}");
        let images = cooper(&elsewhere, &directory, "images -a -q").ok();
        assert_eq!(images.text().lines().count(), 2, "{images}");
    }
    // One that cannot be reached is no reason to fail, and one that is too old is none.
    let store = PeerStore::new();
    cooper(&store, &directory, "build --cache-from 127.0.0.1:1/x --retry 0 .")
        .ok()
        .says("a remote cache cannot be used: docker://127.0.0.1:1/x: cannot be read: ");
    let aged = cooper(&store, &directory, "build --cache-ttl 0s .").ok();
    assert_eq!(hits(&aged), 0, "{aged}");
    assert_eq!(hits(&cooper(&store, &directory, "build --cache-ttl 1h .").ok()), 3);
    cooper(&store, &directory, "build --cache-from x:1 .")
        .ends(125)
        .says("must contain neither a tag nor digest");
}

/// Answers every request by HTTP with a file of a directory; and git's own protocol, with the
/// repositories that are in there.
struct Server {
    address: String,
}

impl Server {
    fn start(directory: PathBuf) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("loopback has a free port");
        let address = listener.local_addr().expect("it has an address").to_string();
        let directory = Arc::new(directory);
        // It ends with the process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let directory = Arc::clone(&directory);
                thread::spawn(move || drop(answer(stream, &directory)));
            }
        });
        Self { address }
    }
}

fn answer(mut stream: TcpStream, directory: &Path) -> std::io::Result<()> {
    let mut start = [0; 4];
    stream.read_exact(&mut start)?;
    if &start != b"GET " {
        let length =
            std::str::from_utf8(&start).ok().and_then(|hex| usize::from_str_radix(hex, 16).ok());
        let mut line = vec![0; length.unwrap_or(4).saturating_sub(4)];
        stream.read_exact(&mut line)?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let path =
            line.split([' ', '\0']).nth(1).unwrap_or_default().trim_start_matches('/').to_owned();
        let mut upload = Command::new("git");
        upload.arg("upload-pack").arg(directory.join(path));
        if line.contains("version=2") {
            upload.env("GIT_PROTOCOL", "version=2");
        }
        upload.stdin(OwnedFd::from(stream.try_clone()?)).stdout(OwnedFd::from(stream));
        upload.status()?;
        return Ok(());
    }
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut request = String::new();
    reader.read_line(&mut request)?;
    let mut header = String::new();
    while reader.read_line(&mut header)? > 2 {
        header.clear();
    }
    let path = request.split_whitespace().next().unwrap_or_default().trim_start_matches('/');
    match std::fs::read(directory.join(path)) {
        Ok(body) => {
            let date = match path.contains("dated") {
                true => "Last-Modified: Sat, 03 Feb 2001 04:05:06 GMT\r\n",
                false => "",
            };
            let length = body.len();
            write!(
                stream,
                "HTTP/1.1 200 OK\r\n{date}Content-Length: {length}\r\nConnection: close\r\n\r\n"
            )?;
            stream.write_all(&body)
        }
        Err(_) => write!(
            stream,
            "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        ),
    }
}

#[test]
fn contexts_come_from_repositories_and_servers() {
    if !has(&["git"]) {
        return;
    }
    let tree = files(&[
        ("repo/Containerfile", "FROM scratch\nCOPY a /a\n"),
        ("repo/a", "one"),
        ("repo/sub/Dockerfile", "FROM scratch\nCOPY b /b\n"),
        ("repo/sub/b", "B"),
    ]);
    let script = "set -e; git init -q -b main; git add .; \
                  c='git -c user.name=x -c user.email=x commit -q'; $c -m one; git tag v1; \
                  echo two > a; $c -a -m two; git clone -q --bare . ../repo.git; \
                  tar -czf ../ctx.tar.gz a Containerfile sub";
    run(command("sh").args(["-c", script]).current_dir(tree.join("repo"))).ok();
    let server = Server::start(tree.to_path_buf());
    let (git, http) =
        (format!("git://{}/repo.git", server.address), format!("http://{}", server.address));
    let (store, directory) = (PeerStore::new(), scratch());
    for (context, file, text) in [
        (git.clone(), "a", "two\n"),
        (format!("{git}#v1"), "a", "one"),
        (format!("{git}#main:sub"), "b", "B"),
        (format!("{http}/ctx.tar.gz"), "a", "two\n"),
        (format!("-f {http}/repo/Containerfile {}", tree.at("repo")), "a", "two\n"),
    ] {
        cooper(&store, &directory, &format!("build -q -o out {context}")).ok();
        assert_eq!(read(&directory, &format!("out/{file}")), text, "{context}");
        std::fs::remove_dir_all(directory.join("out")).expect("it is there");
    }
    for (context, words) in [
        (format!("{git}#nope"), "has no reference \"nope\""),
        (format!("{git}#main:../.."), "leads out of the repository"),
        (format!("{http}/nothing.tar"), "404"),
        (format!("file://{}", tree.at("repo.git")), "not allowed"),
    ] {
        cooper(&store, &directory, &format!("build -q -o out {context}")).ends(125).says(words);
        assert!(!directory.join("out").exists(), "{context}");
    }
    // Both as contexts with names, and the files of one as what a stage begins with.
    let file = "FROM git\nCOPY --from=http /a /of-http\n";
    std::fs::write(directory.join("Containerfile"), file).expect("it is writable");
    let line = format!(
        "build -q -o out --build-context git={git}#v1 --build-context http={http}/ctx.tar.gz ."
    );
    cooper(&store, &directory, &line).ok();
    assert_eq!(
        (read(&directory, "out/a"), read(&directory, "out/of-http")),
        ("one".into(), "two\n".into())
    );
}

#[test]
fn what_add_downloads_is_as_old_as_its_server_says() {
    let served = files(&[("dated", "D"), ("other", "O")]);
    let server = Server::start(served.to_path_buf());
    let (store, address) = (PeerStore::new(), &server.address);
    let file = format!("FROM scratch\nADD http://{address}/dated http://{address}/other /\n");
    let directory = files(&[("Containerfile", &file)]);
    let mut ids = Vec::new();
    for _ in 0..2 {
        ids.push(last(
            &cooper(&store, &directory, "build --no-cache -o type=tar,dest=out.tar .").ok(),
        ));
        let line = format!("--utc --full-time -tvf {}", directory.at("out.tar"));
        let listed = tests::tool("tar", &line).ok();
        let line = |name: &str| {
            let found = listed.text().lines().find(|line| line.ends_with(name));
            found.unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ")
        };
        assert_eq!(line("dated"), "-rw------- 0/0 1 2001-02-03 04:05:06 dated");
        assert_eq!(line("other"), "-rw------- 0/0 1 1970-01-01 00:00:00 other");
    }
    assert_eq!(ids[0], ids[1]);
}

#[test]
fn from_begins_with_images_that_contexts_name() {
    let (store, scratch) = (PeerStore::new(), scratch());
    let served = Served::start(&scratch, Access::Plain);
    let base = files(&[("Containerfile", "FROM scratch\nCOPY a /a\nENV X=y\n"), ("a", "A")]);
    let name = format!("{}/it/named:1", served.address());
    let layout = base.at("layout");
    let push = format!("build -q --tls-verify=false --push -t {name} -t oci:{layout}:v1 .");
    cooper(&PeerStore::new(), &base, &push).ok();
    let directory = files(&[("Containerfile", "FROM named\nCOPY b /b\n"), ("b", "B")]);
    for context in [format!("docker-image://{name}"), format!("oci-layout://{layout}:v1")] {
        let line = format!(
            "build -q --tls-verify=false --build-context named={context} -o out -t localhost/it ."
        );
        cooper(&store, &directory, &line).ok();
        assert_eq!(
            (read(&directory, "out/a"), read(&directory, "out/b")),
            ("A".into(), "B".into())
        );
        let env = cooper(
            &store,
            &directory,
            "inspect --type image --format {{.OCIv1.Config.Env}} localhost/it",
        );
        assert!(env.ok().text().contains("X=y"), "{context}");
        std::fs::remove_dir_all(directory.join("out")).expect("it is there");
    }
}

#[test]
fn several_files_make_one() {
    let directory = files(&[
        ("base.cf", "ARG V=1\nFROM scratch AS base\nCOPY a /a\n"),
        ("app.cf", "FROM base\nARG V\nLABEL v=$V\nCOPY a /b\n"),
        ("bad.cf", "FROM base\nCOPY nothing /\n"),
        ("a", "A"),
    ]);
    let store = PeerStore::new();
    cooper(&store, &directory, "build -q -f base.cf -f app.cf -o out -t localhost/it .").ok();
    assert_eq!((read(&directory, "out/a"), read(&directory, "out/b")), ("A".into(), "A".into()));
    // The line is that of its own file.
    cooper(&store, &directory, "build -f base.cf -f bad.cf .").ends(125).says(" --> bad.cf:2:1");
}

#[test]
fn a_file_is_checked_and_nothing_is_built() {
    let directory = files(&[("Containerfile", "FROM scratch AS B\nCOPY nothing /\n")]);
    let store = PeerStore::new();
    let outcome = cooper(&store, &directory, "build --check .").ends(1);
    assert!(outcome.text().contains("StageNameCasing"), "{outcome}");
    let outcome = outcome.says("Check complete, 1 warning has been found!");
    assert!(!outcome.text().contains("STEP"), "{outcome}");
    std::fs::write(directory.join("Containerfile"), "FROM scratch\nLABEL a=b\n").expect("writable");
    cooper(&store, &directory, "build --check").ok().says("Check complete, no warnings found.");
    assert_eq!(cooper(&store, &directory, "images -a -q").ok().text(), "");
}

#[test]
fn what_commands_change_of_an_overlay_goes_with_them() {
    if !can_run() || !has(&["runc"]) {
        return;
    }
    let (store, volume) = (PeerStore::new(), files(&[("file", "old\n")]));
    let change = "echo new > /x/file; echo more > /x/more; /bin/busybox cat /x/file > /seen";
    let look = "/bin/busybox ls /x >> /seen; /bin/busybox cat /x/file >> /seen";
    let directory = with_busybox(&format!("{RUN}RUN {change}\nRUN {look}\n"));
    for isolation in ["", "--isolation oci --runtime runc"] {
        let place = volume.at("");
        let line = format!("build -q --no-cache {isolation} -v {place}:/x:O -o out .");
        cooper(&store, &directory, &line).ok();
        assert_eq!(read(&directory, "out/seen"), "new\nfile\nold\n", "{isolation}");
        assert_eq!(read(&volume, "file"), "old\n");
        assert!(!volume.join("more").exists());
    }
}

#[test]
fn commands_keep_the_groups_of_whoever_builds() {
    if !can_run() || !has(&["setpriv"]) {
        return;
    }
    let store = PeerStore::new();
    let directory = with_busybox(&format!("{RUN}RUN /bin/busybox id -G > /groups\n"));
    let line = "build -q --group-add keep-groups -o out .";
    let program = program(&store, &directory, line);
    let words = std::iter::once(program.get_program()).chain(program.get_args());
    let mut kept = command("setpriv");
    kept.args(["--groups", "77,4321"]).args(words).current_dir(directory.at(""));
    run(&mut kept).ok();
    assert_eq!(read(&directory, "out/groups"), "0 77 4321\n");
    cooper(&store, &directory, "build --group-add keep-groups --group-add 5 .")
        .ends(125)
        .says("is not allowed with any other");
}

#[test]
fn commands_run_with_an_oci_runtime() {
    if !can_run() || !has(&["runc"]) {
        return;
    }
    let store = PeerStore::new();
    let directory =
        with_busybox(&format!("{RUN}RUN echo $$ > /pid; /bin/busybox id -u >> /pid\nRUN exit 7\n"));
    for line in ["--isolation oci --runtime runc", "--isolation oci", "--runtime runc"] {
        cooper(&store, &directory, &format!("build --no-cache {line} .")).ends(7);
    }
    let text = read(&directory, "Containerfile").replace("RUN exit 7\n", "");
    std::fs::write(directory.join("Containerfile"), text).expect("it is writable");
    cooper(&store, &directory, "build -q --no-cache --runtime runc -o out .").ok();
    assert_eq!(read(&directory, "out/pid"), "1\n0\n", "the first process, and root");
    let left: Vec<_> =
        std::fs::read_dir(directory.join("out")).expect("it is there").flatten().collect();
    assert_eq!(left.len(), 2, "no mount point stays: {left:?}");
    cooper(&store, &directory, "build --runtime nothing-here .").ends(125).says("nothing-here");
    cooper(&store, &directory, "build --runtime runc --memory 64m .")
        .ends(125)
        .says("supported by --isolation=native only");
}

#[test]
fn what_commands_use_is_limited() {
    if !can_run() {
        return;
    }
    let store = PeerStore::new();
    // It wants to have all lines before it prints the last one.
    let directory = with_busybox(&format!(
        "{RUN}RUN --mount=type=tmpfs,target=/t /bin/busybox dd if=/dev/zero of=/t/x bs=1M count=200\n"
    ));
    let outcome = cooper(&store, &directory, "build --memory 32m --memory-swap 32m .");
    assert!([1, 137].contains(&outcome.code), "{outcome}");
    cooper(&store, &directory, "build -q --memory 600m --cpu-shares 512 .").ok();
    cooper(&store, &directory, "build --memory 64m --memory-swap 32m .")
        .ends(125)
        .says("it is not less than --memory");
}

#[test]
fn commands_have_the_processors_groups_devices_and_namespaces_that_were_asked_for() {
    if !can_run() {
        return;
    }
    let store = PeerStore::new();
    let directory = with_busybox(&format!(
        "{RUN}RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin\n\
         RUN (p=$(grep -m 1 /cask-it- /proc/self/cgroup); p=${{p##*:}}; \
         cat /cg/cpu$p/cpu.cfs_quota_us 2>&- || sed 's/ .*//' /cg$p/cpu.max; \
         grep -o 'Cpus_allowed_list.*' /proc/self/status | tr -dc 0-9; echo; \
         stat -c %t:%T /dev/some/where; echo x > /dev/some/where; id -G; \
         readlink /proc/self/ns/ipc; readlink /proc/self/ns/uts; test -d /proc/{pid} && echo seen) > /seen\n",
        pid = std::process::id(),
    ));
    let parent = format!("cask-it-{}", std::process::id());
    let flags = "--cpu-period 50000 --cpu-quota 25000 --cpuset-cpus 0 --cpuset-mems 0 --cpu-shares 512 \
                 --device /dev/null:/dev/some/where --group-add 7 --group-add 8 -v /sys/fs/cgroup:/cg:ro \
                 --ipc host --uts ns:/proc/self/ns/uts --pid host --cgroupns host";
    let line = format!("build -q --cgroup-parent /{parent} {flags} -o out .");
    let outcome = cooper(&store, &directory, &line);
    // Groups above those of commands stay.
    for place in std::fs::read_dir("/sys/fs/cgroup").expect("there are groups").flatten() {
        let _ = std::fs::remove_dir(place.path().join(&parent));
    }
    let _ = std::fs::remove_dir(Path::new("/sys/fs/cgroup").join(&parent));
    outcome.ok();
    let own = |name: &str| {
        let link = std::fs::read_link(format!("/proc/self/ns/{name}")).expect("it has one");
        link.display().to_string()
    };
    let profile = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [
        {"names": ["mkdir", "mkdirat"], "action": "SCMP_ACT_ERRNO", "errnoRet": 28}]}"#;
    std::fs::write(directory.join("no-directories.json"), profile).expect("it is writable");
    std::fs::write(directory.join("made"), format!("{RUN}RUN /bin/busybox mkdir /made\n"))
        .expect("it is writable");
    for runtime in ["", "--isolation oci --runtime runc"] {
        let line = format!(
            "build --no-cache {runtime} --security-opt seccomp=no-directories.json -f made ."
        );
        if runtime.is_empty() || has(&["runc"]) {
            let outcome = cooper(&store, &directory, &line).ends(1);
            // As the image's own program says it.
            assert!(outcome.stderr.contains("No space left on device"), "{outcome}");
        }
    }
    let expected = format!("25000\n0\n1:3\n0 7 8\n{}\n{}\nseen\n", own("ipc"), own("uts"));
    assert_eq!(read(&directory, "out/seen"), expected);
}

/// An agent that ends with the test.
struct Agent(Child);

impl Drop for Agent {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

#[test]
fn an_agent_is_there_for_commands_that_ask_for_it() {
    if !can_run() || !has(&["ssh-agent", "ssh-add", "ssh-keygen"]) {
        return;
    }
    let store = PeerStore::new();
    let add = "/usr/bin/ssh-add -l";
    let directory = with_busybox(&format!(
        "{RUN}COPY passwd /etc/\nRUN --mount=type=ssh {add} > /seen\n\
         RUN test -z \"$SSH_AUTH_SOCK\" && echo none >> /seen\n"
    ));
    std::fs::write(directory.join("passwd"), "root:x:0:0:root:/root:/bin/sh\n").expect("writable");
    let (socket, key) = (directory.at("agent"), directory.at("key"));
    run(command("ssh-keygen").args(["-q", "-t", "ed25519", "-N", "", "-C", "of-test", "-f", &key]))
        .ok();
    let mut agent = command("ssh-agent");
    agent.args(["-D", "-a", &socket]).stdout(Stdio::null()).stderr(Stdio::null());
    let _agent = Agent(agent.spawn().expect("ssh-agent runs"));
    let begun = Instant::now();
    while !Path::new(&socket).exists() && begun.elapsed() < Duration::from_secs(20) {
        thread::sleep(Duration::from_millis(10));
    }
    run(command("ssh-add").args(["-q", &key]).env("SSH_AUTH_SOCK", &socket)).ok();
    let libraries = "-v /usr:/usr:ro -v /usr/lib:/lib:ro -v /usr/lib64:/lib64:ro";
    let line = format!("build -q {libraries} --ssh default -o out .");
    run(program(&store, &directory, &line).env("SSH_AUTH_SOCK", &socket)).ok();
    let seen = read(&directory, "out/seen");
    assert!(seen.contains("of-test") && seen.ends_with("none\n"), "{seen}");
    assert!(!directory.join("out/run/buildkit").exists());
    run(program(&store, &directory, "build --ssh default .").env_remove("SSH_AUTH_SOCK"))
        .ends(125)
        .says("SSH_AUTH_SOCK is not set");
    // An agent of the build's own has the key, and is gone with it.
    let line = format!("build -q --no-cache {libraries} --ssh default={key} -o own .");
    run(program(&store, &directory, &line).env_remove("SSH_AUTH_SOCK")).ok();
    assert_eq!(read(&directory, "own/seen"), seen);
    cooper(&store, &directory, &format!("build --ssh default={} .", directory.at("passwd")))
        .ends(125)
        .says("nor a key that ssh-add takes");
}

/// A command on a terminal.
fn on_a_terminal(command: &Command) -> Command {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
    let mut script = tests::command("script");
    script
        .args(["-qec", &line.join(" "), "/dev/null"])
        .env("TERM", "xterm")
        .env("SHELL", "/bin/sh");
    if let Some(directory) = command.get_current_dir() {
        script.current_dir(directory);
    }
    script
}

/// What a command prints on a terminal.
#[track_caller]
fn on_terminal(command: &Command) -> Outcome {
    let (reader, writer) = std::io::pipe().expect("a pipe can be made");
    let outcome = run(on_a_terminal(command).stdin(reader));
    // Open as long as it ran: a terminal whose keyboard is gone hangs up.
    drop(writer);
    outcome
}

/// What a command prints on a terminal, and how it ends, where somebody types a text whenever they have seen another.
#[track_caller]
fn typing(command: &Command, turns: &[(&str, &str)]) -> (String, Option<i32>) {
    let mut script = on_a_terminal(command);
    let started = script.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn();
    let mut child = started.expect("script runs");
    let (mut keyboard, mut screen) =
        (child.stdin.take().expect("it is piped"), child.stdout.take().expect("it is piped"));
    let (sender, shown) = std::sync::mpsc::channel();
    let reading = thread::spawn(move || {
        let mut buffer = [0; 4096];
        while let Ok(count @ 1..) = screen.read(&mut buffer) {
            let _ = sender.send(String::from_utf8_lossy(&buffer[..count]).into_owned());
        }
    });
    let (mut all, mut looked_at) = (String::new(), 0);
    for (seen, typed) in turns {
        while !all[looked_at..].contains(seen) {
            match shown.recv_timeout(Duration::from_secs(60)) {
                Ok(text) => all.push_str(&text),
                Err(_) => {
                    let _ = child.kill();
                    panic!("{seen:?} is not shown: {all}");
                }
            }
        }
        looked_at = all.len();
        keyboard.write_all(typed.as_bytes()).expect("it runs");
    }
    all.extend(shown.iter());
    reading.join().expect("it reads");
    (all, child.wait().expect("it is a child").code())
}

#[test]
fn a_shell_with_a_terminal_of_its_own_opens_in_the_step_that_failed() {
    if !can_run() || !has(&["script"]) {
        return;
    }
    let store = PeerStore::new();
    let directory = with_busybox(&format!(
        "{RUN}RUN [\"/bin/busybox\", \"--install\", \"-s\", \"/bin\"]\nENV PATH=/bin FOO=bar\nWORKDIR /w\n\
         RUN echo made > f; exit 9\n"
    ));
    let turns = [
        ("/w # ", "echo \"$(cat f) $FOO $(pwd) $$ $(tty)\" | sed s/^/seen:/\n"),
        // What interrupts ends the command, and neither the shell nor the build.
        ("seen:made bar /w 1 /dev/pts/0", "sh -c 'echo be\"\"gun; exec sleep 600'\n"),
        ("begun", "\u{3}"),
        ("/w # ", "echo ended:$?\n"),
        ("ended:130", "exit 3\n"),
    ];
    let (text, code) = typing(&program(&store, &directory, "build --debug ."), &turns);
    assert!(text.contains("this is a shell where it left off"), "{text}");
    assert!(!text.contains("job control turned off"), "{text}");
    assert_eq!(code, Some(9), "the command's status, whatever the shell's was: {text}");
    assert!(text.contains("RUN echo made > f; exit 9"), "{text}");
}

#[test]
fn on_a_terminal_steps_are_shown_as_they_run_and_the_id_stays() {
    if !can_run() || !has(&["script"]) {
        return;
    }
    let store = PeerStore::new();
    let directory = with_busybox(&format!(
        "{RUN}RUN echo one; /bin/busybox sleep 0.4; echo two\nRUN echo three\n"
    ));
    let outcome = on_terminal(&program(&store, &directory, "build ."));
    let text = String::from_utf8_lossy(&outcome.stdout).replace("\r\n", "\n");
    assert_eq!(outcome.code, 0, "{text}");
    // A line is drawn over as long as the step runs.
    let drawn = text.matches("STEP 4/5: RUN echo one").count();
    assert!(drawn >= 3 && text.contains("\x1b[1A\r"), "{drawn}: {text:?}");
    for line in ["one", "two", "three"] {
        assert!(
            text.contains(&format!("\r{line}\x1b[K")) || text.contains(&format!("\n{line}\x1b[K")),
            "{line}: {text:?}"
        );
    }
    // Nothing is drawn over the ID.
    let id = text.trim_end().lines().last().unwrap_or_default();
    let id = id.trim_start_matches("\x1b[J");
    assert!(id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit()), "{text:?}");
    let again = on_terminal(&program(&store, &directory, "build ."));
    assert!(String::from_utf8_lossy(&again.stdout).contains("from the cache"), "{again}");
}

#[test]
fn skopeo_podman_and_docker_read_and_run_what_was_built() {
    if !can_run() || !has(&["docker", "podman", "skopeo", "runc"]) {
        return;
    }
    let store = PeerStore::new();
    let directory =
        with_busybox(&format!("{RUN}RUN echo made > /made\nCMD [\"/bin/busybox\", \"id\"]\n"));
    let name = "example.com/built-by-cooper:1";
    let line =
        format!("build -q --format docker -t {name} -o type=docker,dest=d.tar,name={name} .");
    cooper(&store, &directory, &line).ok();
    let id = store.podman(&["image", "inspect", "--format", "{{.Id}}", name]).ok();
    let archive = directory.at("d.tar");
    let shown = tests::skopeo(&format!("inspect --config docker-archive:{archive}")).ok().json();
    assert_eq!(shown["config"]["Cmd"][1], "id");
    let daemon = tests::daemon();
    daemon.docker(&format!("load -q -i {archive}")).ok();
    let loaded = daemon.docker(&format!("inspect --format {{{{.Id}}}} {name}")).ok();
    assert_eq!(loaded.text(), format!("sha256:{}", id.text()));
    daemon.docker(&format!("create --name built-by-cooper {name}")).ok();
    let files = directory.at("export.tar");
    daemon.docker(&format!("export -o {files} built-by-cooper")).ok();
    let made = run(command("tar").args(["-xOf", &files, "made"])).ok();
    assert_eq!(made.text(), "made");
    let ran = daemon.docker(&format!("run --rm --network none {name}")).ok();
    assert!(ran.text().starts_with("uid=0"), "{ran}");
    let run = "run --rm --runtime runc --cgroup-manager cgroupfs --network none --ulimit nofile=1024:1024 --ulimit nproc=1024:1024";
    let run: Vec<&str> = run.split(' ').chain([name]).collect();
    let ran = store.podman(&run).ok();
    assert!(ran.text().starts_with("uid=0"), "{ran}");
}

#[test]
fn cve_2024_23653_privileges_are_for_who_was_allowed_them_with_and_without_a_shell() {
    let (store, directory) = (PeerStore::new(), scratch());
    for (instruction, flags, words) in [
        ("RUN --security=insecure true", "", "security.insecure is not allowed"),
        ("RUN --network=host true", "--network=none", "the build was asked to have no network"),
    ] {
        let file = format!("FROM scratch\n{instruction}\n");
        std::fs::write(directory.join("Containerfile"), file).expect("it is writable");
        for shell in ["", "--debug"] {
            let outcome = cooper(&store, &directory, &format!("build {flags} {shell} ."));
            let outcome = outcome.ends(125).says(words);
            assert!(!outcome.stderr.contains("a shell where it left off"), "{outcome}");
        }
    }
}
