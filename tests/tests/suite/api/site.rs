//! Where the same cases run: one node on the embedded store, and two nodes on one PostgreSQL.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;
use tidegate_test_postgres::Server;
use tidegate_tests::gateway::Builder;
use tidegate_tests::{Admin, Gateway, Request, Response, Upstream, eventually};

/// How long it may take until another node serves what was written. Ordinarily it is some milliseconds; the rest is for
/// a machine that is busy with other tests.
const ELSEWHERE: Duration = Duration::from_secs(5);

/// Gateways with the same entities.
pub(crate) struct Site {
    /// Where writes go.
    pub(crate) writer: Gateway,
    /// Another node, which has to follow.
    pub(crate) follower: Option<Gateway>,
}

impl Site {
    pub(crate) async fn embedded() -> Self {
        Self {
            writer: node().start().await,
            follower: None,
        }
    }

    pub(crate) async fn postgres() -> Self {
        let database = Database::of(Server::shared());
        database.prepare();
        Self {
            writer: database.node().start().await,
            follower: Some(database.node().start().await),
        }
    }

    /// Where writes go.
    pub(crate) fn admin(&self) -> Admin {
        self.writer.admin()
    }

    /// Where another client reads: at the other node if there is one.
    pub(crate) fn reader(&self) -> Admin {
        self.follower.as_ref().unwrap_or(&self.writer).admin()
    }

    pub(crate) fn nodes(&self) -> impl Iterator<Item = &Gateway> {
        std::iter::once(&self.writer).chain(&self.follower)
    }

    /// `look` is content with the node that was written to at once, and soon with the other one.
    pub(crate) async fn shows(&self, what: &str, look: impl AsyncFn(&Gateway) -> Result<(), String>) {
        if let Err(seen) = look(&self.writer).await {
            panic!("right after the answer to the write: {what}: {seen}");
        }
        self.settles(what, look).await;
    }

    /// `look` is content with all nodes soon, whichever was written to.
    pub(crate) async fn settles(&self, what: &str, look: impl AsyncFn(&Gateway) -> Result<(), String>) {
        for node in self.nodes() {
            eventually(&format!("at every node: {what}"), ELSEWHERE, async || {
                look(node).await.ok()
            })
            .await;
        }
    }

    /// A request is answered with that status.
    pub(crate) async fn answers(&self, request: &Request, status: u16) {
        self.shows(&format!("{request:?} has {status}"), async |node| {
            let answer = node.call(request).await;
            is(answer.status == status, &answer)
        })
        .await;
    }

    /// A request reaches that upstream.
    pub(crate) async fn reaches(&self, request: &Request, upstream: &Upstream) {
        self.shows(&format!("{request:?} reaches it"), async |node| {
            let before = upstream.requests().len();
            let answer = node.call(request).await;
            is(
                answer.status == 200 && upstream.requests().len() > before,
                &answer,
            )
        })
        .await;
    }

    /// A page of the Admin API is as it should be.
    pub(crate) async fn tells(&self, path: &str, look: impl Fn(&Response) -> bool) {
        self.shows(path, async |node| {
            let answer = node.admin().call(Request::get(path)).await;
            is(look(&answer), &answer)
        })
        .await;
    }
}

fn is(good: bool, answer: &Response) -> Result<(), String> {
    let seen = || format!("{} {}", answer.status, answer.text());
    good.then_some(()).ok_or_else(seen)
}

fn node() -> Builder {
    // Two workers: what is live is live on each of them.
    Gateway::managed()
        .setting("workers", "2")
        .environment("TEST_SECRET", "hidden treasure")
        .environment("TEST_SECOND", "gold")
        .environment("TEST_UNUSABLE", "$(os.execute())")
}

/// A place of one's own in a database server.
pub(crate) struct Database {
    settings: [(&'static str, String); 6],
}

impl Database {
    pub(crate) fn of(server: &Server) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        Self {
            settings: [
                ("pg_host", server.folder().display().to_string()),
                ("pg_port", server.port().to_string()),
                ("pg_user", Server::USER.to_owned()),
                ("pg_password", Server::PASSWORD.to_owned()),
                ("pg_database", Server::DATABASE.to_owned()),
                ("pg_schema", format!("site_{number}")),
            ],
        }
    }

    /// A node that is not started yet.
    pub(crate) fn node(&self) -> Builder {
        let node = node().setting("database", "postgres");
        let settings = self.settings.iter();
        settings.fold(node, |node, (name, value)| node.setting(name, value))
    }

    /// Makes the tables.
    pub(crate) fn prepare(&self) {
        let (code, told) = self.migrations(&["bootstrap"]);
        assert_eq!(code, Some(0), "{told}");
    }

    /// Runs `tidegate migrations`.
    pub(crate) fn migrations(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let settings = self.settings.iter();
        let settings = settings.map(|(name, value)| (format!("TIDEGATE_{}", name.to_uppercase()), value));
        let output = std::process::Command::new(tidegate_tests::binary::path())
            .arg("migrations")
            .args(arguments)
            .env_clear()
            .envs(settings)
            .output()
            .unwrap();
        let told = [output.stdout, output.stderr].concat();
        (output.status.code(), String::from_utf8(told).unwrap())
    }
}

/// Makes a test of each case for every store.
macro_rules! on_every_store {
    ($($case:ident),+ $(,)?) => {
        mod embedded {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(&crate::api::Site::embedded().await).await;
            })+
        }
        mod postgres {
            $(#[tokio::test(flavor = "multi_thread")]
            async fn $case() {
                super::$case(&crate::api::Site::postgres().await).await;
            })+
        }
    };
}
pub(super) use on_every_store;
