//! Many clients at once.

use super::{Site, on_every_store};
use futures_util::future::join_all;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use tidegate_tests::{Request, Upstream};

on_every_store!(
    of_writers_who_want_the_same_exactly_one_wins,
    a_parent_and_its_child_are_never_both_gone_and_there,
    changes_of_one_entity_by_many_are_all_in_one_of_their_orders,
    pages_show_each_entity_once_while_others_are_written,
);

async fn of_writers_who_want_the_same_exactly_one_wins(site: &Site) {
    let admins: Vec<_> = site.nodes().map(tidegate_tests::Gateway::admin).collect();
    for round in 0..10 {
        let name = format!("s{round}");
        let writers = (0..8).map(|writer| {
            let admin = &admins[writer % admins.len()];
            let service = json!({"name": name, "host": format!("h{writer}.test")});
            async move { admin.send("POST", "/services", &service).await }
        });
        let answers = join_all(writers).await;
        let won: Vec<_> = answers.iter().filter(|answer| answer.status == 201).collect();
        assert_eq!(won.len(), 1, "{answers:?}");
        assert!(
            answers.iter().all(|answer| [201, 409].contains(&answer.status)),
            "{answers:?}"
        );
        let winner = won[0].json();
        let path = format!("/services/{name}");
        site.settles("the winner is there", async |node| {
            let seen = node.admin().call(Request::get(&path)).await.json();
            (seen == winner).then_some(()).ok_or_else(|| seen.to_string())
        })
        .await;
    }
}

async fn a_parent_and_its_child_are_never_both_gone_and_there(site: &Site) {
    let (one, two) = (site.admin(), site.reader());
    for round in 0..10 {
        let service = json!({"name": "s", "host": "h.test"});
        one.put("/services/s", service).await;
        let id = one.get("/services/s").await["id"].clone();
        let route = json!({"name": format!("r{round}"), "paths": ["/"], "service": {"id": id}});
        let (made, deleted) = tokio::join!(
            two.send("POST", "/routes", &route),
            one.call(Request::new("DELETE", "/services/s"))
        );
        let outcome = (made.status, deleted.status);
        assert!(
            [(201, 400), (400, 204)].contains(&outcome),
            "{} {}",
            made.text(),
            deleted.text()
        );
        if made.status == 201 {
            two.delete(&format!("/routes/r{round}")).await;
        }
    }
}

async fn changes_of_one_entity_by_many_are_all_in_one_of_their_orders(site: &Site) {
    let admins: Vec<_> = site.nodes().map(tidegate_tests::Gateway::admin).collect();
    site.admin()
        .post("/services", json!({"name": "s", "host": "h"}))
        .await;
    site.tells("/services/s", |answer| answer.status == 200).await;
    let fields = [
        "connect_timeout",
        "read_timeout",
        "write_timeout",
        "retries",
        "port",
    ];
    let writers = fields.iter().enumerate().map(|(writer, field)| {
        let admin = &admins[writer % admins.len()];
        async move {
            for number in 1..=10 {
                admin.patch("/services/s", json!({*field: number})).await;
            }
        }
    });
    join_all(writers).await;
    site.settles("the last changes of all are there", async |node| {
        let service = node.admin().get("/services/s").await;
        let is_last = fields.iter().all(|field| service[field] == 10);
        is_last.then_some(()).ok_or_else(|| service.to_string())
    })
    .await;
}

async fn pages_show_each_entity_once_while_others_are_written(site: &Site) {
    const COUNT: usize = 250;
    let upstream = Upstream::ok().await;
    let admin = site.admin();
    let mut wanted = BTreeSet::new();
    for number in 0..COUNT {
        let service = json!({"name": format!("kept-{number}"), "url": upstream.url(), "tags": ["kept"]});
        wanted.insert(admin.post("/services", service).await["id"].to_string());
    }
    let last = format!("/services/kept-{}", COUNT - 1);
    site.tells(&last, |answer| answer.status == 200).await;
    let others = async {
        for number in 0..60 {
            let path = format!("/services/passing-{number}");
            admin.put(&path, json!({"host": "h.test"})).await;
            if number % 2 == 0 {
                admin.delete(&path).await;
            }
        }
    };
    let reader = site.reader();
    let walks = async {
        for path in ["/services?size=50", "/services?size=7&tags=kept", "/services"] {
            let mut seen = Vec::new();
            let mut next = path.to_owned();
            loop {
                let page = reader.get(&next).await;
                let rows = page["data"].as_array().unwrap();
                let kept = rows.iter().filter(|row| row["tags"] == json!(["kept"]));
                seen.extend(kept.map(|row| row["id"].to_string()));
                match &page["next"] {
                    Value::String(link) => next.clone_from(link),
                    _ => break,
                }
            }
            assert_eq!(seen.len(), COUNT, "none twice: {path}");
            assert_eq!(BTreeSet::from_iter(seen), wanted, "none missing: {path}");
        }
    };
    tokio::join!(others, walks);
}
