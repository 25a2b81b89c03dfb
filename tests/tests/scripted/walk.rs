//! A walk over one store: cooper, buildah, cellar and podman take turns with working containers and
//! images.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use tests::{Outcome, PeerStore, again, has};

use crate::{program, store_with_base};

/// How many operations a walk has.
const STEPS: usize = 100;
/// On a machine that is slow, or busy, a walk ends here; of so many steps at least.
const TIME: Duration = Duration::from_secs(12);
const FEWEST: usize = 25;
/// After so many steps the store is looked at by everybody.
const LOOK_EVERY: usize = 5;

struct Walk {
    store: PeerStore,
    state: u64,
    steps: Vec<String>,
    serial: usize,
    /// Working containers, and what the file `/step` of each says.
    containers: BTreeMap<String, String>,
    /// Images, and the same.
    images: BTreeMap<String, String>,
}

impl Walk {
    fn roll(&mut self, sides: usize) -> usize {
        self.state = self.state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from((self.state >> 33) % sides as u64).expect("it is less than the sides")
    }

    fn builder(&mut self) -> &'static str {
        [program(), "buildah"][self.roll(2)]
    }

    fn run(&mut self, tool: &str, arguments: &[&str]) -> Outcome {
        let outcome = match tool {
            "cellar" => self.store.cellar(arguments),
            tool => self.store.run(tool, arguments),
        };
        self.steps.push(outcome.line.clone());
        assert!(outcome.code == 0, "{outcome}\nafter\n{}", self.steps.join("\n"));
        outcome
    }

    fn pick(&mut self, from: &BTreeMap<String, String>) -> Option<(String, String)> {
        let number = if from.is_empty() { return None } else { self.roll(from.len()) };
        from.iter().nth(number).map(|(name, step)| (name.clone(), step.clone()))
    }

    fn step(&mut self) {
        let container = self.pick(&self.containers.clone());
        let image = self.pick(&self.images.clone());
        self.serial += 1;
        let Some((container, said)) = container.filter(|_| self.containers.len() > 1) else {
            return self.begin(image);
        };
        match self.roll(14) {
            0 | 1 => self.begin(image),
            2..=4 => self.write(&container),
            5 => self.copy(&container),
            6 => self.configure(&container),
            7 | 8 => self.commit(&container, said),
            9 => self.rename(&container),
            10 => self.remove(&container),
            11 => self.read(&container, &said),
            12 => self.tag(image),
            _ => self.untag(image),
        }
    }

    fn begin(&mut self, image: Option<(String, String)>) {
        let (image, said) = image.unwrap_or(("localhost/base:latest".into(), String::new()));
        let builder = self.builder();
        let made = self.run(builder, &["from", "--pull-never", &image]);
        self.containers.insert(made.text().to_owned(), said);
    }

    fn write(&mut self, container: &str) {
        let (builder, said) = (self.builder(), format!("step {}", self.serial));
        let script = format!("echo {said} > /step");
        self.run(builder, &["run", "--isolation", "chroot", container, "--", "sh", "-c", &script]);
        self.containers.insert(container.to_owned(), said);
    }

    fn copy(&mut self, container: &str) {
        let (builder, to) = (self.builder(), format!("/copied/{}", self.serial));
        self.run(builder, &["copy", "-q", container, "/bin/busybox", &to]);
    }

    fn configure(&mut self, container: &str) {
        let (builder, variable) = (self.builder(), format!("STEP={}", self.serial));
        self.run(builder, &["config", "--env", &variable, container]);
    }

    fn commit(&mut self, container: &str, said: String) {
        let (builder, name) = (self.builder(), format!("localhost/walk:{}", self.serial));
        self.run(builder, &["commit", "-q", container, &name]);
        self.images.insert(name, said);
    }

    fn rename(&mut self, container: &str) {
        let (builder, name) = (self.builder(), format!("renamed-{}", self.serial));
        self.run(builder, &["rename", container, &name]);
        let said = self.containers.remove(container).unwrap_or_default();
        self.containers.insert(name, said);
    }

    fn remove(&mut self, container: &str) {
        let builder = self.builder();
        self.run(builder, &["rm", container]);
        self.containers.remove(container);
    }

    /// What one wrote, the other reads.
    fn read(&mut self, container: &str, said: &str) {
        let builder = self.builder();
        let line = ["run", "--isolation", "chroot", container, "--", "sh", "-c"];
        let line = [line.as_slice(), &["cat /step 2>/dev/null; true"]].concat();
        let read = again(|| self.run(builder, &line), |read| read.text() == said);
        assert_eq!(read.text(), said, "after\n{}", self.steps.join("\n"));
    }

    fn tag(&mut self, image: Option<(String, String)>) {
        let Some((image, said)) = image else { return };
        let tool = ["cellar", "podman", program(), "buildah"][self.roll(4)];
        let name = format!("localhost/tagged:{}", self.serial);
        self.run(tool, &["tag", &image, &name]);
        self.images.insert(name, said);
    }

    fn untag(&mut self, image: Option<(String, String)>) {
        let Some((image, _)) = image else { return };
        let tool = ["cellar", "podman"][self.roll(2)];
        self.run(tool, &["untag", &image, &image]);
        self.images.remove(&image);
    }

    /// Everybody sees the same, and the store is whole.
    fn look(&self) {
        let after = || format!("after\n{}", self.steps.join("\n"));
        let check = self.store.cellar(&["system", "check"]);
        assert!(check.code == 0 && check.text().is_empty(), "{check}\n{}", after());
        let lines = |tool: &str, arguments: &[&str]| {
            let outcome = self.store.run(tool, arguments).ok();
            let mut lines: Vec<String> = outcome.text().lines().map(str::to_owned).collect();
            lines.sort();
            lines
        };
        let known: Vec<String> = self.containers.keys().cloned().collect();
        let listed = ["containers", "--format", "{{.ContainerName}}"];
        for builder in [program(), "buildah"] {
            assert_eq!(lines(builder, &listed), known, "{builder} {}", after());
        }
        let podman = lines("podman", &["ps", "-a", "--external", "--format", "{{.Names}}"]);
        assert_eq!(podman, known, "{}", after());
        let listed = ["images", "--format", "{{.Name}}:{{.Tag}} {{.ID}}"];
        let images = lines(program(), &listed);
        assert_eq!(images, lines("buildah", &listed), "{}", after());
        for name in self.images.keys() {
            let is_there = images.iter().any(|line| line.starts_with(&format!("{name} ")));
            assert!(is_there, "{name} {images:?} {}", after());
        }
    }
}

#[test]
fn a_walk_of_four_programs_leaves_containers_and_images_whole() {
    if !has(&["buildah", "busybox", "podman"]) {
        return;
    }
    let seed = std::env::var("CASK_WALK").ok().and_then(|text| text.parse().ok()).unwrap_or(1);
    let mut walk = Walk {
        store: store_with_base(),
        state: seed,
        steps: Vec::new(),
        serial: 0,
        containers: BTreeMap::new(),
        images: BTreeMap::new(),
    };
    let began = Instant::now();
    let mut done = 0;
    while done < STEPS && (done < FEWEST || began.elapsed() < TIME) {
        walk.step();
        done += 1;
        if done % LOOK_EVERY == 0 {
            walk.look();
        }
    }
    walk.look();
    for builder in [program(), "buildah"] {
        walk.store.run(builder, &["rm", "-a"]).ok();
    }
    walk.store.cellar(&["rmi", "-af"]).ok();
    assert_eq!(crate::layers(&walk.store), Vec::<String>::new());
}
