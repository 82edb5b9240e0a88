//! Compares the reporter's counts with the requests that the server received.

use std::collections::{HashMap, HashSet};

use tinker_telemetry::Stats;
use uuid::Uuid;

use crate::server::fault::{Acknowledged, Fault};
use crate::server::journal::Exchange;
use crate::truth::Account;
use crate::truth::chance::{Clarity, End, Script};
use crate::truth::protocol::{Meaning, Protocol, SentEvent};

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

/// A request that the server has read, with what it carries and what the answer to it means.
struct Sent {
    events: Vec<SentEvent>,
    key: String,
    /// The number of the retry, if the protocol has one.
    retry: Option<u32>,
    body: Vec<u8>,
    fault: Fault,
    meaning: Meaning,
}

impl Sent {
    fn read(protocol: Protocol, exchange: &Exchange) -> Result<Self, String> {
        let request = &exchange.request;
        Ok(Self {
            events: protocol.events(request),
            key: protocol.batch_key(request).ok_or("a request without idempotency key")?,
            retry: request.retry_count(),
            body: request.body.clone(),
            fault: exchange.fault.clone(),
            meaning: protocol.meaning(&exchange.fault),
        })
    }

    /// How many of its events its answer rejects, in an answer that accepts the others.
    fn rejected_in_part(&self) -> u64 {
        match self.meaning {
            Meaning::Accepted { rejected } => rejected.min(self.events.len() as u64),
            _ => 0,
        }
    }
}

/// Checks all rules. Returns the first one that is broken.
pub(crate) fn audit(script: &Script, account: &Account, exchanges: &[Exchange]) -> Result<(), String> {
    let read = |exchange| Sent::read(script.protocol, exchange);
    let sent = exchanges.iter().map(read).collect::<Result<Vec<_>, _>>()?;
    check_retries(script, &sent)?;
    check_keys(script, &sent)?;
    let received = received_events(&sent)?;
    check_acceptance(script, account, &received)?;
    check_decided_once(script, &sent)?;
    check_counts(script, account, &received, &sent)
}

/// An event as the server received it.
struct ReceivedEvent {
    event: SentEvent,
    /// The strongest acknowledgement of its requests.
    acknowledged: Acknowledged,
    /// What the last answer means for it, and the number of events in that request.
    last: (Meaning, usize),
}

/// A batch is sent again under the same key byte for byte, and its retries are counted.
fn check_retries(script: &Script, sent: &[Sent]) -> Result<(), String> {
    let mut batches: HashMap<&str, &Sent> = HashMap::new();
    for request in sent {
        let (key, retry) = (&request.key, request.retry);
        let has_number = retry.is_some() == (script.protocol == Protocol::Tinker);
        ensure!(has_number, "the retry count is {retry:?}");
        ensure!(retry.is_none_or(|retry| retry <= script.max_retries), "retry {retry:?}");
        ensure!(!request.events.is_empty(), "a request without events that can be read");
        ensure!(request.events.len() <= script.max_batch_size, "more events than a batch may have");
        if let Some(before) = batches.insert(key, request) {
            ensure!(before.body == request.body, "{key}: another body under the same key");
            // The server may read a request that a hasty client has given up after the client's next one.
            let in_order = script.clarity == Clarity::Hasty || before.retry <= retry;
            ensure!(in_order, "{key}: the retry count went back");
        }
    }
    let most = script.max_retries as usize + 1;
    // What ends without an answer may be no attempt: a connection that was kept, and is closed, looks the same.
    for (key, attempts) in attempts(sent.iter().filter(|request| request.fault.complete_answer().is_some())) {
        let is_allowed = attempts <= most || script.clarity == Clarity::Hasty;
        ensure!(is_allowed, "{key}: {attempts} attempts of {most}");
    }
    Ok(())
}

/// How many of these requests each batch has.
fn attempts<'a>(sent: impl IntoIterator<Item = &'a Sent>) -> HashMap<&'a str, usize> {
    let mut attempts = HashMap::new();
    for request in sent {
        *attempts.entry(&*request.key).or_default() += 1;
    }
    attempts
}

/// A batch is given up only after all of its attempts.
fn check_exhausted(script: &Script, sent: &[Sent]) -> Result<(), String> {
    let attempts = attempts(sent);
    let last: HashMap<_, _> =
        sent.iter().flat_map(|request| request.events.iter().map(move |event| (event.id, request))).collect();
    for request in last.values().filter(|request| request.meaning == Meaning::Open) {
        let (tries, all) = (attempts[&*request.key], script.max_retries as usize + 1);
        let is_over = tries >= all || request.fault.acknowledged() != Acknowledged::No;
        ensure!(is_over, "{} was given up after {tries} attempts of {all}", request.key);
    }
    Ok(())
}

/// An event changes its key only where its batch is halved: the batch was too large, or one event was rejected.
fn check_keys(script: &Script, sent: &[Sent]) -> Result<(), String> {
    if script.clarity == Clarity::Hasty {
        return Ok(()); // the server may read a given-up request late
    }
    let mut carried: HashMap<Uuid, &Sent> = HashMap::new();
    for request in sent {
        for event in &request.events {
            let Some(before) = carried.insert(event.id, request) else { continue };
            let halved =
                before.events.len() > 1 && matches!(before.meaning, Meaning::TooLarge | Meaning::Suspicious);
            ensure!(before.key == request.key || halved, "{} came under another key", event.name);
        }
    }
    Ok(())
}

/// The events by id. Each has the same content each time.
fn received_events(sent: &[Sent]) -> Result<HashMap<Uuid, ReceivedEvent>, String> {
    let mut all: HashMap<Uuid, ReceivedEvent> = HashMap::new();
    for request in sent {
        for event in &request.events {
            let mut acknowledged = request.fault.acknowledged();
            if let Some(before) = all.get(&event.id) {
                let (was, is) = (&before.event.content, &event.content);
                ensure!(was == is, "{} is another event: {was}, {is}", event.id);
                acknowledged = acknowledged.max(before.acknowledged);
            }
            let last = (request.meaning, request.events.len());
            all.insert(event.id, ReceivedEvent { event: event.clone(), acknowledged, last });
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
        let name = &event.name;
        ensure!(names.insert(name), "{name} came under two ids");
        ensure!(indices.insert(event.index), "the index of {name} came twice");
        let is_ours = if event.is_of_session { script.session } else { account.accepted.contains(name) };
        ensure!(is_ours, "{name} was not accepted");
    }
    Ok(())
}

/// An event whose fate an answer has decided is not sent again.
fn check_decided_once(script: &Script, sent: &[Sent]) -> Result<(), String> {
    if script.clarity == Clarity::Hasty {
        return Ok(()); // it may not have received the answer
    }
    let mut done = HashSet::new();
    for request in sent {
        for event in &request.events {
            ensure!(!done.contains(&event.id), "{} came again after its fate was decided", event.name);
            let is_decided = match request.meaning {
                Meaning::Accepted { .. } | Meaning::Rejected | Meaning::Unauthorized => true,
                Meaning::TooLarge | Meaning::Suspicious => request.events.len() == 1,
                Meaning::Open => false,
            };
            if is_decided {
                done.insert(event.id);
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
    sent: &[Sent],
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
    let in_part: u64 = sent.iter().map(Sent::rejected_in_part).sum();
    let certain = count(&|received| received.acknowledged == Acknowledged::Yes).saturating_sub(in_part);
    let perhaps = count(&|received| received.acknowledged == Acknowledged::Perhaps);
    let delivered = stats.delivered;
    let clear = script.clarity != Clarity::Hasty && script.end == End::Drain;
    if !clear {
        // The client may have ended before the server's answer, and not know what is rejected in part.
        let most = certain + perhaps + in_part;
        ensure!(delivered <= most, "{delivered} delivered, of at most {most}");
        return Ok(());
    }
    ensure!(delivered <= certain + perhaps, "{delivered} delivered, of {certain} and perhaps {perhaps} more");
    ensure!(delivered >= certain, "{delivered} delivered, {certain} acknowledged");
    // The stop makes the session's end, and does not wait for a server that gave no answer.
    ensure!(stats.dropped.deadline <= u64::from(script.session), "a deadline where there was time");
    let unauthorized = count(&|received| received.last.0 == Meaning::Unauthorized);
    ensure!(stats.dropped.unauthorized == unauthorized, "{unauthorized} were unauthorized");
    let too_large = count(&|received| received.last == (Meaning::TooLarge, 1));
    ensure!(stats.dropped.too_large == too_large, "{too_large} were too large");
    // The server has no record of a request that it did not read to its end, nor of what the stop cut.
    let is_unread = |fault: &Fault| matches!(fault, Fault::ResetAfterReading(_));
    if stats.dropped.deadline > 0 || script.faults.iter().any(is_unread) {
        return Ok(());
    }
    let is_rejected = |meaning| matches!(meaning, Meaning::Rejected | Meaning::Suspicious);
    let rejected = count(&|received| is_rejected(received.last.0)) + in_part;
    ensure!(stats.dropped.rejected == rejected, "{rejected} were rejected");
    check_exhausted(script, sent)
}
