//! The connection: made when it is needed, dropped when anything goes wrong with it, made again after a pause.
//!
//! A thread of its own drives the socket, so that notifications are heard while the writer waits for work.

use super::fault::Fault;
use super::sql::Statements;
use super::{BackendError, FaultKind, PostgresSettings, PostgresTls, Wake, tls};
use parking_lot::Mutex;
use std::future::poll_fn;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};
use tokio::runtime::{Builder, Handle};
use tokio::sync::oneshot;
use tokio::time::timeout;
use tokio_postgres::config::SslMode;
use tokio_postgres::tls::{MakeTlsConnect, NoTls};
use tokio_postgres::{AsyncMessage, Client, Config, Connection as Socket};

/// Pauses between attempts to connect: doubled from the first to the last.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LAST_PAUSE: Duration = Duration::from_secs(2);

/// What an answer may take to arrive.
const GRACE: Duration = Duration::from_secs(1);

/// A connection with what was prepared on it.
pub(super) struct Connection {
    pub(super) client: Client,
    /// None until the tables are known to be there.
    pub(super) statements: Option<Statements>,
}

pub(super) struct Link {
    pub(super) settings: PostgresSettings,
    driver: Driver,
    connection: Option<Connection>,
    /// Why the last attempt failed, when, and how long to wait after it.
    failed: Option<(BackendError, Instant, Duration)>,
    wants_statements: bool,
    bell: Arc<Bell>,
}

/// Who wants to know of changes.
#[derive(Default)]
struct Bell {
    wake: Mutex<Option<Wake>>,
    /// The server's number of our connection: what we wrote ourselves is no news.
    own: AtomicI32,
}

impl Link {
    pub(super) fn new(settings: PostgresSettings) -> Result<Self, BackendError> {
        let driver = Driver::start().map_err(|fault| {
            BackendError::new(FaultKind::Refused, format!("no thread for the database: {fault}"))
        })?;
        Ok(Self {
            settings,
            driver,
            connection: None,
            failed: None,
            wants_statements: false,
            bell: Arc::default(),
        })
    }

    /// From now on, connections are for the store: they have statements and hear of changes.
    pub(super) fn prepare_statements(&mut self) -> Result<(), BackendError> {
        self.wants_statements = true;
        self.connection = None;
        self.run(None, FaultKind::Unreachable, async |_| Ok(()))
    }

    pub(super) fn ring(&self, wake: Wake) {
        *self.bell.wake.lock() = Some(wake);
    }

    /// Does something on the connection within `limit`, or the timeout of the settings; `late` is what it means when
    /// that is not enough. A fault ends the connection.
    pub(super) fn run<T>(
        &mut self,
        limit: Option<Duration>,
        late: FaultKind,
        work: impl AsyncFnOnce(&mut Connection) -> Result<T, Fault>,
    ) -> Result<T, BackendError> {
        // Later than the server's own limit, which says more.
        let limit = limit.unwrap_or(self.settings.timeout) + GRACE;
        let place = self.settings.to_string();
        let mut connection = self.connected()?;
        let done = self.driver.handle.block_on(async {
            match timeout(limit, work(&mut connection)).await {
                Ok(done) => done.map_err(|fault| fault.told(&place)),
                Err(_) => Err(BackendError::new(
                    late,
                    format!("the {place} does not answer within {} ms", limit.as_millis()),
                )),
            }
        });
        if done.is_ok() {
            self.connection = Some(connection);
        }
        done
    }

    fn connected(&mut self) -> Result<Connection, BackendError> {
        if let Some(connection) = self.connection.take().filter(|known| !known.client.is_closed()) {
            return Ok(connection);
        }
        let pause = match &self.failed {
            Some((fault, at, pause)) if at.elapsed() < *pause => return Err(fault.clone()),
            Some((_, _, pause)) => (*pause * 2).min(LAST_PAUSE),
            None => FIRST_PAUSE,
        };
        let made = self.driver.handle.block_on(async {
            match timeout(self.settings.timeout, self.connect()).await {
                Ok(made) => made.map_err(|fault| fault.told(&self.settings.to_string())),
                Err(_) => Err(BackendError::new(
                    FaultKind::Unreachable,
                    format!(
                        "the {} cannot be reached within {} ms",
                        self.settings,
                        self.settings.timeout.as_millis()
                    ),
                )),
            }
        });
        self.failed = made
            .as_ref()
            .err()
            .map(|fault| (fault.clone(), Instant::now(), pause));
        made
    }

    async fn connect(&self) -> Result<Connection, Fault> {
        let config = config(&self.settings);
        let client = match encryption(&self.settings) {
            Some(tls) => self.drive(&config, tls::Connector::new(tls)).await?,
            None => self.drive(&config, NoTls).await?,
        };
        let limit = self.settings.timeout.as_millis();
        let mut setup = format!(
            "SET statement_timeout = {limit}; SET lock_timeout = {limit}; \
             SET idle_in_transaction_session_timeout = {limit}; SET client_min_messages = warning;"
        );
        if let Some(schema) = &self.settings.schema {
            setup.push_str(&format!("SET search_path TO {};", quoted(schema)));
        }
        client.batch_execute(&setup).await?;
        let statements = if self.wants_statements {
            let own = client.query_one("SELECT pg_backend_pid()", &[]).await?;
            self.bell.own.store(own.try_get(0)?, Ordering::Relaxed);
            client.batch_execute("LISTEN tidegate").await?;
            Some(Statements::prepare(&client).await?)
        } else {
            None
        };
        Ok(Connection { client, statements })
    }

    /// Connects and leaves the socket to the driver's thread.
    async fn drive<T>(&self, config: &Config, tls: T) -> Result<Client, Fault>
    where
        T: MakeTlsConnect<tokio_postgres::Socket>,
        T::Stream: Send + 'static,
    {
        let (client, socket) = config.connect(tls).await?;
        let bell = Arc::clone(&self.bell);
        self.driver.handle.spawn(attend(socket, bell));
        Ok(client)
    }
}

/// Moves bytes until the connection ends, and rings when others have written and at the end.
async fn attend<S, T>(mut socket: Socket<S, T>, bell: Arc<Bell>)
where
    S: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
    T: tokio::io::AsyncRead + tokio::io::AsyncWrite + Unpin,
{
    loop {
        let message = poll_fn(|cx| socket.poll_message(cx)).await;
        let is_end = !matches!(message, Some(Ok(_)));
        let own = bell.own.load(Ordering::Relaxed);
        let is_news =
            matches!(&message, Some(Ok(AsyncMessage::Notification(told))) if told.process_id() != own);
        if is_end || is_news {
            let wake = bell.wake.lock().clone();
            wake.iter().for_each(Wake::ring);
        }
        if is_end {
            return;
        }
    }
}

fn config(settings: &PostgresSettings) -> Config {
    let mut config = Config::new();
    config
        .host(&settings.host)
        .port(settings.port)
        .dbname(&settings.database)
        .user(&settings.user)
        .application_name("tidegate")
        .connect_timeout(settings.timeout)
        .tcp_user_timeout(settings.timeout)
        .keepalives_idle(Duration::from_secs(30))
        .ssl_mode(match encryption(settings) {
            None => SslMode::Disable,
            Some(tls) if tls.is_required => SslMode::Require,
            Some(_) => SslMode::Prefer,
        });
    if let Some(password) = &settings.password {
        config.password(password);
    }
    config
}

/// Sockets within the machine are not encrypted, as with every client of PostgreSQL.
fn encryption(settings: &PostgresSettings) -> Option<&PostgresTls> {
    let is_local = settings.host.starts_with('/');
    settings.tls.as_ref().filter(|_| !is_local)
}

/// A name for SQL.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// A thread with a runtime, for as long as the link is there.
struct Driver {
    handle: Handle,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Driver {
    fn start() -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::Builder::new().name("tidegate-pg".to_owned());
        let thread = thread.spawn(move || {
            // Whichever way the other side goes, this is the end.
            let _ = runtime.block_on(stopped);
        })?;
        Ok(Self {
            handle,
            stop: Some(stop),
            thread: Some(thread),
        })
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        drop(self.stop.take());
        if self.thread.take().is_some_and(|thread| thread.join().is_err()) {
            tracing::error!("the thread that talks to the database has panicked");
        }
    }
}
