//! The same telemetry work through tinker-telemetry and its peers, measured in one run. See the README beside it.

mod child;
mod figures;
#[path = "../../support/machine.rs"]
mod machine;
mod measure;
mod package;
mod part;
mod payload;
mod peer;
mod plan;
#[path = "../../support/quantile.rs"]
mod quantile;
mod report;
mod rounds;
mod sink;
mod task;
mod usage;
mod versions;

use std::{env, io};

use anyhow::{Context, Result};

use plan::{Part, Plan};
use task::Task;

fn main() -> Result<()> {
    let args: Vec<String> = env::args().skip(1).collect();
    match args.split_first() {
        // The two kinds of processes that the bench starts.
        Some((command, rest)) if command == "sink" => {
            sink::serve(rest.first().context("a manner")?.parse()?)?;
        }
        Some((command, rest)) if command == "run" => {
            measure::measure(Task::from_args(rest)?, &mut io::stdout())?;
        }
        _ if args.iter().any(|arg| arg == "--help" || arg == "-h") => print!("{}", plan::USAGE),
        _ => bench(&Plan::parse(&args)?)?,
    }
    Ok(())
}

/// Prints the tables of each part to standard output, and the progress to standard error.
fn bench(plan: &Plan) -> Result<()> {
    println!("Measured {}.", machine::description());
    println!("Versions: {}.", versions::all());
    println!(
        "Figures are medians of {} interleaved rounds where a table has no other number, each a process of its own, with least \
         and most of the rounds; ratios are of medians, to {}.\n",
        plan.rounds,
        peer::Contender::REFERENCE.label(),
    );
    for part in &plan.parts {
        let tables = match part {
            Part::Call => part::call::tables(plan),
            Part::Sustained => part::sustained::tables(plan),
            Part::Drain => part::drain::tables(plan),
            Part::Footprint => part::footprint::tables(plan),
        };
        for table in tables? {
            println!("{table}");
        }
    }
    println!("Load at the end: {}.", machine::load());
    Ok(())
}
