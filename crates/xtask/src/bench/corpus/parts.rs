//! Layers made of Debian's packages, from the mirror that the machine's own apt uses.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};

use crate::console;
use crate::process::{command, output, output_to_file, succeed};

/// What is in the second layer of `python`, with all that it depends on.
const PYTHON_PACKAGES: [&str; 14] = [
    "python3",
    "python3-babel",
    "python3-cryptography",
    "python3-django",
    "python3-docutils",
    "python3-lxml",
    "python3-numpy",
    "python3-pip",
    "python3-pygments",
    "python3-requests",
    "python3-sqlalchemy",
    "python3-sympy",
    "python3-twisted",
    "python3-yaml",
];

/// What the third layer of `python` holds once more, as an application that brings its own would.
const SITE_PACKAGES: [&str; 6] = ["django", "docutils", "numpy", "sqlalchemy", "sympy", "twisted"];

/// Where Debian's Python packages are in a root filesystem.
const DIST_PACKAGES: &str = "usr/lib/python3/dist-packages";

/// What apt keeps of its work, and folders that belong to a running system.
const LEFT_OUT: [&str; 6] =
    ["dev/*", "proc/*", "sys/*", "var/cache/apt/*", "var/lib/apt/lists/*", "var/log/*"];

const SHARED: [&str; 3] = ["debian.tar", "python-packages.tar", "python-site.tar"];

/// The folder of layers that several images share. Each is a plain tar file, there or not there.
#[derive(Debug)]
pub(crate) struct Parts {
    folder: PathBuf,
}

impl Parts {
    pub(crate) fn open(folder: PathBuf) -> Result<Self> {
        fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        Ok(Self { folder })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether other images may want the layer again.
    pub(crate) fn is_shared(layer: &Path) -> bool {
        SHARED.iter().any(|name| layer.ends_with(name))
    }

    /// The least Debian of the release that this machine runs.
    pub(crate) fn debian(&self) -> Result<PathBuf> {
        let (tar, root) = (self.folder.join("debian.tar"), self.folder.join("debian.root"));
        if tar.exists() {
            return Ok(tar);
        }
        if !rustix::process::geteuid().is_root() {
            bail!("debootstrap needs root, and the images are not made yet: run this once as root");
        }
        let mirror = mirror()?;
        console::line(&format!("debootstrap {} from {}", mirror.codename, mirror.uri));
        remove_tree(&root)?;
        let mut debootstrap = command("debootstrap", ["--variant=minbase", &mirror.codename]);
        debootstrap.arg(&root).arg(&mirror.uri).envs(mirror.proxies);
        output_to_file(&mut debootstrap, &self.folder.join("debootstrap.log"))?;
        fs::copy(root.join("var/lib/dpkg/status"), self.dpkg_status())
            .with_context(|| format!("cannot copy dpkg's status out of {}", root.display()))?;
        pack(&root, &tar, &LEFT_OUT)
    }

    /// What dpkg knows in [`Parts::debian`].
    fn dpkg_status(&self) -> PathBuf {
        self.folder.join("debian.status")
    }

    /// Debian, Python packages above it, and some of them once more below `opt`.
    pub(crate) fn python(&self) -> Result<Vec<PathBuf>> {
        let debian = self.debian()?;
        let path = |name: &str| self.folder.join(name);
        let (packages, site) = (path(SHARED[1]), path(SHARED[2]));
        if !packages.exists() || !site.exists() {
            let (root, opt) = (path("python.root"), path("site.root"));
            self.unpack_packages(&root)?;
            remove_tree(&opt)?;
            let target = opt.join("opt/app/lib/site-packages");
            fs::create_dir_all(&target)
                .with_context(|| format!("cannot make {}", target.display()))?;
            let sources = SITE_PACKAGES.map(|name| root.join(DIST_PACKAGES).join(name));
            succeed(command("cp", ["-a"]).args(sources).arg(&target))?;
            pack(&root, &packages, &[])?;
            pack(&opt, &site, &[])?;
        }
        Ok(vec![debian, packages, site])
    }

    /// Debian, and `count` layers that share out the files of Python packages.
    pub(crate) fn many(&self, count: usize) -> Result<Vec<PathBuf>> {
        let all = self.python()?;
        let root = self.folder.join("many.root");
        remove_tree(&root)?;
        fs::create_dir_all(&root).with_context(|| format!("cannot make {}", root.display()))?;
        let mut unpack = command("tar", ["-xf"]);
        succeed(unpack.arg(&all[1]).arg("-C").arg(&root).arg(DIST_PACKAGES))?;
        let listing = output(command("find", [DIST_PACKAGES, "-type", "f"]).current_dir(&root))?;
        let mut files: Vec<&str> = listing.lines().collect();
        files.sort_unstable();
        let mut layers = vec![all[0].clone()];
        for (number, share) in files.chunks(files.len().div_ceil(count).max(1)).enumerate() {
            let list = self.folder.join("many.list");
            fs::write(&list, share.join("\n"))
                .with_context(|| format!("cannot write {}", list.display()))?;
            let layer = self.folder.join(format!("many-{number}.tar"));
            succeed(tar_of(&root, &layer).arg("-T").arg(&list))?;
            layers.push(layer);
        }
        remove_tree(&root)?;
        Ok(layers)
    }

    /// Unpacks Python packages, without running what they would do at their installation.
    fn unpack_packages(&self, root: &Path) -> Result<()> {
        let archives = self.folder.join("archives");
        remove_tree(root)?;
        // As in Debian's root, where these are links: a package that still says /lib writes to /usr/lib.
        for name in ["bin", "lib", "lib64", "sbin"] {
            let to = format!("usr/{name}");
            fs::create_dir_all(root.join(&to))
                .and_then(|()| std::os::unix::fs::symlink(&to, root.join(name)))
                .with_context(|| format!("cannot make {}", root.join(name).display()))?;
        }
        fs::create_dir_all(archives.join("partial"))
            .with_context(|| format!("cannot make {}", archives.display()))?;
        succeed(command("apt-get", ["-qq", "update"]).stdout(Stdio::null()))?;
        let mut download =
            command("apt-get", ["-qq", "-y", "--download-only", "--no-install-recommends"]);
        download
            .args(["-o".to_owned(), format!("Dir::State::status={}", self.dpkg_status().display())])
            .args(["-o".to_owned(), format!("Dir::Cache::archives={}", archives.display())])
            .args(["-o", "Debug::NoLocking=true", "-o", "APT::Sandbox::User=root", "install"])
            .args(PYTHON_PACKAGES);
        succeed(&mut download)?;
        let script = "for deb in \"$1\"/*.deb; do \
                      dpkg-deb --fsys-tarfile \"$deb\" | tar -x --keep-directory-symlink -C \"$2\" || exit; done";
        succeed(command("sh", ["-c", script, "unpack"]).arg(&archives).arg(root))?;
        remove_tree(&archives)
    }
}

/// Where Debian's packages come from on this machine.
#[derive(Debug, PartialEq)]
struct Mirror {
    uri: String,
    codename: String,
    /// What debootstrap's downloader reads, as apt is configured.
    proxies: Vec<(&'static str, String)>,
}

fn mirror() -> Result<Mirror> {
    let release = fs::read_to_string("/etc/os-release").context("cannot read /etc/os-release")?;
    let format = "$(ORIGIN) $(CODENAME) $(COMPONENT) $(REPO_URI)";
    let list = || {
        output(&mut command(
            "apt-get",
            ["indextargets", "--format", format, "Created-By: Packages"],
        ))
    };
    let mut sources = list()?;
    if sources.is_empty() {
        // Nothing was ever downloaded, so apt does not know the names of what its sources hold.
        succeed(command("apt-get", ["-qq", "update"]).stdout(Stdio::null()))?;
        sources = list()?;
    }
    let Some((codename, uri)) = pick_mirror(&release, &sources) else {
        bail!(
            "apt has no source with the main component of Debian for the release in /etc/os-release"
        );
    };
    let mut proxies = Vec::new();
    for (variable, setting) in
        [("http_proxy", "Acquire::http::Proxy"), ("https_proxy", "Acquire::https::Proxy")]
    {
        let value = output(&mut command("apt-config", ["dump", "--format", "%v", setting]))?;
        if !value.is_empty() && value != "DIRECT" {
            proxies.push((variable, value));
        }
    }
    Ok(Mirror { uri: uri.to_owned(), codename: codename.to_owned(), proxies })
}

/// The code name in the text of os-release, and the first of apt's sources that is Debian's main for it.
fn pick_mirror<'a>(release: &'a str, sources: &'a str) -> Option<(&'a str, &'a str)> {
    let mut settings = release.lines().filter_map(|line| line.split_once('='));
    let codename = settings.find(|(key, _)| *key == "VERSION_CODENAME")?.1.trim_matches('"');
    let start = format!("Debian {codename} main ");
    Some((codename, sources.lines().find_map(|line| line.strip_prefix(&start))?))
}

/// Packs what is in `folder` into a tar file, without what matches `left_out`, and removes the folder.
///
/// # Errors
///
/// Where tar fails, and as [`remove_tree`]. The tar file is not there then.
pub(crate) fn pack(folder: &Path, tar: &Path, left_out: &[&str]) -> Result<PathBuf> {
    let mut names = Vec::new();
    for entry in
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?
    {
        names.push(entry.with_context(|| format!("cannot read {}", folder.display()))?.file_name());
    }
    names.sort();
    let partial = tar.with_extension("partial");
    let left_out = left_out.iter().map(|pattern| format!("--exclude={pattern}"));
    succeed(tar_of(folder, &partial).arg("--anchored").args(left_out).args(names))?;
    remove_tree(folder)?;
    fs::rename(&partial, tar).with_context(|| format!("cannot write {}", tar.display()))?;
    Ok(tar.to_owned())
}

/// A command that packs into `tar` what will be named, from `folder`.
fn tar_of(folder: &Path, tar: &Path) -> Command {
    let mut command = command("tar", ["--sort=name", "--numeric-owner", "-cf"]);
    command.arg(tar).arg("-C").arg(folder);
    command
}

/// Removes a folder with everything in it, if it is there.
///
/// # Errors
///
/// Where something is mounted inside: that is not ours to empty.
fn remove_tree(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    let mounts =
        fs::read_to_string("/proc/self/mounts").context("cannot read /proc/self/mounts")?;
    let mut points = mounts.lines().filter_map(|line| line.split(' ').nth(1));
    if let Some(point) = points.find(|point| Path::new(point).starts_with(folder)) {
        bail!("{point} is still mounted: unmount it, and start again");
    }
    fs::remove_dir_all(folder).with_context(|| format!("cannot remove {}", folder.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mirrors_are_debians_own_for_this_release() {
        fn check(release: &str, sources: &str, expected: Option<(&str, &str)>) {
            assert_eq!(pick_mirror(release, sources), expected, "{release} {sources}");
        }
        let sources = "\
Others bookworm main http://others/
Debian bookworm-updates main http://mirror/updates/
Debian bookworm main http://mirror/debian/";
        let found = Some(("bookworm", "http://mirror/debian/"));
        check("ID=debian\nVERSION_CODENAME=bookworm\n", sources, found);
        check("VERSION_CODENAME=\"bookworm\"\n", sources, found);
        check("VERSION_CODENAME=trixie\n", sources, None);
        check("ID=debian\n", sources, None);
    }
}
