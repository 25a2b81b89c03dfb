//! The programs that tests compare with, as packages of Debian.

use anyhow::{Context, Result, bail};

use crate::process::{command, succeed};

const PACKAGES: [&str; 28] = [
    "aardvark-dns",
    "buildah",
    "busybox-static",
    "bzip2",
    "crun",
    "debootstrap",
    "docker-registry",
    "docker.io",
    "fuse-overlayfs",
    "git",
    "iptables",
    "jq",
    "netavark",
    "nftables",
    "nginx",
    "openssh-client",
    "openssl",
    "passt",
    "pigz",
    "podman",
    "podman-compose",
    "runc",
    "skopeo",
    "uidmap",
    "umoci",
    "xfsprogs",
    "xz-utils",
    "zstd",
];

/// Installs the packages that are missing, and says what it did.
///
/// # Errors
///
/// Where packages are missing and this process is not root, or is not on Debian; names them. Where apt-get fails.
pub(crate) fn install() -> Result<String> {
    let missing = missing()?;
    if missing.is_empty() {
        return Ok(format!("all {} packages are here", PACKAGES.len()));
    }
    let names = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("packages are missing; as root: apt-get update && apt-get install {names}");
    }
    apt_get(&["-q", "update"])?;
    let options = ["-q", "-y", "--no-install-recommends", "install"];
    apt_get(&[options.as_slice(), missing.as_slice()].concat())?;
    Ok(format!("installed {names}"))
}

fn apt_get(arguments: &[&str]) -> Result<()> {
    succeed(command("apt-get", arguments).env("DEBIAN_FRONTEND", "noninteractive"))
}

fn missing() -> Result<Vec<&'static str>> {
    let format = "-f=${Package} ${db:Status-Status}\\n";
    // Fails where any of the packages is unknown, and still lists the others.
    let listed =
        command("dpkg-query", ["-W", format]).args(PACKAGES).output().with_context(|| {
            format!("this is not Debian: install what its packages hold: {}", PACKAGES.join(" "))
        })?;
    Ok(not_installed(&String::from_utf8_lossy(&listed.stdout)))
}

fn not_installed(listing: &str) -> Vec<&'static str> {
    let here =
        |name: &str| listing.lines().any(|line| line.split_once(' ') == Some((name, "installed")));
    PACKAGES.into_iter().filter(|name| !here(name)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_installed_packages_count() {
        let all = PACKAGES.map(|name| format!("{name} installed\n")).concat();
        assert_eq!(not_installed(&all), [""; 0]);
        assert_eq!(not_installed(&all.replace("jq installed", "jq config-files")), ["jq"]);
        assert_eq!(not_installed(&all.replace("zstd installed\n", "")), ["zstd"]);
        assert_eq!(not_installed("").len(), PACKAGES.len());
    }
}
