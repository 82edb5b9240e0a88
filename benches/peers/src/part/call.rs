//! The cost of a call for its thread.

use std::time::Duration;

use anyhow::Result;

use crate::peer::Contender;
use crate::plan::Plan;
use crate::report::Table;
use crate::rounds::{Results, dash};
use crate::sink::{Manner, Sink};
use crate::task::Work;

/// The batch size has no effect on a caller, so one size of OpenTelemetry's JSON is enough.
const CONTENDERS: [Contender; 13] = [
    Contender::OtelProto,
    Contender::OtelProtoStatic,
    Contender::OtelTracing,
    Contender::OtelJson,
    Contender::SentryLogs,
    Contender::SentryEvents,
    Contender::PostHog,
    Contender::AppenderText,
    Contender::AppenderJson,
    Contender::OursStruct,
    Contender::OursJson,
    Contender::OursTree,
    Contender::OursDisabled,
];

pub(crate) fn tables(plan: &Plan) -> Result<Vec<Table>> {
    let sink = Sink::start(Manner::After(Duration::ZERO))?;
    let burst = |threads, title: &str, about: &str| -> Result<Table> {
        let results = Results::of(Work::Burst { threads }, &CONTENDERS, plan, &sink)?;
        Ok(table(&results, title, about, "burst_mean"))
    };
    let paced = |threads, title: &str, about: &str| -> Result<Table> {
        let results = Results::of(Work::Paced { threads }, &CONTENDERS[..CONTENDERS.len() - 1], plan, &sink)?;
        Ok(table(&results, title, about, "mean"))
    };
    Ok(vec![
        burst(
            1,
            "A call in a burst, 1 thread (ns)",
            "5 000 calls in a row; the queue has room for all and is drained between bursts, outside the timing.",
        )?,
        burst(
            4,
            "A call in a burst, 4 threads (ns)",
            "2 000 calls in a row on each of four threads that begin together, else as above.",
        )?,
        paced(
            1,
            "A call every 250 µs, 1 thread (ns)",
            "The caller computes between its calls, and the client's own threads sleep.",
        )?,
        paced(
            4,
            "A call every 250 µs, 4 threads in turn (ns)",
            "A call every millisecond on each of four threads, which compute between them: no core is idle.",
        )?,
    ])
}

/// `mean` is the name of the mean in the ratio. For calls in a burst it is that of calls timed together.
fn table(results: &Results, title: &str, about: &str, mean: &str) -> Table {
    let timer = results.cell(Contender::REFERENCE, "timer", 0);
    let about = format!("{about} The timer's own cost, {timer} ns, is taken off.");
    let together = mean == "burst_mean";
    let mut head = vec!["", "p50", "ratio", "p99", "mean", "ratio"];
    if together {
        head.push("mean of timed calls");
    }
    head.push("arrived");
    let mut table = Table::new(title, about, &head);
    for contender in results.contenders() {
        let ratio = |name| results.ratio(contender, Contender::REFERENCE, name);
        if contender == Contender::OursDisabled {
            // The clock cannot measure a few nanoseconds, so only many calls together are timed.
            let mean = results.cell(contender, mean, 1);
            let label = contender.label().to_owned();
            table.row(vec![label, dash(), dash(), dash(), mean, ratio("burst_mean"), dash(), dash()]);
            continue;
        }
        let mut row = vec![
            contender.label().to_owned(),
            results.cell(contender, "p50", 0),
            ratio("p50"),
            results.cell(contender, "p99", 0),
            results.cell(contender, mean, 0),
            ratio(mean),
        ];
        if together {
            row.push(results.cell(contender, "mean", 0));
        }
        row.push(results.arrived(contender));
        table.row(row);
    }
    table
}
