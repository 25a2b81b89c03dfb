//! Random walks over a user's store, with the tool chosen at random; and all tools at once.

use std::collections::BTreeSet;

use tests::{Access, RANGES, Registry, Scratch, User, fixtures, has, scratch, skopeo_with};

use super::TOOLS;

/// How many operations a walk has; `$CASK_STEPS` says otherwise.
const STEPS: usize = 12;

/// What the script calls the tools, and how it finds the store broken.
///
/// Where nobody is in a namespace, podman and buildah go into one by themselves, as cellar and dray do.
const HEAD: &str = r#"
run() { "$@" >out 2>&1 || { echo "step $N: $*"; cat out; exit 9; }; }
copy() { t=$1; shift; run $t --insecure-policy copy -q "$@"; }
names() { "$@" images --format '{{.Repository}}:{{.Tag}}' | grep -v '<none>' | sort | tr '\n' ' '; }
whole() {
    is="$(names $D/cellar)"
    [ "$is" = "$1" ] || { echo "step $N: $is, expected $1"; exit 9; }
    broken=$($D/cellar system check $2) || { echo "step $N: $broken"; exit 9; }
    [ -z "$broken" ] || { echo "step $N: $broken"; exit 9; }
}
"#;

/// A script of steps that have to work, and the names that there are after each.
struct Walk {
    script: String,
    dice: u64,
    names: BTreeSet<String>,
    registry: String,
    pushed: Vec<String>,
    serial: usize,
}

impl Walk {
    fn new(registry: &str) -> Self {
        let pushed = ["it:1", "it:2"].map(|name| format!("{registry}/{name}")).to_vec();
        let (script, names) = (HEAD.to_owned(), BTreeSet::new());
        Self { script, dice: 1, names, registry: registry.to_owned(), pushed, serial: 0 }
    }

    fn roll(&mut self, sides: usize) -> usize {
        self.dice = self.dice.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from((self.dice >> 33) % sides as u64).expect("it is less than the sides")
    }

    fn pick(&mut self, from: &[&'static str]) -> &'static str {
        from[self.roll(from.len())]
    }

    fn line(&mut self, line: &str) {
        self.script.push_str(line);
        self.script.push('\n');
    }

    fn new_name(&mut self) -> String {
        self.serial += 1;
        format!("localhost/walk:{}", self.serial)
    }

    fn step(&mut self, number: usize) {
        self.line(&format!("N={number}"));
        let names: Vec<String> = self.names.iter().cloned().collect();
        let choice = match names.len() {
            0 => 0,
            1..=8 => self.roll(9),
            _ => 3 + self.roll(2),
        };
        let name = names.get(self.roll(names.len().max(1))).cloned().unwrap_or_default();
        match choice {
            0 | 1 => self.pull(),
            2 => {
                let (tool, new) = (self.pick(&["podman", "buildah", "$D/cellar"]), self.new_name());
                self.line(&format!("run {tool} tag {name} {new}"));
                self.names.insert(new);
            }
            3 => {
                let tool = self.pick(&["podman", "$D/cellar"]);
                self.line(&format!("run {tool} untag {name} {name}"));
                self.names.remove(&name);
            }
            4 => {
                let tool = self.pick(&["podman rmi", "buildah rmi", "$D/cellar rmi", "dray"]);
                self.line(&match tool {
                    "dray" => {
                        format!("run $D/dray --insecure-policy delete containers-storage:{name}")
                    }
                    tool => format!("run {tool} {name}"),
                });
                self.names.remove(&name);
            }
            5 => self.push(&name),
            6 => {
                let (one, other) =
                    (self.pick(&["podman", "$D/cellar"]), self.pick(&["podman", "$D/cellar"]));
                let format = self.pick(&["docker-archive", "oci-archive"]);
                self.line(&format!(
                    "rm -f saved; run {one} save -q --format {format} -o saved {name}"
                ));
                self.line(&format!("run {other} load -q -i saved"));
            }
            7 => {
                let (tool, new) = (self.pick(&["podman", "$D/cellar"]), self.new_name());
                self.line(&format!("echo {new} >f; tar -cf tar f; run {tool} import -q tar {new}"));
                self.names.insert(new);
            }
            _ => {
                let new = self.new_name();
                self.line(&format!(
                    "mkdir -p c; printf 'FROM {name}\\nCOPY f /\\n' >c/F; echo {new} >c/f; \
                     run buildah bud -q --pull-never -t {new} -f c/F c"
                ));
                self.names.insert(new);
            }
        }
        self.whole(number.is_multiple_of(4));
    }

    fn pull(&mut self) {
        let number = self.roll(self.pushed.len());
        let name = self.pushed[number].clone();
        let tool = self.pick(&["podman", "buildah", "$D/cellar", "skopeo", "$D/dray"]);
        self.line(&match tool {
            "skopeo" | "$D/dray" => format!(
                "copy {tool} --src-tls-verify=false docker://{name} containers-storage:{name}"
            ),
            tool => format!("run {tool} pull -q --tls-verify=false {name}"),
        });
        self.names.insert(name);
    }

    fn push(&mut self, name: &str) {
        self.serial += 1;
        let to = format!("{}/pushed:{}", self.registry, self.serial);
        let tool = self.pick(&["podman", "buildah", "$D/cellar", "skopeo", "$D/dray"]);
        self.line(&match tool {
            "skopeo" | "$D/dray" => format!(
                "copy {tool} --dest-tls-verify=false containers-storage:{name} docker://{to}"
            ),
            tool => format!("run {tool} push -q --tls-verify=false {name} docker://{to}"),
        });
        self.pushed.push(to);
    }

    fn run(&self, user: &User) {
        // It may be longer than an argument can be.
        std::fs::write(user.path("walk"), &self.script).expect("the directory is ours");
        let ran = user.script(". $D/walk");
        assert!(ran.code == 0, "{ran}\n{}", self.script);
    }

    /// The store is as it has to be: of every byte, as podman sees it too; or as far as the records tell.
    fn whole(&mut self, with_bytes: bool) {
        let mut names: Vec<&str> = self.names.iter().map(String::as_str).collect();
        names.sort_unstable();
        let names: String = names.iter().map(|name| format!("{name} ")).collect();
        let flag = if with_bytes { "" } else { "-q" };
        self.line(&format!("whole '{names}' {flag}"));
        if with_bytes {
            self.line(&format!(
                "[ \"$(names podman)\" = '{names}' ] || {{ podman images; exit 9; }}"
            ));
        }
    }
}

/// A user, and a registry with two images.
fn setting() -> Option<(User, Registry, Scratch)> {
    if !has(&TOOLS) || !has(&["skopeo", "docker-registry"]) {
        return None;
    }
    let scratch = scratch();
    let registry = Registry::start(&scratch, Access::Plain);
    let fixtures = fixtures();
    for (from, to) in [(&fixtures.buildah_oci, "it:1"), (&fixtures.buildah_dir, "it:2")] {
        let to = format!("docker://{}/{to}", registry.address());
        skopeo_with(&["copy", "-q", "--dest-tls-verify=false", from, &to]).ok();
    }
    Some((User::new(RANGES), registry, scratch))
}

#[test]
fn a_walk_of_a_user_with_any_tool_at_any_step_leaves_the_store_whole() {
    let Some((user, registry, _scratch)) = setting() else { return };
    let steps = std::env::var("CASK_STEPS").ok().and_then(|steps| steps.parse().ok());
    let mut walk = Walk::new(registry.address());
    walk.line("export LC_ALL=C");
    for number in 1..=steps.unwrap_or(STEPS) {
        walk.step(number);
    }
    walk.line("run $D/cellar rmi -af; N=end");
    walk.names.clear();
    walk.whole(true);
    walk.run(&user);
}

#[test]
fn eight_programs_of_a_user_at_once_do_not_disturb_one_another() {
    let Some((user, registry, _scratch)) = setting() else { return };
    let name = format!("{}/it:1", registry.address());
    let mut walk = Walk::new(registry.address());
    walk.names.insert(name.clone());
    let mut lines = vec!["export LC_ALL=C; N=all; all=".to_owned()];
    for number in 1..=4 {
        let own = format!("localhost/of:{number}");
        lines.push(format!(
            "{{ $D/cellar pull -q --tls-verify=false {name} && $D/cellar tag {name} {own} && \
             $D/cellar images; }} >out.{number} 2>&1 & all=\"$all $!\""
        ));
        walk.names.insert(own);
    }
    let copy = format!("--src-tls-verify=false docker://{name} containers-storage:localhost");
    lines.push(format!(
        "$D/dray --insecure-policy copy -q {copy}/of:dray >out.dray 2>&1 & all=\"$all $!\"\n\
         skopeo --insecure-policy copy -q {copy}/of:skopeo >out.skopeo 2>&1 & all=\"$all $!\"\n\
         podman images >out.podman 2>&1 & all=\"$all $!\"\n\
         buildah images >out.buildah 2>&1 & all=\"$all $!\"\n\
         for one in $all; do wait $one || {{ tail -n 3 out.*; exit 9; }}; done"
    ));
    walk.names.extend(["dray", "skopeo"].map(|name| format!("localhost/of:{name}")));
    walk.line(&lines.join("\n"));
    walk.whole(true);
    walk.run(&user);
}
