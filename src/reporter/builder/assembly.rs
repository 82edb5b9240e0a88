//! Makes every part of a reporter, and joins them.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use uuid::Uuid;

use super::{Builder, FLUSH_TIMEOUT, MAX_HEAD, SHUTDOWN_TIMEOUT};
use crate::model::config::{self, Endpoint, Mode, Protocol};
use crate::model::error::StartError;
use crate::model::stats::DropReason;
use crate::process::fork::{self, ProcessOwned};
use crate::process::program_log;
use crate::queue::admission::{Admission, Load};
use crate::queue::ledger::Ledger;
use crate::queue::queue;
use crate::reporter::Reporter;
use crate::reporter::destination::{Destination, Sink};
use crate::reporter::spooling;
#[cfg(all(feature = "spool", unix))]
use crate::reporter::spooling::Spooling;
use crate::session::pipeline::Pipeline;
use crate::session::{Session, VainWait};
#[cfg(all(feature = "spool", unix))]
use crate::spool::replay::BatchLimits;
use crate::transport::client::Route;
use crate::transport::retry::{AnswerTable, RetryPolicy};
use crate::wire::batch::Batcher;
use crate::wire::context::Context;
use crate::wire::encode::Encoder;
#[cfg(feature = "otlp")]
use crate::wire::encode::Floats;
use crate::wire::envelope::Envelope;
use crate::wire::ids::Ids;
use crate::wire::process_uuid;
use crate::wire::session_index::SessionIndex;
use crate::worker::Worker;
use crate::worker::before_send::BeforeSend;
use crate::worker::delivery::Delivery;
use crate::worker::in_flight::InFlight;
use crate::worker::outage_log::OutageLog;
use crate::worker::ticker::Ticker;

impl Builder {
    pub(super) fn start_in(self, mode: Mode) -> Result<Reporter, StartError> {
        // What the program got wrong comes first: the machine's faults must not hide it.
        self.validate()?;
        let session_id = match &self.session_id {
            Some(id) if id.trim().is_empty() => return Err(StartError::EmptySessionId),
            Some(id) => id.clone(),
            None => format!("sessionless-{}", Ids::new().next().map_err(StartError::NoRandomness)?),
        };
        let endpoint = if mode == Mode::Send { Some(self.config.validate()?) } else { None };
        #[cfg(feature = "otlp")]
        for warning in endpoint.iter().flat_map(|endpoint| &endpoint.warnings) {
            program_log::write(|| log::warn!("{warning}"));
        }
        if endpoint.as_ref().is_some_and(|endpoint| endpoint.has_odd_key) {
            program_log::write(|| {
                log::warn!("the API key begins neither with tml- nor with eyJ, as Tinker's do");
            });
        }
        let protocol = endpoint.as_ref().map(|endpoint| endpoint.protocol.clone()).unwrap_or_default();
        fork::watch();
        let destination = self.destination(endpoint)?;
        let process = process_uuid::uuid().map_err(StartError::NoRandomness)?;
        let envelope = Envelope::new(&protocol, &session_id, process);
        let (pipeline, worker) = self.pipeline(0, &destination, &protocol, envelope);
        start_worker(worker).map_err(StartError::Thread)?;
        if let Some((spooling, route)) = destination.spooling() {
            spooling.start_replay(&pipeline.ledger, route);
        }
        let (flush_timeout, shutdown_timeout) = self.timeouts(&destination);
        let pipeline = if self.session_id.is_some() { pipeline.with_session() } else { pipeline };
        Ok(Reporter::new(Session {
            id: session_id.clone(),
            started: Instant::now(),
            pipeline: ProcessOwned::new(pipeline),
            classifier: self.classifier.clone(),
            max_event_bytes: self.max_event_bytes,
            flush_timeout,
            shutdown_timeout,
            vain_wait: VainWait::default(),
            renew: Box::new(move |parent| {
                self.pipeline_of_child(parent, &protocol, &session_id, &destination)
            }),
        }))
    }

    /// `None` for a dry run.
    fn destination(&self, endpoint: Option<Endpoint>) -> Result<Destination, StartError> {
        let Some(endpoint) = endpoint else { return Ok(Destination::StandardError) };
        #[cfg(all(feature = "spool", unix))]
        let spooling = self.spool.as_ref().map(|spool| {
            let limits = BatchLimits { events: self.max_batch_size, bytes: self.max_batch_bytes };
            Spooling::new(spool, &endpoint, self.attempt_timeout(), limits)
        });
        #[cfg(not(all(feature = "spool", unix)))]
        let spooling = None;
        Ok(Destination::Backend(Arc::new(Route::new(endpoint, self.attempt_timeout())?), spooling))
    }

    /// How long a fatal exception waits, and how long the last drop.
    fn timeouts(&self, destination: &Destination) -> (Duration, Duration) {
        let (flush, shutdown) = match destination.spooling() {
            Some(_) if !config::is_ci() => spooling::TIMEOUTS,
            _ => (FLUSH_TIMEOUT, SHUTDOWN_TIMEOUT),
        };
        (self.flush_timeout.unwrap_or(flush), self.shutdown_timeout.unwrap_or(shutdown))
    }

    /// A pipeline whose events are numbered from `first_number`, and the worker at its other end, not started yet.
    fn pipeline(
        &self,
        first_number: u64,
        destination: &Destination,
        protocol: &Protocol,
        envelope: Envelope,
    ) -> (Pipeline, Worker<Sink>) {
        let ledger = Arc::new(Ledger::new(self.admission()));
        let (producer, consumer) = queue(Arc::clone(&ledger), self.max_queue_size);
        let transport = destination.open();
        let pipeline = Pipeline::new(Arc::clone(&ledger), first_number, producer, transport.abort_handle());
        let batcher = Batcher::new(self.max_batch_size, self.max_batch_bytes.saturating_sub(envelope.len()));
        let policy = RetryPolicy {
            max_retries: self.max_retries,
            base_delay: self.retry_base_delay,
            table: AnswerTable::of(protocol),
        };
        let outage_log = OutageLog::new(destination.name());
        let keeper = destination.keeper(&envelope, &ledger);
        let abort_handle = transport.abort_handle();
        let delivery =
            Delivery::new(Arc::clone(&ledger), transport, envelope, policy, self.attempt_timeout());
        let in_flight = InFlight::new(Arc::clone(&ledger), delivery, outage_log, self.max_in_flight);
        let in_flight = in_flight.with_keeper(keeper, abort_handle);
        let context = Arc::new(Context::new(&self.context));
        let max_bytes = self.max_event_bytes.saturating_add(context.len() + MAX_HEAD);
        let encoder = Encoder::new(SessionIndex::from(first_number)).with_context(context);
        #[cfg(feature = "otlp")]
        let encoder = encoder.with_floats(self.floats_for(protocol, destination));
        let worker =
            Worker::new(ledger, consumer, Ticker::every(self.flush_interval), batcher, in_flight, encoder);
        let worker = worker.with_before_send(BeforeSend::new(self.before_send.clone(), max_bytes));
        match destination.spooling() {
            Some((spooling, _)) => spooling.join(pipeline, worker),
            None => (pipeline, worker),
        }
    }

    /// A pipeline for a forked child. No error can be returned from where it is made: if the child gets no thread or no
    /// random numbers, the pipeline is closed and refuses events as `stopped`.
    fn pipeline_of_child(
        &self,
        parent: &Pipeline,
        protocol: &Protocol,
        session_id: &str,
        destination: &Destination,
    ) -> Pipeline {
        let process = process_uuid::uuid();
        let envelope = Envelope::new(protocol, session_id, *process.as_ref().unwrap_or(&Uuid::nil()));
        let (pipeline, worker) = self.pipeline(parent.next_number(), destination, protocol, envelope);
        if process.and_then(|_| start_worker(worker)).is_err() {
            pipeline.ledger.finish(DropReason::Internal);
            pipeline.ledger.mark_logged(); // there is nothing to log
        }
        pipeline
    }

    fn admission(&self) -> Admission {
        let limits = Load { events: self.max_queue_size as u64, bytes: self.max_queue_bytes as u64 };
        let threshold = Load {
            events: self.flush_threshold.min(self.max_queue_size) as u64,
            bytes: self.max_batch_bytes.min(self.max_queue_bytes) as u64,
        };
        Admission::new(limits, threshold)
    }

    /// What becomes of floats on their way to an endpoint of this protocol. The program's hook and the spool have events as
    /// JSON.
    #[cfg(feature = "otlp")]
    fn floats_for(&self, protocol: &Protocol, destination: &Destination) -> Floats {
        let is_otlp = matches!(protocol, Protocol::Otlp { .. });
        let is_json = self.before_send.is_some() || destination.spooling().is_some();
        if is_otlp && !is_json { Floats::Bits } else { Floats::Text }
    }
}

fn start_worker(worker: Worker<Sink>) -> io::Result<()> {
    fork::start_thread("tinker-reporter", || worker.run_thread())
}
