//! Random walks over one store, with the tool chosen at random; and all tools at once.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use tests::{
    Access, Outcome, PeerStore, Registry, Scratch, dray_with, fixtures, has, scratch, skopeo_with,
};

use crate::TOOLS;

/// How many operations a walk has.
const STEPS: usize = 200;
/// On a machine that is slow, or busy, a walk ends here; of so many steps at least.
const TIME: Duration = Duration::from_secs(100);
const FEWEST: usize = 40;
const PLAIN: &str = "--tls-verify=false";

/// Numbers that look random, and are the same for the same seed.
///
/// Source: Vigna, `splitmix64`.
struct Dice(u64);

impl Dice {
    fn roll(&mut self, sides: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        usize::try_from((z ^ (z >> 31)) % sides as u64).expect("it is less than the sides")
    }

    fn pick<'t, T: ?Sized>(&mut self, from: &[&'t T]) -> &'t T {
        from[self.roll(from.len())]
    }
}

/// What the walk goes over.
struct Walk {
    store: PeerStore,
    scratch: Scratch,
    registry: Registry,
    dice: Dice,
    steps: Vec<String>,
    serial: usize,
    /// What is in the registry.
    pushed: Vec<String>,
}

/// What a step does to names.
enum Effect {
    /// There is this one now.
    Has(String),
    /// This one has gone.
    Lacks(String),
    /// Nothing that could be told beforehand.
    Any,
}

impl Walk {
    fn start(seed: u64) -> Option<Self> {
        if !has(&TOOLS) || !has(&["skopeo", "docker-registry"]) {
            return None;
        }
        let (store, scratch) = (PeerStore::new(), scratch());
        let registry = Registry::start(&scratch, Access::Plain);
        std::fs::write(scratch.join("Containerfile"), "FROM base\nCOPY Containerfile /\n")
            .expect("a scratch directory is writable");
        let dice = Dice(seed);
        let mut walk = Self {
            store,
            scratch,
            registry,
            dice,
            steps: Vec::new(),
            serial: 0,
            pushed: Vec::new(),
        };
        for (from, to) in [(&fixtures().buildah_oci, "it:1"), (&fixtures().buildah_dir, "it:2")] {
            let name = format!("{}/{to}", walk.registry.address());
            let to = format!("docker://{name}");
            skopeo_with(&["copy", "-q", "--dest-tls-verify=false", from, &to]).ok();
            walk.pushed.push(name);
        }
        Some(walk)
    }

    /// The images by their names, as a tool lists them.
    #[track_caller]
    fn names(&self, tool: &str) -> BTreeMap<String, String> {
        let line = ["images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}"];
        let listed = self.run(tool, &line).ok();
        let pairs = listed.text().lines().filter_map(|line| line.split_once(' '));
        let named = pairs.filter(|(name, _)| !name.contains("<none>"));
        named.map(|(name, id)| (name.to_owned(), id.to_owned())).collect()
    }

    /// Runs podman, buildah or cellar.
    #[track_caller]
    fn run(&self, tool: &str, arguments: &[&str]) -> Outcome {
        match tool {
            "cellar" => self.store.cellar(arguments),
            tool => self.store.run(tool, arguments),
        }
    }

    fn new_name(&mut self) -> String {
        self.serial += 1;
        format!("localhost/walk:{}", self.serial)
    }

    /// A name of an image that is there.
    fn any_name(&mut self) -> Option<String> {
        let names: Vec<String> = self.names("cellar").into_keys().collect();
        match names.len() {
            0 => None,
            count => Some(names[self.dice.roll(count)].clone()),
        }
    }

    /// Does one thing, which has to work.
    fn step(&mut self) -> Effect {
        let Some(name) = self.any_name() else { return self.pull() };
        match self.dice.roll(20) {
            0..=3 => self.pull(),
            4..=6 => self.tag(&name),
            7 => self.untag(&name),
            8..=11 => self.remove(&name),
            12 | 13 => self.push(&name),
            14..=16 => self.save_and_load(&name),
            17 => self.build(&name),
            18 => self.import(),
            _ => self.look(&name),
        }
    }

    fn done(&mut self, outcome: Outcome) {
        self.steps.push(outcome.line.clone());
        assert!(outcome.code == 0, "{}\nafter\n{}", outcome, self.steps.join("\n"));
    }

    fn pull(&mut self) -> Effect {
        let name = self.pushed[self.dice.roll(self.pushed.len())].clone();
        let (place, store) = (format!("docker://{name}"), self.store.location(&name));
        let tool = self.dice.pick(&["podman", "buildah", "cellar", "skopeo", "dray"]);
        let copy = ["--insecure-policy", "copy", "-q", "--src-tls-verify=false", &place, &store];
        let outcome = match tool {
            "skopeo" => skopeo_with(&copy),
            "dray" => dray_with(&copy),
            tool => self.run(tool, &["pull", "-q", PLAIN, &name]),
        };
        self.done(outcome);
        Effect::Has(name)
    }

    fn tag(&mut self, name: &str) -> Effect {
        let new = self.new_name();
        let outcome = match self.dice.pick(&["podman", "buildah", "cellar", "dray"]) {
            "dray" => dray_with(&["--insecure-policy", "tag", &self.store.location(name), &new]),
            tool => self.run(tool, &["tag", name, &new]),
        };
        self.done(outcome);
        Effect::Has(new)
    }

    fn untag(&mut self, name: &str) -> Effect {
        let tool = self.dice.pick(&["podman", "cellar"]);
        let outcome = self.run(tool, &["untag", name, name]);
        self.done(outcome);
        Effect::Lacks(name.to_owned())
    }

    fn remove(&mut self, name: &str) -> Effect {
        let location = self.store.location(name);
        let outcome = match self.dice.pick(&["podman", "buildah", "cellar", "skopeo", "dray"]) {
            "skopeo" => skopeo_with(&["--insecure-policy", "delete", &location]),
            "dray" => dray_with(&["--insecure-policy", "delete", &location]),
            tool => self.run(tool, &["rmi", name]),
        };
        self.done(outcome);
        Effect::Lacks(name.to_owned())
    }

    fn push(&mut self, name: &str) -> Effect {
        self.serial += 1;
        let to = format!("{}/pushed:{}", self.registry.address(), self.serial);
        let (place, store) = (format!("docker://{to}"), self.store.location(name));
        let tool = self.dice.pick(&["podman", "buildah", "cellar", "skopeo", "dray"]);
        let copy = ["--insecure-policy", "copy", "-q", "--dest-tls-verify=false", &store, &place];
        let outcome = match tool {
            "skopeo" => skopeo_with(&copy),
            "dray" => dray_with(&copy),
            tool => self.run(tool, &["push", "-q", PLAIN, name, &place]),
        };
        self.done(outcome);
        self.pushed.push(to);
        Effect::Any
    }

    fn save_and_load(&mut self, name: &str) -> Effect {
        let format = self.dice.pick(&["docker-archive", "oci-archive"]);
        let at = self.scratch.at("saved.tar");
        let _ = std::fs::remove_file(&at);
        let tool = self.dice.pick(&["podman", "cellar"]);
        let saved = self.run(tool, &["save", "-q", "--format", format, "-o", &at, name]);
        self.done(saved);
        if self.dice.roll(2) == 0 {
            let outcome = self.run("cellar", &["rmi", name]);
            self.done(outcome);
        }
        let tool = self.dice.pick(&["podman", "cellar"]);
        let loaded = self.run(tool, &["load", "-q", "-i", &at]);
        self.done(loaded);
        Effect::Has(name.to_owned())
    }

    fn build(&mut self, name: &str) -> Effect {
        let new = self.new_name();
        let text = format!("FROM {name}\nLABEL serial={}\nCOPY Containerfile /\n", self.serial);
        let file = self.scratch.at("Containerfile");
        std::fs::write(&file, text).expect("a scratch directory is writable");
        let context = self.scratch.at("");
        let line = ["bud", "-q", "--pull-never", "-t", &new, "-f", &file, &context];
        let outcome = self.run("buildah", &line);
        self.done(outcome);
        Effect::Has(new)
    }

    fn import(&mut self) -> Effect {
        let (new, at) = (self.new_name(), self.scratch.at("rootfs.tar"));
        let line = format!("-C {} -cf {at} Containerfile", self.scratch.display());
        tests::tool("tar", &line).ok();
        let tool = self.dice.pick(&["podman", "cellar"]);
        let outcome = self.run(tool, &["import", "-q", &at, &new]);
        self.done(outcome);
        Effect::Has(new)
    }

    /// Things that change nothing that has a name.
    fn look(&mut self, name: &str) -> Effect {
        let tool = self.dice.pick(&["podman", "cellar"]);
        let lines: [&[&str]; 5] = [
            &["image", "prune", "-f"],
            &["history", name],
            &["image", "inspect", name],
            &["system", "df"],
            &["image", "mount", name],
        ];
        let line = self.dice.pick(&lines);
        let outcome = self.run(tool, line);
        self.done(outcome);
        if line[1] == "mount" {
            let tool = self.dice.pick(&["podman", "cellar"]);
            let outcome = self.run(tool, &["image", "unmount", name]);
            self.done(outcome);
        }
        Effect::Any
    }

    /// Whether the store is as it has to be: of every byte, as podman sees it too; or, in less time, as far as
    /// the records tell.
    fn assert_whole(&self, effect: &Effect, with_bytes: bool) {
        let steps = || self.steps.join("\n");
        let flags: &[&str] = if with_bytes { &[] } else { &["-q"] };
        let check = self.store.cellar(&[&["system", "check"], flags].concat());
        assert!(check.code == 0 && check.text().is_empty(), "{check}\nafter\n{}", steps());
        let ours = self.names("cellar");
        if with_bytes {
            assert_eq!(ours, self.names("podman"), "after\n{}", steps());
        }
        let is_so = match effect {
            Effect::Has(name) => ours.contains_key(name),
            Effect::Lacks(name) => !ours.contains_key(name),
            Effect::Any => true,
        };
        assert!(is_so, "{ours:?}\nafter\n{}", steps());
    }
}

/// `$CASK_WALK`, or else always the same.
fn seed() -> u64 {
    std::env::var("CASK_WALK").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

#[test]
fn a_walk_with_any_tool_at_any_step_leaves_the_store_whole() {
    let Some(mut walk) = Walk::start(seed()) else { return };
    let began = Instant::now();
    let mut done = 0;
    while done < STEPS && (done < FEWEST || began.elapsed() < TIME) {
        let effect = walk.step();
        done += 1;
        walk.assert_whole(&effect, done % 5 == 0);
    }
    // In the end, nothing is left of all that.
    walk.store.cellar(&["rmi", "-af"]).ok();
    walk.assert_whole(&Effect::Any, true);
    let check = walk.store.cellar(&["system", "check"]).ok();
    assert_eq!(check.stderr, "", "after\n{}", walk.steps.join("\n"));
}

#[test]
fn eight_at_once_do_not_disturb_one_another() {
    let Some(walk) = Walk::start(seed()) else { return };
    let tools = ["cellar", "podman", "cellar", "buildah", "cellar", "skopeo", "cellar", "dray"];
    let failures = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for (number, tool) in tools.into_iter().enumerate() {
            let (walk, failures) = (&walk, &failures);
            scope.spawn(move || {
                for round in 0..4 {
                    let outcomes = at_once(walk, tool, number, round);
                    for outcome in outcomes.into_iter().filter(|outcome| outcome.code != 0) {
                        // Peers see layers go that they have just read of, and say so.
                        assert!(!matches!(tool, "cellar" | "dray"), "{outcome}");
                        failures.fetch_add(1, Ordering::SeqCst);
                    }
                }
            });
        }
    });
    let failed = failures.load(Ordering::SeqCst);
    assert!(failed < 8, "{failed} runs of peers failed");
    walk.assert_whole(&Effect::Any, true);
    walk.store.cellar(&["rmi", "-af"]).ok();
    walk.assert_whole(&Effect::Any, true);
}

/// What one of several does: it pulls what all pull, names it, and takes its name away again.
fn at_once(walk: &Walk, tool: &str, number: usize, round: usize) -> Vec<Outcome> {
    let name = &walk.pushed[(number + round) % walk.pushed.len()];
    let (place, own) = (format!("docker://{name}"), format!("localhost/of-{number}:{round}"));
    let (store, shared) = (walk.store.location(&own), walk.store.location(name));
    let copy = |to: &str| {
        ["--insecure-policy", "copy", "-q", "--src-tls-verify=false", &place, to].map(str::to_owned)
    };
    let run = |words: &[String]| {
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        if tool == "skopeo" { skopeo_with(&words) } else { dray_with(&words) }
    };
    match tool {
        "skopeo" | "dray" => {
            let delete = ["--insecure-policy", "delete", store.as_str()].map(str::to_owned);
            let mut outcomes = vec![run(&copy(&shared)), run(&copy(&store))];
            // Skopeo deletes an image with all of its names.
            if tool == "dray" {
                outcomes.push(run(&delete));
            }
            outcomes
        }
        "cellar" => vec![
            walk.run(tool, &["pull", "-q", PLAIN, name]),
            walk.run(tool, &["tag", name, &own]),
            walk.run(tool, &["images"]),
            walk.run(tool, &["rmi", &own]),
        ],
        // Podman and buildah write all names of an image where they give or take one, and lose those
        // that came meanwhile.
        tool => {
            vec![walk.run(tool, &["pull", "-q", PLAIN, name]), walk.run(tool, &["images"])]
        }
    }
}
