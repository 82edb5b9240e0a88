//! The hangs that a program may meet when it ends, and how a reporter gets there.

use std::io;
use std::time::Duration;

use serde_json::json;
use tinker_telemetry::{Builder, Config, Reporter, Severity};

use crate::server::fault::{Acknowledged, Answer, Fault};
use crate::server::{FullBacklog, Server};

/// Bytes of data, many times larger than a small receive window.
const BULKY: usize = 40 * 1024;
const SMALL: usize = 20;
/// The size of the queue in the scene with a full queue.
const FEW: usize = 8;

/// One state in which no request makes progress.
#[derive(Clone, Debug)]
pub(crate) struct Hang {
    cause: Cause,
    /// Bytes of data in each event.
    bulk: usize,
    queue: Option<usize>,
}

#[derive(Clone, Debug)]
enum Cause {
    Fault(Fault),
    SilentTls,
    FullBacklog,
}

impl Hang {
    /// All hangs with their names in `docs/faults.md`.
    pub(crate) fn all() -> Vec<(&'static str, Self)> {
        let of = |cause| Self { cause, bulk: SMALL, queue: None };
        let fault = |fault| of(Cause::Fault(fault));
        let bulky = |fault| Self { bulk: BULKY, ..of(Cause::Fault(fault)) };
        let answer = |status| Fault::Answer(Answer::new(status));
        let retry_later = Answer::new(503).header("retry-after", 60);
        let mut all = vec![
            ("never answers", fault(Fault::NeverAnswer)),
            ("never reads (zero window)", bulky(Fault::ReadStall)),
            ("resets while it reads the request", fault(Fault::ResetAfterReading(40))),
            ("resets after it has read the request", fault(Fault::ResetAfterWriting(0))),
            ("resets within the head of its answer", fault(Fault::ResetAfterWriting(20))),
            ("resets after its answer", fault(Fault::ResetAfterWriting(usize::MAX))),
            ("closes without an answer", fault(Fault::Close)),
            ("half-closes without an answer", fault(Fault::HalfClose)),
            ("stops within the head of its answer", fault(Fault::PartialHead)),
            ("sends its head byte by byte, without end", fault(Fault::HeaderTrickle)),
            ("sends its body byte by byte, without end", fault(Fault::BodyTrickle)),
            ("answers 503 before the request is written", bulky(Fault::EarlyReply(Answer::new(503)))),
            ("answers 200 before the request is written", bulky(Fault::EarlyReply(Answer::new(200)))),
            ("answers with bytes that are not HTTP", fault(Fault::Garbage)),
            ("sends more than its Content-Length", fault(Fault::LengthTooShort)),
            ("sends less than its Content-Length", fault(Fault::LengthTooLong)),
            ("announces 1 GiB and sends nothing", fault(Fault::HugeLength)),
            ("answers 1xx without end", fault(Fault::InformationalFlood)),
            ("never ends its body", fault(Fault::EndlessBody)),
            ("answers 503", fault(answer(503))),
            ("asks for a retry in 60 s", fault(Fault::Answer(retry_later))),
            ("never answers, queue full", Self { queue: Some(FEW), ..fault(Fault::NeverAnswer) }),
            ("connecting hangs (full backlog)", of(Cause::FullBacklog)),
        ];
        if cfg!(feature = "tls") {
            all.push(("never answers the TLS handshake", of(Cause::SilentTls)));
        }
        all
    }

    pub(crate) fn arrange(&self) -> io::Result<Scene> {
        let (base_url, place) = match &self.cause {
            Cause::FullBacklog => {
                let full = FullBacklog::start()?;
                (full.base_url(), Place::FullBacklog(full))
            }
            Cause::SilentTls => {
                let server = Server::start(Fault::Silent)?;
                (server.tls_base_url(), Place::Server(server))
            }
            Cause::Fault(fault) => {
                let server = Server::start(fault.clone())?;
                (server.base_url(), Place::Server(server))
            }
        };
        Ok(Scene { hang: self.clone(), base_url, place })
    }

    /// Whether the client may believe that the server acknowledged a request.
    pub(crate) fn acknowledges(&self) -> bool {
        match &self.cause {
            Cause::Fault(fault) => fault.acknowledged() != Acknowledged::No,
            Cause::SilentTls | Cause::FullBacklog => false,
        }
    }
}

/// A hang and the server that causes it. It lasts until the drop.
#[derive(Debug)]
pub(crate) struct Scene {
    pub(crate) hang: Hang,
    pub(crate) base_url: String,
    place: Place,
}

#[derive(Debug)]
enum Place {
    Server(Server),
    /// The backlog stays full until this is dropped.
    FullBacklog(#[expect(dead_code, reason = "only its drop matters")] FullBacklog),
}

impl Scene {
    pub(crate) fn load(&self) -> Load {
        Load { bulk: self.hang.bulk, queue: self.hang.queue }
    }

    /// Waits until the worker is in the hang. A connect that hangs cannot be seen, so there is no wait for it.
    pub(crate) fn wait_for_the_hang(&self) {
        if let Place::Server(server) = &self.place {
            server.wait_until(|entries| entries.begun > 0);
        }
    }
}

/// The events that a program logs in a scene.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Load {
    /// Bytes of data in each event.
    pub(crate) bulk: usize,
    pub(crate) queue: Option<usize>,
}

impl Load {
    pub(crate) fn builder(self, base_url: &str) -> Builder {
        self.builder_of(Config::new("tml-fault").base_url(base_url))
    }

    /// The same for a server of OTLP. Nothing is compressed: a bulk of one letter would be no bulk.
    #[cfg(feature = "otlp")]
    pub(crate) fn otlp_builder(self, endpoint: &str) -> Builder {
        let config = Config::otlp(endpoint);
        #[cfg(feature = "gzip")]
        let config = config.gzip(false);
        self.builder_of(config)
    }

    fn builder_of(self, config: Config) -> Builder {
        let builder = Reporter::builder(config.allow_insecure_http(true), "session-0001").enabled(true);
        match self.queue {
            Some(events) => builder.max_queue_size(events),
            None => builder,
        }
    }

    pub(crate) fn log(self, reporter: &Reporter) {
        let data = json!({ "bulk": "x".repeat(self.bulk) });
        for _ in 0..3 {
            reporter.log("fault.played", &data, Severity::Info);
        }
        reporter.flush();
    }

    /// Fills the queue where the scene has a limit for it.
    pub(crate) fn fill(self, reporter: &Reporter) {
        while self.queue.is_some() && reporter.log("fault.filler", (), Severity::Info) {}
    }
}

/// The calls that end the use of a reporter, each with a time limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Leave {
    Stop,
    WaitUntilDrained,
    LogFatalException,
    Drop,
}

impl Leave {
    pub(crate) const ALL: [Self; 4] =
        [Self::Stop, Self::WaitUntilDrained, Self::LogFatalException, Self::Drop];
    /// The limits that the tests use.
    pub(crate) const LIMITS: [Duration; 3] =
        [Duration::ZERO, Duration::from_millis(100), Duration::from_secs(1)];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Stop => "stop",
            Self::WaitUntilDrained => "wait_until_drained",
            Self::LogFatalException => "log_fatal_exception",
            Self::Drop => "drop",
        }
    }

    /// Sets the timeouts of the builder. Those that this leave does not use are 0, so that the later drop takes no
    /// time.
    pub(crate) fn limit(self, builder: Builder, limit: Duration) -> Builder {
        let only_if = |leave| if self == leave { limit } else { Duration::ZERO };
        builder.flush_timeout(only_if(Self::LogFatalException)).shutdown_timeout(only_if(Self::Drop))
    }

    /// Leaves. Returns the reporter where it still exists.
    pub(crate) fn leave(self, reporter: Reporter, limit: Duration) -> Option<Left> {
        let drained = match self {
            Self::Stop => Some(reporter.stop(limit)),
            Self::WaitUntilDrained => Some(reporter.wait_until_drained(limit)),
            Self::LogFatalException => {
                reporter.log_fatal_exception(&io::Error::other("the end"), Severity::Critical);
                None
            }
            Self::Drop => {
                drop(reporter);
                return None;
            }
        };
        Some(Left { reporter, drained })
    }
}

/// A reporter after a leave.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) reporter: Reporter,
    /// The return value of a stop or a wait.
    pub(crate) drained: Option<bool>,
}
