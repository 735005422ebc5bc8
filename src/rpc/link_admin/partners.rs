//! Partners.

use std::collections::HashSet;

use super::{
    Faults, Path, Problem, Reason, check_etag, key, live_shop, may, message,
    pages::Page,
    programs::{forced, members, moved},
    refusals::Place,
    shops::new_put,
    sound,
    stamp::{Stamp, Stamped},
    writes::{References, Writer, read_comment, read_request_id, retrying, revision_of},
};
use crate::{
    domain::{
        limits,
        name::{PartnerCode, ProgramId, ShopId, Tag},
        partner::Partner,
        revision::Comment,
    },
    proto::{self, ErrorReason, move_partners_request::Who},
    rpc::{
        caller::Caller,
        convert::{
            mask::Fields,
            partner::{self, PartnerEdit},
            policy::at_most,
            take, texts,
        },
        status::Failure,
    },
    store::{Expect, PartnerFilter, Put, Reference, Store, Stored, Write},
};

pub(super) async fn create(
    store: &Store,
    caller: Caller,
    request: proto::CreatePartnerRequest,
) -> Result<proto::CreatePartnerResponse, Failure> {
    let mut rest = request.clone();
    let (id, validate_only) = (std::mem::take(&mut rest.request_id), std::mem::take(&mut rest.validate_only));
    let wire = message(request.partner, "partner")?;
    let mut faults = Faults::new();
    let key = read_request_id(&id, "CreatePartner", &rest, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let (partner, comment) = sound(read_new(&wire, &mut faults).zip(comment), faults)?;
    may(caller, &partner.shop)?;

    let answer = partner::write(&partner);
    let (shop, code) = (&partner.shop, &partner.code);
    let created_at = async { Ok(store.get_partner(shop, code).await?.map(|partner| partner.create_time)) };
    let prepare = async {
        live_shop(store, shop).await?;
        Ok(vec![Put::Partner(new_put(partner.clone()))])
    };
    let writer = Writer::new(store, caller, validate_only, comment).repeatable(key);
    let done = writer.create(prepare, created_at, &[Place::Partner("partner", &wire)]).await?;
    let partner = Some(answer.stamped(Stamp::new(done)));
    Ok(proto::CreatePartnerResponse { partner, revision: revision_of(done), warnings: Vec::new() })
}

pub(super) async fn get(
    store: &Store,
    caller: Caller,
    request: proto::GetPartnerRequest,
) -> Result<proto::GetPartnerResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    let code = key(&request.code, PartnerCode::fold, "code")?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let partner = live_partner(store, &shop, &code).await?;
    Ok(proto::GetPartnerResponse { partner: Some(write_stored(&partner)) })
}

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListPartnersRequest,
) -> Result<proto::ListPartnersResponse, Failure> {
    let mut faults = Faults::new();
    let page =
        Page::read("partners", &request, |list| (&mut list.page_size, &mut list.page_token), &mut faults);
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let filter = read_filter(request, &mut faults);
    let read = page.zip(shop).zip(filter);
    let ((page, shop), filter) = sound(read, faults)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let (shop, filter) = (&shop, &filter);
    let read = |after: Option<PartnerCode>, limit| async move {
        Ok(store.list_partners(shop, filter, after.as_ref(), limit).await?)
    };
    let cursor = |row: &Stored<Partner>| row.value.code.clone();
    let (partners, next_page_token) = page.collect(read, cursor, |row| Some(write_stored(&row))).await?;
    Ok(proto::ListPartnersResponse { partners, next_page_token })
}

pub(super) async fn update(
    store: &Store,
    caller: Caller,
    request: proto::UpdatePartnerRequest,
) -> Result<proto::UpdatePartnerResponse, Failure> {
    let wire = message(request.partner, "partner")?;
    let (mut faults, path) = (Faults::new(), Path::root("partner"));
    let mask = request.update_mask.as_ref();
    let fields = Fields::read(mask, &wire, &partner::FIELDS, &Path::root("update_mask"), &mut faults);
    let edit = PartnerEdit::read(&wire, &fields, &path, &mut faults);
    let keys = read_keys(&wire, ShopId::fold, PartnerCode::fold, &mut faults);
    if let Some((shop, code)) = &keys {
        super::immutable_if_named(mask, "shop", &wire.shop, shop.as_str(), &path, &mut faults);
        super::immutable_if_named(mask, "code", &wire.code, code.as_str(), &path, &mut faults);
    }
    let comment = read_comment(&request.comment, &mut faults);
    let ((shop, code), comment) = sound(keys.zip(comment), faults)?;
    may(caller, &shop)?;
    let writer = Writer::new(store, caller, request.validate_only, comment);
    retrying(|| write_edit(store, &writer, (&shop, &code), &wire, &edit)).await
}

pub(super) async fn delete(
    store: &Store,
    caller: Caller,
    request: proto::DeletePartnerRequest,
) -> Result<proto::DeletePartnerResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    let code = key(&request.code, PartnerCode::fold, "code")?;
    let comment = key(&request.comment, Comment::parse, "comment")?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let writer = Writer::new(store, caller, request.validate_only, comment);
    retrying(|| write_delete(store, &writer, (&shop, &code), &request)).await
}

pub(super) async fn move_all(
    store: &Store,
    caller: Caller,
    request: proto::MovePartnersRequest,
) -> Result<proto::MovePartnersResponse, Failure> {
    let Move { shop, who, to, comment } = read_move(&request)?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let writer = Writer::new(store, caller, request.validate_only, comment);
    retrying(|| async {
        let mut partners = find_movers(store, &shop, &who).await?;
        partners.retain(|partner| partner.value.program != to);
        let moved_count = i32::try_from(partners.len()).unwrap_or(i32::MAX);
        let puts: Vec<_> = partners.into_iter().map(|it| Put::Partner(moved(it, to.as_ref()))).collect();
        let done = match puts.is_empty() {
            true => None,
            false => writer.commit(puts, References::Live, &[Place::Names("to_program")]).await?,
        };
        Ok(proto::MovePartnersResponse { moved: moved_count, revision: revision_of(done) })
    })
    .await
}

/// Edits, checks and writes a partner once.
async fn write_edit(
    store: &Store,
    writer: &Writer<'_>,
    (shop, code): (&ShopId, &PartnerCode),
    wire: &proto::Partner,
    edit: &PartnerEdit,
) -> Result<proto::UpdatePartnerResponse, Failure> {
    live_shop(store, shop).await?;
    let stored = live_partner(store, shop, code).await?;
    by_code(&stored.value, code, "partner.code")?;
    check_etag(&wire.etag, stored.revision, &format!("the partner `{code}`"))?;
    let stamp = Stamp::of(&stored);
    let mut partner = stored.value;
    edit.apply(&mut partner);
    let mut faults = Faults::new();
    Path::root("partner").adopt(partner.check(), &mut faults);
    sound(Some(()), faults)?;
    let answer = partner::write(&partner);
    let put = Write { value: partner, expect: Expect::Revision(stored.revision), deleted: false };
    let done =
        writer.commit(vec![Put::Partner(put)], References::Live, &[Place::Partner("partner", wire)]).await?;
    let partner = Some(answer.stamped(stamp.after(done, false)));
    Ok(proto::UpdatePartnerResponse { partner, revision: revision_of(done), warnings: Vec::new() })
}

/// Deletes a partner once.
async fn write_delete(
    store: &Store,
    writer: &Writer<'_>,
    (shop, code): (&ShopId, &PartnerCode),
    request: &proto::DeletePartnerRequest,
) -> Result<proto::DeletePartnerResponse, Failure> {
    let name = format!("the partner `{code}`");
    let stored = live_partner(store, shop, code).await?;
    by_code(&stored.value, code, "code")?;
    check_etag(&request.etag, stored.revision, &name)?;
    let stamp = Stamp::of(&stored);
    let answer = partner::write(&stored.value);
    let put = Write { value: stored.value, expect: Expect::Revision(stored.revision), deleted: true };
    let (mut warnings, mut references) = (Vec::new(), References::Live);
    if request.force {
        references = References::MayBeMissing;
        warnings = forced(store, shop, Reference::Partner(code.clone())).await?;
    }
    let done = writer.commit(vec![Put::Partner(put)], references, &[Place::Named(&name)]).await?;
    let partner = Some(answer.stamped(stamp.after(done, true)));
    Ok(proto::DeletePartnerResponse { partner, revision: revision_of(done), warnings })
}

/// Who is moved.
enum Movers {
    Codes(Vec<PartnerCode>),
    Program(ProgramId),
}

/// Who is moved where, and why.
struct Move {
    shop: ShopId,
    who: Movers,
    to: Option<ProgramId>,
    comment: Comment,
}

fn read_move(request: &proto::MovePartnersRequest) -> Result<Move, Failure> {
    let mut faults = Faults::new();
    let shop = take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let to = match request.to_program.as_str() {
        "" => Some(None),
        id => take(ProgramId::fold(id), &Path::root("to_program"), &mut faults).map(Some),
    };
    let who = match &request.who {
        Some(Who::Partners(partners)) => read_codes(&partners.codes, &mut faults).map(Movers::Codes),
        Some(Who::FromProgram(id)) => {
            take(ProgramId::fold(id), &Path::root("from_program"), &mut faults).map(Movers::Program)
        }
        None => {
            faults.add("partners", Problem::required("`partners` or `from_program`"));
            None
        }
    };
    let comment = read_comment(&request.comment, &mut faults);
    let read = shop.zip(who).zip(to).zip(comment);
    let read = read.map(|(((shop, who), to), comment)| Move { shop, who, to, comment });
    sound(read, faults)
}

fn read_codes(codes: &[String], faults: &mut Faults) -> Option<Vec<PartnerCode>> {
    let partners = Path::root("partners");
    let path = partners.field("codes");
    if codes.is_empty() {
        faults.add(path.to_string(), Problem::required("a partner code"));
    }
    at_most(codes.len(), limits::MOVED_PARTNERS, &path, faults);
    texts(codes, &path, faults, PartnerCode::fold)
}

/// Reads those who are moved; all of them are there.
async fn find_movers(store: &Store, shop: &ShopId, who: &Movers) -> Result<Vec<Stored<Partner>>, Failure> {
    let codes = match who {
        Movers::Codes(codes) => codes,
        Movers::Program(program) => {
            let found = store.get_program(shop, program).await?;
            if found.is_none_or(|found| found.delete_time.is_some()) {
                let text = format!("the program `{program}` does not exist, or is deleted");
                return Err(Problem::new(Reason::UnknownReference, text).at("from_program").into());
            }
            let reference = Reference::Program(program.clone());
            let count = store.references_of(shop, &reference).await?.partner_count;
            if count > limits::MOVED_PARTNERS {
                let most = limits::MOVED_PARTNERS;
                let text = format!(
                    "the program `{program}` has {count} partners, and one call moves {most} at most; name the \
                     partners in several calls"
                );
                return Err(Problem::new(Reason::TooLong, text).at("from_program").into());
            }
            return members(store, shop, program).await;
        }
    };
    let mut found = store.get_partners(shop, codes).await?;
    found.retain(|partner| partner.delete_time.is_none());
    let mut faults = Faults::new();
    let there: HashSet<&PartnerCode> = found.iter().map(|partner| &partner.value.code).collect();
    for (at, code) in codes.iter().enumerate() {
        if !there.contains(code) {
            let text = format!("the partner `{code}` does not exist, or is deleted");
            faults.add(format!("partners.codes[{at}]"), Problem::new(Reason::UnknownReference, text));
        }
    }
    sound(Some(found), faults)
}

fn read_new(wire: &proto::Partner, faults: &mut Faults) -> Option<Partner> {
    let path = Path::root("partner");
    let keys = read_keys(wire, ShopId::parse, PartnerCode::parse, faults);
    let edit = PartnerEdit::read(wire, &Fields::all(&partner::FIELDS), &path, faults);
    let (shop, code) = keys?;
    let partner = edit.create(shop, code)?;
    path.adopt(partner.check(), faults);
    Some(partner)
}

fn read_keys(
    wire: &proto::Partner,
    shop: fn(&str) -> Result<ShopId, Problem>,
    code: fn(&str) -> Result<PartnerCode, Problem>,
    faults: &mut Faults,
) -> Option<(ShopId, PartnerCode)> {
    let path = Path::root("partner");
    let shop = take(shop(&wire.shop), &path.field("shop"), faults);
    let code = take(code(&wire.code), &path.field("code"), faults);
    shop.zip(code)
}

fn read_filter(request: proto::ListPartnersRequest, faults: &mut Faults) -> Option<PartnerFilter> {
    let program = match request.program.as_str() {
        "" => Some(None),
        id => take(ProgramId::fold(id), &Path::root("program"), faults).map(Some),
    };
    let tag = match request.tag.as_str() {
        "" => Some(None),
        tag => take(Tag::fold(tag), &Path::root("tag"), faults).map(Some),
    };
    let search = super::read_search(request.search, faults);
    Some(PartnerFilter { search: search?, program: program?, tag: tag?, show_deleted: request.show_deleted })
}

/// Reads a partner by code or alias.
pub(super) async fn live_partner(
    store: &Store,
    shop: &ShopId,
    code: &PartnerCode,
) -> Result<Stored<Partner>, Failure> {
    let partner = store.get_partner(shop, code).await?;
    partner.filter(|partner| partner.delete_time.is_none()).ok_or_else(|| {
        let text = format!("the shop `{shop}` has no partner `{code}`, or it is deleted");
        Failure::new(ErrorReason::PartnerNotFound, text).with("partner", code)
    })
}

/// Says that there never was such a partner.
pub(super) fn no_partner(shop: &ShopId, code: &PartnerCode) -> Failure {
    let text = format!("the shop `{shop}` has no partner `{code}`");
    Failure::new(ErrorReason::PartnerNotFound, text).with("partner", code)
}

/// Refuses to write a partner by an alias: it would look as if the code could change.
fn by_code(partner: &Partner, given: &PartnerCode, path: &str) -> Result<(), Failure> {
    if partner.code == *given {
        return Ok(());
    }
    let text = format!(
        "`{given}` is an alias of the partner `{}`, whose code never changes; write that",
        partner.code
    );
    Err(Problem::new(Reason::Immutable, text).at(path).into())
}

fn write_stored(row: &Stored<Partner>) -> proto::Partner {
    partner::write(&row.value).stamped(Stamp::of(row))
}
