//! Builds the address to redirect to. The bytes of destination and query pass as they are;
//! `docs/semantics.md` has the order.

use std::borrow::Cow;

use super::{campaign::Campaign, own::OwnNames};
use crate::domain::{
    destination::Destination,
    name::PartnerCode,
    policy::{QueryConflict, QueryPass, QueryPolicy},
    query::{Piece, pieces},
    utm::PARAMETERS,
};

/// A destination and where its parts begin, so that no click looks for them again.
#[derive(Debug)]
pub(super) struct Place {
    destination: Destination,
    /// Where the path begins; 0 = it is relative to the shop's origin.
    path: u16,
    /// Where the `?` stands; the same as `fragment` without one.
    query: u16,
    /// Where the `#` stands; the length without one.
    fragment: u16,
    is_ascii: bool,
}

impl Place {
    /// Finds the parts.
    pub(super) fn new(destination: Destination) -> Self {
        let text = destination.as_str();
        let fragment = text.find('#').unwrap_or(text.len());
        let query = text[..fragment].find('?').unwrap_or(fragment);
        // A destination has at most 2,048 bytes.
        let offset = |at: usize| u16::try_from(at).unwrap_or(u16::MAX);
        Self {
            path: offset(destination.path_start()),
            query: offset(query),
            fragment: offset(fragment),
            is_ascii: text.is_ascii(),
            destination,
        }
    }

    /// Returns the destination as written.
    pub(super) fn destination(&self) -> &Destination {
        &self.destination
    }

    fn text(&self, from: u16, to: u16) -> &str {
        &self.destination.as_str()[from.into()..to.into()]
    }

    fn origin(&self) -> &str {
        self.text(0, self.path)
    }

    fn path(&self) -> &str {
        self.text(self.path, self.query)
    }

    /// Returns the query without `?`; `None` without one.
    fn query(&self) -> Option<&str> {
        self.text(self.query, self.fragment).strip_prefix('?')
    }

    /// Returns the fragment with its `#`, or nothing.
    fn fragment(&self) -> &str {
        &self.destination.as_str()[self.fragment.into()..]
    }
}

/// A piece of a location, or one that was left out.
#[derive(Clone, Copy, Debug)]
pub(super) struct Laid<'a> {
    pub(super) source: Source,
    /// The parameter as it came; of the others, nothing.
    pub(super) came: &'a str,
    /// What was written of it, with the mark before it.
    pub(super) written: &'a str,
    pub(super) fate: Fate,
}

/// Where a piece of a location comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Source {
    Origin,
    Path,
    Destination,
    Visitor,
    /// Counted as in [`PARAMETERS`].
    Utm(usize),
    Partner,
    ClickId,
    /// The `?` before a parameter that is empty and the only one: it is taken away again.
    NoMark,
    /// The `?` of a destination that ends in it.
    BareMark,
    Fragment,
}

/// What became of a parameter.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It stands in the location.
    Stays,
    /// Its name may be read as one that the service sets itself.
    Own,
    /// The policy does not let it pass.
    NotPassed,
    /// A UTM value takes its place.
    Replaced,
    /// The destination has one of its name, and wins.
    DestinationWins,
    /// The visitor has one of its name, and wins.
    VisitorWins,
    /// Its value is empty.
    Empty,
}

/// What a location is made of.
pub(super) struct Ingredients<'a> {
    /// The shop's origin.
    pub(super) origin: &'a str,
    /// The names that are ours.
    pub(super) own: &'a OwnNames,
    /// The policy in effect, its names in order.
    pub(super) policy: &'a QueryPolicy,
    /// Where to.
    pub(super) place: &'a Place,
    /// The visitor's query.
    pub(super) query: &'a str,
    /// The UTM parameters.
    pub(super) utm: &'a Campaign<'a>,
    /// The credited partner.
    pub(super) partner: Option<&'a PartnerCode>,
    /// The id of the click; empty of a lookup.
    pub(super) click_id: &'a str,
}

/// Builds the location; `watch` is told of every piece, in the order in which they stand.
pub(super) fn build(from: &Ingredients<'_>, mut watch: impl FnMut(Laid<'_>)) -> String {
    let place = from.place;
    let mut out = String::with_capacity(room(from));
    let path = place.path();
    out.push_str(if place.path == 0 { from.origin } else { place.origin() });
    watch(Laid { source: Source::Origin, came: "", written: &out, fate: Fate::Stays });
    let path_begins = out.len();
    if !path.starts_with('/') {
        out.push('/');
    }
    push_ascii(&mut out, path, place.is_ascii);
    watch(Laid { source: Source::Path, came: "", written: &out[path_begins..], fate: Fate::Stays });

    let mut query = Query { begins: out.len(), out, any: false, watch };
    let destination_query = place.query().unwrap_or_default();
    if destination_query.is_empty() && from.query.is_empty() {
        (0..PARAMETERS.len()).filter(|at| from.utm.sets(*at)).for_each(|at| query.push_utm(at, from.utm));
    } else {
        merge(from, destination_query, &mut query);
    }
    if let Some(partner) = from.partner {
        query.push_pair(Source::Partner, from.own.partner(), partner.as_str());
    }
    if let Some(name) = from.own.click_id().filter(|_| !from.click_id.is_empty()) {
        query.push_pair(Source::ClickId, name, from.click_id);
    }
    let bare = place.query() == Some("");
    let (mut out, mut watch) = query.end(bare);
    let fragment_begins = out.len();
    push_ascii(&mut out, place.fragment(), place.is_ascii);
    if out.len() > fragment_begins {
        watch(Laid {
            source: Source::Fragment,
            came: "",
            written: &out[fragment_begins..],
            fate: Fate::Stays,
        });
    }
    out
}

/// Returns about how long the location will be, at least.
fn room(from: &Ingredients<'_>) -> usize {
    /// `?` or `&` and `=` for each of ours.
    const MARKS: usize = 4;
    let destination = from.place.destination.as_str().len() * if from.place.is_ascii { 1 } else { 3 };
    let partner = from.partner.map_or(0, |partner| partner.as_str().len());
    let ours = from.own.length() + partner + from.click_id.len() + MARKS;
    from.origin.len() + 1 + destination + 1 + from.query.len() + from.utm.length() + ours
}

/// A query that grows piece by piece.
struct Query<W> {
    out: String,
    /// Where it begins, its `?` included.
    begins: usize,
    any: bool,
    watch: W,
}

impl<W: FnMut(Laid<'_>)> Query<W> {
    /// Begins a piece, and returns where.
    fn separate(&mut self) -> usize {
        let begins = self.out.len();
        self.out.push(if self.any { '&' } else { '?' });
        self.any = true;
        begins
    }

    /// Says that a piece is written, which began there.
    fn laid(&mut self, source: Source, came: &str, begins: usize) {
        (self.watch)(Laid { source, came, written: &self.out[begins..], fate: Fate::Stays });
    }

    /// Appends a parameter that stays.
    fn push(&mut self, source: Source, piece: Piece<'_>, is_ascii: bool, fate: Fate) {
        if fate != Fate::Stays {
            return (self.watch)(Laid { source, came: piece.0, written: "", fate });
        }
        let begins = self.separate();
        push_ascii(&mut self.out, piece.0, is_ascii);
        self.laid(source, piece.0, begins);
    }

    fn push_pair(&mut self, source: Source, name: &str, value: &str) {
        let begins = self.separate();
        self.out.push_str(name);
        self.out.push('=');
        self.out.push_str(value);
        self.laid(source, "", begins);
    }

    fn push_utm(&mut self, parameter: usize, utm: &Campaign<'_>) {
        let begins = self.separate();
        self.out.push_str(PARAMETERS[parameter]);
        self.out.push('=');
        utm.push(parameter, &mut self.out);
        self.laid(Source::Utm(parameter), "", begins);
    }

    /// Takes the `?` away again if nothing follows it, unless the destination ends in a bare one itself.
    fn end(mut self, bare: bool) -> (String, W) {
        if self.out.len() <= self.begins + 1 {
            if self.any {
                (self.watch)(Laid { source: Source::NoMark, came: "", written: "", fate: Fate::Empty });
            }
            self.out.truncate(self.begins);
            if bare {
                self.out.push('?');
                (self.watch)(Laid { source: Source::BareMark, came: "", written: "?", fate: Fate::Stays });
            }
        }
        (self.out, self.watch)
    }
}

/// Puts together what stays of the destination's query, what passes of the visitor's, and the UTM parameters.
fn merge<W: FnMut(Laid<'_>)>(from: &Ingredients<'_>, destination: &str, query: &mut Query<W>) {
    let policy = from.policy;
    let passes = |piece: &Piece<'_>| match (&policy.pass, piece.name()) {
        (QueryPass::All, _) => true,
        (QueryPass::None, _) | (QueryPass::Listed(_), None) => false,
        (QueryPass::Listed(names), Some(name)) => {
            names.binary_search_by(|listed| listed.as_str().cmp(&name)).is_ok()
        }
    };
    let theirs = || pieces(destination).filter(|piece| !from.own.covers(*piece));
    let visitors = || pieces(from.query).filter(|piece| !from.own.covers(*piece)).filter(passes);

    let both = !destination.is_empty() && !from.query.is_empty();
    let conflicts = both || !policy.overrides.is_empty();
    let in_destination = if conflicts { Names::of(theirs()) } else { Names::default() };
    let in_query = if conflicts { Names::of(visitors()) } else { Names::default() };
    let utm: [Utm; PARAMETERS.len()] = std::array::from_fn(|parameter| {
        let name = PARAMETERS[parameter];
        if !from.utm.sets(parameter) {
            return Utm::Unset;
        }
        match override_of(policy, name) {
            None => Utm::Alone,
            Some(QueryConflict::DestinationWins) if in_destination.contains(name) => {
                Utm::Loses(Fate::DestinationWins)
            }
            Some(QueryConflict::VisitorWins) if in_query.contains(name) => Utm::Loses(Fate::VisitorWins),
            Some(QueryConflict::DestinationWins | QueryConflict::VisitorWins) => Utm::Alone,
            Some(QueryConflict::Append) => Utm::Beside,
        }
    });
    let replaced = |name: &str| {
        let parameter = name.starts_with("utm_").then(|| PARAMETERS.iter().position(|utm| *utm == name));
        parameter.flatten().is_some_and(|parameter| matches!(utm[parameter], Utm::Alone))
    };
    // Of a parameter that has one of its name among the others, `loses` comes if those win.
    let fate = |piece: &Piece<'_>, others: &Names<'_>, (wins, loses): (QueryConflict, Fate)| {
        let Some(name) = piece.name() else { return Fate::Stays };
        if replaced(&name) {
            return Fate::Replaced;
        }
        let conflict = || override_of(policy, &name).unwrap_or(policy.on_conflict);
        let stays = !others.contains(&name) || conflict() == wins || conflict() == QueryConflict::Append;
        if stays { Fate::Stays } else { loses }
    };

    for piece in pieces(destination) {
        let ours = from.own.covers(piece);
        let rule = (QueryConflict::DestinationWins, Fate::VisitorWins);
        let fate = if ours { Fate::Own } else { fate(&piece, &in_query, rule) };
        query.push(Source::Destination, piece, from.place.is_ascii, fate);
    }
    for piece in pieces(from.query) {
        let rule = (QueryConflict::VisitorWins, Fate::DestinationWins);
        let fate = match (from.own.covers(piece), passes(&piece)) {
            (true, _) => Fate::Own,
            (false, false) => Fate::NotPassed,
            (false, true) => fate(&piece, &in_destination, rule),
        };
        // What the visitor sends passes byte for byte, whatever it is.
        query.push(Source::Visitor, piece, true, fate);
    }
    for (parameter, outcome) in utm.into_iter().enumerate() {
        match outcome {
            Utm::Unset => {}
            Utm::Loses(fate) => {
                (query.watch)(Laid { source: Source::Utm(parameter), came: "", written: "", fate });
            }
            Utm::Alone | Utm::Beside => query.push_utm(parameter, from.utm),
        }
    }
}

/// What comes of a UTM parameter of the link.
#[derive(Clone, Copy)]
enum Utm {
    /// The link sets none.
    Unset,
    /// Another one of its name wins.
    Loses(Fate),
    /// The link's, and no other of its name.
    Alone,
    /// The link's after the others of its name.
    Beside,
}

/// Returns the exception for a decoded name; the policy's names are in order.
fn override_of(policy: &QueryPolicy, name: &str) -> Option<QueryConflict> {
    let found = policy.overrides.binary_search_by(|listed| listed.name.as_str().cmp(name));
    found.ok().map(|at| policy.overrides[at].on_conflict)
}

/// The decoded names of a query, in order.
#[derive(Default)]
struct Names<'a>(Vec<Cow<'a, str>>);

impl<'a> Names<'a> {
    fn of(pieces: impl Iterator<Item = Piece<'a>>) -> Self {
        let mut names: Vec<_> = pieces.filter_map(Piece::name).collect();
        names.sort_unstable();
        Self(names)
    }

    fn contains(&self, name: &str) -> bool {
        self.0.binary_search_by(|held| held.as_ref().cmp(name)).is_ok()
    }
}

/// Appends a text, percent-encoding what is not ASCII.
pub(super) fn push_ascii(out: &mut String, text: &str, is_ascii: bool) {
    if is_ascii {
        return out.push_str(text);
    }
    for byte in text.bytes() {
        if byte.is_ascii() {
            out.push(byte.into());
        } else {
            push_escape(out, byte);
        }
    }
}

/// Appends a text, percent-encoding what is not unreserved (RFC 3986).
pub(super) fn push_unreserved(out: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~') {
            out.push(byte.into());
        } else {
            push_escape(out, byte);
        }
    }
}

fn push_escape(out: &mut String, byte: u8) {
    const DIGITS: &[u8; 16] = b"0123456789ABCDEF";
    out.push('%');
    out.push(DIGITS[usize::from(byte >> 4)].into());
    out.push(DIGITS[usize::from(byte & 15)].into());
}
