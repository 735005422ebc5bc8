use std::collections::HashMap;

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
        question.map(|question| question.visit(&Classifier::default()).country).map_err(|_| fault(&message))
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
    assert!(visit.headers.is_some_and(|headers| headers.user_agent.is_none()));
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

#[test]
fn visitor_is_bounded() {
    let known = |id: &str, total_visits| ResolveRequest {
        visitor: Some(Visitor { id: id.to_owned(), total_visits, from_cookie: false }),
        ..click()
    };
    let long = "x".repeat(limits::VISITOR_ID_BYTES);
    for (total, expected) in [(0, None), (1, Some(1)), (i64::MAX, Some(i64::MAX.unsigned_abs()))] {
        let message = known(&long, total);
        let question = Question::read(&message, now()).unwrap();
        let visitor = question.visit(&Classifier::default()).visitor.unwrap();
        assert_eq!((visitor.id, visitor.total_visits), (&*long, expected));
    }
    assert_eq!(fault(&known(&format!("{long}x"), 1)), ("visitor.id".to_owned(), Reason::TooLong));
    assert_eq!(fault(&known("", -1)), ("visitor.total_visits".to_owned(), Reason::OutOfRange));
}

#[test]
fn one_is_the_only_wish_not_to_be_tracked() {
    for (sec_gpc, dnt, opted_out) in [
        (Some("1"), None, true),
        (None, Some("1"), true),
        (Some("0"), Some("1"), true),
        (Some("0"), Some("0"), false),
        (Some("?1"), Some(""), false),
        (None, None, false),
    ] {
        let text = |value: Option<&str>| value.map(str::to_owned);
        let headers =
            Some(RequestHeaders { sec_gpc: text(sec_gpc), dnt: text(dnt), ..RequestHeaders::default() });
        let message = ResolveRequest { headers, ..click() };
        let question = Question::read(&message, now()).unwrap();
        assert_eq!(question.visit(&Classifier::default()).opted_out, opted_out, "{sec_gpc:?} {dnt:?}");
    }
}
