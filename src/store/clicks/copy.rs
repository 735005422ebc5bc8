//! Rows that are copied into a table. The driver's own writer hands its rows over in pieces of 4 KiB, and waits for each.

use std::pin::Pin;

use bytes::{BufMut, Bytes, BytesMut};
use futures_util::SinkExt;
use tokio_postgres::{
    CopyInSink, Transaction,
    types::{IsNull, ToSql, Type},
};

use super::sql_error;
use crate::store::errors::StoreError;

/// How many bytes are handed over at once, about.
const CHUNK: usize = 128 * 1_024;

/// How the binary format begins: its name, no flags, nothing more.
const HEADER: &[u8] = b"PGCOPY\n\xff\r\n\0\0\0\0\0\0\0\0\0";

/// A table that takes rows with columns of these types.
pub(super) struct CopyIn<'a, const N: usize> {
    sink: Pin<Box<CopyInSink<Bytes>>>,
    types: &'a [Type; N],
    buffer: BytesMut,
}

impl<'a, const N: usize> CopyIn<'a, N> {
    /// Begins; the columns are given with the table.
    pub(super) async fn begin(
        transaction: &Transaction<'_>,
        table: &str,
        types: &'a [Type; N],
    ) -> Result<Self, StoreError> {
        let statement = format!("COPY {table} FROM STDIN (FORMAT binary)");
        let sink = Box::pin(transaction.copy_in(&statement).await.map_err(sql_error)?);
        let mut buffer = BytesMut::with_capacity(CHUNK + CHUNK / 8);
        buffer.put_slice(HEADER);
        Ok(Self { sink, types, buffer })
    }

    /// Adds a row.
    pub(super) async fn row(&mut self, values: [&(dyn ToSql + Sync); N]) -> Result<(), StoreError> {
        self.buffer.put_i16(i16::try_from(N).unwrap_or(i16::MAX));
        for (value, kind) in values.into_iter().zip(self.types) {
            let place = self.buffer.len();
            self.buffer.put_i32(NULL);
            if let IsNull::No = value.to_sql_checked(kind, &mut self.buffer).map_err(StoreError::Other)? {
                let begin = place + size_of::<i32>();
                let length = i32::try_from(self.buffer.len() - begin);
                let length = length.map_err(|cause| StoreError::Other(cause.into()))?;
                self.buffer[place..begin].copy_from_slice(&length.to_be_bytes());
            }
        }
        if self.buffer.len() >= CHUNK {
            self.hand_over().await?;
        }
        Ok(())
    }

    /// Ends; the rows are in the table then.
    pub(super) async fn finish(mut self) -> Result<(), StoreError> {
        self.buffer.put_i16(END);
        self.hand_over().await?;
        self.sink.as_mut().finish().await.map(drop).map_err(sql_error)
    }

    async fn hand_over(&mut self) -> Result<(), StoreError> {
        let chunk = self.buffer.split().freeze();
        self.buffer.reserve(CHUNK + CHUNK / 8);
        self.sink.send(chunk).await.map_err(sql_error)
    }
}

/// The length of a value that is none.
const NULL: i32 = -1;
/// What stands in place of a row's number of columns behind the last.
const END: i16 = -1;
