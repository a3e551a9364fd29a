//! A connection to PostgreSQL, for as long as it lasts.

#![forbid(unsafe_code)]

use super::password::with_password;
use super::postgres_error::PostgresError;
use super::tls;
use crate::config::PostgresUrl;
use futures_util::future::poll_fn;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::timeout;
use tokio_postgres::{AsyncMessage, Client};

/// How long PostgreSQL may take for one answer, or for the next row: it may have to sort all of them first.
const OF_ANSWERS: Duration = Duration::from_secs(60);

/// How long name servers, TLS and PostgreSQL may take, beside what the URL allows for TCP to each host.
const PATIENCE: Duration = Duration::from_secs(5);

/// An open connection.
#[derive(Debug)]
pub struct Connection {
    /// For queries.
    pub client: Client,
    /// Changes whenever PostgreSQL notifies of something; closed when the connection is.
    pub notified: watch::Receiver<u64>,
    /// What reads and writes; it ends with this, so that nothing is sent that was given up.
    driver: JoinHandle<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.driver.abort();
    }
}

/// Connects. To be called within a runtime, which goes on with the connection.
pub async fn connect(url: &PostgresUrl) -> Result<Connection, PostgresError> {
    let connector = tls::connector(&url.tls)?;
    let config = with_password(url)?;
    let hosts = config.get_hosts().len().max(config.get_hostaddrs().len());
    let of_each = config.get_connect_timeout().copied().unwrap_or_default();
    let patience = PATIENCE + of_each * u32::try_from(hosts).unwrap_or(1);
    let connecting = timeout(patience, config.connect(connector)).await;
    let (client, mut connection) = match connecting {
        Ok(connected) => connected.map_err(PostgresError::doing(url, "cannot connect"))?,
        Err(_) => {
            return Err(PostgresError::Silent {
                url: url.to_string(),
                action: "cannot connect",
                patience,
            });
        }
    };
    let (notify, notified) = watch::channel(0);
    let driver = tokio::spawn(async move {
        // Ends when the client is dropped, or the connection is lost, which the client's next query says.
        while let Some(Ok(message)) = poll_fn(|context| connection.poll_message(context)).await {
            if let AsyncMessage::Notification(_) = message {
                notify.send_modify(|count| *count += 1);
            }
        }
    });
    Ok(Connection {
        client,
        notified,
        driver,
    })
}

/// What PostgreSQL answers, unless it says nothing for long.
pub async fn answered<T>(
    url: &PostgresUrl,
    action: &'static str,
    answer: impl Future<Output = Result<T, tokio_postgres::Error>>,
) -> Result<T, PostgresError> {
    match timeout(OF_ANSWERS, answer).await {
        Ok(answer) => answer.map_err(PostgresError::doing(url, action)),
        Err(_) => Err(PostgresError::Silent {
            url: url.to_string(),
            action,
            patience: OF_ANSWERS,
        }),
    }
}
