//! Reads what a caller asks.

use std::{collections::HashMap, net::IpAddr};

use jiff::Timestamp;

use crate::{
    classify::{Classifier, user_agent::ClientHints},
    domain::{
        click_id::ClickId,
        fact::Fact,
        fault::{Faults, Problem, Reason},
        geo::Country,
        host::shown,
        limits,
        name::ShopId,
        revision::Revision,
        visit::{Channel, Headers, Hints, Site, Visit},
    },
    proto::{Purpose, RequestHeaders, ResolveRequest, resolve_request},
    rpc::convert,
};

/// A checked request. Borrows from the message: nothing is copied on the way to the answer.
#[derive(Debug)]
pub(super) struct Question<'a> {
    message: &'a ResolveRequest,
    site: Site<'a>,
    query: &'a str,
    address: Option<IpAddr>,
    country: Option<Country>,
    channel: Channel,
    time: Timestamp,
    click_id: Option<ClickId>,
    pub(super) min_revision: Revision,
}

impl<'a> Question<'a> {
    /// Checks everything about a request that came now.
    pub(super) fn read(message: &'a ResolveRequest, now: Timestamp) -> Result<Self, Faults> {
        let mut faults = Faults::new();
        let purpose = purpose(message, &mut faults);
        let site = site(message, &mut faults);
        let query = query(&message.query, &mut faults);
        let address = address(&message.client_address, &mut faults);
        let country = country(&message.country, &mut faults);
        let at_channel = convert::Path::root("channel");
        let channel = convert::choice::read_or_default(message.channel, &at_channel, &mut faults);
        if let Some(headers) = &message.headers {
            check_headers(headers, &mut faults);
        }
        check_attributes(&message.attributes, &mut faults);
        let click_id = click_id(message, purpose, now, &mut faults);
        let visit_time = visit_time(message, purpose, &mut faults);
        if message.min_revision < 0 {
            let problem = Problem::new(Reason::OutOfRange, "a revision is not below 0");
            faults.add("min_revision", problem);
        }
        let time = click_id.map(ClickId::time).or(visit_time).unwrap_or(now);
        let min_revision = Revision(message.min_revision);
        let question = site.zip(channel).map(|(site, channel)| Self {
            message,
            site,
            query,
            address,
            country,
            channel,
            time,
            click_id,
            min_revision,
        });
        faults.finish(question)
    }

    /// Returns the shop, if the caller names it by its id and there can be such a shop.
    pub(super) fn shop(&self) -> Option<ShopId> {
        match self.site {
            Site::Shop(id) => ShopId::fold(id).ok(),
            Site::Host(_) => None,
        }
    }

    /// Returns the slug as it was asked for.
    pub(super) fn slug(&self) -> &str {
        &self.message.slug
    }

    /// Gathers what is known about the visit.
    pub(super) fn visit<'q>(&'q self, classifier: &Classifier) -> Visit<'q> {
        let headers = self.message.headers.as_ref();
        let user_agent = headers.and_then(|headers| headers.user_agent.as_deref());
        let of_address = || self.address.map_or(Fact::Unknown, |address| classifier.country(address));
        Visit {
            site: self.site,
            slug: &self.message.slug,
            partner: &self.message.partner,
            query: self.query,
            time: self.time,
            click_id: self.click_id,
            address: Fact::or_unknown(self.address),
            country: self.country.map_or_else(of_address, Fact::Known),
            channel: self.channel,
            agent: classifier.user_agent(user_agent, &headers.map(client_hints).unwrap_or_default()),
            hints: Hints { internal: self.message.internal, prefetch: self.message.prefetch },
            headers: headers.map(|headers| Headers {
                has_user_agent: user_agent.is_some(),
                accept_language: headers.accept_language.as_deref(),
                referer: headers.referer.as_deref(),
            }),
            purpose_header: headers.and_then(|headers| headers.purpose_header.as_deref()),
            attributes: &self.message.attributes,
        }
    }
}

/// Says that a revision is far beyond what exists.
pub(super) fn no_such_revision(wanted: Revision, has: Revision) -> Faults {
    let text = format!("no write has returned revision {wanted}: the index is at {has}");
    Problem::new(Reason::OutOfRange, text).at("min_revision").into()
}

fn purpose(message: &ResolveRequest, faults: &mut Faults) -> Option<Purpose> {
    let problem = match Purpose::try_from(message.purpose) {
        Ok(purpose @ (Purpose::Click | Purpose::Lookup)) => return Some(purpose),
        Ok(Purpose::Unspecified) => {
            Problem::new(Reason::Required, "the purpose is missing: write CLICK or LOOKUP")
        }
        Err(_) => convert::choice::no_such("purpose", message.purpose),
    };
    faults.add("purpose", problem);
    None
}

fn site<'a>(message: &'a ResolveRequest, faults: &mut Faults) -> Option<Site<'a>> {
    let (path, site, text) = match &message.site {
        Some(resolve_request::Site::Shop(shop)) => ("shop", Site::Shop(shop), shop),
        Some(resolve_request::Site::Host(host)) => ("host", Site::Host(host), host),
        None => {
            faults.add("site", Problem::new(Reason::Required, "the site is missing: write `shop` or `host`"));
            return None;
        }
    };
    if text.is_empty() {
        faults.add(path, Problem::required(if path == "shop" { "the shop" } else { "the host" }));
    }
    Some(site)
}

/// Reads the query: one leading `?` is dropped, and nothing may end the query or the header that it will stand in.
fn query<'a>(raw: &'a str, faults: &mut Faults) -> &'a str {
    let query = raw.strip_prefix('?').unwrap_or(raw);
    if query.len() > limits::QUERY_BYTES {
        let text =
            format!("the query has {} bytes, at most {} are allowed", query.len(), limits::QUERY_BYTES);
        faults.add("query", Problem::new(Reason::TooLong, text));
    }
    let plain = |byte: u8| byte.is_ascii_graphic() && byte != b'#';
    if query.bytes().all(plain) {
        return query;
    }
    if let Some(bad) = query.chars().find(|&c| c == '#' || c == ' ' || c.is_control()) {
        let text = format!("the query holds the character U+{:04X}, percent-encode it", u32::from(bad));
        faults.add("query", Problem::new(Reason::Malformed, text));
    }
    query
}

fn address(text: &str, faults: &mut Faults) -> Option<IpAddr> {
    if text.is_empty() {
        return None;
    }
    let address = text.parse::<IpAddr>().ok().map(|address| address.to_canonical());
    if address.is_none() {
        let text = format!("`{}` is not an IPv4 or IPv6 address without port", shown(text));
        faults.add("client_address", Problem::new(Reason::Malformed, text));
    }
    address
}

/// Reads a country that the caller says; letters that stand for none count as not sent.
fn country(text: &str, faults: &mut Faults) -> Option<Country> {
    let is_code = text.len() == 2 && text.bytes().all(|byte| byte.is_ascii_alphabetic());
    if !text.is_empty() && !is_code {
        let text = format!("`{}` is not the two letters of a country, such as DE", shown(text));
        faults.add("country", Problem::new(Reason::Malformed, text));
    }
    Country::from_code(text)
}

fn client_hints(headers: &RequestHeaders) -> ClientHints<'_> {
    ClientHints {
        brands: headers.sec_ch_ua.as_deref(),
        full_versions: headers.sec_ch_ua_full_version_list.as_deref(),
        mobile: headers.sec_ch_ua_mobile.as_deref(),
        platform: headers.sec_ch_ua_platform.as_deref(),
        platform_version: headers.sec_ch_ua_platform_version.as_deref(),
        form_factors: headers.sec_ch_ua_form_factors.as_deref(),
    }
}

fn check_headers(headers: &RequestHeaders, faults: &mut Faults) {
    let RequestHeaders {
        user_agent,
        accept_language,
        referer,
        purpose_header,
        sec_ch_ua,
        sec_ch_ua_mobile,
        sec_ch_ua_platform,
        sec_ch_ua_platform_version,
        sec_ch_ua_full_version_list,
        sec_ch_ua_form_factors,
    } = headers;
    for (path, value) in [
        ("headers.user_agent", user_agent),
        ("headers.accept_language", accept_language),
        ("headers.referer", referer),
        ("headers.purpose_header", purpose_header),
        ("headers.sec_ch_ua", sec_ch_ua),
        ("headers.sec_ch_ua_mobile", sec_ch_ua_mobile),
        ("headers.sec_ch_ua_platform", sec_ch_ua_platform),
        ("headers.sec_ch_ua_platform_version", sec_ch_ua_platform_version),
        ("headers.sec_ch_ua_full_version_list", sec_ch_ua_full_version_list),
        ("headers.sec_ch_ua_form_factors", sec_ch_ua_form_factors),
    ] {
        let is = value.as_ref().map_or(0, String::len);
        if is > limits::HEADER_BYTES {
            let text = format!("the header has {is} bytes, at most {} are allowed", limits::HEADER_BYTES);
            faults.add(path, Problem::new(Reason::TooLong, text));
        }
    }
}

fn check_attributes(attributes: &HashMap<String, String>, faults: &mut Faults) {
    if attributes.len() > limits::ATTRIBUTES {
        let most = limits::ATTRIBUTES;
        let text = format!("there are {} attributes, at most {most} are allowed", attributes.len());
        faults.add("attributes", Problem::new(Reason::TooLong, text));
        return;
    }
    let is_bad = |name: &str, value: &str| !is_attribute_name(name) || value.len() > limits::VALUE_BYTES;
    let mut bad: Vec<_> = attributes.iter().filter(|(name, value)| is_bad(name, value)).collect();
    // A map has no order; the faults have one.
    bad.sort_unstable();
    for (name, value) in bad {
        let path = format!("attributes[\"{}\"]", shown(name));
        if !is_attribute_name(name) {
            let text = "the name of an attribute is 1 to 64 letters, digits, `_`, `.` and `-`";
            faults.add(path.clone(), Problem::new(Reason::Malformed, text));
        }
        if value.len() > limits::VALUE_BYTES {
            let most = limits::VALUE_BYTES;
            let text = format!("the value has {} bytes, at most {most} are allowed", value.len());
            faults.add(path, Problem::new(Reason::TooLong, text));
        }
    }
}

fn is_attribute_name(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-');
    (1..=limits::NAME_BYTES).contains(&name.len()) && name.bytes().all(plain)
}

/// Returns the id of a click, made if the caller has none; a look-up has none.
fn click_id(
    message: &ResolveRequest,
    purpose: Option<Purpose>,
    now: Timestamp,
    faults: &mut Faults,
) -> Option<ClickId> {
    let is_click = purpose == Some(Purpose::Click);
    if message.click_id.is_empty() {
        return is_click.then(|| ClickId::new(now, rand::random()));
    }
    if purpose == Some(Purpose::Lookup) {
        let text = "a look-up is no click: leave the click id out, or write the purpose CLICK";
        faults.add("click_id", Problem::new(Reason::Conflict, text));
        return None;
    }
    faults.check("click_id", ClickId::parse(&message.click_id, now))
}

fn visit_time(message: &ResolveRequest, purpose: Option<Purpose>, faults: &mut Faults) -> Option<Timestamp> {
    let time = message.visit_time.as_ref()?;
    if purpose == Some(Purpose::Click) {
        let text = "a click is at the time in its id: leave the time out, or write the purpose LOOKUP";
        faults.add("visit_time", Problem::new(Reason::Conflict, text));
        return None;
    }
    convert::time::read(time, &convert::Path::root("visit_time"), faults)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        "2026-06-01T12:00:00Z".parse().unwrap()
    }

    fn lookup() -> ResolveRequest {
        let site = Some(resolve_request::Site::Shop("acme".to_owned()));
        ResolveRequest { purpose: Purpose::Lookup.into(), site, ..ResolveRequest::default() }
    }

    fn click() -> ResolveRequest {
        ResolveRequest { purpose: Purpose::Click.into(), ..lookup() }
    }

    fn faults(message: &ResolveRequest) -> Vec<(String, Reason)> {
        let faults = Question::read(message, now()).unwrap_err();
        faults.iter().map(|fault| (fault.path.clone(), fault.problem.reason)).collect()
    }

    fn fault(message: &ResolveRequest) -> (String, Reason) {
        let mut faults = faults(message);
        assert_eq!(faults.len(), 1, "{faults:?}");
        faults.remove(0)
    }

    #[test]
    fn click_has_an_id_and_lookup_none() {
        let message = click();
        let question = Question::read(&message, now()).unwrap();
        assert_eq!(question.click_id.map(ClickId::time), Some(now()));
        assert_ne!(question.click_id, Question::read(&message, now()).unwrap().click_id);
        assert_eq!(Question::read(&lookup(), now()).unwrap().click_id, None);
    }

    #[test]
    fn time_of_a_click_is_in_its_id() {
        let at: Timestamp = "2026-06-01T03:00:00Z".parse().unwrap();
        let message = ResolveRequest { click_id: ClickId::new(at, [1; 10]).to_string(), ..click() };
        assert_eq!(Question::read(&message, now()).unwrap().time, at);
        let message = ResolveRequest { visit_time: Some(convert::time::write(at)), ..lookup() };
        assert_eq!(Question::read(&message, now()).unwrap().time, at);
        assert_eq!(Question::read(&lookup(), now()).unwrap().time, now());
    }

    #[test]
    fn all_faults_come_at_once() {
        let message = ResolveRequest {
            purpose: 0,
            site: None,
            query: "a b".to_owned(),
            client_address: "192.0.2.1:80".to_owned(),
            country: "DEU".to_owned(),
            channel: 9,
            headers: Some(RequestHeaders {
                referer: Some("x".repeat(limits::HEADER_BYTES + 1)),
                sec_ch_ua_form_factors: Some("x".repeat(limits::HEADER_BYTES + 1)),
                ..RequestHeaders::default()
            }),
            attributes: HashMap::from([
                ("a b".to_owned(), String::new()),
                ("a".to_owned(), "x".repeat(limits::VALUE_BYTES + 1)),
            ]),
            click_id: "x".to_owned(),
            visit_time: Some(prost_types::Timestamp { seconds: i64::MAX, nanos: 0 }),
            min_revision: -1,
            ..ResolveRequest::default()
        };
        let expected = [
            ("purpose", Reason::Required),
            ("site", Reason::Required),
            ("query", Reason::Malformed),
            ("client_address", Reason::Malformed),
            ("country", Reason::Malformed),
            ("channel", Reason::UnknownValue),
            ("headers.referer", Reason::TooLong),
            ("headers.sec_ch_ua_form_factors", Reason::TooLong),
            ("attributes[\"a\"]", Reason::TooLong),
            ("attributes[\"a b\"]", Reason::Malformed),
            ("click_id", Reason::Malformed),
            ("visit_time", Reason::OutOfRange),
            ("min_revision", Reason::OutOfRange),
        ];
        assert_eq!(faults(&message), expected.map(|(path, reason)| (path.to_owned(), reason)));
    }

    #[test]
    fn purpose_and_site_are_needed() {
        let unknown = ResolveRequest { purpose: 9, ..lookup() };
        assert_eq!(fault(&unknown), ("purpose".to_owned(), Reason::UnknownValue));
        for (site, path) in [
            (resolve_request::Site::Shop(String::new()), "shop"),
            (resolve_request::Site::Host(String::new()), "host"),
        ] {
            let message = ResolveRequest { site: Some(site), ..lookup() };
            assert_eq!(fault(&message), (path.to_owned(), Reason::Required));
        }
    }

    #[test]
    fn query_loses_one_question_mark_and_nothing_else() {
        let read = |query: &str| {
            let message = ResolveRequest { query: query.to_owned(), ..lookup() };
            let read = Question::read(&message, now()).map(|question| question.query.to_owned());
            read.map_err(|faults| faults.iter().next().unwrap().problem.reason)
        };
        assert_eq!(read("?a=1"), Ok("a=1".to_owned()));
        assert_eq!(read("??a=1"), Ok("?a=1".to_owned()));
        assert_eq!(read("a=%zz&&b=ü;\"<>"), Ok("a=%zz&&b=ü;\"<>".to_owned()));
        for bad in ["a#b", "a b", "a\r\nb", "a\0", "a\u{7f}", "a\u{85}"] {
            assert_eq!(read(bad), Err(Reason::Malformed), "{bad:?}");
        }
        let longest = "a".repeat(limits::QUERY_BYTES);
        assert_eq!(read(&format!("?{longest}")), Ok(longest.clone()));
        assert_eq!(read(&format!("{longest}a")), Err(Reason::TooLong));
    }

    #[test]
    fn mapped_address_is_the_address_inside() {
        let message = ResolveRequest { client_address: "::ffff:192.0.2.1".to_owned(), ..lookup() };
        let question = Question::read(&message, now()).unwrap();
        assert_eq!(question.address, Some("192.0.2.1".parse().unwrap()));
    }

    #[test]
    fn country_is_two_letters_or_not_sent() {
        let read = |country: &str| {
            let message = ResolveRequest { country: country.to_owned(), ..lookup() };
            let question = Question::read(&message, now());
            question
                .map(|question| question.visit(&Classifier::default()).country)
                .map_err(|_| fault(&message))
        };
        for code in ["DE", "de", "dE"] {
            assert_eq!(read(code), Ok(Fact::Known(Country::parse("DE").unwrap())), "{code}");
        }
        for nothing in ["", "XX", "EU", "AP", "ZZ", "xk", "UK"] {
            assert_eq!(read(nothing), Ok(Fact::Unknown), "{nothing}");
        }
        for malformed in ["D", "DEU", "T1", "A1", "D ", " DE", "DE\n", "\u{fc}", "--", "49"] {
            assert_eq!(read(malformed), Err(("country".to_owned(), Reason::Malformed)), "{malformed:?}");
        }
    }

    #[test]
    fn channel_is_a_link_unless_it_is_said() {
        let read = |channel: i32| {
            let message = ResolveRequest { channel, ..lookup() };
            Question::read(&message, now()).map(|question| question.channel).map_err(|_| fault(&message))
        };
        assert_eq!((read(0), read(1), read(2)), (Ok(Channel::Link), Ok(Channel::Link), Ok(Channel::Qr)));
        for unknown in [3, -1] {
            assert_eq!(read(unknown), Err(("channel".to_owned(), Reason::UnknownValue)));
        }
    }

    #[test]
    fn hints_alone_make_no_person() {
        let sec_ch_ua_platform = Some("\"Windows\"".to_owned());
        let headers = Some(RequestHeaders { sec_ch_ua_platform, ..RequestHeaders::default() });
        let message = ResolveRequest { headers, ..lookup() };
        let question = Question::read(&message, now()).unwrap();
        let visit = question.visit(&Classifier::default());
        assert_eq!(visit.agent.os.map(|os| os.as_str()), Fact::Known("windows"));
        assert!(visit.headers.is_some_and(|headers| !headers.has_user_agent));
    }

    #[test]
    fn ids_and_times_go_with_their_purpose() {
        let id = ClickId::new(now(), [1; 10]).to_string();
        let message = ResolveRequest { click_id: id, ..lookup() };
        assert_eq!(fault(&message), ("click_id".to_owned(), Reason::Conflict));
        let message = ResolveRequest { visit_time: Some(convert::time::write(now())), ..click() };
        assert_eq!(fault(&message), ("visit_time".to_owned(), Reason::Conflict));
        let old = "2026-05-30T12:00:00Z".parse().unwrap();
        let message = ResolveRequest { click_id: ClickId::new(old, [1; 10]).to_string(), ..click() };
        assert_eq!(fault(&message), ("click_id".to_owned(), Reason::OutOfRange));
    }

    #[test]
    fn attributes_are_bounded() {
        let many = (0..=limits::ATTRIBUTES).map(|at| (format!("a{at}"), String::new()));
        let message = ResolveRequest { attributes: many.collect(), ..lookup() };
        assert_eq!(fault(&message), ("attributes".to_owned(), Reason::TooLong));
        let name = "customer.tier_A-1".to_owned();
        let message = ResolveRequest { attributes: HashMap::from([(name, "x".repeat(512))]), ..lookup() };
        assert!(Question::read(&message, now()).is_ok());
    }
}
