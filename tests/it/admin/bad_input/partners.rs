//! Programs and partners.

use smartlinks::proto::{self, move_partners_request::Who};
use tonic::Code;

use super::{
    Case,
    requests::{case, create_partner, create_program, many, move_partners, program},
};
use crate::admin::fixture::{mask, partner};

pub(super) fn all() -> Vec<Case> {
    vec![
        case(
            "program without a shop",
            create_program(|program| program.shop.clear()),
            Code::InvalidArgument,
            "REQUIRED",
            "program.shop",
        ),
        case(
            "program of no shop",
            create_program(|program| program.shop = "nope".into()),
            Code::NotFound,
            "SHOP_NOT_FOUND",
            "",
        ),
        case(
            "program id with a dot",
            create_program(|program| program.id = "a.b".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "program.id",
        ),
        case(
            "program without a name",
            create_program(|program| program.display_name = "  ".into()),
            Code::InvalidArgument,
            "REQUIRED",
            "program.display_name",
        ),
        case(
            "program id taken",
            create_program(|program| program.id = "gold".into()),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "program.id",
        ),
        case(
            "no such program",
            proto::GetProgramRequest { shop: "acme".into(), id: "tin".into() }.into(),
            Code::NotFound,
            "PROGRAM_NOT_FOUND",
            "",
        ),
        case(
            "program in use",
            proto::DeleteProgramRequest { shop: "acme".into(), id: "gold".into(), ..Default::default() }
                .into(),
            Code::FailedPrecondition,
            "IN_USE",
            "",
        ),
        case(
            "update of a program names a state",
            proto::UpdateProgramRequest {
                program: Some(program("gold")),
                update_mask: mask(&["state"]),
                ..Default::default()
            }
            .into(),
            Code::InvalidArgument,
            "UNKNOWN_FIELD",
            "update_mask.paths[0]",
        ),
        case(
            "stale etag of a program",
            proto::UpdateProgramRequest {
                program: Some(proto::Program { etag: "\"r1\"".into(), ..program("gold") }),
                ..Default::default()
            }
            .into(),
            Code::Aborted,
            "STALE_ETAG",
            "",
        ),
        case(
            "partner code in capitals",
            create_partner(|partner| partner.code = "Dora".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "partner.code",
        ),
        case(
            "partner code with a slash",
            create_partner(|partner| partner.code = "do/ra".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "partner.code",
        ),
        case(
            "partner code that ends in a dot",
            create_partner(|partner| partner.code = "dora.".into()),
            Code::InvalidArgument,
            "MALFORMED",
            "partner.code",
        ),
        case(
            "partner code missing",
            create_partner(|partner| partner.code.clear()),
            Code::InvalidArgument,
            "REQUIRED",
            "partner.code",
        ),
        case(
            "partner of no shop",
            create_partner(|partner| partner.shop = "nope".into()),
            Code::NotFound,
            "SHOP_NOT_FOUND",
            "",
        ),
        case(
            "partner code taken",
            create_partner(|partner| partner.code = "anna".into()),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "partner.code",
        ),
        case(
            "partner code was an alias",
            create_partner(|partner| partner.code = "carl-old".into()),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "partner.code",
        ),
        case(
            "partner code of a deleted partner",
            create_partner(|partner| partner.code = "gone".into()),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "partner.code",
        ),
        case(
            "alias is another partner's code",
            create_partner(|partner| partner.aliases = vec!["d".into(), "bert".into()]),
            Code::AlreadyExists,
            "ALREADY_EXISTS",
            "partner.aliases[1]",
        ),
        case(
            "alias is the code",
            create_partner(|partner| partner.aliases = vec!["dora".into()]),
            Code::InvalidArgument,
            "DUPLICATE",
            "partner.aliases[0]",
        ),
        case(
            "alias twice",
            create_partner(|partner| partner.aliases = vec!["d".into(), "d".into()]),
            Code::InvalidArgument,
            "DUPLICATE",
            "partner.aliases[1]",
        ),
        case(
            "alias with white space",
            create_partner(|partner| partner.aliases = vec!["d d".into()]),
            Code::InvalidArgument,
            "MALFORMED",
            "partner.aliases[0]",
        ),
        case(
            "too many aliases",
            create_partner(|partner| partner.aliases = many(21, |at| format!("d{at}"))),
            Code::InvalidArgument,
            "TOO_LONG",
            "partner.aliases",
        ),
        case(
            "partner in no such program",
            create_partner(|partner| partner.program = "tin".into()),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "partner.program",
        ),
        case(
            "partner tag in capitals",
            create_partner(|partner| partner.tags = vec!["VIP".into()]),
            Code::InvalidArgument,
            "MALFORMED",
            "partner.tags[0]",
        ),
        case(
            "partner tag twice",
            create_partner(|partner| partner.tags = vec!["vip".into(), "vip".into()]),
            Code::InvalidArgument,
            "DUPLICATE",
            "partner.tags[1]",
        ),
        case(
            "too many partner tags",
            create_partner(|partner| partner.tags = many(51, |at| format!("t{at}"))),
            Code::InvalidArgument,
            "TOO_LONG",
            "partner.tags",
        ),
        case(
            "no such partner",
            proto::GetPartnerRequest { shop: "acme".into(), code: "nope".into() }.into(),
            Code::NotFound,
            "PARTNER_NOT_FOUND",
            "",
        ),
        case(
            "deleted partner",
            proto::GetPartnerRequest { shop: "acme".into(), code: "gone".into() }.into(),
            Code::NotFound,
            "PARTNER_NOT_FOUND",
            "",
        ),
        case(
            "update of a partner by an alias",
            proto::UpdatePartnerRequest { partner: Some(partner("carl-old", "")), ..Default::default() }
                .into(),
            Code::InvalidArgument,
            "IMMUTABLE",
            "partner.code",
        ),
        case(
            "update of a partner changes the code",
            proto::UpdatePartnerRequest {
                partner: Some(partner("ANNA", "gold")),
                update_mask: mask(&["code"]),
                ..Default::default()
            }
            .into(),
            Code::InvalidArgument,
            "IMMUTABLE",
            "partner.code",
        ),
        case(
            "partners filtered by a bad tag",
            proto::ListPartnersRequest { shop: "acme".into(), tag: "v i p".into(), ..Default::default() }
                .into(),
            Code::InvalidArgument,
            "MALFORMED",
            "tag",
        ),
        case(
            "search for a novel",
            proto::ListPartnersRequest { shop: "acme".into(), search: "x".repeat(513), ..Default::default() }
                .into(),
            Code::InvalidArgument,
            "TOO_LONG",
            "search",
        ),
        case("move of nobody", move_partners(None, "gold"), Code::InvalidArgument, "REQUIRED", "partners"),
        case(
            "move of no codes",
            move_partners(Some(Who::Partners(proto::PartnerCodes { codes: vec![] })), "gold"),
            Code::InvalidArgument,
            "REQUIRED",
            "partners.codes",
        ),
        case(
            "move of too many",
            move_partners(
                Some(Who::Partners(proto::PartnerCodes { codes: many(10_001, |at| format!("p{at}")) })),
                "gold",
            ),
            Code::InvalidArgument,
            "TOO_LONG",
            "partners.codes",
        ),
        case(
            "move of someone unknown",
            move_partners(Some(Who::Partners(proto::PartnerCodes { codes: vec!["nope".into()] })), "gold"),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "partners.codes[0]",
        ),
        case(
            "move to no such program",
            move_partners(Some(Who::Partners(proto::PartnerCodes { codes: vec!["anna".into()] })), "tin"),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "to_program",
        ),
        case(
            "move from no such program",
            move_partners(Some(Who::FromProgram("tin".into())), "gold"),
            Code::InvalidArgument,
            "UNKNOWN_REFERENCE",
            "from_program",
        ),
    ]
}
