//! Signatures that lie aside, with skopeo making and verifying them.

use std::process::Command;

use tests::{
    Access, Outcome, Registry, Scratch, command, digest, dray_built, fixtures, has, run, scratch,
};

const TOOLS: [&str; 6] = ["skopeo", "buildah", "podman", "busybox", "docker-registry", "gpg"];

const KEY: &str = "signer@example.com";

/// A registry, a configuration of where its signatures are, and a key of GnuPG.
struct Scene {
    scratch: Scratch,
    registry: Registry,
}

impl Scene {
    fn new() -> Option<Self> {
        if !has(&TOOLS) {
            return None;
        }
        let scratch = scratch();
        let registry = Registry::start(&scratch, Access::Plain);
        let scene = Self { scratch, registry };
        std::fs::create_dir(scene.scratch.join("d")).expect("it is writable");
        let text = format!(
            "docker:\n  {}/signed:\n    sigstore: file://{}\n  {0}/other:\n    lookaside: file://{}\n",
            scene.registry.address(),
            scene.scratch.at("aside"),
            scene.scratch.at("elsewhere")
        );
        std::fs::write(scene.scratch.join("d/it.yaml"), text).expect("it is writable");
        scene.make_key();
        Some(scene)
    }

    fn with_key(&self, program: &str) -> Command {
        let mut command = command(program);
        command.env("GNUPGHOME", self.scratch.at("g"));
        command
    }

    fn make_key(&self) {
        use std::os::unix::fs::PermissionsExt as _;
        let home = self.scratch.join("g");
        std::fs::create_dir(&home).expect("it is writable");
        std::fs::set_permissions(&home, std::fs::Permissions::from_mode(0o700))
            .expect("it is ours");
        let make = ["--batch", "--passphrase", "", "--quick-gen-key", KEY];
        run(self.with_key("gpg").args(make)).ok();
        let public = run(self.with_key("gpg").args(["--export", KEY])).ok();
        std::fs::write(self.scratch.join("key.gpg"), public.stdout).expect("it is writable");
    }

    fn place(&self, name: &str) -> String {
        format!("docker://{}/{name}", self.registry.address())
    }

    /// The manifest's signatures, below one of the directories.
    fn signatures(&self, place: &str, name: &str) -> Vec<Vec<u8>> {
        let digest = digest(&fixtures().buildah_oci).replace(':', "=");
        let folder = self.scratch.join(place).join(format!("{name}@{digest}"));
        let read = |number| std::fs::read(folder.join(format!("signature-{number}"))).ok();
        (1..).map_while(read).collect()
    }

    /// Copies as `dray` does, with this configuration.
    fn dray(&self, flags: &str, from: &str, to: &str) -> Outcome {
        let mut dray = command(dray_built());
        dray.args(["copy", "-q", "--registries.d", &self.scratch.at("d")]);
        dray.args(["--src-tls-verify=false", "--dest-tls-verify=false"]);
        run(dray.args(flags.split_whitespace()).args([from, to]))
    }

    fn skopeo(&self, global: &[&str], flags: &[&str], from: &str, to: &str) -> Outcome {
        let mut skopeo = self.with_key("skopeo");
        skopeo.args(["--registries.d", &self.scratch.at("d")]).args(global);
        skopeo.args(["copy", "-q", "--src-tls-verify=false", "--dest-tls-verify=false"]);
        run(skopeo.args(flags).args([from, to]))
    }

    /// Pushes an image that skopeo signs.
    fn push_signed(&self, name: &str) {
        let (from, to) = (&fixtures().buildah_oci, self.place(name));
        self.skopeo(&["--insecure-policy"], &["--sign-by", KEY], from, &to).ok();
    }

    /// Copies with a policy that wants a signature for `identity`.
    fn verify(&self, from: &str, identity: &str) -> Outcome {
        let policy = format!(
            r#"{{"default":[{{"type":"reject"}}],"transports":{{"docker":{{"":[{{"type":"signedBy",
            "keyType":"GPGKeys","keyPath":{:?},"signedIdentity":{{"type":"exactReference",
            "dockerReference":{identity:?}}}}}]}}}}}}"#,
            self.scratch.at("key.gpg")
        );
        std::fs::write(self.scratch.join("policy.json"), policy).expect("it is writable");
        let (policy, to) = (self.scratch.at("policy.json"), self.scratch.at("verified"));
        let _ = std::fs::remove_dir_all(&to);
        self.skopeo(&["--policy", &policy], &[], from, &format!("dir:{to}"))
    }
}

#[test]
fn signatures_of_skopeo_come_along_and_verify_wherever_they_went() {
    let Some(scene) = Scene::new() else { return };
    scene.push_signed("signed/it:1");
    let made = scene.signatures("aside", "signed/it");
    assert_eq!(made.len(), 1, "skopeo has put it there");
    let identity = format!("{}/signed/it:1", scene.registry.address());
    scene.verify(&scene.place("signed/it:1"), &identity).ok();
    // To a directory and back, and to another place of the registry.
    let dir = format!("dir:{}", scene.scratch.at("dir"));
    scene.dray("", &scene.place("signed/it:1"), &dir).ok();
    let in_dir = std::fs::read(scene.scratch.join("dir/signature-1")).expect("it is there");
    assert_eq!(in_dir, made[0]);
    for from in [dir, scene.place("signed/it:1")] {
        let to = scene.place("other/it:2");
        scene.dray("", &from, &to).ok();
        assert_eq!(scene.signatures("elsewhere", "other/it"), made);
        scene.verify(&to, &identity).ok();
        std::fs::remove_dir_all(scene.scratch.join("elsewhere")).expect("it was there");
        scene.verify(&to, &identity).ends(1).says("A signature was required");
    }
}

#[test]
fn what_cannot_keep_signatures_says_so_and_they_can_be_left_behind() {
    let Some(scene) = Scene::new() else { return };
    scene.push_signed("signed/it:1");
    let from = scene.place("signed/it:1");
    let layout = format!("oci:{}:it", scene.scratch.at("layout"));
    scene.dray("", &from, &layout).ends(1).says("Can not copy signatures to oci:");
    assert!(!scene.scratch.join("layout").exists());
    scene.dray("--remove-signatures", &from, &layout).ok();
    let unsigned = scene.place("other/it:1");
    scene.dray("--remove-signatures", &from, &unsigned).ok();
    assert_eq!(scene.signatures("elsewhere", "other/it").len(), 0);
    // What is signed does not change.
    scene.dray("--dest-compress-format zstd", &from, &unsigned).ends(1).says("signatures");
    // Two sections for one scope are one too many.
    std::fs::copy(scene.scratch.join("d/it.yaml"), scene.scratch.join("d/too.yaml"))
        .expect("it is writable");
    scene.dray("", &from, &layout).ends(1).says("defined both in");
}

#[test]
fn sync_takes_signatures_along() {
    let Some(scene) = Scene::new() else { return };
    scene.push_signed("signed/it:1");
    let made = scene.signatures("aside", "signed/it");
    let host = scene.registry.address();
    let sync = |expected: &str| {
        let mut dray = command(dray_built());
        dray.args(["sync", "--registries.d", &scene.scratch.at("d")]);
        dray.args(["--src-tls-verify=false", "--dest-tls-verify=false", "-s", "docker", "-d"]);
        dray.args(["docker", &format!("{host}/signed/it"), &format!("{host}/other")]);
        let done = run(&mut dray).ok();
        assert!(done.text().contains(expected), "{done}");
        assert_eq!(scene.signatures("elsewhere", "other/it"), made);
    };
    sync("copied");
    // A signature may be new though the image is not.
    std::fs::remove_dir_all(scene.scratch.join("elsewhere")).expect("it was there");
    sync("copied");
}
