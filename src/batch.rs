//! Encoded events gathered to a count and a size, and cut in two when a server finds them too many.

use crate::admission::Load;

/// Events ready to send: their JSON, joined by commas.
#[derive(Debug, Default)]
pub(crate) struct Batch {
    json: Vec<u8>,
    marks: Vec<Mark>,
}

/// Where an event ends in the batch's JSON, and what it holds of the queue's budget.
#[derive(Clone, Copy, Debug)]
struct Mark {
    end: usize,
    weight: u64,
}

impl Batch {
    pub(crate) fn json(&self) -> &[u8] {
        &self.json
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

    /// Two halves in the same order; `None` where there is nothing to halve.
    pub(crate) fn split(&self) -> Option<[Self; 2]> {
        let middle = self.len() / 2;
        let cut = self.marks[..middle].last()?.end;
        let (first, second) = self.marks.split_at(middle);
        let after_comma = cut + 1;
        let second = second.iter().map(|mark| Mark { end: mark.end - after_comma, ..*mark });
        Some([
            Self { json: self.json[..cut].to_vec(), marks: first.to_vec() },
            Self { json: self.json[after_comma..].to_vec(), marks: second.collect() },
        ])
    }

    fn size_with(&self, event: &[u8]) -> usize {
        self.json.len() + usize::from(!self.is_empty()) + event.len()
    }

    fn push(&mut self, event: &[u8], weight: u64) {
        if !self.is_empty() {
            self.json.push(b',');
        }
        self.json.extend_from_slice(event);
        self.marks.push(Mark { end: self.json.len(), weight });
    }
}

/// Gathers events until a batch is full.
#[derive(Debug)]
pub(crate) struct Batcher {
    max_events: usize,
    max_bytes: usize,
    open: Batch,
}

impl Batcher {
    /// `max_bytes` is for the events alone; an event larger than it makes a batch of its own.
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { max_events, max_bytes, open: Batch::default() }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.open.is_empty()
    }

    /// Adds an event; gives out the batch that this fills. Where the event does not fit beside the others it
    /// opens the next batch, and the others go.
    pub(crate) fn push(&mut self, event: &[u8], weight: u64) -> Option<Batch> {
        if !self.open.is_empty() && self.open.size_with(event) > self.max_bytes {
            let full = self.take();
            self.open.push(event, weight);
            return full;
        }
        self.open.push(event, weight);
        if self.open.len() >= self.max_events { self.take() } else { None }
    }

    /// The batch so far, if there is any.
    pub(crate) fn take(&mut self) -> Option<Batch> {
        let batch = std::mem::take(&mut self.open);
        (!batch.is_empty()).then_some(batch)
    }

    /// A server found a batch of this size too large: later ones begin at half of it, where its halves went.
    pub(crate) fn learn_too_large(&mut self, bytes: usize) {
        self.max_bytes = self.max_bytes.min(bytes / 2);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(batch: &Batch) -> &str {
        std::str::from_utf8(batch.json()).unwrap()
    }

    #[test]
    fn a_batch_is_given_out_by_the_event_that_fills_it() {
        let mut batcher = Batcher::new(2, 100);
        assert!(batcher.push(b"{}", 1).is_none() && !batcher.is_empty());
        let full = batcher.push(b"[]", 2).unwrap();
        assert_eq!(text(&full), "{},[]");
        assert_eq!(full.load(), Load { events: 2, bytes: 3 });
        assert!(batcher.is_empty() && batcher.take().is_none());
    }

    #[test]
    fn an_event_that_does_not_fit_opens_the_next_batch() {
        let mut batcher = Batcher::new(10, 5);
        assert!(batcher.push(b"12", 1).is_none());
        assert!(batcher.push(b"34", 1).is_none(), "2 + comma + 2 fit in 5");
        assert_eq!(text(&batcher.push(b"5", 1).unwrap()), "12,34");
        assert_eq!(text(&batcher.push(b"123456789", 1).unwrap()), "5");
        assert_eq!(text(&batcher.take().unwrap()), "123456789");
    }

    #[test]
    fn halves_hold_all_events_in_order_down_to_one() {
        let mut batcher = Batcher::new(5, 100);
        for event in [b"1", b"2", b"3", b"4"] {
            assert!(batcher.push(event, 10).is_none());
        }
        let five = batcher.push(b"5", 10).unwrap();
        let [two, three] = five.split().unwrap();
        assert_eq!((text(&two), text(&three)), ("1,2", "3,4,5"));
        assert_eq!((two.load().bytes, three.load().bytes), (20, 30));
        let [one, two] = three.split().unwrap();
        assert_eq!((text(&one), text(&two)), ("3", "4,5"));
        assert!(one.split().is_none());
    }

    #[test]
    fn a_size_that_was_too_large_is_not_tried_again() {
        let mut batcher = Batcher::new(10, 100);
        batcher.learn_too_large(8);
        assert!(batcher.push(b"12", 1).is_none());
        assert!(batcher.push(b"34", 1).is_some(), "5 bytes are more than 4");
        batcher.learn_too_large(80);
        assert_eq!(batcher.max_bytes, 4, "learning never makes batches larger");
    }
}
