//! Steps of migrations, done by one release and met by another.

use super::super::migrate::{Migrator, STEPS, Step};
use super::server::Server;
use super::{FaultKind, PostgresSettings, insert, node, refusal, tell};

/// What a later release would have.
const LATER: &[Step] = &[
    Step {
        name: STEPS[0].name,
        up: STEPS[0].up,
        finish: STEPS[0].finish,
    },
    Step {
        name: "002_notes",
        up: "ALTER TABLE tidegate_rows ADD COLUMN note text; ALTER TABLE tidegate_rows ADD COLUMN old text",
        finish: Some("ALTER TABLE tidegate_rows DROP COLUMN old"),
    },
    Step {
        name: "003_more",
        up: "CREATE TABLE tidegate_more (id int)",
        finish: None,
    },
];

fn schema(server: &Server, name: &str) -> PostgresSettings {
    PostgresSettings {
        schema: Some(name.to_owned()),
        ..server.settings()
    }
}

#[test]
fn a_database_is_prepared_migrated_in_two_halves_and_emptied() {
    let server = Server::start();
    let settings = schema(&server, "own");
    let fault = refusal(&settings);
    assert_eq!(fault.kind, FaultKind::NeedsMigration);
    assert!(
        fault
            .text
            .ends_with("is not prepared; run `tidegate migrations bootstrap`"),
        "{fault}"
    );

    let mut first = Migrator::connect(settings.clone()).expect("a connection");
    assert_eq!(first.up().expect_err("a refusal").kind, FaultKind::NeedsMigration);
    assert!(!first.reset().expect("nothing to do"));
    assert!(!first.state().expect("a state").is_bootstrapped);
    assert_eq!(first.bootstrap(), Ok(vec!["001_entities"]));
    assert_eq!(
        first.bootstrap(),
        Ok(vec![]),
        "a second time there is nothing to do"
    );
    insert(&node(&settings), 1, "one").expect("an insert");

    let mut later = Migrator::with_steps(settings.clone(), LATER).expect("a connection");
    let state = later.state().expect("a state");
    assert_eq!(
        (state.executed, state.new),
        (
            vec!["001_entities".to_owned()],
            vec!["002_notes".to_owned(), "003_more".to_owned()]
        )
    );
    assert_eq!(later.up(), Ok(vec!["002_notes", "003_more"]));
    let state = later.state().expect("a state");
    assert_eq!(
        (state.executed.len(), state.pending, state.new.len()),
        (2, vec!["002_notes".to_owned()], 0)
    );
    let fault = refusal(&settings);
    assert_eq!(fault.kind, FaultKind::TooNew);
    assert!(
        fault.text.contains("by a newer release (002_notes, 003_more)"),
        "{fault}"
    );
    assert_eq!(later.finish(), Ok(vec!["002_notes"]));
    assert_eq!(later.finish(), Ok(vec![]));
    assert_eq!(later.state().expect("a state").pending, Vec::<String>::new());

    assert!(first.reset().expect("a reset"));
    assert!(!first.state().expect("a state").is_bootstrapped);
}

#[test]
fn a_step_that_fails_leaves_nothing_of_itself() {
    const BROKEN: &[Step] = &[
        Step {
            name: STEPS[0].name,
            up: STEPS[0].up,
            finish: None,
        },
        Step {
            name: "002_broken",
            up: "CREATE TABLE tidegate_half (id int); SELECT 1 / 0",
            finish: None,
        },
    ];
    let server = Server::start();
    let settings = server.fresh();
    let mut broken = Migrator::with_steps(settings.clone(), BROKEN).expect("a connection");
    let fault = broken.up().expect_err("a fault");
    assert!(fault.text.contains("division by zero"), "{fault}");
    tell(&settings, "CREATE TABLE tidegate_half (id int)");
    assert_eq!(broken.state().expect("a state").new, ["002_broken"]);
    node(&settings);
}

#[test]
fn nodes_that_prepare_a_database_at_once_do_it_once() {
    let server = Server::start();
    let settings = schema(&server, "raced");
    let done: usize = std::thread::scope(|scope| {
        let prepare = || Migrator::connect(settings.clone()).and_then(|mut migrator| migrator.bootstrap());
        let nodes: Vec<_> = (0..4).map(|_| scope.spawn(prepare)).collect();
        nodes
            .into_iter()
            .map(|node| node.join().expect("a node").expect("no fault").len())
            .sum()
    });
    assert_eq!(done, STEPS.len());
    insert(&node(&settings), 1, "one").expect("an insert");
}

#[test]
fn a_node_survives_that_its_tables_are_dropped_and_made_again() {
    let server = Server::start();
    let settings = server.fresh();
    let store = node(&settings);
    insert(&store, 1, "one").expect("an insert");
    let mut migrator = Migrator::connect(settings.clone()).expect("a connection");
    assert!(migrator.reset().expect("a reset"));
    let failed = insert(&store, 2, "two");
    assert!(
        matches!(&failed, Err(crate::TransactError::Unavailable(fault)) if fault.kind == FaultKind::NeedsMigration),
        "{failed:?}"
    );
    assert_eq!(store.catalog().len("services"), 1);
    migrator.bootstrap().expect("a bootstrap");
    super::eventually("the store takes over that everything is gone", || {
        store.catalog().is_empty()
    });
    super::eventually("writes go through", || insert(&store, 2, "two").is_ok());
}
