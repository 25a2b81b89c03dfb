//! What is measured: one row for each job.

use super::corpus::Corpus;
use Line::{Exec, Shell};

/// A command. `{program}` stands for the program of its side, `{engine}` for the engine of its side, `{builder}` for
/// its builder, `{side}` for `ours` or `peer`, `{stores}` for a folder of stores that are made once, `{corpus}` for the folder of images, `{out}` for a folder
/// that is empty before each run, `{registry}` for a registry's host and port, `{registry-files}` for where it keeps
/// what it holds.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    /// A program and its arguments, separated by spaces; no shell is in the way.
    Exec(&'static str),
    /// Text for `sh`.
    Shell(&'static str),
}

/// A job, and who does it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Row {
    /// What `--filter` looks at.
    pub(crate) name: &'static str,
    /// The images that must be there.
    pub(crate) corpora: &'static [Corpus],
    /// Our program at the job.
    pub(crate) ours: Line,
    /// The peer at the same job.
    pub(crate) peer: Line,
    /// The least that plain tools need for the same bytes.
    pub(crate) floor: Line,
    /// Runs before each command, after `{out}` was emptied, and is not measured.
    pub(crate) prepare: Option<Line>,
    /// Runs after each command, and is not measured. What is in `{out}` needs none.
    pub(crate) cleanup: Option<Line>,
    /// What we want to reach, in words; empty where nothing is set.
    pub(crate) goal: &'static str,
}

impl Row {
    /// A job for which both programs are asked in the same words.
    pub(super) const fn same(
        name: &'static str,
        corpora: &'static [Corpus],
        job: &'static str,
        floor: Line,
        goal: &'static str,
    ) -> Self {
        let (ours, peer) = (Exec(job), Exec(job));
        Self { name, corpora, ours, peer, floor, prepare: None, cleanup: None, goal }
    }

    /// Whether any of its commands needs a registry.
    pub(crate) fn needs_registry(&self) -> bool {
        let lines = [Some(self.ours), Some(self.peer), Some(self.floor), self.prepare];
        lines.into_iter().flatten().any(|(Exec(text) | Shell(text))| text.contains("{registry"))
    }

    /// Whether any of its commands needs the program that `place` stands for.
    pub(crate) fn needs(&self, place: &str) -> bool {
        let lines = [Some(self.ours), Some(self.peer), self.prepare];
        lines.into_iter().flatten().any(|(Exec(text) | Shell(text))| text.contains(place))
    }

    /// The row, with other words for our program.
    pub(super) const fn ours(self, ours: Line) -> Self {
        Self { ours, ..self }
    }

    /// The row, with other words for the peer.
    pub(super) const fn peer(self, peer: Line) -> Self {
        Self { peer, ..self }
    }

    /// The row, with something to be done after each command.
    pub(super) const fn before(self, cleanup: Line) -> Self {
        Self { cleanup: Some(cleanup), ..self }
    }

    /// The row, with something to be done before each command.
    pub(super) const fn after(self, prepare: Line) -> Self {
        Self { prepare: Some(prepare), ..self }
    }
}

/// Downloads the blobs of an image at once, and hashes them.
macro_rules! pull {
    ($name:literal) => {
        concat!(
            "curl -sfH 'Accept: application/vnd.oci.image.manifest.v1+json' http://{registry}/v2/",
            $name,
            "/manifests/latest | jq -r '.config.digest, .layers[].digest' | xargs -P 4 -I D sh -c 'curl -sf \
             http://{registry}/v2/",
            $name,
            "/blobs/D | tee {out}/D | sha256sum'"
        )
    };
}

const PULL_PYTHON: &str = pull!("python");
const PULL_BIGBLOB: &str = pull!("bigblob");

/// Uploads each blob with one request after the one that begins it.
const PUSH_PYTHON: &str = "cd {corpus}/python/blobs/sha256 && ls | xargs -P 4 -I D sh -c ' \
     at=$(curl -sfi -X POST http://{registry}/v2/new/blobs/uploads/ | tr -d \\\\r | sed -n s/^Location:.//p); \
     curl -sf -T D \"$at&digest=sha256:D\"'";

/// A registry that holds nothing.
const EMPTY_REGISTRY: Line = Exec("rm -rf {registry-files}/docker");

/// A registry that holds the image; nothing is done where it is there.
pub(super) const PYTHON_IN_REGISTRY: Line = Shell(
    "skopeo --insecure-policy copy -q --dest-tls-verify=false \
     oci:{corpus}/python:latest docker://{registry}/python:latest",
);

/// The same.
const BIGBLOB_IN_REGISTRY: Line = Shell(
    "skopeo --insecure-policy copy -q --dest-tls-verify=false \
     oci:{corpus}/bigblob:latest docker://{registry}/bigblob:latest",
);

const LINEAR: &str = "linear in layers";

/// Every row, in the order in which they run.
pub(crate) fn all() -> impl Iterator<Item = &'static Row> {
    let more = [super::storage::ROWS, super::building::ROWS, super::running::ROWS];
    ROWS.iter().chain(more.into_iter().flatten())
}

/// The rows of dray.
const ROWS: &[Row] = &[
    Row::same("start-up", &[], "{program} --version", Exec("busybox true"), "≤ 0.003 s, ≤ 8 MB"),
    Row::same(
        "inspect oci",
        &[Corpus::Python],
        "{program} --insecure-policy inspect oci:{corpus}/python:latest",
        Exec("busybox cat {corpus}/python/index.json"),
        "≤ 0.005 s",
    ),
    Row::same(
        "inspect docker-archive",
        &[Corpus::Python],
        "{program} --insecure-policy inspect docker-archive:{corpus}/python.docker.tar",
        Exec("tar -xOf {corpus}/python.docker.tar manifest.json"),
        "",
    ),
    Row::same(
        "oci to oci-archive, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy oci:{corpus}/python:latest oci-archive:{out}/a.tar:latest",
        Exec("cp -r {corpus}/python {out}/copy"),
        "wall ≤ 2.5 × floor",
    ),
    Row::same(
        "oci to dir, debian",
        &[Corpus::Debian],
        "{program} --insecure-policy copy oci:{corpus}/debian:latest dir:{out}/dir",
        Exec("cp -r {corpus}/debian {out}/copy"),
        "wall ≤ 2.5 × floor",
    ),
    Row::same(
        "oci to oci, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy oci:{corpus}/python:latest oci:{out}/oci:latest",
        Exec("cp -r {corpus}/python {out}/copy"),
        "",
    ),
    Row::same(
        "oci to oci, python, all there",
        &[Corpus::Python],
        "{program} --insecure-policy copy oci:{corpus}/python:latest oci:{out}/oci:latest",
        Exec("busybox cat {corpus}/python/index.json"),
        "",
    )
    .after(Exec("cp -r {corpus}/python {out}/oci")),
    Row::same(
        "oci-archive to oci, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy oci-archive:{corpus}/python.oci.tar oci:{out}/oci:latest",
        Exec("tar -xf {corpus}/python.oci.tar -C {out}"),
        "",
    ),
    Row::same(
        "oci to docker-archive, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy oci:{corpus}/python:latest docker-archive:{out}/a.tar:python:latest",
        Shell(
            "for b in {corpus}/python/blobs/sha256/*; do gzip -dcf <$b >{out}/${b##*/} || exit; done",
        ),
        "wall ≤ 0.3 × peer",
    ),
    Row::same(
        "docker-archive to oci, gzip, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy --dest-compress-format gzip \
         docker-archive:{corpus}/python.docker.tar oci:{out}/oci:latest",
        Shell("for t in {corpus}/python.plain/*; do pigz -c $t >{out}/${t##*/} || exit; done"),
        "wall ≤ 0.5 × peer, output not larger",
    ),
    Row::same(
        "docker-archive to oci, zstd, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy --dest-compress-format zstd \
         docker-archive:{corpus}/python.docker.tar oci:{out}/oci:latest",
        Shell(
            "for t in {corpus}/python.plain/*; do zstd -q -3 -c $t >{out}/${t##*/} || exit; done",
        ),
        "wall ≤ 0.4 × peer",
    ),
    Row::same(
        "docker-archive to oci, zstd:chunked, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy --dest-compress-format zstd:chunked \
         docker-archive:{corpus}/python.docker.tar oci:{out}/oci:latest",
        Shell(
            "for t in {corpus}/python.plain/*; do zstd -q -3 -c $t >{out}/${t##*/} || exit; done",
        ),
        "wall ≤ 1.3 × our zstd, peak ≤ 64 MB",
    ),
    Row::same(
        "oci to oci-archive, many30",
        &[Corpus::Many30],
        "{program} --insecure-policy copy oci:{corpus}/many30:latest oci-archive:{out}/a.tar:latest",
        Exec("cp -r {corpus}/many30 {out}/copy"),
        "",
    ),
    Row::same(
        "oci to dir, bigblob",
        &[Corpus::BigBlob],
        "{program} --insecure-policy copy oci:{corpus}/bigblob:latest dir:{out}/dir",
        Exec("cp -r {corpus}/bigblob {out}/copy"),
        "peak ≤ 64 MB",
    ),
    Row::same(
        "inspect docker",
        &[Corpus::Python],
        "{program} --insecure-policy inspect --tls-verify=false docker://{registry}/python:latest",
        Exec(
            "curl -sfH Accept:application/vnd.oci.image.manifest.v1+json \
             http://{registry}/v2/python/manifests/latest",
        ),
        "≤ floor",
    )
    .after(PYTHON_IN_REGISTRY),
    Row::same(
        "registry to oci, python",
        &[Corpus::Python],
        "{program} --insecure-policy copy --src-tls-verify=false \
         docker://{registry}/python:latest oci:{out}/oci:latest",
        Shell(PULL_PYTHON),
        "wall ≤ floor",
    )
    .after(PYTHON_IN_REGISTRY),
    Row::same(
        "registry to oci, bigblob",
        &[Corpus::BigBlob],
        "{program} --insecure-policy copy --src-tls-verify=false \
         docker://{registry}/bigblob:latest oci:{out}/oci:latest",
        Shell(PULL_BIGBLOB),
        "wall ≤ floor",
    )
    .after(BIGBLOB_IN_REGISTRY),
    Row::same(
        "oci to registry, python, everything new",
        &[Corpus::Python],
        "{program} --insecure-policy copy --dest-tls-verify=false \
         oci:{corpus}/python:latest docker://{registry}/new:latest",
        Shell(PUSH_PYTHON),
        "",
    )
    .after(EMPTY_REGISTRY),
    Row::same(
        "oci to registry, python, all there",
        &[Corpus::Python],
        "{program} --insecure-policy copy --dest-tls-verify=false \
         oci:{corpus}/python:latest docker://{registry}/python:latest",
        Exec(
            "curl -sfIH Accept:application/vnd.oci.image.manifest.v1+json \
             http://{registry}/v2/python/manifests/latest",
        ),
        "",
    )
    .after(PYTHON_IN_REGISTRY),
    Row::same(
        "oci to dir, 1 layer",
        &[Corpus::Layers(1)],
        "{program} --insecure-policy copy oci:{corpus}/layers-1:latest dir:{out}/dir",
        Exec("cp -r {corpus}/layers-1 {out}/copy"),
        LINEAR,
    ),
    Row::same(
        "oci to dir, 10 layers",
        &[Corpus::Layers(10)],
        "{program} --insecure-policy copy oci:{corpus}/layers-10:latest dir:{out}/dir",
        Exec("cp -r {corpus}/layers-10 {out}/copy"),
        LINEAR,
    ),
    Row::same(
        "oci to dir, 100 layers",
        &[Corpus::Layers(100)],
        "{program} --insecure-policy copy oci:{corpus}/layers-100:latest dir:{out}/dir",
        Exec("cp -r {corpus}/layers-100 {out}/copy"),
        LINEAR,
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_unique() {
        let mut names: Vec<_> = all().map(|row| row.name).collect();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), all().count());
    }

    #[test]
    fn rows_name_the_images_that_they_read() {
        for row in all() {
            let lines = [Some(row.ours), row.prepare].into_iter().flatten();
            let mut read: Vec<_> = lines
                .flat_map(|(Exec(text) | Shell(text))| text.split("{corpus}/").skip(1))
                .map(|rest| rest.split([':', '.', '/', ' ']).next().unwrap())
                .collect();
            read.dedup();
            let declared: Vec<String> = row.corpora.iter().map(|corpus| corpus.name()).collect();
            assert_eq!(read, declared, "{}", row.name);
        }
    }
}
