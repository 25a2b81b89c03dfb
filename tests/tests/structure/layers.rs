//! Who may depend on whom. A crate depends only on lower layers, and on a sibling only where [`ARROWS`] has it.

use cargo_metadata::DependencyKind;

use crate::assert_kept;
use crate::workspace::members;

/// Where a package stands.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Place {
    /// A library, by layer: 0 words, 1 means, 2 seam, 3 places, 4 deeds, 5 face.
    Layer(u8),
    /// A program.
    Program,
    /// `cask-program`: what programs share, for them only.
    Shared,
    /// `cask-terminal`: beside the layers, for programs only.
    Terminal,
    /// `cask-testkit`: beside the layers, for tests of anything.
    Testkit,
    /// Above everything; nothing depends on it.
    Above,
}

const PLACES: &[(&str, Place)] = &[
    ("cask-containerfile", Place::Layer(0)),
    ("cask-image", Place::Layer(0)),
    ("cask-json", Place::Layer(0)),
    ("cask-reference", Place::Layer(0)),
    ("cask-archive", Place::Layer(1)),
    ("cask-auth", Place::Layer(1)),
    ("cask-config", Place::Layer(1)),
    ("cask-docker-tar", Place::Layer(1)),
    ("cask-files", Place::Layer(1)),
    ("cask-http", Place::Layer(1)),
    ("cask-layer", Place::Layer(1)),
    ("cask-layout", Place::Layer(1)),
    ("cask-network", Place::Layer(1)),
    ("cask-registry", Place::Layer(1)),
    ("cask-registry-server", Place::Layer(1)),
    ("cask-rootfs", Place::Layer(1)),
    ("cask-runtime", Place::Layer(1)),
    ("cask-storage", Place::Layer(1)),
    ("cask-transfer", Place::Layer(1)),
    ("cask-trust", Place::Layer(1)),
    ("cask-docker-tar-seam", Place::Layer(2)),
    ("cask-layout-seam", Place::Layer(2)),
    ("cask-transport", Place::Layer(2)),
    ("cask-transport-containers-storage", Place::Layer(3)),
    ("cask-transport-dir", Place::Layer(3)),
    ("cask-transport-docker", Place::Layer(3)),
    ("cask-transport-docker-archive", Place::Layer(3)),
    ("cask-transport-docker-daemon", Place::Layer(3)),
    ("cask-transport-oci", Place::Layer(3)),
    ("cask-transport-oci-archive", Place::Layer(3)),
    ("cask-build", Place::Layer(4)),
    ("cask-copy", Place::Layer(4)),
    ("cask-engine", Place::Layer(4)),
    ("cask", Place::Layer(5)),
    ("cellar", Place::Program),
    ("cooper", Place::Program),
    ("dray", Place::Program),
    ("cask-program", Place::Shared),
    ("cask-terminal", Place::Terminal),
    ("cask-cases", Place::Testkit),
    ("cask-testkit", Place::Testkit),
    ("examples", Place::Above),
    ("tests", Place::Above),
    ("xtask", Place::Above),
];

/// The only dependencies between crates of one layer.
const ARROWS: &[(&str, &str)] = &[
    ("cask-image", "cask-json"),
    ("cask-image", "cask-reference"),
    ("cask-archive", "cask-layer"),
    ("cask-docker-tar", "cask-archive"),
    ("cask-layout", "cask-files"),
    ("cask-registry", "cask-auth"),
    ("cask-registry", "cask-http"),
    ("cask-registry-server", "cask-layout"),
    ("cask-layer", "cask-rootfs"),
    ("cask-runtime", "cask-rootfs"),
    ("cask-storage", "cask-files"),
    ("cask-storage", "cask-layer"),
    ("cask-storage", "cask-rootfs"),
    ("cask-transfer", "cask-files"),
    ("cask-docker-tar-seam", "cask-transport"),
    ("cask-layout-seam", "cask-transport"),
    ("cask-build", "cask-copy"),
    ("cask-engine", "cask-copy"),
];

fn place(name: &str) -> Result<Place, String> {
    let found = PLACES.iter().find(|(known, _)| *known == name);
    found.map(|(_, place)| *place).ok_or_else(|| {
        format!("{name} is unknown: give it a layer in tests/tests/structure/layers.rs (PLACES)")
    })
}

/// Whether a package is among the words: pure functions over values.
pub(crate) fn is_in_layer_0(name: &str) -> bool {
    place(name) == Ok(Place::Layer(0))
}

/// Whether the package `from` may depend on the package `to`; the error says why not.
fn may_depend(from: &str, to: &str, kind: DependencyKind) -> Result<(), String> {
    let (above, below) = (place(from)?, place(to)?);
    let refused = |why: &str| Err(format!("{from} depends on {to}: {why}"));
    match (above, below) {
        (_, Place::Program | Place::Above) => {
            refused("nothing depends on a program, on tests or on chores")
        }
        (Place::Program, Place::Shared) | (Place::Program | Place::Shared, Place::Terminal) => {
            Ok(())
        }
        (_, Place::Shared) => refused("only programs share that"),
        (_, Place::Terminal) => refused("only programs print"),
        (Place::Above | Place::Testkit, Place::Testkit) => Ok(()),
        (_, Place::Testkit) if kind == DependencyKind::Development => Ok(()),
        (_, Place::Testkit) => refused("only as a dev-dependency"),
        (Place::Layer(4), Place::Layer(3)) if kind != DependencyKind::Development => {
            refused("layer 4 is handed a set of transports and never names one")
        }
        (Place::Layer(upper), Place::Layer(lower)) if upper == lower => {
            if ARROWS.contains(&(from, to)) {
                Ok(())
            } else {
                refused("siblings, and no arrow is drawn")
            }
        }
        (Place::Layer(upper), Place::Layer(lower)) if upper < lower => {
            refused(&format!("layer {upper} is below layer {lower}"))
        }
        (_, Place::Layer(_)) => Ok(()),
    }
}

#[test]
fn dependencies_point_downwards() {
    let packages = members();
    let ours = |name: &str| packages.iter().any(|package| package.name.as_str() == name);
    let mut broken: Vec<String> = packages.iter().filter_map(|p| place(&p.name).err()).collect();
    for package in &packages {
        for dependency in package.dependencies.iter().filter(|d| ours(&d.name)) {
            broken.extend(may_depend(&package.name, &dependency.name, dependency.kind).err());
        }
    }
    broken.sort();
    broken.dedup();
    assert_kept("a crate depends on lower layers, and on siblings only along an arrow", &broken);
}

#[test]
fn edges_are_judged_by_layer() {
    use DependencyKind::{Development, Normal};

    fn check(from: &str, to: &str, kind: DependencyKind, refusal: Option<&str>) {
        match (may_depend(from, to, kind), refusal) {
            (Ok(()), None) => {}
            (Err(why), Some(expected)) if why.contains(expected) => {}
            (found, _) => panic!("{from} to {to} ({kind:?}): {found:?}, expected {refusal:?}"),
        }
    }
    check("cask-layer", "cask-image", Normal, None);
    check("cask-image", "cask-layer", Normal, Some("layer 0 is below layer 1"));
    check("cask-image", "cask-layer", Development, Some("layer 0 is below layer 1"));
    check("cask-image", "cask-reference", Normal, None);
    check("cask-reference", "cask-image", Normal, Some("no arrow is drawn"));
    check("cask-image", "cask-json", Normal, None);
    check("cask-json", "cask-reference", Normal, Some("no arrow is drawn"));
    check("cask-storage", "cask-layer", Normal, None);
    check("cask-layout", "cask-layer", Normal, Some("no arrow is drawn"));
    check(
        "cask-transport-oci-archive",
        "cask-transport-oci",
        Development,
        Some("no arrow is drawn"),
    );
    check("cask-transport-oci", "cask-layout", Normal, None);
    check("cask-copy", "cask-transport", Normal, None);
    check("cask-copy", "cask-transport-oci", Normal, Some("never names one"));
    check("cask-copy", "cask-transport-oci", Development, None);
    check("cask", "cask-transport-oci", Normal, None);
    check("dray", "cask", Normal, None);
    check("dray", "cask-terminal", Normal, None);
    check("cask", "cask-terminal", Normal, Some("only programs print"));
    check("dray", "cask-program", Normal, None);
    check("cask-program", "cask-terminal", Normal, None);
    check("cask-engine", "cask-program", Normal, Some("only programs share that"));
    check("xtask", "cask-terminal", Normal, Some("only programs print"));
    check("cask-terminal", "cask-transport", Normal, None);
    check("cask-reference", "cask-testkit", Development, None);
    check("cask-copy", "cask-testkit", Normal, Some("only as a dev-dependency"));
    check("cask-testkit", "cask-transport", Normal, None);
    check("tests", "cask-testkit", Normal, None);
    check("cask", "dray", Development, Some("nothing depends on a program"));
    check("cask-novelty", "cask-image", Normal, Some("give it a layer in tests/"));
    check("cask-image", "cask-novelty", Normal, Some("give it a layer in tests/"));
}
