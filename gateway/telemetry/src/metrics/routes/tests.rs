use super::super::codes::AnsweredBy;
use super::*;

fn count(table: &RouteTable, index: u32) {
    let cells = table.get(index).unwrap().cells();
    cells.of(0).unwrap().codes.count(200, AnsweredBy::Service);
}

fn counted(catalog: &Catalog) -> Vec<(String, u64)> {
    let mut all = Vec::new();
    catalog.for_each(|_, route, cells| {
        let mut requests = 0;
        for worker in cells.filled() {
            worker.codes.for_each(|_, count| requests += count);
        }
        all.push((route.to_owned(), requests));
    });
    all
}

fn table(catalog: &Catalog, routes: &[&str]) -> RouteTable {
    catalog.table(routes.iter().map(|route| ("service", *route)))
}

#[test]
fn counters_survive_a_reload_that_reorders_the_routes() {
    let catalog = Catalog::new(1, 10);
    let before = table(&catalog, &["a", "b"]);
    count(&before, 0);
    let after = table(&catalog, &["b", "a"]);
    drop(before);
    count(&after, 1);
    assert_eq!(counted(&catalog), [("a".to_owned(), 2)]);
}

#[test]
fn a_route_without_requests_has_no_series() {
    let catalog = Catalog::new(1, 10);
    let _table = table(&catalog, &["a", "b"]);
    assert_eq!(counted(&catalog), []);
}

#[test]
fn routes_beyond_the_bound_share_the_series_other() {
    let catalog = Catalog::new(1, 2);
    let table = table(&catalog, &["a", "b", "c", "d"]);
    for index in 0..4 {
        count(&table, index);
    }
    assert_eq!(
        counted(&catalog),
        [("a".to_owned(), 1), ("b".to_owned(), 1), ("other".to_owned(), 2)]
    );
}

#[test]
fn the_numbers_of_a_removed_route_stay_until_the_place_is_needed() {
    let catalog = Catalog::new(1, 2);
    let first = table(&catalog, &["a", "b"]);
    count(&first, 0);
    let second = table(&catalog, &["b"]);
    drop(first);
    count(&second, 0);
    assert_eq!(
        counted(&catalog).len(),
        2,
        "a is gone from the snapshot but still reported"
    );

    let third = table(&catalog, &["b", "c"]);
    drop(second);
    count(&third, 1);
    assert_eq!(counted(&catalog), [("b".to_owned(), 1), ("c".to_owned(), 1)]);
}

#[test]
fn reloads_with_ever_new_names_do_not_grow_the_catalog() {
    let catalog = Catalog::new(1, 3);
    let mut current = RouteTable::default();
    for round in 0..1_000 {
        let names: Vec<String> = (0..20).map(|index| format!("{round}-{index}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let next = table(&catalog, &names);
        count(&next, 0);
        current = next;
    }
    assert_eq!(current.len(), 20);
    assert!(
        catalog.known.lock().len() <= 43,
        "two snapshots and the bound, not every name ever seen"
    );
    assert!(
        counted(&catalog).iter().any(|(route, _)| route == "999-0"),
        "a new route gets the place of a dead one"
    );
}

#[test]
fn an_unknown_index_has_no_series() {
    let catalog = Catalog::new(1, 3);
    assert!(table(&catalog, &["a"]).get(1).is_none());
}
