//! As many events as possible: the caller waits only between chunks, until they are sent.

use std::time::{Duration, Instant};

use anyhow::Result;

use crate::figures::Figures;
use crate::payload::Fields;
use crate::peer::Peer;
use crate::usage;

/// The events between two flushes. The client sends at the same time, and the queue is never full.
const CHUNK: usize = 8_000;
const TIME: Duration = Duration::from_secs(2);

pub(super) fn measure(peer: &dyn Peer, quick: bool) -> Result<Figures> {
    let time = if quick { TIME / 3 } else { TIME };
    chunk(peer, 0); // connects, and warms up
    let cpu_before = usage::own()?;
    let began = Instant::now();
    let mut sent = CHUNK;
    while began.elapsed() < time {
        chunk(peer, sent);
        sent += CHUNK;
    }
    let elapsed = began.elapsed().as_secs_f64();
    let cpu = usage::own()? - cpu_before;
    let events = (sent - CHUNK) as f64;
    Ok(Figures::default()
        .with("events_per_second", events / elapsed)
        .with("cpu_per_million", cpu * 1e6 / events)
        .with("sent", sent as f64))
}

fn chunk(peer: &dyn Peer, first: usize) {
    (first..first + CHUNK).for_each(|n| peer.log(Fields::nth(n)));
    peer.flush();
}
