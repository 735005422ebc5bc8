//! Pages of lists.

use std::future::Future;

use prost::Message;
use serde::{Serialize, de::DeserializeOwned};

use crate::{
    domain::{
        fault::{Faults, Problem, Reason},
        limits,
    },
    rpc::{convert::Path, convert::take, status::Failure, token::Binding},
};

/// Rows that are read at once: a page may end by its bytes long before it ends by its number.
const CHUNK: usize = 100;

/// A request for a page.
pub(super) struct Page<C> {
    size: usize,
    after: Option<C>,
    binding: Binding,
}

impl<C: Serialize + DeserializeOwned + Clone> Page<C> {
    /// Reads the fields of a request that say which page; takes them out of the rest, which the token is bound to.
    pub(super) fn read<R: Message + Clone>(
        list: &str,
        request: &R,
        fields: fn(&mut R) -> (&mut i32, &mut String),
        faults: &mut Faults,
    ) -> Option<Self> {
        let mut filter = request.clone();
        let (size, token) = fields(&mut filter);
        let (size, token) = (std::mem::take(size), std::mem::take(token));
        let binding = Binding::new(list, &filter);
        let size = take(read_size(size), &Path::root("page_size"), faults);
        let after = take(binding.read(&token), &Path::root("page_token"), faults);
        Some(Self { size: size?, after: after?, binding })
    }

    /// Refuses a cursor that our lists do not write: whoever made the token up chose it.
    pub(super) fn checked(self, fits: impl Fn(&C) -> bool, faults: &mut Faults) -> Option<Self> {
        if self.after.as_ref().is_none_or(fits) {
            return Some(self);
        }
        let text = "the page token is garbled; begin with the first page again";
        faults.add("page_token", Problem::new(Reason::InvalidPageToken, text));
        None
    }

    /// Collects entries until the page is full, by number or by bytes, and writes the token of the next.
    ///
    /// `read` takes a cursor and how many rows at most; `write` leaves out what is not to be shown.
    pub(super) async fn collect<Row, W, F>(
        self,
        read: impl Fn(Option<C>, usize) -> F,
        cursor_of: impl Fn(&Row) -> C,
        write: impl Fn(Row) -> Option<W>,
    ) -> Result<(Vec<W>, String), Failure>
    where
        W: Message,
        F: Future<Output = Result<Vec<Row>, Failure>>,
    {
        let (mut entries, mut bytes, mut cursor) = (Vec::new(), 0, self.after.clone());
        loop {
            let wanted = (self.size - entries.len()).min(CHUNK);
            let rows = read(cursor.clone(), wanted + 1).await?;
            let more = rows.len() > wanted;
            for row in rows.into_iter().take(wanted) {
                let next = cursor_of(&row);
                if let Some(entry) = write(row) {
                    bytes += entry.encoded_len();
                    if bytes > limits::PAGE_BYTES && !entries.is_empty() {
                        return self.ended(entries, cursor);
                    }
                    entries.push(entry);
                }
                cursor = Some(next);
            }
            if !more {
                return Ok((entries, String::new()));
            }
            if entries.len() == self.size {
                return self.ended(entries, cursor);
            }
        }
    }

    /// Returns whether this is the first page.
    pub(super) fn is_first(&self) -> bool {
        self.after.is_none()
    }

    fn ended<W>(&self, entries: Vec<W>, cursor: Option<C>) -> Result<(Vec<W>, String), Failure> {
        let token = cursor.map(|cursor| self.binding.write(&cursor)).transpose();
        Ok((entries, token.map_err(|error| Failure::internal(&error))?.unwrap_or_default()))
    }
}

fn read_size(size: i32) -> Result<usize, Problem> {
    match usize::try_from(size) {
        Ok(0) => Ok(limits::PAGE_SIZE),
        Ok(size) => Ok(size.min(limits::MAX_PAGE_SIZE)),
        Err(_) => {
            let text = format!("a page cannot have {size} entries; 0 asks for {}", limits::PAGE_SIZE);
            Err(Problem::new(Reason::OutOfRange, text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::proto::{ListShopsRequest, Values};

    /// A list of texts that are all of one length.
    struct List {
        texts: Vec<String>,
    }

    impl List {
        async fn page(&self, size: i32, token: &str) -> (Vec<String>, String) {
            let request =
                ListShopsRequest { page_size: size, page_token: token.to_owned(), ..Default::default() };
            let mut faults = Faults::new();
            let page = Page::<usize>::read(
                "texts",
                &request,
                |request| (&mut request.page_size, &mut request.page_token),
                &mut faults,
            );
            assert!(faults.is_empty(), "{faults}");
            let read = |after: Option<usize>, limit| async move {
                let rows = self.texts.iter().enumerate().skip(after.map_or(0, |last| last + 1));
                Ok(rows.take(limit).collect::<Vec<_>>())
            };
            let write = |(_, text): (usize, &String)| {
                let shown = !text.starts_with('-');
                shown.then(|| Values { values: vec![text.clone()] })
            };
            let (entries, next) = page.unwrap().collect(read, |(at, _)| *at, write).await.unwrap();
            (entries.into_iter().flat_map(|values| values.values).collect(), next)
        }

        async fn walk(&self, size: i32) -> Vec<Vec<String>> {
            let (mut pages, mut token) = (Vec::new(), String::new());
            loop {
                let (entries, next) = self.page(size, &token).await;
                pages.push(entries);
                if next.is_empty() {
                    return pages;
                }
                token = next;
            }
        }
    }

    #[tokio::test]
    async fn pages_hold_every_entry_once() {
        let list = List { texts: (0..333).map(|at| at.to_string()).collect() };
        for size in [1, 7, 100, 101, 332, 333, 334, 1_000, i32::MAX] {
            let pages = list.walk(size).await;
            let most = usize::try_from(size).unwrap().min(limits::MAX_PAGE_SIZE);
            assert!(pages.iter().all(|page| page.len() <= most && !page.is_empty()));
            assert_eq!(pages.concat(), list.texts, "size {size}");
        }
        assert_eq!(list.page(0, "").await.0.len(), limits::PAGE_SIZE);
    }

    #[tokio::test]
    async fn page_ends_early_at_its_bytes() {
        let list = List { texts: vec!["x".repeat(limits::PAGE_BYTES / 3); 7] };
        let pages = list.walk(1_000).await;
        assert_eq!(pages.iter().map(Vec::len).collect::<Vec<_>>(), [2, 2, 2, 1]);
        let huge = List { texts: vec!["x".repeat(limits::PAGE_BYTES * 2); 3] };
        assert_eq!(huge.walk(2).await.len(), 3);
    }

    #[tokio::test]
    async fn entries_that_are_not_shown_do_not_count() {
        let texts = (0..250).map(|at| if at % 10 == 0 { at.to_string() } else { format!("-{at}") }).collect();
        let pages = List { texts }.walk(20).await;
        assert_eq!(pages.concat().len(), 25);
        assert_eq!(pages[0].len(), 20);
    }

    #[test]
    fn negative_size_is_refused() {
        assert_eq!(read_size(-1).unwrap_err().reason, Reason::OutOfRange);
    }
}
