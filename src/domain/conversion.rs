//! Conversions: orders that clicks brought about, and what is paid back of them.

use std::collections::BTreeMap;

use jiff::Timestamp;

use super::{
    click::ClickFacts,
    click_id::ClickId,
    currency::Currency,
    fault::{Problem, Reason},
    limits,
    name::ShopId,
    text::{checked_texts, length},
};

checked_texts! {
    /// The shop's own number of an order or refund.
    OrderId, |text| {
        length(text, "the id", limits::ORDER_ID_BYTES, true)?;
        visible(text, "the id")
    };
    /// The name of a property.
    PropertyName, |text| {
        length(text, "the name of a property", limits::NAME_BYTES, true)?;
        visible(text, "the name of a property")
    };
    /// The value of a property.
    PropertyValue, |text| length(text, "the value of a property", limits::VALUE_BYTES, false);
}

/// Checks that a text can be seen whole.
fn visible(text: &str, what: &str) -> Result<(), Problem> {
    if text.chars().any(char::is_control) || text.trim() != text {
        let text = format!("{what} holds control characters, or white space at an end");
        return Err(Problem::new(Reason::Malformed, text));
    }
    Ok(())
}

/// An amount in the smallest unit of its currency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Amount(i64);

impl Amount {
    /// Takes what was paid; nothing may be.
    pub fn paid(amount: i64) -> Result<Self, Problem> {
        Self::from(amount, 0)
    }

    /// Takes what was paid back, which is something.
    pub fn paid_back(amount: i64) -> Result<Self, Problem> {
        Self::from(amount, 1)
    }

    fn from(amount: i64, least: i64) -> Result<Self, Problem> {
        let most = limits::AMOUNT;
        if (least..=most).contains(&amount) {
            return Ok(Self(amount));
        }
        let text = format!(
            "the amount {amount} is not between {least} and {most}; it is in the smallest unit of the currency, and \
             what was paid back has no sign"
        );
        Err(Problem::new(Reason::OutOfRange, text))
    }

    /// Returns the number.
    pub fn number(self) -> i64 {
        self.0
    }
}

/// What else a shop says of a conversion, by name.
pub type Properties = BTreeMap<PropertyName, PropertyValue>;

/// What is to be credited.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Conversion {
    /// The order.
    pub order: OrderId,
    /// Whether it was made, or paid back.
    pub kind: Kind,
    /// When.
    pub at: Timestamp,
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// What else the shop says of it.
    pub properties: Properties,
}

/// What happened to an order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Kind {
    /// It was made, by whoever made this click.
    Order(ClickId),
    /// It was paid back, or a part of it.
    Refund(OrderId),
}

impl Conversion {
    /// Returns the number of the refund; empty for the order itself.
    pub fn refund_id(&self) -> &str {
        match &self.kind {
            Kind::Order(_) => "",
            Kind::Refund(id) => id.as_str(),
        }
    }
}

/// A conversion with what it holds of its click, of which it may be all that is left.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credited {
    /// The shop.
    pub shop: ShopId,
    /// The order.
    pub order: OrderId,
    /// The refund; none is the order itself.
    pub refund: Option<OrderId>,
    /// When it was made or paid back.
    pub at: Timestamp,
    /// How much.
    pub amount: Amount,
    /// Of what.
    pub currency: Currency,
    /// What else the shop says of it; empty if the click is erased.
    pub properties: Properties,
    /// The click; none if it is erased.
    pub click_id: Option<ClickId>,
    /// When the click was; the beginning of its UTC day if it is erased.
    pub click_at: Timestamp,
    /// What it holds of the click. An erased one is unknown in all that tells one visitor from another.
    pub credit: ClickFacts,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_have_no_sign_and_an_end() {
        assert_eq!(Amount::paid(0).map(Amount::number), Ok(0));
        assert_eq!(Amount::paid(limits::AMOUNT).map(Amount::number), Ok(limits::AMOUNT));
        assert_eq!(Amount::paid_back(1).map(Amount::number), Ok(1));
        for bad in
            [Amount::paid(-1), Amount::paid(limits::AMOUNT + 1), Amount::paid_back(0), Amount::paid(i64::MIN)]
        {
            assert_eq!(bad.unwrap_err().reason, Reason::OutOfRange);
        }
    }

    #[test]
    fn ids_are_what_a_shop_writes() {
        for good in ["1", "2026/11-0042", "Bestellung Nr. 5", "#é"] {
            assert_eq!(OrderId::parse(good).unwrap().as_str(), good);
        }
        for (bad, reason) in [
            ("", Reason::Required),
            (" 1", Reason::Malformed),
            ("1\n", Reason::Malformed),
            ("a\0b", Reason::Malformed),
            (&*"x".repeat(limits::ORDER_ID_BYTES + 1), Reason::TooLong),
        ] {
            assert_eq!(OrderId::parse(bad).unwrap_err().reason, reason, "{bad:?}");
        }
    }
}
