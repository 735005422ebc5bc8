//! `LinkAdmin`: shops, programs, partners, links, one file per family.

mod batch;
mod check;
mod findings;
mod golden;
mod history;
mod link_writes;
mod links;
mod partners;
mod portal;
mod programs;
mod publishes;
mod refusals;
mod replay;
mod rollback;
mod sharing;
mod shops;
mod stamp;
mod states;
mod warnings;
mod writes;

use std::sync::Arc;

use futures_util::stream::BoxStream;
use prost_types::FieldMask;
use tokio::sync::watch;
use tonic::{Request, Response, Status};

use super::{
    MAX_ANSWER_BYTES, MAX_REQUEST_BYTES,
    caller::{Caller, Scope},
    convert::Path,
    pages,
    status::Failure,
};
use crate::{
    classify::Classifier,
    domain::{
        fault::{Faults, Problem, Reason},
        host::shown,
        limits,
        name::ShopId,
        revision::Revision,
        split::SplitKey,
    },
    proto::{
        self, ErrorReason,
        link_admin_server::{LinkAdmin, LinkAdminServer},
    },
    store::{Store, StoredShop},
};

/// The service.
#[derive(Clone)]
pub struct LinkAdminService {
    store: Store,
    /// Knows whether there is a country database.
    classifier: Arc<Classifier>,
    replays: replay::Replays,
    /// The key of splits, if it is made of a secret: golden clicks draw variants as real ones do.
    split_secret: Option<SplitKey>,
}

impl LinkAdminService {
    /// Makes the service with its limits of message sizes. When `stop` becomes true, or its sender is gone, replays end.
    pub fn server(
        store: Store,
        classifier: Arc<Classifier>,
        split_secret: Option<SplitKey>,
        stop: watch::Receiver<bool>,
    ) -> LinkAdminServer<Self> {
        let replays = replay::Replays::new(stop);
        LinkAdminServer::new(Self { store, classifier, replays, split_secret })
            .max_decoding_message_size(MAX_REQUEST_BYTES)
            .max_encoding_message_size(MAX_ANSWER_BYTES)
    }
}

/// Says for every call which function answers it, and what of the service it needs besides the database.
macro_rules! calls {
    ($($call:ident($request:ident) -> $answer:ident = $handler:path $(, $besides:ident)?;)*) => {
        #[tonic::async_trait]
        impl LinkAdmin for LinkAdminService {
            type ReplayClicksStream = BoxStream<'static, Result<proto::ReplayClicksResponse, Status>>;

            async fn replay_clicks(
                &self,
                request: Request<proto::ReplayClicksRequest>,
            ) -> Result<Response<Self::ReplayClicksStream>, Status> {
                let caller = Caller::of(&request)?;
                Ok(Response::new(replay::begin(self, caller, request.into_inner()).await?))
            }

            $(
                async fn $call(
                    &self,
                    request: Request<proto::$request>,
                ) -> Result<Response<proto::$answer>, Status> {
                    let caller = Caller::of(&request)?;
                    let answer = $handler(&self.store, caller, request.into_inner() $(, &self.$besides)?).await?;
                    Ok(Response::new(answer))
                }
            )*
        }
    };
}

calls! {
    create_shop(CreateShopRequest) -> CreateShopResponse = shops::create;
    get_shop(GetShopRequest) -> GetShopResponse = shops::get;
    list_shops(ListShopsRequest) -> ListShopsResponse = shops::list;
    update_shop(UpdateShopRequest) -> UpdateShopResponse = shops::update;
    delete_shop(DeleteShopRequest) -> DeleteShopResponse = shops::delete;
    create_program(CreateProgramRequest) -> CreateProgramResponse = programs::create;
    get_program(GetProgramRequest) -> GetProgramResponse = programs::get;
    list_programs(ListProgramsRequest) -> ListProgramsResponse = programs::list;
    update_program(UpdateProgramRequest) -> UpdateProgramResponse = programs::update;
    delete_program(DeleteProgramRequest) -> DeleteProgramResponse = programs::delete;
    create_partner(CreatePartnerRequest) -> CreatePartnerResponse = partners::create;
    get_partner(GetPartnerRequest) -> GetPartnerResponse = partners::get;
    list_partners(ListPartnersRequest) -> ListPartnersResponse = partners::list;
    update_partner(UpdatePartnerRequest) -> UpdatePartnerResponse = partners::update;
    delete_partner(DeletePartnerRequest) -> DeletePartnerResponse = partners::delete;
    move_partners(MovePartnersRequest) -> MovePartnersResponse = partners::move_all;
    create_link(CreateLinkRequest) -> CreateLinkResponse = links::create, split_secret;
    get_link(GetLinkRequest) -> GetLinkResponse = links::get;
    list_links(ListLinksRequest) -> ListLinksResponse = links::list;
    update_link(UpdateLinkRequest) -> UpdateLinkResponse = links::update, split_secret;
    delete_link(DeleteLinkRequest) -> DeleteLinkResponse = states::delete;
    undelete_link(UndeleteLinkRequest) -> UndeleteLinkResponse = states::undelete, split_secret;
    pause_link(PauseLinkRequest) -> PauseLinkResponse = states::pause;
    resume_link(ResumeLinkRequest) -> ResumeLinkResponse = states::resume;
    share_link(ShareLinkRequest) -> ShareLinkResponse = sharing::share;
    unshare_link(UnshareLinkRequest) -> UnshareLinkResponse = sharing::unshare;
    list_link_sharing(ListLinkSharingRequest) -> ListLinkSharingResponse = sharing::list;
    list_partner_links(ListPartnerLinksRequest) -> ListPartnerLinksResponse = portal::list;
    batch_create_links(BatchCreateLinksRequest) -> BatchCreateLinksResponse = batch::create, split_secret;
    batch_update_links(BatchUpdateLinksRequest) -> BatchUpdateLinksResponse = batch::update, split_secret;
    check_link(CheckLinkRequest) -> CheckLinkResponse = check::check, classifier;
    list_link_revisions(ListLinkRevisionsRequest) -> ListLinkRevisionsResponse = history::list;
    get_link_revision(GetLinkRevisionRequest) -> GetLinkRevisionResponse = history::get;
    rollback_link(RollbackLinkRequest) -> RollbackLinkResponse = rollback::rollback, split_secret;
    create_publish(CreatePublishRequest) -> CreatePublishResponse = publishes::create, split_secret;
    get_publish(GetPublishRequest) -> GetPublishResponse = publishes::get;
    list_publishes(ListPublishesRequest) -> ListPublishesResponse = publishes::list;
    cancel_publish(CancelPublishRequest) -> CancelPublishResponse = publishes::cancel;
    list_partner_programs(ListPartnerProgramsRequest) -> ListPartnerProgramsResponse = history::partner_programs;
}

/// Reads the key of an object that a call looks up, capitals made small.
fn key<T>(text: &str, fold: fn(&str) -> Result<T, Problem>, field: &str) -> Result<T, Failure> {
    fold(text).map_err(|problem| problem.at(field).into())
}

/// Ends the reading of a request: what was read, or every fault.
fn sound<T>(read: Option<T>, faults: Faults) -> Result<T, Failure> {
    faults.finish(read).map_err(Failure::from)
}

/// Reads a message that must be there; without it nothing else of the request can be read.
fn message<M>(message: Option<M>, field: &str) -> Result<M, Failure> {
    message.ok_or_else(|| Problem::required(&format!("the {field}")).at(field).into())
}

/// Asks whether the caller may administer the shop.
fn may(caller: Caller, shop: &ShopId) -> Result<(), Failure> {
    caller.may(Scope::Admin, Some(shop))
}

/// Reads a shop that exists and is not deleted.
async fn live_shop(store: &Store, id: &ShopId) -> Result<StoredShop, Failure> {
    let shop = store.get_shop(id).await?;
    shop.filter(|shop| shop.stored.delete_time.is_none()).ok_or_else(|| no_shop(id))
}

/// Says that there is no such shop.
fn no_shop(id: &ShopId) -> Failure {
    Failure::new(ErrorReason::ShopNotFound, format!("there is no shop `{id}`, or it is deleted"))
        .with("shop", id)
}

/// Returns the etag that goes with a revision.
fn etag(revision: Revision) -> String {
    format!("\"r{revision}\"")
}

/// Checks that the object is still what the caller read; without an etag any state will do.
fn check_etag(sent: &str, current: Revision, object: &str) -> Result<(), Failure> {
    if sent.is_empty() || sent == etag(current) {
        return Ok(());
    }
    let text = format!("{object} changed since its etag was read; read it again, then retry");
    Err(Failure::new(ErrorReason::StaleEtag, text).with("etag", etag(current)))
}

/// Refuses an update whose mask names a key with another value than the object has: keys never change.
fn immutable_if_named(
    mask: Option<&FieldMask>,
    key: &str,
    sent: &str,
    is: &str,
    object: &Path<'_>,
    faults: &mut Faults,
) {
    let named = mask.is_some_and(|mask| mask.paths.iter().any(|path| path == key));
    if named && sent != is {
        let text = format!("it is `{is}` and never changes, so it cannot become `{}`", shown(sent));
        faults.add(object.field(key).to_string(), Problem::new(Reason::Immutable, text));
    }
}

/// Reads a text to search for; the empty one searches for nothing.
fn read_search(text: String, faults: &mut Faults) -> Option<Option<String>> {
    if text.len() > limits::VALUE_BYTES {
        let most = limits::VALUE_BYTES;
        let problem = format!("the text is {} bytes long, at most {most} are allowed", text.len());
        faults.add("search", Problem::new(Reason::TooLong, problem));
        return None;
    }
    Some((!text.is_empty()).then_some(text))
}
