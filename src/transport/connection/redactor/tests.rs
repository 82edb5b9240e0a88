use super::*;

fn headers(secrets: &[(&'static str, &'static str)]) -> HeaderMap {
    let value = |text| {
        let mut value = HeaderValue::from_static(text);
        value.set_sensitive(true);
        value
    };
    let mut headers = HeaderMap::new();
    headers.insert("accept", HeaderValue::from_static("*/*"));
    for (name, text) in secrets {
        headers.append(*name, value(text));
    }
    headers
}

/// The head as the client would write it.
fn head(headers: &HeaderMap) -> Vec<u8> {
    let mut head = b"POST / HTTP/1.1\r\n".to_vec();
    for (name, value) in headers {
        head.extend([name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"].concat());
    }
    [head, b"\r\n".to_vec()].concat()
}

#[test]
fn what_is_written_shows_no_secret_and_what_is_sent_has_them_all_in_place() {
    // Two of one name and length, side by side, and one that begins as another ends.
    let secrets = [("x-api-key", "tml-1"), ("x-team", "ab"), ("x-team", "cd"), ("key", "efghi")];
    let mut redacted = headers(&secrets);
    let redactor = Redactor::new(&Secrets::take_from(&mut redacted));
    let mut bytes = head(&redacted);
    let text = String::from_utf8(bytes.clone()).unwrap();
    assert!(secrets.iter().all(|(_, secret)| !text.contains(secret)), "{text}");
    assert!(text.contains("accept: */*"));
    redactor.restore(&mut bytes);
    assert_eq!(bytes, head(&headers(&secrets)));
}

#[test]
fn bytes_without_asterisks_are_sent_as_they_are() {
    let redactor = Redactor::new(&Secrets::take_from(&mut headers(&[("x-api-key", "tml-1")])));
    let body = br#"{"events":["x-api-key: *****\r\n"]}"#;
    let mut bytes = body.to_vec();
    redactor.restore(&mut bytes);
    assert_eq!(bytes, body);
    redactor.restore(&mut []);
}

#[test]
fn only_the_head_of_a_request_is_a_head() {
    let mut request = b"POST / HTTP/1.1\r\nkey: *\r\n\r\nbody".to_vec();
    assert_eq!(head_of(&mut request).unwrap(), b"POST / HTTP/1.1\r\nkey: *\r\n\r\n");
    for other in [&b"\r\nkey: *\r\n\r\n"[..], b"CONNECT host:443 HTTP/1.1\r\n\r\n", b"\x16\x03\x01POST ", b""]
    {
        assert!(head_of(&mut other.to_vec()).is_none(), "{other:?}");
    }
}

#[test]
fn debug_shows_no_secret() {
    let redactor = Redactor::new(&Secrets::take_from(&mut headers(&[("x-api-key", "tml-1")])));
    assert!(!format!("{redactor:?}").contains("tml"));
}
