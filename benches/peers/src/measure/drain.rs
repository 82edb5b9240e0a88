//! The end of a short program: some events are pending, none is sent, and one call comes before `main` returns.

use std::time::Instant;

use super::BUDGET;
use crate::child;
use crate::figures::Figures;
use crate::payload::Fields;
use crate::peer::Peer;

/// Half a batch of a hundred: no client sends them before it is asked to.
const PENDING: usize = 50;

pub(super) fn measure(peer: &mut dyn Peer) -> Figures {
    (0..PENDING).for_each(|n| peer.log(Fields::nth(n)));
    let began_at = child::now();
    let began = Instant::now();
    peer.shutdown(BUDGET);
    let call = began.elapsed().as_secs_f64();
    Figures::default().with("call", call).with("began", began_at).with("sent", PENDING as f64)
}
