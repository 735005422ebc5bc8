//! Items that come together, and items that wait.

use std::{
    future::poll_fn,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use futures_util::stream;
use serde_json::json;
use tokio::sync::watch;

use super::*;
use crate::{
    classify::Classifier,
    counters::Counters,
    index::{Record, Writer},
    live::{Live, Source},
    proto::{Purpose, resolve_request::Site},
    recorder::{AnswerAfter, Recorder, WhenFull},
    spool::{Batch, Reader, Spool, SpoolSettings, decode},
    telemetry::metrics::Metrics,
};

/// A shop with a link that everyone may share.
fn records() -> [Record; 2] {
    let records = [
        json!({"shop": {"shop": "acme", "revision": 1, "default_link": "sale", "settings": {
            "base_url": "https://acme.example",
            "link_hosts": ["go.acme.example"],
            "public_url": "https://go.acme.example",
            "partner_param": "ref",
            "click_id_param": "click_id",
        }}}),
        json!({"link": {"shop": "acme", "slug": "sale", "revision": 1, "state": "active", "sharing": "everyone",
            "routing": {"default_destination": "x".repeat(100)}}}),
    ];
    records.map(|json| serde_json::from_value(json).unwrap())
}

#[tokio::test]
async fn unanswered_items_are_bounded() {
    let (live, (_stop, stopped)) = (Live::new(), watch::channel(false));
    live.publish(Writer::new().apply([], Revision(1)), Source::Database);
    let resolver = Resolver::new(
        live.clone(),
        Arc::new(Classifier::default()),
        Recorder::ignoring(),
        Counters::default(),
        Arc::default(),
        &Metrics::new().0,
        stopped,
    );
    let request = ResolveRequest {
        purpose: Purpose::Lookup.into(),
        site: Some(Site::Shop("acme".to_owned())),
        min_revision: 2,
        ..ResolveRequest::default()
    };
    let read = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&read);
    let items = stream::iter(0..2_000).map(move |item| {
        counter.fetch_add(1, Ordering::Relaxed);
        Ok(ResolveStreamRequest { item, request: Some(request.clone()), timeout: None })
    });
    let mut answers = Answers::new(items, resolver, Caller::Local);

    let first = poll_fn(|context| Poll::Ready(answers.poll_next_unpin(context))).await;
    assert!(first.is_pending());
    assert_eq!(read.load(Ordering::Relaxed), limits::UNANSWERED_ITEMS);

    live.publish(Writer::new().apply([], Revision(2)), Source::Database);
    let mut answered: Vec<_> = answers.map(|answer| answer.unwrap().item).collect().await;
    answered.sort_unstable();
    assert_eq!(answered, (0..2_000).collect::<Vec<_>>());
}

#[tokio::test]
async fn one_sync_is_for_as_many_clicks_as_may_wait() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(SpoolSettings {
        folder: folder.path().to_owned(),
        segment_bytes: 1 << 20,
        limit_bytes: 8 << 20,
        retained_bytes: 0,
        retained_for: Duration::ZERO,
        // The disk confirms nothing while this test looks.
        sync_every: Duration::from_secs(3_600),
    })
    .unwrap();
    let (live, (_stop, stopped)) = (Live::new(), watch::channel(false));
    live.publish(Writer::new().apply(records(), Revision(1)), Source::Database);
    let metrics = Metrics::new().0;
    let recorder = Recorder::new(spool.clone(), metrics.clone(), WhenFull::Refuse, AnswerAfter::Sync);
    let classifier = Arc::new(Classifier::default());
    let resolver =
        Resolver::new(live, classifier, recorder, Counters::default(), Arc::default(), &metrics, stopped);
    let request = ResolveRequest {
        purpose: Purpose::Click.into(),
        site: Some(Site::Shop("acme".to_owned())),
        slug: "sale".to_owned(),
        ..ResolveRequest::default()
    };
    let items = stream::iter(0..2_000)
        .map(move |item| Ok(ResolveStreamRequest { item, request: Some(request.clone()), timeout: None }));
    let mut answers = Answers::new(items, resolver, Caller::Local);
    let first = poll_fn(|context| Poll::Ready(answers.poll_next_unpin(context))).await;
    assert!(first.is_pending());
    assert_eq!(spool.depth().written, limits::UNANSWERED_ITEMS as u64);
}

#[tokio::test]
async fn each_click_of_a_burst_has_its_own_fate() {
    let folder = tempfile::tempdir().unwrap();
    let spool = Spool::open(SpoolSettings {
        folder: folder.path().to_owned(),
        segment_bytes: 4_096,
        limit_bytes: 4 * 4_096,
        retained_bytes: 0,
        retained_for: Duration::ZERO,
        sync_every: Duration::from_millis(1),
    })
    .unwrap();
    let (live, (_stop, stopped)) = (Live::new(), watch::channel(false));
    live.publish(Writer::new().apply(records(), Revision(1)), Source::Database);
    for answer_after in [AnswerAfter::Write, AnswerAfter::Sync] {
        let metrics = Metrics::new().0;
        let recorder = Recorder::new(spool.clone(), metrics.clone(), WhenFull::Refuse, answer_after);
        let (live, stopped) = (live.clone(), stopped.clone());
        let resolver = {
            let classifier = Arc::new(Classifier::default());
            Resolver::new(live, classifier, recorder, Counters::default(), Arc::default(), &metrics, stopped)
        };
        let request = ResolveRequest {
            site: Some(Site::Shop("acme".to_owned())),
            slug: "sale".to_owned(),
            ..ResolveRequest::default()
        };
        let before = spool.depth().written;
        let items = stream::iter(0..500).map(move |item| {
            // Every third is no click and is answered whatever becomes of the others.
            let purpose = if item % 3 == 0 { Purpose::Lookup } else { Purpose::Click };
            let request = ResolveRequest { purpose: purpose.into(), ..request.clone() };
            Ok(ResolveStreamRequest { item, request: Some(request), timeout: None })
        });
        let answers: Vec<_> = Answers::new(items, resolver, Caller::Local).collect().await;
        let (mut clicks, mut refused, mut numbers) = (Vec::new(), 0, Vec::new());
        for answer in answers {
            let ResolveStreamResponse { item, outcome } = answer.unwrap();
            numbers.push(item);
            match outcome.unwrap() {
                Outcome::Answer(answer) if item % 3 == 0 => assert_eq!(answer.click_id, ""),
                Outcome::Answer(answer) => clicks.push(answer.click_id),
                Outcome::Failure(failure) => {
                    assert_eq!(failure.reason(), ErrorReason::ClickLogFull);
                    refused += 1;
                }
                Outcome::Closing(_) => panic!("nobody stops"),
            }
        }
        numbers.sort_unstable();
        assert_eq!(numbers, (0..500).collect::<Vec<_>>());
        assert!(!clicks.is_empty() && refused > 0, "{} kept, {refused} refused", clicks.len());
        assert_eq!(metrics.clicks_refused.get(), refused);
        let written = spool.depth().written;
        spool.confirmed().wait_for(|confirmed| *confirmed == written).await.unwrap();
        let mut reader = Reader::new(spool.clone(), before + 1);
        let mut kept = Vec::new();
        while let Batch::Frames { contents, .. } = reader.batch(1_000, 1 << 20).unwrap() {
            kept.extend(contents.iter().map(|content| decode(content).unwrap().id.to_string()));
        }
        kept.sort_unstable();
        clicks.sort_unstable();
        assert_eq!(kept, clicks);
        spool.set_shipped(written);
    }
}
