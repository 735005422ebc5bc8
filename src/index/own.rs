//! The query parameters that are ours: set by us alone, never taken from visitor or destination.

use crate::domain::{param::OwnParam, query::Piece, shop::ShopSettings};

/// The names of a shop's own parameters.
#[derive(Debug)]
pub(super) struct OwnNames {
    /// Those that may name the partner, in the order in which they are asked; the first is the one that we set.
    partners: Box<[OwnParam]>,
    /// Ours even where it is not sent.
    click_id: Option<OwnParam>,
    /// Bit per small letter, digit and mark that one of the names begins with.
    first: u128,
}

impl OwnNames {
    /// Takes the names of a shop.
    pub(super) fn new(settings: &ShopSettings) -> Self {
        let bit = |name: &OwnParam| 1_u128 << (name.as_str().as_bytes()[0].to_ascii_lowercase() & 127);
        Self {
            partners: settings.partner_params().cloned().collect(),
            click_id: settings.click_id_param.clone(),
            first: settings.own_params().map(bit).fold(0, |bits, bit| bits | bit),
        }
    }

    /// Returns the parameters that may name the partner, in the order in which they are asked.
    pub(super) fn partners(&self) -> &[OwnParam] {
        &self.partners
    }

    /// Returns the parameter that carries the partner's code to the page.
    pub(super) fn partner(&self) -> &str {
        self.partners[0].as_str()
    }

    /// Returns the parameter that carries the click id to the page.
    pub(super) fn click_id(&self) -> Option<&str> {
        let partner = &self.partners[0];
        self.click_id.as_ref().map(OwnParam::as_str).filter(|name| !partner.is_named_by(name))
    }

    /// Returns how long the names that we set are together.
    pub(super) fn length(&self) -> usize {
        self.partner().len() + self.click_id.as_ref().map_or(0, |name| name.as_str().len())
    }

    /// Returns whether a piece may be read as one of ours.
    pub(super) fn covers(&self, piece: Piece<'_>) -> bool {
        self.may_cover(piece)
            && piece.raw_name().is_some_and(|name| {
                self.partners.iter().chain(&self.click_id).any(|own| own.is_named_by(name))
            })
    }

    /// Returns false for most foreign pieces: a plain first letter that none of ours begins with.
    fn may_cover(&self, piece: Piece<'_>) -> bool {
        let Some(&first) = piece.0.as_bytes().first() else { return false };
        !first.is_ascii_alphanumeric() || self.first >> (first.to_ascii_lowercase() & 127) & 1 == 1
    }
}
