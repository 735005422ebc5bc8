//! What holds of a log whatever is done to it, in whatever order.

use std::fs;

use proptest::prelude::*;

use super::{Batch, SpoolError, confirm, content, frames, open, read, segments, write};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Whatever is done in whatever order: what was written and not removed is read as it was written.
    #[test]
    fn log_agrees_with_a_list(steps in prop::collection::vec((0..5_u8, 0..3_000_usize), 1..60)) {
        let folder = tempfile::tempdir().unwrap();
        let mut spool = open(folder.path());
        let mut list: Vec<Vec<u8>> = Vec::new();
        for (step, size) in steps {
            match step {
                0 | 1 => {
                    let content = vec![u8::try_from(list.len() % 251).unwrap(); size + 1];
                    list.push(content.clone());
                    prop_assert_eq!(spool.append(&content).unwrap(), list.len() as u64);
                }
                // Several at once, one of which is none: they take as many segments as they need.
                2 => {
                    let mut burst: Vec<_> = (1..=size % 9).map(|number| vec![7; size / number + 1]).collect();
                    let expected: Vec<_> = (list.len() as u64 + 1..).take(burst.len()).collect();
                    list.extend(burst.clone());
                    let wrong = burst.len() / 2;
                    burst.insert(wrong, Vec::new());
                    let mut fates = spool.append_all(&burst);
                    let none = fates.remove(wrong);
                    prop_assert!(matches!(none, Err(SpoolError::TooLong { .. })), "{:?}", none);
                    prop_assert_eq!(fates.into_iter().map(Result::unwrap).collect::<Vec<_>>(), expected);
                }
                3 => {
                    drop(spool);
                    spool = open(folder.path());
                }
                _ => {
                    confirm(&spool);
                    let from = size % (list.len() + 1);
                    let read: Vec<_> = frames(read(&spool, from as u64 + 1)).into_iter().map(|(_, content)| content).collect();
                    prop_assert_eq!(&read, &list[from..]);
                }
            }
        }
    }

    /// No file makes opening or reading panic or loop.
    #[test]
    fn any_file_can_be_opened_and_read(spoilt in prop::collection::vec((0..8_000_usize, any::<u8>()), 1..40)) {
        let folder = tempfile::tempdir().unwrap();
        write(folder.path(), 1..=50);
        for (at, byte) in spoilt {
            let paths = segments(folder.path());
            let path = &paths[at % paths.len()];
            let mut bytes = fs::read(path).unwrap();
            let place = at % bytes.len();
            bytes[place] = byte;
            fs::write(path, bytes).unwrap();
        }
        let spool = open(folder.path());
        let mut expected = 1;
        for batch in read(&spool, 1) {
            match batch {
                Batch::Frames { first, contents } => {
                    prop_assert_eq!(first, expected);
                    for (number, bytes) in (first..).zip(&contents) {
                        prop_assert_eq!(bytes, &content(number));
                    }
                    expected += contents.len() as u64;
                }
                Batch::Missing { first, last } => {
                    prop_assert_eq!(first, expected);
                    prop_assert!(last >= first);
                    expected = last + 1;
                }
                Batch::UpToDate => prop_assert!(false),
            }
        }
        prop_assert_eq!(expected, spool.depth().written + 1);
    }
}
