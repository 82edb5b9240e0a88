//! Compresses the bodies of requests, for a server that accepts that.

use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use flate2::Compression;
use flate2::write::GzEncoder;

use super::retry::{Response, Verdict};
use crate::wire::envelope::Request;

/// A smaller body travels in one packet whatever its size.
const MIN_BODY: usize = 1024;

/// Whether bodies are compressed. Clones share it: what one request learns of the server holds for all.
#[derive(Clone)]
pub(super) struct BodyCompression(Arc<AtomicBool>);

impl BodyCompression {
    pub(super) fn new(is_on: bool) -> Self {
        Self(Arc::new(AtomicBool::new(is_on)))
    }

    /// The compressed body. `None` if this one is to be sent plain.
    pub(super) fn of<'a>(&self, request: &'a Request) -> Option<&'a [u8]> {
        let is_due = self.0.load(Ordering::Relaxed) && request.body.len() >= MIN_BODY;
        is_due.then(|| request.compressed.get_or_init(|| compress(&request.body)).as_slice())
    }

    /// The server does not accept compressed bodies.
    pub(super) fn switch_off(&self) {
        self.0.store(false, Ordering::Relaxed);
    }
}

/// Whether the server may not have understood the compression. A 400 may mean the events as well.
pub(super) fn may_be_refused(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Response(Response { status: 400 | 415, .. }))
}

/// The fastest level: of events the others save a tenth more, for three times the time.
fn compress(body: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(body.len() / 4), Compression::fast());
    let _ = encoder.write_all(body); // writing to memory cannot fail
    encoder.finish().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn request(size: usize) -> Request {
        Request::new(vec![b'a'; size], String::new())
    }

    #[test]
    fn a_body_of_at_least_1_kb_is_compressed_once() {
        let compression = BodyCompression::new(true);
        assert_eq!(compression.of(&request(1023)), None);
        let request = request(1024);
        let compressed = compression.of(&request).unwrap();
        let mut body = Vec::new();
        flate2::read::GzDecoder::new(compressed).read_to_end(&mut body).unwrap();
        assert!(body == request.body && compressed.len() < 100);
        assert_eq!(compression.of(&request).unwrap().as_ptr(), compressed.as_ptr(), "the same bytes again");
    }

    #[test]
    fn what_one_learns_of_the_server_holds_for_all() {
        let compression = BodyCompression::new(true);
        compression.clone().switch_off();
        assert_eq!(compression.of(&request(5000)), None);
        assert_eq!(BodyCompression::new(false).of(&request(5000)), None);
    }
}
