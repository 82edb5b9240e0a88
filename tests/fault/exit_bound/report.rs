//! Measures many times how late a call or a program ends after its limit, and prints a table of the worst.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::exit_bound::control::Control;
use crate::exit_bound::scene::Leave;

/// The time that the contract allows after the limit.
const GRACE: Duration = Duration::from_millis(50);
/// The maximum number of tries until a measurement is on time. The control cannot see every effect of a busy machine on
/// a thread. A lateness of the reporter at each try is still found. A rare one is not, so each repeated measurement is
/// printed: on an idle machine there should be none.
pub(crate) const TRIES: usize = 5;

/// How late the end came after the limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lateness {
    pub(crate) ours: Duration,
    /// The worst lateness of plain waits at the same time.
    pub(crate) control: Duration,
}

impl Lateness {
    /// Runs a function that should end within the limit.
    pub(crate) fn of<T>(limit: Duration, run: impl FnOnce() -> T) -> (Self, T) {
        let control = Control::start(limit);
        let started = Instant::now();
        let result = run();
        let ours = started.elapsed().saturating_sub(limit);
        (Self { ours, control: control.finish() }, result)
    }

    fn is_within_grace(self) -> bool {
        self.ours <= GRACE + self.control
    }
}

/// One measurement.
#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) late: Lateness,
    /// Another broken promise.
    pub(crate) wrong: Option<String>,
}

/// `FAULT_REPEAT`: the number of rounds.
pub(crate) fn rounds() -> usize {
    std::env::var("FAULT_REPEAT").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// The worst of each hang and leave, and every broken promise.
#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<(&'static str, [Duration; Leave::ALL.len()])>,
    broken: Vec<String>,
    measured: usize,
    /// The number of measurements with a plain wait later than the bound.
    controls_late: usize,
    /// The measurements that were late and repeated.
    repeated: Vec<String>,
}

impl Report {
    /// An empty report with a row for each of these.
    pub(crate) fn of(hangs: impl IntoIterator<Item = &'static str>) -> Self {
        let rows = hangs.into_iter().map(|hang| (hang, Default::default())).collect();
        Self { rows, broken: Vec::new(), measured: 0, controls_late: 0, repeated: Vec::new() }
    }

    /// Measures every round, leave, hang and limit, this many in parallel per core, with long and short ones mixed.
    pub(crate) fn measure_all<H: Sync>(
        per_core: usize,
        hangs: &[(&'static str, H)],
        limits: &[Duration],
        measure: impl Fn(&H, Leave, Duration) -> Finding + Sync,
    ) -> Self {
        let mut jobs = Vec::new();
        for _ in 0..rounds() {
            for leave in Leave::ALL {
                for (name, hang) in hangs {
                    jobs.extend(limits.iter().map(|limit| (*name, hang, leave, *limit)));
                }
            }
        }
        let report = Mutex::new(Self::of(hangs.iter().map(|(name, _)| *name)));
        let next = AtomicUsize::new(0);
        let workers = per_core * thread::available_parallelism().map_or(2, NonZero::get);
        thread::scope(|scope| {
            for _ in 0..workers {
                scope.spawn(|| {
                    while let Some(&(name, hang, leave, limit)) =
                        jobs.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        for tries_left in (0..TRIES).rev() {
                            let finding = measure(hang, leave, limit);
                            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                            if report.record(name, leave, limit, finding, tries_left) {
                                break;
                            }
                        }
                    }
                });
            }
        });
        report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records a measurement. Returns `false` where it is late and should be repeated.
    pub(crate) fn record(
        &mut self,
        hang: &str,
        leave: Leave,
        limit: Duration,
        Finding { late, wrong }: Finding,
        tries_left: usize,
    ) -> bool {
        let describe = |what| format!("{hang}: {}({limit:?}): {what}", leave.name());
        self.broken.extend(wrong.map(describe));
        self.controls_late += usize::from(late.control > GRACE);
        if !late.is_within_grace() {
            let text = describe(format!("late by {late:?}"));
            if tries_left > 0 {
                self.repeated.push(text);
                return false;
            }
            self.broken.push(text);
        }
        self.measured += 1;
        if let Some((_, worst)) = self.rows.iter_mut().find(|(name, _)| *name == hang) {
            let worst = &mut worst[leave as usize];
            *worst = late.ours.max(*worst);
        }
        true
    }

    /// Prints the table for the documents, then fails if a promise was broken.
    #[track_caller]
    pub(crate) fn conclude(self, title: &str) {
        let Self { measured, repeated, controls_late, .. } = &self;
        println!("\n{title}: the worst of {} rounds, in milliseconds past the limit.", rounds());
        println!(
            "{measured} measurements; {} were later than the bound and the plain waits, and were repeated;",
            repeated.len()
        );
        println!("in {controls_late} a plain wait at the same time was later than the bound.\n");
        println!("| fault | bound | {} |", Leave::ALL.map(Leave::name).join(" | "));
        println!("|---|---|{}", "---|".repeat(Leave::ALL.len()));
        for (hang, worst) in &self.rows {
            let worst = worst.map(|worst| format!("{:.1}", worst.as_secs_f64() * 1e3));
            println!("| {hang} | {} | {} |", GRACE.as_millis(), worst.join(" | "));
        }
        println!("\n{}", repeated.join("\n"));
        assert!(self.broken.is_empty(), "{}", self.broken.join("\n"));
    }
}
