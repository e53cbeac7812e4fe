//! `lock`: write down which layers these are.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};
use std::process::ExitCode;
use std::{fs, io};

use clap::Args;
use rayon::ThreadPool;
use serde_json::{Value, json};

use slashopt::host::extract::extraction::read_umask;
use slashopt::host::pack::output::Output;
use slashopt::host::read::input::LayerInput;
use slashopt::host::read::stack::{LoadedStack, OpenLayer};
use slashopt::host::system::budget::Budget;
use slashopt::host::system::interrupt::Interrupt;
use slashopt::layer::LayerId;
use slashopt::registry::LayerVersion;
use slashopt::runtime::Runtime;

use crate::cli::args::architecture::ArchitectureArgs;
use crate::cli::args::runtime::{RuntimeArgs, named_runtime};
use crate::cli::layers::args::LayerArgs;
use crate::cli::layers::flags::StackArgs;
use crate::cli::layers::lock_file::{Lock, LockedLayer, LockedSource};
use crate::cli::output::failure::{Exit, Failure, Outcome};
use crate::cli::output::global::GlobalArgs;
use crate::cli::output::json::SCHEMA_VERSION;
use crate::cli::output::report::Report;

const ARCHITECTURE_HELP: &str =
    "Lock this architecture: x86_64 or arm64 [default: the one that all layers were published for]";

/// Write down which layers these are, so that the same ones are taken later
///
/// The lock file names each layer by its ARN, or by its path from where the lock file is, with its SHA-256 and size. Every
/// command that takes LAYERs takes `--locked FILE` in their place: then other content is refused, and what was locked is used
/// even if its version in the registry is deleted. The digest of a directory covers modes and times too: pack it for others.
#[derive(Debug, Args)]
#[command(mut_arg("architecture", |argument| argument.help(ARCHITECTURE_HELP)), after_help = "\
Examples:
  slashopt lock base:3 deps.zip --runtime python3.13
  slashopt lock base:3 deps.zip --runtime python3.13 --check
  slashopt exec --locked layers.lock -- python3 app.py
  slashopt diff --left-locked old.lock --right-locked layers.lock")]
pub(crate) struct LockArgs {
    #[command(flatten)]
    layers: LayerArgs,
    /// Write the lock file here, whole or not at all; - is standard output
    #[arg(short, long, value_name = "FILE", default_value = "layers.lock")]
    output: PathBuf,
    /// Write nothing: exit status 1 if the lock file is not what these layers give
    #[arg(long)]
    check: bool,
    #[command(flatten)]
    runtime: RuntimeArgs,
    #[command(flatten)]
    architecture: ArchitectureArgs,
    #[command(flatten)]
    stack: StackArgs,
}

pub(crate) fn run(arguments: &LockArgs, global: &GlobalArgs, report: &Report) -> Outcome {
    global.only_text_or_json()?;
    let umask = read_umask();
    let interrupt = Interrupt::install();
    if arguments.layers.locked.is_some() {
        return Err(Failure::usage("--locked: they are locked")
            .hint("name the LAYERs that are to be locked"));
    }
    let output = arguments.place(global)?;
    let lock = arguments.lock(output.as_ref(), &interrupt, report)?;
    if let Some(runtime) = lock.runtime {
        lock.tell_others_runtimes(runtime, report);
    }
    if let Some(architecture) = lock.architecture {
        lock.tell_others_architectures(architecture, report);
    }
    let Some(output) = output else {
        return report.result(&lock.to_bytes()?).map(|()| ExitCode::SUCCESS);
    };
    let differences = if arguments.check {
        let differences = differences(&Lock::read(&lock.file)?, &lock);
        for difference in &differences {
            report.note(difference);
        }
        Some(differences)
    } else {
        interrupt.check().map_err(Failure::host)?;
        output
            .write(&lock.to_bytes()?, umask)
            .map_err(|abandoned| report.abandoned(abandoned))?;
        None
    };
    let is_current = differences.is_none_or(|differences| differences.is_empty());
    if global.is_json() {
        report.json(&to_json(&lock, is_current))?;
    } else if arguments.check {
        report.result(verdict(&lock, is_current).as_bytes())?;
    } else {
        report.result(to_text(&lock).as_bytes())?;
    }
    Ok(if is_current {
        ExitCode::SUCCESS
    } else {
        Exit::Findings.into()
    })
}

impl LockArgs {
    /// Where the lock file goes; `None` for standard output.
    fn place(&self, global: &GlobalArgs) -> Result<Option<Output>, Failure> {
        if self.output != Path::new("-") {
            return Output::examine(&self.output).map(Some).map_err(|error| {
                Failure::host(error)
                    .hint("name a file in a directory that exists, or `-` for standard output")
            });
        }
        if global.is_json() || self.check {
            return Err(
                Failure::usage("--output: standard output takes the lock file alone")
                    .hint("name a file"),
            );
        }
        Ok(None)
    }

    /// Reads and judges the layers, and works out what the lock file is to say.
    fn lock(
        &self,
        output: Option<&Output>,
        interrupt: &Interrupt,
        report: &Report,
    ) -> Result<Lock, Failure> {
        let published = self.published()?;
        let typed = published.iter().map(|(typed, _)| typed.clone()).collect();
        let layers =
            LayerArgs::new(typed, None, self.layers.registry.clone()).resolve(&self.stack)?;
        let inputs = layers.inputs()?;
        let pool = self.stack.pool()?;
        let budget = Budget::default();
        let loaded = self.stack.load(&layers, &pool, &budget, report)?;
        let folder = output
            .and_then(|output| output.path().parent())
            .filter(|folder| !folder.as_os_str().is_empty())
            .unwrap_or(Path::new("."));
        let folder = fs::canonicalize(folder).map_err(|error| cannot_find(folder, &error))?;
        let reading = Reading {
            loaded: &loaded,
            folder: &folder,
            output,
            pool: &pool,
            budget: &budget,
            interrupt,
        };
        let ids = loaded.stack.in_merge_order().map(|(id, _)| id);
        let locked = published
            .into_iter()
            .zip(inputs)
            .zip(ids)
            .map(|(((_, version), input), id)| reading.locked(input, version, id));
        let layers: Vec<LockedLayer> = locked.collect::<Result<_, _>>()?;
        let only_runtime = only(layers.iter().map(|layer| &layer.runtimes));
        let only_architecture = only(layers.iter().map(|layer| &layer.architectures));
        Ok(Lock {
            file: self.output.clone(),
            runtime: named_runtime(self.runtime.asked())?
                .or_else(|| Runtime::find(&only_runtime?).ok()),
            architecture: self
                .architecture
                .asked()
                .or_else(|| only_architecture?.parse().ok()),
            layers,
        })
    }

    /// The layers as they were typed. Those of the registry by the ARN of a version, which will be the same in a moment.
    fn published(&self) -> Result<Vec<(OsString, Option<LayerVersion>)>, Failure> {
        let typed = self.layers.named().into_iter();
        let named = typed.map(|typed| {
            let found = self.layers.registry.version(&typed)?;
            Ok(match found {
                Some(version) => (version.arn.to_string().into(), Some(version)),
                None => (typed, None),
            })
        });
        named.collect()
    }
}

/// What it takes to work out one layer's entry.
struct Reading<'r> {
    loaded: &'r LoadedStack,
    /// What paths are relative to, free of links.
    folder: &'r Path,
    output: Option<&'r Output>,
    pool: &'r ThreadPool,
    budget: &'r Budget,
    interrupt: &'r Interrupt,
}

impl Reading<'_> {
    fn locked(
        &self,
        input: &LayerInput,
        version: Option<LayerVersion>,
        id: LayerId,
    ) -> Result<LockedLayer, Failure> {
        let place = self.loaded.label(id);
        let nowhere = |why: &str| {
            Failure {
                layer: Some(place.number),
                ..Failure::usage(format!("{place}: {why}"))
            }
            .hint("name a file, a directory, or a layer of the registry")
        };
        let path = match input {
            LayerInput::Path(path) | LayerInput::Expected { path, .. } => Some(path),
            LayerInput::Cached { .. } => return Err(nowhere("the cache may lose it")),
            // It was fetched from a registry.
            LayerInput::Open { .. } if version.is_some() => None,
            LayerInput::Open { .. } | LayerInput::Stdin => {
                return Err(nowhere("it can be read only once"));
            }
        };
        if let (OpenLayer::Directory(_), Some(output), Some(path)) =
            (self.loaded.open(id), self.output, path)
        {
            let directory = fs::canonicalize(path).map_err(|error| cannot_find(path, &error))?;
            if output.is_within(&directory).is_some() {
                return Err(Failure::usage(format!(
                    "{place}: the lock file would lie in it, and change it"
                ))
                .hint("write the lock file somewhere else with --output"));
            }
        }
        let digest = match (input, &version) {
            // It was compared when it was loaded.
            (LayerInput::Expected { digest, .. }, _) => Some(*digest),
            // It was compared when it was fetched.
            (LayerInput::Open { .. }, Some(version)) => Some(version.code_sha256),
            _ => self
                .pool
                .install(|| self.loaded.digest(id, self.budget, self.interrupt))
                .map_err(Failure::host)?,
        };
        let digest = digest.ok_or_else(|| nowhere("its digest is not known"))?;
        let bytes = self.loaded.stack.layer(id).code_bytes;
        let (source, runtimes, architectures) = match (version, path) {
            (Some(version), _) => {
                let arn = LockedSource::Arn(version.arn);
                (
                    arn,
                    version.compatible_runtimes,
                    version.compatible_architectures,
                )
            }
            (None, Some(path)) => {
                let path =
                    relative(self.folder, path).map_err(|error| cannot_find(path, &error))?;
                (LockedSource::Path(path), None, None)
            }
            (None, None) => return Err(nowhere("it can be read only once")),
        };
        Ok(LockedLayer {
            source,
            digest,
            bytes,
            runtimes,
            architectures,
        })
    }
}

fn cannot_find(path: &Path, error: &io::Error) -> Failure {
    Failure::new(Exit::Machine, format!("`{}`: {error}", path.display()))
}

/// A path from a folder that is free of links. A link that the path ends in stays one: it may lead somewhere else later.
fn relative(folder: &Path, path: &Path) -> io::Result<PathBuf> {
    let whole = match (path.parent(), path.file_name()) {
        (Some(parent), Some(name)) => {
            let parent = if parent.as_os_str().is_empty() {
                Path::new(".")
            } else {
                parent
            };
            fs::canonicalize(parent)?.join(name)
        }
        _ => fs::canonicalize(path)?,
    };
    let common = folder
        .components()
        .zip(whole.components())
        .take_while(|(one, other)| one == other)
        .count();
    let up = folder
        .components()
        .skip(common)
        .map(|_| Component::ParentDir);
    Ok(up.chain(whole.components().skip(common)).collect())
}

/// The one name that all lists have in common, of those that name something.
fn only<'l>(lists: impl Iterator<Item = &'l Option<Vec<String>>>) -> Option<String> {
    let mut lists = lists.flatten().filter(|list| !list.is_empty());
    let mut common = lists.next()?.clone();
    for list in lists {
        common.retain(|name| list.contains(name));
    }
    common.dedup();
    (common.len() == 1).then(|| common.swap_remove(0))
}

/// In what a lock file is not what it should be, a sentence each.
fn differences(found: &Lock, wanted: &Lock) -> Vec<String> {
    let mut differences = Vec::new();
    let mut compare = |what: String, found: String, wanted: String| {
        if found != wanted {
            differences.push(format!("{what}: {found} is locked, and now it is {wanted}"));
        }
    };
    let none = || "none".to_owned();
    let runtime = |lock: &Lock| lock.runtime.map_or_else(none, ToString::to_string);
    let architecture = |lock: &Lock| lock.architecture.map_or_else(none, |name| name.to_string());
    let layer = |lock: &Lock, index: usize| {
        lock.layers.get(index).map_or_else(none, |layer| {
            let lists = [&layer.runtimes, &layer.architectures].map(|list| {
                list.as_ref()
                    .map_or_else(String::new, |names| format!(" for {}", names.join(", ")))
            });
            format!(
                "`{}` of {} bytes, {}{}",
                layer.source,
                layer.bytes,
                layer.digest,
                lists.concat()
            )
        })
    };
    compare("runtime".to_owned(), runtime(found), runtime(wanted));
    compare(
        "architecture".to_owned(),
        architecture(found),
        architecture(wanted),
    );
    for index in 0..found.layers.len().max(wanted.layers.len()) {
        compare(
            format!("layer {}", index + 1),
            layer(found, index),
            layer(wanted, index),
        );
    }
    differences
}

/// `layers.lock: up to date`.
fn verdict(lock: &Lock, is_current: bool) -> String {
    let state = if is_current {
        "up to date"
    } else {
        "not up to date"
    };
    format!("{}: {state}\n", lock.file.display())
}

/// `layers.lock: 2 layers for python3.13 on arm64`.
fn to_text(lock: &Lock) -> String {
    let file = lock.file.display();
    let noun = if lock.layers.len() == 1 {
        "layer"
    } else {
        "layers"
    };
    let of = |word: &str, name: Option<String>| {
        name.map_or_else(String::new, |name| format!(" {word} {name}"))
    };
    format!(
        "{file}: {} {noun}{}{}\n",
        lock.layers.len(),
        of("for", lock.runtime.map(ToString::to_string)),
        of("on", lock.architecture.map(|name| name.to_string()))
    )
}

fn to_json(lock: &Lock, is_current: bool) -> Value {
    let layers = lock.layers.iter().zip(1..).map(|(layer, index)| {
        json!({
            "index": index,
            "source": layer.source.to_string(),
            "sha256": layer.digest.hex(),
            "size": layer.bytes,
            "runtimes": layer.runtimes,
            "architectures": layer.architectures,
        })
    });
    json!({
        "schema_version": SCHEMA_VERSION,
        "output": lock.file.to_string_lossy(),
        "runtime": lock.runtime.map(|runtime| runtime.identifier),
        "architecture": lock.architecture.map(|name| name.to_string()),
        "layers": layers.collect::<Vec<Value>>(),
        "up_to_date": is_current,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_written_from_where_the_lock_file_is() -> io::Result<()> {
        let temporary = tempfile::tempdir()?;
        let folder = fs::canonicalize(temporary.path())?;
        fs::create_dir_all(folder.join("a/b"))?;
        for (from, path, expected) in [
            ("a", "a/x.zip", "x.zip"),
            ("a", "a/b/x.zip", "b/x.zip"),
            ("a/b", "a/x.zip", "../x.zip"),
            ("a/b", "x", "../../x"),
            ("a", "a/b/..", ""),
        ] {
            let found = relative(&folder.join(from), &folder.join(path))?;
            assert_eq!(found, PathBuf::from(expected), "{from} {path}");
        }
        Ok(())
    }

    #[test]
    fn only_what_all_say_is_taken_for_what_is_meant() {
        let list = |names: &[&str]| Some(names.iter().map(|&name| name.to_owned()).collect());
        for (lists, expected) in [
            (vec![], None),
            (vec![None, Some(Vec::new())], None),
            (vec![list(&["a"]), None], Some("a")),
            (vec![list(&["a", "b"]), list(&["b", "c"])], Some("b")),
            (vec![list(&["a", "b"])], None),
            (vec![list(&["a"]), list(&["b"])], None),
        ] {
            assert_eq!(only(lists.iter()).as_deref(), expected, "{lists:?}");
        }
    }
}
