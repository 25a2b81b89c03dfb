//! Commands.

use cask_build::{BuildNetwork, ErrorKind, Secret};
use cask_containerfile::Dialect;

use super::support::{BASE, Bench, outcomes};

#[test]
fn a_command_changes_files_and_mount_points_leave_no_trace() {
    let Some(bench) = Bench::with_shell() else { return };
    let report =
        bench.build(&format!("FROM {BASE}\nRUN echo hello; echo made >/made; rm /etc/group\n"));
    assert_eq!(bench.output(), "hello\n");
    let image = &report.images[0];
    assert_eq!(bench.read(image, "/made"), "made\n");
    assert!(!bench.has(image, "/etc/group"));
    // Neither /proc nor /etc/hosts, though the image has none.
    assert_eq!(bench.top_members(image), ["etc/", "etc/.wh.group", "made"]);
    bench.check_nothing_left();
}

#[test]
fn the_name_of_the_machine_has_a_file_unless_the_image_s_own_stays() {
    let Some(bench) = Bench::with_shell() else { return };
    bench.write("own", "own\n");
    let text = format!("FROM {BASE}\nCOPY own /etc/hostname\nRUN cat /etc/hostname\n");
    let mut request = bench.request(&text);
    let report = bench.run(&request).unwrap();
    assert_eq!(bench.output(), "buildkitsandbox\n");
    assert_eq!(bench.read(&report.images[0], "/etc/hostname"), "own\n");
    request.run.names.keep_host_name_file = true;
    bench.run(&request).unwrap();
    assert_eq!(bench.output(), "own\n");
}

#[test]
fn what_is_hidden_of_the_kernel_and_what_may_be_done_can_be_said() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE}\nRUN head -c1 /proc/version; cat /proc/keys; grep CapBnd /proc/self/status\n"
    );
    let mut request = bench.request(&text);
    bench.run(&request).unwrap();
    let usual = bench.output();
    assert!(usual.starts_with('L') && usual.contains("00000000800405fb"), "{usual}");
    request.run.privileges.mask.push("/proc/version".into());
    request.run.privileges.usual = Some(vec!["CAP_CHOWN".parse().unwrap()]);
    bench.run(&request).unwrap();
    assert_eq!(bench.output(), "CapBnd:\t0000000000000001\n");
}

#[test]
fn commands_of_every_stage_see_variables_of_the_caller() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE} AS one\nRUN echo $E >/e\nFROM {BASE}\nCOPY --from=one /e /e\nRUN cat /e; echo $E\n"
    );
    let mut request = bench.request(&text);
    request.image.edits.environment.push(("E".to_owned(), "F".to_owned()));
    bench.run(&request).unwrap();
    assert_eq!(bench.output(), "F\nF\n");
}

#[test]
fn a_device_may_be_outside_dev() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!("FROM {BASE}\nRUN echo gone >/a/null; test -c /a/null; cat /a/null\n");
    let mut request = bench.request(&text);
    let device = cask_runtime::Device::of("/dev/null".as_ref(), "/a/null").unwrap();
    request.run.devices.push(device);
    let report = bench.run(&request).unwrap_or_else(|error| panic!("{error:?}"));
    assert_eq!(bench.output(), "");
    assert!(!bench.has(&report.images[0], "/a"));
}

#[test]
fn a_command_that_changes_nothing_has_an_empty_layer() {
    let Some(bench) = Bench::with_shell() else { return };
    let report = bench.build(&format!("FROM {BASE}\nRUN cat /etc/hosts; ls /proc >/dev/null\n"));
    assert!(bench.output().contains("localhost"));
    assert!(bench.top_members(&report.images[0]).is_empty());
}

#[test]
fn the_same_commands_give_the_same_layer_at_any_time() {
    let Some(bench) = Bench::with_shell() else { return };
    let mut request =
        bench.request(&format!("FROM {BASE}\nRUN echo x >/x; mkdir -p /d/e; touch /etc/passwd\n"));
    request.cache.none = true;
    let first = bench.run(&request).unwrap();
    std::thread::sleep(std::time::Duration::from_millis(1100));
    let second = bench.run(&request).unwrap();
    assert_eq!(outcomes(&second), ["-", "miss"]);
    assert_eq!(first.images[0].id, second.images[0].id);
    let date = first.images[0].config.created.unwrap().unix_seconds();
    let status = bench.view(&first.images[0]).status("/x").unwrap().unwrap();
    assert_eq!(status.modified.seconds, date);
    // --timestamp is the time of everything, --source-date-epoch that of what is newer.
    request.image.dates.timestamp = Some(1000);
    let report = bench.run(&request).unwrap();
    let status = bench.view(&report.images[0]).status("/d/e").unwrap().unwrap();
    assert_eq!(status.modified.seconds, 1000);
    let entry = report.images[0].config.history.last().unwrap();
    assert_eq!(entry.created.unwrap().unix_seconds(), 1000);
}

#[test]
fn a_base_without_a_date_is_as_old_as_its_newest_file() {
    use cask_image::{
        Descriptor, Hasher, ImageConfig, ImageFormat, ImageManifest, LayerCompression,
    };
    let Some(bench) = Bench::with_shell() else { return };
    let base = bench.store.image_by_name(BASE).unwrap().unwrap();
    let chain = bench.store.layer_chain(base.top_layer.as_ref().unwrap()).unwrap();
    let mut config =
        ImageConfig::new("linux", cask_image::PlatformWanted::of_this_build().architecture);
    config.diff_ids = chain.iter().rev().map(|layer| layer.diff_digest.clone().unwrap()).collect();
    let bytes = config.encode();
    let digest = Hasher::digest(cask_image::Algorithm::Sha256, &bytes);
    let config = Descriptor::new(ImageFormat::Oci.config_type(), digest, bytes.len() as u64);
    let layers = chain.iter().rev().map(|layer| {
        let kind = cask_image::MediaType::OciLayer(LayerCompression::None);
        let size = u64::try_from(layer.diff_size_bytes).unwrap();
        Descriptor::new(kind, layer.diff_digest.clone().unwrap(), size)
    });
    let manifest = ImageManifest::new(ImageFormat::Oci, config, layers.collect()).encode();
    let mut image = cask_storage::NewImage::of_manifest(&manifest, &bytes).unwrap();
    image.names = vec!["localhost/undated:latest".to_owned()];
    let present = |layer: &cask_storage::Layer| cask_storage::NewLayer::Present(layer.id.clone());
    image.layers = chain.iter().rev().map(present).collect();
    bench.store.commit_image(image).unwrap();
    let report = bench.build("FROM localhost/undated\nRUN echo x >/x\n");
    let created = report.images[0].config.created.unwrap().unix_seconds();
    assert!(created > 1_600_000_000, "{created}");
}

#[test]
fn the_environment_is_that_of_the_image_the_arguments_and_the_proxies() {
    let Some(bench) = Bench::with_shell() else { return };
    let mut request = bench.request(&format!(
        "FROM {BASE}\nENV A=env B=\"x y\"\nARG C=arg\nARG A=later\nUSER user\nWORKDIR /home/user\nRUN env | sort; id; pwd; umask\n"
    ));
    request.run.proxies.insert("http_proxy".to_owned(), "http://p".to_owned());
    request.run.proxies.insert("SECRET".to_owned(), "no".to_owned());
    bench.run(&request).unwrap();
    let expected = "A=later\nB=x y\nC=arg\nHOME=/home/user\n\
        PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/home/user\nSHLVL=1\n\
        http_proxy=http://p\nuid=1000(user) gid=1000(user) groups=1000(user),2000(extra)\n/home/user\n0022\n";
    assert_eq!(bench.output(), expected);
}

#[test]
fn forms_of_commands() {
    let Some(bench) = Bench::with_shell() else { return };
    let check = |text: &str, expected: &str| {
        bench.build(&format!("FROM {BASE}\n{text}"));
        assert_eq!(bench.output(), expected, "{text}");
    };
    check("RUN [\"echo\", \"$HOME\", \"a b\"]\n", "$HOME a b\n");
    check("RUN <<EOF\necho 1\necho 2\nEOF\n", "1\n2\n");
    check("RUN <<EOF\n#!/bin/cat\nline\nEOF\n", "#!/bin/cat\nline\n");
    check("RUN cat <<A <<\"B\"\n1$HOME\nA\n2$HOME\nB\n", "2$HOME\n");
    check("SHELL [\"/bin/echo\", \"shell\"]\nRUN text here\n", "shell text here\n");
}

#[test]
fn a_command_that_fails_gives_its_status_and_its_place() {
    let Some(bench) = Bench::with_shell() else { return };
    let check = |command: &str, status: u8, expected: &str| {
        let text = format!("FROM {BASE}\nRUN echo kept >/kept\nRUN {command}\n");
        let error = bench.run(&bench.request(&text)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Command(status), "{error:?}");
        assert!(format!("{error:?}").contains(expected), "{error:?}");
        assert_eq!(error.location().unwrap().line, 3);
        bench.check_nothing_left();
    };
    check("exit 3", 3, "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3");
    check("[\"sh\", \"-c\", \"sh -c 'kill -9 $$'; exit $?\"]", 137, "exit code: 137");
    check("[\"/nowhere\"]", 127, "/nowhere");
    check("[\"/etc/passwd\"]", 126, "/etc/passwd");
    // What was done before is kept for the next build.
    let report = bench.build(&format!("FROM {BASE}\nRUN echo kept >/kept\nRUN true\n"));
    assert_eq!(outcomes(&report)[..2], ["-", "hit"]);
}

#[test]
fn users_that_the_image_does_not_have_are_refused() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!("FROM {BASE}\nUSER nobody-here\nRUN true\n");
    let error = bench.run(&bench.request(&text)).unwrap_err();
    assert_eq!(error.location().unwrap().line, 3);
    assert!(format!("{error:?}").contains("nobody-here"), "{error:?}");
}

#[test]
fn networks_are_none_or_the_machines() {
    let Some(bench) = Bench::with_shell() else { return };
    let count = "ls /sys/class/net | wc -l";
    bench.build(&format!("FROM {BASE}\nRUN --network=none {count}\n"));
    assert_eq!(bench.output(), "1\n");
    let mut request =
        bench.request(&format!("FROM {BASE}\nRUN {count}; cat /etc/resolv.conf /etc/hosts\n"));
    request.run.names.resolv_conf = "nameserver 192.0.2.1\n".to_owned();
    request.run.names.hosts.push(("db".to_owned(), "192.0.2.7".parse().unwrap()));
    request.run.network = BuildNetwork::None;
    bench.run(&request).unwrap();
    let output = bench.output();
    assert!(output.starts_with("1\nnameserver 192.0.2.1\n") && output.ends_with("192.0.2.7\tdb\n"));
    let mut request = bench.request(&format!("FROM {BASE}\nRUN --network=host true\n"));
    for own in [BuildNetwork::None, BuildNetwork::Private] {
        request.run.network = own;
        assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Invalid, "{own:?}");
    }
}

#[test]
fn insecure_commands_need_leave() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!("FROM {BASE}\nRUN --security=insecure grep CapEff /proc/self/status\n");
    let mut request = bench.request(&text);
    assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Invalid);
    request.run.privileges.danger_allow_insecure = true;
    bench.run(&request).unwrap();
    let all = bench.output();
    bench.build(&format!("FROM {BASE}\nRUN grep CapEff /proc/self/status\n"));
    assert_ne!(all, bench.output());
}

#[test]
fn secrets_are_for_their_command_alone() {
    let Some(bench) = Bench::with_shell() else { return };
    const MARK: &str = "kNbW7-very-secret-81";
    let text = format!(
        "FROM {BASE}\n\
         RUN --mount=type=secret,id=token sha256sum /run/secrets/token | cut -c1-8; ls -l /run/secrets/token | cut -c1-10\n\
         RUN --mount=type=secret,id=token,env=TOKEN echo ${{#TOKEN}}\n\
         RUN --mount=type=secret,id=token,target=/tok,mode=0444,uid=1000 cat /tok | wc -c\n\
         RUN ls /run/secrets /tok 2>/dev/null | wc -l; echo [$TOKEN]\n"
    );
    let mut request = bench.request(&text);
    request.run.secrets.insert("token".to_owned(), Secret::new(MARK.as_bytes().to_vec()));
    let report = bench.run(&request).unwrap();
    let output = bench.output();
    assert!(output.ends_with("20\n20\n0\n[]\n"), "{output}");
    assert!(output.contains("-r--------"), "{output}");
    assert!(!format!("{report:?}{request:?}").contains(MARK));
    // Nor is it in what is said of a command that fails.
    let mount = "--mount=type=secret,id=token,env=TOKEN --mount=type=secret,id=token";
    let mut failing = bench.request(&format!("FROM {BASE}\nRUN {mount} exit 3\n"));
    failing.run.secrets.clone_from(&request.run.secrets);
    assert!(!format!("{:?}", bench.run(&failing).unwrap_err()).contains(MARK));
    // Another secret is no reason to do anything again.
    request.run.secrets.insert("token".to_owned(), Secret::new(b"another".to_vec()));
    assert_eq!(outcomes(&bench.run(&request).unwrap()), ["-", "hit", "hit", "hit", "hit"]);
    let grep = std::process::Command::new("grep")
        .args(["-rac", MARK])
        .arg(bench.directory.path())
        .output()
        .unwrap();
    let found = String::from_utf8_lossy(&grep.stdout);
    assert!(found.lines().all(|line| line.ends_with(":0")), "{found}");
    let longest = Secret::new(vec![b'x'; Secret::MAX_BYTES + 1]);
    request.run.secrets.insert("token".to_owned(), longest);
    request.cache.none = true;
    assert_eq!(bench.run(&request).unwrap_err().kind(), ErrorKind::Limit);
    // One that is missing is silently absent, unless it is required.
    request.run.secrets.clear();
    request.cache.none = true;
    let error =
        bench
            .run(&bench.request(&format!(
                "FROM {BASE}\nRUN --mount=type=secret,id=token,required true\n"
            )));
    assert_eq!(error.unwrap_err().kind(), ErrorKind::Missing);
    bench.build(&format!(
        "FROM {BASE}\nRUN --mount=type=secret,id=token ls /run/secrets || echo none\n"
    ));
    assert!(bench.output().contains("none"));
}

#[test]
fn cve_2021_3602_commands_see_nothing_of_the_builder() {
    let Some(bench) = Bench::with_shell() else { return };
    bench.build(&format!(
        "FROM {BASE}\nRUN cat /proc/*/environ | tr '\\0' '\\n' | grep -c CARGO || echo none\n"
    ));
    assert!(bench.output().ends_with("none\n"));
}

#[test]
fn histories_are_those_of_the_peers() {
    let Some(bench) = Bench::with_shell() else { return };
    let text = format!(
        "FROM {BASE}\nARG B\nARG A=1\nARG C=2\nENV C=3\nCOPY --exclude=x <<end . /d/\nend\nRUN --network=none true\n"
    );
    let last =
        |report: &cask_build::BuildReport| report.images[0].config.history.last().unwrap().clone();
    let report = bench.build(&text);
    let history = &report.images[0].config.history;
    assert_eq!(history[history.len() - 2].created_by, "COPY . <<end /d/ # buildkit");
    let entry = last(&report);
    assert_eq!(entry.created_by, "RUN |3 B= A=1 C=3 /bin/sh -c true # buildkit");
    assert_eq!(entry.comment, "buildkit.dockerfile.v0");
    let mut request = bench.request(&text);
    request.dialect = Dialect::Buildah;
    let entry = last(&bench.run(&request).unwrap());
    assert_eq!(entry.created_by, "|2 A=1 C=3 /bin/sh -c --network=none true");
}
