//! `pack`: a directory as a reproducible layer zip.

use std::cell::RefCell;
use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use rayon::ThreadPool;

use slashopt::check::{Finding, Severity};
use slashopt::host::check::findings;
use slashopt::host::extract::extraction::read_umask;
use slashopt::host::pack::archive::Assembly;
use slashopt::host::pack::directory::{Packed, Packing};
use slashopt::host::pack::python::Python;
use slashopt::host::system::budget::Budget;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::merge::{LinkedDirectory, MergedTree};
use slashopt::path::{Escaped, LayerPath};
use slashopt::plan::{EXAMPLES, FlattenPlan, Limits, Unwritable};
use slashopt::runtime::{Family, Runtime};
use slashopt::timestamp::Timestamp;

use super::archive::{LevelArgs, OutputPlace, Writing};
use crate::cli::args::architecture::ArchitectureArgs;
use crate::cli::args::runtime::{RuntimeArgs, named_runtime};
use crate::cli::explain::check::text;
use crate::cli::layers::flags::{Quota, thread_pool};
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::report::Report;

/// See <https://reproducible-builds.org/specs/source-date-epoch/>.
const SOURCE_DATE_EPOCH: &str = "SOURCE_DATE_EPOCH";

/// Pack a directory into a reproducible layer zip
#[derive(Debug, Args)]
#[command(after_help = "\
The same content gives the same bytes on every machine: names sorted, one time (SOURCE_DATE_EPOCH, or 1980-01-01), modes 0644
and 0755, links as they are. Hidden files are packed, and .gitignore is not read: only .slashoptignore, at the top of the
directory and in the syntax of .gitignore, leaves files out. What `slashopt check` finds in the archive is said at once.

Examples:
  slashopt pack ./layer --output layer.zip --runtime python3.13
  slashopt pack ./site-packages --under python --pyc --runtime python3.13 --output layer.zip
  SOURCE_DATE_EPOCH=$(git log -1 --format=%ct) slashopt pack ./layer --output - | sha256sum")]
pub(crate) struct PackArgs {
    /// Pack what this directory holds
    #[arg(value_name = "DIR")]
    directory: PathBuf,
    /// Write the zip here, whole or not at all; `-` is standard output
    #[arg(
        short,
        long,
        value_name = "ZIP",
        env = "SLASHOPT_OUTPUT",
        hide_env = true
    )]
    output: PathBuf,
    #[command(flatten)]
    runtime: RuntimeArgs,
    #[command(flatten)]
    architecture: ArchitectureArgs,
    /// Put everything below this directory of the layer, such as `python`
    #[arg(long, value_name = "DIR")]
    under: Option<PathBuf>,
    /// Keep the times of the files
    #[arg(long)]
    keep_times: bool,
    /// Keep the permission bits of the files
    #[arg(long)]
    keep_modes: bool,
    /// Compile all Python sources with the runtime's own interpreter, so that they stay compiled in the cloud
    #[arg(long)]
    pyc: bool,
    #[command(flatten)]
    level: LevelArgs,
    /// What exceeding AWS's quotas is worth
    #[arg(long, value_enum, default_value_t = Quota::Warn, value_name = "WHAT", env = "SLASHOPT_QUOTA", hide_env = true)]
    quota: Quota,
    /// Use this many threads instead of one for each processor that may be used
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=1024), value_name = "N", env = "SLASHOPT_THREADS", hide_env = true)]
    threads: Option<u16>,
}

pub(crate) fn run(arguments: &PackArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let umask = read_umask();
    let interrupt = Interrupt::install();
    let runtime = named_runtime(arguments.runtime.asked())?;
    let under = under(arguments.under.as_deref())?;
    let modified = source_date_epoch()?;
    let place = OutputPlace::parse(&arguments.output, global)?;
    let pool = thread_pool(arguments.threads)?;
    let budget = Budget::default();

    let packed = load(arguments, runtime, &under, &place, &pool, &interrupt)?;
    let tree = MergedTree::merge(&packed.loaded.stack, LinkedDirectory::Replace);
    let mut warnings = Vec::new();
    let plan = plan(arguments, &packed, &tree, &under, modified, &mut warnings)?;
    if plan.entries().is_empty() {
        let sentence = "Uploaded file must be a non-empty zip";
        warnings.push(format!("AWS Lambda would refuse this layer: {sentence}"));
    }

    let assembly = Assembly {
        loaded: &packed.loaded,
        tree: &tree,
        plan: &plan,
        pool: &pool,
        budget: &budget,
        interrupt: &interrupt,
        level: arguments.level.level(),
    };
    let found = RefCell::new(Vec::new());
    let look = |archive: &File| {
        let architecture = arguments.architecture.asked().unwrap_or_default();
        let found_there =
            findings(archive, runtime, architecture, &pool, &budget).map_err(Failure::host)?;
        found.replace(found_there);
        Ok(())
    };
    let writing = Writing {
        quota: arguments.quota,
        umask,
        report,
        look: &look,
    };
    // Nothing is lenient about a directory.
    let package = writing.write(&assembly, &place, &mut warnings, |_| String::new())?;
    let found = found.into_inner();
    let findings = finding_lines(&found);
    for warning in warnings.iter().chain(&findings) {
        report.warning(warning);
    }
    if let (Some(output), false) = (place.file(), findings.is_empty()) {
        let output = output.path().display();
        report.note(&format!(
            "`slashopt check {output}` lists what was found, and what helps"
        ));
    }
    let left_out = match packed.ignored {
        0 => String::new(),
        ignored => format!("left out: {ignored} by .slashoptignore\n"),
    };
    let text = package.to_text() + &left_out;
    let mut json = package.to_json(&warnings);
    json.insert("ignored".to_owned(), packed.ignored.into());
    json.insert(
        "findings".to_owned(),
        found.iter().map(text::finding_json).collect(),
    );
    package.tell(report, global, &text, json)?;
    Ok(ExitCode::SUCCESS)
}

/// Packs a directory as `pack` would without flags, into a file that is open already.
#[cfg(feature = "registry")]
pub(crate) fn into_file(directory: &Path, file: &File, report: &Report) -> Result<(), Failure> {
    /// The flags' defaults are written once, where the flags are.
    #[derive(clap::Parser)]
    struct Defaults {
        #[command(flatten)]
        pack: PackArgs,
    }
    let typed = ["pack", "--output=-", "--"].map(std::ffi::OsStr::new);
    let typed = typed.into_iter().chain([directory.as_os_str()]);
    let arguments = <Defaults as clap::Parser>::try_parse_from(typed)
        .map_err(|error| Failure::usage(error.to_string()))?
        .pack;
    let interrupt = Interrupt::install();
    let pool = thread_pool(arguments.threads)?;
    let under = LayerPath::root();
    let packed = load(
        &arguments,
        None,
        &under,
        &OutputPlace::Stdout,
        &pool,
        &interrupt,
    )?;
    let tree = MergedTree::merge(&packed.loaded.stack, LinkedDirectory::Replace);
    let mut warnings = Vec::new();
    let modified = source_date_epoch()?;
    let plan = plan(&arguments, &packed, &tree, &under, modified, &mut warnings)?;
    let assembly = Assembly {
        loaded: &packed.loaded,
        tree: &tree,
        plan: &plan,
        pool: &pool,
        budget: &Budget::default(),
        interrupt: &interrupt,
        level: arguments.level.level(),
    };
    let written = std::sync::atomic::AtomicU64::new(0);
    assembly.write(file, &written).map_err(Failure::host)?;
    for warning in &warnings {
        report.warning(warning);
    }
    Ok(())
}

/// What `check` found in the archive, a line for each rule. What it only notes is not worth a warning.
fn finding_lines(found: &[Finding]) -> Vec<String> {
    let line = |group: &[&Finding]| {
        let first = group.first()?;
        let path = first.path.as_ref();
        let path = path.map_or_else(String::new, |path| format!("{path}: "));
        let more = match group.len() - 1 {
            0 => String::new(),
            more => format!(", and {more} more"),
        };
        Some(format!("{path}{} [{}]{more}", first.message, first.rule))
    };
    let is_worth_it = |finding: &&Finding| finding.severity != Severity::Note;
    let found: Vec<&Finding> = found.iter().filter(is_worth_it).collect();
    let groups = found.chunk_by(|one, other| one.rule == other.rule);
    groups.filter_map(line).collect()
}

/// Reads the directory, and compiles its sources if that is wanted.
fn load(
    arguments: &PackArgs,
    runtime: Option<&'static Runtime>,
    under: &LayerPath,
    place: &OutputPlace,
    pool: &ThreadPool,
    interrupt: &Interrupt,
) -> Result<Packed, Failure> {
    let packing = Packing {
        directory: &arguments.directory,
        output: place.file(),
        limits: Limits::default(),
        interrupt,
    };
    let packed = if arguments.pyc {
        let version = python_version(runtime)?;
        let python = Python::find(version).map_err(|error| {
            Failure::host(error).hint(format!(
                "--pyc needs the interpreter of the runtime: install Python {version} as `python{version}`, or leave --pyc out"
            ))
        })?;
        packing.load_compiled(&python, under, pool.current_num_threads())
    } else {
        packing.load()
    };
    packed.map_err(|error| {
        let failure = Failure::host(error);
        if arguments.directory.is_file() {
            failure.hint("pack takes a directory; flatten makes one zip of several")
        } else {
            failure
        }
    })
}

/// The version of the runtime's interpreter.
fn python_version(runtime: Option<&'static Runtime>) -> Result<&'static str, Failure> {
    let runtime = runtime.ok_or_else(|| {
        Failure::usage("--pyc: for which runtime is not said")
            .hint("add --runtime, such as --runtime python3.13")
    })?;
    if runtime.family != Family::Python {
        let message = format!("--pyc: {} does not run Python", runtime.identifier);
        return Err(Failure::usage(message).hint("leave --pyc out, or name a Python runtime"));
    }
    Ok(runtime.version)
}

/// Decides what becomes an entry, with which mode and time.
fn plan(
    arguments: &PackArgs,
    packed: &Packed,
    tree: &MergedTree<'_>,
    under: &LayerPath,
    modified: Timestamp,
    warnings: &mut Vec<String>,
) -> Result<FlattenPlan, Failure> {
    let unwritable = |unwritable: Unwritable| {
        Failure::new(Exit::Refused, unwritable.to_string())
            .hint("no layer can hold this path: rename it")
    };
    let mut plan = FlattenPlan::new(tree).map_err(unwritable)?;
    if !arguments.keep_times {
        let stale = packed
            .drop_timestamp_based(&mut plan)
            .map_err(Failure::host)?;
        if !stale.is_empty() {
            let (what, them) = if stale.len() == 1 {
                ("timestamp-based .pyc file is", "it")
            } else {
                ("timestamp-based .pyc files are", "them")
            };
            warnings.push(format!(
                "{} {what} left out, as Python would not use {them} with other times: --pyc compiles for the cloud, --keep-times keeps {them}",
                stale.len()
            ));
        }
    }
    if let Some(compiled) = &packed.compiled
        && !compiled.skipped.is_empty()
    {
        let count = compiled.skipped.len();
        warnings.push(format!(
            "{count} Python {} not be compiled: {}",
            if count == 1 {
                "source could"
            } else {
                "sources could"
            },
            listed(&compiled.skipped)
        ));
    }
    plan.normalise_modes(|entry| !arguments.keep_modes || !packed.is_own(entry));
    let mut plan = plan.placed_under(under).map_err(unwritable)?;
    plan.set_times(modified, |entry| {
        !arguments.keep_times || !packed.is_own(entry)
    });
    Ok(plan)
}

fn listed(names: &[Vec<u8>]) -> String {
    let shown: Vec<String> = names
        .iter()
        .take(EXAMPLES)
        .map(|name| format!("`{}`", Escaped(name)))
        .collect();
    match names.len() - shown.len() {
        0 => shown.join(", "),
        more => format!("{} and {more} more", shown.join(", ")),
    }
}

fn under(typed: Option<&Path>) -> Result<LayerPath, Failure> {
    use std::os::unix::ffi::OsStrExt as _;
    let Some(typed) = typed else {
        return Ok(LayerPath::root());
    };
    LayerPath::parse(typed.as_os_str().as_bytes()).map_err(|error| {
        Failure::usage(format!("--under: `{}`: {error}", typed.display()))
            .hint("name a directory of the layer, such as `python` or `nodejs/node_modules`")
    })
}

/// The time of every entry.
fn source_date_epoch() -> Result<Timestamp, Failure> {
    let Some(value) = env::var_os(SOURCE_DATE_EPOCH).filter(|value| !value.is_empty()) else {
        return Ok(Timestamp::ZIP_EPOCH);
    };
    let seconds = value.to_str().and_then(|value| value.parse::<i64>().ok());
    let time = seconds.filter(|&seconds| seconds >= 0).map(Timestamp);
    time.filter(|time| time.in_archive() == *time)
        .ok_or_else(|| {
            let message = format!(
                "{SOURCE_DATE_EPOCH}: `{}` is no time that a zip archive can hold",
                value.display()
            );
            Failure::usage(message).hint("give the seconds since 1970, as `date +%s` prints them")
        })
}
