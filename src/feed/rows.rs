//! Rows of the database as records of the index.

use crate::{
    domain::{fingerprint::IndexedKind, name::Slug},
    index::{PartnerState, PendingLink, Record},
    store::FeedRow,
};

/// Makes the record of a row; nothing for an object that cannot be read and that the index has no place to name.
pub(super) fn record(row: FeedRow) -> Option<Record> {
    Some(match row {
        FeedRow::Shop(shop) => Record::Shop {
            shop: shop.stored.value.id,
            revision: shop.stored.revision,
            settings: shop.stored.delete_time.is_none().then_some(shop.stored.value.settings),
            default_link: shop.default_link,
        },
        FeedRow::Partner(stored) => {
            let partner = stored.value;
            let state = PartnerState {
                aliases: partner.aliases,
                program: partner.program,
                tags: partner.tags,
                active: partner.active,
            };
            Record::Partner {
                shop: partner.shop,
                code: partner.code,
                revision: stored.revision,
                state: stored.delete_time.is_none().then_some(state),
            }
        }
        FeedRow::Link(link) => Record::Link {
            shop: link.shop,
            slug: link.slug,
            revision: link.revision,
            state: link.state,
            sharing: link.sharing,
            routing: link.routing,
            pending: link.pending.map(|ahead| {
                Box::new(PendingLink {
                    revision: ahead.revision,
                    effective_time: ahead.effective_time,
                    sharing: ahead.sharing,
                    routing: ahead.routing,
                })
            }),
        },
        FeedRow::Unreadable { kind, shop, key, revision, problem } => {
            tracing::error!(
                shop.id = %shop, object.kind = kind.as_str(), object.key = key, revision = revision.0, problem,
                "an object cannot be read, its last good form stays in use",
            );
            let slug = (kind == IndexedKind::Link).then(|| Slug::parse(&key).ok()).flatten()?;
            Record::BrokenLink { shop, slug, revision, problem }
        }
    })
}
