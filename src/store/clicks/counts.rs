//! Clicks are summed up in memory, which costs the database less than to do it itself: by all that they are counted by,
//! and who was there.

use std::{collections, hash::Hash, mem, sync::Arc};

use foldhash::fast::RandomState;
use jiff::{SignedDuration, Timestamp};
use tokio_postgres::{Error, Row};

use crate::domain::{client::TrafficClass, stats::Dimension, visit::ResolveReason};

type HashMap<K, V> = collections::HashMap<K, V, RandomState>;
type HashSet<T> = collections::HashSet<T, RandomState>;

/// Dimensions that are counted one at a time.
pub(super) const SINGLE: [Dimension; 10] = [
    Dimension::Program,
    Dimension::Rule,
    Dimension::Country,
    Dimension::Device,
    Dimension::Os,
    Dimension::Browser,
    Dimension::Language,
    Dimension::Referrer,
    Dimension::Channel,
    Dimension::Variant,
];

/// A table of figures.
#[derive(Clone, Copy)]
pub(super) enum Table {
    ShopQuarter,
    LinkDay,
    PartnerDay,
    LinkPartnerDay,
    DimDay,
    VisitorsDay,
    CounterLink,
    CounterPartner,
}

/// A column of a key.
#[derive(Clone, Copy)]
pub(super) enum Column {
    /// A text.
    Text(&'static str),
    /// The UTC day.
    Day,
    /// The quarter of an hour.
    Quarter,
}

use Column::{Day, Quarter, Text};

impl Table {
    pub(super) const ALL: [Self; 8] = [
        Self::ShopQuarter,
        Self::LinkDay,
        Self::PartnerDay,
        Self::LinkPartnerDay,
        Self::DimDay,
        Self::VisitorsDay,
        Self::CounterLink,
        Self::CounterPartner,
    ];

    /// Returns the name, the key in the order of its index, and the figure.
    pub(super) const fn layout(self) -> (&'static str, &'static [Column], &'static str) {
        const SHOP: Column = Text("shop");
        const TRAFFIC: Column = Text("traffic");
        const REASON: Column = Text("reason");
        const SLUG: Column = Text("slug");
        const PARTNER: Column = Text("partner");
        match self {
            Self::ShopQuarter => ("stats_shop_quarter", &[SHOP, TRAFFIC, REASON, Quarter], "clicks"),
            Self::LinkDay => ("stats_link_day", &[SHOP, TRAFFIC, REASON, Day, SLUG], "clicks"),
            Self::PartnerDay => ("stats_partner_day", &[SHOP, TRAFFIC, REASON, Day, PARTNER], "clicks"),
            Self::LinkPartnerDay => {
                ("stats_link_partner_day", &[SHOP, Day, PARTNER, SLUG, TRAFFIC, REASON], "clicks")
            }
            Self::DimDay => {
                ("stats_dim_day", &[SHOP, Text("dimension"), Day, Text("value"), TRAFFIC, REASON], "clicks")
            }
            Self::VisitorsDay => {
                ("stats_visitors_day", &[SHOP, Text("scope"), Day, PARTNER, SLUG], "visitors")
            }
            Self::CounterLink => ("counter_link", &[SHOP, SLUG], "clicks"),
            Self::CounterPartner => ("counter_partner", &[SHOP, PARTNER], "clicks"),
        }
    }
}

/// The numbers of a key's columns; those that it does not have are 0.
pub(super) type Key = [u32; 6];

/// Who was there: day, shop, visitor, link, partner.
pub(super) type Visit = [u32; 5];

/// Leaves of a visit what tells visitors apart.
type Scope = fn(Visit) -> Visit;

/// Whose visitors are counted, and what of a visit tells them apart.
const SCOPES: [(&str, Scope); 4] = [
    ("shop", |[day, shop, visitor, _, _]| [day, shop, visitor, NONE, NONE]),
    ("link", |[day, shop, visitor, slug, _]| [day, shop, visitor, slug, NONE]),
    ("partner", |[day, shop, visitor, _, partner]| [day, shop, visitor, NONE, partner]),
    ("link_partner", |visit| visit),
];

/// The number of the empty text.
const NONE: u32 = 0;

/// Values with numbers, equal ones with the same.
pub(super) struct Numbers<T: ?Sized> {
    numbers: HashMap<Arc<T>, u32>,
    values: Vec<Arc<T>>,
}

impl<T: ?Sized + Hash + Ord> Numbers<T>
where
    Arc<T>: for<'a> From<&'a T>,
{
    fn new() -> Self {
        Self { numbers: HashMap::default(), values: Vec::new() }
    }

    /// Returns the number of a value.
    pub(super) fn of(&mut self, value: &T) -> u32 {
        if let Some(number) = self.numbers.get(value) {
            return *number;
        }
        let (number, value) = (u32::try_from(self.values.len()).unwrap_or(u32::MAX), Arc::from(value));
        self.values.push(Arc::clone(&value));
        self.numbers.insert(value, number);
        number
    }

    /// Returns the value of a number.
    pub(super) fn value(&self, number: u32) -> &T {
        &self.values[number as usize]
    }

    /// Returns which place each number has in the order of values.
    pub(super) fn places(&self) -> Vec<u32> {
        let mut order: Vec<usize> = (0..self.values.len()).collect();
        order.sort_unstable_by(|one, other| self.values[*one].cmp(&self.values[*other]));
        let mut places = vec![0; order.len()];
        for (place, number) in (0..).zip(order) {
            places[number] = place;
        }
        places
    }
}

/// What is counted of clicks.
pub(super) struct Counts {
    pub(super) names: Numbers<str>,
    pub(super) visitors: Numbers<[u8]>,
    /// How many clicks.
    pub(super) clicks: usize,
    sums: [HashMap<Key, i64>; Table::ALL.len()],
    seen: HashSet<Visit>,
    /// The names of [`SINGLE`].
    single: [u32; SINGLE.len()],
    has_counters: bool,
}

impl Counts {
    /// Begins; the counters that rules look at are counted only if they are to be added to.
    pub(super) fn new(has_counters: bool) -> Self {
        let mut names = Numbers::new();
        names.of("");
        let single = SINGLE.map(|dimension| names.of(dimension.as_str()));
        Self {
            names,
            single,
            visitors: Numbers::new(),
            clicks: 0,
            sums: Default::default(),
            seen: HashSet::default(),
            has_counters,
        }
    }

    /// Counts a click: its time, shop, link, partner, class, reason, visitor, and the values of [`SINGLE`].
    pub(super) fn take(&mut self, row: &Row) -> Result<(), Error> {
        let seconds = row.try_get::<_, Timestamp>(0)?.as_second();
        let unit = |length: i64| u32::try_from(seconds.div_euclid(length)).unwrap_or_default();
        let (day, quarter) = (unit(DAY_SECONDS), unit(QUARTER_SECONDS));
        let (class, reason): (&str, &str) = (row.try_get(4)?, row.try_get(5)?);
        let is_counted = class == TrafficClass::Human.as_str()
            && [ResolveReason::Rule.as_str(), ResolveReason::Default.as_str()].contains(&reason);
        let mut name = |column| Ok::<_, Error>(self.names.of(row.try_get(column)?));
        let [shop, slug, partner, class, reason] = [name(1)?, name(2)?, name(3)?, name(4)?, name(5)?];
        self.clicks += 1;
        self.add(Table::ShopQuarter, [shop, class, reason, quarter, 0, 0], 1);
        self.add(Table::LinkDay, [shop, class, reason, day, slug, 0], 1);
        self.add(Table::PartnerDay, [shop, class, reason, day, partner, 0], 1);
        self.add(Table::LinkPartnerDay, [shop, day, partner, slug, class, reason], 1);
        for (column, dimension) in (7..).zip(self.single) {
            let value = self.names.of(row.try_get(column)?);
            self.add(Table::DimDay, [shop, dimension, day, value, class, reason], 1);
        }
        if !is_counted {
            return Ok(());
        }
        if self.has_counters && slug != NONE {
            self.add(Table::CounterLink, [shop, slug, 0, 0, 0, 0], 1);
        }
        if self.has_counters && partner != NONE {
            self.add(Table::CounterPartner, [shop, partner, 0, 0, 0, 0], 1);
        }
        if let Some(visitor) = row.try_get(6)? {
            self.seen.insert([day, shop, self.visitors.of(visitor), slug, partner]);
        }
        Ok(())
    }

    fn add(&mut self, table: Table, key: Key, count: i64) {
        *self.sums[table as usize].entry(key).or_default() += count;
    }

    /// Returns what is counted for a table.
    pub(super) fn sums(&self, table: Table) -> &HashMap<Key, i64> {
        &self.sums[table as usize]
    }

    /// Returns day, shop and visitor of all who were there.
    pub(super) fn who(&self) -> HashSet<[u32; 3]> {
        self.seen.iter().map(|[day, shop, visitor, ..]| [*day, *shop, *visitor]).collect()
    }

    /// Counts visitors who are not among those that are known, and returns the visits that are not.
    pub(super) fn meet(&mut self, known: &[Visit]) -> Vec<Visit> {
        let mut there: HashSet<(usize, Visit)> = HashSet::default();
        let parts =
            |visit: Visit| SCOPES.iter().enumerate().map(move |(scope, (_, part))| (scope, part(visit)));
        there.extend(known.iter().copied().flat_map(parts));
        let known: HashSet<&Visit> = known.iter().collect();
        let seen = mem::take(&mut self.seen);
        for (scope, visit) in seen.iter().copied().flat_map(parts) {
            if there.insert((scope, visit)) {
                let ([day, shop, _, slug, partner], scope) = (visit, self.names.of(SCOPES[scope].0));
                self.add(Table::VisitorsDay, [shop, scope, day, partner, slug, 0], 1);
            }
        }
        seen.into_iter().filter(|visit| !known.contains(visit)).collect()
    }
}

const DAY_SECONDS: i64 = 24 * 60 * 60;
const QUARTER_SECONDS: i64 = 15 * 60;

/// Returns the day with a number.
pub(super) fn day(number: u32) -> jiff::civil::Date {
    let since = SignedDuration::from_secs(i64::from(number) * DAY_SECONDS);
    jiff::civil::Date::constant(1970, 1, 1).saturating_add(since)
}

/// Returns the number of a day.
pub(super) fn number(day: jiff::civil::Date) -> u32 {
    let since = day.duration_since(jiff::civil::Date::constant(1970, 1, 1));
    u32::try_from(since.as_secs() / DAY_SECONDS).unwrap_or_default()
}

/// Returns when a quarter of an hour begins.
pub(super) fn quarter(number: u32) -> Timestamp {
    Timestamp::from_second(i64::from(number) * QUARTER_SECONDS).unwrap_or(Timestamp::MAX)
}
