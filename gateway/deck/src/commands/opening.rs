//! The way to the Admin API: a gateway or a control plane, and a workspace in it.

use crate::client::{Client, Connection, Konnect};
use crate::error::Error;
use crate::report::Terminal;
use serde_json::{Value, json};

/// What an Admin API says of itself.
pub(super) struct Opened<'l> {
    /// Everything below it is within the workspace.
    pub(super) client: Client<'l>,
    /// Version of the gateway; none for a control plane.
    pub(super) version: Option<String>,
    /// The workspace does not exist yet.
    pub(super) lacks_workspace: bool,
}

/// Asks for the version and goes into the control plane or the workspace.
pub(super) async fn open<'l>(
    connection: &Connection,
    workspace: Option<&str>,
    log: &'l dyn Fn(&str),
) -> Result<Opened<'l>, Error> {
    let mut client = Client::new(connection, log)?;
    if let Some(konnect) = &connection.konnect {
        let id = control_plane(&client, konnect).await?;
        client.go_below(&format!("/v2/control-planes/{id}/core-entities"));
        return Ok(Opened {
            client,
            version: None,
            lacks_workspace: false,
        });
    }
    let version = version(&client, workspace).await?;
    let mut lacks_workspace = false;
    if let Some(workspace) = workspace {
        check_workspace(workspace)?;
        client.go_below(&format!("/{workspace}"));
        lacks_workspace = match client.get(&format!("/workspaces/{workspace}")).await {
            Ok(_) => false,
            Err(error) if error.status() == Some(404) => true,
            Err(error) => return Err(error.during("checking if workspace exists")),
        };
    }
    Ok(Opened {
        client,
        version: Some(version),
        lacks_workspace,
    })
}

/// Makes a workspace. The client given is not yet within it.
pub(super) async fn create_workspace(
    connection: &Connection,
    name: &str,
    log: &dyn Fn(&str),
) -> Result<(), Error> {
    let client = Client::new(connection, log)?;
    let created = client.post("/workspaces", &json!({ "name": name })).await;
    created.map_err(|error| error.during(format!("creating workspace {name}")))
}

/// Names of all workspaces.
pub(super) async fn workspaces(connection: &Connection, log: &dyn Fn(&str)) -> Result<Vec<String>, Error> {
    let client = Client::new(connection, log)?;
    let listed = client.list("/workspaces", &[]).await;
    let listed = listed.map_err(|error| error.during("fetching workspaces from Kong"))?;
    Ok(listed
        .iter()
        .filter_map(|workspace| workspace.get("name")?.as_str().map(str::to_owned))
        .collect())
}

fn check_workspace(name: &str) -> Result<(), Error> {
    let is_safe = |c: char| c.is_ascii_alphanumeric() || "._-~".contains(c);
    if name.chars().all(is_safe) && !name.chars().all(|c| c == '.') {
        return Ok(());
    }
    Err(Error::input(format!(
        "invalid workspace name {name:?}: only alphanumerics or '.', '-', '_', and '~' are accepted"
    )))
}

/// The version of the gateway. Whoever may see a workspace alone is answered there.
async fn version(client: &Client<'_>, workspace: Option<&str>) -> Result<String, Error> {
    let reading = |error: Error| error.during("reading Kong version");
    let root = match (client.get("/").await, workspace) {
        (Err(error), Some(workspace)) if error.status().is_some() => {
            check_workspace(workspace)?;
            client.get(&format!("/{workspace}/kong")).await
        }
        (answer, _) => answer,
    };
    match root.map_err(reading)?.get("version") {
        Some(Value::String(version)) => Ok(version.clone()),
        _ => Err(reading(Error::Request("the answer names no version".to_owned()))),
    }
}

/// Pages of control planes, at most.
const MAX_PAGES: u64 = 1_000;

async fn control_plane(client: &Client<'_>, konnect: &Konnect) -> Result<String, Error> {
    for page in 1..=MAX_PAGES {
        let path = format!("/konnect-api/api/runtime_groups?page={page}&size=100");
        let answer = client.get(&path).await;
        let answer = answer.map_err(|error| error.during("listing control planes"))?;
        let planes = answer.get("data").and_then(Value::as_array).into_iter().flatten();
        let named =
            |plane: &&Value| plane.get("name").and_then(Value::as_str) == Some(konnect.control_plane());
        if let Some(id) = planes
            .clone()
            .find(named)
            .and_then(|plane| plane.get("id")?.as_str())
        {
            return Ok(id.to_owned());
        }
        let pages = answer.get("pageCount").and_then(Value::as_u64).unwrap_or(1);
        if page >= pages {
            break;
        }
    }
    Err(Error::input(format!(
        "control plane not found: {}",
        konnect.control_plane()
    )))
}

/// Asks who is there and prints it.
///
/// # Errors
/// Nobody answers, or not as an Admin API.
pub async fn ping(
    connection: &Connection,
    workspace: Option<&str>,
    terminal: &Terminal<'_>,
) -> Result<(), Error> {
    let log = |text: &str| terminal.note(text);
    if connection.konnect.is_none() {
        let client = Client::new(connection, &log)?;
        let version = version(&client, workspace).await?;
        terminal.line("Successfully connected to Kong!")?;
        return terminal.line(format_args!("Kong version:  {version}"));
    }
    let global = Connection {
        address: global_address(&connection.address),
        ..connection.clone()
    };
    let client = Client::new(&global, &log)?;
    let answer = client.get("/v2/organizations/me").await;
    let organization = answer.map_err(|error| error.during("authenticating with Konnect"))?;
    let field = |name: &str| organization.get(name).and_then(Value::as_str).unwrap_or_default();
    terminal.line(format_args!(
        "Successfully Konnected to the {} organization!",
        field("name")
    ))?;
    if connection.verbose {
        terminal.line(format_args!("Organization ID: {}", field("id")))?;
    }
    Ok(())
}

/// Organizations are known in all regions together; a host without regions answers for itself.
fn global_address(address: &str) -> String {
    match address.split_once("://") {
        Some((scheme, rest)) => match rest.split_once('.') {
            Some((_, rest)) if rest.starts_with("api.konghq.") => format!("{scheme}://global.{rest}"),
            _ => address.to_owned(),
        },
        None => address.to_owned(),
    }
}
