//! Images of which only the size matters. Their bytes are the same on every machine, except for what Debian gives.

use std::fs::File;
use std::io::{BufWriter, Read, Seek, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::parts::pack;

const GIGABYTE: u64 = 1 << 30;

/// Two layers: bytes that cannot be compressed, and Debian over and over.
pub(crate) fn big_blobs(parts: &Path, debian: &Path) -> Result<Vec<PathBuf>> {
    let noise = layer(parts, "noise", |file| write_noise(file, 1, GIGABYTE))?;
    let text = layer(parts, "text", |file| {
        let mut debian = File::open(debian)?;
        let mut missing = GIGABYTE;
        while missing > 0 {
            debian.rewind()?;
            missing -= std::io::copy(&mut (&debian).take(missing), file)?;
        }
        Ok(())
    })?;
    Ok(vec![noise, text])
}

/// Layers of one file of 64 KiB, each another one.
pub(crate) fn small_layers(parts: &Path, count: u32) -> Result<Vec<PathBuf>> {
    let one = |number| {
        layer(parts, &format!("layer-{number}"), |file| write_noise(file, number, 1 << 16))
    };
    (1..=count).map(|number| one(u64::from(number))).collect()
}

/// Packs one file into a tar file of its name.
fn layer(
    parts: &Path,
    name: &str,
    write: impl FnOnce(&mut BufWriter<File>) -> std::io::Result<()>,
) -> Result<PathBuf> {
    let folder = parts.join(format!("{name}.content"));
    let path = folder.join(name);
    std::fs::create_dir_all(&folder)
        .and_then(|()| File::create(&path))
        .and_then(|file| {
            let mut file = BufWriter::new(file);
            write(&mut file)?;
            file.flush()
        })
        .with_context(|| format!("cannot write {}", path.display()))?;
    pack(&folder, &parts.join(format!("{name}.tar")), &[])
}

/// Writes bytes that look random: the generator is Marsaglia's xorshift64.
fn write_noise(writer: &mut impl Write, seed: u64, bytes: u64) -> std::io::Result<()> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15).max(1);
    for _ in 0..bytes / 8 {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        writer.write_all(&state.to_le_bytes())?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn noise_differs_by_seed_only() {
        let noise = |seed| {
            let mut bytes = Vec::new();
            write_noise(&mut bytes, seed, 64).unwrap();
            bytes
        };
        assert_eq!(noise(1).len(), 64);
        assert_eq!(noise(1), noise(1));
        assert_ne!(noise(1), noise(2));
    }
}
