//! How much of everything there may be. `docs/semantics.md` has the same table for users.

/// Characters of a display name.
pub const DISPLAY_NAME_CHARS: usize = 120;
/// Characters of a link's description.
pub const DESCRIPTION_CHARS: usize = 1_000;
/// Characters of a comment on a write.
pub const COMMENT_CHARS: usize = 500;
/// Bytes of a slug, id, code, alias or tag.
pub const NAME_BYTES: usize = 64;
/// Bytes of a destination, as written.
pub const DESTINATION_BYTES: usize = 2_048;
/// Bytes of one UTM value, as written.
pub const UTM_VALUE_BYTES: usize = 512;
/// Bytes of the visitor's query.
pub const QUERY_BYTES: usize = 8 * 1_024;
/// Bytes of one header of the visitor's request.
pub const HEADER_BYTES: usize = 8 * 1_024;
/// Link hosts of a shop.
pub const LINK_HOSTS: usize = 20;
/// Further destination hosts of a shop.
pub const DESTINATION_HOSTS: usize = 100;
/// Further parameters that may name the partner.
pub const ACCEPTED_PARTNER_PARAMS: usize = 20;
/// Query parameters that a shop keeps with its clicks.
pub const SUB_ID_PARAMS: usize = 20;
/// Bytes of such a parameter's value; a longer one is cut.
pub const SUB_ID_BYTES: usize = 256;
/// Days after which the ledger forgets the key of a visitor that was erased.
pub const ERASED_VISITOR_DAYS: i32 = 30;
/// The most days for which clicks are kept.
pub const CLICK_RETENTION_DAYS: i32 = 36_500;
/// Address blocks of a shop's own people.
pub const INTERNAL_ADDRESSES: usize = 100;
/// Listed parameters of a query policy.
pub const LISTED_PARAMETERS: usize = 100;
/// Exceptions of a query policy.
pub const QUERY_OVERRIDES: usize = 100;
/// Bytes of a parameter name in a policy or condition.
pub const PARAMETER_NAME_BYTES: usize = 256;
/// Aliases of a partner.
pub const ALIASES: usize = 20;
/// Tags of a partner or link.
pub const TAGS: usize = 50;
/// Partners that a link is shared with by code.
pub const SHARED_PARTNERS: usize = 10_000;
/// Programs that a link is shared with.
pub const SHARED_PROGRAMS: usize = 500;
/// Rules of a link.
pub const RULES: usize = 1_000;
/// Golden clicks of a link.
pub const GOLDEN_CLICKS: usize = 50;
/// Rules of a link that were taken away, whose ids stay used.
pub const RETIRED_RULES: usize = 10_000;
/// Variants of the rules of a link that were taken away, whose ids stay used.
pub const RETIRED_RULE_VARIANTS: usize = 10_000;
/// Variants of a rule.
pub const VARIANTS: usize = 20;
/// The weight of a variant.
pub const VARIANT_WEIGHT: u16 = 10_000;
/// Variants of a rule that were taken away, whose ids stay used.
pub const RETIRED_VARIANTS: usize = 1_000;
/// Levels of a condition.
pub const CONDITION_DEPTH: usize = 8;
/// Nodes of a condition, groups and `not` included.
pub const CONDITION_NODES: usize = 200;
/// Values of one predicate.
pub const PREDICATE_VALUES: usize = 500;
/// Bytes of one value of a predicate, and of a caller's fact.
pub const VALUE_BYTES: usize = 512;
/// Facts that a caller sends with a visit.
pub const ATTRIBUTES: usize = 50;
/// Bytes of the id by which a caller knows a visitor.
pub const VISITOR_ID_BYTES: usize = 128;
/// Objects in one bulk call.
pub const BATCH: usize = 1_000;
/// Days that a publish may take effect ahead.
pub const PUBLISH_DAYS: u16 = 366;
/// Partners in one bulk move.
pub const MOVED_PARTNERS: usize = 10_000;
/// Entries of a page unless told otherwise.
pub const PAGE_SIZE: usize = 50;
/// Entries of a page at most.
pub const MAX_PAGE_SIZE: usize = 1_000;
/// Bytes of a page at which it ends early.
pub const PAGE_BYTES: usize = 1_024 * 1_024;
/// Changed fields of one revision that a list of revisions names.
pub const REVISION_FIELDS: usize = 100;
/// Fields that differ between two revisions that one answer tells of.
pub const FIELD_CHANGES: usize = 1_000;
/// Bytes of an old or new value of such a field; a longer one is cut.
pub const CHANGED_VALUE_BYTES: usize = 2_000;
/// Nodes of conditions that an explanation tells of; of rules that would make it more, only what comes of them is told.
pub const EXPLAINED_NODES: usize = 10_000;
/// Bytes of a fact that an explanation tells of; a longer one is cut.
pub const EXPLAINED_VALUE_BYTES: usize = 1_000;
/// Hours that a click id sent by a caller may be old.
pub const CLICK_ID_AGE_HOURS: i64 = 24;
/// Minutes that a click id sent by a caller may be ahead.
pub const CLICK_ID_AHEAD_MINUTES: i64 = 5;
/// Hours for which a request id makes a create safe to repeat.
pub const REQUEST_ID_HOURS: i64 = 24;
/// Seconds that a resolve waits for a revision.
pub const MIN_REVISION_WAIT_SECONDS: u64 = 2;
/// Revisions that a resolve may ask for beyond what the index holds: what is further away was never handed out.
pub const REVISIONS_AHEAD: i64 = 1_000_000;
/// Seconds that an item of a stream may take.
pub const ITEM_SECONDS: u64 = 30;
/// Unanswered items of one stream.
pub const UNANSWERED_ITEMS: usize = 1_024;
/// Pieces of time in one answer of statistics.
pub const STATS_POINTS: usize = 10_000;
/// Pieces of time times values of the top in one answer of statistics.
pub const STATS_TOP_POINTS: usize = 100_000;
/// Figures that one answer of statistics is made from: values times pieces of time.
pub const STATS_FIGURES: usize = 500_000;
/// Values of a dimension that may be asked for as the top.
pub const STATS_TOP: usize = 100;
/// Megabytes of single clicks that one answer of statistics may read: some eight million.
pub const STATS_READ_MEGABYTES: u64 = 2_048;
/// Clicks that are in the log and not counted yet which one answer of statistics may read.
pub const STATS_BEHIND_CLICKS: u64 = 2_000_000;
/// Slugs, codes, classes, reasons or other values that a filter of clicks names.
pub const FILTER_VALUES: usize = 100;
/// Clicks of one message of a stream.
pub const STREAM_CLICKS: usize = 1_000;
/// Streams of clicks that one server sends at the same time.
pub const STREAMS: usize = 16;
/// Seconds that a stream of clicks may be open.
pub const STREAM_SECONDS: u64 = 3_600;
/// Seconds that a caller may take to read what was sent.
pub const STREAM_WRITE_SECONDS: u64 = 30;
/// Replays of clicks that one server makes at the same time.
pub const REPLAYS: usize = 2;
/// Flows that a replay tells apart.
pub const REPLAY_FLOWS: usize = 1_000;
/// Sample clicks of a flow.
pub const REPLAY_SAMPLES: usize = 5;
/// Revisions of a link, the newest, that a replay looks at.
pub const REPLAY_REVISIONS: usize = 48;
/// Seconds after which a silent stream sends a heartbeat, unless told otherwise.
pub const HEARTBEAT_SECONDS: u64 = 10;
/// The same at most.
pub const MAX_HEARTBEAT_SECONDS: u64 = 60;
/// Differences that a check of the ledger tells of.
pub const LEDGER_DIFFERENCES: usize = 100;
/// Bytes of the number of an order or refund.
pub const ORDER_ID_BYTES: usize = 128;
/// Conversions of one call.
pub const CONVERSIONS: usize = 1_000;
/// Properties of a conversion.
pub const PROPERTIES: usize = 20;
/// The greatest amount, in the smallest unit of a currency.
pub const AMOUNT: i64 = 100_000_000_000_000;
/// Days that a conversion waits for its click.
pub const CONVERSION_WAIT_DAYS: i64 = 7;
/// Steps of thought that a write spends on the rules of one link.
pub const WRITE_STEPS: u64 = 2_500_000;
/// Links of a batch that each may have as many steps; beyond them fewer rules are decided.
pub const WRITE_LINKS: u64 = 20;
/// Warnings about rules in the answer to a write.
pub const RULE_WARNINGS: usize = 200;
/// Bytes of the findings in the answer to a check.
pub const FINDINGS_BYTES: usize = 8 * 1_024 * 1_024;
/// Steps of thought that a check spends on the rules of a link.
pub const CHECK_STEPS: u64 = 100_000_000;
