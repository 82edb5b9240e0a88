use super::*;

fn parsed(url: &str) -> Result<(String, String), String> {
    let proxy = Proxy::parse("HTTPS_PROXY", url).map_err(|error| error.to_string())?;
    Ok((proxy.url().to_owned(), proxy.place().to_owned()))
}

#[test]
fn a_proxy_is_http_on_port_1080_unless_it_says_otherwise() {
    let table = [
        ("proxy", "http://proxy:1080", "proxy:1080"),
        ("proxy:3128", "http://proxy:3128", "proxy:3128"),
        ("http://proxy", "http://proxy:1080", "proxy:1080"),
        ("http://proxy/", "http://proxy:1080", "proxy:1080"),
        ("HTTP://Proxy:8888/", "http://Proxy:8888", "Proxy:8888"),
        ("http://10.0.0.1:1", "http://10.0.0.1:1", "10.0.0.1:1"),
        ("http://[fd00::1]:3128", "http://[fd00::1]:3128", "[fd00::1]:3128"),
        ("[fd00::1]", "http://[fd00::1]:1080", "[fd00::1]:1080"),
        ("me:hush@proxy:1", "http://me:hush@proxy:1", "proxy:1"),
        ("http://me@proxy", "http://me@proxy:1080", "proxy:1080"),
        ("http://me:h%40sh%2F@proxy:1", "http://me:h%40sh%2F@proxy:1", "proxy:1"),
        ("http://me:h@sh@proxy:1", "http://me:h@sh@proxy:1", "proxy:1"),
        ("http://proxy:hush@proxy:1", "http://proxy:hush@proxy:1", "proxy:1"),
        ("socks5://proxy", "socks5://proxy:1080", "proxy:1080"),
        ("SOCKS5H://me:h%40sh@proxy:9050/", "socks5h://me:h%40sh@proxy:9050", "proxy:9050"),
        ("socks://proxy", "socks://proxy:1080", "proxy:1080"),
        ("socks4://10.0.0.1", "socks4://10.0.0.1:1080", "10.0.0.1:1080"),
        ("socks4a://[fd00::1]:1", "socks4a://[fd00::1]:1", "[fd00::1]:1"),
    ];
    for (url, whole, place) in table {
        assert_eq!(parsed(url).unwrap(), (whole.to_owned(), place.to_owned()), "{url:?}");
    }
}

#[cfg(feature = "tls")]
#[test]
fn an_https_proxy_is_on_port_443() {
    assert_eq!(parsed("https://proxy").unwrap().0, "https://proxy:443");
}

#[cfg(not(feature = "tls"))]
#[test]
fn an_https_proxy_needs_the_feature() {
    assert!(parsed("https://proxy").unwrap_err().contains("`tls`"));
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_without_being_shown() {
    let bad = [
        "",
        "/",
        "http://",
        "http:///",
        "://canary",
        "ftp://canary",
        "socks6://me:canary@proxy",
        "socks4://me:canary@proxy",
        "SOCKS4a://canary@proxy",
        "socks5://canary/x",
        "socks5h://",
        "http://canary@",
        "http://me:canary@:1",
        "http://can ary",
        "http://can\nary",
        "http://cänary",
        "http://proxy:canary",
        "http://proxy:",
        "http://proxy:0",
        "http://proxy:65536",
        "http://proxy:+1",
        "http://[fd00::1",
        "http://[fd00::1]3128",
        "http://[]",
        "http://[canary]",
        "http://[10.0.0.1]",
        "http://me:canary/12@proxy",
        "http://me:12/canary@proxy",
        "http://me:12?canary@proxy",
        "http://me:12#canary@proxy",
        "http://proxy/canary",
        "\u{fffd}canary",
    ];
    for url in bad {
        let error = parsed(url).unwrap_err();
        assert!(error.contains("HTTPS_PROXY") && !error.contains("can"), "{url:?}: {error}");
    }
}

#[test]
fn names_are_exempt_with_all_that_is_below_them() {
    let exempt = [
        ("example.com", "example.com"),
        ("example.com", ".example.com"),
        ("a.example.com", "example.com"),
        ("a.b.example.com", ".example.com"),
        ("EXAMPLE.com", "example.COM"),
        ("example.com.", "example.com"),
        ("example.com", "example.com."),
        ("a.example.com.", ".example.com."),
        ("intranet", "intranet"),
        ("a.dev", "dev"),
        ("example.com", "*"),
        ("10.0.0.1", "*"),
        ("example.com", " * "),
    ];
    for (host, list) in exempt {
        assert!(is_exempt(host, list), "{host} in {list:?}");
    }
    let not = [
        ("example.com", ""),
        ("example.com", " , ,"),
        ("example.com", "."),
        ("example.com", ".."),
        ("nonexample.com", "example.com"),
        ("nonexample.com", ".example.com"),
        ("example.com", "a.example.com"),
        ("example.com.org", "example.com"),
        ("example.com", "example"),
        ("example.com", "*.com"),
        ("a.example.com", "*.example.com"),
        ("example.com", "example.com:443"),
        ("example.com", "http://example.com"),
        ("example.com", "example.com/32"),
        ("example.com", "0.0.0.0/0"),
    ];
    for (host, list) in not {
        assert!(!is_exempt(host, list), "{host} in {list:?}");
    }
}

#[test]
fn entries_are_separated_by_commas_and_white_space() {
    let lists =
        ["a.com,b.com,c.com", "a.com, b.com , c.com", "a.com b.com c.com", "\ta.com,,b.com\n,c.com ,"];
    for list in lists {
        for host in ["a.com", "b.com", "x.c.com"] {
            assert!(is_exempt(host, list), "{host} in {list:?}");
        }
        assert!(!is_exempt("d.com", list), "{list:?}");
    }
    assert!(!is_exempt("a.comb.com", "a.com b.com c.com".replace(' ', "").as_str()));
}

#[test]
fn addresses_are_exempt_by_value_and_by_network() {
    let exempt = [
        ("10.1.2.3", "10.1.2.3"),
        ("10.1.2.3", "10.0.0.0/8"),
        ("10.1.2.3", "10.1.2.3/32"),
        ("10.1.2.3", "10.1.2.2/31"),
        ("10.1.2.3", "192.168.0.0/16, 10.1.0.0/16"),
        ("10.1.2.3", "0.0.0.0/0"),
        ("[fd00::1]", "fd00::1"),
        ("[fd00:0::1]", "fd00::0001"),
        ("[fd00::1]", "fd00::/8"),
        ("[fd00::1]", "fd00::1/128"),
        ("[fd00::1]", "fc00::/7"),
        ("[fd00::1]", "::/0"),
    ];
    for (host, list) in exempt {
        assert!(is_exempt(host, list), "{host} in {list:?}");
    }
    let not = [
        ("10.1.2.3", "10.1.2.4"),
        ("10.1.2.3", "10.2.0.0/16"),
        ("10.1.2.3", "10.1.2.4/31"),
        ("10.1.2.3", "10.0.0.0/33"),
        ("10.1.2.3", "10.0.0.0/"),
        ("10.1.2.3", "10.0.0.0/-8"),
        ("10.1.2.3", "10.0.0.0/x"),
        ("10.1.2.3", "1.2.3"),
        ("10.1.2.3", ".2.3"),
        ("10.1.2.3", "::/0"),
        ("10.1.2.3", "::ffff:10.1.2.3"),
        ("10.1.2.3", "10.1.2.3:443"),
        ("10.example.com", "10.0.0.0/8"),
        ("[fd00::1]", "fd00::2"),
        ("[fd00::1]", "fe00::/7"),
        ("[fd00::1]", "fd00::/129"),
        ("[fd00::1]", "[fd00::1]"),
        ("[fd00::1]", "0.0.0.0/0"),
    ];
    for (host, list) in not {
        assert!(!is_exempt(host, list), "{host} in {list:?}");
    }
}
