//! Calls without a pause, into a queue with room for all of them.

use super::lockstep::lockstep;
use super::samples::Samples;
use super::{Overhead, timed, whole};
use crate::figures::Figures;
use crate::payload::Fields;
use crate::peer::Peer;
use crate::quantile::Spread;

/// Calls per burst on one thread: half of the queue.
const CALLS_ALONE: usize = 5_000;
/// Calls per burst on all of several threads together: still less than the queue holds.
const CALLS_TOGETHER: usize = 8_000;
/// Bursts, each drained before the next. The first warms up and is not counted. Then they alternate between timing each
/// call and timing all calls together.
const BURSTS: usize = 15;

pub(super) fn measure(peer: &dyn Peer, threads: usize, quick: bool) -> Figures {
    let calls = if threads == 1 { CALLS_ALONE } else { CALLS_TOGETHER / threads };
    let bursts = if quick { BURSTS / 3 } else { BURSTS };
    let overhead = Overhead::measure();
    let work = |_thread: usize, burst: usize| {
        let first = burst * calls;
        if burst % 2 == 1 {
            Burst::Whole(whole(first..first + calls, peer) - overhead.looped)
        } else {
            Burst::Each((first..first + calls).map(|n| timed(|| peer.log(Fields::nth(n)))).collect())
        }
    };
    let mut each = Vec::new();
    let mut whole = vec![0.0; bursts];
    for thread in lockstep(threads, bursts, work, || peer.flush()) {
        for (burst, made) in thread.into_iter().enumerate().skip(1) {
            match made {
                Burst::Each(mut samples) => each.append(&mut samples),
                Burst::Whole(mean) => whole[burst] += mean / threads as f64,
            }
        }
    }
    // The median of the bursts, so that a burst disturbed by another program does not count.
    let means = whole.into_iter().skip(1).step_by(2);
    Samples::new(each)
        .figures(overhead)
        .with("burst_mean", Spread::of(means).map_or(f64::NAN, |it| it.median))
        .with("sent", (calls * bursts * threads) as f64)
}

enum Burst {
    /// Nanoseconds of every call.
    Each(Vec<u32>),
    /// Nanoseconds per call.
    Whole(f64),
}
