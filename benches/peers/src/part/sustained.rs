//! The number of events per second, and their cost for the whole process.

use std::time::Duration;

use anyhow::Result;

use crate::peer::Contender;
use crate::plan::Plan;
use crate::report::Table;
use crate::rounds::Results;
use crate::sink::{Manner, Sink};
use crate::task::Work;

const CONTENDERS: [Contender; 13] = [
    Contender::OtelProto,
    Contender::OtelJson,
    Contender::OtelJson100,
    Contender::SentryLogs,
    Contender::SentryEvents,
    Contender::PostHog,
    Contender::AppenderText,
    Contender::AppenderJson,
    Contender::OursStruct,
    Contender::OursJson,
    Contender::OursTree,
    Contender::OursOtlp,
    Contender::OursOtlp512,
];

pub(crate) fn tables(plan: &Plan) -> Result<Vec<Table>> {
    let sink = Sink::start(Manner::After(Duration::ZERO))?;
    let results = Results::of(Work::Sustained, &CONTENDERS, plan, &sink)?;
    let mut table = Table::new(
        "Sustained",
        "One thread logs 8 000 events, waits until they have been sent, and logs the next. Processor time is that of \
         all threads of the process, the caller's included, the sink's not. OpenTelemetry sends batches of 512 where \
         its row has no other number; Sentry logs, PostHog and tinker-telemetry of 100; Sentry events go one by one, and \
         tracing-appender writes a file, which is less work.",
        &[
            "",
            "events/s",
            "ratio",
            "ratio to JSON in 100s",
            "CPU s per million",
            "ratio",
            "ratio to JSON in 100s",
            "arrived",
        ],
    );
    for contender in results.contenders() {
        let ratio = |name, to| results.ratio(contender, to, name);
        table.row(vec![
            contender.label().to_owned(),
            results.cell(contender, "events_per_second", 0),
            ratio("events_per_second", Contender::REFERENCE),
            ratio("events_per_second", Contender::OtelJson100),
            results.cell(contender, "cpu_per_million", 2),
            ratio("cpu_per_million", Contender::REFERENCE),
            ratio("cpu_per_million", Contender::OtelJson100),
            results.arrived(contender),
        ]);
    }
    Ok(vec![table])
}
