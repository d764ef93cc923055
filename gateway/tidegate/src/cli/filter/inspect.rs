//! What a module is and what it gets.

use super::InspectArguments;
use super::world::World;
use crate::cli::arguments::Format;
use anyhow::Result;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::io::Write;
use tidegate_wasm::{AbiVersion, FilterKind};

pub(super) fn run(arguments: &InspectArguments, stdout: &mut dyn Write) -> Result<()> {
    let kind = World::new()?.kind(&arguments.file)?;
    match arguments.format {
        Format::Text => stdout.write_all(as_text(&kind, &arguments.file.display().to_string()).as_bytes())?,
        Format::Json => writeln!(stdout, "{:#}", as_json(&kind))?,
    }
    Ok(())
}

/// Imports that are granted by default, and those that no host function answers.
fn imports(kind: &FilterKind) -> (Vec<String>, Vec<String>) {
    let (known, unknown): (Vec<_>, Vec<_>) = kind.module().imports().partition(|(_, is_known)| *is_known);
    let names = |imports: Vec<(String, bool)>| imports.into_iter().map(|(name, _)| name).collect();
    (names(known), names(unknown))
}

/// Functions of a list that the options in the metadata withhold.
fn withheld(kind: &FilterKind, names: &[String]) -> Vec<String> {
    let Some(granted) = &kind.options().capabilities else {
        return Vec::new();
    };
    let is_granted = |name: &str| granted.contains(name.rsplit_once('.').map_or(name, |(_, last)| last));
    names.iter().filter(|name| !is_granted(name)).cloned().collect()
}

fn digest(kind: &FilterKind) -> String {
    kind.module().digest.iter().fold(String::new(), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn as_text(kind: &FilterKind, name: &str) -> String {
    let module = kind.module();
    let (known, unknown) = imports(kind);
    let withheld = withheld(kind, &known);
    let options = kind.options();
    let mut lines = vec![
        format!("file       {name}"),
        format!(
            "abi        {}{}{}",
            if module.abi == AbiVersion::Component0_1 {
                ""
            } else {
                "proxy-wasm "
            },
            module.abi.as_str(),
            if module.is_rust { ", compiled by rustc" } else { "" }
        ),
        format!("size       {} bytes, sha256 {}", module.size, digest(kind)),
        format!(
            "memory     {} KiB at start, at most {} KiB granted",
            module.initial_memory_bytes / 1_024,
            options.max_memory_bytes / 1_024
        ),
        format!("schema     {}", schema(kind)),
        format!("callbacks  {}", module.callbacks.join(" ")),
        format!("exports    {}", module.exports().collect::<Vec<_>>().join(" ")),
        format!("granted    {}", without(&known, &withheld).join(" ")),
    ];
    if !withheld.is_empty() {
        lines.push(format!("withheld   {} (calls are refused)", withheld.join(" ")));
    }
    if !unknown.is_empty() {
        lines.push(format!(
            "unknown    {} (no such host function: calls fail)",
            unknown.join(" ")
        ));
    }
    lines.push(format!(
        "calls      {}",
        match &options.allowed_hosts {
            None => "to every target that the gateway allows".to_owned(),
            Some(hosts) => hosts.iter().cloned().collect::<Vec<_>>().join(" "),
        }
    ));
    lines.join("\n") + "\n"
}

fn without(names: &[String], withheld: &[String]) -> Vec<String> {
    names
        .iter()
        .filter(|name| !withheld.contains(name))
        .cloned()
        .collect()
}

fn schema(kind: &FilterKind) -> String {
    let Some(schema) = kind.meta().config_schema() else {
        return "none: the configuration is a string or nothing".to_owned();
    };
    let members = schema.get("properties").and_then(Value::as_object);
    let names = members.into_iter().flat_map(|members| members.keys());
    names.map(String::as_str).collect::<Vec<_>>().join(" ")
}

fn as_json(kind: &FilterKind) -> Value {
    let module = kind.module();
    let (known, unknown) = imports(kind);
    let withheld = withheld(kind, &known);
    json!({
        "abi": module.abi.as_str(),
        "rustc": module.is_rust,
        "size": module.size,
        "sha256": digest(kind),
        "initial_memory_bytes": module.initial_memory_bytes,
        "max_memory_bytes": kind.options().max_memory_bytes,
        "config_schema": kind.meta().config_schema(),
        "callbacks": module.callbacks,
        "exports": module.exports().collect::<Vec<_>>(),
        "granted": without(&known, &withheld),
        "withheld": withheld,
        "unknown": unknown,
        "allowed_hosts": kind.options().allowed_hosts,
    })
}
