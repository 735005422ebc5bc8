//! Programs and partners.

use super::{
    Path,
    link::put,
    mask::{Fields, Table},
    take, texts,
};
use crate::{
    domain::{
        fault::Faults,
        name::{DisplayName, PartnerCode, ProgramId, ShopId, Tag},
        partner::{Partner, Program},
    },
    proto,
};

/// The fields of a program.
pub const PROGRAM_FIELDS: Table<proto::Program> = Table {
    object: "program",
    writable: &[("display_name", |program| !program.display_name.is_empty())],
    keys: &["shop", "id"],
    output_only: &["etag", "revision", "create_time", "update_time", "delete_time"],
};

/// The fields of a partner.
pub const FIELDS: Table<proto::Partner> = Table {
    object: "partner",
    writable: &[
        ("aliases", |partner| !partner.aliases.is_empty()),
        ("display_name", |partner| !partner.display_name.is_empty()),
        ("program", |partner| !partner.program.is_empty()),
        ("tags", |partner| !partner.tags.is_empty()),
        ("active", |partner| partner.active.is_some()),
    ],
    keys: &["shop", "code"],
    output_only: &["etag", "revision", "create_time", "update_time", "delete_time"],
};

/// New values of some fields of a program; `None` = the field stays as it is.
#[derive(Clone, Debug, Default)]
pub struct ProgramEdit {
    display_name: Option<DisplayName>,
}

impl ProgramEdit {
    /// Reads the fields that are written.
    pub fn read(wire: &proto::Program, fields: &Fields, path: &Path<'_>, faults: &mut Faults) -> Self {
        let parse = || DisplayName::parse(&wire.display_name);
        let written = fields.has("display_name");
        Self {
            display_name: written
                .then(parse)
                .and_then(|name| take(name, &path.field("display_name"), faults)),
        }
    }

    /// Makes a new program; `None` if something that it needs was at fault.
    pub fn create(self, shop: ShopId, id: ProgramId) -> Option<Program> {
        Some(Program { shop, id, display_name: self.display_name? })
    }

    /// Writes the new values into a program.
    pub fn apply(&self, program: &mut Program) {
        put(&self.display_name, &mut program.display_name);
    }
}

/// New values of some fields of a partner; `None` = the field stays as it is.
#[derive(Clone, Debug, Default)]
pub struct PartnerEdit {
    aliases: Option<Vec<PartnerCode>>,
    display_name: Option<DisplayName>,
    program: Option<Option<ProgramId>>,
    tags: Option<Vec<Tag>>,
    active: Option<bool>,
}

impl PartnerEdit {
    /// Reads the fields that are written.
    pub fn read(wire: &proto::Partner, fields: &Fields, path: &Path<'_>, faults: &mut Faults) -> Self {
        let mut edit = Self::default();
        if fields.has("aliases") {
            edit.aliases = texts(&wire.aliases, &path.field("aliases"), faults, PartnerCode::parse);
        }
        if fields.has("display_name") {
            let parsed = DisplayName::parse(&wire.display_name);
            edit.display_name = take(parsed, &path.field("display_name"), faults);
        }
        if fields.has("program") {
            edit.program = match wire.program.as_str() {
                "" => Some(None),
                id => take(ProgramId::parse(id), &path.field("program"), faults).map(Some),
            };
        }
        if fields.has("tags") {
            edit.tags = texts(&wire.tags, &path.field("tags"), faults, Tag::parse);
        }
        if fields.has("active") {
            edit.active = Some(wire.active.unwrap_or(true));
        }
        edit
    }

    /// Makes a new partner; `None` if something that it needs was at fault.
    pub fn create(self, shop: ShopId, code: PartnerCode) -> Option<Partner> {
        Some(Partner {
            shop,
            code,
            aliases: self.aliases?,
            display_name: self.display_name?,
            program: self.program?,
            tags: self.tags?,
            active: self.active?,
        })
    }

    /// Writes the new values into a partner.
    pub fn apply(&self, partner: &mut Partner) {
        put(&self.aliases, &mut partner.aliases);
        put(&self.display_name, &mut partner.display_name);
        put(&self.program, &mut partner.program);
        put(&self.tags, &mut partner.tags);
        put(&self.active, &mut partner.active);
    }
}

/// Writes a program, without what only its row knows: revision, etag and times.
pub fn write_program(program: &Program) -> proto::Program {
    proto::Program {
        shop: program.shop.to_string(),
        id: program.id.to_string(),
        display_name: program.display_name.as_str().to_owned(),
        ..proto::Program::default()
    }
}

/// Writes a partner, without what only its row knows: revision, etag and times.
pub fn write(partner: &Partner) -> proto::Partner {
    proto::Partner {
        shop: partner.shop.to_string(),
        code: partner.code.to_string(),
        aliases: partner.aliases.iter().map(PartnerCode::to_string).collect(),
        display_name: partner.display_name.as_str().to_owned(),
        program: partner.program.as_ref().map(ProgramId::to_string).unwrap_or_default(),
        tags: partner.tags.iter().map(Tag::to_string).collect(),
        active: Some(partner.active),
        ..proto::Partner::default()
    }
}
