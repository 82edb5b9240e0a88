//! The work of a child process: one task with one client. It prints figures.

mod burst;
mod drain;
mod lockstep;
mod paced;
mod samples;
mod sustained;

use std::io::Write;
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::payload::Fields;
use crate::peer::{Nothing, Peer};
use crate::task::{Task, Work};

use samples::Samples;

/// What every client is given for its last call, where it takes a limit.
pub(crate) const BUDGET: Duration = Duration::from_secs(1);

/// Does the work of `task` and writes the figures to `out` before the client's drop, which may hang.
pub(crate) fn measure(task: Task, out: &mut impl Write) -> Result<()> {
    let mut peer = task.contender.start(task.sink, BUDGET)?;
    let figures = match task.work {
        Work::Burst { threads } => burst::measure(&*peer, threads, task.quick),
        Work::Paced { threads } => paced::measure(&*peer, threads, task.quick),
        Work::Sustained => sustained::measure(&*peer, task.quick)?,
        Work::Drain => drain::measure(&mut *peer),
    };
    if task.work != Work::Drain {
        peer.shutdown(BUDGET);
    }
    let figures = match peer.written() {
        Some(events) => figures.with("received", events as f64),
        None => figures,
    };
    write!(out, "{figures}")?;
    Ok(out.flush()?)
}

/// The time of one call, in nanoseconds.
fn timed(call: impl FnOnce()) -> u32 {
    let before = Instant::now();
    call();
    before.elapsed().as_nanos().try_into().unwrap_or(u32::MAX)
}

/// The bench's own cost per call, in nanoseconds, measured without a client.
#[derive(Clone, Copy)]
struct Overhead {
    /// Of a call that is timed alone: two clock reads.
    timed: f64,
    /// Of a call among many that are timed together: the loop and the fields.
    looped: f64,
}

impl Overhead {
    fn measure() -> Self {
        const CALLS: usize = 50_000;
        let nothing: &dyn Peer = &Nothing;
        let samples = (0..CALLS).map(|n| timed(|| nothing.log(Fields::nth(n)))).collect();
        let looped = whole(0..CALLS, nothing);
        Self { timed: Samples::new(samples).quantile(500), looped }
    }
}

/// The mean time of these calls, in nanoseconds, by one clock read before all and one after.
fn whole(calls: Range<usize>, peer: &dyn Peer) -> f64 {
    let count = calls.len() as f64;
    let began = Instant::now();
    calls.for_each(|n| peer.log(Fields::nth(n)));
    began.elapsed().as_secs_f64() * 1e9 / count
}
