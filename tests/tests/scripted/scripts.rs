//! Scripts as users have them, in which the program is called buildah: run once with that one, and once
//! with ours under its name.

use std::path::Path;

use tests::{Access, Outcome, PeerStore, Registry, Scratch, again, command, has, run, scratch};

use crate::{TOOLS, program, store_with_base};

/// What a script left: what it printed, its code, and what it made.
struct Ran {
    outcome: Outcome,
    store: PeerStore,
    _files: Scratch,
}

impl Ran {
    /// What an image says of itself.
    #[track_caller]
    fn says(&self, image: &str, template: &str) -> String {
        let line = ["inspect", "--type", "image", "--format", template, image];
        self.store.run("buildah", &line).ok().text().to_owned()
    }

    /// All files of an image, as its layers have them.
    #[track_caller]
    fn files(&self, image: &str) -> Vec<String> {
        let container = self.store.run("buildah", &["from", "--pull-never", image]).ok();
        let container = container.text();
        let root = self.store.run("buildah", &["mount", container]).ok().text().to_owned();
        let line =
            "find . -printf '%p %m %U %G %y %l\\n' | sort; find . -type f | sort | xargs sha256sum";
        let listed = run(command("sh").args(["-c", line]).current_dir(&root)).ok();
        self.store.run("buildah", &["rm", container]).ok();
        listed.text().lines().map(str::to_owned).collect()
    }
}

/// Runs a script in which `buildah` is buildah, or ours: a directory with a link of that name comes first.
fn ran(script: &str, is_ours: bool, more: &[(&str, &str)]) -> Ran {
    let (store, files) = (store_with_base(), scratch());
    let mut options = command("x");
    store.at_store(&mut options);
    let options: Vec<String> =
        options.get_args().map(|word| word.to_str().expect("they are text").to_owned()).collect();
    std::fs::create_dir(files.join("bin")).expect("a scratch directory is writable");
    let real = match is_ours {
        true => program().to_owned(),
        false => run(command("sh").args(["-c", "command -v buildah"])).ok().text().to_owned(),
    };
    // Users have their store in storage.conf; this one is for the script alone.
    std::os::unix::fs::symlink(&real, files.join("bin/real")).expect("it is writable");
    let wrapper = format!(
        "#!/bin/sh\nverb=$1; shift\ncase $verb in manifest) verb=\"manifest $1\"; shift;; esac\n\
         exec {} {} $verb \"$@\"\n",
        files.at("bin/real"),
        options.join(" ")
    );
    let at = files.join("bin/buildah");
    std::fs::write(&at, wrapper).expect("it is writable");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(&at, mode).expect("it is ours");
    let path = format!("{}:{}", files.at("bin"), std::env::var("PATH").unwrap_or_default());
    let mut shell = command("sh");
    shell.args(["-ec", script]).current_dir(&*files).env("PATH", path);
    shell.env("BUILDAH_ISOLATION", "chroot").envs(more.iter().copied());
    let outcome = run(&mut shell);
    Ran { outcome, store, _files: files }
}

/// Both print the same, and end alike.
#[track_caller]
fn both(script: &str, more: &[(&str, &str)]) -> [Ran; 2] {
    let ours = ran(script, true, more);
    let is_same = |theirs: &Ran| theirs.outcome.text() == ours.outcome.text();
    let theirs = again(|| ran(script, false, more), is_same);
    assert_eq!(theirs.outcome.code, 0, "{}", theirs.outcome);
    assert_eq!(ours.outcome.code, 0, "{}", ours.outcome);
    assert_eq!(ours.outcome.text(), theirs.outcome.text(), "{}", ours.outcome);
    [theirs, ours]
}

#[test]
fn a_distribution_is_made_from_nothing() {
    if !has(&TOOLS) || !has(&["dpkg", "dpkg-deb"]) {
        return;
    }
    let script = r#"
        mkdir -p pkg/DEBIAN pkg/usr/bin
        printf 'Package: tool\nVersion: 1\nArchitecture: all\nMaintainer: me\nDescription: x\n' > pkg/DEBIAN/control
        cp /bin/busybox pkg/usr/bin/busybox
        SOURCE_DATE_EPOCH=0 dpkg-deb -b pkg tool.deb > /dev/null
        ctr=$(buildah from scratch)
        echo "working in $ctr"
        mnt=$(buildah mount $ctr)
        mkdir -p $mnt/var/lib/dpkg/info $mnt/var/lib/dpkg/updates $mnt/var/lib/dpkg/triggers $mnt/etc $mnt/tmp
        : > $mnt/var/lib/dpkg/status
        echo 'root:x:0:0:root:/root:/bin/sh' > $mnt/etc/passwd
        chmod 1777 $mnt/tmp
        dpkg --root=$mnt --log=/dev/null --force-script-chrootless -i tool.deb > /dev/null 2>&1
        rm -rf $mnt/var/lib/dpkg/status-old $mnt/var/lib/dpkg/lock*
        find $mnt -exec touch -h -d @0 {} +
        buildah umount $ctr > /dev/null
        buildah run $ctr -- /usr/bin/busybox echo it runs
        rm -rf $mnt/dev $mnt/proc $mnt/sys
        buildah config --cmd '["/usr/bin/busybox", "sh"]' --env PATH=/usr/bin --label distribution=none \
            --author me --workingdir / --stop-signal TERM $ctr
        buildah commit -q --rm --timestamp 0 --identity-label=false $ctr distribution > id
        buildah images --format '{{.Name}}:{{.Tag}}' distribution
        buildah inspect --type image --format '{{.OCIv1.Config.Cmd}} {{.OCIv1.Author}}' distribution
        buildah containers -q
    "#;
    let [theirs, ours] = both(script, &[]);
    for template in ["{{.OCIv1.Config}}", "{{.OCIv1.History}}", "{{.OCIv1.Created}}"] {
        assert_eq!(ours.says("distribution", template), theirs.says("distribution", template));
    }
    let is_of_run = |line: &String| {
        // Mount points that buildah leaves behind.
        [
            "./dev",
            "./proc",
            "./sys",
            "./run",
            "./etc/hosts",
            "./etc/resolv.conf",
            "./etc/hostname",
            ". ",
        ]
        .iter()
        .any(|path| line.contains(path))
    };
    let [mut theirs, mut ours] = [theirs, ours].map(|ran| ran.files("distribution"));
    theirs.retain(|line| !is_of_run(line));
    ours.retain(|line| !is_of_run(line));
    assert_eq!(ours, theirs);
    assert!(ours.iter().any(|line| line.starts_with("./usr/bin/busybox ")));
}

#[test]
fn an_application_is_made_upon_a_base() {
    if !has(&TOOLS) {
        return;
    }
    let script = r#"
        mkdir -p app/lib app/.git
        echo 'echo "hello from $0 in $APP_ENV"; cat lib/data; id -u' > app/main.sh
        echo data > app/lib/data
        echo junk > app/.git/config
        printf '.git\n' > ignore
        find app -exec touch -d @0 {} +
        ctr=$(buildah from --name app-builder base)
        buildah run $ctr -- sh -c 'mkdir -p /srv/app && echo "app:x:77:77::/srv/app:/bin/sh" > /etc/passwd' 2>/dev/null ||
            buildah run $ctr -- sh -c 'mkdir -p /srv/app /etc; echo "app:x:77:77::/srv/app:/bin/sh" > /etc/passwd'
        buildah copy -q --chown 77:77 --contextdir $PWD/app --ignorefile $PWD/ignore $ctr $PWD/app /srv/app
        buildah config --workingdir /srv/app --user app --env APP_ENV=production \
            --entrypoint '["sh", "main.sh"]' --cmd '' --port 8080/tcp --volume /srv/data $ctr
        buildah run $ctr -- sh main.sh
        buildah run --user 0 --env APP_ENV=test $ctr -- sh main.sh
        buildah run $ctr -- sh -c 'exit 3' 2>/dev/null || echo "failed with $?"
        buildah run -v $PWD/app:/other:ro --workingdir /other $ctr -- sh -c 'ls; touch x 2>/dev/null || echo read-only'
        buildah run --mount type=tmpfs,target=/scratch $ctr -- sh -c 'touch /scratch/x; ls /scratch'
        for tag in 1.0 latest; do buildah commit -q $ctr app:$tag > /dev/null; done
        buildah rm $ctr > /dev/null
        buildah images --format '{{.Name}}:{{.Tag}}' | sort
        buildah inspect --type image --format '{{.OCIv1.Config.Entrypoint}} {{.OCIv1.Config.User}} {{.OCIv1.Config.ExposedPorts}} {{.OCIv1.Config.Volumes}} {{.OCIv1.Config.Env}}' app:1.0
    "#;
    let [theirs, ours] = both(script, &[]);
    let of_app = |ran: &Ran| {
        let mut files = ran.files("app:1.0");
        files.retain(|line| line.contains("./srv/app"));
        files
    };
    assert_eq!(of_app(&ours), of_app(&theirs));
    assert!(Path::new(&ours.store.root()).exists());
}

#[test]
fn a_list_for_several_platforms_is_pushed_to_a_registry() {
    if !has(&TOOLS) || !has(&["docker-registry", "skopeo"]) {
        return;
    }
    let files = scratch();
    let registry = Registry::start(&files, Access::Plain);
    let script = r#"
        buildah manifest create app:multi > /dev/null
        for arch in amd64 arm64 s390x; do
            ctr=$(buildah from --arch $arch scratch)
            mnt=$(buildah mount $ctr)
            echo $arch > $mnt/arch
            touch -d @0 $mnt/arch $mnt
            buildah umount $ctr > /dev/null
            buildah config --arch $arch --cmd /app $ctr
            buildah commit -q --rm --timestamp 0 --identity-label=false --manifest app:multi $ctr > /dev/null
        done
        buildah manifest inspect app:multi
        buildah manifest exists app:multi && echo there
        buildah manifest push -q --all --tls-verify=false app:multi docker://$PLACE/app:multi
        buildah manifest rm app:multi | sed 's/[0-9a-f]\{64\}/ID/'
        buildah manifest create second > /dev/null
        buildah manifest add --all --tls-verify=false second docker://$PLACE/app:multi | sed 's/[0-9a-f]\{64\}/ID/g'
        buildah manifest inspect second | grep -c '"digest"'
    "#;
    let conf = files.at("registries.conf");
    let text = format!("[[registry]]\nlocation = {:?}\ninsecure = true\n", registry.address());
    std::fs::write(&conf, text).expect("a scratch directory is writable");
    let place = |name: &str| format!("{}/{name}", registry.address());
    let run = |is_ours: bool, name: &str| {
        let more = [("PLACE", place(name)), ("CONTAINERS_REGISTRIES_CONF", conf.clone())];
        let more: Vec<(&str, &str)> =
            more.iter().map(|(key, value)| (*key, value.as_str())).collect();
        let ran = ran(script, is_ours, &more);
        assert_eq!(ran.outcome.code, 0, "{}", ran.outcome);
        ran
    };
    let (theirs, ours) = (run(false, "theirs"), run(true, "ours"));
    assert_eq!(ours.outcome.text(), theirs.outcome.text());
    // What was pushed is the same image for each platform.
    let pushed = |name: &str, arch: &str| {
        let line = format!(
            "--override-arch {arch} inspect --tls-verify=false --format {{{{.Digest}}}}{{{{.Layers}}}} docker://{}/app:multi",
            place(name)
        );
        tests::skopeo(&line).ok()
    };
    for arch in ["amd64", "arm64", "s390x"] {
        pushed("ours", arch);
        pushed("theirs", arch);
    }
}
