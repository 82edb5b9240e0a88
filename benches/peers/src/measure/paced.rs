//! Calls at the rate of a program with other work. The client's threads sleep between them.

use std::hint;
use std::time::{Duration, Instant};

use super::lockstep::lockstep;
use super::samples::Samples;
use super::{Overhead, timed};
use crate::figures::Figures;
use crate::payload::Fields;
use crate::peer::Peer;

/// The time from one call to the next, over all threads.
const PERIOD: Duration = Duration::from_micros(250);
/// A second of calls.
const CALLS: usize = 4_000;

pub(super) fn measure(peer: &dyn Peer, threads: usize, quick: bool) -> Figures {
    let calls = if quick { CALLS / 3 } else { CALLS } / threads;
    let overhead = Overhead::measure();
    peer.log(Fields::nth(0)); // connects
    peer.flush();
    let work = |thread: usize, _round: usize| {
        // The threads take turns: thread 0 first, thread 1 a period later.
        let mut next = Instant::now() + PERIOD * thread as u32;
        let call = |n: usize| {
            // The caller spins and does not sleep, as a program that computes: it keeps its core.
            while Instant::now() < next {
                hint::spin_loop();
            }
            next += PERIOD * threads as u32;
            timed(|| peer.log(Fields::nth(n)))
        };
        (0..calls).map(call).collect::<Vec<u32>>()
    };
    let threads_samples = lockstep(threads, 1, work, || peer.flush());
    let samples = threads_samples.into_iter().flatten().flatten().collect();
    Samples::new(samples).figures(overhead).with("sent", (calls * threads + 1) as f64)
}
