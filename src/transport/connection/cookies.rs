//! Keeps cookies out. If any crate of a program enables the feature `cookies` of ureq, every client of ureq in that program
//! keeps the cookies of its server and sends them back, and no setting prevents it. So the client finds none: the header
//! that sets a cookie gets another name of the same length before the client reads it.

const SET_COOKIE: &[u8] = b"set-cookie";
const RENAMED: &[u8; SET_COOKIE.len()] = b"no-cookies";

/// The bytes with each header renamed. `None` if there is nothing to rename.
///
/// The bytes may be a part of a body, which does not matter and keeps its length. A header whose end has not come yet is
/// renamed when the rest is here: the client keeps the start of a head until the head is complete.
pub(super) fn renamed(bytes: &[u8]) -> Option<Vec<u8>> {
    let is_header = |start: &usize| {
        bytes.get(*start..*start + SET_COOKIE.len()).is_some_and(|name| name.eq_ignore_ascii_case(SET_COOKIE))
    };
    let mut headers = memchr::memchr_iter(b'\n', bytes).map(|end| end + 1).filter(is_header).peekable();
    headers.peek()?;
    let mut renamed = bytes.to_vec();
    for start in headers {
        renamed[start..start + RENAMED.len()].copy_from_slice(RENAMED);
    }
    Some(renamed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_header_that_sets_a_cookie_is_renamed() {
        let head = b"HTTP/1.1 200 OK\r\nset-cookie: a=b\r\nx-set-cookie: c\r\nSet-Cookie:d=e\r\n\r\n";
        let expected = b"HTTP/1.1 200 OK\r\nno-cookies: a=b\r\nx-set-cookie: c\r\nno-cookies:d=e\r\n\r\n";
        assert_eq!(renamed(head).unwrap(), expected);
    }

    #[test]
    fn other_bytes_stay() {
        for bytes in ["", "\n", "HTTP/1.1 200 OK\r\ncookie: a\r\n\r\n", "set-cookie: a", "\r\nset-cooki"] {
            assert_eq!(renamed(bytes.as_bytes()), None, "{bytes:?}");
        }
    }
}
