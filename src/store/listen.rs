//! Wake-ups: something may have been committed.

use std::{future::poll_fn, io, time::Duration};

use tokio::{sync::watch, task::JoinHandle, time};
use tokio_postgres::{AsyncMessage, Config, NoTls};

use super::{Store, errors::Cause};

/// The channel that commits notify.
pub(super) const CHANNEL: &str = "smartlinks_commit";
/// How long to wait before the first new connection; twice as long before each further one.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// How long to wait before a new connection at most.
const LONGEST_WAIT: Duration = Duration::from_secs(60);

/// Says when something may have been committed. A wake-up is never the data, and one may be lost: poll as well.
#[derive(Debug)]
pub struct Wakeups {
    woken: watch::Receiver<()>,
    listener: JoinHandle<()>,
}

impl Wakeups {
    /// Waits until something may have been committed since the call before: a commit, or a new connection, before
    /// which commits may have gone unheard. Call it before the query, so that nothing falls between.
    pub async fn woken(&mut self) {
        if self.woken.changed().await.is_err() {
            // The listener never ends by itself; whoever waits polls as well.
            std::future::pending::<()>().await;
        }
    }
}

impl Drop for Wakeups {
    fn drop(&mut self) {
        self.listener.abort();
    }
}

impl Store {
    /// Begins to listen on a connection of its own, which is made again as often as it is lost. Ends when the value
    /// is dropped.
    pub fn listen(&self) -> Wakeups {
        let (wake, woken) = watch::channel(());
        let target = self.connections.target().clone();
        Wakeups { woken, listener: tokio::spawn(listen_for_ever(target, wake)) }
    }
}

async fn listen_for_ever(target: Config, wake: watch::Sender<()>) {
    let mut wait = FIRST_WAIT;
    loop {
        let mut listening = false;
        let Err(error) = listen_once(&target, &wake, &mut listening).await;
        if listening {
            wait = FIRST_WAIT;
        }
        let text = error.to_string();
        tracing::warn!(
            error = text,
            wait_s = wait.as_secs(),
            "commits are not heard for now, polling goes on"
        );
        time::sleep(wait).await;
        wait = LONGEST_WAIT.min(wait * 2);
    }
}

/// Listens until the connection is lost.
async fn listen_once(
    target: &Config,
    wake: &watch::Sender<()>,
    listening: &mut bool,
) -> Result<std::convert::Infallible, Cause> {
    let (client, mut connection) = target.connect(NoTls).await?;
    let statement = format!("LISTEN {CHANNEL}");
    let mut listen = std::pin::pin!(client.batch_execute(&statement));
    loop {
        tokio::select! {
            listened = &mut listen, if !*listening => {
                listened?;
                *listening = true;
                wake.send_replace(());
            }
            message = poll_fn(|context| connection.poll_message(context)) => match message {
                Some(Ok(AsyncMessage::Notification(_))) => { wake.send_replace(()); }
                Some(Ok(_)) => {}
                Some(Err(error)) => return Err(error.into()),
                None => return Err(io::Error::from(io::ErrorKind::ConnectionAborted).into()),
            },
        }
    }
}
