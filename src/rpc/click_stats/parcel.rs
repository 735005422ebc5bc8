//! Puts what a stream sends into messages: of one kind each, and none too great.

use prost::Message;

use super::{click, conversion, erase};
use crate::{
    domain::limits,
    proto::{self, stream_clicks_response::Event},
    store::clicks::Item,
};

/// A message that is not full yet.
#[derive(Default)]
pub(super) struct Parcel {
    content: Content,
    count: usize,
    bytes: usize,
}

#[derive(Default)]
enum Content {
    #[default]
    Nothing,
    Clicks(Vec<proto::Click>),
    Conversions(Vec<proto::Conversion>),
    Erasure(proto::Erasure),
}

impl Parcel {
    /// Tells whether one more goes into this message.
    pub(super) fn takes(&self, item: &Item) -> bool {
        let is_full = self.count >= limits::STREAM_CLICKS || self.bytes >= limits::PAGE_BYTES;
        match (&self.content, item) {
            (Content::Nothing, Item::Click(_) | Item::Conversion(_) | Item::Erasure(_)) => true,
            (Content::Clicks(_), Item::Click(_)) | (Content::Conversions(_), Item::Conversion(_)) => !is_full,
            (Content::Clicks(_), Item::Conversion(_) | Item::Erasure(_))
            | (Content::Conversions(_), Item::Click(_) | Item::Erasure(_))
            | (Content::Erasure(_), Item::Click(_) | Item::Conversion(_) | Item::Erasure(_)) => false,
        }
    }

    /// Puts one in; what it does not take begins a new one.
    pub(super) fn put(&mut self, item: Item) {
        self.count += 1;
        match item {
            Item::Click(click) => {
                let click = click::write(click);
                self.bytes += click.encoded_len();
                match &mut self.content {
                    Content::Clicks(clicks) => clicks.push(click),
                    Content::Nothing | Content::Conversions(_) | Content::Erasure(_) => {
                        self.content = Content::Clicks(vec![click]);
                    }
                }
            }
            Item::Conversion(credited) => {
                let conversion = conversion::write(credited);
                self.bytes += conversion.encoded_len();
                match &mut self.content {
                    Content::Conversions(conversions) => conversions.push(conversion),
                    Content::Nothing | Content::Clicks(_) | Content::Erasure(_) => {
                        self.content = Content::Conversions(vec![conversion]);
                    }
                }
            }
            Item::Erasure(erasure) => self.content = Content::Erasure(erase::write(erasure)),
        }
    }

    /// Returns the message, unless nothing is in it, and begins another.
    pub(super) fn close(&mut self) -> Option<Event> {
        match std::mem::take(self).content {
            Content::Nothing => None,
            Content::Clicks(clicks) => Some(Event::Clicks(proto::Clicks { clicks })),
            Content::Conversions(conversions) => Some(Event::Conversions(proto::Conversions { conversions })),
            Content::Erasure(erasure) => Some(Event::Erasure(erasure)),
        }
    }
}
