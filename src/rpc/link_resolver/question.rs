//! Reads what a caller asks.

#[cfg(test)]
mod tests;

use std::net::IpAddr;

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
        visit::{Channel, Headers, Hints, Site, Totals, Visit},
        visitor::KnownVisitor,
    },
    proto::{Purpose, RequestHeaders, ResolveRequest, Visitor, resolve_request},
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
        let query = convert::visit::query(&message.query, &convert::Path::root("query"), &mut faults);
        let at_address = convert::Path::root("client_address");
        let address = convert::visit::address(&message.client_address, &at_address, &mut faults);
        let country = country(&message.country, &mut faults);
        let at_channel = convert::Path::root("channel");
        let channel = convert::choice::read_or_default(message.channel, &at_channel, &mut faults);
        if let Some(headers) = &message.headers {
            check_headers(headers, &mut faults);
        }
        let at_attributes = convert::Path::root("attributes");
        convert::visit::check_attributes(&message.attributes, &at_attributes, &mut faults);
        if let Some(visitor) = &message.visitor {
            check_visitor(visitor, &mut faults);
        }
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

    /// Returns whether the caller would keep the visitor's id in a cookie.
    pub(super) fn offers_cookie(&self) -> bool {
        self.message.visitor.as_ref().is_some_and(|visitor| visitor.from_cookie)
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
                user_agent,
                accept_language: headers.accept_language.as_deref(),
                referer: headers.referer.as_deref(),
            }),
            purpose_header: headers.and_then(|headers| headers.purpose_header.as_deref()),
            attributes: &self.message.attributes,
            visitor: self.message.visitor.as_ref().map(|visitor| KnownVisitor {
                id: &visitor.id,
                total_visits: u64::try_from(visitor.total_visits).ok().filter(|total| *total > 0),
                from_cookie: visitor.from_cookie,
            }),
            opted_out: headers.is_some_and(opts_out),
            totals: Totals::default(),
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
        sec_gpc,
        dnt,
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
        ("headers.sec_gpc", sec_gpc),
        ("headers.dnt", dnt),
    ] {
        let is = value.as_ref().map_or(0, String::len);
        if is > limits::HEADER_BYTES {
            let text = format!("the header has {is} bytes, at most {} are allowed", limits::HEADER_BYTES);
            faults.add(path, Problem::new(Reason::TooLong, text));
        }
    }
}

fn check_visitor(visitor: &Visitor, faults: &mut Faults) {
    let (is, most) = (visitor.id.len(), limits::VISITOR_ID_BYTES);
    if is > most {
        let text = format!("the id has {is} bytes, at most {most} are allowed");
        faults.add("visitor.id", Problem::new(Reason::TooLong, text));
    }
    if visitor.total_visits < 0 {
        let text = "a visitor has made 1 visit or more, this one included; write 0 if it is not known";
        faults.add("visitor.total_visits", Problem::new(Reason::OutOfRange, text));
    }
}

/// Returns whether the visitor's browser asks not to be tracked.
fn opts_out(headers: &RequestHeaders) -> bool {
    [&headers.sec_gpc, &headers.dnt].into_iter().flatten().any(|value| value.trim() == "1")
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
