//! The footprint of a library in a program: crates, bytes, build time, memory.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;
use std::{env, fs, process, thread};

use anyhow::{Context, Result};

use crate::child;
use crate::figures::Figures;
use crate::package::{Package, Written};
use crate::plan::Plan;
use crate::quantile::Spread;
use crate::report::{Table, grouped};
use crate::rounds::dash;
use crate::sink::{Manner, Sink};

const MB: f64 = 1e6;
/// Runs of each program. The memory varies a little between runs.
const RUNS: usize = 5;
const LIMIT: Duration = Duration::from_secs(30);

pub(crate) fn tables(plan: &Plan) -> Result<Vec<Table>> {
    let scratch = Scratch::new()?;
    let sinks =
        Sinks { live: Sink::start(Manner::After(Duration::ZERO))?, stalled: Sink::start(Manner::Stalled)? };
    let empty = Package::EMPTY.write(scratch.path())?;
    empty.cold_build()?;
    let least = Sizes::of(&empty)?;
    let jobs = env::var("CARGO_BUILD_JOBS").ok();
    let jobs = jobs.unwrap_or_else(|| thread::available_parallelism().map_or(0, usize::from).to_string());
    let mut table = Table::new(
        "Footprint",
        format!(
            "A program of its own per row, that starts the client and logs. Crates: all but the program, without and \
             with procedural macros and what they need. Binary: growth over an empty program ({} MB, {} MB stripped, {} \
             MB with LTO) in release mode; LTO: fat, one unit of code generation, stripped. Cold build: once, {jobs} jobs, downloads done. Start: until the client can be logged to. \
             Resident memory: after one event was sent; and with 10 000 events and a server that never answers. \
             Rounds of these: {RUNS}.",
            grouped(least.plain / MB, 2),
            grouped(least.stripped / MB, 2),
            grouped(least.lean / MB, 2)
        ),
        &[
            "",
            "crates",
            "with macros",
            "binary (MB)",
            "stripped (MB)",
            "LTO (MB)",
            "cold build (s)",
            "its CPU (s)",
            "start (µs)",
            "idle (MB)",
            "LTO, idle (MB)",
            "10 000 queued (MB)",
        ],
    );
    for package in Package::ALL.iter().filter(|it| plan.includes(it.id)) {
        eprintln!("footprint of {}", package.id);
        let written = package.write(scratch.path())?;
        table.row(row(package, &written, &least, &sinks)?);
        written.remove()?; // hundreds of megabytes, each
    }
    Ok(vec![table])
}

struct Sinks {
    live: Sink,
    stalled: Sink,
}

/// Bytes of a program by how it was built.
struct Sizes {
    plain: f64,
    stripped: f64,
    lean: f64,
}

impl Sizes {
    fn of(written: &Written) -> Result<Self> {
        Ok(Self {
            plain: written.size()?,
            lean: fs::metadata(written.lean_build()?)?.len() as f64,
            stripped: written.stripped_size()?, // the last, since it replaces the binary
        })
    }
}

/// `least`: the sizes of the empty program.
fn row(package: &Package, written: &Written, least: &Sizes, sinks: &Sinks) -> Result<Vec<String>> {
    let (clock, cpu) = written.cold_build()?;
    let idle = runs(&written.binary(), "idle", sinks.live.address())?;
    let full = runs(&written.binary(), "full", sinks.stalled.address())?;
    let lean = runs(&written.lean_build()?, "idle", sinks.live.address())?;
    let sizes = Sizes::of(written)?;
    let cell = |runs: &[Figures], name: &str, unit: f64, decimals: usize| {
        let spread = Spread::of(runs.iter().filter_map(|it| it.get(name)));
        spread.map_or_else(dash, |it| it.show(unit, decimals))
    };
    Ok(vec![
        package.label.to_owned(),
        written.crates("normal,no-proc-macro")?.to_string(),
        written.crates("normal")?.to_string(),
        grouped((sizes.plain - least.plain) / MB, 2),
        grouped((sizes.stripped - least.stripped) / MB, 2),
        grouped((sizes.lean - least.lean) / MB, 2),
        grouped(clock, 1),
        grouped(cpu, 1),
        cell(&idle, "start_us", 1.0, 0),
        cell(&idle, "idle_rss", MB, 2),
        cell(&lean, "idle_rss", MB, 2),
        cell(&full, "full_rss", MB, 2),
    ])
}

fn runs(binary: &Path, what: &str, sink: SocketAddr) -> Result<Vec<Figures>> {
    let run = |_| {
        let mut command = Command::new(binary);
        command.args([what, &sink.to_string()]);
        child::outcome(command, LIMIT)?.figures().with_context(|| format!("{} {what}", binary.display()))
    };
    (0..RUNS).map(run).collect()
}

/// A directory that a drop removes.
struct Scratch(PathBuf);

impl Scratch {
    fn new() -> Result<Self> {
        let path = env::temp_dir().join(format!("peers-footprint-{}", process::id()));
        fs::create_dir_all(&path)?;
        Ok(Self(path))
    }

    fn path(&self) -> &Path {
        &self.0
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}
