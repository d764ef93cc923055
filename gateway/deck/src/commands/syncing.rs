//! `sync`, `diff` and `apply`.

use super::Outcome;
use super::opening::{create_workspace, open};
use crate::carry_out::{Carried, Pace, carry_out};
use crate::client::{Client, Connection};
use crate::content::{self, Content, Variables};
use crate::defaults::Schemas;
use crate::error::Error;
use crate::fetch::{self, Scope};
use crate::kinds::Kind;
use crate::masking::Masking;
use crate::plan::{Sides, plan};
use crate::report::{Report, Terminal};
use crate::state::State;
use crate::target::{self, Draft, Surroundings};
use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;
use std::time::Duration;

/// What is done with the difference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// It is carried out.
    Sync,
    /// It is shown.
    Diff,
    /// It is carried out, but nothing is deleted.
    Apply,
}

/// Options of `sync`, `diff` and `apply`.
#[derive(Debug, Clone)]
pub struct SyncOptions {
    /// What is done with the difference.
    pub verb: Verb,
    /// Files and folders; `-` is standard input.
    pub files: Vec<String>,
    /// In place of the one that the files name.
    pub workspace: Option<String>,
    /// Entities without all of these are out of sight.
    pub select_tags: Vec<String>,
    /// Requests at a time, at least 1.
    pub parallelism: usize,
    /// Consumers, their groups and all that hangs on them are out of sight.
    pub skips_consumers: bool,
    /// Groups are not asked for their consumers.
    pub skips_memberships: bool,
    /// CA certificates are out of sight.
    pub skips_ca_certificates: bool,
    /// Waited after each kind of entity.
    pub delay: Duration,
    /// Waited, more or less, ahead of the first retry of a request that the server failed at.
    pub retry_after: Duration,
    /// One JSON object is printed in place of lines.
    pub json_output: bool,
    /// No event is printed, only the summary.
    pub silences_events: bool,
    /// Values of variables are shown in differences.
    pub shows_variables: bool,
    /// Differences make the exit code 2.
    pub non_zero_exit_code: bool,
    /// Passwords are hashes already (hosted control planes only).
    pub skips_password_hash: bool,
}

impl SyncOptions {
    /// decK's defaults.
    #[must_use]
    pub const fn new(verb: Verb, files: Vec<String>) -> Self {
        Self {
            verb,
            files,
            workspace: None,
            select_tags: Vec::new(),
            parallelism: Self::PARALLELISM,
            skips_consumers: false,
            skips_memberships: false,
            skips_ca_certificates: false,
            delay: Duration::ZERO,
            retry_after: Self::RETRY_AFTER,
            json_output: false,
            silences_events: false,
            shows_variables: false,
            non_zero_exit_code: false,
            skips_password_hash: false,
        }
    }

    /// Default of [`Self::parallelism`].
    pub const PARALLELISM: usize = 10;
    /// Default of [`Self::retry_after`].
    pub const RETRY_AFTER: Duration = Duration::from_secs(1);
}

/// Makes a gateway's configuration what the files say, or shows what that would take.
///
/// # Errors
/// What is wrong with the files, or what the Admin API refused; everything that was done until then is counted and
/// printed.
pub async fn sync(
    connection: &Connection,
    options: &SyncOptions,
    environment: &BTreeMap<String, String>,
    stdin: &mut dyn Read,
    terminal: &Terminal<'_>,
) -> Result<Outcome, Error> {
    if options.parallelism < 1 {
        return Err(Error::input(format!(
            "--parallelism cannot be less than 1, got {}",
            options.parallelism
        )));
    }
    let mut content = content::read(&options.files, stdin, Variables::Filled(environment))?;
    let connection = with_control_plane(connection, &content, terminal)?;
    let skips_password_hash = options.skips_password_hash || content.info.skips_password_hash;
    if skips_password_hash && connection.konnect.is_none() {
        return Err(Error::input(
            "skip-hash-for-basic-auth functionality can be used with Konnect only",
        ));
    }
    check_skipped(options, &content)?;
    let workspace = options.workspace.clone().or_else(|| content.workspace.clone());
    let log = |text: &str| terminal.note(text);
    let opened = open(&connection, workspace.as_deref(), &log).await?;
    check_format(opened.version.as_deref(), content.format_version.as_deref())?;
    let tags = tags_in_force(&options.select_tags, &content.info.select_tags)?;
    let masking = if options.shows_variables {
        None
    } else {
        Masking::new(environment)
    };
    let report = Report::new(terminal, masking, options.json_output, options.silences_events);
    let scope = scope(options, &tags);
    let current = match (opened.lacks_workspace, &workspace) {
        (true, Some(name)) => {
            report.workspace(name)?;
            if options.verb != Verb::Diff {
                create_workspace(&connection, name, &log).await?;
            }
            State::default()
        }
        _ => fetch::current(&opened.client, scope).await?,
    };
    let lookups = lookups(&opened.client, &content).await?;
    let drafts = covered(target::drafts(&mut content)?, scope);
    let schemas = if opened.lacks_workspace && options.verb == Verb::Diff {
        Schemas::default()
    } else {
        schemas_for(&opened.client, &drafts).await?
    };
    let all_lookups = if options.verb == Verb::Apply {
        vec![&lookups, &current]
    } else {
        vec![&lookups]
    };
    let target = target::build(
        drafts,
        &Surroundings {
            current: &current,
            lookups: &all_lookups,
            schemas: &schemas,
            info: &content.info,
            tags: &tags,
        },
    )?;
    let stages = plan(&Sides {
        current: &current,
        target: &target,
        lookups: &lookups,
        schemas: &schemas,
        keeps_others: options.verb == Verb::Apply,
    });
    let pace = Pace {
        parallelism: options.parallelism,
        is_dry: options.verb == Verb::Diff,
        delay: options.delay,
        retry_after: options.retry_after,
        skips_password_hash,
    };
    let carried = carry_out(&opened.client, stages, pace, &report).await;
    finish(carried, &report, options.non_zero_exit_code)
}

/// Prints the end of a run and says how it ended.
pub(super) fn finish(
    carried: Carried,
    report: &Report<'_, '_>,
    non_zero_exit_code: bool,
) -> Result<Outcome, Error> {
    let Carried { totals, errors } = carried;
    report.finish(totals, &errors)?;
    if !errors.is_empty() && !report.is_json() {
        return Err(Error::Several(errors));
    }
    Ok(if non_zero_exit_code && totals.sum() > 0 {
        Outcome::Differs
    } else {
        Outcome::Done
    })
}

/// What a file says of a control plane counts only where there is one: a gateway of one's own has none.
pub(super) fn with_control_plane(
    connection: &Connection,
    content: &Content,
    terminal: &Terminal<'_>,
) -> Result<Connection, Error> {
    let mut connection = connection.clone();
    match (&mut connection.konnect, &content.control_plane) {
        (Some(konnect), Some(named)) => match &konnect.control_plane {
            Some(given) if given != named => {
                return Err(Error::input(format!(
                    "warning: control plane '{given}' specified via --konnect-[control-plane|runtime-group]-name flag \
                     is different from '{named}' found in state file(s)"
                )));
            }
            _ => konnect.control_plane = Some(named.clone()),
        },
        (None, Some(named)) => terminal.note(format_args!(
            "Info: the state file names control plane '{named}', but neither --konnect-token nor --konnect-addr is \
             set: going to the gateway at {}",
            connection.address
        )),
        (_, None) => {}
    }
    Ok(connection)
}

fn check_skipped(options: &SyncOptions, content: &Content) -> Result<(), Error> {
    let lookup = &content.info.lookup_tags;
    if options.skips_consumers && (lookup.concern(Kind::Consumer) || lookup.concern(Kind::ConsumerGroup)) {
        return Err(Error::input(
            "cannot use --skip-consumers with default lookup tags for consumers or consumer groups",
        ));
    }
    Ok(())
}

/// The format of Kong 3 came with Kong 3.
pub(super) fn check_format(version: Option<&str>, format: Option<&str>) -> Result<(), Error> {
    let major = version.and_then(|version| version.split('.').next()?.parse::<u32>().ok());
    let format = format.unwrap_or("1.1");
    if major.is_some_and(|major| major < 3) || format == "3.0" {
        return Ok(());
    }
    Err(Error::input(format!(
        "cannot apply '{format}' config format version to Kong version 3.0 or above.\nPlease upgrade your configuration \
         to account for 3.0 breaking changes with decK:\n\n\
         deck convert --from kong-gateway-2.x --to kong-gateway-3.x\n\n\
         It sets `_format_version` to `3.0` and puts `~` ahead of paths that are regular expressions. Look at the \
         result before you sync it."
    )))
}

pub(super) fn tags_in_force(given: &[String], written: &[String]) -> Result<Vec<String>, Error> {
    let set = |tags: &[String]| tags.iter().cloned().collect::<BTreeSet<_>>();
    if !given.is_empty() && !written.is_empty() && set(given) != set(written) {
        let shown = |tags: &[String]| set(tags).into_iter().collect::<Vec<_>>().join(" ");
        return Err(Error::input(format!(
            "tags specified in the state file ([{}]) and via --select-tags flag ([{}]) are different. Tags can be \
             specified either via flag or via state file. In case both are specified, they must match",
            shown(written),
            shown(given)
        )));
    }
    let tags = if written.is_empty() { given } else { written };
    let mut unique: Vec<String> = Vec::new();
    for tag in tags {
        if !unique.contains(tag) {
            unique.push(tag.clone());
        }
    }
    Ok(unique)
}

const fn scope<'s>(options: &SyncOptions, tags: &'s [String]) -> Scope<'s> {
    Scope {
        tags,
        skips_consumers: options.skips_consumers,
        skips_ca_certificates: options.skips_ca_certificates,
        skips_memberships: options.skips_memberships,
        parallelism: options.parallelism,
    }
}

/// Entities that references may lead to beside those of the files.
pub(super) async fn lookups(client: &Client<'_>, content: &Content) -> Result<State, Error> {
    let mut lookups = State::default();
    for (kind, tags) in content.info.lookup_tags.iter() {
        for entity in fetch::list(client, kind, tags).await? {
            lookups.admit(entity);
        }
    }
    Ok(lookups)
}

/// The drafts that are in sight.
fn covered(mut drafts: Vec<Draft>, scope: Scope<'_>) -> Vec<Draft> {
    let hides = |draft: &Draft| {
        let is_of_consumers =
            draft.body.contains_key("consumer") || draft.body.contains_key("consumer_group");
        !scope.covers(draft.kind) || (scope.skips_consumers && draft.kind == Kind::Plugin && is_of_consumers)
    };
    // Positions are what parents are known by: what is hidden goes only if nothing in sight stands below it.
    let mut is_hidden = vec![false; drafts.len()];
    for (at, draft) in drafts.iter().enumerate() {
        let is_below_hidden = draft
            .parent
            .is_some_and(|(_, parent)| is_hidden.get(parent) == Some(&true));
        if let Some(slot) = is_hidden.get_mut(at) {
            *slot = is_below_hidden || hides(draft);
        }
    }
    let mut positions = Vec::with_capacity(drafts.len());
    let mut kept = 0;
    for hidden in &is_hidden {
        positions.push(kept);
        kept += usize::from(!hidden);
    }
    let mut hidden = is_hidden.into_iter();
    drafts.retain(|_| hidden.next() == Some(false));
    for draft in &mut drafts {
        if let Some((_, parent)) = &mut draft.parent
            && let Some(position) = positions.get(*parent)
        {
            *parent = *position;
        }
    }
    drafts
}

/// The schemas of all kinds and plugins that the files use.
pub(super) async fn schemas_for(client: &Client<'_>, drafts: &[Draft]) -> Result<Schemas, Error> {
    let kinds: BTreeSet<Kind> = drafts.iter().map(|draft| draft.kind).collect();
    let plugins: BTreeSet<String> = drafts
        .iter()
        .filter(|draft| draft.kind == Kind::Plugin)
        .filter_map(|draft| draft.body.get("name")?.as_str().map(str::to_owned))
        .collect();
    Schemas::fetch(client, &kinds, &plugins).await
}
