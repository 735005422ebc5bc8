use proptest::prelude::*;

use super::*;

const PROXY: &str = "10.0.0.1";

fn networks(list: &str) -> Trusted {
    Trusted::Networks(list.split(' ').map(|block| block.parse().unwrap()).collect())
}

fn hops(count: usize) -> Trusted {
    Trusted::Hops(count.try_into().unwrap())
}

fn proxies(trusted: Trusted, header: ForwardedHeader) -> Proxies {
    Proxies { trusted, header, country: Some(HeaderName::from_static("x-country")) }
}

/// Asks with these lines of a header through this peer.
fn asked(proxies: &Proxies, name: &'static str, lines: &[&str], peer: &str) -> Option<IpAddr> {
    let mut headers = HeaderMap::new();
    for line in lines {
        headers.append(name, HeaderValue::from_bytes(line.as_bytes()).unwrap());
    }
    visitor(Some(proxies), &headers, peer.parse().unwrap()).address
}

fn shown(address: Option<IpAddr>) -> String {
    address.map_or("unknown".to_owned(), |address| address.to_string())
}

fn by_networks(lines: &[&str], peer: &str) -> String {
    let proxies =
        proxies(networks("10.0.0.0/8 203.0.113.7/32 2001:db8:f::/48"), ForwardedHeader::XForwardedFor);
    shown(asked(&proxies, "x-forwarded-for", lines, peer))
}

fn by_hops(count: usize, lines: &[&str]) -> String {
    let proxies = proxies(hops(count), ForwardedHeader::XForwardedFor);
    shown(asked(&proxies, "x-forwarded-for", lines, PROXY))
}

fn by_forwarded(lines: &[&str]) -> String {
    let proxies = proxies(networks("10.0.0.0/8"), ForwardedHeader::Forwarded);
    shown(asked(&proxies, "forwarded", lines, PROXY))
}

#[test]
fn first_address_that_is_not_trusted_is_the_visitors() {
    for (lines, peer, expected) in [
        // The peer must be trusted, else what it says is not looked at.
        (&["198.51.100.1"][..], "192.0.2.9", "192.0.2.9"),
        (&["garbage"], "192.0.2.9", "192.0.2.9"),
        (&["198.51.100.1"], "2001:db8::9", "2001:db8::9"),
        // One proxy.
        (&["198.51.100.1"], PROXY, "198.51.100.1"),
        (&["2001:db8::1"], PROXY, "2001:db8::1"),
        (&["198.51.100.1"], "2001:db8:f::1", "198.51.100.1"),
        // What the visitor made up stands to the left.
        (&["1.1.1.1, 198.51.100.1"], PROXY, "198.51.100.1"),
        (&["10.0.0.9, 198.51.100.1"], PROXY, "198.51.100.1"),
        (&["garbage, 198.51.100.1"], PROXY, "198.51.100.1"),
        (&[",,, 198.51.100.1"], PROXY, "198.51.100.1"),
        // Several proxies.
        (&["198.51.100.1, 203.0.113.7"], PROXY, "198.51.100.1"),
        (&["198.51.100.1, 203.0.113.7, 10.9.9.9"], PROXY, "198.51.100.1"),
        (&["198.51.100.1, 203.0.113.8, 10.9.9.9"], PROXY, "203.0.113.8"),
        // Several lines are one list.
        (&["1.1.1.1", "198.51.100.1", "10.0.0.2"], PROXY, "198.51.100.1"),
        (&["198.51.100.1, 10.0.0.3", "10.0.0.2"], PROXY, "198.51.100.1"),
        // Everybody is trusted: the farthest one asked; without an entry the peer did.
        (&["10.0.0.3, 10.0.0.2"], PROXY, "10.0.0.3"),
        (&[], PROXY, PROXY),
        // White space, ports, brackets.
        (&["1.1.1.1,198.51.100.1"], PROXY, "198.51.100.1"),
        (&["  198.51.100.1\t,\t10.0.0.2  "], PROXY, "198.51.100.1"),
        (&["198.51.100.1:80"], PROXY, "198.51.100.1"),
        (&["198.51.100.1:65535, 10.0.0.2:1"], PROXY, "198.51.100.1"),
        (&["[2001:db8::1]"], PROXY, "2001:db8::1"),
        (&["[2001:db8::1]:80"], PROXY, "2001:db8::1"),
        (&["2001:DB8:0:0::1"], PROXY, "2001:db8::1"),
        // IPv4-mapped is IPv4, of peers, proxies and visitors.
        (&["::ffff:198.51.100.1"], "::ffff:10.0.0.1", "198.51.100.1"),
        (&["198.51.100.1, [::ffff:10.0.0.2]:80"], PROXY, "198.51.100.1"),
        // Where an address should be there is none.
        (&["unknown"], PROXY, "unknown"),
        (&["198.51.100.1, unknown"], PROXY, "unknown"),
        (&["198.51.100.1, unknown, 10.0.0.2"], PROXY, "unknown"),
        (&["198.51.100.1, _hidden"], PROXY, "unknown"),
        (&["198.51.100.1,"], PROXY, "unknown"),
        (&["198.51.100.1", ""], PROXY, "unknown"),
        (&["shop.example"], PROXY, "unknown"),
        (&["198.51.100.1:"], PROXY, "unknown"),
        (&["198.51.100.1:+8"], PROXY, "unknown"),
        (&["198.51.100.1:65536"], PROXY, "unknown"),
        (&["198.51.100.1 80"], PROXY, "unknown"),
        (&["198.51.100"], PROXY, "unknown"),
        (&["198.51.100.01"], PROXY, "unknown"),
        (&["3325256705"], PROXY, "unknown"),
        (&["0x7f.1"], PROXY, "unknown"),
        (&["198.51.100.0/24"], PROXY, "unknown"),
        (&["[2001:db8::1"], PROXY, "unknown"),
        (&["2001:db8::1]:80"], PROXY, "unknown"),
        (&["[2001:db8::1]80"], PROXY, "unknown"),
        (&["[198.51.100.1]:80"], PROXY, "unknown"),
        (&["fe80::1%eth0"], PROXY, "unknown"),
        (&["[fe80::1%25eth0]:80"], PROXY, "unknown"),
        (&["\"198.51.100.1\""], PROXY, "unknown"),
        (&["198.51.100.1;10.0.0.2"], PROXY, "unknown"),
        (&["unix:"], PROXY, "unknown"),
        (&["é"], PROXY, "unknown"),
    ] {
        assert_eq!(by_networks(lines, peer), expected, "{lines:?} through {peer}");
    }
}

#[test]
fn hops_are_counted_from_the_right() {
    for (count, lines, expected) in [
        (1, &["198.51.100.1"][..], "198.51.100.1"),
        (1, &["1.1.1.1, 198.51.100.1"], "198.51.100.1"),
        (2, &["198.51.100.1, 192.0.2.1"], "198.51.100.1"),
        (2, &["1.1.1.1", "198.51.100.1", "192.0.2.1"], "198.51.100.1"),
        (3, &["1.1.1.1, 198.51.100.1:9, unknown, 192.0.2.1"], "198.51.100.1"),
        // Fewer entries than proxies: the request went past one of them.
        (1, &[], "unknown"),
        (2, &["198.51.100.1"], "unknown"),
        (3, &["1.1.1.1, 198.51.100.1"], "unknown"),
        (16, &["1.1.1.1"], "unknown"),
        // No address where it should be.
        (1, &["198.51.100.1, unknown"], "unknown"),
        (2, &["198.51.100.1, , 192.0.2.1"], "unknown"),
        (2, &["unknown, 192.0.2.1"], "unknown"),
    ] {
        assert_eq!(by_hops(count, lines), expected, "{count} hops, {lines:?}");
    }
}

#[test]
fn forwarded_is_read_as_its_standard_says() {
    for (lines, expected) in [
        (&["for=198.51.100.1"][..], "198.51.100.1"),
        (&["For=198.51.100.1;proto=https;by=10.0.0.1"], "198.51.100.1"),
        (&["proto=https;host=\"go.example\";for=198.51.100.1"], "198.51.100.1"),
        (&["for=\"198.51.100.1:80\""], "198.51.100.1"),
        (&["for=198.51.100.1:80"], "198.51.100.1"),
        (&["for=\"[2001:db8::1]\""], "2001:db8::1"),
        (&["for=\"[2001:db8::1]:4711\""], "2001:db8::1"),
        (&["for=\"[2001:db8::1]:_port\""], "2001:db8::1"),
        (&["for=1.1.1.1, for=198.51.100.1"], "198.51.100.1"),
        (&["for=198.51.100.1, for=10.0.0.2;proto=http"], "198.51.100.1"),
        (&["for=198.51.100.1", "for=10.0.0.2"], "198.51.100.1"),
        (&["for=198.51.100.1 ; proto=http , for=10.0.0.2"], "198.51.100.1"),
        (&[], PROXY),
        // A comma or another `for` between quotes belongs to the string.
        (&["for=198.51.100.1;host=\"a,for=1.1.1.1\""], "198.51.100.1"),
        (&["for=198.51.100.1;host=\"a;for=1.1.1.1;b\""], "198.51.100.1"),
        (&["for=198.51.100.1;host=\"a\\\",for=1.1.1.1;b=\\\"\""], "198.51.100.1"),
        (&["for=198.51.100.1;host=\"a\\\\\""], "198.51.100.1"),
        // A string that the visitor opens and never ends changes nothing.
        (&["for=\"1.1.1.1, for=198.51.100.1"], "198.51.100.1"),
        (&["host=\"\\, for=198.51.100.1;host=\"b\""], "198.51.100.1"),
        (&["\"\"\", for=\"198.51.100.1\""], "198.51.100.1"),
        // No address where it should be.
        (&["for=unknown"], "unknown"),
        (&["for=198.51.100.1, for=unknown, for=10.0.0.2"], "unknown"),
        (&["for=198.51.100.1, for=_hidden"], "unknown"),
        (&["for=198.51.100.1, by=10.0.0.2"], "unknown"),
        (&["for=198.51.100.1;for=198.51.100.2"], "unknown"),
        (&["for=198.51.100.1, "], "unknown"),
        (&["for="], "unknown"),
        (&["for=\""], "unknown"),
        (&["for=\"198.51.100.1"], "unknown"),
        (&["for=198.51.100.1\""], "unknown"),
        (&["for=\"[fe80::1%eth0]\""], "unknown"),
        (&["for=\"198.51.100\\.1\""], "unknown"),
        (&["198.51.100.1"], "unknown"),
        (&["for:198.51.100.1"], "unknown"),
    ] {
        assert_eq!(by_forwarded(lines), expected, "{lines:?}");
    }
}

#[test]
fn documented_examples_are_true() {
    let page = include_str!("../../../docs/semantics.md");
    let table = page.split_once("| Trusted | Connection from | `X-Forwarded-For` |").unwrap().1;
    let mut count = 0;
    for row in table.lines().skip(2).take_while(|line| line.starts_with('|')) {
        let row = row.replace('`', "");
        let cells: Vec<_> = row.trim_matches('|').split('|').map(str::trim).collect();
        let [trusted, peer, line, expected] = cells[..] else { panic!("{row}") };
        let trusted = match trusted.parse() {
            Ok(count) => Some(hops(count)),
            Err(_) => (trusted != "nobody").then(|| networks(trusted)),
        };
        let proxies = trusted.map(|trusted| proxies(trusted, ForwardedHeader::XForwardedFor));
        let peer = if peer == "any" { PROXY } else { peer };
        let headers = [(X_FORWARDED_FOR, HeaderValue::from_str(line).unwrap())].into_iter().collect();
        let visitor = visitor(proxies.as_ref(), &headers, peer.parse().unwrap());
        assert_eq!(shown(visitor.address), expected, "{row}");
        count += 1;
    }
    assert_eq!(count, 8);
}

#[test]
fn only_the_named_header_is_read() {
    let mut headers = HeaderMap::new();
    headers.insert("x-forwarded-for", HeaderValue::from_static("198.51.100.1"));
    headers.insert("forwarded", HeaderValue::from_static("for=198.51.100.2"));
    headers.insert("x-real-ip", HeaderValue::from_static("198.51.100.3"));
    for (header, expected) in
        [(ForwardedHeader::XForwardedFor, "198.51.100.1"), (ForwardedHeader::Forwarded, "198.51.100.2")]
    {
        let proxies = proxies(hops(1), header);
        let visitor = visitor(Some(&proxies), &headers, PROXY.parse().unwrap());
        assert_eq!(shown(visitor.address), expected);
    }
    let nobody = visitor(None, &headers, "::ffff:192.0.2.7".parse().unwrap());
    assert_eq!(nobody, Visitor { address: "192.0.2.7".parse().ok(), country: None });
}

#[test]
fn long_rows_of_proxies_are_followed_to_a_limit() {
    let row = |proxies: usize| format!("198.51.100.1{}", ",10.0.0.2".repeat(proxies));
    assert_eq!(by_networks(&[&row(FOLLOWED - 1)], PROXY), "198.51.100.1");
    assert_eq!(by_networks(&[&row(FOLLOWED)], PROXY), "unknown");
    assert_eq!(by_networks(&[&row(5_000)], PROXY), "unknown");
    let trusted = |proxies: usize| "10.0.0.2,".repeat(proxies) + "10.0.0.3";
    assert_eq!(by_networks(&[&trusted(FOLLOWED - 1)], PROXY), "10.0.0.2");
    assert_eq!(by_networks(&[&trusted(FOLLOWED)], PROXY), "unknown");
    let long = format!("198.51.100.1{}", " ".repeat(ENTRY_BYTES));
    assert_eq!(by_networks(&[&format!("{long},")], PROXY), "unknown");
    assert_eq!(by_networks(&[&format!("{long}x")], PROXY), "unknown");
}

#[test]
fn country_is_two_letters_of_a_trusted_peer() {
    let country = |trusted: Trusted, lines: &[&str], peer: &str| {
        let mut headers = HeaderMap::new();
        for line in lines {
            headers.append("x-country", HeaderValue::from_bytes(line.as_bytes()).unwrap());
        }
        visitor(Some(&proxies(trusted, ForwardedHeader::XForwardedFor)), &headers, peer.parse().unwrap())
            .country
    };
    for (lines, expected) in [
        (&["DE"][..], Some("DE")),
        (&["us"], Some("us")),
        (&["XX"], Some("XX")),
        (&[], None),
        (&[""], None),
        (&["D"], None),
        (&["T1"], None),
        (&["DEU"], None),
        (&["DE, US"], None),
        (&["DE", "US"], None),
        (&["DE", "DE"], None),
        (&["D\u{e9}"], None),
        (&["é"], None),
    ] {
        assert_eq!(country(networks("10.0.0.0/8"), lines, PROXY).as_deref(), expected, "{lines:?}");
        assert_eq!(country(hops(3), lines, "192.0.2.9").as_deref(), expected, "{lines:?}");
        assert_eq!(country(networks("10.0.0.0/8"), lines, "192.0.2.9"), None, "{lines:?}");
    }
}

proptest! {
    #[test]
    fn garbage_does_no_harm(line in "\\PC{0,200}", soup in "(for=|\"|\\\\|,|;|=|\\[|\\]|:|10\\.0\\.0\\.2|::1|unknown| ){0,40}") {
        for line in [line.as_str(), soup.as_str()] {
            by_networks(&[line], PROXY);
            by_hops(2, &[line]);
            by_forwarded(&[line]);
        }
    }

    #[test]
    fn what_the_visitor_sends_changes_nothing(
        forged in "(for=|\"|\\\\|,|;|=|\\[|\\]|:|10\\.0\\.0\\.2|1\\.1\\.1\\.1|::1|unknown|\\PC| ){0,40}",
        own_line in any::<bool>(),
        row in 0_usize..4,
    ) {
        // The visitor's peer appends the visitor's address, and further proxies of ours append theirs.
        let ours = format!("198.51.100.1{}", ", 10.0.0.2".repeat(row));
        let joined = format!("{forged}, {ours}");
        let lines = if own_line { vec![forged.as_str(), &ours] } else { vec![joined.as_str()] };
        prop_assert_eq!(by_networks(&lines, PROXY), "198.51.100.1");
        prop_assert_eq!(by_hops(row + 1, &lines), "198.51.100.1");
        let ours = format!("for=198.51.100.1;host=\"a,b\\\"c\"{}", ", for=10.0.0.2;proto=\"http\"".repeat(row));
        let joined = format!("{forged}, {ours}");
        let lines = if own_line { vec![forged.as_str(), &ours] } else { vec![joined.as_str()] };
        prop_assert_eq!(by_forwarded(&lines), "198.51.100.1");
    }
}
