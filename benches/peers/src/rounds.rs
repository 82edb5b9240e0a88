//! Rounds of the same work by every contender. They are interleaved, so that a disturbance of the machine affects all.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::Result;

use crate::child;
use crate::figures::Figures;
use crate::peer::Contender;
use crate::plan::Plan;
use crate::quantile::Spread;
use crate::report;
use crate::sink::Sink;
use crate::task::{Task, Work};

/// Work that takes this long hangs.
const LIMIT: Duration = Duration::from_secs(90);

/// The figures of each contender, round by round.
pub(crate) struct Results(BTreeMap<Contender, Vec<Figures>>);

impl Results {
    /// Lets all contenders do `work` in turn, `plan.rounds` times. Each round begins with another contender.
    pub(crate) fn of(work: Work, contenders: &[Contender], plan: &Plan, sink: &Sink) -> Result<Self> {
        let mut contenders = plan.of(contenders);
        let mut results: BTreeMap<_, Vec<_>> = contenders.iter().map(|&it| (it, Vec::new())).collect();
        for round in 0..plan.rounds {
            eprintln!("{work:?}, round {} of {}", round + 1, plan.rounds);
            for &contender in &contenders {
                let task = Task { work, contender, sink: sink.address(), quick: plan.quick };
                let figures = child::run(task, LIMIT)?.figures()?;
                let received = sink.take_count()?;
                let figures = match figures.get("received") {
                    None => figures.with("received", received as f64),
                    Some(_) => figures,
                };
                results.entry(contender).or_default().push(figures);
            }
            contenders.rotate_left(1);
        }
        Ok(Self(results))
    }

    /// The contenders in the order of the tables.
    pub(crate) fn contenders(&self) -> impl Iterator<Item = Contender> + '_ {
        self.0.keys().copied()
    }

    fn values(&self, contender: Contender, name: &str) -> impl Iterator<Item = f64> {
        self.0.get(&contender).into_iter().flatten().filter_map(move |it| it.get(name))
    }

    pub(crate) fn spread(&self, contender: Contender, name: &str) -> Option<Spread> {
        Spread::of(self.values(contender, name))
    }

    /// A figure as `median (least–most)`.
    pub(crate) fn cell(&self, contender: Contender, name: &str, decimals: usize) -> String {
        self.spread(contender, name).map_or_else(dash, |it| it.show(1.0, decimals))
    }

    /// The median as a multiple of that of the reference.
    pub(crate) fn ratio(&self, contender: Contender, reference: Contender, name: &str) -> String {
        let ratio = || Some(self.spread(contender, name)?.median / self.spread(reference, name)?.median);
        ratio().map_or_else(dash, |it| format!("{it:.2}"))
    }

    /// How many of the sent events arrived, over all rounds.
    pub(crate) fn arrived(&self, contender: Contender) -> String {
        let sent: f64 = self.values(contender, "sent").sum();
        let received: f64 = self.values(contender, "received").sum();
        report::arrived(sent, received)
    }
}

pub(crate) fn dash() -> String {
    "–".to_owned()
}
