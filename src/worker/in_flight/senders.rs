//! Threads that send batches while there is a backlog.

use crossbeam_channel::{Receiver, Sender, bounded, unbounded};

use crate::process::catch_panic::catch_panic;
use crate::process::fork;
use crate::transport::Transport;
use crate::wire::batch::Batch;
use crate::worker::delivery::Delivery;
use crate::worker::delivery::outstanding::EntryId;
use crate::worker::outage_log::Progress;

/// A batch, and what sends it.
struct Job<T> {
    delivery: Delivery<T>,
    batch: Batch,
    entry: Option<EntryId>,
}

/// What a sender reports to the worker.
pub(in crate::worker) enum Report<T> {
    Progress(Progress),
    /// Each event of the batch has its fate. This is the last report of a job.
    Done {
        delivery: Delivery<T>,
        /// As [`Delivery::deliver`] returns it. `None` after a panic as well: the batch was dropped as `internal`.
        too_large: Option<usize>,
    },
}

/// The senders of one backlog.
pub(super) struct Senders<T> {
    jobs: Sender<Job<T>>,
    /// Each thread takes its jobs from here.
    job_queue: Receiver<Job<T>>,
    reports: Receiver<Report<T>>,
    /// Each thread has a clone.
    reporter: Sender<Report<T>>,
    threads: usize,
    /// How many jobs are not done.
    busy: usize,
}

impl<T: Transport + Send + 'static> Senders<T> {
    /// Senders for up to `limit` jobs at the same time. No thread is started yet.
    pub(super) fn new(limit: usize) -> Self {
        let (jobs, job_queue) = bounded(limit);
        let (reporter, reports) = unbounded(); // a sender never waits for the worker
        Self { jobs, job_queue, reports, reporter, threads: 0, busy: 0 }
    }

    /// Makes sure that there is a thread for one more job. `false` if the system gives none.
    pub(super) fn has_thread(&mut self) -> bool {
        self.busy < self.threads || self.start_thread()
    }

    /// Hands a job to a thread. Gives the batch back if none would take it.
    pub(super) fn send(
        &mut self,
        delivery: Delivery<T>,
        batch: Batch,
        entry: Option<EntryId>,
    ) -> Result<(), Batch> {
        self.jobs.try_send(Job { delivery, batch, entry }).map_err(|error| error.into_inner().batch)?;
        self.busy += 1;
        Ok(())
    }

    fn start_thread(&mut self) -> bool {
        let (jobs, reports) = (self.job_queue.clone(), self.reporter.clone());
        let is_started = fork::start_thread("tinker-sender", move || run(&jobs, &reports)).is_ok();
        self.threads += usize::from(is_started);
        is_started
    }

    pub(super) fn busy(&self) -> usize {
        self.busy
    }

    pub(super) fn has_report(&self) -> bool {
        !self.reports.is_empty()
    }

    /// Waits for the next report. `None` if none is to come.
    pub(super) fn wait(&mut self) -> Option<Report<T>> {
        if self.busy == 0 {
            return self.reports.try_recv().ok();
        }
        let report = self.reports.recv().ok()?;
        self.busy -= usize::from(matches!(report, Report::Done { .. }));
        Some(report)
    }

    /// The next report, if one is there.
    pub(super) fn try_wait(&mut self) -> Option<Report<T>> {
        if self.has_report() { self.wait() } else { None }
    }

    /// Where reports arrive.
    pub(super) fn reports(&self) -> &Receiver<Report<T>> {
        &self.reports
    }

    /// Ends the threads, and waits until they have ended.
    pub(super) fn end(self) {
        let Self { jobs, reporter, reports, .. } = self;
        drop((jobs, reporter));
        // Each thread drops its end of the channel last.
        reports.iter().for_each(drop);
    }
}

/// What a thread does from its start to its end. A panic costs its batch, which is counted as `internal`.
fn run<T: Transport>(jobs: &Receiver<Job<T>>, reports: &Sender<Report<T>>) {
    // The worker is there as long as a job is not done, unless it has kept the batch. Then it needs no report.
    let report = |report| drop(reports.send(report));
    for Job { mut delivery, batch, entry } in jobs {
        let deliver = || delivery.deliver(batch, entry, &mut |progress| report(Report::Progress(progress)));
        let delivered = catch_panic(deliver);
        report(Report::Done { delivery, too_large: delivered.flatten() });
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use crossbeam_channel::TryRecvError;

    use super::*;
    use crate::transport::retry::Verdict;
    use crate::wire::envelope::Request;

    struct Unused;

    impl Transport for Unused {
        fn post(&mut self, _: &Request, _: u32, _: Duration) -> Verdict {
            Verdict::NoAnswer("no job".to_owned())
        }

        fn another(&self) -> Option<Self> {
            None
        }
    }

    #[test]
    fn a_thread_is_started_only_if_every_other_one_is_busy() {
        let mut senders = Senders::<Unused>::new(4);
        assert!(senders.has_thread() && senders.has_thread());
        assert_eq!(senders.threads, 1, "it has no job yet");
        senders.busy = 1;
        assert!(senders.has_thread() && senders.has_thread());
        assert_eq!(senders.threads, 2);
        let reports = senders.reports.clone();
        senders.end();
        assert!(matches!(reports.try_recv(), Err(TryRecvError::Disconnected)), "a thread has not ended");
    }
}
