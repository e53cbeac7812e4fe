//! `cache`: fill it, look at it, keep it small, check it.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use slashopt::host::cache::{Cache, Pruned, Pruning, Stored, TreeKey, TreeKind, Verified};
use slashopt::host::system::cache_folder::CacheFolder;
use slashopt::host::system::durability::Durability;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::path::Escaped;
use slashopt::plan::EXAMPLES;

use crate::cli::args::values::parse_bytes;
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;
use crate::cli::output::words::human_bytes;

/// Fill, list, shrink and verify the cache of extracted layers
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  slashopt cache add base.zip deps.zip --cache-dir /var/cache/slashopt
  slashopt cache list
  slashopt cache prune --older-than 30d --max-size 10G")]
pub(crate) struct CacheArgs {
    #[command(subcommand)]
    command: CacheCommand,
}

#[derive(Debug, Subcommand)]
enum CacheCommand {
    Add(AddArgs),
    /// List what is in the cache, with sizes and last use, the least recent first
    List(FolderArgs),
    Prune(PruneArgs),
    /// Read every byte of the cache and compare it with what was recorded; exit status 1 on damage
    Verify(FolderArgs),
    /// Print where the cache is
    Path(FolderArgs),
}

/// Extract layers into the cache, safe from a power cut, and print their names in it
#[derive(Debug, Args)]
struct AddArgs {
    #[command(flatten)]
    layers: LayerArgs,
    #[command(flatten)]
    stack: StackArgs,
}

/// Which cache.
#[derive(Debug, Args)]
struct FolderArgs {
    /// Use this cache instead of the one in the user's cache folder
    #[arg(long, value_name = "DIR", env = "SLASHOPT_CACHE_DIR", hide_env = true)]
    cache_dir: Option<PathBuf>,
}

/// Remove what nobody uses, and nobody has used for a day at least
#[derive(Debug, Args)]
struct PruneArgs {
    /// Remove what was not used for this long: a number and s, m, h, d or w
    #[arg(long, value_parser = parse_duration, value_name = "TIME")]
    older_than: Option<Duration>,
    /// Remove what was used least recently until the rest is no larger: bytes, or with K, M, G (powers of 1024)
    #[arg(long, value_parser = parse_bytes, value_name = "BYTES")]
    max_size: Option<u64>,
    #[command(flatten)]
    folder: FolderArgs,
}

impl FolderArgs {
    fn open(&self) -> Result<Cache, Failure> {
        let folders = CacheFolder::of_environment(self.cache_dir.as_deref());
        Cache::open(&folders).map_err(Failure::host)
    }
}

impl CacheArgs {
    /// What a failure of the command is about.
    pub(crate) const fn cannot(&self) -> &'static str {
        match self.command {
            CacheCommand::Add(_) => "cannot fill the cache",
            CacheCommand::List(_) => "cannot list the cache",
            CacheCommand::Path(_) => "cannot find the cache",
            CacheCommand::Prune(_) => "cannot shrink the cache",
            CacheCommand::Verify(_) => "cannot verify the cache",
        }
    }
}

pub(crate) fn run(arguments: &CacheArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    match &arguments.command {
        CacheCommand::Add(arguments) => add(arguments, global, report),
        CacheCommand::List(arguments) => list(arguments, global, report),
        CacheCommand::Prune(arguments) => prune(arguments, global, report),
        CacheCommand::Verify(arguments) => verify(arguments, global, report),
        CacheCommand::Path(arguments) => path(arguments, global, report),
    }
}

fn add(arguments: &AddArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let ready = arguments.stack.prepare(
        &arguments.layers.resolve(&arguments.stack)?,
        Durability::Survives,
        report,
    )?;
    let cache = arguments.stack.cache()?;
    // Who starts functions from it later may not be able to write it.
    match cache.hooks() {
        Err(error) if cache.is_writable() => return Err(Failure::host(error)),
        _ => {}
    }
    if global.is_json() {
        let layers = ready.layers.iter().zip(1..).map(|(layer, index)| {
            json!({
                "index": index,
                "source": layer.source,
                "digest": layer.digest.to_string(),
                "code_size": layer.code_bytes,
                "unzipped_size": layer.unzipped_bytes,
                "entries": layer.entries,
            })
        });
        let layers: Vec<Value> = layers.collect();
        report.json(&json!({ "schema_version": SCHEMA_VERSION, "layers": layers }))?;
    } else {
        let lines = ready
            .layers
            .iter()
            .map(|layer| format!("{}\n", layer.digest));
        report.result(lines.collect::<String>().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn list(arguments: &FolderArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let cache = arguments.open()?;
    let stored = cache.list().map_err(Failure::host)?;
    if global.is_json() {
        let trees: Vec<Value> = stored.iter().map(tree_json).collect();
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "path": cache.path().to_string_lossy(),
            "trees": trees,
            "bytes": stored.iter().map(|tree| tree.bytes).sum::<u64>(),
        }))?;
    } else {
        let now = SystemTime::now();
        let lines = stored.iter().map(|tree| {
            let age = now.duration_since(tree.last_used).unwrap_or_default();
            let state = if tree.is_in_use { ", in use" } else { "" };
            format!(
                "{:>10}  {:<20}  {}{state}\n",
                human_bytes(tree.bytes),
                ago(age),
                tree_name(tree.key)
            )
        });
        report.result(lines.collect::<String>().as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

fn prune(arguments: &PruneArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    if arguments.older_than.is_none() && arguments.max_size.is_none() {
        return Err(Failure::usage("nothing says what may go")
            .hint("give --older-than 30d, --max-size 10G, or both"));
    }
    let cache = arguments.folder.open()?;
    let pruning = Pruning {
        older_than: arguments.older_than,
        max_bytes: arguments.max_size,
    };
    let pruned = cache.prune(pruning).map_err(Failure::host)?;
    for left in &pruned.left_behind {
        report.warning(left);
    }
    if global.is_json() {
        let removed: Vec<Value> = pruned.removed.iter().map(tree_json).collect();
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "removed": removed,
            "bytes_left": pruned.bytes_left,
            "in_use": pruned.in_use,
            "recent": pruned.recent,
        }))?;
    } else {
        report.result(pruned_text(&pruned).as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// `1 tree`, `2 trees`.
fn trees(count: usize) -> String {
    format!("{count} {}", if count == 1 { "tree" } else { "trees" })
}

fn pruned_text(pruned: &Pruned) -> String {
    let bytes = pruned.removed.iter().map(|tree| tree.bytes).sum();
    let mut text = format!(
        "{} removed ({}), {} left",
        trees(pruned.removed.len()),
        human_bytes(bytes),
        human_bytes(pruned.bytes_left)
    );
    for (count, why) in [
        (pruned.in_use, "are in use"),
        (pruned.recent, "were used within a day"),
    ] {
        if count > 0 {
            let _ = write!(text, ", {count} kept that {why}");
        }
    }
    text + "\n"
}

fn verify(arguments: &FolderArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let cache = arguments.open()?;
    let verified = cache.verify(&Interrupt::install()).map_err(Failure::host)?;
    if global.is_json() {
        report.json(&verified_json(&verified, &cache))?;
    } else {
        let sound = verified.trees - verified.damaged.len();
        let are = if sound == 1 { "is" } else { "are" };
        let bytes = human_bytes(verified.bytes);
        let text = format!("{} {are} sound ({bytes} read)\n", trees(sound));
        report.result(text.as_bytes())?;
    }
    for damaged in &verified.damaged {
        for damage in damaged.damages.iter().take(EXAMPLES) {
            report.warning(&format!("{}: {damage}", tree_name(damaged.key)));
        }
        let more = damaged.damages.len().saturating_sub(EXAMPLES);
        if more > 0 {
            report.warning(&format!("{}: {more} more", tree_name(damaged.key)));
        }
        report.note(&format!(
            "stop what uses it and remove `{}`; the next run builds it again",
            cache.tree_path(damaged.key).display()
        ));
    }
    Ok(if verified.damaged.is_empty() {
        ExitCode::SUCCESS
    } else {
        Exit::Findings.into()
    })
}

fn verified_json(verified: &Verified, cache: &Cache) -> Value {
    let damaged = verified.damaged.iter().map(|damaged| {
        let damages = damaged.damages.iter().map(|damage| {
            json!({
                "path": Escaped(&damage.path).to_string(),
                "message": damage.what,
            })
        });
        json!({
            "name": tree_name(damaged.key),
            "path": cache.tree_path(damaged.key).to_string_lossy(),
            "damages": damages.collect::<Vec<Value>>(),
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "trees": verified.trees,
        "bytes": verified.bytes,
        "damaged": damaged.collect::<Vec<Value>>(),
    })
}

fn path(arguments: &FolderArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let cache = arguments.open()?;
    if global.is_json() {
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "path": cache.path().to_string_lossy(),
        }))?;
    } else {
        use std::os::unix::ffi::OsStrExt as _;
        let line = [cache.path().as_os_str().as_bytes(), b"\n"].concat();
        report.result(&line)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What a tree is called: a layer by its digest, which can be typed.
fn tree_name(key: TreeKey) -> String {
    match key.kind {
        TreeKind::Layer => key.digest.to_string(),
        TreeKind::Corrections => format!("corrections:{}", key.digest.hex()),
        TreeKind::Merged => format!("merged:{}", key.digest.hex()),
    }
}

fn tree_json(tree: &Stored) -> Value {
    let last_used = tree
        .last_used
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    let fields: BTreeMap<&str, Value> = [
        ("name", tree_name(tree.key).into()),
        (
            "kind",
            match tree.key.kind {
                TreeKind::Layer => "layer",
                TreeKind::Corrections => "corrections",
                TreeKind::Merged => "merged",
            }
            .into(),
        ),
        ("bytes", tree.bytes.into()),
        ("entries", tree.entries.into()),
        ("last_used", last_used.as_secs().into()),
        ("in_use", tree.is_in_use.into()),
        ("durable", tree.is_durable.into()),
    ]
    .into();
    json!(fields)
}

/// How long ago something was, in one unit.
fn ago(age: Duration) -> String {
    let hours = age.as_secs() / 3600;
    match hours {
        0 => "used within the hour".to_owned(),
        1..48 => format!("used {hours} h ago"),
        _ => format!("used {} days ago", hours / 24),
    }
}

/// A length of time as people type it: `90s`, `12h`, `30d`.
fn parse_duration(typed: &str) -> Result<Duration, String> {
    let digits = typed.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let seconds: u64 = match typed.get(digits.len()..).unwrap_or_default() {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        unit => return Err(format!("`{unit}` is no unit: use s, m, h, d or w")),
    };
    let number: u64 = digits
        .parse()
        .map_err(|_| "it is not a whole number of a unit".to_owned())?;
    number
        .checked_mul(seconds)
        .map(Duration::from_secs)
        .ok_or_else(|| "it is too long".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_of_time_is_typed_with_a_unit() {
        for (typed, expected) in [
            ("90s", Some(90)),
            ("2m", Some(120)),
            ("12h", Some(43_200)),
            ("30d", Some(2_592_000)),
            ("1w", Some(604_800)),
            ("", None),
            ("30", None),
            ("d", None),
            ("1.5d", None),
            ("1y", None),
            ("99999999999999999w", None),
        ] {
            let expected = expected.map(Duration::from_secs);
            assert_eq!(parse_duration(typed).ok(), expected, "{typed}");
        }
    }
}
