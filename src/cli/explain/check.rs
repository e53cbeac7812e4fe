//! `check`: what would fail or mislead in the cloud.

pub(crate) mod annotations;
pub(crate) mod text;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::Args;

use slashopt::check::{self, Configuration, Outcome as Checked, RULES, Rule, RuleLevels, Severity};
use slashopt::environment::{implied_runtimes, judge_configuration};
use slashopt::host::check::{judge, read_everything};
use slashopt::host::system::budget::Budget;
use slashopt::merge::MergedTree;
use slashopt::plan::OnTypeConflict;

use crate::cli::args::architecture::ArchitectureArgs;
use crate::cli::args::runtime::RuntimeArgs;
use crate::cli::args::values::assignments;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::report::Report;
use crate::cli::output::words::{Listing, count};
use annotations::{github, sarif};
use text::Shown;

/// The rule whose findings `--on-type-conflict error` makes errors.
const TYPE_CONFLICT: &str = "type-conflict";

const SET_HELP: &str = "Say how the function is configured, such as \
    AWS_LAMBDA_EXEC_WRAPPER=/opt/wrapper (can be repeated)";

/// Say what would fail or mislead in the cloud
#[derive(Debug, Args)]
#[command(after_help = "\
Formats (--format): text (default), json, sarif, github
Examples:
  slashopt check base.zip deps.zip --runtime python3.12 --architecture arm64
  slashopt check deps.zip --deny dangling-link --allow pth-file
  slashopt check --set AWS_LAMBDA_EXEC_WRAPPER=/opt/wrapper tools.zip --runtime nodejs22.x
  slashopt check --explain unreadable-file")]
pub(crate) struct CheckArgs {
    #[command(flatten)]
    layers: LayerArgs,
    #[command(flatten)]
    runtime: RuntimeArgs,
    #[command(flatten)]
    architecture: ArchitectureArgs,
    #[arg(long, value_name = "K=V", help = SET_HELP)]
    set: Vec<OsString>,
    /// Take what this rule finds for an error; `all` for every rule (can be repeated)
    #[arg(long, value_name = "RULE")]
    deny: Vec<String>,
    /// Do not judge this rule (can be repeated)
    #[arg(long, value_name = "RULE")]
    allow: Vec<String>,
    /// Name every finding, not only the first ones of each rule
    #[arg(long)]
    all: bool,
    /// List the rules, and check nothing
    #[arg(long)]
    list_rules: bool,
    /// Explain a rule, and check nothing
    #[arg(long, value_name = "RULE")]
    explain: Option<String>,
    #[command(flatten)]
    stack: StackArgs,
}

/// How results are printed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Format {
    Text,
    Json,
    Sarif,
    Github,
}

pub(crate) fn run(arguments: &CheckArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let format = parse_format(global.format.as_deref())?;
    if arguments.list_rules || arguments.explain.is_some() {
        return tell_rules(arguments, global, report);
    }
    let levels = levels(arguments)?;
    let variables = assignments(&arguments.set, "--set")?;
    judge_configuration(&variables).map_err(|error| {
        Failure::whole(Exit::Usage, error.to_string())
            .hint("--set says what the function is configured with; AWS would not take this")
    })?;
    let layers = arguments.layers.resolve(&arguments.stack)?;
    let runtime = layers.runtime(arguments.runtime.asked(), report)?;
    let architecture = layers.architecture(arguments.architecture.asked(), report);
    let pool = arguments.stack.pool()?;
    let budget = Budget::default();
    let loaded = arguments.stack.read(&layers, &pool, &budget)?;
    let contents = pool
        .install(|| read_everything(&loaded, &budget))
        .map_err(|error| layers.failure(error))?;
    let tree = MergedTree::merge(
        &loaded.stack,
        arguments.stack.on_type_conflict().linked_directory(),
    );
    let quotas = arguments.stack.exceeded_quotas(&loaded);
    let configuration = Configuration {
        runtime,
        architecture,
        variables: &variables,
    };
    let judged = judge(&tree, &contents, configuration, &quotas, &levels);
    let shown = Shown {
        checked: &judged.outcome,
        stack: &loaded.stack,
        files: judged.files,
    };
    match format {
        Format::Text => {
            let text = text::text(&shown, Listing::of_flag(arguments.all), report.paint());
            report.result(text.as_bytes())?;
        }
        Format::Json => report.json(&text::json(&shown))?,
        Format::Sarif => report.json(&sarif(&shown))?,
        Format::Github => report.result(github(&shown).as_bytes())?,
    }
    tell_skipped(&judged.outcome, &tree, report);
    Ok(if judged.outcome.count(Severity::Error) > 0 {
        Exit::Findings.into()
    } else {
        ExitCode::SUCCESS
    })
}

/// Says which rules had to be left out, and what would let them be judged.
fn tell_skipped(checked: &Checked, tree: &MergedTree<'_>, report: &Report) {
    if checked.skipped.is_empty() {
        return;
    }
    let names: Vec<&str> = checked.skipped.iter().map(|rule| rule.id).collect();
    let implied: Vec<String> = implied_runtimes(tree)
        .iter()
        .map(|runtime| format!("`--runtime {runtime}`"))
        .collect();
    let suggestion = if implied.is_empty() {
        "name it with --runtime".to_owned()
    } else {
        format!("the folders in the root suggest {}", implied.join(" or "))
    };
    report.note(&format!(
        "without a runtime {} cannot be judged: {}; {suggestion}",
        count(names.len(), "rule"),
        names.join(", ")
    ));
}

fn tell_rules(arguments: &CheckArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let rules: Vec<&Rule> = match &arguments.explain {
        Some(id) => vec![find_rule(id, "--explain")?],
        None => RULES.to_vec(),
    };
    if global.is_json() {
        report.json(&text::rules_json(&rules))?;
    } else if arguments.explain.is_some() {
        let explained: String = rules.iter().map(|rule| text::explained(rule)).collect();
        report.result(explained.as_bytes())?;
    } else {
        report.result(text::listed_rules(&rules).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn levels(arguments: &CheckArgs) -> Result<RuleLevels, Failure> {
    let mut levels = RuleLevels::default();
    for id in &arguments.deny {
        if id == "all" {
            levels.denies_all = true;
        } else {
            levels.denied.push(find_rule(id, "--deny")?.id);
        }
    }
    if arguments.stack.on_type_conflict() == OnTypeConflict::Error {
        levels.denied.push(TYPE_CONFLICT);
    }
    for id in &arguments.allow {
        levels.allowed.push(find_rule(id, "--allow")?.id);
    }
    Ok(levels)
}

fn find_rule(id: &str, flag: &str) -> Result<&'static Rule, Failure> {
    /// As near as a slip of the keys is, and not nearer than words that share an end.
    const NEAR: f64 = 0.7;
    check::find(id).ok_or_else(|| {
        let nearest = RULES
            .iter()
            .map(|rule| (strsim::jaro_winkler(id, rule.id), rule.id))
            .filter(|&(similarity, _)| similarity >= NEAR)
            .max_by(|(one, _), (other, _)| one.total_cmp(other));
        Failure::usage(format!("{flag}: there is no rule `{id}`")).hint(match nearest {
            Some((_, meant)) => format!("did you mean `{meant}`?"),
            None => "`slashopt check --list-rules` lists them".to_owned(),
        })
    })
}

fn parse_format(format: Option<&str>) -> Result<Format, Failure> {
    match format {
        None | Some("text") => Ok(Format::Text),
        Some("json") => Ok(Format::Json),
        Some("sarif") => Ok(Format::Sarif),
        Some("github") => Ok(Format::Github),
        Some(other) => Err(Failure::whole(
            Exit::Usage,
            format!("cannot print the result: --format: `{other}` is unknown"),
        )
        .hint("this command prints `text`, `json`, `sarif` or `github`")),
    }
}
