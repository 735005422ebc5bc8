//! Creates and updates of links, one or many under one revision.

use std::{
    collections::HashMap,
    sync::{Arc, OnceLock},
};

use jiff::Timestamp;
use prost_types::FieldMask;

use super::{
    Faults, Path, Problem, Reason, check_etag,
    findings::{Idle, Review},
    golden::{self, Draft},
    links::{deleted, no_link},
    live_shop,
    refusals::Place,
    shops::new_put,
    sound,
    stamp::{Stamp, Stamped},
    warnings,
    writes::{References, Writer, blocking, retrying},
};
use crate::{
    domain::{
        fault::Fault,
        link::{Link, LinkState},
        name::{ShopId, Slug},
        revision::Revision,
        shop::ShopSettings,
    },
    proto::{self, Warning},
    rpc::{
        convert::{
            link::{FIELDS, LinkEdit, write},
            mask::Fields,
            take,
        },
        status::Failure,
    },
    store::{Committed, Expect, Put, Store, Stored, Write},
};

/// What became of a write.
pub(super) struct Written {
    pub(super) links: Vec<proto::Link>,
    pub(super) done: Option<Committed>,
    pub(super) warnings: Vec<Warning>,
}

/// A link that is to be made.
#[derive(Clone)]
pub(super) struct NewLink {
    /// Where it stands in the request.
    path: String,
    /// As the caller wrote it.
    wire: proto::Link,
    /// As it is meant.
    pub(super) link: Link,
}

impl NewLink {
    /// Reads a new link. In a batch the shop may be left out.
    pub(super) fn read(
        path: String,
        wire: proto::Link,
        batch: Option<&ShopId>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let root = Path::root(&path);
        let shop = match batch {
            Some(shop) => same_shop(&wire, shop, &root, faults),
            None => take(ShopId::parse(&wire.shop), &root.field("shop"), faults),
        };
        let slug = take(Slug::parse(&wire.slug), &root.field("slug"), faults);
        let edit = LinkEdit::read(&wire, &Fields::all(&FIELDS), &root, faults);
        let link = edit.create(shop?, slug?)?;
        Some(Self { path, wire, link })
    }
}

/// A change of a link.
pub(super) struct Change {
    /// Where it stands in the request.
    path: String,
    /// As the caller wrote it.
    wire: proto::Link,
    pub(super) slug: Slug,
    fields: Fields,
    edit: LinkEdit,
}

impl Change {
    /// Reads a change; `mask` comes with its path.
    pub(super) fn read(
        path: String,
        wire: proto::Link,
        (mask, mask_path): (Option<FieldMask>, String),
        shop: Option<&ShopId>,
        faults: &mut Faults,
    ) -> Option<Self> {
        let root = Path::root(&path);
        let mask = mask.as_ref();
        let fields = Fields::read(mask, &wire, &FIELDS, &Path::root(&mask_path), faults);
        let slug = take(Slug::fold(&wire.slug), &root.field("slug"), faults);
        let edit = LinkEdit::read(&wire, &fields, &root, faults);
        if let Some(shop) = shop.filter(|_| !wire.shop.is_empty()) {
            super::immutable_if_named(mask, "shop", &wire.shop, shop.as_str(), &root, faults);
        }
        let slug = slug?;
        super::immutable_if_named(mask, "slug", &wire.slug, slug.as_str(), &root, faults);
        Some(Self { path, wire, slug, fields, edit })
    }

    /// Makes the change.
    pub(super) fn apply(&self, link: &mut Link) {
        self.edit.apply(link);
    }

    /// Returns the link that it is of, if that is there and as the etag says.
    pub(super) fn editable(&self, row: Option<Stored<Link>>, shop: &ShopId) -> Result<Stored<Link>, Failure> {
        let row = row.ok_or_else(|| no_link(shop, &self.slug))?;
        if row.value.state == LinkState::Deleted {
            return Err(deleted(&self.slug));
        }
        check_etag(&self.wire.etag, row.revision, &format!("the link `{}`", self.slug))?;
        Ok(row)
    }

    /// Makes the change, and returns what is wrong then; paths are relative to the link.
    pub(super) fn edit(
        &self,
        link: &mut Link,
        settings: &ShopSettings,
        now: Timestamp,
        warnings: &mut Vec<Warning>,
    ) -> Faults {
        let before = link.check(settings);
        self.edit.apply(link);
        warnings.extend(warnings::of_link(link, &self.path, now));
        let mut new = Faults::new();
        for fault in link.check(settings).iter() {
            // A shop's change may have left destinations behind: a write of other fields is not at fault.
            if !self.fields.has(top_field(&fault.path)) && before.iter().any(|old| old == fault) {
                warnings.push(warnings::of_fault(&self.path, fault));
            } else {
                new.extend(Fault::clone(fault).into());
            }
        }
        new
    }
}

/// Checks that a link of a batch is of its shop, if it says one.
pub(super) fn same_shop(
    wire: &proto::Link,
    shop: &ShopId,
    path: &Path<'_>,
    faults: &mut Faults,
) -> Option<ShopId> {
    if !wire.shop.is_empty() && wire.shop != shop.as_str() {
        let text = format!("every link of the batch is of the shop `{shop}`");
        faults.add(path.field("shop").to_string(), Problem::new(Reason::Conflict, text));
        return None;
    }
    Some(shop.clone())
}

/// Makes new links: all of them or none.
pub(super) async fn create(
    store: &Store,
    writer: &Writer<'_>,
    shop: &ShopId,
    new: Vec<NewLink>,
) -> Result<Written, Failure> {
    let new: Arc<[NewLink]> = new.into();
    let look = async |settings| look_at_new(store, writer, shop, settings, &new).await;
    let seen = OnceLock::new();
    let prepare = async {
        let settings = live_shop(store, shop).await?.stored.value.settings;
        let (faults, warnings) = look(settings).await?;
        sound(Some(()), faults)?;
        seen.get_or_init(|| warnings);
        Ok(new.iter().map(|new| Put::Link(new_put(new.link.clone()))).collect())
    };
    let created_at = async {
        let Some(first) = new.first() else { return Ok(None) };
        Ok(store.get_link(shop, &first.link.slug).await?.map(|link| link.create_time))
    };
    let places: Vec<_> = new.iter().map(|new| Place::Link(&new.path, &new.wire)).collect();
    let done = writer.create(prepare, created_at, &places).await?;
    let warnings = match seen.into_inner() {
        Some(warnings) => warnings,
        // A repetition is answered like the first request, which was looked at.
        None => match store.get_shop(shop).await? {
            Some(shop) => look(shop.stored.value.settings).await?.1,
            None => Vec::new(),
        },
    };
    let links = new.iter().map(|new| write(&new.link).stamped(Stamp::new(done))).collect();
    Ok(Written { links, done, warnings })
}

/// Looks at new links, at their rules, and tries out their golden clicks: every fault of all three at once.
async fn look_at_new(
    store: &Store,
    writer: &Writer<'_>,
    shop: &ShopId,
    settings: ShopSettings,
    new: &Arc<[NewLink]>,
) -> Result<(Faults, Vec<Warning>), Failure> {
    let (checked, tried_by, idle) = (Arc::clone(new), settings.clone(), writer.idle());
    let looked = blocking(move || check_new(&checked, &settings, idle)).await?;
    let Looked { mut faults, mut warnings, drafts } = looked;
    warnings.extend(golden::try_out(store, shop, &tried_by, drafts, writer.golden(), &mut faults).await?);
    Ok((faults, warnings))
}

/// What was seen of links before their golden clicks are tried out.
#[derive(Default)]
struct Looked {
    faults: Faults,
    warnings: Vec<Warning>,
    /// Those that have golden clicks and can be asked.
    drafts: Vec<Draft>,
}

fn check_new(new: &[NewLink], settings: &ShopSettings, idle: Idle) -> Looked {
    let (mut looked, now) = (Looked::default(), Timestamp::now());
    let mut review = Review::new(settings, idle, now);
    for NewLink { path, link, .. } in new {
        looked.warnings.extend(warnings::of_link(link, path, now));
        let mut found = link.check(settings);
        if found.is_empty() {
            review.of(path, None, link, &mut found, &mut looked.warnings);
            looked.drafts.extend(Draft::of(path, link, now));
        }
        Path::root(path).adopt(found, &mut looked.faults);
    }
    looked
}

/// Changes links: all of them or none.
pub(super) async fn update(
    store: &Store,
    writer: &Writer<'_>,
    shop: &ShopId,
    changes: Vec<Change>,
) -> Result<Written, Failure> {
    let changes: Arc<[Change]> = changes.into();
    retrying(|| update_once(store, writer, shop, &changes)).await
}

async fn update_once(
    store: &Store,
    writer: &Writer<'_>,
    shop: &ShopId,
    changes: &Arc<[Change]>,
) -> Result<Written, Failure> {
    let settings = live_shop(store, shop).await?.stored.value.settings;
    let stored = read_all(store, shop, changes).await?;
    let (edit, tried_by, idle) = (Arc::clone(changes), settings.clone(), writer.idle());
    let time = writer.effective_time();
    let (links, looked) = blocking(move || edit_all(stored, &edit, &settings, idle, time)).await?;
    let Looked { mut faults, mut warnings, drafts } = looked;
    warnings.extend(golden::try_out(store, shop, &tried_by, drafts, writer.golden(), &mut faults).await?);
    sound(Some(()), faults)?;

    let puts = links.iter().map(|link| {
        let expect = Expect::Revision(link.revision);
        Put::Link(Write { value: link.value.clone(), expect, deleted: false })
    });
    let places: Vec<_> = changes.iter().map(|change| Place::Link(&change.path, &change.wire)).collect();
    let done = writer.commit(puts.collect(), References::Live, &places).await?;
    let stamp = |link: &Stored<Link>| match writer.is_ahead() {
        true => Stamp::default(),
        false => Stamp::of(link).after(done, false),
    };
    let links = links.iter().map(|link| write(&link.value).stamped(stamp(link)));
    Ok(Written { links: links.collect(), done, warnings })
}

/// A link as a change would leave it.
pub(super) struct Tried {
    pub(super) link: Link,
    /// The revision of the link that the change is of.
    pub(super) revision: Revision,
    pub(super) settings: ShopSettings,
    pub(super) warnings: Vec<Warning>,
}

/// Finds out what a change would make of a link.
pub(super) async fn try_out(store: &Store, shop: &ShopId, change: Change) -> Result<Tried, Failure> {
    let settings = live_shop(store, shop).await?.stored.value.settings;
    let Stored { value: mut link, revision, .. } =
        change.editable(store.get_link(shop, &change.slug).await?, shop)?;
    let work = move || {
        let (mut faults, mut warnings) = (Faults::new(), Vec::new());
        let new = change.edit(&mut link, &settings, Timestamp::now(), &mut warnings);
        Path::root(&change.path).adopt(new, &mut faults);
        (Tried { link, revision, settings, warnings }, faults)
    };
    let (tried, faults) = blocking(work).await?;
    sound(Some(tried), faults)
}

/// Reads the links that are changed, in the order of the changes; all of them are there and as their etags say.
async fn read_all(store: &Store, shop: &ShopId, changes: &[Change]) -> Result<Vec<Stored<Link>>, Failure> {
    let slugs: Vec<_> = changes.iter().map(|change| change.slug.clone()).collect();
    let rows = store.get_links(shop, &slugs).await?;
    let mut rows: HashMap<Slug, Stored<Link>> =
        rows.into_iter().map(|row| (row.value.slug.clone(), row)).collect();
    let in_order = changes.iter().map(|change| change.editable(rows.remove(&change.slug), shop));
    in_order.collect()
}

/// Makes the changes, and looks at what comes of them; `now` is when they take effect.
fn edit_all(
    mut links: Vec<Stored<Link>>,
    changes: &[Change],
    settings: &ShopSettings,
    idle: Idle,
    now: Timestamp,
) -> (Vec<Stored<Link>>, Looked) {
    let mut looked = Looked::default();
    let mut review = Review::new(settings, idle, now);
    for (link, change) in links.iter_mut().zip(changes) {
        let before = link.value.clone();
        let mut new = change.edit(&mut link.value, settings, now, &mut looked.warnings);
        if new.is_empty() {
            review.of(&change.path, Some(&before), &link.value, &mut new, &mut looked.warnings);
            looked.drafts.extend(Draft::of(&change.path, &link.value, now));
        }
        Path::root(&change.path).adopt(new, &mut looked.faults);
    }
    (links, looked)
}

/// Returns the field of the link that a path begins with.
fn top_field(path: &str) -> &str {
    path.split(['.', '[']).next().unwrap_or_default()
}
