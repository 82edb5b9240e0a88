//! Random scripts: the faults of a server, and the events that a program logs. Each script is made from one number, so
//! a script that fails can be played again.

use std::time::Duration;

use crate::server::fault::{Answer, Fault};
use crate::truth::protocol::Protocol;
#[cfg(feature = "otlp")]
use crate::truth::protocol::otlp::partial_success;

/// `SplitMix64`. A more complex generator would not make better scripts.
#[derive(Debug)]
pub(crate) struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// A number from 0 up to, but not including, `bound`.
    fn below(&mut self, bound: u64) -> u64 {
        self.next() % bound
    }

    fn size(&mut self, from: usize, to: usize) -> usize {
        from + usize::try_from(self.below((to - from + 1) as u64)).unwrap_or(0)
    }

    fn one_in(&mut self, times: u64) -> bool {
        self.below(times) == 0
    }

    fn pick<T: Clone>(&mut self, from: &[T]) -> T {
        from[self.size(0, from.len() - 1)].clone()
    }
}

/// How much the client knows about the server's answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Clarity {
    /// Each answer reaches the client completely.
    Clear,
    /// Some answers are incomplete after their head.
    Broken,
    /// The client times out early: an answer may come after it.
    Hasty,
}

/// How the program ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It waits until all events are settled.
    Drain,
    /// It stops at once, with this timeout.
    Stop(Duration),
}

/// One event to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Event {
    Small,
    /// More than [`MAX_EVENT_BYTES`].
    TooLarge,
    /// Data that fails to serialise.
    Invalid,
    /// Not an event: a call of `flush`.
    Flush,
}

pub(crate) const MAX_EVENT_BYTES: usize = 2048;

#[derive(Debug)]
pub(crate) struct Script {
    pub(crate) protocol: Protocol,
    pub(crate) faults: Vec<Fault>,
    /// The events of each thread of the program.
    pub(crate) threads: Vec<Vec<Event>>,
    pub(crate) clarity: Clarity,
    pub(crate) end: End,
    pub(crate) session: bool,
    pub(crate) max_batch_size: usize,
    pub(crate) flush_threshold: usize,
    pub(crate) max_queue_size: usize,
    pub(crate) max_retries: u32,
    pub(crate) http_timeout: Duration,
    pub(crate) max_in_flight: usize,
}

impl Script {
    /// Whether a request may still be on the way after the stop.
    pub(crate) fn may_leave_a_request(&self) -> bool {
        self.clarity == Clarity::Hasty || self.end != End::Drain
    }

    pub(crate) fn random(protocol: Protocol, seed: u64) -> Self {
        let chance = &mut Chance(seed);
        let clarity = match chance.below(20) {
            0 | 1 => Clarity::Broken,
            2 => Clarity::Hasty,
            _ => Clarity::Clear,
        };
        let mut faults: Vec<_> = (0..chance.size(0, 7)).map(|_| fault(chance, clarity)).collect();
        faults.push(if chance.one_in(5) { fault(chance, Clarity::Clear) } else { answer(200) });
        #[cfg(feature = "otlp")]
        if protocol == Protocol::Otlp {
            for fault in &mut faults {
                reject_a_part(fault, chance);
                hurry(fault, chance);
            }
        }
        let threads = (0..chance.size(1, 3)).map(|_| (0..chance.size(1, 8)).map(|_| event(chance)).collect());
        Self {
            protocol,
            faults,
            threads: threads.collect(),
            clarity,
            end: if chance.one_in(8) {
                End::Stop(Duration::from_millis(chance.below(8)))
            } else {
                End::Drain
            },
            session: !chance.one_in(4),
            max_batch_size: chance.size(1, 6),
            flush_threshold: chance.size(1, 6),
            max_queue_size: if chance.one_in(4) { chance.size(1, 4) } else { 100 },
            max_retries: chance.pick(&[0, 1, 2, 3]),
            http_timeout: match (clarity, protocol) {
                (Clarity::Hasty, _) => Duration::from_millis(15),
                #[cfg(feature = "otlp")]
                (Clarity::Broken, Protocol::Otlp) => Duration::from_secs(3),
                _ => Duration::from_secs(60),
            },
            max_in_flight: chance.size(1, 5),
        }
    }
}

/// An OTLP client reads the body of an answer for as long as the attempt may take. Makes of most slow bodies a broken one.
#[cfg(feature = "otlp")]
fn hurry(fault: &mut Fault, chance: &mut Chance) {
    if matches!(fault, Fault::BodyTrickle | Fault::LengthTooLong | Fault::HugeLength) && !chance.one_in(4) {
        *fault = Fault::LengthTooShort;
    }
}

/// Makes of every other answer that accepts one that accepts not all of the records.
#[cfg(feature = "otlp")]
fn reject_a_part(fault: &mut Fault, chance: &mut Chance) {
    let status = fault.complete_answer().map_or(0, |(status, _)| status);
    if matches!(status, 200..=202) && chance.one_in(2) {
        let answer = Answer::new(status).body(partial_success(chance.below(7)));
        let closes = matches!(fault, Fault::AnswerThenClose(_));
        *fault = if closes { Fault::AnswerThenClose(answer) } else { Fault::Answer(answer) };
    }
}

fn event(chance: &mut Chance) -> Event {
    match chance.below(16) {
        0 => Event::TooLarge,
        1 => Event::Invalid,
        2 => Event::Flush,
        _ => Event::Small,
    }
}

fn answer(status: u16) -> Fault {
    Fault::Answer(Answer::new(status))
}

fn fault(chance: &mut Chance, clarity: Clarity) -> Fault {
    if clarity == Clarity::Hasty && chance.one_in(3) {
        return chance.pick(&[Fault::NeverAnswer, Fault::PartialHead, Fault::HeaderTrickle]);
    }
    if clarity == Clarity::Broken && chance.one_in(2) {
        let broken = [Fault::ResetAfterWriting(usize::MAX), Fault::LengthTooShort, Fault::EndlessBody];
        // Each of these costs half a second, the client's limit for a body.
        let slow = [Fault::BodyTrickle, Fault::LengthTooLong, Fault::HugeLength];
        return if chance.one_in(10) { chance.pick(&slow) } else { chance.pick(&broken) };
    }
    match chance.below(14) {
        0..=2 => answer(chance.pick(&[200, 201, 202, 204])),
        3 | 4 => answer(chance.pick(&[408, 409, 429, 500, 502, 503, 504])),
        5 => Fault::Answer(Answer::new(chance.pick(&[429, 503])).header("retry-after-ms", chance.size(1, 3))),
        6 => {
            let nonsense = ["0", "-1", "soon", "Thu, 01 Jan 1970 00:00:00 GMT", "1e300", "NaN"];
            Fault::Answer(Answer::new(503).header("retry-after", chance.pick(&nonsense)))
        }
        7 => answer(413),
        8 => {
            let rejected = [400, 401, 403, 404, 410, 418, 422, 431, 302, 304, 307];
            Fault::Answer(Answer::new(chance.pick(&rejected)).header("location", "/elsewhere"))
        }
        9 => {
            let status = chance.pick(&[200, 302, 400, 401, 404, 413, 429, 500, 503]);
            Fault::Answer(
                Answer::new(status).header("x-should-retry", chance.pick(&["true", "false", "maybe"])),
            )
        }
        10 => Fault::AnswerThenClose(Answer::new(chance.pick(&[200, 200, 413, 503, 400]))),
        11 => Fault::ResetAfterReading(chance.size(1, 300)),
        // All these numbers of bytes are within the head.
        12 => Fault::ResetAfterWriting(chance.size(0, 60)),
        _ => chance.pick(&[Fault::Close, Fault::HalfClose, Fault::Garbage]),
    }
}
