//! Where our results are others than buildah's on purpose: the case, how the difference begins, why.

use crate::conformance::{Deviation, SCRATCH};

pub(super) const DIFFERENT: &[Deviation] = &[
    ("*", "config WorkingDir: \"/\" / none", SCRATCH),
    ("a bracket that is a bracket", "fails: no / yes", BRACKET),
    ("a destination below the working directory", "layers: 2 / 1", WORKDIR),
    ("a destination below the working directory", "history", WORKDIR),
    ("a destination with dots", "layers: 2 / 1", WORKDIR),
    ("a destination with dots", "history", WORKDIR),
    ("the working directory", "layers: 2 / 1", WORKDIR),
    ("the working directory", "history", WORKDIR),
    ("the working directory without a slash", "layers: 2 / 1", WORKDIR),
    ("the working directory without a slash", "history", WORKDIR),
    ("a stage by its name in capitals", "fails: no / yes", CAPITALS),
    ("a stage upon a stage", "layers: 3 / 2", WORKDIR),
    ("a stage upon a stage", "history", WORKDIR),
    ("a stage that is wanted by its number", "fails: no / yes", NUMBER),
    ("a secret", "file run/secrets: none", STUBS),
    ("ignored: comments, spaces, slashes", "file d", SPACES),
    ("ignored: a directory and what is in it", "mode of x/sub: 711 / 755", EXCEPTION),
    ("another escape", "config Env", ESCAPE),
    ("a variable in labels, users and ports", "layers: 1 / 0", WORKDIR),
    ("a variable in labels, users and ports", "history", WORKDIR),
    ("a variable in labels, users and ports", "file data: ", WORKDIR),
    ("a variable in labels, users and ports", "file data/w: ", WORKDIR),
    ("working directories", "layers: 3 / 0", WORKDIR),
    ("working directories", "history", WORKDIR),
    ("working directories", "file a", WORKDIR),
    ("a working directory that a command sees", "layers: 4 / 2", WORKDIR),
    ("a working directory that a command sees", "history", WORKDIR),
    ("a working directory that is a link", "layers: 3 / 2", WORKDIR),
    ("a working directory that is a link", "history", WORKDIR),
    ("a working directory that was removed", "layers: 3 / 2", WORKDIR),
    ("a working directory that was removed", "history", WORKDIR),
    ("a working directory of a user", "layers: 1 / 0", WORKDIR),
    ("a working directory of a user", "history", WORKDIR),
    ("a working directory of a user", "file w: ", WORKDIR),
    ("files in a volume", "file v/c: ", VOLUME),
    ("labels", "history", FLAGS),
    ("what OCI has no place for", "config Healthcheck", OCI),
    ("what OCI has no place for", "config OnBuild", OCI),
    ("what OCI has no place for", "config Shell", OCI),
    ("variables of the flag", "config Env", FIRST),
    ("variables of the flag", "history", FIRST),
    ("variables of the flag", "content of x: \"1 2\\n\" / \"1\\n\"", FIRST),
];

const BRACKET: &str = "buildah reads a name that a pattern found as a pattern once more";
const WORKDIR: &str = "WORKDIR makes its directory in a layer of its own, as in BuildKit";
const CAPITALS: &str = "names of stages are compared in lower case, as in BuildKit";
const NUMBER: &str = "a target may be a number, as in BuildKit";
const STUBS: &str = "what was made for a mount is not in the image";
const SPACES: &str = "spaces around a pattern are none of it, as in Docker";
const EXCEPTION: &str =
    "a directory that is ignored, and something in it that is not, keeps its mode, as in BuildKit";
const ESCAPE: &str = "another escape holds for variables too, as in BuildKit";
const VOLUME: &str = "what RUN writes to a VOLUME stays, as in BuildKit";
const FLAGS: &str = "the labels of all flags are one step";
const OCI: &str = "OCI images keep what Docker's have, as BuildKit's do";
const FIRST: &str = "what --env sets is set at the beginning, and commands see it";
