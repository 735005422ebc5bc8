//! A private PostgreSQL server: real, in a folder of ours, over a unix socket only, gone when we are gone.
//!
//! - [`Programs`] finds `initdb` and `postgres` on this machine.
//! - [`Cluster`] is a server of one process: `smartlinks dev` keeps its data, a throw-away one deletes it.
//! - [`SharedCluster`] is a throw-away server that many test processes use at once; it stops when none is left.
//!
//! **How the server dies with us.** It is started by a small shell, its *guard*, whose standard input is a pipe from
//! us. When the pipe closes, because we stop the server, crash or are killed, the guard asks the server for a fast
//! shutdown. A parent-death signal would need `unsafe` or an extra program, exists on Linux only, and fires when the
//! *thread* that started the server ends. The server has a process group of its own, so that Ctrl-C in a terminal
//! reaches us alone and we can finish our work before it stops.
//!
//! **Root.** PostgreSQL refuses to run as root. A user namespace in which root has an ordinary number satisfies it and
//! keeps access to root's folders; where those are forbidden we become `nobody`, with the data under the system's
//! temporary folder. See `account.rs`.

mod account;
mod cluster;
mod error;
mod programs;
mod shared;
mod site;
mod socket;
mod stale;
#[cfg(test)]
mod tests;

pub use cluster::{Cluster, ClusterOptions};
pub use error::{ClusterError, FindError};
pub use programs::Programs;
pub use shared::SharedCluster;
