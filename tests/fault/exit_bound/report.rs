//! Measures how late something is past its limit, again and again, and makes a table of the worst.

use std::num::NonZero;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use crate::exit_bound::control::Control;
use crate::exit_bound::scene::Leave;

/// What the contract allows past the limit.
const GRACE: Duration = Duration::from_millis(50);
/// How often a measurement is made until it is on time. The control cannot show all that a busy machine does to a
/// thread. What the reporter does each time is found all the same; what it does once in many times is not, so each
/// one that was made again is printed: on an idle machine there should be none.
pub(crate) const TRIES: usize = 5;

/// How late something was past its limit.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lateness {
    pub(crate) ours: Duration,
    /// That of plain waits at the same time, at worst.
    pub(crate) control: Duration,
}

impl Lateness {
    /// Runs what should end within the limit.
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
    /// What else was wrong.
    pub(crate) wrong: Option<String>,
}

/// `FAULT_REPEAT`: how often everything is measured.
pub(crate) fn rounds() -> usize {
    std::env::var("FAULT_REPEAT").ok().and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// What each hang and way out showed at worst, and every broken promise.
#[derive(Debug)]
pub(crate) struct Report {
    rows: Vec<(&'static str, [Duration; Leave::ALL.len()])>,
    broken: Vec<String>,
    measured: usize,
    /// Of the plain waits beside them, those that were later than the bound.
    controls_late: usize,
    /// What was late and made again.
    repeated: Vec<String>,
}

impl Report {
    /// A row for each of these.
    pub(crate) fn of(hangs: impl IntoIterator<Item = &'static str>) -> Self {
        let rows = hangs.into_iter().map(|hang| (hang, Default::default())).collect();
        Self { rows, broken: Vec::new(), measured: 0, controls_late: 0, repeated: Vec::new() }
    }

    /// Measures every round, way out, hang and limit: so many at a time for each core, long and short ones mixed.
    pub(crate) fn measure_all<H: Sync>(
        at_a_time: usize,
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
        let lanes = at_a_time * thread::available_parallelism().map_or(2, NonZero::get);
        thread::scope(|scope| {
            for _ in 0..lanes {
                scope.spawn(|| {
                    while let Some(&(name, hang, leave, limit)) =
                        jobs.get(next.fetch_add(1, Ordering::Relaxed))
                    {
                        for tries_left in (0..TRIES).rev() {
                            let finding = measure(hang, leave, limit);
                            let mut report = report.lock().unwrap_or_else(PoisonError::into_inner);
                            if report.note(name, leave, limit, finding, tries_left) {
                                break;
                            }
                        }
                    }
                });
            }
        });
        report.into_inner().unwrap_or_else(PoisonError::into_inner)
    }

    /// Enters a measurement. `false`: it is late, and should be tried again.
    pub(crate) fn note(
        &mut self,
        hang: &str,
        leave: Leave,
        limit: Duration,
        Finding { late, wrong }: Finding,
        tries_left: usize,
    ) -> bool {
        let say = |what| format!("{hang}: {}({limit:?}): {what}", leave.name());
        self.broken.extend(wrong.map(say));
        self.controls_late += usize::from(late.control > GRACE);
        if !late.is_within_grace() {
            let said = say(format!("late by {late:?}"));
            if tries_left > 0 {
                self.repeated.push(said);
                return false;
            }
            self.broken.push(said);
        }
        self.measured += 1;
        if let Some((_, worst)) = self.rows.iter_mut().find(|(name, _)| *name == hang) {
            let worst = &mut worst[leave as usize];
            *worst = late.ours.max(*worst);
        }
        true
    }

    /// Prints the table for the README, then fails if a promise was broken.
    #[track_caller]
    pub(crate) fn conclude(self, title: &str) {
        let Self { measured, repeated, controls_late, .. } = &self;
        println!("\n{title}: the worst of {} rounds, in milliseconds past the limit.", rounds());
        println!(
            "{measured} measurements; {} were later than bound and plain waits, and made again;",
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
