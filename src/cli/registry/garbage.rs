//! `registry gc`: remove the archives that no version needs.

use std::process::ExitCode;

use clap::Args;
use serde_json::json;

use slashopt::host::store::{Sweep, now};

use crate::cli::layers::store::{Access, StoreArgs, Undone};
use crate::cli::output::failure::Outcome;
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

/// Remove zip files that no version needs any more
#[derive(Debug, Args)]
#[command(after_help = "\
A zip file is removed when all versions that have it were deleted so long ago. Lock files that name it stop working then,
where it is not in the cache.

Examples:
  slashopt registry gc --older-than 30d
  slashopt registry gc --older-than 12h --dry-run")]
pub(crate) struct GcArgs {
    /// Leave what was needed until then: a number of s, m, h, d or w
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = parse_time)]
    older_than: i64,
    /// Remove nothing, and say what would be removed
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    store: StoreArgs,
}

pub(super) fn run(arguments: &GcArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    let before = now().saturating_sub(arguments.older_than);
    let sweep = if arguments.dry_run {
        Sweep::CountOnly
    } else {
        Sweep::Remove
    };
    let collected = arguments.store.with(Access::Read, async |store| {
        let collected = store.collect_garbage(before, sweep).await;
        collected.map_err(Undone::from)
    })?;
    if global.is_json() {
        report.json(&json!({
            "schema_version": SCHEMA_VERSION,
            "removed": collected.removed,
            "removed_bytes": collected.removed_bytes,
            "kept": collected.kept,
            "half_written": collected.half_written,
        }))?;
    } else {
        let verb = match sweep {
            Sweep::CountOnly => "would remove",
            Sweep::Remove => "removed",
        };
        let text = format!(
            "{verb} {} zip files of {} bytes and {} half-written files, {} stay\n",
            collected.removed, collected.removed_bytes, collected.half_written, collected.kept
        );
        report.result(text.as_bytes())?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Milliseconds, typed as `30d`.
fn parse_time(typed: &str) -> Result<i64, String> {
    let digits = typed.trim_end_matches(|character: char| character.is_ascii_alphabetic());
    let seconds: i64 = match typed.get(digits.len()..).unwrap_or_default() {
        "s" => 1,
        "m" => 60,
        "h" => 60 * 60,
        "d" => 24 * 60 * 60,
        "w" => 7 * 24 * 60 * 60,
        _ => return Err("it needs a unit: s, m, h, d or w, as in 30d".to_owned()),
    };
    let number: i64 = digits
        .parse()
        .map_err(|_| "it is not a whole number".to_owned())?;
    number
        .checked_mul(seconds * 1000)
        .filter(|&milliseconds| milliseconds >= 0)
        .ok_or_else(|| "it is too long, or negative".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_typed_with_a_unit() {
        for (typed, expected) in [
            ("0s", Some(0)),
            ("30d", Some(2_592_000_000)),
            ("2w", Some(1_209_600_000)),
            ("30", None),
            ("-1d", None),
            ("1y", None),
            ("", None),
            ("99999999999999999w", None),
        ] {
            assert_eq!(parse_time(typed).ok(), expected, "{typed}");
        }
    }
}
