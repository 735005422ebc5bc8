//! Reads of shops, programs and partners.

use diesel::{OptionalExtension, prelude::*};
use diesel_async::RunQueryDsl;

use super::{
    Store,
    errors::StoreError,
    links::containing,
    pool::limit as rows,
    rows::{PartnerRow, ProgramRow, ShopRow},
    schema::{partner, partner_code, program, shop},
    types::{PartnerFilter, Stored, StoredShop, folded},
};
use crate::domain::{
    name::{PartnerCode, ProgramId, ShopId},
    partner::{Partner, Program},
};

impl Store {
    /// Returns a shop, deleted ones included.
    pub async fn get_shop(&self, id: &ShopId) -> Result<Option<StoredShop>, StoreError> {
        let query = shop::table.find(id.as_str()).select(ShopRow::as_select());
        let row = query.first(&mut self.connections.get().await?).await.optional()?;
        row.map(ShopRow::read).transpose()
    }

    /// Lists shops by id.
    pub async fn list_shops(
        &self,
        after: Option<&ShopId>,
        limit: usize,
        show_deleted: bool,
    ) -> Result<Vec<StoredShop>, StoreError> {
        let mut query =
            shop::table.select(ShopRow::as_select()).order(shop::id).limit(rows(limit)).into_boxed();
        if let Some(after) = after {
            query = query.filter(shop::id.gt(after.as_str()));
        }
        if !show_deleted {
            query = query.filter(shop::deleted_at.is_null());
        }
        let rows = query.load(&mut self.connections.get().await?).await?;
        rows.into_iter().map(ShopRow::read).collect()
    }

    /// Returns a program, deleted ones included.
    pub async fn get_program(
        &self,
        shop: &ShopId,
        id: &ProgramId,
    ) -> Result<Option<Stored<Program>>, StoreError> {
        let query = program::table.find((shop.as_str(), id.as_str())).select(ProgramRow::as_select());
        let row = query.first(&mut self.connections.get().await?).await.optional()?;
        row.map(ProgramRow::read).transpose()
    }

    /// Returns those of the programs that there are, by id, deleted ones included.
    pub async fn get_programs(
        &self,
        shop: &ShopId,
        ids: &[ProgramId],
    ) -> Result<Vec<Stored<Program>>, StoreError> {
        let ids: Vec<&str> = ids.iter().map(ProgramId::as_str).collect();
        let query = program::table
            .filter(program::shop.eq(shop.as_str()))
            .filter(program::id.eq_any(ids))
            .order(program::id)
            .select(ProgramRow::as_select());
        let rows = query.load(&mut self.connections.get().await?).await?;
        rows.into_iter().map(ProgramRow::read).collect()
    }

    /// Lists the programs of a shop by id.
    pub async fn list_programs(
        &self,
        shop: &ShopId,
        after: Option<&ProgramId>,
        limit: usize,
        show_deleted: bool,
    ) -> Result<Vec<Stored<Program>>, StoreError> {
        let of_shop = program::table.filter(program::shop.eq(shop.as_str()));
        let mut query =
            of_shop.select(ProgramRow::as_select()).order(program::id).limit(rows(limit)).into_boxed();
        if let Some(after) = after {
            query = query.filter(program::id.gt(after.as_str()));
        }
        if !show_deleted {
            query = query.filter(program::deleted_at.is_null());
        }
        let rows = query.load(&mut self.connections.get().await?).await?;
        rows.into_iter().map(ProgramRow::read).collect()
    }

    /// Returns the partner with this code or alias, deleted ones included.
    pub async fn get_partner(
        &self,
        shop: &ShopId,
        code_or_alias: &PartnerCode,
    ) -> Result<Option<Stored<Partner>>, StoreError> {
        let named = partner_code::table.find((shop.as_str(), code_or_alias.as_str()));
        let query = partner::table
            .filter(partner::shop.eq(shop.as_str()))
            .filter(partner::code.eq_any(named.select(partner_code::partner)))
            .select(PartnerRow::as_select());
        let row = query.first(&mut self.connections.get().await?).await.optional()?;
        let partner = row.map(PartnerRow::read).transpose()?;
        // An alias that was taken away stays used, but does not work any more.
        Ok(partner.filter(|Stored { value, .. }| {
            value.code == *code_or_alias || value.aliases.contains(code_or_alias)
        }))
    }

    /// Returns those partners with these codes (not aliases) that there are, by code, deleted ones included.
    pub async fn get_partners(
        &self,
        shop: &ShopId,
        codes: &[PartnerCode],
    ) -> Result<Vec<Stored<Partner>>, StoreError> {
        let codes: Vec<&str> = codes.iter().map(PartnerCode::as_str).collect();
        let query = partner::table
            .filter(partner::shop.eq(shop.as_str()))
            .filter(partner::code.eq_any(codes))
            .order(partner::code)
            .select(PartnerRow::as_select());
        let rows = query.load(&mut self.connections.get().await?).await?;
        rows.into_iter().map(PartnerRow::read).collect()
    }

    /// Returns those partners that there are with these codes or aliases, by code, deleted ones included.
    pub async fn get_partners_named(
        &self,
        shop: &ShopId,
        names: &[PartnerCode],
    ) -> Result<Vec<Stored<Partner>>, StoreError> {
        let names: Vec<&str> = names.iter().map(PartnerCode::as_str).collect();
        let named = partner_code::table
            .filter(partner_code::shop.eq(shop.as_str()))
            .filter(partner_code::code.eq_any(names));
        let query = partner::table
            .filter(partner::shop.eq(shop.as_str()))
            .filter(partner::code.eq_any(named.select(partner_code::partner)))
            .order(partner::code)
            .select(PartnerRow::as_select());
        let rows = query.load(&mut self.connections.get().await?).await?;
        rows.into_iter().map(PartnerRow::read).collect()
    }

    /// Lists the partners of a shop by code.
    pub async fn list_partners(
        &self,
        shop: &ShopId,
        filter: &PartnerFilter,
        after: Option<&PartnerCode>,
        limit: usize,
    ) -> Result<Vec<Stored<Partner>>, StoreError> {
        let of_shop = partner::table.filter(partner::shop.eq(shop.as_str()));
        let mut query =
            of_shop.select(PartnerRow::as_select()).order(partner::code).limit(rows(limit)).into_boxed();
        if let Some(after) = after {
            query = query.filter(partner::code.gt(after.as_str()));
        }
        if let Some(text) = &filter.search {
            query = query.filter(partner::search_text.like(containing(&folded(text))));
        }
        if let Some(program) = &filter.program {
            query = query.filter(partner::program.eq(program.as_str()));
        }
        if let Some(tag) = &filter.tag {
            query = query.filter(partner::tags.contains(vec![tag.as_str()]));
        }
        if !filter.show_deleted {
            query = query.filter(partner::deleted_at.is_null());
        }
        let rows = query.load(&mut self.connections.get().await?).await?;
        rows.into_iter().map(PartnerRow::read).collect()
    }
}
