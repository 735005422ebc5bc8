//! Reads.

use super::{
    Store,
    errors::StoreError,
    types::{
        LinkCursor, ListLinks, ListedLink, PartnerFilter, Reference, References, SharingChange, SharingPage,
        Stored, StoredShop,
    },
};
use crate::domain::{
    link::{Link, Sharing},
    name::{PartnerCode, ProgramId, ShopId, Slug},
    partner::{Partner, Program},
};

impl Store {
    /// Returns a shop, deleted ones included.
    pub async fn get_shop(&self, id: &ShopId) -> Result<Option<StoredShop>, StoreError> {
        todo!()
    }

    /// Lists shops by id.
    pub async fn list_shops(
        &self,
        after: Option<&ShopId>,
        limit: usize,
        show_deleted: bool,
    ) -> Result<Vec<StoredShop>, StoreError> {
        todo!()
    }

    /// Returns a program, deleted ones included.
    pub async fn get_program(
        &self,
        shop: &ShopId,
        id: &ProgramId,
    ) -> Result<Option<Stored<Program>>, StoreError> {
        todo!()
    }

    /// Lists the programs of a shop by id.
    pub async fn list_programs(
        &self,
        shop: &ShopId,
        after: Option<&ProgramId>,
        limit: usize,
        show_deleted: bool,
    ) -> Result<Vec<Stored<Program>>, StoreError> {
        todo!()
    }

    /// Returns the partner with this code or alias, deleted ones included.
    pub async fn get_partner(
        &self,
        shop: &ShopId,
        code_or_alias: &PartnerCode,
    ) -> Result<Option<Stored<Partner>>, StoreError> {
        todo!()
    }

    /// Returns those partners with these codes (not aliases) that there are, by code, deleted ones included.
    pub async fn get_partners(
        &self,
        shop: &ShopId,
        codes: &[PartnerCode],
    ) -> Result<Vec<Stored<Partner>>, StoreError> {
        todo!()
    }

    /// Lists the partners of a shop by code.
    pub async fn list_partners(
        &self,
        shop: &ShopId,
        filter: &PartnerFilter,
        after: Option<&PartnerCode>,
        limit: usize,
    ) -> Result<Vec<Stored<Partner>>, StoreError> {
        todo!()
    }

    /// Returns a link with its sharing, deleted ones included.
    pub async fn get_link(&self, shop: &ShopId, slug: &Slug) -> Result<Option<Stored<Link>>, StoreError> {
        todo!()
    }

    /// Returns those of the links that there are, by slug, deleted ones included.
    pub async fn get_links(&self, shop: &ShopId, slugs: &[Slug]) -> Result<Vec<Stored<Link>>, StoreError> {
        todo!()
    }

    /// Lists links; the default partner link comes first.
    pub async fn list_links(&self, list: &ListLinks) -> Result<Vec<Stored<ListedLink>>, StoreError> {
        todo!()
    }

    /// Lists the active and paused links that are shared with a partner, by slug, the default partner link first. The
    /// search looks at what partners see: slug, name, description.
    pub async fn partner_links(
        &self,
        shop: &ShopId,
        partner: &PartnerCode,
        search: Option<&str>,
        after: Option<&LinkCursor>,
        limit: usize,
    ) -> Result<Vec<Stored<ListedLink>>, StoreError> {
        todo!()
    }

    /// Returns whom a link is shared with: the programs on the first page, and partners after a code.
    pub async fn link_sharing(
        &self,
        shop: &ShopId,
        slug: &Slug,
        after: Option<&PartnerCode>,
        limit: usize,
    ) -> Result<Option<SharingPage>, StoreError> {
        todo!()
    }

    /// Computes which partners of a shop gain or lose a link when its sharing changes; names at most `limit` of each.
    pub async fn sharing_change(
        &self,
        shop: &ShopId,
        before: &Sharing,
        after: &Sharing,
        limit: usize,
    ) -> Result<SharingChange, StoreError> {
        todo!()
    }

    /// Returns who names a program, partner or shop.
    pub async fn references_of(
        &self,
        shop: &ShopId,
        reference: &Reference,
    ) -> Result<References, StoreError> {
        todo!()
    }
}
