//! Encoded events gathered to a count and a size, and cut in two when a server finds them too many.

use crate::queue::admission::Load;

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

/// After so many batches in a row that were not split, later ones may be twice as large again: a server that answered
/// 413 once does not make them small for the life of the process, and one that means it has one batch in a hundred to
/// split.
const BOLDER_AFTER: u32 = 100;

/// Gathers events until a batch is full.
#[derive(Debug)]
pub(crate) struct Batcher {
    max_events: usize,
    /// What was set.
    most_bytes: usize,
    /// What has been learned of the server.
    max_bytes: usize,
    /// How many batches in a row were not split since.
    whole: u32,
    open: Batch,
}

impl Batcher {
    /// `max_bytes` is for the events alone; an event larger than it makes a batch of its own.
    pub(crate) fn new(max_events: usize, max_bytes: usize) -> Self {
        Self { max_events, most_bytes: max_bytes, max_bytes, whole: 0, open: Batch::default() }
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

    /// Learns of a batch that was sent: the server found this size `too_large`, and later ones begin at half of it,
    /// where its halves went; or it was not split.
    pub(crate) fn learn(&mut self, too_large: Option<usize>) {
        match too_large {
            Some(bytes) => {
                self.max_bytes = self.max_bytes.min(bytes / 2);
                self.whole = 0;
            }
            None => self.whole += 1,
        }
        if self.whole == BOLDER_AFTER {
            self.max_bytes = self.max_bytes.saturating_mul(2).min(self.most_bytes);
            self.whole = 0;
        }
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
    fn a_size_that_was_too_large_is_not_tried_again_soon() {
        let mut batcher = Batcher::new(10, 100);
        batcher.learn(Some(8));
        assert!(batcher.push(b"12", 1).is_none());
        assert!(batcher.push(b"34", 1).is_some(), "5 bytes are more than 4");
        batcher.learn(Some(80));
        assert_eq!(batcher.max_bytes, 4, "learning that a size is too large never makes batches larger");
    }

    #[test]
    fn after_a_hundred_batches_without_a_split_twice_the_size_is_tried_up_to_what_was_set() {
        let mut batcher = Batcher::new(10, 100);
        let mut after = |batches, too_large| {
            (0..batches).for_each(|_| batcher.learn(None));
            batcher.learn(too_large);
            batcher.max_bytes
        };
        assert_eq!(after(1_000, None), 100);
        assert_eq!(after(0, Some(60)), 30);
        assert_eq!(after(98, None), 30);
        assert_eq!(after(0, None), 60);
        assert_eq!(after(99, Some(60)), 30, "the limit stands");
        assert_eq!(after(98, Some(70)), 30, "the count begins again");
        assert_eq!(after(98, None), 30);
        assert_eq!(after(0, None), 60);
        assert_eq!(after(99, None), 100);
    }
}
