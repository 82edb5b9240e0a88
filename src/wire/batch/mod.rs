//! Gathers encoded events into batches of a limited count and size, and splits a batch that a server does not accept.

use crate::queue::admission::Load;

/// Events ready to send: their JSON, joined by commas.
#[derive(Clone, Debug, Default)]
pub(crate) struct Batch {
    json: Vec<u8>,
    marks: Vec<EventMark>,
    /// The idempotency key that it is sent under, once one is chosen.
    key: Option<String>,
}

/// Where an event ends in the batch's JSON, and how many bytes of the queue it holds.
#[derive(Clone, Copy, Debug)]
struct EventMark {
    end: usize,
    weight: u64,
    /// Where it is in the spool's files; 0 if it is in none.
    #[cfg(all(feature = "spool", unix))]
    place: u64,
}

impl Batch {
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
    }

    /// Moves the JSON out, for a request.
    pub(crate) fn take_json(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.json)
    }

    /// Moves the JSON that was taken out back in.
    pub(crate) fn put_back_json(&mut self, json: Vec<u8>) {
        self.json = json;
    }

    pub(crate) fn key(&self) -> Option<&str> {
        self.key.as_deref()
    }

    pub(crate) fn set_key(&mut self, key: Option<String>) {
        self.key = key;
    }

    pub(crate) fn len(&self) -> usize {
        self.marks.len()
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.marks.is_empty()
    }

    pub(crate) fn load(&self) -> Load {
        Load { events: self.len() as u64, bytes: self.marks.iter().map(|mark| mark.weight).sum() }
    }

    /// Two halves in the same order, which are requests of their own. `None` for a single event.
    pub(crate) fn split(&self) -> Option<[Self; 2]> {
        let middle = self.len() / 2;
        let cut = self.marks[..middle].last()?.end;
        let (first, second) = self.marks.split_at(middle);
        let after_comma = cut + 1;
        let second = second.iter().map(|mark| EventMark { end: mark.end - after_comma, ..*mark });
        Some([
            Self { json: self.json[..cut].to_vec(), marks: first.to_vec(), key: None },
            Self { json: self.json[after_comma..].to_vec(), marks: second.collect(), key: None },
        ])
    }

    /// Gives each event its place in the spool's files. `place` gets the place that the event had, and its JSON.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn place_events(&mut self, mut place: impl FnMut(u64, &[u8]) -> u64) {
        let mut begin = 0;
        for mark in &mut self.marks {
            mark.place = place(mark.place, &self.json[begin..mark.end]);
            begin = mark.end + 1; // after the comma
        }
    }

    /// The places of the first event and of the last one.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn places(&self) -> Option<(u64, u64)> {
        Some((self.marks.first()?.place, self.marks.last()?.place))
    }

    /// The load of the events that have such a place.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn load_at(&self, is_such: impl Fn(u64) -> bool) -> Load {
        let marks = || self.marks.iter().filter(|mark| is_such(mark.place));
        Load { events: marks().count() as u64, bytes: marks().map(|mark| mark.weight).sum() }
    }

    /// How many events have such a place.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn count_places(&self, is_such: impl Fn(u64) -> bool) -> u64 {
        self.load_at(is_such).events
    }

    /// A batch of these events, which hold nothing of the queue's budget.
    #[cfg(all(feature = "spool", unix))]
    pub(crate) fn of<'a>(events: impl IntoIterator<Item = &'a [u8]>) -> Self {
        let mut batch = Self::default();
        events.into_iter().for_each(|event| batch.push(event, 0));
        batch
    }

    fn size_with(&self, event: &[u8]) -> usize {
        self.json.len() + usize::from(!self.is_empty()) + event.len()
    }

    fn push(&mut self, event: &[u8], weight: u64) {
        if !self.is_empty() {
            self.json.push(b',');
        }
        self.json.extend_from_slice(event);
        let end = self.json.len();
        self.marks.push(EventMark {
            end,
            weight,
            #[cfg(all(feature = "spool", unix))]
            place: 0,
        });
    }
}

/// After this many batches in a row that were not split, the limit is doubled. So a server that answers 413 once does
/// not make batches small until the process ends. A server with a lasting limit splits one batch in a hundred.
const GROW_AFTER: u32 = 100;

/// Gathers events until a batch is full.
#[derive(Debug)]
pub(crate) struct Batcher {
    max_events: usize,
    /// The setting.
    configured_bytes: usize,
    /// The limit that applies now. It is lower after a 413.
    max_bytes: usize,
    /// How many batches in a row were not split, since the limit changed.
    unsplit_batches: u32,
    open: Batch,
}

impl Batcher {
    /// `max_bytes` is the limit on the events alone. An event that is larger makes a batch of its own.
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self {
            max_events,
            configured_bytes: max_bytes,
            max_bytes,
            unsplit_batches: 0,
            open: Batch::default(),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Whether events that hold so much of the queue fill a batch.
    pub(crate) fn is_filled_by(&self, load: Load) -> bool {
        load.events >= self.max_events as u64 || load.bytes >= self.max_bytes as u64
    }

    /// Adds an event. Returns the batch that this fills. If the event does not fit beside the others, it opens the next
    /// batch, and the others are returned.
    pub(crate) fn push(&mut self, event: &[u8], weight: u64) -> Option<Batch> {
        if !self.open.is_empty() && self.open.size_with(event) > self.max_bytes {
            let full = self.take();
            self.open.push(event, weight);
            return full;
        }
        self.open.push(event, weight);
        if self.open.len() >= self.max_events { self.take() } else { None }
    }

    /// The open batch, which may be empty.
    pub(crate) fn open_mut(&mut self) -> &mut Batch {
        &mut self.open
    }

    /// Takes the open batch, unless it is empty.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        let batch = std::mem::take(&mut self.open);
        (!batch.is_empty()).then_some(batch)
    }

    /// Adapts the limit to the outcome of a batch. If the server found a size `too_large`, later batches have at most
    /// half of it, which is the size of its halves. Otherwise the batch counts as not split.
    pub(crate) fn learn(&mut self, too_large: Option<usize>) {
        match too_large {
            Some(bytes) => {
                self.max_bytes = self.max_bytes.min(bytes / 2);
                self.unsplit_batches = 0;
            }
            None => self.unsplit_batches += 1,
        }
        if self.unsplit_batches == GROW_AFTER {
            self.max_bytes = self.max_bytes.saturating_mul(2).min(self.configured_bytes);
            self.unsplit_batches = 0;
        }
    }
}

#[cfg(test)]
mod tests;
