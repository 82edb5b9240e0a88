//! The end of a short program: the time of its last call, and the number of events that arrive.

use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpListener};
use std::time::Duration;

use anyhow::Result;

use crate::child::{self, Outcome};
use crate::peer::Contender;
use crate::plan::Plan;
use crate::quantile::Spread;
use crate::report::{self, Table};
use crate::rounds::dash;
use crate::sink::{Manner, Sink};
use crate::task::{Task, Work};

const CONTENDERS: [Contender; 7] = [
    Contender::OtelProto,
    Contender::OtelJson,
    Contender::SentryLogs,
    Contender::SentryEvents,
    Contender::PostHog,
    Contender::AppenderJson,
    Contender::OursStruct,
];

/// A process that has not ended after this time is killed.
const LIMIT: Duration = Duration::from_secs(10);

/// One end of one contender. Times are in milliseconds, and `None` after the limit.
struct End {
    call: Option<f64>,
    gone: Option<f64>,
    sent: f64,
    received: f64,
}

pub(crate) fn tables(plan: &Plan) -> Result<Vec<Table>> {
    let quick = Sink::start(Manner::After(Duration::ZERO))?;
    let slow = Sink::start(Manner::After(Duration::from_millis(20)))?;
    let stalled = Sink::start(Manner::Stalled)?;
    Ok(vec![
        table(plan, "Drain: the sink answers at once", quick.address(), Some(&quick), &CONTENDERS)?,
        table(plan, "Drain: the sink answers after 20 ms", slow.address(), Some(&slow), &networked())?,
        table(plan, "Drain: no server listens", dead_port()?, None, &networked())?,
        table(plan, "Drain: the sink accepts and never answers", stalled.address(), None, &networked())?,
    ])
}

fn networked() -> Vec<Contender> {
    CONTENDERS.into_iter().filter(|it| it.has_network()).collect()
}

/// A port of loopback that was free a moment ago.
fn dead_port() -> Result<SocketAddr> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?)
}

fn table(
    plan: &Plan,
    title: &str,
    to: SocketAddr,
    sink: Option<&Sink>,
    contenders: &[Contender],
) -> Result<Table> {
    let mut contenders = plan.of(contenders);
    let mut ends: BTreeMap<Contender, Vec<End>> = BTreeMap::new();
    // With an answer a round takes milliseconds, so more rounds are affordable and make the figure more precise.
    let rounds = if sink.is_some() { plan.rounds * 4 } else { plan.rounds.div_ceil(2) };
    eprintln!("{title}, {rounds} rounds");
    for _ in 0..rounds {
        for &contender in &contenders {
            let task = Task { work: Work::Drain, contender, sink: to, quick: plan.quick };
            let outcome = child::run(task, LIMIT)?;
            let received = sink.map(Sink::take_count).transpose()?.unwrap_or_default() as f64;
            ends.entry(contender).or_default().push(end(&outcome, received));
        }
        contenders.rotate_left(1);
    }
    let mut table = Table::new(
        title,
        format!(
            "50 events are pending without a connection. Then comes the call that the library has for the end of a \
             program, with a limit of 1 s where it takes one (tracing-appender does not). After it `main` returns. \
             Rounds: {rounds}."
        ),
        &["", "the call (ms)", "process gone (ms)", "arrived"],
    );
    for (contender, ends) in &ends {
        table.row(vec![
            contender.label().to_owned(),
            milliseconds(ends.iter().map(|end| end.call)),
            milliseconds(ends.iter().map(|end| end.gone)),
            if sink.is_some() { arrived(ends) } else { dash() },
        ]);
    }
    Ok(table)
}

fn end(outcome: &Outcome, received: f64) -> End {
    let (figures, ended) = match outcome {
        Outcome::Done { figures, ended } => (figures, Some(ended)),
        Outcome::Killed { figures } => (figures, None),
    };
    let began = figures.get("began").unwrap_or(f64::NAN);
    End {
        call: figures.get("call").map(|seconds| seconds * 1e3),
        gone: ended.map(|ended| (ended - began) * 1e3),
        sent: figures.get("sent").unwrap_or_default(),
        received: figures.get("received").unwrap_or(received),
    }
}

fn milliseconds(times: impl ExactSizeIterator<Item = Option<f64>>) -> String {
    let all = times.len();
    let within: Vec<f64> = times.flatten().collect();
    let past = all - within.len();
    let limit = LIMIT.as_secs();
    match Spread::of(within) {
        None => format!("> {limit} s"),
        Some(spread) if past == 0 => spread.show(1.0, 1),
        Some(spread) => format!("{}, {past} of {all} > {limit} s", spread.show(1.0, 1)),
    }
}

fn arrived(ends: &[End]) -> String {
    let sent: f64 = ends.iter().map(|end| end.sent).sum();
    let received: f64 = ends.iter().map(|end| end.received).sum();
    report::arrived(sent, received)
}
