//! Laws of the location, on random input.

use proptest::{collection::vec, option, prelude::*, sample::select};
use smartlinks::domain::{
    policy::{PolicyParam, QueryConflict, QueryPass},
    utm::PARAMETERS,
};

use super::world::{Ask, World, click_id, exception};

/// Decodes `%XX` once and `+` as a space, by the URL standard.
fn decoded(text: &str) -> String {
    let pair = text.replace('=', "%3D");
    url::form_urlencoded::parse(pair.as_bytes())
        .next()
        .map_or_else(String::new, |(name, _)| name.into_owned())
}

/// Returns the decoded name of a piece; none of an empty one.
fn name(piece: &str) -> Option<String> {
    (!piece.is_empty()).then(|| decoded(piece.split('=').next().unwrap()))
}

/// Reads the variable that PHP would make of a decoded name (`php_register_variable_ex`).
fn php(name: &str) -> String {
    let name = name.trim_start_matches([' ', '\t', '\n', '\r', '\u{b}', '\u{c}']);
    let name = name.split('\0').next().unwrap();
    let mut variable = String::new();
    for (at, char) in name.char_indices() {
        match char {
            '[' if at > 0 && name[at..].contains(']') => break,
            ' ' | '.' | '[' => variable.push('_'),
            other => variable.push(other),
        }
    }
    variable
}

/// Reads a decoded name as Rack and qs do: brackets before it do not count, the next one ends it.
fn rack(name: &str) -> &str {
    name.trim_start_matches(['[', ']']).split(['[', ']']).next().unwrap()
}

/// Decodes `%uHHHH`, as ASP.NET does beside `%HH`.
fn asp(name: &str) -> String {
    let mut parts = name.split("%u");
    let mut decoded = parts.next().unwrap().to_owned();
    for part in parts {
        let char = part.get(..4).and_then(|code| u32::from_str_radix(code, 16).ok()).and_then(char::from_u32);
        match char {
            Some(char) => decoded.extend([char.to_string().as_str(), &part[4..]]),
            None => decoded.extend(["%u", part]),
        }
    }
    decoded
}

/// Returns whether some reader takes a piece for one of these names.
fn is_ours(piece: &str, ours: &[&str]) -> bool {
    let Some(name) = name(piece) else { return false };
    let readings = |name: &str| {
        let plain = name.split('[').next().unwrap().to_owned();
        [plain, php(name), rack(name).to_owned()]
    };
    let all = [readings(&name), readings(&asp(&name))].concat();
    ours.iter().any(|own| all.iter().any(|reading| own.eq_ignore_ascii_case(reading)))
}

const OURS: [&str; 3] = ["ref", "via", "click_id"];

/// What a location is made of, in plain words.
#[derive(Clone, Debug)]
struct Draft {
    path: String,
    destination: Option<Vec<String>>,
    fragment: Option<String>,
    query: Vec<String>,
    pass: QueryPass,
    on_conflict: QueryConflict,
    overrides: Vec<(String, QueryConflict)>,
    utm: Vec<Option<String>>,
    partner: bool,
    click: bool,
}

impl Draft {
    fn destination(&self) -> String {
        let mut text = self.path.clone();
        text.extend(self.destination.iter().map(|pieces| format!("?{}", pieces.join("&"))));
        text.extend(self.fragment.iter().map(|fragment| format!("#{fragment}")));
        text
    }

    fn location(&self) -> String {
        let names = ["source", "medium", "campaign", "term", "content", "id"];
        let values: Vec<_> = names
            .iter()
            .zip(&self.utm)
            .filter_map(|(name, value)| Some((*name, value.as_deref()?)))
            .collect();
        let world = World::to(&self.destination()).utm(&values).accepting(&["via"]).policy(|policy| {
            policy.pass = self.pass.clone();
            policy.on_conflict = self.on_conflict;
            policy.overrides =
                self.overrides.iter().map(|(name, conflict)| exception(name, *conflict)).collect();
        });
        let ask =
            Ask { query: self.query.join("&"), ..Ask::partner(if self.partner { "anna" } else { "nobody" }) };
        world.answer(&if self.click { ask.click() } else { ask }).location
    }

    fn override_of(&self, name: &str) -> Option<QueryConflict> {
        self.overrides.iter().find(|(listed, _)| listed == name).map(|(_, conflict)| *conflict)
    }

    /// Says once more, without any thought of speed, what the query is: the small print word by word.
    fn expected_query(&self) -> Option<String> {
        let passes = |piece: &&String| match (&self.pass, name(piece)) {
            (QueryPass::All, _) => true,
            (QueryPass::None, _) | (QueryPass::Listed(_), None) => false,
            (QueryPass::Listed(names), Some(name)) => names.iter().any(|listed| listed.as_str() == name),
        };
        let not_ours = |piece: &&String| !is_ours(piece, &OURS);
        // An empty query is no piece at all, one that is not empty is cut at each `&`.
        let cut = |pieces: &[String]| match pieces.join("&") {
            text if text.is_empty() => Vec::new(),
            text => text.split('&').map(str::to_owned).collect::<Vec<_>>(),
        };
        let all_theirs = cut(self.destination.as_deref().unwrap_or_default());
        let all_visitors = cut(&self.query);
        let theirs: Vec<_> = all_theirs.iter().filter(not_ours).collect();
        let visitors: Vec<_> = all_visitors.iter().filter(not_ours).filter(passes).collect();
        let has = |pieces: &[&String], wanted: &str| {
            pieces.iter().any(|piece| name(piece).as_deref() == Some(wanted))
        };

        let mut kept_theirs: Vec<_> = theirs.clone();
        let mut kept_visitors: Vec<_> = visitors.clone();
        let mut ours = Vec::new();
        for (parameter, value) in PARAMETERS.iter().zip(&self.utm) {
            let Some(value) = value.as_ref().filter(|value| !value.is_empty()) else { continue };
            let other = |piece: &&String| name(piece).as_deref() != Some(*parameter);
            let wins = match self.override_of(parameter) {
                Some(QueryConflict::DestinationWins) => !has(&theirs, parameter),
                Some(QueryConflict::VisitorWins) => !has(&visitors, parameter),
                Some(QueryConflict::Append) | None => true,
            };
            if wins {
                ours.push(format!("{parameter}={value}"));
            }
            if wins && self.override_of(parameter) != Some(QueryConflict::Append) {
                kept_theirs.retain(other);
                kept_visitors.retain(other);
            }
        }
        let loses = |piece: &str, others: &[&String], winner| {
            let Some(name) = name(piece) else { return false };
            has(others, &name) && self.override_of(&name).unwrap_or(self.on_conflict) == winner
        };
        kept_theirs.retain(|piece| !loses(piece, &visitors, QueryConflict::VisitorWins));
        kept_visitors.retain(|piece| !loses(piece, &theirs, QueryConflict::DestinationWins));

        let encoded = |text: &String| {
            text.bytes().fold(String::new(), |out, byte| match byte {
                0..=0x7f => out + &char::from(byte).to_string(),
                0x80.. => out + &format!("%{byte:02X}"),
            })
        };
        let mut pieces: Vec<String> = kept_theirs.into_iter().map(encoded).collect();
        pieces.extend(kept_visitors.into_iter().cloned());
        pieces.extend(ours);
        if self.partner {
            pieces.push("ref=anna".into());
        }
        if self.click {
            pieces.push(format!("click_id={}", click_id()));
        }
        let query = pieces.join("&");
        let bare = self.destination.is_some() && all_theirs.is_empty();
        (!query.is_empty() || bare).then_some(query)
    }
}

fn piece() -> impl Strategy<Value = String> {
    let name = select(
        &[
            "a",
            "b",
            "c",
            "a+b",
            "a%20b",
            "utm_source",
            "utm%5Fmedium",
            "UTM_source",
            "utm_id",
            "ref",
            "REF",
            "re%66",
            "+ref",
            "ref[]",
            "ref[",
            "ref%5b",
            "ref%00x",
            "via",
            "click.id",
            "click_id",
            "click+id[",
            "click[id",
            ".ref",
            "[ref",
            "[ref]",
            "%5Bref%5d[0]",
            "%u0072ef",
            "re.f",
            "",
            "%zz",
            "é",
            "日本",
            "x;ref",
            "%",
            "%26ref",
        ][..],
    );
    let value = select(&["", "=", "=1", "=%2f%26", "=é", "=a=b", "=%0d%0a", "=ref"][..]);
    prop_oneof![
        6 => (name, value).prop_map(|(name, value)| format!("{name}{value}")),
        1 => Just(String::new()),
        1 => "[a-z%=+.0-9\\[\\]_é-]{0,10}",
    ]
}

fn draft() -> impl Strategy<Value = Draft> {
    let path =
        select(&["", "/", "s", "/s/é", "/a//b/../c", "https://b.example", "https://SHOP.example/x"][..]);
    let conflict =
        || select(&[QueryConflict::DestinationWins, QueryConflict::VisitorWins, QueryConflict::Append][..]);
    let names = || select(&["a", "b", "a b", "utm_source", "utm_medium", "ref", "é"][..]);
    let pass = prop_oneof![
        4 => Just(QueryPass::All),
        1 => Just(QueryPass::None),
        2 => vec(names().prop_map(|name| PolicyParam::parse(name).unwrap()), 0..5).prop_map(QueryPass::Listed),
    ];
    let utm = vec(option::of(select(&["", "x", "y-1"][..]).prop_map(str::to_owned)), 6);
    let fragment = option::of(select(&["", "top", "?ref=x&a", "é#/"][..]).prop_map(str::to_owned));
    (
        (path.prop_map(str::to_owned), option::of(vec(piece(), 0..6)), fragment, vec(piece(), 0..8)),
        (pass, conflict(), vec((names().prop_map(str::to_owned), conflict()), 0..4)),
        (utm, any::<bool>(), any::<bool>()),
    )
        .prop_map(
            |(
                (path, destination, fragment, query),
                (pass, on_conflict, overrides),
                (utm, partner, click),
            )| {
                Draft {
                    path,
                    destination,
                    fragment,
                    query,
                    pass,
                    on_conflict,
                    overrides,
                    utm,
                    partner,
                    click,
                }
            },
        )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(600))]

    #[test]
    fn location_is_what_the_small_print_says(draft in draft()) {
        let location = draft.location();
        let (rest, fragment) = match location.split_once('#') {
            Some((rest, fragment)) => (rest, Some(fragment)),
            None => (&*location, None),
        };
        let expected = draft.fragment.as_ref().map(|text| text.replace('é', "%C3%A9"));
        prop_assert_eq!(fragment, expected.as_deref());
        let query = rest.split_once('?').map(|(_, query)| query.to_owned());
        prop_assert_eq!(query, draft.expected_query(), "{}", location);
        let path = rest.split('?').next().unwrap();
        let expected = match draft.path.as_str() {
            "https://b.example" => "https://b.example/".to_owned(),
            absolute if absolute.starts_with("https://") => absolute.to_owned(),
            relative => format!("https://shop.example/{}", relative.trim_start_matches('/')).replace('é', "%C3%A9"),
        };
        prop_assert_eq!(path, expected);
    }

    #[test]
    fn nothing_of_the_visitor_forges_what_is_ours(draft in draft()) {
        let location = draft.location();
        let parsed = url::Url::parse(&location).unwrap();
        prop_assert!(matches!(parsed.host_str(), Some("shop.example" | "b.example")), "{}", location);
        let ours = |name: &str| OURS.iter().any(|own| own.eq_ignore_ascii_case(name));
        // As a browser's own reader reads it, as PHP does, and as Rack does.
        let plain: Vec<_> = parsed
            .query_pairs()
            .filter(|(name, _)| ours(name) || ours(name.split('[').next().unwrap()))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let lax: Vec<_> = parsed
            .query_pairs()
            .filter(|(name, _)| ours(&php(name)))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        let mut expected = Vec::new();
        if draft.partner {
            expected.push(("ref".to_owned(), "anna".to_owned()));
        }
        if draft.click {
            expected.push(("click_id".to_owned(), click_id().to_string()));
        }
        prop_assert_eq!(&plain, &expected, "{}", location);
        let racks: Vec<_> = parsed
            .query_pairs()
            .filter(|(name, _)| ours(rack(name)))
            .map(|(name, value)| (name.into_owned(), value.into_owned()))
            .collect();
        prop_assert_eq!(&lax, &expected, "{}", location);
        prop_assert_eq!(&racks, &expected, "{}", location);
    }

    #[test]
    fn any_query_leads_to_the_shop(query in "[!-\"$-~é]{0,40}", text in "/[!-\\[\\]-~é]{0,40}") {
        prop_assume!(!text.starts_with("//"));
        let location = World::to(&text).location(&query);
        let parsed = url::Url::parse(&location).unwrap();
        prop_assert_eq!(parsed.host_str(), Some("shop.example"));
        prop_assert!(!location.contains(|c: char| c.is_control() || c.is_whitespace()));
        // What passes is there in one piece.
        let not_ours = |piece: &&str| !is_ours(piece, &OURS[..1]) && !is_ours(piece, &["click_id"]);
        let passing: Vec<_> = query.split('&').filter(not_ours).collect();
        if !text.contains('?') && !text.contains('#') {
            let end = location.split_once('?').map_or("", |(_, end)| end);
            prop_assert_eq!(end, passing.join("&"));
        }
    }
}
