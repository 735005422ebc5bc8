//! The cookie by which a visitor is known again, for shops whose visitors agree to that.
//!
//! `1.<id>.<visits>.<issued>.<signature>`: a random id, how many visits have counted, when that was written, and who wrote
//! it. The host is signed too, so that what one shop's host gave means nothing at another's. Whether there is a cookie at
//! all is not decided here: each visit tells the resolver what its cookie would be, and the answer says whether to set it.

use std::time::{SystemTime, UNIX_EPOCH};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use http::{HeaderMap, HeaderValue, header};
use sha2::{Digest, Sha256};

use crate::{
    config::Generations,
    proto::{ResolveResponse, Visitor},
};

/// The name of the cookie.
const NAME: &str = "smartlinks_visitor";
/// The form of its value.
const FORM: &str = "1";
/// For how long it lasts from the last visit that counted: as long as browsers keep any cookie.
const SECONDS: u64 = 400 * 24 * 3_600;
/// How far the clock of the gateway that wrote it may have been ahead.
const AHEAD_SECONDS: u64 = 3_600;
const ID_BYTES: usize = 16;
const SIGNATURE_BYTES: usize = 16;
/// Bytes of a value at most; a longer one is not ours.
const VALUE_BYTES: usize = 128;
/// What the key is made for.
const SIGNING: &[u8] = b"smartlinks: the cookie of visitors, form 1";

type HmacSha256 = Hmac<Sha256>;

/// Reads and writes the cookie.
#[derive(Clone)]
pub struct Cookies {
    /// The newest generation first; it signs, each is believed.
    keys: Vec<HmacSha256>,
}

/// What is known of a visitor, this visit included.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Card {
    id: String,
    visits: u32,
}

impl Cookies {
    /// Takes the generations of the secret.
    pub fn new(secrets: &Generations) -> Self {
        let key = |secret: &str| {
            let mut derived = Sha256::new();
            derived.update(SIGNING);
            derived.update(Sha256::digest(secret));
            // A key of any length would do: none is refused.
            HmacSha256::new_from_slice(&derived.finalize()).ok()
        };
        Self { keys: secrets.iter().filter_map(key).collect() }
    }

    /// Returns what the request's cookie tells, this visit included; without a valid one, that of a new visitor.
    fn card(&self, headers: &HeaderMap, host: &str, now: u64) -> Card {
        let lines = headers.get_all(header::COOKIE).iter().filter_map(|line| line.to_str().ok());
        let cookies =
            lines.flat_map(|line| line.split(';')).filter_map(|cookie| cookie.trim().split_once('='));
        let mut ours = cookies.filter(|(name, _)| *name == NAME).map(|(_, value)| value);
        // Whoever sends many has made them up.
        let known = ours.by_ref().take(4).find_map(|value| self.read(value, host, now));
        let Card { id, visits } = known.unwrap_or_else(Card::blank);
        Card { id, visits: visits.saturating_add(1) }
    }

    fn read(&self, value: &str, host: &str, now: u64) -> Option<Card> {
        let (signed, signature) = value.rsplit_once('.').filter(|_| value.len() <= VALUE_BYTES)?;
        let signature =
            URL_SAFE_NO_PAD.decode(signature).ok().filter(|bytes| bytes.len() == SIGNATURE_BYTES)?;
        let is_ours = |key: &HmacSha256| signing(key, signed, host).verify_truncated_left(&signature).is_ok();
        if !self.keys.iter().any(is_ours) {
            return None;
        }
        let mut parts = signed.split('.');
        let (form, id, visits, issued) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
        let (visits, issued): (u32, u64) = (visits.parse().ok()?, issued.parse().ok()?);
        let is_valid = form == FORM
            && parts.next().is_none()
            && issued <= now.saturating_add(AHEAD_SECONDS)
            && now < issued.saturating_add(SECONDS);
        is_valid.then(|| Card { id: id.to_owned(), visits })
    }

    /// Writes the cookie.
    fn write(&self, card: &Card, host: &str, now: u64, secure: bool) -> Option<HeaderValue> {
        let signed = format!("{FORM}.{}.{}.{now}", card.id, card.visits);
        let signature = signing(self.keys.first()?, &signed, host).finalize().into_bytes();
        let signature = URL_SAFE_NO_PAD.encode(&signature[..SIGNATURE_BYTES]);
        let secure = if secure { "; Secure" } else { "" };
        let cookie =
            format!("{NAME}={signed}.{signature}; Max-Age={SECONDS}; Path=/; HttpOnly; SameSite=Lax{secure}");
        HeaderValue::try_from(cookie).ok()
    }
}

/// The cookie that a visit would get.
pub(super) struct Offer<'a> {
    cookies: &'a Cookies,
    card: Card,
    host: String,
    now: u64,
    secure: bool,
}

impl<'a> Offer<'a> {
    /// Looks at the cookie of a request to a host.
    pub(super) fn new(cookies: &'a Cookies, headers: &HeaderMap, host: &str, secure: bool) -> Self {
        // Before 1970 no cookie is valid, and none is set that would be later.
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs());
        Self { cookies, card: cookies.card(headers, host, now), host: host.to_owned(), now, secure }
    }

    /// Returns what the resolver is told.
    pub(super) fn told(&self) -> Visitor {
        let Card { id, visits } = &self.card;
        Visitor { id: id.clone(), total_visits: (*visits).into(), from_cookie: true }
    }

    /// Returns the cookie if the answer wants it.
    pub(super) fn taken(self, answer: &ResolveResponse) -> Option<HeaderValue> {
        answer
            .set_visitor_cookie
            .then(|| self.cookies.write(&self.card, &self.host, self.now, self.secure))
            .flatten()
    }
}

impl Card {
    /// Makes the card of a visitor whom nobody knows.
    fn blank() -> Self {
        let id: [u8; ID_BYTES] = rand::random();
        Self { id: URL_SAFE_NO_PAD.encode(id), visits: 0 }
    }
}

/// Prepares a signature, of the host as browsers know it: without case, port and final dot.
fn signing(key: &HmacSha256, signed: &str, host: &str) -> HmacSha256 {
    let is_port = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    let name = host.rsplit_once(':').filter(|(_, port)| is_port(port)).map_or(host, |(name, _)| name);
    let name = name.strip_suffix('.').unwrap_or(name);
    let mut mac = key.clone();
    mac.update(signed.as_bytes());
    mac.update(&[0]);
    mac.update(name.to_ascii_lowercase().as_bytes());
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "go.shop.example";
    const NOW: u64 = 1_800_000_000;

    fn cookies(secrets: &[&str]) -> Cookies {
        Cookies::new(&Generations::new(secrets.iter().copied()))
    }

    fn sent(cookie: &str) -> HeaderMap {
        HeaderMap::from_iter([(header::COOKIE, HeaderValue::try_from(cookie).unwrap())])
    }

    /// Returns the pair of a new cookie, without what it says to the browser.
    fn set(by: &Cookies, card: &Card, at: u64) -> String {
        let header = by.write(card, HOST, at, false).unwrap();
        header.to_str().unwrap().split(';').next().unwrap().to_owned()
    }

    fn known(by: &Cookies, cookie: &str, host: &str, now: u64) -> Option<u32> {
        let card = by.card(&sent(cookie), host, now);
        (card.visits > 1).then_some(card.visits)
    }

    #[test]
    fn visits_add_up_under_one_id() {
        let cookies = cookies(&["secret"]);
        let first = cookies.card(&HeaderMap::new(), HOST, NOW);
        assert_eq!((first.visits, first.id.len()), (1, 22));
        assert_ne!(cookies.card(&HeaderMap::new(), HOST, NOW).id, first.id, "ids are drawn");
        let second = cookies.card(&sent(&set(&cookies, &first, NOW)), HOST, NOW + 5);
        assert_eq!(second, Card { id: first.id.clone(), visits: 2 });
        let third = cookies.card(&sent(&set(&cookies, &second, NOW + 5)), HOST, NOW + 9);
        assert_eq!(third, Card { id: first.id, visits: 3 });
    }

    #[test]
    fn browser_is_told_how_to_keep_it() {
        let cookies = cookies(&["secret"]);
        let card = Card { id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), visits: 7 };
        let header = |secure| cookies.write(&card, HOST, NOW, secure).unwrap();
        let (plain, secure) = (header(false), header(true));
        let (plain, secure) = (plain.to_str().unwrap(), secure.to_str().unwrap());
        assert!(plain.starts_with("smartlinks_visitor=1.AAAAAAAAAAAAAAAAAAAAAA.7.1800000000."), "{plain}");
        assert!(plain.ends_with("; Max-Age=34560000; Path=/; HttpOnly; SameSite=Lax"), "{plain}");
        assert_eq!(secure, format!("{plain}; Secure"));
    }

    #[test]
    fn what_was_forged_cut_or_moved_is_nobody() {
        let ours = cookies(&["secret"]);
        let card = Card { id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), visits: 2 };
        let good = set(&ours, &card, NOW);
        assert_eq!(known(&ours, &good, HOST, NOW), Some(3));
        assert_eq!(
            known(&ours, &good, "GO.shop.example.:8080", NOW),
            Some(3),
            "one host, written in another way"
        );
        assert_eq!(known(&ours, &good, "go.other.example", NOW), None);
        assert_eq!(known(&cookies(&["other"]), &good, HOST, NOW), None);
        let begins = NAME.len() + 1;
        for length in begins..good.len() {
            assert_eq!(known(&ours, &good[..length], HOST, NOW), None, "cut at {length}");
        }
        for at in begins..good.len() {
            let mut bytes = good.clone().into_bytes();
            bytes[at] = if bytes[at] == b'9' { b'8' } else { b'9' };
            let forged = String::from_utf8(bytes).unwrap();
            assert_eq!(known(&ours, &forged, HOST, NOW), None, "changed at {at}");
        }
        for made_up in ["", ".", "1....", "1.a.2.3.", "x", &"1.".repeat(4_000)] {
            assert_eq!(known(&ours, &format!("{NAME}={made_up}"), HOST, NOW), None);
        }
    }

    #[test]
    fn ours_is_found_among_others() {
        let ours = cookies(&["secret"]);
        let good = set(&ours, &Card { id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), visits: 2 }, NOW);
        for cookie in [
            format!("a=b; {good}"),
            format!("{good};c=\"d\""),
            format!("{NAME}=forged; {good}"),
            format!("x; {good};"),
        ] {
            assert_eq!(known(&ours, &cookie, HOST, NOW), Some(3), "{cookie}");
        }
        let mut lines = sent("a=b");
        lines.append(header::COOKIE, HeaderValue::try_from(good).unwrap());
        assert_eq!(ours.card(&lines, HOST, NOW).visits, 3, "HTTP/2 sends several lines");
    }

    #[test]
    fn older_generation_is_believed_and_the_newest_signs() {
        let card = Card { id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), visits: 2 };
        let (old, both, new) = (cookies(&["old"]), cookies(&["new", "old"]), cookies(&["new"]));
        assert_eq!(known(&both, &set(&old, &card, NOW), HOST, NOW), Some(3));
        assert_eq!(known(&new, &set(&both, &card, NOW), HOST, NOW), Some(3));
        assert_eq!(known(&old, &set(&both, &card, NOW), HOST, NOW), None);
        assert_eq!(known(&new, &set(&old, &card, NOW), HOST, NOW), None);
    }

    #[test]
    fn cookie_lasts_400_days_and_is_not_from_the_future() {
        let ours = cookies(&["secret"]);
        let good = set(&ours, &Card { id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), visits: 2 }, NOW);
        for (now, visits) in [
            (NOW + SECONDS - 1, Some(3)),
            (NOW + SECONDS, None),
            (NOW - AHEAD_SECONDS, Some(3)),
            (NOW - AHEAD_SECONDS - 1, None),
            (0, None),
        ] {
            assert_eq!(known(&ours, &good, HOST, now), visits, "{now}");
        }
    }

    #[test]
    fn count_stops_at_its_end() {
        let ours = cookies(&["secret"]);
        let most = Card { id: "AAAAAAAAAAAAAAAAAAAAAA".to_owned(), visits: u32::MAX };
        assert_eq!(ours.card(&sent(&set(&ours, &most, NOW)), HOST, NOW).visits, u32::MAX);
    }
}
