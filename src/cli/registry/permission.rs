//! `registry permission`: who else may get a version.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use slashopt::registry::call::{Call, Fields, PermissionFields};
use slashopt::registry::policy::ACTION;
use slashopt::registry::{ApiError, Caller, Policy, Request, VersionArn, operations, policy};

use crate::cli::layers::store::{Access, StoreArgs, Undone, version_reference};
use crate::cli::output::failure::{Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

/// Let other accounts get a version
#[derive(Debug, Args)]
#[command(subcommand_required = true, arg_required_else_help = true)]
pub(crate) struct PermissionArgs {
    #[command(subcommand)]
    command: PermissionCommand,
}

#[derive(Debug, Subcommand)]
enum PermissionCommand {
    Add(AddArgs),
    List(ListArgs),
    Remove(RemoveArgs),
}

/// Add a permission
#[derive(Debug, Args)]
struct AddArgs {
    /// The version: NAME:VERSION, or an ARN
    #[arg(value_name = "NAME:VERSION")]
    version: String,
    /// What to call the permission
    #[arg(long, value_name = "ID")]
    statement_id: String,
    /// Who may: an account, or * for everybody
    #[arg(long, value_name = "ACCOUNT")]
    principal: String,
    /// Only those of this organization
    #[arg(long, value_name = "ID")]
    organization_id: Option<String>,
    /// Only if this is the newest revision
    #[arg(long, value_name = "ID")]
    revision_id: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

/// Show the permissions of a version
#[derive(Debug, Args)]
struct ListArgs {
    /// The version: NAME:VERSION, or an ARN
    #[arg(value_name = "NAME:VERSION")]
    version: String,
    #[command(flatten)]
    store: StoreArgs,
}

/// Remove a permission
#[derive(Debug, Args)]
struct RemoveArgs {
    /// The version: NAME:VERSION, or an ARN
    #[arg(value_name = "NAME:VERSION")]
    version: String,
    /// What the permission is called
    #[arg(long, value_name = "ID")]
    statement_id: String,
    /// Only if this is the newest revision
    #[arg(long, value_name = "ID")]
    revision_id: Option<String>,
    #[command(flatten)]
    store: StoreArgs,
}

impl PermissionArgs {
    /// What a failure of the command is about.
    pub(super) const fn cannot(&self) -> &'static str {
        match self.command {
            PermissionCommand::List(_) => "cannot show the permissions",
            PermissionCommand::Add(_) | PermissionCommand::Remove(_) => {
                "cannot change the permissions"
            }
        }
    }
}

pub(super) fn run(arguments: &PermissionArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    match &arguments.command {
        PermissionCommand::Add(arguments) => add(arguments, global, report),
        PermissionCommand::List(arguments) => list(arguments, global, report),
        PermissionCommand::Remove(arguments) => remove(arguments, global, report),
    }
}

fn add(arguments: &AddArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let arn = version_reference(&arguments.version, &arguments.store.caller())?;
    let call = Call::AddPermission {
        name: arn.layer.to_string(),
        version: arn.version.to_string(),
        revision: arguments.revision_id.clone(),
    };
    let fields = Fields::Permission(PermissionFields {
        sid: Some(arguments.statement_id.clone()),
        action: Some(ACTION.to_owned()),
        principal: Some(arguments.principal.clone()),
        organization: arguments.organization_id.clone(),
    });
    let request = Request::judge(call, fields, &Caller::owner_of(&arn.layer));
    let (statement, revision) = match request.map_err(|error| Failure::registry(&error))? {
        Request::AddPermission(_, statement, revision) => (statement, revision),
        other => {
            return Err(Failure::usage(format!("{other:?} permits nothing")));
        }
    };
    let json = statement.to_json(&arn);
    let policy = change(&arguments.store, &arn, move |arn, before, id| {
        Policy::with(before, arn, statement.clone(), revision.as_deref(), id)
    })?;
    if global.is_json() {
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "statement": parsed(&json),
            "revision_id": policy.revision_id,
        }))?;
    } else {
        report.result(format!("{json}\n").as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn remove(arguments: &RemoveArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let arn = version_reference(&arguments.version, &arguments.store.caller())?;
    let call = Call::RemovePermission {
        name: arn.layer.to_string(),
        version: arn.version.to_string(),
        sid: arguments.statement_id.clone(),
        revision: arguments.revision_id.clone(),
    };
    let request = Request::judge(call, Fields::None, &Caller::owner_of(&arn.layer));
    let (sid, revision) = match request.map_err(|error| Failure::registry(&error))? {
        Request::RemovePermission(_, sid, revision) => (sid, revision),
        other => {
            return Err(Failure::usage(format!("{other:?} removes nothing")));
        }
    };
    let policy = change(&arguments.store, &arn, move |_, before, id| {
        Policy::without(before, &sid, revision.as_deref(), id)
    })?;
    if global.is_json() {
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "revision_id": policy.revision_id,
        }))?;
    }
    Ok(ExitCode::SUCCESS)
}

fn change(
    store: &StoreArgs,
    arn: &VersionArn,
    change: impl Fn(&VersionArn, Option<&Policy>, String) -> Result<Policy, ApiError> + 'static,
) -> Result<Policy, Failure> {
    let arn = arn.clone();
    store.with(Access::Change, async |store| {
        let found = store.find(&arn).await?;
        operations::must_exist(&arn, found).map_err(|error| Failure::registry(&error))?;
        let changed = store
            .change_policy(&arn, |before, id| change(&arn, before, id))
            .await?;
        changed.map_err(|error| Undone::Failure(Failure::registry(&error)))
    })
}

fn list(arguments: &ListArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let arn = version_reference(&arguments.version, &arguments.store.caller())?;
    let named = arn.clone();
    let found = arguments.store.with(Access::Read, async |store| {
        let found = store.find(&named).await?;
        let refused = |error| Undone::Failure(Failure::registry(&error));
        operations::must_exist(&named, found).map_err(refused)?;
        let found = store.policy(&named).await?;
        policy::present(found.as_ref()).cloned().map_err(refused)
    })?;
    let document = found.to_json(&arn);
    if global.is_json() {
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "policy": parsed(&document),
            "revision_id": found.revision_id,
        }))?;
    } else {
        let lines = found
            .statements
            .iter()
            .map(|statement| format!("{}\n", statement.to_json(&arn)));
        let text: String = lines.collect();
        report.result(format!("revision: {}\n{text}", found.revision_id).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// A document of ours as JSON within JSON.
fn parsed(json: &str) -> Value {
    serde_json::from_str(json).unwrap_or_else(|_| Value::String(json.to_owned()))
}
