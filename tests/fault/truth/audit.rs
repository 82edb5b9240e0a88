//! Compares the reporter's counts with the requests that the server received.

use std::collections::{HashMap, HashSet};

use tinker_telemetry::Stats;
use tinker_telemetry::event::Event;
use uuid::Uuid;

use crate::server::fault::{Acknowledged, Fault};
use crate::server::journal::Exchange;
use crate::truth::Account;
use crate::truth::chance::{Clarity, End, Script};

macro_rules! ensure {
    ($holds:expr, $($what:tt)+) => {
        if !$holds {
            return Err(format!($($what)+));
        }
    };
}

/// A contradiction within a snapshot, as a sentence.
pub(crate) fn contradiction(stats: &Stats) -> Option<String> {
    let adds_up = stats.offered == stats.accepted + stats.refused.total()
        && stats.accepted == stats.delivered + stats.dropped.total() + stats.spooled + stats.pending;
    (!adds_up).then(|| format!("the counts do not add up: {stats:?}"))
}

/// Checks all rules. Returns the first one that is broken.
pub(crate) fn audit(script: &Script, account: &Account, exchanges: &[Exchange]) -> Result<(), String> {
    check_retries(script, exchanges)?;
    check_keys(script, exchanges)?;
    let received = received_events(exchanges)?;
    check_acceptance(script, account, &received)?;
    check_acknowledged_once(script, exchanges)?;
    check_counts(script, account, &received)
}

/// An event as the server received it.
struct ReceivedEvent {
    event: Event,
    /// The strongest acknowledgement of its requests.
    acknowledged: Acknowledged,
    /// The fault of its last request, and the number of events in that request.
    last: (Fault, usize),
}

/// A batch is sent again under the same key byte for byte, and its retries are counted.
fn check_retries(script: &Script, exchanges: &[Exchange]) -> Result<(), String> {
    let mut batches: HashMap<&str, &Exchange> = HashMap::new();
    for exchange in exchanges {
        let request = &exchange.request;
        let key = request.idempotency_key().ok_or("a request without idempotency key")?;
        let retry = request.retry_count().ok_or("a request without retry count")?;
        ensure!(retry <= script.max_retries, "retry {retry} of {}", script.max_retries);
        ensure!(!request.events().is_empty(), "a request without events that can be read");
        ensure!(request.events().len() <= script.max_batch_size, "more events than a batch may have");
        if let Some(before) = batches.insert(key, exchange) {
            ensure!(before.request.body == request.body, "{key}: another body under the same key");
            // The server may read a request that a hasty client has given up after the client's next one.
            let in_order = script.clarity == Clarity::Hasty || before.request.retry_count() <= Some(retry);
            ensure!(in_order, "{key}: the retry count went back");
        }
    }
    Ok(())
}

/// An event changes its key only where its batch is halved: the batch was too large, or one event was rejected.
fn check_keys(script: &Script, exchanges: &[Exchange]) -> Result<(), String> {
    if script.clarity == Clarity::Hasty {
        return Ok(()); // the server may read a given-up request late
    }
    let mut carried: HashMap<Uuid, &Exchange> = HashMap::new();
    for exchange in exchanges {
        for event in exchange.request.events() {
            let Some(before) = carried.insert(event.id(), exchange) else { continue };
            let same = before.request.idempotency_key() == exchange.request.idempotency_key();
            let halved = before.request.events().len() > 1 && before.fault.answers_with(&[400, 413, 422]);
            ensure!(same || halved, "{} came under another key", event.name());
        }
    }
    Ok(())
}

/// The events by id. Each has the same content each time.
fn received_events(exchanges: &[Exchange]) -> Result<HashMap<Uuid, ReceivedEvent>, String> {
    let mut all: HashMap<Uuid, ReceivedEvent> = HashMap::new();
    for exchange in exchanges {
        let events = exchange.request.events();
        let acknowledged = exchange.fault.acknowledged();
        let last = (exchange.fault.clone(), events.len());
        for event in events {
            let fresh = ReceivedEvent { event, acknowledged, last: last.clone() };
            let id = fresh.event.id();
            if let Some(before) = all.insert(id, fresh) {
                let Some(now) = all.get_mut(&id) else { continue };
                ensure!(
                    before.event == now.event,
                    "{id} is another event: {:?}, {:?}",
                    before.event,
                    now.event
                );
                now.acknowledged = now.acknowledged.max(before.acknowledged);
            }
        }
    }
    Ok(all)
}

/// After the removal of duplicates by id, the server has each event once, and only accepted events.
fn check_acceptance(
    script: &Script,
    account: &Account,
    received: &HashMap<Uuid, ReceivedEvent>,
) -> Result<(), String> {
    let mut names = HashSet::new();
    let mut indices = HashSet::new();
    for ReceivedEvent { event, .. } in received.values() {
        let name = event.name();
        ensure!(names.insert(name), "{name} came under two ids");
        ensure!(indices.insert(event.session_index()), "the index of {name} came twice");
        let is_ours = match event {
            Event::SessionStart(_) | Event::SessionEnd(_) => script.session,
            _ => account.accepted.contains(name),
        };
        ensure!(is_ours, "{name} was not accepted");
    }
    Ok(())
}

/// An acknowledged event is not sent again.
fn check_acknowledged_once(script: &Script, exchanges: &[Exchange]) -> Result<(), String> {
    if script.clarity == Clarity::Hasty {
        return Ok(()); // it may not have received the acknowledgement
    }
    let mut done = HashSet::new();
    for exchange in exchanges {
        for event in exchange.request.events() {
            ensure!(!done.contains(&event.id()), "{} came again after it was acknowledged", event.name());
            if exchange.fault.acknowledged() == Acknowledged::Yes {
                done.insert(event.id());
            }
        }
    }
    Ok(())
}

/// The counts are those of the server and of the program.
fn check_counts(
    script: &Script,
    account: &Account,
    received: &HashMap<Uuid, ReceivedEvent>,
) -> Result<(), String> {
    let stats = &account.stats;
    let session_events = if script.session { 2 } else { 0 };
    let accepted = account.accepted.len() as u64 + session_events;
    ensure!(stats.accepted == accepted, "{} accepted, not {accepted}", stats.accepted);
    ensure!(stats.refused.total() == account.refused, "{} were refused", account.refused);
    ensure!(stats.pending == 0, "pending after the stop");
    ensure!(stats.dropped.internal == 0, "the reporter itself failed");

    let count = |is: &dyn Fn(&ReceivedEvent) -> bool| {
        received.values().filter(|received| is(received)).count() as u64
    };
    let certain = count(&|received| received.acknowledged == Acknowledged::Yes);
    let perhaps = count(&|received| received.acknowledged == Acknowledged::Perhaps);
    let delivered = stats.delivered;
    ensure!(delivered <= certain + perhaps, "{delivered} delivered, of {certain} and perhaps {perhaps} more");
    let clear = script.clarity != Clarity::Hasty && script.end == End::Drain;
    if !clear {
        return Ok(()); // the client may have ended before the server's answer
    }
    ensure!(delivered >= certain, "{delivered} delivered, {certain} acknowledged");
    // The stop makes the session's end, and does not wait for a server that gave no answer.
    ensure!(stats.dropped.deadline <= u64::from(script.session), "a deadline where there was time");
    let unauthorized = count(&|received| received.last.0.answers_with(&[401, 403]));
    ensure!(stats.dropped.unauthorized == unauthorized, "{unauthorized} were unauthorized");
    let too_large = count(&|received| received.last.1 == 1 && received.last.0.answers_with(&[413]));
    ensure!(stats.dropped.too_large == too_large, "{too_large} were too large");
    Ok(())
}
