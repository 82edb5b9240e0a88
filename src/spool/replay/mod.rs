//! Sends the events that earlier runs, and other processes that have ended, left in the folder.
//!
//! Each batch has one attempt, and the first failure ends the replay: the rest waits for the next one, after an outage or
//! in another run. A failed try usually changes its file, which makes it the newest, so the next replay begins with
//! another file.

pub(crate) mod replays;

use std::io;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::model::config::Protocol;
use crate::model::stats::DropReason;
use crate::process::fork;
use crate::queue::ledger::{Fate, Ledger};
use crate::spool::disk::{Folder, LockedFile};
use crate::spool::line::{self, Contents, Left, Place};
use crate::spool::store::{MAX_AGE, Store};
use crate::transport::Transport;
use crate::transport::retry::{AnswerTable, RetryPolicy, RetryStep, Verdict};
use crate::wire::batch::Batch;
use crate::wire::envelope::{Envelope, idempotency_key};
use crate::wire::ids::Ids;

/// How many events, and how many bytes, are sent together if they were in no batch before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct BatchLimits {
    pub(crate) events: usize,
    pub(crate) bytes: usize,
}

/// What a replay that came to the end of the folder has seen there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Seen {
    pub(super) has_locked: bool,
}

pub(crate) struct Replay<T> {
    pub(crate) store: Store,
    pub(crate) ledger: Arc<Ledger>,
    pub(crate) transport: T,
    pub(crate) http_timeout: Duration,
    pub(crate) limits: BatchLimits,
    pub(crate) protocol: Protocol,
}

/// Why a replay ended before its last file.
#[derive(Debug)]
pub(crate) enum ReplayEnd {
    Disk,
    /// An attempt failed, or the reporter is stopped.
    Later,
    Unauthorized,
}

impl From<io::Error> for ReplayEnd {
    fn from(_: io::Error) -> Self {
        Self::Disk
    }
}

impl<T: Transport> Replay<T> {
    pub(crate) fn run(mut self) -> Result<Seen, ReplayEnd> {
        let mut seen = Seen::default();
        let Some(folder) = self.store.open()? else { return Ok(seen) };
        for found in folder.files()? {
            match self.send_found(&folder, &found.name, &mut seen) {
                Ok(()) | Err(ReplayEnd::Disk) => {} // one that cannot be read or written must not block the others
                Err(end) => return Err(end),
            }
        }
        Ok(seen)
    }

    /// Whether there is time for another file, or another batch.
    fn go_on(&self) -> Result<(), ReplayEnd> {
        if self.ledger.is_closed() { Err(ReplayEnd::Later) } else { Ok(()) }
    }

    /// One attempt a batch.
    fn once(&self) -> RetryPolicy {
        let table = AnswerTable::of(&self.protocol);
        RetryPolicy { max_retries: 0, base_delay: Duration::ZERO, table }
    }

    fn send_found(&mut self, folder: &Folder, name: &str, seen: &mut Seen) -> Result<(), ReplayEnd> {
        self.go_on()?; // or a reporter that has ended would keep a file from the next one
        if let Some(file) = folder.lock(name)? {
            return self.send_file(folder, &file);
        }
        seen.has_locked = true; // or it is gone, which the next look shows
        Ok(())
    }

    fn send_file(&mut self, folder: &Folder, file: &LockedFile) -> Result<(), ReplayEnd> {
        let bytes = file.read()?;
        if bytes.is_empty() {
            return Ok(folder.remove(file)?); // its owner was killed before it wrote a line
        }
        let Some(contents) = line::read(&bytes) else { return Ok(()) };
        if contents.base_url != self.store.base_url {
            return Ok(());
        }
        let events = contents.left.iter().map(|left| left.events.len() as u64).sum();
        self.ledger.count_replayed(|replayed| {
            replayed.taken += events;
            replayed.pending += events;
        });
        let envelope = Envelope::of(&contents.sender, &self.protocol);
        let end = contents.end;
        let mut sender =
            FileSender { replay: self, file, contents: &contents, envelope, end, pending: events };
        for left in &contents.left {
            sender.send_left(left)?;
        }
        drop(sender);
        Ok(folder.remove(file)?)
    }
}

/// Sends what is left of one file. The events that it has not sent when it is dropped are no longer counted as taken.
struct FileSender<'a, T> {
    replay: &'a mut Replay<T>,
    file: &'a LockedFile,
    contents: &'a Contents<'a>,
    envelope: Envelope,
    /// Where the next line begins: it overwrites a torn last line.
    end: u64,
    pending: u64,
}

/// An event and its place in the file.
type Event<'a> = (Place, &'a [u8]);

/// An attempt that is over, and the key of its batch.
struct Sent {
    key: String,
    outcome: Outcome,
}

#[derive(Clone, Copy)]
enum Outcome {
    Fate(Fate),
    /// The server answered 413.
    TooLarge,
    /// The server answered 400 or 422, perhaps because of one event.
    Rejected,
}

/// A file on a full disk can be sent and removed, which makes room. Where nothing can be written for another reason, the file
/// may stay for ever, and every run would send it again.
fn has_no_room(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// `None` for a single event.
fn halves<'a, 'b>(events: &'a [Event<'b>]) -> Option<[&'a [Event<'b>]; 2]> {
    let (first, second) = events.split_at(events.len() / 2);
    (!first.is_empty()).then_some([first, second])
}

impl<T: Transport> FileSender<'_, T> {
    fn send_left(&mut self, left: &Left<'_>) -> Result<(), ReplayEnd> {
        if left.key.is_some() {
            return self.send(&left.events, left.key.as_deref());
        }
        let limits = self.replay.limits;
        let mut rest = &left.events[..];
        while !rest.is_empty() {
            let mut bytes = 0;
            let fits = rest.iter().take(limits.events).take_while(|(_, event)| {
                bytes += event.len() + 1;
                bytes <= limits.bytes
            });
            let (batch, others) = rest.split_at(fits.count().max(1));
            self.send(batch, None)?;
            rest = others;
        }
        Ok(())
    }

    /// Sends a batch, and its parts if need be, until each event has its fate.
    fn send(&mut self, events: &[Event<'_>], key: Option<&str>) -> Result<(), ReplayEnd> {
        let sent = self.attempt(events, key)?;
        self.finish(events, sent)
    }

    fn finish(&mut self, events: &[Event<'_>], Sent { key, outcome }: Sent) -> Result<(), ReplayEnd> {
        match (outcome, halves(events)) {
            (Outcome::Fate(fate), _) => self.settle(&key, events, fate),
            (Outcome::TooLarge, None) => self.settle(&key, events, Fate::Dropped(DropReason::TooLarge)),
            (Outcome::Rejected, None) => self.settle(&key, events, Fate::Dropped(DropReason::Rejected)),
            (Outcome::TooLarge, Some(halves)) => {
                halves.into_iter().try_for_each(|half| self.send(half, None))
            }
            (Outcome::Rejected, Some(halves)) => self.isolate(halves),
        }
    }

    /// Looks for the events that the server does not accept, as `worker::delivery` does.
    fn isolate(&mut self, halves: [&[Event<'_>]; 2]) -> Result<(), ReplayEnd> {
        let (mut has_passed, mut rejected) = (false, Vec::new());
        for half in halves {
            let sent = self.attempt(half, None)?;
            has_passed |= !matches!(sent.outcome, Outcome::Rejected | Outcome::Fate(Fate::Dropped(_)));
            if matches!(sent.outcome, Outcome::Rejected) {
                rejected.push((half, sent));
            } else {
                self.finish(half, sent)?;
            }
        }
        for (half, sent) in rejected {
            if has_passed {
                self.finish(half, sent)?;
            } else {
                self.settle(&sent.key, half, Fate::Dropped(DropReason::Rejected))?;
            }
        }
        Ok(())
    }

    /// Makes the one attempt.
    fn attempt(&mut self, events: &[Event<'_>], key: Option<&str>) -> Result<Sent, ReplayEnd> {
        self.replay.go_on()?;
        let mut batch = Batch::of(events.iter().map(|(_, event)| *event));
        let envelope = &self.envelope;
        let request = if let Some(key) = key {
            envelope.seal(&mut batch, key.to_owned())
        } else {
            let request = envelope.seal(&mut batch, idempotency_key(Ids::new().next()?));
            let mut begun = Vec::new();
            if let [(first, _), ..] = events {
                let last = events.last().map_or(*first, |(last, _)| *last);
                line::put_batch(&request.idempotency_key, *first, last, &mut begun);
            }
            self.append(&begun)?;
            request
        };
        let retry = self.contents.tries + u32::from(key.is_some());
        let verdict = self.replay.transport.post(&request, retry, self.replay.http_timeout);
        fork::exit_if_forked(); // ureq has logged, and the program's logger may have forked
        let outcome = match (self.replay.once().next(0, &verdict, 0.0), verdict) {
            (RetryStep::Delivered, _) => Outcome::Fate(Fate::Delivered),
            (RetryStep::DeliveredBut { rejected }, _) => Outcome::Fate(Fate::DeliveredBut { rejected }),
            (RetryStep::Split, _) => Outcome::TooLarge,
            (RetryStep::Isolate(_), _) => Outcome::Rejected,
            (RetryStep::GiveUp(DropReason::Unauthorized), _) => return Err(ReplayEnd::Unauthorized),
            (RetryStep::GiveUp(reason @ DropReason::Rejected), _) => Outcome::Fate(Fate::Dropped(reason)),
            (_, Verdict::Response(_)) if self.is_too_old() => {
                Outcome::Fate(Fate::Dropped(DropReason::RetriesExhausted))
            }
            (_, Verdict::Response(answer)) => {
                let mut tried = Vec::new();
                line::put_try(answer.status, &mut tried);
                self.append(&tried)?;
                return Err(ReplayEnd::Later);
            }
            _ => return Err(ReplayEnd::Later),
        };
        Ok(Sent { key: request.idempotency_key, outcome })
    }

    fn settle(&mut self, key: &str, events: &[Event<'_>], fate: Fate) -> Result<(), ReplayEnd> {
        let events = events.len() as u64;
        self.pending -= events;
        self.replay.ledger.count_replayed(|replayed| {
            replayed.pending -= events;
            match fate {
                Fate::Dropped(reason) => replayed.dropped.add(reason, events),
                Fate::DeliveredBut { rejected } => {
                    let rejected = rejected.min(events);
                    replayed.delivered += events - rejected;
                    replayed.dropped.add(DropReason::Rejected, rejected);
                }
                Fate::Delivered | Fate::Spooled => replayed.delivered += events,
            }
        });
        let mut done = Vec::new();
        line::put_done(key, &mut done);
        self.append(&done)
    }

    fn append(&mut self, lines: &[u8]) -> Result<(), ReplayEnd> {
        let written = self.file.cut(self.end).and_then(|()| self.file.write_at(lines, self.end));
        if let Err(error) = written {
            let _ = self.file.cut(self.end);
            return if has_no_room(&error) { Ok(()) } else { Err(error.into()) };
        }
        self.end += lines.len() as u64;
        Ok(())
    }

    /// Matters only for events that the server has refused once more, so a wrong clock loses no event that could be
    /// delivered.
    fn is_too_old(&self) -> bool {
        SystemTime::now().duration_since(self.contents.born).is_ok_and(|age| age > MAX_AGE)
    }
}

impl<T> Drop for FileSender<'_, T> {
    fn drop(&mut self) {
        let pending = self.pending;
        self.replay.ledger.count_replayed(|replayed| {
            replayed.taken -= pending;
            replayed.pending -= pending;
        });
    }
}

#[cfg(test)]
mod tests;
