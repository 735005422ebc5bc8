//! Programs.

use super::{
    Faults, Path, check_etag, key, live_shop, may, message,
    pages::Page,
    refusals::Place,
    shops::new_put,
    sound,
    stamp::{Stamp, Stamped},
    warnings,
    writes::{References, Writer, read_comment, read_request_id, retrying, revision_of},
};
use crate::{
    domain::{
        limits,
        name::{ProgramId, ShopId},
        partner::{Partner, Program},
        revision::Comment,
    },
    proto::{self, ErrorReason, Warning},
    rpc::{
        caller::Caller,
        convert::{
            mask::Fields,
            partner::{PROGRAM_FIELDS, ProgramEdit, write_program},
            take,
        },
        status::Failure,
    },
    store::{Expect, PartnerFilter, Put, Reference, Store, Stored, Write},
};

/// Partners that are read at once.
const CHUNK: usize = 1_000;

pub(super) async fn create(
    store: &Store,
    caller: Caller,
    request: proto::CreateProgramRequest,
) -> Result<proto::CreateProgramResponse, Failure> {
    let mut rest = request.clone();
    let (id, validate_only) = (std::mem::take(&mut rest.request_id), std::mem::take(&mut rest.validate_only));
    let wire = message(request.program, "program")?;
    let mut faults = Faults::new();
    let key = read_request_id(&id, "CreateProgram", &rest, &mut faults);
    let comment = read_comment(&request.comment, &mut faults);
    let (program, comment) = sound(read_new(&wire, &mut faults).zip(comment), faults)?;
    may(caller, &program.shop)?;

    let answer = write_program(&program);
    let (shop, id) = (&program.shop, &program.id);
    let created_at = async { Ok(store.get_program(shop, id).await?.map(|program| program.create_time)) };
    let prepare = async {
        live_shop(store, shop).await?;
        Ok(vec![Put::Program(new_put(program.clone()))])
    };
    let writer = Writer::new(store, caller, validate_only, comment).repeatable(key);
    let done = writer.create(prepare, created_at, &[Place::Named("program.id")]).await?;
    let program = Some(answer.stamped(Stamp::new(done)));
    Ok(proto::CreateProgramResponse { program, revision: revision_of(done), warnings: Vec::new() })
}

pub(super) async fn get(
    store: &Store,
    caller: Caller,
    request: proto::GetProgramRequest,
) -> Result<proto::GetProgramResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    let id = key(&request.id, ProgramId::fold, "id")?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let program = live_program(store, &shop, &id).await?;
    Ok(proto::GetProgramResponse { program: Some(write_stored(&program)) })
}

pub(super) async fn list(
    store: &Store,
    caller: Caller,
    request: proto::ListProgramsRequest,
) -> Result<proto::ListProgramsResponse, Failure> {
    let mut faults = Faults::new();
    let page =
        Page::read("programs", &request, |list| (&mut list.page_size, &mut list.page_token), &mut faults);
    let shop = &take(ShopId::fold(&request.shop), &Path::root("shop"), &mut faults);
    let (page, shop) = sound(page.zip(shop.as_ref()), faults)?;
    may(caller, shop)?;
    live_shop(store, shop).await?;
    let read = |after: Option<ProgramId>, limit| async move {
        Ok(store.list_programs(shop, after.as_ref(), limit, request.show_deleted).await?)
    };
    let cursor = |row: &Stored<Program>| row.value.id.clone();
    let (programs, next_page_token) = page.collect(read, cursor, |row| Some(write_stored(&row))).await?;
    Ok(proto::ListProgramsResponse { programs, next_page_token })
}

pub(super) async fn update(
    store: &Store,
    caller: Caller,
    request: proto::UpdateProgramRequest,
) -> Result<proto::UpdateProgramResponse, Failure> {
    let wire = message(request.program, "program")?;
    let (mut faults, path) = (Faults::new(), Path::root("program"));
    let mask = request.update_mask.as_ref();
    let fields = Fields::read(mask, &wire, &PROGRAM_FIELDS, &Path::root("update_mask"), &mut faults);
    let edit = ProgramEdit::read(&wire, &fields, &path, &mut faults);
    let keys = read_keys(&wire, ShopId::fold, ProgramId::fold, &mut faults);
    if let Some((shop, id)) = &keys {
        super::immutable_if_named(mask, "shop", &wire.shop, shop.as_str(), &path, &mut faults);
        super::immutable_if_named(mask, "id", &wire.id, id.as_str(), &path, &mut faults);
    }
    let comment = read_comment(&request.comment, &mut faults);
    let ((shop, id), comment) = sound(keys.zip(comment), faults)?;
    may(caller, &shop)?;
    let writer = Writer::new(store, caller, request.validate_only, comment);
    retrying(|| write_edit(store, &writer, (&shop, &id), &wire.etag, &edit)).await
}

pub(super) async fn delete(
    store: &Store,
    caller: Caller,
    request: proto::DeleteProgramRequest,
) -> Result<proto::DeleteProgramResponse, Failure> {
    let shop = key(&request.shop, ShopId::fold, "shop")?;
    let id = key(&request.id, ProgramId::fold, "id")?;
    let comment = key(&request.comment, Comment::parse, "comment")?;
    may(caller, &shop)?;
    live_shop(store, &shop).await?;
    let writer = Writer::new(store, caller, request.validate_only, comment);
    retrying(|| write_delete(store, &writer, (&shop, &id), &request)).await
}

/// Edits and writes a program once.
async fn write_edit(
    store: &Store,
    writer: &Writer<'_>,
    (shop, id): (&ShopId, &ProgramId),
    etag: &str,
    edit: &ProgramEdit,
) -> Result<proto::UpdateProgramResponse, Failure> {
    live_shop(store, shop).await?;
    let stored = live_program(store, shop, id).await?;
    check_etag(etag, stored.revision, &format!("the program `{id}`"))?;
    let stamp = Stamp::of(&stored);
    let mut program = stored.value;
    edit.apply(&mut program);
    let answer = write_program(&program);
    let put = Write { value: program, expect: Expect::Revision(stored.revision), deleted: false };
    let done = writer.commit(vec![Put::Program(put)], References::Live, &[Place::Named("program")]).await?;
    let program = Some(answer.stamped(stamp.after(done, false)));
    Ok(proto::UpdateProgramResponse { program, revision: revision_of(done), warnings: Vec::new() })
}

/// Deletes a program once; by force together with the membership of its partners.
async fn write_delete(
    store: &Store,
    writer: &Writer<'_>,
    (shop, id): (&ShopId, &ProgramId),
    request: &proto::DeleteProgramRequest,
) -> Result<proto::DeleteProgramResponse, Failure> {
    let name = format!("the program `{id}`");
    let stored = live_program(store, shop, id).await?;
    check_etag(&request.etag, stored.revision, &name)?;
    let stamp = Stamp::of(&stored);
    let answer = write_program(&stored.value);
    let put = Write { value: stored.value, expect: Expect::Revision(stored.revision), deleted: true };
    let (mut puts, mut warnings, mut references) = (vec![Put::Program(put)], Vec::new(), References::Live);
    if request.force {
        references = References::MayBeMissing;
        let by = store.references_of(shop, &Reference::Program(id.clone())).await?;
        if by.partner_count > limits::MOVED_PARTNERS {
            return Err(too_many_members(&name, by.partner_count));
        }
        warnings = warnings::of_references("force", &by);
        let members = members(store, shop, id).await?;
        puts.extend(members.into_iter().map(|member| Put::Partner(moved(member, None))));
    }
    let done = writer.commit(puts, references, &[Place::Named(&name)]).await?;
    let program = Some(answer.stamped(stamp.after(done, true)));
    Ok(proto::DeleteProgramResponse { program, revision: revision_of(done), warnings })
}

/// Refuses to write so many partners in one transaction, for which every other writer would wait.
fn too_many_members(name: &str, count: usize) -> Failure {
    let most = limits::MOVED_PARTNERS;
    let text = format!(
        "{name} has {count} partners, and force moves {most} out of it at most; move them first with MovePartners, \
         naming them in several calls"
    );
    Failure::new(ErrorReason::InUse, text).with("partners", count)
}

/// Returns the warnings of a forced delete.
pub(super) async fn forced(
    store: &Store,
    shop: &ShopId,
    reference: Reference,
) -> Result<Vec<Warning>, Failure> {
    let by = store.references_of(shop, &reference).await?;
    Ok(warnings::of_references("force", &by))
}

/// Reads every partner in a program.
pub(super) async fn members(
    store: &Store,
    shop: &ShopId,
    program: &ProgramId,
) -> Result<Vec<Stored<Partner>>, Failure> {
    let filter = PartnerFilter { program: Some(program.clone()), ..PartnerFilter::default() };
    let mut members: Vec<Stored<Partner>> = Vec::new();
    loop {
        let after = members.last().map(|last| &last.value.code);
        let rows = store.list_partners(shop, &filter, after, CHUNK).await?;
        let is_last = rows.len() < CHUNK;
        members.extend(rows);
        if is_last {
            return Ok(members);
        }
    }
}

/// Puts a partner into another program, or into none.
pub(super) fn moved(partner: Stored<Partner>, to: Option<&ProgramId>) -> Write<Partner> {
    let value = Partner { program: to.cloned(), ..partner.value };
    Write { value, expect: Expect::Revision(partner.revision), deleted: false }
}

fn read_new(wire: &proto::Program, faults: &mut Faults) -> Option<Program> {
    let keys = read_keys(wire, ShopId::parse, ProgramId::parse, faults);
    let edit = ProgramEdit::read(wire, &Fields::all(&PROGRAM_FIELDS), &Path::root("program"), faults);
    let (shop, id) = keys?;
    edit.create(shop, id)
}

fn read_keys(
    wire: &proto::Program,
    shop: fn(&str) -> Result<ShopId, super::Problem>,
    id: fn(&str) -> Result<ProgramId, super::Problem>,
    faults: &mut Faults,
) -> Option<(ShopId, ProgramId)> {
    let path = Path::root("program");
    let shop = take(shop(&wire.shop), &path.field("shop"), faults);
    let id = take(id(&wire.id), &path.field("id"), faults);
    shop.zip(id)
}

async fn live_program(store: &Store, shop: &ShopId, id: &ProgramId) -> Result<Stored<Program>, Failure> {
    let program = store.get_program(shop, id).await?;
    program.filter(|program| program.delete_time.is_none()).ok_or_else(|| {
        let text = format!("the shop `{shop}` has no program `{id}`, or it is deleted");
        Failure::new(ErrorReason::ProgramNotFound, text).with("program", id)
    })
}

fn write_stored(row: &Stored<Program>) -> proto::Program {
    write_program(&row.value).stamped(Stamp::of(row))
}
