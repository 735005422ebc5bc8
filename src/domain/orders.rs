//! Decides what becomes of conversions, knowing what is there of their orders.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};

use super::{
    click_id::ClickId,
    conversion::{Amount, Conversion, Kind, OrderId, Properties},
    currency::Currency,
    fault::{Fault, Problem, Reason},
    limits,
};

/// Orders and refunds that are there. What is decided is there for what is decided next.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// By order and refund; an order itself has no refund and stands first.
    known: BTreeMap<(OrderId, String), Known>,
}

/// An order or refund that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// When it was made or paid back.
    pub at: Timestamp,
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// Where it is.
    pub state: State,
}

/// Where an order or refund is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// It is credited to this click.
    Credited(ClickId, Properties),
    /// It waits for this click.
    Waiting(ClickId, Properties),
    /// Its click was erased, and what the shop said of it.
    Erased,
}

/// What is known of a click.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sought {
    /// It is in the log.
    Found,
    /// It is not.
    Missing,
}

/// What becomes of a conversion.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// It is credited.
    Applied,
    /// It waits for its click.
    Waiting,
    /// It was there already, credited or waiting.
    AlreadyThere,
}

impl Orders {
    /// Adds what is there.
    pub fn add(&mut self, order: OrderId, refund: String, known: Known) {
        self.known.insert((order, refund), known);
    }

    /// Decides on a conversion; or says what is wrong with it, with the path of its field.
    pub fn decide(
        &mut self,
        conversion: &Conversion,
        click: Sought,
        now: Timestamp,
    ) -> Result<Outcome, Fault> {
        let key = (conversion.order.clone(), conversion.refund_id().to_owned());
        if let Some(known) = self.known.get(&key) {
            return same(known, conversion).map(|()| Outcome::AlreadyThere);
        }
        let state = match &conversion.kind {
            Kind::Order(id) => credit(conversion, *id, click, now)?,
            Kind::Refund(_) => self.refund(conversion)?,
        };
        let outcome = match &state {
            State::Waiting(..) => Outcome::Waiting,
            State::Credited(..) | State::Erased => Outcome::Applied,
        };
        let Conversion { at, amount, currency, .. } = *conversion;
        self.known.insert(key, Known { at, amount, currency, state });
        Ok(outcome)
    }

    fn refund(&self, refund: &Conversion) -> Result<State, Fault> {
        let order = self.known.get(&(refund.order.clone(), String::new())).ok_or_else(|| {
            let text = "there is no such order to pay back; record the order before its refunds";
            Problem::new(Reason::UnknownReference, text).at("order_id")
        })?;
        if order.currency != refund.currency {
            let text = format!("the order is in {}, so its refunds are", order.currency);
            return Err(Problem::new(Reason::Conflict, text).at("amount.currency"));
        }
        let of_order = self.known.range((refund.order.clone(), String::new())..);
        let of_order = of_order.take_while(|((id, _), _)| *id == refund.order).skip(1);
        let back: i64 = of_order.map(|(_, refund)| refund.amount.number()).sum();
        if refund.at < order.at - minutes() {
            let text = format!("it was paid back before the order was made, which was at {}", order.at);
            return Err(Problem::new(Reason::OutOfRange, text).at("conversion_time"));
        }
        let left = order.amount.number() - back;
        if refund.amount.number() > left {
            let text = format!(
                "of {total} that were paid {back} were paid back, so at most {left} can be",
                total = order.amount.number()
            );
            return Err(Problem::new(Reason::OutOfRange, text).at("amount.amount"));
        }
        Ok(match &order.state {
            State::Credited(click, _) => State::Credited(*click, refund.properties.clone()),
            State::Waiting(click, _) => State::Waiting(*click, refund.properties.clone()),
            State::Erased => State::Erased,
        })
    }
}

/// How far clocks may differ.
fn minutes() -> SignedDuration {
    SignedDuration::from_mins(limits::CLICK_ID_AHEAD_MINUTES)
}

/// Credits an order to its click.
fn credit(order: &Conversion, id: ClickId, click: Sought, now: Timestamp) -> Result<State, Fault> {
    if order.at < id.time() - minutes() {
        let text = format!("the order was made before its click, which was at {}", id.time());
        return Err(Problem::new(Reason::OutOfRange, text).at("conversion_time"));
    }
    let properties = order.properties.clone();
    match click {
        Sought::Found => Ok(State::Credited(id, properties)),
        Sought::Missing if id.is_of_about(now) => Ok(State::Waiting(id, properties)),
        Sought::Missing => {
            let text = format!(
                "there is no such click, and none can come any more: its id is of {}, which is more than 24 hours ago \
                 or 5 minutes ahead",
                id.time()
            );
            Err(Problem::new(Reason::UnknownReference, text).at("click_id"))
        }
    }
}

/// Checks that a conversion is the one that is there.
fn same(known: &Known, conversion: &Conversion) -> Result<(), Fault> {
    let mut differs = None;
    let mut check = |is_same: bool, field| differs = differs.or((!is_same).then_some(field));
    match (&known.state, &conversion.kind) {
        (State::Credited(click, properties) | State::Waiting(click, properties), kind) => {
            check(matches!(kind, Kind::Refund(_)) || *kind == Kind::Order(*click), "click_id");
            check(*properties == conversion.properties, "properties");
        }
        // What was erased cannot be compared any more.
        (State::Erased, Kind::Order(_) | Kind::Refund(_)) => {}
    }
    check(known.at == conversion.at, "conversion_time");
    check(known.amount == conversion.amount, "amount.amount");
    check(known.currency == conversion.currency, "amount.currency");
    let text = "it was recorded before and said something else here; what is recorded stays as it is";
    differs.map_or(Ok(()), |field| Err(Problem::new(Reason::Conflict, text).at(field)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::conversion::{PropertyName, PropertyValue};

    const NOW: &str = "2026-06-02T12:00:00Z";

    fn id(text: &str) -> OrderId {
        OrderId::parse(text).unwrap()
    }

    fn click(time: &str) -> ClickId {
        ClickId::new(time.parse().unwrap(), [3; 10])
    }

    fn order(name: &str, amount: i64) -> Conversion {
        Conversion {
            order: id(name),
            kind: Kind::Order(click("2026-06-02T11:00:00Z")),
            at: "2026-06-02T11:30:00Z".parse().unwrap(),
            amount: Amount::paid(amount).unwrap(),
            currency: Currency::parse("EUR").unwrap(),
            properties: Properties::new(),
        }
    }

    fn refund(name: &str, refund: &str, amount: i64) -> Conversion {
        Conversion { kind: Kind::Refund(id(refund)), ..order(name, amount) }
    }

    fn decide(
        orders: &mut Orders,
        conversion: &Conversion,
        click: Sought,
    ) -> Result<Outcome, (String, Reason)> {
        let outcome = orders.decide(conversion, click, NOW.parse().unwrap());
        outcome.map_err(|fault| (fault.path, fault.problem.reason))
    }

    #[test]
    fn order_is_credited_once() {
        let mut orders = Orders::default();
        assert_eq!(decide(&mut orders, &order("1", 500), Sought::Found), Ok(Outcome::Applied));
        assert_eq!(decide(&mut orders, &order("1", 500), Sought::Missing), Ok(Outcome::AlreadyThere));
        assert_eq!(decide(&mut orders, &order("2", 500), Sought::Missing), Ok(Outcome::Waiting));
        assert_eq!(decide(&mut orders, &order("2", 500), Sought::Found), Ok(Outcome::AlreadyThere));
        let old = Conversion { kind: Kind::Order(click("2026-06-01T11:59:59Z")), ..order("3", 500) };
        let refused = Err(("click_id".to_owned(), Reason::UnknownReference));
        assert_eq!(decide(&mut orders, &old, Sought::Missing), refused);
        assert_eq!(decide(&mut orders, &old, Sought::Found), Ok(Outcome::Applied));
    }

    #[test]
    fn what_is_recorded_does_not_change() {
        let mut orders = Orders::default();
        let first = order("1", 500);
        assert_eq!(decide(&mut orders, &first, Sought::Found), Ok(Outcome::Applied));
        let name = (PropertyName::parse("k").unwrap(), PropertyValue::parse("v").unwrap());
        let later = "2026-06-02T11:30:01Z".parse().unwrap();
        for (other, field) in [
            (order("1", 501), "amount.amount"),
            (Conversion { currency: Currency::parse("USD").unwrap(), ..first.clone() }, "amount.currency"),
            (Conversion { at: later, ..first.clone() }, "conversion_time"),
            (Conversion { properties: [name].into(), ..first.clone() }, "properties"),
            (Conversion { kind: Kind::Order(click("2026-06-02T11:00:01Z")), ..first.clone() }, "click_id"),
        ] {
            let refused = Err((field.to_owned(), Reason::Conflict));
            assert_eq!(decide(&mut orders, &other, Sought::Found), refused);
        }
    }

    #[test]
    fn refunds_come_to_no_more_than_the_order() {
        let mut orders = Orders::default();
        let refused = |field: &str, reason| Err((field.to_owned(), reason));
        let early = decide(&mut orders, &refund("1", "a", 100), Sought::Missing);
        assert_eq!(early, refused("order_id", Reason::UnknownReference));
        assert_eq!(decide(&mut orders, &order("1", 500), Sought::Found), Ok(Outcome::Applied));
        assert_eq!(decide(&mut orders, &order("10", 900), Sought::Missing), Ok(Outcome::Waiting));
        let foreign = Conversion { currency: Currency::parse("USD").unwrap(), ..refund("1", "a", 100) };
        assert_eq!(
            decide(&mut orders, &foreign, Sought::Missing),
            refused("amount.currency", Reason::Conflict)
        );
        for (number, amount) in [("a", 100), ("b", 399)] {
            let back = refund("1", number, amount);
            assert_eq!(decide(&mut orders, &back, Sought::Missing), Ok(Outcome::Applied));
            assert_eq!(decide(&mut orders, &back, Sought::Missing), Ok(Outcome::AlreadyThere));
        }
        let over = decide(&mut orders, &refund("1", "c", 2), Sought::Missing);
        assert_eq!(over, refused("amount.amount", Reason::OutOfRange));
        assert_eq!(decide(&mut orders, &refund("1", "c", 1), Sought::Missing), Ok(Outcome::Applied));
        assert_eq!(decide(&mut orders, &refund("10", "a", 900), Sought::Missing), Ok(Outcome::Waiting));
        assert_eq!(
            decide(&mut orders, &refund("10", "b", 1), Sought::Missing),
            refused("amount.amount", Reason::OutOfRange)
        );
    }

    #[test]
    fn refund_is_not_made_before_its_order() {
        let mut orders = Orders::default();
        assert_eq!(decide(&mut orders, &order("1", 500), Sought::Found), Ok(Outcome::Applied));
        let at = |time: &str| Conversion { at: time.parse().unwrap(), ..refund("1", "a", 1) };
        assert_eq!(
            decide(&mut orders, &at("2026-06-02T11:24:59Z"), Sought::Missing),
            Err(("conversion_time".to_owned(), Reason::OutOfRange))
        );
        // Clocks differ.
        assert_eq!(decide(&mut orders, &at("2026-06-02T11:25:00Z"), Sought::Missing), Ok(Outcome::Applied));
    }

    #[test]
    fn order_is_not_made_before_its_click() {
        let mut orders = Orders::default();
        let at = |time: &str| Conversion { at: time.parse().unwrap(), ..order("1", 1) };
        assert_eq!(
            decide(&mut orders, &at("2026-06-02T10:54:59Z"), Sought::Found),
            Err(("conversion_time".to_owned(), Reason::OutOfRange))
        );
        // Clocks differ.
        assert_eq!(decide(&mut orders, &at("2026-06-02T10:55:00Z"), Sought::Found), Ok(Outcome::Applied));
    }
}
