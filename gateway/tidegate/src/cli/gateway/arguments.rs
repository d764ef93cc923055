//! What can be typed after `tidegate gateway`: decK's flags by decK's names.

use clap::{ArgAction, Args, Subcommand};
use std::path::PathBuf;

#[derive(Debug, Args)]
pub(in crate::cli) struct GatewayArguments {
    #[command(flatten)]
    pub(super) connection: ConnectionArguments,

    #[command(subcommand)]
    pub(super) command: GatewayCommand,
}

#[derive(Debug, Subcommand)]
pub(super) enum GatewayCommand {
    /// Ask the Admin API for its version
    Ping(PingArguments),
    /// Make the gateway's configuration what the files say
    Sync(SyncArguments),
    /// Show what a sync would change
    Diff(DiffArguments),
    /// As sync, but delete nothing
    Apply(SyncArguments),
    /// Write the gateway's configuration to a file
    Dump(DumpArguments),
    /// Delete the gateway's configuration
    Reset(ResetArguments),
    /// Let the gateway check files without writing anything
    Validate(ValidateArguments),
}

/// How the Admin API is reached. Each flag is also a variable DECK_<NAME> and a key of the file of settings.
#[derive(Debug, Default, Args)]
pub(in crate::cli) struct ConnectionArguments {
    /// File with settings by the names of flags [default: $HOME/.deck.yaml]
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) config: Option<PathBuf>,
    /// Base URL of the Admin API; a path prefix is kept [default: http://localhost:8001]
    #[arg(long, value_name = "URL", global = true)]
    pub(super) kong_addr: Option<String>,
    /// Sent as the header Kong-Admin-Token
    #[arg(long, value_name = "TOKEN", global = true)]
    pub(super) kong_admin_token: Option<String>,
    /// Further header, as name:value; may be repeated
    #[arg(long, value_name = "HEADER", global = true, value_delimiter = ',')]
    pub(super) headers: Vec<String>,
    /// Cookies to send, a file in Netscape's format
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) kong_cookie_jar_path: Option<String>,
    /// Seconds for each request [default: 10]
    #[arg(long, value_name = "SECONDS", global = true)]
    pub(super) timeout: Option<String>,
    /// Accept any certificate of the Admin API
    #[arg(long, global = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub(super) tls_skip_verify: Option<String>,
    /// Server name of the Admin API for TLS
    #[arg(long, value_name = "NAME", global = true)]
    pub(super) tls_server_name: Option<String>,
    /// CA certificate to trust, as PEM
    #[arg(long, value_name = "PEM", global = true)]
    pub(super) ca_cert: Option<String>,
    /// File with CA certificates to trust
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) ca_cert_file: Option<String>,
    /// Certificate to show to the Admin API, as PEM
    #[arg(long, value_name = "PEM", global = true)]
    pub(super) tls_client_cert: Option<String>,
    /// File with the certificate to show
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) tls_client_cert_file: Option<String>,
    /// Key of that certificate, as PEM
    #[arg(long, value_name = "PEM", global = true)]
    pub(super) tls_client_key: Option<String>,
    /// File with that key
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) tls_client_key_file: Option<String>,
    /// Base URL of a hosted control API, in place of a gateway
    #[arg(long, value_name = "URL", global = true)]
    pub(super) konnect_addr: Option<String>,
    /// Token for the hosted control API
    #[arg(
        long,
        value_name = "TOKEN",
        global = true,
        conflicts_with = "konnect_token_file"
    )]
    pub(super) konnect_token: Option<String>,
    /// File with that token
    #[arg(long, value_name = "FILE", global = true)]
    pub(super) konnect_token_file: Option<String>,
    /// Control plane to go to [default: default]
    #[arg(
        long,
        value_name = "NAME",
        global = true,
        alias = "konnect-runtime-group-name"
    )]
    pub(super) konnect_control_plane_name: Option<String>,
    /// Show every request and answer on standard error, from 1 on
    #[arg(long, value_name = "N", global = true)]
    pub(super) verbose: Option<String>,
    /// No colours
    #[arg(long, global = true, num_args = 0..=1, default_missing_value = "true", require_equals = true, value_name = "BOOL")]
    pub(super) no_color: Option<String>,
    /// Without effect: nothing is ever sent to anyone but the Admin API
    #[arg(long, global = true, hide = true, num_args = 0..=1, require_equals = true, value_name = "BOOL")]
    pub(super) analytics: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct PingArguments {
    /// Workspace to ask in
    #[arg(short, long, value_name = "NAME")]
    pub(super) workspace: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct SyncArguments {
    /// Files and folders; `-`, or nothing, is standard input
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<String>,
    /// Workspace, in place of the one that the files name
    #[arg(short, long, value_name = "NAME")]
    pub(super) workspace: Option<String>,
    /// Leave entities alone that lack this tag, and add it to those of the files; may be repeated
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(super) select_tag: Vec<String>,
    /// Requests at a time
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) parallelism: usize,
    /// Leave consumers, their groups and all that hangs on them alone
    #[arg(long)]
    pub(super) skip_consumers: bool,
    /// Do not ask groups for their consumers
    #[arg(long)]
    pub(super) skip_consumers_with_consumer_groups: bool,
    /// Leave CA certificates alone
    #[arg(long)]
    pub(super) skip_ca_certificates: bool,
    /// Seconds to wait after each kind of entity
    #[arg(long, value_name = "SECONDS", default_value_t = 0)]
    pub(super) db_update_propagation_delay: u64,
    /// Passwords of basic-auth are hashes already (hosted control planes only)
    #[arg(long)]
    pub(super) skip_hash_for_basic_auth: bool,
    /// Print one JSON object in place of lines
    #[arg(long)]
    pub(super) json_output: bool,
    /// Print no events, only the summary
    #[arg(long)]
    pub(super) silence_events: bool,
    /// Show values of DECK_ variables in differences
    #[arg(long)]
    pub(super) no_mask_deck_env_vars_value: bool,
    #[arg(long, hide = true)]
    pub(super) rbac_resources_only: bool,
    #[command(flatten)]
    pub(super) without_effect: WithoutEffect,
}

/// Flags of decK that change nothing here; scripts may have them.
#[derive(Debug, Args)]
pub(super) struct WithoutEffect {
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    yes: bool,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    include_plugin_definitions: bool,
    #[arg(long, hide = true, action = ArgAction::SetTrue)]
    consumer_group_policy_overrides: bool,
    #[arg(short = 'E', long, hide = true)]
    warnings_as_errors: Option<String>,
    #[arg(short = 'W', long, hide = true)]
    errors_as_warnings: Option<String>,
}

#[derive(Debug, Args)]
pub(super) struct DiffArguments {
    #[command(flatten)]
    pub(super) sync: SyncArguments,
    /// Exit with 2 when something would change
    #[arg(long)]
    pub(super) non_zero_exit_code: bool,
}

#[derive(Debug, Args)]
pub(super) struct DumpArguments {
    /// File to write; `-` is standard output
    #[arg(
        short,
        long,
        value_name = "FILE",
        default_value = "-",
        conflicts_with = "all_workspaces"
    )]
    pub(super) output_file: String,
    /// yaml or json [default: yaml, or what DECK_FORMAT says]
    #[arg(long, value_name = "FORMAT")]
    pub(super) format: Option<String>,
    /// Write ids of all entities
    #[arg(long)]
    pub(super) with_id: bool,
    /// Workspace to dump
    #[arg(short, long, value_name = "NAME", conflicts_with = "all_workspaces")]
    pub(super) workspace: Option<String>,
    /// Dump all workspaces, each to a file of its name
    #[arg(long)]
    pub(super) all_workspaces: bool,
    /// Leave out entities that lack this tag; may be repeated
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(super) select_tag: Vec<String>,
    /// Leave out consumers, their groups and all that hangs on them
    #[arg(long)]
    pub(super) skip_consumers: bool,
    /// Leave out CA certificates
    #[arg(long)]
    pub(super) skip_ca_certificates: bool,
    /// Leave out fields that have their default
    #[arg(long)]
    pub(super) skip_defaults: bool,
    /// Overwrite without asking
    #[arg(long)]
    pub(super) yes: bool,
    #[arg(long, hide = true)]
    pub(super) sanitize: bool,
    #[arg(long, hide = true)]
    pub(super) rbac_resources_only: bool,
    #[arg(long, hide = true)]
    include_plugin_definitions: bool,
    #[arg(long, hide = true)]
    consumer_group_policy_overrides: bool,
}

#[derive(Debug, Args)]
pub(super) struct ResetArguments {
    /// Do not ask
    #[arg(short, long)]
    pub(super) force: bool,
    /// Workspace to reset
    #[arg(short, long, value_name = "NAME")]
    pub(super) workspace: Option<String>,
    /// Reset all workspaces
    #[arg(long)]
    pub(super) all_workspaces: bool,
    /// Leave entities alone that lack this tag; may be repeated
    #[arg(long, value_name = "TAG", value_delimiter = ',')]
    pub(super) select_tag: Vec<String>,
    /// Leave consumers, their groups and all that hangs on them alone
    #[arg(long)]
    pub(super) skip_consumers: bool,
    /// Leave CA certificates alone
    #[arg(long)]
    pub(super) skip_ca_certificates: bool,
    /// Print one JSON object in place of lines
    #[arg(long)]
    pub(super) json_output: bool,
    #[arg(long, hide = true)]
    pub(super) rbac_resources_only: bool,
    #[arg(long, hide = true)]
    skip_plugin_definitions: bool,
    #[arg(long, hide = true)]
    no_mask_deck_env_vars_value: bool,
}

#[derive(Debug, Args)]
pub(super) struct ValidateArguments {
    /// Files and folders; `-`, or nothing, is standard input
    #[arg(value_name = "FILE")]
    pub(super) files: Vec<String>,
    /// Workspace, in place of the one that the files name
    #[arg(short, long, value_name = "NAME")]
    pub(super) workspace: Option<String>,
    /// Check these lists only, such as `services`; may be repeated
    #[arg(long, value_name = "LIST", value_delimiter = ',')]
    pub(super) online_entities_list: Vec<String>,
    /// Requests at a time
    #[arg(long, value_name = "N", default_value_t = 10)]
    pub(super) parallelism: usize,
    #[arg(long, hide = true)]
    konnect_compatibility: bool,
    #[arg(long, hide = true)]
    pub(super) rbac_resources_only: bool,
}
