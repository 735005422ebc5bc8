//! Rows of the tables, and how they become objects.

use diesel::{
    deserialize::{self, FromSql},
    pg::{Pg, PgValue},
    prelude::*,
    serialize::{self, IsNull, Output, ToSql},
    sql_types::{Array, BigInt, Jsonb, Nullable, Text, Timestamptz},
};
use jiff::Timestamp;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    errors::{Cause, StoreError},
    schema,
    types::{Kind, ListedLink, SharingSummary, Stored, StoredShop},
};
use crate::domain::{
    fault::Problem,
    link::{Description, Link, LinkState, Sharing},
    name::{DisplayName, PartnerCode, ProgramId, ShopId, Slug, Tag},
    partner::{Partner, Program},
    revision::Revision,
    shop::Shop,
};

/// JSON as its text: parsed once into what it stands for, never into a tree of values.
#[derive(Clone, Debug, PartialEq, Eq, diesel::expression::AsExpression, diesel::deserialize::FromSqlRow)]
#[diesel(sql_type = Jsonb)]
pub(super) struct Json(Vec<u8>);

/// What PostgreSQL puts before the text of a jsonb value on the wire: the version of the format.
const JSONB_VERSION: u8 = 1;

impl Json {
    /// Writes an object down.
    pub(super) fn of<T: Serialize>(object: &T) -> Result<Self, StoreError> {
        serde_json::to_vec(object).map(Self).map_err(|error| StoreError::Other(error.into()))
    }

    pub(super) fn parse<T: DeserializeOwned>(&self) -> Result<T, Cause> {
        Ok(serde_json::from_slice(&self.0)?)
    }
}

impl FromSql<Jsonb, Pg> for Json {
    fn from_sql(value: PgValue<'_>) -> deserialize::Result<Self> {
        match value.as_bytes() {
            [JSONB_VERSION, text @ ..] => Ok(Self(text.to_vec())),
            _ => Err("jsonb in a format that is not known".into()),
        }
    }
}

impl ToSql<Jsonb, Pg> for Json {
    fn to_sql<'b>(&'b self, out: &mut Output<'b, '_, Pg>) -> serialize::Result {
        use std::io::Write;
        out.write_all(&[JSONB_VERSION])?;
        out.write_all(&self.0)?;
        Ok(IsNull::No)
    }
}

/// A time as PostgreSQL keeps it.
type Time = jiff_diesel::Timestamp;

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = schema::shop, check_for_backend(Pg))]
pub(super) struct ShopRow {
    pub(super) id: String,
    display_name: String,
    settings: Json,
    default_link: String,
    pub(super) revision: i64,
    created_at: Time,
    updated_at: Time,
    deleted_at: Option<Time>,
}

#[derive(Queryable, Selectable)]
#[diesel(table_name = schema::program, check_for_backend(Pg))]
pub(super) struct ProgramRow {
    shop: String,
    id: String,
    display_name: String,
    revision: i64,
    created_at: Time,
    updated_at: Time,
    deleted_at: Option<Time>,
}

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = schema::partner, check_for_backend(Pg))]
pub(super) struct PartnerRow {
    pub(super) shop: String,
    pub(super) code: String,
    aliases: Vec<String>,
    display_name: String,
    program: Option<String>,
    tags: Vec<String>,
    active: bool,
    pub(super) revision: i64,
    created_at: Time,
    updated_at: Time,
    deleted_at: Option<Time>,
}

#[derive(Queryable, Selectable, QueryableByName)]
#[diesel(table_name = schema::link, check_for_backend(Pg))]
pub(super) struct LinkRow {
    pub(super) shop: String,
    pub(super) slug: String,
    is_default: bool,
    display_name: String,
    description: String,
    tags: Vec<String>,
    pub(super) state: String,
    pub(super) shared_with_everyone: bool,
    shared_partners: i32,
    shared_programs: i32,
    routing: Json,
    pub(super) revision: i64,
    created_at: Time,
    updated_at: Time,
    deleted_at: Option<Time>,
}

/// What an index needs of a link, in as few columns.
#[derive(QueryableByName)]
#[diesel(table_name = schema::link, check_for_backend(Pg))]
pub(super) struct FeedLinkRow {
    pub(super) shop: String,
    pub(super) slug: String,
    pub(super) state: String,
    pub(super) shared_with_everyone: bool,
    pub(super) routing: Json,
    pub(super) revision: i64,
    #[diesel(sql_type = Array<Text>)]
    pub(super) shares: Vec<String>,
    /// What is pending, if something is.
    #[diesel(sql_type = Nullable<BigInt>)]
    pub(super) publish: Option<i64>,
    #[diesel(sql_type = Nullable<Timestamptz>)]
    pub(super) effective_at: Option<Time>,
    #[diesel(sql_type = Nullable<Jsonb>)]
    pub(super) ahead: Option<Json>,
}

/// The names that a link is shared with, each after its kind and a colon, in order.
pub(super) const SHARES: &str = "CASE WHEN link.shared_with_everyone THEN '{}' ELSE ARRAY(
    SELECT share.kind || ':' || share.name FROM link_share AS share
    WHERE share.shop = link.shop AND share.slug = link.slug ORDER BY share.kind, share.name) END";

/// The kinds of names that links hold.
pub(super) const PARTNER: &str = "partner";
pub(super) const PROGRAM: &str = "program";
pub(super) const HOST: &str = "host";

/// Reads the sharing of a link from its names.
pub(super) fn sharing(everyone: bool, shares: &[String]) -> Result<Sharing, Cause> {
    if everyone {
        return Ok(Sharing::Everyone);
    }
    let (mut partners, mut programs) = (Vec::new(), Vec::new());
    for share in shares {
        match share.split_once(':') {
            Some((PARTNER, code)) => partners.push(PartnerCode::parse(code)?),
            Some((PROGRAM, id)) => programs.push(ProgramId::parse(id)?),
            Some(_) | None => {
                return Err(format!("`{share}` is no name of whom a link is shared with").into());
            }
        }
    }
    // Stored once and read in the order of the codes: nothing is left to sort.
    Ok(Sharing::Selected { partners, programs })
}

/// Reads the state of a link.
pub(super) fn state(text: &str) -> Result<LinkState, Cause> {
    match text {
        "active" => Ok(LinkState::Active),
        "paused" => Ok(LinkState::Paused),
        "deleted" => Ok(LinkState::Deleted),
        other => Err(format!("`{other}` is no state of a link").into()),
    }
}

/// Writes the state of a link.
pub(super) fn state_text(state: LinkState) -> &'static str {
    match state {
        LinkState::Active => "active",
        LinkState::Paused => "paused",
        LinkState::Deleted => "deleted",
    }
}

impl FeedLinkRow {
    pub(super) fn routing<T: DeserializeOwned>(&self) -> Result<T, Cause> {
        self.routing.parse()
    }
}

/// Says which object does not parse.
pub(super) fn corrupt(kind: Kind, shop: &str, key: &str) -> impl FnOnce(Cause) -> StoreError + use<> {
    let object = if key.is_empty() { format!("{kind} `{shop}`") } else { format!("{kind} `{shop}/{key}`") };
    move |cause| StoreError::Corrupt { object, cause }
}

fn tags(tags: &[String]) -> Result<Vec<Tag>, Problem> {
    tags.iter().map(|tag| Tag::parse(tag)).collect()
}

fn time(time: Time) -> Timestamp {
    time.to_jiff()
}

impl ShopRow {
    pub(super) fn parse(self) -> Result<StoredShop, Cause> {
        let shop = Shop {
            id: ShopId::parse(&self.id)?,
            display_name: DisplayName::parse(&self.display_name)?,
            settings: self.settings.parse()?,
        };
        let stored = Stored {
            value: shop,
            revision: Revision(self.revision),
            create_time: time(self.created_at),
            update_time: time(self.updated_at),
            delete_time: self.deleted_at.map(time),
        };
        Ok(StoredShop { stored, default_link: Slug::parse(&self.default_link)? })
    }

    pub(super) fn read(self) -> Result<StoredShop, StoreError> {
        let name = corrupt(Kind::Shop, &self.id, "");
        self.parse().map_err(name)
    }
}

impl ProgramRow {
    pub(super) fn read(self) -> Result<Stored<Program>, StoreError> {
        let name = corrupt(Kind::Program, &self.shop, &self.id);
        self.parse().map_err(name)
    }

    fn parse(self) -> Result<Stored<Program>, Cause> {
        let program = Program {
            shop: ShopId::parse(&self.shop)?,
            id: ProgramId::parse(&self.id)?,
            display_name: DisplayName::parse(&self.display_name)?,
        };
        Ok(Stored {
            value: program,
            revision: Revision(self.revision),
            create_time: time(self.created_at),
            update_time: time(self.updated_at),
            delete_time: self.deleted_at.map(time),
        })
    }
}

impl PartnerRow {
    pub(super) fn read(self) -> Result<Stored<Partner>, StoreError> {
        let name = corrupt(Kind::Partner, &self.shop, &self.code);
        self.parse().map_err(name)
    }

    pub(super) fn parse(self) -> Result<Stored<Partner>, Cause> {
        let partner = Partner {
            shop: ShopId::parse(&self.shop)?,
            code: PartnerCode::parse(&self.code)?,
            aliases: self.aliases.iter().map(|alias| PartnerCode::parse(alias)).collect::<Result<_, _>>()?,
            display_name: DisplayName::parse(&self.display_name)?,
            program: self.program.as_deref().map(ProgramId::parse).transpose()?,
            tags: tags(&self.tags)?,
            active: self.active,
        };
        Ok(Stored {
            value: partner,
            revision: Revision(self.revision),
            create_time: time(self.created_at),
            update_time: time(self.updated_at),
            delete_time: self.deleted_at.map(time),
        })
    }
}

impl LinkRow {
    /// Reads the link with the names of those it is shared with, and its golden clicks.
    pub(super) fn read(self, shares: &[String], golden_clicks: &Json) -> Result<Stored<Link>, StoreError> {
        let name = corrupt(Kind::Link, &self.shop, &self.slug);
        let read = || {
            let sharing = sharing(self.shared_with_everyone, shares)?;
            let Stored { value, revision, create_time, update_time, delete_time } = self.parse_listed()?;
            let link = Link {
                shop: value.shop,
                slug: value.slug,
                is_default: value.is_default,
                display_name: value.display_name,
                description: value.description,
                tags: value.tags,
                state: value.state,
                sharing,
                routing: value.routing,
                golden_clicks: golden_clicks.parse()?,
            };
            Ok(Stored { value: link, revision, create_time, update_time, delete_time })
        };
        read().map_err(name)
    }

    pub(super) fn read_listed(self) -> Result<Stored<ListedLink>, StoreError> {
        let name = corrupt(Kind::Link, &self.shop, &self.slug);
        self.parse_listed().map_err(name)
    }

    fn parse_listed(self) -> Result<Stored<ListedLink>, Cause> {
        let link = ListedLink {
            shop: ShopId::parse(&self.shop)?,
            slug: Slug::parse(&self.slug)?,
            is_default: self.is_default,
            display_name: DisplayName::parse(&self.display_name)?,
            description: Description::parse(&self.description)?,
            tags: tags(&self.tags)?,
            state: state(&self.state)?,
            sharing: SharingSummary {
                everyone: self.shared_with_everyone,
                partners: self.shared_partners.try_into()?,
                programs: self.shared_programs.try_into()?,
            },
            routing: self.routing.parse()?,
        };
        Ok(Stored {
            value: link,
            revision: Revision(self.revision),
            create_time: time(self.created_at),
            update_time: time(self.updated_at),
            delete_time: self.deleted_at.map(time),
        })
    }
}
