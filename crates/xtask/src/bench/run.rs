//! Measures rows, and writes the report.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use super::corpus::{Corpora, Corpus};
use super::ground::Ground;
use super::machine::Machine;
use super::measure::{Places, Sample, measure};
use super::registry::Registry;
use super::report::{Measured, Report, Side};
use super::rows::{self, Line, Row};
use crate::console;
use crate::process::succeed;
use crate::workspace::{cargo, target};

/// A row is measured more often than others where each warm-up took less than this.
const SHORT_SECONDS: f64 = 0.1;

/// How much more often.
const SHORT_TIMES: usize = 5;

/// How `cargo xtask bench` is asked to work.
#[derive(clap::Args, Debug)]
pub(crate) struct BenchOptions {
    /// Only rows whose name contains this
    #[arg(long, value_name = "TEXT", default_value = "", hide_default_value = true)]
    filter: String,
    /// How often each command is measured; five times as often in rows that take less than 0.1 s
    #[arg(long, value_name = "N", default_value_t = 5, value_parser = clap::value_parser!(u16).range(1..))]
    runs: u16,
    /// Lists the rows and ends
    #[arg(long)]
    list: bool,
    /// Another program in dray's place; without it, dray is built for release
    #[arg(long, value_name = "PROGRAM")]
    ours: Option<PathBuf>,
    /// The peer
    #[arg(long, value_name = "PROGRAM", default_value = "skopeo")]
    peer: PathBuf,
    /// Another program in our engine's place; without it, cellar is built for release
    #[arg(long, value_name = "PROGRAM")]
    our_engine: Option<PathBuf>,
    /// The engine's peer
    #[arg(long, value_name = "PROGRAM", default_value = "podman")]
    peer_engine: PathBuf,
    /// Another program in our builder's place; without it, cooper is built for release
    #[arg(long, value_name = "PROGRAM")]
    our_builder: Option<PathBuf>,
    /// The builder's peer
    #[arg(long, value_name = "PROGRAM", default_value = "buildah")]
    peer_builder: PathBuf,
}

/// Measures what was asked for.
///
/// # Errors
///
/// Where no row fits, dray cannot be built, images cannot be made, or the report cannot be written. A command that
/// fails is a line of the report.
pub(crate) fn run(options: &BenchOptions) -> Result<()> {
    let rows: Vec<&Row> = rows::all().filter(|row| row.name.contains(&options.filter)).collect();
    if rows.is_empty() {
        bail!("no row's name contains `{}`; `cargo xtask bench --list` shows them", options.filter);
    }
    if options.list {
        rows.iter().for_each(|row| console::line(row.name));
        return Ok(());
    }
    let ours = match &options.ours {
        Some(program) => program.clone(),
        None => build("dray")?,
    };
    let find = |given: &Option<PathBuf>, place, name| match given {
        Some(program) => Ok(program.clone()),
        None if rows.iter().any(|row| row.needs(place)) => build(name),
        None => Ok(PathBuf::new()),
    };
    let our_engine = find(&options.our_engine, "{engine}", "cellar")?;
    let our_builder = find(&options.our_builder, "{builder}", "cooper")?;
    let corpora = Corpora::open(target().join("corpus"))?;
    let made = needed(&rows).map(|corpus| corpora.make(corpus)).collect::<Result<Vec<_>>>()?;
    let folder = target().join("bench");
    let registry = match rows.iter().any(|row| row.needs_registry()) {
        true => Some(Registry::start(&folder)?),
        false => None,
    };
    let ground = Ground::new(folder.join("out"));
    let places = |side, [program, engine, builder]: [&Path; 3]| Places {
        program: program.to_owned(),
        engine: engine.to_owned(),
        builder: builder.to_owned(),
        side,
        stores: folder.join("stores"),
        corpus: corpora.folder().to_owned(),
        out: ground.folder().to_owned(),
        registry: registry.as_ref().map(Registry::address).unwrap_or_default().to_owned(),
        registry_files: registry.as_ref().map(Registry::files).unwrap_or(&folder).to_owned(),
    };
    let programs = [
        places("ours", [&ours, &our_engine, &our_builder]),
        places("peer", [&options.peer, &options.peer_engine, &options.peer_builder]),
    ];
    let mut report =
        Report { machine: Machine::look(&ours, &options.peer), corpora: made, rows: Vec::new() };
    for row in rows {
        console::heading(row.name);
        report.rows.push(measure_row(row, &programs, &ground, options.runs)?);
    }
    write(&report, &folder)
}

fn build(program: &str) -> Result<PathBuf> {
    console::heading(&format!("cargo build --release --package {program}"));
    succeed(&mut cargo(["build", "--release", "--package", program]))?;
    Ok(target().join("release").join(program))
}

/// The images that rows read, each once, in the order of their first use.
fn needed<'a>(rows: &'a [&Row]) -> impl Iterator<Item = Corpus> + 'a {
    let all = || rows.iter().flat_map(|row| row.corpora.iter().copied());
    all()
        .enumerate()
        .filter(move |(at, corpus)| !all().take(*at).any(|other| other == *corpus))
        .map(|(_, c)| c)
}

fn measure_row(
    row: &Row,
    [ours, peer]: &[Places; 2],
    ground: &Ground,
    runs: u16,
) -> Result<Measured> {
    let sides = [(ours, row.ours), (peer, row.peer), (ours, row.floor)];
    let mut results = sides.map(|_| Side::Ran(Vec::new()));
    let mut longest = 0.0_f64;
    let mut round = 0;
    while round <= usize::from(runs) * if longest < SHORT_SECONDS { SHORT_TIMES } else { 1 } {
        for ((places, line), result) in sides.iter().zip(&mut results) {
            let Side::Ran(samples) = result else { continue };
            match run_once(row, places, ground, *line)? {
                Err(error) => {
                    console::line(&format!("failed: {error:#}"));
                    *result = Side::Failed(format!("{error:#}"));
                }
                Ok(sample) if round > 0 => samples.push(sample),
                // The warm-up only tells how long the row takes.
                Ok(sample) => longest = longest.max(sample.wall_seconds),
            }
        }
        round += 1;
    }
    let [ours, peer, floor] = results;
    Ok(Measured { name: row.name, goal: row.goal, ours, peer, floor })
}

/// Runs one side of a row. The outer error is the bench's, the inner one the command's.
fn run_once(row: &Row, places: &Places, ground: &Ground, line: Line) -> Result<Result<Sample>> {
    ground.renew()?;
    if let Some(prepare) = row.prepare {
        succeed(&mut places.command(prepare))?;
    }
    let result = measure(&mut places.command(line), &places.out);
    if let Some(cleanup) = row.cleanup {
        succeed(&mut places.command(cleanup))?;
    }
    Ok(result)
}

/// Removes everything in a folder, which is made if it is not there.
pub(crate) fn empty(folder: &Path) -> Result<()> {
    match fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => fs::create_dir_all(folder),
    }
    .with_context(|| format!("cannot empty {}", folder.display()))
}

fn write(report: &Report, folder: &Path) -> Result<()> {
    let text = report.markdown();
    let json = serde_json::to_string_pretty(report).context("cannot write figures as JSON")?;
    for (name, content) in [("latest.md", &text), ("latest.json", &json)] {
        let path = folder.join(name);
        fs::write(&path, content).with_context(|| format!("cannot write {}", path.display()))?;
    }
    console::line("");
    console::line(&text);
    console::line(&format!("written to {}", folder.join("latest.md").display()));
    Ok(())
}
