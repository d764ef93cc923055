//! Commands as they are run by a command line, with what they print.

use crate::server::Server;
use std::collections::BTreeMap;
use std::time::Duration;
use tidegate_deck::{
    Connection, DumpOptions, Error, Format, Outcome, ResetOptions, SyncOptions, Terminal, ValidateOptions,
    Verb,
};

/// What came of a command.
#[derive(Debug)]
pub(crate) struct Ran {
    /// The exit code: 0, 1 or 2.
    pub(crate) code: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

pub(crate) fn connection(address: &str) -> Connection {
    Connection {
        address: address.to_owned(),
        timeout: Duration::from_secs(10),
        ..Connection::default()
    }
}

/// Runs a command with a terminal of its own.
pub(crate) async fn ran(command: impl AsyncFnOnce(&Terminal<'_>) -> Result<Outcome, Error>) -> Ran {
    let (mut out, mut err) = (Vec::new(), Vec::new());
    let result = command(&Terminal::new(&mut out, &mut err)).await;
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (code, fault) = match result {
        Ok(Outcome::Done) => (0, String::new()),
        Ok(Outcome::Differs) => (2, String::new()),
        Err(error) => (1, format!("Error: {error}\n")),
    };
    Ran {
        code,
        out: text(out),
        err: text(err) + &fault,
    }
}

/// `sync`, `diff` or `apply` of one text with options changed.
pub(crate) async fn with(
    server: &Server,
    verb: Verb,
    text: &str,
    change: impl FnOnce(&mut SyncOptions),
) -> Ran {
    let mut options = SyncOptions::new(verb, vec!["-".to_owned()]);
    options.retry_after = Duration::from_millis(1);
    change(&mut options);
    let environment = BTreeMap::from([("DECK_PORT".to_owned(), "81".to_owned())]);
    ran(async |terminal: &Terminal<'_>| {
        let mut stdin = text.as_bytes();
        tidegate_deck::sync(
            &connection(&server.address),
            &options,
            &environment,
            &mut stdin,
            terminal,
        )
        .await
    })
    .await
}

pub(crate) async fn sync(server: &Server, text: &str) -> Ran {
    with(server, Verb::Sync, text, |_| {}).await
}

pub(crate) async fn reset(server: &Server, change: impl FnOnce(&mut ResetOptions), answer: &str) -> Ran {
    let mut options = ResetOptions::default();
    change(&mut options);
    ran(async |terminal: &Terminal<'_>| {
        let mut stdin = answer.as_bytes();
        tidegate_deck::reset(&connection(&server.address), &options, &mut stdin, terminal).await
    })
    .await
}

pub(crate) async fn dump(server: &Server, change: impl FnOnce(&mut DumpOptions)) -> Ran {
    let mut options = DumpOptions {
        output: "-".to_owned(),
        format: Format::Yaml,
        with_ids: false,
        workspace: None,
        all_workspaces: false,
        select_tags: Vec::new(),
        skips_consumers: false,
        skips_ca_certificates: false,
        skips_defaults: false,
        assumes_yes: false,
    };
    change(&mut options);
    ran(async |terminal: &Terminal<'_>| {
        let mut stdin = &b""[..];
        tidegate_deck::dump(&connection(&server.address), &options, &mut stdin, terminal).await
    })
    .await
}

pub(crate) async fn validate(server: &Server, text: &str) -> Ran {
    let options = ValidateOptions {
        files: vec!["-".to_owned()],
        workspace: None,
        collections: Vec::new(),
        parallelism: 10,
    };
    ran(async |terminal: &Terminal<'_>| {
        let mut stdin = text.as_bytes();
        tidegate_deck::validate(
            &connection(&server.address),
            &options,
            &BTreeMap::new(),
            &mut stdin,
            terminal,
        )
        .await
    })
    .await
}

/// The summary that is printed last.
pub(crate) fn summary(created: u32, updated: u32, deleted: u32) -> String {
    format!("Summary:\n  Created: {created}\n  Updated: {updated}\n  Deleted: {deleted}\n")
}
