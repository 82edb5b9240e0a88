//! A server in memory, whose answers a test gives one by one.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::LIMIT;
use crate::model::event::{Event, TelemetrySendRequest};
use crate::transport::Transport;
use crate::transport::retry::{Response, Verdict};
use crate::wire::envelope::Request;

/// What a server answers to one request.
#[derive(Clone, Copy, Debug)]
pub(super) enum Reply {
    Status(u16),
    /// 503, and the retry is welcome at once.
    Busy,
    NoAnswer,
    Panic,
}

/// A server that holds every request until the test answers it.
#[derive(Default)]
pub(super) struct Server {
    pub(super) state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
pub(super) struct State {
    /// The requests that wait for an answer, by the order of their arrival, each with its events' names.
    pub(super) held: VecDeque<(usize, Vec<String>)>,
    pub(super) arrived: usize,
    pub(super) replies: HashMap<usize, Reply>,
    /// The reply to every request, in place of holding it.
    pub(super) default: Option<Reply>,
    pub(super) most_at_once: usize,
    /// How many arrived from a thread that is not a sender's.
    pub(super) from_worker: usize,
    /// The session's numbers of the delivered events.
    pub(super) delivered: Vec<u64>,
    pub(super) transports: usize,
}

impl Server {
    pub(super) fn with<T>(&self, change: impl FnOnce(&mut State) -> T) -> T {
        let changed = change(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner));
        self.changed.notify_all();
        changed
    }

    pub(super) fn wait_until(&self, what: &str, is_so: impl Fn(&State) -> bool) {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let waited = self.changed.wait_timeout_while(state, LIMIT, |state| !is_so(state));
        let (state, timeout) = waited.unwrap_or_else(PoisonError::into_inner);
        assert!(!timeout.timed_out(), "{what}; {} are held", state.held.len());
    }

    /// Whether this happens within a moment.
    pub(super) fn is_soon(&self, is_so: impl Fn(&State) -> bool) -> bool {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let moment = Duration::from_millis(50);
        let waited = self.changed.wait_timeout_while(state, moment, |state| !is_so(state));
        !waited.unwrap_or_else(PoisonError::into_inner).1.timed_out()
    }

    pub(super) fn wait_for_held(&self, requests: usize) {
        self.wait_until(&format!("not {requests} requests"), |state| state.held.len() == requests);
    }

    /// Answers the held request that came first. Returns its events' names.
    pub(super) fn answer_first(&self, reply: Reply) -> Vec<String> {
        self.answer_nth(0, reply)
    }

    pub(super) fn answer_nth(&self, nth: usize, reply: Reply) -> Vec<String> {
        self.wait_until("no request", |state| state.held.len() > nth);
        self.with(|state| {
            let (request, names) = state.held.remove(nth).unwrap();
            state.replies.insert(request, reply);
            names
        })
    }

    /// Answers all held requests and all later ones.
    pub(super) fn answer_all(&self, reply: Reply) {
        self.with(|state| {
            state.default = Some(reply);
            state.held.clear();
        });
    }
}

/// The transports of one worker: they share the server.
pub(super) struct ToServer(pub(super) Arc<Server>);

impl ToServer {
    pub(super) fn new(server: &Arc<Server>) -> Self {
        server.with(|state| state.transports += 1);
        Self(Arc::clone(server))
    }
}

impl Transport for ToServer {
    fn post(&mut self, request: &Request, _: u32, limit: Duration) -> Verdict {
        let sent: TelemetrySendRequest = serde_json::from_slice(&request.body).unwrap();
        let names = sent.events.iter().map(|event| event.name().to_owned()).collect();
        let end = Instant::now() + limit;
        let number = self.0.with(|state| {
            state.arrived += 1;
            state.from_worker += usize::from(thread::current().name() != Some("tinker-sender"));
            if state.default.is_none() {
                state.held.push_back((state.arrived, names));
            }
            state.most_at_once = state.most_at_once.max(state.held.len());
            state.arrived
        });
        let state = self.0.state.lock().unwrap_or_else(PoisonError::into_inner);
        let left = end.saturating_duration_since(Instant::now());
        let waited = self.0.changed.wait_timeout_while(state, left, |state| {
            state.default.is_none() && !state.replies.contains_key(&number)
        });
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        let reply = state.replies.remove(&number).or(state.default).unwrap_or(Reply::NoAnswer);
        match reply {
            Reply::Status(status) => {
                if status == 200 {
                    state.delivered.extend(sent.events.iter().map(Event::session_index));
                    self.0.changed.notify_all();
                }
                Verdict::Response(Response { status, ..Response::default() })
            }
            Reply::Busy => {
                let retry_after = Some(Duration::from_millis(1));
                Verdict::Response(Response { status: 503, retry_after, ..Response::default() })
            }
            Reply::NoAnswer => Verdict::NoAnswer("timed out".to_owned()),
            Reply::Panic => {
                drop(state);
                panic!("in the transport, on purpose")
            }
        }
    }

    fn another(&self) -> Option<Self> {
        Some(Self::new(&self.0))
    }
}
