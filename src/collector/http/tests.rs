use super::*;

/// Returns at most so many bytes at once.
struct Drip<'a>(&'a [u8], usize);

impl Read for Drip<'_> {
    fn read(&mut self, to: &mut [u8]) -> std::io::Result<usize> {
        let end = self.1.min(self.0.len());
        self.0[..end].as_ref().read(to).inspect(|&read| self.0 = &self.0[read..])
    }
}

fn body_of(bytes: &[u8]) -> Result<Vec<u8>, Fault> {
    let mut requests = Requests::new(bytes);
    let head = requests.head()?.unwrap();
    requests.body(&head.framing)
}

#[test]
fn requests_are_the_same_however_their_bytes_are_cut() {
    let bytes = b"POST /a HTTP/1.1\r\nhost: x\r\ncontent-length: 5\r\n\r\nfirst\
        POST /b?c=d HTTP/1.1\r\nhost: x\r\ntransfer-encoding: Chunked\r\n\r\n\
        3;of=six\r\nsec\r\n00000003\r\nond\r\n0\r\ntrailer: t\r\n\r\n\
        GET / HTTP/1.1\r\nhost: x\r\nconnection: foo, Close\r\n\r\n";
    for at_once in 1..=bytes.len() {
        let mut requests = Requests::new(Drip(bytes, at_once));
        let mut parsed = Vec::new();
        while let Some(head) = requests.head().unwrap() {
            let body = requests.body(&head.framing).unwrap();
            parsed.push((head.path, String::from_utf8(body).unwrap(), head.keep_alive));
        }
        let expected = [("/a", "first", true), ("/b?c=d", "second", true), ("/", "", false)];
        let expected = expected.map(|(path, body, keep)| (path.to_owned(), body.to_owned(), keep));
        assert_eq!(parsed, expected, "{at_once} bytes at once");
    }
}

#[test]
fn a_body_of_unclear_length_is_refused() {
    let not_implemented = Fault::Refused(StatusCode::NOT_IMPLEMENTED);
    for (headers, fault) in [
        ("content-length: 1\r\ncontent-length: 2", BAD_REQUEST),
        ("content-length: 1\r\ntransfer-encoding: chunked", BAD_REQUEST),
        ("content-length: 1, 1", BAD_REQUEST),
        ("content-length: +1", BAD_REQUEST),
        ("content-length: -1", BAD_REQUEST),
        ("content-length:", BAD_REQUEST),
        ("content-length: 3", BAD_REQUEST), // there are two
        ("content-length: 67108865", BODY_TOO_LARGE),
        ("content-length: 99999999999999999999999999", BODY_TOO_LARGE),
        ("transfer-encoding: gzip, chunked", not_implemented),
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\n{headers}\r\n\r\nab");
        assert_eq!(body_of(request.as_bytes()), Err(fault), "{headers}");
    }
}

#[test]
fn chunks_have_the_limits_of_a_body() {
    let long_line = format!("1;{}\r\n", "x".repeat(MAX_HEAD));
    let long_trailer = format!("0\r\na: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    for (chunks, fault) in [
        ("4000001\r\n", BODY_TOO_LARGE),
        ("1\r\na\r\n4000000\r\n", BODY_TOO_LARGE),
        ("fffffffffffffffff\r\n", BAD_REQUEST),
        ("x\r\n", BAD_REQUEST),
        ("1\r\nab\r\n", BAD_REQUEST),
        ("5\r\nab", BAD_REQUEST),
        (&long_line, BAD_REQUEST),
        (&long_trailer, BAD_REQUEST),
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n{chunks}");
        assert_eq!(body_of(request.as_bytes()), Err(fault), "{chunks:.20}");
    }
}

#[test]
fn a_head_of_16_kib_is_accepted_and_one_byte_more_is_refused() {
    let overhead = "GET / HTTP/1.1\r\nhost: x\r\na: \r\n\r\n".len();
    let head = |length: usize| {
        let bytes = format!("GET / HTTP/1.1\r\nhost: x\r\na: {}\r\n\r\n", "x".repeat(length - overhead));
        Requests::new(bytes.as_bytes()).head().map(|head| head.is_some())
    };
    assert_eq!(head(MAX_HEAD), Ok(true));
    assert_eq!(head(MAX_HEAD + 1), Err(HEAD_TOO_LARGE));
    assert_eq!(head(10 * MAX_HEAD), Err(HEAD_TOO_LARGE));
}

#[test]
fn credentials_do_not_show_in_debug() {
    let bytes = b"GET / HTTP/1.1\r\nHost: x\r\nX-Api-Key: canary\r\nAuthorization: canary\r\n\
        Cookie: canary\r\nProxy-Authorization: canary\r\nCF-Access-Client-Id: canary\r\n\
        CF-Access-Client-Secret: canary\r\n\r\n";
    let head = Requests::new(&bytes[..]).head().unwrap().unwrap();
    assert_eq!(head.headers["x-api-key"], "canary");
    assert!(!format!("{head:?}").contains("canary"), "{head:?}");
}
